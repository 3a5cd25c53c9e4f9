/* Keys in turn, their lanes in turn, draws, and bounds that hold until a report is done with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/intake/intake_queue.h"
#include "services/intake/intake_store.h"

enum { MEMORY = 1000, LANE = 100, KEY = 1, OTHER_KEY = 2, MANY = 600 };

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

static void test_lanes_of_a_key_take_turns(void **state)
{
	struct intake_lane *busy = intake_queue_join(queue, KEY), *quiet = intake_queue_join(queue, KEY);
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
	struct intake_lane *lane = intake_queue_join(queue, KEY), *other = intake_queue_join(queue, OTHER_KEY);
	struct intake_item item = {.size = 90, .cost_bytes = 490};

	(void)state;
	assert_false(intake_queue_has_room(queue, lane, LANE + 1));
	assert_true(intake_queue_has_room(queue, lane, LANE));
	intake_queue_put(queue, lane, &item);
	assert_ptr_equal(intake_queue_take(queue), &item);
	assert_false(intake_queue_has_room(queue, lane, 11));
	assert_true(intake_queue_has_room(queue, lane, 10));
	assert_true(intake_queue_has_room(queue, other, LANE)); /* what one key has in flight leaves as much to the next */
	assert_int_equal(intake_queue_bytes(queue), 490);
	intake_queue_done(queue, &item);
	assert_true(intake_queue_has_room(queue, other, LANE));
	assert_int_equal(intake_queue_bytes(queue), 0);
	intake_queue_leave(queue, &lane);
	intake_queue_leave(queue, &other);
}

/* A key has no more of the memory than it leaves free, with however many sessions. */
static void test_memory_is_shared_between_keys(void **state)
{
	struct intake_lane *lanes[] = {intake_queue_join(queue, KEY), intake_queue_join(queue, KEY)};
	struct intake_lane *other = intake_queue_join(queue, OTHER_KEY);
	struct intake_item items[] = {
		{.size = 1, .cost_bytes = 300}, {.size = 1, .cost_bytes = 200}, {.size = 1, .cost_bytes = 240}};

	(void)state;
	intake_queue_put(queue, lanes[0], &items[0]);
	assert_true(intake_queue_has_room(queue, lanes[1], LANE));
	intake_queue_put(queue, lanes[1], &items[1]);
	assert_false(intake_queue_has_room(queue, lanes[0], 1));
	assert_false(intake_queue_has_room(queue, lanes[1], 1));
	assert_true(intake_queue_has_room(queue, other, LANE));
	intake_queue_put(queue, other, &items[2]);
	assert_false(intake_queue_has_room(queue, other, 21)); /* 500 + 240 + 240 are in the way */
	assert_true(intake_queue_has_room(queue, other, 20));
	for (int i = 0; i < 3; i++)
		intake_queue_done(queue, intake_queue_take(queue));
	for (int i = 0; i < 2; i++)
		intake_queue_leave(queue, &lanes[i]);
	intake_queue_leave(queue, &other);
}

static size_t draw(struct intake_item **ret)
{
	size_t count = 0;

	while (count < INTAKE_BATCH_MAX && (ret[count] = intake_queue_take(queue)))
		count++;
	intake_queue_end_draw(queue);
	return count;
}

static void finish(struct intake_item **items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		intake_queue_done(queue, items[i]);
}

/* A key that floods through many sessions, beside one with a report now and then. */
static void test_a_flooding_key_keeps_nobody_waiting(void **state)
{
	enum { SESSIONS = 8, LEFT = MANY - (2 * INTAKE_DRAW_SHARED_MAX - 1) - INTAKE_BATCH_MAX };
	static struct intake_item flood[MANY], lone[3];
	struct intake_item *drawn[INTAKE_BATCH_MAX];
	struct intake_lane *lanes[SESSIONS], *quiet = intake_queue_join(queue, OTHER_KEY);

	(void)state;
	for (int i = 0; i < SESSIONS; i++)
		assert_non_null(lanes[i] = intake_queue_join(queue, KEY));
	for (int i = 0; i < MANY; i++)
		intake_queue_put(queue, lanes[i % SESSIONS], &flood[i]);
	for (int i = 0; i < 3; i++)
		intake_queue_put(queue, quiet, &lone[i]);
	/* Its three come first and alone, whatever waits before them. */
	assert_int_equal(draw(drawn), 3);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(drawn[i], &lone[i]);
	finish(drawn, 3);
	/* Then it is the flood's turn; the draw is short, also while nothing else waits: the next one may come at any moment. */
	intake_queue_put(queue, quiet, &lone[0]);
	assert_int_equal(draw(drawn), INTAKE_DRAW_SHARED_MAX);
	assert_ptr_equal(drawn[1], &lone[0]);
	finish(drawn, INTAKE_DRAW_SHARED_MAX);
	assert_int_equal(draw(drawn), INTAKE_DRAW_SHARED_MAX);
	finish(drawn, INTAKE_DRAW_SHARED_MAX);
	/* Once it has left there is nobody to wait for. */
	intake_queue_leave(queue, &quiet);
	assert_int_equal(draw(drawn), INTAKE_BATCH_MAX);
	finish(drawn, INTAKE_BATCH_MAX);
	assert_int_equal(draw(drawn), LEFT);
	finish(drawn, LEFT);
	assert_int_equal(draw(drawn), 0);
	for (int i = 0; i < SESSIONS; i++)
		intake_queue_leave(queue, &lanes[i]);
}

