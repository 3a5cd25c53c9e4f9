/* dispatch_lag.c: how far each desk is behind, for /metrics: the worst of its sessions and of the durable cursors it has left
 * without a session, in events (numbers of its streams that are not with it) and in seconds (age of the oldest event known to
 * wait). A desk with neither shows 0: nobody knows what it has. Both measures go under one name, because desks come while the
 * service runs and /metrics wants all samples of a name together. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_internal.h"

static const char metric_name[] = "jukwaa_dispatch_desk_lag";
static const char metric_help[] = "How far the desk is behind: events it does not have, age in seconds of the oldest of them.";

/* Cursors without a session are looked up again after so long, a page at a time, and never so often that it takes more than a
 * twentieth of the lane's time. */
enum { LOOK_MS = 5000, PAGE_MS = 200, LOOK_SHARE = 20, IDLE_MAX = 200000 };

struct desk_lag {
	int32_t desk_id;
	char events_labels[80], seconds_labels[80]; /* borrowed by the metrics for ever */
	struct jk_metric *events, *seconds;
	int64_t worst_events, worst_us;
};

struct look {
	struct dispatch *dispatch;
	int64_t now_us;
};

/* ---- the desks ---- */

/* Position of the first desk whose number is not below. */
static size_t find_place(const struct dispatch_list *lags, int32_t desk_id)
{
	struct desk_lag *const *items = lags->items;
	size_t low = 0, high = lags->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (items[middle]->desk_id < desk_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct desk_lag *add_lag(struct dispatch *dispatch, const struct jk_desk *desk, size_t place)
{
	struct dispatch_list *lags = &dispatch->lag.desks;
	struct desk_lag *lag = calloc(1, sizeof *lag), **items;

	if (lag == NULL || dispatch_list_add(lags, sizeof(struct desk_lag *)) == NULL) {
		free(lag);
		return NULL;
	}
	items = lags->items;
	memmove(items + place + 1, items + place, (lags->count - 1 - place) * sizeof(struct desk_lag *));
	items[place] = lag;
	lag->desk_id = desk->desk_id;
	(void)jk_text_format(lag->events_labels, sizeof lag->events_labels, "desk=\"%s\",measure=\"events\"", desk->code);
	(void)jk_text_format(lag->seconds_labels, sizeof lag->seconds_labels, "desk=\"%s\",measure=\"seconds\"", desk->code);
	lag->events = jk_metric_gauge(metric_name, lag->events_labels, metric_help);
	lag->seconds = jk_metric_gauge(metric_name, lag->seconds_labels, metric_help);
	return lag;
}

/* NULL: a desk that the registry does not know, or no memory. */
static struct desk_lag *lag_of(struct dispatch *dispatch, int32_t desk_id)
{
	const struct dispatch_list *lags = &dispatch->lag.desks;
	const struct jk_registry *registry = jk_sessions_registry(dispatch->sessions);
	const struct jk_desk *desk;
	size_t place = find_place(lags, desk_id);

	if (place < lags->count && ((struct desk_lag **)lags->items)[place]->desk_id == desk_id)
		return ((struct desk_lag **)lags->items)[place];
	desk = registry == NULL ? NULL : jk_registry_find_desk(registry, desk_id);
	return desk == NULL ? NULL : add_lag(dispatch, desk, place);
}

static void take_worst(struct desk_lag *lag, uint64_t behind, int64_t age_us)
{
	if (lag == NULL)
		return;
	if ((int64_t)behind > lag->worst_events)
		lag->worst_events = (int64_t)behind;
	if (age_us > lag->worst_us)
		lag->worst_us = age_us;
}

/* ---- sessions ---- */

/* The oldest event that waits: of those on their way, and of those next in their streams that are in memory. */
static int64_t oldest_us(struct dispatch *dispatch, const struct dispatch_subscription *subscription)
{
	int64_t oldest = dispatch_subscription_oldest_us(subscription);

	for (size_t i = 0; i < subscription->place_count; i++) {
		const struct dispatch_place *place = &subscription->places[i];
		const struct dispatch_event *event;

		if (place->unacked > 0 || place->at.seq >= place->stream->last_seq)
			continue;
		event = dispatch_cache_peek(dispatch->cache, place->stream, place->at.seq + 1);
		if (event != NULL && event->recorded_at_us < oldest)
			oldest = event->recorded_at_us;
	}
	return oldest;
}

static void look_at_session(void *arg, struct jk_session *session)
{
	struct look *look = arg;
	const struct dispatch_subscription *subscription = session->user;
	uint64_t behind;
	int64_t oldest;

	if (subscription == NULL || subscription->desk_id < 0 || subscription->filter.agreement[0] != '\0')
		return; /* a backfill is beside the desk's feed */
	behind = dispatch_subscription_behind(subscription);
	oldest = behind > 0 ? oldest_us(look->dispatch, subscription) : INT64_MAX;
	take_worst(lag_of(look->dispatch, subscription->desk_id), behind, oldest < look->now_us ? look->now_us - oldest : 0);
}

/* ---- cursors that nobody holds ---- */

static int compare_names(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct dispatch_cursor_name));
}

static void note_held(void *arg, struct jk_session *session)
{
	struct dispatch *dispatch = arg;
	const struct dispatch_subscription *subscription = session->user;
	struct dispatch_cursor_name *name;

	if (subscription == NULL || subscription->cursor[0] == '\0')
		return;
	name = dispatch_list_add(&dispatch->lag.held, sizeof *name);
	if (name == NULL)
		return;
	(void)jk_text_copy(name->holder, sizeof name->holder, subscription->holder.name);
	(void)jk_text_copy(name->name, sizeof name->name, subscription->cursor);
}

