/* admin_migrate_pg.c: migrations in the database: one at a time, all or nothing each, remembered with their checksum. */
#include <stdlib.h>
#include <string.h>

#include "services/cli/admin_store_pg_internal.h"

/* Runs one statement that gives no rows we need; false: said. */
static bool run(PGconn *link, const char *sql, const char *what, int *ret_status)
{
	PGresult *result = PQexec(link, sql);
	/* A file may hold nothing but comments. */
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK ||
		    PQresultStatus(result) == PGRES_EMPTY_QUERY;
	if (!good)
		*ret_status = admin_fail(link, result, what);
	PQclear(result);
	return good;
}

int admin_store_create_database(const struct cli *cli, int wait_s)
{
	char *error = NULL;
	const char *name = NULL;
	int status = CLI_OK;
	PQconninfoOption *options = cli->database ? PQconninfoParse(cli->database, &error) : NULL;
	for (PQconninfoOption *option = options; option && option->keyword; option++)
		if (!strcmp(option->keyword, "dbname"))
			name = option->val;
	PQfreemem(error);
	if (!name) {
		PQconninfoFree(options);
		return cli_fail(CLI_USAGE, "name the database in JUKWAA_DATABASE",
			"--create-database needs a connection string with dbname");
	}
	PGconn *link = admin_connect(cli->database, "postgres", wait_s, &status);
	if (link) {
		const char *params[] = {name};
		PGresult *found =
			PQexecParams(link, "SELECT FROM pg_database WHERE datname = $1", 1, NULL, params, NULL, NULL, 0);
		/* A database's name cannot be a parameter: libpq quotes it. */
		if (PQntuples(found) == 0) {
			char *quoted = PQescapeIdentifier(link, name, strlen(name));
			struct jk_buffer sql = {0};
			jk_buffer_printf(&sql, "CREATE DATABASE %s ENCODING 'UTF8' TEMPLATE template0", quoted);
			run(link, sql.data, "cannot make the database", &status);
			jk_buffer_done(&sql);
			PQfreemem(quoted);
		}
		PQclear(found);
		PQfinish(link);
	}
	PQconninfoFree(options);
	return status;
}

static const char prepare_sql[] =
	"CREATE SCHEMA IF NOT EXISTS meta;"
	"CREATE TABLE IF NOT EXISTS meta.migration (number integer PRIMARY KEY, name text NOT NULL, checksum bytea NOT NULL, "
	"applied_at timestamptz NOT NULL DEFAULT now())";

/* -1: not applied; 0: applied as it is here; 1: refused, said. */
static int compare(PGconn *link, const struct admin_migration *migration, int *ret_status)
{
	char number[16], checksum[65];
	jk_text_format(number, sizeof number, "%d", migration->number);
	jk_hex_encode(checksum, migration->checksum, 32);
	const char *params[] = {number, checksum};
	PGresult *result =
		PQexecParams(link, "SELECT checksum = decode($2, 'hex') FROM meta.migration WHERE number = $1::integer", 2, NULL,
			params, NULL, NULL, 0);
	int verdict = -1;
	if (PQresultStatus(result) != PGRES_TUPLES_OK) {
		*ret_status = admin_fail(link, result, "cannot read meta.migration");
		verdict = 1;
	} else if (PQntuples(result) > 0 && *PQgetvalue(result, 0, 0) == 't') {
		verdict = 0;
	} else if (PQntuples(result) > 0) {
		*ret_status = cli_fail(CLI_REFUSED, "use the release this database was migrated with, or a later one",
			"%s was applied to this database with another content", migration->name);
		verdict = 1;
	}
	PQclear(result);
	return verdict;
}

static bool apply(PGconn *link, const struct cli *cli, const struct admin_migration *migration, int *ret_status)
{
	char number[16], checksum[65];
	jk_text_format(number, sizeof number, "%d", migration->number);
	jk_hex_encode(checksum, migration->checksum, 32);
	const char *params[] = {number, migration->name, checksum};
	if (!run(link, "BEGIN", migration->name, ret_status) || !run(link, migration->sql, migration->name, ret_status)) {
		PQclear(PQexec(link, "ROLLBACK"));
		return false;
	}
	PGresult *result = PQexecParams(link,
		"INSERT INTO meta.migration (number, name, checksum) VALUES ($1::integer, $2, decode($3, 'hex'))", 3, NULL,
		params, NULL, NULL, 0);
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
	if (!good)
		*ret_status = admin_fail(link, result, migration->name);
	PQclear(result);
	good = good && run(link, "COMMIT", migration->name, ret_status);
	if (!good)
		PQclear(PQexec(link, "ROLLBACK"));
	else if (cli->json)
		printf("{\"migration\":\"%s\",\"done\":\"applied\"}\n", migration->name);
	else
		printf("applied %s\n", migration->name);
	return good;
}

