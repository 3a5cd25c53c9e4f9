#include "evidence/evidence_origin.h"

#include <string.h>

#include "base/jk_text.h"

#define LABEL "jk-origin-1"
enum { AGENCY_MAX_BYTES = 64, TEXT_BYTES = sizeof LABEL - 1 + 4 + AGENCY_MAX_BYTES + 8 + 32 };

void jk_origin_digest(uint8_t ret[32], const uint8_t salt[JK_SALT_BYTES], const void *payload, size_t size)
{
	const struct jk_span spans[] = {{salt, JK_SALT_BYTES}, {payload, size}};

	jk_sha256(ret, spans, 2);
}

/* An agency's code is shorter than this buffer; a longer one is cut, and verifies nowhere else. */
static size_t write_text(uint8_t ret[TEXT_BYTES], const struct jk_origin *origin, const char *agency)
{
	size_t size = strnlen(agency, AGENCY_MAX_BYTES);
	uint8_t *at = ret;

	memcpy(at, LABEL, sizeof LABEL - 1);
	at += sizeof LABEL - 1;
	jk_put_be32(at, (uint32_t)size);
	at += 4;
	memcpy(at, agency, size);
	at += size;
	jk_put_be64(at, origin->format);
	at += 8;
	memcpy(at, origin->digest, sizeof origin->digest);
	return (size_t)(at - ret) + sizeof origin->digest;
}

void jk_origin_sign(struct jk_origin *origin, const char *agency, const struct jk_key *key)
{
	uint8_t text[TEXT_BYTES];

	jk_sign(origin->signature, key, text, write_text(text, origin, agency));
	memcpy(origin->sign_key, key->sign_public, sizeof origin->sign_key);
}

bool jk_origin_is_signed(const struct jk_origin *origin, const char *agency)
{
	uint8_t text[TEXT_BYTES];

	return jk_verify(origin->signature, origin->sign_key, text, write_text(text, origin, agency));
}
