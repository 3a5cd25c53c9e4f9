/* What a body says beside its groups, and protected content shown in a copy: only what the digest was made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "feed/feed_apart.h"
#include "feed/feed_body.h"

enum { ARENA_BYTES = 1024 * 1024 };
#define BIT(n) (1U << (n))

static struct jk_arena *arena;
static struct jk_group groups[JK_GROUP_COUNT];
static uint8_t commitment[32];
static const uint8_t *body;
static size_t body_size;

static int set_up(void **state)
{
	(void)state;
	arena = jk_arena_new(ARENA_BYTES);
	if (arena == NULL || jk_crypt_init() != JK_OK)
		return 1;
	memset(groups, 0, sizeof groups);
	groups[JK_GROUP_REPORTER - 1].content = (const uint8_t *)"\x0a\x03Eve";
	groups[JK_GROUP_REPORTER - 1].content_size = 5;
	return jk_body_seal(groups, arena, commitment, &body, &body_size) != JK_OK;
}

static int tear_down(void **state)
{
	(void)state;
	jk_arena_free(&arena);
	return 0;
}

static struct jk_span content_of(int tag)
{
	return (struct jk_span){.data = groups[tag - 1].content, .size = groups[tag - 1].content_size};
}

static void what_is_not_it_is_not_shown(void **state)
{
	const struct jk_group *reporter = &groups[JK_GROUP_REPORTER - 1];
	Jukwaa__V1__EventBody *copy = jk_body_copy(body, body_size, 0, arena);
	static const uint8_t other_salt[JK_SALT_BYTES];
	(void)state;

	assert_false(jk_body_show(copy, JK_GROUP_REPORTER, other_salt, content_of(JK_GROUP_REPORTER)));
	assert_false(jk_body_show(copy, JK_GROUP_REPORTER, reporter->salt, (struct jk_span){.data = "Bob", .size = 3}));
	assert_false(jk_body_show(copy, JK_GROUP_PERSONS, reporter->salt, content_of(JK_GROUP_REPORTER)));
	assert_false(jk_body_show(copy, JK_GROUP_IDENTITY, groups[0].salt, content_of(JK_GROUP_IDENTITY))); /* shown already */
	assert_false(jk_body_show(copy, 0, reporter->salt, content_of(JK_GROUP_REPORTER)));
	assert_false(jk_body_show(copy, 99, reporter->salt, content_of(JK_GROUP_REPORTER)));
	assert_int_equal(copy->groups[JK_GROUP_REPORTER - 1]->content.len, 0);
	assert_true(jk_body_verify(copy, commitment));
}

static void what_is_shown_adds_up(void **state)
{
	const struct jk_group *reporter = &groups[JK_GROUP_REPORTER - 1];
	Jukwaa__V1__EventBody *copy = jk_body_copy(body, body_size, 0, arena);
	(void)state;

	assert_true(jk_body_show(copy, JK_GROUP_REPORTER, reporter->salt, content_of(JK_GROUP_REPORTER)));
	assert_int_equal(copy->groups[JK_GROUP_REPORTER - 1]->digest.len, 0);
	assert_memory_equal(copy->groups[JK_GROUP_REPORTER - 1]->content.data, "\x0a\x03Eve", 5);
	assert_true(jk_body_verify(copy, commitment));
	assert_false(jk_body_show(copy, JK_GROUP_REPORTER, reporter->salt, content_of(JK_GROUP_REPORTER))); /* twice */
}

static void apart_and_erased_are_read(void **state)
{
	static const uint8_t tail[] = {0x10, 0x82, 0x0c, /* stored_apart: bits 1, 9 and 10 */
		0x1a, 6, 0x0a, 2, 9, 5, 0x10, 1};        /* erased: reporter, narrative; on request */
	uint8_t with[4096];
	Jukwaa__V1__Erasure *erased;
	(void)state;

	assert_true(body_size + sizeof tail <= sizeof with);
	memcpy(with, body, body_size);
	memcpy(with + body_size, tail, sizeof tail);
	/* No other group can be apart. */
	assert_int_equal(jk_body_apart(with, body_size + sizeof tail), BIT(JK_GROUP_REPORTER) | BIT(JK_GROUP_PERSONS));
	assert_int_equal(jk_body_apart(with, body_size + sizeof tail - 1), 0);
	erased = jk_body_erasure(with, body_size + sizeof tail, arena);
	assert_non_null(erased);
	assert_int_equal(erased->n_groups, 2);
	assert_int_equal(erased->groups[1], JUKWAA__V1__GROUP_TAG__GROUP_TAG_NARRATIVE);
	assert_int_equal(erased->reason, JUKWAA__V1__ERASURE_REASON__ERASURE_REASON_REQUEST);
	assert_null(jk_body_erasure(body, body_size, arena));
	assert_null(jk_body_erasure((const uint8_t *)"\x1a\x02\x0a\x05", 4, arena)); /* malformed within */
	/* A copy says nothing of what is apart. */
	assert_int_equal(jk_body_copy(with, body_size + sizeof tail, 0, arena)->stored_apart, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_not_it_is_not_shown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_shown_adds_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(apart_and_erased_are_read, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
