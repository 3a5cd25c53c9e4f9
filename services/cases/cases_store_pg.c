/* cases_store_pg.c: following the feed: what a batch meets, and storing it set by set. Queries: cases_query_pg.c. */
#include "cases_store_pg.h"

#include <stdlib.h>
#include <string.h>

#include "cases_row_pg.h"

const struct jk_db_statement cases_store_positions = {
	.name = "cases_positions", .sql = "SELECT stream, seq FROM cases.cursor", .params = 0};

/* Nothing waits for this commit: lost in a crash of the database, effects and positions are lost together, and the batch is done
 * again. What a client sees before that is at worst a case that opens a second time under the same id.
 * Plans are made anew for each batch (one kept from when the table was small would go on reading all of it), and by look-ups in
 * the index: the planner takes pages for far away and would read tables of some 100,000 cases whole. */
const struct jk_db_statement cases_store_move = {
	.name = "cases_move",
	.sql = "SELECT set_config('synchronous_commit', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true),"
	       " set_config('enable_seqscan', 'off', true), cases.move($1::text[], $2::int8[], $3::int8[])",
	.params = 3,
};

/* LATERAL with OFFSET 0: one look into the index for each id. A join would be planned while the table is empty, and then read
 * all of it with every batch until the next ANALYZE. */
static const struct jk_db_statement load_cases = {
	.name = "cases_load",
	.sql = "SELECT " CASES_ROW_COLUMNS " FROM unnest($1::uuid[]) AS u (id)"
	       " CROSS JOIN LATERAL (SELECT * FROM cases.\"case\" k WHERE k.case_id = u.id OFFSET 0) AS c",
	.params = 1,
};
static const struct jk_db_statement load_entries = {
	.name = "cases_load_entries",
	.sql = "SELECT e.event_id FROM unnest($1::uuid[], $2::uuid[]) AS u (case_id, event_id) CROSS JOIN LATERAL"
	       " (SELECT k.event_id FROM cases.entry k WHERE k.case_id = u.case_id AND k.event_id = u.event_id OFFSET 0) AS e",
	.params = 2,
};

#define ROWS                                                                                                                     \
	"unnest($1::uuid[], $2::int4[], $3::int4[], $4::text[], $5::text[], $6::int2[], $7::int2[], $8::int2[], $9::int2[],"     \
	" $10::int2[], $11::int2[], $12::int8[], $13::uuid[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],"       \
	" $17::text[], $18::int4[], $19::float8[], $20::float8[], $21::text[], $22::timestamptz[], $23::timestamptz[],"          \
	" $24::timestamptz[], $25::timestamptz[])"                                                                               \
	" AS u (case_id, version, entries, agency, counties, category, categories, severity, status, scope, tlp, revision,"      \
	" event_id, opened_at, updated_at, event_at, named, loaded, lat, lon, constituency, occurred_at,"                        \
	" accepted_at, dispatched_at, on_scene_at)"

/* The narrowest target for what it is; a few rows. */
#define TARGET                                                                                                                   \
	" LEFT JOIN LATERAL (SELECT k.triage_s, k.resolve_s FROM cases.target k WHERE k.category IN (0, u.category)"             \
	" AND k.severity IN (0, u.severity) ORDER BY k.category DESC, k.severity DESC LIMIT 1) t ON true"

/* Without ON CONFLICT: a case that is there after all is another follower's, fails the transaction, and is loaded with the next
 * try. (Half the cost of the statement with a conflict clause and a count.) */
