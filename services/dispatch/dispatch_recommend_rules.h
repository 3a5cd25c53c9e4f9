/* dispatch_recommend_rules.h: which of the units that could be sent come first. Pure. Not here: which units those are, and who
 * may see what of them (dispatch_unit_ask.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_id.h"
#include "dispatch_unit_rules.h"

enum { DISPATCH_POSITION_FRESH_US = 3600 * 1000000LL };

/* One that could be sent. */
struct dispatch_candidate {
	struct jk_id unit_id;
	const char *code, *agency, *discipline, *capabilities, *allowed_by;
	int32_t agency_id;
	int32_t version;
	bool own; /* of the asker's agency */
	double base_lat, base_lon;
	double lat, lon;        /* where it was last */
	int64_t position_at_us; /* 0: it never said */
	const char *county;

	/* Filled by the ranking. */
	double distance_km; /* < 0: not known */
	int64_t age_us;     /* of the position used; < 0: it is the base's */
	bool same_county;
};

/* Where the incident is. */
struct dispatch_scene {
	bool has_point;
	double lat, lon;
	const char (*counties)[4];
	size_t county_count;
};

/* The answer to a UnitRecommend. */
struct dispatch_nearest {
	bool by_distance;
	const struct dispatch_candidate *choices;
	size_t count;
	uint32_t further, busy, out_of_service, lacking, not_allowed;
};

/* Kilometres on a sphere of 6,371.0088 km (IUGG mean radius), by the haversine formula. */
double dispatch_recommend_distance_km(double from_lat, double from_lon, double to_lat, double to_lon);
/* Measures each from its last position, where that is less than an hour old, else from its base. */
void dispatch_recommend_measure(
	struct dispatch_candidate *candidates, size_t count, const struct dispatch_scene *scene, int64_t now_us);
/* Sorts what was measured: nearest first; without a point those of the incident's counties first; then by agency and code, so
 * that the same question has the same answer. */
void dispatch_recommend_sort(struct dispatch_candidate *candidates, size_t count);
/* As it is told: of an own unit to 100 m; of another agency's in whole kilometres, at least 1, since its place is not the asker's
 * to know. */
double dispatch_recommend_shown_km(const struct dispatch_candidate *candidate);
/* Does the list (words separated by blanks) hold all of the wanted ones? */
bool dispatch_recommend_has_all(const char *capabilities, const char *wanted);
