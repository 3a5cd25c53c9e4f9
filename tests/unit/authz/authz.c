/* The decision function: refusals first, then what is allowed, then every combination against a second formulation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "authz/authz.h"

enum { OWNER = 7, OTHER = 8, DESK = 70, OTHER_DESK = 80, NOW_US = 1000 };
#define BIT(n) (1U << (n))

static const struct jk_subject desk_of_other = {
	.agency_id = OTHER, .desk_id = DESK, .role = JK_ROLE_DESK, .realm = JK_REALM_LIVE};
static const struct jk_label public_green = {.owner_agency_id = OWNER,
	.county = "047",
	.categories = BIT(5) | BIT(7),
	.tlp = JK_TLP_GREEN,
	.scope = JK_SCOPE_PUBLIC,
	.status = JK_CAP_STATUS_ACTUAL};
/* Reaches everything a row can reach. */
static const struct jk_allow row_any = {
	.allow_id = 3, .desk_id = DESK, .owner_agency_id = -1, .tlp_ceiling = JK_TLP_AMBER_STRICT};

/* One row of the table: what differs from the three above, and the answer. */
struct refusal {
	const char *reason;
	struct jk_subject subject;
	struct jk_label label;
	struct jk_allow row;
};
#define SUBJECT(...)                                                                                                             \
	{                                                                                                                        \
		.agency_id = OTHER, .desk_id = DESK, .role = JK_ROLE_DESK, .realm = JK_REALM_LIVE, __VA_ARGS__                   \
	}
#define LABEL(...)                                                                                                               \
	{                                                                                                                        \
		.owner_agency_id = OWNER, .county = "047", .categories = BIT(5) | BIT(7), .tlp = JK_TLP_GREEN,                   \
		.scope = JK_SCOPE_PUBLIC, .status = JK_CAP_STATUS_ACTUAL, __VA_ARGS__                                            \
	}
#define ROW(...)                                                                                                                 \
	{                                                                                                                        \
		.allow_id = 3, .desk_id = DESK, .owner_agency_id = -1, .tlp_ceiling = JK_TLP_AMBER_STRICT, __VA_ARGS__           \
	}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif
static const struct refusal refusals[] = {
	{"the key is not valid in this realm", SUBJECT(.realm = JK_REALM_NONE), LABEL(), ROW()},
	{"the key is not valid in this realm", SUBJECT(.realm = 3), LABEL(), ROW()},
	{"the key belongs to no agency", SUBJECT(.agency_id = -1), LABEL(), ROW()},
	{"the key has no role", SUBJECT(.role = JK_ROLE_NONE), LABEL(), ROW()},
	{"the key has no role", SUBJECT(.role = 4), LABEL(), ROW()},
	{"the key has role DESK and no desk", SUBJECT(.desk_id = -1), LABEL(), ROW(.desk_id = -1)},
	{"an operator without a desk sees no content", SUBJECT(.role = JK_ROLE_OPERATOR, .desk_id = -1), LABEL(), ROW()},
	{"an operator without a desk sees no content", SUBJECT(.role = JK_ROLE_OPERATOR, .desk_id = -1, .agency_id = OWNER),
		LABEL(), ROW()},
	{"the owner is unknown", SUBJECT(), LABEL(.owner_agency_id = -1), ROW()},
	{"the copy has no category", SUBJECT(), LABEL(.categories = 0), ROW()},
	{"the copy has no category", SUBJECT(), LABEL(.categories = BIT(0) | BIT(13)), ROW()},
	{"the copy has no category", SUBJECT(.agency_id = OWNER), LABEL(.categories = 0), ROW()},
	{"the copy has no TLP label", SUBJECT(), LABEL(.tlp = JK_TLP_NONE), ROW()},
	{"the copy has no TLP label", SUBJECT(), LABEL(.tlp = 6), ROW(.tlp_ceiling = 7)},
	{"the copy has no scope", SUBJECT(), LABEL(.scope = JK_SCOPE_NONE), ROW()},
	{"the copy has no scope", SUBJECT(), LABEL(.scope = 4), ROW()},
	{"scope PRIVATE: only the owner", SUBJECT(), LABEL(.scope = JK_SCOPE_PRIVATE), ROW()},
	{"scope RESTRICTED: only the owner", SUBJECT(), LABEL(.scope = JK_SCOPE_RESTRICTED), ROW()},
	{"TLP:RED: only the owner", SUBJECT(), LABEL(.tlp = JK_TLP_RED), ROW(.tlp_ceiling = JK_TLP_RED)},
	{"a publisher sees only its own agency's copies", SUBJECT(.role = JK_ROLE_PUBLISHER, .desk_id = -1), LABEL(),
		ROW(.desk_id = -1)},
	{"the copy has no county", SUBJECT(), LABEL(.county = ""), ROW()},
	{"no agreement names this desk", SUBJECT(), LABEL(), ROW(.desk_id = OTHER_DESK)},
	{"no agreement names this desk", SUBJECT(), LABEL(), ROW(.desk_id = -1)},
	{"no agreement of this desk covers the owner", SUBJECT(), LABEL(), ROW(.owner_agency_id = OTHER)},
	{"no agreement with the owner covers the county", SUBJECT(), LABEL(), ROW(.county = "001")},
	{"no agreement for the county covers the category", SUBJECT(), LABEL(), ROW(.category = 6)},
	{"no agreement for the county covers the category", SUBJECT(), LABEL(.categories = 0xffff), ROW(.category = 13)},
	{"no agreement for the county covers the category", SUBJECT(), LABEL(), ROW(.category = 255)},
	{"the TLP label is above the agreement's ceiling", SUBJECT(), LABEL(.tlp = JK_TLP_AMBER),
		ROW(.tlp_ceiling = JK_TLP_GREEN)},
	{"the TLP label is above the agreement's ceiling", SUBJECT(), LABEL(.tlp = JK_TLP_CLEAR),
		ROW(.tlp_ceiling = JK_TLP_NONE)},
	{"the agreement is not in force yet", SUBJECT(), LABEL(), ROW(.valid_from_us = NOW_US + 1)},
	{"the agreement has ended", SUBJECT(), LABEL(), ROW(.valid_until_us = NOW_US)},
};

