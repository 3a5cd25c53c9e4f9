/* evidence_origin.h: a publisher's signature over its own report: optional, verified by intake, carried with every copy that
 * shows the identity group, checked by receivers. What is signed is a salted digest of the payload, so that a copy of which
 * something is withheld does not let anybody guess what; the salt stays with the report as received, and the owner can show both
 * in a dispute. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypt/crypt.h"

/* format: number of jukwaa.v1.Format. */
struct jk_origin {
	uint32_t format;
	uint8_t digest[32], sign_key[32], signature[JK_SIGNATURE_BYTES];
};

/* SHA-256(salt, 16 bytes | payload) */
void jk_origin_digest(uint8_t ret[32], const uint8_t salt[JK_SALT_BYTES], const void *payload, size_t size);
/* Ed25519 by the agency's key over
 *   "jk-origin-1" | length of the agency's code, 32 bits big-endian | code | format, 64 bits big-endian | digest */
void jk_origin_sign(struct jk_origin *origin, const char *agency, const struct jk_key *key);
bool jk_origin_is_signed(const struct jk_origin *origin, const char *agency);
