/* Which block is read next: the newest at once, then what most wait for, and nobody waits for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatch_wants.h"

enum { BLOCKS = 1000, CAPACITY = 64 };

static struct dispatch_wants wants;
static struct dispatch_stream far_stream = {.name = "001", .last_seq = BLOCKS * DISPATCH_BLOCK_EVENTS};
static struct dispatch_stream near_stream = {.name = "002", .last_seq = 5};
static struct dispatch_wanted *taken[CAPACITY];

static int set_up(void **state)
{
	(void)state;
	wants = (struct dispatch_wants){0};
	return 0;
}

static uint64_t before_block(uint64_t block)
{
	return dispatch_rules_block_first(block) - 1;
}

static void add(uint64_t block, int sessions)
{
	for (int i = 0; i < sessions; i++)
		dispatch_wants_add(&wants, &far_stream, before_block(block));
}

static uint64_t block_of(const struct dispatch_wanted *wanted)
{
	return dispatch_rules_block_of(wanted->after + 1);
}

static void test_most_wanted_first(void **state)
{
	size_t count;
	(void)state;

	for (uint64_t block = 0; block < 100; block++)
		add(block, block == 42 ? 7 : 1);
	dispatch_wants_add(&wants, &near_stream, 3);
	add(BLOCKS - 1, 1);
	count = dispatch_wants_begin(&wants, taken, CAPACITY);
	assert_int_equal(count, 2 + DISPATCH_CATCH_UP_BLOCKS);
	for (size_t i = 0; i < 2; i++) /* the newest of both streams */
		assert_true(taken[i]->stream == &near_stream || block_of(taken[i]) == BLOCKS - 1);
	assert_int_equal(block_of(taken[2]), 42);
	assert_int_equal(taken[2]->sessions, 7);
}

static void test_once_for_all_that_wait(void **state)
{
	(void)state;
	add(3, 500);
	assert_int_equal(wants.count, 1);
	assert_int_equal(dispatch_wants_begin(&wants, taken, CAPACITY), 1);
	add(3, 1); /* while it flies: it is on its way already */
	assert_int_equal(wants.count, 1);
	assert_int_equal(dispatch_wants_begin(&wants, taken, 0), 0);
	dispatch_wants_end(&wants);
	assert_int_equal(wants.count, 0);
	assert_int_equal(dispatch_wants_begin(&wants, taken, CAPACITY), 0);
}

/* A crowd that moves on from block to block does not keep a single one waiting for ever. */
static void test_nobody_starves(void **state)
{
	bool served = false;
	int readings = 0;
	(void)state;

	add(500, 1);
	while (!served && readings++ < 100) {
		size_t count;

		for (uint64_t i = 0; i < 32; i++)
			add((uint64_t)readings % 100 + i, 2);
		add(500, 0);
		count = dispatch_wants_begin(&wants, taken, CAPACITY);
		for (size_t i = 0; i < count; i++)
			served = served || block_of(taken[i]) == 500;
		dispatch_wants_end(&wants);
	}
	assert_true(served);
	assert_in_range(readings, 2, 60);
}

/* Sessions spread over a stream become groups: far fewer blocks are read than there are blocks to pass for each of them. */
static void test_sessions_converge(void **state)
{
	enum { SESSIONS = 200, SPAN = 200 };
	uint64_t at[SESSIONS];
	size_t left = SESSIONS, blocks_read = 0;
	(void)state;

	for (size_t i = 0; i < SESSIONS; i++)
		at[i] = i * SPAN / SESSIONS;
	while (left > 0) {
		size_t count;

		for (size_t i = 0; i < SESSIONS; i++)
			if (at[i] < SPAN)
				add(at[i], 1);
		count = dispatch_wants_begin(&wants, taken, CAPACITY);
		blocks_read += count;
		for (size_t t = 0; t < count; t++) {
			uint64_t block = block_of(taken[t]);

			for (size_t i = 0; i < SESSIONS; i++)
				if (at[i] == block && ++at[i] == SPAN)
					left--;
		}
		dispatch_wants_end(&wants);
	}
	/* Without sharing: SESSIONS * SPAN / 2 = 20,000. */
	assert_in_range(blocks_read, SPAN, 16 * SPAN);
}

static void test_bounded(void **state)
{
	(void)state;
	for (uint64_t block = 0; block < BLOCKS; block++)
		add(block, 1);
	for (uint64_t block = 0; block < BLOCKS; block++)
		dispatch_wants_add(&wants, &near_stream, before_block(block));
	assert_int_equal(wants.count, DISPATCH_WANTS_KEPT);
	while (wants.count > 0) {
		size_t count = dispatch_wants_begin(&wants, taken, CAPACITY);

		assert_in_range(count, 1, CAPACITY);
		dispatch_wants_end(&wants);
	}
}

/* A block that was half here is read from where it ends; when it is dropped meanwhile, from its start. */
static void test_lowest_number_counts(void **state)
{
	(void)state;
	dispatch_wants_add(&wants, &far_stream, before_block(9) + 50);
	dispatch_wants_add(&wants, &far_stream, before_block(9));
	dispatch_wants_add(&wants, &far_stream, before_block(9) + 50);
	assert_int_equal(dispatch_wants_begin(&wants, taken, CAPACITY), 1);
	assert_int_equal(taken[0]->after, before_block(9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_most_wanted_first, set_up),
		cmocka_unit_test_setup(test_once_for_all_that_wait, set_up),
		cmocka_unit_test_setup(test_nobody_starves, set_up),
		cmocka_unit_test_setup(test_sessions_converge, set_up),
		cmocka_unit_test_setup(test_bounded, set_up),
		cmocka_unit_test_setup(test_lowest_number_counts, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
