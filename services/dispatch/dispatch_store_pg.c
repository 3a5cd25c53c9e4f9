/* dispatch_store_pg.c: all lanes opened and closed, and the reading one. See dispatch_store_pg.h. */
#include "dispatch_store_pg_internal.h"

#include <stdlib.h>
#include <string.h>

enum { TIMER_MS = 200 };

/* Columns as jk_feed_event takes them. A share of bytes beside the number of rows: a body may have 2 MiB. The inner LIMIT comes
 * first, so that lengths are summed over the rows that may be taken only (octet_length does not unpack a stored value). */
static const struct jk_db_statement events_statement = {
	.name = "dispatch_events",
	.sql = "SELECT e.stream, e.seq, e.epoch, e.event_id, e.incident_id, e.kind, e.recorded_at, e.revision, e.tlp, e.category,"
	       " e.commitment, e.chain, e.body"
	       " FROM unnest($1::text[], $2::int8[]) AS want (stream, after)"
	       " CROSS JOIN LATERAL (SELECT near.*, sum(octet_length(near.body)) OVER (ORDER BY near.seq"
	       " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before"
	       " FROM (SELECT * FROM feed.event WHERE event.stream = want.stream AND event.seq > want.after"
	       " ORDER BY event.seq LIMIT $3::int8) AS near) AS e"
	       " WHERE coalesce(e.bytes_before, 0) < $4::int8"
	       " ORDER BY e.stream COLLATE \"C\", e.seq",
	.params = 4,
};

/* A cursor that has not moved for long belongs to a consumer that is gone for good. One page after the other, along the key. */
static const struct jk_db_statement idle_cursors_statement = {
	.name = "dispatch_idle_cursors",
	.sql = "SELECT c.holder, c.name, c.stream, c.seq, (SELECT e.recorded_at FROM feed.event AS e"
	       " WHERE e.stream = c.stream AND e.seq > c.seq ORDER BY e.seq LIMIT 1)"
	       " FROM dispatch.cursor AS c JOIN feed.head AS h ON h.stream = c.stream"
	       " WHERE (c.holder, c.name, c.stream) > ($1::text, $2::text, $3::text) AND h.last_seq > c.seq AND c.holder LIKE "
	       "'D%'"
	       " AND c.updated_at > now() - interval '7 days' AND c.updated_at < now() - interval '3 seconds'"
	       " ORDER BY c.holder, c.name, c.stream LIMIT $4::int8",
	.params = 4,
};

static const struct jk_db_statement erased_statement = {
	.name = "dispatch_erased",
	.sql = "SELECT erasure_id, incident_id FROM dispatch.erased_since($1::int8)",
	.params = 1,
};

static void on_timer(void *arg)
{
	struct dispatch_store *store = arg;

	jk_db_on_timer(store->read_db);
	jk_db_on_timer(store->write_db);
	jk_db_on_timer(store->protected_db);
}

static enum jk_status watch(struct dispatch_store *store, struct jk_loop *loop)
{
	if (jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, store->read_db) != JK_OK ||
		jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, store->write_db) != JK_OK ||
		jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, store->protected_db) != JK_OK)
		return JK_BROKEN;
	return jk_loop_add_timer(loop, TIMER_MS, on_timer, store);
}

enum jk_status dispatch_store_open(const char *conninfo, struct jk_loop *loop, struct dispatch_store **ret_store)
{
	struct dispatch_store *store = calloc(1, sizeof *store);

	*ret_store = NULL;
	if (store == NULL)
		return JK_BROKEN;
	if (jk_db_open(conninfo, "jukwaa-dispatch-read", &store->read_db) != JK_OK ||
		jk_db_open(conninfo, "jukwaa-dispatch", &store->write_db) != JK_OK ||
		jk_db_open(conninfo, "jukwaa-dispatch-protected", &store->protected_db) != JK_OK || watch(store, loop) != JK_OK) {
		dispatch_store_close(&store);
		return JK_BROKEN;
	}
	*ret_store = store;
	return JK_OK;
}

static void arrays_done(struct jk_db_array *arrays, size_t count)
{
	for (size_t i = 0; i < count; i++)
		jk_db_array_done(&arrays[i]);
}

void dispatch_store_close(struct dispatch_store **store_p)
{
	struct dispatch_store *store = *store_p;

	if (store == NULL)
		return;
	if (store->read_db != NULL)
		jk_db_close(&store->read_db);
	if (store->write_db != NULL)
		jk_db_close(&store->write_db);
	if (store->protected_db != NULL)
		jk_db_close(&store->protected_db);
	arrays_done(store->read_arrays, sizeof store->read_arrays / sizeof store->read_arrays[0]);
	arrays_done(store->recall_arrays, sizeof store->recall_arrays / sizeof store->recall_arrays[0]);
	arrays_done(store->item_arrays, sizeof store->item_arrays / sizeof store->item_arrays[0]);
	arrays_done(store->protected_arrays, sizeof store->protected_arrays / sizeof store->protected_arrays[0]);
	arrays_done(store->arrays, DISPATCH_STORE_ARRAYS);
	arrays_done(store->cursor_arrays, sizeof store->cursor_arrays / sizeof store->cursor_arrays[0]);
	free(store);
	*store_p = NULL;
}

bool dispatch_store_can_read(const struct dispatch_store *store)
{
	return jk_db_is_idle(store->read_db);
}

bool dispatch_store_can_fetch(const struct dispatch_store *store)
{
	return jk_db_is_idle(store->protected_db);
}

bool dispatch_store_can_write(const struct dispatch_store *store)
{
	return jk_db_is_idle(store->write_db);
}

bool dispatch_store_is_up(const struct dispatch_store *store)
{
	return jk_db_is_up(store->read_db) && jk_db_is_up(store->write_db);
}

