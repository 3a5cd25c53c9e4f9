#include "services/intake/intake_locate.h"

static uint64_t bit_of(const char *county)
{
	return county ? intake_county_bit(county) : 0;
}

static uint64_t county_of_code(const struct jk_registry *registry, const struct intake_code *code)
{
	switch (code->scheme) {
	case JK_PLACE_COUNTY:
		return jk_registry_county_exists(registry, code->code) ? intake_county_bit(code->code) : 0;
	case JK_PLACE_ISO_3166_2:
		return bit_of(jk_registry_county_of_iso(registry, code->code));
	case JK_PLACE_CONSTITUENCY:
		return bit_of(jk_registry_county_of_constituency(registry, code->code));
	case JK_PLACE_NAME:
		return bit_of(jk_registry_county_of_name(registry, code->code));
	case JK_PLACE_NONE:
		break;
	}
	return 0;
}

/* A code that names nothing is a fault; a spelling that is not known is only no help. */
static void locate_code(const struct jk_registry *registry, const struct intake_code *code, struct intake_located *located)
{
	uint64_t county = county_of_code(registry, code);

	if (code->scheme == JK_PLACE_NAME)
		located->names |= county;
	else if (!county && !located->unknown)
		located->unknown = code;
	else if (code->scheme == JK_PLACE_CONSTITUENCY)
		located->constituencies |= county;
	else
		located->codes |= county;
}

static uint64_t bits_of(char counties[INTAKE_COUNTIES_MAX][4], size_t count)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < count; i++)
		bits |= intake_county_bit(counties[i]);
	return bits;
}

/* Shapes say nothing more where the county is named, but whether they touch it, and nothing at all where a point lies in one
 * (intake_rules_place). */
static uint64_t wanted_of_shapes(const struct intake_located *located)
{
	uint64_t named = located->publisher ? located->publisher : located->codes;

	if (named)
		return named;
	return located->point ? 0 : UINT64_MAX;
}

/* What was found by one shape. One that is passed over lies nowhere: in no county, and outside of none. */
static void note_shape(struct intake_located *located, bool looked_at, char counties[INTAKE_COUNTIES_MAX][4], size_t count)
{
	located->shapes |= bits_of(counties, count);
	if (looked_at)
		located->has_shapes = true;
	else
		located->bad_shape = true;
}

static void locate_shapes(struct intake_boundaries *boundaries, const struct intake_place *place, struct intake_located *located)
{
	char counties[INTAKE_COUNTIES_MAX][4];
	size_t count;
	bool looked_at;

	intake_boundaries_begin(boundaries, wanted_of_shapes(located));
	for (size_t i = 0; i < place->ring_count; i++) {
		const struct intake_ring *ring = &place->rings[i];
		looked_at = intake_boundaries_of_ring(boundaries, ring->lat_lon, ring->points, counties, &count);
		note_shape(located, looked_at, counties, count);
	}
	for (size_t i = 0; i < place->circle_count; i++) {
		const struct intake_circle *circle = &place->circles[i];
		looked_at =
			intake_boundaries_of_circle(boundaries, circle->lat, circle->lon, circle->radius_km, counties, &count);
		note_shape(located, looked_at, counties, count);
	}
	if (intake_boundaries_work_left(boundaries) == 0)
		located->has_shapes = false; /* where the rest lies is not known */
}

void intake_locate(const struct jk_registry *registry, struct intake_boundaries *boundaries, const struct intake_place *place,
	struct intake_located *ret)
{
	*ret = (struct intake_located){.has_boundaries = boundaries != NULL};
	if (*place->county.code) {
		ret->publisher = county_of_code(registry, &place->county);
		ret->unknown = ret->publisher ? NULL : &place->county;
	}
	for (size_t i = 0; i < place->code_count; i++)
		locate_code(registry, &place->codes[i], ret);
	if (!boundaries || ret->unknown) /* a code that names nothing is refused wherever the rest lies */
		return;
	char county[4];
	ret->has_point = place->has_point;
	if (place->has_point && intake_boundaries_of_point(boundaries, place->lat, place->lon, county))
		ret->point = intake_county_bit(county);
	locate_shapes(boundaries, place, ret);
}
