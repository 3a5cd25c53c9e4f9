/* dispatch_duty_rules.h: the life of a duty as one table, and what a step does to it. Pure: no clock, no memory, no SQL. Whether
 * a desk may have the incident at all is asked before (common/authz). Not here: who is asked next (dispatch_duty_order.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_id.h"
#include "base/jk_words.h"

enum { DISPATCH_DISCIPLINE_BYTES = 17 }; /* as JK_DISCIPLINE_BYTES */

/* The numbers of jukwaa.v1.DutyState, and of dispatch.duty.state. NONE: made, and not opened yet. */
enum dispatch_duty_state {
	DISPATCH_DUTY_NONE,
	DISPATCH_DUTY_WAITING,
	DISPATCH_DUTY_OFFERED,
	DISPATCH_DUTY_HELD,
	DISPATCH_DUTY_UNANSWERED,
	DISPATCH_DUTY_COMPLETED,
	DISPATCH_DUTY_WITHDRAWN,
	DISPATCH_DUTY_STATES,
};
enum dispatch_duty_event {
	DISPATCH_DUTY_OPEN,   /* its incident is open */
	DISPATCH_DUTY_CLOSE,  /* its incident was cancelled, moved away, or its case has ended */
	DISPATCH_DUTY_NEXT,   /* there is a desk to be asked */
	DISPATCH_DUTY_NOBODY, /* there is none left in this round */
	DISPATCH_DUTY_LATE,   /* an offer was not answered in time */
	DISPATCH_DUTY_SAY,    /* it is time to tell the publisher again */
	DISPATCH_DUTY_LOST,   /* the desk that has it was revoked, or may not respond any more */
	DISPATCH_DUTY_ACCEPT,
	DISPATCH_DUTY_DECLINE,
	DISPATCH_DUTY_HAND_OVER,
	DISPATCH_DUTY_COMPLETE,
	DISPATCH_DUTY_ACKNOWLEDGE,
	DISPATCH_DUTY_EVENTS,
};
/* What the desk that acts must be; FIRST is about the duty: the publisher has not been told yet. */
enum dispatch_duty_guard {
	DISPATCH_DUTY_ANY,
	DISPATCH_DUTY_IS_ASKED,
	DISPATCH_DUTY_IS_HOLDER,
	DISPATCH_DUTY_WAS_ASKED,
	DISPATCH_DUTY_IS_TOLD,
	DISPATCH_DUTY_FIRST,
	DISPATCH_DUTY_GUARDS,
};
/* The numbers of jukwaa.v1.DutyAction. */
enum dispatch_duty_action {
	DISPATCH_ACTION_NONE = 0,
	DISPATCH_ACTION_OPENED = 1,
	DISPATCH_ACTION_OFFERED = 2,
	DISPATCH_ACTION_ACCEPTED = 3,
	DISPATCH_ACTION_DECLINED = 4,
	DISPATCH_ACTION_TIMED_OUT = 5,
	DISPATCH_ACTION_SKIPPED = 6,
	DISPATCH_ACTION_UNANSWERED = 7,
	DISPATCH_ACTION_HANDED_OVER = 8,
	DISPATCH_ACTION_COMPLETED = 9,
	DISPATCH_ACTION_WITHDRAWN = 10,
	DISPATCH_ACTION_ESCALATED = 11,
};
/* dispatch.duty_offer.ending */
enum dispatch_duty_ending {
	DISPATCH_ENDING_NONE,
	DISPATCH_ENDING_ACCEPTED,
	DISPATCH_ENDING_DECLINED,
	DISPATCH_ENDING_LATE,
	DISPATCH_ENDING_SKIPPED,
	DISPATCH_ENDING_GONE,
};
enum {
	DISPATCH_DUTY_STARTS = 1,  /* anew, with the first round */
	DISPATCH_DUTY_OFFERS = 2,  /* to the desk of the step */
	DISPATCH_DUTY_HOLDS = 4,   /* the desk of the step has it; nobody is told any more */
	DISPATCH_DUTY_FREES = 8,   /* who had it has it no longer */
	DISPATCH_DUTY_TELLS = 16,  /* the publisher, and again in its time */
	DISPATCH_DUTY_ROUND = 32,  /* all are asked again */
	DISPATCH_DUTY_ENDS = 64,   /* no time counts any more */
	DISPATCH_DUTY_QUIETS = 128 /* the desk is not told again */
};

struct dispatch_duty_rule {
	enum dispatch_duty_state from;
	enum dispatch_duty_event event;
	enum dispatch_duty_guard guard;
	enum dispatch_duty_state to;
	enum dispatch_duty_action action;
	enum dispatch_duty_ending ending; /* of the offer that is open, if one is */
	int effects;
	const char *why;
};
extern const struct dispatch_duty_rule dispatch_duty_rules[];
extern const size_t dispatch_duty_rules_count;

/* The row of dispatch.duty. Desks are ids, 0 none. Times by the database's clock, 0 none. */
struct dispatch_duty {
	struct jk_id duty_id, incident_id;
	char county[JK_COUNTY_BYTES];
	char discipline[DISPATCH_DISCIPLINE_BYTES];
	int32_t version;
	enum dispatch_duty_state state;
	int32_t answer_s, again_s;
	int32_t holder, asked, shift_to;
	int32_t offer_no, round, times, entries;
	int64_t opened_us, updated_us, due_us, say_us, escalate_us;
};

/* Who acts, or whom the step is about; what that desk has to do with the duty. */
struct dispatch_duty_desk_facts {
	int32_t desk_id;
	bool was_asked, is_told;
};

/* The first row that fits; NULL: refused. */
const struct dispatch_duty_rule *dispatch_duty_find(
	const struct dispatch_duty *duty, enum dispatch_duty_event event, const struct dispatch_duty_desk_facts *facts);
/* Why a desk's command was refused: TAKEN, NOT_PERMITTED (the holder alone may), WRONG_STATE. */
enum jk_code dispatch_duty_refusal(const struct dispatch_duty *duty, enum dispatch_duty_event event);
/* What a step changes beside the duty itself. */
struct dispatch_duty_change {
	enum dispatch_duty_action action;
	enum dispatch_duty_ending ending; /* of offer ended_offer; NONE: no offer ended */
	int32_t ended_offer;
	int32_t made_offer;           /* its number; 0: none was made */
	int32_t freed, holds;         /* desks; 0: none */
	bool tells, quiets, advances; /* advances: the duty has another version now */
};
/* Takes the step. now_us: by the database's clock; never before what happened last to this duty. */
struct dispatch_duty_change dispatch_duty_apply(
	struct dispatch_duty *duty, const struct dispatch_duty_rule *rule, int32_t desk_id, int64_t now_us);
/* A desk is passed over in this round. Not while another one is asked: its offer ends before, for this takes the next number. */
struct dispatch_duty_change dispatch_duty_skip(struct dispatch_duty *duty, int64_t now_us);

/* The time that has come, of offers and sayings; DISPATCH_DUTY_EVENTS: none has. */
enum dispatch_duty_event dispatch_duty_due(const struct dispatch_duty *duty, int64_t now_us);

/* When a role is to be told: after_s and again_s are its own, told_us when it was told last (0: never), acknowledged whether it
 * has read that. 0: never again. What was told before the duty began anew does not count. */
int64_t dispatch_duty_tell_at(
	const struct dispatch_duty *duty, int32_t after_s, int32_t again_s, int64_t told_us, bool acknowledged);
/* Is somebody missing who has it? */
bool dispatch_duty_is_open(enum dispatch_duty_state state);

extern const struct jk_words dispatch_duty_states;
