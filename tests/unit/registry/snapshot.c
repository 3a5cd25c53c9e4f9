/* Snapshots built of rows made by hand: lookups, revocation that reaches down, decisions, and the counted swap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "registry/registry_snapshot.h"

enum { NPS = 1, KRCS = 2, GONE = 3, NPS_DESK = 10, KRCS_DESK = 20, GONE_DESK = 30, SHUT_DESK = 40 };

static const struct jk_agency agencies[] = {{.agency_id = NPS, .code = "NPS", .strict = true},
	{.agency_id = GONE, .code = "GONE", .revoked = true}, {.agency_id = KRCS, .code = "KRCS"}};
static const struct jk_desk desks[] = {{.desk_id = GONE_DESK, .agency_id = GONE, .code = "GONE-1"},
	{.desk_id = NPS_DESK, .agency_id = NPS, .code = "NPS-047"},
	{.desk_id = SHUT_DESK, .agency_id = KRCS, .code = "KRCS-SHUT", .revoked = true},
	{.desk_id = KRCS_DESK, .agency_id = KRCS, .code = "KRCS-001"}};
static const struct registry_allow_row allow[] = {
	{.allow_id = 5, .desk_id = KRCS_DESK, .owner_agency_id = NPS, .county = "047", .tlp_ceiling = JK_TLP_GREEN},
	{.allow_id = 6, .desk_id = GONE_DESK, .owner_agency_id = -1, .tlp_ceiling = JK_TLP_AMBER},
	{.allow_id = 4, .desk_id = KRCS_DESK, .owner_agency_id = GONE, .tlp_ceiling = JK_TLP_AMBER},
	{.allow_id = 7, .desk_id = 999, .owner_agency_id = -1, .tlp_ceiling = JK_TLP_AMBER},
};
/* Three keys fall into one slot: their first eight bytes are equal. */
static const struct registry_key_row keys[] = {
	{.curve_key = {1, [31] = 1},
		.key_id = 101,
		.agency_id = NPS,
		.desk_id = -1,
		.role = JK_ROLE_PUBLISHER,
		.realm = JK_REALM_LIVE},
	{.curve_key = {1, [31] = 2},
		.key_id = 102,
		.agency_id = KRCS,
		.desk_id = KRCS_DESK,
		.role = JK_ROLE_DESK,
		.realm = JK_REALM_LIVE},
	{.curve_key = {1, [31] = 3},
		.key_id = 103,
		.agency_id = GONE,
		.desk_id = GONE_DESK,
		.role = JK_ROLE_DESK,
		.realm = JK_REALM_LIVE},
	{.curve_key = {4}, .key_id = 104, .agency_id = KRCS, .desk_id = SHUT_DESK, .role = JK_ROLE_DESK, .realm = JK_REALM_LIVE},
	{.curve_key = {5},
		.key_id = 105,
		.agency_id = NPS,
		.desk_id = -1,
		.role = JK_ROLE_PUBLISHER,
		.realm = JK_REALM_LIVE,
		.revoked = true,
		.rate_limit = 50},
	{.curve_key = {6},
		.key_id = 106,
		.agency_id = KRCS,
		.desk_id = KRCS_DESK,
		.role = JK_ROLE_DESK,
		.realm = JK_REALM_EXERCISE},
	{.curve_key = {7}, .key_id = 107, .agency_id = GONE, .desk_id = -1, .role = JK_ROLE_PUBLISHER, .realm = JK_REALM_LIVE},
};
static const struct registry_sender_row senders[] = {{101, "b@nps.example"}, {105, "*"}, {101, "a@nps.example"}};
static const char counties[][JK_COUNTY_BYTES] = {"047", "001", "022", "034"};
static const struct registry_border borders[] = {{"047", "034"}, {"022", "047"}, {"047", "022"}, {"034", "047"}};
static const struct registry_name isos[] = {{"KE-30", "047"}, {"KE-28", "001"}, {"KE-13", "022"}};
static const struct registry_name constituencies[] = {{"290", "047"}, {"001", "001"}};
static const struct registry_name aliases[] = {{"nairobi", "047"}, {"muranga", "021"}, {"kiambu", "022"}};

