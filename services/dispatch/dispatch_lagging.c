/* dispatch_lagging.c: publishers are told which desks lag. A desk lags in a stream when it has not acknowledged an event that was
 * there lag_after_s ago: no session of it is past that number, and no durable cursor. Its backlog is then looked through, from
 * the cache, for the first waiting event of each agency that the desk may see (the decision function says so, now); these
 * agencies get a message, again every lag_again_s, and one when the desk has caught up. What a publisher learns is no more
 * than DELIVERED tells: a desk that may see its events, and the number of one of its own. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_time.h"
#include "dispatch_internal.h"

enum {
	LOOK_MS = 1000,
	LAGGARDS_MAX = 8192,
	STEPS = 1024, /* events looked at in one tick, for all desks together */
	OLDEST = DISPATCH_MARKS - 1,
	CAUGHT_UP = 1, /* the mark a desk has to reach for the lag to be over */
};

/* What one agency is told of one desk and stream. */
struct lag_agency {
	int32_t agency_id;
	uint64_t from_seq;
	int64_t since_us;
	bool found; /* in this round */
	bool told;
};

struct laggard {
	int32_t desk_id;
	struct dispatch_stream *stream;
	uint64_t has, now_has; /* as of the last look; being found out */
	uint64_t looked_to;
	bool seen; /* a session or a cursor says what it has */
	int64_t round_ms;
	struct dispatch_list agencies;
};

/* ---- who lags ---- */

static int compare(const struct laggard *laggard, int32_t desk_id, const struct dispatch_stream *stream)
{
	if (laggard->desk_id != desk_id)
		return laggard->desk_id < desk_id ? -1 : 1;
	return (laggard->stream > stream) - (laggard->stream < stream);
}

static size_t find_place(const struct dispatch_list *laggards, int32_t desk_id, const struct dispatch_stream *stream)
{
	const struct laggard *items = laggards->items;
	size_t low = 0, high = laggards->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&items[middle], desk_id, stream) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct laggard *find_laggard(const struct dispatch_list *laggards, int32_t desk_id, const struct dispatch_stream *stream)
{
	size_t place = find_place(laggards, desk_id, stream);
	struct laggard *items = laggards->items;

	return place < laggards->count && compare(&items[place], desk_id, stream) == 0 ? &items[place] : NULL;
}

static void add_laggard(struct dispatch_list *laggards, int32_t desk_id, struct dispatch_stream *stream)
{
	size_t place = find_place(laggards, desk_id, stream);
	struct laggard *items = laggards->items;

	if (place < laggards->count && compare(&items[place], desk_id, stream) == 0)
		return;
	if (laggards->count == LAGGARDS_MAX || dispatch_list_add(laggards, sizeof(struct laggard)) == NULL)
		return;
	items = laggards->items;
	memmove(items + place + 1, items + place, (laggards->count - 1 - place) * sizeof *items);
	items[place] = (struct laggard){.desk_id = desk_id, .stream = stream};
}

static void drop_laggard(struct dispatch_list *laggards, size_t place)
{
	struct laggard *items = laggards->items;

	dispatch_list_done(&items[place].agencies);
	laggards->count--;
	memmove(items + place, items + place + 1, (laggards->count - place) * sizeof *items);
}

/* A position of a desk: what lags is noted, what is noted learns it. */
static void note_position(struct dispatch *dispatch, int32_t desk_id, struct dispatch_stream *stream, uint64_t seq, bool adding)
{
	struct dispatch_list *laggards = &dispatch->lagging.laggards;
	struct laggard *laggard;

	if (adding) {
		if (seq < stream->marks[OLDEST])
			add_laggard(laggards, desk_id, stream);
		return;
	}
	laggard = find_laggard(laggards, desk_id, stream);
	if (laggard == NULL)
		return;
	laggard->seen = true;
	if (seq > laggard->now_has)
		laggard->now_has = seq;
}

struct look {
	struct dispatch *dispatch;
	bool adding;
};

static void look_at_session(void *arg, struct jk_session *session)
{
	const struct look *look = arg;
	const struct dispatch_subscription *subscription = session->user;

	if (subscription == NULL || subscription->desk_id < 0 || subscription->filter.agreement[0] != '\0')
		return;
	for (size_t i = 0; i < subscription->place_count; i++) {
		const struct dispatch_place *place = &subscription->places[i];

		if (place->stream->name[0] != '@')
			note_position(look->dispatch, subscription->desk_id, place->stream, place->acked.seq, look->adding);
	}
}

