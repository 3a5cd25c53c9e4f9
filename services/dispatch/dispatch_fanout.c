/* dispatch_fanout.c: every session is visited in turn and takes the next events of its streams while it has credit. Replay and
 * live are the same walk over the same numbers, so there is no seam between them. A session that cannot go on (no credit, a
 * block or a range under way) costs nothing until the generation moves, and holds up nobody. */
#include "base/jk_crash.h"
#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_internal.h"
#include "feed/feed_body.h"
#include "wire/wire_frame.h"

#include <stdlib.h>
#include <string.h>

/* One visit's bounds, so that a session far behind does not keep the others waiting; and of one turn, for all that are far
 * behind, so that acknowledgements and new events do not wait for them. */
enum {
	VISIT_DELIVERIES = 32,
	VISIT_STEPS = 512,
	STREAM_DELIVERIES = 8,
	VISIT_WAITS = 4, /* blocks or ranges one session waits for at a time */
	TURN_STEPS = 2048,
};

enum step { STEP_DONE, STEP_WAIT, STEP_STOP /* the whole session */ };

struct round {
	struct dispatch *dispatch;
	const struct jk_registry *registry;
	int64_t now_us;
	int steps; /* left for those that catch up */
	bool more;
	bool left; /* some were not visited: the lap goes on */
};

struct visit {
	struct dispatch *dispatch;
	struct jk_session *session;
	struct dispatch_subscription *subscription;
	const struct jk_registry *registry;
	const struct jk_registry_key *key;
	int64_t now_us;
	int deliveries, steps; /* left */
	int stream_deliveries; /* of one stream before the next one has its turn */
	int waits;
	uint32_t term; /* under which the next delivery is noted */
};

static struct dispatch_position position_of(const struct dispatch_event *event)
{
	struct dispatch_position position = {.seq = event->seq};

	memcpy(position.chain8, event->chain, sizeof position.chain8);
	return position;
}

/* The owner and its policy are looked up once for all sessions, and again when the registry has changed; a snapshot that does not
 * know the owner denies. */
void dispatch_fanout_find_owner(struct dispatch_event *event, const struct jk_registry *registry)
{
	if (event->owner_version == registry->version || !event->readable)
		return;
	jk_registry_label_owner(&event->label, jk_registry_find_agency(registry, event->agency));
	event->owner_version = registry->version;
}

static struct jk_decision decide(const struct visit *visit, const struct dispatch_event *event)
{
	struct jk_decision decision = jk_registry_decide(visit->registry, visit->key, JK_USE_VIEW, &event->label, visit->now_us);

	decision.withheld = jk_body_withheld(event->group_count, decision.withheld);
	return decision;
}

/* May this session have a copy now, and does it want one? ret_decision: of the copy. */
static bool is_for(struct visit *visit, struct dispatch_event *event, struct jk_decision *ret_decision)
{
	struct dispatch_metrics *metrics = &visit->dispatch->metrics;

	*ret_decision = (struct jk_decision){.effect = JK_DENY, .withheld = UINT32_MAX};
	if (!event->readable) {
		jk_metric_add(metrics->unreadable, 1);
		return false;
	}
	dispatch_fanout_find_owner(event, visit->registry);
	*ret_decision = decide(visit, event);
	if (ret_decision->effect == JK_DENY) {
		jk_metric_add(metrics->denied, 1);
		return false;
	}
	if ((event->kind == JK_EVENT_LAGGING && !visit->subscription->lagging) ||
		(dispatch_rules_is_work(event->kind) && !visit->subscription->work)) {
		jk_metric_add(metrics->filtered, 1);
		return false;
	}
	if (!event->mailbox &&
		!dispatch_rules_filter_passes(&visit->subscription->filter, &event->projection, ret_decision->withheld)) {
		jk_metric_add(metrics->filtered, 1);
		return false;
	}
	return true;
}

/* A session may hold an eighth of what is left free: however many do not acknowledge, the others have room. */
static bool has_room(const struct visit *visit)
{
	const struct dispatch_subscription *subscription = visit->subscription;
	size_t used = visit->dispatch->flight_bytes;

	return used < DISPATCH_FLIGHT_MAX_BYTES && subscription->unacked_bytes <= (DISPATCH_FLIGHT_MAX_BYTES - used) / 8 &&
	       dispatch_subscription_has_credit(subscription, visit->dispatch->parcel.count > 0);
}

