/* intake_rules.h: the pure decisions about one report: may this key say this here, where is it, has it expired. What depends on
 * earlier reports is decided in intake_ledger.h. No clock, no memory, no sockets: times and looked-up facts are arguments.
 * A function that returns bool gives false for a refusal, and then ret_refusal says which rule. */
#pragma once

#include "services/intake/intake_report.h"

/* What the credential and its agency's policy say. */
struct intake_policy {
	enum jk_realm realm;
	const char *agency;
	bool any_sender;
	const char *const *cap_senders;
	size_t cap_sender_count;
	bool refuse_expired;
};

/* Refused whatever is known already: an agency or a CAP sender that is not the key's (SENDER_MISMATCH), a status that this realm
 * does not take (WRONG_REALM; DESIGN section 1 "Realms"), drafts (RULE_VIOLATION: CAP 1.2 §3.2.1 "not actionable in its current
 * form"), no status at all (INVALID_SCHEMA). */
bool intake_rules_admit(const struct intake_report *report, const struct intake_policy *policy, struct jk_refusal *ret_refusal);

/* Sets of counties: bit n is county n, 1 to 47. */
enum { INTAKE_COUNTY_FIRST = 1 };
/* "047" -> bit 47; 0 for anything that is not one of 001 to 047. */
uint64_t intake_county_bit(const char *county);
/* The counties of a set, ascending; returns how many. */
size_t intake_county_list(uint64_t counties, char ret[JK_COUNTY_MAX][JK_COUNTY_BYTES]);

/* What looking up the report's place gave (intake_locate.c). */
struct intake_located {
	const struct intake_code *unknown; /* the first explicit code that names nothing; NULL: none */
	uint64_t publisher;                /* Publish.county */
	uint64_t codes;                    /* county and ISO 3166-2 codes */
	uint64_t constituencies;
	uint64_t names; /* known spellings */
	bool has_boundaries;
	/* With boundaries only; an empty set: in no county. */
	bool has_point, has_shapes;
	uint64_t point, shapes;
	bool bad_shape; /* one crosses itself beyond repair and was passed over */
};

/* The counties a report is routed to, in this order: named by the publisher, by a county code, point, shapes, constituency or
 * known spelling. Nothing found is no refusal here: a report that joins a known incident may do without
 * (intake_rules_accept). Refuses UNKNOWN_COUNTY. Warns PLACE_OUTSIDE_COUNTY when the place named by code and the place shown
 * have nothing in common, and BAD_SHAPE, which strict refuses as RULE_VIOLATION. */
bool intake_rules_place(const struct intake_located *located, bool strict, uint64_t *ret_counties,
	struct intake_warnings *warnings, struct jk_refusal *ret_refusal);

/* After "seen before?", so that a repetition gets its first answer: refuses EXPIRED where the agency's policy says so, else warns
 * ALREADY_EXPIRED; refuses UNROUTABLE when `counties` (its own, or those of the incident it joins) is empty. */
bool intake_rules_accept(const struct intake_report *report, const struct intake_policy *policy, uint64_t counties,
	int64_t now_us, struct intake_warnings *warnings, struct jk_refusal *ret_refusal);

/* True when the event says the same whatever else is known: it names its counties and categories, and refers to nothing. */
bool intake_rules_stands_alone(const struct intake_report *report, uint64_t counties);

/* Adds a warning; beyond INTAKE_WARNINGS_MAX it is left out. */
void intake_rules_warn(struct intake_warnings *warnings, enum jk_code code, const char *field, const char *reason);
