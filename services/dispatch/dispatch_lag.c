/* dispatch_lag.c: how far each desk is behind, for /metrics: the worst of its sessions, in events and in seconds (age of the
 * newest event it has passed, while there are newer ones). A desk without a session shows 0. Both measures go under one name,
 * because desks come while the service runs and /metrics wants all samples of a name together. */
#include <stdlib.h>

#include "dispatch_internal.h"

static const char metric_name[] = "jukwaa_dispatch_desk_lag";
static const char metric_help[] = "How far the desk is behind: events it has not passed, age in seconds of the newest it has.";

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

/* NULL: a desk that the registry does not know, or no memory. */
static struct desk_lag *lag_of(struct dispatch *dispatch, int32_t desk_id)
{
	struct desk_lag **lags = dispatch->lags.items, **slot, *lag;
	const struct jk_registry *registry = jk_sessions_registry(dispatch->sessions);
	const struct jk_desk *desk = registry == NULL ? NULL : jk_registry_find_desk(registry, desk_id);

	for (size_t i = 0; i < dispatch->lags.count; i++)
		if (lags[i]->desk_id == desk_id)
			return lags[i];
	if (desk == NULL)
		return NULL;
	lag = calloc(1, sizeof *lag);
	slot = lag == NULL ? NULL : dispatch_list_add(&dispatch->lags, sizeof(struct desk_lag *));
	if (slot == NULL) {
		free(lag);
		return NULL;
	}
	lag->desk_id = desk_id;
	(void)jk_text_format(lag->events_labels, sizeof lag->events_labels, "desk=\"%s\",measure=\"events\"", desk->code);
	(void)jk_text_format(lag->seconds_labels, sizeof lag->seconds_labels, "desk=\"%s\",measure=\"seconds\"", desk->code);
	lag->events = jk_metric_gauge(metric_name, lag->events_labels, metric_help);
	lag->seconds = jk_metric_gauge(metric_name, lag->seconds_labels, metric_help);
	*slot = lag;
	return lag;
}

static void look_at(void *arg, struct jk_session *session)
{
	struct look *look = arg;
	const struct dispatch_subscription *subscription = session->user;
	int64_t behind, age_us;
	struct desk_lag *lag;

	if (subscription == NULL || subscription->desk_id < 0)
		return;
	lag = lag_of(look->dispatch, subscription->desk_id);
	if (lag == NULL)
		return;
	behind = (int64_t)dispatch_subscription_behind(subscription);
	age_us = behind > 0 ? look->now_us - subscription->recorded_at_us : 0;
	if (behind > lag->worst_events)
		lag->worst_events = behind;
	if (age_us > lag->worst_us)
		lag->worst_us = age_us;
}

void dispatch_lag_measure(struct dispatch *dispatch, int64_t now_us)
{
	struct look look = {.dispatch = dispatch, .now_us = now_us};
	struct desk_lag **lags;

	jk_sessions_each(dispatch->sessions, look_at, &look);
	lags = dispatch->lags.items;
	for (size_t i = 0; i < dispatch->lags.count; i++) {
		jk_metric_set(lags[i]->events, lags[i]->worst_events);
		jk_metric_set(lags[i]->seconds, lags[i]->worst_us / 1000000);
		lags[i]->worst_events = lags[i]->worst_us = 0;
	}
}
