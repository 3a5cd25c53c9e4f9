/* 100,000 random cases, and every boundary of a table of parties x labels x agreements x time, decided twice: by common/authz and
 * by the reference of this folder. The cases follow from a number: the one that fails is named and can be had again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

enum { CASES = 100000, TERMS = 12, NAMES = 3 };
#define DAY_US INT64_C(86400000000)
#define NOW_US (100 * DAY_US)
#define COUNT(array) (sizeof(array) / sizeof *(array))

struct given {
	struct jk_subject subject;
	struct jk_label label;
	const char *named[NAMES];
	struct jk_term terms[TERMS];
	size_t count;
	int64_t now_us;
};

/* ---- the same for both ---- */

/* Allowed, to how many groups; the two must agree. */
static bool compare(const struct given *given, const char *what, uint64_t number)
{
	struct jk_decision decision = jk_authz_decide(&given->subject, &given->label, given->terms, given->count, given->now_us);
	struct reference_answer answer =
		reference_decide(&given->subject, &given->label, given->terms, given->count, given->now_us);

	if ((decision.effect != JK_DENY) != answer.gets)
		fail_msg("%s %llu: %s, and the reference says %s", what, (unsigned long long)number, decision.reason,
			answer.gets ? "yes" : "no");
	if (decision.term != answer.term)
		fail_msg("%s %llu: term %td, and the reference says %td", what, (unsigned long long)number,
			decision.term == NULL ? -1 : decision.term - given->terms,
			answer.term == NULL ? -1 : answer.term - given->terms);
	for (int group = 0; group < 32; group++)
		if ((decision.withheld >> group & 1) == answer.shown[group])
			fail_msg("%s %llu: group %d", what, (unsigned long long)number, group);
	if (decision.reason == NULL || decision.effect != (!answer.gets                    ? JK_DENY
								  : decision.withheld == 0 ? JK_ALLOW
											   : JK_ALLOW_REDACTED))
		fail_msg("%s %llu: effect %d", what, (unsigned long long)number, (int)decision.effect);
	return answer.gets;
}

static int compare_terms(const void *a, const void *b)
{
	const struct jk_term *left = a, *right = b;

	if (left->owner_agency_id != right->owner_agency_id)
		return left->owner_agency_id < right->owner_agency_id ? -1 : 1;
	if (left->pact_id != right->pact_id)
		return left->pact_id < right->pact_id ? -1 : 1;
	return (left->allow_id > right->allow_id) - (left->allow_id < right->allow_id);
}

/* ---- random ---- */