static void look_at_positions(struct dispatch *dispatch, bool adding)
{
	struct look look = {.dispatch = dispatch, .adding = adding};
	const struct dispatch_idle_place *idle = dispatch->lag.idle.items;

	jk_sessions_each(dispatch->sessions, look_at_session, &look);
	for (size_t i = 0; i < dispatch->lag.idle.count; i++)
		if (idle[i].stream != NULL)
			note_position(dispatch, idle[i].desk_id, idle[i].stream, idle[i].seq, adding);
}

/* ---- what is told ---- */

static const struct jk_agency *find_agency(const struct jk_registry *registry, int32_t agency_id)
{
	for (size_t i = 0; i < registry->agency_count; i++)
		if (registry->agencies[i].agency_id == agency_id)
			return &registry->agencies[i];
	return NULL;
}

static void tell(struct dispatch *dispatch, const struct laggard *laggard, struct lag_agency *agency, bool cleared)
{
	const struct jk_registry *registry = jk_sessions_registry(dispatch->sessions);
	const struct jk_agency *whose = find_agency(registry, agency->agency_id);
	const struct jk_desk *desk = jk_registry_find_desk(registry, laggard->desk_id);

	agency->told = !cleared;
	if (whose == NULL || desk == NULL)
		return;
	dispatch_evidence_notice(dispatch, whose,
		&(struct dispatch_lagging){.desk = desk->code,
			.stream = laggard->stream->name,
			.from_seq = agency->from_seq,
			.since_us = agency->since_us,
			.cleared = cleared});
}

/* The lag is over for the agencies that were told of it (all: for each, else for those not found again). */
static void clear(struct dispatch *dispatch, struct laggard *laggard, bool all)
{
	struct lag_agency *agencies = laggard->agencies.items;

	for (size_t i = 0; i < laggard->agencies.count; i++)
		if (agencies[i].told && (all || !agencies[i].found))
			tell(dispatch, laggard, &agencies[i], true);
}

static void begin_round(struct laggard *laggard, int64_t now_ms)
{
	struct lag_agency *agencies = laggard->agencies.items;

	for (size_t i = 0; i < laggard->agencies.count; i++)
		agencies[i].found = false;
	laggard->looked_to = laggard->has;
	laggard->round_ms = now_ms;
}

static struct lag_agency *agency_of(struct laggard *laggard, int32_t agency_id)
{
	struct lag_agency *agencies = laggard->agencies.items;
	struct lag_agency *added;

	for (size_t i = 0; i < laggard->agencies.count; i++)
		if (agencies[i].agency_id == agency_id)
			return &agencies[i];
	added = dispatch_list_add(&laggard->agencies, sizeof *added);
	if (added != NULL)
		added->agency_id = agency_id;
	return added;
}

/* Any key of the desk stands for it; NULL: it has none that is good, and may see nothing. */
static const struct jk_registry_key *key_of(const struct jk_registry *registry, int32_t desk_id)
{
	int64_t now_us = jk_time_now_us();

	for (size_t i = 0; i < registry->key_count; i++) {
		const struct jk_registry_key *key = &registry->keys[i];

		if (key->desk != NULL && key->desk->desk_id == desk_id &&
			jk_registry_key_standing(key, now_us) == JK_STANDING_GOOD)
			return key;
	}
	return NULL;
}

/* An event that has waited for too long: its owner is told, where the desk may see it and the owner may know of the desk. */
static void look_at_event(
	struct dispatch *dispatch, struct laggard *laggard, const struct jk_registry_key *key, const struct dispatch_event *event)
{
	const struct jk_registry *registry = jk_sessions_registry(dispatch->sessions);
	const struct jk_agency *owner = event->readable ? jk_registry_find_agency(registry, event->agency) : NULL;
	struct jk_label label = event->label;
	struct jk_decision decision;
	struct lag_agency *agency;

	if (owner == NULL)
		return;
	agency = agency_of(laggard, owner->agency_id);
	jk_registry_label_owner(&label, owner);
	if (agency == NULL || agency->found)
		return;
	decision = jk_registry_decide(registry, key, JK_USE_VIEW, &label, jk_time_now_us());
	if (decision.effect == JK_DENY || (decision.term != NULL && decision.term->hides_recipient))
		return;
	agency->found = true;
	agency->from_seq = event->seq;
	agency->since_us = event->recorded_at_us;
	tell(dispatch, laggard, agency, false);
}

