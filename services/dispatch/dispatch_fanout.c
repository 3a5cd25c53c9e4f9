/* dispatch_fanout.c: every session is visited in turn and takes the next events of its streams while it has credit. Replay and
 * live are the same walk over the same numbers, so there is no seam between them. A session that cannot go on (no credit, a
 * block or a range under way) costs nothing until the generation moves, and holds up nobody. */
#include "base/jk_time.h"
#include "dispatch_visit.h"
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

struct round {
	struct dispatch *dispatch;
	const struct jk_registry *registry;
	int64_t now_us;
	int steps; /* left for those that catch up */
	bool more;
	bool left; /* some were not visited: the lap goes on */
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

/* No copy can be made of it, or none that fits a message: the stream must not stand still for it. */
static enum dispatch_step pass_undeliverable(struct dispatch_visit *visit, size_t place_no, const struct dispatch_event *event)
{
	struct dispatch_position position = position_of(event);

	dispatch_visit_undeliverable(visit, event);
	dispatch_subscription_passed(visit->subscription, place_no, &position);
	return DISPATCH_STEP_DONE;
}

/* Puts the copy on its way and moves on; DISPATCH_STEP_STOP: not now, or never again. */
static enum dispatch_step send_copy(struct dispatch_visit *visit, size_t place_no, const struct dispatch_event *event,
	const struct jk_decision *decision, const struct dispatch_copy *copy)
{
	struct dispatch *dispatch = visit->dispatch;
	struct dispatch_subscription *subscription = visit->subscription;
	const char *stream = subscription->places[place_no].stream->name;
	struct dispatch_unacked noted = {.position = position_of(event),
		.recorded_at_us = event->recorded_at_us,
		.agency_id = dispatch_visit_told_agency(event, decision),
		.place = (uint16_t)place_no};
	uint8_t seal[DISPATCH_SEAL_BYTES];
	struct dispatch_delivery delivery = {.delivery_no = subscription->delivery_no + 1,
		.stream = stream,
		.seal = seal,
		.copy = copy,
		.term = decision->term,
		.recalls = decision->effect == JK_DENY};
	enum dispatch_step step;

	if (copy == NULL || dispatch_wire_delivery_bytes(&delivery) > JK_BODY_MAX_BYTES)
		return pass_undeliverable(visit, place_no, event);
	dispatch_seal_write(seal, dispatch->seal_key, &subscription->holder, stream, &noted.position);
	step = dispatch_visit_put(visit, &delivery, &noted);
	if (step != DISPATCH_STEP_DONE)
		return step;
	jk_metric_add(dispatch->metrics.recalled, delivery.recalls);
	dispatch_subscription_note(&subscription->places[place_no], noted.position.seq, visit->term);
	return DISPATCH_STEP_DONE;
}

/* Protected content is in no copy that the cache keeps. decision: DENY recalls an earlier copy. */
static enum dispatch_step deliver(struct dispatch_visit *visit, size_t place_no, struct dispatch_block *block,
	struct dispatch_event *event, const struct jk_decision *decision)
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

/* Asks for those of the next event, and of some after it, so that catching up is not one question an event. */
static void want_apart(
	struct dispatch_visit *visit, size_t place_no, const struct dispatch_block *block, const struct dispatch_range *range)
{
	struct dispatch_subscription *subscription = visit->subscription;
	uint64_t seq = subscription->places[place_no].at.seq + 1, first = dispatch_rules_block_first(block->number);

