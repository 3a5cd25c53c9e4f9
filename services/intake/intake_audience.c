#include "services/intake/intake_audience.h"

#include <string.h>

/* The entry of those that are not named, of this county and agreement; NULL: none yet. */
static struct intake_reader *find_hidden(struct intake_audience *audience, const char *county, const struct jk_term *term)
{
	for (size_t i = 0; i < audience->count; i++) {
		struct intake_reader *reader = &audience->readers[i];

		if (reader->hidden_desks > 0 && strcmp(reader->county, county) == 0 &&
			reader->decision.term->pact_id == term->pact_id)
			return reader;
	}
	return NULL;
}

static void add(
	struct intake_audience *audience, const char *county, const struct jk_desk *desk, const struct jk_decision *decision)
{
	bool hidden = decision->term != NULL && decision->term->hides_recipient;
	struct intake_reader *reader = hidden ? find_hidden(audience, county, decision->term) : NULL;

	if (reader != NULL) {
		reader->hidden_desks++;
		return;
	}
	if (audience->count == INTAKE_AUDIENCE_MAX) {
		audience->more++;
		return;
	}
	reader = &audience->readers[audience->count++];
	*reader = (struct intake_reader){.desk = hidden ? "" : desk->code,
		.agency = hidden || desk->agency == NULL ? "" : desk->agency->code,
		.hidden_desks = hidden,
		.decision = *decision};
	memcpy(reader->county, county, sizeof reader->county);
}

bool intake_audience_fill(struct intake_item *item, const struct jk_registry *registry, int64_t now_us)
{
	struct intake_audience *audience = &item->audience;
	char codes[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	size_t counties = intake_county_list(item->decision.counties, codes);
	struct jk_label label;

	*audience =
		(struct intake_audience){.readers = jk_arena_alloc(item->arena, INTAKE_AUDIENCE_MAX * sizeof *audience->readers)};
	if (audience->readers == NULL)
		return false;
	if (!intake_wire_label(item, &label))
		return false;
	label.recorded_at_us = now_us;
	jk_registry_label_owner(&label, jk_registry_find_agency(registry, item->agency));
	for (size_t i = 0; i < counties; i++) {
		memcpy(label.county, codes[i], sizeof label.county);
		for (size_t n = 0; n < registry->desk_count; n++) {
			const struct jk_desk *desk = &registry->desks[n];
			struct jk_decision decision = jk_registry_decide_desk(registry, desk, JK_USE_VIEW, &label, now_us);

			if (decision.effect != JK_DENY && !desk->revoked)
				add(audience, codes[i], desk, &decision);
		}
	}
	return true;
}
