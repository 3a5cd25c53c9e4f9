/* dispatch_duty_tick.c: what is due. One job after another: DUE looks which duties are, LOAD brings what is known of them, STORE
 * commits what the steps have made of them. Another dispatcher, or a command, that changes one of them in between makes the
 * database refuse all of it: then it is looked at anew, after a moment that is not the same for both. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_duty_internal.h"
#include "dispatch_duty_order.h"

enum {
	RETRY_MIN_MS = 20,
	RETRY_SPREAD_MS = 250,
	COUNT_MS = 5000,
	FORGET_MS = 60000,
	ASKED_MAX = 4096, /* desks in one round */
	ASIDE_MAX = 4,
	LOG_EVERY_MS = 10000,
};

/* ---- deciding ---- */

static void take_rule(
	struct dispatch_duty_steps *steps, struct dispatch_duty_item *item, enum dispatch_duty_event event, int32_t desk_id)
{
	const struct dispatch_duty_desk_facts facts = {.desk_id = desk_id};
	const struct dispatch_duty_rule *rule = dispatch_duty_find(&item->duty, event, &facts);
	const struct dispatch_duty_saying saying = {.desk_id = desk_id, .reason = ""};

	if (rule != NULL)
		dispatch_duty_take_step(steps, item, rule, &saying);
}

static int32_t id_of(const struct jk_desk *desk)
{
	return desk->desk_id;
}

static bool may_respond(
	const struct dispatch_duty_steps *steps, const struct dispatch_duty_item *item, const struct jk_desk *desk)
{
	return dispatch_duty_decide(steps->registry, desk, JK_USE_RESPOND, &item->incident, item->duty.county).effect != JK_DENY;
}

/* Asks the next desk that may have it; each that may not is passed over, once a round. */
static void ask_next(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item)
{
	const struct jk_registry *registry = steps->registry;
	int32_t asked[ASKED_MAX];
	struct dispatch_duty_order order = {.desks = registry->duty_desks,
		.desk_count = registry->duty_desk_count,
		.county = item->duty.county,
		.discipline = item->duty.discipline,
		.asked = asked};
	const struct jk_duty_desk *next;

	order.neighbours = jk_registry_neighbours(registry, item->duty.county, &order.neighbour_count);
	order.asked_count = dispatch_duty_batch_asked(&steps->batch, &item->duty, asked, ASKED_MAX);
	while (order.asked_count < ASKED_MAX && (next = dispatch_duty_next(&order, id_of)) != NULL) {
		if (may_respond(steps, item, next->desk)) {
			take_rule(steps, item, DISPATCH_DUTY_NEXT, next->desk->desk_id);
			return;
		}
		dispatch_duty_take_skip(steps, item, next->desk->desk_id);
		asked[order.asked_count++] = next->desk->desk_id;
	}
	take_rule(steps, item, DISPATCH_DUTY_NOBODY, 0);
}

/* A hand-over that was open before the shift has lost its time to it (due_at): it ends as one that was not answered, and before
 * the skip, which takes the number after its own. */
static void pass_over(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item, int32_t desk_id)
{
	if (item->duty.asked != 0)
		take_rule(steps, item, DISPATCH_DUTY_LATE, item->duty.asked);
	dispatch_duty_take_skip(steps, item, desk_id);
}

/* The end of a shift: the holder hands over, as by a command of its own. One that may not have the incident does not get it. */
static void hand_over(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item)
{
	struct dispatch_duty *duty = &item->duty;
	const struct jk_desk *desk = jk_registry_find_desk(steps->registry, duty->shift_to);
	const struct dispatch_duty_desk_facts facts = {.desk_id = duty->holder};
	const struct dispatch_duty_rule *rule = dispatch_duty_find(duty, DISPATCH_DUTY_HAND_OVER, &facts);
	const struct dispatch_duty_saying saying = {
		.desk_id = duty->shift_to, .by_desk = duty->holder, .reason = item->shift_reason};

	if (rule != NULL && desk != NULL && desk->desk_id != duty->holder) {
		if (may_respond(steps, item, desk))
			dispatch_duty_take_step(steps, item, rule, &saying);
		else
			pass_over(steps, item, desk->desk_id);
	}
	duty->shift_to = 0;
	item->changed = true;
}

static bool concerns(const struct jk_escalation *escalation, const struct dispatch_duty_item *item)
{
	return !escalation->desk->revoked &&
	       dispatch_duty_has_floor(item->incident.labels.severity, escalation->severity_floor) &&
	       (escalation->county[0] == '\0' || strcmp(escalation->county, item->duty.county) == 0);
}

