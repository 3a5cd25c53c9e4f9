/* Lanes in turn, and bounds that hold until a report is done with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/intake/intake_queue.h"

enum { MEMORY = 1000, LANE = 100 };

static struct intake_queue *queue;

static int open_queue(void **state)
{
	(void)state;
	queue = intake_queue_new(MEMORY, LANE);
	return queue ? 0 : -1;
}

static int close_queue(void **state)
{
	(void)state;
	intake_queue_free(&queue);
	return 0;
}

static void test_lanes_take_turns(void **state)
{
	struct intake_lane *busy = intake_queue_join(queue), *quiet = intake_queue_join(queue);
	struct intake_item items[4] = {{.request = 1}, {.request = 2}, {.request = 3}, {.request = 10}};
	static const uint64_t expected[] = {1, 10, 2, 3};

	(void)state;
	for (int i = 0; i < 3; i++)
		intake_queue_put(queue, busy, &items[i]);
	intake_queue_put(queue, quiet, &items[3]);
	assert_int_equal(intake_queue_count(queue), 4);
	for (int i = 0; i < 4; i++) {
		struct intake_item *item = intake_queue_take(queue);
		assert_int_equal(item->request, expected[i]);
		intake_queue_done(queue, item);
	}
	assert_null(intake_queue_take(queue));
	intake_queue_put(queue, busy, &items[0]); /* a lane that ran empty comes back */
	assert_ptr_equal(intake_queue_take(queue), &items[0]);
	intake_queue_done(queue, &items[0]);
	intake_queue_leave(queue, &busy);
	intake_queue_leave(queue, &quiet);
	assert_null(busy);
}

static void test_bounds_hold_until_done(void **state)
{
	struct intake_lane *lane = intake_queue_join(queue), *other = intake_queue_join(queue);
	struct intake_item item = {.size = 90, .cost_bytes = 950};

	(void)state;
	assert_false(intake_queue_has_room(queue, lane, LANE + 1));
	assert_true(intake_queue_has_room(queue, lane, LANE));
	intake_queue_put(queue, lane, &item);
	assert_ptr_equal(intake_queue_take(queue), &item);
	assert_false(intake_queue_has_room(queue, lane, 11));
	assert_true(intake_queue_has_room(queue, lane, 10));
	assert_false(intake_queue_has_room(queue, other, 51)); /* memory of all */
	assert_int_equal(intake_queue_bytes(queue), 950);
	intake_queue_done(queue, &item);
	assert_true(intake_queue_has_room(queue, other, LANE));
	assert_int_equal(intake_queue_bytes(queue), 0);
	intake_queue_leave(queue, &lane);
	intake_queue_leave(queue, &other);
}

static void test_a_lane_outlives_its_session(void **state)
{
	struct intake_lane *lane = intake_queue_join(queue);
	struct intake_item item = {.size = 1};

	(void)state;
	intake_queue_put(queue, lane, &item);
	intake_queue_leave(queue, &lane);
	assert_null(lane);
	assert_ptr_equal(intake_queue_take(queue), &item);
	intake_queue_done(queue, &item); /* frees the lane: the leak checker watches */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lanes_take_turns, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(test_bounds_hold_until_done, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(test_a_lane_outlives_its_session, open_queue, close_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