/* splitmix64: any number gives a sequence of its own. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static int pick(uint64_t *state, int from, int to)
{
	return from + (int)(draw(state) % (uint64_t)(to - from + 1));
}

static bool rarely(uint64_t *state)
{
	return pick(state, 0, 19) == 0;
}

static const char *const codes[] = {"", "KRCS", "KRCS-047", "NPS", "NPS-1", "KRCS-04", "krcs"};

static void draw_subject(uint64_t *state, struct jk_subject *ret)
{
	*ret = (struct jk_subject){
		.agency_id = rarely(state) ? -1 : pick(state, 1, 4),
		.desk_id = rarely(state) ? -1 : 70,
		.role = (enum jk_role)(rarely(state) ? pick(state, 0, 4) : JK_ROLE_DESK),
		.realm = (enum jk_realm)(rarely(state) ? pick(state, 0, 3) : JK_REALM_LIVE),
		.use = (enum jk_use)(rarely(state) ? pick(state, 0, 5) : pick(state, 1, 4)),
		.desk_code = codes[pick(state, 0, COUNT(codes) - 1)],
		.agency_code = rarely(state) ? NULL : codes[pick(state, 0, COUNT(codes) - 1)],
	};
}

static void draw_label(uint64_t *state, struct given *given)
{
	static const char counties[][JK_COUNTY_BYTES] = {"001", "002", "047", "046", "000", "048", "", "47", "4 7"};

	given->label = (struct jk_label){
		.owner_agency_id = rarely(state) ? -1 : pick(state, 1, 4),
		.categories =
			(uint16_t)(rarely(state) ? draw(state) | 0xe001 : 1U << pick(state, 1, 12) | 1U << pick(state, 1, 12)),
		.severity = (uint8_t)(rarely(state) ? pick(state, 0, 255) : pick(state, 0, 5)),
		.tlp = (enum jk_tlp)(rarely(state) ? pick(state, 0, 7) : pick(state, 1, 5)),
		.scope = (enum jk_scope)(rarely(state) ? pick(state, 0, 5) : pick(state, 1, 3)),
		.status = (enum jk_cap_status)(rarely(state) ? pick(state, 0, 6) : pick(state, 1, 4)),
		.named = given->named,
		.named_count = (size_t)pick(state, 0, NAMES),
		.owner_agreements_only = pick(state, 0, 3) == 0,
		.recorded_at_us = rarely(state) ? pick(state, -1, 1) : NOW_US + pick(state, -4, 1) * DAY_US + pick(state, -1, 1),
	};
	memcpy(given->label.county, counties[rarely(state) ? pick(state, 4, 8) : pick(state, 0, 3)], JK_COUNTY_BYTES);
	for (int i = 0; i < NAMES; i++)
		given->named[i] = codes[pick(state, 0, COUNT(codes) - 1)];
}

static void draw_term(uint64_t *state, struct jk_term *ret)
{
	enum jk_profile profile = (enum jk_profile)(rarely(state) ? pick(state, 0, 7) : pick(state, 1, 5));
	uint64_t most = draw(state) | draw(state) | draw(state);

	*ret = (struct jk_term){
		.pact_id = pick(state, 0, 5),
		.version = 1,
		.code = "A",
		.owner_agency_id = pick(state, 0, 3) == 0 ? -1 : pick(state, 1, 4),
		.counties = rarely(state) ? 0 : most,
		.categories = (uint16_t)(rarely(state) ? pick(state, 0, 1) * 0xe001 : most >> 3),
		.severity_floor = (uint8_t)(pick(state, 0, 1) ? 0 : pick(state, 0, 6)),
		.tlp_ceiling = (enum jk_tlp)(rarely(state) ? pick(state, 0, 7) : pick(state, 2, 5)),
		.uses = (uint16_t)(rarely(state) ? draw(state) : most >> 5),
		.withheld = jk_profile_withheld(profile) & (pick(state, 0, 2) ? UINT32_MAX : ~(1U << pick(state, 9, 10))),
		.profile = profile,
		.retention_days = (uint32_t)(pick(state, 0, 1) ? 0 : pick(state, 1, 5)),
		.from_us = pick(state, 0, 3) ? 0 : NOW_US + pick(state, -1, 1),
		.until_us = pick(state, 0, 3) ? 0 : NOW_US + pick(state, -1, 1),
	};
}

static void draw_case(uint64_t number, struct given *ret)
{
	uint64_t state = number;

	memset(ret, 0, sizeof *ret);
	draw_subject(&state, &ret->subject);
	draw_label(&state, ret);
	ret->count = (size_t)pick(&state, 0, TERMS);
	ret->now_us = NOW_US;
	for (size_t i = 0; i < ret->count; i++)
		draw_term(&state, &ret->terms[i]);
	/* No two terms are equal in what they are ordered by, as in a registry. */
	for (size_t i = 0; i < ret->count; i++)
		ret->terms[i].allow_id = (int32_t)i + 1;
	qsort(ret->terms, ret->count, sizeof *ret->terms, compare_terms);
	for (size_t i = 1; i < ret->count; i++)
		assert_true(compare_terms(&ret->terms[i - 1], &ret->terms[i]) < 0);
}

static void random_cases_agree_with_the_reference(void **state)
{
	(void)state;
	static struct given given;
	uint64_t gets = 0, redacted = 0, named = 0;

	for (uint64_t number = 1; number <= CASES; number++) {
		draw_case(number, &given);
		if (!compare(&given, "case", number))
			continue;
		gets++;
		redacted += given.subject.agency_id != given.label.owner_agency_id;
		named += given.subject.agency_id != given.label.owner_agency_id && given.label.scope != JK_SCOPE_PUBLIC;
	}
	/* The cases are worth something: many say yes, many no, and all kinds of yes are there. */
	assert_true(gets > CASES / 5 && gets < CASES * 4 / 5);
	assert_true(redacted > CASES / 20 && named > CASES / 200);
}

/* ---- boundaries ---- */

/* Digits of n in mixed radix pick a value of each, so that counting n up meets every combination. */
static int take(uint64_t *n, int size)
{
	int digit = (int)(*n % (unsigned)size);

	*n /= (unsigned)size;
	return digit;
}

