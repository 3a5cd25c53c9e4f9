#include "cases_feed.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/jk_log.h"
#include "cases_store_pg.h"
#include "cases_wire.h"
#include "daemon/metrics.h"

_Static_assert((int)CASES_BATCH_MAX == (int)JK_FOLLOW_BATCH_MAX, "a batch of the feed fits");

/* A body's headline is the most that reading its labels allocates. */
enum { LABEL_ARENA_BYTES = 4 * 1024 * 1024, LOG_EVERY_MS = 10000 };

struct cases_feed {
	struct jk_follow *follow;
	struct jk_arena *arena;
	struct cases_store store;
	struct cases_batch batch;
	struct cases_outcome outcome; /* of the batch in hand */
	size_t unreadable;
	struct jk_metric *events, *opened, *revised, *skipped, *lag;
};

static bool on_events(void *arg, const struct jk_event *events, size_t count, const PGresult *beside)
{
	struct cases_feed *feed = arg;
	(void)beside;
	cases_batch_reset(&feed->batch);
	feed->unreadable = 0;
	for (size_t i = 0; i < count; i++) {
		struct cases_event event;
		jk_arena_reset(feed->arena);
		if (cases_wire_read_event(&events[i], feed->arena, &event)) {
			cases_batch_add(&feed->batch, &event);
		} else {
			feed->unreadable++;
			jk_log_limited(LOG_EVERY_MS, JK_LOG_ERROR, "event_unreadable", "stream=%s seq=%" PRIu64, events[i].stream,
				events[i].seq);
		}
	}
	return true;
}

static size_t load(void *arg, struct jk_db_step *steps)
{
	struct cases_feed *feed = arg;
	return feed->batch.event_count ? cases_store_load(&feed->store, &feed->batch, steps) : 0;
}

static void on_loaded(void *arg, const struct jk_db_outcome *outcome)
{
	struct cases_feed *feed = arg;
	cases_store_take(outcome, &feed->batch);
	feed->outcome = cases_batch_decide(&feed->batch);
}

static size_t store(void *arg, struct jk_db_step *steps)
{
	struct cases_feed *feed = arg;
	return feed->batch.event_count ? cases_store_save(&feed->store, &feed->batch, steps) : 0;
}

static void on_stored(void *arg)
{
	struct cases_feed *feed = arg;
	jk_metric_add(feed->events, feed->batch.event_count);
	jk_metric_add(feed->skipped, feed->unreadable);
	if (feed->batch.event_count > 0) {
		jk_metric_add(feed->opened, feed->outcome.opened);
		jk_metric_add(feed->revised, feed->outcome.revised);
	}
	jk_metric_set(feed->lag, (int64_t)jk_follow_lag(feed->follow));
	jk_log(JK_LOG_DEBUG, "batch_applied", "events=%zu opened=%zu revised=%zu lag=%" PRIu64, feed->batch.event_count,
		feed->outcome.opened, feed->outcome.revised, jk_follow_lag(feed->follow));
}

static void register_metrics(struct cases_feed *feed)
{
	feed->events = jk_metric_counter("jukwaa_cases_events_total", "", "Events of county streams applied.");
	feed->opened = jk_metric_counter("jukwaa_cases_opened_total", "", "Cases opened.");
	feed->revised = jk_metric_counter("jukwaa_cases_revised_total", "", "Cases changed by later events, once a batch.");
	feed->skipped = jk_metric_counter("jukwaa_cases_unreadable_events_total", "", "Events passed over: not a body of ours.");
	feed->lag = jk_metric_gauge("jukwaa_cases_lag_events", "", "Events of the feed that cases has still to apply.");
}

enum jk_status cases_feed_open(struct jk_db *db, struct cases_feed **ret_feed)
{
	struct cases_feed *feed = calloc(1, sizeof *feed);
	if (!feed)
		return JK_BROKEN;
	const struct jk_follow_service service = {
		.service = feed,
		.positions = &cases_store_positions,
		.move = &cases_store_move,
		.on_events = on_events,
		.load = load,
		.on_loaded = on_loaded,
		.store = store,
		.on_stored = on_stored,
	};
	feed->arena = jk_arena_new(LABEL_ARENA_BYTES);
	if (!feed->arena || jk_follow_open(&service, db, &feed->follow) != JK_OK) {
		cases_feed_close(&feed);
		return JK_BROKEN;
	}
	register_metrics(feed);
	*ret_feed = feed;
	return JK_OK;
}

void cases_feed_close(struct cases_feed **feed_p)
{
	struct cases_feed *feed = *feed_p;
	if (!feed)
		return;
	*feed_p = NULL;
	jk_follow_close(&feed->follow);
	jk_arena_free(&feed->arena);
	cases_store_done(&feed->store);
	free(feed);
}

struct jk_follow *cases_feed_follow(struct cases_feed *feed)
{
	return feed->follow;
}