void dispatch_store_trouble(const struct dispatch_store *store, char ret_words[JK_DB_TROUBLE_BYTES])
{
	if (jk_db_trouble(store->write_db, ret_words) == JK_DB_FINE)
		(void)jk_db_trouble(store->read_db, ret_words);
}

const char *dispatch_store_problem(const struct dispatch_store *store)
{
	const char *problem = jk_db_last_error(store->write_db);

	return problem[0] != '\0' ? problem : jk_db_last_error(store->read_db);
}

/* ---- reading lane ---- */

static void give_erased(struct dispatch_store *store, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct jk_id incident_id = jk_db_get_id(result, row, 1);

		store->reader.on_erased(store->reader.done.arg, jk_db_get_int(result, row, 0), &incident_id);
	}
}

static void give_read(struct dispatch_store *store, const struct jk_db_outcome *outcome)
{
	size_t step = 0;

	if (store->read_heads) {
		const PGresult *heads = outcome->results[step++];

		for (int row = 0; row < PQntuples(heads); row++) {
			struct jk_head head;

			jk_feed_head(heads, row, &head);
			store->reader.on_head(store->reader.done.arg, &head);
		}
		give_erased(store, outcome->results[step++]);
	}
	if (store->read_events) {
		const PGresult *events = outcome->results[step];

		for (int row = 0; row < PQntuples(events); row++) {
			struct jk_event event;

			jk_feed_event(events, row, &event);
			store->reader.on_event(store->reader.done.arg, &event);
		}
	}
}

static void on_read(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_store *store = arg;

	if (outcome->status == JK_OK)
		give_read(store, outcome);
	store->reader.done.done(store->reader.done.arg, outcome->status);
}

static void events_step(struct dispatch_store *store, struct jk_db_step *ret_step, const struct dispatch_want *wants,
	size_t count, size_t max_bytes)
{
	struct jk_db_array *streams = &store->read_arrays[0], *after = &store->read_arrays[1];

	jk_db_array_reset(streams, JK_OID_TEXT);
	jk_db_array_reset(after, JK_OID_INT8);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_text(streams, wants[i].stream);
		jk_db_array_add_int(after, (int64_t)wants[i].after);
	}
	*ret_step = (struct jk_db_step){.statement = &events_statement};
	jk_db_bind_array(ret_step, 0, streams);
	jk_db_bind_array(ret_step, 1, after);
	jk_db_bind_int8(ret_step, 2, &store->read_rows, DISPATCH_BLOCK_EVENTS);
	jk_db_bind_int8(ret_step, 3, &store->read_bytes, (int64_t)(max_bytes / count));
}

enum jk_status dispatch_store_read(struct dispatch_store *store, bool heads, const struct dispatch_want *wants, size_t count,
	const struct dispatch_reader *reader)
{
	struct jk_db_step steps[3] = {{0}};
	size_t steps_count = 0;

	if (!jk_db_is_idle(store->read_db))
		return JK_RETRY;
	if (heads) {
		jk_feed_heads_step(&steps[steps_count++]);
		steps[steps_count].statement = &erased_statement;
		jk_db_bind_int8(&steps[steps_count++], 0, &store->read_erased, reader->erased_after);
	}
	if (count > 0)
		events_step(store, &steps[steps_count++], wants, count, reader->max_bytes);
	if (steps_count == 0)
		return JK_RETRY;
	store->reader = *reader;
	store->read_heads = heads;
	store->read_events = count > 0;
	return jk_db_start(store->read_db, steps, steps_count, on_read, store);
}

/* ---- cursors ---- */

static void copy_text(char *ret, size_t capacity, const PGresult *result, int row, int column)
{
	size_t size;
	const char *text = jk_db_get_bytes(result, row, column, &size);

	memset(ret, 0, capacity);
	(void)jk_text_copy(ret, capacity, text == NULL ? "" : text);
}

static void on_cursors(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_store *store = arg;
	const PGresult *result = outcome->status == JK_OK ? outcome->results[0] : NULL;
	struct dispatch_idle_cursor cursor;

	for (int row = 0; result != NULL && row < PQntuples(result); row++) {
		copy_text(cursor.name.holder, sizeof cursor.name.holder, result, row, 0);
		copy_text(cursor.name.name, sizeof cursor.name.name, result, row, 1);
		copy_text(cursor.stream, sizeof cursor.stream, result, row, 2);
		cursor.seq = (uint64_t)jk_db_get_int(result, row, 3);
		cursor.oldest_us = PQgetisnull(result, row, 4) ? INT64_MAX : jk_db_get_time_us(result, row, 4);
		store->on_cursor(store->reader.done.arg, &cursor);
	}
	store->reader.done.done(store->reader.done.arg, outcome->status);
}

enum jk_status dispatch_store_read_cursors(struct dispatch_store *store, const struct dispatch_idle_cursor *after,
	void (*on_cursor)(void *arg, const struct dispatch_idle_cursor *cursor), const struct dispatch_store_done *done)
{
	struct jk_db_step step = {.statement = &idle_cursors_statement};

	if (!jk_db_is_idle(store->read_db))
		return JK_RETRY;
	store->reader = (struct dispatch_reader){.done = *done};
	store->on_cursor = on_cursor;
	jk_db_bind_bytes(&step, 0, after->name.holder, strlen(after->name.holder));
	jk_db_bind_bytes(&step, 1, after->name.name, strlen(after->name.name));
	jk_db_bind_bytes(&step, 2, after->stream, strlen(after->stream));
	jk_db_bind_int8(&step, 3, &store->read_rows, DISPATCH_CURSORS_A_PAGE);
	return jk_db_start(store->read_db, &step, 1, on_cursors, store);
}
