/* Batches as stories: each step is a report, what is decided about it, and where the incident stands then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/intake/intake_ledger.h"

#define KIAMBU (UINT64_C(1) << 22)
#define NAIROBI (UINT64_C(1) << 47)
#define MACHAKOS (UINT64_C(1) << 16)

enum { ARENA_BYTES = 8 * 1024 * 1024, STEPS_MAX = 64, REFERENCES = 4 };

/* One report: name is one letter, the key of the report; refers is letters. */
struct step {
	char name;
	int64_t revision;
	enum jk_msg_type msg_type;
	const char *refers;
	uint64_t counties;
	char content;
	bool key_has_revision;
};

struct story {
	struct jk_arena *arena;
	struct intake_ledger *ledger;
	struct intake_report reports[STEPS_MAX];
	struct intake_key references[STEPS_MAX][REFERENCES];
	struct intake_candidate candidates[STEPS_MAX];
	struct intake_decision decision; /* of the newest step */
	size_t count;
};

static struct intake_key key_of(char name)
{
	struct intake_key key = {{(uint8_t)name}};
	return key;
}

/* Ids that grow step by step, as version 7 ids do. */
static struct jk_id id_of(size_t step, uint8_t kind)
{
	struct jk_id id = {{(uint8_t)(step + 1), kind}};
	return id;
}

static int story_open(void **state)
{
	static struct story story;

	memset(&story, 0, sizeof story);
	story.arena = jk_arena_new(ARENA_BYTES);
	story.ledger = story.arena ? intake_ledger_new(story.arena) : NULL;
	*state = &story;
	return story.ledger ? 0 : -1;
}

static int story_close(void **state)
{
	struct story *story = *state;

	jk_arena_free(&story->arena);
	return 0;
}

static const struct intake_decision *tell(struct story *story, struct step step)
{
	size_t n = story->count++;
	struct intake_report *report = &story->reports[n];
	struct intake_candidate *candidate = &story->candidates[n];

	*report = (struct intake_report){.revision = step.revision,
		.msg_type = step.msg_type ? step.msg_type : JK_MSG_TYPE_ALERT,
		.key_has_revision = step.key_has_revision};
	*candidate = (struct intake_candidate){.report = report,
		.key = key_of(step.name),
		.content = {(uint8_t)step.content},
		.references = story->references[n],
		.counties = step.counties,
		.agency_id = 7,
		.event_id = id_of(n, 'e'),
		.incident_id = id_of(n, 'i'),
		.answer = (const struct intake_answer *)candidate};
	for (const char *name = step.refers; name && *name; name++)
		story->references[n][candidate->reference_count++] = key_of(*name);
	intake_ledger_decide(story->ledger, candidate, &story->decision);
	if (story->decision.verdict == JK_VERDICT_STORED)
		assert_true(intake_ledger_record(story->ledger, candidate, &story->decision));
	return &story->decision;
}

static bool is_incident(const struct intake_decision *decision, size_t step)
{
	struct jk_id id = id_of(step, 'i');
	return jk_id_equal(&decision->after.incident_id, &id);
}

static size_t count_changes(const struct story *story, size_t *ret_opened)
{
	struct intake_change change;
	size_t count = 0;

	*ret_opened = 0;
	for (void *at = NULL; intake_ledger_next_change(story->ledger, &at, &change); count++)
		*ret_opened += change.opened;
	return count;
}

static size_t count_waits(const struct story *story, bool ends)
{
	struct intake_wait wait;
	size_t count = 0;

	for (void *at = NULL; intake_ledger_next_wait(story->ledger, &at, &wait);)
		count += ends ? wait.ends : wait.begins;
	return count;
}