/* Looks through what has waited for too long, as far as it is in memory; what is not is asked for. Returns the steps left. */
static int look_through(struct dispatch *dispatch, struct laggard *laggard, int steps)
{
	const struct jk_registry_key *key = key_of(jk_sessions_registry(dispatch->sessions), laggard->desk_id);

	while (key != NULL && laggard->looked_to < laggard->stream->marks[OLDEST]) {
		uint64_t next = laggard->looked_to + 1, number = dispatch_rules_block_of(next);
		struct dispatch_block *block = dispatch_cache_find(dispatch->cache, laggard->stream, number);
		const struct dispatch_event *event;

		if (steps == 0)
			return 0;
		if (block == NULL || block->loaded_to < next || next < block->loaded_from) {
			dispatch_wants_add(&dispatch->feed.wants, laggard->stream,
				block == NULL ? dispatch_rules_block_first(number) - 1 : block->loaded_to);
			return steps;
		}
		event = block->events[next - dispatch_rules_block_first(number)];
		if (event != NULL)
			look_at_event(dispatch, laggard, key, event);
		laggard->looked_to = next;
		steps--;
	}
	if (laggard->looked_to >= laggard->stream->marks[OLDEST] || key == NULL)
		clear(dispatch, laggard, key == NULL);
	return steps;
}

/* ---- the turn ---- */

static void shift_marks(struct dispatch *dispatch)
{
	size_t count;
	struct dispatch_stream *const *streams = dispatch_cache_streams(dispatch->cache, &count);

	for (size_t i = 0; i < count; i++) {
		memmove(streams[i]->marks + 1, streams[i]->marks, OLDEST * sizeof streams[i]->marks[0]);
		streams[i]->marks[0] = streams[i]->last_seq;
	}
}

/* What each desk has now; those that have caught up are done with. */
static void settle(struct dispatch *dispatch, int64_t now_ms)
{
	struct dispatch_list *laggards = &dispatch->lagging.laggards;

	look_at_positions(dispatch, true);
	for (size_t i = 0; i < laggards->count; i++) {
		((struct laggard *)laggards->items)[i].seen = false;
		((struct laggard *)laggards->items)[i].now_has = 0;
	}
	if (laggards->count > 0)
		look_at_positions(dispatch, false);
	for (size_t i = laggards->count; i-- > 0;) {
		struct laggard *laggard = &((struct laggard *)laggards->items)[i];

		/* Gone without a cursor: nobody knows what it has, and it may come again. */
		if (!laggard->seen)
			continue;
		laggard->has = laggard->now_has;
		if (laggard->looked_to < laggard->has)
			laggard->looked_to = laggard->has;
		if (laggard->has >= laggard->stream->marks[CAUGHT_UP]) {
			clear(dispatch, laggard, true);
			drop_laggard(laggards, i);
		} else if (laggard->round_ms == 0 || now_ms - laggard->round_ms >= dispatch->around.lag_again_s * 1000) {
			begin_round(laggard, now_ms);
		}
	}
}

void dispatch_lagging_tick(struct dispatch *dispatch, int64_t now_ms)
{
	struct dispatch_lagging_desks *lagging = &dispatch->lagging;
	int64_t mark_ms = dispatch->around.lag_after_s * 1000 / (DISPATCH_MARKS - 1);
	int steps = STEPS;

	if (mark_ms == 0 || dispatch->draining || jk_sessions_registry(dispatch->sessions) == NULL)
		return;
	if (now_ms >= lagging->mark_at_ms) {
		lagging->mark_at_ms = now_ms + mark_ms;
		shift_marks(dispatch);
	}
	if (now_ms >= lagging->look_at_ms) {
		lagging->look_at_ms = now_ms + LOOK_MS;
		settle(dispatch, now_ms);
	}
	for (size_t i = 0; i < lagging->laggards.count && steps > 0; i++) {
		struct laggard *laggard = &((struct laggard *)lagging->laggards.items)[lagging->next++ % lagging->laggards.count];

		if (laggard->seen)
			steps = look_through(dispatch, laggard, steps);
	}
}

void dispatch_lagging_done(struct dispatch *dispatch)
{
	struct dispatch_list *laggards = &dispatch->lagging.laggards;

	while (laggards->count > 0)
		drop_laggard(laggards, laggards->count - 1);
	dispatch_list_done(laggards);
}
