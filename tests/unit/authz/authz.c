/* The decision function: refusals first, then what is allowed, then which of several terms counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "authz/authz.h"

enum { OWNER = 7, OTHER = 8, DESK = 70 };
#define DAY_US INT64_C(86400000000)
#define NOW_US (100 * DAY_US)
#define BIT(n) (1U << (n))
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const desk_named[] = {"NPS-1", "KRCS-047"};
static const char *const agency_named[] = {"KRCS"};
static const char *const nobody_named[] = {"", "KRCS-04", "KRCS-0477", "krcs-047", "NPS"};

/* One row of the table: what differs from these three, and the answer. */
#define SUBJECT(...)                                                                                                             \
	{                                                                                                                        \
		.agency_id = OTHER, .desk_id = DESK, .role = JK_ROLE_DESK, .realm = JK_REALM_LIVE, .use = JK_USE_VIEW,           \
		.desk_code = "KRCS-047", .agency_code = "KRCS", __VA_ARGS__                                                      \
	}
#define LABEL(...)                                                                                                               \
	{                                                                                                                        \
		.owner_agency_id = OWNER, .county = "047", .categories = BIT(5) | BIT(7), .severity = JK_SEVERITY_SEVERE,        \
		.tlp = JK_TLP_GREEN, .scope = JK_SCOPE_PUBLIC, .status = JK_CAP_STATUS_ACTUAL, __VA_ARGS__                       \
	}
/* Reaches everything a term can reach. */
#define TERM(...)                                                                                                                \
	{                                                                                                                        \
		.pact_id = 3, .code = "A", .version = 1, .owner_agency_id = -1, .counties = UINT64_MAX,                          \
		.categories = UINT16_MAX, .tlp_ceiling = JK_TLP_RED, .uses = UINT16_MAX, .profile = JK_PROFILE_FULL,             \
		.withheld = JK_GROUPS_PROTECTED, __VA_ARGS__                                                                     \
	}
#define NAMED(list) .named = (list), .named_count = COUNT(list)

