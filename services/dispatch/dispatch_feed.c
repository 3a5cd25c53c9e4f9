/* dispatch_feed.c: the reading lane. Heads say how far the streams have grown; blocks are read only when a session waits for
 * them, once for all that wait. One job at a time; the next takes everything wanted meanwhile. */
#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_internal.h"

#include <string.h>

void dispatch_feed_want(struct dispatch *dispatch, struct dispatch_place *place, uint64_t after)
{
	struct dispatch_wants *wants = &dispatch->feed.wants;
	uint64_t block = dispatch_rules_block_of(after + 1) + 1; /* 0: none yet */

	if (place->asked_block == block && place->asked_in == wants->reading)
		return;
	place->asked_block = block;
	place->asked_in = wants->reading;
	dispatch_wants_add(wants, place->stream, after);
}

static void end_with_resync(void *arg, struct jk_session *session)
{
	struct dispatch *dispatch = arg;

	if (!session->ended)
		jk_session_end(dispatch->sessions, session, JK_CODE_RESYNC, "the feed's database has changed; subscribe again");
}

void dispatch_feed_changed(struct dispatch *dispatch)
{
	jk_log(JK_LOG_WARN, "feed_changed", "epoch=%u", dispatch->epoch);
	dispatch_cache_forget(dispatch->cache);
	dispatch->feed.erased_after = -1; /* its erasures may be numbered otherwise */
	jk_sessions_each(dispatch->sessions, end_with_resync, dispatch);
}

static void on_head(void *arg, const struct jk_head *head)
{
	struct dispatch *dispatch = arg;
	struct dispatch_stream *stream = dispatch_cache_stream(dispatch->cache, head->stream);

	if (stream == NULL)
		return;
	dispatch->feed.sum_seq += head->last_seq;
	/* A head never goes back in one database: this is another one (a standby promoted without all commits). */
	if (head->last_seq < stream->last_seq ||
		(head->last_seq == stream->last_seq &&
			memcmp(head->last_chain, stream->last_chain, sizeof head->last_chain) != 0))
		dispatch_feed_changed(dispatch);
	if (head->last_seq != stream->last_seq)
		dispatch->feed.moved = true;
	stream->last_seq = head->last_seq;
	memcpy(stream->last_chain, head->last_chain, sizeof stream->last_chain);
}

/* Nothing that was read before it may be given out any more. The heads are asked for every tick, so this comes within a second of
 * the erasure, whether or not anybody reads the incident's streams. */
static void on_erased(void *arg, int64_t erasure_id, const struct jk_id *incident_id)
{
	struct dispatch *dispatch = arg;
	char id[JK_ID_TEXT_BYTES];

	if (dispatch->feed.erased_after >= 0) {
		size_t blocks = dispatch_cache_drop_incident(dispatch->cache, incident_id);

		dispatch_protected_forget(dispatch);
		dispatch_snapshot_forget(dispatch);
		jk_metric_add(dispatch->metrics.erasures, 1);
		jk_id_format(id, incident_id);
		jk_log(JK_LOG_INFO, "erased", "incident=%s blocks_dropped=%zu", id, blocks);
	}
	dispatch->feed.erased_after = erasure_id;
}

/* Rows of two wants for one stream come in one run: a row belongs to the want that asked for the nearest number before it. */
static struct dispatch_wanted *want_of(struct dispatch_feed *feed, const struct jk_event *event)
{
	struct dispatch_wanted *best = NULL;

	for (size_t i = 0; i < feed->flying_count; i++) {
		struct dispatch_wanted *wanted = feed->flying[i];

		if (wanted->after < event->seq && (best == NULL || wanted->after > best->after) &&
			strcmp(wanted->stream->name, event->stream) == 0)
			best = wanted;
	}
	return best;
}

/* Nothing is kept between the newest row seen and up_to: sessions pass over it, as far as the block goes in which they look. */
static void note_missing(struct dispatch *dispatch, const struct dispatch_wanted *wanted, uint64_t up_to)
{
	uint64_t block = dispatch_rules_block_of(wanted->seen + 1);
	uint64_t last = dispatch_rules_block_first(block) + DISPATCH_BLOCK_EVENTS - 1;

	if (up_to > wanted->seen)
		dispatch_cache_put_nothing(dispatch->cache, wanted->stream, wanted->seen, up_to < last ? up_to : last);
}

