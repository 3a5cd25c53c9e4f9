/* Who may be sent something while others take nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatch_flight.h"

enum { MESSAGE = 32 * 1024, SESSIONS = 64 };

/* Sessions of one agency that never acknowledge: takes all they are given, in turns; what they have then. */
static size_t fill(struct dispatch_flight *flight, struct dispatch_share *share, size_t message)
{
	size_t of_session[SESSIONS] = {0};
	size_t before = share->bytes;
	bool more = true;

	while (more) {
		more = false;
		for (int i = 0; i < SESSIONS; i++)
			while (dispatch_flight_has_room(flight, share, of_session[i])) {
				dispatch_flight_add(flight, share, message);
				of_session[i] += message;
				more = true;
			}
	}
	return share->bytes - before;
}

static void test_an_agency_that_takes_nothing_leaves_room(void **state)
{
	struct dispatch_flight flight = {0};
	struct dispatch_share *hostile = dispatch_flight_share(&flight, 1), *honest = dispatch_flight_share(&flight, 2);
	(void)state;

	assert_in_range(
		fill(&flight, hostile, MESSAGE), DISPATCH_FLIGHT_MAX_BYTES / 2, DISPATCH_FLIGHT_MAX_BYTES / 4 * 3 + MESSAGE);
	/* Two sessions of another one go on as before. */
	for (int i = 0; i < 32; i++) {
		assert_true(dispatch_flight_has_room(&flight, honest, (size_t)i * MESSAGE));
		dispatch_flight_add(&flight, honest, MESSAGE);
	}
	assert_true(dispatch_flight_has_room(&flight, honest, 0));
	dispatch_flight_take(&flight, honest, (size_t)32 * MESSAGE);
	assert_int_equal(honest->bytes, 0);
	dispatch_flight_done(&flight);
}

static void test_many_agencies_leave_one_message(void **state)
{
	struct dispatch_flight flight = {0};
	struct dispatch_share *honest = dispatch_flight_share(&flight, 0);
	(void)state;

	/* With messages as large as can be. */
	for (int32_t agency = 1; agency <= 20; agency++)
		fill(&flight, dispatch_flight_share(&flight, agency), 2 * 1024 * 1024);
	assert_in_range(flight.bytes, DISPATCH_FLIGHT_MAX_BYTES / 8 * 7, DISPATCH_FLIGHT_MAX_BYTES + 20 * 2 * 1024 * 1024);
	assert_true(dispatch_flight_has_room(&flight, honest, 0));
	dispatch_flight_add(&flight, honest, MESSAGE);
	assert_false(dispatch_flight_has_room(&flight, honest, MESSAGE));
	dispatch_flight_take(&flight, honest, MESSAGE);
	assert_true(dispatch_flight_has_room(&flight, honest, 0));
	dispatch_flight_done(&flight);
}

static void test_stopped_desks_leave_room_in_their_own_agency(void **state)
{
	struct dispatch_flight flight = {0};
	struct dispatch_share *share = dispatch_flight_share(&flight, 7);
	(void)state;

	for (int i = 0; i < 20; i++)
		for (size_t bytes = 0; bytes < 4 * 1024 * 1024 && dispatch_flight_has_room(&flight, share, bytes);
			bytes += MESSAGE)
			dispatch_flight_add(&flight, share, MESSAGE);
	assert_in_range(flight.bytes, DISPATCH_FLIGHT_MAX_BYTES / 2, DISPATCH_FLIGHT_MAX_BYTES / 4 * 3);
	assert_true(dispatch_flight_has_room(&flight, share, 4 * MESSAGE));
	assert_ptr_equal(dispatch_flight_share(&flight, 7), share);
	dispatch_flight_done(&flight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_agency_that_takes_nothing_leaves_room),
		cmocka_unit_test(test_many_agencies_leave_one_message),
		cmocka_unit_test(test_stopped_desks_leave_room_in_their_own_agency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
