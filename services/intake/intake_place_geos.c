/* Which county, which counties. With 47 of them a box before the prepared polygon is as fast as a tree. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/intake/intake_place_geos_parts.h"

static const double earth_radius_km = 6371.0088; /* IUGG mean */
static const double point_radius_km = 0.001;

enum {
	CIRCLE_POINTS = 64,
	/* What takes that much less time than what a unit stands for. */
	SIDES_A_UNIT = 16,
	INTERSECTS_A_UNIT = 4,
	/* To undo a crossing takes GEOS 20 us, and a ring of 128 points can have 4,000 of them (75 ms; of 512: 1.7 s). The
	 * coastlines of real alerts have one meeting in 30 points, so that one of 16,384 points is still repaired. */
	REPAIR_MEETINGS_MAX = 1000,
	REPAIR_UNITS_A_MEETING = 100,
	REPAIR_UNITS_A_POINT = 8,
	CIRCLE_UNITS = 4,
};

static uint64_t bit_of(int county)
{
	return UINT64_C(1) << county;
}

void intake_boundaries_begin(struct intake_boundaries *boundaries, uint64_t wanted)
{
	boundaries->wanted = 0;
	for (int i = 1; i <= INTAKE_COUNTIES_MAX; i++)
		if (boundaries->counties[i].geometry != NULL)
			boundaries->wanted |= wanted & bit_of(i);
	boundaries->work = INTAKE_PLACE_WORK;
}

size_t intake_boundaries_work_left(const struct intake_boundaries *boundaries)
{
	return boundaries->work;
}

/* False: there is not so much left, and from then on nothing. */
static bool spend(struct intake_boundaries *boundaries, size_t units)
{
	boundaries->work -= units < boundaries->work ? units : boundaries->work;
	return boundaries->work > 0;
}

static void close_county(GEOSContextHandle_t geos, struct intake_county_shape *shape)
{
	for (size_t i = 0; i < shape->probe_count; i++)
		GEOSGeom_destroy_r(geos, shape->probes[i]);
	GEOSPreparedGeom_destroy_r(geos, shape->prepared);
	GEOSGeom_destroy_r(geos, shape->geometry);
}