static void test_same_key_is_duplicate_or_conflict(void **state)
{
	struct story *story = *state;
	const struct intake_decision *decision = tell(story, (struct step){.name = 'a', .counties = NAIROBI, .content = 'x'});

	assert_int_equal(decision->verdict, JK_VERDICT_STORED);
	assert_int_equal(decision->kind, JK_EVENT_INCIDENT);
	assert_true(decision->opens && decision->first_of_key);
	decision = tell(story, (struct step){.name = 'a', .counties = NAIROBI, .content = 'y'});
	assert_int_equal(decision->verdict, JK_VERDICT_CONFLICT);
	assert_ptr_equal(decision->first, story->candidates[0].answer);
	decision = tell(story, (struct step){.name = 'a', .counties = KIAMBU, .content = 'x'});
	assert_int_equal(decision->verdict, JK_VERDICT_DUPLICATE);
	assert_ptr_equal(decision->first, story->candidates[0].answer);
	size_t opened;
	assert_int_equal(count_changes(story, &opened), 1);
}

static void test_revisions_3_1_2_keep_3(void **state)
{
	static const struct {
		int64_t revision;
		enum jk_event_kind kind;
		bool late;
	} rows[] = {{3, JK_EVENT_INCIDENT, false}, {1, JK_EVENT_HISTORY, true}, {2, JK_EVENT_HISTORY, true},
		{4, JK_EVENT_UPDATE, false}};
	struct story *story = *state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct intake_decision *decision = tell(story,
			(struct step){.name = 'a', .revision = rows[i].revision, .counties = NAIROBI, .key_has_revision = true});
		assert_int_equal(decision->verdict, JK_VERDICT_STORED);
		assert_int_equal(decision->kind, rows[i].kind);
		assert_int_equal(decision->late, rows[i].late);
		assert_true(is_incident(decision, 0));
		assert_int_equal(decision->first_of_key, i == 0);
		assert_true(decision->after.current_revision == (rows[i].revision > 3 ? rows[i].revision : 3));
	}
	size_t opened;
	assert_int_equal(count_changes(story, &opened), 1);
	assert_int_equal(opened, 1);
}

static void test_an_update_joins_the_newest_it_refers_to(void **state)
{
	struct story *story = *state;

	tell(story, (struct step){.name = 'a', .revision = 10, .counties = NAIROBI});
	tell(story, (struct step){.name = 'b', .revision = 20, .counties = KIAMBU});
	const struct intake_decision *decision = tell(story,
		(struct step){.name = 'c', .revision = 30, .msg_type = JK_MSG_TYPE_UPDATE, .refers = "bax", .counties = KIAMBU});
	assert_int_equal(decision->kind, JK_EVENT_UPDATE);
	assert_true(is_incident(decision, 1));
	assert_false(decision->orphan);
	decision = tell(story, (struct step){.name = 'd', .revision = 40, .msg_type = JK_MSG_TYPE_CANCEL, .refers = "c"});
	assert_int_equal(decision->kind, JK_EVENT_CANCEL);
	assert_true(decision->after.cancelled);
	assert_true(decision->counties == KIAMBU);
	decision = tell(story,
		(struct step){.name = 'e', .revision = 25, .msg_type = JK_MSG_TYPE_UPDATE, .refers = "b", .counties = NAIROBI});
	assert_int_equal(decision->kind, JK_EVENT_HISTORY);
	assert_true(decision->after.cancelled && decision->counties == KIAMBU && decision->moved_away == 0);
}

static void test_an_alert_that_refers_to_others_stands_alone(void **state)
{
	struct story *story = *state;

	tell(story, (struct step){.name = 'a', .counties = NAIROBI});
	const struct intake_decision *decision =
		tell(story, (struct step){.name = 'b', .revision = 1, .refers = "a", .counties = NAIROBI});
	assert_true(decision->opens && !decision->orphan);
}

