/* cases_similar_pg.c: what is near a case in place and time, see cases_store_pg.h. */
#include <math.h>

#include "cases_row_pg.h"
#include "cases_similar_rules.h"
#include "cases_store_pg.h"

enum { QUERY_TIMEOUT_MS = 2000, SIDE_MAX = CASES_NEAR_MAX / 2 };
static const int64_t day_us = INT64_C(86400000000);

/* Nine cells, each before and after: at most 250 rows of the index each, of which the nearest in time are read. */
#define WHEN "coalesce(k.occurred_at, k.opened_at)"
#define CELLS(compare, end, order)                                                                                               \
	"(SELECT u.case_id, u.at FROM generate_series($1::int4 - 1, $1::int4 + 1) a, generate_series($2::int4 - 1, $2::int4 + "  \
	"1) "                                                                                                                    \
	"b"                                                                                                                      \
	" CROSS JOIN LATERAL (SELECT k.case_id, " WHEN " AS at FROM cases.\"case\" k WHERE k.lat IS NOT NULL"                    \
	" AND floor(k.lat * 50)::int = a AND floor(k.lon * 50)::int = b AND " WHEN " " compare " $3::timestamptz"                \
	" AND " WHEN " " end "::timestamptz ORDER BY floor(k.lat * 50)::int " order ", floor(k.lon * 50)::int " order ", " WHEN  \
	" " order " LIMIT $6::int8) u ORDER BY u.at " order " LIMIT $6::int8)"
static const struct jk_db_statement near_cells = {
	.name = "cases_near_cells",
	.sql = "SELECT " CASES_ROW_COLUMNS
	       ", n.at, n.at >= $3::timestamptz FROM (" CELLS(">=", "<= $5", "ASC") " UNION ALL " CELLS("<", ">= $4",
		       "DESC") ") n CROSS JOIN LATERAL (SELECT * FROM cases.\"case\" k WHERE k.case_id = n.case_id OFFSET 0) c",
	.params = 6,
};
/* Without a position that may be seen: those that were opened around it. */
static const struct jk_db_statement near_times = {
	.name = "cases_near_times",
	.sql = "SELECT " CASES_ROW_COLUMNS ", c.opened_at, c.opened_at >= $1::timestamptz FROM ("
	       "(SELECT * FROM cases.\"case\" k WHERE k.opened_at >= $1::timestamptz AND k.opened_at <= $3::timestamptz"
	       " ORDER BY k.opened_at, k.case_id LIMIT $4::int8) UNION ALL"
	       " (SELECT * FROM cases.\"case\" k WHERE k.opened_at < $1::timestamptz AND k.opened_at >= $2::timestamptz"
	       " ORDER BY k.opened_at DESC, k.case_id DESC LIMIT $4::int8)) c",
	.params = 4,
};

struct near {
	int64_t at_us;
	struct cases_case *cases;
	size_t count;
	double hours;
};

/* Of a side that is full, no more is known than the time up to its last. */
static void on_near(void *arg, const struct jk_db_outcome *outcome)
{
	struct near *near = arg;
	size_t sides[2] = {0};
	int64_t reach_us[2] = {0};

	if (outcome->status != JK_OK)
		return;
	const PGresult *result = outcome->results[0];
	for (int row = 0; row < PQntuples(result) && near->count < CASES_NEAR_MAX; row++) {
		int64_t away_us = jk_db_get_time_us(result, row, CASES_ROW_COLUMN_COUNT) - near->at_us;
		bool after = jk_db_get_int(result, row, CASES_ROW_COLUMN_COUNT + 1) != 0;

		cases_row_read(result, row, &near->cases[near->count++]);
		away_us = away_us < 0 ? -away_us : away_us;
		reach_us[after] = away_us > reach_us[after] ? away_us : reach_us[after];
		sides[after]++;
	}
	for (int side = 0; side < 2; side++)
		near->hours += (double)(sides[side] < SIDE_MAX ? CASES_SIMILAR_DAYS * day_us : reach_us[side]) / 3600e6;
}

static enum jk_status run(struct jk_db *db, struct jk_db_step *step, struct near *near, size_t *ret_count, double *ret_hours)
{
	enum jk_status status = jk_db_is_idle(db) ? jk_db_run(db, step, 1, QUERY_TIMEOUT_MS, on_near, near) : JK_RETRY;

	*ret_count = near->count;
	*ret_hours = near->hours;
	return status;
}

enum jk_status cases_store_near(
	struct jk_db *db, const struct cases_case *row, struct cases_case *ret_cases, size_t *ret_count, double *ret_hours)
{
	int64_t at_us = row->place.occurred_at_us ? row->place.occurred_at_us : row->opened_at_us;
	struct near near = {.at_us = at_us, .cases = ret_cases};
	struct jk_db_step step = {.statement = &near_cells};
	struct jk_db_int8 at, from, to, limit;
	uint8_t lat[4], lon[4];

	jk_put_be32(lat, (uint32_t)(int32_t)floor(row->place.lat * CASES_SIMILAR_CELLS));
	jk_put_be32(lon, (uint32_t)(int32_t)floor(row->place.lon * CASES_SIMILAR_CELLS));
	jk_db_bind_bytes(&step, 0, lat, sizeof lat);
	jk_db_bind_bytes(&step, 1, lon, sizeof lon);
	jk_db_bind_int8(&step, 2, &at, cases_row_time(at_us));
	jk_db_bind_int8(&step, 3, &from, cases_row_time(at_us - CASES_SIMILAR_DAYS * day_us));
	jk_db_bind_int8(&step, 4, &to, cases_row_time(at_us + CASES_SIMILAR_DAYS * day_us));
	jk_db_bind_int8(&step, 5, &limit, SIDE_MAX);
	return run(db, &step, &near, ret_count, ret_hours);
}

enum jk_status cases_store_near_time(
	struct jk_db *db, int64_t opened_at_us, struct cases_case *ret_cases, size_t *ret_count, double *ret_hours)
{
	struct near near = {.at_us = opened_at_us, .cases = ret_cases};
	struct jk_db_step step = {.statement = &near_times};
	struct jk_db_int8 at, from, to, limit;

	jk_db_bind_int8(&step, 0, &at, cases_row_time(opened_at_us));
	jk_db_bind_int8(&step, 1, &from, cases_row_time(opened_at_us - CASES_SIMILAR_DAYS * day_us));
	jk_db_bind_int8(&step, 2, &to, cases_row_time(opened_at_us + CASES_SIMILAR_DAYS * day_us));
	jk_db_bind_int8(&step, 3, &limit, SIDE_MAX);
	return run(db, &step, &near, ret_count, ret_hours);
}
