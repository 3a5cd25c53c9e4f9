#include "dispatch_open.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "daemon/metrics.h"
#include "dispatch_duty_order.h"
#include "dispatch_list.h"
#include "dispatch_open_pg.h"
#include "dispatch_open_wire.h"
#include "feed/feed_follow.h"

_Static_assert((int)DISPATCH_OPEN_BATCH_MAX == (int)JK_FOLLOW_BATCH_MAX, "a batch of the feed fits");

/* A body's headline is the most that reading its labels allocates. */
enum { LABEL_ARENA_BYTES = 4 * 1024 * 1024, LOG_EVERY_MS = 10000, PROBLEMS_BEFORE_LOG = 20 /* timers: 5 s */ };

struct dispatch_open {
	struct jk_db *db;
	struct jk_follow *follow;
	struct jk_sessions *sessions;
	struct jk_arena *arena;
	void (*woken)(void *arg);
	void *arg;
	struct dispatch_open_store store;
	struct dispatch_list needs; /* struct dispatch_open_need */
	size_t events;
	bool wakes;
	unsigned problems; /* timers in a row that found one */
	struct jk_metric *followed, *lag, *unreadable;
	struct dispatch_open_batch batch;
	struct dispatch_open_event event;
};

/* The snapshot may be gone when the job runs: what counts of a rule is copied. False: no memory. */
static bool add_needs(struct dispatch_open *open, const struct jk_registry *registry, const struct dispatch_open_row *row)
{
	const struct jk_duty_rule *rule = NULL;

	while ((rule = dispatch_duty_need(registry->duty_rules, registry->duty_rule_count, rule, &row->labels, row->stream))) {
		struct dispatch_open_need *need = dispatch_list_add(&open->needs, sizeof *need);

		if (need == NULL)
			return false;
		need->duty_id = jk_id_new();
		need->incident_id = row->incident_id;
		need->answer_s = rule->answer_s;
		need->again_s = rule->again_s;
		need->since_us = row->body_us;
		need->severity = row->labels.severity;
		memcpy(need->county, row->stream, sizeof need->county);
		memcpy(need->discipline, rule->discipline, sizeof need->discipline);
	}
	return true;
}

static bool find_needs(struct dispatch_open *open)
{
	const struct jk_registry *registry = jk_sessions_registry(open->sessions);

	dispatch_list_clear(&open->needs);
	open->wakes = false;
	if (registry == NULL)
		return false;
	for (size_t i = 0; i < open->batch.count; i++) {
		const struct dispatch_open_row *row = &open->batch.rows[i];

		open->wakes = open->wakes || row->closed != 0 || row->remakes;
		if (!row->opens || row->closed != 0 || !dispatch_duty_counts(registry->realm, &row->labels))
			continue;
		if (!add_needs(open, registry, row))
			return false;
	}
	open->wakes = open->wakes || open->needs.count > 0;
	return true;
}

static bool on_events(void *arg, const struct jk_event *events, size_t count, const PGresult *beside)
{
	struct dispatch_open *open = arg;

	(void)beside;
	open->events = count;
	dispatch_open_reset(&open->batch);
	for (size_t i = 0; i < count; i++) {
		jk_arena_reset(open->arena);
		if (dispatch_open_wire_read(&events[i], open->arena, &open->event)) {
			dispatch_open_add(&open->batch, &open->event);
			continue;
		}
		jk_metric_add(open->unreadable, 1);
		jk_log_limited(LOG_EVERY_MS, JK_LOG_ERROR, "event_unreadable", "stream=%s seq=%" PRIu64, events[i].stream,
			events[i].seq);
	}
	return find_needs(open);
}

static size_t store(void *arg, struct jk_db_step *steps)
{
	struct dispatch_open *open = arg;

	return dispatch_open_save(&open->store, &open->batch, open->needs.items, open->needs.count, steps);
}

static void on_stored(void *arg)
{
	struct dispatch_open *open = arg;

	jk_metric_add(open->followed, open->events);
	jk_metric_set(open->lag, (int64_t)jk_follow_lag(open->follow));
	if (open->wakes)
		open->woken(open->arg);
}

static void register_metrics(struct dispatch_open *open)
{
	open->followed =
		jk_metric_counter("jukwaa_dispatch_followed_total", "", "Events followed to know which incidents are open.");
	open->lag = jk_metric_gauge(
		"jukwaa_dispatch_follow_lag_events", "", "Events that have still to be followed for open incidents and duties.");
	open->unreadable = jk_metric_counter(
		"jukwaa_dispatch_unfollowed_total", "", "Events passed over for open incidents and duties: not a body of ours.");
}

enum jk_status dispatch_open_open(const char *conninfo, struct jk_loop *loop, struct jk_sessions *sessions,
	void (*woken)(void *arg), void *arg, struct dispatch_open **ret_open)
{
	struct dispatch_open *open = calloc(1, sizeof *open);
	const struct jk_follow_service service = {
		.service = open,
		.positions = &dispatch_open_positions,
		.move = &dispatch_open_move,
		.on_events = on_events,
		.store = store,
		.on_stored = on_stored,
	};

	if (open == NULL)
		return JK_BROKEN;
	open->sessions = sessions;
	open->woken = woken;
	open->arg = arg;
	open->arena = jk_arena_new(LABEL_ARENA_BYTES);
	if (open->arena == NULL || jk_db_open(conninfo, "jukwaa-dispatch-follow", &open->db) != JK_OK ||
		jk_follow_open(&service, open->db, &open->follow) != JK_OK ||
		jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, open->db) != JK_OK) {
		dispatch_open_close(&open);
		return JK_BROKEN;
	}
	register_metrics(open);
	*ret_open = open;
	return JK_OK;
}

void dispatch_open_close(struct dispatch_open **open_p)
{
	struct dispatch_open *open = *open_p;

	if (open == NULL)
		return;
	*open_p = NULL;
	jk_follow_close(&open->follow);
	jk_db_close(&open->db);
	jk_arena_free(&open->arena);
	dispatch_open_store_done(&open->store);
	dispatch_list_done(&open->needs);
	free(open);
}

void dispatch_open_hint(struct dispatch_open *open)
{
	jk_follow_hint(open->follow);
}

/* That another dispatcher was first is no problem: it comes and goes. */
void dispatch_open_on_timer(struct dispatch_open *open)
{
	const char *problem = jk_follow_problem(open->follow);

	jk_follow_on_timer(open->follow);
	open->problems = problem[0] == '\0' ? 0 : open->problems + 1;
	if (open->problems > PROBLEMS_BEFORE_LOG)
		jk_log_limited(LOG_EVERY_MS, JK_LOG_WARN, "feed_not_followed", "why=%s", problem);
}

void dispatch_open_turn(struct dispatch_open *open)
{
	jk_follow_turn(open->follow);
}
