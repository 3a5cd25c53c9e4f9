/* cases_rules.h: what an event of the feed does to a case. Pure: a table, and its application. Not here: the life of a case
 * (commands of desks), which comes with its own table. */
#pragma once

#include "cases.h"

/* How the event stands to the case. NEWER: its revision is higher; at equal revisions a later event_id is newer too (two alerts
 * of one incident may be sent in the same instant), except for HISTORY, which intake has already called old. */
enum cases_relation { CASES_ABSENT, CASES_NEWER, CASES_NOT_NEWER, CASES_RELATIONS };

/* What the case takes of the event. ALL: it stands at this event from now on. FORGETS: whom it names, where the event names
 * nobody any more. */
enum cases_taking { CASES_NOTHING, CASES_ALL, CASES_FORGETS };

/* What becomes of the county of the stream the event stands in. It follows from that stream alone, whose order is kept. */
enum cases_membership { CASES_STAYS, CASES_JOINS, CASES_LEAVES };

struct cases_rule {
	enum jk_event_kind kind;
	enum cases_relation relation;
	bool opens;
	enum cases_taking takes;
	enum cases_membership county;
	enum cases_entry_kind entry; /* once for each event_id */
	const char *why;
};

/* The whole table, for tests and the README's picture. */
extern const struct cases_rule cases_rules[];
extern const size_t cases_rules_count;

enum cases_relation cases_rules_relate(const struct cases_case *incident_case, const struct cases_event *event);
/* NULL: the event does nothing to this case. */
const struct cases_rule *cases_rules_find(enum jk_event_kind kind, enum cases_relation relation);

/* Applies the event to the case (version 0: none yet). entered: the timeline has a line for this event_id already. Returns the
 * kind of line to add, with ret_entry filled, or CASES_ENTRY_NONE. version moves by one when anything changed. */
enum cases_entry_kind cases_rules_apply(
	struct cases_case *incident_case, const struct cases_event *event, bool entered, struct cases_entry *ret_entry);

/* Adds a code to those that a label names. What can be nobody's code is not kept. */
void cases_rules_name(char named[CASES_NAMED_BYTES], const char *code);
/* The codes one by one: named is cut up for it. Returns how many. */
enum { CASES_NAMED_MAX = CASES_NAMED_BYTES / 2 };
size_t cases_rules_names(char named[CASES_NAMED_BYTES], const char *ret[CASES_NAMED_MAX]);

/* "047" -> bit 47; 0 for anything that is not one of 001 to 047. */
uint64_t cases_county_bit(const char *county);
/* The counties of a set, ascending; returns how many. */
size_t cases_county_list(uint64_t counties, char ret[JK_COUNTY_MAX][JK_COUNTY_BYTES]);

/* May this case be found by this filter? What is withheld of it must not be found out by asking for it. */
bool cases_rules_may_find(const struct cases_filter *filter, uint32_t withheld);
/* Field groups whose facts a summary shows: bits of jk_decision.withheld. What is withheld is left out of it. */
void cases_rules_withhold(struct cases_case *incident_case, uint32_t withheld);