struct permission {
	int32_t allow_id;
	struct jk_subject subject;
	struct jk_label label;
	struct jk_allow row;
};
static const struct permission permissions[] = {
	/* The owner's own, whatever the label and without a row that helps. */
	{0, SUBJECT(.agency_id = OWNER), LABEL(), ROW(.desk_id = OTHER_DESK)},
	{0, SUBJECT(.agency_id = OWNER), LABEL(.tlp = JK_TLP_RED), ROW()},
	{0, SUBJECT(.agency_id = OWNER), LABEL(.scope = JK_SCOPE_PRIVATE), ROW()},
	{0, SUBJECT(.agency_id = OWNER), LABEL(.scope = JK_SCOPE_RESTRICTED, .county = ""), ROW()},
	{0, SUBJECT(.agency_id = OWNER, .role = JK_ROLE_PUBLISHER, .desk_id = -1), LABEL(.tlp = JK_TLP_RED), ROW()},
	/* By a row. */
	{3, SUBJECT(), LABEL(), ROW()},
	{3, SUBJECT(.realm = JK_REALM_EXERCISE), LABEL(), ROW()},
	{3, SUBJECT(.role = JK_ROLE_OPERATOR), LABEL(), ROW()},
	{3, SUBJECT(), LABEL(), ROW(.owner_agency_id = OWNER, .county = "047", .category = 5)},
	{3, SUBJECT(), LABEL(), ROW(.category = 7)},
	{3, SUBJECT(), LABEL(.status = JK_CAP_STATUS_TEST), ROW()},
	{3, SUBJECT(), LABEL(.tlp = JK_TLP_AMBER_STRICT), ROW()},
	{3, SUBJECT(), LABEL(), ROW(.tlp_ceiling = JK_TLP_GREEN)},
	{3, SUBJECT(), LABEL(), ROW(.valid_from_us = NOW_US, .valid_until_us = NOW_US + 1)},
};
#pragma GCC diagnostic pop

static void assert_denied(struct jk_decision decision, const char *reason)
{
	assert_string_equal(decision.reason, reason);
	assert_int_equal(decision.effect, JK_DENY);
	assert_int_equal(decision.allow_id, 0);
	assert_int_equal(decision.withheld, 0);
}

static void assert_allowed(struct jk_decision decision, int32_t allow_id)
{
	assert_int_equal(decision.effect, JK_ALLOW_REDACTED);
	assert_int_equal(decision.allow_id, allow_id);
	assert_int_equal(decision.withheld, BIT(JK_GROUP_REPORTER) | BIT(JK_GROUP_PERSONS));
	assert_string_equal(decision.reason, allow_id == 0 ? "the owner's own" : "allowed by an agreement");
}

static void refuses_with_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
		assert_denied(jk_authz_decide(&refusals[i].subject, &refusals[i].label, &refusals[i].row, 1, NOW_US),
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
	for (size_t i = 0; i < sizeof permissions / sizeof *permissions; i++)
		assert_allowed(jk_authz_decide(&permissions[i].subject, &permissions[i].label, &permissions[i].row, 1, NOW_US),
			permissions[i].allow_id);
}

/* The order of rows changes neither the answer nor the row that is named. */
static void names_the_lowest_row_that_matches(void **state)
{
	(void)state;
	struct jk_allow rows[] = {row_any, row_any, row_any, row_any};
	rows[0].allow_id = 9;
	rows[1].allow_id = 1, rows[1].category = 6;
	rows[2].allow_id = 4;
	rows[3].allow_id = 5;
	assert_allowed(jk_authz_decide(&desk_of_other, &public_green, rows, 4, NOW_US), 4);
	struct jk_allow first = rows[0];
	rows[0] = rows[2];
	rows[2] = first;
	assert_allowed(jk_authz_decide(&desk_of_other, &public_green, rows, 4, NOW_US), 4);
}

