/* The ladder of a unit: every state x event, what is told, what ends; codes, words and places. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatch_unit_rules.h"

/* The ladder once more, by hand: a letter for the state that comes of it, small where a reason is wanted; '.': refused. Rows:
 * from; columns: ASSIGN SET_OUT ARRIVE TRANSPORT CLEAR FREE TAKE_OUT PUT_IN REMOVE. */
static const char *const ladder[DISPATCH_UNIT_STATES] = {
	".........", /* none */
	"D.....O.R", /* AVAILABLE */
	".ES..ao..", /* DISPATCHED */
	"..S..ao..", /* EN_ROUTE */
	"...TC.o..", /* ON_SCENE */
	"....C.o..", /* TRANSPORTING */
	".....AO.R", /* CLEARED */
	".......AR", /* OUT_OF_SERVICE */
	".........", /* REMOVED */
};
static const char letters[] = "?ADESTCOR";

static bool is_reason(char c)
{
	return c >= 'a' && c <= 'z';
}

static void test_every_state_and_event(void **state)
{
	(void)state;
	for (int from = 0; from < DISPATCH_UNIT_STATES; from++)
		for (int event = 0; event < DISPATCH_UNIT_EVENTS; event++) {
			const struct dispatch_unit_row *row =
				dispatch_unit_rules_find((enum dispatch_unit_state)from, (enum dispatch_unit_event)event);
			char wanted = ladder[from][event];

			if (wanted == '.') {
				assert_null(row);
				continue;
			}
			assert_non_null(row);
			assert_int_equal(letters[row->to], is_reason(wanted) ? wanted - 'a' + 'A' : wanted);
			assert_int_equal(row->guard == DISPATCH_UNIT_WITH_REASON, is_reason(wanted));
			assert_true(row->why[0] != '\0');
		}
}

static void test_effects(void **state)
{
	size_t rows = 0;
	(void)state;

	for (const struct dispatch_unit_row *row; (row = dispatch_unit_rules_row(rows)) != NULL; rows++) {
		bool was = dispatch_unit_rules_is_busy(row->from), is = dispatch_unit_rules_is_busy(row->to);

		/* An assignment begins where a unit becomes busy, ends where it ceases to be, and each of its steps is told;
		 * nothing else is. */
		assert_int_equal((row->effects & DISPATCH_UNIT_BEGIN) != 0, !was && is);
		assert_int_equal((row->effects & DISPATCH_UNIT_END) != 0, was && !is);
		assert_int_equal((row->effects & DISPATCH_UNIT_TELL) != 0, was || is);
		assert_int_equal((row->effects & DISPATCH_UNIT_MAIL) != 0,
			(was || is) && (row->to == DISPATCH_UNIT_DISPATCHED || row->to == DISPATCH_UNIT_ON_SCENE ||
					       row->to == DISPATCH_UNIT_CLEARED));
		/* One row for each state and event. */
		assert_ptr_equal(dispatch_unit_rules_find(row->from, row->event), row);
	}
	assert_int_equal(rows, 20);
}

static void test_every_state_is_reached_and_left(void **state)
{
	(void)state;
	for (int wanted = DISPATCH_UNIT_AVAILABLE; wanted <= DISPATCH_UNIT_OUT_OF_SERVICE; wanted++) {
		bool reached = false, left = false;

		for (size_t i = 0; dispatch_unit_rules_row(i) != NULL; i++) {
			reached |= (int)dispatch_unit_rules_row(i)->to == wanted;
			left |= (int)dispatch_unit_rules_row(i)->from == wanted;
		}
		assert_true(reached && left);
	}
}

static void test_advance(void **state)
{
	static const char *const events[DISPATCH_UNIT_STATES] = {
		"?", "FREE", "?", "SET_OUT", "ARRIVE", "TRANSPORT", "CLEAR", "?", "?"};
	(void)state;

	for (int to = -1; to <= DISPATCH_UNIT_STATES; to++)
		assert_string_equal(dispatch_unit_event_name(dispatch_unit_rules_advance((enum dispatch_unit_state)to)),
			to < 0 || to == DISPATCH_UNIT_STATES ? "?" : events[to]);
	assert_string_equal(dispatch_unit_state_name((enum dispatch_unit_state)99), "?");
	assert_string_equal(dispatch_unit_state_name(DISPATCH_UNIT_ON_SCENE), "ON_SCENE");
}

static void test_codes_and_words(void **state)
{
	static const char *const codes[] = {"A", "0", "KE-7", "A_-9", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"};
	static const char *const none[] = {
		"", "-A", "_A", "a", "A b", "A\n", "A.", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456", "\xc3\x84"};
	(void)state;

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		assert_true(dispatch_unit_rules_is_code(codes[i]));
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_false(dispatch_unit_rules_is_code(none[i]));
	assert_true(dispatch_unit_rules_is_word("AMBULANCE_ALS", 13));
	assert_false(dispatch_unit_rules_is_word("AMBULANCE_ALS", 12));
	assert_false(dispatch_unit_rules_is_word("", 12));
	assert_false(dispatch_unit_rules_is_word("A B", 12));
	assert_false(dispatch_unit_rules_is_word("A-B", 12));
}

static void test_places(void **state)
{
	(void)state;
	assert_true(dispatch_unit_rules_is_place(-90, 180));
	assert_true(dispatch_unit_rules_is_place(0, -180));
	assert_false(dispatch_unit_rules_is_place(90.0001, 0));
	assert_false(dispatch_unit_rules_is_place(0, -180.0001));
	assert_false(dispatch_unit_rules_is_place(NAN, 0));
	assert_false(dispatch_unit_rules_is_place(0, NAN));
	assert_false(dispatch_unit_rules_is_place(-INFINITY, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_state_and_event),
		cmocka_unit_test(test_effects),
		cmocka_unit_test(test_every_state_is_reached_and_left),
		cmocka_unit_test(test_advance),
		cmocka_unit_test(test_codes_and_words),
		cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
