/* Credit, acknowledgements and disclosure ranges of one subscription. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatch_subscription.h"

enum { WINDOW = 4 };

static struct dispatch_cache *cache;
static struct dispatch_subscription *subscription;
static unsigned acked;

static int set_up(void **state)
{
	struct dispatch_streams streams = {.count = 0};
	const struct dispatch_position start = {.seq = 10};
	(void)state;

	acked = 0;
	cache = dispatch_cache_new(1024);
	if (cache == NULL || !dispatch_streams_add(&streams, "001") || !dispatch_streams_add(&streams, "002"))
		return 1;
	subscription = dispatch_subscription_new(cache, &streams, WINDOW);
	if (subscription == NULL)
		return 1;
	dispatch_subscription_start(subscription, 0, &start);
	dispatch_subscription_start(subscription, 1, &start);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dispatch_subscription_free(&subscription);
	dispatch_cache_free(&cache);
	return 0;
}

static void on_acked(void *arg, const struct dispatch_subscription *of, const struct dispatch_unacked *delivery)
{
	(void)arg;
	assert_ptr_equal(of, subscription);
	assert_int_equal(delivery->agency_id, 7);
	acked++;
}

static void send_sized(size_t place, uint64_t seq, uint32_t size, bool joins)
{
	const struct dispatch_unacked delivery = {.position = {.seq = seq},
		.recorded_at_us = (int64_t)seq * 1000,
		.size = size,
		.agency_id = 7,
		.place = (uint16_t)place};

	assert_true(dispatch_subscription_make_room(subscription));
	dispatch_subscription_sent(subscription, &delivery, joins);
}

static void send(size_t place, uint64_t seq)
{
	send_sized(place, seq, 100, false);
}

static bool ack(uint64_t number)
{
	return dispatch_subscription_ack(subscription, number, on_acked, NULL);
}

static void test_window(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= WINDOW; n++) {
		assert_true(dispatch_subscription_has_credit(subscription, false));
		send(0, 10 + n);
	}
	assert_false(dispatch_subscription_has_credit(subscription, false));
	assert_false(ack(WINDOW + 1)); /* never sent */
	assert_int_equal(acked, 0);
	assert_true(ack(1));
	assert_true(ack(1)); /* again: nothing */
	assert_int_equal(acked, 1);
	assert_int_equal(subscription->unacked_bytes, 300);
	assert_true(dispatch_subscription_has_credit(subscription, false));
	send(1, 11);
	assert_false(dispatch_subscription_has_credit(subscription, false));
	assert_true(ack(5));
	assert_int_equal(acked, 5);
	assert_int_equal(subscription->unacked_bytes, 0);
}

static void test_bytes_in_flight(void **state)
{
	(void)state;

	send_sized(0, 11, DISPATCH_UNACKED_MAX_BYTES, false);
	assert_false(dispatch_subscription_has_credit(subscription, true));
	assert_false(dispatch_subscription_has_credit(subscription, false));
	assert_true(ack(1));
	assert_true(dispatch_subscription_has_credit(subscription, false));
}

/* A message with many deliveries takes one place of the window until its last one is acknowledged. */
static void test_batches(void **state)
{
	(void)state;
	for (uint64_t message = 0; message < WINDOW; message++)
		for (uint64_t n = 1; n <= 100; n++)
			send_sized(n % 2, 10 + message * 100 + n, 10, n > 1);
	assert_int_equal(subscription->delivery_no, WINDOW * 100);
	assert_false(dispatch_subscription_has_credit(subscription, false));
	assert_true(dispatch_subscription_has_credit(subscription, true));
	assert_true(ack(99)); /* in the middle of the first */
	assert_int_equal(acked, 99);
	assert_false(dispatch_subscription_has_credit(subscription, false));
	assert_int_equal(subscription->places[1].acked.seq, 10 + 99);
	assert_int_equal(subscription->places[0].acked.seq, 10 + 98);
	assert_int_equal(dispatch_subscription_oldest_us(subscription), (10 + 100) * 1000);
	assert_true(ack(100));
	assert_true(dispatch_subscription_has_credit(subscription, false));
	assert_int_equal(subscription->messages, WINDOW - 1);
	assert_true(ack(WINDOW * 100));
	assert_int_equal(acked, WINDOW * 100);
	assert_int_equal(subscription->messages, 0);
	assert_int_equal(subscription->unacked_bytes, 0);
	assert_int_equal(dispatch_subscription_oldest_us(subscription), INT64_MAX);
}

