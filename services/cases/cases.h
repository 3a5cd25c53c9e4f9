/* cases.h: what the service cases speaks about: events as far as a case needs them, cases, lines of a timeline, queries, and what
 * is recorded of them. Plain values; not here: what an event does (cases_rules.h), messages (cases_wire.h), SQL
 * (cases_store_pg.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_id.h"
#include "base/jk_words.h"
#include "cases_life.h"

/* Sets of states: bit n is state n. Open is what still wants work. */
enum {
	CASES_STATES_ALL = (1 << (CASES_STATE_MAX + 1)) - 2,
	CASES_STATES_OPEN = CASES_STATES_ALL & ~(1 << CASES_RESOLVED | 1 << CASES_CLOSED | 1 << CASES_MERGED),
};

/* jukwaa.v1.CaseEntryKind. NONE: the event leaves no line. */
enum cases_entry_kind {
	CASES_ENTRY_NONE = 0,
	CASES_OPENED = 1,
	CASES_REVISED = 2,
	CASES_CANCELLED_BY_PUBLISHER = 3,
	CASES_LATE_REPORT = 4,
	CASES_ACKNOWLEDGED = 5,
	CASES_ERROR_REPORTED = 6,
	/* What desks do: cases_life.h. */
	CASES_ENTRY_MOVED = 16,
	CASES_ENTRY_NUMBERED = 17,
	CASES_ENTRY_LINKED = 18,
	CASES_ENTRY_NOTE = 19,
	CASES_ENTRY_TASK = 20,
	CASES_ENTRY_EVIDENCE = 21,
	CASES_ENTRY_TOOK_IN = 22,
	/* What the feed says was done. */
	CASES_ENTRY_DUTY = 23,
	CASES_ENTRY_UNIT = 24,
	CASES_ENTRY_AID = 25,
};

/* What an event of DUTY, UNIT or AID says was reached. */
enum cases_milestone { CASES_NO_MILESTONE, CASES_WAS_ACCEPTED, CASES_WAS_DISPATCHED, CASES_WAS_ON_SCENE };
/* Of such an event: who did it, and a packed jukwaa.v1.CaseEntry of what its line says beside. */
enum { CASES_WORK_DETAIL_BYTES = 640 };
struct cases_work {
	enum cases_milestone milestone;
	int64_t at_us;
	char agency[CASES_CODE_BYTES], desk[CASES_CODE_BYTES];
	size_t detail_size;
	uint8_t detail[CASES_WORK_DETAIL_BYTES];
};

/* Room for the codes that a label names, parted by commas; those beyond it are not let in. */
enum { CASES_NAMED_BYTES = 1024 };

/* What the decision function and the list's filters ask about. */
struct cases_labels {
	char agency[33];
	uint16_t categories; /* bit n: category n */
	int category, severity, status, scope, tlp;
	char named[CASES_NAMED_BYTES]; /* of PRIVATE, RESTRICTED and RED: "KRCS,NPS-1"; "" nobody */
};

/* Where and when it was, as the newest revision says; to be withheld with the groups POSITION, PLACE and TIMES. */
struct cases_place {
	bool located;
	double lat, lon;        /* degrees, WGS 84 */
	char constituency[4];   /* three digits; "" unknown */
	int64_t occurred_at_us; /* 0: unknown */
};

/* When what was reached; 0: not (yet), or not known. */
struct cases_steps {
	int64_t accepted_at_us, dispatched_at_us, on_scene_at_us, resolved_at_us;
};

/* One event of one county stream. */
struct cases_event {
	struct jk_id incident_id, event_id;
	uint64_t county; /* one bit, see cases_county_bit */
	enum jk_event_kind kind;
	int64_t revision, recorded_at_us;
	struct cases_labels labels;
	struct cases_place place;
	struct cases_work work; /* of DUTY, UNIT and AID */
};

/* Beside the groups (bits 1 on) of what is withheld: bit 0, parties that are hidden. */
enum { CASES_WITHHELD_PARTIES = 1 };

struct cases_case {
	struct jk_id case_id;  /* the incident's id */
	struct jk_id event_id; /* of the revision it stands at */
	enum cases_state state;
	int32_t version; /* 0: there is no such case yet */
	int32_t entries;
	uint64_t counties; /* bit n: county n */
	struct cases_labels labels;
	int64_t revision, opened_at_us, updated_at_us;
	int64_t event_at_us; /* when event_id was recorded; 0: unknown */
	struct cases_place place;
	struct cases_steps steps;
	struct cases_life life;
};

struct cases_entry {
	struct jk_id case_id, event_id;
	int32_t entry_no;
	int64_t at_us;
	enum cases_entry_kind kind;
	int64_t revision;
	char agency[33];
	/* Who did it; "" nobody of the exchange's members. hidden: only its own agency may know. */
	char actor_agency[CASES_CODE_BYTES], actor_desk[CASES_CODE_BYTES];
	bool hidden;
	const uint8_t *detail; /* a packed jukwaa.v1.CaseEntry; NULL: none */
	size_t detail_size;
};

/* A place in the list, newest first: what comes after it is older. */
struct cases_position {
	int64_t opened_at_us;
	struct jk_id case_id;
};

enum { CASES_PAGE_DEFAULT = 50, CASES_PAGE_MAX = 500, CASES_EXPORT_DEFAULT = 1000, CASES_EXPORT_MAX = 2000 };

/* A checked CaseList. */
struct cases_filter {
	uint64_t counties; /* 0: every county */
	unsigned states;   /* bit n: state n; 0: every state */
	bool include_test;
	size_t limit;                /* 1 to CASES_PAGE_MAX, or CASES_EXPORT_MAX */
	struct cases_position after; /* where nothing is after: the newest; never after to_us */
	char constituency[4];        /* "": all, as of the others */
	char agency[33];
	int category, severity_floor;
	int64_t from_us, to_us; /* of opened_at; 0: no limit */
	char number[CASES_NUMBER_BYTES];
	bool breached;
};

/* What somebody reads for: checked. */
struct cases_reading {
	const char *purpose; /* "RESPONSE": a word of CasePurpose; never freed */
	const char *note;    /* "" none; borrowed from the question */
};

/* A case that an answer shows, or that was asked for by its id. */
enum { CASES_UNDER_BYTES = 64 };
struct cases_seen {
	struct jk_id case_id;
	char under[CASES_UNDER_BYTES]; /* "owner", "allow:12", "agreement:KPS-KRCS@2"; "" not granted */
};

/* One question as it is recorded before it is answered. */
enum cases_asked { CASES_ASKED_LIST, CASES_ASKED_SHOW, CASES_ASKED_EXPORT, CASES_ASKED_FIGURES, CASES_ASKED_SIMILAR };
enum { CASES_NOTE_MAX_BYTES = 200, CASES_QUERY_BYTES = 512 };
struct cases_access {
	int32_t key_id, agency_id, desk_id; /* desk_id < 0: none */
	int64_t policy_version;
	enum cases_asked asked;
	bool granted;
	const char *purpose; /* as in cases_reading */
	char note[CASES_NOTE_MAX_BYTES + 1];
	char query[CASES_QUERY_BYTES]; /* of a list, for people */
	size_t seen_count;
	struct cases_seen *seen;
};
