/* Records of what was sent: runs, terms, bounds; as written down it is what was added. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatch_record.h"

static void test_terms(void **state)
{
	static const struct jk_term agreement = {
		.pact_id = 3, .version = 2, .code = "KPS-KRCS", .profile = JK_PROFILE_COARSE_PLACE};
	static const struct jk_term newer = {.pact_id = 3, .version = 3, .code = "KPS-KRCS", .profile = JK_PROFILE_FULL};
	static const struct jk_term row = {.allow_id = 12, .code = "", .profile = JK_PROFILE_FULL};
	static const struct {
		struct jk_decision decision;
		const char *text;
	} cases[] = {
		{{.effect = JK_DENY, .withheld = UINT32_MAX}, "recalled"},
		{{.effect = JK_ALLOW, .withheld = 1U << 9 | 1U << 10}, "owner"},
		{{.effect = JK_ALLOW}, "owner +reporter +persons"},
		{{.effect = JK_ALLOW, .term = &row, .withheld = 1U << 9 | 1U << 10}, "allow 12 FULL@1"},
		{{.effect = JK_ALLOW_REDACTED, .term = &agreement, .withheld = 0x1e60}, "agreement KPS-KRCS 2 COARSE_PLACE@1"},
		{{.effect = JK_ALLOW, .term = &newer, .withheld = 1U << 9}, "agreement KPS-KRCS 3 FULL@1 +persons"},
	};
	struct dispatch_terms terms = {0};
	(void)state;

	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			uint32_t number = dispatch_terms_number(&terms, &cases[i].decision);

			assert_int_equal(number, i + 1);
			assert_string_equal(dispatch_terms_text(&terms, number), cases[i].text);
		}
	assert_string_equal(dispatch_terms_text(&terms, 0), "");
	assert_string_equal(dispatch_terms_text(&terms, 7), "");
	dispatch_terms_done(&terms);
}

static void test_numbers_at_random(void **state)
{
	enum { FROM = 1000, NUMBERS = 4000, TERMS = 5 };
	struct dispatch_record *record = dispatch_record_new(FROM), *copy;
	uint8_t expected[NUMBERS] = {0}, written[NUMBERS], values[TERMS + 1] = {0}, seen = 0;
	size_t size = 0;
	(void)state;

	assert_non_null(record);
	srandom(7);
	for (size_t i = 0; i < NUMBERS; i++) {
		uint32_t term = (uint32_t)(random() % TERMS) + 1;

		if (random() % 2 == 0)
			continue;
		assert_true(dispatch_record_make_room(record, term));
		dispatch_record_add(record, FROM + i, term);
		if (values[term] == 0)
			values[term] = ++seen;
		expected[i] = values[term];
		size = i + 1;
	}
	assert_int_equal(dispatch_record_bytes(record), size);
	copy = dispatch_record_copy(record);
	assert_non_null(copy);
	dispatch_record_write(copy, written);
	assert_memory_equal(written, expected, size);
	for (size_t i = 0; i < NUMBERS; i++)
		assert_int_equal(dispatch_record_find(record, FROM + i) > 0, expected[i] > 0);
	assert_int_equal(dispatch_record_find(record, FROM - 1), 0);
	assert_int_equal(dispatch_record_find(record, FROM + NUMBERS), 0);
	dispatch_record_free(&copy);
	dispatch_record_free(&record);
}

/* An even feed takes one entry, however long. */
static void test_equal_numbers_are_one_run(void **state)
{
	struct dispatch_record *record = dispatch_record_new(1);
	(void)state;

	for (uint64_t seq = 1; seq <= 16384; seq++) {
		assert_true(dispatch_record_make_room(record, 9));
		dispatch_record_add(record, seq, 9);
	}
	assert_int_equal(record->run_count, 1);
	assert_int_equal(dispatch_record_find(record, 16384), 9);
	dispatch_record_free(&record);
}

static void test_full(void **state)
{
	struct dispatch_record *record = dispatch_record_new(1);
	uint64_t seq = 1;
	(void)state;

	for (uint32_t term = 1; term <= DISPATCH_RECORD_TERMS_MAX; term++) {
		assert_true(dispatch_record_make_room(record, term));
		dispatch_record_add(record, seq++, term);
	}
	assert_false(dispatch_record_make_room(record, DISPATCH_RECORD_TERMS_MAX + 1));
	assert_true(dispatch_record_make_room(record, 1));
	dispatch_record_free(&record);

	/* Every other number: two runs each. */
	record = dispatch_record_new(1);
	for (seq = 2; dispatch_record_make_room(record, 1); seq += 2)
		dispatch_record_add(record, seq, 1);
	assert_int_equal(record->run_count, DISPATCH_RECORD_RUNS_MAX);
	assert_int_equal(seq, DISPATCH_RECORD_RUNS_MAX + 2);
	dispatch_record_free(&record);
	assert_int_equal(dispatch_record_find(NULL, 1), 0);
	assert_int_equal(dispatch_record_bytes(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_numbers_at_random),
		cmocka_unit_test(test_equal_numbers_are_one_run),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
