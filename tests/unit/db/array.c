/* Arrays and scalars in PostgreSQL's binary form, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "db/db.h"

static void bind(struct jk_db_step *step, struct jk_db_array *array)
{
	*step = (struct jk_db_step){0};
	jk_db_bind_array(step, 1, array);
	assert_null(step->values[0]);
}

static void test_numbers_of_every_width(void **state)
{
	(void)state;
	struct jk_db_array array = {0};
	struct jk_db_step step;
	jk_db_array_reset(&array, JK_OID_INT2);
	jk_db_array_add_int(&array, -2);
	jk_db_array_add_int(&array, 258);
	bind(&step, &array);
	static const uint8_t two[] = {
		0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 21, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0, 0, 0, 2, 1, 2};
	assert_int_equal(step.lengths[1], sizeof two);
	assert_memory_equal(step.values[1], two, sizeof two);

	jk_db_array_reset(&array, JK_OID_INT8);
	jk_db_array_add_int(&array, INT64_MIN);
	bind(&step, &array);
	static const uint8_t eight[] = {
		0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8, 0x80, 0, 0, 0, 0, 0, 0, 0};
	assert_int_equal(step.lengths[1], sizeof eight);
	assert_memory_equal(step.values[1], eight, sizeof eight);

	jk_db_array_reset(&array, JK_OID_BOOL);
	jk_db_array_add_int(&array, 1);
	bind(&step, &array);
	assert_int_equal(step.lengths[1], 20 + 4 + 1);
	assert_int_equal(step.values[1][24], 1);
	jk_db_array_done(&array);
}

static void test_null_sets_the_flag_and_reset_clears_it(void **state)
{
	(void)state;
	struct jk_db_array array = {0};
	struct jk_db_step step;
	jk_db_array_reset(&array, JK_OID_TEXT);
	jk_db_array_add_text(&array, "Murang'a");
	jk_db_array_add_text(&array, NULL);
	jk_db_array_add(&array, "", 0);
	bind(&step, &array);
	static const uint8_t expected[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 8, 'M', 'u', 'r',
		'a', 'n', 'g', '\'', 'a', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
	assert_int_equal(step.lengths[1], sizeof expected);
	assert_memory_equal(step.values[1], expected, sizeof expected);

	struct jk_id id = {{1, 2, 3}};
	jk_db_array_reset(&array, JK_OID_UUID);
	jk_db_array_add_id(&array, &id);
	bind(&step, &array);
	assert_int_equal(step.values[1][7], 0);
	assert_int_equal(step.lengths[1], 20 + 4 + 16);
	assert_memory_equal(step.values[1] + 24, id.bytes, 16);
	jk_db_array_done(&array);
}

static void test_empty_array_has_no_dimension(void **state)
{
	(void)state;
	struct jk_db_array array = {0};
	struct jk_db_step step;
	jk_db_array_reset(&array, JK_OID_BYTEA);
	bind(&step, &array);
	static const uint8_t expected[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17};
	assert_int_equal(step.lengths[1], sizeof expected);
	assert_memory_equal(step.values[1], expected, sizeof expected);
	jk_db_array_done(&array);
}

static void test_array_without_memory_is_refused_and_not_sent_cut(void **state)
{
	(void)state;
	struct jk_db_array array = {0};
	struct jk_db_step step;
	jk_db_array_reset(&array, JK_OID_INT4);
	jk_db_array_add_int(&array, 1);
	array.bytes.failed = true;
	bind(&step, &array);
	assert_int_equal(step.lengths[1], -1);
	jk_db_array_done(&array);
}

static void test_scalars(void **state)
{
	(void)state;
	struct jk_db_step step = {0};
	struct jk_db_int8 number;
	jk_db_bind_int8(&step, 0, &number, -1);
	assert_int_equal(step.lengths[0], 8);
	assert_memory_equal(step.values[0], "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	jk_db_bind_bytes(&step, 1, NULL, 7);
	assert_null(step.values[1]);
	jk_db_bind_bytes(&step, 2, "", 0);
	assert_non_null(step.values[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_of_every_width),
		cmocka_unit_test(test_null_sets_the_flag_and_reset_clears_it),
		cmocka_unit_test(test_empty_array_has_no_dimension),
		cmocka_unit_test(test_array_without_memory_is_refused_and_not_sent_cut),
		cmocka_unit_test(test_scalars),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
