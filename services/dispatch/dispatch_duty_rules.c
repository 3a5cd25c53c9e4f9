#include "dispatch_duty_rules.h"

/* Names for the table alone, so that a row stays a line. */
#define NONE DISPATCH_DUTY_NONE
#define WAITING DISPATCH_DUTY_WAITING
#define OFFERED DISPATCH_DUTY_OFFERED
#define HELD DISPATCH_DUTY_HELD
#define UNANSWERED DISPATCH_DUTY_UNANSWERED
#define COMPLETED DISPATCH_DUTY_COMPLETED
#define WITHDRAWN DISPATCH_DUTY_WITHDRAWN
#define ON(event) DISPATCH_DUTY_##event
#define IF(guard) DISPATCH_DUTY_##guard
#define SAYS(action) DISPATCH_ACTION_##action
#define OFFER(ending) DISPATCH_ENDING_##ending
#define DOES(effect) DISPATCH_DUTY_##effect

const struct dispatch_duty_rule dispatch_duty_rules[] = {
	/* clang-format off */
	/* from      event            guard           to          it says             the open offer   effects                      why */
	{NONE,       ON(OPEN),        IF(ANY),        WAITING,    SAYS(OPENED),       OFFER(NONE),     DOES(STARTS),                "somebody has to answer for it"},
	{NONE,       ON(CLOSE),       IF(ANY),        WITHDRAWN,  SAYS(NONE),         OFFER(NONE),     DOES(ENDS),                  "it had ended before anybody was asked"},
	{WITHDRAWN,  ON(OPEN),        IF(ANY),        WAITING,    SAYS(OPENED),       OFFER(NONE),     DOES(STARTS),                "the incident is back"},

	{WAITING,    ON(NEXT),        IF(ANY),        OFFERED,    SAYS(OFFERED),      OFFER(NONE),     DOES(OFFERS),                "one desk at a time"},
	{WAITING,    ON(NOBODY),      IF(FIRST),      UNANSWERED, SAYS(UNANSWERED),   OFFER(NONE),     DOES(TELLS),                 "everybody was asked: the publisher must know"},
	{WAITING,    ON(NOBODY),      IF(ANY),        UNANSWERED, SAYS(NONE),         OFFER(NONE),     0,                           "the publisher knows, and is told again in its time"},
	{WAITING,    ON(SAY),         IF(ANY),        WAITING,    SAYS(UNANSWERED),   OFFER(NONE),     DOES(TELLS),                 "still nobody has it; a round is under way"},
	{WAITING,    ON(ACCEPT),      IF(WAS_ASKED),  HELD,       SAYS(ACCEPTED),     OFFER(NONE),     DOES(HOLDS),                 "too late counts while nobody has it"},
	{WAITING,    ON(ACKNOWLEDGE), IF(IS_TOLD),    WAITING,    SAYS(NONE),         OFFER(NONE),     DOES(QUIETS),                "a person knows"},
	{WAITING,    ON(CLOSE),       IF(ANY),        WITHDRAWN,  SAYS(WITHDRAWN),    OFFER(NONE),     DOES(ENDS),                  "nobody has to any more"},

	{OFFERED,    ON(ACCEPT),      IF(IS_ASKED),   HELD,       SAYS(ACCEPTED),     OFFER(ACCEPTED), DOES(HOLDS),                 "it has it now"},
	{OFFERED,    ON(ACCEPT),      IF(WAS_ASKED),  HELD,       SAYS(ACCEPTED),     OFFER(GONE),     DOES(HOLDS),                 "too late counts while nobody has it"},
	{OFFERED,    ON(DECLINE),     IF(IS_ASKED),   WAITING,    SAYS(DECLINED),     OFFER(DECLINED), 0,                           "the next one is asked"},
	{OFFERED,    ON(LATE),        IF(ANY),        WAITING,    SAYS(TIMED_OUT),    OFFER(LATE),     0,                           "the next one is asked"},
	{OFFERED,    ON(SAY),         IF(ANY),        OFFERED,    SAYS(UNANSWERED),   OFFER(NONE),     DOES(TELLS),                 "still nobody has it; a round is under way"},
	{OFFERED,    ON(ACKNOWLEDGE), IF(IS_TOLD),    OFFERED,    SAYS(NONE),         OFFER(NONE),     DOES(QUIETS),                "a person knows"},
	{OFFERED,    ON(CLOSE),       IF(ANY),        WITHDRAWN,  SAYS(WITHDRAWN),    OFFER(GONE),     DOES(ENDS),                  "nobody has to any more"},

	{UNANSWERED, ON(SAY),         IF(ANY),        WAITING,    SAYS(UNANSWERED),   OFFER(NONE),     DOES(TELLS) | DOES(ROUND),   "the publisher is told again, and all are asked again"},
	{UNANSWERED, ON(ACCEPT),      IF(WAS_ASKED),  HELD,       SAYS(ACCEPTED),     OFFER(NONE),     DOES(HOLDS),                 "too late counts while nobody has it"},
	{UNANSWERED, ON(ACKNOWLEDGE), IF(IS_TOLD),    UNANSWERED, SAYS(NONE),         OFFER(NONE),     DOES(QUIETS),                "a person knows"},
	{UNANSWERED, ON(CLOSE),       IF(ANY),        WITHDRAWN,  SAYS(WITHDRAWN),    OFFER(NONE),     DOES(ENDS),                  "nobody has to any more"},

	{HELD,       ON(ACCEPT),      IF(IS_HOLDER),  HELD,       SAYS(NONE),         OFFER(NONE),     0,                           "it has it already"},
	{HELD,       ON(ACCEPT),      IF(IS_ASKED),   HELD,       SAYS(HANDED_OVER),  OFFER(ACCEPTED), DOES(FREES) | DOES(HOLDS),   "from one to the other, with no moment between"},
	{HELD,       ON(DECLINE),     IF(IS_ASKED),   HELD,       SAYS(DECLINED),     OFFER(DECLINED), 0,                           "who has it keeps it"},
	{HELD,       ON(LATE),        IF(ANY),        HELD,       SAYS(TIMED_OUT),    OFFER(LATE),     0,                           "who has it keeps it"},
	{HELD,       ON(LOST),        IF(ANY),        WAITING,    SAYS(OPENED),       OFFER(GONE),     DOES(FREES) | DOES(STARTS),  "who had it is gone, or may not respond any more: it begins anew"},
	{HELD,       ON(HAND_OVER),   IF(IS_HOLDER),  HELD,       SAYS(OFFERED),      OFFER(GONE),     DOES(OFFERS),                "who has it keeps it until the other one accepts"},
	{HELD,       ON(COMPLETE),    IF(IS_HOLDER),  COMPLETED,  SAYS(COMPLETED),    OFFER(GONE),     DOES(FREES) | DOES(ENDS),    "it is done"},
	{HELD,       ON(ACKNOWLEDGE), IF(IS_TOLD),    HELD,       SAYS(NONE),         OFFER(NONE),     DOES(QUIETS),                "a person knows, if late"},
	{HELD,       ON(CLOSE),       IF(ANY),        WITHDRAWN,  SAYS(WITHDRAWN),    OFFER(GONE),     DOES(FREES) | DOES(ENDS),    "nobody has to any more"},
	/* clang-format on */
};
const size_t dispatch_duty_rules_count = sizeof dispatch_duty_rules / sizeof *dispatch_duty_rules;

