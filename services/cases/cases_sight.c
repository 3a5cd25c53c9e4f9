#include "cases_sight.h"

#include <string.h>

#include "base/jk_time.h"
#include "cases_rules.h"

_Static_assert((int)CASES_UNDER_BYTES >= (int)JK_TERM_NAME_BYTES, "a term's name fits");

/* A label and what it points to. */
struct labelled {
	struct jk_label label;
	char codes[CASES_NAMED_BYTES];
	const char *named[CASES_NAMED_MAX];
	char counties[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	size_t ways; /* in no county (any more): asked about once, without one, which leaves the owner */
};

static void fill_label(const struct jk_registry *registry, const struct cases_case *row, struct labelled *ret)
{
	ret->label = (struct jk_label){
		.categories = row->labels.categories,
		.severity = (uint8_t)row->labels.severity,
		.tlp = (enum jk_tlp)row->labels.tlp,
		.scope = (enum jk_scope)row->labels.scope,
		.status = (enum jk_cap_status)row->labels.status,
		.named = ret->named,
		.recorded_at_us = row->event_at_us,
	};
	memcpy(ret->codes, row->labels.named, sizeof ret->codes);
	ret->label.named_count = cases_rules_names(ret->codes, ret->named);
	jk_registry_label_owner(&ret->label, jk_registry_find_agency(registry, row->labels.agency));
	ret->counties[0][0] = '\0';
	ret->ways = cases_county_list(row->counties, ret->counties);
	if (ret->ways == 0)
		ret->ways = 1;
}

/* Is somebody named in it who is not for this agency to know? */
static bool hides_parties(const struct cases_life *life, const char *agency)
{
	return (life->assigned_hidden && strcmp(life->assigned_agency, agency) != 0) ||
	       (life->referred_hidden && strcmp(life->referred_agency, agency) != 0);
}

struct cases_sight cases_sight_of_key(
	const struct jk_registry *registry, const struct jk_registry_key *key, enum jk_use use, const struct cases_case *row)
{
	return cases_sight_at(registry, key, use, row, jk_time_now_us());
}

struct cases_sight cases_sight_at(const struct jk_registry *registry, const struct jk_registry_key *key, enum jk_use use,
	const struct cases_case *row, int64_t now_us)
{
	struct cases_sight sight = {.withheld = UINT32_MAX};
	struct labelled labelled;

	fill_label(registry, row, &labelled);
	for (size_t i = 0; i < labelled.ways; i++) {
		memcpy(labelled.label.county, labelled.counties[i], sizeof labelled.label.county);
		struct jk_decision decision = jk_registry_decide(registry, key, use, &labelled.label, now_us);
		uint32_t withheld = decision.withheld | JK_GROUPS_PROTECTED;
		if (decision.effect == JK_DENY ||
			(sight.allowed && __builtin_popcount(withheld) >= __builtin_popcount(sight.withheld)))
			continue;
		sight.allowed = true;
		sight.withheld = withheld;
		sight.hides = decision.term && decision.term->hides_recipient;
		jk_term_name(sight.under, decision.term);
	}
	if (hides_parties(&row->life, key->agency->code))
		sight.withheld |= CASES_WITHHELD_PARTIES;
	return sight;
}

bool cases_sight_desk_may(const struct jk_registry *registry, const struct jk_desk *desk, enum jk_use use,
	const struct cases_case *row, bool *ret_hides)
{
	int64_t now_us = jk_time_now_us();
	struct labelled labelled;

	if (desk->revoked)
		return false;
	fill_label(registry, row, &labelled);
	for (size_t i = 0; i < labelled.ways; i++) {
		memcpy(labelled.label.county, labelled.counties[i], sizeof labelled.label.county);
		struct jk_decision decision = jk_registry_decide_desk(registry, desk, use, &labelled.label, now_us);
		if (decision.effect == JK_DENY)
			continue;
		*ret_hides = *ret_hides || (decision.term && decision.term->hides_recipient);
		return true;
	}
	return false;
}
