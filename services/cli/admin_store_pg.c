/* admin_store_pg.c: every statement of the operator's commands, and how its rows are printed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jk_time.h"
#include "db/db.h"
#include "services/cli/admin_store_pg_internal.h"
#include "json/json_map.h"

/* Each ADD answers "added", "changed" or "revoked" (what was revoked stays so until it is reinstated), or nothing where all
 * is as asked already. What an unknown code stands for is given as -1, which a foreign key refuses by name: as NULL it would
 * mean "any". */
#define DONE "CASE WHEN xmax = 0 THEN 'added' ELSE 'changed' END AS done"
#define ADD(insert, table, key)                                                                                                  \
	"WITH d AS (" insert " RETURNING " DONE ") SELECT done FROM d UNION ALL SELECT 'revoked' FROM " table " WHERE " key      \
	" AND revoked_at IS NOT NULL"
#define REVOKE(table, key)                                                                                                       \
	"UPDATE " table " SET revoked_at = coalesce(revoked_at, now()) WHERE " key " RETURNING 'revoked' AS done"
#define REINSTATE(table, key) "UPDATE " table " SET revoked_at = NULL WHERE " key " RETURNING 'reinstated' AS done"
#define AGENCY(param) "(SELECT agency_id FROM registry.agency WHERE code = " param " AND revoked_at IS NULL)"
#define DESK(param) "(SELECT desk_id FROM registry.desk WHERE code = " param " AND revoked_at IS NULL)"
/* A desk of that agency. */
#define DESK_OF(param, agency)                                                                                                   \
	"(SELECT desk_id FROM registry.desk JOIN registry.agency a USING (agency_id) WHERE desk.code = " param                   \
	" AND desk.revoked_at IS NULL AND a.code = " agency ")"
/* When a key ends: "infinity" is written as none; not given, it stays as it was. */
#define END_TIME(param) "nullif(" param "::text::timestamptz, 'infinity')"
#define KEPT_END(param) "CASE WHEN " param "::text IS NULL THEN r.expires_at ELSE excluded.expires_at END"
/* As in the services' logs. */
#define FINGERPRINT(alias) "encode(substr(sha256(" alias ".curve_key), 1, 8), 'hex')"
#define GIVEN(param, found) "CASE WHEN " param "::text IS NOT NULL THEN coalesce(" found ", -1) END"

