/* intake_place_geos.h: county boundaries from an operator's GeoJSON file, on GEOS (prepared polygons) and jansson. Not here: the
 * order in which codes, coordinates and names are believed (intake_rules.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

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

/* The counties an area touches, ascending; a shared border alone does not count. Rings are closed, lat lon lat lon …, in WGS 84;
 * an antimeridian crosser is taken as given. false: the ring stays invalid even after make-valid: it has no area, or is not
 * closed. A self-crossing one counts as the areas it surrounds. */
bool intake_boundaries_of_ring(struct intake_boundaries *boundaries, const double *lat_lon, size_t points,
	char ret_counties[INTAKE_COUNTIES_MAX][4], size_t *ret_count);
/* Circle as a polygon of 64 points on the sphere; a radius under a metre is a point. */
bool intake_boundaries_of_circle(struct intake_boundaries *boundaries, double lat, double lon, double radius_km,
	char ret_counties[INTAKE_COUNTIES_MAX][4], size_t *ret_count);
