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
/* Bounded before it is filtered: what one request may cost does not depend on how rare the wanted cases are. $12 to $15: what can
 * be seen at all, so that the rest need not be read; whether it may is decided afterwards, case by case. */
#define ORDER " ORDER BY opened_at DESC, case_id DESC"
#define AFTER " WHERE (opened_at, case_id) < ($1::timestamptz, $2::uuid) AND opened_at >= $3::timestamptz"
#define WANTED                                                                                                                   \
	"(agency = $12::text OR (($15::int8 & 1 = 1 OR agency = ANY ($13::text[]))"                                              \
	" AND ($15::int8 & 2 = 2 OR counties && $14::text[])))"                                                                  \
	" AND ($5::int8 = 0 OR ($5::int8 >> state) & 1 = 1) AND ($6::int8 & 1 = 1 OR status NOT IN (3, 4))"                      \
	" AND (cardinality($7::text[]) = 0 OR counties && $7::text[])"                                                           \
	" AND ($8::text = '' OR constituency = $8::text) AND ($9::int8 = 0 OR (categories::int8 >> $9::int4) & 1 = 1)"           \
	" AND ($10::text = '' OR agency = $10::text) AND ($11::int8 = 0 OR severity BETWEEN 1 AND $11::int8)"                    \
	" AND ($17::int8 = 0 OR (state <> 10 AND (target_triage_at < coalesce(triaged_at, now())"                                \
	" OR target_resolve_at < coalesce(resolved_at, now()))))"
static const struct jk_db_statement page_cases = {
	.name = "cases_page",
	.sql = "SELECT " CASES_ROW_COLUMNS ", c.n FROM (SELECT k.*, row_number() OVER () AS n"
	       " FROM (SELECT * FROM cases.\"case\"" AFTER ORDER " LIMIT $4::int8) k) c"
	       " WHERE " WANTED " LIMIT $16::int8",
	.params = 17,
};
/* By a number: few, wherever they are. */
static const struct jk_db_statement numbered_cases = {
	.name = "cases_numbered",
	.sql = "SELECT " CASES_ROW_COLUMNS ", 0 FROM cases.\"case\" c" AFTER
	       " AND case_id IN (SELECT n.case_id FROM cases.number n WHERE n.number = $4::text"
	       " UNION ALL SELECT n.case_id FROM cases.number n WHERE n.ob_number = $4::text)"
	       " AND " WANTED ORDER " LIMIT $16::int8",
	.params = 17,
};
/* The last of those that were looked at. */
static const struct jk_db_statement page_end = {
	.name = "cases_page_end",
	.sql = "SELECT opened_at, case_id FROM cases.\"case\"" AFTER ORDER " OFFSET $4::int8 - 1 LIMIT 1",
	.params = 4,
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
	size_t count, looked_at;
	struct cases_position *last;
	bool ended;
};

static void on_page(void *arg, const struct jk_db_outcome *outcome)
{
	struct page *page = arg;
	if (outcome->status != JK_OK)
		return;
	const PGresult *result = outcome->results[0];
	for (int row = 0; row < PQntuples(result) && page->count < CASES_SCAN_MAX; row++) {
		struct cases_case *seen = &page->cases[page->count++];
		cases_row_read(result, row, seen);
		*page->last = (struct cases_position){.opened_at_us = seen->opened_at_us, .case_id = seen->case_id};
		page->looked_at = (size_t)jk_db_get_int(result, row, CASES_ROW_COLUMN_COUNT);
	}
}

static void on_page_end(void *arg, const struct jk_db_outcome *outcome)
{
	struct page *page = arg;
	if (outcome->status != JK_OK)
		return;
	const PGresult *result = outcome->results[0];
	page->ended = PQntuples(result) == 0;
	if (!page->ended)
		*page->last = (struct cases_position){
			.opened_at_us = jk_db_get_time_us(result, 0, 0), .case_id = jk_db_get_id(result, 0, 1)};
}

