/* Which disciplines an incident needs, and who is asked next; what a batch of events makes of open incidents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dispatch_duty_order.h"

struct jk_desk {
	int32_t id;
};
static int32_t id_of(const struct jk_desk *desk)
{
	return desk->id;
}

static void what_somebody_answers_for(void **state)
{
	(void)state;
	for (int realm = 0; realm < 3; realm++)
		for (int status = 0; status < 6; status++) {
			struct dispatch_open_labels labels = {.status = status};
			bool wanted = (realm == JK_REALM_LIVE && status == JK_CAP_STATUS_ACTUAL) ||
				      (realm == JK_REALM_EXERCISE && status == JK_CAP_STATUS_EXERCISE);

			assert_int_equal(dispatch_duty_counts((enum jk_realm)realm, &labels), wanted);
		}
}

static void a_floor_is_met_by_what_is_as_bad_or_worse(void **state)
{
	(void)state;
	for (int floor = 1; floor < JK_SEVERITY_UNKNOWN; floor++)
		for (int severity = 0; severity <= JK_SEVERITY_MAX; severity++)
			assert_int_equal(dispatch_duty_has_floor(severity, floor), severity >= 1 && severity <= floor);
	assert_true(dispatch_duty_has_floor(JK_SEVERITY_UNKNOWN, 0) && dispatch_duty_has_floor(0, 0));
}

static void each_discipline_counts_once_under_the_first_rule_that_fits(void **state)
{
	(void)state;
	static const struct jk_duty_rule rules[] = {
		{.rule_id = 1, .rank = 1, .categories = 1 << 9, .county = "001", .discipline = "POLICE", .answer_s = 10},
		{.rule_id = 2, .rank = 2, .categories = 1 << 9, .severity_floor = 2, .discipline = "AMBULANCE", .answer_s = 20},
		{.rule_id = 3, .rank = 3, .categories = 1 << 9 | 1 << 4, .discipline = "POLICE", .answer_s = 30},
		{.rule_id = 4, .rank = 4, .categories = 1 << 9, .urgency_floor = 1, .discipline = "AMBULANCE", .answer_s = 40},
		{.rule_id = 5, .rank = 5, .categories = 1 << 4, .discipline = "FIRE", .answer_s = 50},
		{.rule_id = 6, .rank = 6, .categories = 1 << 9, .discipline = "POLICE", .answer_s = 60},
	};
	static const struct {
		const char *county;
		int severity, urgency;
		uint16_t categories;
		int32_t rules[4];
	} rows[] = {
		{"047", 3, 3, 1 << 2, {0}},
		{"047", 3, 3, 0, {0}},
		{"047", 3, 3, 1 << 9, {3}},
		{"001", 3, 3, 1 << 9, {1}},
		{"047", 1, 3, 1 << 9, {2, 3}},
		{"047", 1, 1, 1 << 9, {2, 3}},
		{"047", 5, 1, 1 << 9, {3, 4}},
		{"047", 5, 5, 1 << 9 | 1 << 4, {3, 5}},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dispatch_open_labels labels = {
			.categories = rows[i].categories, .severity = rows[i].severity, .urgency = rows[i].urgency};
		const struct jk_duty_rule *rule = NULL;

		for (size_t k = 0; k < 4 && rows[i].rules[k] != 0; k++) {
			rule = dispatch_duty_need(rules, 6, rule, &labels, rows[i].county);
			assert_non_null(rule);
			assert_int_equal(rule->rule_id, rows[i].rules[k]);
		}
		assert_null(dispatch_duty_need(rules, 6, rule, &labels, rows[i].county));
	}
	assert_null(dispatch_duty_need(NULL, 0, NULL, &(struct dispatch_open_labels){.categories = 0xffff}, "047"));
}

static void the_county_is_asked_first_and_nobody_twice(void **state)
{
	(void)state;
	static const struct jk_desk a = {1}, b = {2}, c = {3}, d = {4};
	static const struct jk_duty_desk desks[] = {
		{"022", "POLICE", 1, &c},
		{"022", "POLICE", 2, &a},
		{"032", "POLICE", 1, &d},
		{"047", "AMBULANCE", 1, &d},
		{"047", "POLICE", 1, &b},
		{"047", "POLICE", 2, &a},
	};
	static const char neighbours[][JK_COUNTY_BYTES] = {"022", "032"};
	static const int32_t wanted[] = {2, 1, 3, 4};
	int32_t asked[4];
	struct dispatch_duty_order order = {.desks = desks,
		.desk_count = 6,
		.county = "047",
		.discipline = "POLICE",
		.neighbours = neighbours,
		.neighbour_count = 2,
		.asked = asked};

	for (; order.asked_count < 4; order.asked_count++) {
		const struct jk_duty_desk *next = dispatch_duty_next(&order, id_of);

		assert_non_null(next);
		assert_int_equal(next->desk->id, wanted[order.asked_count]);
		asked[order.asked_count] = next->desk->id;
	}
	assert_null(dispatch_duty_next(&order, id_of));
	order.asked_count = 0;
	order.discipline = "FIRE";
	assert_null(dispatch_duty_next(&order, id_of));
}

/* ---- open incidents ---- */