static void test_moved_counties(void **state)
{
	struct story *story = *state;
	struct step step = {.name = 'a', .revision = 1, .counties = NAIROBI | KIAMBU, .key_has_revision = true};

	tell(story, step);
	step.revision = 2;
	step.counties = KIAMBU | MACHAKOS;
	const struct intake_decision *decision = tell(story, step);
	assert_true(decision->counties == (KIAMBU | MACHAKOS));
	assert_true(decision->moved_away == NAIROBI);
	step.revision = 3;
	step.counties = 0; /* says nothing of the place: it stays */
	decision = tell(story, step);
	assert_true(decision->counties == (KIAMBU | MACHAKOS) && decision->moved_away == 0);
}

static void test_an_orphan_is_linked_when_its_alert_comes(void **state)
{
	struct story *story = *state;
	const struct intake_decision *decision = tell(story,
		(struct step){.name = 'u', .revision = 20, .msg_type = JK_MSG_TYPE_UPDATE, .refers = "ab", .counties = NAIROBI});

	assert_true(decision->opens && decision->orphan && decision->after.orphan);
	assert_int_equal(decision->kind, JK_EVENT_INCIDENT);
	assert_int_equal(count_waits(story, false), 2);
	decision = tell(story,
		(struct step){.name = 'v', .revision = 30, .msg_type = JK_MSG_TYPE_UPDATE, .refers = "b", .counties = NAIROBI});
	assert_int_equal(decision->kind, JK_EVENT_UPDATE);
	assert_true(is_incident(decision, 0) && decision->orphan && decision->after.orphan);
	decision = tell(story, (struct step){.name = 'a', .revision = 10, .counties = KIAMBU});
	assert_int_equal(decision->kind, JK_EVENT_HISTORY);
	assert_true(is_incident(decision, 0) && !decision->after.orphan);
	assert_true(decision->after.current_revision == 30 && decision->counties == NAIROBI);
	/* Came and went within the batch: only b is still to be stored. */
	assert_int_equal(count_waits(story, false), 1);
	assert_int_equal(count_waits(story, true), 0);
}

/* Any number of orphans may come to refer to one report: one wait is kept of them all, that of the oldest. */
static void test_of_all_that_wait_for_a_report_the_oldest_does(void **state)
{
	struct story *story = *state;
	struct intake_wait wait;
	void *at = NULL;

	tell(story, (struct step){.name = 'u', .msg_type = JK_MSG_TYPE_UPDATE, .refers = "a", .counties = NAIROBI});
	tell(story, (struct step){.name = 'v', .msg_type = JK_MSG_TYPE_UPDATE, .refers = "b", .counties = NAIROBI});
	tell(story, (struct step){.name = 'w', .msg_type = JK_MSG_TYPE_UPDATE, .refers = "c", .counties = NAIROBI});
	assert_true(is_incident(
		tell(story, (struct step){.name = 'b', .msg_type = JK_MSG_TYPE_UPDATE, .refers = "k", .counties = NAIROBI}), 1));
	assert_true(is_incident(
		tell(story, (struct step){.name = 'a', .msg_type = JK_MSG_TYPE_UPDATE, .refers = "k", .counties = NAIROBI}), 0));
	assert_true(is_incident(
		tell(story, (struct step){.name = 'c', .msg_type = JK_MSG_TYPE_UPDATE, .refers = "kk", .counties = NAIROBI}), 2));
	assert_int_equal(count_waits(story, false), 1);
	assert_true(intake_ledger_next_wait(story->ledger, &at, &wait));
	const struct jk_id oldest = id_of(0, 'i');
	assert_true(jk_id_equal(&wait.incident_id, &oldest) && !wait.ends);
	assert_true(is_incident(tell(story, (struct step){.name = 'k', .counties = NAIROBI}), 0));
	assert_int_equal(count_waits(story, false) + count_waits(story, true), 0);
}

