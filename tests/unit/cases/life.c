/* The table of states, walked whole: every command in every state against a second formulation, every guard both ways, what each
 * effect leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cases_life_rules.h"

/* Where each command leads when all guards hold and somebody has the case; "-" refused, "=" stays. In the order of states. */
static const struct {
	enum cases_action action;
	const char *to[CASES_STATE_MAX + 1];
} expected[] = {
	/*                       -  NEW        TRIAGED    ASSIGNED    IN_PROGRESS  ON_HOLD      REFERRED    RESOLVED   CLOSED
	   REOPENED   MERGED */
	{CASES_TRIAGE, {"", "TRIAGED", "-", "-", "-", "-", "-", "-", "-", "TRIAGED", "-"}},
	{CASES_ASSIGN, {"", "-", "ASSIGNED", "ASSIGNED", "ASSIGNED", "ASSIGNED", "-", "-", "-", "ASSIGNED", "-"}},
	{CASES_START, {"", "-", "-", "IN_PROGRESS", "-", "-", "-", "-", "-", "-", "-"}},
	{CASES_HOLD, {"", "-", "-", "-", "ON_HOLD", "-", "-", "-", "-", "-", "-"}},
	{CASES_RESUME, {"", "-", "-", "-", "-", "IN_PROGRESS", "IN_PROGRESS", "-", "-", "-", "-"}},
	{CASES_REFER, {"", "-", "REFERRED", "REFERRED", "REFERRED", "REFERRED", "-", "-", "-", "-", "-"}},
	{CASES_ACCEPT_REFERRAL, {"", "-", "-", "-", "-", "-", "ASSIGNED", "-", "-", "-", "-"}},
	{CASES_DECLINE_REFERRAL, {"", "-", "-", "-", "-", "-", "IN_PROGRESS", "-", "-", "-", "-"}},
	{CASES_RESOLVE, {"", "-", "-", "RESOLVED", "RESOLVED", "-", "RESOLVED", "-", "-", "-", "-"}},
	{CASES_CLOSE, {"", "-", "-", "-", "-", "-", "-", "CLOSED", "-", "-", "-"}},
	{CASES_REOPEN, {"", "-", "-", "-", "-", "-", "-", "REOPENED", "REOPENED", "-", "-"}},
	{CASES_MERGE, {"", "MERGED", "MERGED", "MERGED", "MERGED", "MERGED", "MERGED", "-", "-", "MERGED", "-"}},
	{CASES_NUMBER, {"", "=", "=", "=", "=", "=", "=", "=", "-", "=", "-"}},
	{CASES_LINK, {"", "=", "=", "=", "=", "=", "=", "=", "-", "=", "-"}},
	{CASES_NOTE, {"", "=", "=", "=", "=", "=", "=", "=", "-", "=", "-"}},
	{CASES_TASK_ADD, {"", "=", "=", "=", "=", "=", "=", "=", "-", "=", "-"}},
	{CASES_TASK_DONE, {"", "=", "=", "=", "=", "=", "=", "=", "-", "=", "-"}},
	{CASES_TASK_CANCEL, {"", "=", "=", "=", "=", "=", "=", "=", "-", "=", "-"}},
	{CASES_EVIDENCE, {"", "=", "=", "=", "=", "=", "=", "=", "-", "=", "-"}},
};

/* A case in a state, somebody has it, all guards hold. */
struct stage {
	struct cases_case subject, other;
	struct cases_task task;
	struct cases_scene scene;
	struct cases_command command;
};

