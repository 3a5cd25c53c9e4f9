/* dispatch_service.c: opening and closing, the turn of the loop, acknowledgements and beats. */
#include "dispatch_service.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_crash.h"
#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_duty_wire.h"
#include "dispatch_internal.h"
#include "dispatch_opened_wire.h"
#include "dispatch_unit_wire.h"

/* ---- acknowledgements ---- */

/* A desk has an event: its publisher shall know. What a publisher fetches itself, and mailboxes, need no receipt. */
static void on_acked(void *arg, const struct dispatch_subscription *subscription, const struct dispatch_unacked *delivery)
{
	struct dispatch *dispatch = arg;
	const struct dispatch_stream *stream = subscription->places[delivery->place].stream;
	const struct dispatch_receipt receipt = {.desk_id = subscription->desk_id,
		.agency_id = delivery->agency_id,
		.stream = stream->name,
		.up_to_seq = delivery->position.seq};

	jk_metric_add(dispatch->metrics.acked, delivery->sent != DISPATCH_SENT_END);
	if (delivery->sent == DISPATCH_SENT_ITEM)
		dispatch_snapshot_acked(subscription, delivery);
	if (delivery->sent != DISPATCH_SENT_EVENT)
		return;
	if (subscription->desk_id >= 0 && delivery->agency_id >= 0 && stream->name[0] != '@')
		(void)dispatch_receipts_add(dispatch->writing.receipts, &receipt);
}

static void on_ack(void *service, const struct jk_request *request)
{
	struct dispatch *dispatch = service;
	struct dispatch_subscription *subscription = request->session->user;
	struct jk_refusal refusal;
	size_t before;
	bool sent;

	if (subscription == NULL)
		return;
	before = subscription->unacked_bytes;
	sent = dispatch_subscription_ack(subscription, dispatch_wire_read_ack(request), on_acked, dispatch);
	dispatch_flight_take(&dispatch->flight, subscription->share, before - subscription->unacked_bytes);
	if (!sent) {
		(void)jk_refuse(&refusal, JK_CODE_RULE_VIOLATION, "delivery_no", "this delivery was never sent");
		jk_session_refuse(dispatch->sessions, request->session, 0, &refusal);
		return;
	}
	JK_CRASH_POINT("dispatch_after_ack", NULL);
	dispatch_snapshot_settle(dispatch, subscription);
	if (subscription->unacked_bytes < before)
		subscription->idle_since = 0;
}

static void on_mark(void *service, const struct jk_request *request)
{
	dispatch_opened_mark(((struct dispatch *)service)->opened, request);
}

/* ---- beats ---- */

/* Positions that moved without a delivery. Those with deliveries on their way wait: a seal says "I have everything". */
static void collect_told(struct dispatch *dispatch, struct dispatch_subscription *subscription, struct dispatch_told *ret_told)
{
	ret_told->count = 0;
	for (size_t i = 0; i < subscription->place_count; i++) {
		struct dispatch_place *place = &subscription->places[i];

		if (place->unacked > 0 || place->at.seq == place->told_seq)
			continue;
		ret_told->streams[ret_told->count] = place->stream->name;
		dispatch_seal_write(ret_told->seals[ret_told->count++], dispatch->seal_key, &subscription->holder,
			place->stream->name, &place->at);
		place->told_seq = place->at.seq;
	}
}

static void beat_session(void *arg, struct jk_session *session)
{
	struct dispatch *dispatch = arg;
	struct dispatch_subscription *subscription = session->user;
	int64_t now_ms = jk_time_mono_ms();
	const struct dispatch_writing *writing = &dispatch->writing;
	struct dispatch_told told;
	bool new_head;

	if (subscription == NULL || session->ended)
		return;
	new_head =
		subscription->told_head != writing->head_number && now_ms - subscription->head_beat_ms >= DISPATCH_HEAD_BEAT_MS;
	if (!new_head && now_ms - subscription->beat_ms < DISPATCH_IDLE_BEAT_MS)
		return;
	collect_told(dispatch, subscription, &told);
	if (dispatch_wire_send_beat(dispatch->sessions, session, subscription->delivery_no, &told,
		    writing->head_number == 0 ? NULL : &writing->head) != JK_OK)
		return;
	subscription->beat_ms = now_ms;
	if (new_head) {
		subscription->told_head = writing->head_number;
		subscription->head_beat_ms = now_ms;
	}
}

