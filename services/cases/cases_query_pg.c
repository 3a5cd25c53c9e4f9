/* cases_query_pg.c: blocking queries of cases_store_pg.h. */
#include "cases_store_pg.h"

#include <string.h>

#include "cases_row_pg.h"

enum { QUERY_TIMEOUT_MS = 2000 };

static const struct jk_db_statement find_case = {
	.name = "cases_find",
	.sql = "SELECT " CASES_ROW_COLUMNS " FROM cases.\"case\" c WHERE c.case_id = $1::uuid",
	.params = 1,
};
/* Bounded before it is filtered: what one request may cost does not depend on how rare the wanted cases are. */
static const struct jk_db_statement page_cases = {
	.name = "cases_page",
	.sql = "WITH scan AS MATERIALIZED (SELECT k.*, row_number() OVER () AS n FROM (SELECT * FROM cases.\"case\""
	       " WHERE (opened_at, case_id) < ($1::timestamptz, $2::uuid) AND opened_at >= $10::timestamptz"
	       " ORDER BY opened_at DESC, case_id DESC LIMIT $3::int8) k),"
	       " c AS (SELECT scan.*, ($4::int8 = 0 OR ($4::int8 >> state) & 1 = 1) AND ($5::int8 = 1 OR status NOT IN (3, 4))"
	       " AND (cardinality($6::text[]) = 0 OR counties && $6::text[])"
	       " AND ($7::text = '' OR constituency = $7::text) AND ($8::int8 = 0 OR (categories::int8 >> $8::int4) & 1 = 1)"
	       " AND ($9::text = '' OR agency = $9::text) AND ($11::int8 = 0 OR severity BETWEEN 1 AND $11::int8)"
	       " AS wanted FROM scan)"
	       " SELECT " CASES_ROW_COLUMNS
	       ", c.wanted, c.n FROM c WHERE c.wanted OR c.n = (SELECT max(n) FROM scan) ORDER BY c.n",
	.params = 11,
};
/* All copies of an event have the same body. */
static const struct jk_db_statement read_bodies = {
	.name = "cases_bodies",
	.sql = "SELECT u.id, e.body FROM unnest($1::uuid[]) AS u (id)"
	       " CROSS JOIN LATERAL (SELECT k.body FROM feed.event k WHERE k.event_id = u.id LIMIT 1) AS e",
	.params = 1,
};

int64_t cases_row_time(int64_t time_us)
{
	static const int64_t pg_epoch_us = INT64_C(946684800000000);
	return time_us == INT64_MAX ? INT64_MAX : time_us - pg_epoch_us;
}

static uint64_t read_counties(const PGresult *result, int row, int column)
{
	size_t size;
	const char *text = jk_db_get_bytes(result, row, column, &size);
	uint64_t counties = 0;
	for (size_t at = 0; text && at + JK_COUNTY_BYTES - 1 <= size; at += JK_COUNTY_BYTES) {
		char county[JK_COUNTY_BYTES] = {0};
		memcpy(county, text + at, JK_COUNTY_BYTES - 1);
		counties |= cases_county_bit(county);
	}
	return counties;
}

static void read_text(char *ret, size_t size, const PGresult *result, int row, int column)
{
	const char *text = jk_db_get_bytes(result, row, column, NULL);
	(void)jk_text_copy(ret, size, text ? text : "");
}

