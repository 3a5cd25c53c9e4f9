/* client_event.h: a delivery from the wire to the public struct: checked (commitment, chain) and written out as JSON. */
#pragma once

#include "base/jk_text.h"
#include "client/client_link.h"
#include "jukwaa/v1/dispatch.pb-c.h"

/* The newest event of each stream in this session; the chain is followed from it. */
struct client_chain {
	char stream[40];
	uint64_t seq;
	uint8_t chain[32];
};
struct client_chains {
	struct client_chain *items;
	size_t count, capacity;
	bool in_snapshot; /* something of one was given in this session, its end was not */
};
void client_chains_done(struct client_chains *chains);

/* Fills ret for the end of a snapshot or backfill; texts are static or live in the link's arena and in `json`. */
void client_event_read_end(const Jukwaa__V1__SnapshotEnd *end, uint64_t delivery_no, struct client_chains *chains,
	struct jk_buffer *json, struct jukwaa_event *ret);

/* Fills ret from deliver; texts are borrowed from it or live in the link's arena and in `json` (NULL: not written out).
 * delivery_no: as the caller counts. False: the delivery is malformed. */
bool client_event_read(struct client_link *link, const Jukwaa__V1__Deliver *deliver, uint64_t delivery_no,
	struct client_chains *chains, struct jk_buffer *json, struct jukwaa_event *ret);

/* Appends the groups that are shown as members of a JSON object, and "withheld":[…] after them; used for cases too. */
void client_event_write_groups(struct jk_arena *arena, const Jukwaa__V1__EventBody *body, struct jk_buffer *json);
