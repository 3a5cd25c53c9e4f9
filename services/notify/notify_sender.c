/* notify_sender.c: a table of attempts under way; one job after another on one connection: RECORD before anything else, TARGETS
 * every second, CLAIM while there is room. */
#include "notify_sender.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "crypt/crypt.h"
#include "daemon/metrics.h"
#include "notify_desk.h"
#include "notify_sign.h"
#include "notify_store_pg.h"
#include "notify_webhook.h"
#include "notify_wire.h"

enum {
	FLIGHTS_MAX = 64,
	TARGETS_EVERY_MS = 1000,
	TIMER_MS = 250,
	RETRY_MS = 500,
	/* Longer than an attempt may take with its recording. */
	LEASE_S = NOTIFY_TIMEOUT_MS / 1000 + 5,
	LABEL_ARENA_BYTES = 4 * 1024 * 1024,
};

/* FREE -> SENT -> ENDED -> FREE once recorded. */
enum flight_state { FLIGHT_FREE, FLIGHT_SENT, FLIGHT_ENDED };
struct flight {
	enum flight_state state;
	bool recording; /* part of the job under way */
	struct notify_ended ended;
	struct jk_id incident_id;
	int32_t rule_id;
	char host[NOTIFY_HOST_BYTES];
};

struct target {
	struct notify_target target;
	char host[NOTIFY_HOST_BYTES];
};

struct notify_sender {
	struct notify_sender_settings settings;
	struct jk_db *db;
	struct jk_registry_watch *watch;
	struct notify_webhooks *webhooks;
	struct jk_arena *arena;
	struct flight flights[FLIGHTS_MAX];
	struct target *targets;
	size_t target_count, target_capacity, first_target;
	bool due, stopping;
	int64_t targets_at_ms, retry_at_ms; /* not before */
	struct notify_store_claim claim;
	struct notify_store_ended ended;
	struct jk_metric *accepted, *retried, *dead, *uncertain, *in_flight, *pending;
};

static size_t count_flights(const struct notify_sender *sender, enum flight_state state)
{
	size_t count = 0;
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		count += sender->flights[i].state == state;
	return count;
}

static void log_end(const struct flight *flight)
{
	char message_id[JK_ID_TEXT_BYTES], incident_id[JK_ID_TEXT_BYTES];
	const struct notify_next *next = &flight->ended.next;
	jk_id_format(message_id, &flight->ended.message_id);
	jk_id_format(incident_id, &flight->incident_id);
	static const char *const events[] = {
		[NOTIFY_PENDING] = "webhook_failed", [NOTIFY_ACCEPTED] = "webhook_accepted", [NOTIFY_DEAD] = "webhook_dead"};
	jk_log(next->state == NOTIFY_ACCEPTED ? JK_LOG_INFO : JK_LOG_WARN, events[next->state],
		"message=%s incident=%s rule=%d host=%s attempt=%d status=%d reason=%s", message_id, incident_id, flight->rule_id,
		flight->host, flight->ended.attempt_no, flight->ended.result.http_status, next->reason);
}

static void end_flight(struct notify_sender *sender, struct flight *flight, const struct notify_next *next)
{
	struct jk_metric *const counters[] = {
		[NOTIFY_PENDING] = sender->retried, [NOTIFY_ACCEPTED] = sender->accepted, [NOTIFY_DEAD] = sender->dead};
	flight->ended.next = *next;
	flight->state = FLIGHT_ENDED;
	jk_metric_add(counters[next->state], 1);
	jk_metric_add(sender->uncertain, flight->ended.result.uncertain);
	log_end(flight);
}

/* An attempt that ended, or could not be made. */
static void on_answer(void *arg, size_t tag, const struct notify_result *result)
{
	struct notify_sender *sender = arg;
	struct flight *flight = &sender->flights[tag];
	uint32_t chance;
	jk_random(&chance, sizeof chance);
	flight->ended.result = *result;
	struct notify_next next = notify_rules_decide(result, flight->ended.attempts, sender->settings.attempts_max, chance);
	end_flight(sender, flight, &next);
	sender->due = true;
}

static void fail_flight(struct notify_sender *sender, struct flight *flight, const char *why)
{
	struct notify_result result = {0};
	(void)jk_text_copy(result.error, sizeof result.error, why);
	on_answer(sender, (size_t)(flight - sender->flights), &result);
}