/* Sends what the visit has put together. Its positions have moved already: a session that cannot be sent to ends, and its
 * client comes again with what it has. */
static bool send_parcel(struct visit *visit)
{
	struct dispatch *dispatch = visit->dispatch;
	unsigned count = dispatch->parcel.count;

	if (count == 0)
		return true;
	if (dispatch_wire_send_parcel(dispatch->sessions, visit->session, &dispatch->parcel) == JK_OK) {
		JK_CRASH_POINT("dispatch_after_send", NULL);
		jk_metric_add(dispatch->metrics.delivered, count);
		jk_metric_add(dispatch->metrics.batches, count > 1);
		return true;
	}
	if (!visit->session->ended)
		jk_session_end(dispatch->sessions, visit->session, JK_CODE_UNAVAILABLE, "the link is full");
	return false;
}

/* No copy can be made of it, or none that fits a message: the stream must not stand still for it. */
static enum step pass_undeliverable(struct visit *visit, size_t place_no, const struct dispatch_event *event)
{
	struct dispatch_position position = position_of(event);
	char id[JK_ID_TEXT_BYTES];

	jk_id_format(id, &event->event_id);
	jk_log(JK_LOG_ERROR, "undeliverable", "event=%s holder=%s", id, visit->subscription->holder.name);
	jk_metric_add(visit->dispatch->metrics.unreadable, 1);
	dispatch_subscription_passed(visit->subscription, place_no, &position);
	return STEP_DONE;
}

static bool fits_parcel(const struct visit *visit, const struct dispatch_delivery *delivery)
{
	const struct dispatch_parcel *parcel = &visit->dispatch->parcel;

	return parcel->count == 0 ||
	       (parcel->count < DISPATCH_BATCH_MAX &&
		       parcel->size + dispatch_wire_delivery_bytes(delivery) <= visit->subscription->batch_max_bytes);
}

/* Notes the delivery as on its way; it leaves with the parcel, at the latest at the end of this visit. */
static enum step put_in_parcel(struct visit *visit, const struct dispatch_delivery *delivery, struct dispatch_unacked *noted)
{
	struct dispatch *dispatch = visit->dispatch;
	struct dispatch_subscription *subscription = visit->subscription;
	size_t before = dispatch->parcel.size;
	bool joins = dispatch->parcel.count > 0;

	if (!dispatch_subscription_make_room(subscription) || !dispatch_parcel_add(&dispatch->parcel, delivery))
		return STEP_STOP;
	noted->size = (uint32_t)(dispatch->parcel.size - before);
	dispatch_subscription_sent(subscription, noted, joins);
	dispatch_subscription_note(&subscription->places[noted->place], noted->position.seq, visit->term);
	dispatch->flight_bytes += noted->size;
	visit->deliveries--;
	return STEP_DONE;
}

/* Puts the copy on its way and moves on; STEP_STOP: not now, or never again. */
static enum step send_copy(struct visit *visit, size_t place_no, const struct dispatch_event *event,
	const struct jk_decision *decision, const struct dispatch_copy *copy)
{
	struct dispatch *dispatch = visit->dispatch;
	struct dispatch_subscription *subscription = visit->subscription;
	const char *stream = subscription->places[place_no].stream->name;
	struct dispatch_unacked noted = {.position = position_of(event),
		.recorded_at_us = event->recorded_at_us,
		.agency_id = event->label.owner_agency_id,
		.place = (uint16_t)place_no};
	uint8_t seal[DISPATCH_SEAL_BYTES];
	struct dispatch_delivery delivery = {.delivery_no = subscription->delivery_no + 1,
		.stream = stream,
		.seal = seal,
		.copy = copy,
		.term = decision->term,
		.recalls = decision->effect == JK_DENY};

	if (copy == NULL || dispatch_wire_delivery_bytes(&delivery) > JK_BODY_MAX_BYTES)
		return pass_undeliverable(visit, place_no, event);
	if (!fits_parcel(visit, &delivery) && (!send_parcel(visit) || !has_room(visit)))
		return STEP_STOP;
	dispatch_seal_write(seal, dispatch->seal_key, &subscription->holder, stream, &noted.position);
	jk_metric_add(dispatch->metrics.recalled, delivery.recalls);
	return put_in_parcel(visit, &delivery, &noted);
}

