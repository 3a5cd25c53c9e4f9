/* status_pacts.h: what `jukwaa status` warns of in agreements and task forces. Blocks. */
#pragma once

#include "services/cli/cli.h"

/* Prints a line for each that is closed, and for each that ends within 30 days, and for agencies that have agreed on something
 * and have no key left that may sign. CLI_REFUSED when one is closed: nobody gets anything under it. */
int status_pacts_show(const struct cli *cli);
