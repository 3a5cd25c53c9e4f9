/* The life of a duty, walked whole: every state with every event, for every desk that may act; and walks at random, after which
 * the promises must hold that no table shows: one holder, no offer without an answer's time, no time that stays when all is over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatch_duty_rules.h"

enum { HOLDER = 7, ASKED = 8, PAST = 9, TOLD = 10, STRANGER = 11 };
static const int64_t now_us = 1700000000000000;

static struct dispatch_duty make_duty(enum dispatch_duty_state state)
{
	struct dispatch_duty duty = {.county = "047",
		.discipline = "POLICE",
		.version = 5,
		.state = state,
		.answer_s = 60,
		.again_s = 300,
		.offer_no = 3,
		.round = 1,
		.opened_us = now_us - 1000000,
		.updated_us = now_us - 1000000};

	if (state == DISPATCH_DUTY_HELD)
		duty.holder = HOLDER;
	if (state == DISPATCH_DUTY_OFFERED || state == DISPATCH_DUTY_HELD) {
		duty.asked = ASKED;
		duty.due_us = now_us + 1000000;
	}
	return duty;
}

static struct dispatch_duty_desk_facts facts_of(int32_t desk_id)
{
	return (struct dispatch_duty_desk_facts){.desk_id = desk_id,
		.was_asked = desk_id == PAST || desk_id == ASKED || desk_id == HOLDER,
		.is_told = desk_id == TOLD};
}

/* What each desk gets for each command in each state: the state after it, or - where it is refused. States by their first letter.
 */
static void every_command_in_every_state(void **state)
{
	(void)state;
	static const struct {
		enum dispatch_duty_event event;
		int32_t desk_id;
		const char *answers; /* NONE WAITING OFFERED HELD UNANSWERED COMPLETED WITHDRAWN (D) */
	} rows[] = {
		{DISPATCH_DUTY_ACCEPT, HOLDER, "-HHHH--"},
		{DISPATCH_DUTY_ACCEPT, ASKED, "-HHHH--"},
		{DISPATCH_DUTY_ACCEPT, PAST, "-HH-H--"},
		{DISPATCH_DUTY_ACCEPT, TOLD, "-------"},
		{DISPATCH_DUTY_ACCEPT, STRANGER, "-------"},
		{DISPATCH_DUTY_DECLINE, HOLDER, "-------"},
		{DISPATCH_DUTY_DECLINE, ASKED, "--WH---"},
		{DISPATCH_DUTY_DECLINE, PAST, "-------"},
		{DISPATCH_DUTY_HAND_OVER, HOLDER, "---H---"},
		{DISPATCH_DUTY_HAND_OVER, ASKED, "-------"},
		{DISPATCH_DUTY_HAND_OVER, PAST, "-------"},
		{DISPATCH_DUTY_COMPLETE, HOLDER, "---C---"},
		{DISPATCH_DUTY_COMPLETE, ASKED, "-------"},
		{DISPATCH_DUTY_COMPLETE, PAST, "-------"},
		{DISPATCH_DUTY_ACKNOWLEDGE, TOLD, "-WOHU--"},
		{DISPATCH_DUTY_ACKNOWLEDGE, PAST, "-------"},
		{DISPATCH_DUTY_OPEN, 0, "W-----W"},
		{DISPATCH_DUTY_CLOSE, 0, "DDDDD--"},
		{DISPATCH_DUTY_NEXT, STRANGER, "-O-----"},
		{DISPATCH_DUTY_NOBODY, 0, "-U-----"},
		{DISPATCH_DUTY_LATE, ASKED, "--WH---"},
		{DISPATCH_DUTY_SAY, 0, "-WO-W--"},
		{DISPATCH_DUTY_LOST, 0, "---W---"},
	};
	static const char letters[] = "NWOHUCD";

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (int from = 0; from < DISPATCH_DUTY_STATES; from++) {
			struct dispatch_duty duty = make_duty((enum dispatch_duty_state)from);
			struct dispatch_duty_desk_facts facts = facts_of(rows[i].desk_id);
			const struct dispatch_duty_rule *rule = dispatch_duty_find(&duty, rows[i].event, &facts);

			if (rule == NULL)
				assert_int_equal(rows[i].answers[from], '-');
			else
				assert_int_equal(rows[i].answers[from], letters[rule->to]);
		}
}

