/* disclosures_show.h: a line of what a disclosure row says, for `jukwaa disclosures` and `jukwaa explain --at`. */
#pragma once

#include "services/cli/cli.h"
#include "services/cli/disclosures_store_pg.h"

/* One JSON object and a new line. */
void disclosures_print_copy_json(const struct disclosed_copy *copy, const char *type);
/* The rest of a line for people. */
void disclosures_print_copy(const struct cli *cli, const struct disclosed_copy *copy);
