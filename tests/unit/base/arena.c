/* The arena: its limit holds, memory is zero and aligned, a reset forgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/jk_arena.h"

static void limit_holds(void **state)
{
	struct jk_arena *arena = jk_arena_new(1000);
	(void)state;
	assert_null(jk_arena_alloc(arena, 1001));
	assert_null(jk_arena_alloc(arena, SIZE_MAX));
	assert_null(jk_arena_alloc(arena, SIZE_MAX - 20));
	assert_null(jk_arena_string(arena, "", SIZE_MAX));
	assert_int_equal(jk_arena_used(arena), 0);
	assert_non_null(jk_arena_alloc(arena, 1000));
	assert_null(jk_arena_alloc(arena, 1));
	jk_arena_reset(arena);
	size_t got = 0;
	while (jk_arena_alloc(arena, 10))
		got += 16;
	assert_in_range(got, 990, 1008);
	assert_in_range(jk_arena_used(arena), 990, 1000);
	jk_arena_free(&arena);
	assert_null(arena);
	jk_arena_free(&arena);
}

/* Many sizes: no overlap, every byte zero, aligned; large ones do not displace the current chunk. */
static void memory_is_zero_and_its_own(void **state)
{
	enum { PIECES = 600 };
	struct jk_arena *arena = jk_arena_new(8 << 20);
	unsigned char *pieces[PIECES];
	size_t sizes[PIECES];
	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < PIECES; i++) {
			sizes[i] = i % 50 == 49 ? 60000 : (size_t)(i * 37 % 3000);
			pieces[i] = jk_arena_alloc(arena, sizes[i]);
			assert_non_null(pieces[i]);
			assert_int_equal((uintptr_t)pieces[i] % 16, 0);
			for (size_t at = 0; at < sizes[i]; at++)
				if (pieces[i][at] != 0)
					fail_msg("not zero");
			memset(pieces[i], i + 1, sizes[i]);
		}
		for (int i = 0; i < PIECES; i++)
			for (size_t at = 0; at < sizes[i]; at++)
				if (pieces[i][at] != (unsigned char)(i + 1))
					fail_msg("overwritten");
		jk_arena_reset(arena);
		assert_int_equal(jk_arena_used(arena), 0);
	}
	jk_arena_free(&arena);
}

static void copies(void **state)
{
	struct jk_arena *arena = jk_arena_new(4096);
	(void)state;
	assert_string_equal(jk_arena_string(arena, "abcdef", 3), "abc");
	assert_string_equal(jk_arena_string(arena, NULL, 0), "");
	assert_memory_equal(jk_arena_copy(arena, "a\0b", 3), "a\0b", 3);
	assert_non_null(jk_arena_copy(arena, NULL, 0));
	assert_string_equal(jk_arena_printf(arena, "%s-%d", "x", 7), "x-7");
	assert_null(jk_arena_printf(arena, "%5000d", 7));
	jk_arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_holds),
		cmocka_unit_test(memory_is_zero_and_its_own),
		cmocka_unit_test(copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
