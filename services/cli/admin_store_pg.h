/* admin_store_pg.h: all SQL of the operator's commands, as numbered statements with text parameters. Blocks. */
#pragma once

#include <stdbool.h>

#include "base/jk_refusal.h"
#include "services/cli/cli.h"

struct admin_store; /* one connection */
struct admin_rows;  /* a result */

enum admin_statement {
	ADMIN_AGENCY_ADD, /* code, name, strict, refuse_expired, agreements_only, require_signature -> done */
	ADMIN_AGENCY_SET, /* code, agreements_only and require_signature, yes, no or NULL -> done */
	ADMIN_AGENCY_LIST,
	ADMIN_AGENCY_REVOKE,    /* code -> done */
	ADMIN_AGENCY_REINSTATE, /* code -> done */
	ADMIN_DESK_ADD,         /* code, agency, name -> done */
	ADMIN_DESK_LIST,
	ADMIN_DESK_REVOKE,    /* code -> done */
	ADMIN_DESK_REINSTATE, /* code -> done */
	/* curve hex, sign hex, role, realm or NULL, agency, desk or NULL, senders text[], may_sign, rate, note, from or NULL, end
	 * or NULL -> done */
	ADMIN_KEY_ADD,
	ADMIN_KEY_ROTATE, /* old curve hex, new curve hex, new sign hex, overlap, end -> done, old_expires_at */
	ADMIN_KEY_LIST,
	ADMIN_KEY_REVOKE,        /* curve hex -> done */
	ADMIN_KEY_REINSTATE,     /* curve hex -> done */
	ADMIN_ALLOW_ADD,         /* desk, agency, county, category, tlp ceiling, until (NULL: any) -> done, allow_id */
	ADMIN_ALLOW_LIST,        /* desk or NULL */
	ADMIN_ALLOW_LIST_GRANTS, /* those in force, as a list of agreements shows them */
	ADMIN_ALLOW_REVOKE,      /* allow_id -> done */
	ADMIN_TARGET_ADD, /* category, severity (NULL: any), seconds to triage, to resolve (NULL: none) -> done, target_id */
	ADMIN_TARGET_LIST,
	ADMIN_TARGET_REMOVE, /* target_id -> done */
	ADMIN_RULE_ADD,      /* name, desk, county, category, severity, include_test, url, secret_file -> done */
	ADMIN_RULE_LIST,
	ADMIN_RULE_REVOKE,    /* name -> done */
	ADMIN_RULE_REINSTATE, /* name -> done */
	ADMIN_DEAD_LIST,
	ADMIN_DEAD_REQUEUE, /* message_id or NULL, all of them? -> done, messages */
	ADMIN_EPOCH_CONFIRM,
	ADMIN_EPOCH_SHOW,
	ADMIN_RETENTION_SET, /* kind, days or "forever" -> done */
	ADMIN_RETENTION_LIST,
	ADMIN_RETENTION_CONFIRM,
	ADMIN_ACCESS_LIST, /* case or NULL, agency or NULL, since or NULL, limit */
	ADMIN_ERASE, /* incident, groups as bits, superseded, reason, by -> done, events, reports, protected, event_id, streams …
		      */
	ADMIN_ERASURE_LIST,
	ADMIN_HOLD_ADD, /* incident, reason, by or NULL, until or NULL -> done, hold_id, events, reports */
	ADMIN_HOLD_LIST,
	ADMIN_HOLD_RELEASE, /* hold_id -> done */
	ADMIN_STATEMENTS
};

/* Connects to cli->database, trying for wait_s seconds. NULL: *ret_status is the exit status, said on standard error. */
struct admin_store *admin_store_open(const struct cli *cli, int wait_s, int *ret_status);
void admin_store_close(struct admin_store **store_p);

/* Runs it; params are texts, NULL is SQL NULL. NULL: refused or failed, said on standard error with *ret_status. */
struct admin_rows *admin_store_run(
	struct admin_store *store, enum admin_statement statement, const char *const *params, int count, int *ret_status);
int admin_rows_count(const struct admin_rows *rows);
/* First row's text of the named column; "" when there is none. */
const char *admin_rows_text(const struct admin_rows *rows, const char *column);
/* The same of another row. */
const char *admin_rows_text_at(const struct admin_rows *rows, int row, const char *column);
/* The categories whose bits are set in that number, by name. */
void admin_format_categories(char *ret, size_t size, const char *bits, const char *between);
/* Prints all rows: aligned columns, or one JSON object a line. */
void admin_rows_print(const struct cli *cli, const struct admin_rows *rows);
void admin_rows_free(struct admin_rows **rows_p);

/* ---- migrations (admin_migrate_pg.c) ---- */

struct admin_migration {
	int number;
	const char *name; /* "004_feed.sql" */
	const char *sql;
	uint8_t checksum[32];
};
/* Makes the database named in the connection string when it is not there. */
int admin_store_create_database(const struct cli *cli, int wait_s);
/* Applies what is missing, in order, each in one transaction, under an advisory lock; writes the realm once. Prints what it
 * does. Returns a cli_exit. */
int admin_store_migrate(
	struct admin_store *store, const struct cli *cli, const struct admin_migration *list, int count, const char *realm);
/* ALTER ROLE … PASSWORD with a verifier made here, so that the clear text is never sent. */
int admin_store_set_password(struct admin_store *store, const char *role, const char *password);
