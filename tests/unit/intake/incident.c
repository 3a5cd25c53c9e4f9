/* What a report written as jukwaa.v1.Incident must say: one fault at a time in a report that is otherwise good. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/intake/intake_wire.h"
#include "wire/wire_body.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };

/* A whole report, built anew for each case and spoilt by it. */
static struct {
	Jukwaa__V1__Incident incident;
	Jukwaa__V1__Identity identity;
	Jukwaa__V1__Classification classification;
	Jukwaa__V1__Times times;
	Jukwaa__V1__Place place;
	Jukwaa__V1__References references;
	Jukwaa__V1__Handling handling;
	Jukwaa__V1__Category category;
	Jukwaa__V1__ResponseType response;
	Jukwaa__V1__Point points[5];
	Jukwaa__V1__Point *ring[5];
	Jukwaa__V1__Polygon polygon, *polygons[1];
	Jukwaa__V1__Circle circle, *circles[1];
	Jukwaa__V1__PlaceCode code, *codes[1];
	Jukwaa__V1__Reference reference, *reference_list[1];
	char *address;
} r;

static char long_id[400];

static void fresh(void)
{
	static const double square[5][2] = {{-1, 36}, {-1, 37}, {-2, 37}, {-2, 36}, {-1, 36}};

	memset(long_id, 'x', 257);
	jukwaa__v1__incident__init(&r.incident);
	jukwaa__v1__identity__init(&r.identity);
	jukwaa__v1__classification__init(&r.classification);
	jukwaa__v1__times__init(&r.times);
	jukwaa__v1__place__init(&r.place);
	jukwaa__v1__references__init(&r.references);
	jukwaa__v1__handling__init(&r.handling);
	jukwaa__v1__polygon__init(&r.polygon);
	jukwaa__v1__circle__init(&r.circle);
	jukwaa__v1__place_code__init(&r.code);
	jukwaa__v1__reference__init(&r.reference);
	r.incident.identity = &r.identity;
	r.incident.classification = &r.classification;
	r.incident.times = &r.times;
	r.incident.place = &r.place;
	r.incident.references = &r.references;
	r.incident.handling = &r.handling;
	r.identity.external_id = (char *)"id-1";
	r.identity.status = JUKWAA__V1__STATUS__STATUS_ACTUAL;
	r.category = JUKWAA__V1__CATEGORY__CATEGORY_FIRE;
	r.classification.categories = &r.category;
	r.classification.n_categories = 1;
	r.handling.scope = JUKWAA__V1__SCOPE__SCOPE_PUBLIC;
	for (int i = 0; i < 5; i++) {
		jukwaa__v1__point__init(&r.points[i]);
		r.points[i].lat = square[i][0];
		r.points[i].lon = square[i][1];
		r.ring[i] = &r.points[i];
	}
	r.polygon.points = r.ring;
	r.polygon.n_points = 5;
	r.polygons[0] = &r.polygon;
	r.place.polygons = r.polygons;
	r.place.n_polygons = 1;
	r.circle.centre = &r.points[1];
	r.circle.radius_km = 3;
	r.circles[0] = &r.circle;
	r.place.circles = r.circles;
	r.place.n_circles = 1;
	r.place.point = &r.points[0];
	r.place.point_present_case = JUKWAA__V1__PLACE__POINT_PRESENT_POINT;
	r.reference.external_id = (char *)"id-0";
	r.reference_list[0] = &r.reference;
	r.code.scheme = JUKWAA__V1__PLACE_SCHEME__PLACE_SCHEME_COUNTY;
	r.code.code = (char *)"047";
	r.codes[0] = &r.code;
	r.place.codes = r.codes;
	r.place.n_codes = 1;
}

static bool check(bool strict, struct intake_decoded *decoded, struct jk_refusal *refusal)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);

	memset(decoded, 0, sizeof *decoded);
	memset(refusal, 0, sizeof *refusal);
	decoded->incident = &r.incident;
	bool good = intake_incident_check(decoded, strict, arena, refusal);
	jk_arena_free(&arena);
	return good;
}

