/* Signed heads: when, over what, and that anyone with the public key can check them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/jk_text.h"
#include "dispatch_heads.h"

static void test_due(void **state)
{
	(void)state;
	assert_false(dispatch_heads_is_due(0, 1000000)); /* nothing moved */
	assert_false(dispatch_heads_is_due(999, 9999));
	assert_true(dispatch_heads_is_due(1, 10000));
	assert_true(dispatch_heads_is_due(1000, 0));
}

static void test_signature(void **state)
{
	const struct jk_head streams[] = {{.stream = "001", .last_seq = 5, .last_chain = {1}}, {.stream = "@P", .last_seq = 6}};
	static const uint8_t leaf[] = {0, 0, 0, 3, '0', '0', '1', 0, 0, 0, 0, 0, 0, 0, 5, 1};
	uint8_t leaves[2][32], expected[2][32], whole[sizeof leaf + 31] = {0}, root[32], text[9 + 32 + 8] = "jk-head-1";
	struct jk_signed_head head;
	struct jk_key key;
	(void)state;

	assert_int_equal(jk_crypt_init(), JK_OK);
	jk_key_new(&key);
	dispatch_heads_sign(streams, 2, &key, 1234567, leaves, &head);
	assert_memory_equal(head.public_key, key.sign_public, 32);
	memcpy(text + 9, head.root, 32);
	jk_put_be64(text + 41, 1234567);
	assert_true(jk_verify(head.signature, head.public_key, text, sizeof text));
	text[48] ^= 1;
	assert_false(jk_verify(head.signature, head.public_key, text, sizeof text));

	memcpy(whole, leaf, sizeof leaf);
	jk_merkle_leaf(expected[0], whole, sizeof whole);
	dispatch_heads_sign(streams, 1, &key, 1, leaves, &head);
	jk_merkle_root(root, expected, 1);
	assert_memory_equal(head.root, root, 32);
	jk_key_wipe(&key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_due), cmocka_unit_test(test_signature)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