static const char *const statements[ADMIN_STATEMENTS] = {
	/* What only adding again has left out stays: it would open more, or leave acts without a signer. */
	[ADMIN_AGENCY_ADD] = ADD("INSERT INTO registry.agency AS r (code, name, strict, refuse_expired, agreements_only, "
				 "require_signature) VALUES ($1, $2, $3::boolean, $4::boolean, $5::boolean, $6::boolean) "
				 "ON CONFLICT (code) DO UPDATE SET name = excluded.name, strict = excluded.strict, "
				 "refuse_expired = excluded.refuse_expired, "
				 "agreements_only = r.agreements_only OR excluded.agreements_only, "
				 "require_signature = r.require_signature OR excluded.require_signature "
				 "WHERE r.revoked_at IS NULL AND (r.name, r.strict, r.refuse_expired, r.agreements_only, "
				 "r.require_signature) "
				 "IS DISTINCT FROM (excluded.name, excluded.strict, excluded.refuse_expired, "
				 "r.agreements_only OR excluded.agreements_only, "
				 "r.require_signature OR excluded.require_signature)",
		"registry.agency", "code = $1"),
	[ADMIN_AGENCY_SET] =
		"UPDATE registry.agency SET agreements_only = coalesce($2::boolean, agreements_only), "
		"require_signature = coalesce($3::boolean, require_signature) WHERE code = $1 RETURNING 'changed' AS done",
	[ADMIN_AGENCY_LIST] =
		"SELECT code, name, strict, refuse_expired, agreements_only, require_signature, added_at, revoked_at FROM "
		"registry.agency ORDER BY code",
	[ADMIN_AGENCY_REVOKE] = REVOKE("registry.agency", "code = $1"),
	[ADMIN_AGENCY_REINSTATE] = REINSTATE("registry.agency", "code = $1"),
	[ADMIN_DESK_ADD] =
		ADD("INSERT INTO registry.desk AS r (code, agency_id, name) "
		    "VALUES ($1, coalesce(" AGENCY(
			    "$2") ", -1), $3) "
				  "ON CONFLICT (code) DO UPDATE SET agency_id = excluded.agency_id, name = excluded.name "
				  "WHERE r.revoked_at IS NULL AND (r.agency_id, r.name) IS DISTINCT FROM (excluded.agency_id, "
				  "excluded.name)",
			"registry.desk", "code = $1"),
	[ADMIN_DESK_LIST] = "SELECT d.code, a.code AS agency, d.name, d.added_at, d.revoked_at FROM registry.desk d "
			    "JOIN registry.agency a USING (agency_id) ORDER BY d.code",
	[ADMIN_DESK_REVOKE] = REVOKE("registry.desk", "code = $1"),
	[ADMIN_DESK_REINSTATE] = REINSTATE("registry.desk", "code = $1"),
	/* A desk's key belongs to the desk's agency. */
	[ADMIN_KEY_ADD] =
		ADD("INSERT INTO registry.key AS r "
		    "(curve_key, sign_key, role, realm, agency_id, desk_id, cap_senders, may_sign, rate_limit, note, valid_from, "
		    "expires_at) "
		    "VALUES (decode($1, 'hex'), decode($2, 'hex'), $3, coalesce($4, (SELECT realm FROM meta.realm)), "
		    "coalesce(" AGENCY("$5") ", -1), " GIVEN("$6",
			    DESK_OF("$6",
				    "$5")) ", $7::text[], $8::boolean, $9::integer, $10, "
					   "$11::timestamptz, " END_TIME(
						   "$12") ") "
							  "ON CONFLICT (curve_key) DO UPDATE SET sign_key = excluded.sign_key, "
							  "role = excluded.role, "
							  "realm = excluded.realm, agency_id = excluded.agency_id, desk_id = "
							  "excluded.desk_id, "
							  "cap_senders = excluded.cap_senders, may_sign = r.may_sign OR "
							  "excluded.may_sign, "
							  "rate_limit = excluded.rate_limit, note = excluded.note, "
							  "valid_from = coalesce(excluded.valid_from, r.valid_from), "
							  "expires_at = " KEPT_END(
								  "$12") " "
									 "WHERE r.revoked_at IS NULL AND (r.sign_key, r.role, "
									 "r.realm, r.agency_id, r.desk_id, r.cap_senders, "
									 "r.may_sign, "
									 "r.rate_limit, r.note, r.valid_from, r.expires_at) IS "
									 "DISTINCT FROM "
									 "(excluded.sign_key, excluded.role, excluded.realm, "
									 "excluded.agency_id, excluded.desk_id, "
									 "excluded.cap_senders, r.may_sign OR excluded.may_sign, "
									 "excluded.rate_limit, excluded.note, "
									 "coalesce(excluded.valid_from, r.valid_from), " KEPT_END(
										 "$12") ")",
			"registry.key", "curve_key = decode($1, 'hex')"),
	[ADMIN_KEY_ROTATE] = "SELECT * FROM registry.rotate_key(decode($1, 'hex'), decode($2, 'hex'), decode($3, 'hex'), "
			     "$4::interval, " END_TIME("$5") ")",
	[ADMIN_KEY_LIST] =
		"SELECT " FINGERPRINT("k") " AS fingerprint, encode(k.curve_key, 'hex') AS curve_public, k.role, k.realm, "
					   "a.code AS agency, d.code AS desk, array_to_string(k.cap_senders, ' ') AS "
					   "cap_senders, k.may_sign, k.rate_limit, "
					   "k.note, k.added_at, k.valid_from, k.expires_at, (SELECT " FINGERPRINT(
						   "o") " FROM registry.key o WHERE o.key_id = "
							"k.replaces) AS replaces, k.revoked_at "
							"FROM registry.key k JOIN registry.agency a USING (agency_id) LEFT JOIN "
							"registry.desk d USING (desk_id) "
							"ORDER BY k.key_id",
	[ADMIN_KEY_REVOKE] = REVOKE("registry.key", "curve_key = decode($1, 'hex')"),
	[ADMIN_KEY_REINSTATE] = REINSTATE("registry.key", "curve_key = decode($1, 'hex')"),
	[ADMIN_ALLOW_ADD] = "WITH wanted AS (SELECT coalesce(" DESK("$1") ", -1) AS desk_id, " GIVEN("$2",
		AGENCY("$2")) " AS agency_id, $3::text AS county, $4::smallint AS category, "
			      "$5::smallint AS tlp_ceiling, $6::timestamptz AS valid_until) "
			      "INSERT INTO registry.allow (desk_id, agency_id, county, category, tlp_ceiling, valid_until) "
			      "SELECT * FROM wanted w WHERE NOT EXISTS (SELECT FROM registry.allow r WHERE r.revoked_at IS NULL "
			      "AND r.desk_id = w.desk_id AND (r.agency_id, r.county, r.category, r.tlp_ceiling, r.valid_until) "
			      "IS NOT DISTINCT FROM (w.agency_id, w.county, w.category, w.tlp_ceiling, w.valid_until)) "
			      "RETURNING 'added' AS done, allow_id",
	[ADMIN_ALLOW_LIST] =
		"SELECT w.allow_id, d.code AS desk, a.code AS agency, w.county, w.category, w.tlp_ceiling, "
		"w.valid_from, w.valid_until, w.revoked_at FROM registry.allow w JOIN registry.desk d USING (desk_id) "
		"LEFT JOIN registry.agency a ON a.agency_id = w.agency_id "
		"WHERE $1::text IS NULL OR d.code = $1 ORDER BY w.allow_id",
	[ADMIN_ALLOW_LIST_GRANTS] =
		"SELECT 'ALLOW' AS state, w.allow_id, coalesce(a.code, '*') AS provider, d.code AS desk, w.county, w.category, "
		"w.tlp_ceiling, w.valid_until FROM registry.allow w JOIN registry.desk d USING (desk_id) "
		"LEFT JOIN registry.agency a ON a.agency_id = w.agency_id WHERE w.revoked_at IS NULL ORDER BY w.allow_id",
	[ADMIN_ALLOW_REVOKE] = REVOKE("registry.allow", "allow_id = $1::integer"),
	[ADMIN_TARGET_ADD] =
		"INSERT INTO cases.target AS r (category, severity, triage_s, resolve_s) SELECT coalesce($1::smallint, 0), "
		"coalesce($2::smallint, 0), extract(epoch FROM $3::interval)::integer, "
		"extract(epoch FROM $4::interval)::integer ON CONFLICT (category, severity) DO UPDATE SET "
		"triage_s = excluded.triage_s, resolve_s = excluded.resolve_s WHERE (r.triage_s, r.resolve_s) "
		"IS DISTINCT FROM (excluded.triage_s, excluded.resolve_s) RETURNING " DONE ", target_id",
	[ADMIN_TARGET_LIST] = "SELECT target_id, nullif(category, 0) AS category, nullif(severity, 0) AS severity, "
			      "triage_s * interval '1 second' AS triage, resolve_s * interval '1 second' AS resolve "
			      "FROM cases.target ORDER BY category, severity",
	[ADMIN_TARGET_REMOVE] = "DELETE FROM cases.target WHERE target_id = $1::integer RETURNING 'removed' AS done",
	[ADMIN_RULE_ADD] =
		ADD("INSERT INTO notify.rule AS r "
		    "(name, desk_id, county, category, minimum_severity, include_test, url, secret_file) "
		    "VALUES ($1, coalesce(" DESK(
			    "$2") ", -1), $3, $4::smallint, $5::smallint, $6::boolean, $7, $8) "
				  "ON CONFLICT (name) DO UPDATE SET desk_id = excluded.desk_id, county = excluded.county, "
				  "category = excluded.category, minimum_severity = excluded.minimum_severity, "
				  "include_test = excluded.include_test, url = excluded.url, secret_file = excluded.secret_file "
				  "WHERE r.revoked_at IS NULL AND "
				  "(r.desk_id, r.county, r.category, r.minimum_severity, r.include_test, r.url, r.secret_file) "
				  "IS DISTINCT FROM "
				  "(excluded.desk_id, excluded.county, excluded.category, excluded.minimum_severity, "
				  "excluded.include_test, "
				  "excluded.url, excluded.secret_file)",
			"notify.rule", "name = $1"),
	[ADMIN_RULE_LIST] = "SELECT r.name, d.code AS desk, r.county, r.category, r.minimum_severity, r.include_test, r.url, "
			    "r.secret_file, r.revoked_at FROM notify.rule r JOIN registry.desk d USING (desk_id) ORDER BY r.name",
	[ADMIN_RULE_REVOKE] = REVOKE("notify.rule", "name = $1"),
	[ADMIN_RULE_REINSTATE] = REINSTATE("notify.rule", "name = $1"),
	[ADMIN_DEAD_LIST] =
		"SELECT m.message_id, r.name AS rule, m.incident_id, m.county, m.attempts, m.created_at, m.last_error "
		"FROM notify.message m JOIN notify.rule r USING (rule_id) WHERE m.state = 'DEAD' ORDER BY m.created_at",
	[ADMIN_DEAD_REQUEUE] =
		"WITH again AS (UPDATE notify.message SET state = 'PENDING', attempts = 0, next_attempt_at = now() "
		"WHERE state = 'DEAD' AND CASE WHEN $1::text IS NULL THEN $2::boolean ELSE message_id::text = lower($1) END "
		"RETURNING 1) "
		"SELECT 'requeued' AS done, count(*) AS messages FROM again HAVING count(*) > 0 OR $1::text IS NULL",
	[ADMIN_EPOCH_CONFIRM] = "SELECT 'confirmed' AS done, feed.confirm_epoch() AS epoch",
	[ADMIN_EPOCH_SHOW] =
		"SELECT epoch, timeline, confirmed_at, epoch = feed.current_epoch() AS current FROM feed.epoch ORDER BY epoch",
	[ADMIN_RETENTION_SET] = "SELECT done FROM meta.set_retention($1, nullif($2, 'forever')::integer) AS r (done)",
	/* days NULL: kept for ever. */
	[ADMIN_RETENTION_LIST] =
		"SELECT k.kind, (extract(epoch FROM k.keep) / 86400)::integer AS days, coalesce(d.removed, 0) AS removed, "
		"d.removed_at, concat_ws(', ', nullif(d.held, ''), CASE WHEN k.kind NOT IN ('spool', 'head') AND n.holds > 0 "
		"THEN n.holds || ' incidents under legal hold' END) AS held, k.what "
		"FROM meta.retention t CROSS JOIN (SELECT count(*) AS holds FROM meta.held) AS n CROSS JOIN LATERAL (VALUES "
		"(1, 'event', event, 'events of the feed'), (2, 'report', report, 'reports as received'), "
		"(8, 'protected', protected, 'reporter and persons, and the bytes received that hold them'), "
		"(3, 'dedup', dedup, 'keys by which a repetition is known'), (4, 'spool', spool, 'no spool repeats a report "
		"later'), "
		"(5, 'disclosure', disclosure, 'what may have been given to whom'), "
		"(6, 'access', access, 'who read which case, and what for'), "
		"(7, 'message', message, 'what notify told, and its attempts'), (8, 'head', head, 'signed heads')) "
		"AS k (place, kind, keep, what) LEFT JOIN meta.removal d USING (kind) ORDER BY k.place",
	[ADMIN_RETENTION_CONFIRM] = "SELECT 'confirmed' AS done, meta.confirm_clock() AS clock",
	/* Times of the oldest first. under: why the case named was shown; without one, all that were. */
	[ADMIN_ACCESS_LIST] =
		"SELECT r.at, g.code AS agency, coalesce(d.code, '') AS desk, left(encode(k.curve_key, 'hex'), 16) AS key, "
		"r.asked, "
		"r.purpose, r.note, r.granted, CASE WHEN r.granted THEN cardinality(r.case_ids) ELSE 0 END AS shown, "
		"coalesce($1::uuid, CASE r.asked WHEN 'SHOW' THEN r.case_ids[1] END) AS \"case\", "
		"CASE WHEN $1::uuid IS NULL THEN (SELECT coalesce(string_agg(DISTINCT u, ','), '') FROM unnest(r.under) u) "
		"ELSE r.under[array_position(r.case_ids, $1::uuid)] END AS under, r.query, r.policy_version "
		"FROM (SELECT a.* FROM cases.access a WHERE ($1::uuid IS NULL OR a.case_ids @> ARRAY[$1::uuid]) "
		"AND ($2::text IS NULL OR a.agency_id = (SELECT agency_id FROM registry.agency WHERE code = $2)) "
		"AND ($3::timestamptz IS NULL OR a.at >= $3) ORDER BY a.access_id DESC LIMIT $4::bigint) r "
		"JOIN registry.agency g USING (agency_id) JOIN registry.key k USING (key_id) "
		"LEFT JOIN registry.desk d ON d.desk_id = r.desk_id ORDER BY r.access_id",
	[ADMIN_ERASE] = "SELECT done, erasure_id, event_id, array_to_string(streams, ' ') AS streams, events, reports, "
			"protected, unparted "
			"FROM intake.erase($1::uuid, $2::integer, $3::boolean, $4, $5)",
	[ADMIN_ERASURE_LIST] =
		"SELECT e.erasure_id, e.incident_id, e.at, e.by, e.reason, (SELECT string_agg(g.name, ' ' ORDER BY g.tag) "
		"FROM (VALUES (5, 'narrative'), (6, 'resources'), (7, 'references'), (9, 'reporter'), (10, "
		"'persons'), (11, 'registration'), (12, 'position'), (13, 'words')) AS g (tag, name) "
		"WHERE e.groups >> g.tag & 1 = 1) AS groups, e.superseded, e.event_id, e.events, e.reports, "
		"e.protected FROM intake.erasure e WHERE $1::text IS NULL OR e.incident_id::text = lower($1) "
		"ORDER BY e.erasure_id",
	[ADMIN_HOLD_ADD] = "SELECT done, hold_id, events, reports FROM meta.add_hold($1::uuid, $2, $3, $4::timestamptz)",
	/* apart: events that were due to be removed and are kept for the hold. */
	[ADMIN_HOLD_LIST] = "SELECT h.hold_id, h.incident_id, h.reason, h.by, h.added_at, h.until, h.released_at, "
			    "CASE WHEN h.released_at IS NOT NULL THEN 'RELEASED' WHEN h.until <= clock_timestamp() THEN 'ENDED' "
			    "ELSE 'STANDS' END AS state, (SELECT count(*) FROM feed.held k WHERE k.incident_id = h.incident_id) "
			    "AS apart FROM meta.hold h ORDER BY h.hold_id",
	[ADMIN_HOLD_RELEASE] = "SELECT done FROM meta.release_hold($1::bigint) AS r (done)",
};

