/* cases_sight.h: what somebody may see of a case, or do with it, and why: every case passes the decision function here. Not here:
 * what is left out of an answer. */
#pragma once

#include "cases.h"
#include "registry/registry.h"

struct cases_sight {
	bool allowed;
	bool hides; /* under a term that keeps the recipient's name from the owner */
	uint32_t withheld;
	char under[CASES_UNDER_BYTES];
};

/* Each county stream that has the incident is a way to it. The way that withholds least is taken, whole: what is shown is what
 * one agreement gives. */
struct cases_sight cases_sight_of_key(
	const struct jk_registry *registry, const struct jk_registry_key *key, enum jk_use use, const struct cases_case *row);
/* The same for a time other than now. */
struct cases_sight cases_sight_at(const struct jk_registry *registry, const struct jk_registry_key *key, enum jk_use use,
	const struct cases_case *row, int64_t now_us);
/* Of a desk that does not ask itself: may it be given the case? ret_hides: set where that must not be known of it. */
bool cases_sight_desk_may(const struct jk_registry *registry, const struct jk_desk *desk, enum jk_use use,
	const struct cases_case *row, bool *ret_hides);