static int64_t next_telling(
	const struct dispatch_duty_steps *steps, const struct dispatch_duty_item *item, const struct jk_escalation *escalation)
{
	const struct dispatch_duty_telling *telling =
		dispatch_duty_batch_telling(&steps->batch, &item->duty.duty_id, escalation->escalation_id);

	return dispatch_duty_tell_at(&item->duty, escalation->after_s, escalation->again_s,
		telling == NULL ? 0 : telling->told_us, telling != NULL && telling->acknowledged_us != 0);
}

/* Tells the roles whose time has come, and finds the next time. Telling of an earlier life of the duty counts for this one. */
static void escalate(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item)
{
	int64_t next_us = 0;

	for (size_t i = 0; i < steps->registry->escalation_count; i++) {
		const struct jk_escalation *escalation = &steps->registry->escalations[i];
		int64_t at_us = concerns(escalation, item) ? next_telling(steps, item, escalation) : 0;

		if (at_us != 0 && at_us <= steps->batch.now_us) {
			dispatch_duty_take_telling(steps, item, escalation);
			at_us = next_telling(steps, item, escalation);
		}
		if (at_us != 0 && (next_us == 0 || at_us < next_us))
			next_us = at_us;
	}
	item->changed = item->changed || next_us != item->duty.escalate_us;
	item->duty.escalate_us = next_us;
}

/* No time that has come may stay, or the duty would be found again and again. */
static void settle(struct dispatch_duty_item *item)
{
	struct dispatch_duty *duty = &item->duty;

	if (duty->due_us != 0 && duty->asked == 0) {
		duty->due_us = 0;
		item->changed = true;
	}
	if (!dispatch_duty_is_open(duty->state) && (duty->say_us != 0 || duty->escalate_us != 0)) {
		duty->say_us = duty->escalate_us = 0;
		item->changed = true;
	}
}

/* Who has it is no desk any more, or may not respond any more: an agreement has ended, or a revision is not meant for it. */
static bool is_lost(const struct dispatch_duty_steps *steps, const struct dispatch_duty_item *item)
{
	int32_t desk_id = item->duty.holder;
	const struct jk_desk *holder = desk_id == 0 ? NULL : jk_registry_find_desk(steps->registry, desk_id);

	return desk_id != 0 && (holder == NULL || holder->revoked || !may_respond(steps, item, holder));
}

static void work_off(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item)
{
	struct dispatch_duty *duty = &item->duty;
	enum dispatch_duty_event event;

	if (!item->incident.open) {
		take_rule(steps, item, DISPATCH_DUTY_CLOSE, 0);
		settle(item);
		return;
	}
	take_rule(steps, item, DISPATCH_DUTY_OPEN, 0);
	if (is_lost(steps, item))
		take_rule(steps, item, DISPATCH_DUTY_LOST, 0);
	if (duty->shift_to != 0)
		hand_over(steps, item);
	while ((event = dispatch_duty_due(duty, steps->batch.now_us)) != DISPATCH_DUTY_EVENTS)
		take_rule(steps, item, event, event == DISPATCH_DUTY_LATE ? duty->asked : 0);
	if (duty->state == DISPATCH_DUTY_WAITING)
		ask_next(steps, item);
	if (dispatch_duty_is_open(duty->state))
		escalate(steps, item);
	settle(item);
}

static void decide(struct dispatch_duties *duties)
{
	struct dispatch_duty_steps *steps = &duties->tick.steps;
	struct dispatch_duty_item *items = steps->batch.items.items;

	dispatch_duty_steps_begin(steps, jk_sessions_registry(duties->sessions));
	for (size_t i = 0; steps->registry != NULL && i < steps->batch.items.count; i++)
		work_off(steps, &items[i]);
}

/* ---- jobs ---- */

static void stop(struct dispatch_tick *tick, bool failed)
{
	tick->stage = DISPATCH_TICK_IDLE;
	tick->woken = tick->woken || failed || tick->held_singly > 0;
	if (failed)
		tick->not_before_ms = jk_time_mono_ms() + RETRY_MIN_MS + jk_id_new().bytes[15] % RETRY_SPREAD_MS;
}