struct admin_rows {
	PGresult *result;
};

PGconn *admin_connect(const char *conninfo, const char *database, int wait_s, int *ret_status)
{
	const char *const names[] = {"dbname", "application_name", "connect_timeout", database ? "dbname" : NULL, NULL};
	const char *const values[] = {conninfo, "jukwaa", "5", database, NULL};
	int64_t end_ms = jk_time_mono_ms() + wait_s * 1000L;
	for (;;) {
		PGconn *link = PQconnectdbParams(names, values, 1);
		if (PQstatus(link) == CONNECTION_OK) {
			PQclear(PQexec(link, "SET TimeZone TO 'UTC'; SET DateStyle TO ISO"));
			return link;
		}
		if (jk_time_mono_ms() >= end_ms) {
			bool refused = jk_db_judge(PQerrorMessage(link)) == JK_DB_LOGIN_REFUSED;
			*ret_status = cli_fail(refused ? CLI_NOT_PERMITTED : CLI_UNREACHABLE,
				refused ? "check user, password and database in JUKWAA_DATABASE"
					: "check JUKWAA_DATABASE, and that PostgreSQL runs",
				"%s", PQerrorMessage(link));
			PQfinish(link);
			return NULL;
		}
		PQfinish(link);
		usleep(200000);
	}
}