/* The parameters that both statements share; they borrow from it. */
struct page_bounds {
	struct jk_id case_id;
	struct jk_db_int8 at, from, limit;
};

static void bind_bounds(struct jk_db_step *step, struct page_bounds *bounds, const struct cases_filter *filter,
	const struct cases_position *after, size_t limit)
{
	bounds->case_id = after->case_id;
	jk_db_bind_int8(step, 0, &bounds->at, cases_row_time(after->opened_at_us));
	jk_db_bind_bytes(step, 1, bounds->case_id.bytes, sizeof bounds->case_id.bytes);
	jk_db_bind_int8(step, 2, &bounds->from, cases_row_time(filter->from_us));
	jk_db_bind_int8(step, 3, &bounds->limit, (int64_t)limit);
}

static void add_counties(struct jk_db_array *array, uint64_t counties)
{
	char list[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	size_t count = cases_county_list(counties, list);

	jk_db_array_reset(array, JK_OID_TEXT);
	for (size_t i = 0; i < count; i++)
		jk_db_array_add_text(array, list[i]);
}

static enum jk_status read_page(struct jk_db *db, const struct cases_filter *filter, const struct cases_reach *reach,
	const struct cases_position *after, const struct cases_scan *scan, struct page *page)
{
	__attribute__((cleanup(jk_db_array_done))) struct jk_db_array wanted = {0}, owners = {0}, counties = {0};
	struct jk_db_step step = {.statement = *filter->number ? &numbered_cases : &page_cases};
	struct jk_db_int8 states, include_test, category, severity, any, fetch, breached;
	struct page_bounds bounds;

	add_counties(&wanted, filter->counties);
	add_counties(&counties, reach->counties);
	jk_db_array_reset(&owners, JK_OID_TEXT);
	for (size_t i = 0; i < reach->owner_count; i++)
		jk_db_array_add_text(&owners, reach->owners[i]);
	bind_bounds(&step, &bounds, filter, after, scan->look_at_max);
	if (*filter->number)
		jk_db_bind_bytes(&step, 3, filter->number, strlen(filter->number));
	jk_db_bind_int8(&step, 4, &states, filter->states);
	jk_db_bind_int8(&step, 5, &include_test, filter->include_test);
	jk_db_bind_array(&step, 6, &wanted);
	jk_db_bind_bytes(&step, 7, filter->constituency, strlen(filter->constituency));
	jk_db_bind_int8(&step, 8, &category, filter->category);
	jk_db_bind_bytes(&step, 9, filter->agency, strlen(filter->agency));
	jk_db_bind_int8(&step, 10, &severity, filter->severity_floor);
	jk_db_bind_bytes(&step, 11, reach->own, strlen(reach->own));
	jk_db_bind_array(&step, 12, &owners);
	jk_db_bind_array(&step, 13, &counties);
	jk_db_bind_int8(&step, 14, &any, reach->any_owner | reach->any_county << 1);
	jk_db_bind_int8(&step, 15, &fetch, (int64_t)scan->fetch_max);
	jk_db_bind_int8(&step, 16, &breached, filter->breached);
	return run(db, &step, on_page, page);
}

enum jk_status cases_store_page(struct jk_db *db, const struct cases_filter *filter, const struct cases_reach *reach,
	const struct cases_position *after, struct cases_scan *scan)
{
	struct page page = {.cases = scan->cases, .last = &scan->last};
	struct jk_db_step end = {.statement = &page_end};
	struct page_bounds bounds;
	enum jk_status status;

	scan->last = *after;
	status = read_page(db, filter, reach, after, scan, &page);
	scan->count = page.count;
	scan->looked_at = *filter->number ? page.count : page.looked_at;
	scan->more = page.count == scan->fetch_max;
	if (status != JK_OK || scan->more || *filter->number)
		return status;
	/* All that may be looked at has been: where does it end? */
	scan->looked_at = scan->look_at_max;
	bind_bounds(&end, &bounds, filter, after, scan->look_at_max);
	status = run(db, &end, on_page_end, &page);
	scan->more = !page.ended;
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
