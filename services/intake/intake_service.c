#include "services/intake/intake_service.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_crash.h"
#include "base/jk_log.h"
#include "base/jk_text.h"
#include "base/jk_time.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "services/intake/intake_audience.h"
#include "services/intake/intake_batch.h"
#include "services/intake/intake_examine.h"
#include "services/intake/intake_meter.h"
#include "services/intake/intake_wire.h"
#include "session/session.h"

enum {
	MEMORY_MAX_BYTES = 64 * 1024 * 1024, /* reports in flight, all sessions */
	SESSION_MAX_BYTES = 4 * 1024 * 1024, /* the same of one session, as received */
	ITEM_MAX_BYTES = 16 * 1024 * 1024,   /* one report decoded; a protobuf message can unpack to 60 times its size */
	ITEM_MIN_BYTES = 16 * 1024,          /* what its arena takes at least */
	MESSAGE_MAX_BYTES = 4 * 1024 * 1024, /* PUBLISH unpacked, the payload within */
	SPARE_ARENAS_MAX = 256,
	TICK_MS = 50,
	WINDOW_DEFAULT = 64,
	WINDOW_MAX = 256,
};

struct intake_service {
	struct intake_parts parts;
	struct jk_sessions *sessions;
	struct intake_queue *queue;
	struct intake_batch *batch;
	struct jk_arena *spare[SPARE_ARENAS_MAX];
	size_t spare_count;
	struct intake_examiner examiner;
	bool was_up, beginning, stopping;
	int ticks, exit;
};

/* ---- items ---- */

static struct intake_item *item_new(
	struct intake_service *service, const struct jk_request *request, const struct intake_publish *publish)
{
	struct jk_arena *arena = service->spare_count ? service->spare[--service->spare_count] : jk_arena_new(ITEM_MAX_BYTES);
	struct intake_item *item = arena ? jk_arena_alloc(arena, sizeof *item) : NULL;

	if (!item) {
		jk_arena_free(&arena);
		return NULL;
	}
	const struct jk_agency *agency = request->key->agency;
	item->arena = arena;
	item->session = request->session->number;
	item->request = publish->request;
	item->key_id = request->key->key_id;
	item->candidate.agency_id = agency->agency_id;
	jk_text_copy(item->agency, sizeof item->agency, agency->code);
	item->refuse_expired = agency->refuse_expired;
	item->check = publish->check;
	item->dry_run = publish->dry_run;
	item->format = publish->format;
	return item;
}

static void item_free(struct intake_service *service, struct intake_item **item_p)
{
	struct jk_arena *arena = (*item_p)->arena;

	*item_p = NULL;
	if (service->spare_count == SPARE_ARENAS_MAX) {
		jk_arena_free(&arena);
		return;
	}
	jk_arena_reset(arena);
	service->spare[service->spare_count++] = arena;
}

/* For the log. What has not our shape has names of the publisher's own making: text of a report, which no log repeats. */
static const char *loggable_field(const struct jk_refusal *refusal)
{
	return refusal->code == JK_CODE_INVALID_SCHEMA || refusal->code == JK_CODE_NOT_AN_ALERT ? "" : refusal->field;
}

/* Sends the receipt and frees the item. A receipt that cannot be sent is lost: the publisher hears nothing, repeats the report
 * and is answered DUPLICATE. */
static void item_answer(struct intake_service *service, struct intake_item *item)
{
	struct jk_session *session = jk_session_find(service->sessions, item->session);
	const struct jk_registry *registry = jk_sessions_registry(service->sessions);
	const ProtobufCMessage *receipt;

	if (item->dry_run && item->verdict == JK_VERDICT_VALID && registry &&
		!intake_audience_fill(item, registry, jk_time_now_us()))
		item->verdict = JK_VERDICT_BUSY;
	receipt = session ? intake_wire_receipt(item) : NULL;

	JK_CRASH_POINT("intake_before_receipt", NULL);
	intake_meter_receipt(item);
	if (session && item->verdict == JK_VERDICT_REJECTED && item->refusal)
		jk_session_log(service->sessions, session, "report_refused", item->refusal->code, loggable_field(item->refusal));
	if (!receipt || jk_session_send(service->sessions, session, JUKWAA__V1__KIND__KIND_RECEIPT, receipt) != JK_OK)
		intake_meter_receipt_lost();
	item_free(service, &item);
}

static void item_reject(struct intake_service *service, struct intake_item *item, const struct jk_refusal *refusal)
{
	item->verdict = JK_VERDICT_REJECTED;
	item->refusal = (struct jk_refusal *)refusal;
	item_answer(service, item);
}

static void item_busy(struct intake_service *service, struct intake_item *item)
{
	item->verdict = JK_VERDICT_BUSY;
	item_answer(service, item);
}

/* ---- arrival ---- */

static bool can_take(const struct intake_service *service, const struct intake_lane *lane, size_t size)
{
	const struct jk_db *db = intake_store_db(service->parts.store);

	return jk_db_is_up(db) && !jk_db_is_stuck(db) && intake_store_content_key(service->parts.store) && lane &&
	       intake_queue_has_room(service->queue, lane, size);
}

