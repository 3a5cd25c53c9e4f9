/* admin_store_pg_internal.h: shared by admin_store_pg.c, admin_migrate_pg.c and admin_duty_store_pg.c only. */
#pragma once

#include <libpq-fe.h>

#include "services/cli/admin_store_pg.h"

struct admin_store {
	PGconn *link;
};

/* One connection attempt after another for wait_s seconds. database NULL: as in the string. NULL: said on standard error. */
PGconn *admin_connect(const char *conninfo, const char *database, int wait_s, int *ret_status);
/* As admin_store_run, of a statement's text. */
struct admin_rows *admin_run(
	struct admin_store *store, const char *statement, const char *const *params, int count, int *ret_status);
/* Prints what the server said, in one line. Returns CLI_NOT_PERMITTED for 42501, CLI_UNREACHABLE for a lost link, else
 * CLI_REFUSED. */
int admin_fail(PGconn *link, const PGresult *result, const char *what);
