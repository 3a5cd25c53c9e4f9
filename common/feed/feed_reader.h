/* feed_reader.h: reading streams by position, for dispatch, cases and notify. SQL only; the caller owns the connection. */
#pragma once

#include "base/jk_id.h"
#include "db/db.h"

enum { JK_STREAM_BYTES = 40 };

/* One stored event, borrowed from the result. */
struct jk_event {
	char stream[JK_STREAM_BYTES];
	uint64_t seq;
	uint32_t epoch;
	struct jk_id event_id, incident_id;
	int kind;
	int64_t recorded_at_us, revision;
	int tlp, category;
	const uint8_t *commitment; /* commitment_size bytes: 32, or 0 in mailboxes */
	size_t commitment_size;
	const uint8_t *chain; /* 32 bytes */
	const uint8_t *body;
	size_t body_size;
};

struct jk_head {
	char stream[JK_STREAM_BYTES];
	uint64_t last_seq;
	uint8_t last_chain[32];
};

/* Fills a step that reads all heads; decode with jk_feed_head(result, row, …). */
void jk_feed_heads_step(struct jk_db_step *ret_step);
void jk_feed_head(const PGresult *result, int row, struct jk_head *ret);

/* Fills a step that reads up to `limit` events of each of the given streams after the given numbers, ordered by stream and
 * seq. The arrays must outlive the job. */
struct jk_feed_want {
	struct jk_db_array streams, after;
	struct jk_db_int8 limit;
};
void jk_feed_want_reset(struct jk_feed_want *want);
void jk_feed_want_add(struct jk_feed_want *want, const char *stream, uint64_t after_seq);
void jk_feed_events_step(struct jk_db_step *ret_step, struct jk_feed_want *want, int limit_per_stream);
void jk_feed_event(const PGresult *result, int row, struct jk_event *ret);
void jk_feed_want_done(struct jk_feed_want *want);
