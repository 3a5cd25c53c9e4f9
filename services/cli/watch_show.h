/* watch_show.h: an event of a feed or mailbox as a line for people. Not here: JSON (libjukwaa writes it). */
#pragma once

#include <jukwaa/client.h>

#include "services/cli/cli.h"

/* Prints the line, as wide as the terminal where that can be. backfill: of a subscription for one. */
void watch_show(const struct cli *cli, const struct jukwaa_event *event, bool backfill);
