/* evidence_check.h: checks streams of events against what was signed, in one pass and bounded memory, wherever they come from:
 * the database or an exported file. Finds rows that were changed, removed, inserted or put in another order, also when all that
 * follows was computed anew, as far as a signed head, a witnessed one or a receipt knows better. Not here: reading them.
 *
 * Order of the calls: new; witness and expect; begin and end for each stream, each once at most, in either order; then heads in
 * the order of their numbers and events of each stream in the order of theirs. A head comes before the events that it covers, but
 * no more than some thousands ahead: what is kept of heads are leaves whose events have not come. finish last. */
#pragma once

#include "evidence/evidence_head.h"
#include "feed/feed_body.h"

struct jk_check;

/* What is wrong. stream "": it concerns all of them. seq: the first number that is wrong. */
struct jk_finding {
	const char *code; /* a stable word: see evidence_check.c */
	char stream[JK_LEAF_STREAM_BYTES];
	uint64_t seq;
	uint64_t head_no; /* 0: none */
	char words[256];
};
typedef void jk_check_finding(void *arg, const struct jk_finding *finding);

/* keys: the exchange's, borrowed. NULL without memory. */
struct jk_check *jk_check_new(const uint8_t (*keys)[32], size_t key_count, jk_check_finding *found, void *arg);
void jk_check_free(struct jk_check **check_p);

/* Every stream is looked at: one that a head or a receipt knows and that has no end is missing. */
void jk_check_all_streams(struct jk_check *check);
/* Somebody outside holds this head. */
void jk_check_witness(struct jk_check *check, const struct jk_signed_head *head);
/* Somebody outside holds a receipt, or a copy, with this chain. */
void jk_check_expect(struct jk_check *check, const struct jk_leaf *position);
/* The stream begins behind this position: because of removal by age, under the signed head head_no; 0: because only a part is
 * looked at. Without it a stream begins at 1. False: this stream has a beginning already, or heads or events have come; then it
 * changes nothing, and whoever sends the calls must not be believed. */
bool jk_check_begin(struct jk_check *check, const struct jk_leaf *position, uint64_t head_no) JK_MUST_CHECK;
/* The stream is to end here; whole: nothing of it comes after. Streams without this are not looked at. False: as above. */
bool jk_check_end(struct jk_check *check, const struct jk_leaf *position, bool whole) JK_MUST_CHECK;
void jk_check_head(struct jk_check *check, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count);
void jk_check_event(struct jk_check *check, const struct jk_chain_link *link, const uint8_t chain[32]);
/* Something that the caller found. */
void jk_check_report(struct jk_check *check, const char *code, const char *stream, uint64_t seq, const char *words);

struct jk_check_sum {
	uint64_t streams, events, heads, findings;
	uint64_t partial_streams;                  /* begin behind what nobody says was removed, or do not go to their end */
	uint64_t unsigned_events;                  /* behind the last head */
	uint64_t witnessed, witnessed_before_kept; /* found again; from before the oldest head kept */
	bool all_streams;                          /* see jk_check_all_streams */
	bool no_memory;                            /* then nothing is proven */
};
struct jk_check_sum jk_check_finish(struct jk_check *check);