/* What the database has for the key goes, then the older one comes. */
static void test_an_older_one_waits_instead_of_what_is_stored(void **state)
{
	struct story *story = *state;
	const struct intake_incident younger = {.incident_id = id_of(90, 'i'), .counties = MACHAKOS, .orphan = true};
	const struct intake_key key = key_of('k');
	struct intake_wait wait;
	void *at = NULL;

	assert_true(intake_ledger_add_incident(story->ledger, &younger));
	assert_true(intake_ledger_add_awaited(story->ledger, &key, &younger.incident_id));
	tell(story, (struct step){.name = 'u', .msg_type = JK_MSG_TYPE_UPDATE, .refers = "a", .counties = NAIROBI});
	tell(story, (struct step){.name = 'a', .msg_type = JK_MSG_TYPE_UPDATE, .refers = "k", .counties = NAIROBI});
	assert_true(intake_ledger_next_wait(story->ledger, &at, &wait));
	assert_memory_equal(&wait.key, &key, sizeof key);
	const struct jk_id oldest = id_of(0, 'i');
	assert_true(wait.ends && wait.begins && jk_id_equal(&wait.incident_id, &oldest));
	assert_false(intake_ledger_next_wait(story->ledger, &at, &wait));
	assert_true(is_incident(tell(story, (struct step){.name = 'k', .counties = NAIROBI}), 0));
	assert_int_equal(count_waits(story, true), 1);
	assert_int_equal(count_waits(story, false), 0);
}

static void test_an_acknowledgement_opens_nothing_and_changes_nothing(void **state)
{
	struct story *story = *state;

	tell(story, (struct step){.name = 'a', .revision = 10, .counties = NAIROBI});
	const struct intake_decision *decision = tell(story,
		(struct step){.name = 'k', .revision = 20, .msg_type = JK_MSG_TYPE_ACK, .refers = "a", .counties = KIAMBU});
	assert_int_equal(decision->kind, JK_EVENT_ACK);
	assert_true(is_incident(decision, 0) && decision->after.current_revision == 10 && decision->counties == NAIROBI);
	decision = tell(story,
		(struct step){.name = 'e', .revision = 21, .msg_type = JK_MSG_TYPE_ERROR, .refers = "z", .counties = KIAMBU});
	assert_int_equal(decision->kind, JK_EVENT_ERROR);
	assert_true(decision->orphan && decision->opens && decision->after.current_revision == INTAKE_REVISION_NONE);
	decision = tell(story, (struct step){.name = 'z', .revision = 5, .counties = NAIROBI});
	assert_int_equal(decision->kind, JK_EVENT_INCIDENT);
	assert_true(is_incident(decision, 2) && !decision->after.orphan && decision->after.current_revision == 5);
	assert_true(decision->counties == NAIROBI && decision->moved_away == KIAMBU);
}

static void test_what_the_database_knows_counts(void **state)
{
	struct story *story = *state;
	const struct intake_incident incident = {.incident_id = id_of(90, 'i'),
		.agency_id = 7,
		.current_revision = 100,
		.current_event_id = id_of(90, 'e'),
		.counties = MACHAKOS,
		.category = JK_CATEGORY_GEO,
		.categories = 1 << JK_CATEGORY_GEO,
		.severity = JK_SEVERITY_EXTREME,
		.orphan = true};
	const struct intake_known newest = {.key = key_of('a'), .revision = 100, .incident_id = incident.incident_id};
	const struct intake_key awaited = key_of('w');

	for (int twice = 0; twice < 2; twice++) {
		assert_true(intake_ledger_add_incident(story->ledger, &incident));
		assert_true(intake_ledger_add_newest(story->ledger, &newest));
		assert_true(intake_ledger_add_awaited(story->ledger, &awaited, &incident.incident_id));
	}
	const struct intake_decision *decision = tell(story, (struct step){.name = 'w', .revision = 90, .counties = NAIROBI});
	assert_int_equal(decision->kind, JK_EVENT_HISTORY);
	assert_true(decision->awaited && !decision->after.orphan && decision->counties == MACHAKOS);
	assert_int_equal(count_waits(story, true), 1);
	decision = tell(
		story, (struct step){.name = 'a', .revision = 101, .msg_type = JK_MSG_TYPE_CANCEL, .key_has_revision = true});
	assert_int_equal(decision->kind, JK_EVENT_CANCEL);
	assert_int_equal(decision->after.category, JK_CATEGORY_GEO);
	assert_int_equal(decision->after.severity, JK_SEVERITY_EXTREME);
	struct intake_change change;
	void *at = NULL;
	assert_true(intake_ledger_next_change(story->ledger, &at, &change));
	assert_false(change.opened);
	assert_true(jk_id_equal(&change.seen_event_id, &incident.current_event_id));
	assert_true(change.now->current_revision == 101);
	assert_false(intake_ledger_next_change(story->ledger, &at, &change));
}

