/* Signed heads: the bytes, and that each leaf of a tree of any size leads to its root, and nothing else does; files of heads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evidence/evidence_witness.h"

enum { LEAVES_MAX = 40 };

static void make_leaves(uint8_t (*ret)[32], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const uint8_t chain[32] = {(uint8_t)i};

		jk_leaf_hash(ret[i], "047", i + 1, chain);
	}
}

static void test_every_path_leads_to_the_root(void **state)
{
	(void)state;
	for (size_t count = 1; count <= LEAVES_MAX; count++)
		for (size_t index = 0; index < count; index++) {
			uint8_t leaves[LEAVES_MAX][32], again[LEAVES_MAX][32], root[32], reached[32];
			struct jk_audit_step steps[JK_AUDIT_MAX];
			size_t length;

			make_leaves(leaves, count);
			make_leaves(again, count);
			jk_merkle_root(root, again, count);
			make_leaves(again, count);
			length = jk_audit_path(leaves, count, index, steps);
			assert_true(length <= 6);
			jk_audit_root(reached, again[index], steps, length);
			assert_memory_equal(reached, root, 32);
			/* Another leaf, or another way, leads elsewhere. */
			jk_audit_root(
				reached, again[(index + 1) % LEAVES_MAX < count ? (index + 1) % LEAVES_MAX : 0], steps, length);
			assert_true(count == 1 || memcmp(reached, root, 32) != 0);
			if (length > 0) {
				steps[0].left = !steps[0].left;
				jk_audit_root(reached, again[index], steps, length);
				assert_memory_not_equal(reached, root, 32);
			}
		}
}

static void test_signature(void **state)
{
	struct jk_signed_head head = {.signed_at_us = 1234567, .root = {9}};
	uint8_t text[9 + 32 + 8] = "jk-head-1";
	struct jk_key key;
	(void)state;

	jk_key_new(&key);
	jk_head_sign(&head, &key);
	memcpy(text + 9, head.root, 32);
	jk_put_be64(text + 41, 1234567);
	assert_true(jk_verify(head.signature, key.sign_public, text, sizeof text));
	assert_true(jk_head_is_signed(&head));
	head.signed_at_us++;
	assert_false(jk_head_is_signed(&head));
	jk_key_wipe(&key);
}

struct seen {
	struct jk_signed_head heads[4];
	size_t count;
};

static void on_head(void *arg, const struct jk_signed_head *head)
{
	struct seen *seen = arg;

	assert_true(seen->count < 4);
	seen->heads[seen->count++] = *head;
}

static void test_files(void **state)
{
	char path[] = "/tmp/jk-witness-XXXXXX";
	struct jk_signed_head head = {.signed_at_us = 1764190684123456, .root = {1}, .public_key = {2}, .signature = {3}};
	struct jk_refusal refusal;
	struct seen seen = {0};
	size_t bad;
	int fd = mkstemp(path);
	(void)state;

	assert_true(fd >= 0);
	assert_int_equal(jk_witness_append(path, &head, &refusal), JK_OK);
	assert_true(lseek(fd, 0, SEEK_END) > 0);
	assert_int_equal(write(fd, "{\"head_no\":3,\"si", 16), 16); /* cut by a crash */
	head.head_no = 7;
	assert_int_equal(jk_witness_append(path, &head, &refusal), JK_OK);
	assert_int_equal(jk_witness_read(path, on_head, &seen, &bad, &refusal), JK_OK);
	assert_int_equal(bad, 1);
	assert_int_equal(seen.count, 2);
	assert_memory_equal(&seen.heads[1], &head, sizeof head);
	head.head_no = 0;
	assert_memory_equal(&seen.heads[0], &head, sizeof head);
	close(fd);
	unlink(path);
	assert_int_equal(jk_witness_read(path, on_head, &seen, &bad, &refusal), JK_BROKEN);
	assert_int_equal(jk_witness_append("/nowhere/at/all", &head, &refusal), JK_BROKEN);
	assert_false(jk_witness_parse("{}", 2, &head));
}

static int init(void **state)
{
	(void)state;
	return jk_crypt_init() == JK_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_path_leads_to_the_root), cmocka_unit_test(test_signature),
		cmocka_unit_test(test_files)};

	return cmocka_run_group_tests(tests, init, NULL);
}
