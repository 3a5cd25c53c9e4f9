/* evidence_store_pg.h: the SQL of `jukwaa evidence`: everything is read in one transaction that sees the database as it was at
 * one moment. Blocks. Functions return how many rows there were; -1: the database refused, evidence_store_problem says why. */
#pragma once

#include "evidence/evidence_head.h"
#include "feed/feed_body.h"

struct evidence_store;
/* NULL: no connection; ret_reason says why. */
struct evidence_store *evidence_store_open(const char *conninfo, char ret_reason[256]);
void evidence_store_close(struct evidence_store **store_p);
const char *evidence_store_problem(const struct evidence_store *store);

/* Rows are borrowed for the call. */
typedef void evidence_position_row(void *arg, const struct jk_leaf *position, uint64_t head_no);
typedef void evidence_head_row(void *arg, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count);
struct evidence_event {
	struct jk_chain_link link;
	uint8_t chain[32];
	const uint8_t *body; /* NULL unless asked for */
	size_t body_size;
};
typedef void evidence_event_row(void *arg, const struct evidence_event *event);

/* Where streams begin, because what was before is removed. */
int64_t evidence_store_removed(struct evidence_store *store, evidence_position_row *row, void *arg);
/* Where streams end, as feed.head says; with position 0, head_no 0, those that have events but no head. */
int64_t evidence_store_ends(struct evidence_store *store, evidence_position_row *row, void *arg);
/* At most `limit` heads after that number, ascending. Arrays that cannot be are given as no leaves at all. */
int64_t evidence_store_heads(
	struct evidence_store *store, uint64_t after_no, int limit, evidence_head_row *row, void *arg, uint64_t *ret_last_no);
int64_t evidence_store_newest_head(struct evidence_store *store, evidence_head_row *row, void *arg);
/* The first head, of those stored after about that time, that covers all these positions (chains are not looked at). */
int64_t evidence_store_covering_head(struct evidence_store *store, const struct jk_leaf *positions, size_t count,
	int64_t after_us, evidence_head_row *row, void *arg);
/* Events (after, up_to] of each range, ranges in the order given. */
struct evidence_range {
	const char *stream;
	uint64_t after, up_to;
};
int64_t evidence_store_events(struct evidence_store *store, const struct evidence_range *ranges, size_t count, bool with_body,
	evidence_event_row *row, void *arg);
/* The chain of an event, or of the last one removed; 0: neither. */
int64_t evidence_store_chain(struct evidence_store *store, const char *stream, uint64_t seq, uint8_t ret_chain[32]);