struct admin_store *admin_store_open(const struct cli *cli, int wait_s, int *ret_status)
{
	if (!cli->database) {
		*ret_status = cli_fail(CLI_USAGE, "set JUKWAA_DATABASE, for example by sourcing admin.env",
			"this command works on the database, and none is named");
		return NULL;
	}
	PGconn *link = admin_connect(cli->database, NULL, wait_s, ret_status);
	struct admin_store *store = link ? calloc(1, sizeof *store) : NULL;
	if (store)
		store->link = link;
	else if (link)
		PQfinish(link);
	return store;
}

void admin_store_close(struct admin_store **store_p)
{
	if (*store_p)
		PQfinish((*store_p)->link);
	free(*store_p);
	*store_p = NULL;
}

#define DISCIPLINE "a discipline is 1 to 16 of A-Z 0-9 _, and begins with a letter: POLICE, AMBULANCE, FIRE"
/* What a constraint of the schema means to whoever typed the command. */
static const char *constraint_words(const char *constraint)
{
	static const struct {
		const char *constraint, *words;
	} list[] = {
		{"agency_code_check", "a code is 1 to 32 of A-Z 0-9 _ -, and begins with a letter or digit"},
		{"desk_code_check", "a code is 1 to 32 of A-Z 0-9 _ -, and begins with a letter or digit"},
		{"desk_agency_id_fkey", "there is no such agency, or it is revoked"},
		{"key_agency_id_fkey", "there is no such agency, or it is revoked"},
		{"key_desk_id_fkey", "that agency has no such desk, or it is revoked"},
		{"key_role_check", "a role is publisher, desk or operator"},
		{"key_realm_check", "a realm is live or exercise"},
		{"key_expires_at_check", "a key ends at a time after the year 2000, or never"},
		{"key_valid_from_check", "a key begins at a time after the year 2000"},
		{"key_check", "role desk needs --desk; other roles have none"},
		{"allow_desk_id_fkey", "there is no such desk, or it is revoked"},
		{"allow_agency_id_fkey", "there is no such agency, or it is revoked"},
		{"allow_county_fkey", "there is no such county; counties are 001 to 047"},
		{"allow_tlp_ceiling_check", "RED is for those named only; the highest ceiling is AMBER_STRICT"},
		{"rule_desk_id_fkey", "there is no such desk, or it is revoked"},
		{"rule_county_fkey", "there is no such county; counties are 001 to 047"},
		{"rule_minimum_severity_check", "a minimum severity is EXTREME, SEVERE, MODERATE or MINOR"},
		{"rule_url_check", "a url begins with http:// or https://"},
		{"duty_rule_discipline_check", DISCIPLINE},
		{"duty_rule_county_fkey", "there is no such county; counties are 001 to 047"},
		{"duty_desk_discipline_check", DISCIPLINE},
		{"duty_desk_county_fkey", "there is no such county; counties are 001 to 047"},
		{"duty_desk_desk_id_fkey", "there is no such desk, or it is revoked"},
		{"escalation_county_fkey", "there is no such county; counties are 001 to 047"},
		{"escalation_desk_id_fkey", "there is no such desk, or it is revoked"},
		{"escalation_role_check", "a role is COUNTY_COMMISSIONER, REGIONAL or NATIONAL"},
		{"retention_dedup_spool_check",
			"dedup must be kept at least as long as spool: a repetition would be stored twice"},
		{"retention_dedup_report_check", "dedup must be kept at least as long as report"},
		{"retention_dedup_event_check", "dedup must be kept at least as long as event"},
		{"retention_head_check", "head must be kept at least as long as event: signed heads vouch for what is removed"},
	};
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		if (!strcmp(list[i].constraint, constraint))
			return list[i].words;
	return NULL;
}

