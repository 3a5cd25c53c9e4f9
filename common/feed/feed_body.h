/* feed_body.h: an event's groups: building the body and its commitment, reading labels for decisions, making a copy for a
 * recipient, checking a copy. The forms are those of proto/jukwaa/v1/feed.proto. Not here: SQL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authz/authz.h"
#include "base/jk_arena.h"
#include "base/jk_id.h"
#include "base/jk_status.h"
#include "crypt/crypt.h"
#include "jukwaa/v1/feed.pb-c.h"
#include "jukwaa/v1/incident.pb-c.h"

struct jk_group {
	const uint8_t *content;
	size_t content_size;
	uint8_t salt[JK_SALT_BYTES];
};

/* Gives each group (index tag - 1) a fresh salt, computes the commitment, and packs the body with groups 9 and 10 withheld
 * (digest only; stored_apart says which of them has content). groups[8], [9] keep their salts for the protected table. Arena
 * memory. JK_BROKEN: arena full. */
enum jk_status jk_body_seal(struct jk_group groups[JK_GROUP_COUNT], struct jk_arena *arena, uint8_t ret_commitment[32],
	const uint8_t **ret_body, size_t *ret_size) JK_MUST_CHECK;

/* The body of an event that says what was done about the incident: the groups of its newest event (or of another one with WORK)
 * as they are stored, with this packed Work under a fresh salt. Arena memory. JK_BROKEN: arena full, not a body of ours, or one
 * of ten groups, to which nothing can be added. */
enum jk_status jk_body_add_work(struct jk_span body, struct jk_span work, struct jk_arena *arena, uint8_t ret_commitment[32],
	const uint8_t **ret_body, size_t *ret_size) JK_MUST_CHECK;
/* The packed Work that a copy shows; size 0: none, or withheld. */
struct jk_span jk_body_work(const Jukwaa__V1__EventBody *body);

/* What decisions and filters need of a body. Texts are arena memory. */
struct jk_event_label {
	struct jk_label label; /* owner_agency_id is left -1 (look up agency_code) and county "" (the stream says it) */
	char agency_code[33];
	int severity, urgency; /* jk_words */
	int category;          /* the first */
	int status, msg_type;
	size_t group_count;   /* JK_GROUP_COUNT, JK_GROUP_MAX or JK_GROUP_COUNT_OLD */
	int64_t expires_us;   /* 0: none */
	const char *headline; /* of the first text; "" when none */
	bool has_point;
	double lat, lon;
	struct jk_span work; /* the packed Work, in the body; size 0: none */
};
/* JK_BROKEN: not a body of ours. */
enum jk_status jk_body_label(const uint8_t *body, size_t size, struct jk_arena *arena, struct jk_event_label *ret) JK_MUST_CHECK;

/* Where and when a body says that it was. Of bodies of ten groups: when, alone. */
struct jk_event_place {
	bool located; /* lat, lon in degrees, WGS 84: the point, or the middle of the polygons or of the first circle */
	double lat, lon;
	char constituency[4];   /* three digits; "": not said */
	int64_t occurred_at_us; /* onset, else effective, else sent; 0: not said */
};
/* lat and lon are of group POSITION, constituency of PLACE, occurred_at_us of TIMES: to be withheld with them. A position that
 * cannot be read is none. JK_BROKEN: not a body of ours. */
enum jk_status jk_body_place(const uint8_t *body, size_t size, struct jk_arena *arena, struct jk_event_place *ret) JK_MUST_CHECK;

/* What is really withheld from a body with so many groups. In those of ten, groups 1 to 8 hold free text beside all else: whoever
 * may not have all of them gets TIMES at most. Bit n: group n. */
uint32_t jk_body_withheld(size_t group_count, uint32_t withheld);

/* A copy for a recipient, built anew in arena memory: what jk_body_withheld names carries its digest alone. NULL: arena full, or
 * not a body of ours. */
Jukwaa__V1__EventBody *jk_body_copy(const uint8_t *body, size_t size, uint32_t withheld, struct jk_arena *arena);

/* True when the groups shown and the digests withheld add up to the commitment. */
bool jk_body_verify(const Jukwaa__V1__EventBody *body, const uint8_t commitment[32]);

/* Fields of the chain hash, as listed in feed.proto. */
struct jk_chain_link {
	const char *stream;
	uint64_t seq;
	uint32_t epoch;
	int64_t recorded_at_us;
	struct jk_id event_id, incident_id;
	int kind;
	int64_t revision;
	int tlp, category;
	uint8_t commitment[32];
	size_t commitment_size;
};
/* previous: NULL for seq 1; for the first event kept behind what was removed by age, the chain in feed.removed. */
void jk_chain_next(uint8_t ret[32], const uint8_t *previous, const struct jk_chain_link *link);
