/* The registry's watch against a real PostgreSQL (JUKWAA_TEST_PG, a superuser's connection string; skipped without): what the
 * tables hold is what is found, and a change is in force within a second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>

#include "base/jk_time.h"
#include "db/db.h"
#include "registry/registry.h"

enum { TIMEOUT_MS = 5000, IN_FORCE_MS = 1000 };

static struct jk_db *db;
static struct jk_registry_watch *watch;
static const uint8_t publisher_key[32] = {1}, desk_key[32] = {2};

#define SQL(label, text) static const struct jk_db_statement label = {.name = #label, .sql = text}
SQL(add_agencies, "INSERT INTO registry.agency (code, name, strict, refuse_expired) VALUES ('NPS', 'Police', true, false),"
		  " ('KRCS', 'Red Cross', false, true)");
SQL(add_desk, "INSERT INTO registry.desk (code, agency_id, name) SELECT 'KRCS-047', agency_id, 'Nairobi' FROM registry.agency"
	      " WHERE code = 'KRCS'");
SQL(add_publisher, "INSERT INTO registry.key (curve_key, sign_key, role, realm, agency_id, cap_senders, rate_limit)"
		   " SELECT '\\x0100000000000000000000000000000000000000000000000000000000000000', sha256(''), 'PUBLISHER',"
		   " 'LIVE', agency_id, '{b@nps.example,a@nps.example}', 50 FROM registry.agency WHERE code = 'NPS'");
SQL(add_desk_key, "INSERT INTO registry.key (curve_key, sign_key, role, realm, agency_id, desk_id, cap_senders)"
		  " SELECT '\\x0200000000000000000000000000000000000000000000000000000000000000', sha256(''), 'DESK', 'LIVE',"
		  " agency_id, desk_id, '{*}' FROM registry.desk");
SQL(add_allow, "INSERT INTO registry.allow (desk_id, county, category, tlp_ceiling, valid_from, valid_until)"
	       " SELECT desk_id, '047', 5, 2, 'epoch', NULL FROM registry.desk");
/* None of these may ever allow anything. */
SQL(add_dead_allow, "INSERT INTO registry.allow (desk_id, valid_from, valid_until, revoked_at) SELECT desk_id, f, u, r"
		    " FROM registry.desk, (VALUES ('epoch'::timestamptz, NULL::timestamptz, now()), ('-infinity', 'epoch', NULL),"
		    " ('-infinity', '-infinity', NULL), ('infinity', NULL, NULL)) v (f, u, r)");
SQL(add_open_allow, "INSERT INTO registry.allow (desk_id, county, valid_from, valid_until) SELECT desk_id, '001', '-infinity',"
		    " 'infinity' FROM registry.desk");
SQL(add_duty_rules,
	"INSERT INTO registry.duty_rule (rank, discipline, categories, severity_floor, urgency_floor, county, answer_s,"
	" again_s, revoked_at) VALUES (2, 'FIRE', 64, 0, 0, NULL, 60, 120, NULL),"
	" (1, 'POLICE', 528, 2, 1, '047', 30, 90, NULL), (1, 'RESCUE', 32, 0, 0, NULL, 60, 120, now())");
SQL(add_duty_desks,
	"INSERT INTO registry.duty_desk (county, discipline, rank, desk_id, revoked_at) SELECT '047', v.discipline, 7,"
	" desk_id, v.revoked_at FROM registry.desk, (VALUES ('POLICE', NULL::timestamptz), ('FIRE', now())) v"
	" (discipline, revoked_at)");
SQL(add_escalation, "INSERT INTO registry.escalation (role, severity_floor, after_s, again_s, desk_id)"
		    " SELECT 'REGIONAL', 2, 300, 600, desk_id FROM registry.desk");
SQL(revoke_desk, "UPDATE registry.desk SET revoked_at = now()");
SQL(reinstate_desk, "UPDATE registry.desk SET revoked_at = NULL");
SQL(remove_duties, "UPDATE registry.duty_desk SET revoked_at = now() WHERE revoked_at IS NULL");
SQL(revoke_agency, "UPDATE registry.agency SET revoked_at = now() WHERE code = 'NPS'");
SQL(forget_migrations, "UPDATE meta.migration SET number = number + 1000 WHERE number > 7 AND number < 1000");
SQL(lose_migrations, "DELETE FROM meta.migration WHERE number > 7");

static void run(const struct jk_db_statement *statement)
{
	const struct jk_db_step step = {.statement = statement};

	assert_int_equal(jk_db_run(db, &step, 1, TIMEOUT_MS, NULL, NULL), JK_OK);
}

/* Waits for a newer snapshot than that. */
static const struct jk_registry *wait_for_newer(int64_t version, int limit_ms)
{
	int64_t until_ms = jk_time_mono_ms() + limit_ms;

	while (jk_registry_version(watch) <= version && jk_time_mono_ms() < until_ms)
		poll(NULL, 0, 5);
	assert_true(jk_registry_version(watch) > version);
	return jk_registry_acquire(watch);
}

