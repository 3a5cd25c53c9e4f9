/* The table of effects, walked whole, and the promise that makes it safe: whatever order the streams are read in, the case ends
 * the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cases_rules.h"

static struct jk_id make_id(uint8_t kind, uint8_t number)
{
	return (struct jk_id){{kind, [15] = number}};
}

static struct cases_event make_event(enum jk_event_kind kind, const char *county, int revision, uint8_t event)
{
	struct cases_event made = {
		.incident_id = make_id(1, 1),
		.event_id = make_id(2, event),
		.county = cases_county_bit(county),
		.kind = kind,
		.revision = revision,
		.recorded_at_us = 1000 + event,
		.labels = {.agency = "KPS",
			.categories = 1 << 5,
			.category = 5,
			.severity = revision,
			.status = 1,
			.scope = 1,
			.tlp = 1},
	};
	return made;
}

static void every_kind_and_relation_has_one_answer(void **state)
{
	(void)state;
	static const enum jk_event_kind silent[] = {JK_EVENT_NONE, JK_EVENT_DELIVERED, JK_EVENT_LAGGING};
	for (size_t i = 0; i < cases_rules_count; i++) {
		const struct cases_rule *rule = &cases_rules[i];
		assert_ptr_equal(cases_rules_find(rule->kind, rule->relation), rule); /* no second row for the same */
		assert_non_null(rule->why);
		if (rule->opens)
			assert_true(rule->takes == CASES_ALL && rule->relation == CASES_ABSENT);
		if (rule->relation == CASES_NOT_NEWER)
			assert_int_equal(rule->takes, CASES_NOTHING); /* never lowers */
		if (rule->relation == CASES_ABSENT)
			assert_true(rule->opens);
	}
	for (enum cases_relation relation = 0; relation < CASES_RELATIONS; relation++)
		for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
			assert_null(cases_rules_find(silent[i], relation));
}

static void only_reports_open_a_case(void **state)
{
	(void)state;
	static const struct {
		enum jk_event_kind kind;
		enum cases_entry_kind entry;
	} rows[] = {
		{JK_EVENT_INCIDENT, CASES_OPENED},
		{JK_EVENT_UPDATE, CASES_REVISED},
		{JK_EVENT_CANCEL, CASES_CANCELLED_BY_PUBLISHER},
		{JK_EVENT_HISTORY, CASES_LATE_REPORT},
		{JK_EVENT_MOVED_AWAY, CASES_ENTRY_NONE},
		{JK_EVENT_ACK, CASES_ENTRY_NONE},
		{JK_EVENT_ERROR, CASES_ENTRY_NONE},
		{JK_EVENT_ERASED, CASES_ENTRY_NONE},
		{JK_EVENT_DELIVERED, CASES_ENTRY_NONE},
		{JK_EVENT_LAGGING, CASES_ENTRY_NONE},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct cases_case opened = {.case_id = make_id(1, 1)};
		struct cases_event event = make_event(rows[i].kind, "047", 1, 1);
		struct cases_entry entry;
		assert_int_equal(cases_rules_apply(&opened, &event, false, &entry), rows[i].entry);
		assert_int_equal(opened.version, rows[i].entry == CASES_ENTRY_NONE ? 0 : 1);
		if (rows[i].entry == CASES_ENTRY_NONE)
			continue;
		assert_int_equal(opened.state, CASES_NEW);
		assert_int_equal(entry.entry_no, 1);
		assert_int_equal(entry.kind, rows[i].entry);
		assert_string_equal(entry.agency, "KPS");
		assert_int_equal(opened.counties, rows[i].kind == JK_EVENT_HISTORY ? 0 : cases_county_bit("047"));
	}
}