	for (int ahead = 0; ahead < DISPATCH_FETCH_AHEAD && seq <= block->loaded_to && seq <= range->to_seq; ahead++, seq++) {
		struct dispatch_event *event = block->events[seq - first];
		struct jk_decision decision;

		if (event == NULL || event->apart == 0)
			continue;
		decision = dispatch_visit_decide(visit, event);
		if ((dispatch_visit_groups(event, &decision) & ~range->groups) == 0 &&
			dispatch_visit_groups(event, &decision) != 0 &&
			dispatch_protected_find(visit->dispatch, subscription, place_no, seq) == NULL &&
			!dispatch_protected_want(visit->dispatch, subscription, place_no, event, range))
			return;
	}
}

/* As deliver, once the content has been read for this event under a range that says so. */
static enum dispatch_step deliver_apart(struct dispatch_visit *visit, size_t place_no, struct dispatch_block *block,
	struct dispatch_event *event, const struct jk_decision *decision)
{
	struct dispatch *dispatch = visit->dispatch;
	struct dispatch_place *place = &visit->subscription->places[place_no];
	const struct dispatch_range *range = dispatch_subscription_range(place, event->seq);
	const struct dispatch_apart *apart;
	struct dispatch_copy *copy;
	enum dispatch_step step;

	if (range == NULL || (dispatch_visit_groups(event, decision) & ~range->groups) != 0) {
		dispatch_writing_reserve(dispatch, visit->subscription, place_no);
		return DISPATCH_STEP_WAIT;
	}
	apart = dispatch_protected_find(dispatch, visit->subscription, place_no, event->seq);
	if (apart == NULL && !place->fetching)
		want_apart(visit, place_no, block, range);
	if (apart == NULL)
		return DISPATCH_STEP_WAIT;
	copy = dispatch_event_copy_apart(event, decision->withheld, apart, dispatch->scratch);
	step = send_copy(visit, place_no, event, decision, copy);
	free(copy);
	if (step != DISPATCH_STEP_DONE)
		return step;
	jk_metric_add(dispatch->metrics.protected_copies, 1);
	dispatch_protected_drop(dispatch, visit->subscription, place_no, event->seq);
	return DISPATCH_STEP_DONE;
}

/* The block with the next number in it; NULL: asked for. Asks for the one after it in good time. */
static struct dispatch_block *block_for(struct dispatch_visit *visit, struct dispatch_place *place)
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

/* The desk may not have it, or does not want it; it may have had an earlier copy. DISPATCH_STEP_STOP: it is to be told. */
static enum dispatch_step pass_over(struct dispatch_visit *visit, size_t place_no, struct dispatch_block *block,
	struct dispatch_event *event, const struct jk_decision *decision)
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
			return state == DISPATCH_RECALL_YES ? DISPATCH_STEP_STOP : DISPATCH_STEP_WAIT;
	}
	dispatch_subscription_passed(visit->subscription, place_no, &position);
	return DISPATCH_STEP_DONE;
}

/* The next number of one stream. */
static enum dispatch_step take_next(struct dispatch_visit *visit, size_t place_no)
{
	struct dispatch_subscription *subscription = visit->subscription;
	struct dispatch_place *place = &subscription->places[place_no];
	struct dispatch_block *block = block_for(visit, place);
	const struct dispatch_position next = {.seq = place->at.seq + 1};
	struct dispatch_event *event;
	struct jk_decision decision;

	if (block == NULL)
		return DISPATCH_STEP_WAIT;
	event = block->events[next.seq - dispatch_rules_block_first(block->number)];
	if (event == NULL) {
		if (dispatch_visit_send(visit)) /* what was put on its way goes first */
			dispatch_retain_end_behind(visit->dispatch, visit->session, subscription, place_no);
		return DISPATCH_STEP_STOP;
	}
	if (!dispatch_visit_is_for(visit, event, &decision)) {
		enum dispatch_step step = pass_over(visit, place_no, block, event, &decision);

		if (step != DISPATCH_STEP_STOP)
			return step;
	}
	jk_metric_add(visit->dispatch->metrics.hits, 1);
	place->groups |= dispatch_visit_groups(event, &decision);
	visit->term = dispatch_terms_number(&visit->dispatch->terms, &decision);
	if (!dispatch_writing_covers(visit->dispatch, subscription, place_no, next.seq, visit->term))
		return DISPATCH_STEP_WAIT;
	if (dispatch_visit_groups(event, &decision) != 0)
		return deliver_apart(visit, place_no, block, event, &decision);
	return deliver(visit, place_no, block, event, &decision);
}

