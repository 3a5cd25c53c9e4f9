/* Which county, which counties. With 47 of them a box before the prepared polygon is as fast as a tree. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/intake/intake_place_geos_parts.h"

static const double earth_radius_km = 6371.0088; /* IUGG mean */
static const double point_radius_km = 0.001;

enum { CIRCLE_POINTS = 64 };

void intake_boundaries_close(struct intake_boundaries **boundaries_p)
{
	struct intake_boundaries *boundaries = *boundaries_p;

	if (boundaries == NULL)
		return;
	for (int i = 1; i <= INTAKE_COUNTIES_MAX && boundaries->geos != NULL; i++) {
		GEOSPreparedGeom_destroy_r(boundaries->geos, boundaries->counties[i].prepared);
		GEOSGeom_destroy_r(boundaries->geos, boundaries->counties[i].geometry);
	}
	if (boundaries->geos != NULL)
		GEOS_finish_r(boundaries->geos);
	free(boundaries);
	*boundaries_p = NULL;
}

GEOSGeometry *intake_place_new_ring(struct intake_boundaries *boundaries, const double *lon_lat, size_t points)
{
	GEOSCoordSequence *sequence = GEOSCoordSeq_copyFromBuffer_r(boundaries->geos, lon_lat, (unsigned)points, 0, 0);

	return sequence == NULL ? NULL : GEOSGeom_createLinearRing_r(boundaries->geos, sequence); /* takes it */
}

bool intake_boundaries_of_point(struct intake_boundaries *boundaries, double lat, double lon, char ret_county[4])
{
	GEOSGeometry *point = NULL;
	bool found = false;

	for (int i = 1; i <= INTAKE_COUNTIES_MAX && !found; i++) {
		const struct intake_county_shape *shape = &boundaries->counties[i];

		/* written so that NaN is outside */
		if (shape->geometry == NULL ||
			!(lon >= shape->west && lon <= shape->east && lat >= shape->south && lat <= shape->north))
			continue;
		if (point == NULL)
			point = GEOSGeom_createPointFromXY_r(boundaries->geos, lon, lat);
		found = point != NULL && GEOSPreparedIntersects_r(boundaries->geos, shape->prepared, point) == 1;
		if (found)
			snprintf(ret_county, 4, "%03d", i);
	}
	GEOSGeom_destroy_r(boundaries->geos, point);
	return found;
}

/* The valid area that a ring surrounds; NULL: none. */
static GEOSGeometry *new_area(struct intake_boundaries *boundaries, const double *lon_lat, size_t points)
{
	GEOSContextHandle_t geos = boundaries->geos;
	GEOSGeometry *ring = intake_place_new_ring(boundaries, lon_lat, points), *area, *valid;
	GEOSMakeValidParams *params;
	double size = 0;

	area = ring == NULL ? NULL : GEOSGeom_createPolygon_r(geos, ring, NULL, 0); /* takes the ring */
	if (area != NULL && GEOSisValid_r(geos, area) != 1) {
		params = GEOSMakeValidParams_create_r(geos);
		if (params != NULL) {
			/* areas only: a line that a collapsed part leaves touches nobody */
			GEOSMakeValidParams_setMethod_r(geos, params, GEOS_MAKE_VALID_STRUCTURE);
			GEOSMakeValidParams_setKeepCollapsed_r(geos, params, 0);
		}
		valid = params == NULL ? NULL : GEOSMakeValidWithParams_r(geos, area, params);
		GEOSMakeValidParams_destroy_r(geos, params);
		GEOSGeom_destroy_r(geos, area);
		area = valid;
	}
	if (area != NULL && GEOSArea_r(geos, area, &size) == 1 && size > 0)
		return area;
	GEOSGeom_destroy_r(geos, area);
	return NULL;
}

/* Interiors meet: a shared border alone does not count. */
static bool is_touched(struct intake_boundaries *boundaries, const struct intake_county_shape *shape, const GEOSGeometry *area)
{
	return GEOSPreparedIntersects_r(boundaries->geos, shape->prepared, area) == 1 &&
	       GEOSPreparedTouches_r(boundaries->geos, shape->prepared, area) == 0;
}

static bool find_counties(struct intake_boundaries *boundaries, const double *lon_lat, size_t points,
	char ret_counties[INTAKE_COUNTIES_MAX][4], size_t *ret_count)
{
	GEOSGeometry *area = new_area(boundaries, lon_lat, points);
	double west = 0, south = 0, east = 0, north = 0;

	*ret_count = 0;
	if (area == NULL)
		return false;
	GEOSGeom_getXMin_r(boundaries->geos, area, &west);
	GEOSGeom_getXMax_r(boundaries->geos, area, &east);
	GEOSGeom_getYMin_r(boundaries->geos, area, &south);
	GEOSGeom_getYMax_r(boundaries->geos, area, &north);
	for (int i = 1; i <= INTAKE_COUNTIES_MAX; i++) {
		const struct intake_county_shape *shape = &boundaries->counties[i];

		if (shape->geometry == NULL || west > shape->east || east < shape->west || south > shape->north ||
			north < shape->south || !is_touched(boundaries, shape, area))
			continue;
		snprintf(ret_counties[(*ret_count)++], 4, "%03d", i);
	}
	GEOSGeom_destroy_r(boundaries->geos, area);
	return true;
}

bool intake_boundaries_of_ring(struct intake_boundaries *boundaries, const double *lat_lon, size_t points,
	char ret_counties[INTAKE_COUNTIES_MAX][4], size_t *ret_count)
{
	double *lon_lat = calloc(points + 1, 2 * sizeof *lon_lat);
	bool found = false;

	*ret_count = 0;
	for (size_t i = 0; i < points && lon_lat != NULL; i++) {
		lon_lat[2 * i] = lat_lon[2 * i + 1];
		lon_lat[2 * i + 1] = lat_lon[2 * i];
	}
	if (lon_lat != NULL)
		found = find_counties(boundaries, lon_lat, points, ret_counties, ret_count);
	free(lon_lat);
	return found;
}

static double to_radians(double degrees)
{
	return degrees * M_PI / 180.0;
}

bool intake_boundaries_of_circle(struct intake_boundaries *boundaries, double lat, double lon, double radius_km,
	char ret_counties[INTAKE_COUNTIES_MAX][4], size_t *ret_count)
{
	double lon_lat[2 * (CIRCLE_POINTS + 1)], angle = radius_km / earth_radius_km, lat_r = to_radians(lat);

	*ret_count = 0;
	if (!(radius_km >= 0) || !(angle <= M_PI))
		return false;
	if (radius_km < point_radius_km) {
		*ret_count = intake_boundaries_of_point(boundaries, lat, lon, ret_counties[0]) ? 1 : 0;
		return true;
	}
	for (int i = 0; i < CIRCLE_POINTS; i++) { /* the point at that angle from the centre in direction `bearing` */
		double bearing = 2 * M_PI * i / CIRCLE_POINTS;
		double y = asin(sin(lat_r) * cos(angle) + cos(lat_r) * sin(angle) * cos(bearing));
		double x = atan2(sin(bearing) * sin(angle) * cos(lat_r), cos(angle) - sin(lat_r) * sin(y));

		lon_lat[2 * i] = lon + x * 180.0 / M_PI;
		lon_lat[2 * i + 1] = y * 180.0 / M_PI;
	}
	lon_lat[2 * CIRCLE_POINTS] = lon_lat[0];
	lon_lat[2 * CIRCLE_POINTS + 1] = lon_lat[1];
	return find_counties(boundaries, lon_lat, CIRCLE_POINTS + 1, ret_counties, ret_count);
}
