/* Agreements in a snapshot: what closes, first; then whom they reach, as what, and how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "pact_rows.h"

enum {
	NPS = 1,
	KRCS = 2,
	KWS = 3,
	GONE = 4,
	GOV = 5,
	NPS_DESK = 10,
	KRCS_DESK = 20,
	KRCS_SHUT = 21,
	KWS_DESK = 30,
	GONE_DESK = 40
};
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define DAY_US (INT64_C(86400) * 1000000)
static const int64_t signed_at_us = INT64_C(1767225600) * 1000000; /* 2026-01-01 */
static const int64_t now_us = INT64_C(1772323200) * 1000000;       /* 2026-03-01 */

static const struct jk_agency agencies[] = {{.agency_id = NPS, .code = "NPS"}, {.agency_id = KRCS, .code = "KRCS"},
	{.agency_id = KWS, .code = "KWS"}, {.agency_id = GONE, .code = "GONE", .revoked = true},
	{.agency_id = GOV, .code = "GOV"}};
static const struct jk_desk desks[] = {{.desk_id = NPS_DESK, .agency_id = NPS, .code = "NPS-1"},
	{.desk_id = KRCS_DESK, .agency_id = KRCS, .code = "KRCS-047"},
	{.desk_id = KRCS_SHUT, .agency_id = KRCS, .code = "KRCS-SHUT", .revoked = true},
	{.desk_id = KWS_DESK, .agency_id = KWS, .code = "KWS-1"}, {.desk_id = GONE_DESK, .agency_id = GONE, .code = "GONE-1"}};

#define AGREEMENT(code, version, provider, recipient, more)                                                                      \
	"{\"agreement\":\"" code "\",\"version\":" #version ",\"provider\":\"" provider "\",\"recipient\":\"" recipient          \
	"\",\"counties\":[\"001\",\"047\"],\"all_categories\":true,\"tlp_ceiling\":\"AMBER\",\"actions\":[\"VIEW\"],"            \
	"\"purpose\":\"relief\",\"legal_basis\":\"consent\",\"start\":\"2026-01-01T00:00:00Z\"," more "}"
#define MUTUAL "\"kind\":\"MUTUAL_CONSENT\",\"profile\":\"COARSE_PLACE@1\""
#define STATUTORY "\"kind\":\"STATUTORY\",\"profile\":\"NO_NARRATIVE@1\""
#define FORCE(version, members, end)                                                                                             \
	"{\"task_force\":\"FLOOD\",\"version\":" #version ",\"lead\":\"NPS\",\"members\":[" members                              \
	"],\"counties\":[\"047\",\"022\"],\"purpose\":\"floods\",\"legal_basis\":\"consent\","                                   \
	"\"start\":\"2026-02-01T00:00:00Z\",\"end\":\"" end "\"}"

/* One registry in the making. */
struct world {
	struct jk_key keys[GOV + 1], thief;
	struct registry_key_row key_rows[GOV + 1];
	struct pact_rows pacts;
	struct registry_rows rows;
	struct registry_known known;
	struct jk_registry *registry;
};
static struct world world;

static struct pact_signer signer(int agency_id)
{
	static const char *const codes[] = {"", "NPS", "KRCS", "KWS", "GONE", "GOV"};

	return (struct pact_signer){
		.agency_id = agency_id, .agency = codes[agency_id], .key = &world.keys[agency_id], .at_us = signed_at_us};
}

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof world);
	pact_rows_init(&world.pacts);
	jk_key_new(&world.thief);
	for (int i = NPS; i <= GOV; i++) {
		struct registry_key_row *row = &world.key_rows[i - 1];

		jk_key_new(&world.keys[i]);
		*row = (struct registry_key_row){.key_id = i,
			.agency_id = i,
			.desk_id = -1,
			.role = i == GOV ? JK_ROLE_OPERATOR : JK_ROLE_PUBLISHER,
			.realm = JK_REALM_LIVE,
			.may_sign = true};
		memcpy(row->curve_key, world.keys[i].curve_public, sizeof row->curve_key);
		memcpy(row->sign_key, world.keys[i].sign_public, sizeof row->sign_key);
	}
	world.rows = (struct registry_rows){.version = 1,
		.realm = JK_REALM_LIVE,
		.agencies = agencies,
		.agency_count = COUNT(agencies),
		.desks = desks,
		.desk_count = COUNT(desks),
		.keys = world.key_rows,
		.key_count = GOV,
		.known = &world.known};
	return 0;
}

static void drop(void)
{
	const struct jk_registry *dropped = world.registry;

	registry_drop(&dropped);
	world.registry = NULL;
}

