#include "dispatch_duty_list_pg.h"

#include <string.h>

#include "dispatch_duty_pg.h"

/* x: what the desk has to do with the duty. */
#define COLUMNS                                                                                                                  \
	"SELECT d.duty_id, d.incident_id, d.county, d.discipline, d.version, d.state, d.holder, d.opened_at, x.standing, x.at,"  \
	" x.due_at, x.number, x.role, x.times, x.reason, x.desk_id, o.closed_why, o.event_id, o.revision, o.body_at, o.agency,"  \
	" o.categories, o.category, o.severity, o.urgency, o.status, o.tlp, o.scope, o.named"
#define JOINED                                                                                                                   \
	" JOIN dispatch.duty d ON d.duty_id = x.duty_id LEFT JOIN dispatch.open_incident o"                                      \
	" ON o.incident_id = d.incident_id AND o.stream = d.county"
#define ASKED                                                                                                                    \
	"SELECT f.duty_id, 1::int2 AS standing, f.at, f.due_at, f.offer_no AS number, 0::int2 AS role, 0 AS times, f.reason,"    \
	" f.desk_id FROM dispatch.duty_offer f WHERE f.ended_at IS NULL AND f.desk_id "
#define TOLD                                                                                                                     \
	"SELECT t.duty_id, 5::int2, t.told_at, NULL::timestamptz, -t.escalation_id, t.role, t.times, '', t.desk_id"              \
	" FROM dispatch.duty_telling t JOIN dispatch.duty k ON k.duty_id = t.duty_id"                                            \
	" WHERE t.acknowledged_at IS NULL AND k.state IN (1, 2, 4) AND t.desk_id "
#define PAGE " WHERE (x.at, x.duty_id) < ($2::timestamptz, $3::uuid) ORDER BY x.at DESC, x.duty_id DESC LIMIT $4::int8"

static const struct jk_db_statement open_page = {
	.name = "dispatch_offer_page_open",
	.sql = COLUMNS " FROM (" ASKED "= $1::int8 UNION ALL " TOLD "= $1::int8) AS x" JOINED PAGE,
	.params = 4,
};
static const struct jk_db_statement held_page = {
	.name = "dispatch_offer_page_held",
	.sql = COLUMNS
	" FROM (SELECT k.duty_id, 2::int2 AS standing, h.since AS at, NULL::timestamptz AS due_at, h.holding_no AS number,"
	" 0::int2 AS role, 0 AS times, '' AS reason, h.desk_id FROM dispatch.duty k JOIN dispatch.duty_holding h"
	" ON h.duty_id = k.duty_id AND h.until IS NULL WHERE k.holder = $1::int8) AS x" JOINED PAGE,
	.params = 4,
};
/* Of several offers of one duty the newest. */
static const struct jk_db_statement all_page = {
	.name = "dispatch_offer_page_all",
	.sql = COLUMNS
	" FROM (SELECT f.duty_id, CASE WHEN f.ended_at IS NULL THEN 1 WHEN k.holder = $1::int8 THEN 2 WHEN EXISTS"
	" (SELECT FROM dispatch.duty_holding h WHERE h.duty_id = f.duty_id AND h.desk_id = $1::int8) THEN 4 ELSE 3 END::int2"
	" AS standing, f.at, CASE WHEN f.ended_at IS NULL THEN f.due_at END AS due_at, f.offer_no AS number, 0::int2 AS role,"
	" 0 AS times, f.reason, f.desk_id FROM dispatch.duty_offer f JOIN dispatch.duty k ON k.duty_id = f.duty_id"
	" WHERE f.desk_id = $1::int8 AND f.ending IS DISTINCT FROM 4 AND NOT EXISTS (SELECT FROM dispatch.duty_offer n"
	" WHERE n.duty_id = f.duty_id AND n.desk_id = f.desk_id AND n.offer_no > f.offer_no AND n.ending IS DISTINCT FROM 4)) AS "
	"x" JOINED PAGE,
	.params = 4,
};
static const struct jk_db_statement open_offers = {
	.name = "dispatch_offer_open",
	.sql = COLUMNS " FROM (" ASKED "= ANY ($1::int4[]) UNION ALL " TOLD "= ANY ($1::int4[])) AS x" JOINED
		       " ORDER BY x.at DESC, x.duty_id LIMIT $2::int8",
	.params = 2,
};