/* Protected content is in no copy that the cache keeps. decision: DENY recalls an earlier copy. */
static enum step deliver(struct visit *visit, size_t place_no, struct dispatch_block *block, struct dispatch_event *event,
	const struct jk_decision *decision)
{
	struct dispatch *dispatch = visit->dispatch;
	const struct dispatch_copy *copy =
		decision->effect == JK_DENY
			? dispatch_wire_recall_copy(event, visit->subscription->places[place_no].stream->name, dispatch->scratch)
			: dispatch_cache_copy(
				  dispatch->cache, block, event, decision->withheld | JK_GROUPS_PROTECTED, dispatch->scratch);

	return send_copy(visit, place_no, event, decision, copy);
}

/* ---- protected groups ---- */

/* Bit n: protected group n of the event goes with this copy. */
static uint32_t groups_given(const struct dispatch_event *event, const struct jk_decision *decision)
{
	return event->mailbox || decision->effect == JK_DENY ? 0 : event->apart & ~decision->withheld & JK_GROUPS_PROTECTED;
}

/* Asks for those of the next event, and of some after it, so that catching up is not one question an event. */
static void want_apart(
	struct visit *visit, size_t place_no, const struct dispatch_block *block, const struct dispatch_range *range)
{
	struct dispatch_subscription *subscription = visit->subscription;
	uint64_t seq = subscription->places[place_no].at.seq + 1, first = dispatch_rules_block_first(block->number);

	for (int ahead = 0; ahead < DISPATCH_FETCH_AHEAD && seq <= block->loaded_to && seq <= range->to_seq; ahead++, seq++) {
		struct dispatch_event *event = block->events[seq - first];
		struct jk_decision decision;

		if (event == NULL || event->apart == 0)
			continue;
		dispatch_fanout_find_owner(event, visit->registry);
		decision = decide(visit, event);
		if ((groups_given(event, &decision) & ~range->groups) == 0 && groups_given(event, &decision) != 0 &&
			dispatch_protected_find(visit->dispatch, subscription, place_no, seq) == NULL &&
			!dispatch_protected_want(visit->dispatch, subscription, place_no, event, range))
			return;
	}
}

/* As deliver, once the content has been read for this event under a range that says so. */
static enum step deliver_apart(struct visit *visit, size_t place_no, struct dispatch_block *block, struct dispatch_event *event,
	const struct jk_decision *decision)
{
	struct dispatch *dispatch = visit->dispatch;
	struct dispatch_place *place = &visit->subscription->places[place_no];
	const struct dispatch_range *range = dispatch_subscription_range(place, event->seq);
	const struct dispatch_apart *apart;
	struct dispatch_copy *copy;
	enum step step;

	if (range == NULL || (groups_given(event, decision) & ~range->groups) != 0) {
		dispatch_writing_reserve(dispatch, visit->subscription, place_no);
		return STEP_WAIT;
	}
	apart = dispatch_protected_find(dispatch, visit->subscription, place_no, event->seq);
	if (apart == NULL && !place->fetching)
		want_apart(visit, place_no, block, range);
	if (apart == NULL)
		return STEP_WAIT;
	copy = dispatch_event_copy_apart(event, decision->withheld | JK_GROUPS_PROTECTED, apart, dispatch->scratch);
	step = send_copy(visit, place_no, event, decision, copy);
	free(copy);
	if (step != STEP_DONE)
		return step;
	jk_metric_add(dispatch->metrics.protected_copies, 1);
	dispatch_protected_drop(dispatch, visit->subscription, place_no, event->seq);
	return STEP_DONE;
}