static void set_stage(struct stage *stage, enum cases_state state, enum cases_action action)
{
	*stage = (struct stage){
		.subject = {.case_id = {{1}}, .state = state, .version = 5, .entries = 5, .life.since_version = 5},
		.other = {.case_id = {{2}}, .state = CASES_NEW, .version = 3, .entries = 3, .life.since_version = 3},
		.task = {.task_id = {{3}}, .case_id = {{1}}, .state = CASES_TASK_OPEN},
		.command = {.action = action,
			.version = 5,
			.reason = "",
			.agency = "",
			.desk = "",
			.service = "",
			.text = "",
			.language = "",
			.number = "",
			.ob_number = "",
			.location = "",
			.media_type = "",
			.disposition = action == CASES_RESOLVE ? CASES_DISPOSITION_REFERRED : 0,
			.relation = CASES_RELATED},
	};
	strcpy(stage->subject.life.assigned_agency, "KPS");
	strcpy(stage->subject.life.assigned_desk, "KPS-1");
	if (state == CASES_REFERRED)
		strcpy(stage->subject.life.referred_agency, "EMS");
	stage->scene = (struct cases_scene){
		.subject = &stage->subject,
		.other = cases_life_wants_other(action) ? &stage->other : NULL,
		.task = action == CASES_TASK_DONE || action == CASES_TASK_CANCEL ? &stage->task : NULL,
		.actor = {.agency = "EMS", .desk = "EMS-1", .key_id = 7},
		.names_merged = true,
	};
}

static const struct cases_life_row *decide(struct stage *stage, struct jk_refusal *ret_refusal)
{
	*ret_refusal = (struct jk_refusal){0};
	return cases_life_decide(&stage->scene, &stage->command, ret_refusal);
}

static void every_command_in_every_state(void **state)
{
	(void)state;
	assert_int_equal(sizeof expected / sizeof *expected, CASES_ACTIONS - 1);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		for (enum cases_state from = CASES_NEW; from <= CASES_STATE_MAX; from++) {
			struct stage stage;
			struct jk_refusal refusal;
			const char *to = expected[i].to[from];

			set_stage(&stage, from, expected[i].action);
			const struct cases_life_row *row = decide(&stage, &refusal);
			if (strcmp(to, "-") == 0) {
				assert_null(row);
				assert_int_equal(refusal.code, JK_CODE_WRONG_STATE);
				assert_true(*refusal.reason);
				continue;
			}
			if (!row)
				fail_msg("%s in %s: %s", cases_life_action_name(expected[i].action), cases_life_state_name(from),
					refusal.reason);
			assert_int_equal(refusal.code, JK_CODE_NONE);
			assert_string_equal(strcmp(to, "=") ? cases_life_state_name(row->to) : "=", to);
			if (strcmp(to, "=") == 0)
				assert_int_equal(row->to, CASES_STATE_NONE);
		}
	}
}

static void the_table_is_sound(void **state)
{
	(void)state;
	unsigned guards = 0, effects = 0;
	for (size_t i = 0; i < cases_life_row_count; i++) {
		const struct cases_life_row *row = &cases_life_rows[i];

		assert_true(*row->why);
		assert_true(*cases_life_action_name(row->action));
		assert_int_equal(row->to == CASES_STATE_NONE, !cases_life_moves(row->action));
		guards |= row->guard;
		effects |= row->effects;
		/* Two rows for the same exclude each other. */
		for (size_t k = 0; k < i; k++)
			if (cases_life_rows[k].from == row->from && cases_life_rows[k].action == row->action)
				assert_true(
					(cases_life_rows[k].guard ^ row->guard) & (CASES_HAS_ASSIGNEE | CASES_HAS_NO_ASSIGNEE));
	}
	/* None that nobody uses, none without words. */
	assert_int_equal(guards, (1U << CASES_GUARD_BITS) - 1);
	assert_int_equal(effects, (1U << CASES_EFFECT_BITS) - 1);
	for (unsigned bit = 0; bit < CASES_GUARD_BITS; bit++)
		assert_true(*cases_life_guard_words(1U << bit));
	for (unsigned bit = 0; bit < CASES_EFFECT_BITS; bit++)
		assert_true(*cases_life_effect_words(1U << bit));
	assert_string_equal(cases_life_guard_words(0), "");
	assert_string_equal(cases_life_action_name(CASES_ACT_NONE), "");
}