/* Ends the message whatever its attempts: nothing was or will be sent. */
static void bury_flight(struct notify_sender *sender, struct flight *flight, const char *why)
{
	struct notify_next next = {.state = NOTIFY_DEAD};
	(void)jk_text_copy(next.reason, sizeof next.reason, why);
	(void)jk_text_copy(flight->ended.result.error, sizeof flight->ended.result.error, why);
	end_flight(sender, flight, &next);
}

/* The copy is made now, so it is decided now: between match and attempt there may be an hour and a revocation. */
static bool may_tell(struct notify_sender *sender, const struct notify_target *target, const struct notify_claimed *claimed)
{
	struct jk_label label;
	char agency[33];
	jk_arena_reset(sender->arena);
	const struct jk_registry *registry = jk_registry_acquire(sender->watch);
	bool may = registry && claimed->body &&
		   notify_wire_read_label(claimed->body, claimed->body_size, claimed->message.county, claimed->recorded_at_us,
			   sender->arena, &label, agency) &&
		   notify_desk_may_have(registry, target->desk_id, agency, &label, jk_time_now_us());
	if (registry)
		jk_registry_release(sender->watch, &registry);
	return may;
}

static void send_message(struct notify_sender *sender, const struct notify_target *target, const struct notify_claimed *claimed,
	struct flight *flight, const struct notify_secret *secret)
{
	__attribute__((cleanup(jk_buffer_done))) struct jk_buffer body = {0};
	char message_id[JK_ID_TEXT_BYTES], incident_id[JK_ID_TEXT_BYTES], signature[NOTIFY_SIGNATURE_BYTES];
	jk_id_format(message_id, &claimed->message.message_id);
	jk_id_format(incident_id, &claimed->message.incident_id);
	const struct notify_told told = {
		.message_id = message_id,
		.incident_id = incident_id,
		.county = claimed->message.county,
		.category = claimed->message.category,
		.severity = claimed->message.severity,
		.time_us = claimed->recorded_at_us,
		.realm = sender->settings.realm,
	};
	notify_wire_write(&told, &body);
	struct notify_call call = {
		.tag = (size_t)(flight - sender->flights),
		.url = target->url,
		.id = message_id,
		.signature = signature,
		.timestamp_s = jk_time_now_us() / 1000000,
		.body = body.data,
		.body_size = body.size,
	};
	if (!body.failed)
		notify_sign(signature, secret, message_id, call.timestamp_s, body.data, body.size);
	if (body.failed || notify_webhook_start(sender->webhooks, &call) != JK_OK)
		fail_flight(sender, flight, "the request could not be made: not a URL, or out of memory");
}

static void start_flight(
	struct notify_sender *sender, const struct target *target, const struct notify_claimed *claimed, struct flight *flight)
{
	struct notify_secret secret;
	struct jk_refusal refusal;
	*flight = (struct flight){
		.state = FLIGHT_SENT,
		.ended = {.message_id = claimed->message.message_id,
			.attempts = claimed->attempts,
			.attempt_no = claimed->attempt_no},
		.incident_id = claimed->message.incident_id,
		.rule_id = claimed->message.rule_id,
	};
	if (!target || target->target.revoked) {
		bury_flight(sender, flight, "the rule was revoked");
		return;
	}
	memcpy(flight->host, target->host, sizeof flight->host);
	if (!may_tell(sender, &target->target, claimed))
		bury_flight(sender, flight, "the rule's desk may not have it (any more)");
	else if (!target->host[0])
		fail_flight(sender, flight, "the rule's URL is not one of http or https");
	else if (!notify_sign_read_secret(target->target.secret_file, &secret, &refusal))
		fail_flight(sender, flight, refusal.reason);
	else {
		send_message(sender, &target->target, claimed, flight, &secret);
		notify_sign_wipe(&secret);
	}
}

static const struct target *find_target(const struct notify_sender *sender, int32_t rule_id)
{
	for (size_t i = 0; i < sender->target_count; i++)
		if (sender->targets[i].target.rule_id == rule_id)
			return &sender->targets[i];
	return NULL;
}

static struct flight *find_free_flight(struct notify_sender *sender)
{
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		if (sender->flights[i].state == FLIGHT_FREE)
			return &sender->flights[i];
	return NULL;
}

static void back_off(struct notify_sender *sender, const struct jk_db_outcome *outcome, const char *job)
{
	jk_log_limited(10000, outcome->status == JK_RETRY ? JK_LOG_WARN : JK_LOG_ERROR, "sender_job_failed",
		"job=%s sqlstate=%s reason=%s", job, outcome->sqlstate, outcome->message);
	sender->retry_at_ms = jk_time_mono_ms() + RETRY_MS;
}