/* The block with the next number in it; NULL: asked for. Asks for the one after it in good time. */
static struct dispatch_block *block_for(struct visit *visit, struct dispatch_place *place)
{
	struct dispatch *dispatch = visit->dispatch;
	uint64_t next = place->at.seq + 1, number = dispatch_rules_block_of(next);
	uint64_t following = dispatch_rules_block_first(number + 1);
	struct dispatch_block *block = dispatch_cache_find(dispatch->cache, place->stream, number);

	if (block != NULL && next < block->loaded_from)
		dispatch_cache_drop(dispatch->cache, &block);
	if (block == NULL || block->loaded_to < next) {
		jk_metric_add(dispatch->metrics.misses, 1);
		dispatch_feed_want(dispatch, place, block == NULL ? dispatch_rules_block_first(number) - 1 : block->loaded_to);
		return NULL;
	}
	if (following - next == DISPATCH_BLOCK_EVENTS / 2 && place->stream->last_seq >= following &&
		dispatch_cache_find(dispatch->cache, place->stream, number + 1) == NULL)
		dispatch_feed_want(dispatch, place, following - 1);
	return block;
}

/* The desk may not have it, or does not want it; it may have had an earlier copy. STEP_STOP: it is to be told. */
static enum step pass_over(struct visit *visit, size_t place_no, struct dispatch_block *block, struct dispatch_event *event,
	const struct jk_decision *decision)
{
	const struct dispatch_recall_case recall = {.subscription = visit->subscription,
		.stream = visit->subscription->places[place_no].stream,
		.registry = visit->registry,
		.key = visit->key,
		.now_us = visit->now_us};
	struct dispatch_position position = position_of(event);

	if (decision->effect == JK_DENY) {
		enum dispatch_recall_state state = dispatch_recall_decide(visit->dispatch, &recall, block, event);

		if (state != DISPATCH_RECALL_NO)
			return state == DISPATCH_RECALL_YES ? STEP_STOP : STEP_WAIT;
	}
	dispatch_subscription_passed(visit->subscription, place_no, &position);
	return STEP_DONE;
}

/* The next number of one stream. */
static enum step take_next(struct visit *visit, size_t place_no)
{
	struct dispatch_subscription *subscription = visit->subscription;
	struct dispatch_place *place = &subscription->places[place_no];
	struct dispatch_block *block = block_for(visit, place);
	const struct dispatch_position next = {.seq = place->at.seq + 1};
	struct dispatch_event *event;
	struct jk_decision decision;

	if (block == NULL)
		return STEP_WAIT;
	event = block->events[next.seq - dispatch_rules_block_first(block->number)];
	if (event == NULL) {
		if (send_parcel(visit)) /* what was put on its way goes first */
			dispatch_retain_end_behind(visit->dispatch, visit->session, subscription, place_no);
		return STEP_STOP;
	}
	if (!is_for(visit, event, &decision)) {
		enum step step = pass_over(visit, place_no, block, event, &decision);

		if (step != STEP_STOP)
			return step;
	}
	jk_metric_add(visit->dispatch->metrics.hits, 1);
	place->groups |= groups_given(event, &decision);
	visit->term = dispatch_terms_number(&visit->dispatch->terms, &decision);
	if (!dispatch_writing_covers(visit->dispatch, subscription, place_no, next.seq, visit->term))
		return STEP_WAIT;
	if (groups_given(event, &decision) != 0)
		return deliver_apart(visit, place_no, block, event, &decision);
	return deliver(visit, place_no, block, event, &decision);
}

/* Takes what one stream has, up to a bound. ret_left: the bound was reached, there is more. */
static enum step take_stream(struct visit *visit, size_t place_no, bool *ret_left)
{
	const struct dispatch_place *place = &visit->subscription->places[place_no];
	int floor = visit->deliveries > visit->stream_deliveries ? visit->deliveries - visit->stream_deliveries : 0;

	while (place->at.seq < place->stream->last_seq) {
		enum step step;

		if (!has_room(visit))
			return STEP_STOP;
		if (visit->deliveries == floor || visit->steps == 0) {
			*ret_left = true;
			return STEP_DONE;
		}
		visit->steps--;
		step = take_next(visit, place_no);
		if (step != STEP_DONE)
			return step;
	}
	return STEP_DONE;
}

