/* intake_ledger.h: what the decisions of one batch need to know of earlier reports, seeded from the database and kept up to date
 * as the batch is decided, report by report: a batch may hold an alert and its update, the same report twice, or revisions
 * 3, 1, 2 of one incident. Pure: all memory is the arena given, ids and hashes are arguments. Not here: SQL
 * (intake_store_pg.c), what a single report may say (intake_rules.h).
 *
 * How a report finds its incident, first match:
 *   1. its own key is known (formats whose external id names the incident),
 *   2. its key is awaited: an earlier report referred to it before it came,
 *   3. the newest known report among those it refers to (UPDATE, CANCEL, ACK, ERROR),
 *   4. an incident that awaits one of those,
 *   5. none: it opens an incident of its own; when it referred to any, that is an orphan and awaits them.
 * Keys hold the agency of the credential, so that an agency can amend only its own reports. */
#pragma once

#include "base/jk_arena.h"
#include "base/jk_id.h"
#include "services/intake/intake_report.h"

/* First half of SHA-256 over (agency, format, external id). */
struct intake_key {
	uint8_t bytes[16];
};
enum { INTAKE_CONTENT_BYTES = 16 };
/* current_revision of an incident of which only ACK or ERROR has come. */
#define INTAKE_REVISION_NONE INT64_MIN

struct intake_answer; /* intake_item.h: the first answer to a report; only handed through */

/* One report that is known. */
struct intake_known {
	struct intake_key key;
	int64_t revision;
	uint8_t content[INTAKE_CONTENT_BYTES];
	struct jk_id incident_id;
	const struct intake_answer *answer;
};

/* How an incident stands. */
struct intake_incident {
	struct jk_id incident_id;
	int32_t agency_id;
	int64_t current_revision;
	struct jk_id current_event_id;
	uint64_t counties;
	uint16_t categories;
	int category; /* the first */
	int severity;
	bool orphan, cancelled;
};

/* A report to be decided. event_id and incident_id are fresh ids for it to use. */
struct intake_candidate {
	const struct intake_report *report;
	struct intake_key key;
	uint8_t content[INTAKE_CONTENT_BYTES];
	const struct intake_key *references; /* report->reference_count, at most INTAKE_REFERENCES_MAX */
	size_t reference_count;
	uint64_t counties; /* by intake_rules_place; may be empty */
	int32_t agency_id;
	struct jk_id event_id, incident_id;
	const struct intake_answer *answer; /* where the answer to it will stand */
};

struct intake_decision {
	enum jk_verdict verdict; /* STORED, DUPLICATE, CONFLICT; BUSY: the ledger is not whole, for its arena was full */
	/* DUPLICATE: the first answer. */
	const struct intake_answer *first;
	/* The rest for STORED only. */
	enum jk_event_kind kind;
	struct intake_incident after; /* the incident as it stands after this report */
	bool opens;                   /* it opens the incident */
	bool first_of_key;            /* no report of this key is known, whatever the revision */
	bool orphan, late;            /* warnings ORPHAN, LATE_REVISION */
	bool awaited;                 /* its key was awaited */
	uint64_t counties;            /* streams that get the event */
	uint64_t moved_away;          /* streams that get it as MOVED_AWAY */
};

struct intake_ledger;

/* NULL without memory. Lives as long as the arena. */
struct intake_ledger *intake_ledger_new(struct jk_arena *arena);

/* Seeding; repetition is harmless. False: the arena is full. Then, and when recording says so, the ledger lacks something, or
 * holds a report in part: from there on it decides nothing, and what it has recorded must not be stored. Begin anew with fewer
 * reports. */
bool intake_ledger_add_known(struct intake_ledger *ledger, const struct intake_known *known);
/* The newest revision known under a key: content and answer need not be set. */
bool intake_ledger_add_newest(struct intake_ledger *ledger, const struct intake_known *known);
bool intake_ledger_add_incident(struct intake_ledger *ledger, const struct intake_incident *incident);
/* Of several incidents that wait for a key the oldest one alone counts. */
bool intake_ledger_add_awaited(struct intake_ledger *ledger, const struct intake_key *key, const struct jk_id *incident_id);

/* Decides; changes nothing. */
void intake_ledger_decide(
	const struct intake_ledger *ledger, const struct intake_candidate *candidate, struct intake_decision *ret_decision);
/* Takes a STORED decision into the state. False: the arena is full. */
bool intake_ledger_record(
	struct intake_ledger *ledger, const struct intake_candidate *candidate, const struct intake_decision *decision);

/* What recording has changed, to be stored. Incidents in the order they were first touched. */
struct intake_change {
	const struct intake_incident *now;
	bool opened;
	struct jk_id seen_event_id; /* not opened: current_event_id when it was seeded */
};
bool intake_ledger_next_change(const struct intake_ledger *ledger, void **position_p, struct intake_change *ret_change);
/* Where it ends and begins, another incident waits from now on: what the key had goes first. */
struct intake_wait {
	struct intake_key key;
	struct jk_id incident_id;
	bool ends;   /* whatever waits for the key goes */
	bool begins; /* this incident waits for it */
};
bool intake_ledger_next_wait(const struct intake_ledger *ledger, void **position_p, struct intake_wait *ret_wait);
