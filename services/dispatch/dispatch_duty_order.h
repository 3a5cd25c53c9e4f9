/* dispatch_duty_order.h: the operator's rules applied: which disciplines an incident needs, and which desk is asked next. Pure.
 * Not here: what comes of the answers (dispatch_duty_rules.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_words.h"
#include "dispatch_open_rules.h"
#include "registry/registry_duty.h"

/* Is the incident one that somebody has to answer for? What is a test or about the system itself never is. */
bool dispatch_duty_counts(enum jk_realm realm, const struct dispatch_open_labels *labels);

/* The next rule after `after` (NULL: the first) that fits and whose discipline no rule before it has; NULL: there is none. rules:
 * by (rank, rule_id). */
const struct jk_duty_rule *dispatch_duty_need(const struct jk_duty_rule *rules, size_t count, const struct jk_duty_rule *after,
	const struct dispatch_open_labels *labels, const char *county);

/* Has this severity the floor's, or worse? Floor 0: any; UNKNOWN and none have no other. */
bool dispatch_duty_has_floor(int severity, int floor);

/* Who is asked: the county's desks by rank, then those of its neighbours, county by county; nobody twice in a round. */
struct dispatch_duty_order {
	const struct jk_duty_desk *desks; /* sorted as in registry_duty.h */
	size_t desk_count;
	const char *county, *discipline;
	const char (*neighbours)[JK_COUNTY_BYTES];
	size_t neighbour_count;
	const int32_t *asked; /* desks that this round has had already */
	size_t asked_count;
};
/* Desk ids are read through id_of, for a desk is the registry's. NULL: nobody is left. */
const struct jk_duty_desk *dispatch_duty_next(
	const struct dispatch_duty_order *order, int32_t (*id_of)(const struct jk_desk *desk));