struct refusal {
	const char *reason;
	struct jk_subject subject;
	struct jk_label label;
	struct jk_term term;
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif
static const struct jk_subject desk_of_other = SUBJECT();
static const struct jk_label public_green = LABEL();
static const struct jk_term term_any = TERM();
static const struct refusal refusals[] = {
	{"the key is not valid in this realm", SUBJECT(.realm = JK_REALM_NONE), LABEL(), TERM()},
	{"the key is not valid in this realm", SUBJECT(.realm = 3), LABEL(), TERM()},
	{"the key belongs to no agency", SUBJECT(.agency_id = -1), LABEL(), TERM()},
	{"it is not said what the copy is for", SUBJECT(.use = JK_USE_NONE), LABEL(), TERM()},
	{"it is not said what the copy is for", SUBJECT(.use = 5), LABEL(), TERM()},
	{"it is not said what the copy is for", SUBJECT(.use = JK_USE_NONE, .agency_id = OWNER), LABEL(), TERM()},
	{"the key has no role", SUBJECT(.role = JK_ROLE_NONE), LABEL(), TERM()},
	{"the key has no role", SUBJECT(.role = 4), LABEL(), TERM()},
	{"the key has role DESK and no desk", SUBJECT(.desk_id = -1), LABEL(), TERM()},
	{"an operator without a desk sees no content", SUBJECT(.role = JK_ROLE_OPERATOR, .desk_id = -1), LABEL(), TERM()},
	{"an operator without a desk sees no content", SUBJECT(.role = JK_ROLE_OPERATOR, .desk_id = -1, .agency_id = OWNER),
		LABEL(), TERM()},
	{"the owner is unknown", SUBJECT(), LABEL(.owner_agency_id = -1), TERM()},
	{"the copy has no category", SUBJECT(), LABEL(.categories = 0), TERM()},
	{"the copy has no category", SUBJECT(), LABEL(.categories = BIT(0) | BIT(13)), TERM()},
	{"the copy has no category", SUBJECT(.agency_id = OWNER), LABEL(.categories = 0), TERM()},
	{"the copy has no TLP label", SUBJECT(), LABEL(.tlp = JK_TLP_NONE), TERM()},
	{"the copy has no TLP label", SUBJECT(), LABEL(.tlp = 6), TERM(.tlp_ceiling = 7)},
	{"the copy has no scope", SUBJECT(), LABEL(.scope = JK_SCOPE_NONE), TERM()},
	{"the copy has no scope", SUBJECT(), LABEL(.scope = 4), TERM()},
	{"the copy has no status of those that are stored", SUBJECT(), LABEL(.status = JK_CAP_STATUS_NONE), TERM()},
	{"the copy has no status of those that are stored", SUBJECT(), LABEL(.status = JK_CAP_STATUS_DRAFT), TERM()},
	{"the copy has no status of those that are stored", SUBJECT(.agency_id = OWNER), LABEL(.status = 99), TERM()},
	{"a publisher sees only its own agency's copies", SUBJECT(.role = JK_ROLE_PUBLISHER, .desk_id = -1), LABEL(), TERM()},
	{"the copy has no county", SUBJECT(), LABEL(.county = ""), TERM()},
	{"the copy has no county", SUBJECT(), LABEL(.county = "000"), TERM()},
	{"the copy has no county", SUBJECT(), LABEL(.county = "048"), TERM()},
	{"the copy has no county", SUBJECT(), LABEL(.county = "47"), TERM()},
	{"the copy has no county", SUBJECT(), LABEL(.county = {'0', '4', '7', '0'}), TERM()},
	{"scope PRIVATE: only the owner and whom it names", SUBJECT(), LABEL(.scope = JK_SCOPE_PRIVATE), TERM()},
	{"scope PRIVATE: only the owner and whom it names", SUBJECT(), LABEL(.scope = JK_SCOPE_PRIVATE, NAMED(nobody_named)),
		TERM()},
	{"scope PRIVATE: only the owner and whom it names", SUBJECT(.desk_code = "", .agency_code = NULL),
		LABEL(.scope = JK_SCOPE_PRIVATE, NAMED(nobody_named)), TERM()},
	{"scope RESTRICTED: only the owner and whom it names", SUBJECT(), LABEL(.scope = JK_SCOPE_RESTRICTED), TERM()},
	{"scope RESTRICTED: only the owner and whom it names", SUBJECT(),
		LABEL(.scope = JK_SCOPE_RESTRICTED, NAMED(nobody_named)), TERM()},
	{"TLP:RED: only the owner and the desks it names", SUBJECT(), LABEL(.tlp = JK_TLP_RED), TERM()},
	{"TLP:RED: only the owner and the desks it names", SUBJECT(), LABEL(.tlp = JK_TLP_RED, NAMED(agency_named)), TERM()},
	{"TLP:RED: only the owner and the desks it names", SUBJECT(),
		LABEL(.tlp = JK_TLP_RED, .scope = JK_SCOPE_PRIVATE, NAMED(agency_named)), TERM()},
	/* Named, and no agreement that reaches the label. */
	{"the TLP label is above the agreement's ceiling", SUBJECT(), LABEL(.tlp = JK_TLP_RED, NAMED(desk_named)),
		TERM(.tlp_ceiling = JK_TLP_AMBER_STRICT)},
	{"no agreement of this desk covers the owner", SUBJECT(), LABEL(), TERM(.owner_agency_id = OTHER)},
	{"no agreement of this desk covers the owner", SUBJECT(), LABEL(), TERM(.owner_agency_id = OWNER - 1)},
	{"the owner shares under agreements alone", SUBJECT(), LABEL(.owner_agreements_only = true),
		TERM(.pact_id = 0, .allow_id = 3)},
	{"no agreement with the owner covers the county", SUBJECT(), LABEL(), TERM(.counties = 0)},
	{"no agreement with the owner covers the county", SUBJECT(), LABEL(), TERM(.counties = ~(UINT64_C(1) << 47))},
	{"no agreement with the owner covers the county", SUBJECT(), LABEL(.county = "001"), TERM(.counties = 1)},
	{"no agreement for the county covers the category", SUBJECT(), LABEL(), TERM(.categories = 0)},
	{"no agreement for the county covers the category", SUBJECT(), LABEL(), TERM(.categories = BIT(6))},
	{"no agreement for the county covers the category", SUBJECT(), LABEL(.categories = 0xffff),
		TERM(.categories = BIT(0) | BIT(13))},
	{"the severity is below the agreement's floor", SUBJECT(), LABEL(), TERM(.severity_floor = JK_SEVERITY_EXTREME)},
	{"the severity is below the agreement's floor", SUBJECT(), LABEL(.severity = JK_SEVERITY_NONE),
		TERM(.severity_floor = JK_SEVERITY_MINOR)},
	{"the severity is below the agreement's floor", SUBJECT(), LABEL(.severity = JK_SEVERITY_UNKNOWN),
		TERM(.severity_floor = JK_SEVERITY_MINOR)},
	{"the severity is below the agreement's floor", SUBJECT(), LABEL(.severity = JK_SEVERITY_EXTREME),
		TERM(.severity_floor = JK_SEVERITY_UNKNOWN)},
	{"the TLP label is above the agreement's ceiling", SUBJECT(), LABEL(.tlp = JK_TLP_AMBER),
		TERM(.tlp_ceiling = JK_TLP_GREEN)},
	{"the TLP label is above the agreement's ceiling", SUBJECT(), LABEL(.tlp = JK_TLP_CLEAR),
		TERM(.tlp_ceiling = JK_TLP_NONE)},
	{"no agreement permits this use", SUBJECT(), LABEL(), TERM(.uses = 0)},
	{"no agreement permits this use", SUBJECT(.use = JK_USE_NOTIFY), LABEL(), TERM(.uses = BIT(JK_USE_VIEW))},
	{"the agreement names no profile", SUBJECT(), LABEL(), TERM(.profile = JK_PROFILE_NONE, .withheld = 0)},
	{"the agreement names no profile", SUBJECT(), LABEL(), TERM(.profile = JK_PROFILE_COUNT, .withheld = 0)},
	{"the agreement is not in force yet", SUBJECT(), LABEL(), TERM(.from_us = NOW_US + 1)},
	{"the agreement has ended", SUBJECT(), LABEL(), TERM(.until_us = NOW_US)},
	{"the agreement has ended", SUBJECT(), LABEL(), TERM(.until_us = -1)},
	{"the agreement's time of keeping is over for it", SUBJECT(), LABEL(.recorded_at_us = NOW_US - DAY_US - 1),
		TERM(.retention_days = 1)},
	{"the agreement's time of keeping is over for it", SUBJECT(), LABEL(.recorded_at_us = 1), TERM(.retention_days = 99)},
	/* Unknown when. */
	{"the agreement's time of keeping is over for it", SUBJECT(), LABEL(), TERM(.retention_days = UINT32_MAX)},
	{"the agreement's time of keeping is over for it", SUBJECT(), LABEL(.recorded_at_us = -1),
		TERM(.retention_days = UINT32_MAX)},
};

struct permission {
	int32_t pact_id; /* -1: the owner's own */
	uint32_t withheld;
	struct jk_subject subject;
	struct jk_label label;
	struct jk_term term;
};
static const struct permission permissions[] = {
	/* The owner's own, whatever the label and without a term that helps. */
	{-1, 0, SUBJECT(.agency_id = OWNER), LABEL(), TERM(.owner_agency_id = OTHER)},
	{-1, 0, SUBJECT(.agency_id = OWNER), LABEL(.tlp = JK_TLP_RED), TERM()},
	{-1, 0, SUBJECT(.agency_id = OWNER), LABEL(.scope = JK_SCOPE_PRIVATE), TERM()},
	{-1, 0, SUBJECT(.agency_id = OWNER), LABEL(.scope = JK_SCOPE_RESTRICTED, .county = ""), TERM()},
	{-1, 0, SUBJECT(.agency_id = OWNER, .role = JK_ROLE_PUBLISHER, .desk_id = -1), LABEL(.tlp = JK_TLP_RED), TERM()},
	{-1, 0, SUBJECT(.agency_id = OWNER), LABEL(.recorded_at_us = 1), TERM(.retention_days = 1)},
	/* By a term. */
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(), TERM()},
	{3, 0, SUBJECT(), LABEL(), TERM(.withheld = 0)},
	{3, JK_GROUPS_PROTECTED, SUBJECT(.realm = JK_REALM_EXERCISE), LABEL(), TERM()},
	{3, JK_GROUPS_PROTECTED, SUBJECT(.role = JK_ROLE_OPERATOR), LABEL(), TERM()},
	{3, JK_GROUPS_PROTECTED, SUBJECT(.use = JK_USE_RESPOND), LABEL(), TERM(.uses = BIT(JK_USE_RESPOND))},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.owner_agreements_only = true), TERM(.owner_agency_id = OWNER)},
	{0, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(), TERM(.pact_id = 0, .allow_id = 5)},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(), TERM(.counties = UINT64_C(1) << 47, .categories = BIT(5))},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.county = "001"), TERM(.counties = 2, .categories = BIT(7))},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.status = JK_CAP_STATUS_TEST), TERM()},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(), TERM(.severity_floor = JK_SEVERITY_SEVERE)},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.severity = JK_SEVERITY_UNKNOWN), TERM()},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.tlp = JK_TLP_AMBER_STRICT), TERM(.tlp_ceiling = JK_TLP_AMBER_STRICT)},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.tlp = JK_TLP_RED, NAMED(desk_named)), TERM()},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.scope = JK_SCOPE_PRIVATE, NAMED(agency_named)), TERM()},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.scope = JK_SCOPE_RESTRICTED, NAMED(desk_named)), TERM()},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(), TERM(.from_us = NOW_US, .until_us = NOW_US + 1)},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.recorded_at_us = NOW_US - DAY_US), TERM(.retention_days = 1)},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.recorded_at_us = NOW_US), TERM(.retention_days = 1)},
	/* By a clock that is ahead of ours. */
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.recorded_at_us = NOW_US + 9 * DAY_US), TERM(.retention_days = 1)},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.recorded_at_us = 1), TERM(.retention_days = UINT32_MAX)},
	{3, JK_GROUPS_PROTECTED, SUBJECT(), LABEL(.recorded_at_us = 1), TERM()},
};

