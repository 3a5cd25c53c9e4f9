/* dispatch_unit_rules.h: the ladder of a unit: one table of what may happen in which state, and what comes of it. Pure. Not here:
 * who may command it (dispatch_unit_decide.c), which one is nearest (dispatch_recommend_rules.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The numbers of jukwaa.v1.UnitState; REMOVED is not among them: such a unit is not found any more. */
enum dispatch_unit_state {
	DISPATCH_UNIT_NONE = 0,
	DISPATCH_UNIT_AVAILABLE = 1,
	DISPATCH_UNIT_DISPATCHED = 2,
	DISPATCH_UNIT_EN_ROUTE = 3,
	DISPATCH_UNIT_ON_SCENE = 4,
	DISPATCH_UNIT_TRANSPORTING = 5,
	DISPATCH_UNIT_CLEARED = 6,
	DISPATCH_UNIT_OUT_OF_SERVICE = 7,
	DISPATCH_UNIT_REMOVED = 8,
	DISPATCH_UNIT_STATES = 9,
};

enum dispatch_unit_event {
	DISPATCH_UNIT_ASSIGN,
	DISPATCH_UNIT_SET_OUT,
	DISPATCH_UNIT_ARRIVE,
	DISPATCH_UNIT_TRANSPORT,
	DISPATCH_UNIT_CLEAR,
	DISPATCH_UNIT_FREE, /* AVAILABLE is wanted */
	DISPATCH_UNIT_TAKE_OUT,
	DISPATCH_UNIT_PUT_IN,
	DISPATCH_UNIT_REMOVE,
	DISPATCH_UNIT_EVENTS,
};

/* What must hold for the row. */
enum dispatch_unit_guard { DISPATCH_UNIT_ALWAYS, DISPATCH_UNIT_WITH_REASON };

/* What comes of it beside the new state. */
enum {
	DISPATCH_UNIT_BEGIN = 1, /* an assignment begins */
	DISPATCH_UNIT_TELL = 2,  /* a UNIT event in the streams of the assignment's incident */
	DISPATCH_UNIT_MAIL = 4,  /* ACTED to the incident's owner */
	DISPATCH_UNIT_END = 8,   /* the assignment ends: nothing after this step is told to its incident */
};

struct dispatch_unit_row {
	enum dispatch_unit_state from;
	enum dispatch_unit_event event;
	enum dispatch_unit_guard guard;
	enum dispatch_unit_state to;
	unsigned effects;
	const char *why;
};

/* The row for this event in this state; NULL: it is refused (WRONG_STATE). The guard is the caller's to check. */
const struct dispatch_unit_row *dispatch_unit_rules_find(enum dispatch_unit_state from, enum dispatch_unit_event event);
/* Row by row, for the README's picture and tests; NULL after the last. */
const struct dispatch_unit_row *dispatch_unit_rules_row(size_t index);
/* Which event an Advance to this state is; EVENTS: to none that one can advance to. */
enum dispatch_unit_event dispatch_unit_rules_advance(enum dispatch_unit_state to);
/* An assignment is open in this state. */
bool dispatch_unit_rules_is_busy(enum dispatch_unit_state state);
/* "ON_SCENE"; "?" for no state. And of the event: "ARRIVE". */
const char *dispatch_unit_state_name(enum dispatch_unit_state state);
const char *dispatch_unit_event_name(enum dispatch_unit_event event);

/* ^[A-Z0-9][A-Z0-9_-]{0,31}$ */
bool dispatch_unit_rules_is_code(const char *text);
/* 1 to `most` of A-Z 0-9 _: a discipline (16) or a capability (32). */
bool dispatch_unit_rules_is_word(const char *text, size_t most);
/* Finite, -90 to 90 and -180 to 180. */
bool dispatch_unit_rules_is_place(double lat, double lon);