static void wait_for_problem(const char *part, bool fatal)
{
	int64_t until_ms = jk_time_mono_ms() + TIMEOUT_MS;
	char problem[256];
	bool is_fatal;

	do {
		jk_registry_watch_problem(watch, problem, &is_fatal);
		poll(NULL, 0, 5);
	} while (strstr(problem, part) == NULL && jk_time_mono_ms() < until_ms);
	assert_non_null(strstr(problem, part));
	assert_int_equal(is_fatal, fatal);
}

static int open_watch(enum jk_realm realm)
{
	return jk_registry_watch_open(getenv("JUKWAA_TEST_PG"), "test", realm, &watch) == JK_OK ? 0 : -1;
}

static int live(void **state)
{
	(void)state;
	return open_watch(JK_REALM_LIVE);
}

static int exercise(void **state)
{
	(void)state;
	return open_watch(JK_REALM_EXERCISE);
}

static int close_watch(void **state)
{
	(void)state;
	jk_registry_watch_close(&watch);
	return 0;
}

static void another_realm_is_never_loaded(void **state)
{
	(void)state;
	wait_for_problem("realm LIVE", true);
	assert_null(jk_registry_acquire(watch));
	assert_int_equal(jk_registry_zap(watch, publisher_key, ""), JK_ZAP_LATER);
}

static void kenya_is_there(void **state)
{
	(void)state;
	const struct jk_registry *registry = wait_for_newer(0, TIMEOUT_MS);
	const char(*list)[JK_COUNTY_BYTES];
	size_t count;

	assert_int_equal(registry->realm, JK_REALM_LIVE);
	list = jk_registry_counties(registry, &count);
	assert_int_equal(count, 47);
	assert_string_equal(list[46], "047");
	list = jk_registry_neighbours(registry, "047", &count);
	assert_int_equal(count, 3);
	assert_string_equal(list[0], "016");
	assert_string_equal(list[1], "022");
	assert_string_equal(list[2], "034");
	assert_string_equal(jk_registry_county_of_iso(registry, "KE-01"), "030");
	assert_string_equal(jk_registry_county_of_constituency(registry, "290"), "047");
	assert_string_equal(jk_registry_county_of_name(registry, "Taita/Taveta"), "006");
	jk_registry_release(watch, &registry);
}

static void what_is_added_is_found_within_a_second(void **state)
{
	(void)state;
	const struct jk_registry *registry = wait_for_newer(0, TIMEOUT_MS);
	int64_t version = registry->version;

	jk_registry_release(watch, &registry);
	assert_int_equal(jk_registry_zap(watch, publisher_key, ""), JK_ZAP_REFUSE);
	run(&add_agencies);
	run(&add_desk);
	run(&add_publisher);
	run(&add_desk_key);
	run(&add_allow);
	registry = wait_for_newer(version + 4, IN_FORCE_MS);
	const struct jk_registry_key *key = jk_registry_find_key(registry, publisher_key);
	assert_non_null(key);
	assert_int_equal(key->role, JK_ROLE_PUBLISHER);
	assert_int_equal(key->rate_limit, 50);
	assert_int_equal(key->cap_sender_count, 2);
	assert_string_equal(key->cap_senders[0], "a@nps.example");
	assert_string_equal(key->agency->code, "NPS");
	assert_true(key->agency->strict && !key->agency->refuse_expired);
	key = jk_registry_find_key(registry, desk_key);
	assert_true(key->any_sender);
	assert_string_equal(key->desk->code, "KRCS-047");
	assert_int_equal(key->desk->term_count, 1);
	assert_int_equal(key->desk->terms[0].categories, 1 << 5);
	assert_int_equal(key->desk->terms[0].owner_agency_id, -1);
	assert_int_equal(key->desk->terms[0].tlp_ceiling, JK_TLP_GREEN);
	jk_registry_release(watch, &registry);
	assert_int_equal(jk_registry_zap(watch, publisher_key, ""), JK_ZAP_ALLOW);
}

static struct jk_decision decide(const struct jk_registry *registry, const char *county)
{
	struct jk_label label = {.owner_agency_id = jk_registry_find_agency(registry, "NPS")->agency_id,
		.categories = 1 << 5,
		.tlp = JK_TLP_GREEN,
		.scope = JK_SCOPE_PUBLIC,
		.status = JK_CAP_STATUS_ACTUAL};

	memcpy(label.county, county, sizeof label.county);
	return jk_registry_decide(registry, jk_registry_find_key(registry, desk_key), JK_USE_VIEW, &label, jk_time_now_us());
}