static const struct jk_duty_rule duty_rules[] = {{.rule_id = 3, .rank = 20, .discipline = "FIRE", .answer_s = 60},
	{.rule_id = 2, .rank = 10, .discipline = "POLICE"}, {.rule_id = 1, .rank = 10, .discipline = "AMBULANCE"}};
static const struct registry_duty_desk_row duty_desks[] = {{{.county = "047", .discipline = "POLICE", .rank = 2}, NPS_DESK},
	{{.county = "047", .discipline = "POLICE", .rank = 1}, SHUT_DESK},
	{{.county = "047", .discipline = "POLICE", .rank = 1}, KRCS_DESK},
	{{.county = "047", .discipline = "AMBULANCE", .rank = 9}, KRCS_DESK},
	{{.county = "001", .discipline = "POLICE", .rank = 9}, NPS_DESK}};
static const struct registry_escalation_row escalations[] = {
	{{.escalation_id = 2, .role = JK_ROLE_NATIONAL, .after_s = 600}, NPS_DESK},
	{{.escalation_id = 1, .role = JK_ROLE_COUNTY_COMMISSIONER, .county = "047"}, GONE_DESK}};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct registry_rows sample_rows(void)
{
	return (struct registry_rows){.version = 7,
		.realm = JK_REALM_LIVE,
		.agencies = agencies,
		.agency_count = COUNT(agencies),
		.desks = desks,
		.desk_count = COUNT(desks),
		.keys = keys,
		.key_count = COUNT(keys),
		.senders = senders,
		.sender_count = COUNT(senders),
		.allow = allow,
		.allow_count = COUNT(allow),
		.counties = counties,
		.county_count = COUNT(counties),
		.borders = borders,
		.border_count = COUNT(borders),
		.isos = {isos, COUNT(isos)},
		.constituencies = {constituencies, COUNT(constituencies)},
		.aliases = {aliases, COUNT(aliases)},
		.duty_rules = duty_rules,
		.duty_rule_count = COUNT(duty_rules),
		.duty_desks = duty_desks,
		.duty_desk_count = COUNT(duty_desks),
		.escalations = escalations,
		.escalation_count = COUNT(escalations)};
}

static struct jk_registry *build(const struct registry_rows *rows)
{
	struct jk_registry *registry;
	struct jk_refusal refusal;

	assert_int_equal(registry_build(rows, &registry, &refusal), JK_OK);
	return registry;
}

static struct jk_registry *build_sample(void)
{
	const struct registry_rows rows = sample_rows();

	return build(&rows);
}

static void drop(struct jk_registry *registry)
{
	const struct jk_registry *dropped = registry;

	registry_drop(&dropped);
	assert_null(dropped);
}

static void rows_that_name_what_is_not_there_are_refused(void **state)
{
	(void)state;
	static const struct jk_desk orphan_desk[] = {{.desk_id = 1, .agency_id = 77, .code = "X"}};
	static const struct registry_key_row no_agency[] = {{.key_id = 1, .agency_id = 77, .desk_id = -1}};
	static const struct registry_key_row no_desk[] = {{.key_id = 1, .agency_id = NPS, .desk_id = 77}};
	static const struct registry_border no_county[] = {{"048", "047"}};
	static const struct registry_duty_desk_row no_duty_desk[] = {{{.county = "047"}, 77}};
	static const struct registry_escalation_row no_told_desk[] = {{{.role = JK_ROLE_NATIONAL}, 77}};
	struct registry_rows broken[6] = {
		sample_rows(), sample_rows(), sample_rows(), sample_rows(), sample_rows(), sample_rows()};
	static const char *const fields[] = {"agency", "agency", "desk", "neighbour", "duty_desk", "escalation"};
	struct jk_registry *registry;
	struct jk_refusal refusal;

	broken[0].desks = orphan_desk, broken[0].desk_count = 1;
	broken[1].keys = no_agency, broken[1].key_count = 1;
	broken[2].keys = no_desk, broken[2].key_count = 1;
	broken[3].borders = no_county, broken[3].border_count = 1;
	broken[4].duty_desks = no_duty_desk, broken[4].duty_desk_count = 1;
	broken[5].escalations = no_told_desk, broken[5].escalation_count = 1;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(registry_build(&broken[i], &registry, &refusal), JK_BROKEN);
		assert_null(registry);
		assert_string_equal(refusal.field, fields[i]);
	}
}

