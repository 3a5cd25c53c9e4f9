/* Folding a batch: one change a case, one line a report, whatever comes in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cases_batch.h"

static struct cases_batch batch;

static struct jk_id make_id(uint8_t kind, size_t number)
{
	return (struct jk_id){{kind, [6] = 0x70, [14] = (uint8_t)(number >> 8), [15] = (uint8_t)number}};
}

static void add(enum jk_event_kind kind, const char *county, size_t incident, int revision, size_t report)
{
	struct cases_event event = {
		.incident_id = make_id(1, incident),
		.event_id = make_id(2, report),
		.county = cases_county_bit(county),
		.kind = kind,
		.revision = revision,
		.recorded_at_us = 1000 + (int64_t)report,
		.labels = {.agency = "KPS", .categories = 2, .category = 1, .severity = 1, .status = 1, .scope = 1, .tlp = 1},
	};
	cases_batch_add(&batch, &event);
}

static void several_events_of_one_incident_are_one_row(void **state)
{
	(void)state;
	cases_batch_reset(&batch);
	add(JK_EVENT_INCIDENT, "047", 1, 1, 1);
	add(JK_EVENT_UPDATE, "047", 1, 2, 2);
	add(JK_EVENT_INCIDENT, "022", 1, 1, 1); /* the same report in another stream */
	add(JK_EVENT_UPDATE, "022", 1, 2, 2);
	add(JK_EVENT_INCIDENT, "022", 2, 1, 3);
	struct cases_outcome outcome = cases_batch_decide(&batch);
	assert_int_equal(batch.case_count, 2);
	assert_int_equal(outcome.opened, 2);
	assert_int_equal(outcome.revised, 0);
	assert_int_equal(batch.entry_count, 3);
	assert_int_equal(batch.cases[0].revision, 2);
	assert_int_equal(batch.cases[0].counties, cases_county_bit("047") | cases_county_bit("022"));
	assert_int_equal(batch.cases[0].version, 3); /* opened, revised, one county more; the last event changed nothing */
	assert_true(cases_batch_is_new(&batch, 0) && cases_batch_is_new(&batch, 1));
}

static void what_is_known_is_not_done_again(void **state)
{
	(void)state;
	struct cases_case known = {.case_id = make_id(1, 1),
		.event_id = make_id(2, 1),
		.state = CASES_NEW,
		.version = 4,
		.entries = 1,
		.counties = cases_county_bit("047"),
		.revision = 1,
		.opened_at_us = 5,
		.updated_at_us = 2000};
	struct cases_case stranger = known;
	struct jk_id entered = make_id(2, 1), foreign = make_id(2, 99);
	stranger.case_id = make_id(1, 77);
	cases_batch_reset(&batch);
	add(JK_EVENT_INCIDENT, "047", 1, 1, 1);
	cases_batch_know_case(&batch, &known);
	cases_batch_know_case(&batch, &stranger);
	cases_batch_know_entry(&batch, &entered);
	cases_batch_know_entry(&batch, &foreign);
	struct cases_outcome outcome = cases_batch_decide(&batch);
	assert_int_equal(outcome.opened + outcome.revised, 0);
	assert_int_equal(batch.entry_count, 0);
	assert_false(cases_batch_is_new(&batch, 0) || cases_batch_is_changed(&batch, 0));

	cases_batch_reset(&batch);
	add(JK_EVENT_INCIDENT, "022", 1, 1, 1);
	cases_batch_know_case(&batch, &known);
	cases_batch_know_entry(&batch, &entered);
	outcome = cases_batch_decide(&batch);
	assert_int_equal(outcome.revised, 1);
	assert_int_equal(batch.entry_count, 0);
	assert_int_equal(batch.cases[0].version, 5);
	assert_int_equal(batch.loaded[0], 4);
}

static void nothing_is_stored_for_what_opens_nothing(void **state)
{
	(void)state;
	cases_batch_reset(&batch);
	add(JK_EVENT_ACK, "047", 1, 1, 1);
	add(JK_EVENT_MOVED_AWAY, "047", 2, 1, 2);
	(void)cases_batch_decide(&batch);
	assert_int_equal(batch.entry_count, 0);
	assert_false(cases_batch_is_new(&batch, 0) || cases_batch_is_new(&batch, 1));
}

static void a_full_batch_of_different_incidents(void **state)
{
	(void)state;
	cases_batch_reset(&batch);
	for (size_t i = 0; i < CASES_BATCH_MAX; i++)
		add(JK_EVENT_INCIDENT, "047", i, 1, i);
	struct cases_outcome outcome = cases_batch_decide(&batch);
	assert_int_equal(outcome.opened, CASES_BATCH_MAX);
	assert_int_equal(batch.entry_count, CASES_BATCH_MAX);
	for (size_t i = 0; i < CASES_BATCH_MAX; i++)
		assert_int_equal(batch.cases[i].version, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_events_of_one_incident_are_one_row),
		cmocka_unit_test(what_is_known_is_not_done_again),
		cmocka_unit_test(nothing_is_stored_for_what_opens_nothing),
		cmocka_unit_test(a_full_batch_of_different_incidents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
