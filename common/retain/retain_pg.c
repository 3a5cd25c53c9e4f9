/* retain_pg.c: see retain.h. One kind after the other, round and round; a kind rests once a step says that there is no more. */
#include "retain/retain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "daemon/metrics.h"

enum {
	TICK_MS = 50,
	/* Between looks at a kind of which nothing was to be removed. */
	REST_MS = 5000,
	FAILED_REST_MS = 10000,
	/* A step that takes longer than this is halved, one that takes less than half of it doubled. */
	STEP_US = 50000,
	ROWS_FIRST = 128,
	ROWS_MIN = 16,
	ROWS_MAX = 2048,
	PAUSE_SHARE = 4, /* pause so many times as long as the step took */
	TELL_MS = 60000,
	LABEL_BYTES = 48,
};

struct retained_kind {
	const struct jk_retain_kind *kind;
	char label[LABEL_BYTES]; /* borrowed by the metrics for ever, so never freed */
	char held[32];
	int rows;
	int64_t next_ms;
	uint64_t untold; /* removed since it was last said */
	int64_t tell_at_ms;
	struct jk_metric *removed, *oldest, *held_gauge;
};

struct jk_retain {
	struct jk_db *db;
	struct retained_kind *kinds;
	size_t count, at; /* at: whose step is under way, or was last */
	struct jk_db_int8 limit;
	int64_t began_us, pause_until_ms;
	struct jk_metric *failures, *last_run, *step_time;
};

/* For the step that follows in the same transaction. It waits for nobody's lock, and has an end. */
static const struct jk_db_statement bounds = {
	.name = "retain_bounds",
	.sql = "SELECT set_config('lock_timeout', '200', true), set_config('statement_timeout', '5000', true),"
	       " set_config('synchronous_commit', 'off', true)",
};

static void tell(struct retained_kind *kind, int64_t now_ms)
{
	if (kind->untold == 0 || now_ms < kind->tell_at_ms)
		return;
	jk_log(JK_LOG_INFO, "removed_by_age", "kind=%s rows=%" PRIu64, kind->kind->name, kind->untold);
	kind->untold = 0;
	kind->tell_at_ms = now_ms + TELL_MS;
}

static void note_held(struct retained_kind *kind, const char *held)
{
	if (strcmp(kind->held, held) == 0)
		return;
	(void)jk_text_copy(kind->held, sizeof kind->held, held);
	jk_metric_set(kind->held_gauge, held[0] != '\0');
	if (held[0] != '\0')
		jk_log(JK_LOG_WARN, "removal_held", "kind=%s by=%s", kind->kind->name, held);
	else
		jk_log(JK_LOG_INFO, "removal_goes_on", "kind=%s", kind->kind->name);
}

static void adapt_rows(struct retained_kind *kind, int64_t took_us)
{
	if (took_us > STEP_US)
		kind->rows = kind->rows / 2 > ROWS_MIN ? kind->rows / 2 : ROWS_MIN;
	else if (took_us < STEP_US / 2 && kind->rows < ROWS_MAX)
		kind->rows *= 2;
}

static void take_step(struct jk_retain *retain, struct retained_kind *kind, const PGresult *result, int64_t took_us)
{
	int64_t now_us = jk_time_now_us(), oldest_us = PQgetisnull(result, 0, 3) ? now_us : jk_db_get_time_us(result, 0, 3);
	uint64_t removed = (uint64_t)jk_db_get_int(result, 0, 0);
	bool more = jk_db_get_int(result, 0, 1) != 0;
	const char *held = jk_db_get_bytes(result, 0, 2, NULL);

	jk_metric_add(kind->removed, removed);
	jk_metric_set(kind->oldest, oldest_us < now_us ? (now_us - oldest_us) / 1000000 : 0);
	jk_metric_set(retain->last_run, now_us / 1000000);
	note_held(kind, held ? held : "");
	kind->untold += removed;
	tell(kind, jk_time_mono_ms());
	if (more || removed > 0)
		jk_metric_observe_us(retain->step_time, took_us);
	if (more)
		adapt_rows(kind, took_us);
	else
		kind->next_ms = jk_time_mono_ms() + REST_MS;
}