void intake_boundaries_close(struct intake_boundaries **boundaries_p)
{
	struct intake_boundaries *boundaries = *boundaries_p;

	if (boundaries == NULL)
		return;
	for (int i = 1; i <= INTAKE_COUNTIES_MAX && boundaries->geos != NULL; i++)
		close_county(boundaries->geos, &boundaries->counties[i]);
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

/* The box of a side of a ring, or of a whole one. */
struct box {
	double west, east, south, north;
};

static bool meet(const struct box *a, const struct box *b)
{
	return a->west <= b->east && a->east >= b->west && a->south <= b->north && a->north >= b->south;
}

static int compare_west(const void *a, const void *b)
{
	const struct box *box_a = a, *box_b = b;

	return (box_a->west > box_b->west) - (box_a->west < box_b->west);
}

static size_t list_sides(const double *lon_lat, size_t points, struct box *ret)
{
	size_t count = 0;

	for (size_t i = 1; i < points; i++) {
		const double *from = &lon_lat[2 * i - 2], *to = &lon_lat[2 * i];

		if (from[0] == to[0] && from[1] == to[1])
			continue; /* the same point again: GEOS passes over it as well */
		ret[count++] =
			(struct box){fmin(from[0], to[0]), fmax(from[0], to[0]), fmin(from[1], to[1]), fmax(from[1], to[1])};
	}
	return count;
}

/* Pairs of a ring's sides that may meet, since their boxes do, beyond one a point, which has the side before it and the side
 * after it. All that GEOS does with a ring takes time by these as well as by its points. False: there is no work left, or no
 * memory. */
static bool count_meetings(struct intake_boundaries *boundaries, const double *lon_lat, size_t points, size_t *ret_meetings)
{
	struct box *sides = calloc(points + 1, sizeof *sides);
	size_t count = sides == NULL ? 0 : list_sides(lon_lat, points, sides), meetings = 0;
	bool counted = sides != NULL && spend(boundaries, points);

	if (counted)
		qsort(sides, count, sizeof *sides, compare_west);
	for (size_t i = 0; i < count && counted; i++) {
		size_t next = i + 1, met = 0;

		for (; next < count && sides[next].west <= sides[i].east; next++)
			met += meet(&sides[i], &sides[next]);
		meetings += met;
		counted = spend(boundaries, met + (next - i) / SIDES_A_UNIT);
	}
	free(sides);
	*ret_meetings = meetings > points ? meetings - points : 0;
	return counted;
}

/* Areas only: a line that a collapsed part leaves touches nobody. */
static GEOSGeometry *repair(struct intake_boundaries *boundaries, const GEOSGeometry *area)
{
	GEOSContextHandle_t geos = boundaries->geos;
	GEOSMakeValidParams *params = GEOSMakeValidParams_create_r(geos);
	GEOSGeometry *valid;

	if (params == NULL)
		return NULL;
	GEOSMakeValidParams_setMethod_r(geos, params, GEOS_MAKE_VALID_STRUCTURE);
	GEOSMakeValidParams_setKeepCollapsed_r(geos, params, 0);
	valid = GEOSMakeValidWithParams_r(geos, area, params);
	GEOSMakeValidParams_destroy_r(geos, params);
	return valid;
}

/* The valid area that a ring surrounds; NULL: none, or it crosses itself too often. */
static GEOSGeometry *new_area(struct intake_boundaries *boundaries, const double *lon_lat, size_t points, size_t meetings)
{
	GEOSContextHandle_t geos = boundaries->geos;
	GEOSGeometry *ring = intake_place_new_ring(boundaries, lon_lat, points), *area, *valid = NULL;
	double size = 0;

	area = ring == NULL ? NULL : GEOSGeom_createPolygon_r(geos, ring, NULL, 0); /* takes the ring */
	if (area != NULL && GEOSisValid_r(geos, area) != 1) {
		if (meetings <= REPAIR_MEETINGS_MAX &&
			spend(boundaries, REPAIR_UNITS_A_POINT * points + REPAIR_UNITS_A_MEETING * meetings))
			valid = repair(boundaries, area);
		GEOSGeom_destroy_r(geos, area);
		area = valid;
	}
	if (area != NULL && GEOSArea_r(geos, area, &size) == 1 && size > 0)
		return area;
	GEOSGeom_destroy_r(geos, area);
	return NULL;
}

static struct box box_of(GEOSContextHandle_t geos, const GEOSGeometry *area)
{
	struct box box = {0, 0, 0, 0};

	GEOSGeom_getXMin_r(geos, area, &box.west);
	GEOSGeom_getXMax_r(geos, area, &box.east);
	GEOSGeom_getYMin_r(geos, area, &box.south);
	GEOSGeom_getYMax_r(geos, area, &box.north);
	return box;
}

/* An area that is looked for in counties. */
struct looked_up {
	const GEOSGeometry *area;
	const GEOSPreparedGeometry *prepared; /* NULL: there is no memory for it */
	size_t cost;                          /* of comparing it with a county, beside the county's points */
};

static bool surrounds_a_probe(
	GEOSContextHandle_t geos, const struct intake_county_shape *shape, const struct looked_up *looked_up)
{
	for (size_t i = 0; i < shape->probe_count && looked_up->prepared != NULL; i++)
		if (GEOSPreparedContainsProperly_r(geos, looked_up->prepared, shape->probes[i]) == 1)
			return true;
	return false;
}

/* Interiors meet: a shared border alone does not count. Probes settle most cases for little. */
static bool is_touched(
	struct intake_boundaries *boundaries, const struct intake_county_shape *shape, const struct looked_up *looked_up)
{
	GEOSContextHandle_t geos = boundaries->geos;

	size_t cost = looked_up->cost + (size_t)GEOSGetNumCoordinates_r(geos, shape->geometry);

	if (!spend(boundaries, shape->probe_count))
		return false;
	if (surrounds_a_probe(geos, shape, looked_up))
		return true;
	return spend(boundaries, cost / INTERSECTS_A_UNIT) &&
	       GEOSPreparedIntersects_r(geos, shape->prepared, looked_up->area) == 1 && spend(boundaries, cost) &&
	       GEOSPreparedTouches_r(geos, shape->prepared, looked_up->area) == 0;
}

static void look_up(struct intake_boundaries *boundaries, const struct looked_up *looked_up,
	char ret_counties[INTAKE_COUNTIES_MAX][4], size_t *ret_count)
{
	struct box box = box_of(boundaries->geos, looked_up->area);

	for (int i = 1; i <= INTAKE_COUNTIES_MAX; i++) {
		const struct intake_county_shape *shape = &boundaries->counties[i];
		const struct box around = {shape->west, shape->east, shape->south, shape->north};

		if ((boundaries->wanted & bit_of(i)) == 0 || !meet(&box, &around) || !is_touched(boundaries, shape, looked_up))
			continue;
		boundaries->wanted &= ~bit_of(i);
		snprintf(ret_counties[(*ret_count)++], 4, "%03d", i);
	}
}

static bool find_counties(struct intake_boundaries *boundaries, const double *lon_lat, size_t points,
	char ret_counties[INTAKE_COUNTIES_MAX][4], size_t *ret_count)
{
	size_t meetings;
	GEOSGeometry *area =
		count_meetings(boundaries, lon_lat, points, &meetings) ? new_area(boundaries, lon_lat, points, meetings) : NULL;
	struct looked_up looked_up = {.area = area};

	*ret_count = 0;
	if (area == NULL)
		return false;
	if (boundaries->wanted != 0) {
		looked_up.prepared = GEOSPrepare_r(boundaries->geos, area);
		looked_up.cost = 2 * (size_t)GEOSGetNumCoordinates_r(boundaries->geos, area) + meetings;
		look_up(boundaries, &looked_up, ret_counties, ret_count);
		GEOSPreparedGeom_destroy_r(boundaries->geos, looked_up.prepared);
	}
	GEOSGeom_destroy_r(boundaries->geos, area);
	return boundaries->work > 0;
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
	if (boundaries->wanted == 0)
		return true; /* unlike a ring it cannot be wrong in itself */
	if (!spend(boundaries, CIRCLE_UNITS))
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