/* Microseconds since 1970 as a binary timestamptz. */
static int64_t to_pg(int64_t time_us)
{
	return time_us - INT64_C(946684800000000);
}

void dispatch_offer_page_step(
	struct dispatch_offer_query *query, int32_t desk_id, const struct dispatch_offer_ask *ask, struct jk_db_step *ret_step)
{
	const struct jk_db_statement *statement = ask->filter == DISPATCH_FILTER_HELD  ? &held_page
						  : ask->filter == DISPATCH_FILTER_ALL ? &all_page
										       : &open_page;

	query->after = ask->after.duty_id;
	*ret_step = (struct jk_db_step){.statement = statement};
	jk_db_bind_int8(ret_step, 0, &query->desk, desk_id);
	jk_db_bind_int8(ret_step, 1, &query->at, to_pg(ask->after.at_us));
	jk_db_bind_bytes(ret_step, 2, query->after.bytes, sizeof query->after.bytes);
	jk_db_bind_int8(ret_step, 3, &query->limit, (int64_t)ask->limit + 1);
}

void dispatch_offer_open_reset(struct dispatch_offer_query *query)
{
	jk_db_array_reset(&query->desks, JK_OID_INT4);
}

void dispatch_offer_open_add(struct dispatch_offer_query *query, int32_t desk_id)
{
	jk_db_array_add_int(&query->desks, desk_id);
}

void dispatch_offer_open_step(struct dispatch_offer_query *query, size_t limit, struct jk_db_step *ret_step)
{
	*ret_step = (struct jk_db_step){.statement = &open_offers};
	jk_db_bind_array(ret_step, 0, &query->desks);
	jk_db_bind_int8(ret_step, 1, &query->limit, (int64_t)limit);
}

static void read_text(const PGresult *result, int row, int column, char *ret, size_t size)
{
	const char *text = jk_db_get_bytes(result, row, column, NULL);

	(void)jk_text_copy(ret, size, text == NULL ? "" : text);
}

void dispatch_offer_read(const PGresult *result, int row, struct dispatch_offer *ret)
{
	struct dispatch_duty *duty = &ret->duty;

	*ret = (struct dispatch_offer){.shown = false};
	duty->duty_id = jk_db_get_id(result, row, 0);
	duty->incident_id = jk_db_get_id(result, row, 1);
	read_text(result, row, 2, duty->county, sizeof duty->county);
	read_text(result, row, 3, duty->discipline, sizeof duty->discipline);
	duty->version = (int32_t)jk_db_get_int(result, row, 4);
	duty->state = (enum dispatch_duty_state)jk_db_get_int(result, row, 5);
	duty->holder = (int32_t)jk_db_get_int(result, row, 6);
	duty->opened_us = jk_db_get_time_us(result, row, 7);
	ret->standing = (enum dispatch_offer_standing)jk_db_get_int(result, row, 8);
	ret->at_us = jk_db_get_time_us(result, row, 9);
	ret->due_us = jk_db_get_time_us(result, row, 10);
	ret->number = (int32_t)jk_db_get_int(result, row, 11);
	ret->role = (int32_t)jk_db_get_int(result, row, 12);
	ret->times = (int32_t)jk_db_get_int(result, row, 13);
	read_text(result, row, 14, ret->reason, sizeof ret->reason);
	ret->desk_id = (int32_t)jk_db_get_int(result, row, 15);
	dispatch_duty_take_incident(result, row, 16, &ret->incident);
}

void dispatch_offer_query_done(struct dispatch_offer_query *query)
{
	jk_db_array_done(&query->desks);
}