static const char *const state_names[DISPATCH_DUTY_STATES] = {
	"UNSPECIFIED", "WAITING", "OFFERED", "HELD", "UNANSWERED", "COMPLETED", "WITHDRAWN"};
const struct jk_words dispatch_duty_states = {state_names, DISPATCH_DUTY_STATES};

static const int64_t second_us = 1000000;

static bool holds_for(
	enum dispatch_duty_guard guard, const struct dispatch_duty *duty, const struct dispatch_duty_desk_facts *facts)
{
	switch (guard) {
	case DISPATCH_DUTY_ANY:
		return true;
	case DISPATCH_DUTY_IS_ASKED:
		return duty->asked != 0 && duty->asked == facts->desk_id;
	case DISPATCH_DUTY_IS_HOLDER:
		return duty->holder != 0 && duty->holder == facts->desk_id;
	case DISPATCH_DUTY_WAS_ASKED:
		return facts->was_asked;
	case DISPATCH_DUTY_IS_TOLD:
		return facts->is_told;
	case DISPATCH_DUTY_FIRST:
		return duty->times == 0;
	case DISPATCH_DUTY_GUARDS:
		break;
	}
	return false;
}

const struct dispatch_duty_rule *dispatch_duty_find(
	const struct dispatch_duty *duty, enum dispatch_duty_event event, const struct dispatch_duty_desk_facts *facts)
{
	for (size_t i = 0; i < dispatch_duty_rules_count; i++)
		if (dispatch_duty_rules[i].from == duty->state && dispatch_duty_rules[i].event == event &&
			holds_for(dispatch_duty_rules[i].guard, duty, facts))
			return &dispatch_duty_rules[i];
	return NULL;
}

enum jk_code dispatch_duty_refusal(const struct dispatch_duty *duty, enum dispatch_duty_event event)
{
	if (duty->state != DISPATCH_DUTY_HELD)
		return JK_CODE_WRONG_STATE;
	if (event == DISPATCH_DUTY_ACCEPT)
		return JK_CODE_TAKEN;
	return event == DISPATCH_DUTY_HAND_OVER || event == DISPATCH_DUTY_COMPLETE ? JK_CODE_NOT_PERMITTED : JK_CODE_WRONG_STATE;
}

