/* Help between agencies: every state x event x party. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatch_aid_rules.h"

/* By hand: the state that comes of it, small where a reason is wanted; '.': refused. Columns: ASK OFFER COMMIT RELEASE RETURN
 * DECLINE WITHDRAW; first what the requester may, then the giver. */
static const char *const table[DISPATCH_AID_STATES][DISPATCH_AID_PARTIES] = {
	{"Q......", "......."}, /* none */
	{"......W", ".O...d."}, /* REQUESTED */
	{"..C..dW", ".O...d."}, /* OFFERED */
	{"...L...", "......."}, /* COMMITTED */
	{".......", "....T.."}, /* RELEASED */
	{".......", "......."}, /* RETURNED */
	{".......", "......."}, /* DECLINED */
	{".......", "......."}, /* WITHDRAWN */
};
static const char letters[] = "?QOCLTDW";

static void check(const struct dispatch_aid_row *row, char wanted)
{
	bool reason = wanted >= 'a' && wanted <= 'z';

	if (wanted == '.') {
		assert_null(row);
		return;
	}
	assert_non_null(row);
	assert_int_equal(letters[row->to], reason ? wanted - 'a' + 'A' : wanted);
	assert_int_equal((row->guards & DISPATCH_AID_WANTS_REASON) != 0, reason);
	assert_true(row->why[0] != '\0');
	/* Nobody is bound anew for an incident that is over, or that the agency may not answer. */
	assert_int_equal((row->guards & DISPATCH_AID_WANTS_OPEN) != 0,
		row->to == DISPATCH_AID_REQUESTED || row->to == DISPATCH_AID_OFFERED || row->to == DISPATCH_AID_COMMITTED);
	assert_int_equal((row->effects & DISPATCH_AID_SPLITS) != 0,
		row->from == DISPATCH_AID_REQUESTED && row->party == DISPATCH_AID_GIVER);
	assert_int_equal((row->effects & DISPATCH_AID_CASCADES) != 0,
		row->from == DISPATCH_AID_REQUESTED && row->to == DISPATCH_AID_WITHDRAWN);
}

static void test_every_state_event_and_party(void **state)
{
	size_t found = 0, rows = 0;
	(void)state;

	for (int from = 0; from < DISPATCH_AID_STATES; from++)
		for (int event = 0; event < DISPATCH_AID_EVENTS; event++)
			for (int party = 0; party < DISPATCH_AID_PARTIES; party++) {
				const struct dispatch_aid_row *row = dispatch_aid_rules_find((enum dispatch_aid_state)from,
					(enum dispatch_aid_event)event, (enum dispatch_aid_party)party);

				check(row, table[from][party][event]);
				found += row != NULL;
			}
	while (dispatch_aid_rules_row(rows) != NULL)
		rows++;
	assert_int_equal(found, rows);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(dispatch_aid_state_name(DISPATCH_AID_COMMITTED), "COMMITTED");
	assert_string_equal(dispatch_aid_state_name((enum dispatch_aid_state)8), "?");
	assert_string_equal(dispatch_aid_event_name(DISPATCH_AID_WITHDRAW), "WITHDRAW");
	assert_string_equal(dispatch_aid_event_name(DISPATCH_AID_EVENTS), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_state_event_and_party),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
