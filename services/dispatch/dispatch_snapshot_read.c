/* dispatch_snapshot_read.c: snapshots wait for the reading lane: once for what is open, then for each page of events. Bounded: of
 * what is open, and of the pages, only so much is in memory for all of them together. */
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_internal.h"

enum {
	ITEMS_OF_CACHE = 4, /* what is open, of all of them: so many times what the cache may have */
	STALLED_MS = 10000,
};

static struct dispatch_subscription *find_asker(struct dispatch *dispatch, const struct dispatch_snapshot_turn *turn)
{
	struct jk_session *session = jk_session_find(dispatch->sessions, turn->session);
	struct dispatch_subscription *subscription = session == NULL || session->ended ? NULL : session->user;

	return subscription != NULL && subscription->serial == turn->serial && subscription->snapshot != NULL ? subscription
													      : NULL;
}

void dispatch_snapshot_want(struct dispatch *dispatch, struct dispatch_subscription *subscription)
{
	struct dispatch_snapshot_turn *turn;

	if (subscription->snapshot->asked)
		return;
	turn = dispatch_list_add(&dispatch->snapshots.waiting, sizeof *turn);
	if (turn == NULL)
		return;
	*turn = (struct dispatch_snapshot_turn){.session = subscription->session, .serial = subscription->serial};
	subscription->snapshot->asked = true;
}

static void on_start(void *arg, size_t place_no, const struct dispatch_position *position)
{
	struct dispatch *dispatch = arg;
	struct dispatch_subscription *subscription = find_asker(dispatch, &dispatch->snapshots.flying);

	if (subscription != NULL && place_no < subscription->place_count)
		dispatch_subscription_start(subscription, place_no, position);
}

static void on_item(void *arg, const struct dispatch_item *item)
{
	struct dispatch *dispatch = arg;
	struct dispatch_snapshots *snapshots = &dispatch->snapshots;
	struct dispatch_subscription *subscription = snapshots->failed ? NULL : find_asker(dispatch, &snapshots->flying);

	if (subscription != NULL && item->place < subscription->place_count)
		snapshots->failed = !dispatch_items_add(&subscription->snapshot->items, item);
}

static void on_event(void *arg, size_t index, const struct jk_event *row)
{
	struct dispatch *dispatch = arg;
	struct dispatch_snapshots *snapshots = &dispatch->snapshots;
	struct dispatch_subscription *subscription = snapshots->failed ? NULL : find_asker(dispatch, &snapshots->flying);
	struct dispatch_event *event = NULL;

	if (subscription == NULL || index >= DISPATCH_PAGE_EVENTS)
		return;
	if (row != NULL) {
		event = dispatch_event_new(row, dispatch->scratch);
		snapshots->failed = event == NULL;
		if (snapshots->failed)
			return;
		subscription->snapshot->page_bytes += dispatch_event_bytes(event);
		snapshots->page_bytes += dispatch_event_bytes(event);
		jk_metric_add(dispatch->metrics.events_read, 1);
	}
	subscription->snapshot->page[index] = event;
	subscription->snapshot->page_count = index + 1;
}

/* What was read of it is there, whole or not at all. */
static void take_items(struct dispatch *dispatch, struct dispatch_snapshot *snapshot, bool good)
{
	if (!good || !dispatch_items_order(&snapshot->items)) {
		dispatch_items_done(&snapshot->items);
		return;
	}
	snapshot->items_bytes = dispatch_items_bytes(&snapshot->items);
	dispatch->snapshots.items_bytes += snapshot->items_bytes;
	snapshot->state = DISPATCH_SNAPSHOT_TELLING;
	snapshot->moved_ms = jk_time_mono_ms();
	dispatch->feed.heads_due = true;
}

static void on_read(void *arg, enum jk_status status)
{
	struct dispatch *dispatch = arg;
	struct dispatch_snapshots *snapshots = &dispatch->snapshots;
	struct dispatch_subscription *subscription = find_asker(dispatch, &snapshots->flying);
	bool good = status == JK_OK && !snapshots->failed;

	snapshots->looking = dispatch->feed.reading = false;
	if (subscription != NULL) {
		subscription->snapshot->asked = false;
		if (subscription->snapshot->state == DISPATCH_SNAPSHOT_NEW)
			take_items(dispatch, subscription->snapshot, good);
		else if (snapshots->stale)
			dispatch_snapshot_release_page(dispatch, subscription->snapshot);
	}
	if (good) {
		dispatch->generation++;
		return;
	}
	jk_metric_add(dispatch->metrics.failures, 1);
	jk_log_limited(5000, JK_LOG_WARN, "snapshot_failed", "status=%s problem=%s", jk_status_name(status),
		dispatch_store_problem(dispatch->store));
}

static enum jk_status read_open(struct dispatch *dispatch, const struct dispatch_subscription *subscription)
{
	struct dispatch_snapshots *snapshots = &dispatch->snapshots;
	const struct dispatch_snapshot_reader reader = {.streams = &snapshots->streams,
		.include_closed = subscription->snapshot->include_closed,
		.grace_s = dispatch->around.grace_s,
		.on_start = on_start,
		.on_item = on_item,
		.done = {dispatch, on_read}};

