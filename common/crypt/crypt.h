/* crypt.h: keyed hashes, signatures and key files, on libsodium; SHA-256 comes from digest.h. Call jk_crypt_init first; it may be
 * called again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_refusal.h"
#include "base/jk_status.h"
#include "digest/digest.h"

enum { JK_KEY_BYTES = 32, JK_SIGNATURE_BYTES = 64, JK_KEY_HEX_BYTES = 65, JK_SALT_BYTES = 16 };

enum jk_status jk_crypt_init(void) JK_MUST_CHECK;
void jk_random(void *ret, size_t size);

/* Keyed BLAKE2b (libsodium crypto_generichash), ret_size 16 to 64 bytes. */
void jk_keyed_hash(uint8_t *ret, size_t ret_size, const uint8_t key[32], const struct jk_span *spans, size_t count);
/* Constant time. */
bool jk_bytes_equal(const void *a, const void *b, size_t size);
/* HMAC-SHA-256 with a key of any length (Standard Webhooks). */
void jk_hmac_sha256(uint8_t ret[32], const void *key, size_t key_size, const struct jk_span *spans, size_t count);

/* Merkle root over leaves as in RFC 6962 §2.1 with SHA-256: leaf = H(0x00 || leaf), node = H(0x01 || l || r). count 0:
 * H(""). leaves: count hashes of 32 bytes already leaf-hashed by the caller with jk_merkle_leaf; overwritten. */
void jk_merkle_leaf(uint8_t ret[32], const void *data, size_t size);
void jk_merkle_root(uint8_t ret[32], uint8_t (*leaves)[32], size_t count);

/* The CURVE (X25519) and the Ed25519 pair of one party. */
struct jk_key {
	uint8_t curve_public[32], curve_secret[32];
	uint8_t sign_public[32], sign_secret[64];
};
void jk_key_new(struct jk_key *ret);
void jk_key_wipe(struct jk_key *key);
/* What a key is called in logs and lists: the first 16 hex digits of SHA-256 over the public CURVE key. */
enum { JK_FINGERPRINT_BYTES = 17 };
void jk_key_fingerprint(char ret[JK_FINGERPRINT_BYTES], const uint8_t curve_public[32]);
/* Key file: lines `curve-public = <hex>` etc., comments with '#', mode 0600, created exclusively, fsynced. Also writes
 * path + ".pub" (0644) with the public halves. Refuses to overwrite. ret_reason: a sentence. */
enum jk_status jk_key_write(const struct jk_key *key, const char *path, struct jk_refusal *ret_reason) JK_MUST_CHECK;
/* Refuses files that group or others can read or write, malformed ones, and pairs that do not belong together;
 * ret is then all zero. */
enum jk_status jk_key_read(const char *path, struct jk_key *ret, struct jk_refusal *ret_reason) JK_MUST_CHECK;
/* Public halves from FILE.pub or from a key file. */
enum jk_status jk_key_read_public(
	const char *path, uint8_t ret_curve[32], uint8_t ret_sign[32], struct jk_refusal *ret_reason) JK_MUST_CHECK;

void jk_sign(uint8_t ret[JK_SIGNATURE_BYTES], const struct jk_key *key, const void *data, size_t size);
bool jk_verify(const uint8_t signature[JK_SIGNATURE_BYTES], const uint8_t sign_public[32], const void *data, size_t size);
