/* status_pacts.h: agreements and task forces that every service holds closed, because their rows are not what was signed. */
#pragma once

#include "services/cli/status_store_pg.h"

/* Rows {"agreement" or "taskforce", CODE, "closed", reason}. Reads the registry as services do, with every signature. */
void status_pacts_read(const char *conninfo, status_row *row, void *arg);
