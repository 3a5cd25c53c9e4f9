/* admin_duty_store_pg.c: every statement of `jukwaa admin duty`. */
#include "services/cli/admin_duty_store_pg.h"

#include "services/cli/admin_store_pg_internal.h"

/* An unknown code stands for -1, which a foreign key refuses by name. */
#define DESK(param)                                                                                                              \
	"coalesce((SELECT desk_id FROM registry.desk d JOIN registry.agency a USING (agency_id) WHERE d.code = " param           \
	" AND d.revoked_at IS NULL AND a.revoked_at IS NULL), -1)"
#define DONE "CASE WHEN xmax = 0 THEN 'added' ELSE 'changed' END AS done"
/* The row as it is, where nothing was to be changed. */
#define OR_UNCHANGED(id, table, key)                                                                                             \
	" RETURNING " DONE ", " id ") SELECT done, " id " FROM d UNION ALL SELECT 'unchanged', " id " FROM " table " r WHERE "   \
	"r.revoked_at IS NULL AND " key " AND NOT EXISTS (SELECT FROM d)"
#define REMOVE(table, key, id)                                                                                                   \
	"UPDATE " table " SET revoked_at = now() WHERE revoked_at IS NULL AND " key " RETURNING 'removed' AS done, " id
#define SHOWN(param) "(r.revoked_at IS NULL OR " param "::boolean)"
#define REVOKED "d.revoked_at IS NOT NULL OR a.revoked_at IS NOT NULL"