static void a_receipt_or_complaint_leaves_only_a_line(void **state)
{
	(void)state;
	struct cases_case row = {.case_id = make_id(1, 1)};
	struct cases_event incident = make_event(JK_EVENT_INCIDENT, "047", 1, 1), ack = make_event(JK_EVENT_ACK, "001", 9, 2);
	struct cases_entry entry;
	(void)cases_rules_apply(&row, &incident, false, &entry);
	assert_int_equal(cases_rules_apply(&row, &ack, false, &entry), CASES_ACKNOWLEDGED);
	assert_int_equal(row.revision, 1);
	assert_int_equal(row.counties, cases_county_bit("047"));
	assert_int_equal(row.version, 2);
	assert_int_equal(cases_rules_apply(&row, &ack, true, &entry), CASES_ENTRY_NONE); /* its copy in another stream */
	assert_int_equal(row.version, 2);
}

static void what_was_done_is_a_line_and_the_first_time_counts(void **state)
{
	(void)state;
	static const struct {
		enum jk_event_kind kind;
		enum cases_entry_kind entry;
	} rows[] = {{JK_EVENT_DUTY, CASES_ENTRY_DUTY}, {JK_EVENT_UNIT, CASES_ENTRY_UNIT}, {JK_EVENT_AID, CASES_ENTRY_AID}};
	struct cases_case row = {.case_id = make_id(1, 1)}, none = {.case_id = make_id(1, 1)};
	struct cases_event incident = make_event(JK_EVENT_INCIDENT, "047", 2, 1),
			   own = make_event(JK_EVENT_CASE_STATE, "047", 2, 9);
	struct cases_entry entry;

	(void)cases_rules_apply(&row, &incident, false, &entry);
	assert_int_equal(cases_rules_apply(&row, &own, true, &entry), CASES_ENTRY_NONE); /* its command has written it */
	assert_int_equal(row.version, 1);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct cases_event event = make_event(rows[i].kind, "047", 2, (uint8_t)(2 + i));
		event.work = (struct cases_work){
			.milestone = CASES_WAS_ON_SCENE, .at_us = 500 - (int64_t)i, .agency = "EMS", .desk = "EMS-1"};
		assert_int_equal(cases_rules_apply(&none, &event, false, &entry), CASES_ENTRY_NONE);
		assert_int_equal(none.version, 0);
		assert_int_equal(cases_rules_apply(&row, &event, false, &entry), rows[i].entry);
		assert_string_equal(entry.actor_agency, "EMS");
		assert_string_equal(entry.actor_desk, "EMS-1");
		assert_string_equal(entry.agency, "KPS");
		assert_int_equal(row.version, 2 + i);
		assert_int_equal(row.steps.on_scene_at_us, 500 - (int64_t)i);
		event.work.at_us = 900;
		event.event_id = make_id(2, 50);
		(void)cases_rules_apply(&row, &event, true, &entry); /* its copy in another stream */
		assert_int_equal(row.version, 2 + i);
	}
	assert_int_equal(row.steps.on_scene_at_us, 498);
	assert_int_equal(row.steps.accepted_at_us, 0);
	assert_int_equal(row.revision, 2);
	assert_memory_equal(&row.event_id, &incident.event_id, sizeof row.event_id); /* the report stands */
}

static void revisions_never_go_back(void **state)
{
	(void)state;
	struct cases_case row = {.case_id = make_id(1, 1)};
	struct cases_entry entry;
	struct cases_event third = make_event(JK_EVENT_INCIDENT, "047", 3, 1), first = make_event(JK_EVENT_HISTORY, "047", 1, 2);
	struct cases_event same = make_event(JK_EVENT_UPDATE, "047", 3, 3), old = make_event(JK_EVENT_HISTORY, "047", 3, 4);
	(void)cases_rules_apply(&row, &third, false, &entry);
	assert_int_equal(cases_rules_apply(&row, &first, false, &entry), CASES_LATE_REPORT);
	assert_int_equal(row.revision, 3);
	assert_int_equal(row.labels.severity, 3);
	/* Two alerts sent in the same instant: the one stored later stands, but not when intake called it old. */
	assert_int_equal(cases_rules_relate(&row, &same), CASES_NEWER);
	assert_int_equal(cases_rules_relate(&row, &old), CASES_NOT_NEWER);
	assert_int_equal(cases_rules_relate(&row, &third), CASES_NOT_NEWER);
}

