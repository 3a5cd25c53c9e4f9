/* The operator's GeoJSON file. jansson reads it and GEOS gets the coordinates, since GEOS's own reader drops properties. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/intake/intake_place_geos_parts.h"

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

/* The feature being read, for the sentence that names it. */
struct feature {
	struct intake_boundaries *boundaries;
	struct jk_refusal *refusal;
	size_t index; /* from 0 */
	const char *code;
};

static bool refuse_feature(const struct feature *feature, const char *reason)
{
	return jk_refuse(feature->refusal, JK_CODE_INVALID_SCHEMA, "boundaries", "feature %zu (county code %.16s): %s",
		feature->index, feature->code == NULL ? "missing" : feature->code, reason);
}

/* Appends the ring's positions (GeoJSON: lon, lat and perhaps more) to lon_lat. */
static bool read_positions(const json_t *ring, double *lon_lat)
{
	const json_t *position;
	size_t i;

	json_array_foreach(ring, i, position)
	{
		const json_t *lon = json_array_get(position, 0), *lat = json_array_get(position, 1);

		if (!json_is_number(lon) || !json_is_number(lat) || fabs(json_number_value(lon)) > 180.0 ||
			fabs(json_number_value(lat)) > 90.0)
			return false;
		lon_lat[2 * i] = json_number_value(lon);
		lon_lat[2 * i + 1] = json_number_value(lat);
	}
	return true;
}

static GEOSGeometry *read_ring(const struct feature *feature, const json_t *ring)
{
	size_t points = json_array_size(ring);
	double *lon_lat = calloc(points + 1, 2 * sizeof *lon_lat);
	GEOSGeometry *geometry = NULL;

	snprintf(feature->boundaries->message, sizeof feature->boundaries->message, "a position is no lon,lat within 180,90");
	if (lon_lat != NULL && json_is_array(ring) && read_positions(ring, lon_lat))
		geometry = intake_place_new_ring(feature->boundaries, lon_lat, points);
	free(lon_lat);
	return geometry;
}

static void destroy_all(GEOSContextHandle_t geos, GEOSGeometry **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		GEOSGeom_destroy_r(geos, list[i]);
}

/* NULL: message says why. */
static GEOSGeometry *read_polygon(const struct feature *feature, const json_t *rings)
{
	GEOSContextHandle_t geos = feature->boundaries->geos;
	size_t count = json_array_size(rings), read = 0;
	GEOSGeometry **list = calloc(count + 1, sizeof(GEOSGeometry *)), *polygon = NULL;

	snprintf(feature->boundaries->message, sizeof feature->boundaries->message, "a polygon has no ring");
	while (list != NULL && read < count && (list[read] = read_ring(feature, json_array_get(rings, read))) != NULL)
		read++;
	if (count > 0 && read == count)
		polygon = GEOSGeom_createPolygon_r(geos, list[0], list + 1, (unsigned)count - 1); /* takes the rings */
	else if (list != NULL)
		destroy_all(geos, list, read);
	free(list);
	return polygon;
}

static GEOSGeometry *read_multi_polygon(const struct feature *feature, const json_t *polygons)
{
	GEOSContextHandle_t geos = feature->boundaries->geos;
	size_t count = json_array_size(polygons), read = 0;
	GEOSGeometry **list = calloc(count + 1, sizeof(GEOSGeometry *)), *collection = NULL;

	snprintf(feature->boundaries->message, sizeof feature->boundaries->message, "a multi-polygon has no polygon");
	while (list != NULL && read < count && (list[read] = read_polygon(feature, json_array_get(polygons, read))) != NULL)
		read++;
	if (count > 0 && read == count)
		collection = GEOSGeom_createCollection_r(geos, GEOS_MULTIPOLYGON, list, (unsigned)count); /* takes them */
	else if (list != NULL)
		destroy_all(geos, list, read);
	free(list);
	return collection;
}

