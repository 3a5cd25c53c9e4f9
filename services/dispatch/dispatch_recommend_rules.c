/* dispatch_recommend_rules.c: see dispatch_recommend_rules.h. */
#include "dispatch_recommend_rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double radians(double degrees)
{
	return degrees * M_PI / 180;
}

double dispatch_recommend_distance_km(double from_lat, double from_lon, double to_lat, double to_lon)
{
	static const double radius_km = 6371.0088;
	double lat = sin(radians(to_lat - from_lat) / 2), lon = sin(radians(to_lon - from_lon) / 2);
	double a = lat * lat + cos(radians(from_lat)) * cos(radians(to_lat)) * lon * lon;

	/* Rounding may put it beyond 1 where the two are opposite each other. */
	return 2 * radius_km * asin(sqrt(a < 1 ? a : 1));
}

static bool in_counties(const struct dispatch_scene *scene, const char *county)
{
	for (size_t i = 0; i < scene->county_count; i++)
		if (strcmp(scene->counties[i], county) == 0)
			return true;
	return false;
}

void dispatch_recommend_measure(
	struct dispatch_candidate *candidates, size_t count, const struct dispatch_scene *scene, int64_t now_us)
{
	for (size_t i = 0; i < count; i++) {
		struct dispatch_candidate *unit = &candidates[i];
		bool fresh = unit->position_at_us > 0 && now_us - unit->position_at_us < DISPATCH_POSITION_FRESH_US;

		unit->same_county = in_counties(scene, unit->county);
		unit->age_us = fresh ? now_us - unit->position_at_us : -1;
		if (fresh && unit->age_us < 0)
			unit->age_us = 0;
		unit->distance_km =
			!scene->has_point ? -1
			: fresh           ? dispatch_recommend_distance_km(unit->lat, unit->lon, scene->lat, scene->lon)
				: dispatch_recommend_distance_km(unit->base_lat, unit->base_lon, scene->lat, scene->lon);
	}
}

static int compare(const void *a_p, const void *b_p)
{
	const struct dispatch_candidate *a = a_p, *b = b_p;
	int order;

	if (a->distance_km < b->distance_km || a->distance_km > b->distance_km)
		return a->distance_km < b->distance_km ? -1 : 1;
	if (a->same_county != b->same_county)
		return a->same_county ? -1 : 1;
	order = strcmp(a->agency, b->agency);
	return order != 0 ? order : strcmp(a->code, b->code);
}

void dispatch_recommend_sort(struct dispatch_candidate *candidates, size_t count)
{
	if (count > 1)
		qsort(candidates, count, sizeof *candidates, compare);
}

double dispatch_recommend_shown_km(const struct dispatch_candidate *candidate)
{
	double km = candidate->own ? round(candidate->distance_km * 10) / 10 : round(candidate->distance_km);

	return candidate->own || km >= 1 ? km : 1;
}

bool dispatch_recommend_has_all(const char *capabilities, const char *wanted)
{
	while (*wanted != '\0') {
		size_t size = strcspn(wanted, " ");
		const char *at = capabilities;
		bool found = false;

		while (*at != '\0' && !found) {
			size_t one = strcspn(at, " ");

			found = one == size && memcmp(at, wanted, size) == 0;
			at += one + (at[one] == ' ');
		}
		if (!found)
			return false;
		wanted += size + (wanted[size] == ' ');
	}
	return true;
}