static void rows_at_the_ends_of_time_mean_what_they_say(void **state)
{
	(void)state;
	const struct jk_registry *registry = wait_for_newer(0, TIMEOUT_MS);
	int64_t version = registry->version;

	assert_int_equal(decide(registry, "047").effect, JK_ALLOW_REDACTED);
	jk_registry_release(watch, &registry);
	run(&add_dead_allow);
	registry = wait_for_newer(version, IN_FORCE_MS);
	version = registry->version;
	assert_int_equal(decide(registry, "001").effect, JK_DENY);
	jk_registry_release(watch, &registry);
	run(&add_open_allow);
	registry = wait_for_newer(version, IN_FORCE_MS);
	assert_int_equal(decide(registry, "001").effect, JK_ALLOW_REDACTED);
	jk_registry_release(watch, &registry);
}

static void who_has_to_answer_is_found_within_a_second(void **state)
{
	(void)state;
	const struct jk_registry *registry = wait_for_newer(0, TIMEOUT_MS);
	int64_t version = registry->version;

	assert_int_equal(registry->duty_rule_count + registry->duty_desk_count + registry->escalation_count, 0);
	jk_registry_release(watch, &registry);
	run(&add_duty_rules);
	run(&add_duty_desks);
	run(&add_escalation);
	run(&revoke_desk);
	registry = wait_for_newer(version + 3, IN_FORCE_MS);
	assert_int_equal(registry->duty_rule_count, 2);
	const struct jk_duty_rule *rule = &registry->duty_rules[0];
	assert_string_equal(rule->discipline, "POLICE");
	assert_string_equal(rule->county, "047");
	assert_int_equal(rule->categories, 1 << 4 | 1 << 9);
	assert_int_equal(rule->severity_floor, JK_SEVERITY_SEVERE);
	assert_int_equal(rule->urgency_floor, 1);
	assert_int_equal(rule->answer_s, 30);
	assert_int_equal(rule->again_s, 90);
	assert_string_equal(registry->duty_rules[1].county, "");
	assert_int_equal(registry->duty_desk_count, 1);
	assert_string_equal(registry->duty_desks[0].desk->code, "KRCS-047");
	assert_true(registry->duty_desks[0].desk->revoked);
	assert_int_equal(registry->duty_desks[0].rank, 7);
	assert_int_equal(registry->escalation_count, 1);
	assert_int_equal(registry->escalations[0].role, JK_ROLE_REGIONAL);
	assert_int_equal(registry->escalations[0].after_s, 300);
	assert_int_equal(registry->escalations[0].again_s, 600);
	version = registry->version;
	jk_registry_release(watch, &registry);
	run(&reinstate_desk);
	run(&remove_duties);
	registry = wait_for_newer(version + 1, IN_FORCE_MS);
	assert_int_equal(registry->duty_desk_count, 0);
	jk_registry_release(watch, &registry);
}

static void a_revoked_agency_shuts_the_door_within_a_second(void **state)
{
	(void)state;
	const struct jk_registry *registry = wait_for_newer(0, TIMEOUT_MS);
	int64_t version = registry->version;

	jk_registry_release(watch, &registry);
	assert_int_equal(jk_registry_zap(watch, publisher_key, ""), JK_ZAP_ALLOW);
	run(&revoke_agency);
	registry = wait_for_newer(version, IN_FORCE_MS);
	assert_true(jk_registry_find_key(registry, publisher_key)->revoked);
	jk_registry_release(watch, &registry);
	assert_int_equal(jk_registry_zap(watch, publisher_key, ""), JK_ZAP_REVOKED);
}

/* Last: it spoils the database. */
static void an_older_schema_is_not_loaded_and_a_newer_one_is(void **state)
{
	(void)state;
	const struct jk_registry *registry;

	run(&forget_migrations);
	registry = wait_for_newer(0, TIMEOUT_MS);
	jk_registry_release(watch, &registry);
	run(&lose_migrations);
	jk_registry_watch_close(&watch);
	assert_int_equal(open_watch(JK_REALM_LIVE), 0);
	wait_for_problem("jukwaa admin migrate", false);
	assert_null(jk_registry_acquire(watch));
}

static int open_database(void **state)
{
	(void)state;
	return jk_db_open(getenv("JUKWAA_TEST_PG"), "test", &db) == JK_OK ? 0 : -1;
}

static int close_database(void **state)
{
	(void)state;
	jk_db_close(&db);
	return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, live, close_watch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(another_realm_is_never_loaded, exercise, close_watch),
		TEST(kenya_is_there),
		TEST(what_is_added_is_found_within_a_second),
		TEST(rows_at_the_ends_of_time_mean_what_they_say),
		TEST(who_has_to_answer_is_found_within_a_second),
		TEST(a_revoked_agency_shuts_the_door_within_a_second),
		TEST(an_older_schema_is_not_loaded_and_a_newer_one_is),
	};

	if (getenv("JUKWAA_TEST_PG") == NULL) {
		fprintf(stderr, "skipped: needs JUKWAA_TEST_PG\n");
		return 77;
	}
	return cmocka_run_group_tests_name("registry", tests, open_database, close_database);
}
