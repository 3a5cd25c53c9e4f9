/* reference.c: for each term, the set of copies it covers is the intersection of plain sets; a copy goes out when it lies in the
 * set of any of them. Nothing here is shared with common/authz but the types. */
#include "reference.h"

#include <stdio.h>
#include <string.h>

enum { GROUPS = 32, TERMS_MAX = 64 };

/* ---- who may be asked about ---- */

static bool is_one_of(int value, const int *list, size_t count)
{
	bool found = false;

	for (size_t i = 0; i < count; i++)
		found = found || list[i] == value;
	return found;
}
#define ONE_OF(value, ...) is_one_of((int)(value), (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static bool subject_exists(const struct jk_subject *subject)
{
	bool realm = ONE_OF(subject->realm, JK_REALM_LIVE, JK_REALM_EXERCISE);
	bool use = ONE_OF(subject->use, JK_USE_VIEW, JK_USE_CASE, JK_USE_NOTIFY, JK_USE_RESPOND);
	bool role = ONE_OF(subject->role, JK_ROLE_PUBLISHER) ||
		    (ONE_OF(subject->role, JK_ROLE_DESK, JK_ROLE_OPERATOR) && subject->desk_id >= 0);

	return realm && use && role && subject->agency_id >= 0;
}

static bool in_set(unsigned long long set, int member)
{
	for (int i = 0; i < member; i++)
		set /= 2;
	return set % 2 == 1;
}

static bool label_is_whole(const struct jk_label *label)
{
	bool category = false;

	for (int i = 1; i <= 12; i++)
		category = category || in_set(label->categories, i);
	return label->owner_agency_id >= 0 && category &&
	       ONE_OF(label->tlp, JK_TLP_CLEAR, JK_TLP_GREEN, JK_TLP_AMBER, JK_TLP_AMBER_STRICT, JK_TLP_RED) &&
	       ONE_OF(label->scope, JK_SCOPE_PUBLIC, JK_SCOPE_RESTRICTED, JK_SCOPE_PRIVATE) &&
	       ONE_OF(label->status, JK_CAP_STATUS_ACTUAL, JK_CAP_STATUS_EXERCISE, JK_CAP_STATUS_SYSTEM, JK_CAP_STATUS_TEST);
}

/* ---- FIRST TLP 2.0 and CAP's scope: the set of recipients that the label itself leaves ---- */

static bool is_named_by(const struct jk_label *label, const char *code)
{
	bool named = false;

	for (size_t i = 0; code != NULL && strlen(code) > 0 && i < label->named_count; i++)
		named = named || (strlen(code) == strlen(label->named[i]) && memcmp(code, label->named[i], strlen(code)) == 0);
	return named;
}

static bool label_leaves(const struct jk_label *label, const struct jk_subject *subject)
{
	bool desk = is_named_by(label, subject->desk_code), agency = is_named_by(label, subject->agency_code);
	bool by_scope[4] = {
		[JK_SCOPE_PUBLIC] = true, [JK_SCOPE_RESTRICTED] = desk || agency, [JK_SCOPE_PRIVATE] = desk || agency};
	bool by_tlp[6] = {[JK_TLP_CLEAR] = true,
		[JK_TLP_GREEN] = true,
		[JK_TLP_AMBER] = true,
		[JK_TLP_AMBER_STRICT] = true,
		[JK_TLP_RED] = desk};

	return subject->desk_id >= 0 && by_scope[label->scope] && by_tlp[label->tlp];
}

/* ---- the set of copies that a term covers ---- */

static int county_of(const char county[JK_COUNTY_BYTES])
{
	char code[JK_COUNTY_BYTES];

	for (int i = 1; i <= 47; i++) {
		snprintf(code, sizeof code, "%03d", i);
		if (memcmp(code, county, sizeof code) == 0)
			return i;
	}
	return -1;
}

static bool covers_place_and_kind(const struct jk_term *term, const struct jk_label *label)
{
	int county = county_of(label->county);
	bool category = false;

	for (int i = 1; i <= 12; i++)
		category = category || (in_set(term->categories, i) && in_set(label->categories, i));
	return county > 0 && in_set(term->counties, county) && category;
}