static GEOSGeometry *read_geometry(const struct feature *feature, const json_t *geometry)
{
	const char *type = json_string_value(json_object_get(geometry, "type"));
	const json_t *coordinates = json_object_get(geometry, "coordinates");

	snprintf(feature->boundaries->message, sizeof feature->boundaries->message, "the geometry is no Polygon or MultiPolygon");
	if (type == NULL || !json_is_array(coordinates))
		return NULL;
	if (strcmp(type, "Polygon") == 0)
		return read_polygon(feature, coordinates);
	if (strcmp(type, "MultiPolygon") == 0)
		return read_multi_polygon(feature, coordinates);
	return NULL;
}

static void add_probe(struct intake_county_shape *shape, GEOSGeometry *point)
{
	if (point != NULL)
		shape->probes[shape->probe_count++] = point;
}

/* A point within and points of the first outer ring, as far apart as it goes. Without memory there are fewer, which costs time.
 */
static void find_probes(GEOSContextHandle_t geos, struct intake_county_shape *shape)
{
	const GEOSGeometry *ring = GEOSGetExteriorRing_r(geos, GEOSGetGeometryN_r(geos, shape->geometry, 0));
	int points = ring == NULL ? 0 : GEOSGeomGetNumPoints_r(geos, ring), probes = INTAKE_PROBES_MAX - 1;

	add_probe(shape, GEOSPointOnSurface_r(geos, shape->geometry));
	for (int i = 0; i < probes && i < points; i++)
		add_probe(shape, GEOSGeomGetPointN_r(geos, ring, (int)((int64_t)i * points / probes)));
}

static bool prepare(const struct feature *feature, struct intake_county_shape *shape)
{
	GEOSContextHandle_t geos = feature->boundaries->geos;
	char *why;

	if (GEOSisEmpty_r(geos, shape->geometry) != 0)
		return refuse_feature(feature, "the geometry is empty");
	if (GEOSisValid_r(geos, shape->geometry) != 1) {
		why = GEOSisValidReason_r(geos, shape->geometry);
		refuse_feature(feature, why == NULL ? "the geometry is invalid" : why);
		GEOSFree_r(geos, why);
		return false;
	}
	shape->prepared = GEOSPrepare_r(geos, shape->geometry);
	if (shape->prepared == NULL || GEOSGeom_getXMin_r(geos, shape->geometry, &shape->west) == 0 ||
		GEOSGeom_getXMax_r(geos, shape->geometry, &shape->east) == 0 ||
		GEOSGeom_getYMin_r(geos, shape->geometry, &shape->south) == 0 ||
		GEOSGeom_getYMax_r(geos, shape->geometry, &shape->north) == 0)
		return refuse_feature(feature, "there is no memory for it");
	find_probes(geos, shape);
	return true;
}

static bool read_feature(struct feature *feature, const json_t *object, const char *property)
{
	const json_t *code = json_object_get(json_object_get(object, "properties"), property);
	struct intake_county_shape *shape;
	int64_t number;

	feature->code = NULL;
	if (code == NULL)
		return jk_refuse(feature->refusal, JK_CODE_INVALID_SCHEMA, "boundaries", "feature %zu: property %.40s is missing",
			feature->index, property);
	feature->code = json_string_value(code);
	if (feature->code == NULL)
		return jk_refuse(feature->refusal, JK_CODE_INVALID_SCHEMA, "boundaries",
			"feature %zu: property %.40s must be text of three digits (\"047\")", feature->index, property);
	if (strlen(feature->code) != 3 || strspn(feature->code, "0123456789") != 3 ||
		!jk_text_to_int64(feature->code, 1, INTAKE_COUNTIES_MAX, &number))
		return refuse_feature(feature, "no code of a Kenyan county, \"001\" to \"047\"");
	shape = &feature->boundaries->counties[number];
	if (shape->geometry != NULL)
		return refuse_feature(feature, "an earlier feature has the same code");
	shape->geometry = read_geometry(feature, json_object_get(object, "geometry"));
	if (shape->geometry == NULL)
		return refuse_feature(feature, feature->boundaries->message);
	return prepare(feature, shape);
}