enum {
	PARTIES = 6,
	LABELS = 7 /* tlp */ * 5 /* scope */ * 4 /* named */ * 4 /* severity */ * 2 /* county */,
	AGREEMENTS = 4 /* ceiling */ * 3 /* floor */ * 2 /* every owner or one */ * 2 /* row or pact */ * 2 /* policy */,
	IN_FORCE = 3 * 3,
	AGES = 3, /* under a term with a day of keeping */
	TIMES = IN_FORCE + AGES,
	COMBINATIONS = PARTIES * LABELS * AGREEMENTS * TIMES
};

static void combine(uint64_t n, struct given *ret)
{
	static const struct jk_subject parties[PARTIES] = {
		{1, 10, JK_ROLE_DESK, JK_REALM_LIVE, JK_USE_VIEW, "NPS-1", "NPS"},     /* the owner's desk */
		{1, -1, JK_ROLE_PUBLISHER, JK_REALM_LIVE, JK_USE_VIEW, "", "NPS"},     /* the owner's publisher */
		{2, 70, JK_ROLE_DESK, JK_REALM_LIVE, JK_USE_VIEW, "KRCS-047", "KRCS"}, /* the other's desk */
		{2, 70, JK_ROLE_OPERATOR, JK_REALM_LIVE, JK_USE_CASE, "KRCS-047", "KRCS"},
		{2, -1, JK_ROLE_PUBLISHER, JK_REALM_LIVE, JK_USE_VIEW, "", "KRCS"},
		{2, 70, JK_ROLE_DESK, JK_REALM_LIVE, JK_USE_NOTIFY, "KRCS-047", "KRCS"}, /* not among the uses */
	};
	static const char *const named[] = {NULL, "KRCS", "KRCS-047", "KRCS-04"};
	static const uint8_t severities[] = {0, JK_SEVERITY_SEVERE, JK_SEVERITY_MODERATE, JK_SEVERITY_UNKNOWN};
	static const uint8_t floors[] = {0, JK_SEVERITY_SEVERE, JK_SEVERITY_UNKNOWN};
	static const int64_t times_us[] = {0, NOW_US, NOW_US + 1};
	static const int64_t recorded_us[AGES] = {0, NOW_US - DAY_US, NOW_US - DAY_US - 1};
	const char *name;
	int time;

	*ret = (struct given){.count = 1, .now_us = NOW_US};
	ret->subject = parties[take(&n, PARTIES)];
	ret->label = (struct jk_label){
		.owner_agency_id = 1, .categories = 1 << 5, .status = JK_CAP_STATUS_ACTUAL, .named = ret->named};
	ret->label.tlp = (enum jk_tlp)take(&n, 7);
	ret->label.scope = (enum jk_scope)take(&n, 5);
	name = named[take(&n, 4)];
	ret->named[0] = name;
	ret->label.named_count = name != NULL;
	ret->label.severity = severities[take(&n, 4)];
	memcpy(ret->label.county, take(&n, 2) ? "047" : "001", JK_COUNTY_BYTES);
	ret->terms[0] = (struct jk_term){.code = "A",
		.version = 1,
		.counties = UINT64_C(1) << 47,
		.categories = 1 << 5,
		.uses = 1 << JK_USE_VIEW | 1 << JK_USE_CASE,
		.profile = JK_PROFILE_COARSE_PLACE,
		.withheld = jk_profile_withheld(JK_PROFILE_COARSE_PLACE)};
	ret->terms[0].tlp_ceiling = (enum jk_tlp)(2 + take(&n, 4));
	ret->terms[0].severity_floor = floors[take(&n, 3)];
	ret->terms[0].owner_agency_id = take(&n, 2) ? 1 : -1;
	ret->terms[0].pact_id = take(&n, 2);
	ret->label.owner_agreements_only = take(&n, 2);
	time = take(&n, TIMES);
	if (time < IN_FORCE) {
		ret->terms[0].from_us = times_us[time % 3];
		ret->terms[0].until_us = times_us[time / 3];
	} else {
		ret->label.recorded_at_us = recorded_us[time - IN_FORCE];
		ret->terms[0].retention_days = 1;
	}
}

static void every_boundary_agrees_with_the_reference(void **state)
{
	(void)state;
	struct given given;
	uint64_t gets = 0;

	for (uint64_t n = 0; n < COMBINATIONS; n++) {
		combine(n, &given);
		gets += compare(&given, "combination", n);
	}
	assert_true(gets > COMBINATIONS / 10 && gets < COMBINATIONS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_cases_agree_with_the_reference),
		cmocka_unit_test(every_boundary_agrees_with_the_reference),
	};
	return cmocka_run_group_tests_name("authz against the reference", tests, NULL, NULL);
}