static void an_empty_registry_knows_nobody(void **state)
{
	(void)state;
	const struct registry_rows rows = {.version = 1, .realm = JK_REALM_LIVE};
	struct jk_registry *registry = build(&rows);
	size_t count;

	assert_null(jk_registry_find_key(registry, keys[0].curve_key));
	assert_null(jk_registry_find_agency(registry, "NPS"));
	assert_null(jk_registry_find_desk(registry, NPS_DESK));
	assert_false(jk_registry_county_exists(registry, "047"));
	assert_null(jk_registry_county_of_name(registry, "Nairobi"));
	(void)jk_registry_neighbours(registry, "047", &count);
	assert_int_equal(count, 0);
	(void)jk_registry_counties(registry, &count);
	assert_int_equal(count, 0);
	drop(registry);
}

static void keys_are_found_with_what_they_stand_for(void **state)
{
	(void)state;
	struct jk_registry *registry = build_sample();
	const struct jk_registry_key *key;

	for (size_t i = 0; i < COUNT(keys); i++) {
		key = jk_registry_find_key(registry, keys[i].curve_key);
		assert_non_null(key);
		assert_int_equal(key->key_id, keys[i].key_id);
		assert_int_equal(key->agency->agency_id, keys[i].agency_id);
		assert_int_equal(key->desk == NULL ? -1 : key->desk->desk_id, keys[i].desk_id);
	}
	assert_null(jk_registry_find_key(registry, (const uint8_t[32]){1, [31] = 9}));
	assert_null(jk_registry_find_key(registry, (const uint8_t[32]){0}));
	key = jk_registry_find_key(registry, keys[0].curve_key);
	assert_int_equal(key->cap_sender_count, 2);
	assert_string_equal(key->cap_senders[0], "a@nps.example");
	assert_string_equal(key->cap_senders[1], "b@nps.example");
	assert_false(key->any_sender);
	key = jk_registry_find_key(registry, keys[4].curve_key);
	assert_true(key->any_sender);
	assert_int_equal(key->rate_limit, 50);
	assert_int_equal(jk_registry_find_key(registry, keys[1].curve_key)->cap_sender_count, 0);
	drop(registry);
}

static void revocation_reaches_down_to_desks_and_keys(void **state)
{
	(void)state;
	static const bool expected[] = {false, false, true, true, true, false, true};
	struct jk_registry *registry = build_sample();

	for (size_t i = 0; i < COUNT(keys); i++)
		assert_int_equal(jk_registry_find_key(registry, keys[i].curve_key)->revoked, expected[i]);
	assert_true(jk_registry_find_desk(registry, GONE_DESK)->revoked);
	assert_true(jk_registry_find_desk(registry, SHUT_DESK)->revoked);
	assert_false(jk_registry_find_desk(registry, KRCS_DESK)->revoked);
	assert_true(jk_registry_find_agency(registry, "GONE")->revoked);
	assert_true(jk_registry_find_agency(registry, "NPS")->strict);
	drop(registry);
}

static void a_desk_has_its_own_rows_only(void **state)
{
	(void)state;
	struct jk_registry *registry = build_sample();
	const struct jk_desk *desk = jk_registry_find_desk(registry, KRCS_DESK);

	assert_int_equal(desk->term_count, 2);
	assert_int_equal(desk->terms[0].owner_agency_id, NPS);
	assert_int_equal(desk->terms[0].allow_id, 5);
	assert_int_equal(desk->terms[1].owner_agency_id, GONE);
	assert_int_equal(desk->terms[1].allow_id, 4);
	assert_int_equal(jk_registry_find_desk(registry, NPS_DESK)->term_count, 0);
	/* It has a row, and is revoked with its agency. */
	assert_int_equal(jk_registry_find_desk(registry, GONE_DESK)->term_count, 0);
	assert_null(jk_registry_find_desk(registry, 999));
	drop(registry);
}