static void assert_denied(struct jk_decision decision, const char *reason)
{
	assert_string_equal(decision.reason, reason);
	assert_int_equal(decision.effect, JK_DENY);
	assert_null(decision.term);
	assert_int_equal(decision.withheld, UINT32_MAX);
}

static void refuses_with_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refusals); i++)
		assert_denied(jk_authz_decide(&refusals[i].subject, &refusals[i].label, &refusals[i].term, 1, NOW_US),
			refusals[i].reason);
}

static void an_empty_registry_denies_everybody(void **state)
{
	(void)state;
	for (int tlp = JK_TLP_CLEAR; tlp <= JK_TLP_RED; tlp++) {
		struct jk_label label = public_green;
		label.tlp = (enum jk_tlp)tlp;
		assert_int_equal(jk_authz_decide(&desk_of_other, &label, NULL, 0, NOW_US).effect, JK_DENY);
	}
	assert_denied(jk_authz_decide(&desk_of_other, &public_green, NULL, 0, NOW_US), "no agreement names this desk");
}

static void allows_what_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(permissions); i++) {
		const struct permission *row = &permissions[i];
		struct jk_decision decision = jk_authz_decide(&row->subject, &row->label, &row->term, 1, NOW_US);

		assert_int_equal(decision.effect, row->withheld == 0 ? JK_ALLOW : JK_ALLOW_REDACTED);
		assert_int_equal(decision.withheld, row->withheld);
		assert_string_equal(decision.reason, row->pact_id < 0 ? "the owner's own" : "allowed by an agreement");
		assert_ptr_equal(decision.term, row->pact_id < 0 ? NULL : &row->term);
	}
}