static void every_row_is_reached_and_says_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < dispatch_duty_rules_count; i++) {
		const struct dispatch_duty_rule *rule = &dispatch_duty_rules[i];
		bool reached = false;

		assert_true(strlen(rule->why) > 0);
		for (int32_t desk = HOLDER; desk <= STRANGER; desk++)
			for (int times = 0; times < 2; times++) {
				struct dispatch_duty duty = make_duty(rule->from);
				struct dispatch_duty_desk_facts facts = facts_of(desk);

				duty.times = times;
				reached = reached || dispatch_duty_find(&duty, rule->event, &facts) == rule;
			}
		assert_true(reached);
		/* Whoever gets a holder out of a state lets go of it; whoever makes one says so. */
		assert_int_equal(rule->to == DISPATCH_DUTY_HELD && rule->from != DISPATCH_DUTY_HELD,
			(rule->effects & DISPATCH_DUTY_HOLDS) != 0 && rule->from != DISPATCH_DUTY_HELD);
		assert_int_equal(rule->from == DISPATCH_DUTY_HELD && rule->to != DISPATCH_DUTY_HELD,
			(rule->effects & DISPATCH_DUTY_FREES) != 0 && rule->to != DISPATCH_DUTY_HELD);
		if (rule->from != rule->to && rule->to != DISPATCH_DUTY_UNANSWERED && rule->from != DISPATCH_DUTY_NONE)
			assert_int_not_equal(rule->action, DISPATCH_ACTION_NONE); /* nobody moves in silence */
	}
}

static void why_it_was_refused(void **state)
{
	(void)state;
	struct dispatch_duty held = make_duty(DISPATCH_DUTY_HELD), open = make_duty(DISPATCH_DUTY_OFFERED);

	assert_int_equal(dispatch_duty_refusal(&held, DISPATCH_DUTY_ACCEPT), JK_CODE_TAKEN);
	assert_int_equal(dispatch_duty_refusal(&held, DISPATCH_DUTY_COMPLETE), JK_CODE_NOT_PERMITTED);
	assert_int_equal(dispatch_duty_refusal(&held, DISPATCH_DUTY_HAND_OVER), JK_CODE_NOT_PERMITTED);
	assert_int_equal(dispatch_duty_refusal(&held, DISPATCH_DUTY_DECLINE), JK_CODE_WRONG_STATE);
	assert_int_equal(dispatch_duty_refusal(&open, DISPATCH_DUTY_ACCEPT), JK_CODE_WRONG_STATE);
}

static struct dispatch_duty_change take(
	struct dispatch_duty *duty, enum dispatch_duty_event event, int32_t by_desk, int32_t desk_id, int64_t at_us)
{
	struct dispatch_duty_desk_facts facts = facts_of(by_desk);
	const struct dispatch_duty_rule *rule = dispatch_duty_find(duty, event, &facts);

	assert_non_null(rule);
	return dispatch_duty_apply(duty, rule, desk_id, at_us);
}