static bool has_failed(struct dispatch_tick *tick, const struct jk_db_outcome *outcome, const char *what)
{
	if (outcome->status == JK_OK)
		return false;
	jk_log_limited(LOG_EVERY_MS, outcome->status == JK_RETRY ? JK_LOG_INFO : JK_LOG_ERROR, "duties_tried_again",
		"job=%s sqlstate=%s why=%s", what, outcome->sqlstate, outcome->message ? outcome->message : "");
	stop(tick, true);
	return true;
}

/* One that the database refuses (or that a newer report has overtaken) must not hold up the others: they go one by one past it,
 * and then it is tried again. */
static void pass_by(struct dispatch_tick *tick)
{
	if (tick->due == 1)
		tick->past++;
	tick->single = true;
}

/* The same for those that are held: the same ones are gone through again, one by one. */
static void go_singly(struct dispatch_tick *tick)
{
	if (tick->due == 1)
		return;
	tick->held_after = tick->held_from;
	tick->held_singly = tick->due;
}

/* Where much is due, another dispatcher takes the first of it too: the next look begins further down. */
static void step_aside(struct dispatch_tick *tick)
{
	if (tick->due == DISPATCH_DUTY_DUE_MAX)
		tick->past = DISPATCH_DUTY_DUE_MAX * (jk_id_new().bytes[15] % ASIDE_MAX);
}

static void on_stored(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_duties *duties = arg;
	bool refused = outcome->status == JK_BROKEN || strcmp(outcome->sqlstate, JK_DB_STALE) == 0;

	if (refused && duties->tick.looks_at_held)
		go_singly(&duties->tick);
	else if (refused)
		pass_by(&duties->tick);
	else if (outcome->status == JK_RETRY && !duties->tick.single && !duties->tick.looks_at_held)
		step_aside(&duties->tick);
	if (has_failed(&duties->tick, outcome, "store"))
		return;
	dispatch_duty_count(duties, &duties->tick.steps);
	dispatch_offers_wake(duties);
	stop(&duties->tick, false);
	duties->tick.woken = duties->tick.woken || duties->tick.single || duties->tick.due == DISPATCH_DUTY_DUE_MAX;
}

static void on_loaded(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_duties *duties = arg;
	struct dispatch_tick *tick = &duties->tick;

	if (has_failed(tick, outcome, "load"))
		return;
	if (!dispatch_duty_take(outcome->results, &tick->steps.batch)) {
		stop(tick, true);
		return;
	}
	decide(duties);
	if (tick->steps.registry == NULL || tick->steps.failed)
		stop(tick, true);
	else
		tick->stage = DISPATCH_TICK_DECIDED;
}

static void set_states(struct dispatch_duties *duties, const PGresult *result)
{
	int64_t counts[DISPATCH_DUTY_STATES] = {0};

	for (int row = 0; row < PQntuples(result); row++)
		counts[jk_db_get_int(result, row, 0)] = jk_db_get_int(result, row, 1);
	for (int state = DISPATCH_DUTY_WAITING; state <= DISPATCH_DUTY_UNANSWERED; state++)
		jk_metric_set(duties->metrics.states[state], counts[state]);
}

static size_t add_found(struct dispatch_tick *tick, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct jk_id duty_id = jk_db_get_id(result, row, 0);

		dispatch_duty_load_add(&tick->steps.store, &duty_id);
	}
	return (size_t)PQntuples(result);
}

static size_t held_max(const struct dispatch_tick *tick)
{
	return tick->held_singly > 0 ? 1 : DISPATCH_DUTY_HELD_MAX;
}

/* Goes on after them the next time, whatever becomes of these; after the last, from the first. */
static size_t add_held(struct dispatch_tick *tick, const PGresult *result)
{
	int rows = PQntuples(result);

	tick->held_from = tick->held_after;
	tick->held_after = (struct dispatch_held_place){0};
	if ((size_t)rows < held_max(tick)) {
		tick->hurries = false;
		tick->held_singly = 0;
		return add_found(tick, result);
	}
	tick->held_singly -= tick->held_singly > 0;
	tick->held_after.duty_id = jk_db_get_id(result, rows - 1, 0);
	tick->held_after.desk_id = (int32_t)jk_db_get_int(result, rows - 1, 1);
	return add_found(tick, result);
}

