/* Boundary files of our own writing, good and bad; points, rings and circles against three square counties; and what takes GEOS
 * long, against 47 of 200 points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/jk_text.h"
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
		intake_boundaries_begin(boundaries, UINT64_MAX);
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
		intake_boundaries_begin(boundaries, UINT64_MAX);
		bool valid =
			intake_boundaries_of_circle(boundaries, rows[i].lat, rows[i].lon, rows[i].radius_km, counties, &count);

		if (valid != (rows[i].counties != NULL))
			fail_msg("circle %zu: valid %d", i, valid);
		check_counties(valid ? rows[i].counties : "", counties, count);
	}
}

/* ---- what takes long ---- */

/* 47 counties of 200 points in a grid of seven a side, a degree apart, the first at 33.5 east and 3.5 south. */
enum { GRID_SIDE = 7, GRID_POINTS = 200, RING_POINTS_MAX = 100000 };
static const double limit_s = 5; /* the sanitizers' too: GEOS itself is not built with them */

static struct intake_boundaries *grid;
static double lat_lon[2 * RING_POINTS_MAX];

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The point in direction `turn` (of 1) on a wavy line around the origin. */
static void wavy(double turn, double *ret_x, double *ret_y)
{
	double angle = 2 * M_PI * turn, radius = 0.4 + 0.04 * sin(9 * angle);

	*ret_x = radius * cos(angle);
	*ret_y = radius * sin(angle);
}

static int open_grid(void **state)
{
	struct jk_buffer text = {0};
	struct jk_refusal refusal;
	char missing[256];

	jk_buffer_printf(&text, "{\"type\":\"FeatureCollection\",\"features\":[");
	for (int i = 0; i < INTAKE_COUNTIES_MAX; i++) {
		jk_buffer_printf(&text,
			"%s{\"type\":\"Feature\",\"properties\":{\"county_code\":\"%03d\"},\"geometry\":{\"type\":\"Polygon\","
			"\"coordinates\":[[",
			i > 0 ? "," : "", i + 1);
		for (int n = 0; n < GRID_POINTS; n++) {
			double x, y;

			wavy(n == GRID_POINTS - 1 ? 0 : n / (double)GRID_POINTS, &x, &y);
			jk_buffer_printf(
				&text, "%s[%.6f,%.6f]", n > 0 ? "," : "", 33.5 + i % GRID_SIDE + x, -3.5 + i / GRID_SIDE + y);
		}
		jk_buffer_printf(&text, "]]}}");
	}
	jk_buffer_printf(&text, "]}");
	enum jk_status status = open_good(state) != 0 || text.failed
					? JK_BROKEN
					: intake_boundaries_read(text.data, text.size, "county_code", &grid, missing, &refusal);
	jk_buffer_done(&text);
	return status == JK_OK ? 0 : -1;
}

static int close_grid(void **state)
{
	intake_boundaries_close(&grid);
	return close_good(state);
}

static void put(size_t *points, double lat, double lon)
{
	assert_true(*points < RING_POINTS_MAX);
	lat_lon[2 * *points] = lat;
	lat_lon[2 * (*points)++ + 1] = lon;
}

/* North and south, then east and west: a quarter of points squared crossings, over all of the grid. */
static size_t make_zigzag(size_t points)
{
	size_t count = 0, half = (points - 1) / 2;

	for (size_t i = 0; i < half; i++)
		put(&count, i % 2 ? 4 : -5, 33 + 7.0 * (double)i / (double)half);
	for (size_t i = 0; i < half; i++)
		put(&count, 3.9 - 8.8 * (double)i / (double)half, i % 2 ? 32 : 41);
	put(&count, lat_lon[0], lat_lon[1]);
	return count;
}

/* Slanting strips side by side: nothing crosses, but every side's box meets every other's. */
static size_t make_strips(size_t points)
{
	size_t count = 0, slanting = points - 3;

	for (size_t i = 0; i < slanting; i++)
		put(&count, i % 2 ? 4 : -5, (i % 2 ? 37 : 33) + 3.0 * (double)i / (double)slanting);
	put(&count, -6, 41);
	put(&count, -6, 32);
	put(&count, lat_lon[0], lat_lon[1]);
	return count;
}

/* An honest one, around the first three counties of the grid; with `knots` the line crosses itself that often. */
static size_t make_coast(size_t points, size_t knots)
{
	size_t count = 0;

	for (size_t i = 0; i + 1 < points; i++) {
		double x, y;

		wavy((double)i / (double)points, &x, &y);
		put(&count, -3.5 + y, 34.5 + 3 * x);
	}
	for (size_t i = 1; i <= knots; i++)
		for (size_t n = 0; n < 2; n++) {
			double *at = &lat_lon[2 * (i * (count / (knots + 1))) + n], kept = at[0];

			at[0] = at[2];
			at[2] = kept;
		}
	put(&count, lat_lon[0], lat_lon[1]);
	return count;
}

