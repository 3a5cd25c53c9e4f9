/* DELIVERED receipts that are due: one entry a (desk, stream, agency), the highest number, in the order they came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatch_receipts.h"

static const char stream_a[] = "001", stream_b[] = "002";

static void add(struct dispatch_receipts *receipts, int32_t desk, int32_t agency, const char *stream, uint64_t seq)
{
	assert_true(dispatch_receipts_add(receipts, &(struct dispatch_receipt){desk, agency, stream, seq}));
}

static void test_entries(void **state)
{
	struct dispatch_receipts *receipts = dispatch_receipts_new();
	struct dispatch_receipt got[8];
	(void)state;

	assert_int_equal(dispatch_receipts_take(receipts, got, 8), 0);
	add(receipts, 1, 7, stream_a, 5);
	add(receipts, 1, 7, stream_b, 6);
	add(receipts, 2, 7, stream_a, 7);
	add(receipts, 1, 8, stream_a, 8);
	add(receipts, 1, 7, stream_a, 9);
	add(receipts, 1, 7, stream_a, 4); /* lower: nothing */
	assert_int_equal(dispatch_receipts_count(receipts), 4);
	assert_int_equal(dispatch_receipts_take(receipts, got, 2), 2);
	assert_int_equal(got[0].up_to_seq, 9);
	assert_ptr_equal(got[1].stream, stream_b);
	add(receipts, 2, 7, stream_a, 10); /* still found after the others were taken */
	assert_int_equal(dispatch_receipts_take(receipts, got, 8), 2);
	assert_int_equal(got[0].up_to_seq, 10);
	assert_int_equal(got[1].agency_id, 8);
	dispatch_receipts_free(&receipts);
	assert_null(receipts);
}

static void test_many(void **state)
{
	struct dispatch_receipts *receipts = dispatch_receipts_new();
	struct dispatch_receipt got[1000];
	size_t total = 0, taken;
	(void)state;

	for (int round = 0; round < 3; round++)
		for (int desk = 0; desk < 100; desk++)
			for (int agency = 0; agency < 50; agency++)
				add(receipts, desk, agency, stream_a, (uint64_t)(desk * 1000 + agency + round));
	assert_int_equal(dispatch_receipts_count(receipts), 5000);
	while ((taken = dispatch_receipts_take(receipts, got, 1000)) > 0) {
		for (size_t i = 0; i < taken; i++)
			assert_int_equal(got[i].up_to_seq, got[i].desk_id * 1000 + got[i].agency_id + 2);
		total += taken;
	}
	assert_int_equal(total, 5000);
	dispatch_receipts_free(&receipts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_entries), cmocka_unit_test(test_many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