static const struct jk_db_statement open_cases = {
	.name = "cases_open",
	.sql = "INSERT INTO cases.\"case\" (case_id, incident_id, version, since_version, entries, agency, counties, category,"
	       " categories, severity, status, scope, tlp, revision, event_id, opened_at, updated_at, event_at, named,"
	       " lat, lon, constituency, occurred_at, accepted_at, dispatched_at, on_scene_at,"
	       " target_triage_at, target_resolve_at)"
	       " SELECT u.case_id, u.case_id, u.version, u.version, u.entries, u.agency, string_to_array(u.counties, ','), "
	       "u.category,"
	       " u.categories, u.severity, u.status, u.scope, u.tlp, u.revision, u.event_id, u.opened_at, u.updated_at,"
	       " u.event_at, string_to_array(u.named, ','), u.lat, u.lon, u.constituency, u.occurred_at,"
	       " u.accepted_at, u.dispatched_at, u.on_scene_at,"
	       " u.opened_at + t.triage_s * interval '1 s', u.opened_at + t.resolve_s * interval '1 s' FROM " ROWS TARGET,
	.params = CASES_CASE_COLUMNS,
};
static const struct jk_db_statement change_cases = {
	.name = "cases_change",
	.sql = "WITH put AS (UPDATE cases.\"case\" c SET changed = pg_current_xact_id(), version = u.version, entries = "
	       "u.entries, agency = u.agency,"
	       " counties = string_to_array(u.counties, ','), category = u.category, categories = u.categories,"
	       " severity = u.severity, status = u.status, scope = u.scope, tlp = u.tlp, revision = u.revision,"
	       " event_id = u.event_id, opened_at = u.opened_at, updated_at = u.updated_at,"
	       " event_at = u.event_at, named = string_to_array(u.named, ','), lat = u.lat, lon = u.lon,"
	       " constituency = u.constituency, occurred_at = u.occurred_at, accepted_at = u.accepted_at,"
	       " dispatched_at = u.dispatched_at, on_scene_at = u.on_scene_at,"
	       " target_triage_at = CASE WHEN c.category = u.category AND c.severity = u.severity AND c.opened_at = u.opened_at"
	       " THEN c.target_triage_at ELSE u.opened_at + t.triage_s * interval '1 s' END,"
	       " target_resolve_at = CASE WHEN c.category = u.category AND c.severity = u.severity AND c.opened_at = u.opened_at"
	       " THEN c.target_resolve_at ELSE u.opened_at + t.resolve_s * interval '1 s' END,"
	       " since_version = CASE WHEN c.event_id = u.event_id AND c.counties = string_to_array(u.counties, ',')"
	       " AND c.named IS NOT DISTINCT FROM string_to_array(u.named, ',') THEN c.since_version ELSE u.version END "
	       "FROM " ROWS TARGET " WHERE c.case_id = u.case_id AND c.version = u.loaded RETURNING 1)"
	       " SELECT cases.expect((SELECT count(*) FROM put), $26::int8)",
	.params = CASES_CASE_COLUMNS + 1,
};
static const struct jk_db_statement add_entries = {
	.name = "cases_add_entries",
	.sql = "INSERT INTO cases.entry (case_id, event_id, entry_no, at, kind, revision, agency, actor_agency,"
	       " actor_desk, detail) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int4[], $4::timestamptz[], $5::int2[],"
	       " $6::int8[], $7::text[], $8::text[], $9::text[], $10::bytea[])",
	.params = CASES_ENTRY_COLUMNS,
};

size_t cases_store_load(struct cases_store *store, const struct cases_batch *batch, struct jk_db_step *steps)
{
	jk_db_array_reset(&store->incidents, JK_OID_UUID);
	jk_db_array_reset(&store->report_incidents, JK_OID_UUID);
	jk_db_array_reset(&store->reports, JK_OID_UUID);
	for (size_t i = 0; i < batch->case_count; i++)
		jk_db_array_add_id(&store->incidents, &batch->cases[i].case_id);
	for (size_t i = 0; i < batch->report_count; i++) {
		jk_db_array_add_id(&store->report_incidents, &batch->report_incidents[i]);
		jk_db_array_add_id(&store->reports, &batch->reports[i]);
	}
	steps[0] = (struct jk_db_step){.statement = &load_cases};
	jk_db_bind_array(&steps[0], 0, &store->incidents);
	steps[1] = (struct jk_db_step){.statement = &load_entries};
	jk_db_bind_array(&steps[1], 0, &store->report_incidents);
	jk_db_bind_array(&steps[1], 1, &store->reports);
	return 2;
}

void cases_store_take(const struct jk_db_outcome *outcome, struct cases_batch *batch)
{
	for (int row = 0; row < PQntuples(outcome->results[0]); row++) {
		struct cases_case known;
		cases_row_read(outcome->results[0], row, &known);
		cases_batch_know_case(batch, &known);
	}
	for (int row = 0; row < PQntuples(outcome->results[1]); row++) {
		struct jk_id event_id = jk_db_get_id(outcome->results[1], row, 0);
		cases_batch_know_entry(batch, &event_id);
	}
}

