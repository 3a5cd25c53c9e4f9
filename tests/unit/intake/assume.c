/* When a batch may be decided without loading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/intake/intake_assume.h"

/* How many batches are loaded before the next one is assumed. */
static unsigned loads(struct intake_assume *assume)
{
	unsigned count = 0;

	while (!intake_assume_ask(assume, true))
		assert_true(++count < 10000);
	return count;
}

static void test_a_new_one_assumes(void **state)
{
	(void)state;
	struct intake_assume assume = {0};

	assert_int_equal(loads(&assume), 0);
	assert_false(intake_assume_ask(&assume, false));
	assert_true(intake_assume_ask(&assume, true));
}

static void test_each_wrong_one_costs_twice_as_much_up_to_a_bound(void **state)
{
	(void)state;
	static const unsigned costs[] = {16, 32, 64, 128, 256, 512, 1024, 1024, 1024};
	struct intake_assume assume = {0};

	for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
		intake_assume_was_wrong(&assume);
		assert_int_equal(loads(&assume), costs[i]);
	}
}

static void test_right_ones_wear_it_off(void **state)
{
	(void)state;
	struct intake_assume assume = {0};

	intake_assume_was_wrong(&assume);
	intake_assume_was_wrong(&assume);
	(void)loads(&assume);
	for (int i = 0; i < 20; i++)
		intake_assume_was_right(&assume);
	intake_assume_was_wrong(&assume);
	assert_int_equal(loads(&assume), 24);
	for (int i = 0; i < 100; i++)
		intake_assume_was_right(&assume);
	intake_assume_was_wrong(&assume);
	assert_int_equal(loads(&assume), 16);
}

static void test_a_replay_goes_on_being_loaded(void **state)
{
	(void)state;
	struct intake_assume assume = {0};

	intake_assume_saw_known(&assume); /* nothing was ever wrong: nothing to hold back */
	assert_int_equal(loads(&assume), 0);
	intake_assume_was_wrong(&assume);
	for (int i = 0; i < 100; i++) {
		assert_false(intake_assume_ask(&assume, true));
		intake_assume_saw_known(&assume);
	}
	assert_int_equal(loads(&assume), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_one_assumes),
		cmocka_unit_test(test_each_wrong_one_costs_twice_as_much_up_to_a_bound),
		cmocka_unit_test(test_right_ones_wear_it_off),
		cmocka_unit_test(test_a_replay_goes_on_being_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