static void names_the_reason_of_the_row_that_went_furthest(void **state)
{
	(void)state;
	struct jk_allow rows[] = {row_any, row_any};
	rows[0].valid_until_us = NOW_US;
	rows[1].owner_agency_id = OTHER;
	assert_denied(jk_authz_decide(&desk_of_other, &public_green, rows, 2, NOW_US), "the agreement has ended");
}

/* The rule once more, as one expression over small domains. */
static bool expected(const struct jk_subject *s, const struct jk_label *l, const struct jk_allow *r)
{
	bool sound = s->realm != JK_REALM_NONE && s->agency_id >= 0 &&
		     ((s->role == JK_ROLE_PUBLISHER) ||
			     ((s->role == JK_ROLE_DESK || s->role == JK_ROLE_OPERATOR) && s->desk_id >= 0)) &&
		     l->owner_agency_id >= 0 && (l->categories & 0x1ffe) != 0 && l->tlp >= 1 && l->tlp <= 5 && l->scope >= 1 &&
		     l->scope <= 3;
	bool own = s->agency_id == l->owner_agency_id;
	bool shareable = l->scope == JK_SCOPE_PUBLIC && l->tlp != JK_TLP_RED && s->desk_id >= 0 && l->county[0] != '\0';
	bool row = r->desk_id == s->desk_id && (r->owner_agency_id < 0 || r->owner_agency_id == l->owner_agency_id) &&
		   (r->county[0] == '\0' || strcmp(r->county, l->county) == 0) &&
		   (r->category == 0 || (l->categories >> r->category & 1) != 0) && l->tlp <= r->tlp_ceiling &&
		   r->valid_from_us <= NOW_US && (r->valid_until_us == 0 || NOW_US < r->valid_until_us);
	return sound && (own || (shareable && row));
}

/* The digits of `n` in mixed radix pick one value of each domain, so that counting n up meets every combination. */
static int take(uint64_t *n, int size)
{
	int digit = (int)(*n % (unsigned)size);
	*n /= (unsigned)size;
	return digit;
}

static const int agencies[] = {-1, OWNER, OTHER};
static const int desks[] = {-1, DESK, OTHER_DESK};
static const char counties[][JK_COUNTY_BYTES] = {"", "047", "001"};
static const uint16_t category_sets[] = {0, BIT(5), BIT(5) | BIT(7)};
static const uint8_t row_categories[] = {0, 5, 6};
static const int64_t times_us[] = {0, NOW_US, NOW_US + 1};
enum { COMBINATIONS = 3 * 2 * 4 * 2 /* subject */ * 2 * 2 * 3 * 7 * 5 /* label */ * 2 * 2 * 2 * 3 * 3 * 3 * 3 /* row */ };

static void combine(uint64_t n, struct jk_subject *s, struct jk_label *l, struct jk_allow *r)
{
	*s = (struct jk_subject){.agency_id = agencies[take(&n, 3)],
		.desk_id = desks[take(&n, 2)],
		.role = (enum jk_role)take(&n, 4),
		.realm = (enum jk_realm)take(&n, 2)};
	*l = (struct jk_label){.owner_agency_id = agencies[take(&n, 2)]};
	memcpy(l->county, counties[take(&n, 2)], sizeof l->county);
	l->categories = category_sets[take(&n, 3)];
	l->tlp = (enum jk_tlp)take(&n, 7);
	l->scope = (enum jk_scope)take(&n, 5);
	*r = (struct jk_allow){.allow_id = 3, .desk_id = desks[1 + take(&n, 2)], .owner_agency_id = agencies[2 * take(&n, 2)]};
	memcpy(r->county, counties[2 * take(&n, 2)], sizeof r->county);
	r->category = row_categories[take(&n, 3)];
	r->tlp_ceiling = (enum jk_tlp)(2 * take(&n, 3));
	r->valid_from_us = times_us[take(&n, 3)];
	r->valid_until_us = times_us[take(&n, 3)];
}

static void every_combination_is_as_expected(void **state)
{
	(void)state;
	uint64_t allowed = 0;
	struct jk_subject s;
	struct jk_label l;
	struct jk_allow r;

	for (uint64_t n = 0; n < COMBINATIONS; n++) {
		combine(n, &s, &l, &r);
		struct jk_decision decision = jk_authz_decide(&s, &l, &r, 1, NOW_US);
		if ((decision.effect == JK_ALLOW_REDACTED) != expected(&s, &l, &r))
			fail_msg("combination %llu: %s", (unsigned long long)n, decision.reason);
		if (decision.reason == NULL || decision.effect == JK_ALLOW)
			fail_msg("combination %llu gives no reason, or a copy that is not redacted", (unsigned long long)n);
		allowed += decision.effect != JK_DENY;
	}
	assert_true(allowed > COMBINATIONS / 1000 && allowed < COMBINATIONS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_with_its_reason),
		cmocka_unit_test(an_empty_registry_denies_everybody),
		cmocka_unit_test(allows_what_the_table_says),
		cmocka_unit_test(names_the_lowest_row_that_matches),
		cmocka_unit_test(names_the_reason_of_the_row_that_went_furthest),
		cmocka_unit_test(every_combination_is_as_expected),
	};
	return cmocka_run_group_tests_name("authz", tests, NULL, NULL);
}