/* The case has been made; it must be refused so. */
static void refused(enum jk_code code, const char *field)
{
	struct intake_decoded decoded;
	struct jk_refusal refusal;

	assert_false(check(false, &decoded, &refusal));
	assert_int_equal(refusal.code, code);
	assert_string_equal(refusal.field, field);
	fresh();
}

static void warned(enum jk_code code, const char *field)
{
	struct intake_decoded decoded;
	struct jk_refusal refusal;
	size_t polygons = r.place.n_polygons, circles = r.place.n_circles;

	assert_false(check(true, &decoded, &refusal));
	assert_int_equal(refusal.code, JK_CODE_RULE_VIOLATION);
	assert_string_equal(refusal.field, field);
	r.place.n_polygons = polygons;
	r.place.n_circles = circles;
	if (strcmp(field, "place.point") == 0)
		r.place.point_present_case = JUKWAA__V1__PLACE__POINT_PRESENT_POINT;
	if (strcmp(field, "place.accuracy_m") == 0)
		r.place.accuracy_present_case = JUKWAA__V1__PLACE__ACCURACY_PRESENT_ACCURACY_M;
	assert_true(check(false, &decoded, &refusal));
	assert_int_equal(decoded.warnings.count, 1);
	assert_int_equal(decoded.warnings.list[0].code, code);
	assert_string_equal(decoded.warnings.list[0].field, field);
}

static void test_what_is_required(void **state)
{
	(void)state;
	fresh();
	r.incident.identity = NULL;
	refused(JK_CODE_INVALID_SCHEMA, "identity");
	r.identity.external_id = (char *)"";
	refused(JK_CODE_INVALID_SCHEMA, "identity.external_id");
	r.identity.external_id = long_id;
	refused(JK_CODE_INVALID_SCHEMA, "identity.external_id");
	r.identity.revision = -1;
	refused(JK_CODE_INVALID_SCHEMA, "identity.revision");
	r.identity.status = JUKWAA__V1__STATUS__STATUS_UNSPECIFIED;
	refused(JK_CODE_INVALID_SCHEMA, "identity.status");
	r.incident.classification = NULL;
	refused(JK_CODE_INVALID_SCHEMA, "classification.categories");
	r.classification.n_categories = 0;
	refused(JK_CODE_INVALID_SCHEMA, "classification.categories");
	r.category = JUKWAA__V1__CATEGORY__CATEGORY_UNSPECIFIED;
	refused(JK_CODE_INVALID_SCHEMA, "classification.categories");
	r.classification.response_types = &r.response;
	r.classification.n_response_types = 1;
	refused(JK_CODE_INVALID_SCHEMA, "classification.response_types");
	r.incident.handling = NULL;
	refused(JK_CODE_INVALID_SCHEMA, "handling.scope");
	r.handling.scope = JUKWAA__V1__SCOPE__SCOPE_UNSPECIFIED;
	refused(JK_CODE_INVALID_SCHEMA, "handling.scope");
	r.handling.scope = JUKWAA__V1__SCOPE__SCOPE_PRIVATE;
	refused(JK_CODE_RULE_VIOLATION, "handling.addresses");
	r.handling.scope = JUKWAA__V1__SCOPE__SCOPE_RESTRICTED;
	refused(JK_CODE_RULE_VIOLATION, "handling.restriction");
	r.identity.msg_type = JUKWAA__V1__MSG_TYPE__MSG_TYPE_ACK;
	refused(JK_CODE_RULE_VIOLATION, "references");
	r.references.references = r.reference_list;
	r.references.n_references = 1;
	r.reference.external_id = (char *)"";
	refused(JK_CODE_INVALID_SCHEMA, "references.references.external_id");
	r.code.scheme = JUKWAA__V1__PLACE_SCHEME__PLACE_SCHEME_UNSPECIFIED;
	refused(JK_CODE_INVALID_SCHEMA, "place.codes.scheme");
	r.code.code = (char *)"";
	refused(JK_CODE_INVALID_SCHEMA, "place.codes.code");
	r.times.sent_present_case = JUKWAA__V1__TIMES__SENT_PRESENT_SENT_US;
	r.times.sent_us = INT64_MAX;
	refused(JK_CODE_INVALID_SCHEMA, "times.sent_us");
	r.times.expires_present_case = JUKWAA__V1__TIMES__EXPIRES_PRESENT_EXPIRES_US;
	r.times.expires_us = INT64_MIN;
	refused(JK_CODE_INVALID_SCHEMA, "times.expires_us");
}

