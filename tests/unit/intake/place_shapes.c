/* Boundary files of our own writing, good and bad; points, rings and circles against three square counties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "services/intake/intake_place_geos.h"

#define FEATURE(properties, geometry) "{\"type\":\"Feature\",\"properties\":" properties ",\"geometry\":" geometry "}"
#define COUNTY(code, geometry) FEATURE("{\"county_code\":\"" code "\",\"name\":\"x\"}", geometry)
#define POLYGON(rings) "{\"type\":\"Polygon\",\"coordinates\":[" rings "]}"
#define FILE_OF(features) "{\"type\":\"FeatureCollection\",\"features\":[" features "]}"
/* 003 lies over the eastern half of 001; 002 is two islands, the first with a hole and the border of 001. */
#define WEST POLYGON("[[36,0],[37,0],[37,1],[36,1],[36,0]]")
#define EAST                                                                                                                     \
	"{\"type\":\"MultiPolygon\",\"coordinates\":[[[[37,0],[38,0],[38,1],[37,1],[37,0]],[[37.4,0.4],[37.6,0.4],[37.6,0.6],["  \
	"37.4,0.6],"                                                                                                             \
	"[37.4,0.4]]],[[[39,0,12],[40,0,12],[40,1,12],[39,0,12]]]]}"
#define OVER POLYGON("[[36.5,0],[37,0],[37,1],[36.5,1],[36.5,0]]")

static const char *const good = FILE_OF(COUNTY("003", OVER) "," COUNTY("001", WEST) "," COUNTY("002", EAST));

static struct intake_boundaries *boundaries;

static int open_good(void **state)
{
	char missing[256];
	struct jk_refusal refusal;

	(void)state;
	if (intake_boundaries_read(good, strlen(good), "county_code", &boundaries, missing, &refusal) != JK_OK)
		return -1;
	return strncmp(missing, "004 005 ", 8) == 0 && strlen(missing) == 44 * 4 - 1 ? 0 : -1;
}

static int close_good(void **state)
{
	(void)state;
	intake_boundaries_close(&boundaries);
	intake_boundaries_close(&boundaries);
	return 0;
}

struct bad {
	const char *text;
	enum jk_code code;
	const char *words; /* in the reason */
};