/* Only while all that waits is of keys that flood, and there is somebody to pause for. */
static void test_there_is_time_to_pause_beside_a_flood_alone(void **state)
{
	enum { BUSY = INTAKE_DRAW_SHARED_MAX + 1 };
	static struct intake_item flood[BUSY], lone;
	struct intake_item *drawn[INTAKE_BATCH_MAX];
	struct intake_lane *lane = intake_queue_join(queue, KEY), *quiet = NULL;

	(void)state;
	assert_false(intake_queue_can_pause(queue)); /* nothing waits */
	for (int i = 0; i < BUSY; i++)
		intake_queue_put(queue, lane, &flood[i]);
	assert_false(intake_queue_can_pause(queue)); /* nobody else is there */
	quiet = intake_queue_join(queue, OTHER_KEY);
	assert_true(intake_queue_can_pause(queue));
	intake_queue_put(queue, quiet, &lone);
	assert_false(intake_queue_can_pause(queue));
	assert_int_equal(draw(drawn), 1);
	assert_true(intake_queue_can_pause(queue));
	finish(drawn, 1);
	assert_int_equal(draw(drawn), INTAKE_DRAW_SHARED_MAX);
	finish(drawn, INTAKE_DRAW_SHARED_MAX);
	assert_false(intake_queue_can_pause(queue)); /* the one that is left makes nobody wait long */
	assert_int_equal(draw(drawn), 1);
	finish(drawn, 1);
	intake_queue_leave(queue, &quiet);
	intake_queue_leave(queue, &lane);
}

/* A batch that is full of bytes stops early: the next one begins a draw of its own and does not come away empty. */
static void test_a_draw_that_is_ended_early_leaves_nothing_behind(void **state)
{
	static struct intake_item flood[MANY];
	struct intake_item *drawn[INTAKE_BATCH_MAX];
	struct intake_lane *lane = intake_queue_join(queue, KEY), *quiet = intake_queue_join(queue, OTHER_KEY);

	(void)state;
	for (int i = 0; i < MANY; i++)
		intake_queue_put(queue, lane, &flood[i]);
	for (int i = 0; i < INTAKE_DRAW_SHARED_MAX; i++)
		intake_queue_done(queue, intake_queue_take(queue));
	intake_queue_end_draw(queue);
	assert_int_equal(draw(drawn), INTAKE_DRAW_SHARED_MAX);
	finish(drawn, INTAKE_DRAW_SHARED_MAX);
	intake_queue_leave(queue, &quiet);
	for (size_t count; (count = draw(drawn)) > 0;)
		finish(drawn, count);
	intake_queue_leave(queue, &lane);
}

/* All of them busy: long draws, and each has its half. */
static void test_keys_that_all_flood_share_long_draws(void **state)
{
	static struct intake_item items[2][MANY];
	struct intake_item *drawn[INTAKE_BATCH_MAX];
	struct intake_lane *lanes[] = {intake_queue_join(queue, KEY), intake_queue_join(queue, OTHER_KEY)};
	size_t of_first = 0, count;

	(void)state;
	for (int i = 0; i < MANY; i++)
		for (int k = 0; k < 2; k++)
			intake_queue_put(queue, lanes[k], &items[k][i]);
	assert_int_equal(draw(drawn), INTAKE_BATCH_MAX);
	for (size_t i = 0; i < INTAKE_BATCH_MAX; i++)
		of_first += drawn[i]->lane == lanes[0];
	assert_int_equal(of_first, INTAKE_BATCH_MAX / 2);
	finish(drawn, INTAKE_BATCH_MAX);
	while ((count = draw(drawn)) > 0)
		finish(drawn, count);
	for (int k = 0; k < 2; k++)
		intake_queue_leave(queue, &lanes[k]);
}

/* More keys than a short draw has places: each has its turn in each draw. */
static void test_each_key_has_its_turn_in_each_draw(void **state)
{
	enum { KEYS = 100 };
	static struct intake_item items[KEYS], flood[MANY];
	struct intake_item *drawn[INTAKE_BATCH_MAX];
	struct intake_lane *lanes[KEYS];
	size_t count;

	(void)state;
	for (int i = 0; i < KEYS; i++)
		assert_non_null(lanes[i] = intake_queue_join(queue, i));
	for (int i = 0; i < MANY; i++)
		intake_queue_put(queue, lanes[0], &flood[i]);
	for (int i = 1; i < KEYS; i++)
		intake_queue_put(queue, lanes[i], &items[i]);
	assert_int_equal(draw(drawn), KEYS - 1);
	for (int i = 1; i < KEYS; i++)
		assert_ptr_equal(drawn[i - 1], &items[i]);
	finish(drawn, KEYS - 1);
	/* Not every draw passes the busy one over. */
	for (int i = 1; i < KEYS; i++)
		intake_queue_put(queue, lanes[i], &items[i]);
	assert_int_equal(draw(drawn), KEYS);
	assert_ptr_equal(drawn[0], &flood[0]);
	finish(drawn, KEYS);
	while ((count = draw(drawn)) > 0)
		finish(drawn, count);
	for (int i = 0; i < KEYS; i++)
		intake_queue_leave(queue, &lanes[i]);
}

static void test_a_lane_outlives_its_session(void **state)
{
	struct intake_lane *lane = intake_queue_join(queue, KEY);
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
		cmocka_unit_test_setup_teardown(test_lanes_of_a_key_take_turns, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(test_bounds_hold_until_done, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(test_memory_is_shared_between_keys, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(test_a_flooding_key_keeps_nobody_waiting, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(test_there_is_time_to_pause_beside_a_flood_alone, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(test_a_draw_that_is_ended_early_leaves_nothing_behind, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(test_keys_that_all_flood_share_long_draws, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(test_each_key_has_its_turn_in_each_draw, open_queue, close_queue),
		cmocka_unit_test_setup_teardown(test_a_lane_outlives_its_session, open_queue, close_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