static void test_rings_that_cross_themselves_often_are_not_repaired(void **state)
{
	static const size_t points[] = {128, 2000, 16000, RING_POINTS_MAX};
	char counties[INTAKE_COUNTIES_MAX][4];
	double began = now_s();
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
		intake_boundaries_begin(grid, UINT64_MAX);
		assert_false(intake_boundaries_of_ring(grid, lat_lon, make_zigzag(points[i]), counties, &count));
		assert_int_equal(count, 0);
		intake_boundaries_begin(grid, UINT64_MAX);
		if (points[i] > 128)
			assert_false(intake_boundaries_of_ring(grid, lat_lon, make_strips(points[i]), counties, &count));
	}
	intake_boundaries_begin(grid, UINT64_MAX);
	assert_true(intake_boundaries_of_ring(grid, lat_lon, make_zigzag(32), counties, &count)); /* 225 times */
	assert_int_equal(count, INTAKE_COUNTIES_MAX);
	assert_true(now_s() - began < limit_s);
}

/* As many points as CAP lets pass, and a knot here and there. */
static void test_long_honest_rings_are_looked_at(void **state)
{
	static const struct {
		size_t points, knots;
	} rows[] = {{16384, 0}, {16384, 1}, {16384, 50}, {762, 20}};
	char counties[INTAKE_COUNTIES_MAX][4];
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t points = make_coast(rows[i].points, rows[i].knots);

		intake_boundaries_begin(grid, UINT64_MAX);
		if (!intake_boundaries_of_ring(grid, lat_lon, points, counties, &count))
			fail_msg("%zu points, %zu knots: passed over, work left %zu", points, rows[i].knots,
				intake_boundaries_work_left(grid));
		check_counties("001 002 003", counties, count);
	}
}

static void test_what_is_found_is_not_looked_for_again(void **state)
{
	char counties[INTAKE_COUNTIES_MAX][4];
	double began = now_s();
	size_t count, found = 0;

	(void)state;
	intake_boundaries_begin(grid, UINT64_MAX);
	for (int i = 0; i < 10000; i++) { /* over all of the grid, each a little larger */
		assert_true(intake_boundaries_of_circle(grid, -0.5, 36.5, 1000 + i * 1e-3, counties, &count));
		found += count;
	}
	assert_int_equal(found, INTAKE_COUNTIES_MAX);
	assert_true(intake_boundaries_work_left(grid) > INTAKE_PLACE_WORK - 5000);

	intake_boundaries_begin(grid, UINT64_C(1) << 2 | UINT64_C(1) << 5);
	assert_true(intake_boundaries_of_circle(grid, -0.5, 36.5, 1000, counties, &count));
	check_counties("002 005", counties, count);
	assert_true(intake_boundaries_of_ring(grid, lat_lon, make_coast(100, 0), counties, &count));
	check_counties("", counties, count);
	intake_boundaries_begin(grid, 0);
	assert_false(intake_boundaries_of_ring(grid, lat_lon, 3, counties, &count)); /* bad all the same */
	assert_true(now_s() - began < limit_s);
}

/* Circles beside a county, within its box and its neighbours': nothing is ever found. */
static void test_a_report_has_so_much_work_and_no_more(void **state)
{
	char counties[INTAKE_COUNTIES_MAX][4];
	double began = now_s();
	size_t count, looked_at = 0;

	(void)state;
	intake_boundaries_begin(grid, UINT64_MAX);
	for (int i = 0; i < 10000; i++) {
		bool looked = intake_boundaries_of_circle(grid, -3, 34, 20 + i * 1e-3, counties, &count);

		assert_int_equal(count, 0);
		assert_true(looked == (intake_boundaries_work_left(grid) > 0));
		looked_at += looked;
	}
	assert_true(looked_at > 500 && looked_at < INTAKE_PLACE_WORK / 130); /* a circle's 65 points and their sides */
	assert_false(intake_boundaries_of_circle(grid, -3.5, 33.5, 20, counties, &count));
	assert_int_equal(count, 0);
	intake_boundaries_begin(grid, UINT64_MAX);
	assert_true(intake_boundaries_of_circle(grid, -3.5, 33.5, 20, counties, &count));
	check_counties("001", counties, count);
	assert_true(now_s() - began < limit_s);
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
		cmocka_unit_test(test_rings_that_cross_themselves_often_are_not_repaired),
		cmocka_unit_test(test_long_honest_rings_are_looked_at),
		cmocka_unit_test(test_what_is_found_is_not_looked_for_again),
		cmocka_unit_test(test_a_report_has_so_much_work_and_no_more),
	};

	return cmocka_run_group_tests(tests, open_grid, close_grid);
}