static int tear_down(void **state)
{
	(void)state;
	drop();
	registry_known_done(&world.known);
	pact_rows_done(&world.pacts);
	return 0;
}

static void build(void)
{
	struct jk_refusal refusal;

	drop();
	pact_rows_give(&world.pacts, &world.rows);
	registry_known_turn(&world.known);
	assert_int_equal(registry_build(&world.rows, &world.registry, &refusal), JK_OK);
}

/* ---- pacts of the tests ---- */

static struct jk_act_row *sign(uint32_t version, enum jk_act act, int agency_id)
{
	const struct pact_signer by = signer(agency_id);

	return pact_rows_sign(&world.pacts, version, act, &by);
}

static void add_mutual(void)
{
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "A", AGREEMENT("A", 1, "NPS", "KRCS", MUTUAL));
	sign(1, JK_ACT_PROPOSE, NPS);
	sign(1, JK_ACT_ACCEPT, KRCS);
}

static void add_force(const char *json)
{
	pact_rows_add(&world.pacts, JK_PACT_TASK_FORCE, "FLOOD", json);
	sign(1, JK_ACT_PROPOSE, NPS);
}

/* ---- questions ---- */

static struct jk_decision ask_at(int32_t desk_id, int32_t owner, const char *county, int64_t at_us)
{
	struct jk_label label = {.owner_agency_id = owner,
		.categories = 1 << 5,
		.tlp = JK_TLP_AMBER,
		.scope = JK_SCOPE_PUBLIC,
		.status = JK_CAP_STATUS_ACTUAL};

	memcpy(label.county, county, sizeof label.county);
	return jk_registry_decide_desk(
		world.registry, jk_registry_find_desk(world.registry, desk_id), JK_USE_VIEW, &label, at_us);
}

static bool gets(int32_t desk_id, int32_t owner)
{
	return ask_at(desk_id, owner, "047", now_us).effect != JK_DENY;
}

static void assert_closed(const char *code, const char *reason)
{
	build();
	assert_int_equal(world.registry->closed_count, 1);
	assert_string_equal(world.registry->closed[0].code, code);
	if (strstr(world.registry->closed[0].reason, reason) == NULL)
		fail_msg("%s", world.registry->closed[0].reason);
	assert_int_equal(world.registry->term_count, 0);
	assert_false(gets(KRCS_DESK, NPS));
}

/* ---- refusals ---- */

static void what_one_side_alone_wants_gives_nothing(void **state)
{
	(void)state;
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "A", AGREEMENT("A", 1, "NPS", "KRCS", MUTUAL));
	build();
	assert_false(gets(KRCS_DESK, NPS));
	sign(1, JK_ACT_PROPOSE, KRCS);
	build();
	assert_false(gets(KRCS_DESK, NPS));
	assert_int_equal(world.registry->term_count, 0);
	assert_int_equal(world.registry->closed_count, 0);
	sign(1, JK_ACT_ACCEPT, NPS);
	build();
	assert_true(gets(KRCS_DESK, NPS));
}

static void either_side_stops_it(void **state)
{
	(void)state;
	add_mutual();
	build();
	assert_true(gets(KRCS_DESK, NPS));
	sign(1, JK_ACT_SUSPEND, KRCS);
	build();
	assert_false(gets(KRCS_DESK, NPS));
	sign(1, JK_ACT_RESUME, KRCS);
	build();
	assert_true(gets(KRCS_DESK, NPS));
	sign(1, JK_ACT_SUSPEND, NPS);
	build();
	assert_false(gets(KRCS_DESK, NPS));
	assert_int_equal(world.registry->closed_count, 0);
}

static void a_changed_document_closes_it(void **state)
{
	(void)state;
	struct jk_refusal refusal;
	const char *json = AGREEMENT("A", 1, "NPS", "KRCS", "\"kind\":\"MUTUAL_CONSENT\",\"profile\":\"FULL@1\""), *document;

	add_mutual();
	assert_true(jk_pact_canonical(JK_PACT_AGREEMENT, json, strlen(json), world.pacts.arena, &document, &refusal));
	world.pacts.versions[0].document = document;
	assert_closed("A", "statement is about something else");
}

static void a_forged_signature_closes_it(void **state)
{
	(void)state;
	add_mutual();
	world.pacts.acts[1].signature[5] ^= 1;
	assert_closed("A", "signature is not good");
	/* A good one is remembered with its key and signature, not by its statement alone. */
	world.pacts.acts[1].signature[5] ^= 1;
	build();
	assert_true(gets(KRCS_DESK, NPS));
	world.pacts.acts[1].signature[5] ^= 1;
	assert_closed("A", "signature is not good");
}