static void decisions_use_the_keys_desk_realm_and_rows(void **state)
{
	(void)state;
	static const struct {
		int key;
		enum jk_effect effect;
		int32_t allow_id;
	} expected[] = {
		{2, JK_DENY, 0},           /* revoked with its agency, although a row names its desk */
		{4, JK_DENY, 0},           /* revoked, although it is the owner's */
		{5, JK_DENY, 0},           /* of the other realm, although its desk has a row */
		{0, JK_ALLOW, 0},          /* the owner's publisher */
		{1, JK_ALLOW_REDACTED, 5}, /* by a row */
	};
	const struct jk_label label = {.owner_agency_id = NPS,
		.county = "047",
		.categories = 1 << 5,
		.tlp = JK_TLP_GREEN,
		.scope = JK_SCOPE_PUBLIC,
		.status = JK_CAP_STATUS_ACTUAL};
	struct jk_registry *registry = build_sample();

	for (size_t i = 0; i < COUNT(expected); i++) {
		struct jk_decision decision = jk_registry_decide(
			registry, jk_registry_find_key(registry, keys[expected[i].key].curve_key), JK_USE_VIEW, &label, 1000);
		assert_int_equal(decision.effect, expected[i].effect);
		assert_int_equal(decision.term == NULL ? 0 : decision.term->allow_id, expected[i].allow_id);
	}
	drop(registry);
}

static void places_are_found_by_code_and_spelling(void **state)
{
	(void)state;
	struct jk_registry *registry = build_sample();
	const char(*list)[JK_COUNTY_BYTES];
	size_t count;

	assert_true(jk_registry_county_exists(registry, "047"));
	assert_false(jk_registry_county_exists(registry, "048"));
	assert_false(jk_registry_county_exists(registry, ""));
	assert_false(jk_registry_county_exists(registry, "47"));
	assert_false(jk_registry_county_exists(registry, "0470"));
	assert_string_equal(jk_registry_county_of_iso(registry, "KE-30"), "047");
	assert_null(jk_registry_county_of_iso(registry, "047"));
	assert_string_equal(jk_registry_county_of_constituency(registry, "290"), "047");
	assert_null(jk_registry_county_of_constituency(registry, "291"));
	assert_string_equal(jk_registry_county_of_name(registry, "MURANG'A"), "021");
	assert_string_equal(jk_registry_county_of_name(registry, "Murang\xe2\x80\x99"
								 "a"),
		"021");
	assert_string_equal(jk_registry_county_of_name(registry, " nai-robi "), "047");
	assert_null(jk_registry_county_of_name(registry, ""));
	assert_null(jk_registry_county_of_name(registry, "Nairobbery"));
	assert_null(jk_registry_county_of_name(
		registry, "nairobinairobinairobinairobinairobinairobinairobinairobinairobinairobinairobi"));
	list = jk_registry_neighbours(registry, "047", &count);
	assert_int_equal(count, 2);
	assert_string_equal(list[0], "022");
	assert_string_equal(list[1], "034");
	(void)jk_registry_neighbours(registry, "001", &count);
	assert_int_equal(count, 0);
	(void)jk_registry_neighbours(registry, "048", &count);
	assert_int_equal(count, 0);
	list = jk_registry_counties(registry, &count);
	assert_int_equal(count, 4);
	assert_string_equal(list[0], "001");
	assert_string_equal(list[3], "047");
	drop(registry);
}

static void duties_stand_in_the_order_they_are_asked(void **state)
{
	(void)state;
	static const struct {
		const char *county, *discipline;
		int32_t desk_id;
	} asked[] = {{"001", "POLICE", NPS_DESK}, {"047", "AMBULANCE", KRCS_DESK}, {"047", "POLICE", KRCS_DESK},
		{"047", "POLICE", SHUT_DESK}, {"047", "POLICE", NPS_DESK}};
	struct jk_registry *registry = build_sample();

	assert_int_equal(registry->duty_rule_count, 3);
	for (int32_t i = 0; i < 3; i++)
		assert_int_equal(registry->duty_rules[i].rule_id, i + 1);
	assert_int_equal(registry->duty_rules[2].answer_s, 60);
	assert_int_equal(registry->duty_desk_count, COUNT(asked));
	for (size_t i = 0; i < COUNT(asked); i++) {
		assert_string_equal(registry->duty_desks[i].county, asked[i].county);
		assert_string_equal(registry->duty_desks[i].discipline, asked[i].discipline);
		assert_int_equal(registry->duty_desks[i].desk->desk_id, asked[i].desk_id);
	}
	/* A desk that is revoked stays on the list, as what it is. */
	assert_true(registry->duty_desks[3].desk->revoked);
	assert_int_equal(registry->escalation_count, 2);
	assert_int_equal(registry->escalations[0].role, JK_ROLE_COUNTY_COMMISSIONER);
	assert_true(registry->escalations[0].desk->revoked);
	assert_string_equal(registry->escalations[1].desk->code, "NPS-047");
	drop(registry);
}