static void on_step(void *arg, const struct jk_db_outcome *outcome)
{
	struct jk_retain *retain = arg;
	struct retained_kind *kind = &retain->kinds[retain->at];
	int64_t took_us = jk_time_now_us() - retain->began_us;

	if (took_us < 0)
		took_us = 0;
	retain->pause_until_ms = jk_time_mono_ms() + PAUSE_SHARE * took_us / 1000;
	if (outcome->status == JK_OK && PQntuples(outcome->results[1]) == 1) {
		take_step(retain, kind, outcome->results[1], took_us);
		return;
	}
	jk_metric_add(retain->failures, 1);
	jk_log_limited(FAILED_REST_MS, outcome->status == JK_RETRY ? JK_LOG_WARN : JK_LOG_ERROR, "removal_failed",
		"kind=%s sqlstate=%s why=%s", kind->kind->name, outcome->sqlstate, outcome->message ? outcome->message : "");
	kind->rows = ROWS_MIN;
	kind->next_ms = jk_time_mono_ms() + FAILED_REST_MS;
}

/* The next kind in turn that is due; false: none. */
static bool choose_kind(struct jk_retain *retain, int64_t now_ms)
{
	for (size_t i = 1; i <= retain->count; i++) {
		size_t at = (retain->at + i) % retain->count;

		if (now_ms < retain->kinds[at].next_ms)
			continue;
		retain->at = at;
		return true;
	}
	return false;
}

static void on_tick(void *arg)
{
	struct jk_retain *retain = arg;
	int64_t now_ms = jk_time_mono_ms();
	struct jk_db_step steps[2] = {{.statement = &bounds}};

	jk_db_on_timer(retain->db);
	if (!jk_db_is_idle(retain->db) || now_ms < retain->pause_until_ms || !choose_kind(retain, now_ms))
		return;
	steps[1].statement = retain->kinds[retain->at].kind->statement;
	jk_db_bind_int8(&steps[1], 0, &retain->limit, retain->kinds[retain->at].rows);
	retain->began_us = jk_time_now_us();
	if (jk_db_start(retain->db, steps, 2, on_step, retain) != JK_OK)
		retain->pause_until_ms = now_ms + FAILED_REST_MS;
}

/* All samples of one name stand together, so name by name. */
static void register_metrics(struct jk_retain *retain)
{
	for (size_t i = 0; i < retain->count; i++) {
		struct retained_kind *kind = &retain->kinds[i];

		(void)jk_text_format(kind->label, sizeof kind->label, "kind=\"%s\"", kind->kind->name);
		kind->removed = jk_metric_counter("jukwaa_retention_removed_total", kind->label, "Rows removed by age.");
	}
	for (size_t i = 0; i < retain->count; i++)
		retain->kinds[i].oldest = jk_metric_gauge("jukwaa_retention_oldest_seconds", retain->kinds[i].label,
			"Age of the oldest kept; 0: none, or not known.");
	for (size_t i = 0; i < retain->count; i++)
		retain->kinds[i].held_gauge = jk_metric_gauge("jukwaa_retention_held", retain->kinds[i].label,
			"1: something stands in the way of removing what is old enough; the log says what.");
	retain->last_run =
		jk_metric_gauge("jukwaa_retention_last_run_seconds", "", "Unix time of the last step that ended well.");
	retain->step_time = jk_metric_histogram("jukwaa_retention_step_seconds", "", "Time of a step that removed something.");
	retain->failures = jk_metric_counter("jukwaa_retention_failures_total", "", "Steps that failed and are tried again.");
}

enum jk_status jk_retain_open(struct jk_loop *loop, const char *conninfo, const char *application_name,
	const struct jk_retain_kind *kinds, size_t count, struct jk_retain **ret_retain)
{
	struct jk_retain *retain = calloc(1, sizeof *retain);

	*ret_retain = NULL;
	if (retain == NULL)
		return JK_BROKEN;
	retain->kinds = calloc(count, sizeof *retain->kinds);
	if (retain->kinds == NULL || jk_db_open(conninfo, application_name, &retain->db) != JK_OK ||
		jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, retain->db) != JK_OK ||
		jk_loop_add_timer(loop, TICK_MS, on_tick, retain) != JK_OK) {
		jk_retain_close(&retain);
		return JK_BROKEN;
	}
	retain->count = count;
	for (size_t i = 0; i < count; i++)
		retain->kinds[i] = (struct retained_kind){.kind = &kinds[i], .rows = ROWS_FIRST};
	register_metrics(retain);
	*ret_retain = retain;
	return JK_OK;
}

void jk_retain_close(struct jk_retain **retain_p)
{
	struct jk_retain *retain = *retain_p;

	if (retain == NULL)
		return;
	*retain_p = NULL;
	if (retain->db != NULL)
		jk_db_close(&retain->db);
	/* The metrics point into kinds for ever; a process opens this once. */
	if (retain->count == 0)
		free(retain->kinds);
	free(retain);
}