int admin_fail(PGconn *link, const PGresult *result, const char *what)
{
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *message = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	const char *constraint = result ? PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME) : NULL;
	const char *words = constraint ? constraint_words(constraint) : NULL;
	if (!state)
		return cli_fail(CLI_UNREACHABLE, "check that PostgreSQL runs", "%s: %s", what, PQerrorMessage(link));
	if (!strcmp(state, "42501"))
		return cli_fail(CLI_NOT_PERMITTED, "use the connection of admin.env", "%s: %s", what, message);
	if (!strcmp(state, "3F000") || !strcmp(state, "42P01"))
		return cli_fail(CLI_REFUSED, "run: jukwaa admin migrate", "%s: the database is not migrated", what);
	return cli_fail(CLI_REFUSED, NULL, "%s: %s", what, words ? words : message);
}

struct admin_rows *admin_store_run(
	struct admin_store *store, enum admin_statement statement, const char *const *params, int count, int *ret_status)
{
	return admin_run(store, statements[statement], params, count, ret_status);
}

struct admin_rows *admin_run(
	struct admin_store *store, const char *statement, const char *const *params, int count, int *ret_status)
{
	PGresult *result = PQexecParams(store->link, statement, count, NULL, params, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK) {
		*ret_status = admin_fail(store->link, result, "the database refused it");
		PQclear(result);
		return NULL;
	}
	struct admin_rows *rows = calloc(1, sizeof *rows);
	if (!rows) {
		PQclear(result);
		*ret_status = cli_fail(CLI_REFUSED, NULL, "out of memory");
		return NULL;
	}
	rows->result = result;
	return rows;
}