/* Takes what one stream has, up to a bound. ret_left: the bound was reached, there is more. */
static enum dispatch_step take_stream(struct dispatch_visit *visit, size_t place_no, bool *ret_left)
{
	const struct dispatch_place *place = &visit->subscription->places[place_no];
	int floor = visit->deliveries > visit->stream_deliveries ? visit->deliveries - visit->stream_deliveries : 0;

	while (place->at.seq < place->stream->last_seq && place->at.seq < place->until) {
		enum dispatch_step step;

		if (!dispatch_visit_has_room(visit))
			return DISPATCH_STEP_STOP;
		if (visit->deliveries == floor || visit->steps == 0) {
			*ret_left = true;
			return DISPATCH_STEP_DONE;
		}
		visit->steps--;
		step = take_next(visit, place_no);
		if (step != DISPATCH_STEP_DONE)
			return step;
	}
	return DISPATCH_STEP_DONE;
}

/* Goes round the session's streams once, from where the last visit ended; where it has to wait, from there again. True when it
 * could go on at once. */
static bool visit_streams(struct dispatch_visit *visit)
{
	struct dispatch_subscription *subscription = visit->subscription;
	size_t first_wait = subscription->place_count;
	bool left = false;

	for (size_t i = 0; i < subscription->place_count; i++) {
		size_t place_no = subscription->next_place;
		enum dispatch_step step = take_stream(visit, place_no, &left);

		subscription->next_place = (place_no + 1) % subscription->place_count;
		if (step == DISPATCH_STEP_WAIT && visit->waits++ == 0)
			first_wait = place_no;
		if (step == DISPATCH_STEP_STOP || visit->waits == VISIT_WAITS || visit->deliveries == 0 || visit->steps == 0) {
			left = step != DISPATCH_STEP_STOP && visit->waits < VISIT_WAITS;
			break;
		}
	}
	if (first_wait < subscription->place_count)
		subscription->next_place = first_wait;
	return left;
}

/* What is open comes before the streams, the end of a backfill after them. */
static bool visit_whole(struct dispatch_visit *visit)
{
	const struct dispatch_subscription *subscription = visit->subscription;
	bool left = false;

	if (subscription->snapshot != NULL && subscription->snapshot->state != DISPATCH_SNAPSHOT_TOLD) {
		if (dispatch_snapshot_visit(visit, &left) != DISPATCH_STEP_DONE || left)
			return left;
	}
	left = visit_streams(visit);
	if (!left && subscription->filter.agreement[0] != '\0')
		(void)dispatch_snapshot_visit_backfill(visit);
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

static void visit_subscription(struct dispatch_visit *visit, struct round *round)
{
	struct dispatch_subscription *subscription = visit->subscription;
	bool batches = subscription->batch_max_bytes > 0;
	int deliveries = batches ? DISPATCH_BATCH_MAX : VISIT_DELIVERIES;
	bool left;

	visit->deliveries = deliveries;
	visit->stream_deliveries = batches ? DISPATCH_BATCH_MAX : STREAM_DELIVERIES;
	visit->steps = VISIT_STEPS;
	subscription->lap = round->dispatch->lap;
	left = visit_whole(visit);
	subscription->catching_up = is_far_behind(subscription);
	if (visit->deliveries < deliveries)
		subscription->beat_ms = jk_time_mono_ms();
	if (left)
		round->more = true;
	else
		subscription->idle_since = round->dispatch->generation;
	round->steps -= VISIT_STEPS - visit->steps;
	(void)dispatch_visit_send(visit);
}

static void visit_session(void *arg, struct jk_session *session)
{
	struct round *round = arg;
	struct dispatch *dispatch = round->dispatch;
	struct dispatch_subscription *subscription = session->user;
	struct dispatch_visit visit = {.dispatch = dispatch,
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
	if (subscription->policy_version != round->registry->version) {
		dispatch_subscription_revoke_ranges(subscription, round->registry->version);
		dispatch_snapshot_revoke(dispatch, subscription);
	}
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
