/* What one report may say: refusals first, then each rule as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/intake/intake_rules.h"

#define MOMBASA (UINT64_C(1) << 1)
#define KIAMBU (UINT64_C(1) << 22)
#define NAIROBI (UINT64_C(1) << 47)

static struct intake_policy policy_of(enum jk_realm realm)
{
	return (struct intake_policy){.realm = realm, .agency = "KRCS", .any_sender = true};
}

static void test_each_status_is_taken_in_its_realms_only(void **state)
{
	static const struct {
		enum jk_cap_status status;
		enum jk_code live, exercise;
	} rows[] = {
		{JK_CAP_STATUS_NONE, JK_CODE_INVALID_SCHEMA, JK_CODE_INVALID_SCHEMA},
		{JK_CAP_STATUS_DRAFT, JK_CODE_RULE_VIOLATION, JK_CODE_RULE_VIOLATION},
		{JK_CAP_STATUS_ACTUAL, JK_CODE_NONE, JK_CODE_WRONG_REALM},
		{JK_CAP_STATUS_SYSTEM, JK_CODE_NONE, JK_CODE_WRONG_REALM},
		{JK_CAP_STATUS_EXERCISE, JK_CODE_WRONG_REALM, JK_CODE_NONE},
		{JK_CAP_STATUS_TEST, JK_CODE_NONE, JK_CODE_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (int realm = JK_REALM_LIVE; realm <= JK_REALM_EXERCISE; realm++) {
			const struct intake_report report = {.agency = "", .status = rows[i].status};
			struct intake_policy policy = policy_of(realm);
			struct jk_refusal refusal = {0};
			enum jk_code expected = realm == JK_REALM_LIVE ? rows[i].live : rows[i].exercise;
			assert_int_equal(intake_rules_admit(&report, &policy, &refusal), expected == JK_CODE_NONE);
			assert_int_equal(refusal.code, expected);
			if (expected == JK_CODE_WRONG_REALM)
				assert_string_equal(refusal.field, "status");
		}
	}
}

static void test_no_realm_takes_nothing(void **state)
{
	const struct intake_report report = {.agency = "", .status = JK_CAP_STATUS_ACTUAL};
	struct intake_policy policy = policy_of(JK_REALM_NONE);
	struct jk_refusal refusal;

	(void)state;
	assert_false(intake_rules_admit(&report, &policy, &refusal));
	assert_int_equal(refusal.code, JK_CODE_WRONG_REALM);
}

static void test_a_key_speaks_for_its_agency_and_its_senders_only(void **state)
{
	static const char *const senders[] = {"dmd@meteo.go.ke", "ops@krcs.ke"};
	static const struct {
		const char *agency, *sender;
		bool any;
		size_t count;
		bool admitted;
	} rows[] = {
		{"NPS", NULL, true, 0, false},
		{"KRC", NULL, true, 0, false},
		{"krcs", NULL, true, 0, false},
		{"", "stranger@example.org", false, 2, false},
		{"", "ops@krcs.ke", false, 1, false},
		{"", "ops@krcs.ke", false, 0, false},
		{"", "", false, 2, false},
		{"", "OPS@krcs.ke", false, 2, false},
		{"KRCS", NULL, false, 0, true},
		{"", "ops@krcs.ke", false, 2, true},
		{"", "stranger@example.org", true, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct intake_report report = {
			.agency = rows[i].agency, .sender = rows[i].sender, .status = JK_CAP_STATUS_ACTUAL};
		struct intake_policy policy = policy_of(JK_REALM_LIVE);
		struct jk_refusal refusal = {0};
		policy.any_sender = rows[i].any;
		policy.cap_senders = senders;
		policy.cap_sender_count = rows[i].count;
		assert_int_equal(intake_rules_admit(&report, &policy, &refusal), rows[i].admitted);
		assert_int_equal(refusal.code, rows[i].admitted ? JK_CODE_NONE : JK_CODE_SENDER_MISMATCH);
	}
}

static void test_county_codes_are_three_digits_from_001_to_047(void **state)
{
	static const char *const wrong[] = {"", "0", "47", "000", "048", "100", "0470", "4 7", "a47", "-01", "KE-30", "04\xff"};
	char list[JK_COUNTY_MAX][JK_COUNTY_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_true(intake_county_bit(wrong[i]) == 0);
	assert_int_equal(intake_county_list(~UINT64_C(0), list), JK_COUNTY_MAX);
	for (int number = 1; number <= JK_COUNTY_MAX; number++)
		assert_true(intake_county_bit(list[number - 1]) == UINT64_C(1) << number);
	assert_int_equal(intake_county_list(NAIROBI | MOMBASA, list), 2);
	assert_string_equal(list[0], "001");
	assert_string_equal(list[1], "047");
	assert_int_equal(intake_county_list(0, list), 0);
}

static void test_an_unknown_code_is_refused_whatever_else_is_known(void **state)
{
	static const struct intake_code code = {JK_PLACE_COUNTY, "099", "place.codes"};
	const struct intake_located located = {.unknown = &code, .publisher = NAIROBI, .point = NAIROBI};
	struct intake_warnings warnings = {.count = 0};
	struct jk_refusal refusal;
	uint64_t counties;

	(void)state;
	assert_false(intake_rules_place(&located, false, &counties, &warnings, &refusal));
	assert_int_equal(refusal.code, JK_CODE_UNKNOWN_COUNTY);
	assert_string_equal(refusal.field, "place.codes");
}

static void test_place_is_believed_in_order(void **state)
{
	static const struct {
		struct intake_located located;
		uint64_t counties;
		bool outside;
	} rows[] = {
		{{0}, 0, false},
		{{.names = KIAMBU}, KIAMBU, false},
		{{.constituencies = MOMBASA, .names = KIAMBU}, MOMBASA, false},
		{{.has_boundaries = true, .has_shapes = true, .shapes = KIAMBU | NAIROBI, .constituencies = MOMBASA},
			KIAMBU | NAIROBI, false},
		{{.has_boundaries = true, .has_point = true, .point = NAIROBI, .has_shapes = true, .shapes = KIAMBU}, NAIROBI,
			false},
		/* A point at sea routes nothing; what else is known does. */
		{{.has_boundaries = true, .has_point = true, .has_shapes = true, .shapes = KIAMBU}, KIAMBU, false},
		{{.codes = MOMBASA, .has_boundaries = true, .has_point = true, .point = NAIROBI}, MOMBASA, true},
		{{.publisher = KIAMBU, .codes = MOMBASA}, KIAMBU, false},
		{{.publisher = KIAMBU, .codes = MOMBASA, .has_boundaries = true, .has_point = true}, KIAMBU, true},
		{{.publisher = KIAMBU, .has_boundaries = true, .has_shapes = true, .shapes = NAIROBI}, KIAMBU, true},
		{{.publisher = KIAMBU, .has_boundaries = true, .has_shapes = true, .shapes = NAIROBI | KIAMBU}, KIAMBU, false},
		{{.publisher = KIAMBU, .constituencies = MOMBASA}, KIAMBU, true},
		/* Without a boundary file nobody can tell. */
		{{.publisher = KIAMBU, .has_point = true, .has_shapes = true}, KIAMBU, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct intake_warnings warnings = {.count = 0};
		struct jk_refusal refusal;
		uint64_t counties = ~UINT64_C(0);
		assert_true(intake_rules_place(&rows[i].located, true, &counties, &warnings, &refusal));
		assert_true(counties == rows[i].counties);
		assert_int_equal(warnings.count, rows[i].outside);
		if (rows[i].outside)
			assert_int_equal(warnings.list[0].code, JK_CODE_PLACE_OUTSIDE_COUNTY);
	}
}