static void a_key_that_may_not_sign_closes_it(void **state)
{
	(void)state;
	add_mutual();
	world.key_rows[KRCS - 1].may_sign = false;
	assert_closed("A", "could not sign");
	world.key_rows[KRCS - 1].may_sign = true;
	world.key_rows[KRCS - 1].realm = JK_REALM_EXERCISE;
	assert_closed("A", "could not sign");
	world.key_rows[KRCS - 1].realm = JK_REALM_LIVE;
	world.key_rows[KRCS - 1].agency_id = KWS;
	assert_closed("A", "could not sign");
	world.key_rows[KRCS - 1].agency_id = KRCS;
	memcpy(world.key_rows[KRCS - 1].sign_key, world.thief.sign_public, JK_KEY_BYTES);
	assert_closed("A", "could not sign");
}

/* What it signed before stays; what it says it signed before, but the database took afterwards, does not. */
static void a_revoked_key_keeps_what_it_signed_before(void **state)
{
	(void)state;
	struct registry_key_row *key = &world.key_rows[KRCS - 1];

	add_mutual();
	key->revoked = true;
	key->revoked_at_us = signed_at_us;
	assert_closed("A", "could not sign");
	key->revoked_at_us = signed_at_us + 1;
	build();
	assert_true(gets(KRCS_DESK, NPS));
	world.pacts.added_at_us[1] = signed_at_us + 1;
	assert_closed("A", "could not sign");
}

static void a_key_signs_while_it_is_valid(void **state)
{
	(void)state;
	struct registry_key_row *key = &world.key_rows[KRCS - 1];

	add_mutual();
	key->expires_at_us = signed_at_us;
	assert_closed("A", "could not sign");
	key->expires_at_us = signed_at_us + 1;
	build();
	assert_true(gets(KRCS_DESK, NPS));
	key->valid_from_us = signed_at_us + 1;
	assert_closed("A", "could not sign");
}

static void a_statutory_one_needs_an_operators_key(void **state)
{
	(void)state;
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "LAW", AGREEMENT("LAW", 1, "*", "*", STATUTORY));
	sign(1, JK_ACT_PROPOSE, NPS);
	assert_closed("LAW", "may not sign");
}

static void one_that_is_broken_leaves_the_others(void **state)
{
	(void)state;
	add_mutual();
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "B", AGREEMENT("B", 1, "NPS", "KWS", MUTUAL));
	sign(1, JK_ACT_PROPOSE, NPS);
	sign(1, JK_ACT_ACCEPT, KWS)->act_no = 3;
	build();
	assert_int_equal(world.registry->closed_count, 1);
	assert_string_equal(world.registry->closed[0].code, "B");
	assert_true(gets(KRCS_DESK, NPS));
	assert_false(gets(KWS_DESK, NPS));
}

static void who_is_revoked_neither_gives_nor_gets(void **state)
{
	(void)state;
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "A", AGREEMENT("A", 1, "GONE", "KRCS", MUTUAL));
	sign(1, JK_ACT_PROPOSE, GONE);
	sign(1, JK_ACT_ACCEPT, KRCS);
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "B", AGREEMENT("B", 1, "NPS", "GONE", MUTUAL));
	sign(1, JK_ACT_PROPOSE, NPS);
	sign(1, JK_ACT_ACCEPT, GONE);
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "C", AGREEMENT("C", 1, "NOBODY", "KRCS", MUTUAL));
	build();
	assert_int_equal(world.registry->term_count, 0);
	assert_false(gets(KRCS_DESK, GONE));
	assert_int_equal(jk_registry_find_desk(world.registry, GONE_DESK)->term_count, 0);
	assert_int_equal(jk_registry_find_desk(world.registry, KRCS_SHUT)->term_count, 0);
}

/* ---- what goes out ---- */

