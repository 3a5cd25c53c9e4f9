#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jk_time.h"
#include "services/cli/admin_store_pg_internal.h"

#define DONE "CASE WHEN xmax = 0 THEN 'added' ELSE 'changed' END AS done"

static const char *const statements[ADMIN_STATEMENTS] = {
	[ADMIN_AGENCY_ADD] =
		"INSERT INTO registry.agency AS r (code, name, strict, refuse_expired) VALUES ($1, $2, $3::boolean, "
		"$4::boolean) ON CONFLICT (code) DO UPDATE SET name = excluded.name, strict = excluded.strict, "
		"refuse_expired = excluded.refuse_expired WHERE (r.name, r.strict, r.refuse_expired) IS DISTINCT FROM "
		"(excluded.name, excluded.strict, excluded.refuse_expired) RETURNING " DONE,
	[ADMIN_AGENCY_LIST] =
		"SELECT code, name, strict, refuse_expired, added_at, revoked_at FROM registry.agency ORDER BY code",
	[ADMIN_AGENCY_REVOKE] = "UPDATE registry.agency SET revoked_at = coalesce(revoked_at, now()) WHERE code = $1 "
				"RETURNING 'revoked' AS done",
	[ADMIN_DESK_ADD] =
		"INSERT INTO registry.desk AS r (code, agency_id, name) VALUES ($1, (SELECT agency_id FROM registry.agency WHERE "
		"code = $2 AND revoked_at IS NULL), $3) ON CONFLICT (code) DO UPDATE SET agency_id = excluded.agency_id, "
		"name = excluded.name WHERE (r.agency_id, r.name) IS DISTINCT FROM (excluded.agency_id, excluded.name) "
		"RETURNING " DONE,
	[ADMIN_DESK_LIST] = "SELECT d.code, a.code AS agency, d.name, d.added_at, d.revoked_at FROM registry.desk d "
			    "JOIN registry.agency a USING (agency_id) ORDER BY d.code",
	[ADMIN_DESK_REVOKE] =
		"UPDATE registry.desk SET revoked_at = coalesce(revoked_at, now()) WHERE code = $1 RETURNING 'revoked' AS done",
	[ADMIN_KEY_ADD] =
		"INSERT INTO registry.key AS r (curve_key, sign_key, role, realm, agency_id, desk_id, cap_senders, rate_limit, "
		"note) "
		"VALUES (decode($1, 'hex'), decode($2, 'hex'), $3, coalesce($4, (SELECT realm FROM meta.realm)), (SELECT "
		"agency_id "
		"FROM registry.agency WHERE code = $5 AND revoked_at IS NULL), (SELECT desk_id FROM registry.desk WHERE code = "
		"$6 AND "
		"revoked_at IS NULL), $7::text[], $8::integer, $9) ON CONFLICT (curve_key) DO UPDATE SET role = excluded.role, "
		"realm = "
		"excluded.realm, agency_id = excluded.agency_id, desk_id = excluded.desk_id, cap_senders = excluded.cap_senders, "
		"rate_limit = excluded.rate_limit, note = excluded.note WHERE (r.role, r.realm, r.agency_id, r.desk_id, "
		"r.cap_senders, "
		"r.rate_limit, r.note) IS DISTINCT FROM (excluded.role, excluded.realm, excluded.agency_id, excluded.desk_id, "
		"excluded.cap_senders, excluded.rate_limit, excluded.note) RETURNING " DONE,
	[ADMIN_KEY_LIST] =
		"SELECT encode(k.curve_key, 'hex') AS curve_public, k.role, k.realm, a.code AS agency, d.code AS desk, "
		"array_to_string(k.cap_senders, ' ') AS cap_senders, k.rate_limit, k.note, k.added_at, k.revoked_at "
		"FROM registry.key k JOIN registry.agency a USING (agency_id) LEFT JOIN registry.desk d USING (desk_id) "
		"ORDER BY k.key_id",
	[ADMIN_KEY_REVOKE] =
		"UPDATE registry.key SET revoked_at = coalesce(revoked_at, now()) WHERE curve_key = decode($1, 'hex') "
		"RETURNING 'revoked' AS done",
	[ADMIN_KEY_REINSTATE] = "UPDATE registry.key SET revoked_at = NULL WHERE curve_key = decode($1, 'hex') "
				"RETURNING 'reinstated' AS done",
	[ADMIN_ALLOW_ADD] =
		"WITH wanted AS (SELECT (SELECT desk_id FROM registry.desk WHERE code = $1 AND revoked_at IS NULL) AS desk_id, "
		"(SELECT agency_id FROM registry.agency WHERE code = $2) AS agency_id, $3::text AS county, $4::smallint AS "
		"category, "
		"$5::smallint AS tlp_ceiling, $6::timestamptz AS valid_until) INSERT INTO registry.allow (desk_id, agency_id, "
		"county, "
		"category, tlp_ceiling, valid_until) SELECT * FROM wanted w WHERE NOT EXISTS (SELECT FROM registry.allow r WHERE "
		"r.revoked_at IS NULL AND r.desk_id = w.desk_id AND (r.agency_id, r.county, r.category, r.tlp_ceiling, "
		"r.valid_until) "
		"IS NOT DISTINCT FROM (w.agency_id, w.county, w.category, w.tlp_ceiling, w.valid_until)) "
		"RETURNING 'added' AS done, allow_id",
	[ADMIN_ALLOW_LIST] = "SELECT w.allow_id, d.code AS desk, a.code AS agency, w.county, w.category, w.tlp_ceiling, "
			     "w.valid_from, w.valid_until, "
			     "w.revoked_at FROM registry.allow w JOIN registry.desk d USING (desk_id) LEFT JOIN registry.agency "
			     "a ON a.agency_id = "
			     "w.agency_id WHERE $1::text IS NULL OR d.code = $1 ORDER BY w.allow_id",
	[ADMIN_ALLOW_REVOKE] = "UPDATE registry.allow SET revoked_at = coalesce(revoked_at, now()) WHERE allow_id = $1::integer "
			       "RETURNING 'revoked' AS done",
	[ADMIN_RULE_ADD] =
		"INSERT INTO notify.rule AS r (name, desk_id, county, category, minimum_severity, include_test, url, "
		"secret_file) VALUES "
		"($1, (SELECT desk_id FROM registry.desk WHERE code = $2 AND revoked_at IS NULL), $3, $4::smallint, "
		"$5::smallint, "
		"$6::boolean, $7, $8) ON CONFLICT (name) DO UPDATE SET desk_id = excluded.desk_id, county = excluded.county, "
		"category = "
		"excluded.category, minimum_severity = excluded.minimum_severity, include_test = excluded.include_test, url = "
		"excluded.url, secret_file = excluded.secret_file, revoked_at = NULL WHERE (r.desk_id, r.county, r.category, "
		"r.minimum_severity, r.include_test, r.url, r.secret_file, r.revoked_at) IS DISTINCT FROM (excluded.desk_id, "
		"excluded.county, excluded.category, excluded.minimum_severity, excluded.include_test, excluded.url, "
		"excluded.secret_file, excluded.revoked_at) RETURNING " DONE,
	[ADMIN_RULE_LIST] = "SELECT r.name, d.code AS desk, r.county, r.category, r.minimum_severity, r.include_test, r.url, "
			    "r.secret_file, r.revoked_at FROM notify.rule r JOIN registry.desk d USING (desk_id) ORDER BY r.name",
	[ADMIN_RULE_REVOKE] =
		"UPDATE notify.rule SET revoked_at = coalesce(revoked_at, now()) WHERE name = $1 RETURNING 'revoked' AS done",
	[ADMIN_DEAD_LIST] =
		"SELECT m.message_id, r.name AS rule, m.incident_id, m.county, m.attempts, m.created_at, m.last_error "
		"FROM notify.message m JOIN notify.rule r USING (rule_id) WHERE m.state = 'DEAD' ORDER BY m.created_at",
	[ADMIN_DEAD_REQUEUE] =
		"WITH again AS (UPDATE notify.message SET state = 'PENDING', attempts = 0, next_attempt_at = now() WHERE "
		"state = 'DEAD' AND ($1::uuid IS NULL OR message_id = $1::uuid) RETURNING 1) "
		"SELECT 'requeued' AS done, count(*) AS messages FROM again",
	[ADMIN_EPOCH_CONFIRM] = "SELECT 'confirmed' AS done, feed.confirm_epoch() AS epoch",
	[ADMIN_EPOCH_SHOW] =
		"SELECT epoch, timeline, confirmed_at, epoch = feed.current_epoch() AS current FROM feed.epoch ORDER BY epoch",
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
		if (PQstatus(link) == CONNECTION_OK)
			return link;
		if (jk_time_mono_ms() >= end_ms) {
			*ret_status = cli_fail(
				CLI_UNREACHABLE, "check JUKWAA_DATABASE, and that PostgreSQL runs", "%s", PQerrorMessage(link));
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

int admin_fail(PGconn *link, const PGresult *result, const char *what)
{
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *message = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	const char *column = result ? PQresultErrorField(result, PG_DIAG_COLUMN_NAME) : NULL;
	if (!state)
		return cli_fail(CLI_UNREACHABLE, "check that PostgreSQL runs", "%s: %s", what, PQerrorMessage(link));
	if (!strcmp(state, "42501"))
		return cli_fail(CLI_NOT_PERMITTED, "use the connection of admin.env", "%s: %s", what, message);
	if (!strcmp(state, "3F000") || !strcmp(state, "42P01"))
		return cli_fail(CLI_REFUSED, "run: jukwaa admin migrate", "%s: the database is not migrated", what);
	if (!strcmp(state, "23502") && column)
		return cli_fail(CLI_REFUSED, NULL, "%s: there is no such %s (or it is revoked)", what,
			!strcmp(column, "agency_id") ? "agency"
			: !strcmp(column, "desk_id") ? "desk"
						     : column);
	if (!strcmp(state, "23503"))
		return cli_fail(CLI_REFUSED, NULL, "%s: there is no such county", what);
	return cli_fail(CLI_REFUSED, NULL, "%s: %s", what, message);
}

struct admin_rows *admin_store_run(
	struct admin_store *store, enum admin_statement statement, const char *const *params, int count, int *ret_status)
{
	PGresult *result = PQexecParams(store->link, statements[statement], count, NULL, params, NULL, NULL, 0);
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
	int number = PQfnumber(rows->result, column);
	return number >= 0 && PQntuples(rows->result) ? PQgetvalue(rows->result, 0, number) : "";
}

/* Text of a cell for people or for JSON: numbered words of the domain as their names. */
static const char *cell(const PGresult *result, int row, int column)
{
	const char *name = PQfname(result, column), *value = PQgetvalue(result, row, column);
	int64_t number;
	const struct jk_words *words = !strcmp(name, "category")           ? &jk_categories
				       : !strcmp(name, "tlp_ceiling")      ? &jk_tlps
				       : !strcmp(name, "minimum_severity") ? &jk_severities
									   : NULL;
	if (words && *value && jk_text_to_int64(value, 0, 99, &number))
		return jk_words_name(words, (int)number);
	return value;
}

static void print_json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_json_row(const PGresult *result, int row)
{
	enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23 };
	for (int column = 0; column < PQnfields(result); column++) {
		printf("%s\"%s\":", column ? "," : "{", PQfname(result, column));
		const char *value = cell(result, row, column);
		Oid type = PQftype(result, column);
		bool number =
			(type == OID_INT8 || type == OID_INT2 || type == OID_INT4) && value == PQgetvalue(result, row, column);
		if (PQgetisnull(result, row, column))
			printf("null");
		else if (type == OID_BOOL)
			printf("%s", *value == 't' ? "true" : "false");
		else if (number)
			printf("%s", value);
		else
			print_json_text(value);
	}
	printf("}\n");
}

void admin_rows_print(const struct cli *cli, const struct admin_rows *rows)
{
	const PGresult *result = rows->result;
	int count = PQntuples(result), columns = PQnfields(result);
	if (cli->json) {
		for (int row = 0; row < count; row++)
			print_json_row(result, row);
		return;
	}
	enum { COLUMNS_MAX = 16 };
	int width[COLUMNS_MAX] = {0};
	for (int row = -1; row < count; row++)
		for (int column = 0; column < columns && column < COLUMNS_MAX; column++) {
			const char *text = row < 0 ? PQfname(result, column) : cell(result, row, column);
			int size = (int)strlen(text);
			width[column] = size > width[column] ? size : width[column];
		}
	for (int row = -1; row < count; row++) {
		if (row < 0)
			printf("%s", cli_tone(cli, CLI_BOLD));
		for (int column = 0; column < columns && column < COLUMNS_MAX; column++)
			printf("%s%-*s", column ? "  " : "", column + 1 < columns ? width[column] : 0,
				row < 0 ? PQfname(result, column) : cell(result, row, column));
		printf("%s\n", row < 0 ? cli_tone(cli, CLI_PLAIN) : "");
	}
}

void admin_rows_free(struct admin_rows **rows_p)
{
	if (*rows_p)
		PQclear((*rows_p)->result);
	free(*rows_p);
	*rows_p = NULL;
}
