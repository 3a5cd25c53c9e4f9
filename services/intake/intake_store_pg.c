#include "services/intake/intake_store_pg.h"

#include <stdlib.h>
#include <string.h>

#include "services/intake/intake_store_sql.h"

enum jk_status intake_store_open(const char *conninfo, struct intake_store **ret_store)
{
	struct intake_store *store = calloc(1, sizeof *store);

	if (!store)
		return JK_BROKEN;
	enum jk_status status = jk_db_open(conninfo, "jukwaa-intake", &store->db);
	if (status != JK_OK)
		free(store);
	else
		*ret_store = store;
	return status;
}

void intake_store_close(struct intake_store **store_p)
{
	struct intake_store *store = *store_p;

	if (!store)
		return;
	struct store_arrays *const all[] = {&store->known, &store->newest, &store->awaited, &store->dedup, &store->report,
		&store->protected, &store->opened, &store->amended, &store->await, &store->await_over, &store->touched,
		&store->append};
	jk_db_close(&store->db);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (int j = 0; j < STORE_ARRAYS; j++)
			jk_db_array_done(&all[i]->of[j]);
	free(store->slots);
	free(store);
	*store_p = NULL;
}

struct jk_db *intake_store_db(struct intake_store *store)
{
	return store->db;
}

const uint8_t *intake_store_content_key(const struct intake_store *store)
{
	return store->has_content_key ? store->content_key : NULL;
}

uint32_t intake_store_epoch(const struct intake_store *store)
{
	return store->epoch;
}

/* ---- jobs ---- */

void store_arrays_reset(struct store_arrays *arrays, const unsigned *element_oids, int count)
{
	enum { KEEP_MAX_BYTES = 1024 * 1024 };

	for (int i = 0; i < count; i++) {
		if (arrays->of[i].bytes.capacity > KEEP_MAX_BYTES)
			jk_db_array_done(&arrays->of[i]);
		jk_db_array_reset(&arrays->of[i], element_oids[i]);
	}
}

struct jk_db_step store_step(const struct jk_db_statement *statement, struct store_arrays *arrays, int count)
{
	struct jk_db_step step = {.statement = statement};

	for (int i = 0; i < count; i++)
		jk_db_bind_array(&step, i, &arrays->of[i]);
	return step;
}

enum jk_status store_start(struct intake_store *store, const struct jk_db_step *steps, size_t count, jk_db_done *on_end,
	intake_store_done *done, void *arg)
{
	store->done = done;
	store->arg = arg;
	return jk_db_start(store->db, steps, count, on_end, store);
}

static enum intake_outcome outcome_of(const struct jk_db_outcome *end)
{
	if (end->status == JK_OK)
		return INTAKE_DONE;
	/* 53: no room on the disk, no memory. Trying again at once would not help; publishers come again. */
	if (strncmp(end->sqlstate, "53", 2) == 0)
		return INTAKE_REFUSED;
	/* 23505 unique_violation: another intake has stored one of these keys since they were loaded. */
	if (end->status == JK_RETRY || strcmp(end->sqlstate, "23505") == 0)
		return INTAKE_AGAIN;
	bool row = strncmp(end->sqlstate, "22", 2) == 0 || strncmp(end->sqlstate, "23", 2) == 0;
	return row ? INTAKE_POISON : INTAKE_REFUSED;
}

void store_finish(struct intake_store *store, const struct jk_db_outcome *end)
{
	store->done(store->arg, outcome_of(end), end->status == JK_OK ? "" : end->message);
}

static void on_begun(void *arg, const struct jk_db_outcome *end)
{
	struct intake_store *store = arg;
	size_t size = 0;

	if (end->status == JK_OK && PQntuples(end->results[0]) == 1) {
		const void *key = jk_db_get_bytes(end->results[0], 0, 0, &size);
		store->has_content_key = size == sizeof store->content_key;
		if (store->has_content_key)
			memcpy(store->content_key, key, size);
		store->epoch = (uint32_t)jk_db_get_int(end->results[1], 0, 0);
	}
	store_finish(store, end);
}

enum jk_status intake_store_begin(struct intake_store *store, intake_store_done *done, void *arg)
{
	const struct jk_db_step steps[] = {{.statement = &sql_content_key}, {.statement = &sql_epoch}};

	return store_start(store, steps, sizeof steps / sizeof *steps, on_begun, done, arg);
}