static void a_term_says_what_the_agreement_says(void **state)
{
	(void)state;
	const struct jk_term *term;

	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "A",
		AGREEMENT("A", 1, "NPS", "KRCS",
			"\"kind\":\"MUTUAL_CONSENT\",\"profile\":\"FULL@1\",\"reporter\":true,\"severity_floor\":\"SEVERE\","
			"\"retention_days\":30,\"redistribution\":true,\"end\":\"2026-06-01T00:00:00Z\",\"desks\":[\"KRCS-"
			"047\"]"));
	sign(1, JK_ACT_PROPOSE, NPS);
	sign(1, JK_ACT_ACCEPT, KRCS);
	build();
	assert_int_equal(world.registry->term_count, 1);
	term = jk_registry_find_desk(world.registry, KRCS_DESK)->terms;
	assert_string_equal(term->code, "A");
	assert_int_equal(term->version, 1);
	assert_int_equal(term->owner_agency_id, NPS);
	assert_true(term->counties == (UINT64_C(1) << 1 | UINT64_C(1) << 47));
	assert_int_equal(term->categories, 0x1ffe);
	assert_int_equal(term->severity_floor, JK_SEVERITY_SEVERE);
	assert_int_equal(term->tlp_ceiling, JK_TLP_AMBER);
	assert_int_equal(term->uses, 1 << JK_USE_VIEW);
	assert_int_equal(term->withheld, 1 << JK_GROUP_PERSONS);
	assert_int_equal(term->retention_days, 30);
	assert_true(term->redistribution && !term->statutory);
	assert_true(term->from_us == signed_at_us && term->until_us == INT64_C(1780272000) * 1000000);
}

static void the_named_desks_get_it_and_no_other(void **state)
{
	(void)state;
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "A", AGREEMENT("A", 1, "NPS", "KRCS", MUTUAL ",\"desks\":[\"KRCS-001\"]"));
	sign(1, JK_ACT_PROPOSE, NPS);
	sign(1, JK_ACT_ACCEPT, KRCS);
	build();
	assert_int_equal(world.registry->term_count, 0);
	assert_false(gets(KRCS_DESK, NPS));
}

static void one_direction_only(void **state)
{
	(void)state;
	add_mutual();
	build();
	assert_true(gets(KRCS_DESK, NPS));
	assert_false(gets(NPS_DESK, KRCS));
	assert_false(gets(KWS_DESK, NPS));
	assert_false(gets(KRCS_DESK, KWS));
	assert_int_equal(ask_at(KRCS_DESK, NPS, "046", now_us).effect, JK_DENY);
	assert_int_equal(ask_at(KRCS_DESK, NPS, "001", now_us).withheld, jk_profile_withheld(JK_PROFILE_COARSE_PLACE));
}

static void the_newest_version_that_both_want_counts(void **state)
{
	(void)state;
	add_mutual();
	pact_rows_add_version(
		&world.pacts, AGREEMENT("A", 2, "NPS", "KRCS", "\"kind\":\"MUTUAL_CONSENT\",\"profile\":\"STATISTICS_ONLY@1\""));
	sign(2, JK_ACT_PROPOSE, NPS);
	build();
	assert_int_equal(ask_at(KRCS_DESK, NPS, "047", now_us).term->version, 1);
	sign(2, JK_ACT_ACCEPT, KRCS);
	build();
	assert_int_equal(ask_at(KRCS_DESK, NPS, "047", now_us).term->version, 2);
	assert_int_equal(world.registry->term_count, 1);
}

static void a_statutory_minimum_reaches_everybody(void **state)
{
	(void)state;
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "LAW", AGREEMENT("LAW", 1, "*", "*", STATUTORY));
	sign(1, JK_ACT_PROPOSE, GOV);
	build();
	assert_int_equal(world.registry->term_count, 3); /* desks that are not revoked */
	assert_true(gets(KRCS_DESK, NPS) && gets(NPS_DESK, KRCS) && gets(KWS_DESK, NPS));
	assert_true(ask_at(KWS_DESK, NPS, "047", now_us).term->statutory);
	assert_int_equal(ask_at(GONE_DESK, NPS, "047", now_us).effect, JK_DENY);
}

static void members_share_while_they_are_members(void **state)
{
	(void)state;
	add_force(FORCE(1, "\"NPS\",\"KRCS\",\"KWS\",\"GONE\"", "2026-04-01T00:00:00Z"));
	sign(1, JK_ACT_ACCEPT, KRCS);
	sign(1, JK_ACT_ACCEPT, GONE);
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "A", AGREEMENT("A", 1, "taskforce:FLOOD", "taskforce:FLOOD", MUTUAL));
	sign(1, JK_ACT_PROPOSE, NPS);
	sign(1, JK_ACT_ACCEPT, KRCS);
	build();
	assert_int_equal(world.registry->closed_count, 0);
	assert_true(gets(KRCS_DESK, NPS) && gets(NPS_DESK, KRCS));
	assert_false(gets(KWS_DESK, NPS)); /* named, and has not joined */
	assert_false(gets(KRCS_DESK, KWS));
	assert_int_equal(world.registry->term_count, 2);
	/* Its counties and its time, and not the agreement's alone. */
	assert_int_equal(ask_at(KRCS_DESK, NPS, "001", now_us).effect, JK_DENY);
	assert_int_equal(ask_at(KRCS_DESK, NPS, "022", now_us).effect, JK_DENY);
	assert_int_equal(ask_at(KRCS_DESK, NPS, "047", signed_at_us + DAY_US).effect, JK_DENY);
	assert_int_not_equal(ask_at(KRCS_DESK, NPS, "047", INT64_C(1775001600) * 1000000 - 1).effect, JK_DENY);
	assert_int_equal(ask_at(KRCS_DESK, NPS, "047", INT64_C(1775001600) * 1000000).effect, JK_DENY);
}