static struct dispatch_open_batch batch;

static struct dispatch_open_row *put(int kind, int case_state, int64_t seq, int64_t revision)
{
	struct dispatch_open_event event = {.stream = "047",
		.incident_id = {{1}},
		.kind = kind,
		.case_state = case_state,
		.seq = seq,
		.revision = revision,
		.labels = {.severity = (int)revision}};

	dispatch_open_add(&batch, &event);
	return &batch.rows[0];
}

static void a_batch_comes_to_what_its_events_come_to(void **state)
{
	(void)state;
	const struct dispatch_open_row *row;

	dispatch_open_reset(&batch);
	row = put(JK_EVENT_INCIDENT, 0, 1, 1);
	assert_true(row->opens && row->has_labels && row->closed == 0 && row->decided == 3);
	row = put(JK_EVENT_CANCEL, 0, 2, 2);
	assert_int_equal(row->closed, DISPATCH_CLOSED_CANCELLED);
	row = put(JK_EVENT_UPDATE, 0, 3, 3);
	assert_int_equal(row->closed, 0);
	row = put(JK_EVENT_HISTORY, 0, 4, 9);
	assert_true(row->revision == 3 && row->body_seq == 3 && row->seq == 4 && row->labels.severity == 3);
	row = put(JK_EVENT_MOVED_AWAY, 0, 5, 4);
	assert_true(row->closed == DISPATCH_CLOSED_MOVED && row->revision == 3);
	row = put(JK_EVENT_CASE_STATE, 8, 6, 4);
	assert_true(row->closed == (DISPATCH_CLOSED_MOVED | DISPATCH_CLOSED_CASE) && row->case_state == 8);
	row = put(JK_EVENT_CASE_STATE, 9, 7, 4);
	assert_true(row->closed == DISPATCH_CLOSED_MOVED && !row->remakes);
	assert_int_equal(batch.count, 1);
}

static void what_says_nothing_of_the_state_leaves_it(void **state)
{
	(void)state;
	static const int silent[] = {JK_EVENT_HISTORY, JK_EVENT_ACK, JK_EVENT_ERROR, JK_EVENT_DUTY, JK_EVENT_UNIT, JK_EVENT_AID};

	for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
		const struct dispatch_open_row *row;

		dispatch_open_reset(&batch);
		row = put(silent[i], 0, 1, 1);
		assert_true(!row->opens && !row->has_labels && !row->remakes && row->decided == 0 && row->seq == 1);
		assert_null(dispatch_open_rules_find(silent[i]));
	}
	dispatch_open_reset(&batch);
	assert_true(put(JK_EVENT_CASE_STATE, 9, 1, 1)->remakes);
	for (size_t i = 0; i < dispatch_open_rules_count; i++)
		assert_ptr_equal(dispatch_open_rules_find(dispatch_open_rules[i].kind), &dispatch_open_rules[i]);
}

static void names_are_kept_whole_or_not_at_all(void **state)
{
	(void)state;
	char named[DISPATCH_NAMED_BYTES] = "";
	const char *names[DISPATCH_NAMED_MAX];

	dispatch_open_name(named, "KRCS");
	dispatch_open_name(named, "no,code");
	dispatch_open_name(named, "");
	dispatch_open_name(named, "NPS-1");
	assert_string_equal(named, "KRCS,NPS-1");
	for (int i = 0; i < 2000; i++)
		dispatch_open_name(named, "ABCDEFGH");
	assert_true(strlen(named) < sizeof named);
	size_t count = dispatch_open_names(named, names);
	assert_string_equal(names[0], "KRCS");
	assert_string_equal(names[count - 1], "ABCDEFGH");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_somebody_answers_for),
		cmocka_unit_test(a_floor_is_met_by_what_is_as_bad_or_worse),
		cmocka_unit_test(each_discipline_counts_once_under_the_first_rule_that_fits),
		cmocka_unit_test(the_county_is_asked_first_and_nobody_twice),
		cmocka_unit_test(a_batch_comes_to_what_its_events_come_to),
		cmocka_unit_test(what_says_nothing_of_the_state_leaves_it),
		cmocka_unit_test(names_are_kept_whole_or_not_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
