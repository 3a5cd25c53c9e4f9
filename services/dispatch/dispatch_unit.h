/* dispatch_unit.h: units, assignments, help between agencies, and the incidents they are about, as the database has them; and the
 * batch in which commands change them. Types only; all of a batch lives in its arena. */
#pragma once

#include "base/jk_arena.h"
#include "base/jk_id.h"
#include "dispatch_aid_rules.h"
#include "dispatch_rules.h"
#include "dispatch_unit_rules.h"
#include "feed/feed_append.h"
#include "feed/feed_body.h"
#include "registry/registry_duty.h"

enum {
	DISPATCH_UNIT_CODE_BYTES = 33,
	DISPATCH_CAPABILITY_BYTES = 33,
	DISPATCH_CAPABILITIES_MAX = 16,
	DISPATCH_CAPABILITIES_BYTES = DISPATCH_CAPABILITIES_MAX * DISPATCH_CAPABILITY_BYTES,
	DISPATCH_REASON_BYTES = 201,
	DISPATCH_AID_COUNT_MAX = 1000,
};

/* ---- incidents ---- */

/* One county stream that has (or had) the incident. */
struct dispatch_incident_county {
	char county[JK_COUNTY_BYTES];
	bool open;
	int64_t revision, recorded_at_us;
	int tlp, category;
};

struct dispatch_incident {
	struct dispatch_incident *next;
	struct jk_id incident_id;
	struct jk_span body; /* of the newest event that holds what is known of it; size 0: too large for this batch */
	struct jk_event_label label;
	bool readable, has_point;
	double lat, lon;
	size_t county_count;
	struct dispatch_incident_county counties[JK_COUNTY_MAX];
};

/* ---- units ---- */

/* What is said of a unit beside its code. */
struct dispatch_unit_record {
	char discipline[JK_DISCIPLINE_BYTES];
	char capabilities[DISPATCH_CAPABILITIES_BYTES]; /* separated by blanks */
	double base_lat, base_lon;
	char county[JK_COUNTY_BYTES]; /* "": not said */
	int32_t desk_id;              /* -1: any desk of the agency */
};

/* When each step was reached; 0: not (yet). */
struct dispatch_steps {
	int64_t dispatched_us, en_route_us, on_scene_us, transporting_us;
};

struct dispatch_assignment {
	struct dispatch_assignment *next;
	struct jk_id assignment_id, unit_id, incident_id;
	int32_t desk_id;
	char allowed_by[JK_TERM_NAME_BYTES];
	bool hidden; /* the owner must not learn who goes */
	char reason[DISPATCH_REASON_BYTES], end_reason[DISPATCH_REASON_BYTES];
	enum dispatch_unit_state outcome; /* NONE: open */
	unsigned reached;                 /* bit n: state n, in this batch */
	bool added;                       /* in this batch */
};

struct dispatch_unit {
	struct dispatch_unit *next;
	struct jk_id unit_id;
	int32_t agency_id;
	char code[DISPATCH_UNIT_CODE_BYTES];
	struct dispatch_unit_record record;
	double lat, lon;
	int64_t position_at_us; /* 0: it never said */
	enum dispatch_unit_state state;
	int64_t state_at_us;
	int32_t version;
	struct dispatch_assignment *assignment; /* the open one; NULL: none */
	struct dispatch_steps steps;            /* of it; in lists only */

	/* In a batch. */
	int32_t loaded_version; /* 0: added here */
	bool stepped, moved;    /* all but the position; the position */
};

/* ---- help between agencies ---- */

struct dispatch_aid {
	struct dispatch_aid *next;
	struct jk_id aid_id, asked_id, incident_id; /* asked_id zero: it is a request itself */
	int32_t agency_id, giver_id;                /* giver_id -1: all that may answer */
	char capability[DISPATCH_CAPABILITY_BYTES];
	int32_t count, offered;
	int64_t needed_by_us;
	enum dispatch_aid_state state;
	int32_t version, loaded_version;
	bool hidden; /* the owner must not learn who asks, or who gives */
	bool changed;
	char reason[DISPATCH_REASON_BYTES];
	int64_t created_at_us, updated_at_us;
};

/* ---- a batch of commands ---- */

/* A command that was done: now, or before (loaded). */
struct dispatch_deed {
	struct dispatch_deed *next;
	int32_t agency_id, desk_id;
	struct jk_id command_id, thing_id;
	uint8_t digest[JK_SHA256_BYTES];
	const char *action;
	int32_t version;
	char state[24];
	bool before; /* loaded */
};

/* ACTED, to be sent when the batch is decided: the newest of equal steps. */
struct dispatch_acted {
	struct dispatch_acted *next;
	const struct dispatch_incident *incident;
	enum dispatch_unit_state step;
	char discipline[JK_DISCIPLINE_BYTES];
	char agency[33], desk[33]; /* "": not the owner's to know */
};

struct dispatch_unit_batch {
	struct jk_arena *arena;
	int64_t at_us; /* of the database's clock: when all of it is done */
	struct dispatch_incident *incidents;
	struct dispatch_unit *units;
	struct dispatch_assignment *assignments;
	struct dispatch_aid *aids;
	struct dispatch_deed *deeds;
	struct dispatch_acted *acted;
	struct jk_append append;
};