	snapshots->streams.count = 0;
	for (size_t i = 0; i < subscription->place_count; i++)
		(void)dispatch_streams_add(&snapshots->streams, subscription->places[i].stream->name);
	return dispatch_store_read_snapshot(dispatch->store, &reader);
}

static enum jk_status read_page(struct dispatch *dispatch, struct dispatch_subscription *subscription)
{
	struct dispatch_snapshot *snapshot = subscription->snapshot;
	const struct dispatch_store_done done = {dispatch, on_read};
	struct dispatch_item_want wants[DISPATCH_PAGE_EVENTS];
	size_t count = 0;

	dispatch_snapshot_release_page(dispatch, snapshot);
	snapshot->page_first = snapshot->items.next;
	for (; count < DISPATCH_PAGE_EVENTS; count++) {
		const struct dispatch_item *item = dispatch_items_at(&snapshot->items, snapshot->items.next + count);

		if (item == NULL)
			break;
		wants[count] =
			(struct dispatch_item_want){.stream = subscription->places[item->place].stream->name, .seq = item->seq};
	}
	return dispatch_store_read_items(dispatch->store, wants, count, DISPATCH_PAGE_BYTES, on_event, &done);
}

static void end_stalled(void *arg, struct jk_session *session)
{
	struct dispatch *dispatch = arg;
	const struct dispatch_subscription *subscription = session->user;
	const struct dispatch_snapshot *snapshot = subscription == NULL ? NULL : subscription->snapshot;

	if (session->ended || snapshot == NULL || snapshot->items_bytes == 0 ||
		snapshot->moved_ms > jk_time_mono_ms() - STALLED_MS)
		return;
	dispatch_subscription_end(dispatch, session);
	jk_session_end(
		dispatch->sessions, session, JK_CODE_UNAVAILABLE, "the snapshot was not taken, and others wait; come again");
}

/* There is room for what is open once more. Where there is none, those that take nothing of theirs hold up nobody. */
static bool has_items_room(struct dispatch *dispatch)
{
	size_t max_bytes = dispatch->around.cache_max_bytes * ITEMS_OF_CACHE;

	if (dispatch->snapshots.items_bytes > max_bytes)
		jk_sessions_each(dispatch->sessions, end_stalled, dispatch);
	return dispatch->snapshots.items_bytes <= max_bytes;
}

/* The first that there is room for. False: none. */
static bool take_turn(struct dispatch *dispatch)
{
	struct dispatch_snapshots *snapshots = &dispatch->snapshots;
	struct dispatch_snapshot_turn *turns = snapshots->waiting.items;
	bool room = snapshots->waiting.count > 0 && has_items_room(dispatch);

	for (size_t i = 0; i < snapshots->waiting.count; i++) {
		const struct dispatch_subscription *subscription = find_asker(dispatch, &turns[i]);
		bool is_new = subscription != NULL && subscription->snapshot->state == DISPATCH_SNAPSHOT_NEW;

		if (subscription != NULL && (is_new ? !room : snapshots->page_bytes > DISPATCH_PAGES_MAX_BYTES))
			continue;
		snapshots->flying = turns[i];
		memmove(turns + i, turns + i + 1, (--snapshots->waiting.count - i) * sizeof turns[0]);
		return true;
	}
	return false;
}

bool dispatch_snapshot_look(struct dispatch *dispatch)
{
	struct dispatch_snapshots *snapshots = &dispatch->snapshots;
	struct dispatch_subscription *subscription;
	enum jk_status status;

	/* In turn with the reading of the feed, which others wait for. */
	snapshots->turn = !snapshots->turn;
	if (!snapshots->turn && (dispatch->feed.wants.count > 0 || dispatch->feed.heads_due))
		return false;
	do {
		if (!take_turn(dispatch))
			return false;
		subscription = find_asker(dispatch, &snapshots->flying);
	} while (subscription == NULL);
	snapshots->failed = snapshots->stale = false;
	status = subscription->snapshot->state == DISPATCH_SNAPSHOT_NEW ? read_open(dispatch, subscription)
									: read_page(dispatch, subscription);
	snapshots->looking = status == JK_OK;
	if (!snapshots->looking)
		subscription->snapshot->asked = false;
	return snapshots->looking;
}

static void forget_page(void *arg, struct jk_session *session)
{
	struct dispatch_subscription *subscription = session->user;

	if (subscription != NULL && subscription->snapshot != NULL)
		dispatch_snapshot_release_page(arg, subscription->snapshot);
}

void dispatch_snapshot_forget(struct dispatch *dispatch)
{
	dispatch->snapshots.stale = dispatch->snapshots.looking;
	jk_sessions_each(dispatch->sessions, forget_page, dispatch);
}

void dispatch_snapshot_done(struct dispatch *dispatch)
{
	dispatch_list_done(&dispatch->snapshots.waiting);
}
