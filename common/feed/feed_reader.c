/* feed_reader.c: the SQL of reading. Columns are in the order in which jk_feed_event and jk_feed_head take them. */
#include "feed/feed_reader.h"

#include <string.h>

#include "crypt/crypt.h"

static const struct jk_db_statement heads_statement = {
	.name = "feed_heads",
	.sql = "SELECT stream, last_seq, last_chain FROM feed.head ORDER BY stream COLLATE \"C\"",
	.params = 0,
};

/* One index range a stream: a join on the arrays would let the planner sort whole streams. */
static const struct jk_db_statement events_statement = {
	.name = "feed_events",
	.sql = "SELECT e.stream, e.seq, e.epoch, e.event_id, e.incident_id, e.kind, e.recorded_at, e.revision, e.tlp, e.category,"
	       " e.commitment, e.chain, e.body"
	       " FROM unnest($1::text[], $2::int8[]) AS want (stream, after)"
	       " CROSS JOIN LATERAL (SELECT * FROM feed.event WHERE event.stream = want.stream AND event.seq > want.after"
	       " ORDER BY event.seq LIMIT $3::int8) AS e"
	       " ORDER BY e.stream COLLATE \"C\", e.seq",
	.params = 3,
};

void jk_feed_heads_step(struct jk_db_step *ret_step)
{
	*ret_step = (struct jk_db_step){.statement = &heads_statement};
}

/* Streams fit by the table's own check; a longer text would be another database's, and is cut rather than trusted. */
static void copy_stream(char ret[JK_STREAM_BYTES], const PGresult *result, int row, int column)
{
	size_t size;
	const char *stream = jk_db_get_bytes(result, row, column, &size);

	(void)jk_text_copy(ret, JK_STREAM_BYTES, stream == NULL ? "" : stream);
}

void jk_feed_head(const PGresult *result, int row, struct jk_head *ret)
{
	size_t size;
	const void *chain = jk_db_get_bytes(result, row, 2, &size);

	*ret = (struct jk_head){.last_seq = (uint64_t)jk_db_get_int(result, row, 1)};
	copy_stream(ret->stream, result, row, 0);
	if (chain != NULL && size == sizeof ret->last_chain)
		memcpy(ret->last_chain, chain, size);
}

void jk_feed_want_reset(struct jk_feed_want *want)
{
	jk_db_array_reset(&want->streams, JK_OID_TEXT);
	jk_db_array_reset(&want->after, JK_OID_INT8);
}

void jk_feed_want_add(struct jk_feed_want *want, const char *stream, uint64_t after_seq)
{
	jk_db_array_add_text(&want->streams, stream);
	jk_db_array_add_int(&want->after, (int64_t)after_seq);
}

void jk_feed_events_step(struct jk_db_step *ret_step, struct jk_feed_want *want, int limit_per_stream)
{
	*ret_step = (struct jk_db_step){.statement = &events_statement};
	jk_db_bind_array(ret_step, 0, &want->streams);
	jk_db_bind_array(ret_step, 1, &want->after);
	jk_db_bind_int8(ret_step, 2, &want->limit, limit_per_stream);
}

void jk_feed_event(const PGresult *result, int row, struct jk_event *ret)
{
	static const uint8_t no_chain[JK_SHA256_BYTES];
	size_t chain_size;

	*ret = (struct jk_event){
		.seq = (uint64_t)jk_db_get_int(result, row, 1),
		.epoch = (uint32_t)jk_db_get_int(result, row, 2),
		.event_id = jk_db_get_id(result, row, 3),
		.incident_id = jk_db_get_id(result, row, 4),
		.kind = (int)jk_db_get_int(result, row, 5),
		.recorded_at_us = jk_db_get_time_us(result, row, 6),
		.revision = jk_db_get_int(result, row, 7),
		.tlp = (int)jk_db_get_int(result, row, 8),
		.category = (int)jk_db_get_int(result, row, 9),
	};
	copy_stream(ret->stream, result, row, 0);
	ret->commitment = jk_db_get_bytes(result, row, 10, &ret->commitment_size);
	ret->chain = jk_db_get_bytes(result, row, 11, &chain_size);
	/* A foreign row must not make readers run past its end; zeros verify nowhere. */
	if (ret->chain == NULL || chain_size != sizeof no_chain)
		ret->chain = no_chain;
	ret->body = jk_db_get_bytes(result, row, 12, &ret->body_size);
}

void jk_feed_want_done(struct jk_feed_want *want)
{
	jk_db_array_done(&want->streams);
	jk_db_array_done(&want->after);
}
