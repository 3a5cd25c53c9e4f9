/* What a snapshot tells: turns, rounds, ranges that cover what is sent and nothing else, and what was sent under each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatch_items.h"

static void add(struct dispatch_items *items, uint16_t place, uint64_t seq)
{
	const struct dispatch_item item = {.place = place, .seq = seq, .case_state = (uint8_t)(seq % 7)};

	assert_true(dispatch_items_add(items, &item));
}

static void the_order_of_telling_is_that_of_adding(void **state)
{
	static const struct {
		uint16_t place;
		uint64_t seq;
	} told[] = {{2, 5}, {0, 900}, {0, 3}, {1, 7}, {2, 4}, {0, UINT64_MAX}};
	enum { TOLD = sizeof told / sizeof told[0] };
	struct dispatch_items items = {0};

	(void)state;
	for (int i = 0; i < TOLD; i++)
		add(&items, told[i].place, told[i].seq);
	assert_true(dispatch_items_order(&items));
	for (int i = 0; i < TOLD; i++) {
		const struct dispatch_item *item = dispatch_items_at(&items, (size_t)i);

		assert_int_equal(item->place, told[i].place);
		assert_true(item->seq == told[i].seq);
		assert_int_equal(item->case_state, told[i].seq % 7);
		assert_ptr_equal(dispatch_items_find(&items, told[i].place, told[i].seq), item);
		assert_null(dispatch_items_find(&items, told[i].place + 1U, told[i].seq));
		assert_null(dispatch_items_find(
			&items, told[i].place, told[i].seq - 1 == 4 || told[i].seq - 1 == 3 ? 1 : told[i].seq - 1));
	}
	assert_null(dispatch_items_at(&items, TOLD));
	dispatch_items_done(&items);
	assert_true(dispatch_items_order(&items)); /* of nothing */
	assert_null(dispatch_items_at(&items, 0));
	assert_false(dispatch_items_next_round(&items));
	assert_true(dispatch_items_cut(&items));
	assert_int_equal(items.range_count, 0);
}

static void those_put_off_come_by_number(void **state)
{
	static const uint64_t seqs[] = {9, 2, 7, 1, 8};
	static const uint64_t second[] = {1, 7, 9};
	struct dispatch_items items = {0};

	(void)state;
	for (int i = 0; i < 5; i++)
		add(&items, 0, seqs[i]);
	assert_true(dispatch_items_order(&items));
	for (int i = 0; i < 5; i++) {
		assert_true(dispatch_items_at(&items, items.next)->seq == seqs[i]);
		if (seqs[i] % 2 == 1)
			assert_true(dispatch_items_put_off(&items));
		else
			items.next++;
	}
	assert_null(dispatch_items_at(&items, items.next));
	assert_true(dispatch_items_next_round(&items));
	for (int i = 0; i < 3; i++, items.next++) {
		assert_true(dispatch_items_at(&items, items.next)->seq == second[i]);
		assert_true(dispatch_items_at(&items, items.next)->late);
	}
	assert_null(dispatch_items_at(&items, items.next));
	assert_false(dispatch_items_next_round(&items));
	dispatch_items_done(&items);
}

/* Every item that is not sent stands in one range of its stream, which is no longer than a row may be. */
static void check_ranges(const struct dispatch_items *items)
{
	for (size_t i = 0; i < items->count; i++) {
		const struct dispatch_item *item = &items->items[i];
		const struct dispatch_items_range *range = dispatch_items_range(items, item);

		assert_true((range == NULL) == (item->term != 0));
		if (range == NULL)
			continue;
		assert_int_equal(range->place, item->place);
		assert_true(range->from_seq <= item->seq && item->seq <= range->to_seq);
		assert_true(range->first <= i && i <= range->last);
		assert_true(range->to_seq - range->from_seq < DISPATCH_RESERVE_MAX);
	}
	for (size_t i = 0; i < items->range_count; i++)
		assert_int_equal(items->ranges[i].disclosure_id, 0);
}