static bool is_held(const struct dispatch_lag *lag, const struct dispatch_cursor_name *name)
{
	return lag->held.count > 0 && bsearch(name, lag->held.items, lag->held.count, sizeof *name, compare_names) != NULL;
}

/* What was found counts once all of it is there. */
static void end_round(struct dispatch_lag *lag)
{
	struct dispatch_list before = lag->idle;

	lag->idle = lag->idle_coming;
	lag->idle_coming = before;
	dispatch_list_clear(&lag->idle_coming);
	lag->last = (struct dispatch_idle_cursor){.seq = 0};
	lag->cursors = 0;
}

static void on_idle_cursor(void *arg, const struct dispatch_idle_cursor *row)
{
	struct dispatch *dispatch = arg;
	struct dispatch_lag *lag = &dispatch->lag;
	struct dispatch_idle_place *place;
	int64_t desk_id;

	lag->page_rows++;
	lag->cursors += compare_names(&row->name, &lag->last.name) != 0;
	lag->last = *row;
	if (lag->idle_coming.count == IDLE_MAX || row->name.holder[0] != 'D' ||
		!jk_text_to_int64(row->name.holder + 1, 0, INT32_MAX, &desk_id) || is_held(lag, &row->name))
		return;
	place = dispatch_list_add(&lag->idle_coming, sizeof *place);
	if (place == NULL)
		return;
	*place = (struct dispatch_idle_place){.desk_id = (int32_t)desk_id,
		.stream = dispatch_cache_stream(dispatch->cache, row->stream),
		.seq = row->seq,
		.oldest_us = row->oldest_us,
		.cursor = lag->cursors};
}

static void on_looked(void *arg, enum jk_status status)
{
	struct dispatch *dispatch = arg;
	struct dispatch_lag *lag = &dispatch->lag;
	int64_t now_ms = jk_time_mono_ms(), took_ms = now_ms - lag->began_ms;

	bool last_page = lag->page_rows < DISPATCH_CURSORS_A_PAGE;
	int64_t wait_ms = last_page ? LOOK_MS : PAGE_MS;

	dispatch->feed.reading = false;
	lag->look_at_ms = now_ms + (took_ms * LOOK_SHARE > wait_ms ? took_ms * LOOK_SHARE : wait_ms);
	if (status != JK_OK) {
		jk_metric_add(dispatch->metrics.failures, 1);
		jk_log_limited(5000, JK_LOG_WARN, "lag_failed", "status=%s problem=%s", jk_status_name(status),
			dispatch_store_problem(dispatch->store));
	} else if (last_page) {
		end_round(lag);
	}
}

bool dispatch_lag_look(struct dispatch *dispatch)
{
	struct dispatch_lag *lag = &dispatch->lag;
	const struct dispatch_store_done done = {dispatch, on_looked};

	if (jk_time_mono_ms() < lag->look_at_ms || !dispatch->has_secret)
		return false;
	dispatch_list_clear(&lag->held);
	jk_sessions_each(dispatch->sessions, note_held, dispatch);
	if (lag->held.count > 0)
		qsort(lag->held.items, lag->held.count, sizeof(struct dispatch_cursor_name), compare_names);
	lag->began_ms = jk_time_mono_ms();
	lag->page_rows = 0;
	return dispatch_store_read_cursors(dispatch->store, &lag->last, on_idle_cursor, &done) == JK_OK;
}

/* Rows of one cursor stand together. */
static void look_at_idle(struct dispatch *dispatch, int64_t now_us)
{
	const struct dispatch_idle_place *places = dispatch->lag.idle.items;
	uint64_t behind = 0;
	int64_t oldest = INT64_MAX;

	for (size_t i = 0; i < dispatch->lag.idle.count; i++) {
		const struct dispatch_idle_place *place = &places[i];

		if (place->stream != NULL && place->stream->last_seq > place->seq)
			behind += place->stream->last_seq - place->seq;
		if (place->oldest_us < oldest)
			oldest = place->oldest_us;
		if (i + 1 < dispatch->lag.idle.count && places[i + 1].cursor == place->cursor)
			continue;
		take_worst(lag_of(dispatch, place->desk_id), behind, oldest < now_us ? now_us - oldest : 0);
		behind = 0;
		oldest = INT64_MAX;
	}
}

/* ---- the measure ---- */

void dispatch_lag_measure(struct dispatch *dispatch, int64_t now_us)
{
	struct look look = {.dispatch = dispatch, .now_us = now_us};
	struct desk_lag **lags;

	jk_sessions_each(dispatch->sessions, look_at_session, &look);
	look_at_idle(dispatch, now_us);
	lags = dispatch->lag.desks.items;
	for (size_t i = 0; i < dispatch->lag.desks.count; i++) {
		jk_metric_set(lags[i]->events, lags[i]->worst_events);
		jk_metric_set(lags[i]->seconds, lags[i]->worst_us / 1000000);
		lags[i]->worst_events = lags[i]->worst_us = 0;
	}
}

void dispatch_lag_done(struct dispatch *dispatch)
{
	struct dispatch_lag *lag = &dispatch->lag;

	/* The metrics borrow from the desks' entries for as long as the process lives. */
	dispatch_list_done(&lag->desks);
	dispatch_list_done(&lag->held);
	dispatch_list_done(&lag->idle);
	dispatch_list_done(&lag->idle_coming);
}