static void names_follow_the_newest_revision_and_go_with_the_words(void **state)
{
	(void)state;
	struct cases_case row = {.case_id = make_id(1, 1)};
	struct cases_entry entry;
	struct cases_event first = make_event(JK_EVENT_INCIDENT, "047", 1, 1), second = make_event(JK_EVENT_UPDATE, "047", 2, 2);
	struct cases_event old = make_event(JK_EVENT_HISTORY, "047", 1, 3), ack = make_event(JK_EVENT_ACK, "047", 2, 4);
	struct cases_event whole = make_event(JK_EVENT_ERASED, "047", 2, 5), erased = make_event(JK_EVENT_ERASED, "047", 2, 6);
	struct cases_event before = make_event(JK_EVENT_ERASED, "047", 1, 7);
	cases_rules_name(first.labels.named, "KRCS");
	cases_rules_name(second.labels.named, "NPS-1");
	cases_rules_name(whole.labels.named, "NPS-1");

	(void)cases_rules_apply(&row, &first, false, &entry);
	assert_string_equal(row.labels.named, "KRCS");
	(void)cases_rules_apply(&row, &second, false, &entry);
	(void)cases_rules_apply(&row, &old, false, &entry);
	(void)cases_rules_apply(&row, &ack, false, &entry);
	(void)cases_rules_apply(&row, &before, false, &entry);
	assert_string_equal(row.labels.named, "NPS-1");
	assert_int_equal(row.event_at_us, second.recorded_at_us); /* whatever has come since */
	assert_int_equal(row.version, 4);
	(void)cases_rules_apply(&row, &whole, false, &entry);
	assert_string_equal(row.labels.named, "NPS-1");
	assert_int_equal(row.version, 4);
	assert_int_equal(cases_rules_apply(&row, &erased, false, &entry), CASES_ENTRY_NONE);
	assert_string_equal(row.labels.named, "");
	assert_memory_equal(&row.event_id, &second.event_id, sizeof row.event_id);
	assert_int_equal(row.version, 5);
	(void)cases_rules_apply(&row, &erased, false, &entry);
	(void)cases_rules_apply(&row, &second, true, &entry); /* its copy in another stream, read before the erasure */
	assert_string_equal(row.labels.named, "");
	assert_int_equal(row.version, 5);
}

static void a_name_is_kept_whole_or_not_at_all(void **state)
{
	(void)state;
	static const char *const others[] = {"", "kws", "KWS,NMS", "wanjiku@example.org", "KWS 1", "KW\xc3\x89"};
	char named[CASES_NAMED_BYTES] = "";
	const char *names[CASES_NAMED_MAX];

	assert_int_equal(cases_rules_names(named, names), 0);
	cases_rules_name(named, "KRCS");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		cases_rules_name(named, others[i]);
	cases_rules_name(named, "NPS-1_B");
	assert_string_equal(named, "KRCS,NPS-1_B");
	assert_int_equal(cases_rules_names(named, names), 2);
	assert_string_equal(names[0], "KRCS");
	assert_string_equal(names[1], "NPS-1_B");

	*named = '\0';
	for (size_t i = 0; i < CASES_NAMED_BYTES; i++)
		cases_rules_name(named, "KRCS-047");
	assert_int_equal(cases_rules_names(named, names), CASES_NAMED_BYTES / sizeof "KRCS-047");
	for (size_t i = 0; i < CASES_NAMED_BYTES / sizeof "KRCS-047"; i++)
		assert_string_equal(names[i], "KRCS-047");
	*named = '\0';
	for (size_t i = 0; i < CASES_NAMED_BYTES; i++)
		cases_rules_name(named, "A");
	assert_int_equal(cases_rules_names(named, names), CASES_NAMED_MAX);
}

