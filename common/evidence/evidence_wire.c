#include "evidence/evidence_wire.h"

#include <inttypes.h>
#include <string.h>

#include "base/jk_time.h"

void evidence_write_bytes(struct jk_buffer *buffer, const char *name, const void *bytes, size_t size)
{
	char hex[2 * JK_SIGNATURE_BYTES + 1] = "";

	if (size <= JK_SIGNATURE_BYTES)
		jk_hex_encode(hex, bytes, size);
	jk_buffer_printf(buffer, "\"%s\":\"%s\"", name, hex);
}

void evidence_write_head(struct jk_buffer *buffer, const struct jk_signed_head *head)
{
	char time[JK_TIME_BYTES];

	jk_time_format(time, head->signed_at_us);
	if (head->head_no != 0)
		jk_buffer_printf(buffer, "\"head_no\":%" PRIu64 ",", head->head_no);
	jk_buffer_printf(buffer, "\"signed_at_us\":%" PRId64 ",\"signed_at\":\"%s\",", head->signed_at_us, time);
	evidence_write_bytes(buffer, "root", head->root, sizeof head->root);
	jk_buffer_append(buffer, ",", 1);
	evidence_write_bytes(buffer, "public_key", head->public_key, sizeof head->public_key);
	jk_buffer_append(buffer, ",", 1);
	evidence_write_bytes(buffer, "signature", head->signature, sizeof head->signature);
}

bool evidence_read_head(const Jukwaa__V1__SignedHead *message, struct jk_signed_head *ret)
{
	if (message->root.len != sizeof ret->root || message->public_key.len != sizeof ret->public_key ||
		message->signature.len != sizeof ret->signature)
		return false;
	*ret = (struct jk_signed_head){.head_no = message->head_no, .signed_at_us = message->signed_at_us};
	memcpy(ret->root, message->root.data, sizeof ret->root);
	memcpy(ret->public_key, message->public_key.data, sizeof ret->public_key);
	memcpy(ret->signature, message->signature.data, sizeof ret->signature);
	return true;
}