int admin_rows_count(const struct admin_rows *rows)
{
	return PQntuples(rows->result);
}

const char *admin_rows_text(const struct admin_rows *rows, const char *column)
{
	return admin_rows_text_at(rows, 0, column);
}

const char *admin_rows_text_at(const struct admin_rows *rows, int row, const char *column)
{
	int number = PQfnumber(rows->result, column);
	return number >= 0 && row < PQntuples(rows->result) ? PQgetvalue(rows->result, row, number) : "";
}

enum { CELL_BYTES = 128, OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_TIMESTAMPTZ = 1184 };

/* The domain's words for columns of numbers. */
static const struct jk_words *column_words(const char *name)
{
	if (!strcmp(name, "category"))
		return &jk_categories;
	if (!strcmp(name, "tlp_ceiling"))
		return &jk_tlps;
	if (!strcmp(name, "urgency"))
		return &jk_urgencies;
	return !strcmp(name, "minimum_severity") || !strcmp(name, "severity") ? &jk_severities : NULL;
}

void admin_format_categories(char *ret, size_t size, const char *bits, const char *between)
{
	struct jk_buffer words = {0};
	int64_t set;

	for (int category = 1; jk_text_to_int64(bits, 1, UINT16_MAX, &set) && category <= JK_CATEGORY_MAX; category++)
		if (set >> category & 1)
			jk_buffer_printf(&words, "%s%s", words.size ? between : "", jk_words_name(&jk_categories, category));
	(void)jk_text_format(ret, size, "%s", words.data ? words.data : "");
	jk_buffer_done(&words);
}