static void on_publish(void *arg, const struct jk_request *request)
{
	struct intake_service *service = arg;
	struct intake_lane *lane = request->session->user;
	struct intake_publish publish;
	struct jk_refusal refusal;

	intake_wire_publish(request->message, &publish);
	struct intake_item *item = item_new(service, request, &publish);
	if (!item)
		return; /* out of memory: silence, the client repeats */
	if (!can_take(service, lane, publish.payload_size)) {
		item_busy(service, item);
		return;
	}
	item->bytes = publish.payload = jk_arena_copy(item->arena, publish.payload, publish.payload_size);
	item->size = publish.payload_size;
	publish.strict = publish.strict || request->key->agency->strict;
	if (!item->bytes) {
		item_busy(service, item);
		return;
	}
	service->examiner.content_key = intake_store_content_key(service->parts.store);
	if (!intake_examine(&service->examiner, request, &publish, item, &refusal)) {
		item_reject(service, item, &refusal);
		return;
	}
	size_t used = jk_arena_used(item->arena);
	item->cost_bytes = used > ITEM_MIN_BYTES ? used : ITEM_MIN_BYTES;
	intake_queue_put(service->queue, lane, item);
	JK_CRASH_POINT("intake_after_read", NULL);
}

static void on_open(void *arg, struct jk_session *session)
{
	struct intake_service *service = arg;

	session->user = intake_queue_join(service->queue, session->key_id);
}

static void on_end(void *arg, struct jk_session *session)
{
	struct intake_service *service = arg;
	struct intake_lane *lane = session->user;

	session->user = NULL;
	intake_queue_leave(service->queue, &lane);
}

static uint32_t epoch_of(void *arg)
{
	const struct intake_service *service = arg;

	return intake_store_epoch(service->parts.store);
}

/* ---- after the commit ---- */

static void on_reply(void *arg, struct intake_item *item)
{
	struct intake_service *service = arg;

	intake_queue_done(service->queue, item);
	item_answer(service, item);
}

static void on_stored(void *arg, size_t stored, int64_t commit_us)
{
	struct intake_service *service = arg;

	if (!stored) /* made sure of what was known already */
		return;
	intake_meter_batch(stored, commit_us);
	if (service->parts.hint)
		jk_hint_send(service->parts.hint);
}

/* ---- time ---- */

static void on_begun(void *arg, enum intake_outcome outcome, const char *why)
{
	struct intake_service *service = arg;

	service->beginning = false;
	if (outcome == INTAKE_DONE && intake_store_epoch(service->parts.store) == 0)
		jk_log_limited(10000, JK_LOG_ERROR, "epoch_not_confirmed", "do=%s", "jukwaa admin epoch confirm");
	else if (outcome == INTAKE_REFUSED)
		jk_log_limited(10000, JK_LOG_ERROR, "database_refuses", "why=%s", why);
}

/* Key and epoch are read again with every new connection: it may lead to another server. */
static void begin_when_needed(struct intake_service *service)
{
	struct intake_store *store = service->parts.store;
	bool up = jk_db_is_up(intake_store_db(store));
	bool known = service->was_up && intake_store_content_key(store) && intake_store_epoch(store);

	if (!up || known || service->beginning || !intake_batch_is_idle(service->batch)) {
		service->was_up = service->was_up && up;
		return;
	}
	service->beginning = intake_store_begin(store, on_begun, service) == JK_OK;
	service->was_up = service->beginning;
}

static void tell_ready(struct intake_service *service)
{
	struct intake_store *store = service->parts.store;
	const char *reason = "";
	char problem[256], trouble[JK_DB_TROUBLE_BYTES];
	bool fatal;

	jk_registry_watch_problem(service->parts.watch, problem, &fatal);
	if (fatal) {
		jk_log(JK_LOG_ERROR, "cannot_serve", "why=%s", problem);
		service->exit = EXIT_FAILURE;
		jk_loop_stop(service->parts.loop);
	}
	if (service->stopping)
		reason = "STOPPING: stopping";
	else if (jk_db_trouble(intake_store_db(store), trouble) != JK_DB_FINE)
		reason = trouble;
	else if (problem[0])
		reason = problem;
	else if (jk_registry_version(service->parts.watch) == 0)
		reason = "REGISTRY_NOT_READ: waiting for the registry";
	else if (!intake_store_content_key(store) || !intake_store_epoch(store))
		reason = "EPOCH_NOT_CONFIRMED: the database is not prepared, or its epoch is not confirmed";
	jk_daemon_set_ready(service->parts.daemon, reason);
}

/* The next of all that waits, whatever draw it belongs to; NULL: nothing waits. */
static struct intake_item *take_waiting(struct intake_service *service)
{
	struct intake_item *item = NULL;

	while (!item && intake_queue_count(service->queue))
		item = intake_queue_take(service->queue);
	if (item)
		intake_queue_done(service->queue, item);
	return item;
}

/* Whoever waits behind a batch that gets no answer is told to come again; the batch itself stays as it is, for its commit may
 * still happen. */
