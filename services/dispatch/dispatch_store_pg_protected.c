/* dispatch_store_pg_protected.c: the one way to protected content. See dispatch_store_pg.h. */
#include "dispatch_store_pg_internal.h"

static const struct jk_db_statement fetch_statement = {
	.name = "dispatch_fetch_protected",
	.sql = "SELECT refused, reporter_salt, reporter, persons_salt, persons"
	       " FROM dispatch.disclose_protected($1::int8[], $2::uuid[], $3::int8) ORDER BY ord",
	.params = 3,
};

enum { SALT_BYTES = 16 };

static void give_row(struct dispatch_store *store, const PGresult *result, int row)
{
	const char *refused = jk_db_get_bytes(result, row, 0, NULL);
	struct dispatch_apart apart = {.size = {0}};

	for (int i = 0; i < DISPATCH_APART_GROUPS; i++) {
		size_t salt_size = 0;

		apart.salt[i] = jk_db_get_bytes(result, row, 1 + 2 * i, &salt_size);
		apart.content[i] = jk_db_get_bytes(result, row, 2 + 2 * i, &apart.size[i]);
		if (apart.salt[i] == NULL || salt_size != SALT_BYTES)
			apart.content[i] = NULL;
	}
	store->on_protected(store->protected_done.arg, (size_t)row, refused == NULL ? "" : refused, &apart);
}

static void on_fetched(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_store *store = arg;

	for (int row = 0; outcome->status == JK_OK && row < PQntuples(outcome->results[0]); row++)
		give_row(store, outcome->results[0], row);
	store->protected_done.done(store->protected_done.arg, outcome->status);
}

enum jk_status dispatch_store_fetch_protected(struct dispatch_store *store, const struct dispatch_protected_want *wants,
	size_t count, void (*on_protected)(void *arg, size_t index, const char *refused, const struct dispatch_apart *apart),
	const struct dispatch_store_done *done)
{
	struct jk_db_array *ids = &store->protected_arrays[0], *events = &store->protected_arrays[1];
	struct jk_db_step step = {.statement = &fetch_statement};

	if (!jk_db_is_idle(store->protected_db))
		return JK_RETRY;
	jk_db_array_reset(ids, JK_OID_INT8);
	jk_db_array_reset(events, JK_OID_UUID);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_int(ids, wants[i].disclosure_id);
		jk_db_array_add_id(events, &wants[i].event_id);
	}
	jk_db_bind_array(&step, 0, ids);
	jk_db_bind_array(&step, 1, events);
	jk_db_bind_int8(&step, 2, &store->protected_bytes, DISPATCH_FETCH_MAX_BYTES);
	store->protected_done = *done;
	store->on_protected = on_protected;
	return jk_db_start(store->protected_db, &step, 1, on_fetched, store);
}