/* ---- the loop ---- */

static void on_hint(void *arg)
{
	struct dispatch *dispatch = arg;

	if (jk_hint_listener_take(dispatch->around.hints)) {
		dispatch->feed.heads_due = true;
		dispatch_open_hint(dispatch->open);
	}
}

/* What keeps the registry from loading; a wrong realm or schema ends the process: waiting would not help. */
static void look_at_registry(struct dispatch *dispatch, char ret_problem[256])
{
	jk_registry_watch_problem(dispatch->around.watch, ret_problem, &dispatch->fatal);
	if (!dispatch->fatal)
		return;
	jk_log(JK_LOG_ERROR, "wrong_database", "why=%s", ret_problem);
	jk_loop_stop(dispatch->around.loop);
}

static void set_ready(struct dispatch *dispatch)
{
	char problem[256], trouble[JK_DB_TROUBLE_BYTES];
	const char *reason = "";

	look_at_registry(dispatch, problem);
	dispatch_store_trouble(dispatch->store, trouble);
	if (dispatch->draining)
		reason = "STOPPING: stopping";
	else if (trouble[0] != '\0')
		reason = trouble;
	else if (jk_registry_version(dispatch->around.watch) == 0)
		reason = problem[0] != '\0' ? problem : "REGISTRY_NOT_READ: the registry is not loaded yet";
	else if (!dispatch->has_secret)
		reason = "SECRET_NOT_READ: the key of the positions is not loaded yet";
	jk_daemon_set_ready(dispatch->around.daemon, reason);
}

static void set_gauges(struct dispatch *dispatch)
{
	const struct dispatch_metrics *metrics = &dispatch->metrics;

	jk_metric_set(metrics->sessions, (int64_t)jk_sessions_count(dispatch->sessions));
	jk_metric_set(metrics->cache_bytes, (int64_t)dispatch_cache_bytes(dispatch->cache));
	jk_metric_set(metrics->registry_version, dispatch->registry_version);
	jk_metric_set(metrics->flight_bytes, (int64_t)dispatch->flight.bytes);
	jk_metric_set(metrics->protected_bytes, (int64_t)dispatch->protected.bytes);
}

/* Once a second: it looks at every stream of every session. */
static void measure_lag(struct dispatch *dispatch)
{
	int64_t now_ms = jk_time_mono_ms();

	if (now_ms >= dispatch->lag.measure_at_ms) {
		dispatch->lag.measure_at_ms = now_ms + DISPATCH_LAG_MS;
		dispatch_lag_measure(dispatch, jk_time_now_us());
	}
	dispatch_lagging_tick(dispatch, now_ms);
}

/* A database that comes back may be another one: its epoch is read anew, and a new epoch ends all sessions, whose clients then
 * show their positions again. */
static void look_at_database(struct dispatch *dispatch, bool up)
{
	if (up && !dispatch->was_up)
		dispatch->writing.secret_due = true;
	if (up != dispatch->was_up)
		jk_log(up ? JK_LOG_INFO : JK_LOG_WARN, up ? "database_up" : "database_away", "problem=%s",
			up ? "" : dispatch_store_problem(dispatch->store));
	dispatch->was_up = up;
}

static void on_tick(void *arg)
{
	struct dispatch *dispatch = arg;
	bool up = dispatch_store_is_up(dispatch->store);

	dispatch->feed.heads_due = true;
	dispatch->generation++;
	look_at_database(dispatch, up);
	dispatch_protected_tick(dispatch);
	dispatch_units_tick(dispatch->units);
	dispatch_open_on_timer(dispatch->open);
	dispatch_duty_on_timer(dispatch->duties);
	dispatch_opened_on_timer(dispatch->opened);
	set_ready(dispatch);
	set_gauges(dispatch);
	measure_lag(dispatch);
	dispatch_evidence_publish(dispatch, jk_time_mono_ms());
	if (dispatch->has_secret && !dispatch->draining)
		jk_sessions_each(dispatch->sessions, beat_session, dispatch);
}

