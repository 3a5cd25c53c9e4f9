/* dispatch_seal.c: see dispatch_seal.h. */
#include "dispatch_seal.h"

#include <string.h>

#include "base/jk_text.h"
#include "crypt/crypt.h"

enum { MAC_OFFSET = 16, MAC_BYTES = 16 };

void dispatch_seal_holder(
	struct dispatch_holder *ret_holder, int32_t desk_id, int32_t agency_id, const struct dispatch_filter *filter)
{
	static const char label[] = "jk-filter-1";
	uint8_t form[DISPATCH_FILTER_FORM_BYTES], hash[JK_SHA256_BYTES];
	struct jk_span spans[] = {{label, sizeof label - 1}, {form, 0}};

	if (desk_id >= 0)
		(void)jk_text_format(ret_holder->name, sizeof ret_holder->name, "D%d", desk_id);
	else
		(void)jk_text_format(ret_holder->name, sizeof ret_holder->name, "A%d", agency_id);
	spans[1].size = dispatch_rules_write_filter(form, filter);
	jk_sha256(hash, spans, sizeof spans / sizeof spans[0]);
	memcpy(ret_holder->filter, hash, sizeof ret_holder->filter);
}

/* seal: its first 16 bytes are read. */
static void seal_mac(uint8_t ret[MAC_BYTES], const uint8_t key[DISPATCH_SEAL_KEY_BYTES], const struct dispatch_holder *holder,
	const char *stream, const uint8_t *seal)
{
	static const char label[] = "jk-seal-1";
	size_t holder_size = strlen(holder->name), stream_size = strlen(stream);
	uint8_t lengths[2] = {(uint8_t)holder_size, (uint8_t)stream_size};
	const struct jk_span spans[] = {
		{label, sizeof label - 1},
		{&lengths[0], 1},
		{holder->name, holder_size},
		{&lengths[1], 1},
		{stream, stream_size},
		{holder->filter, sizeof holder->filter},
		{seal, MAC_OFFSET},
	};

	jk_keyed_hash(ret, MAC_BYTES, key, spans, sizeof spans / sizeof spans[0]);
}

void dispatch_seal_write(uint8_t ret[DISPATCH_SEAL_BYTES], const uint8_t key[DISPATCH_SEAL_KEY_BYTES],
	const struct dispatch_holder *holder, const char *stream, const struct dispatch_position *position)
{
	jk_put_be64(ret, position->seq);
	memcpy(ret + sizeof position->seq, position->chain8, sizeof position->chain8);
	seal_mac(ret + MAC_OFFSET, key, holder, stream, ret);
}

bool dispatch_seal_read(const uint8_t key[DISPATCH_SEAL_KEY_BYTES], const struct dispatch_holder *holder,
	const struct dispatch_sealed *sealed, struct dispatch_position *ret_position, struct jk_refusal *ret_refusal)
{
	uint8_t mac[MAC_BYTES];

	if (sealed->size != DISPATCH_SEAL_BYTES)
		return jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "positions", "a sealed position is %d bytes long",
			DISPATCH_SEAL_BYTES);
	seal_mac(mac, key, holder, sealed->stream, sealed->seal);
	if (!jk_bytes_equal(mac, sealed->seal + MAC_OFFSET, sizeof mac))
		return jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "positions",
			"stream %s: this token was not given to you for this filter", sealed->stream);
	ret_position->seq = jk_get_be64(sealed->seal);
	memcpy(ret_position->chain8, sealed->seal + sizeof ret_position->seq, sizeof ret_position->chain8);
	return true;
}