/* However long the client says nothing: no more than so many are noted. */
static void test_deliveries_are_bounded(void **state)
{
	uint64_t seq = 11;
	(void)state;

	send_sized(0, seq++, 1, false);
	while (dispatch_subscription_has_credit(subscription, true))
		send_sized(0, seq++, 1, true);
	assert_int_equal(subscription->delivery_no, DISPATCH_UNACKED_MAX);
	assert_int_equal(subscription->unacked_capacity, DISPATCH_UNACKED_MAX);
	assert_true(ack(DISPATCH_UNACKED_MAX));
	assert_in_range(subscription->unacked_capacity, 1, 1024); /* given back */
}

static void test_acknowledged_position(void **state)
{
	struct dispatch_place *place = &subscription->places[0];
	const struct dispatch_position over = {.seq = 13}, further = {.seq = 15};
	(void)state;

	send(0, 11);
	send(0, 12);
	dispatch_subscription_passed(subscription, 0, &over);
	assert_int_equal(place->acked.seq, 10); /* two are on their way */
	assert_true(ack(1));
	assert_int_equal(place->acked.seq, 11);
	assert_true(ack(2));
	assert_int_equal(place->acked.seq, 13); /* and what was passed over after them */
	dispatch_subscription_passed(subscription, 0, &further);
	assert_int_equal(place->acked.seq, 15);
	assert_int_equal(place->told_seq, 12); /* the client holds the seal of its last delivery */
	assert_int_equal(subscription->places[1].acked.seq, 10);
}

static void send_other(enum dispatch_sent sent)
{
	const struct dispatch_unacked delivery = {
		.position = {.seq = 3}, .recorded_at_us = INT64_MAX, .size = 50, .agency_id = 7, .place = 1, .sent = sent};

	assert_true(dispatch_subscription_make_room(subscription));
	dispatch_subscription_sent(subscription, &delivery, false);
}

/* What a snapshot tells takes credit like anything else, and moves no stream. */
static void test_items_move_no_place(void **state)
{
	struct dispatch_place *place = &subscription->places[1];
	(void)state;

	place->unsaved = false;
	send_other(DISPATCH_SENT_ITEM);
	send_other(DISPATCH_SENT_ITEM);
	send_other(DISPATCH_SENT_END);
	assert_int_equal(subscription->delivery_no, 3);
	assert_int_equal(subscription->unacked_bytes, 150);
	assert_int_equal(place->unacked, 0);
	assert_int_equal(place->at.seq, 10);
	assert_true(dispatch_subscription_oldest_us(subscription) == INT64_MAX);
	send(1, 11);
	assert_false(dispatch_subscription_has_credit(subscription, false));
	assert_int_equal(place->acked.seq, 10);
	assert_true(ack(3));
	assert_int_equal(acked, 3);
	assert_int_equal(subscription->unacked_bytes, 100);
	assert_int_equal(place->acked.seq, 10);
	assert_false(place->unsaved);
	assert_true(ack(4));
	assert_int_equal(place->acked.seq, 11);
	assert_true(place->unsaved);
	assert_true(dispatch_subscription_has_credit(subscription, false));
}

static void grant(struct dispatch_place *place, int64_t disclosure_id, uint64_t from_seq, uint64_t to_seq)
{
	const struct dispatch_range range = {.disclosure_id = disclosure_id, .from_seq = from_seq, .to_seq = to_seq};

	dispatch_subscription_grant(place, &range);
}

static void test_ranges(void **state)
{
	struct dispatch_place *place = &subscription->places[0];
	struct dispatch_range range;
	(void)state;

	grant(place, 1, 11, 12);
	assert_int_equal(place->reserved_to, 12);
	assert_false(dispatch_subscription_take_closed(place, false, &range));
	send(0, 11);
	send(0, 12);
	grant(place, 2, 13, 20);
	assert_true(ack(2));
	assert_true(dispatch_subscription_take_closed(place, false, &range));
	assert_int_equal(range.disclosure_id, 1);
	assert_false(dispatch_subscription_take_closed(place, false, &range));
	send(0, 13);
	/* Another policy: the range ends where its successor begins. */
	dispatch_subscription_revoke_ranges(subscription, 5);
	assert_int_equal(place->reserved_to, 13);
	grant(place, 3, 14, 30);
	assert_true(ack(3));
	assert_true(dispatch_subscription_take_closed(place, false, &range));
	assert_int_equal(range.disclosure_id, 2);
	assert_int_equal(range.to_seq, 13);
	assert_true(dispatch_subscription_take_closed(place, true, &range));
	assert_int_equal(range.disclosure_id, 3);
	assert_false(dispatch_subscription_take_closed(place, true, &range));
}

