/* admin_duty.h: `jukwaa admin duty …`: what the files of it share. */
#pragma once

#include "services/cli/admin_duty_store_pg.h"

/* Says in sentences (or as JSON) who is asked for what in a county, in which order, and who is told when nobody acts. Returns a
 * cli_exit. */
int admin_duty_show(const struct cli *cli, struct admin_store *store, const char *county);