static void test_a_bad_shape_is_warned_of_or_refused_by_strict(void **state)
{
	const struct intake_located located = {.bad_shape = true, .publisher = NAIROBI};
	struct intake_warnings warnings = {.count = 0};
	struct jk_refusal refusal;
	uint64_t counties;

	(void)state;
	assert_false(intake_rules_place(&located, true, &counties, &warnings, &refusal));
	assert_int_equal(refusal.code, JK_CODE_RULE_VIOLATION);
	assert_true(intake_rules_place(&located, false, &counties, &warnings, &refusal));
	assert_int_equal(warnings.count, 1);
	assert_int_equal(warnings.list[0].code, JK_CODE_BAD_SHAPE);
}

static void test_expiry_is_refused_by_policy_only(void **state)
{
	static const struct {
		int64_t expires_us, now_us;
		bool policy;
		enum jk_code refused, warned;
	} rows[] = {
		{0, 100, true, JK_CODE_NONE, JK_CODE_NONE},
		{101, 100, true, JK_CODE_NONE, JK_CODE_NONE},
		{100, 100, true, JK_CODE_EXPIRED, JK_CODE_NONE},
		{99, 100, true, JK_CODE_EXPIRED, JK_CODE_NONE},
		{99, 100, false, JK_CODE_NONE, JK_CODE_ALREADY_EXPIRED},
		{-5, 100, false, JK_CODE_NONE, JK_CODE_ALREADY_EXPIRED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct intake_report report = {.expires_us = rows[i].expires_us};
		struct intake_policy policy = policy_of(JK_REALM_LIVE);
		struct intake_warnings warnings = {.count = 0};
		struct jk_refusal refusal = {0};
		policy.refuse_expired = rows[i].policy;
		bool accepted = intake_rules_accept(&report, &policy, NAIROBI, rows[i].now_us, &warnings, &refusal);
		assert_int_equal(accepted, rows[i].refused == JK_CODE_NONE);
		assert_int_equal(refusal.code, rows[i].refused);
		assert_int_equal(warnings.count ? warnings.list[0].code : JK_CODE_NONE, rows[i].warned);
	}
}

static void test_nowhere_is_unroutable(void **state)
{
	const struct intake_report report = {0};
	struct intake_policy policy = policy_of(JK_REALM_LIVE);
	struct intake_warnings warnings = {.count = 0};
	struct jk_refusal refusal;

	(void)state;
	assert_false(intake_rules_accept(&report, &policy, 0, 1, &warnings, &refusal));
	assert_int_equal(refusal.code, JK_CODE_UNROUTABLE);
}

static void test_what_stands_alone(void **state)
{
	static const struct {
		enum jk_msg_type msg_type;
		uint16_t categories;
		size_t references;
		uint64_t counties;
		bool alone;
	} rows[] = {
		{JK_MSG_TYPE_ALERT, 1 << 6, 0, NAIROBI, true},
		{JK_MSG_TYPE_ALERT, 1 << 6, 3, NAIROBI, true}, /* an alert joins nothing by reference */
		{JK_MSG_TYPE_UPDATE, 1 << 6, 0, NAIROBI, true},
		{JK_MSG_TYPE_UPDATE, 1 << 6, 1, NAIROBI, false},
		{JK_MSG_TYPE_CANCEL, 0, 0, NAIROBI, false},
		{JK_MSG_TYPE_ALERT, 1 << 6, 0, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct intake_report report = {
			.msg_type = rows[i].msg_type, .categories = rows[i].categories, .reference_count = rows[i].references};
		assert_int_equal(intake_rules_stands_alone(&report, rows[i].counties), rows[i].alone);
	}
}

static void test_warnings_beyond_the_bound_are_left_out(void **state)
{
	struct intake_warnings warnings = {.count = 0};

	(void)state;
	for (int i = 0; i < 2 * INTAKE_WARNINGS_MAX; i++)
		intake_rules_warn(&warnings, JK_CODE_ORPHAN, "f", "r");
	assert_int_equal(warnings.count, INTAKE_WARNINGS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_status_is_taken_in_its_realms_only),
		cmocka_unit_test(test_no_realm_takes_nothing),
		cmocka_unit_test(test_a_key_speaks_for_its_agency_and_its_senders_only),
		cmocka_unit_test(test_county_codes_are_three_digits_from_001_to_047),
		cmocka_unit_test(test_an_unknown_code_is_refused_whatever_else_is_known),
		cmocka_unit_test(test_place_is_believed_in_order),
		cmocka_unit_test(test_a_bad_shape_is_warned_of_or_refused_by_strict),
		cmocka_unit_test(test_expiry_is_refused_by_policy_only),
		cmocka_unit_test(test_nowhere_is_unroutable),
		cmocka_unit_test(test_what_stands_alone),
		cmocka_unit_test(test_warnings_beyond_the_bound_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
