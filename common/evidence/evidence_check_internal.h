/* evidence_check_internal.h: what the files of the check share. */
#pragma once

#include "evidence/evidence_check.h"

/* What can be found. The first of each kind is told for each stream, all are counted. */
enum fault {
	CHAIN_BROKEN,     /* the row is not what its chain was made of */
	NUMBER_MISSING,   /* a hole in the numbers */
	NUMBER_REPEATED,  /* a number again, or an earlier one */
	NOT_AS_SIGNED,    /* a signed head has another chain for this number */
	NOT_AS_RECEIPTED, /* a receipt or copy has */
	NOT_CHECKED,      /* a receipt is about an event that is not among those looked at */
	CUT_OFF,          /* a signed head or receipt knows more of the stream than there is */
	ENDS_ELSEWHERE,   /* the events do not end where feed.head says */
	BEGINS_NOWHERE,   /* what was removed does not end at a signed head, or other streams were not removed up to that head */
	STREAM_UNKNOWN,   /* events of a stream that has no head row */
	HEAD_ALTERED,     /* root and leaves, or root and signature, do not belong together */
	HEAD_FOREIGN,     /* signed by a key that is not the exchange's */
	HEAD_BEHIND,      /* a signed head far behind those before it */
	NOT_WITNESSED,    /* a head that somebody holds is not among those stored */
	WITNESS_ALTERED,  /* a head that somebody holds is not the exchange's */
	FAULTS,
};
/* What the event of this number must have. head_no 0: a receipt says so. */
struct must {
	uint64_t seq, head_no;
	uint8_t chain[32];
};

struct stream {
	char name[JK_LEAF_STREAM_BYTES];
	struct jk_leaf begin, end;
	uint64_t begin_head;
	bool has_begin, begin_proven, has_end, whole;
	uint64_t seq; /* of the event that came last, and what its row says is its chain */
	uint8_t chain[32];
	struct must *musts; /* ascending by seq; those before first are done */
	size_t first, count, capacity;
	struct must last_must; /* done last */
	uint64_t signed_seq;   /* the highest that a head covers */
	uint64_t witnessed_seq;
	uint64_t unchecked_seq; /* the first that a receipt is about and that did not come; 0: none */
	unsigned told;          /* a bit a fault */
};

struct witness {
	struct jk_signed_head head;
	bool found;
};

struct jk_check {
	const uint8_t (*keys)[32];
	size_t key_count;
	jk_check_finding *found;
	void *arg;
	struct stream **streams; /* ascending by name */
	size_t stream_count, stream_capacity;
	struct stream *last; /* events come in runs */
	struct stream all;   /* for what concerns no stream */
	struct witness *witnesses;
	size_t witness_count, witness_capacity, witness_first; /* all before it are found, or from before what is kept */
	bool witnesses_sorted, all_streams;
	struct stream *anchor; /* one that begins under the newest head that any begins under; NULL: none does */
	int64_t kept_from_us;  /* when that head was signed: heads from there on are all kept */
	struct stream *oldest; /* has the event that was recorded first of those kept; NULL: none came */
	uint64_t oldest_seq;
	int64_t oldest_us;
	uint64_t witnessed_head;
	uint8_t (*hashes)[32];
	size_t hash_capacity;
	struct jk_check_sum sum;
};

/* ---- evidence_check_stream.c ---- */

JK_PRINTF(6, 7)
void check_tell(
	struct jk_check *check, struct stream *stream, enum fault fault, uint64_t seq, uint64_t head_no, const char *format, ...);
void check_tell_other_chain(struct jk_check *check, struct stream *stream, const struct must *must);
/* Makes room for one more; false: no memory. */
bool check_grow(struct jk_check *check, void **items, size_t *capacity, size_t count, size_t size);
/* NULL: there is none. */
struct stream *check_find(struct jk_check *check, const char *name);
/* NULL: no memory. */
struct stream *check_find_or_add(struct jk_check *check, const char *name);
bool check_is_begun_in_part(const struct stream *stream);
void check_add_must(struct jk_check *check, struct stream *stream, const struct must *must);

/* ---- evidence_check_head.c ---- */

/* When all heads have come: the witnessed ones that have not. */
void check_finish_witnesses(struct jk_check *check);