/* An incident in 047 and 022, an update that moves it from 022 to 016, a late report, a cancellation. */
enum { STORY_EVENTS = 9, STORY_STREAMS = 3 };
static void tell_story(struct cases_event story[STORY_EVENTS], size_t starts[STORY_STREAMS + 1])
{
	size_t count = 0;
	starts[0] = count;
	story[count++] = make_event(JK_EVENT_INCIDENT, "047", 2, 1);
	story[count++] = make_event(JK_EVENT_HISTORY, "047", 1, 2);
	story[count++] = make_event(JK_EVENT_UPDATE, "047", 3, 3);
	story[count++] = make_event(JK_EVENT_CANCEL, "047", 4, 4);
	starts[1] = count;
	story[count++] = make_event(JK_EVENT_INCIDENT, "022", 2, 1);
	story[count++] = make_event(JK_EVENT_HISTORY, "022", 1, 2);
	story[count++] = make_event(JK_EVENT_MOVED_AWAY, "022", 3, 3);
	starts[2] = count;
	story[count++] = make_event(JK_EVENT_UPDATE, "016", 3, 3);
	story[count++] = make_event(JK_EVENT_CANCEL, "016", 4, 4);
	starts[3] = count;
}

static void check_story(const struct cases_case *row, unsigned lines)
{
	assert_int_equal(row->revision, 4);
	assert_int_equal(row->labels.severity, 4);
	assert_true(row->event_id.bytes[15] == 4);
	assert_int_equal(row->counties, cases_county_bit("047") | cases_county_bit("016"));
	assert_int_equal(row->entries, 4);
	assert_int_equal(
		lines, 1 << CASES_OPENED | 1 << CASES_REVISED | 1 << CASES_CANCELLED_BY_PUBLISHER | 1 << CASES_LATE_REPORT);
	assert_int_equal(row->opened_at_us, 1001);
	assert_int_equal(row->updated_at_us, 1004);
}

/* Every way of reading the three streams that keeps the order within each. */
static int walk_orders(const struct cases_event *story, const size_t *starts, const size_t *at, struct cases_case row,
	unsigned lines, unsigned entered)
{
	int ends = 0;
	for (size_t stream = 0; stream < STORY_STREAMS; stream++) {
		size_t next[STORY_STREAMS] = {at[0], at[1], at[2]};
		struct cases_case after = row;
		struct cases_entry entry;
		if (at[stream] == starts[stream + 1])
			continue;
		const struct cases_event *event = &story[next[stream]++];
		unsigned report = 1U << event->event_id.bytes[15];
		int32_t version = after.version;
		enum cases_entry_kind kind = cases_rules_apply(&after, event, entered & report, &entry);
		assert_in_range(after.version, version, version + 1);
		assert_true(kind == CASES_ENTRY_NONE || !(entered & report));
		ends += walk_orders(
			story, starts, next, after, kind ? lines | 1U << kind : lines, kind ? entered | report : entered);
	}
	if (at[0] == starts[1] && at[1] == starts[2] && at[2] == starts[3]) {
		check_story(&row, lines);
		return 1;
	}
	return ends;
}

static void the_end_does_not_depend_on_the_order_of_streams(void **state)
{
	(void)state;
	struct cases_event story[STORY_EVENTS];
	size_t starts[STORY_STREAMS + 1];
	tell_story(story, starts);
	size_t at[STORY_STREAMS] = {starts[0], starts[1], starts[2]};
	/* 9! / (4! 3! 2!) */
	assert_int_equal(walk_orders(story, starts, at, (struct cases_case){.case_id = make_id(1, 1)}, 0, 0), 1260);
}

static void counties_are_the_47(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "0", "47", "000", "048", "0470", "KE-30", "04a", "@KPS", " 47", "-01"};
	char list[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(cases_county_bit(wrong[i]), 0);
	assert_int_equal(cases_county_list(cases_county_bit("047") | cases_county_bit("001"), list), 2);
	assert_string_equal(list[0], "001");
	assert_string_equal(list[1], "047");
	assert_int_equal(cases_county_list(UINT64_MAX, list), JK_COUNTY_MAX);
}