static void on_claimed(void *arg, const struct jk_db_outcome *outcome)
{
	struct notify_sender *sender = arg;
	if (outcome->status != JK_OK) {
		back_off(sender, outcome, "claim");
		sender->due = true;
		return;
	}
	for (int row = 0; row < PQntuples(outcome->results[0]); row++) {
		struct notify_claimed claimed;
		struct flight *flight = find_free_flight(sender);
		notify_store_read_claimed(outcome->results[0], row, &claimed);
		if (flight) /* there is one for each claim; else the lease would bring the message back */
			start_flight(sender, find_target(sender, claimed.message.rule_id), &claimed, flight);
	}
	jk_metric_set(sender->in_flight, (int64_t)count_flights(sender, FLIGHT_SENT));
}

static bool make_room(struct notify_sender *sender, size_t count)
{
	if (count <= sender->target_capacity)
		return true;
	struct target *grown = realloc(sender->targets, count * sizeof *grown);
	if (!grown)
		return false;
	sender->targets = grown;
	sender->target_capacity = count;
	return true;
}

static void on_targets(void *arg, const struct jk_db_outcome *outcome)
{
	struct notify_sender *sender = arg;
	if (outcome->status != JK_OK || !make_room(sender, notify_store_count_targets(outcome->results[0]))) {
		back_off(sender, outcome, "targets");
		return;
	}
	sender->target_count = notify_store_count_targets(outcome->results[0]);
	for (size_t i = 0; i < sender->target_count; i++) {
		notify_store_read_target(outcome->results[0], (int)i, &sender->targets[i].target);
		notify_webhook_host(sender->targets[i].target.url, sender->targets[i].host);
	}
	sender->targets_at_ms = jk_time_mono_ms() + TARGETS_EVERY_MS;
	jk_metric_set(sender->pending, notify_store_read_pending(outcome->results[0]));
}

static void on_recorded(void *arg, const struct jk_db_outcome *outcome)
{
	struct notify_sender *sender = arg;
	if (outcome->status != JK_OK)
		back_off(sender, outcome, "record");
	for (size_t i = 0; i < FLIGHTS_MAX; i++) {
		struct flight *flight = &sender->flights[i];
		/* What the database refuses for good is left to the lease: the message comes again, under the same id. */
		if (flight->recording && outcome->status != JK_RETRY)
			flight->state = FLIGHT_FREE;
		flight->recording = false;
	}
	sender->due = true;
	jk_metric_set(sender->in_flight, (int64_t)count_flights(sender, FLIGHT_SENT));
}

static size_t record_steps(struct notify_sender *sender, struct jk_db_step *steps)
{
	struct notify_ended ended[FLIGHTS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < FLIGHTS_MAX; i++) {
		if (sender->flights[i].state != FLIGHT_ENDED)
			continue;
		sender->flights[i].recording = true;
		ended[count++] = sender->flights[i].ended;
	}
	notify_store_record_steps(&sender->ended, ended, count, steps);
	return NOTIFY_RECORD_STEPS;
}

/* Room of one target: its fair part of what its host has left. */
static int host_room(const struct notify_sender *sender, const struct target *target)
{
	int sharing = 0, room = NOTIFY_PER_HOST_MAX;
	for (size_t i = 0; i < sender->target_count; i++)
		sharing += strcmp(sender->targets[i].host, target->host) == 0;
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		room -= sender->flights[i].state == FLIGHT_SENT && strcmp(sender->flights[i].host, target->host) == 0;
	if (room <= 0)
		return 0;
	return room >= sharing ? room / sharing : 1;
}

/* Starts one target further each time, so that those at the end get their turn when there are more targets than room. */
static size_t claim_steps(struct notify_sender *sender, struct jk_db_step *steps)
{
	int32_t rule_ids[FLIGHTS_MAX];
	int rooms[FLIGHTS_MAX];
	size_t count = 0;
	int left = (int)count_flights(sender, FLIGHT_FREE);
	for (size_t i = 0; i < sender->target_count && left > 0; i++) {
		const struct target *target = &sender->targets[(sender->first_target + i) % sender->target_count];
		int room = host_room(sender, target);
		if (room == 0)
			continue;
		rule_ids[count] = target->target.rule_id;
		rooms[count++] = room < left ? room : left;
		left -= room < left ? room : left;
	}
	sender->first_target++;
	if (count == 0)
		return 0;
	notify_store_claim_step(&sender->claim, rule_ids, rooms, count, LEASE_S, steps);
	return 1;
}

