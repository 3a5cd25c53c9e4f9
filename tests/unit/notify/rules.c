/* Which events a rule tells of, what follows from an attempt, which addresses are out of bounds: tables, refusals first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "notify_rules.h"

enum { NOW_US = 1000000 };

static const struct notify_event crash = {
	.kind = JK_EVENT_INCIDENT,
	.recorded_at_us = 900000,
	.category = 9,
	.severity = JK_SEVERITY_SEVERE,
	.label = {.county = "047", .categories = 1 << 9 | 1 << 7, .status = JK_CAP_STATUS_ACTUAL},
};

static void a_rule_tells_of_what_it_asks_for(void **state)
{
	(void)state;
	static const struct {
		struct notify_rule rule;
		enum notify_match expected;
	} rows[] = {
		{{.county = ""}, NOTIFY_TELL},
		{{.county = "047"}, NOTIFY_TELL},
		{{.county = "022"}, NOTIFY_OTHER_COUNTY},
		{{.category = 9}, NOTIFY_TELL},
		{{.category = 7}, NOTIFY_TELL},
		{{.category = 6}, NOTIFY_OTHER_CATEGORY},
		{{.minimum_severity = JK_SEVERITY_MINOR}, NOTIFY_TELL},
		{{.minimum_severity = JK_SEVERITY_SEVERE}, NOTIFY_TELL},
		{{.minimum_severity = JK_SEVERITY_EXTREME}, NOTIFY_TOO_MILD},
		{{.added_at_us = 900000}, NOTIFY_TELL},
		{{.added_at_us = 900001}, NOTIFY_BEFORE_RULE},
		{{.county = "047", .category = 9, .minimum_severity = 2, .include_test = true}, NOTIFY_TELL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(notify_rules_match(&rows[i].rule, &crash, NOW_US), rows[i].expected);
}

static void of_kinds_only_new_and_changed_incidents(void **state)
{
	(void)state;
	static const struct notify_rule any = {0};
	for (int kind = 0; kind <= JK_EVENT_LAGGING; kind++) {
		struct notify_event event = crash;
		event.kind = (enum jk_event_kind)kind;
		bool told = kind == JK_EVENT_INCIDENT || kind == JK_EVENT_UPDATE;
		assert_int_equal(notify_rules_match(&any, &event, NOW_US), told ? NOTIFY_TELL : NOTIFY_NOT_OF_A_KIND);
	}
}

static void statuses(void **state)
{
	(void)state;
	static const struct {
		enum jk_cap_status status;
		bool told, told_with_tests;
	} rows[] = {
		{JK_CAP_STATUS_NONE, false, false},
		{JK_CAP_STATUS_ACTUAL, true, true},
		{JK_CAP_STATUS_EXERCISE, true, true},
		{JK_CAP_STATUS_SYSTEM, false, true},
		{JK_CAP_STATUS_TEST, false, true},
		{JK_CAP_STATUS_DRAFT, false, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct notify_event event = crash;
		struct notify_rule rule = {0};
		event.label.status = rows[i].status;
		assert_int_equal(notify_rules_match(&rule, &event, NOW_US) == NOTIFY_TELL, rows[i].told);
		rule.include_test = true;
		assert_int_equal(notify_rules_match(&rule, &event, NOW_US) == NOTIFY_TELL, rows[i].told_with_tests);
	}
}

static void unknown_severity_and_expiry(void **state)
{
	(void)state;
	struct notify_event event = crash;
	struct notify_rule rule = {0};
	event.severity = JK_SEVERITY_UNKNOWN;
	assert_int_equal(notify_rules_match(&rule, &event, NOW_US), NOTIFY_TELL);
	rule.minimum_severity = JK_SEVERITY_MINOR;
	assert_int_equal(notify_rules_match(&rule, &event, NOW_US), NOTIFY_TOO_MILD);
	event.severity = JK_SEVERITY_NONE;
	assert_int_equal(notify_rules_match(&rule, &event, NOW_US), NOTIFY_TOO_MILD);
	event = crash;
	event.expires_us = NOW_US;
	assert_int_equal(notify_rules_match(&rule, &event, NOW_US), NOTIFY_EXPIRED);
	event.expires_us = NOW_US + 1;
	assert_int_equal(notify_rules_match(&rule, &event, NOW_US), NOTIFY_TELL);
}

static void the_category_told_is_the_rules_own(void **state)
{
	(void)state;
	assert_int_equal(notify_rules_category(&(struct notify_rule){.category = 7}, &crash), 7);
	assert_int_equal(notify_rules_category(&(struct notify_rule){0}, &crash), 9);
}

static void what_follows_from_an_attempt(void **state)
{
	(void)state;
	static const struct {
		int status, attempts;
		enum notify_state expected;
	} rows[] = {
		{200, 1, NOTIFY_ACCEPTED},
		{204, 1, NOTIFY_ACCEPTED},
		{202, 10, NOTIFY_ACCEPTED},
		{299, 1, NOTIFY_ACCEPTED},
		{0, 1, NOTIFY_PENDING},
		{199, 1, NOTIFY_PENDING},
		{301, 1, NOTIFY_PENDING},
		{307, 1, NOTIFY_PENDING},
		{400, 1, NOTIFY_PENDING},
		{404, 9, NOTIFY_PENDING},
		{429, 1, NOTIFY_PENDING},
		{500, 9, NOTIFY_PENDING},
		{410, 1, NOTIFY_DEAD},
		{500, 10, NOTIFY_DEAD},
		{0, 10, NOTIFY_DEAD},
		{404, 11, NOTIFY_DEAD},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct notify_result result = {.http_status = rows[i].status, .error = "why"};
		struct notify_next next = notify_rules_decide(&result, rows[i].attempts, 10, UINT32_MAX);
		assert_int_equal(next.state, rows[i].expected);
		assert_int_equal(next.reason[0] == '\0', next.state == NOTIFY_ACCEPTED);
		assert_non_null(notify_rules_state_name(next.state));
	}
}

static int64_t delay(int attempts, uint32_t chance, int64_t retry_after_s)
{
	struct notify_result result = {.http_status = 500, .retry_after_s = retry_after_s};
	return notify_rules_decide(&result, attempts, 100, chance).delay_ms;
}

static void back_off_doubles_up_to_an_hour_with_full_jitter(void **state)
{
	(void)state;
	int64_t step_ms = 1000;
	for (int attempts = 1; attempts < 100; attempts++) {
		assert_int_equal(delay(attempts, 0, 0), 0);
		assert_int_equal(delay(attempts, UINT32_MAX, 0), step_ms - 1);
		assert_int_equal(delay(attempts, UINT32_MAX / 2 + 1, 0), step_ms / 2);
		step_ms = step_ms * 2 < 3600000 ? step_ms * 2 : 3600000;
	}
}

static void the_receivers_wish_counts_when_it_is_longer(void **state)
{
	(void)state;
	assert_int_equal(delay(1, 0, 30), 30000);
	assert_int_equal(delay(10, UINT32_MAX, 30), 511999);
	assert_int_equal(delay(1, 0, INT64_MAX), 24 * 3600 * 1000);
	assert_int_equal(delay(1, 0, -5), 0);
}

static bool is_public(const char *text)
{
	uint8_t bytes[16];
	if (inet_pton(AF_INET, text, bytes) == 1)
		return notify_rules_address_is_public(bytes, 4);
	assert_int_equal(inet_pton(AF_INET6, text, bytes), 1);
	return notify_rules_address_is_public(bytes, 16);
}

static void addresses(void **state)
{
	(void)state;
	static const char *const outside[] = {"8.8.8.8", "41.90.0.1", "197.248.0.1", "172.15.255.255", "172.32.0.1",
		"100.63.255.255", "100.128.0.1", "169.253.1.1", "192.167.1.1", "198.17.1.1", "198.20.0.1", "223.255.255.255",
		"2001:4860:4860::8888", "2c0f:fe38::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:200::1"};
	static const char *const inside[] = {"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255",
		"127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1",
		"192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1",
		"240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "febf::1", "fc00::1", "fd12:3456::1", "ff02::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::1",
		"2002:a00:1::1", "2001::1", "2001:db8::1", "100::1", "4000::1", "3fff::1"};
	for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
		if (!is_public(outside[i]))
			fail_msg("%s is of the public internet", outside[i]);
	for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
		if (is_public(inside[i]))
			fail_msg("%s is not of the public internet", inside[i]);
	assert_false(notify_rules_address_is_public((const uint8_t *)"\x08\x08\x08\x08", 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_tells_of_what_it_asks_for),
		cmocka_unit_test(of_kinds_only_new_and_changed_incidents),
		cmocka_unit_test(statuses),
		cmocka_unit_test(unknown_severity_and_expiry),
		cmocka_unit_test(the_category_told_is_the_rules_own),
		cmocka_unit_test(what_follows_from_an_attempt),
		cmocka_unit_test(back_off_doubles_up_to_an_hour_with_full_jitter),
		cmocka_unit_test(the_receivers_wish_counts_when_it_is_longer),
		cmocka_unit_test(addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
