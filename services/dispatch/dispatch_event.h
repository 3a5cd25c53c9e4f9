/* dispatch_event.h: one stored event in memory: what decisions and filters look at, read from the body once, and the packed
 * copies made of it so far, so that a hundred desks on one event cost one rebuilding of its groups. Not here: who may have it
 * (authz), where it is kept (dispatch_cache.h). */
#pragma once

#include "authz/authz.h"
#include "base/jk_arena.h"
#include "dispatch_apart.h"
#include "dispatch_rules.h"
#include "feed/feed_reader.h"

/* One form in which the event leaves: of jukwaa.v1.Deliver, the fields that are the same for every recipient of this form, as
 * they stand on the wire. */
struct dispatch_copy {
	struct dispatch_copy *next;
	uint32_t withheld; /* bit n: group n */
	size_t size;
	const uint8_t *bytes;
	uint8_t own[]; /* what bytes points to, unless the stored form serves */
};

struct dispatch_event {
	uint64_t seq;
	uint32_t epoch;
	struct jk_id event_id, incident_id;
	int kind, tlp, category;
	int64_t recorded_at_us, revision;
	uint8_t commitment[32], chain[32];
	bool mailbox;          /* the body is a mailbox message, not groups */
	bool readable;         /* false: not a body of ours; nobody gets it */
	struct jk_label label; /* the owner's fields are of owner_version; its names are the event's own */
	size_t group_count;    /* of the body: see jk_body_withheld */
	char agency[33];       /* code of the owner */
	int64_t owner_version; /* of the registry in which it was looked up; 0: not yet */
	uint32_t apart;        /* bit n: protected group n has content in its own table */
	struct dispatch_projection projection;
	struct dispatch_copy *copies;
	size_t label_size;             /* of stored: the fields before the body */
	size_t body_offset, body_size; /* of stored */
	uint8_t stored[];              /* the fields before the body; tag, length and body as in the database */
};

/* Copies the event out of the database's result and reads its label. scratch is reset. NULL without memory. */
struct dispatch_event *dispatch_event_new(const struct jk_event *from, struct jk_arena *scratch);
/* Nulls the pointer. */
void dispatch_event_free(struct dispatch_event **event_p);
/* Bytes of memory it takes, its copies included. */
size_t dispatch_event_bytes(const struct dispatch_event *event);

/* The copy with these groups withheld, made on first use from known fields alone; borrowed from the event. scratch is reset.
 * NULL: not readable, or without memory. */
const struct dispatch_copy *dispatch_event_copy(struct dispatch_event *event, uint32_t withheld, struct jk_arena *scratch);
/* A copy that also shows the protected groups given here, but for those withheld, for one recipient: never kept, the caller frees
 * it. What is not what the body's digests were made of is not shown. NULL as above. */
struct dispatch_copy *dispatch_event_copy_apart(
	struct dispatch_event *event, uint32_t withheld, const struct dispatch_apart *apart, struct jk_arena *scratch);