/* Text of a cell for people or for JSON: words for numbers, times as RFC 3339 ("2026-03-01 08:15:30.5+00" is the server's). */
static const char *cell(const PGresult *result, int row, int column, char scratch[CELL_BYTES])
{
	const struct jk_words *words = column_words(PQfname(result, column));
	const char *value = PQgetvalue(result, row, column);
	size_t size = strlen(value);
	int64_t number;

	if (words && jk_text_to_int64(value, 0, 99, &number))
		return jk_words_name(words, (int)number);
	if (!strcmp(PQfname(result, column), "categories")) {
		admin_format_categories(scratch, CELL_BYTES, value, ",");
		return scratch;
	}
	if (PQftype(result, column) == OID_BOOL && size == 1)
		return *value == 't' ? "true" : "false";
	if (PQftype(result, column) != OID_TIMESTAMPTZ || size < 14 || size >= CELL_BYTES)
		return value;
	memcpy(scratch, value, size + 1);
	scratch[10] = 'T';
	if (!strcmp(scratch + size - 3, "+00"))
		memcpy(scratch + size - 3, "Z", 2);
	return scratch;
}

static bool is_number(const PGresult *result, int column)
{
	Oid type = PQftype(result, column);
	return (type == OID_INT8 || type == OID_INT2 || type == OID_INT4) && !column_words(PQfname(result, column)) &&
	       strcmp(PQfname(result, column), "categories") != 0;
}