static void turn_away_waiting(struct intake_service *service)
{
	for (struct intake_item *item = take_waiting(service); item; item = take_waiting(service))
		item_busy(service, item);
}

static void on_tick(void *arg)
{
	enum { TELL_EVERY_TICKS = 5, METER_EVERY_TICKS = 10 };
	struct intake_service *service = arg;

	service->ticks++;
	begin_when_needed(service);
	if (service->ticks % TELL_EVERY_TICKS == 0) {
		jk_db_on_timer(intake_store_db(service->parts.store));
		tell_ready(service);
		if (jk_db_is_stuck(intake_store_db(service->parts.store)))
			turn_away_waiting(service);
	}
	if (service->ticks % METER_EVERY_TICKS == 0)
		intake_meter_refresh(service->parts.bus, service->parts.router, service->sessions,
			intake_queue_count(service->queue), intake_queue_bytes(service->queue));
}

static bool on_turn(void *arg)
{
	struct intake_service *service = arg;

	int pause_us = intake_batch_run(service->batch);
	if (pause_us)
		jk_loop_wake_in(service->parts.loop, pause_us);
	if (service->stopping && intake_batch_is_idle(service->batch) && intake_queue_count(service->queue) == 0)
		jk_loop_stop(service->parts.loop);
	return false;
}

/* ---- the room itself ---- */

void intake_service_stop(void *arg)
{
	struct intake_service *service = arg;

	service->stopping = true;
	jk_sessions_drain(service->sessions);
}

int intake_service_exit(const struct intake_service *service)
{
	size_t queued = intake_queue_count(service->queue), bytes = intake_queue_bytes(service->queue);

	jk_log(bytes ? JK_LOG_WARN : JK_LOG_INFO, "left",
		"reports_queued=%zu batch_under_way=%s bytes_in_flight=%zu sessions=%zu", queued,
		intake_batch_is_idle(service->batch) ? "no" : "yes", bytes, jk_sessions_count(service->sessions));
	return service->exit;
}

static enum jk_status open_sessions(struct intake_service *service)
{
	static const struct jk_handler handlers[] = {
		{
			.kind = JUKWAA__V1__KIND__KIND_PUBLISH,
			.type = &jukwaa__v1__publish__descriptor,
			.roles = 1u << JK_ROLE_PUBLISHER,
			.on_message = on_publish,
			.session_offset = offsetof(Jukwaa__V1__Publish, session),
			.request_offset = offsetof(Jukwaa__V1__Publish, request),
			.rate_limited = true,
		},
	};
	const struct jk_service face = {
		.name = "intake",
		.handlers = handlers,
		.handler_count = sizeof handlers / sizeof *handlers,
		.service = service,
		.on_open = on_open,
		.on_end = on_end,
		.roles = 1u << JK_ROLE_PUBLISHER,
		.window_default = WINDOW_DEFAULT,
		.window_max = WINDOW_MAX,
		.arena_bytes = MESSAGE_MAX_BYTES,
		.epoch = epoch_of,
	};

	return jk_sessions_open(&face, service->parts.loop, service->parts.router, service->parts.watch, &service->sessions);
}

static enum jk_status join_loop(struct intake_service *service)
{
	struct jk_loop *loop = service->parts.loop;
	struct jk_db *db = intake_store_db(service->parts.store);

	jk_loop_set_turn(loop, on_turn, service);
	if (jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, db) != JK_OK)
		return JK_BROKEN;
	return jk_loop_add_timer(loop, TICK_MS, on_tick, service);
}

enum jk_status intake_service_open(const struct intake_parts *parts, struct intake_service **ret_service)
{
	struct intake_service *service = calloc(1, sizeof *service);

	if (!service)
		return JK_BROKEN;
	service->parts = *parts;
	service->examiner.cap = parts->cap;
	service->examiner.boundaries = parts->boundaries;
	intake_meter_open();
	service->queue = intake_queue_new(MEMORY_MAX_BYTES, SESSION_MAX_BYTES);
	const struct intake_batch_options options = {
		.store = parts->store, .queue = service->queue, .on_reply = on_reply, .on_stored = on_stored, .arg = service};
	if (!service->queue || intake_batch_open(&options, &service->batch) != JK_OK || open_sessions(service) != JK_OK ||
		join_loop(service) != JK_OK) {
		intake_service_close(&service);
		return JK_BROKEN;
	}
	*ret_service = service;
	return JK_OK;
}

/* Reports still in flight here were never receipted; their publishers repeat them. */
static void drop_items(struct intake_service *service)
{
	intake_batch_close(&service->batch);
	for (struct intake_item *item = take_waiting(service); item; item = take_waiting(service))
		item_free(service, &item);
}

void intake_service_close(struct intake_service **service_p)
{
	struct intake_service *service = *service_p;

	if (!service)
		return;
	if (service->batch)
		drop_items(service);
	jk_sessions_close(&service->sessions);
	intake_queue_free(&service->queue);
	while (service->spare_count)
		jk_arena_free(&service->spare[--service->spare_count]);
	free(service);
	*service_p = NULL;
}