static int64_t advance(struct dispatch_duty *duty, int64_t now_us)
{
	duty->version++;
	if (duty->updated_us < now_us)
		duty->updated_us = now_us;
	return duty->updated_us;
}

static void start(struct dispatch_duty *duty, int64_t now_us)
{
	duty->round++;
	duty->times = 0;
	duty->opened_us = now_us;
	duty->say_us = 0;
	duty->escalate_us = now_us;
}

static void end_offer(struct dispatch_duty *duty, enum dispatch_duty_ending ending, struct dispatch_duty_change *change)
{
	if (ending == DISPATCH_ENDING_NONE || duty->asked == 0)
		return;
	change->ending = ending;
	change->ended_offer = duty->offer_no;
	duty->asked = 0;
}

static void end_times(struct dispatch_duty *duty)
{
	duty->say_us = duty->escalate_us = 0;
	duty->shift_to = 0;
}

/* Who is asked answers within its time; who waits is looked at at once. */
static int64_t due_time(const struct dispatch_duty *duty, int64_t now_us)
{
	if (duty->asked != 0)
		return now_us + duty->answer_s * second_us;
	if (duty->shift_to != 0)
		return now_us;
	return duty->state == DISPATCH_DUTY_WAITING ? now_us : 0;
}

struct dispatch_duty_change dispatch_duty_apply(
	struct dispatch_duty *duty, const struct dispatch_duty_rule *rule, int32_t desk_id, int64_t now_us)
{
	struct dispatch_duty_change change = {.action = rule->action};
	int32_t offer_no = duty->offer_no;

	change.quiets = (rule->effects & DISPATCH_DUTY_QUIETS) != 0;
	change.advances = rule->action != DISPATCH_ACTION_NONE || rule->from != rule->to || change.quiets;
	if (!change.advances)
		return change;
	now_us = advance(duty, now_us);
	end_offer(duty, rule->ending, &change);
	if (rule->effects & DISPATCH_DUTY_STARTS)
		start(duty, now_us);
	if (rule->effects & DISPATCH_DUTY_FREES) {
		change.freed = duty->holder;
		duty->holder = 0;
	}
	if (rule->effects & DISPATCH_DUTY_HOLDS)
		change.holds = duty->holder = desk_id;
	if (rule->effects & (DISPATCH_DUTY_HOLDS | DISPATCH_DUTY_ENDS))
		end_times(duty);
	if (rule->effects & DISPATCH_DUTY_OFFERS) {
		change.made_offer = ++duty->offer_no;
		duty->asked = desk_id;
		duty->shift_to = 0;
	}
	if (rule->effects & DISPATCH_DUTY_TELLS) {
		change.tells = true;
		duty->times++;
		duty->say_us = now_us + duty->again_s * second_us;
	}
	if (rule->effects & DISPATCH_DUTY_ROUND)
		duty->round++;
	/* An offer that goes on keeps its time. */
	if (duty->state != rule->to || change.ending != DISPATCH_ENDING_NONE || duty->offer_no != offer_no) {
		duty->state = rule->to;
		duty->due_us = due_time(duty, now_us);
	}
	return change;
}

struct dispatch_duty_change dispatch_duty_skip(struct dispatch_duty *duty, int64_t now_us)
{
	(void)advance(duty, now_us);
	return (struct dispatch_duty_change){.action = DISPATCH_ACTION_SKIPPED,
		.made_offer = ++duty->offer_no,
		.ending = DISPATCH_ENDING_SKIPPED,
		.advances = true};
}

enum dispatch_duty_event dispatch_duty_due(const struct dispatch_duty *duty, int64_t now_us)
{
	if (duty->asked != 0 && duty->due_us != 0 && duty->due_us <= now_us)
		return DISPATCH_DUTY_LATE;
	if (duty->say_us != 0 && duty->say_us <= now_us)
		return DISPATCH_DUTY_SAY;
	return DISPATCH_DUTY_EVENTS;
}

int64_t dispatch_duty_tell_at(
	const struct dispatch_duty *duty, int32_t after_s, int32_t again_s, int64_t told_us, bool acknowledged)
{
	if (told_us < duty->opened_us)
		return duty->opened_us + after_s * second_us;
	return acknowledged ? 0 : told_us + again_s * second_us;
}

bool dispatch_duty_is_open(enum dispatch_duty_state state)
{
	return state == DISPATCH_DUTY_WAITING || state == DISPATCH_DUTY_OFFERED || state == DISPATCH_DUTY_UNANSWERED;
}