static void an_offer_ends_in_its_time_and_a_saying_comes_again(void **state)
{
	(void)state;
	struct dispatch_duty duty = make_duty(DISPATCH_DUTY_NONE);
	struct dispatch_duty_change change;

	duty.round = 0;
	(void)take(&duty, DISPATCH_DUTY_OPEN, 0, 0, now_us);
	assert_int_equal(duty.round, 1);
	assert_true(duty.due_us == now_us && duty.opened_us == now_us && duty.escalate_us == now_us);
	change = take(&duty, DISPATCH_DUTY_NEXT, 0, ASKED, now_us);
	assert_int_equal(change.made_offer, 4);
	assert_true(duty.due_us == now_us + 60000000);
	assert_int_equal(dispatch_duty_due(&duty, duty.due_us - 1), DISPATCH_DUTY_EVENTS);
	assert_int_equal(dispatch_duty_due(&duty, duty.due_us), DISPATCH_DUTY_LATE);
	change = take(&duty, DISPATCH_DUTY_LATE, 0, ASKED, duty.due_us);
	assert_int_equal(change.ended_offer, 4);
	assert_int_equal(change.ending, DISPATCH_ENDING_LATE);
	change = take(&duty, DISPATCH_DUTY_NOBODY, 0, 0, duty.updated_us);
	assert_true(change.tells && duty.times == 1 && duty.due_us == 0);
	assert_int_equal(dispatch_duty_due(&duty, duty.say_us), DISPATCH_DUTY_SAY);
	change = take(&duty, DISPATCH_DUTY_SAY, 0, 0, duty.say_us);
	assert_true(change.tells && duty.times == 2 && duty.round == 2);
	assert_int_equal(duty.state, DISPATCH_DUTY_WAITING);
	change = take(&duty, DISPATCH_DUTY_NEXT, 0, ASKED, duty.updated_us);
	int64_t due_us = duty.due_us;
	change = take(&duty, DISPATCH_DUTY_SAY, 0, 0, duty.updated_us + 1);
	assert_true(change.tells && duty.times == 3 && duty.due_us == due_us); /* the offer keeps its time */
	change = take(&duty, DISPATCH_DUTY_LATE, 0, ASKED, duty.updated_us);
	change = take(&duty, DISPATCH_DUTY_NOBODY, 0, 0, duty.updated_us);
	assert_false(change.tells); /* it was told, and is told again in its time */
	change = take(&duty, DISPATCH_DUTY_ACCEPT, PAST, PAST, duty.updated_us);
	assert_true(duty.holder == PAST && duty.say_us == 0 && duty.escalate_us == 0 && duty.due_us == 0);
}

static void a_clock_that_goes_back_changes_no_order(void **state)
{
	(void)state;
	struct dispatch_duty duty = make_duty(DISPATCH_DUTY_OFFERED);
	int64_t before_us = duty.updated_us;

	(void)take(&duty, DISPATCH_DUTY_ACCEPT, ASKED, ASKED, now_us - 3600000000);
	assert_true(duty.updated_us == before_us);
	(void)take(&duty, DISPATCH_DUTY_COMPLETE, ASKED, ASKED, 0);
	assert_true(duty.updated_us == before_us && duty.version == 7);
}

static void a_role_is_told_after_its_time_and_again(void **state)
{
	(void)state;
	struct dispatch_duty duty = make_duty(DISPATCH_DUTY_OFFERED);
	int64_t first_us = duty.opened_us + 60000000;

	assert_true(dispatch_duty_tell_at(&duty, 60, 600, 0, false) == first_us);
	assert_true(dispatch_duty_tell_at(&duty, 60, 600, first_us, false) == first_us + 600000000);
	assert_true(dispatch_duty_tell_at(&duty, 60, 600, first_us, true) == 0);
	assert_true(dispatch_duty_tell_at(&duty, 60, 600, duty.opened_us - 1, true) == first_us); /* in an earlier life */
}

