/* Names of words and statuses. That the names are those of the messages is tested in unit/wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/jk_status.h"
#include "base/jk_words.h"

static void refuses(void **state)
{
	(void)state;
	assert_int_equal(jk_words_number(&jk_severities, "SEVER"), -1);
	assert_int_equal(jk_words_number(&jk_severities, "SEVEREE"), -1);
	assert_int_equal(jk_words_number(&jk_severities, ""), -1);
	assert_int_equal(jk_words_number(&jk_severities, "_"), -1);
	assert_string_equal(jk_words_name(&jk_severities, -1), "?");
	assert_string_equal(jk_words_name(&jk_severities, 6), "?");
	assert_string_equal(jk_words_name(&jk_codes, 26), "?");
	assert_string_equal(jk_status_name((enum jk_status)9), "?");
}

static void round_trip(void **state)
{
	const struct jk_words *lists[] = {&jk_codes, &jk_realms, &jk_roles, &jk_cap_statuses, &jk_msg_types, &jk_scopes,
		&jk_categories, &jk_urgencies, &jk_severities, &jk_certainties, &jk_response_types, &jk_tlps, &jk_formats,
		&jk_verdicts, &jk_event_kinds, &jk_place_schemes};
	(void)state;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		assert_string_equal(jk_words_name(lists[i], 0), "UNSPECIFIED");
		for (size_t number = 0; number < lists[i]->count; number++)
			if (lists[i]->names[number])
				assert_int_equal(jk_words_number(lists[i], lists[i]->names[number]), number);
	}
}

static void takes_the_spelling_of_cap(void **state)
{
	(void)state;
	assert_int_equal(jk_words_number(&jk_response_types, "AllClear"), 8);
	assert_int_equal(jk_words_number(&jk_cap_statuses, "Actual"), JK_CAP_STATUS_ACTUAL);
	assert_int_equal(jk_words_number(&jk_tlps, "amber_strict"), JK_TLP_AMBER_STRICT);
	assert_int_equal(jk_words_number(&jk_categories, "CBRNE"), 11);
	assert_string_equal(jk_status_name(JK_RETRY), "retry");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(takes_the_spelling_of_cap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
