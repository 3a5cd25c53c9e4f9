/* Where and when a body says that it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "feed/feed_body.h"

enum { ARENA_BYTES = 1024 * 1024 };

/* The place that a body with these groups gives; times or place may be NULL. */
static struct jk_event_place read(const Jukwaa__V1__Times *times, const Jukwaa__V1__Place *place, const char *constituency)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_group groups[JK_GROUP_COUNT] = {0};
	uint8_t contents[3][1024], commitment[32];
	Jukwaa__V1__Place named = JUKWAA__V1__PLACE__INIT;
	struct jk_event_place ret;
	const uint8_t *body;
	size_t size;

	named.constituency = (char *)(uintptr_t)constituency;
	groups[JK_GROUP_PLACE - 1].content = contents[0];
	groups[JK_GROUP_PLACE - 1].content_size = protobuf_c_message_pack(&named.base, contents[0]);
	if (times) {
		groups[JK_GROUP_TIMES - 1].content = contents[1];
		groups[JK_GROUP_TIMES - 1].content_size = protobuf_c_message_pack(&times->base, contents[1]);
	}
	if (place) {
		groups[JK_GROUP_POSITION - 1].content = contents[2];
		groups[JK_GROUP_POSITION - 1].content_size = protobuf_c_message_pack(&place->base, contents[2]);
	}
	assert_int_equal(jk_body_seal(groups, arena, commitment, &body, &size), JK_OK);
	assert_int_equal(jk_body_place(body, size, arena, &ret), JK_OK);
	jk_arena_free(&arena);
	return ret;
}

static void assert_near(double value, double wanted)
{
	assert_true(value > wanted - 1e-6 && value < wanted + 1e-6);
}

static void the_onset_else_effective_else_sent(void **state)
{
	Jukwaa__V1__Times times = JUKWAA__V1__TIMES__INIT;
	(void)state;

	assert_int_equal(read(NULL, NULL, "").occurred_at_us, 0);
	times.sent_present_case = JUKWAA__V1__TIMES__SENT_PRESENT_SENT_US;
	times.sent_us = 3;
	assert_int_equal(read(&times, NULL, "").occurred_at_us, 3);
	times.effective_present_case = JUKWAA__V1__TIMES__EFFECTIVE_PRESENT_EFFECTIVE_US;
	times.effective_us = 2;
	assert_int_equal(read(&times, NULL, "").occurred_at_us, 2);
	times.onset_present_case = JUKWAA__V1__TIMES__ONSET_PRESENT_ONSET_US;
	times.onset_us = 1;
	assert_int_equal(read(&times, NULL, "").occurred_at_us, 1);
}

static void constituencies(void **state)
{
	(void)state;
	assert_string_equal(read(NULL, NULL, "290").constituency, "290");
	assert_string_equal(read(NULL, NULL, "").constituency, "");
	assert_string_equal(read(NULL, NULL, "Mathare").constituency, "");
	assert_string_equal(read(NULL, NULL, "2x0").constituency, "");
}

static void the_point_else_the_middle_of_the_shapes(void **state)
{
	Jukwaa__V1__Place place = JUKWAA__V1__PLACE__INIT;
	Jukwaa__V1__Point point = JUKWAA__V1__POINT__INIT, centre = JUKWAA__V1__POINT__INIT, corners[5];
	Jukwaa__V1__Point *ring[5];
	Jukwaa__V1__Polygon polygon = JUKWAA__V1__POLYGON__INIT, *polygons[] = {&polygon};
	Jukwaa__V1__Circle circle = JUKWAA__V1__CIRCLE__INIT, *circles[] = {&circle};
	static const double square[5][2] = {{-1, 36}, {-1, 38}, {-2, 38}, {-2, 36}, {-1, 36}};
	struct jk_event_place got;
	(void)state;

	assert_false(read(NULL, &place, "").located);
	centre.lat = -3;
	centre.lon = 39;
	circle.centre = &centre;
	place.n_circles = 1;
	place.circles = circles;
	got = read(NULL, &place, "");
	assert_true(got.located);
	assert_near(got.lat, -3);
	assert_near(got.lon, 39);
	for (size_t i = 0; i < 5; i++) {
		corners[i] = (Jukwaa__V1__Point)JUKWAA__V1__POINT__INIT;
		corners[i].lat = square[i][0];
		corners[i].lon = square[i][1];
		ring[i] = &corners[i];
	}
	polygon.n_points = 5;
	polygon.points = ring;
	place.n_polygons = 1;
	place.polygons = polygons;
	got = read(NULL, &place, "");
	assert_near(got.lat, -1.5);
	assert_near(got.lon, 37);
	for (size_t i = 0; i < 5; i++)
		corners[i].lat = -1; /* a line has no area */
	got = read(NULL, &place, "");
	assert_true(got.located);
	assert_near(got.lat, -1);
	point.lat = -1.28;
	point.lon = 36.82;
	place.point_present_case = JUKWAA__V1__PLACE__POINT_PRESENT_POINT;
	place.point = &point;
	got = read(NULL, &place, "");
	assert_near(got.lat, -1.28);
	assert_near(got.lon, 36.82);
	point.lat = 91;
	got = read(NULL, &place, "");
	assert_false(got.located);
	assert_near(got.lon, 0);
}

static void what_is_no_body_of_ours(void **state)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_event_place place;
	static const uint8_t bytes[] = {0xff, 0xff, 0xff};
	(void)state;

	assert_int_equal(jk_body_place(bytes, sizeof bytes, arena, &place), JK_BROKEN);
	jk_arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_onset_else_effective_else_sent),
		cmocka_unit_test(constituencies),
		cmocka_unit_test(the_point_else_the_middle_of_the_shapes),
		cmocka_unit_test(what_is_no_body_of_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
