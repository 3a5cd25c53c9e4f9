/* Dispatch's pure decisions, as tables; refusals first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dispatch_rules.h"

#define BIT(n) ((uint16_t)(1U << (n)))
#define COUNT(a) (sizeof(a) / sizeof(a)[0])
enum { CATEGORIES_ALL = 0x1ffe, CLASSIFICATION_WITHHELD = 1 << JK_GROUP_CLASSIFICATION };

static void test_filter(void **state)
{
	static const struct {
		struct dispatch_filter filter;
		struct dispatch_projection event;
		uint32_t withheld;
		bool passes;
	} rows[] = {
		/* status: only ACTUAL and EXERCISE without asking */
		{{0}, {BIT(6), 6, 2, JK_CAP_STATUS_TEST}, 0, false},
		{{0}, {BIT(6), 6, 2, JK_CAP_STATUS_SYSTEM}, 0, false},
		{{0}, {BIT(6), 6, 2, JK_CAP_STATUS_NONE}, 0, false},
		{{.include_test = true}, {BIT(6), 6, 2, JK_CAP_STATUS_TEST}, 0, true},
		{{0}, {BIT(6), 6, 2, JK_CAP_STATUS_ACTUAL}, 0, true},
		{{0}, {BIT(6), 6, 2, JK_CAP_STATUS_EXERCISE}, 0, true},
		/* categories: any of several */
		{{.categories = BIT(7)}, {BIT(6), 6, 2, 1}, 0, false},
		{{.categories = BIT(7)}, {BIT(6) | BIT(7), 6, 2, 1}, 0, true},
		/* severity: this or worse; unknown only without a threshold */
		{{.minimum_severity = 2}, {BIT(6), 6, 3, 1}, 0, false},
		{{.minimum_severity = 2}, {BIT(6), 6, 2, 1}, 0, true},
		{{.minimum_severity = 2}, {BIT(6), 6, 1, 1}, 0, true},
		{{.minimum_severity = 4}, {BIT(6), 6, JK_SEVERITY_UNKNOWN, 1}, 0, false},
		{{.minimum_severity = 4}, {BIT(6), 6, JK_SEVERITY_NONE, 1}, 0, false},
		{{0}, {BIT(6), 6, JK_SEVERITY_UNKNOWN, 1}, 0, true},
		/* what is withheld must not show through a filter */
		{{.categories = BIT(7)}, {BIT(6) | BIT(7), 6, 2, 1}, CLASSIFICATION_WITHHELD, false},
		{{.categories = BIT(6)}, {BIT(6) | BIT(7), 6, 2, 1}, CLASSIFICATION_WITHHELD, true},
		{{.minimum_severity = 2}, {BIT(6), 6, 1, 1}, CLASSIFICATION_WITHHELD, false},
		{{0}, {BIT(6), 6, 1, JK_CAP_STATUS_TEST}, CLASSIFICATION_WITHHELD, false},
		/* nor by what is missing: this one does not say whether it is a test */
		{{0}, {BIT(6), 6, 1, JK_CAP_STATUS_TEST}, 1 << JK_GROUP_IDENTITY, true},
		{{0}, {BIT(6), 6, 1, JK_CAP_STATUS_ACTUAL}, 1 << JK_GROUP_IDENTITY, true},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (dispatch_rules_filter_passes(&rows[i].filter, &rows[i].event, rows[i].withheld) != rows[i].passes)
			fail_msg("row %zu should %s", i, rows[i].passes ? "pass" : "not pass");
}

