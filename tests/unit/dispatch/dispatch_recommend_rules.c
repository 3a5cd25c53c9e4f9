/* Which unit comes first: distances that are known from elsewhere, positions that have grown old, ties. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatch_recommend_rules.h"

static void test_distances(void **state)
{
	/* A degree on a great circle of the mean sphere is pi * 6371.0088 / 180 km = 111.19508 km; the others by the spherical
	 * law of cosines. */
	static const struct {
		double from_lat, from_lon, to_lat, to_lon, km;
	} cases[] = {
		{0, 0, 0, 0, 0},
		{0, 0, 0, 1, 111.19508},
		{0, 36, 1, 36, 111.19508},
		{-90, 0, 90, 0, 20015.11442},
		{0, 0, 0, 180, 20015.11442},
		{0, 179.5, 0, -179.5, 111.19508},
		{60, 0, 60, 180, 6671.70481},
		{-1.2864, 36.8172, -4.0435, 39.6682, 440.74019},
		{-1.2864, 36.8172, -0.0917, 34.7680, 263.74032},
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		double km =
			dispatch_recommend_distance_km(cases[i].from_lat, cases[i].from_lon, cases[i].to_lat, cases[i].to_lon);
		double back =
			dispatch_recommend_distance_km(cases[i].to_lat, cases[i].to_lon, cases[i].from_lat, cases[i].from_lon);

		assert_true(fabs(km - cases[i].km) < 0.001);
		assert_true(fabs(km - back) < 1e-9);
	}
}

#define NOW_US INT64_C(1800000000000000)
static const struct dispatch_candidate units[] = {
	{.code = "FAR", .agency = "A", .base_lat = 3, .county = "001", .own = true},
	{.code = "FRESH",
		.agency = "A",
		.base_lat = 9,
		.lat = 1,
		.position_at_us = NOW_US - DISPATCH_POSITION_FRESH_US + 1,
		.county = ""},
	{.code = "OLD",
		.agency = "A",
		.base_lat = 2,
		.lat = 0.1,
		.position_at_us = NOW_US - DISPATCH_POSITION_FRESH_US,
		.county = "047"},
	{.code = "B", .agency = "B", .base_lat = 2, .county = "047"},
	{.code = "AHEAD", .agency = "C", .base_lat = 9, .lat = 1.5, .position_at_us = NOW_US + 5000000, .county = "022"},
};
enum { UNITS = sizeof units / sizeof units[0] };

static void rank(const struct dispatch_scene *scene, struct dispatch_candidate ret[UNITS])
{
	memcpy(ret, units, sizeof units);
	dispatch_recommend_measure(ret, UNITS, scene, NOW_US);
	dispatch_recommend_sort(ret, UNITS);
}

static void check_order(const struct dispatch_candidate got[UNITS], const char *const wanted[UNITS])
{
	for (size_t i = 0; i < UNITS; i++)
		assert_string_equal(got[i].code, wanted[i]);
}

static void test_by_distance(void **state)
{
	static const char counties[1][4] = {"047"};
	const struct dispatch_scene scene = {.has_point = true, .counties = counties, .county_count = 1};
	struct dispatch_candidate got[UNITS];
	(void)state;

	rank(&scene, got);
	check_order(got, (const char *const[UNITS]){"FRESH", "AHEAD", "OLD", "B", "FAR"});
	assert_true(fabs(got[0].distance_km - 111.19508) < 0.001);
	assert_int_equal(got[0].age_us, DISPATCH_POSITION_FRESH_US - 1);
	assert_int_equal(got[1].age_us, 0); /* a clock that was ahead */
	assert_int_equal(got[2].age_us, -1);
	assert_true(got[2].same_county && !got[4].same_county);
	assert_true(got[4].own && fabs(dispatch_recommend_shown_km(&got[4]) - 333.6) < 1e-9);
	assert_true(dispatch_recommend_shown_km(&got[0]) == 111);
}

static void test_by_county(void **state)
{
	static const char counties[2][4] = {"022", "047"};
	const struct dispatch_scene scene = {.counties = counties, .county_count = 2};
	struct dispatch_candidate got[UNITS];
	(void)state;

	rank(&scene, got);
	check_order(got, (const char *const[UNITS]){"OLD", "B", "AHEAD", "FAR", "FRESH"});
	for (size_t i = 0; i < UNITS; i++)
		assert_true(got[i].distance_km < 0);
}

static void test_what_is_shown_of_others_is_coarse(void **state)
{
	struct dispatch_candidate unit = {.distance_km = 0.01};
	(void)state;

	assert_true(dispatch_recommend_shown_km(&unit) == 1);
	unit.distance_km = 12.4;
	assert_true(dispatch_recommend_shown_km(&unit) == 12);
	unit.own = true;
	assert_true(dispatch_recommend_shown_km(&unit) == 12.4);
	unit.distance_km = 0.01;
	assert_true(dispatch_recommend_shown_km(&unit) == 0);
}

static void test_capabilities(void **state)
{
	(void)state;
	assert_true(dispatch_recommend_has_all("", ""));
	assert_true(dispatch_recommend_has_all("A B", ""));
	assert_true(dispatch_recommend_has_all("A BB C", "C A"));
	assert_false(dispatch_recommend_has_all("A BB C", "B"));
	assert_false(dispatch_recommend_has_all("A BB C", "BBB"));
	assert_false(dispatch_recommend_has_all("", "A"));
	assert_false(dispatch_recommend_has_all("A", "A B"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distances),
		cmocka_unit_test(test_by_distance),
		cmocka_unit_test(test_by_county),
		cmocka_unit_test(test_what_is_shown_of_others_is_coarse),
		cmocka_unit_test(test_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