void notify_sender_turn(struct notify_sender *sender)
{
	struct jk_db_step steps[NOTIFY_RECORD_STEPS];
	jk_db_done *done = NULL;
	size_t count = 0;
	int64_t now_ms = jk_time_mono_ms();
	if (!jk_db_is_idle(sender->db) || now_ms < sender->retry_at_ms)
		return;
	if (count_flights(sender, FLIGHT_ENDED) > 0) {
		count = record_steps(sender, steps);
		done = on_recorded;
	} else if (sender->stopping || jk_registry_version(sender->watch) == 0) {
		return;
	} else if (now_ms >= sender->targets_at_ms) {
		notify_store_targets_steps(steps);
		count = NOTIFY_TARGETS_STEPS;
		done = on_targets;
	} else if (sender->due) {
		sender->due = false;
		count = claim_steps(sender, steps);
		done = on_claimed;
	}
	if (count > 0 && jk_db_start(sender->db, steps, count, done, sender) != JK_OK) {
		sender->due = true;
		sender->retry_at_ms = now_ms + RETRY_MS;
	}
}

static void on_timer(void *arg)
{
	struct notify_sender *sender = arg;
	jk_db_on_timer(sender->db);
	sender->due = true;
}

void notify_sender_wake(void *arg)
{
	struct notify_sender *sender = arg;
	sender->due = true;
	sender->targets_at_ms = 0;
}

bool notify_sender_drain(struct notify_sender *sender)
{
	sender->stopping = true;
	return count_flights(sender, FLIGHT_FREE) == FLIGHTS_MAX;
}

void notify_sender_left(const struct notify_sender *sender, size_t *ret_in_flight, size_t *ret_unrecorded)
{
	*ret_in_flight = count_flights(sender, FLIGHT_SENT);
	*ret_unrecorded = count_flights(sender, FLIGHT_ENDED);
}

static void register_metrics(struct notify_sender *sender)
{
	static const char help[] = "Attempts to send a webhook, by what came of them.";
	sender->accepted = jk_metric_counter("jukwaa_notify_attempts_total", "outcome=\"accepted\"", help);
	sender->retried = jk_metric_counter("jukwaa_notify_attempts_total", "outcome=\"retry\"", help);
	sender->dead = jk_metric_counter("jukwaa_notify_attempts_total", "outcome=\"dead\"", help);
	sender->uncertain = jk_metric_counter(
		"jukwaa_notify_uncertain_total", "", "Attempts without an answer that the receiver may have taken all the same.");
	sender->in_flight = jk_metric_gauge("jukwaa_notify_in_flight", "", "Attempts under way.");
	sender->pending = jk_metric_gauge("jukwaa_notify_pending_messages", "", "Messages that wait, counted up to 100,000.");
}

enum jk_status notify_sender_open(const struct notify_sender_settings *settings, struct jk_loop *loop, struct jk_db *db,
	struct jk_registry_watch *watch, struct notify_sender **ret_sender)
{
	struct notify_sender *sender = calloc(1, sizeof *sender);
	if (!sender)
		return JK_BROKEN;
	sender->settings = *settings;
	sender->db = db;
	sender->watch = watch;
	sender->arena = jk_arena_new(LABEL_ARENA_BYTES);
	register_metrics(sender);
	if (!sender->arena ||
		notify_webhook_open(settings->allow_private_targets, on_answer, sender, &sender->webhooks) != JK_OK ||
		jk_loop_add_fd(loop, notify_webhook_fd, notify_webhook_events, notify_webhook_on_ready, sender->webhooks) !=
			JK_OK ||
		jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, db) != JK_OK ||
		jk_loop_add_timer(loop, TIMER_MS, on_timer, sender) != JK_OK) {
		notify_sender_close(&sender);
		return JK_BROKEN;
	}
	*ret_sender = sender;
	return JK_OK;
}

void notify_sender_close(struct notify_sender **sender_p)
{
	struct notify_sender *sender = *sender_p;
	if (!sender)
		return;
	*sender_p = NULL;
	notify_webhook_close(&sender->webhooks);
	notify_store_done_claim(&sender->claim);
	notify_store_done_ended(&sender->ended);
	jk_arena_free(&sender->arena);
	free(sender->targets);
	free(sender);
}
