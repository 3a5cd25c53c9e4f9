/* intake_item.h: one report on its way through intake, from arrival to receipt. It and all it points to live in its arena. */
#pragma once

#include "authz/authz.h"
#include "base/jk_arena.h"
#include "base/jk_id.h"
#include "crypt/crypt.h"
#include "evidence/evidence_origin.h"
#include "services/intake/intake_ledger.h"
#include "services/intake/intake_report.h"
#include "services/intake/intake_rules.h"

/* Where the event stands in one stream. */
struct intake_position {
	char stream[JK_COUNTY_BYTES];
	uint64_t seq;
	uint8_t chain[JK_SHA256_BYTES];
};

/* What a publisher is told of a stored report, the first time and every time after. */
struct intake_answer {
	struct jk_id incident_id, event_id;
	struct intake_position *positions; /* ascending by stream */
	size_t position_count;
	uint32_t epoch;
	uint8_t commitment[JK_SHA256_BYTES];
	const uint8_t *warnings; /* packed by intake_wire_pack_warnings; NULL: none */
	size_t warnings_size;
};

/* A group that is kept apart; content NULL: the report has none. */
struct intake_protected {
	const uint8_t *content;
	size_t size;
	uint8_t salt[JK_SALT_BYTES];
};

/* The event's body, and what is withheld from it. */
struct intake_sealed {
	const uint8_t *body; /* NULL: not sealed yet */
	size_t body_size;
	uint8_t commitment[JK_SHA256_BYTES];
	struct intake_protected reporter, persons;
};

/* Who would get a copy (intake_audience.h). Texts are the registry's. */
enum { INTAKE_AUDIENCE_MAX = 512 };
struct intake_reader {
	char county[JK_COUNTY_BYTES];
	const char *desk, *agency; /* "": hidden */
	uint32_t hidden_desks;
	struct jk_decision decision;
};
struct intake_audience {
	struct intake_reader *readers; /* by county and desk */
	size_t count, more;
};

/* The publisher's signature over its report, verified. */
struct intake_origin {
	bool given;
	uint8_t salt[JK_SALT_BYTES];
	struct jk_origin origin;
};

struct intake_message; /* the incident in its protobuf form, known to intake_wire.c alone */

struct intake_item {
	struct jk_arena *arena;
	struct intake_item *next; /* of its lane (intake_queue.h) */
	struct intake_lane *lane;
	size_t cost_bytes;

	/* Whence. */
	uint64_t session, request;
	int32_t key_id;
	char agency[33];
	bool refuse_expired, check, dry_run;

	/* What. */
	enum jk_format format;
	const uint8_t *bytes; /* as received */
	size_t size;
	struct intake_origin origin;
	struct intake_report report;
	struct intake_candidate candidate;
	const struct intake_message *message;
	const struct jk_refusal *warnings; /* of arrival */
	size_t warning_count;
	bool stands_alone; /* by intake_rules_stands_alone; then it is sealed at arrival, else once it is decided */

	/* What came of it; decided anew when the batch is repeated, and then in the batch's arena. */
	enum jk_verdict verdict;
	struct jk_refusal *refusal; /* REJECTED */
	struct intake_decision decision;
	struct intake_sealed sealed;
	struct intake_answer *answer;    /* NULL: refused before it was decided */
	struct intake_audience audience; /* of a dry run */
};