static void of_several_the_one_that_withholds_least_counts(void **state)
{
	(void)state;
	const uint32_t coarse = jk_profile_withheld(JK_PROFILE_COARSE_PLACE), full = jk_profile_withheld(JK_PROFILE_FULL);
	/* In the order the caller owes: every owner first, then by owner, pact and row. */
	struct jk_term terms[] = {
		TERM(.pact_id = 0, .allow_id = 9, .counties = 1),
		TERM(.pact_id = 4, .profile = JK_PROFILE_COARSE_PLACE, .withheld = coarse),
		TERM(.owner_agency_id = OWNER - 1, .pact_id = 1, .withheld = 0),
		TERM(.owner_agency_id = OWNER, .pact_id = 0, .allow_id = 6, .until_us = NOW_US),
		TERM(.owner_agency_id = OWNER, .pact_id = 0, .allow_id = 7),
		TERM(.owner_agency_id = OWNER, .pact_id = 0, .allow_id = 8),
		TERM(.owner_agency_id = OWNER, .pact_id = 2, .profile = JK_PROFILE_COARSE_PLACE, .withheld = coarse),
		TERM(.owner_agency_id = OWNER, .pact_id = 5, .withheld = full & ~BIT(JK_GROUP_REPORTER)),
		TERM(.owner_agency_id = OWNER, .pact_id = 6, .withheld = full & ~BIT(JK_GROUP_PERSONS)),
		TERM(.owner_agency_id = OWNER + 1, .pact_id = 1, .withheld = 0),
	};
	struct jk_label label = public_green;

	assert_ptr_equal(jk_authz_decide(&desk_of_other, &label, terms, COUNT(terms), NOW_US).term, &terms[7]);
	terms[7].counties = terms[8].counties = 0;
	assert_ptr_equal(jk_authz_decide(&desk_of_other, &label, terms, COUNT(terms), NOW_US).term, &terms[4]);
	label.owner_agreements_only = true;
	assert_ptr_equal(jk_authz_decide(&desk_of_other, &label, terms, COUNT(terms), NOW_US).term, &terms[6]);
	terms[6].counties = 0;
	assert_ptr_equal(jk_authz_decide(&desk_of_other, &label, terms, COUNT(terms), NOW_US).term, &terms[1]);
}