static void refuses(struct stage *stage, enum jk_code code, const char *words)
{
	struct jk_refusal refusal;

	assert_null(decide(stage, &refusal));
	assert_int_equal(refusal.code, code);
	if (!strstr(refusal.reason, words))
		fail_msg("'%s' does not say '%s'", refusal.reason, words);
}

static void guards_hold_back(void **state)
{
	(void)state;
	struct stage stage;

	set_stage(&stage, CASES_IN_PROGRESS, CASES_RESOLVE);
	stage.subject.life.assigned_agency[0] = '\0';
	refuses(&stage, JK_CODE_WRONG_STATE, "somebody has it");
	set_stage(&stage, CASES_IN_PROGRESS, CASES_RESOLVE);
	stage.subject.life.blocking = 1;
	refuses(&stage, JK_CODE_WRONG_STATE, "no open task blocks it");
	set_stage(&stage, CASES_RESOLVED, CASES_CLOSE);
	stage.subject.life.blocking = 1;
	refuses(&stage, JK_CODE_WRONG_STATE, "no open task blocks it");
	set_stage(&stage, CASES_REFERRED, CASES_ACCEPT_REFERRAL);
	stage.scene.actor.agency = "KPS";
	refuses(&stage, JK_CODE_WRONG_STATE, "referred to");
	set_stage(&stage, CASES_REFERRED, CASES_DECLINE_REFERRAL);
	stage.subject.life.referred_agency[0] = '\0'; /* to a service alone */
	refuses(&stage, JK_CODE_WRONG_STATE, "referred to");
	set_stage(&stage, CASES_REFERRED, CASES_RESOLVE);
	stage.command.disposition = 1;
	refuses(&stage, JK_CODE_WRONG_STATE, "REFERRED");
	set_stage(&stage, CASES_NEW, CASES_TASK_DONE);
	stage.task.state = CASES_TASK_CANCELLED;
	refuses(&stage, JK_CODE_WRONG_STATE, "task");
	set_stage(&stage, CASES_NEW, CASES_TASK_CANCEL);
	stage.task.case_id = (struct jk_id){{9}};
	refuses(&stage, JK_CODE_WRONG_STATE, "task");
	set_stage(&stage, CASES_NEW, CASES_TASK_CANCEL);
	stage.scene.task = NULL;
	refuses(&stage, JK_CODE_WRONG_STATE, "task");
}

static void loops_and_chains_of_merges_are_refused(void **state)
{
	(void)state;
	static const enum cases_state ended[] = {CASES_MERGED, CASES_CLOSED};
	struct stage stage;

	for (size_t i = 0; i < 2; i++) {
		set_stage(&stage, CASES_NEW, CASES_MERGE);
		stage.other.state = ended[i];
		refuses(&stage, JK_CODE_WRONG_STATE, "neither merged nor closed");
	}
	set_stage(&stage, CASES_NEW, CASES_MERGE);
	stage.scene.other = &stage.subject;
	refuses(&stage, JK_CODE_WRONG_STATE, "another case");
	set_stage(&stage, CASES_NEW, CASES_MERGE);
	stage.subject.life.took_in = 1;
	refuses(&stage, JK_CODE_WRONG_STATE, "no case was merged into it");
	set_stage(&stage, CASES_MERGED, CASES_NOTE);
	stage.subject.life.merged_into = stage.other.case_id;
	refuses(&stage, JK_CODE_WRONG_STATE, "02000000-0000-0000-0000-000000000000");
	stage.scene.names_merged = false;
	refuses(&stage, JK_CODE_WRONG_STATE, "another case");
	struct jk_refusal refusal;
	assert_null(decide(&stage, &refusal));
	assert_null(strstr(refusal.reason, "02000000"));
}

