#include "services/cli/status_store_pg.h"

#include <string.h>

#include "db/db.h"
#include "services/cli/operator_store_pg.h"

/* Each gives columns subject, then named values. */
static const struct {
	const char *part, *sql;
} questions[] = {
	{"database",
		"SELECT '' AS subject, CASE WHEN pg_is_in_recovery() "
		"OR current_setting('default_transaction_read_only') = 'on' THEN 'READ_ONLY' ELSE 'READ_WRITE' END AS state, "
		"realm, (SELECT max(number) FROM meta.migration) AS migration, "
		"(SELECT version FROM registry.version) AS registry_version FROM meta.realm"},
	{"feed", "SELECT '' AS subject, CASE WHEN pg_is_in_recovery() THEN 'unknown on a standby' "
		 "ELSE coalesce(feed.current_epoch()::text, 'not confirmed') END AS epoch, "
		 "(SELECT count(*) FROM feed.head WHERE last_seq > 0 AND stream !~ '^@') AS county_streams, "
		 "(SELECT coalesce(sum(last_seq), 0) FROM feed.head) AS events, "
		 "pg_size_pretty(pg_total_relation_size('feed.event')) AS size, "
		 "(SELECT round(extract(epoch FROM clock_timestamp() - max(signed_at)))::text FROM evidence.head) AS head_age_s"},
	{"retention",
		"SELECT '' AS subject, (SELECT removed FROM meta.removal WHERE kind = 'event') AS events_removed, "
		"sum(removed) AS rows_removed, round(extract(epoch FROM clock_timestamp() - max(looked_at)))::text AS looked_s, "
		"string_agg(kind || ' by ' || held, ', ' ORDER BY kind) FILTER (WHERE held <> '') AS held FROM meta.removal"},
	{"case", "SELECT '' AS subject, count(*) AS open, count(*) FILTER (WHERE state = 1) AS new FROM cases.\"case\""},
	{"message", "SELECT '' AS subject, count(*) FILTER (WHERE state = 'PENDING') AS pending, "
		    "count(*) FILTER (WHERE state = 'DEAD') AS dead, "
		    "coalesce(round(extract(epoch FROM now() - min(created_at) FILTER (WHERE state = 'PENDING')))::text, '0') AS "
		    "oldest_s "
		    "FROM notify.message"},
	/* What will be wrong if nobody does anything. A key that another has taken over from ends as it was meant to. */
	{"warning", "SELECT 'key ' || a.code || coalesce('/' || d.code, '') || ' ' || encode(substr(sha256(k.curve_key), 1, 8), "
		    "'hex') "
		    "AS subject, CASE WHEN s.taken_over THEN 'NOTICE' WHEN k.expires_at < now() + interval '3 days' THEN 'ALARM' "
		    "WHEN k.expires_at < now() + interval '14 days' THEN 'WARN' ELSE 'NOTICE' END AS level, "
		    "CASE WHEN k.expires_at <= now() THEN 'KEY_EXPIRED' ELSE 'KEY_EXPIRES' END AS about, "
		    "to_char(k.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS at, "
		    "floor(extract(epoch FROM k.expires_at - now()) / 86400)::integer AS days "
		    "FROM registry.key k JOIN registry.agency a USING (agency_id) LEFT JOIN registry.desk d USING (desk_id) "
		    "CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM registry.key n WHERE n.replaces = k.key_id AND n.revoked_at "
		    "IS NULL) "
		    "AS taken_over) s WHERE k.expires_at < now() + interval '30 days' AND k.revoked_at IS NULL AND a.revoked_at "
		    "IS NULL "
		    "AND d.revoked_at IS NULL AND NOT (s.taken_over AND k.expires_at <= now()) ORDER BY k.expires_at LIMIT 200"},
	/* Numbers the desk has not acknowledged in the streams it has cursors or disclosures in, furthest behind first; a row of
	 * a session that is open says no more than where it began. */
	{"desk", "SELECT d.code AS subject, coalesce(sum(greatest(h.last_seq - s.seq, 0)), 0) AS behind, count(s.stream) AS "
		 "streams, "
		 "coalesce(round(extract(epoch FROM clock_timestamp() - min(o.recorded_at)))::text, '0') AS oldest_s, "
		 "to_char(max(s.at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS last_seen "
		 "FROM registry.desk d LEFT JOIN (SELECT holder, stream, max(seq) AS seq, max(at) AS at FROM ("
		 "SELECT holder, stream, seq, updated_at AS at FROM dispatch.cursor UNION ALL "
		 "SELECT holder, stream, coalesce(acked_seq, from_seq - 1), coalesce(closed_at, reserved_at) FROM "
		 "dispatch.disclosure) u "
		 "GROUP BY 1, 2) s ON s.holder = 'D' || d.desk_id LEFT JOIN feed.head h ON h.stream = s.stream "
		 "LEFT JOIN LATERAL (SELECT e.recorded_at FROM feed.event e WHERE e.stream = s.stream AND e.seq > s.seq "
		 "AND h.last_seq > s.seq ORDER BY e.seq LIMIT 1) o ON true "
		 "WHERE d.revoked_at IS NULL GROUP BY d.code ORDER BY 2 DESC, d.code"},
};

static void give_rows(const PGresult *result, const char *part, status_row *row, void *arg)
{
	for (int r = 0; r < PQntuples(result); r++)
		for (int c = 1; c < PQnfields(result); c++)
			row(arg, part, PQgetvalue(result, r, 0), PQfname(result, c), PQgetvalue(result, r, c));
}

/* To the server that can be written to, as services do; where there is none, to one that can be read. */
static PGconn *connect_to(const char *conninfo)
{
	static const char *const keywords[] = {
		"connect_timeout", "application_name", "options", "target_session_attrs", "dbname", NULL};
	static const char *const sessions[] = {"read-write", "any"};
	PGconn *connection = NULL;

	for (size_t i = 0; i < sizeof sessions / sizeof sessions[0]; i++) {
		const char *const values[] = {"3", "jukwaa status", "-c statement_timeout=5000", sessions[i], conninfo, NULL};

		PQfinish(connection);
		connection = PQconnectdbParams(keywords, values, 1);
		if (PQstatus(connection) == CONNECTION_OK || jk_db_judge(PQerrorMessage(connection)) != JK_DB_READ_ONLY)
			break;
	}
	return connection;
}

bool status_store_read(const char *conninfo, status_row *row, void *arg, const char **ret_code, char ret_reason[256])
{
	PGconn *connection = connect_to(conninfo);
	bool up = PQstatus(connection) == CONNECTION_OK;

	*ret_code = "";
	if (!up) {
		*ret_code = jk_db_trouble_code(jk_db_judge(PQerrorMessage(connection)));
		operator_store_reason(ret_reason, PQerrorMessage(connection));
	}
	for (size_t i = 0; up && i < sizeof questions / sizeof questions[0]; i++) {
		PGresult *result = PQexec(connection, questions[i].sql);

		if (PQresultStatus(result) == PGRES_TUPLES_OK) {
			give_rows(result, questions[i].part, row, arg);
		} else {
			operator_store_reason(ret_reason, PQerrorMessage(connection));
			row(arg, questions[i].part, "", "error", ret_reason);
		}
		PQclear(result);
	}
	PQfinish(connection);
	return up;
}
