/* cases_late_pg.c: how many cases are late now, see cases_store_pg.h. */
#include "cases_store_pg.h"

enum { QUERY_TIMEOUT_MS = 1000 };

/* By indexes that hold none but those that wait; counted no further than is worth telling. */
static const struct jk_db_statement count_late = {
	.name = "cases_late",
	.sql = "SELECT (SELECT count(*) FROM (SELECT FROM cases.\"case\" WHERE target_triage_at < now() AND triaged_at IS NULL"
	       " AND state <> 10 LIMIT 100000) t), (SELECT count(*) FROM (SELECT FROM cases.\"case\" WHERE target_resolve_at < "
	       "now()"
	       " AND resolved_at IS NULL AND state <> 10 LIMIT 100000) r)",
	.params = 0,
};

static void on_counted(void *arg, const struct jk_db_outcome *outcome)
{
	struct cases_late *late = arg;

	if (outcome->status != JK_OK)
		return;
	late->to_triage = jk_db_get_int(outcome->results[0], 0, 0);
	late->to_resolve = jk_db_get_int(outcome->results[0], 0, 1);
}

enum jk_status cases_store_late(struct jk_db *db, struct cases_late *ret)
{
	const struct jk_db_step step = {.statement = &count_late};

	*ret = (struct cases_late){0};
	return jk_db_is_idle(db) ? jk_db_run(db, &step, 1, QUERY_TIMEOUT_MS, on_counted, ret) : JK_RETRY;
}