static void test_deciding_alone_changes_nothing(void **state)
{
	struct story *story = *state;
	const struct intake_report report = {.msg_type = JK_MSG_TYPE_ALERT};
	const struct intake_candidate candidate = {.report = &report, .key = key_of('q'), .counties = NAIROBI};
	struct intake_decision decision;
	size_t opened;

	for (int i = 0; i < 2; i++) {
		intake_ledger_decide(story->ledger, &candidate, &decision);
		assert_int_equal(decision.verdict, JK_VERDICT_STORED);
	}
	assert_int_equal(count_changes(story, &opened), 0);
}

static void test_a_full_arena_is_said(void **state)
{
	struct jk_arena *arena = jk_arena_new(24 * 1024);
	struct intake_ledger *ledger = intake_ledger_new(arena);
	bool added = true;

	(void)state;
	for (int i = 0; i < 10000 && added; i++) {
		struct intake_known known = {.revision = i};
		added = intake_ledger_add_known(ledger, &known);
	}
	assert_false(added);
	jk_arena_free(&arena);
}

/* Wherever the room ended, the report is not taken for one that is stored. */
static void test_what_did_not_fit_is_not_known(void **state)
{
	const struct intake_report report = {.revision = 1, .msg_type = JK_MSG_TYPE_UPDATE};
	const struct intake_key references[] = {key_of('w'), key_of('x'), key_of('y')};
	const struct intake_candidate candidate = {.report = &report,
		.key = key_of('a'),
		.references = references,
		.reference_count = 3,
		.counties = NAIROBI,
		.event_id = id_of(0, 'e'),
		.incident_id = id_of(0, 'i')};
	size_t failed = 0;
	bool recorded = false;

	(void)state;
	for (size_t bytes = 16; !recorded; bytes += 16) {
		struct jk_arena *arena = jk_arena_new(bytes);
		struct intake_ledger *ledger = intake_ledger_new(arena);
		struct intake_decision decision;
		if (ledger) {
			intake_ledger_decide(ledger, &candidate, &decision);
			assert_int_equal(decision.verdict, JK_VERDICT_STORED);
			recorded = intake_ledger_record(ledger, &candidate, &decision);
			failed += !recorded;
			intake_ledger_decide(ledger, &candidate, &decision);
			assert_int_equal(decision.verdict, recorded ? JK_VERDICT_DUPLICATE : JK_VERDICT_BUSY);
		}
		jk_arena_free(&arena);
	}
	assert_true(failed > 16);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, story_open, story_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(test_same_key_is_duplicate_or_conflict),
		STORY(test_revisions_3_1_2_keep_3),
		STORY(test_an_update_joins_the_newest_it_refers_to),
		STORY(test_an_alert_that_refers_to_others_stands_alone),
		STORY(test_moved_counties),
		STORY(test_an_orphan_is_linked_when_its_alert_comes),
		STORY(test_of_all_that_wait_for_a_report_the_oldest_does),
		STORY(test_an_older_one_waits_instead_of_what_is_stored),
		STORY(test_an_acknowledgement_opens_nothing_and_changes_nothing),
		STORY(test_what_the_database_knows_counts),
		STORY(test_deciding_alone_changes_nothing),
		cmocka_unit_test(test_a_full_arena_is_said),
		cmocka_unit_test(test_what_did_not_fit_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
