/* dispatch_wants.h: which blocks of which streams somebody waits for, how many wait for each, and which are read next. What is
 * read once serves all that wait, so the order makes the cost: blocks that many wait for go first, and a session that has just
 * been given one asks for the next, where others may wait already. Sessions near one another thus become one group that reads
 * together. Nobody waits for ever: part of each reading goes to those that have waited longest, and the newest block of a
 * stream always goes at once. Bounded. Not here: the reading (dispatch_feed.c), the blocks (dispatch_cache.h). */
#pragma once

#include "dispatch_cache.h"

enum {
	DISPATCH_WANTS_KEPT = 1024,    /* more are asked for again later */
	DISPATCH_CATCH_UP_BLOCKS = 16, /* of one reading, beside the newest blocks */
};

/* A block that somebody waits for. */
struct dispatch_wanted {
	struct dispatch_stream *stream; /* NULL: free */
	uint64_t after, seen;           /* asked for what follows; newest row of it that came */
	uint64_t head;                  /* of the stream when the reading began */
	uint64_t since, asked;          /* readings in which it was asked for first and last */
	uint32_t sessions;
	bool flying; /* being read */
	bool failed;
};

/* Zero-initialise. */
struct dispatch_wants {
	uint64_t reading; /* number of the next reading */
	size_t count;
	struct dispatch_wanted slots[DISPATCH_WANTS_KEPT * 2]; /* open addressing by (stream, block) */
};

/* One more session waits for what follows `after` in its block. */
void dispatch_wants_add(struct dispatch_wants *wants, struct dispatch_stream *stream, uint64_t after);
/* Takes what is to be read next, at most `capacity`; it flies until dispatch_wants_end. Returns how many. */
size_t dispatch_wants_begin(struct dispatch_wants *wants, struct dispatch_wanted **ret, size_t capacity);
/* The reading ended, well or not: who still waits asks again. */
void dispatch_wants_end(struct dispatch_wants *wants);