static void versions_are_checked(void **state)
{
	(void)state;
	struct stage stage;
	struct jk_refusal refusal;

	for (enum cases_action action = CASES_TRIAGE; action < CASES_ACTIONS; action++) {
		set_stage(&stage, CASES_NEW, action);
		stage.command.version = 4;
		refuses(&stage, JK_CODE_STALE_VERSION, "5");
		stage.command.version = 0;
		(void)decide(&stage, &refusal);
		assert_int_equal(refusal.code == JK_CODE_STALE_VERSION, cases_life_moves(action));
	}
	set_stage(&stage, CASES_NEW, CASES_MERGE);
	stage.command.other_version = 2;
	refuses(&stage, JK_CODE_STALE_VERSION, "3");
	stage.command.other_version = 3;
	assert_non_null(decide(&stage, &refusal));
}

/* What came since then were lines of the timeline alone. */
static void lines_make_no_decision_stale(void **state)
{
	(void)state;
	struct stage stage;
	struct jk_refusal refusal;

	set_stage(&stage, CASES_NEW, CASES_TRIAGE);
	stage.subject.life.since_version = 3;
	for (uint32_t version = 3; version <= 5; version++) {
		stage.command.version = version;
		assert_non_null(decide(&stage, &refusal));
	}
	stage.command.version = 2;
	refuses(&stage, JK_CODE_STALE_VERSION, "5");
	stage.command.version = 6;
	refuses(&stage, JK_CODE_STALE_VERSION, "5");
}

/* Decides and does it; tells: is the owner told? */
static bool apply(struct stage *stage)
{
	struct jk_refusal refusal;
	const struct cases_life_row *row = decide(stage, &refusal);
	bool tells;

	assert_non_null(row);
	cases_life_apply(&stage->scene, &stage->command, row, 1000, &tells);
	return tells;
}

static void effects_are_left_behind(void **state)
{
	(void)state;
	struct stage stage;

	set_stage(&stage, CASES_NEW, CASES_TRIAGE);
	assert_false(apply(&stage));
	assert_int_equal(stage.subject.state, CASES_TRIAGED);
	assert_int_equal(stage.subject.life.triaged_at_us, 1000);
	assert_int_equal(stage.subject.version, 6);
	assert_int_equal(stage.subject.entries, 6);
	assert_int_equal(stage.subject.updated_at_us, 1000);

	set_stage(&stage, CASES_TRIAGED, CASES_ASSIGN); /* nobody is named: the actor's own desk */
	assert_true(apply(&stage));
	assert_string_equal(stage.subject.life.assigned_agency, "EMS");
	assert_string_equal(stage.subject.life.assigned_desk, "EMS-1");
	stage.command.version = 6;
	stage.command.agency = "KRCS";
	assert_false(apply(&stage)); /* told once */
	assert_string_equal(stage.subject.life.assigned_agency, "KRCS");
	assert_string_equal(stage.subject.life.assigned_desk, "");

	set_stage(&stage, CASES_IN_PROGRESS, CASES_REFER);
	stage.command.agency = "EMS";
	stage.command.service = "COUNSELLING";
	assert_false(apply(&stage));
	assert_string_equal(stage.subject.life.referred_agency, "EMS");
	assert_string_equal(stage.subject.life.referred_service, "COUNSELLING");
	assert_string_equal(stage.subject.life.assigned_agency, "KPS");
	stage.command = (struct cases_command){.action = CASES_ACCEPT_REFERRAL, .version = 6, .agency = "", .desk = ""};
	assert_true(apply(&stage));
	assert_string_equal(stage.subject.life.assigned_agency, "EMS");
	assert_string_equal(stage.subject.life.assigned_desk, "EMS-1");
	assert_string_equal(stage.subject.life.referred_agency, "");
	assert_string_equal(stage.subject.life.referred_service, "");

	set_stage(&stage, CASES_REFERRED, CASES_RESUME); /* nobody had it: nobody has it */
	stage.subject.life.assigned_agency[0] = '\0';
	(void)apply(&stage);
	assert_int_equal(stage.subject.state, CASES_TRIAGED);

	set_stage(&stage, CASES_IN_PROGRESS, CASES_RESOLVE);
	assert_true(apply(&stage));
	assert_int_equal(stage.subject.steps.resolved_at_us, 1000);
	assert_int_equal(stage.subject.life.disposition, CASES_DISPOSITION_REFERRED);
	set_stage(&stage, CASES_CLOSED, CASES_REOPEN);
	stage.subject.life.disposition = 1;
	stage.subject.steps.resolved_at_us = stage.subject.life.closed_at_us = 500;
	assert_false(apply(&stage));
	assert_int_equal(
		stage.subject.steps.resolved_at_us + stage.subject.life.closed_at_us + stage.subject.life.disposition, 0);
	assert_string_equal(stage.subject.life.assigned_agency, "");
}

