/* dispatch_visit.c: what a visit to a session sends: the decision, credit, and messages of one delivery or of many. */
#include "dispatch_visit.h"

#include <string.h>

#include "base/jk_crash.h"
#include "base/jk_log.h"
#include "feed/feed_body.h"

struct jk_decision dispatch_visit_decide(const struct dispatch_visit *visit, struct dispatch_event *event)
{
	struct jk_decision decision;

	dispatch_fanout_find_owner(event, visit->registry);
	decision = jk_registry_decide(visit->registry, visit->key, JK_USE_VIEW, &event->label, visit->now_us);
	decision.withheld = jk_body_withheld(event->group_count, decision.withheld);
	return decision;
}

/* Kinds that the client knows, of the rule that it asks for, and within its filter. */
static bool is_wanted(
	const struct dispatch_subscription *subscription, const struct dispatch_event *event, const struct jk_decision *decision)
{
	const struct dispatch_filter *filter = &subscription->filter;

	if (event->kind == JK_EVENT_LAGGING && !subscription->lagging)
		return false;
	if (dispatch_rules_is_work(event->kind) && !subscription->work)
		return false;
	if (filter->agreement[0] != '\0' && (decision->term == NULL || strcmp(decision->term->code, filter->agreement) != 0))
		return false;
	return event->mailbox || dispatch_rules_filter_passes(filter, &event->projection, decision->withheld);
}

bool dispatch_visit_is_for(const struct dispatch_visit *visit, struct dispatch_event *event, struct jk_decision *ret_decision)
{
	struct dispatch_metrics *metrics = &visit->dispatch->metrics;

	*ret_decision = (struct jk_decision){.effect = JK_DENY, .withheld = UINT32_MAX};
	if (!event->readable) {
		jk_metric_add(metrics->unreadable, 1);
		return false;
	}
	*ret_decision = dispatch_visit_decide(visit, event);
	if (ret_decision->effect == JK_DENY) {
		jk_metric_add(metrics->denied, 1);
		return false;
	}
	if (!is_wanted(visit->subscription, event, ret_decision)) {
		jk_metric_add(metrics->filtered, 1);
		return false;
	}
	return true;
}

uint32_t dispatch_visit_groups(const struct dispatch_event *event, const struct jk_decision *decision)
{
	return event->mailbox || decision->effect == JK_DENY ? 0 : event->apart & ~decision->withheld & JK_GROUPS_PROTECTED;
}

int32_t dispatch_visit_told_agency(const struct dispatch_event *event, const struct jk_decision *decision)
{
	return decision->term != NULL && decision->term->hides_recipient ? -1 : event->label.owner_agency_id;
}

bool dispatch_visit_has_room(const struct dispatch_visit *visit)
{
	const struct dispatch_subscription *subscription = visit->subscription;

	return dispatch_flight_has_room(&visit->dispatch->flight, subscription->share, subscription->unacked_bytes) &&
	       dispatch_subscription_has_credit(subscription, visit->dispatch->parcel.count > 0);
}

bool dispatch_visit_send(const struct dispatch_visit *visit)
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

void dispatch_visit_undeliverable(const struct dispatch_visit *visit, const struct dispatch_event *event)
{
	char id[JK_ID_TEXT_BYTES];

	jk_id_format(id, &event->event_id);
	jk_log(JK_LOG_ERROR, "undeliverable", "event=%s holder=%s", id, visit->subscription->holder.name);
	jk_metric_add(visit->dispatch->metrics.unreadable, 1);
}

static bool fits_parcel(const struct dispatch_visit *visit, const struct dispatch_delivery *delivery)
{
	const struct dispatch_parcel *parcel = &visit->dispatch->parcel;

	return parcel->count == 0 ||
	       (parcel->count < DISPATCH_BATCH_MAX &&
		       parcel->size + dispatch_wire_delivery_bytes(delivery) <= visit->subscription->batch_max_bytes);
}

enum dispatch_step dispatch_visit_put(
	struct dispatch_visit *visit, const struct dispatch_delivery *delivery, struct dispatch_unacked *noted)
{
	struct dispatch *dispatch = visit->dispatch;
	size_t before;
	bool joins;

	if (!fits_parcel(visit, delivery) && (!dispatch_visit_send(visit) || !dispatch_visit_has_room(visit)))
		return DISPATCH_STEP_STOP;
	before = dispatch->parcel.size;
	joins = dispatch->parcel.count > 0;
	if (!dispatch_subscription_make_room(visit->subscription) || !dispatch_parcel_add(&dispatch->parcel, delivery))
		return DISPATCH_STEP_STOP;
	noted->size = (uint32_t)(dispatch->parcel.size - before);
	dispatch_subscription_sent(visit->subscription, noted, joins);
	dispatch_flight_add(&dispatch->flight, visit->subscription->share, noted->size);
	visit->deliveries--;
	return DISPATCH_STEP_DONE;
}
