/* operator_store_pg.h: inside the *_store_pg.c of the operator's commands: one plain connection that asks and ends. Blocks. */
#pragma once

#include <libpq-fe.h>

enum { OPERATOR_REASON_BYTES = 256 };

/* command: as the database's lists of sessions shall name it. Never NULL but without memory; look at PQstatus. */
PGconn *operator_store_connect(const char *conninfo, const char *command);
/* The first line of what libpq says. */
void operator_store_reason(char ret_reason[OPERATOR_REASON_BYTES], const char *message);
