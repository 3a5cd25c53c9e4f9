/* A publisher's signature over its own report: the bytes, and what it is bound to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/jk_text.h"
#include "evidence/evidence_origin.h"

static void test_bytes(void **state)
{
	static const uint8_t salt[JK_SALT_BYTES] = {7};
	const struct jk_span salted[] = {{salt, sizeof salt}, {"report", 6}};
	struct jk_origin origin = {.format = 3};
	uint8_t digest[32], text[11 + 4 + 3 + 8 + 32] = "jk-origin-1";
	struct jk_key key;
	(void)state;

	jk_key_new(&key);
	jk_origin_digest(origin.digest, salt, "report", 6);
	jk_sha256(digest, salted, 2);
	assert_memory_equal(origin.digest, digest, 32);
	jk_origin_sign(&origin, "KPS", &key);
	jk_put_be32(text + 11, 3);
	memcpy(text + 15, "KPS", 3);
	jk_put_be64(text + 18, 3);
	memcpy(text + 26, digest, 32);
	assert_true(jk_verify(origin.signature, key.sign_public, text, sizeof text));
	jk_key_wipe(&key);
}

static void test_what_it_is_bound_to(void **state)
{
	struct jk_origin origin = {.format = 3, .digest = {1}}, other;
	struct jk_key key;
	(void)state;

	jk_key_new(&key);
	jk_origin_sign(&origin, "KPS", &key);
	assert_true(jk_origin_is_signed(&origin, "KPS"));
	assert_false(jk_origin_is_signed(&origin, "KPS2"));
	assert_false(jk_origin_is_signed(&origin, ""));
	other = origin;
	other.format = 2;
	assert_false(jk_origin_is_signed(&other, "KPS"));
	other = origin;
	other.digest[31] ^= 1;
	assert_false(jk_origin_is_signed(&other, "KPS"));
	other = origin;
	other.sign_key[0] ^= 1;
	assert_false(jk_origin_is_signed(&other, "KPS"));
	jk_key_wipe(&key);
}

static int init(void **state)
{
	(void)state;
	return jk_crypt_init() == JK_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes), cmocka_unit_test(test_what_it_is_bound_to)};

	return cmocka_run_group_tests(tests, init, NULL);
}
