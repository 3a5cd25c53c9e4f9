/* bench_storm.h: `jukwaa bench storm`: many desks that subscribe at once and catch up, on raw sessions in a few threads, each
 * delivery looked at (numbers without hole, order), none unpacked. */
#pragma once

#include <stdint.h>

#include "services/cli/cli.h"

struct bench_storm {
	const char *endpoint, *server_key;
	const char *keys;   /* folder of key files; the first `desks` by name are used */
	int desks, threads; /* sessions in all; threads they share */
	int64_t total;      /* a desk is done when its last numbers in all streams add up to this */
	uint32_t window;
	uint32_t batch_bytes; /* 0: no batches are asked for */
	const char *cursor;   /* NULL: from the beginning, without one */
	int stopped;          /* of the desks: this many never acknowledge, and are not waited for */
	int live_s;           /* not 0: no backlog, but events as they come, for so long; how late they are is measured */
	int timeout_s;        /* without any delivery */
};

/* Runs it and prints one line. A cli_exit: CLI_OK when every desk got everything, each event once and in order. */
int bench_storm_run(const struct cli *cli, const struct bench_storm *storm);