static void names_the_reason_of_the_term_that_went_furthest(void **state)
{
	(void)state;
	struct jk_term terms[] = {term_any, term_any};
	terms[0].counties = 0;
	terms[1].owner_agency_id = OWNER;
	terms[1].until_us = NOW_US;
	assert_denied(jk_authz_decide(&desk_of_other, &public_green, terms, 2, NOW_US), "the agreement has ended");
}
#pragma GCC diagnostic pop

/* Each profile shows what the one before it shows, less something: so "least withheld" has an order. */
static void profiles_are_nested_and_show_no_people_and_no_free_text(void **state)
{
	(void)state;
	static const uint32_t free_text = BIT(JK_GROUP_NARRATIVE) | BIT(JK_GROUP_RESOURCES) | BIT(JK_GROUP_WORDS);

	assert_int_equal(jk_profile_withheld(JK_PROFILE_FULL) & BIT(JK_GROUP_WORK), 0);
	for (int profile = JK_PROFILE_FULL; profile < JK_PROFILE_COUNT; profile++) {
		uint32_t withheld = jk_profile_withheld((enum jk_profile)profile);

		assert_int_equal(withheld & JK_GROUPS_PROTECTED, JK_GROUPS_PROTECTED);
		assert_int_equal(jk_profile_find(jk_profile_name((enum jk_profile)profile)), profile);
		if (profile == JK_PROFILE_FULL)
			continue;
		assert_int_equal(withheld & free_text, free_text);
		assert_int_equal(withheld & BIT(JK_GROUP_WORK), BIT(JK_GROUP_WORK)); /* what was done: FULL alone */
		assert_int_equal(withheld & 1U << 31, 1U << 31);                     /* a group of tomorrow too */
		assert_int_equal(jk_profile_withheld((enum jk_profile)(profile - 1)) & ~withheld, 0);
		assert_int_not_equal(jk_profile_withheld((enum jk_profile)(profile - 1)), withheld);
	}
	assert_int_equal(jk_profile_withheld(JK_PROFILE_FULL), JK_GROUPS_PROTECTED);
	assert_int_equal(jk_profile_withheld(JK_PROFILE_NONE), UINT32_MAX);
	assert_int_equal(jk_profile_withheld(JK_PROFILE_COUNT), UINT32_MAX);
	assert_int_equal(jk_profile_withheld((enum jk_profile) - 1), UINT32_MAX);
	assert_string_equal(jk_profile_name(JK_PROFILE_COUNT), "");
	assert_int_equal(jk_profile_find(""), JK_PROFILE_NONE);
	assert_int_equal(jk_profile_find("FULL"), JK_PROFILE_NONE);
	assert_int_equal(jk_profile_find("FULL@2"), JK_PROFILE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_with_its_reason),
		cmocka_unit_test(an_empty_registry_denies_everybody),
		cmocka_unit_test(allows_what_the_table_says),
		cmocka_unit_test(of_several_the_one_that_withholds_least_counts),
		cmocka_unit_test(names_the_reason_of_the_term_that_went_furthest),
		cmocka_unit_test(profiles_are_nested_and_show_no_people_and_no_free_text),
	};
	return cmocka_run_group_tests_name("authz", tests, NULL, NULL);
}
