#include "dispatch_duty_order.h"

#include <string.h>

bool dispatch_duty_counts(enum jk_realm realm, const struct dispatch_open_labels *labels)
{
	return (realm == JK_REALM_LIVE && labels->status == JK_CAP_STATUS_ACTUAL) ||
	       (realm == JK_REALM_EXERCISE && labels->status == JK_CAP_STATUS_EXERCISE);
}

bool dispatch_duty_has_floor(int severity, int floor)
{
	return floor == 0 || (severity > JK_SEVERITY_NONE && severity < JK_SEVERITY_UNKNOWN && severity <= floor);
}

static bool fits(const struct jk_duty_rule *rule, const struct dispatch_open_labels *labels, const char *county)
{
	/* Urgencies are numbered as severities are: IMMEDIATE is 1, UNKNOWN the last. */
	return (rule->categories & labels->categories) != 0 && dispatch_duty_has_floor(labels->severity, rule->severity_floor) &&
	       dispatch_duty_has_floor(labels->urgency, rule->urgency_floor) &&
	       (rule->county[0] == '\0' || strcmp(rule->county, county) == 0);
}

const struct jk_duty_rule *dispatch_duty_need(const struct jk_duty_rule *rules, size_t count, const struct jk_duty_rule *after,
	const struct dispatch_open_labels *labels, const char *county)
{
	for (size_t i = after == NULL ? 0 : (size_t)(after - rules) + 1; i < count; i++) {
		const struct jk_duty_rule *rule = &rules[i];
		bool counted = false;

		if (!fits(rule, labels, county))
			continue;
		for (const struct jk_duty_rule *before = rules; before < rule && !counted; before++)
			counted = strcmp(before->discipline, rule->discipline) == 0 && fits(before, labels, county);
		if (!counted)
			return rule;
	}
	return NULL;
}

static bool was_asked(const struct dispatch_duty_order *order, int32_t desk_id)
{
	for (size_t i = 0; i < order->asked_count; i++)
		if (order->asked[i] == desk_id)
			return true;
	return false;
}

static const struct jk_duty_desk *next_in(
	const struct dispatch_duty_order *order, const char *county, int32_t (*id_of)(const struct jk_desk *desk))
{
	for (size_t i = 0; i < order->desk_count; i++) {
		const struct jk_duty_desk *desk = &order->desks[i];

		if (strcmp(desk->county, county) == 0 && strcmp(desk->discipline, order->discipline) == 0 &&
			!was_asked(order, id_of(desk->desk)))
			return desk;
	}
	return NULL;
}

const struct jk_duty_desk *dispatch_duty_next(
	const struct dispatch_duty_order *order, int32_t (*id_of)(const struct jk_desk *desk))
{
	const struct jk_duty_desk *next = next_in(order, order->county, id_of);

	for (size_t i = 0; next == NULL && i < order->neighbour_count; i++)
		next = next_in(order, order->neighbours[i], id_of);
	return next;
}
