#include "notify_feed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "daemon/metrics.h"
#include "notify_desk.h"
#include "notify_store_pg.h"
#include "notify_wire.h"

enum {
	LABEL_ARENA_BYTES = 4 * 1024 * 1024,
	LOG_EVERY_MS = 10000,
};

struct notify_feed {
	struct jk_follow *follow;
	struct jk_registry_watch *watch;
	struct jk_arena *arena;
	void (*on_told)(void *arg);
	void *arg;
	struct notify_rule rules[NOTIFY_RULES_MAX];
	size_t rule_count;
	struct notify_store_messages messages;
	size_t denied;
	int64_t wanted_version; /* of the registry; 0: any */
	struct jk_metric *matched, *denials, *unreadable, *lag;
};

static void add_message(struct notify_feed *feed, const struct notify_rule *rule, const struct notify_event *event)
{
	struct notify_message message = {
		.message_id = jk_id_new(),
		.event_id = event->event_id,
		.incident_id = event->incident_id,
		.rule_id = rule->rule_id,
		.category = notify_rules_category(rule, event),
		.severity = event->severity,
	};
	memcpy(message.county, event->label.county, sizeof message.county);
	notify_store_add_message(&feed->messages, &message);
}

static void match_event(
	struct notify_feed *feed, const struct jk_registry *registry, const struct notify_event *event, int64_t now_us)
{
	for (size_t i = 0; i < feed->rule_count; i++) {
		const struct notify_rule *rule = &feed->rules[i];
		if (notify_rules_match(rule, event, now_us) != NOTIFY_TELL)
			continue;
		if (notify_desk_may_have(registry, rule->desk_id, event->agency, &event->label, now_us))
			add_message(feed, rule, event);
		else
			feed->denied++;
	}
}

static void match_events(
	struct notify_feed *feed, const struct jk_registry *registry, const struct jk_event *events, size_t count)
{
	int64_t now_us = jk_time_now_us();
	for (size_t i = 0; feed->rule_count > 0 && i < count; i++) {
		struct notify_event event;
		jk_arena_reset(feed->arena);
		if (notify_wire_read_event(&events[i], feed->arena, &event)) {
			match_event(feed, registry, &event, now_us);
			continue;
		}
		jk_metric_add(feed->unreadable, 1);
		jk_log_limited(LOG_EVERY_MS, JK_LOG_ERROR, "event_unreadable", "stream=%s seq=%" PRIu64, events[i].stream,
			events[i].seq);
	}
}

/* A match is decided once, so it is decided with a registry no older than the event: otherwise an agreement made a moment before
 * it would not count. The version asked for stays while it is waited for; a registry that never rests does not stop the feed. */
static bool is_recent(struct notify_feed *feed, const struct jk_registry *registry, int64_t version)
{
	if (feed->wanted_version == 0)
		feed->wanted_version = version;
	if (!registry || registry->version < feed->wanted_version)
		return false;
	feed->wanted_version = 0;
	return true;
}

static bool on_events(void *arg, const struct jk_event *events, size_t count, const PGresult *beside)
{
	struct notify_feed *feed = arg;
	bool cut;
	int64_t version;
	notify_store_reset_messages(&feed->messages);
	feed->denied = 0;
	feed->rule_count = notify_store_read_rules(beside, feed->rules, &cut, &version);
	if (cut)
		jk_log_limited(LOG_EVERY_MS, JK_LOG_ERROR, "rules_cut", "used=%d", NOTIFY_RULES_MAX);
	const struct jk_registry *registry = jk_registry_acquire(feed->watch);
	bool recent = is_recent(feed, registry, version);
	if (recent)
		match_events(feed, registry, events, count);
	if (registry)
		jk_registry_release(feed->watch, &registry);
	return recent;
}

static size_t store(void *arg, struct jk_db_step *steps)
{
	struct notify_feed *feed = arg;
	return notify_store_add_step(&feed->messages, steps);
}

static void on_stored(void *arg)
{
	struct notify_feed *feed = arg;
	jk_metric_add(feed->matched, feed->messages.count);
	jk_metric_add(feed->denials, feed->denied);
	jk_metric_set(feed->lag, (int64_t)jk_follow_lag(feed->follow));
	if (feed->messages.count > 0)
		feed->on_told(feed->arg);
}

enum jk_status notify_feed_open(
	struct jk_db *db, struct jk_registry_watch *watch, void (*on_told)(void *arg), void *arg, struct notify_feed **ret_feed)
{
	struct notify_feed *feed = calloc(1, sizeof *feed);
	if (!feed)
		return JK_BROKEN;
	const struct jk_follow_service service = {
		.service = feed,
		.positions = &notify_store_positions,
		.move = &notify_store_move,
		.beside = &notify_store_rules,
		.on_events = on_events,
		.store = store,
		.on_stored = on_stored,
	};
	feed->watch = watch;
	feed->on_told = on_told;
	feed->arg = arg;
	feed->arena = jk_arena_new(LABEL_ARENA_BYTES);
	feed->matched =
		jk_metric_counter("jukwaa_notify_matches_total", "", "Events matched by a rule whose desk may have them.");
	feed->denials =
		jk_metric_counter("jukwaa_notify_denied_total", "", "Matches kept back: the rule's desk may not have them.");
	feed->unreadable = jk_metric_counter("jukwaa_notify_unreadable_events_total", "", "Events passed over: not ours.");
	feed->lag = jk_metric_gauge("jukwaa_notify_lag_events", "", "Events of the feed that notify has still to look at.");
	if (!feed->arena || jk_follow_open(&service, db, &feed->follow) != JK_OK) {
		notify_feed_close(&feed);
		return JK_BROKEN;
	}
	*ret_feed = feed;
	return JK_OK;
}

void notify_feed_close(struct notify_feed **feed_p)
{
	struct notify_feed *feed = *feed_p;
	if (!feed)
		return;
	*feed_p = NULL;
	jk_follow_close(&feed->follow);
	jk_arena_free(&feed->arena);
	notify_store_done_messages(&feed->messages);
	free(feed);
}

struct jk_follow *notify_feed_follow(struct notify_feed *feed)
{
	return feed->follow;
}

void notify_feed_turn(struct notify_feed *feed)
{
	if (jk_registry_version(feed->watch) != 0)
		jk_follow_turn(feed->follow);
}