static void add_time(struct jk_db_array *array, int64_t time_us)
{
	uint8_t bytes[8];
	jk_put_be64(bytes, (uint64_t)cases_row_time(time_us));
	jk_db_array_add(array, bytes, sizeof bytes);
}

static void add_counties(struct jk_db_array *array, uint64_t counties)
{
	char list[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	char text[JK_COUNTY_MAX * JK_COUNTY_BYTES];
	size_t count = cases_county_list(counties, list), size = 0;
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			text[size++] = ',';
		memcpy(text + size, list[i], JK_COUNTY_BYTES - 1);
		size += JK_COUNTY_BYTES - 1;
	}
	jk_db_array_add(array, text, (int)size);
}

static void reset_rows(struct cases_store_rows *rows)
{
	static const unsigned oids[CASES_CASE_COLUMNS] = {JK_OID_UUID, JK_OID_INT4, JK_OID_INT4, JK_OID_TEXT, JK_OID_TEXT,
		JK_OID_INT2, JK_OID_INT2, JK_OID_INT2, JK_OID_INT2, JK_OID_INT2, JK_OID_INT2, JK_OID_INT8, JK_OID_UUID,
		CASES_OID_TIMESTAMPTZ, CASES_OID_TIMESTAMPTZ, CASES_OID_TIMESTAMPTZ, JK_OID_TEXT, JK_OID_INT4, CASES_OID_FLOAT8,
		CASES_OID_FLOAT8, JK_OID_TEXT, CASES_OID_TIMESTAMPTZ, CASES_OID_TIMESTAMPTZ, CASES_OID_TIMESTAMPTZ,
		CASES_OID_TIMESTAMPTZ};
	for (size_t i = 0; i < CASES_CASE_COLUMNS; i++)
		jk_db_array_reset(&rows->columns[i], oids[i]);
}

static void add_double(struct jk_db_array *array, bool known, double value)
{
	uint8_t bytes[8];
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	jk_put_be64(bytes, bits);
	jk_db_array_add(array, known ? bytes : NULL, known ? (int)sizeof bytes : 0);
}

static struct jk_db_array *add_place(struct jk_db_array *column, const struct cases_place *place)
{
	add_double(column++, place->located, place->lat);
	add_double(column++, place->located, place->lon);
	if (*place->constituency)
		jk_db_array_add_text(column++, place->constituency);
	else
		jk_db_array_add(column++, NULL, 0);
	cases_row_add_time(column++, place->occurred_at_us);
	return column;
}

static void add_row(struct cases_store_rows *rows, const struct cases_case *row, int32_t loaded)
{
	struct jk_db_array *column = rows->columns;
	jk_db_array_add_id(column++, &row->case_id);
	jk_db_array_add_int(column++, row->version);
	jk_db_array_add_int(column++, row->entries);
	jk_db_array_add_text(column++, row->labels.agency);
	add_counties(column++, row->counties);
	jk_db_array_add_int(column++, row->labels.category);
	jk_db_array_add_int(column++, row->labels.categories);
	jk_db_array_add_int(column++, row->labels.severity);
	jk_db_array_add_int(column++, row->labels.status);
	jk_db_array_add_int(column++, row->labels.scope);
	jk_db_array_add_int(column++, row->labels.tlp);
	jk_db_array_add_int(column++, row->revision);
	jk_db_array_add_id(column++, &row->event_id);
	add_time(column++, row->opened_at_us);
	add_time(column++, row->updated_at_us);
	add_time(column++, row->event_at_us);
	jk_db_array_add_text(column++, row->labels.named);
	jk_db_array_add_int(column++, loaded);
	column = add_place(column, &row->place);
	cases_row_add_time(column++, row->steps.accepted_at_us);
	cases_row_add_time(column++, row->steps.dispatched_at_us);
	cases_row_add_time(column++, row->steps.on_scene_at_us);
}

/* 1 when there are rows to store, else 0. */
static size_t rows_step(
	struct cases_store_rows *rows, const struct jk_db_statement *statement, size_t count, struct jk_db_step *ret_step)
{
	if (count == 0)
		return 0;
	*ret_step = (struct jk_db_step){.statement = statement};
	for (int i = 0; i < CASES_CASE_COLUMNS; i++)
		jk_db_bind_array(ret_step, i, &rows->columns[i]);
	if (statement->params > CASES_CASE_COLUMNS)
		jk_db_bind_int8(ret_step, CASES_CASE_COLUMNS, &rows->expected, (int64_t)count);
	return 1;
}