/* Goes round the session's streams once, from where the last visit ended; where it has to wait, from there again. True when it
 * could go on at once. */
static bool visit_streams(struct visit *visit)
{
	struct dispatch_subscription *subscription = visit->subscription;
	size_t first_wait = subscription->place_count;
	bool left = false;

	for (size_t i = 0; i < subscription->place_count; i++) {
		size_t place_no = subscription->next_place;
		enum step step = take_stream(visit, place_no, &left);

		subscription->next_place = (place_no + 1) % subscription->place_count;
		if (step == STEP_WAIT && visit->waits++ == 0)
			first_wait = place_no;
		if (step == STEP_STOP || visit->waits == VISIT_WAITS || visit->deliveries == 0 || visit->steps == 0) {
			left = step != STEP_STOP && visit->waits < VISIT_WAITS;
			break;
		}
	}
	if (first_wait < subscription->place_count)
		subscription->next_place = first_wait;
	return left;
}

static bool is_far_behind(const struct dispatch_subscription *subscription)
{
	for (size_t i = 0; i < subscription->place_count; i++) {
		const struct dispatch_place *place = &subscription->places[i];

		if (place->stream->last_seq > place->at.seq + DISPATCH_BLOCK_EVENTS)
			return true;
	}
	return false;
}

/* Those that are far behind share what a turn has for them, one visit each in a lap; the others are visited in every turn. */
static bool has_turn(struct round *round, const struct dispatch_subscription *subscription)
{
	bool visited = subscription->lap == round->dispatch->lap;

	if (!visited && round->steps > 0)
		return true;
	round->more = true;
	round->left = round->left || !visited;
	return false;
}

static void visit_subscription(struct visit *visit, struct round *round)
{
	struct dispatch_subscription *subscription = visit->subscription;
	bool batches = subscription->batch_max_bytes > 0;
	int deliveries = batches ? DISPATCH_BATCH_MAX : VISIT_DELIVERIES;
	bool left;

	visit->deliveries = deliveries;
	visit->stream_deliveries = batches ? DISPATCH_BATCH_MAX : STREAM_DELIVERIES;
	visit->steps = VISIT_STEPS;
	subscription->lap = round->dispatch->lap;
	left = visit_streams(visit);
	subscription->catching_up = is_far_behind(subscription);
	if (visit->deliveries < deliveries)
		subscription->beat_ms = jk_time_mono_ms();
	if (left)
		round->more = true;
	else
		subscription->idle_since = round->dispatch->generation;
	round->steps -= VISIT_STEPS - visit->steps;
	(void)send_parcel(visit);
}

static void visit_session(void *arg, struct jk_session *session)
{
	struct round *round = arg;
	struct dispatch *dispatch = round->dispatch;
	struct dispatch_subscription *subscription = session->user;
	struct visit visit = {.dispatch = dispatch,
		.session = session,
		.subscription = subscription,
		.registry = round->registry,
		.now_us = round->now_us};

	if (subscription == NULL || session->ended || subscription->idle_since == dispatch->generation)
		return;
	if (subscription->catching_up && !has_turn(round, subscription))
		return;
	visit.key = jk_registry_find_key(round->registry, session->curve_key);
	if (visit.key == NULL || jk_registry_key_standing(visit.key, round->now_us) != JK_STANDING_GOOD)
		return;
	if (subscription->policy_version != round->registry->version)
		dispatch_subscription_revoke_ranges(subscription, round->registry->version);
	visit_subscription(&visit, round);
}

bool dispatch_fanout_turn(struct dispatch *dispatch)
{
	struct round round = {.dispatch = dispatch,
		.registry = jk_sessions_registry(dispatch->sessions),
		.now_us = jk_time_now_us(),
		.steps = TURN_STEPS};

	if (round.registry == NULL || !dispatch->has_secret || dispatch->draining)
		return false;
	if (dispatch->registry_version != round.registry->version) {
		dispatch->registry_version = round.registry->version;
		dispatch->generation++;
	}
	jk_sessions_each(dispatch->sessions, visit_session, &round);
	if (!round.left)
		dispatch->lap++;
	return round.more;
}