static void on_due(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_duties *duties = arg;
	struct dispatch_tick *tick = &duties->tick;

	if (has_failed(tick, outcome, "due"))
		return;
	dispatch_duty_load_reset(&tick->steps.store);
	tick->due = add_found(tick, outcome->results[0]);
	const bool nothing_due = tick->due == 0;
	if (tick->counts)
		set_states(duties, outcome->results[1]);
	/* Where nothing is due: then none of them is twice in the list. */
	tick->looks_at_held = tick->looks_at_held && nothing_due;
	if (tick->looks_at_held)
		tick->due = add_held(tick, outcome->results[tick->counts ? 2 : 1]);
	tick->stage = tick->due > 0 ? DISPATCH_TICK_FOUND : DISPATCH_TICK_IDLE;
	if (nothing_due)
		tick->woken = tick->woken || (tick->past > 0 && !tick->single);
	if (nothing_due || !tick->single) {
		tick->single = false;
		tick->past = 0;
	}
}

static bool wants_held(struct dispatch_duties *duties)
{
	const struct jk_registry *registry = jk_sessions_registry(duties->sessions);
	struct dispatch_tick *tick = &duties->tick;

	if (registry != NULL && registry->version != tick->held_version) {
		tick->held_version = registry->version;
		tick->held_after = (struct dispatch_held_place){0};
		tick->held_singly = 0;
		tick->hurries = true;
	}
	return registry != NULL && (tick->hurries || tick->counts || tick->held_singly > 0);
}

static size_t due_steps(struct dispatch_duties *duties, struct jk_db_step *steps)
{
	struct dispatch_tick *tick = &duties->tick;
	int64_t now_ms = jk_time_mono_ms();
	size_t count = 1;

	dispatch_duty_due_step(&tick->steps.store, tick->single ? 1 : DISPATCH_DUTY_DUE_MAX, tick->past, &steps[0]);
	tick->woken = false;
	tick->counts = now_ms >= tick->count_at_ms;
	if (tick->counts) {
		dispatch_duty_count_step(&steps[count++]);
		tick->count_at_ms = now_ms + COUNT_MS;
	}
	tick->looks_at_held = wants_held(duties);
	if (tick->looks_at_held)
		dispatch_duty_held_step(&tick->steps.store, &tick->held_after, held_max(tick), &steps[count++]);
	if (now_ms >= tick->forget_at_ms) {
		dispatch_duty_forget_step(&tick->steps.store, duties->around.grace_s, &steps[count++]);
		tick->forget_at_ms = now_ms + FORGET_MS;
	}
	return count;
}

static void start(struct dispatch_duties *duties, const struct jk_db_step *steps, size_t count, enum dispatch_tick_stage stage,
	jk_db_done *done)
{
	duties->tick.stage = stage;
	if (jk_db_start(duties->tick.db, steps, count, done, duties) != JK_OK)
		stop(&duties->tick, true);
}

static void start_store(struct dispatch_duties *duties)
{
	struct jk_db_step steps[DISPATCH_DUTY_STORE_STEPS + 1];
	size_t count = dispatch_duty_steps_store(&duties->tick.steps, steps);

	if (count == 0)
		stop(&duties->tick, false);
	else
		start(duties, steps, count, DISPATCH_TICK_STORE, on_stored);
}

void dispatch_tick_turn(struct dispatch_duties *duties)
{
	struct dispatch_tick *tick = &duties->tick;
	struct jk_db_step steps[JK_DB_STEPS_MAX];

	if (!jk_db_is_up(tick->db))
		tick->stage = DISPATCH_TICK_IDLE;
	if (!jk_db_is_idle(tick->db))
		return;
	/* Where nothing was to be stored, no job's end brings the next turn. */
	if (tick->stage == DISPATCH_TICK_DECIDED)
		start_store(duties);
	if (tick->stage == DISPATCH_TICK_FOUND)
		start(duties, steps, dispatch_duty_load_steps(&tick->steps.store, steps), DISPATCH_TICK_LOAD, on_loaded);
	else if (tick->stage == DISPATCH_TICK_IDLE && tick->woken && jk_time_mono_ms() >= tick->not_before_ms)
		start(duties, steps, due_steps(duties, steps), DISPATCH_TICK_DUE, on_due);
}

enum jk_status dispatch_tick_open(struct dispatch_duties *duties)
{
	if (dispatch_duty_steps_open(&duties->tick.steps) != JK_OK ||
		jk_db_open(duties->around.conninfo, "jukwaa-dispatch-duty", &duties->tick.db) != JK_OK)
		return JK_BROKEN;
	return jk_loop_add_fd(duties->around.loop, jk_db_fd, jk_db_events, jk_db_on_ready, duties->tick.db);
}

void dispatch_tick_close(struct dispatch_duties *duties)
{
	jk_db_close(&duties->tick.db);
	dispatch_duty_steps_done(&duties->tick.steps);
}