static void two_cases_are_changed_at_once(void **state)
{
	(void)state;
	struct stage stage;

	set_stage(&stage, CASES_NEW, CASES_MERGE);
	(void)apply(&stage);
	assert_int_equal(stage.subject.state, CASES_MERGED);
	assert_memory_equal(&stage.subject.life.merged_into, &stage.other.case_id, sizeof stage.other.case_id);
	assert_int_equal(stage.other.state, CASES_NEW);
	assert_int_equal(stage.other.life.took_in, 1);
	assert_int_equal(stage.other.version, 4);
	assert_int_equal(stage.other.entries, 4);
	set_stage(&stage, CASES_NEW, CASES_LINK);
	(void)apply(&stage);
	assert_int_equal(stage.other.version, 4);
	assert_int_equal(stage.other.life.took_in, 0);
	for (enum cases_relation_kind relation = CASES_RELATED; relation <= CASES_PRECEDES; relation++)
		assert_int_equal(cases_life_reverse(cases_life_reverse(relation)), relation);
	assert_int_equal(cases_life_reverse(CASES_CAUSED_BY), CASES_CAUSES);
	assert_int_equal(cases_life_reverse(CASES_PRECEDES), CASES_FOLLOWS);
}

static void tasks_block_until_they_end(void **state)
{
	(void)state;
	struct stage stage;

	set_stage(&stage, CASES_IN_PROGRESS, CASES_TASK_ADD);
	stage.command.blocking = true;
	(void)apply(&stage);
	assert_int_equal(stage.subject.life.blocking, 1);
	set_stage(&stage, CASES_IN_PROGRESS, CASES_TASK_DONE);
	stage.task.blocking = true;
	stage.subject.life.blocking = 2;
	(void)apply(&stage);
	assert_int_equal(stage.subject.life.blocking, 1);
	assert_int_equal(stage.task.state, CASES_TASK_DONE_STATE);
	assert_int_equal(stage.task.ended_at_us, 1000);
	set_stage(&stage, CASES_IN_PROGRESS, CASES_TASK_CANCEL);
	stage.subject.life.blocking = 1; /* another one's */
	(void)apply(&stage);
	assert_int_equal(stage.subject.life.blocking, 1);
	assert_int_equal(stage.task.state, CASES_TASK_CANCELLED);
}

static void targets_are_missed_or_met(void **state)
{
	(void)state;
	assert_false(cases_life_is_late(0, 0, 100));
	assert_false(cases_life_is_late(100, 0, 100));
	assert_true(cases_life_is_late(100, 0, 101));
	assert_false(cases_life_is_late(100, 90, 500));
	assert_true(cases_life_is_late(100, 101, 500));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guards_hold_back),
		cmocka_unit_test(loops_and_chains_of_merges_are_refused),
		cmocka_unit_test(versions_are_checked),
		cmocka_unit_test(lines_make_no_decision_stale),
		cmocka_unit_test(every_command_in_every_state),
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(effects_are_left_behind),
		cmocka_unit_test(two_cases_are_changed_at_once),
		cmocka_unit_test(tasks_block_until_they_end),
		cmocka_unit_test(targets_are_missed_or_met),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