static void test_bad_shapes_and_times_are_warned_of_and_strict_refuses_them(void **state)
{
	static const double bad[] = {90.1, -91, NAN, INFINITY, -INFINITY};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		fresh();
		r.points[2].lat = bad[i];
		warned(JK_CODE_BAD_SHAPE, "place.polygons[0]");
		assert_int_equal(r.place.n_polygons, 0);
		assert_int_equal(r.place.n_circles, 1);
	}
	fresh();
	r.points[4].lon = 36.5;
	warned(JK_CODE_BAD_SHAPE, "place.polygons[0]");
	fresh();
	r.polygon.n_points = 3;
	warned(JK_CODE_BAD_SHAPE, "place.polygons[0]");
	fresh();
	r.polygon.n_points = 0;
	warned(JK_CODE_BAD_SHAPE, "place.polygons[0]");
	fresh();
	r.circle.radius_km = -1;
	warned(JK_CODE_BAD_SHAPE, "place.circles[0]");
	fresh();
	r.circle.radius_km = NAN;
	warned(JK_CODE_BAD_SHAPE, "place.circles[0]");
	fresh();
	r.circle.centre = NULL;
	warned(JK_CODE_BAD_SHAPE, "place.circles[0]");
	fresh();
	r.place.accuracy_present_case = JUKWAA__V1__PLACE__ACCURACY_PRESENT_ACCURACY_M;
	r.place.accuracy_m = -0.5;
	warned(JK_CODE_BAD_SHAPE, "place.accuracy_m");
	fresh();
	r.times.sent_present_case = JUKWAA__V1__TIMES__SENT_PRESENT_SENT_US;
	r.times.expires_present_case = JUKWAA__V1__TIMES__EXPIRES_PRESENT_EXPIRES_US;
	r.times.sent_us = r.times.expires_us = 5;
	warned(JK_CODE_EXPIRES_NOT_AFTER_SENT, "times.expires_us");
}

static void test_a_point_out_of_range_is_left_out(void **state)
{
	Jukwaa__V1__Point point = JUKWAA__V1__POINT__INIT;

	(void)state;
	fresh();
	point.lon = 180.5;
	r.place.point = &point;
	warned(JK_CODE_BAD_SHAPE, "place.point");
	assert_int_equal(r.place.point_present_case, JUKWAA__V1__PLACE__POINT_PRESENT__NOT_SET);
}

static void test_what_may_be_left_out(void **state)
{
	struct intake_decoded decoded;
	struct jk_refusal refusal;

	(void)state;
	fresh();
	r.incident.times = NULL;
	r.incident.place = NULL;
	r.incident.references = NULL;
	assert_true(check(true, &decoded, &refusal));
	assert_int_equal(r.identity.msg_type, JK_MSG_TYPE_ALERT);
	assert_string_equal(decoded.external_id, "id-1");
	assert_true(decoded.key_has_revision);
	fresh();
	r.identity.msg_type = JUKWAA__V1__MSG_TYPE__MSG_TYPE_CANCEL;
	r.incident.classification = NULL;
	assert_true(check(true, &decoded, &refusal));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_required),
		cmocka_unit_test(test_bad_shapes_and_times_are_warned_of_and_strict_refuses_them),
		cmocka_unit_test(test_a_point_out_of_range_is_left_out),
		cmocka_unit_test(test_what_may_be_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
