/* Where JSON values begin and end: what is not complete first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "services/cli/json_slice.h"

static struct json_slice slice(const char *text)
{
	return (struct json_slice){text, text + strlen(text)};
}

static void assert_slice(struct json_slice got, const char *expected)
{
	assert_int_equal(got.end - got.at, strlen(expected));
	assert_memory_equal(got.at, expected, strlen(expected));
}

static void what_is_not_complete_is_not_taken(void **state)
{
	static const char *const bad[] = {"", "  ", "{", "{\"a\":", "[1,2", "\"abc", "\"a\\\"", "{\"}\"", "}", "]", ","};
	struct json_slice value;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct json_slice text = slice(bad[i]);

		assert_false(json_slice_take(&text, &value));
	}
}

static void values_are_cut_one_after_the_other(void **state)
{
	struct json_slice text = slice(" {\"a\":{\"b\":\"}\\\"\"}} [1,[2]] \"x y\" -1.5e3,true"), value;
	static const char *const expected[] = {"{\"a\":{\"b\":\"}\\\"\"}}", "[1,[2]]", "\"x y\"", "-1.5e3"};

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		assert_true(json_slice_take(&text, &value));
		assert_slice(value, expected[i]);
	}
}

static void elements_and_members(void **state)
{
	struct json_slice array = slice("[ {\"a\":1} , 2,\"three\" ]"),
			  object = slice("{\"one\" : 1, \"two\":[2], \"three\":{}}"), name, value;

	(void)state;
	assert_false(json_slice_enter(&array, '{'));
	assert_true(json_slice_enter(&array, '['));
	assert_true(json_slice_element(&array, &value));
	assert_slice(value, "{\"a\":1}");
	assert_true(json_slice_element(&array, &value));
	assert_true(json_slice_element(&array, &value));
	assert_slice(value, "\"three\"");
	assert_false(json_slice_element(&array, &value));

	assert_true(json_slice_find(object, "two", &value));
	assert_slice(value, "[2]");
	assert_false(json_slice_find(object, "tw", &value));
	assert_false(json_slice_find(object, "four", &value));
	assert_true(json_slice_enter(&object, '{'));
	assert_true(json_slice_member(&object, &name, &value));
	assert_slice(name, "one");
	assert_slice(value, "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_complete_is_not_taken),
		cmocka_unit_test(values_are_cut_one_after_the_other),
		cmocka_unit_test(elements_and_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
