/* dispatch_rules.h: dispatch's decisions that need nothing but their arguments: does a filter pass an event, which streams does
 * a subscription mean, where does it start (the seam between what was and what comes), what may be sent. Pure: no sockets, SQL,
 * protobuf, clock or memory. Not here: may this desk have it (authz/authz.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_refusal.h"
#include "base/jk_words.h"

enum {
	DISPATCH_STREAM_BYTES = 40,
	DISPATCH_STREAMS_MAX = JK_COUNTY_MAX + 1, /* all counties and the agency's own mailbox */
	DISPATCH_CURSOR_BYTES = 65,
	DISPATCH_WINDOW_DEFAULT = 64,
	DISPATCH_WINDOW_MAX = 256,
	DISPATCH_BLOCK_EVENTS = 128,    /* what is read from the database and cached together */
	DISPATCH_RESERVE_EVENTS = 1024, /* numbers that one disclosure row covers */
	DISPATCH_RESERVE_MAX = 16384,   /* of a desk that is far behind */
	/* A link that takes nothing keeps one message more in memory, encrypted: with a thousand links that counts. */
	DISPATCH_BATCH_MAX_BYTES = 32768,
	DISPATCH_BATCH_MAX = 128, /* deliveries in one message */
	DISPATCH_CHAIN8_BYTES = 8,
	DISPATCH_AGREEMENT_BYTES = 33,
};

/* ---- filters ---- */

struct dispatch_filter {
	uint16_t categories;      /* bit n: category n; 0: every category */
	uint8_t minimum_severity; /* JK_SEVERITY_…; 0: every severity */
	bool include_test;        /* also TEST and SYSTEM */
	/* Backfill: only what goes out under this agreement; "": under any rule. */
	char agreement[DISPATCH_AGREEMENT_BYTES];
};

/* What of an event a filter looks at. */
struct dispatch_projection {
	uint16_t categories; /* bit n: category n; of the classification group */
	uint8_t category;    /* of the feed's own column */
	uint8_t severity;
	uint8_t status; /* enum jk_cap_status */
};

/* withheld: bit n, group n is withheld from this recipient. A filter must not tell what is withheld: without the classification
 * group only the feed's own category is looked at and the severity counts as unknown; without identity, nothing is a test. */
bool dispatch_rules_filter_passes(
	const struct dispatch_filter *filter, const struct dispatch_projection *projection, uint32_t withheld);

/* Kinds that only clients get which know them (Subscribe.work): what was done about an incident, and mails about it. */
bool dispatch_rules_is_work(int kind);

/* One form for filters that mean the same (all twelve categories is every category), for hashing. Returns its size. */
enum { DISPATCH_FILTER_FORM_BYTES = 4 + DISPATCH_AGREEMENT_BYTES };
size_t dispatch_rules_write_filter(uint8_t ret[DISPATCH_FILTER_FORM_BYTES], const struct dispatch_filter *filter);

/* ---- what a subscription asks ---- */

/* The numbers are those of StartAt in dispatch.proto. */
enum dispatch_start {
	DISPATCH_START_NONE = 0,
	DISPATCH_START_NOW = 1,
	DISPATCH_START_BEGINNING = 2,
	DISPATCH_START_TOKEN = 3,
	DISPATCH_START_CURSOR = 4,
	DISPATCH_START_SNAPSHOT = 5,
};

/* Refuses what no registry or database needs to be asked for: no stream at all, no start, a cursor's name of other characters,
 * a start from a cursor without its name, UNKNOWN as a threshold, a window over the maximum. */
bool dispatch_rules_check_ask(const struct dispatch_filter *filter, enum dispatch_start start, const char *cursor,
	uint32_t window, bool any_stream, struct jk_refusal *ret_refusal);
/* Refuses a backfill (filter->agreement) that keeps a cursor, has the mailbox in it, or starts elsewhere than at the beginning or
 * a token. */
bool dispatch_rules_check_backfill(const struct dispatch_filter *filter, enum dispatch_start start, const char *cursor,
	bool mailbox, struct jk_refusal *ret_refusal);
/* 0 asks for the default. */
uint32_t dispatch_rules_window(uint32_t asked);
/* 0: none. */
uint32_t dispatch_rules_batch_bytes(uint32_t asked);

/* A set of streams, ascending by byte. Zero-initialise. */
struct dispatch_streams {
	size_t count;
	char names[DISPATCH_STREAMS_MAX][DISPATCH_STREAM_BYTES];
};
/* Adds it once; false when the set is full or the name too long. */
bool dispatch_streams_add(struct dispatch_streams *streams, const char *name);
/* Index, or -1. */
int dispatch_streams_find(const struct dispatch_streams *streams, const char *name);

/* ---- positions ---- */

/* "Everything of the stream up to and including seq": seq 0 is before the first event. chain8: the first bytes of that event's
 * chain; zero for seq 0. */
struct dispatch_position {
	uint64_t seq;
	uint8_t chain8[DISPATCH_CHAIN8_BYTES];
};

/* Blocks are numbered from 0; seq >= 1. */
uint64_t dispatch_rules_block_of(uint64_t seq);
uint64_t dispatch_rules_block_first(uint64_t block);

/* What the database holds about one stream at one moment, and what was asked or kept for it. */
struct dispatch_found {
	uint64_t first_seq;                         /* lowest event kept; 0: none */
	struct dispatch_position last;              /* head; seq 0: nothing was ever appended */
	bool claimed;                               /* a token or a cursor names a position */
	struct dispatch_position claim;             /* that position */
	bool kept;                                  /* the event at claim.seq is there */
	uint8_t kept_chain8[DISPATCH_CHAIN8_BYTES]; /* its chain */
};

/* Where the stream starts. A claimed position must be one this feed has had: beyond the head, under another chain, or before
 * events that were removed, the answer is RESYNC. NOW, BEGINNING and a cursor without a position need no claim. */
bool dispatch_rules_decide_start(enum dispatch_start start, const char *stream, const struct dispatch_found *found,
	struct dispatch_position *ret_position, struct jk_refusal *ret_refusal);

/* What becomes of a durable cursor when a session starts with its name. */
enum dispatch_cursor_fate {
	DISPATCH_CURSOR_CONTINUE, /* its positions only grow */
	DISPATCH_CURSOR_RENEW,    /* an explicit start takes the place of what was kept */
	DISPATCH_CURSOR_REFUSE,   /* it was kept for another filter or fewer streams */
};
/* asked: streams of the subscription; matching: those of them that the cursor has a position for under the same filter; held:
 * positions the cursor has in all. Fewer streams than it holds are fine; more need an explicit start. */
enum dispatch_cursor_fate dispatch_rules_decide_cursor(enum dispatch_start start, size_t asked, size_t matching, size_t held);

/* ---- disclosure ---- */

/* How many numbers a new range covers, for a desk that is so far behind. */
uint64_t dispatch_rules_reserve_count(uint64_t behind);
/* True when a range that ends at reserved_to should be followed by another before `next_seq` is sent. */
bool dispatch_rules_should_reserve(uint64_t next_seq, uint64_t reserved_to);