/* A database that a later release migrated is left alone. */
static int check_not_newer(PGconn *link, int count)
{
	char last[16];
	jk_text_format(last, sizeof last, "%d", count);
	const char *params[] = {last};
	PGresult *result =
		PQexecParams(link, "SELECT name FROM meta.migration WHERE number > $1::integer ORDER BY number LIMIT 1", 1, NULL,
			params, NULL, NULL, 0);
	int status = CLI_OK;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		status = admin_fail(link, result, "cannot read meta.migration");
	else if (PQntuples(result) > 0)
		status = cli_fail(CLI_REFUSED, "use the release this database was migrated with, or a later one",
			"%s is applied to this database, and this release does not have it", PQgetvalue(result, 0, 0));
	PQclear(result);
	return status;
}

/* Refuses when the database serves another realm. A database without the table, or without its row, serves none yet. */
static int check_realm(PGconn *link, const char *realm)
{
	PGresult *table = PQexec(link, "SELECT FROM pg_catalog.pg_class WHERE oid = to_regclass('meta.realm')");
	PGresult *result = PQntuples(table) == 1 ? PQexec(link, "SELECT realm FROM meta.realm") : NULL;
	int status = CLI_OK;
	if (PQresultStatus(table) != PGRES_TUPLES_OK)
		status = admin_fail(link, table, "cannot look for meta.realm");
	else if (result && PQresultStatus(result) != PGRES_TUPLES_OK)
		status = admin_fail(link, result, "cannot read the realm");
	else if (result && PQntuples(result) > 0 && strcmp(PQgetvalue(result, 0, 0), realm) != 0)
		status = cli_fail(CLI_REFUSED, "use another database for it",
			"this database serves the realm %s, not %s: that cannot be changed", PQgetvalue(result, 0, 0), realm);
	PQclear(result);
	PQclear(table);
	return status;
}

static int write_realm(PGconn *link, const char *realm)
{
	const char *params[] = {realm};
	PGresult *result = PQexecParams(
		link, "INSERT INTO meta.realm (realm) VALUES ($1) ON CONFLICT DO NOTHING", 1, NULL, params, NULL, NULL, 0);
	int status = PQresultStatus(result) == PGRES_COMMAND_OK ? CLI_OK : admin_fail(link, result, "cannot write the realm");
	PQclear(result);
	return status;
}

/* How many of the list are applied, as they are here and without a gap; -1: refused, said. */
static int count_applied(PGconn *link, const struct admin_migration *list, int count, int *ret_status)
{
	int applied = 0;

	for (int i = 0; i < count; i++) {
		int verdict = compare(link, &list[i], ret_status);
		if (verdict > 0)
			return -1;
		if (verdict == 0 && applied < i) {
			*ret_status = cli_fail(
				CLI_REFUSED, NULL, "%s is applied but %s before it is not", list[i].name, list[applied].name);
			return -1;
		}
		applied += verdict == 0;
	}
	return applied;
}

int admin_store_migrate(
	struct admin_store *store, const struct cli *cli, const struct admin_migration *list, int count, const char *realm)
{
	PGconn *link = store->link;
	int status = CLI_OK, applied = 0;
	/* Held to the end of the session; the number is "jukwaa" in ASCII. */
	if (!run(link, "SET client_min_messages = warning", "set-up", &status) ||
		!run(link, "SELECT pg_advisory_lock(117227763525985)", "cannot take the migration lock", &status) ||
		!run(link, prepare_sql, "cannot make meta.migration", &status))
		return status;
	/* All that could be refused, before anything is changed. */
	status = check_not_newer(link, count);
	if (status == CLI_OK)
		status = check_realm(link, realm);
	int first = status == CLI_OK ? count_applied(link, list, count, &status) : count;
	for (int i = first; i < count && status == CLI_OK; i++)
		applied += apply(link, cli, &list[i], &status);
	if (status == CLI_OK)
		status = write_realm(link, realm);
	if (status == CLI_OK && cli->json)
		printf("{\"migrations\":%d,\"applied\":%d,\"realm\":\"%s\"}\n", count, applied, realm);
	else if (status == CLI_OK && !applied)
		printf("nothing to do: %d migrations are applied, realm %s\n", count, realm);
	return status;
}

int admin_store_set_password(struct admin_store *store, const char *role, const char *password)
{
	int status = CLI_OK;
	char *verifier = PQencryptPasswordConn(store->link, password, role, NULL);
	char *name = PQescapeIdentifier(store->link, role, strlen(role));
	char *literal = verifier ? PQescapeLiteral(store->link, verifier, strlen(verifier)) : NULL;
	struct jk_buffer sql = {0};
	/* ALTER ROLE takes no parameters: libpq quotes both. */
	if (name && literal)
		jk_buffer_printf(&sql, "ALTER ROLE %s PASSWORD %s", name, literal);
	if (!sql.data || sql.failed)
		status = cli_fail(CLI_REFUSED, NULL, "cannot set a password for %s: %s", role, PQerrorMessage(store->link));
	else
		run(store->link, sql.data, role, &status);
	jk_buffer_done(&sql);
	PQfreemem(verifier);
	PQfreemem(literal);
	PQfreemem(name);
	return status;
}
