/* dispatch_aid_rules.c: see dispatch_aid_rules.h. */
#include "dispatch_aid_rules.h"

enum { OPEN = DISPATCH_AID_WANTS_OPEN, REASON = DISPATCH_AID_WANTS_REASON };
enum { SPLITS = DISPATCH_AID_SPLITS, CASCADES = DISPATCH_AID_CASCADES };
#define NAME(name) DISPATCH_AID_##name
#define ROW(from, event, party, guards, to, effects, why)                                                                        \
	{                                                                                                                        \
		NAME(from), NAME(event), NAME(party), guards, NAME(to), effects, why                                             \
	}

static const struct dispatch_aid_row table[] = {
	ROW(NONE, ASK, REQUESTER, OPEN, REQUESTED, 0, "help is asked for"),
	ROW(REQUESTED, OFFER, GIVER, OPEN, OFFERED, SPLITS, "so many can be had"),
	ROW(OFFERED, OFFER, GIVER, OPEN, OFFERED, 0, "another number, before it is taken"),
	ROW(OFFERED, COMMIT, REQUESTER, OPEN, COMMITTED, 0, "they are taken"),
	ROW(COMMITTED, RELEASE, REQUESTER, 0, RELEASED, 0, "not needed any more"),
	ROW(RELEASED, RETURN, GIVER, 0, RETURNED, 0, "the giver has them back"),
	ROW(REQUESTED, DECLINE, GIVER, REASON, DECLINED, SPLITS, "the agency asked has none to give"),
	ROW(OFFERED, DECLINE, GIVER, REASON, DECLINED, 0, "the offer is taken back"),
	ROW(OFFERED, DECLINE, REQUESTER, REASON, DECLINED, 0, "the offer is not taken"),
	ROW(REQUESTED, WITHDRAW, REQUESTER, 0, WITHDRAWN, CASCADES, "no help is needed"),
	ROW(OFFERED, WITHDRAW, REQUESTER, 0, WITHDRAWN, 0, "no help is needed"),
};
enum { ROWS = sizeof table / sizeof table[0] };

const struct dispatch_aid_row *dispatch_aid_rules_find(
	enum dispatch_aid_state from, enum dispatch_aid_event event, enum dispatch_aid_party party)
{
	for (size_t i = 0; i < ROWS; i++)
		if (table[i].from == from && table[i].event == event && table[i].party == party)
			return &table[i];
	return NULL;
}

const struct dispatch_aid_row *dispatch_aid_rules_row(size_t index)
{
	return index < ROWS ? &table[index] : NULL;
}

const char *dispatch_aid_state_name(enum dispatch_aid_state state)
{
	static const char *const names[DISPATCH_AID_STATES] = {
		"?", "REQUESTED", "OFFERED", "COMMITTED", "RELEASED", "RETURNED", "DECLINED", "WITHDRAWN"};

	return (unsigned)state < DISPATCH_AID_STATES ? names[state] : "?";
}

const char *dispatch_aid_event_name(enum dispatch_aid_event event)
{
	static const char *const names[DISPATCH_AID_EVENTS] = {
		"ASK", "OFFER", "COMMIT", "RELEASE", "RETURN", "DECLINE", "WITHDRAW"};

	return (unsigned)event < DISPATCH_AID_EVENTS ? names[event] : "?";
}
