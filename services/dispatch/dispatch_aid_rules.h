/* dispatch_aid_rules.h: help that agencies ask of each other: one table of who may do what in which state. Pure. Not here: who is
 * asked (dispatch_aid_decide.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The numbers of jukwaa.v1.AidState; NONE: before it was asked for. */
enum dispatch_aid_state {
	DISPATCH_AID_NONE = 0,
	DISPATCH_AID_REQUESTED = 1,
	DISPATCH_AID_OFFERED = 2,
	DISPATCH_AID_COMMITTED = 3,
	DISPATCH_AID_RELEASED = 4,
	DISPATCH_AID_RETURNED = 5,
	DISPATCH_AID_DECLINED = 6,
	DISPATCH_AID_WITHDRAWN = 7,
	DISPATCH_AID_STATES = 8,
};

enum dispatch_aid_event {
	DISPATCH_AID_ASK,
	DISPATCH_AID_OFFER,
	DISPATCH_AID_COMMIT,
	DISPATCH_AID_RELEASE,
	DISPATCH_AID_RETURN,
	DISPATCH_AID_DECLINE,
	DISPATCH_AID_WITHDRAW,
	DISPATCH_AID_EVENTS,
};

/* Who acts: the agency that asked; one that was asked, or gives. */
enum dispatch_aid_party { DISPATCH_AID_REQUESTER, DISPATCH_AID_GIVER, DISPATCH_AID_PARTIES };

enum {
	DISPATCH_AID_WANTS_OPEN = 1,   /* the incident must be open, and the actor may answer it */
	DISPATCH_AID_WANTS_REASON = 2, /* guards */
};
enum {
	DISPATCH_AID_SPLITS = 1,  /* of a request made to all: the answer gets a row of its own, the request stays as it is */
	DISPATCH_AID_CASCADES = 2 /* of a request made to all: offers not yet taken go the same way */
};

struct dispatch_aid_row {
	enum dispatch_aid_state from;
	enum dispatch_aid_event event;
	enum dispatch_aid_party party;
	unsigned guards;
	enum dispatch_aid_state to;
	unsigned effects;
	const char *why;
};

/* The row for this event by this party in this state; NULL: it is refused. Guards are the caller's to check. */
const struct dispatch_aid_row *dispatch_aid_rules_find(
	enum dispatch_aid_state from, enum dispatch_aid_event event, enum dispatch_aid_party party);
/* Row by row; NULL after the last. */
const struct dispatch_aid_row *dispatch_aid_rules_row(size_t index);
/* "COMMITTED"; "?". And of the event: "COMMIT". */
const char *dispatch_aid_state_name(enum dispatch_aid_state state);
const char *dispatch_aid_event_name(enum dispatch_aid_event event);
