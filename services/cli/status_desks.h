/* status_desks.h: the desks that lag, as dispatch measures it (sessions, and cursors without one). */
#pragma once

#include "services/cli/cli.h"
#include "services/cli/status_http.h"

/* Worst first. For people: those that lag, at most ten, and how many there are; as JSON all desks, a line each. */
void status_desks_show(const struct cli *cli, const struct status_service *dispatch);