static const struct bad bads[] = {
	{"", JK_CODE_NOT_WELL_FORMED, "line"},
	{"{", JK_CODE_NOT_WELL_FORMED, "line"},
	{"\xff", JK_CODE_NOT_WELL_FORMED, "line"},
	{"{\"type\":1,\"type\":2}", JK_CODE_NOT_WELL_FORMED, "duplicate"},
	{"[]", JK_CODE_INVALID_SCHEMA, "FeatureCollection"},
	{"{}", JK_CODE_INVALID_SCHEMA, "FeatureCollection"},
	{FILE_OF(""), JK_CODE_INVALID_SCHEMA, "FeatureCollection"},
	{FILE_OF("1"), JK_CODE_INVALID_SCHEMA, "feature 0: property county_code is missing"},
	{FILE_OF(FEATURE("null", WEST)), JK_CODE_INVALID_SCHEMA, "feature 0: property county_code is missing"},
	{FILE_OF(FEATURE("{\"code\":\"001\"}", WEST)), JK_CODE_INVALID_SCHEMA, "feature 0: property county_code is missing"},
	{FILE_OF(FEATURE("{\"county_code\":1}", WEST)), JK_CODE_INVALID_SCHEMA, "must be text"},
	{FILE_OF(COUNTY("001", WEST) "," COUNTY("001", OVER)), JK_CODE_INVALID_SCHEMA, "feature 1 (county code 001): an earlier"},
	{FILE_OF(COUNTY("048", WEST)), JK_CODE_INVALID_SCHEMA, "feature 0 (county code 048): no code"},
	{FILE_OF(COUNTY("000", WEST)), JK_CODE_INVALID_SCHEMA, "county code 000): no code"},
	{FILE_OF(COUNTY("47", WEST)), JK_CODE_INVALID_SCHEMA, "county code 47): no code"},
	{FILE_OF(COUNTY("KE-30", WEST)), JK_CODE_INVALID_SCHEMA, "county code KE-30): no code"},
	{FILE_OF(COUNTY(" 01", WEST)), JK_CODE_INVALID_SCHEMA, "no code"},
	{FILE_OF(COUNTY("001", "null")), JK_CODE_INVALID_SCHEMA, "feature 0 (county code 001): the geometry is no Polygon"},
	{FILE_OF(COUNTY("001", "{\"type\":\"Point\",\"coordinates\":[36,0]}")), JK_CODE_INVALID_SCHEMA, "no Polygon"},
	{FILE_OF(COUNTY("001", POLYGON(""))), JK_CODE_INVALID_SCHEMA, "no ring"},
	{FILE_OF(COUNTY("001", POLYGON("[]"))), JK_CODE_INVALID_SCHEMA, "feature 0 (county code 001)"},
	{FILE_OF(COUNTY("001", "{\"type\":\"MultiPolygon\",\"coordinates\":[]}")), JK_CODE_INVALID_SCHEMA, "no polygon"},
	{FILE_OF(COUNTY("001", "{\"type\":\"MultiPolygon\",\"coordinates\":[[]]}")), JK_CODE_INVALID_SCHEMA, "no ring"},
	{FILE_OF(COUNTY("001", POLYGON("[[36,0],[37,0],[37,1],[36,1]]"))), JK_CODE_INVALID_SCHEMA, "closed"},
	{FILE_OF(COUNTY("001", POLYGON("[[36,0],[37,0],[36,0]]"))), JK_CODE_INVALID_SCHEMA, "feature 0"},
	{FILE_OF(COUNTY("001", POLYGON("[[36,0],[37,1],[37,0],[36,1],[36,0]]"))), JK_CODE_INVALID_SCHEMA, "Self-intersection"},
	{FILE_OF(COUNTY("001", POLYGON("[[36,0],[37,0],[37,0],[36,0]]"))), JK_CODE_INVALID_SCHEMA, "feature 0"},
	{FILE_OF(COUNTY("001", POLYGON("[[36,0],[\"37\",0],[37,1],[36,0]]"))), JK_CODE_INVALID_SCHEMA, "no lon,lat"},
	{FILE_OF(COUNTY("001", POLYGON("[[36,0],[37],[37,1],[36,0]]"))), JK_CODE_INVALID_SCHEMA, "no lon,lat"},
	{FILE_OF(COUNTY("001", POLYGON("[[360,0],[37,0],[37,1],[360,0]]"))), JK_CODE_INVALID_SCHEMA, "no lon,lat"},
	{FILE_OF(COUNTY("001", POLYGON("7"))), JK_CODE_INVALID_SCHEMA, "no lon,lat"},
};

static void test_bad_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
		struct intake_boundaries *none;
		struct jk_refusal refusal = {0};
		char missing[256];

		if (intake_boundaries_read(bads[i].text, strlen(bads[i].text), "county_code", &none, missing, &refusal) !=
			JK_BROKEN)
			fail_msg("taken: %s", bads[i].text);
		assert_null(none);
		if (refusal.code != bads[i].code || strstr(refusal.reason, bads[i].words) == NULL)
			fail_msg("%s: %s %s, expected \"%s\"", bads[i].text, jk_words_name(&jk_codes, (int)refusal.code),
				refusal.reason, bads[i].words);
	}
}

static void test_missing_file(void **state)
{
	struct intake_boundaries *none;
	struct jk_refusal refusal = {0};
	char missing[256];

	(void)state;
	assert_int_equal(intake_boundaries_open("/nonexistent/file", "county_code", &none, missing, &refusal), JK_BROKEN);
	assert_non_null(strstr(refusal.reason, "No such file"));
	assert_int_equal(intake_boundaries_open("/", "county_code", &none, missing, &refusal), JK_BROKEN);
}

static void test_property_name(void **state)
{
	struct intake_boundaries *other;
	struct jk_refusal refusal = {0};
	char missing[256];
	static const char *const text = FILE_OF(FEATURE("{\"kode\":\"047\"}", WEST));

	(void)state;
	assert_int_equal(intake_boundaries_read(text, strlen(text), "kode", &other, missing, &refusal), JK_OK);
	intake_boundaries_close(&other);
}