static void test_filter_form(void **state)
{
	struct dispatch_filter every = {.categories = CATEGORIES_ALL}, none = {.categories = 0}, one = {.categories = BIT(6)};
	uint8_t a[DISPATCH_FILTER_FORM_BYTES] = {0}, b[DISPATCH_FILTER_FORM_BYTES] = {0};
	size_t size = dispatch_rules_write_filter(a, &every);
	(void)state;

	assert_int_equal(size, 4); /* as it was before there were backfills: cursors and tokens of before stay good */
	dispatch_rules_write_filter(b, &none);
	assert_memory_equal(a, b, sizeof a);
	dispatch_rules_write_filter(b, &one);
	assert_memory_not_equal(a, b, sizeof a);
	one = (struct dispatch_filter){.include_test = true};
	dispatch_rules_write_filter(b, &one);
	assert_memory_not_equal(a, b, sizeof a);
	one = (struct dispatch_filter){.minimum_severity = 1};
	dispatch_rules_write_filter(b, &one);
	assert_memory_not_equal(a, b, sizeof a);
	one = (struct dispatch_filter){.agreement = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"};
	assert_int_equal(dispatch_rules_write_filter(b, &one), 36);
	assert_memory_equal(a, b, 4);
	assert_memory_equal(b + 4, one.agreement, 32);
}

static void test_work(void **state)
{
	static const int kinds[] = {JK_EVENT_CASE_STATE, JK_EVENT_DUTY, JK_EVENT_UNIT, JK_EVENT_AID, JK_EVENT_OPENED,
		JK_EVENT_ACTED, JK_EVENT_UNANSWERED};
	(void)state;

	for (int kind = -1; kind < 256; kind++) {
		bool expected = false;

		for (size_t i = 0; i < COUNT(kinds); i++)
			expected = expected || kinds[i] == kind;
		assert_int_equal(dispatch_rules_is_work(kind), expected);
	}
}

static void test_backfill(void **state)
{
	static const struct {
		const char *agreement;
		enum dispatch_start start;
		const char *cursor;
		bool mailbox;
		const char *field; /* NULL: fine */
	} rows[] = {
		{"A", DISPATCH_START_NOW, "", false, "start_at"},
		{"A", DISPATCH_START_CURSOR, "", false, "start_at"},
		{"A", DISPATCH_START_SNAPSHOT, "", false, "start_at"},
		{"A", DISPATCH_START_NONE, "", false, "start_at"},
		{"A", DISPATCH_START_BEGINNING, "c", false, "cursor"},
		{"A", DISPATCH_START_TOKEN, "c", false, "cursor"},
		{"A", DISPATCH_START_BEGINNING, "", true, "mailbox"},
		{"A", DISPATCH_START_BEGINNING, "", false, NULL},
		{"A", DISPATCH_START_TOKEN, "", false, NULL},
		{"", DISPATCH_START_SNAPSHOT, "c", true, NULL},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dispatch_filter filter = {0};
		struct jk_refusal refusal = {.code = JK_CODE_NONE};

		filter.agreement[0] = rows[i].agreement[0];
		if (dispatch_rules_check_backfill(&filter, rows[i].start, rows[i].cursor, rows[i].mailbox, &refusal) !=
			(rows[i].field == NULL))
			fail_msg("row %zu", i);
		if (rows[i].field != NULL) {
			assert_string_equal(refusal.field, rows[i].field);
			assert_int_equal(refusal.code, JK_CODE_RULE_VIOLATION);
		}
	}
}

static void test_ask(void **state)
{
	static const char long_name[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; /* 65 */
	static const struct {
		struct dispatch_filter filter;
		enum dispatch_start start;
		const char *cursor;
		uint32_t window;
		bool any;
		const char *field; /* NULL: fine */
	} rows[] = {
		{{0}, DISPATCH_START_NOW, "", 0, false, "counties"},
		{{0}, DISPATCH_START_NONE, "", 0, true, "start_at"},
		{{0}, DISPATCH_START_CURSOR, "", 0, true, "cursor"},
		{{0}, DISPATCH_START_CURSOR, "a b", 0, true, "cursor"},
		{{0}, DISPATCH_START_NOW, "a/b", 0, true, "cursor"},
		{{0}, DISPATCH_START_CURSOR, long_name, 0, true, "cursor"},
		{{.minimum_severity = 5}, DISPATCH_START_NOW, "", 0, true, "minimum_severity"},
		{{0}, DISPATCH_START_NOW, "", 257, true, "window"},
		{{0}, DISPATCH_START_CURSOR, long_name + 1, 256, true, NULL},
		{{.minimum_severity = 4}, DISPATCH_START_BEGINNING, "Night.shift_1-b", 1, true, NULL},
		{{0}, DISPATCH_START_SNAPSHOT, "", 0, true, NULL},
		{{0}, DISPATCH_START_SNAPSHOT, "wall", 0, true, NULL},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct jk_refusal refusal = {.code = JK_CODE_NONE};
		bool fine = dispatch_rules_check_ask(
			&rows[i].filter, rows[i].start, rows[i].cursor, rows[i].window, rows[i].any, &refusal);

		assert_int_equal(fine, rows[i].field == NULL);
		if (rows[i].field != NULL) {
			assert_string_equal(refusal.field, rows[i].field);
			assert_int_equal(refusal.code, JK_CODE_RULE_VIOLATION);
		}
	}
	assert_int_equal(dispatch_rules_window(0), DISPATCH_WINDOW_DEFAULT);
	assert_int_equal(dispatch_rules_window(3), 3);
}

static void test_streams(void **state)
{
	struct dispatch_streams streams = {.count = 0};
	char name[DISPATCH_STREAM_BYTES];
	(void)state;

	assert_true(dispatch_streams_add(&streams, "047"));
	assert_true(dispatch_streams_add(&streams, "001"));
	assert_true(dispatch_streams_add(&streams, "@POLICE"));
	assert_true(dispatch_streams_add(&streams, "047"));
	assert_int_equal(streams.count, 3);
	assert_string_equal(streams.names[0], "001");
	assert_string_equal(streams.names[2], "@POLICE");
	assert_int_equal(dispatch_streams_find(&streams, "047"), 1);
	assert_int_equal(dispatch_streams_find(&streams, "002"), -1);
	assert_false(dispatch_streams_add(&streams, "@AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
	for (int i = 0; streams.count < DISPATCH_STREAMS_MAX; i++) {
		name[0] = (char)('A' + i % 26);
		name[1] = (char)('a' + i / 26);
		name[2] = '\0';
		assert_true(dispatch_streams_add(&streams, name));
	}
	assert_false(dispatch_streams_add(&streams, "zzz"));
	assert_true(dispatch_streams_add(&streams, "047")); /* already there */
}

static void test_blocks(void **state)
{
	(void)state;
	assert_int_equal(dispatch_rules_block_of(1), 0);
	assert_int_equal(dispatch_rules_block_of(DISPATCH_BLOCK_EVENTS), 0);
	assert_int_equal(dispatch_rules_block_of(DISPATCH_BLOCK_EVENTS + 1), 1);
	for (uint64_t block = 0; block < 5; block++)
		assert_int_equal(dispatch_rules_block_of(dispatch_rules_block_first(block)), block);
}

/* Chains of the tables below: 'c' is the right one. */
#define POSITION(n, c)                                                                                                           \
	{                                                                                                                        \
		.seq = (n), .chain8 = {(c) }                                                                                     \
	}

static void test_start(void **state)
{
	static const struct {
		enum dispatch_start start;
		struct dispatch_found found;
		enum jk_code code;
		uint64_t seq;
	} rows[] = {
		/* a token must be one this feed has had */
		{DISPATCH_START_TOKEN, {1, POSITION(9, 'c'), false, POSITION(0, 0), false, {0}}, JK_CODE_NOT_PERMITTED, 0},
		{DISPATCH_START_TOKEN, {1, POSITION(9, 'c'), true, POSITION(10, 'c'), false, {0}}, JK_CODE_RESYNC, 0},
		{DISPATCH_START_TOKEN, {1, POSITION(9, 'c'), true, POSITION(9, 'x'), true, {'c'}}, JK_CODE_RESYNC, 0},
		{DISPATCH_START_TOKEN, {1, POSITION(9, 'h'), true, POSITION(5, 'x'), true, {'c'}}, JK_CODE_RESYNC, 0},
		{DISPATCH_START_TOKEN, {1, POSITION(9, 'h'), true, POSITION(5, 'h'), true, {'c'}}, JK_CODE_RESYNC, 0},
		{DISPATCH_START_TOKEN, {7, POSITION(9, 'h'), true, POSITION(5, 'c'), false, {0}}, JK_CODE_RESYNC, 0},
		{DISPATCH_START_TOKEN, {7, POSITION(9, 'h'), true, POSITION(0, 0), false, {0}}, JK_CODE_RESYNC, 0},
		{DISPATCH_START_TOKEN, {0, POSITION(9, 'h'), true, POSITION(5, 'c'), false, {0}}, JK_CODE_RESYNC, 0},
		{DISPATCH_START_TOKEN, {0, POSITION(0, 0), true, POSITION(1, 'c'), false, {0}}, JK_CODE_RESYNC, 0},
		{DISPATCH_START_TOKEN, {1, POSITION(9, 'h'), true, POSITION(5, 'c'), true, {'c'}}, JK_CODE_NONE, 5},
		{DISPATCH_START_TOKEN, {1, POSITION(9, 'c'), true, POSITION(9, 'c'), true, {'c'}}, JK_CODE_NONE, 9},
		{DISPATCH_START_TOKEN, {1, POSITION(9, 'h'), true, POSITION(0, 0), false, {0}}, JK_CODE_NONE, 0},
		{DISPATCH_START_TOKEN, {0, POSITION(0, 0), true, POSITION(0, 0), false, {0}}, JK_CODE_NONE, 0},
		/* the event is gone, nothing after it is */
		{DISPATCH_START_TOKEN, {7, POSITION(9, 'h'), true, POSITION(6, 'c'), false, {0}}, JK_CODE_NONE, 6},
		{DISPATCH_START_TOKEN, {0, POSITION(9, 'c'), true, POSITION(9, 'c'), false, {0}}, JK_CODE_NONE, 9},
		/* a cursor is a claim like any other; a new one starts at the beginning */
		{DISPATCH_START_CURSOR, {1, POSITION(9, 'h'), true, POSITION(5, 'x'), true, {'c'}}, JK_CODE_RESYNC, 0},
		{DISPATCH_START_CURSOR, {1, POSITION(9, 'h'), true, POSITION(5, 'c'), true, {'c'}}, JK_CODE_NONE, 5},
		{DISPATCH_START_CURSOR, {1, POSITION(9, 'h'), false, POSITION(0, 0), false, {0}}, JK_CODE_NONE, 0},
		/* no claim counts */
		{DISPATCH_START_NOW, {1, POSITION(9, 'h'), true, POSITION(99, 'x'), false, {0}}, JK_CODE_NONE, 9},
		{DISPATCH_START_NOW, {0, POSITION(0, 0), false, POSITION(0, 0), false, {0}}, JK_CODE_NONE, 0},
		{DISPATCH_START_BEGINNING, {1, POSITION(9, 'h'), true, POSITION(5, 'x'), false, {0}}, JK_CODE_NONE, 0},
		{DISPATCH_START_BEGINNING, {4, POSITION(9, 'h'), false, POSITION(0, 0), false, {0}}, JK_CODE_NONE, 3},
		{DISPATCH_START_BEGINNING, {0, POSITION(9, 'h'), false, POSITION(0, 0), false, {0}}, JK_CODE_NONE, 9},
		{DISPATCH_START_BEGINNING, {0, POSITION(0, 0), false, POSITION(0, 0), false, {0}}, JK_CODE_NONE, 0},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct jk_refusal refusal = {.code = JK_CODE_NONE};
		struct dispatch_position position;
		bool fine = dispatch_rules_decide_start(rows[i].start, "047", &rows[i].found, &position, &refusal);

		if (fine != (rows[i].code == JK_CODE_NONE) || refusal.code != rows[i].code)
			fail_msg("row %zu: code %d", i, (int)refusal.code);
		if (fine && position.seq != rows[i].seq)
			fail_msg("row %zu: seq %d", i, (int)position.seq);
		if (!fine)
			assert_non_null(strstr(refusal.reason, "047"));
	}
}

static void test_cursor(void **state)
{
	static const struct {
		enum dispatch_start start;
		size_t asked, matching, held;
		enum dispatch_cursor_fate fate;
	} rows[] = {
		{DISPATCH_START_CURSOR, 2, 1, 1, DISPATCH_CURSOR_REFUSE},   /* wider */
		{DISPATCH_START_CURSOR, 1, 0, 1, DISPATCH_CURSOR_REFUSE},   /* another filter, or another stream */
		{DISPATCH_START_CURSOR, 2, 0, 0, DISPATCH_CURSOR_CONTINUE}, /* new */
		{DISPATCH_START_CURSOR, 2, 2, 2, DISPATCH_CURSOR_CONTINUE},
		{DISPATCH_START_CURSOR, 1, 1, 2, DISPATCH_CURSOR_CONTINUE}, /* narrower */
		{DISPATCH_START_BEGINNING, 2, 2, 2, DISPATCH_CURSOR_RENEW}, /* a backfill that was asked for */
		{DISPATCH_START_NOW, 2, 2, 2, DISPATCH_CURSOR_CONTINUE},
		{DISPATCH_START_NOW, 2, 1, 1, DISPATCH_CURSOR_RENEW},
		{DISPATCH_START_TOKEN, 2, 0, 2, DISPATCH_CURSOR_RENEW},
		{DISPATCH_START_TOKEN, 2, 2, 3, DISPATCH_CURSOR_CONTINUE},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (dispatch_rules_decide_cursor(rows[i].start, rows[i].asked, rows[i].matching, rows[i].held) != rows[i].fate)
			fail_msg("row %zu", i);
}

static void test_reserve(void **state)
{
	(void)state;
	assert_true(dispatch_rules_should_reserve(1, 0));
	assert_false(dispatch_rules_should_reserve(1, DISPATCH_RESERVE_EVENTS));
	assert_false(dispatch_rules_should_reserve(DISPATCH_RESERVE_EVENTS / 2, DISPATCH_RESERVE_EVENTS));
	assert_true(dispatch_rules_should_reserve(DISPATCH_RESERVE_EVENTS / 2 + 1, DISPATCH_RESERVE_EVENTS));
	assert_true(dispatch_rules_should_reserve(DISPATCH_RESERVE_EVENTS, DISPATCH_RESERVE_EVENTS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_filter_form),
		cmocka_unit_test(test_work),
		cmocka_unit_test(test_backfill),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_cursor),
		cmocka_unit_test(test_reserve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
