/* dispatch_store_pg_recall.c: reading lane: who had an earlier copy of an incident. See dispatch_store_pg.h. */
#include "dispatch_store_pg_internal.h"

enum { EARLIER_MAX = 64 };

/* OFFSET 0: by the index of incidents, never back along the stream. A row covers at most DISPATCH_RESERVE_MAX numbers: the index
 * leads straight to those that may cover this one. */
static const struct jk_db_statement recall_statement = {
	.name = "dispatch_recall",
	.sql = "SELECT q.ord, p.seq, EXISTS (SELECT FROM dispatch.disclosure AS d WHERE d.holder = q.holder AND d.stream = "
	       "q.stream"
	       " AND d.from_seq <= p.seq AND d.from_seq > p.seq - $5::int8 AND d.to_seq >= p.seq"
	       " AND dispatch.sent_under(d, p.seq) NOT IN ('recalled', '?'))"
	       " FROM unnest($1::text[], $2::text[], $3::int8[], $4::uuid[]) WITH ORDINALITY AS q (holder, stream, seq, "
	       "incident_id, "
	       "ord)"
	       " CROSS JOIN LATERAL (SELECT n.seq FROM (SELECT e.stream, e.seq FROM feed.event AS e"
	       " WHERE e.incident_id = q.incident_id AND e.kind < 16 OFFSET 0) AS n"
	       " WHERE n.stream = q.stream AND n.seq < q.seq ORDER BY n.seq DESC LIMIT $6::int8) AS p",
	.params = 6,
};

static void on_recall(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_store *store = arg;
	const PGresult *result = outcome->status == JK_OK ? outcome->results[0] : NULL;

	for (int row = 0; result != NULL && row < PQntuples(result); row++)
		store->on_earlier(store->reader.done.arg, (size_t)jk_db_get_int(result, row, 0) - 1,
			(uint64_t)jk_db_get_int(result, row, 1), jk_db_get_int(result, row, 2) != 0);
	store->reader.done.done(store->reader.done.arg, outcome->status);
}

enum jk_status dispatch_store_recall(struct dispatch_store *store, const struct dispatch_recall_question *questions, size_t count,
	void (*on_earlier)(void *arg, size_t index, uint64_t seq, bool had), const struct dispatch_store_done *done)
{
	static const unsigned oids[] = {JK_OID_TEXT, JK_OID_TEXT, JK_OID_INT8, JK_OID_UUID};
	struct jk_db_array *arrays = store->recall_arrays;
	struct jk_db_step step = {.statement = &recall_statement};

	if (!jk_db_is_idle(store->read_db))
		return JK_RETRY;
	store->reader = (struct dispatch_reader){.done = *done};
	store->on_earlier = on_earlier;
	for (int i = 0; i < 4; i++)
		jk_db_array_reset(&arrays[i], oids[i]);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_text(&arrays[0], questions[i].holder.name);
		jk_db_array_add_text(&arrays[1], questions[i].stream);
		jk_db_array_add_int(&arrays[2], (int64_t)questions[i].seq);
		jk_db_array_add_id(&arrays[3], &questions[i].incident_id);
	}
	for (int i = 0; i < 4; i++)
		jk_db_bind_array(&step, i, &arrays[i]);
	jk_db_bind_int8(&step, 4, &store->read_rows, DISPATCH_RESERVE_MAX);
	jk_db_bind_int8(&step, 5, &store->read_bytes, EARLIER_MAX);
	return jk_db_start(store->read_db, &step, 1, on_recall, store);
}
