/* dispatch_store_pg_snapshot.c: reading lane: what is open, and events one by one. See dispatch_store_pg.h. */
#include <string.h>

#include "dispatch_store_pg_internal.h"

/* One statement sees one moment: the follower moves its position and the rows it is about in one transaction. A stream that it
 * has not come to yet begins at its beginning; a mailbox, which it does not follow, at its end; and nothing begins before what is
 * kept. Severity and urgency as CAP numbers them, the gravest first; what nobody has said comes last. */
static const struct jk_db_statement snapshot_statement = {
	.name = "dispatch_snapshot",
	.sql = "WITH q AS MATERIALIZED (SELECT u.stream COLLATE \"C\" AS stream, u.ord::int4 FROM unnest($1::text[])"
	       " WITH ORDINALITY AS u (stream, ord)),"
	       " p AS (SELECT q.*, greatest(coalesce(f.seq, CASE WHEN q.stream LIKE '@%' THEN h.last_seq END, 0), r.seq) AS seq,"
	       " r.seq AS removed_seq, r.chain AS removed_chain FROM q LEFT JOIN dispatch.follow AS f USING (stream)"
	       " LEFT JOIN feed.head AS h USING (stream) LEFT JOIN feed.removed AS r USING (stream))"
	       " SELECT p.ord - 1, p.seq, substr(CASE WHEN p.seq = p.removed_seq THEN p.removed_chain ELSE e.chain END, 1, 8)"
	       " AS chain8, 0::int2 AS case_state, false AS closed, 0 AS severity, 0 AS urgency, NULL::timestamptz AS opened_at"
	       " FROM p LEFT JOIN feed.event AS e ON e.stream = p.stream AND e.seq = p.seq"
	       " UNION ALL SELECT q.ord - 1, o.body_seq, NULL, o.case_state, o.closed_at IS NOT NULL,"
	       " CASE WHEN o.severity = 0 THEN 6 ELSE o.severity END, CASE WHEN o.urgency = 0 THEN 6 ELSE o.urgency END, "
	       "o.opened_at"
	       " FROM q JOIN dispatch.open_incident AS o USING (stream) WHERE o.closed_at IS NULL"
	       " OR $2::int8 > 0 AND o.closed_at > clock_timestamp() - make_interval(secs => $2::int8)"
	       " ORDER BY severity, urgency, opened_at DESC, 1, 2",
	.params = 2,
};

/* A row for each want, until the share of bytes is used up. What counts as removed is not given, though its row may still be
 * there. */
static const struct jk_db_statement items_statement = {
	.name = "dispatch_items",
	.sql = "SELECT k.stream, k.seq, k.epoch, k.event_id, k.incident_id, k.kind, k.recorded_at, k.revision, k.tlp,"
	       " k.category, k.commitment, k.chain, k.body FROM (SELECT q.ord, e.*, sum(octet_length(e.body)) OVER (ORDER BY "
	       "q.ord"
	       " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before"
	       " FROM unnest($1::text[], $2::int8[]) WITH ORDINALITY AS q (stream, seq, ord)"
	       " LEFT JOIN feed.removed AS r ON r.stream = q.stream"
	       " LEFT JOIN feed.event AS e ON e.stream = q.stream AND e.seq = q.seq AND q.seq > coalesce(r.seq, 0)) AS k"
	       " WHERE coalesce(k.bytes_before, 0) < $3::int8 ORDER BY k.ord",
	.params = 3,
};

static void give_start(struct dispatch_store *store, const PGresult *result, int row)
{
	struct dispatch_position position = {.seq = (uint64_t)jk_db_get_int(result, row, 1)};
	size_t size;
	const void *chain8 = jk_db_get_bytes(result, row, 2, &size);

	if (chain8 != NULL && size == sizeof position.chain8)
		memcpy(position.chain8, chain8, size);
	store->snapshot.on_start(store->snapshot.done.arg, (size_t)jk_db_get_int(result, row, 0), &position);
}

static void on_snapshot(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_store *store = arg;
	const PGresult *result = outcome->status == JK_OK ? outcome->results[0] : NULL;
	int row = 0, rows = result == NULL ? 0 : PQntuples(result);

	for (; row < rows && jk_db_get_int(result, row, 5) == 0; row++)
		give_start(store, result, row);
	for (; row < rows; row++) {
		const struct dispatch_item item = {.place = (uint16_t)jk_db_get_int(result, row, 0),
			.seq = (uint64_t)jk_db_get_int(result, row, 1),
			.case_state = (uint8_t)jk_db_get_int(result, row, 3),
			.closed = jk_db_get_int(result, row, 4) != 0};

		store->snapshot.on_item(store->snapshot.done.arg, &item);
	}
	store->snapshot.done.done(store->snapshot.done.arg, outcome->status);
}

enum jk_status dispatch_store_read_snapshot(struct dispatch_store *store, const struct dispatch_snapshot_reader *reader)
{
	struct jk_db_step step = {.statement = &snapshot_statement};

	if (!jk_db_is_idle(store->read_db))
		return JK_RETRY;
	store->snapshot = *reader;
	jk_db_array_reset(&store->item_arrays[0], JK_OID_TEXT);
	for (size_t i = 0; i < reader->streams->count; i++)
		jk_db_array_add_text(&store->item_arrays[0], reader->streams->names[i]);
	jk_db_bind_array(&step, 0, &store->item_arrays[0]);
	jk_db_bind_int8(&step, 1, &store->read_rows, reader->include_closed ? reader->grace_s : 0);
	return jk_db_start(store->read_db, &step, 1, on_snapshot, store);
}

static void on_items(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_store *store = arg;
	const PGresult *result = outcome->status == JK_OK ? outcome->results[0] : NULL;

	for (int row = 0; result != NULL && row < PQntuples(result); row++) {
		struct jk_event event;

		jk_feed_event(result, row, &event);
		store->on_item_event(store->reader.done.arg, (size_t)row, event.seq == 0 ? NULL : &event);
	}
	store->reader.done.done(store->reader.done.arg, outcome->status);
}

enum jk_status dispatch_store_read_items(struct dispatch_store *store, const struct dispatch_item_want *wants, size_t count,
	size_t max_bytes, void (*on_event)(void *arg, size_t index, const struct jk_event *event),
	const struct dispatch_store_done *done)
{
	struct jk_db_step step = {.statement = &items_statement};

	if (!jk_db_is_idle(store->read_db))
		return JK_RETRY;
	store->reader = (struct dispatch_reader){.done = *done};
	store->on_item_event = on_event;
	jk_db_array_reset(&store->item_arrays[0], JK_OID_TEXT);
	jk_db_array_reset(&store->item_arrays[1], JK_OID_INT8);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_text(&store->item_arrays[0], wants[i].stream);
		jk_db_array_add_int(&store->item_arrays[1], (int64_t)wants[i].seq);
	}
	jk_db_bind_array(&step, 0, &store->item_arrays[0]);
	jk_db_bind_array(&step, 1, &store->item_arrays[1]);
	jk_db_bind_int8(&step, 2, &store->read_bytes, (int64_t)max_bytes);
	return jk_db_start(store->read_db, &step, 1, on_items, store);
}