/* What was sent is noted in the range that covers it, and leaves with it. */
static void test_records(void **state)
{
	struct dispatch_place *place = &subscription->places[0];
	struct dispatch_range range;
	(void)state;

	assert_false(dispatch_subscription_can_note(place, 11, 2)); /* no range */
	grant(place, 1, 11, 12);
	grant(place, 2, 13, 20);
	assert_false(dispatch_subscription_can_note(place, 21, 2));
	assert_false(dispatch_subscription_can_note(place, 12, 0)); /* no term */
	assert_true(dispatch_subscription_can_note(place, 12, 2));
	dispatch_subscription_note(place, 12, 2);
	assert_true(dispatch_subscription_can_note(place, 13, 3));
	dispatch_subscription_note(place, 13, 3);
	assert_true(dispatch_subscription_take_closed(place, true, &range));
	assert_int_equal(dispatch_record_find(range.record, 11), 0);
	assert_int_equal(dispatch_record_find(range.record, 12), 2);
	assert_int_equal(dispatch_record_find(range.record, 13), 0);
	dispatch_record_free(&range.record);
	assert_int_equal(dispatch_record_find(place->ranges[0].record, 13), 3); /* freed with the subscription */
}

/* Copies may carry protected groups only under a range that says so: it takes the place of one that does not. */
static void test_a_range_with_groups(void **state)
{
	struct dispatch_place *place = &subscription->places[0];
	(void)state;

	assert_null(dispatch_subscription_range(place, 11));
	grant(place, 1, 11, 30);
	assert_int_equal(dispatch_subscription_range(place, 11)->disclosure_id, 1);
	assert_null(dispatch_subscription_range(place, 31));
	dispatch_subscription_grant(place,
		&(struct dispatch_range){.disclosure_id = 2, .from_seq = 15, .to_seq = 40, .groups = 1 << JK_GROUP_PERSONS});
	assert_int_equal(dispatch_subscription_range(place, 14)->disclosure_id, 1);
	assert_int_equal(dispatch_subscription_range(place, 14)->groups, 0);
	assert_int_equal(dispatch_subscription_range(place, 15)->groups, 1 << JK_GROUP_PERSONS);
	/* Another policy: nothing more under either, and nothing is asked for as before. */
	place->groups = 1 << JK_GROUP_PERSONS;
	dispatch_subscription_revoke_ranges(subscription, 9);
	assert_null(dispatch_subscription_range(place, 15));
	assert_int_equal(place->groups, 0);
}

static void test_ranges_are_bounded(void **state)
{
	struct dispatch_place *place = &subscription->places[0];
	struct dispatch_range range;
	(void)state;

	for (int i = 0; i < DISPATCH_RANGES_MAX + 3; i++)
		grant(place, i, 11 + (uint64_t)i * 2, 12 + (uint64_t)i * 2);
	assert_int_equal(place->range_count, DISPATCH_RANGES_MAX);
	assert_true(dispatch_subscription_take_closed(place, true, &range));
	assert_int_equal(range.disclosure_id, 3);
}

static void test_behind(void **state)
{
	(void)state;
	assert_int_equal(dispatch_subscription_behind(subscription), 0);
	dispatch_cache_stream(cache, "002")->last_seq = 25;
	dispatch_cache_stream(cache, "001")->last_seq = 5; /* never below nothing */
	assert_int_equal(dispatch_subscription_behind(subscription), 15);
	send(1, 11);
	assert_int_equal(dispatch_subscription_behind(subscription), 15); /* on its way is not there */
	assert_true(ack(1));
	assert_int_equal(dispatch_subscription_behind(subscription), 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_window, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_in_flight, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_batches, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deliveries_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_acknowledged_position, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_items_move_no_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ranges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_records, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_range_with_groups, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ranges_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_behind, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
