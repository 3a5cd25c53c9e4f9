/* dispatch_unit_nearest.c: UnitRecommend: which desks may answer the incident, and the ranking of their units. See
 * dispatch_unit_internal.h. */
#include <string.h>

#include "dispatch_unit_internal.h"

size_t dispatch_unit_nearest_search(struct dispatch_unit_store *store, const struct jk_registry *registry,
	const struct dispatch_incident *incident, const struct dispatch_unit_search *search, int64_t now_us,
	struct jk_db_step steps[DISPATCH_UNIT_SEARCH_STEPS])
{
	dispatch_unit_store_search_begin(store);
	for (size_t i = 0; i < registry->desk_count; i++) {
		const struct jk_desk *desk = &registry->desks[i];
		struct dispatch_sight sight;

		if (desk->revoked)
			continue;
		sight = dispatch_unit_look(registry, desk, incident, now_us);
		if (!sight.may_answer || !sight.open)
			continue;
		dispatch_unit_store_search_desk(store, desk->desk_id);
		dispatch_unit_store_search_agency(store, desk->agency_id);
	}
	for (size_t i = 0; i < incident->county_count; i++)
		if (incident->counties[i].open)
			dispatch_unit_store_search_county(store, incident->counties[i].county);
	return dispatch_unit_store_search(store, search, steps);
}

/* The desk under which the unit may go: its own, else the first of its agency that may. NULL: none (any more). */
static const struct jk_desk *desk_of(const struct jk_registry *registry, const struct dispatch_unit *unit,
	const struct dispatch_incident *incident, int64_t now_us, struct dispatch_sight *ret_sight)
{
	for (size_t i = 0; i < registry->desk_count; i++) {
		const struct jk_desk *desk = &registry->desks[i];

		if (desk->revoked || desk->agency_id != unit->agency_id ||
			(unit->record.desk_id >= 0 && unit->record.desk_id != desk->desk_id))
			continue;
		*ret_sight = dispatch_unit_look(registry, desk, incident, now_us);
		if (ret_sight->may_answer && ret_sight->open)
			return desk;
	}
	return NULL;
}

/* False: the arena is full. */
static bool add_candidate(const struct jk_desk *desk, const struct dispatch_sight *sight, const struct dispatch_unit *unit,
	struct jk_arena *arena, struct dispatch_candidate *ret)
{
	char *allowed_by = jk_arena_alloc(arena, JK_TERM_NAME_BYTES);

	if (allowed_by == NULL)
		return false;
	jk_term_name(allowed_by, sight->term);
	*ret = (struct dispatch_candidate){.unit_id = unit->unit_id,
		.code = unit->code,
		.agency = desk->agency->code,
		.discipline = unit->record.discipline,
		.capabilities = unit->record.capabilities,
		.allowed_by = allowed_by,
		.agency_id = unit->agency_id,
		.version = unit->version,
		.base_lat = unit->record.base_lat,
		.base_lon = unit->record.base_lon,
		.lat = unit->lat,
		.lon = unit->lon,
		.position_at_us = unit->position_at_us,
		.county = unit->record.county};
	return true;
}

/* The counties in which the incident is open, one after the other. */
static size_t open_counties(const struct dispatch_incident *incident, char ret[JK_COUNTY_MAX][JK_COUNTY_BYTES])
{
	size_t count = 0;

	for (size_t i = 0; i < incident->county_count; i++)
		if (incident->counties[i].open)
			memcpy(ret[count++], incident->counties[i].county, JK_COUNTY_BYTES);
	return count;
}

bool dispatch_unit_nearest_rank(const struct jk_registry *registry, const struct jk_registry_key *key,
	const struct dispatch_incident *incident, const struct dispatch_unit_search *search, const struct dispatch_unit *units,
	int64_t now_us, struct jk_arena *arena, struct dispatch_nearest *nearest)
{
	struct dispatch_sight mine = dispatch_unit_look(registry, key->desk, incident, now_us);
	struct dispatch_candidate *candidates = jk_arena_alloc(arena, DISPATCH_UNIT_SEARCH_MAX * sizeof *candidates);
	char counties[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	const struct dispatch_scene scene = {.has_point = search->has_point,
		.lat = search->lat,
		.lon = search->lon,
		.counties = (const char(*)[JK_COUNTY_BYTES])counties,
		.county_count = open_counties(incident, counties)};
	size_t count = 0;

	if (candidates == NULL)
		return false;
	for (; units != NULL && count < DISPATCH_UNIT_SEARCH_MAX; units = units->next) {
		struct dispatch_sight theirs;
		const struct jk_desk *desk = desk_of(registry, units, incident, now_us, &theirs);
		bool own = units->agency_id == key->agency->agency_id;

		if (desk == NULL || (!own && !dispatch_unit_may_name(&theirs, &mine))) {
			nearest->further -= nearest->further > 0;
			nearest->not_allowed++;
			continue;
		}
		if (!add_candidate(desk, &theirs, units, arena, &candidates[count]))
			return false;
		candidates[count++].own = own;
	}
	dispatch_recommend_measure(candidates, count, &scene, now_us);
	dispatch_recommend_sort(candidates, count);
	nearest->by_distance = search->has_point;
	nearest->choices = candidates;
	nearest->count = count < search->question->limit ? count : search->question->limit;
	nearest->further -= nearest->further < nearest->count ? nearest->further : (uint32_t)nearest->count;
	return true;
}