static bool on_turn(void *arg)
{
	struct dispatch *dispatch = arg;
	bool more = dispatch_fanout_turn(dispatch);

	dispatch_feed_turn(dispatch);
	dispatch_protected_turn(dispatch);
	dispatch_writing_turn(dispatch);
	dispatch_units_turn(dispatch->units);
	dispatch_open_turn(dispatch->open);
	dispatch_duty_turn(dispatch->duties);
	dispatch_opened_turn(dispatch->opened);
	dispatch_cache_trim(dispatch->cache);
	if (dispatch->draining && jk_sessions_count(dispatch->sessions) == 0 &&
		((dispatch_writing_is_clear(dispatch) && dispatch_units_is_clear(dispatch->units)) || !dispatch->was_up))
		jk_loop_stop(dispatch->around.loop);
	return more;
}

static void end_stopping(void *arg, struct jk_session *session)
{
	struct dispatch *dispatch = arg;
	const struct dispatch_subscription *subscription = session->user;

	dispatch->left.sessions++;
	if (subscription != NULL)
		dispatch->left.unacknowledged += subscription->delivery_no - subscription->acked_no;
	dispatch_subscription_end(dispatch, session);
	jk_session_end(dispatch->sessions, session, JK_CODE_STOPPING, "the service is stopping; come again");
}

void dispatch_drain(void *arg)
{
	struct dispatch *dispatch = arg;

	dispatch->draining = true;
	jk_sessions_drain(dispatch->sessions);
	jk_sessions_each(dispatch->sessions, end_stopping, dispatch);
}

/* ---- opening ---- */

static void on_end(void *service, struct jk_session *session)
{
	dispatch_subscribe_forget(service, session->number);
	dispatch_subscription_end(service, session);
	if (((struct dispatch *)service)->duties != NULL) /* they are closed before the sessions */
		dispatch_duty_forget(((struct dispatch *)service)->duties, session->number);
}

static uint32_t epoch_of(void *service)
{
	return ((struct dispatch *)service)->epoch;
}

static void register_metrics(struct dispatch_metrics *m)
{
	m->delivered = jk_metric_counter("jukwaa_dispatch_deliveries_total", "", "Copies sent to sessions.");
	m->batches = jk_metric_counter("jukwaa_dispatch_batches_total", "", "Messages with more than one copy.");
	m->acked = jk_metric_counter("jukwaa_dispatch_acknowledged_total", "", "Copies acknowledged.");
	m->denied = jk_metric_counter("jukwaa_dispatch_passed_total", "why=\"denied\"", "Events passed over for a session.");
	m->filtered = jk_metric_counter("jukwaa_dispatch_passed_total", "why=\"filtered\"", "Events passed over for a session.");
	m->unreadable =
		jk_metric_counter("jukwaa_dispatch_passed_total", "why=\"unreadable\"", "Events passed over for a session.");
	m->recalled = jk_metric_counter("jukwaa_dispatch_recalled_total", "", "Earlier copies recalled from desks.");
	m->hits =
		jk_metric_counter("jukwaa_dispatch_cache_total", "result=\"hit\"", "Events taken from the cache, or not there.");
	m->misses =
		jk_metric_counter("jukwaa_dispatch_cache_total", "result=\"miss\"", "Events taken from the cache, or not there.");
	m->cache_bytes = jk_metric_gauge("jukwaa_dispatch_cache_bytes", "", "Memory the cache takes.");
	m->events_read = jk_metric_counter("jukwaa_dispatch_events_read_total", "", "Events read from the database.");
	m->read_time = jk_metric_histogram("jukwaa_dispatch_read_seconds", "", "Time of one reading job.");
	m->sessions = jk_metric_gauge("jukwaa_dispatch_sessions", "", "Open sessions.");
	m->registry_version = jk_metric_gauge("jukwaa_dispatch_registry_version", "", "Version of the registry in force here.");
	m->flight_bytes = jk_metric_gauge("jukwaa_dispatch_unacknowledged_bytes", "", "Bytes sent and not acknowledged.");
	m->heads_signed = jk_metric_counter("jukwaa_dispatch_heads_signed_total", "", "Heads signed and stored.");
	m->receipts = jk_metric_counter("jukwaa_dispatch_receipts_total", "", "DELIVERED receipts appended to mailboxes.");
	m->notices = jk_metric_counter("jukwaa_dispatch_lag_notices_total", "", "Messages to publishers about desks that lag.");
	m->reservations = jk_metric_counter("jukwaa_dispatch_disclosures_total", "", "Ranges written down before sending.");
	m->protected_copies =
		jk_metric_counter("jukwaa_dispatch_protected_copies_total", "", "Copies made with protected groups.");
	m->protected_refused = jk_metric_counter(
		"jukwaa_dispatch_protected_refused_total", "", "Protected groups that the database did not give.");
	m->protected_bytes =
		jk_metric_gauge("jukwaa_dispatch_protected_bytes", "", "Protected groups in memory, on their way into a copy.");
	m->erasures = jk_metric_counter("jukwaa_dispatch_erasures_total", "", "Erasures after which memory was cleared.");
	m->snapshots = jk_metric_counter("jukwaa_dispatch_snapshots_total", "", "Snapshots and backfills told to their end.");
	m->failures = jk_metric_counter(
		"jukwaa_dispatch_database_failures_total", "", "Database jobs that failed and are tried again.");
}