static bool covers_weight(const struct jk_term *term, const struct jk_label *label)
{
	static const int ladder[] = {JK_SEVERITY_EXTREME, JK_SEVERITY_SEVERE, JK_SEVERITY_MODERATE, JK_SEVERITY_MINOR};
	bool heavy_enough = term->severity_floor == 0, below = false;

	/* From the worst down to the floor. */
	for (int i = 0; i < 4 && !below; i++) {
		bool floor_is_here_or_lower = false;

		for (int j = i; j < 4; j++)
			floor_is_here_or_lower = floor_is_here_or_lower || ladder[j] == term->severity_floor;
		below = !floor_is_here_or_lower;
		heavy_enough = heavy_enough || (!below && label->severity == ladder[i]);
	}
	return heavy_enough;
}

static bool covers_label(const struct jk_term *term, const struct jk_label *label)
{
	static const int order[] = {JK_TLP_CLEAR, JK_TLP_GREEN, JK_TLP_AMBER, JK_TLP_AMBER_STRICT, JK_TLP_RED};
	int ceiling = -1, here = -1;

	for (int i = 0; i < 5; i++) {
		ceiling = term->tlp_ceiling >= (enum jk_tlp)order[i] ? i : ceiling;
		here = label->tlp == (enum jk_tlp)order[i] ? i : here;
	}
	return here <= ceiling;
}

static bool covers_moment(const struct jk_term *term, int64_t now_us)
{
	bool begun = term->from_us <= now_us, open = term->until_us == 0;

	return begun && (open || term->until_us > now_us);
}

/* The event's last day of keeping, day by day: it is given to its very end. */
static bool covers_age(const struct jk_term *term, const struct jk_label *label, int64_t now_us)
{
	double last_us = (double)label->recorded_at_us;

	for (uint32_t day = 0; day < term->retention_days; day++)
		last_us += 24.0 * 60 * 60 * 1000 * 1000;
	return term->retention_days == 0 || (label->recorded_at_us > 0 && (double)now_us <= last_us);
}

static bool covers(const struct jk_term *term, const struct jk_subject *subject, const struct jk_label *label, int64_t now_us)
{
	bool owner = term->owner_agency_id < 0 || term->owner_agency_id == label->owner_agency_id;
	bool counts = term->pact_id != 0 || !label->owner_agreements_only;
	bool profile = ONE_OF(term->profile, JK_PROFILE_FULL, JK_PROFILE_NO_NARRATIVE, JK_PROFILE_NO_PERSONS,
		JK_PROFILE_COARSE_PLACE, JK_PROFILE_STATISTICS_ONLY);

	return owner && counts && profile && in_set(term->uses, (int)subject->use) && covers_place_and_kind(term, label) &&
	       covers_weight(term, label) && covers_label(term, label) && covers_moment(term, now_us) &&
	       covers_age(term, label, now_us);
}

/* ---- which of those that cover it ---- */

static int withheld_count(const struct jk_term *term)
{
	int count = 0;

	for (int i = 0; i < GROUPS; i++)
		count += in_set(term->withheld, i);
	return count;
}

/* As a sentence: fewer groups withheld; of equals the lower pact; of equals the lower row. */
static bool loses_to(const struct jk_term *term, const struct jk_term *other)
{
	int withheld = withheld_count(term), other_withheld = withheld_count(other);
	bool by_pact = other->pact_id < term->pact_id;
	bool by_row = other->pact_id == term->pact_id && other->allow_id < term->allow_id;

	return other_withheld < withheld || (other_withheld == withheld && (by_pact || by_row));
}

struct reference_answer reference_decide(
	const struct jk_subject *subject, const struct jk_label *label, const struct jk_term *terms, size_t count, int64_t now_us)
{
	struct reference_answer answer = {0};
	bool own = subject_exists(subject) && label_is_whole(label) && subject->agency_id == label->owner_agency_id;
	bool covered[TERMS_MAX] = {false};

	for (size_t i = 0; i < count; i++)
		covered[i] = subject_exists(subject) && label_is_whole(label) && !own && label_leaves(label, subject) &&
			     covers(&terms[i], subject, label, now_us);
	for (size_t i = 0; i < count; i++) {
		bool beaten = !covered[i];

		for (size_t j = 0; j < count; j++)
			beaten = beaten || (covered[j] && loses_to(&terms[i], &terms[j]));
		if (!beaten)
			answer.term = &terms[i];
	}
	answer.gets = own || answer.term != NULL;
	for (int i = 0; i < GROUPS && answer.gets; i++)
		answer.shown[i] = own || !in_set(answer.term->withheld, i);
	return answer;
}