static void on_event(void *arg, const struct jk_event *row)
{
	struct dispatch *dispatch = arg;
	struct dispatch_wanted *wanted = want_of(&dispatch->feed, row);
	struct dispatch_event *event;

	if (wanted == NULL || row->chain == NULL || row->seq <= wanted->seen)
		return;
	event = wanted->failed ? NULL : dispatch_event_new(row, dispatch->scratch);
	if (event == NULL) {
		wanted->failed = true; /* without memory: what follows would hide that this one is missing */
		return;
	}
	note_missing(dispatch, wanted, row->seq - 1);
	dispatch_cache_put(dispatch->cache, wanted->stream, wanted->seen, &event);
	wanted->seen = row->seq;
	jk_metric_add(dispatch->metrics.events_read, 1);
}

/* A reading that found nothing below the head it began with. */
static void note_empty(struct dispatch *dispatch)
{
	const struct dispatch_feed *feed = &dispatch->feed;

	for (size_t i = 0; i < feed->flying_count; i++)
		if (feed->flying[i]->seen == feed->flying[i]->after && !feed->flying[i]->failed)
			note_missing(dispatch, feed->flying[i], feed->flying[i]->head);
}

static void on_read(void *arg, enum jk_status status)
{
	struct dispatch *dispatch = arg;
	struct dispatch_feed *feed = &dispatch->feed;

	feed->reading = false;
	if (status == JK_OK) {
		note_empty(dispatch);
		if (feed->sum_seq > 0)
			feed->total_seq = feed->sum_seq;
		if (feed->moved || feed->flying_count > 0)
			dispatch->generation++;
		jk_metric_observe_us(dispatch->metrics.read_time, jk_time_now_us() - feed->began_us);
	} else {
		jk_metric_add(dispatch->metrics.failures, 1);
		jk_log_limited(5000, JK_LOG_WARN, "reading_failed", "status=%s problem=%s", jk_status_name(status),
			dispatch_store_problem(dispatch->store));
	}
	feed->flying_count = 0;
	dispatch_wants_end(&feed->wants);
}

/* No more at once than half the cache keeps, so that nothing goes before it has been looked at. */
static size_t read_max_bytes(const struct dispatch *dispatch)
{
	size_t half = dispatch->around.cache_max_bytes / 2;

	return half < DISPATCH_READ_MAX_BYTES ? half : DISPATCH_READ_MAX_BYTES;
}

void dispatch_feed_turn(struct dispatch *dispatch)
{
	struct dispatch_feed *feed = &dispatch->feed;
	const struct dispatch_reader reader = {.on_head = on_head,
		.on_event = on_event,
		.on_erased = on_erased,
		.erased_after = feed->erased_after,
		.done = {dispatch, on_read},
		.max_bytes = read_max_bytes(dispatch)};
	struct dispatch_want wants[DISPATCH_WANTS_MAX];

	if (feed->reading || !dispatch_store_can_read(dispatch->store))
		return;
	feed->reading = dispatch_lag_look(dispatch) || dispatch_recall_look(dispatch) || dispatch_snapshot_look(dispatch);
	if (feed->reading || (!feed->heads_due && feed->wants.count == 0))
		return;
	feed->flying_count = dispatch_wants_begin(&feed->wants, feed->flying, DISPATCH_WANTS_MAX);
	for (size_t i = 0; i < feed->flying_count; i++) {
		struct dispatch_wanted *wanted = feed->flying[i];

		wanted->seen = wanted->after;
		wanted->head = wanted->stream->last_seq;
		wants[i] = (struct dispatch_want){.stream = wanted->stream->name, .after = wanted->after};
	}
	feed->began_us = jk_time_now_us();
	feed->sum_seq = 0;
	feed->moved = false;
	feed->reading = dispatch_store_read(dispatch->store, feed->heads_due, wants, feed->flying_count, &reader) == JK_OK;
	if (feed->reading)
		feed->heads_due = false;
	else
		dispatch_wants_end(&feed->wants);
}