static void on_offer_command(void *service, const struct jk_request *request)
{
	dispatch_duty_on_command(((struct dispatch *)service)->duties, request);
}

static void on_offer_list(void *service, const struct jk_request *request)
{
	dispatch_duty_on_list(((struct dispatch *)service)->duties, request);
}

static void on_unit_command(void *service, const struct jk_request *request)
{
	dispatch_units_on_command(((struct dispatch *)service)->units, request);
}

static void on_unit_question(void *service, const struct jk_request *request)
{
	dispatch_units_on_question(((struct dispatch *)service)->units, request);
}

/* What units did is in the feed now. */
static void on_unit_appended(void *arg)
{
	((struct dispatch *)arg)->feed.heads_due = true;
}

static enum jk_status open_units(struct dispatch *dispatch)
{
	return dispatch_units_open(&(struct dispatch_units_around){.loop = dispatch->around.loop,
					   .conninfo = dispatch->around.conninfo,
					   .sessions = dispatch->sessions,
					   .on_appended = on_unit_appended,
					   .arg = dispatch},
		&dispatch->units);
}

static enum jk_status open_sessions(struct dispatch *dispatch)
{
	static struct jk_handler handlers[5 + DISPATCH_UNIT_HANDLERS];
	const struct jk_service service = {.name = "dispatch",
		.handlers = handlers,
		.handler_count = sizeof handlers / sizeof *handlers,
		.service = dispatch,
		.on_end = on_end,
		.roles = 1U << JK_ROLE_DESK | 1U << JK_ROLE_PUBLISHER,
		.window_default = DISPATCH_WINDOW_DEFAULT,
		.window_max = DISPATCH_WINDOW_MAX,
		.arena_bytes = 256 * 1024,
		.epoch = epoch_of};

	dispatch_wire_subscribe_handler(&handlers[0], dispatch_on_subscribe);
	dispatch_wire_ack_handler(&handlers[1], on_ack);
	dispatch_duty_wire_command_handler(&handlers[2], on_offer_command);
	dispatch_duty_wire_list_handler(&handlers[3], on_offer_list);
	dispatch_opened_wire_handler(&handlers[4], on_mark);
	dispatch_unit_wire_handlers(&handlers[5], on_unit_command, on_unit_question);
	return jk_sessions_open(
		&service, dispatch->around.loop, dispatch->around.router, dispatch->around.watch, &dispatch->sessions);
}

/* A stream has. */
static void on_grown(void *arg)
{
	((struct dispatch *)arg)->feed.heads_due = true;
}

static void on_woken(void *arg)
{
	dispatch_duty_wake(((struct dispatch *)arg)->duties);
}

static enum jk_status open_parts(struct dispatch *dispatch)
{
	const struct dispatch_surroundings *around = &dispatch->around;