static void who_has_left_sees_nothing_more(void **state)
{
	(void)state;
	add_force(FORCE(1, "\"NPS\",\"KRCS\",\"KWS\"", "2026-04-01T00:00:00Z"));
	sign(1, JK_ACT_ACCEPT, KRCS);
	sign(1, JK_ACT_ACCEPT, KWS);
	sign(1, JK_ACT_LEAVE, KRCS);
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "A", AGREEMENT("A", 1, "taskforce:FLOOD", "taskforce:FLOOD", MUTUAL));
	sign(1, JK_ACT_PROPOSE, NPS);
	sign(1, JK_ACT_ACCEPT, KWS);
	build();
	assert_int_equal(world.registry->closed_count, 0);
	assert_true(gets(KWS_DESK, NPS) && gets(NPS_DESK, KWS));
	assert_false(gets(KRCS_DESK, NPS));
	assert_false(gets(NPS_DESK, KRCS));
}

static void members_that_have_not_agreed_give_nothing(void **state)
{
	(void)state;
	add_force(FORCE(1, "\"NPS\",\"KRCS\",\"KWS\"", "2026-04-01T00:00:00Z"));
	sign(1, JK_ACT_ACCEPT, KRCS);
	sign(1, JK_ACT_ACCEPT, KWS);
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "A", AGREEMENT("A", 1, "taskforce:FLOOD", "taskforce:FLOOD", MUTUAL));
	sign(1, JK_ACT_PROPOSE, NPS);
	sign(1, JK_ACT_ACCEPT, KRCS);
	build();
	assert_true(gets(KWS_DESK, NPS) && gets(KWS_DESK, KRCS)); /* the lead has signed for those that get */
	assert_false(gets(NPS_DESK, KWS));
	assert_false(gets(KRCS_DESK, KWS));
}

static void without_its_task_force_an_agreement_gives_nothing(void **state)
{
	(void)state;
	pact_rows_add(&world.pacts, JK_PACT_AGREEMENT, "A", AGREEMENT("A", 1, "taskforce:FLOOD", "taskforce:FLOOD", MUTUAL));
	sign(1, JK_ACT_PROPOSE, NPS);
	sign(1, JK_ACT_ACCEPT, KRCS);
	build();
	assert_int_equal(world.registry->term_count, 0);
	assert_false(gets(KRCS_DESK, NPS));
}

static void verified_acts_are_remembered(void **state)
{
	(void)state;
	add_mutual();
	build();
	assert_int_equal(world.known.now.count, 2);
	build();
	assert_int_equal(world.known.now.count, 2);
	assert_int_equal(world.known.before.count, 2);
	world.pacts.act_count = 0;
	build();
	assert_int_equal(world.known.now.count, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_one_side_alone_wants_gives_nothing),
		TEST(either_side_stops_it),
		TEST(a_changed_document_closes_it),
		TEST(a_forged_signature_closes_it),
		TEST(a_key_that_may_not_sign_closes_it),
		TEST(a_revoked_key_keeps_what_it_signed_before),
		TEST(a_key_signs_while_it_is_valid),
		TEST(a_statutory_one_needs_an_operators_key),
		TEST(one_that_is_broken_leaves_the_others),
		TEST(who_is_revoked_neither_gives_nor_gets),
		TEST(a_term_says_what_the_agreement_says),
		TEST(the_named_desks_get_it_and_no_other),
		TEST(one_direction_only),
		TEST(the_newest_version_that_both_want_counts),
		TEST(a_statutory_minimum_reaches_everybody),
		TEST(members_share_while_they_are_members),
		TEST(who_has_left_sees_nothing_more),
		TEST(members_that_have_not_agreed_give_nothing),
		TEST(without_its_task_force_an_agreement_gives_nothing),
		TEST(verified_acts_are_remembered),
	};
	return cmocka_run_group_tests_name("agreements in a snapshot", tests, NULL, NULL);
}