static void the_door_opens_by_the_newest_snapshot(void **state)
{
	(void)state;
	const struct registry_rows empty = {.version = 8, .realm = JK_REALM_LIVE};
	struct jk_registry *none = NULL, *sample = build_sample(), *newer = build(&empty);
	struct jk_registry_watch *watch;

	assert_int_equal(registry_watch_open_fixed(&none, &watch), JK_OK);
	assert_null(jk_registry_acquire(watch));
	assert_int_equal(jk_registry_version(watch), 0);
	assert_int_equal(jk_registry_zap(watch, keys[0].curve_key, ""), JK_ZAP_LATER);
	registry_watch_swap(watch, &sample);
	assert_int_equal(jk_registry_version(watch), 7);
	assert_int_equal(jk_registry_zap(watch, keys[0].curve_key, ""), JK_ZAP_ALLOW);
	assert_int_equal(jk_registry_zap(watch, keys[2].curve_key, ""), JK_ZAP_REVOKED);
	assert_int_equal(jk_registry_zap(watch, keys[4].curve_key, ""), JK_ZAP_REVOKED);
	assert_int_equal(jk_registry_zap(watch, (const uint8_t[32]){77}, ""), JK_ZAP_REFUSE);
	const struct jk_registry *held = jk_registry_acquire(watch);
	registry_watch_swap(watch, &newer);
	assert_int_equal(jk_registry_zap(watch, keys[0].curve_key, ""), JK_ZAP_REFUSE);
	/* What was taken before stays whole until it is given back. */
	assert_int_equal(held->version, 7);
	assert_non_null(jk_registry_find_key(held, keys[0].curve_key));
	jk_registry_release(watch, &held);
	assert_null(held);
	jk_registry_watch_close(&watch);
}

enum { SWAPS = 300 };

static void *take_and_look(void *arg)
{
	struct jk_registry_watch *watch = arg;

	while (jk_registry_version(watch) < SWAPS) {
		const struct jk_registry *registry = jk_registry_acquire(watch);
		if (jk_registry_find_key(registry, keys[1].curve_key)->key_id != 102)
			return watch; /* not NULL: wrong */
		jk_registry_release(watch, &registry);
	}
	return NULL;
}

static void swapping_under_readers_is_safe(void **state)
{
	(void)state;
	struct registry_rows rows = sample_rows();
	struct jk_registry *registry = build(&rows);
	struct jk_registry_watch *watch;
	pthread_t readers[2];
	void *complaint;

	assert_int_equal(registry_watch_open_fixed(&registry, &watch), JK_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, take_and_look, watch), 0);
	for (rows.version = 8; rows.version <= SWAPS; rows.version++) {
		registry = build(&rows);
		registry_watch_swap(watch, &registry);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i], &complaint);
		assert_null(complaint);
	}
	jk_registry_watch_close(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_that_name_what_is_not_there_are_refused),
		cmocka_unit_test(an_empty_registry_knows_nobody),
		cmocka_unit_test(keys_are_found_with_what_they_stand_for),
		cmocka_unit_test(revocation_reaches_down_to_desks_and_keys),
		cmocka_unit_test(a_desk_has_its_own_rows_only),
		cmocka_unit_test(decisions_use_the_keys_desk_realm_and_rows),
		cmocka_unit_test(places_are_found_by_code_and_spelling),
		cmocka_unit_test(duties_stand_in_the_order_they_are_asked),
		cmocka_unit_test(the_door_opens_by_the_newest_snapshot),
		cmocka_unit_test(swapping_under_readers_is_safe),
	};
	return cmocka_run_group_tests_name("registry snapshot", tests, NULL, NULL);
}
