/* bench_decide.h: what a decision costs, with the registry as it stands. */
#pragma once

#include "services/cli/cli.h"

/* Loads the registry of cli->database and decides made-up events for each of its desks. Returns an exit status. */
int bench_decide_run(const struct cli *cli, int64_t events);
