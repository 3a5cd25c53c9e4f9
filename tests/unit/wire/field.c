/* Messages field by field: what packs is found again, what is cut short is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "jukwaa/v1/dispatch.pb-c.h"
#include "wire/wire_field.h"

static void test_varints(void **state)
{
	static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
	(void)state;

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		uint8_t bytes[1 + JK_VARINT_MAX_BYTES] = {5 << 3 | JK_WIRE_VARINT};
		size_t size = jk_varint_write(bytes + 1, values[i]);
		struct jk_fields fields = {bytes, bytes + 1 + size};
		struct jk_field field;

		assert_int_equal(size, jk_varint_size(values[i]));
		assert_true(jk_field_next(&fields, &field));
		assert_int_equal(field.number, 5);
		assert_true(field.value == values[i]);
		assert_false(jk_field_next(&fields, &field));
		assert_ptr_equal(fields.at, fields.end);
		fields = (struct jk_fields){bytes, bytes + size}; /* cut */
		assert_false(jk_field_next(&fields, &field));
	}
}

static void test_batch(void **state)
{
	Jukwaa__V1__DeliverBatch batch = JUKWAA__V1__DELIVER_BATCH__INIT;
	Jukwaa__V1__Deliver one = JUKWAA__V1__DELIVER__INIT, two = JUKWAA__V1__DELIVER__INIT;
	Jukwaa__V1__Deliver *both[] = {&one, &two};
	uint8_t packed[256];
	struct jk_fields fields;
	struct jk_field field;
	size_t size;
	(void)state;

	batch.session = UINT64_C(0xfedcba9876543210);
	batch.deliveries = both;
	batch.n_deliveries = 2;
	one.delivery_no = 300;
	two.seq = 7;
	size = jukwaa__v1__deliver_batch__pack(&batch, packed);
	fields = (struct jk_fields){packed, packed + size};
	assert_true(jk_field_next(&fields, &field));
	assert_true(field.number == 1 && field.value == batch.session && field.data == NULL);
	for (size_t i = 0; i < 2; i++) {
		Jukwaa__V1__Deliver *deliver;

		assert_true(jk_field_next(&fields, &field));
		assert_int_equal(field.number, 2);
		deliver = jukwaa__v1__deliver__unpack(NULL, field.size, field.data);
		assert_non_null(deliver);
		assert_int_equal(deliver->delivery_no, both[i]->delivery_no);
		assert_int_equal(deliver->seq, both[i]->seq);
		jukwaa__v1__deliver__free_unpacked(deliver, NULL);
	}
	assert_false(jk_field_next(&fields, &field));
}

/* Whatever is cut off or announced too long ends the walk, within the bytes. */
static void test_hostile(void **state)
{
	static const uint8_t endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t too_long[] = {2 << 3 | JK_WIRE_LENGTH, 5, 'a', 'b'};
	static const uint8_t group[] = {1 << 3 | 3, 0};
	static const uint8_t fixed[] = {1 << 3 | 1, 1, 2, 3};
	const struct jk_fields all[] = {{endless, endless + sizeof endless}, {too_long, too_long + sizeof too_long},
		{group, group + sizeof group}, {fixed, fixed + sizeof fixed}};
	(void)state;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		struct jk_fields fields = all[i];
		struct jk_field field;

		assert_false(jk_field_next(&fields, &field));
		assert_true(fields.at <= fields.end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_varints),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