static void ranges_cover_what_is_not_sent(void **state)
{
	struct dispatch_items items = {0};

	(void)state;
	for (uint64_t seq = 1; seq <= 3000; seq++)
		add(&items, 0, seq); /* three ranges: 1,024 items each at most */
	for (uint64_t n = 0; n < 10; n++)
		add(&items, 1, 1 + n * 5000); /* three: 16,384 numbers each at most */
	add(&items, 2, 44001);
	assert_true(dispatch_items_order(&items));
	assert_true(dispatch_items_cut(&items));
	assert_int_equal(items.range_count, 3 + 3 + 1);
	check_ranges(&items);
	for (size_t i = 0; i < items.count; i += 2)
		items.items[i].term = 5;
	assert_true(dispatch_items_cut(&items));
	check_ranges(&items);
	assert_true(items.range_count < 7);
	for (size_t i = 0; i < items.count; i++)
		items.items[i].term = 5;
	assert_true(dispatch_items_cut(&items));
	assert_int_equal(items.range_count, 0);
	check_ranges(&items);
	dispatch_items_done(&items);
}

static void the_record_says_what_was_sent_under_its_range(void **state)
{
	struct dispatch_items items = {0};
	struct dispatch_record *record;
	bool complete;

	(void)state;
	for (uint64_t seq = 10; seq <= 20; seq++)
		add(&items, 0, seq);
	assert_true(dispatch_items_order(&items));
	dispatch_items_find(&items, 0, 12)->term = 9; /* under an earlier range */
	assert_true(dispatch_items_cut(&items));
	assert_null(dispatch_items_record(&items, &items.ranges[0], &complete));
	assert_true(complete);
	assert_int_equal(dispatch_items_sent(&items, &items.ranges[0]), 9);
	assert_int_equal(dispatch_items_acked(&items, &items.ranges[0]), 9);
	dispatch_items_find(&items, 0, 19)->term = 3; /* in any order */
	dispatch_items_find(&items, 0, 11)->term = 4;
	dispatch_items_find(&items, 0, 15)->term = 3;
	record = dispatch_items_record(&items, &items.ranges[0], &complete);
	assert_true(complete);
	for (uint64_t seq = 10; seq <= 20; seq++)
		assert_int_equal(dispatch_record_find(record, seq), seq == 11 ? 4 : seq == 15 || seq == 19 ? 3 : 0);
	dispatch_record_free(&record);
	assert_int_equal(dispatch_items_sent(&items, &items.ranges[0]), 19);
	dispatch_items_find(&items, 0, 19)->acked = true;
	assert_int_equal(dispatch_items_acked(&items, &items.ranges[0]), 9);
	dispatch_items_find(&items, 0, 11)->acked = true;
	assert_int_equal(dispatch_items_acked(&items, &items.ranges[0]), 11);
	dispatch_items_find(&items, 0, 15)->acked = true;
	assert_int_equal(dispatch_items_acked(&items, &items.ranges[0]), 19);
	dispatch_items_done(&items);
}

/* Nothing that was sent may be missing: without a whole record there is none. */
static void a_record_that_cannot_hold_it_is_none(void **state)
{
	struct dispatch_items items = {0};
	bool complete;

	(void)state;
	for (uint64_t seq = 1; seq <= 300; seq++)
		add(&items, 0, seq);
	assert_true(dispatch_items_order(&items));
	assert_true(dispatch_items_cut(&items));
	for (uint32_t i = 0; i < 300; i++)
		items.items[i].term = i + 2;
	assert_null(dispatch_items_record(&items, &items.ranges[0], &complete));
	assert_false(complete);
	assert_true(dispatch_items_bytes(&items) >= 300 * sizeof items.items[0]);
	dispatch_items_done(&items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_of_telling_is_that_of_adding),
		cmocka_unit_test(those_put_off_come_by_number),
		cmocka_unit_test(ranges_cover_what_is_not_sent),
		cmocka_unit_test(the_record_says_what_was_sent_under_its_range),
		cmocka_unit_test(a_record_that_cannot_hold_it_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