static bool read_features(
	struct intake_boundaries *boundaries, const json_t *root, const char *property, struct jk_refusal *ret_refusal)
{
	struct feature feature = {.boundaries = boundaries, .refusal = ret_refusal};
	const char *type = json_string_value(json_object_get(root, "type"));
	const json_t *features = json_object_get(root, "features"), *object;

	if (type == NULL || strcmp(type, "FeatureCollection") != 0 || !json_is_array(features) || json_array_size(features) == 0)
		return jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "boundaries",
			"the file is no GeoJSON FeatureCollection with features");
	json_array_foreach(features, feature.index, object)
	{
		if (!read_feature(&feature, object, property))
			return false;
	}
	return true;
}

static void on_geos_message(const char *message, void *data)
{
	struct intake_boundaries *boundaries = data;

	snprintf(boundaries->message, sizeof boundaries->message, "%.150s", message);
}

static void list_missing(const struct intake_boundaries *boundaries, char ret_missing[256])
{
	size_t used = 0;

	ret_missing[0] = '\0';
	for (int i = 1; i <= INTAKE_COUNTIES_MAX; i++)
		if (boundaries->counties[i].geometry == NULL)
			used += (size_t)snprintf(ret_missing + used, 256 - used, "%s%03d", used > 0 ? " " : "", i);
}

enum jk_status intake_boundaries_read(const char *text, size_t size, const char *property,
	struct intake_boundaries **ret_boundaries, char ret_missing[256], struct jk_refusal *ret_refusal)
{
	struct intake_boundaries *boundaries = calloc(1, sizeof *boundaries);
	json_error_t error = {.line = 0};
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	bool taken = false;

	*ret_boundaries = boundaries;
	ret_missing[0] = '\0';
	if (boundaries != NULL && (boundaries->geos = GEOS_init_r()) != NULL) {
		GEOSContext_setErrorMessageHandler_r(boundaries->geos, on_geos_message, boundaries);
		taken = root == NULL ? jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "boundaries", "no JSON: line %d: %s",
					       error.line, error.text)
				     : read_features(boundaries, root, property, ret_refusal);
	} else {
		jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "boundaries", "there is no memory for the boundaries");
	}
	json_decref(root);
	if (!taken) {
		intake_boundaries_close(ret_boundaries);
		return JK_BROKEN;
	}
	list_missing(boundaries, ret_missing);
	intake_boundaries_begin(boundaries, UINT64_MAX);
	return JK_OK;
}

enum jk_status intake_boundaries_open(const char *path, const char *property, struct intake_boundaries **ret_boundaries,
	char ret_missing[256], struct jk_refusal *ret_refusal)
{
	FILE *file = fopen(path, "rbe");
	struct jk_buffer text = {0};
	enum jk_status status = JK_BROKEN;
	char block[65536];
	size_t size;

	*ret_boundaries = NULL;
	ret_missing[0] = '\0';
	if (file == NULL) {
		jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "boundaries", "the file cannot be opened: %s", strerror(errno));
		return JK_BROKEN;
	}
	while ((size = fread(block, 1, sizeof block, file)) > 0 && text.size <= FILE_BYTES_MAX && !text.failed)
		jk_buffer_append(&text, block, size);
	if (ferror(file) != 0)
		jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "boundaries", "the file cannot be read: %s", strerror(errno));
	else if (text.failed || text.size > FILE_BYTES_MAX)
		jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "boundaries", "the file is larger than %d bytes", FILE_BYTES_MAX);
	else
		status = intake_boundaries_read(
			text.data == NULL ? "" : text.data, text.size, property, ret_boundaries, ret_missing, ret_refusal);
	jk_buffer_done(&text);
	fclose(file);
	return status;
}
