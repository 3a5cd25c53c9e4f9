/* crypt.c: thin forms over libsodium, and the Merkle tree. Key files are in crypt_key.c. */
#include "crypt/crypt.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#include "base/jk_text.h"

enum { POOL_BYTES = 4096, FROM_POOL_MAX_BYTES = 64 };

_Static_assert(JK_SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519 signature");

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
/* Raised in the child of a fork, where the parent's randomness must not be used again. */
static atomic_uint generation = 1;

static void forget_pools(void)
{
	atomic_fetch_add(&generation, 1);
}

static void watch_fork(void)
{
	(void)pthread_atfork(NULL, NULL, forget_pools);
}

enum jk_status jk_crypt_init(void)
{
	if (sodium_init() < 0)
		return JK_BROKEN;
	return pthread_once(&fork_once, watch_fork) == 0 ? JK_OK : JK_BROKEN;
}

/* Salts are drawn by the hundred thousand; each from the kernel would cost a system call. */
void jk_random(void *ret, size_t size)
{
	static _Thread_local unsigned char pool[POOL_BYTES];
	static _Thread_local size_t left;
	static _Thread_local unsigned pool_generation;

	if (size > FROM_POOL_MAX_BYTES) {
		randombytes_buf(ret, size);
		return;
	}
	unsigned now = atomic_load_explicit(&generation, memory_order_relaxed);
	if (left < size || pool_generation != now) {
		randombytes_buf(pool, sizeof pool);
		left = sizeof pool;
		pool_generation = now;
	}
	left -= size;
	memcpy(ret, pool + left, size);
	memset(pool + left, 0, size);
}

void jk_keyed_hash(uint8_t *ret, size_t ret_size, const uint8_t key[32], const struct jk_span *spans, size_t count)
{
	crypto_generichash_state state;

	(void)crypto_generichash_init(&state, key, 32, ret_size);
	for (size_t i = 0; i < count; i++)
		(void)crypto_generichash_update(&state, spans[i].data, spans[i].size);
	(void)crypto_generichash_final(&state, ret, ret_size);
}

bool jk_bytes_equal(const void *a, const void *b, size_t size)
{
	return sodium_memcmp(a, b, size) == 0;
}

void jk_hmac_sha256(uint8_t ret[32], const void *key, size_t key_size, const struct jk_span *spans, size_t count)
{
	crypto_auth_hmacsha256_state state;

	(void)crypto_auth_hmacsha256_init(&state, key, key_size);
	for (size_t i = 0; i < count; i++)
		(void)crypto_auth_hmacsha256_update(&state, spans[i].data, spans[i].size);
	(void)crypto_auth_hmacsha256_final(&state, ret);
}

void jk_merkle_leaf(uint8_t ret[32], const void *data, size_t size)
{
	const struct jk_span spans[] = {{"\0", 1}, {data, size}};
	jk_sha256(ret, spans, 2);
}

/* Level by level; a node without a partner moves up as it is, which gives the tree of RFC 6962 (its left part holds the
 * largest power of two of leaves). */
void jk_merkle_root(uint8_t ret[32], uint8_t (*leaves)[32], size_t count)
{
	if (count == 0) {
		jk_sha256(ret, NULL, 0);
		return;
	}
	for (; count > 1; count = (count + 1) / 2) {
		for (size_t i = 0; i + 1 < count; i += 2) {
			const struct jk_span spans[] = {{"\1", 1}, {leaves[i], 32}, {leaves[i + 1], 32}};
			uint8_t node[32];
			jk_sha256(node, spans, 3);
			memcpy(leaves[i / 2], node, sizeof node);
		}
		if (count % 2)
			memmove(leaves[count / 2], leaves[count - 1], 32);
	}
	memcpy(ret, leaves[0], 32);
}

void jk_key_new(struct jk_key *ret)
{
	(void)crypto_box_keypair(ret->curve_public, ret->curve_secret);
	(void)crypto_sign_keypair(ret->sign_public, ret->sign_secret);
}

void jk_key_wipe(struct jk_key *key)
{
	sodium_memzero(key, sizeof *key);
}

void jk_key_fingerprint(char ret[JK_FINGERPRINT_BYTES], const uint8_t curve_public[32])
{
	const struct jk_span span = {curve_public, JK_KEY_BYTES};
	uint8_t hash[JK_SHA256_BYTES];

	jk_sha256(hash, &span, 1);
	jk_hex_encode(ret, hash, JK_FINGERPRINT_BYTES / 2);
}

void jk_sign(uint8_t ret[JK_SIGNATURE_BYTES], const struct jk_key *key, const void *data, size_t size)
{
	(void)crypto_sign_detached(ret, NULL, data, size, key->sign_secret);
}

bool jk_verify(const uint8_t signature[JK_SIGNATURE_BYTES], const uint8_t sign_public[32], const void *data, size_t size)
{
	return crypto_sign_verify_detached(signature, data, size, sign_public) == 0;
}
