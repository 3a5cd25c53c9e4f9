/* intake_place_geos.h: county boundaries from an operator's GeoJSON file, on GEOS (prepared polygons) and jansson. Not here: the
 * order in which codes, coordinates and names are believed (intake_rules.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_refusal.h"

struct intake_boundaries;

enum { INTAKE_COUNTIES_MAX = 47 };

/* path: GeoJSON FeatureCollection of Polygon and MultiPolygon, WGS 84 lon,lat; `property` holds the county code as text of
 * three digits ("047"). JK_BROKEN with a sentence that names the feature (index and code): duplicate or unknown code, number
 * instead of text, missing property, empty or invalid geometry, not GeoJSON. ret_missing: counties the file lacks, ascending,
 * separated by blanks, for the log. */
enum jk_status intake_boundaries_open(const char *path, const char *property, struct intake_boundaries **ret_boundaries,
	char ret_missing[256], struct jk_refusal *ret_refusal) JK_MUST_CHECK;
/* The same from the file's text. */
enum jk_status intake_boundaries_read(const char *text, size_t size, const char *property,
	struct intake_boundaries **ret_boundaries, char ret_missing[256], struct jk_refusal *ret_refusal) JK_MUST_CHECK;
/* NULL is fine. Opened, a set of boundaries serves one thread at a time. */
void intake_boundaries_close(struct intake_boundaries **boundaries_p);

/* The one county a point lies in (borders belong to it; overlaps: the lowest code); false: in none. */
bool intake_boundaries_of_point(struct intake_boundaries *boundaries, double lat, double lon, char ret_county[4]);

/* What one report may make GEOS do, in points and pairs of sides that are looked at, for the ring itself and for each county: 0.2
 * us each at most. The largest ring of the real alerts (762 points), drawn over all of Kenya, takes 5,600. */
enum { INTAKE_PLACE_WORK = 400000 };
/* Before the shapes of a report: counties are looked for that are in `wanted` (bit n: county n) and in the file, each until it is
 * found once, and the shapes together may cost INTAKE_PLACE_WORK. Opened, a set of boundaries has begun with all counties. */
void intake_boundaries_begin(struct intake_boundaries *boundaries, uint64_t wanted);
/* What is left of it; 0: it is used up, and what the shapes since then touch is not known. */
size_t intake_boundaries_work_left(const struct intake_boundaries *boundaries);

/* The counties an area touches, of those still looked for, ascending; a shared border alone does not count. Rings are closed, lat
 * lon lat lon …, in WGS 84; an antimeridian crosser is taken as given. A ring that crosses itself counts as the areas it
 * surrounds. false: it has no area, is not closed, crosses itself so often that it is not repaired, or the work is used up (what
 * was found before that is in ret_counties). */
bool intake_boundaries_of_ring(struct intake_boundaries *boundaries, const double *lat_lon, size_t points,
	char ret_counties[INTAKE_COUNTIES_MAX][4], size_t *ret_count);
/* Circle as a polygon of 64 points on the sphere; a radius under a metre is a point. */
bool intake_boundaries_of_circle(struct intake_boundaries *boundaries, double lat, double lon, double radius_km,
	char ret_counties[INTAKE_COUNTIES_MAX][4], size_t *ret_count);