static void what_is_withheld_is_left_out_of_the_summary(void **state)
{
	(void)state;
	struct cases_case row = {.counties = 2,
		.revision = 7,
		.labels = {.agency = "KPS", .categories = 2, .category = 1, .severity = 1, .status = 1, .scope = 1, .tlp = 2}};
	struct cases_case shown = row;
	cases_rules_withhold(&shown, 1 << JK_GROUP_REPORTER | 1 << JK_GROUP_PERSONS);
	assert_memory_equal(&shown, &row, sizeof row);
	cases_rules_withhold(&shown, 1 << JK_GROUP_IDENTITY);
	assert_string_equal(shown.labels.agency, "");
	assert_int_equal(shown.revision, 0);
	assert_int_equal(shown.labels.category, 1);
	cases_rules_withhold(&shown, UINT32_MAX);
	assert_int_equal(shown.counties, 0);
	assert_int_equal(shown.labels.category | shown.labels.severity | shown.labels.tlp | shown.labels.status, 0);
}

/* Each filter against each group withheld. */
static void a_filter_finds_nothing_by_what_is_withheld(void **state)
{
	static const struct {
		struct cases_filter filter;
		uint32_t groups;
	} rows[] = {
		{{0}, 0},
		{{.states = 2, .include_test = true, .from_us = 1, .to_us = 2}, 0},
		{{.counties = 2}, 1 << JK_GROUP_PLACE},
		{{.constituency = "290"}, 1 << JK_GROUP_PLACE},
		{{.category = 3}, 1 << JK_GROUP_CLASSIFICATION},
		{{.severity_floor = 2}, 1 << JK_GROUP_CLASSIFICATION},
		{{.agency = "KPS"}, 1 << JK_GROUP_IDENTITY},
		{{.breached = true}, 1 << JK_GROUP_WORK},
		{{.number = "OB 1"}, 1 << JK_GROUP_WORK | 1 << JK_GROUP_REGISTRATION},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (int group = 1; group <= JK_GROUP_MAX; group++)
			assert_int_equal(cases_rules_may_find(&rows[i].filter, 1U << group), !(rows[i].groups >> group & 1));
}

static void place_time_and_work_are_withheld_with_their_groups(void **state)
{
	const struct cases_case whole = {
		.counties = 2,
		.place = {.located = true, .lat = 1, .lon = 2, .constituency = "290", .occurred_at_us = 3},
		.steps = {4, 5, 6, 7},
	};
	(void)state;
	for (int group = 1; group <= JK_GROUP_MAX; group++) {
		struct cases_case shown = whole;

		cases_rules_withhold(&shown, 1U << group);
		assert_int_equal(shown.place.located, group != JK_GROUP_POSITION);
		assert_int_equal(shown.place.lat + shown.place.lon, group == JK_GROUP_POSITION ? 0 : 3);
		assert_int_equal(*shown.place.constituency != 0, group != JK_GROUP_PLACE);
		assert_int_equal(shown.counties, group == JK_GROUP_PLACE ? 0 : 2);
		assert_int_equal(shown.place.occurred_at_us, group == JK_GROUP_TIMES ? 0 : 3);
		assert_int_equal(shown.steps.accepted_at_us + shown.steps.resolved_at_us, group == JK_GROUP_WORK ? 0 : 11);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_and_relation_has_one_answer),
		cmocka_unit_test(a_filter_finds_nothing_by_what_is_withheld),
		cmocka_unit_test(place_time_and_work_are_withheld_with_their_groups),
		cmocka_unit_test(only_reports_open_a_case),
		cmocka_unit_test(a_receipt_or_complaint_leaves_only_a_line),
		cmocka_unit_test(what_was_done_is_a_line_and_the_first_time_counts),
		cmocka_unit_test(revisions_never_go_back),
		cmocka_unit_test(names_follow_the_newest_revision_and_go_with_the_words),
		cmocka_unit_test(a_name_is_kept_whole_or_not_at_all),
		cmocka_unit_test(the_end_does_not_depend_on_the_order_of_streams),
		cmocka_unit_test(counties_are_the_47),
		cmocka_unit_test(what_is_withheld_is_left_out_of_the_summary),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
