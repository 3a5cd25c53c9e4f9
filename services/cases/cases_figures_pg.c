/* cases_figures_pg.c: what has changed since a tally was last at the newest, see cases_store_pg.h. */
#include <inttypes.h>
#include <string.h>

#include "base/jk_text.h"
#include "cases_row_pg.h"
#include "cases_store_pg.h"

static const struct jk_db_statement horizon = {
	.name = "cases_horizon",
	.sql = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8,"
	       " (SELECT a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid())",
	.params = 0,
};
/* $4: what was written by transactions to come is left out, but in the first reading: a database that was filled from another
 * one's dump has rows of higher numbers than its own. */
static const struct jk_db_statement changed_cases = {
	.name = "cases_changed",
	.sql = "SELECT " CASES_ROW_COLUMNS ", c.changed::text::int8 FROM cases.\"case\" c"
	       " WHERE (c.changed, c.case_id) > ($1::text::xid8, $2::uuid)"
	       " AND ($4::int8 = 1 OR c.changed < pg_snapshot_xmax(pg_current_snapshot()))"
	       " ORDER BY c.changed, c.case_id LIMIT $3::int8",
	.params = 4,
};

size_t cases_store_changed(struct cases_changed *changed, struct jk_db_step *steps)
{
	(void)jk_text_format(changed->xid, sizeof changed->xid, "%" PRIu64, changed->at);
	steps[0] = (struct jk_db_step){.statement = &horizon};
	steps[1] = (struct jk_db_step){.statement = &changed_cases};
	jk_db_bind_bytes(&steps[1], 0, changed->xid, strlen(changed->xid));
	jk_db_bind_bytes(&steps[1], 1, changed->case_id.bytes, sizeof changed->case_id.bytes);
	jk_db_bind_int8(&steps[1], 2, &changed->limit, CASES_CHANGED_MAX);
	jk_db_bind_int8(&steps[1], 3, &changed->first, changed->complete == 0);
	return 2;
}

enum cases_changed_end cases_store_take_changed(
	struct cases_changed *changed, const struct jk_db_outcome *outcome, cases_store_on_changed *on_case, void *arg)
{
	const PGresult *result = outcome->results[1];
	int64_t connected_us = jk_db_get_time_us(outcome->results[0], 0, 1);
	int count = PQntuples(result);

	if (changed->connected_us != 0 && changed->connected_us != connected_us)
		return CASES_CHANGED_LOST;
	changed->connected_us = connected_us;
	if (!changed->under_way)
		changed->horizon = (uint64_t)jk_db_get_int(outcome->results[0], 0, 0);
	changed->under_way = true;
	for (int row = 0; row < count; row++) {
		struct cases_case read;

		cases_row_read(result, row, &read);
		if (!on_case(arg, &read))
			return CASES_CHANGED_STOPPED;
		changed->at = (uint64_t)jk_db_get_int(result, row, CASES_ROW_COLUMN_COUNT);
		changed->case_id = read.case_id;
	}
	if (count < CASES_CHANGED_MAX) {
		changed->under_way = false;
		changed->complete++;
		changed->at = changed->horizon;
		changed->case_id = (struct jk_id){{0}};
	}
	return CASES_CHANGED_TAKEN;
}