static const char *const statements[DUTY_STATEMENTS] = {
	[DUTY_RULE_ADD] = "WITH d AS (INSERT INTO registry.duty_rule AS r "
			  "(discipline, categories, severity_floor, urgency_floor, county, answer_s, again_s, rank) "
			  "VALUES ($1, $2::smallint, coalesce($3::smallint, 0), coalesce($4::smallint, 0), $5, $6::integer, "
			  "$7::integer, coalesce($8::integer, 100)) "
			  "ON CONFLICT (discipline, categories, severity_floor, urgency_floor, coalesce(county, '')) "
			  "WHERE revoked_at IS NULL DO UPDATE SET answer_s = excluded.answer_s, again_s = excluded.again_s, "
			  "rank = coalesce($8::integer, r.rank) WHERE (r.answer_s, r.again_s, r.rank) IS DISTINCT FROM "
			  "(excluded.answer_s, excluded.again_s, coalesce($8::integer, r.rank))" OR_UNCHANGED("rule_id",
				  "registry.duty_rule",
				  "(r.discipline, r.categories, r.severity_floor, r.urgency_floor, coalesce(r.county, '')) = "
				  "($1, $2::smallint, coalesce($3::smallint, 0), coalesce($4::smallint, 0), coalesce($5, ''))"),
	[DUTY_RULE_LIST] = "SELECT rule_id, rank, discipline, categories, nullif(severity_floor, 0) AS severity, "
			   "nullif(urgency_floor, 0) AS urgency, county, answer_s, again_s, added_at, revoked_at AS removed_at "
			   "FROM registry.duty_rule r WHERE " SHOWN("$1") " ORDER BY rank, rule_id",
	[DUTY_RULE_REMOVE] = REMOVE("registry.duty_rule", "rule_id = $1::integer", "rule_id"),
	[DUTY_DESK_ADD] =
		"WITH d AS (INSERT INTO registry.duty_desk AS r (county, discipline, desk_id, rank) "
		"SELECT $1, $2, " DESK(
			"$3") ", coalesce($4::integer, (SELECT least(coalesce(max(rank), 0) + 1, 9999) "
			      "FROM registry.duty_desk WHERE (county, discipline) = ($1, $2) AND revoked_at IS NULL)) "
			      "ON CONFLICT (county, discipline, desk_id) WHERE revoked_at IS NULL "
			      "DO UPDATE SET rank = $4::integer WHERE r.rank <> $4::integer" OR_UNCHANGED("rank",
				      "registry.duty_desk", "(r.county, r.discipline, r.desk_id) = ($1, $2, " DESK("$3") ")"),
	[DUTY_DESK_LIST] = "SELECT r.county, r.discipline, r.rank, d.code AS desk, a.code AS agency, " REVOKED
			   " AS desk_revoked, r.added_at, r.revoked_at AS removed_at FROM registry.duty_desk r "
			   "JOIN registry.desk d USING (desk_id) JOIN registry.agency a USING (agency_id) WHERE " SHOWN(
				   "$1") " AND r.county = coalesce($2, r.county) AND r.discipline = coalesce($3, r.discipline) "
					 "ORDER BY r.county, r.discipline, r.rank, r.desk_id",
	[DUTY_DESK_REMOVE] = REMOVE("registry.duty_desk",
		"(county, discipline) = ($1, $2) AND desk_id = (SELECT desk_id FROM registry.desk WHERE code = $3)", "rank"),
	[DUTY_ESCALATION_ADD] =
		"WITH d AS (INSERT INTO registry.escalation AS r (role, severity_floor, county, after_s, again_s, desk_id) "
		"VALUES ($1, coalesce($2::smallint, 0), $3, $4::integer, $5::integer, " DESK(
			"$6") ") ON CONFLICT (role, severity_floor, coalesce(county, ''), desk_id) WHERE revoked_at IS NULL "
			      "DO UPDATE SET after_s = excluded.after_s, again_s = excluded.again_s "
			      "WHERE (r.after_s, r.again_s) <> (excluded.after_s, excluded.again_s)" OR_UNCHANGED("escalation_id",
				      "registry.escalation",
				      "(r.role, r.severity_floor, coalesce(r.county, ''), r.desk_id) = "
				      "($1, coalesce($2::smallint, 0), coalesce($3, ''), " DESK("$6") ")"),
	[DUTY_ESCALATION_LIST] = "SELECT r.escalation_id, r.role, nullif(r.severity_floor, 0) AS severity, r.county, r.after_s, "
				 "r.again_s, d.code AS desk, a.code AS agency, " REVOKED
				 " AS desk_revoked, r.added_at, r.revoked_at AS removed_at FROM registry.escalation r "
				 "JOIN registry.desk d USING (desk_id) JOIN registry.agency a USING (agency_id) WHERE " SHOWN(
					 "$1") " ORDER BY r.after_s, r.escalation_id",
	[DUTY_ESCALATION_REMOVE] = REMOVE("registry.escalation", "escalation_id = $1::integer", "escalation_id"),
	[DUTY_SHOW_COUNTY] =
		"SELECT county, name, (SELECT realm FROM meta.realm) AS realm FROM registry.county WHERE county = $1",
	[DUTY_SHOW_RULES] =
		"SELECT rule_id, rank, discipline, categories, severity_floor, urgency_floor, answer_s, again_s "
		"FROM registry.duty_rule WHERE revoked_at IS NULL AND coalesce(county, $1) = $1 ORDER BY rank, rule_id",
	/* Those of the county, then its neighbours' one county after the other; nobody twice. */
	[DUTY_SHOW_DESKS] =
		"SELECT discipline, county, desk, agency, desk_revoked FROM (SELECT r.discipline, r.county, r.rank, "
		"r.desk_id, d.code AS desk, a.code AS agency, " REVOKED
		" AS desk_revoked, row_number() OVER (PARTITION BY r.discipline, r.desk_id "
		"ORDER BY r.county <> $1, r.county, r.rank) AS time FROM registry.duty_desk r "
		"JOIN registry.desk d USING (desk_id) JOIN registry.agency a USING (agency_id) WHERE r.revoked_at IS NULL "
		"AND (r.county = $1 OR r.county IN (SELECT neighbour FROM registry.neighbour n WHERE n.county = $1))) s "
		"WHERE time = 1 ORDER BY discipline, county <> $1, county, rank, desk_id",
	[DUTY_SHOW_ESCALATIONS] =
		"SELECT r.role, r.severity_floor, r.after_s, r.again_s, d.code AS desk, a.code AS agency, " REVOKED
		" AS desk_revoked FROM registry.escalation r JOIN registry.desk d USING (desk_id) "
		"JOIN registry.agency a USING (agency_id) WHERE r.revoked_at IS NULL AND "
		"coalesce(r.county, $1) = $1 ORDER BY r.after_s, r.escalation_id",
};

struct admin_rows *duty_store_run(
	struct admin_store *store, enum duty_statement statement, const char *const *params, int count, int *ret_status)
{
	return admin_run(store, statements[statement], params, count, ret_status);
}
