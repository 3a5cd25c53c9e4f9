/* status_store_pg.h: the SQL of `jukwaa status`: rows of name and value, some with a subject. Blocks. */
#pragma once

#include <stdbool.h>

#include "services/cli/cli.h"

/* part: "database", "feed", "retention", "case", "message", "warning", "desk"; subject: a desk, or what is warned of, else ""
 * (status_pacts.h has more). */
typedef void status_row(void *arg, const char *part, const char *subject, const char *name, const char *value);

/* Reads what can be read; what fails is given as a row {part, "", "error", sentence}. False: no connection, ret_reason says
 * why, ret_code the same as services say it (static). */
bool status_store_read(const char *conninfo, status_row *row, void *arg, const char **ret_code, char ret_reason[256]);
