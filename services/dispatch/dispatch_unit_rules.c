/* dispatch_unit_rules.c: see dispatch_unit_rules.h. */
#include "dispatch_unit_rules.h"

#include <string.h>

#define STATE(name) DISPATCH_UNIT_##name
enum {
	BEGIN = DISPATCH_UNIT_BEGIN,
	TELL = DISPATCH_UNIT_TELL,
	MAIL = DISPATCH_UNIT_MAIL,
	END = DISPATCH_UNIT_END,
	ALWAYS = DISPATCH_UNIT_ALWAYS,
	REASON = DISPATCH_UNIT_WITH_REASON,
};
#define ROW(from, event, guard, to, effects, why)                                                                                \
	{                                                                                                                        \
		STATE(from), STATE(event), (enum dispatch_unit_guard)(guard), STATE(to), effects, why                            \
	}

static const struct dispatch_unit_row table[] = {
	ROW(AVAILABLE, ASSIGN, ALWAYS, DISPATCHED, BEGIN | TELL | MAIL, "sent to an incident"),
	ROW(DISPATCHED, SET_OUT, ALWAYS, EN_ROUTE, TELL, "on its way"),
	ROW(DISPATCHED, ARRIVE, ALWAYS, ON_SCENE, TELL | MAIL, "a crew that is busy or near says only that it is there"),
	ROW(EN_ROUTE, ARRIVE, ALWAYS, ON_SCENE, TELL | MAIL, "it is there"),
	ROW(ON_SCENE, TRANSPORT, ALWAYS, TRANSPORTING, TELL, "takes somebody or something away"),
	ROW(ON_SCENE, CLEAR, ALWAYS, CLEARED, TELL | MAIL | END, "done there"),
	ROW(TRANSPORTING, CLEAR, ALWAYS, CLEARED, TELL | MAIL | END, "done after the way to hospital or station"),
	ROW(CLEARED, FREE, ALWAYS, AVAILABLE, 0, "ready for the next; nobody else's business"),
	ROW(DISPATCHED, FREE, REASON, AVAILABLE, TELL | END, "the assignment is cancelled before it set out"),
	ROW(EN_ROUTE, FREE, REASON, AVAILABLE, TELL | END, "the assignment is cancelled on the way"),
	ROW(AVAILABLE, TAKE_OUT, ALWAYS, OUT_OF_SERVICE, 0, "rest, repair, end of the shift"),
	ROW(CLEARED, TAKE_OUT, ALWAYS, OUT_OF_SERVICE, 0, "rest, repair, end of the shift"),
	ROW(DISPATCHED, TAKE_OUT, REASON, OUT_OF_SERVICE, TELL | END, "broken down: the incident must know"),
	ROW(EN_ROUTE, TAKE_OUT, REASON, OUT_OF_SERVICE, TELL | END, "broken down: the incident must know"),
	ROW(ON_SCENE, TAKE_OUT, REASON, OUT_OF_SERVICE, TELL | END, "broken down: the incident must know"),
	ROW(TRANSPORTING, TAKE_OUT, REASON, OUT_OF_SERVICE, TELL | END, "broken down: the incident must know"),
	ROW(OUT_OF_SERVICE, PUT_IN, ALWAYS, AVAILABLE, 0, "back at work"),
	ROW(AVAILABLE, REMOVE, ALWAYS, REMOVED, 0, "the agency has it no more"),
	ROW(CLEARED, REMOVE, ALWAYS, REMOVED, 0, "the agency has it no more"),
	ROW(OUT_OF_SERVICE, REMOVE, ALWAYS, REMOVED, 0, "the agency has it no more"),
};
enum { ROWS = sizeof table / sizeof table[0] };

const struct dispatch_unit_row *dispatch_unit_rules_find(enum dispatch_unit_state from, enum dispatch_unit_event event)
{
	for (size_t i = 0; i < ROWS; i++)
		if (table[i].from == from && table[i].event == event)
			return &table[i];
	return NULL;
}

const struct dispatch_unit_row *dispatch_unit_rules_row(size_t index)
{
	return index < ROWS ? &table[index] : NULL;
}

enum dispatch_unit_event dispatch_unit_rules_advance(enum dispatch_unit_state to)
{
	static const enum dispatch_unit_event events[DISPATCH_UNIT_STATES] = {
		[DISPATCH_UNIT_NONE] = DISPATCH_UNIT_EVENTS,
		[DISPATCH_UNIT_AVAILABLE] = DISPATCH_UNIT_FREE,
		[DISPATCH_UNIT_DISPATCHED] = DISPATCH_UNIT_EVENTS, /* that is Assign */
		[DISPATCH_UNIT_EN_ROUTE] = DISPATCH_UNIT_SET_OUT,
		[DISPATCH_UNIT_ON_SCENE] = DISPATCH_UNIT_ARRIVE,
		[DISPATCH_UNIT_TRANSPORTING] = DISPATCH_UNIT_TRANSPORT,
		[DISPATCH_UNIT_CLEARED] = DISPATCH_UNIT_CLEAR,
		[DISPATCH_UNIT_OUT_OF_SERVICE] = DISPATCH_UNIT_EVENTS, /* that is OutOfService */
		[DISPATCH_UNIT_REMOVED] = DISPATCH_UNIT_EVENTS,
	};

	return (unsigned)to < DISPATCH_UNIT_STATES ? events[to] : DISPATCH_UNIT_EVENTS;
}

bool dispatch_unit_rules_is_busy(enum dispatch_unit_state state)
{
	return state >= DISPATCH_UNIT_DISPATCHED && state <= DISPATCH_UNIT_TRANSPORTING;
}

const char *dispatch_unit_state_name(enum dispatch_unit_state state)
{
	static const char *const names[DISPATCH_UNIT_STATES] = {
		"?", "AVAILABLE", "DISPATCHED", "EN_ROUTE", "ON_SCENE", "TRANSPORTING", "CLEARED", "OUT_OF_SERVICE", "REMOVED"};

	return (unsigned)state < DISPATCH_UNIT_STATES ? names[state] : "?";
}

const char *dispatch_unit_event_name(enum dispatch_unit_event event)
{
	static const char *const names[DISPATCH_UNIT_EVENTS] = {
		"ASSIGN", "SET_OUT", "ARRIVE", "TRANSPORT", "CLEAR", "FREE", "TAKE_OUT", "PUT_IN", "REMOVE"};

	return (unsigned)event < DISPATCH_UNIT_EVENTS ? names[event] : "?";
}

static bool is_upper_or_digit(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool dispatch_unit_rules_is_code(const char *text)
{
	enum { CODE_MAX = 32 };
	size_t size = 0;

	if (!is_upper_or_digit(text[0]))
		return false;
	while (is_upper_or_digit(text[size]) || text[size] == '_' || text[size] == '-')
		size++;
	return size <= CODE_MAX && text[size] == '\0';
}

bool dispatch_unit_rules_is_word(const char *text, size_t most)
{
	size_t size = 0;

	while (is_upper_or_digit(text[size]) || text[size] == '_')
		size++;
	return text[size] == '\0' && size >= 1 && size <= most;
}

bool dispatch_unit_rules_is_place(double lat, double lon)
{
	/* A NaN compares false. */
	return lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180;
}