static void test_points(void **state)
{
	static const struct {
		double lat, lon;
		const char *county;
	} rows[] = {
		{0.5, 36.2, "001"},
		{0.5, 36.7, "001"}, /* in 003 too: the lowest */
		{0.5, 37.0, "001"}, /* on the border of all three */
		{0.5, 37.2, "002"},
		{0.5, 37.5, NULL},  /* in the hole */
		{0.4, 37.5, "002"}, /* on the hole's border */
		{0.1, 39.5, "002"}, /* the second island */
		{0.9, 39.1, NULL},  /* beside it, within its box */
		{0.5, 38.5, NULL},
		{36.5, 0.5, NULL}, /* lat and lon swapped */
		{NAN, 36.5, NULL},
		{0.5, INFINITY, NULL},
	};
	char county[4];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool found = intake_boundaries_of_point(boundaries, rows[i].lat, rows[i].lon, county);

		assert_int_equal(found, rows[i].county != NULL);
		if (found)
			assert_string_equal(county, rows[i].county);
	}
}

static void check_counties(const char *expected, char counties[INTAKE_COUNTIES_MAX][4], size_t count)
{
	char joined[INTAKE_COUNTIES_MAX * 4 + 1] = "";

	for (size_t i = 0; i < count; i++)
		snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s", i > 0 ? " " : "", counties[i]);
	assert_string_equal(joined, expected);
}

static void test_rings(void **state)
{
	static const struct {
		size_t points;
		double lat_lon[16];
		const char *counties; /* NULL: invalid */
	} rows[] = {
		{5, {0.1, 36.1, 0.1, 36.2, 0.2, 36.2, 0.2, 36.1, 0.1, 36.1}, "001"},
		{5, {0.1, 36.1, 0.1, 37.1, 0.2, 37.1, 0.2, 36.1, 0.1, 36.1}, "001 002 003"},
		{5, {0.0, 37.0, 0.0, 38.0, 1.0, 38.0, 1.0, 37.0, 0.0, 37.0}, "002"}, /* its western border is that of 001, 003 */
		{5, {0.45, 37.45, 0.45, 37.55, 0.55, 37.55, 0.55, 37.45, 0.45, 37.45}, ""}, /* in the hole */
		{5, {-5, 30, -5, 45, 5, 45, 5, 30, -5, 30}, "001 002 003"},
		{5, {0.1, 36.1, 0.2, 36.4, 0.1, 36.4, 0.2, 36.1, 0.1, 36.1}, "001"}, /* crosses itself: both halves count */
		{4, {0.1, 36.1, 0.1, 36.2, 0.2, 36.2, 0.3, 36.3}, NULL},             /* not closed */
		{4, {0.1, 36.1, 0.1, 36.1, 0.1, 36.1, 0.1, 36.1}, NULL},             /* a point */
		{4, {0.25, 36.25, 0.5, 36.5, 0.75, 36.75, 0.25, 36.25}, NULL},       /* a line */
		{0, {0}, NULL},
	};
	char counties[INTAKE_COUNTIES_MAX][4];
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool valid = intake_boundaries_of_ring(boundaries, rows[i].lat_lon, rows[i].points, counties, &count);

		assert_int_equal(valid, rows[i].counties != NULL);
		check_counties(valid ? rows[i].counties : "", counties, count);
	}
}

static void test_circles(void **state)
{
	static const struct {
		double lat, lon, radius_km;
		const char *counties; /* NULL: invalid */
	} rows[] = {
		{0.5, 36.2, 0, "001"},
		{0.5, 38.5, 0, ""},
		{0.5, 36.2, 1e-9, "001"},
		{0.5, 36.2, 1, "001"},
		{0.5, 36.2, 30, "001"}, /* 0.3 degrees are 33.3 km on the equator */
		{0.5, 36.2, 34, "001 003"},
		{0.5, 37.5, 10, ""}, /* within the hole, 11.1 km around */
		{0.5, 37.5, 12, "002"},
		{0.5, 37.5, 2000, "001 002 003"},
		{89.9, 0, 100, ""},
		{0.5, 36.2, -1, NULL},
		{0.5, 36.2, 30000, NULL},
		{0.5, 36.2, NAN, NULL},
	};
	char counties[INTAKE_COUNTIES_MAX][4];
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool valid =
			intake_boundaries_of_circle(boundaries, rows[i].lat, rows[i].lon, rows[i].radius_km, counties, &count);

		if (valid != (rows[i].counties != NULL))
			fail_msg("circle %zu: valid %d", i, valid);
		check_counties(valid ? rows[i].counties : "", counties, count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_property_name),
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_rings),
		cmocka_unit_test(test_circles),
	};

	return cmocka_run_group_tests(tests, open_good, close_good);
}
