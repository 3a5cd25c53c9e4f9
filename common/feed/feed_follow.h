/* feed_follow.h: follows every county stream from stored positions, for services that act on the feed (cases, notify): reads
 * batches, gives them to the service, and stores effects and positions in one transaction, so that each event has its effect
 * exactly once. Order is kept within a stream, not across streams. Works on a connection of its own and never blocks. The SQL
 * is the service's; mailboxes are not followed. Used from one thread. */
#pragma once

#include "feed/feed_reader.h"

enum { JK_FOLLOW_BATCH_MAX = 1024, JK_FOLLOW_STEPS_MAX = 8 };

/* The service's part; `service` is the first argument of every callback. A batch goes on_events -> load -> on_loaded -> store ->
 * on_stored; after any failure it starts again with on_events, perhaps with other events. What steps point to must stay until
 * the next callback. */
struct jk_follow_service {
	void *service;
	/* Columns stream text, seq bigint; no parameters. */
	const struct jk_db_statement *positions;
	/* $1 text[] streams, $2 bigint[] from, $3 bigint[] to; fails with SQLSTATE 40001 where the stored position is not `from`
	 * (0: none stored), so that of two followers only one has an effect. The first step of the storing transaction. */
	const struct jk_db_statement *move;
	/* Read with each batch, after its events: what was committed before an event was is in it. No parameters; NULL: none. */
	const struct jk_db_statement *beside;

	/* At most JK_FOLLOW_BATCH_MAX events, each stream's in its order; borrowed, like beside, for the call. False: not yet
	 * (something it must know has not reached it): asked again in a moment. */
	bool (*on_events)(void *service, const struct jk_event *events, size_t count, const PGresult *beside);
	/* Fills at most JK_FOLLOW_STEPS_MAX steps that read what is known already; returns how many; 0: on_loaded is skipped. */
	size_t (*load)(void *service, struct jk_db_step *steps);
	void (*on_loaded)(void *service, const struct jk_db_outcome *outcome);
	/* Fills at most JK_FOLLOW_STEPS_MAX steps that store the effects; 0: only the positions move. */
	size_t (*store)(void *service, struct jk_db_step *steps);
	/* Committed. */
	void (*on_stored)(void *service);
};

struct jk_follow;

/* Everything is borrowed. JK_BROKEN: out of memory. The caller gives the connection to its loop (jk_db_on_ready). */
enum jk_status jk_follow_open(
	const struct jk_follow_service *service, struct jk_db *db, struct jk_follow **ret_follow) JK_MUST_CHECK;
void jk_follow_close(struct jk_follow **follow_p);

/* "Some stream has grown": look now. */
void jk_follow_hint(struct jk_follow *follow);
/* Every 250 ms: serves the connection's timer and looks at the streams. For jk_loop_add_timer. */
void jk_follow_on_timer(void *follow);
/* At the end of each turn of the loop: starts the next job when the connection is free. */
void jk_follow_turn(struct jk_follow *follow);

/* Events that wait, over all streams, as of the last look. */
uint64_t jk_follow_lag(const struct jk_follow *follow);
/* What keeps it from following, in words; "" when all is well. */
const char *jk_follow_problem(const struct jk_follow *follow);
/* True once positions and heads have been read. */
bool jk_follow_is_started(const struct jk_follow *follow);
