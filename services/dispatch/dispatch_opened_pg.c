#include "dispatch_opened_pg.h"

#include <string.h>

enum { FORGET_MAX = 1000, ROW_COLUMNS = 5 };

/* HISTORY (4) holds an older state; a mailbox is no county. */
static const struct jk_db_statement load_events = {
	.name = "dispatch_opened_events",
	.sql = "SELECT DISTINCT ON (e.incident_id, e.stream) e.incident_id, e.stream, e.recorded_at, e.revision, e.tlp, "
	       "e.category,"
	       " e.body FROM feed.event e WHERE e.incident_id = ANY ($1::uuid[]) AND e.kind < 16 AND e.kind <> 4"
	       " AND e.stream ~ '^[0-9]' ORDER BY e.incident_id, e.stream, e.seq DESC",
	.params = 1,
};
static const struct jk_db_statement load_rows = {
	.name = "dispatch_opened_rows",
	.sql = "SELECT o.incident_id, o.desk_id, o.command_id, o.digest, o.opened_at FROM dispatch.opened o"
	       " WHERE o.incident_id = ANY ($1::uuid[]) OR o.command_id = ANY ($2::uuid[])",
	.params = 2,
};
static const struct jk_db_statement save_rows = {
	.name = "dispatch_opened_save",
	.sql = "WITH put AS (INSERT INTO dispatch.opened (incident_id, desk_id, command_id, digest, opened_at)"
	       " SELECT * FROM unnest($1::uuid[], $2::int4[], $3::uuid[], $4::bytea[], $5::timestamptz[])"
	       " AS u (incident_id, desk_id, command_id, digest, opened_at) ORDER BY incident_id, desk_id"
	       " ON CONFLICT DO NOTHING RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM put), $6::int8)",
	.params = ROW_COLUMNS + 1,
};
static const struct jk_db_statement forget = {
	.name = "dispatch_opened_forget",
	.sql = "SELECT dispatch.forget_opened($1::int8)",
	.params = 1,
};

void dispatch_opened_want_reset(struct dispatch_opened_store *store)
{
	jk_db_array_reset(&store->incidents, JK_OID_UUID);
	jk_db_array_reset(&store->commands, JK_OID_UUID);
}

void dispatch_opened_want_add(
	struct dispatch_opened_store *store, const struct jk_id *incident_id, const struct jk_id *command_id)
{
	jk_db_array_add_id(&store->incidents, incident_id);
	jk_db_array_add_id(&store->commands, command_id);
}

void dispatch_opened_load_steps(struct dispatch_opened_store *store, struct jk_db_step steps[DISPATCH_OPENED_LOADS])
{
	steps[0] = (struct jk_db_step){.statement = &load_events};
	jk_db_bind_array(&steps[0], 0, &store->incidents);
	steps[1] = (struct jk_db_step){.statement = &load_rows};
	jk_db_bind_array(&steps[1], 0, &store->incidents);
	jk_db_bind_array(&steps[1], 1, &store->commands);
}

void dispatch_opened_read_event(const PGresult *result, int row, struct dispatch_opened_event *ret)
{
	size_t stream_size;

	ret->incident_id = jk_db_get_id(result, row, 0);
	ret->stream = jk_db_get_bytes(result, row, 1, &stream_size);
	ret->recorded_at_us = jk_db_get_time_us(result, row, 2);
	ret->revision = jk_db_get_int(result, row, 3);
	ret->tlp = (int)jk_db_get_int(result, row, 4);
	ret->category = (int)jk_db_get_int(result, row, 5);
	ret->body.data = jk_db_get_bytes(result, row, 6, &ret->body.size);
}

void dispatch_opened_read_row(const PGresult *result, int row, struct dispatch_opened_row *ret)
{
	size_t size;
	const void *digest = jk_db_get_bytes(result, row, 3, &size);

	*ret = (struct dispatch_opened_row){.incident_id = jk_db_get_id(result, row, 0),
		.desk_id = (int32_t)jk_db_get_int(result, row, 1),
		.command_id = jk_db_get_id(result, row, 2),
		.at_us = jk_db_get_time_us(result, row, 4)};
	if (digest != NULL && size == sizeof ret->digest)
		memcpy(ret->digest, digest, size);
}

void dispatch_opened_save_reset(struct dispatch_opened_store *store)
{
	static const unsigned oids[ROW_COLUMNS] = {JK_OID_UUID, JK_OID_INT4, JK_OID_UUID, JK_OID_BYTEA, JK_OID_TIMESTAMPTZ};

	for (int i = 0; i < ROW_COLUMNS; i++)
		jk_db_array_reset(&store->rows[i], oids[i]);
	jk_append_reset(&store->mails);
}

void dispatch_opened_save_add(struct dispatch_opened_store *store, const struct dispatch_opened_row *row)
{
	jk_db_array_add_id(&store->rows[0], &row->incident_id);
	jk_db_array_add_int(&store->rows[1], row->desk_id);
	jk_db_array_add_id(&store->rows[2], &row->command_id);
	jk_db_array_add(&store->rows[3], row->digest, sizeof row->digest);
	jk_db_array_add_time(&store->rows[4], row->at_us);
}

size_t dispatch_opened_save_steps(struct dispatch_opened_store *store, struct jk_db_step *steps)
{
	if (store->rows[0].count == 0)
		return 0;
	steps[0] = (struct jk_db_step){.statement = &save_rows};
	for (int i = 0; i < ROW_COLUMNS; i++)
		jk_db_bind_array(&steps[0], i, &store->rows[i]);
	jk_db_bind_int8(&steps[0], ROW_COLUMNS, &store->count, store->rows[0].count);
	return jk_append_step(&store->mails, &steps[1]) ? 2 : 1;
}

void dispatch_opened_forget_step(struct dispatch_opened_store *store, struct jk_db_step *ret_step)
{
	*ret_step = (struct jk_db_step){.statement = &forget};
	jk_db_bind_int8(ret_step, 0, &store->forget_max, FORGET_MAX);
}

void dispatch_opened_store_done(struct dispatch_opened_store *store)
{
	jk_db_array_done(&store->incidents);
	jk_db_array_done(&store->commands);
	for (int i = 0; i < ROW_COLUMNS; i++)
		jk_db_array_done(&store->rows[i]);
	jk_append_done(&store->mails);
}