static void print_json_row(const PGresult *result, int row)
{
	struct jk_buffer line = {0};
	char scratch[CELL_BYTES];

	for (int column = 0; column < PQnfields(result); column++) {
		jk_buffer_printf(&line, "%s\"%s\":", column ? "," : "{", PQfname(result, column));
		const char *value = cell(result, row, column, scratch);
		if (PQgetisnull(result, row, column))
			jk_buffer_printf(&line, "null");
		else if (PQftype(result, column) == OID_BOOL)
			jk_buffer_printf(&line, "%s", value);
		else if (is_number(result, column))
			jk_buffer_printf(&line, "%s", value);
		else
			jk_json_quote(&line, value);
	}
	printf("%s}\n", line.failed ? "{" : line.data);
	jk_buffer_done(&line);
}

/* Characters, near enough for columns: bytes that do not continue one. */
static int text_width(const char *text)
{
	int width = 0;
	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void print_table(const struct cli *cli, const PGresult *result)
{
	enum { COLUMNS_MAX = 16 };
	int width[COLUMNS_MAX] = {0}, count = PQntuples(result), columns = PQnfields(result);
	char scratch[CELL_BYTES];

	assert(columns <= COLUMNS_MAX);
	for (int row = -1; row < count; row++)
		for (int column = 0; column < columns; column++) {
			int size = text_width(row < 0 ? PQfname(result, column) : cell(result, row, column, scratch));
			width[column] = size > width[column] ? size : width[column];
		}
	for (int row = -1; row < count; row++) {
		printf("%s", row < 0 ? cli_tone(cli, CLI_BOLD) : "");
		for (int column = 0; column < columns; column++) {
			const char *text = row < 0 ? PQfname(result, column) : cell(result, row, column, scratch);
			int pad = column + 1 < columns ? width[column] - text_width(text) + 2 : 0;
			(void)cli_print_text(stdout, text, 0);
			printf("%*s", pad, "");
		}
		printf("%s\n", row < 0 ? cli_tone(cli, CLI_PLAIN) : "");
	}
}

void admin_rows_print(const struct cli *cli, const struct admin_rows *rows)
{
	if (!cli->json)
		print_table(cli, rows->result);
	for (int row = 0; cli->json && row < PQntuples(rows->result); row++)
		print_json_row(rows->result, row);
}

void admin_rows_free(struct admin_rows **rows_p)
{
	if (*rows_p)
		PQclear((*rows_p)->result);
	free(*rows_p);
	*rows_p = NULL;
}