static double read_double(const PGresult *result, int row, int column)
{
	uint64_t bits = (uint64_t)jk_db_get_int(result, row, column);
	double value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

static void read_place(const PGresult *result, int row, struct cases_place *ret)
{
	ret->located = !PQgetisnull(result, row, CASES_ROW_PLACE) && !PQgetisnull(result, row, CASES_ROW_PLACE + 1);
	ret->lat = ret->located ? read_double(result, row, CASES_ROW_PLACE) : 0;
	ret->lon = ret->located ? read_double(result, row, CASES_ROW_PLACE + 1) : 0;
	read_text(ret->constituency, sizeof ret->constituency, result, row, CASES_ROW_PLACE + 2);
	ret->occurred_at_us = jk_db_get_time_us(result, row, CASES_ROW_PLACE + 3);
}

void cases_row_read(const PGresult *result, int row, struct cases_case *ret)
{
	*ret = (struct cases_case){
		.case_id = jk_db_get_id(result, row, 0),
		.state = (enum cases_state)jk_db_get_int(result, row, 1),
		.version = (int32_t)jk_db_get_int(result, row, 2),
		.entries = (int32_t)jk_db_get_int(result, row, 3),
		.counties = read_counties(result, row, 5),
		.labels =
			{
				.category = (int)jk_db_get_int(result, row, 6),
				.categories = (uint16_t)jk_db_get_int(result, row, 7),
				.severity = (int)jk_db_get_int(result, row, 8),
				.status = (int)jk_db_get_int(result, row, 9),
				.scope = (int)jk_db_get_int(result, row, 10),
				.tlp = (int)jk_db_get_int(result, row, 11),
			},
		.revision = jk_db_get_int(result, row, 12),
		.event_id = jk_db_get_id(result, row, 13),
		.opened_at_us = jk_db_get_time_us(result, row, 14),
		.updated_at_us = jk_db_get_time_us(result, row, 15),
		.event_at_us = jk_db_get_time_us(result, row, 16),
		.steps =
			{
				.accepted_at_us = jk_db_get_time_us(result, row, CASES_ROW_STEPS),
				.dispatched_at_us = jk_db_get_time_us(result, row, CASES_ROW_STEPS + 1),
				.on_scene_at_us = jk_db_get_time_us(result, row, CASES_ROW_STEPS + 2),
				.resolved_at_us = jk_db_get_time_us(result, row, CASES_ROW_STEPS + 3),
			},
	};
	read_text(ret->labels.agency, sizeof ret->labels.agency, result, row, 4);
	read_text(ret->labels.named, sizeof ret->labels.named, result, row, 17);
	read_place(result, row, &ret->place);
	cases_row_read_life(result, row, &ret->life);
}

/* Without a connection the answer comes at once; the loop sees to a new one. */
static enum jk_status run(struct jk_db *db, const struct jk_db_step *step, jk_db_done *done, void *arg)
{
	return jk_db_is_idle(db) ? jk_db_run(db, step, 1, QUERY_TIMEOUT_MS, done, arg) : JK_RETRY;
}

static void on_found(void *arg, const struct jk_db_outcome *outcome)
{
	if (outcome->status == JK_OK && PQntuples(outcome->results[0]) == 1)
		cases_row_read(outcome->results[0], 0, arg);
}

enum jk_status cases_store_find(struct jk_db *db, const struct jk_id *case_id, struct cases_case *ret_case)
{
	struct jk_db_step step = {.statement = &find_case};
	jk_db_bind_bytes(&step, 0, case_id->bytes, sizeof case_id->bytes);
	*ret_case = (struct cases_case){0};
	return run(db, &step, on_found, ret_case);
}

struct page {
	struct cases_case *cases;
	size_t count;
	struct cases_position *last;
	bool more;
};

static void on_page(void *arg, const struct jk_db_outcome *outcome)
{
	struct page *page = arg;
	if (outcome->status != JK_OK)
		return;
	const PGresult *result = outcome->results[0];
	for (int row = 0; row < PQntuples(result) && page->count < CASES_SCAN_MAX; row++) {
		struct cases_case *seen = &page->cases[page->count];
		cases_row_read(result, row, seen);
		*page->last = (struct cases_position){.opened_at_us = seen->opened_at_us, .case_id = seen->case_id};
		page->count += jk_db_get_int(result, row, CASES_ROW_COLUMN_COUNT) != 0;
		page->more = jk_db_get_int(result, row, CASES_ROW_COLUMN_COUNT + 1) == CASES_SCAN_MAX;
	}
}

enum jk_status cases_store_page(struct jk_db *db, const struct cases_filter *filter, const struct cases_position *after,
	struct cases_case *ret_cases, size_t *ret_count, struct cases_position *ret_last, bool *ret_more)
{
	__attribute__((cleanup(jk_db_array_done))) struct jk_db_array counties = {0};
	struct jk_db_step step = {.statement = &page_cases};
	struct jk_db_int8 at, limit, states, include_test, category, from, severity;
	char list[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	size_t count = cases_county_list(filter->counties, list);

	jk_db_array_reset(&counties, JK_OID_TEXT);
	for (size_t i = 0; i < count; i++)
		jk_db_array_add_text(&counties, list[i]);
	jk_db_bind_int8(&step, 0, &at, cases_row_time(after->opened_at_us));
	jk_db_bind_bytes(&step, 1, after->case_id.bytes, sizeof after->case_id.bytes);
	jk_db_bind_int8(&step, 2, &limit, CASES_SCAN_MAX);
	jk_db_bind_int8(&step, 3, &states, filter->states);
	jk_db_bind_int8(&step, 4, &include_test, filter->include_test);
	jk_db_bind_array(&step, 5, &counties);
	jk_db_bind_bytes(&step, 6, filter->constituency, strlen(filter->constituency));
	jk_db_bind_int8(&step, 7, &category, filter->category);
	jk_db_bind_bytes(&step, 8, filter->agency, strlen(filter->agency));
	jk_db_bind_int8(&step, 9, &from, cases_row_time(filter->from_us));
	jk_db_bind_int8(&step, 10, &severity, filter->severity_floor);
	*ret_last = *after;
	struct page page = {.cases = ret_cases, .last = ret_last};
	enum jk_status status = run(db, &step, on_page, &page);
	*ret_count = page.count;
	*ret_more = page.more;
	return status;
}

struct bodies {
	cases_store_on_body *on_body;
	void *arg;
};

static void on_bodies(void *arg, const struct jk_db_outcome *outcome)
{
	const struct bodies *bodies = arg;
	for (int row = 0; outcome->status == JK_OK && row < PQntuples(outcome->results[0]); row++) {
		size_t size;
		struct jk_id event_id = jk_db_get_id(outcome->results[0], row, 0);
		const uint8_t *body = jk_db_get_bytes(outcome->results[0], row, 1, &size);
		bodies->on_body(bodies->arg, &event_id, body, size);
	}
}

enum jk_status cases_store_bodies(
	struct jk_db *db, const struct jk_id *event_ids, size_t count, cases_store_on_body *on_body, void *arg)
{
	__attribute__((cleanup(jk_db_array_done))) struct jk_db_array ids = {0};
	struct jk_db_step step = {.statement = &read_bodies};
	struct bodies bodies = {.on_body = on_body, .arg = arg};
	jk_db_array_reset(&ids, JK_OID_UUID);
	for (size_t i = 0; i < count; i++)
		jk_db_array_add_id(&ids, &event_ids[i]);
	jk_db_bind_array(&step, 0, &ids);
	return run(db, &step, on_bodies, &bodies);
}
