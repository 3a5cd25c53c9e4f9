/* When a key may be used: from its beginning, until before its end, and never when it is revoked; the door and the decision
 * agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/jk_time.h"
#include "registry/registry_snapshot.h"

static void a_key_ends_by_the_clock(void **state)
{
	(void)state;
	static const struct {
		bool revoked;
		int64_t valid_from_us, expires_at_us, now_us;
		enum jk_key_standing expected;
	} rows[] = {
		{false, 0, 0, 1, JK_STANDING_GOOD},
		{false, 0, 0, INT64_MAX, JK_STANDING_GOOD},
		{false, 0, 100, 99, JK_STANDING_GOOD},
		{false, 0, 100, 100, JK_STANDING_EXPIRED},
		{false, 0, 100, 101, JK_STANDING_EXPIRED},
		{false, 50, 0, 49, JK_STANDING_NOT_YET},
		{false, 50, 0, 50, JK_STANDING_GOOD},
		{false, 50, 100, 49, JK_STANDING_NOT_YET},
		{false, 50, 100, 100, JK_STANDING_EXPIRED},
		/* An end before the beginning: never good. */
		{false, 100, 50, 75, JK_STANDING_EXPIRED},
		{false, 100, 50, 40, JK_STANDING_NOT_YET},
		{true, 0, 0, 1, JK_STANDING_REVOKED},
		{true, 50, 100, 75, JK_STANDING_REVOKED},
		{true, 0, 100, 200, JK_STANDING_REVOKED},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct jk_registry_key key = {.revoked = rows[i].revoked,
			.valid_from_us = rows[i].valid_from_us,
			.expires_at_us = rows[i].expires_at_us};
		assert_int_equal(jk_registry_key_standing(&key, rows[i].now_us), rows[i].expected);
	}
}

/* Keys that differ in nothing but their times, of an agency that asks for its own. */
enum { GOOD, EXPIRED, EARLY, KEYS };

static struct jk_registry *build(int64_t now_us)
{
	static const struct jk_agency agency = {.agency_id = 1, .code = "NPS"};
	struct registry_key_row keys[KEYS] = {[GOOD] = {.expires_at_us = now_us + 60000000},
		[EXPIRED] = {.expires_at_us = now_us - 1},
		[EARLY] = {.valid_from_us = now_us + 60000000}};
	struct jk_registry *registry;
	struct jk_refusal refusal;

	for (int i = 0; i < KEYS; i++) {
		keys[i].curve_key[0] = (uint8_t)(i + 1);
		keys[i].key_id = i + 1;
		keys[i].agency_id = 1;
		keys[i].desk_id = -1;
		keys[i].role = JK_ROLE_PUBLISHER;
		keys[i].realm = JK_REALM_LIVE;
	}
	const struct registry_rows rows = {
		.version = 1, .realm = JK_REALM_LIVE, .agencies = &agency, .agency_count = 1, .keys = keys, .key_count = KEYS};
	assert_int_equal(registry_build(&rows, &registry, &refusal), JK_OK);
	return registry;
}

static void door_and_decision_agree(void **state)
{
	(void)state;
	static const enum jk_zap_verdict verdicts[KEYS] = {JK_ZAP_ALLOW, JK_ZAP_REVOKED, JK_ZAP_REVOKED};
	const struct jk_label label = {.owner_agency_id = 1,
		.county = "047",
		.categories = 1 << 9,
		.tlp = JK_TLP_GREEN,
		.scope = JK_SCOPE_PUBLIC,
		.status = JK_CAP_STATUS_ACTUAL};
	int64_t now_us = jk_time_now_us();
	struct jk_registry *registry = build(now_us);
	struct jk_registry_watch *watch;

	for (int i = 0; i < KEYS; i++)
		assert_int_equal(jk_registry_decide(registry, &registry->keys[i], JK_USE_VIEW, &label, now_us).effect == JK_DENY,
			i != GOOD);
	assert_int_equal(registry_watch_open_fixed(&registry, &watch), JK_OK);
	for (int i = 0; i < KEYS; i++)
		assert_int_equal(jk_registry_zap(watch, (const uint8_t[32]){(uint8_t)(i + 1)}, ""), verdicts[i]);
	assert_int_equal(jk_registry_zap(watch, (const uint8_t[32]){99}, ""), JK_ZAP_REFUSE);
	jk_registry_watch_close(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_key_ends_by_the_clock), cmocka_unit_test(door_and_decision_agree)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