	dispatch->cache = dispatch_cache_new(around->cache_max_bytes);
	dispatch->scratch = jk_arena_new(DISPATCH_SCRATCH_BYTES);
	dispatch->writing.receipts = dispatch_receipts_new();
	if (dispatch->cache == NULL || dispatch->scratch == NULL || dispatch->writing.receipts == NULL)
		return JK_BROKEN;
	if (dispatch_store_open(around->conninfo, around->loop, &dispatch->store) != JK_OK || open_sessions(dispatch) != JK_OK ||
		open_units(dispatch) != JK_OK)
		return JK_BROKEN;
	if (dispatch_duty_open(&(struct dispatch_duty_around){.conninfo = around->conninfo,
				       .loop = around->loop,
				       .sessions = dispatch->sessions,
				       .grace_s = around->grace_s,
				       .on_grown = on_grown,
				       .arg = dispatch},
		    &dispatch->duties) != JK_OK)
		return JK_BROKEN;
	if (dispatch_open_open(around->conninfo, around->loop, dispatch->sessions, on_woken, dispatch, &dispatch->open) != JK_OK)
		return JK_BROKEN;
	if (dispatch_opened_open(around->conninfo, around->loop, dispatch->sessions, on_grown, dispatch, &dispatch->opened) !=
		JK_OK)
		return JK_BROKEN;
	if (jk_loop_add_socket(around->loop, jk_hint_listener_socket(around->hints), on_hint, dispatch) != JK_OK)
		return JK_BROKEN;
	return jk_loop_add_timer(around->loop, DISPATCH_TICK_MS, on_tick, dispatch);
}

enum jk_status dispatch_open(const struct dispatch_surroundings *surroundings, struct dispatch **ret_dispatch)
{
	struct dispatch *dispatch = calloc(1, sizeof *dispatch);

	*ret_dispatch = NULL;
	if (dispatch == NULL)
		return JK_BROKEN;
	dispatch->around = *surroundings;
	dispatch->generation = 1;
	dispatch->writing.secret_due = true;
	dispatch->feed.erased_after = -1;
	register_metrics(&dispatch->metrics);
	if (open_parts(dispatch) != JK_OK) {
		dispatch_close(&dispatch);
		return JK_BROKEN;
	}
	jk_loop_set_turn(surroundings->loop, on_turn, dispatch);
	*ret_dispatch = dispatch;
	return JK_OK;
}

void dispatch_close(struct dispatch **dispatch_p)
{
	struct dispatch *dispatch = *dispatch_p;

	if (dispatch == NULL)
		return;
	dispatch_store_close(&dispatch->store); /* first: no job may end any more */
	dispatch_units_close(&dispatch->units);
	dispatch_open_close(&dispatch->open);
	dispatch_duty_close(&dispatch->duties);
	dispatch_opened_close(&dispatch->opened);
	dispatch_evidence_publish(dispatch, jk_time_mono_ms() + DISPATCH_HEAD_BEAT_MS);
	if (dispatch->sessions != NULL)
		jk_sessions_close(&dispatch->sessions);
	dispatch_subscribe_done(dispatch);
	dispatch_flight_done(&dispatch->flight);
	dispatch_writing_done(dispatch);
	dispatch_cache_free(&dispatch->cache);
	jk_arena_free(&dispatch->scratch);
	dispatch_protected_done(dispatch);
	dispatch_lag_done(dispatch);
	dispatch_lagging_done(dispatch);
	dispatch_recall_done(dispatch);
	dispatch_snapshot_done(dispatch);
	dispatch_terms_done(&dispatch->terms);
	dispatch_parcel_done(&dispatch->parcel);
	free(dispatch);
	*dispatch_p = NULL;
}

int dispatch_exit_status(const struct dispatch *dispatch)
{
	bool clear = dispatch_writing_is_clear(dispatch);

	jk_log(clear ? JK_LOG_INFO : JK_LOG_WARN, "left",
		"sessions=%" PRIu64 " deliveries_unacknowledged=%" PRIu64 " cursors_and_receipts_written=%s",
		dispatch->left.sessions, dispatch->left.unacknowledged, clear ? "yes" : "no");
	return dispatch->fatal ? EXIT_FAILURE : EXIT_SUCCESS;
}
