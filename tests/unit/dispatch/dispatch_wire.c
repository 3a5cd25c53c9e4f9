/* What a delivery says beside the copy: under which agreement it was made, within the room that is kept for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dispatch_wire.h"
#include "jukwaa/v1/dispatch.pb-c.h"

/* Of a parcel: what is kept free for the session. */
enum { SESSION_FIELD_BYTES = 11 };

/* The delivery as its recipient unpacks it; the caller frees it. */
static Jukwaa__V1__DeliverBatch *deliver(const struct jk_term *term)
{
	static const uint8_t seal[DISPATCH_SEAL_BYTES] = {7};
	static const struct dispatch_copy copy = {.size = 0, .bytes = seal};
	const struct dispatch_delivery delivery = {.delivery_no = UINT64_MAX,
		.stream = "@12345678901234567890123456789012",
		.seal = seal,
		.copy = &copy,
		.term = term};
	struct dispatch_parcel parcel = {0};
	Jukwaa__V1__DeliverBatch *batch;

	assert_true(dispatch_parcel_add(&parcel, &delivery));
	assert_true(parcel.size - SESSION_FIELD_BYTES <= dispatch_wire_delivery_bytes(&delivery));
	batch = jukwaa__v1__deliver_batch__unpack(NULL, parcel.size - SESSION_FIELD_BYTES, parcel.bytes + SESSION_FIELD_BYTES);
	dispatch_parcel_done(&parcel);
	assert_non_null(batch);
	assert_int_equal(batch->n_deliveries, 1);
	return batch;
}

/* One of a snapshot, likewise. */
static Jukwaa__V1__DeliverBatch *deliver_item(int case_state, bool closed)
{
	static const uint8_t nothing[1];
	static const struct dispatch_copy copy = {.size = 0, .bytes = nothing};
	const struct dispatch_delivery delivery = {
		.delivery_no = UINT64_MAX, .stream = "047", .copy = &copy, .case_state = case_state, .closed = closed};
	struct dispatch_parcel parcel = {0};
	Jukwaa__V1__DeliverBatch *batch;

	assert_true(dispatch_parcel_add(&parcel, &delivery));
	assert_true(parcel.size - SESSION_FIELD_BYTES <= dispatch_wire_delivery_bytes(&delivery));
	batch = jukwaa__v1__deliver_batch__unpack(NULL, parcel.size - SESSION_FIELD_BYTES, parcel.bytes + SESSION_FIELD_BYTES);
	dispatch_parcel_done(&parcel);
	assert_non_null(batch);
	return batch;
}

static void one_of_a_snapshot_has_no_position(void **state)
{
	(void)state;
	for (int closed = 0; closed < 2; closed++) {
		Jukwaa__V1__DeliverBatch *batch = deliver_item(closed ? 8 : 0, closed);
		const Jukwaa__V1__Deliver *got = batch->deliveries[0];

		assert_null(got->position);
		assert_true(got->snapshot);
		assert_int_equal(got->closed, closed);
		assert_int_equal(got->case_state, closed ? 8 : 0);
		assert_true(got->delivery_no == UINT64_MAX);
		assert_string_equal(got->allowed_by, "owner");
		jukwaa__v1__deliver_batch__free_unpacked(batch, NULL);
	}
}

static void the_owners_copy_names_no_agreement(void **state)
{
	(void)state;
	Jukwaa__V1__DeliverBatch *batch = deliver(NULL);
	const Jukwaa__V1__Deliver *got = batch->deliveries[0];

	assert_string_equal(got->allowed_by, "owner");
	assert_non_null(got->position);
	assert_false(got->snapshot);
	assert_string_equal(got->agreement, "");
	assert_string_equal(got->profile, "");
	assert_int_equal(got->agreement_version, 0);
	assert_false(got->redistribution);
	jukwaa__v1__deliver_batch__free_unpacked(batch, NULL);
}

static void a_row_of_the_operator_is_no_agreement(void **state)
{
	(void)state;
	const struct jk_term term = {.allow_id = INT32_MAX, .code = "", .profile = JK_PROFILE_FULL};
	Jukwaa__V1__DeliverBatch *batch = deliver(&term);
	const Jukwaa__V1__Deliver *got = batch->deliveries[0];

	assert_string_equal(got->allowed_by, "allow:2147483647");
	assert_string_equal(got->agreement, "");
	assert_string_equal(got->profile, "FULL@1");
	jukwaa__v1__deliver_batch__free_unpacked(batch, NULL);
}

static void the_longest_agreement_fits(void **state)
{
	(void)state;
	const struct jk_term term = {.pact_id = INT32_MAX,
		.version = UINT32_MAX,
		.code = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345",
		.profile = JK_PROFILE_STATISTICS_ONLY,
		.retention_days = UINT32_MAX,
		.redistribution = true};
	Jukwaa__V1__DeliverBatch *batch = deliver(&term);
	const Jukwaa__V1__Deliver *got = batch->deliveries[0];

	assert_string_equal(got->allowed_by, "agreement:ABCDEFGHIJKLMNOPQRSTUVWXYZ012345@4294967295");
	assert_string_equal(got->agreement, term.code);
	assert_true(got->agreement_version == UINT32_MAX && got->retention_days == UINT32_MAX && got->redistribution);
	assert_string_equal(got->profile, "STATISTICS_ONLY@1");
	assert_true(got->delivery_no == UINT64_MAX);
	assert_string_equal(got->position->stream, "@12345678901234567890123456789012");
	jukwaa__v1__deliver_batch__free_unpacked(batch, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_a_snapshot_has_no_position),
		cmocka_unit_test(the_owners_copy_names_no_agreement),
		cmocka_unit_test(a_row_of_the_operator_is_no_agreement),
		cmocka_unit_test(the_longest_agreement_fits),
	};
	return cmocka_run_group_tests_name("deliveries on the wire", tests, NULL, NULL);
}
