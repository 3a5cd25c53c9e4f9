/* bench_load.h: what the bench commands share: made-up reports, publishing threads, and latencies. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jukwaa/client.h"

struct bench_options {
	struct jukwaa_connection publisher, desk;
	int clients;          /* publishing threads, 1 to 64 */
	uint32_t window;      /* reports outstanding a client */
	int64_t reports;      /* in all */
	int counties;         /* reports spread over counties 001 to this, 1 to 47 */
	double rate;          /* reports a second in all; 0: as fast as receipts come */
	int timeout_s;        /* without any progress */
	const char *run_name; /* makes external ids unique */
};

/* Latencies in microseconds, kept whole and sorted at the end. */
struct bench_samples {
	uint32_t *us;
	size_t capacity;
	_Atomic size_t count;
};
bool bench_samples_init(struct bench_samples *samples, size_t capacity);
void bench_samples_add(struct bench_samples *samples, int64_t us);
/* Sorts; then percentile 0 to 100. */
void bench_samples_sort(struct bench_samples *samples);
double bench_samples_percentile_ms(const struct bench_samples *samples, double percentile);
void bench_samples_done(struct bench_samples *samples);

struct bench_load {
	const struct bench_options *options;
	struct bench_samples receipts;   /* send to receipt */
	_Atomic(int64_t) *sent_us;       /* by report number; 0: not sent yet */
	_Atomic int64_t stored, refused; /* DUPLICATE and worse count as refused */
	_Atomic bool failed;
	char reason[256]; /* of the first failure */
	double seconds;   /* from the first send to the last receipt */
};

/* Publishes options->reports made-up reports and waits for all receipts. 0 or a JUKWAA_E_… with load->reason. */
int bench_load_run(const struct bench_options *options, struct bench_load *ret_load);
void bench_load_done(struct bench_load *load);
/* Report number in an external id made by bench_load_run with this run name; -1: another's. */
int64_t bench_load_number(const char *run_name, const char *external_id);