static void check(const struct dispatch_duty *duty)
{
	assert_int_equal(duty->state == DISPATCH_DUTY_HELD, duty->holder != 0);
	assert_true(duty->asked == 0 || duty->state == DISPATCH_DUTY_OFFERED || duty->state == DISPATCH_DUTY_HELD);
	if (duty->state == DISPATCH_DUTY_OFFERED || duty->asked != 0)
		assert_true(duty->asked != 0 && duty->due_us > 0);
	if (duty->state == DISPATCH_DUTY_WAITING)
		assert_true(duty->due_us > 0);
	if (duty->state == DISPATCH_DUTY_UNANSWERED)
		assert_true(duty->say_us > 0);
	if (!dispatch_duty_is_open(duty->state) && duty->state != DISPATCH_DUTY_NONE)
		assert_true(duty->say_us == 0 && duty->escalate_us == 0);
	if (duty->state == DISPATCH_DUTY_COMPLETED || duty->state == DISPATCH_DUTY_WITHDRAWN)
		assert_true(duty->due_us == 0 && duty->shift_to == 0);
}

static void whatever_comes_the_promises_hold(void **state)
{
	(void)state;
	srandom(7);
	for (int walk = 0; walk < 2000; walk++) {
		struct dispatch_duty duty = make_duty(DISPATCH_DUTY_NONE);
		int32_t holder = 0, open_offer = 0;

		for (int step = 0; step < 60; step++) {
			int32_t desk = HOLDER + (int32_t)(random() % 5);
			enum dispatch_duty_event event = (enum dispatch_duty_event)(random() % DISPATCH_DUTY_EVENTS);
			struct dispatch_duty_desk_facts facts = facts_of(desk);
			const struct dispatch_duty_rule *rule = dispatch_duty_find(&duty, event, &facts);
			struct dispatch_duty before = duty;
			bool offers = rule != NULL && (rule->effects & DISPATCH_DUTY_OFFERS);
			int32_t target = offers ? HOLDER + (int32_t)(random() % 5) : desk; /* to whom it is offered */
			struct dispatch_duty_change change;

			if (rule == NULL)
				continue;
			change = dispatch_duty_apply(&duty, rule, target, now_us + step);
			assert_int_equal(duty.version, before.version + change.advances);
			/* What the change says is what becomes of holders and offers. */
			assert_int_equal(change.freed, before.holder != duty.holder ? before.holder : 0);
			holder = change.holds != 0 ? change.holds : change.freed != 0 ? 0 : holder;
			assert_int_equal(duty.holder, holder);
			if (change.ended_offer != 0)
				assert_int_equal(change.ended_offer, open_offer);
			open_offer = change.ended_offer != 0 ? 0 : open_offer;
			if (change.made_offer != 0) {
				assert_int_equal(open_offer, 0);
				open_offer = change.made_offer;
			}
			assert_int_equal(open_offer != 0, duty.asked != 0);
			check(&duty);
		}
	}
}

/* With JUKWAA_PRINT set: the table as services/dispatch/README.md shows it. */
static void print_table(void)
{
	static const char *const events[DISPATCH_DUTY_EVENTS] = {"open", "close", "next", "nobody", "late", "say", "lost",
		"ACCEPT", "DECLINE", "HAND_OVER", "COMPLETE", "ACKNOWLEDGE"};
	static const char *const guards[DISPATCH_DUTY_GUARDS] = {
		"", "asked", "holder", "was asked", "told", "publisher not told yet"};

	for (size_t i = 0; i < dispatch_duty_rules_count; i++) {
		const struct dispatch_duty_rule *rule = &dispatch_duty_rules[i];

		printf("| %s | %s | %s | %s | %s |\n", jk_words_name(&dispatch_duty_states, (int)rule->from), events[rule->event],
			guards[rule->guard], jk_words_name(&dispatch_duty_states, (int)rule->to), rule->why);
	}
}

int main(void)
{
	if (getenv("JUKWAA_PRINT") != NULL) {
		print_table();
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(why_it_was_refused),
		cmocka_unit_test(every_command_in_every_state),
		cmocka_unit_test(every_row_is_reached_and_says_why),
		cmocka_unit_test(an_offer_ends_in_its_time_and_a_saying_comes_again),
		cmocka_unit_test(a_clock_that_goes_back_changes_no_order),
		cmocka_unit_test(a_role_is_told_after_its_time_and_again),
		cmocka_unit_test(whatever_comes_the_promises_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