static void add_word(struct jk_db_array *array, const char *word)
{
	jk_db_array_add(array, *word ? word : NULL, (int)strlen(word));
}

static size_t entries_step(struct cases_store *store, const struct cases_batch *batch, struct jk_db_step *ret_step)
{
	static const unsigned oids[CASES_ENTRY_COLUMNS] = {JK_OID_UUID, JK_OID_UUID, JK_OID_INT4, CASES_OID_TIMESTAMPTZ,
		JK_OID_INT2, JK_OID_INT8, JK_OID_TEXT, JK_OID_TEXT, JK_OID_TEXT, JK_OID_BYTEA};
	if (batch->entry_count == 0)
		return 0;
	for (size_t i = 0; i < CASES_ENTRY_COLUMNS; i++)
		jk_db_array_reset(&store->entries[i], oids[i]);
	for (size_t i = 0; i < batch->entry_count; i++) {
		const struct cases_entry *entry = &batch->entries[i];
		jk_db_array_add_id(&store->entries[0], &entry->case_id);
		jk_db_array_add_id(&store->entries[1], &entry->event_id);
		jk_db_array_add_int(&store->entries[2], entry->entry_no);
		add_time(&store->entries[3], entry->at_us);
		jk_db_array_add_int(&store->entries[4], entry->kind);
		jk_db_array_add_int(&store->entries[5], entry->revision);
		jk_db_array_add_text(&store->entries[6], entry->agency);
		add_word(&store->entries[7], entry->actor_agency);
		add_word(&store->entries[8], entry->actor_desk);
		jk_db_array_add(&store->entries[9], entry->detail, (int)entry->detail_size);
	}
	*ret_step = (struct jk_db_step){.statement = &add_entries};
	for (int i = 0; i < CASES_ENTRY_COLUMNS; i++)
		jk_db_bind_array(ret_step, i, &store->entries[i]);
	return 1;
}

static int compare_cases(const void *a, const void *b)
{
	const struct cases_case *const *left = a, *const *right = b;
	return memcmp((*left)->case_id.bytes, (*right)->case_id.bytes, sizeof(*left)->case_id.bytes);
}

/* In the order of their ids, as commands do: two that change the same cases wait for each other, and never in a ring. */
static size_t add_changed(struct cases_store_rows *rows, const struct cases_batch *batch)
{
	const struct cases_case *changed[CASES_BATCH_MAX] = {NULL};
	size_t count = 0;

	for (size_t i = 0; i < batch->case_count; i++)
		if (cases_batch_is_changed(batch, i))
			changed[count++] = &batch->cases[i];
	qsort(changed, count, sizeof *changed, compare_cases);
	for (size_t i = 0; i < count; i++)
		add_row(rows, changed[i], batch->loaded[changed[i] - batch->cases]);
	return count;
}

size_t cases_store_save(struct cases_store *store, const struct cases_batch *batch, struct jk_db_step *steps)
{
	size_t opened = 0, changed, count = 0;
	reset_rows(&store->opened);
	reset_rows(&store->changed);
	for (size_t i = 0; i < batch->case_count; i++)
		if (cases_batch_is_new(batch, i)) {
			add_row(&store->opened, &batch->cases[i], 0);
			opened++;
		}
	changed = add_changed(&store->changed, batch);
	count += rows_step(&store->opened, &open_cases, opened, &steps[count]);
	count += rows_step(&store->changed, &change_cases, changed, &steps[count]);
	count += entries_step(store, batch, &steps[count]);
	return count;
}

void cases_store_done(struct cases_store *store)
{
	jk_db_array_done(&store->incidents);
	jk_db_array_done(&store->report_incidents);
	jk_db_array_done(&store->reports);
	for (size_t i = 0; i < CASES_CASE_COLUMNS; i++) {
		jk_db_array_done(&store->opened.columns[i]);
		jk_db_array_done(&store->changed.columns[i]);
	}
	for (size_t i = 0; i < CASES_ENTRY_COLUMNS; i++)
		jk_db_array_done(&store->entries[i]);
}
