/* authz.c: the decision, as a sequence of questions; the first "no" names its reason. */
#include "authz/authz.h"

#include <string.h>

enum { CATEGORY_BITS = ((1 << (JK_CATEGORY_MAX + 1)) - 1) & ~1 };

/* How far one term goes for a copy, in the order in which the questions are asked. */
enum term_step {
	TERM_NONE,
	TERM_OWNER,
	TERM_KIND,
	TERM_COUNTY,
	TERM_CATEGORY,
	TERM_SEVERITY,
	TERM_TLP,
	TERM_USE,
	TERM_PROFILE,
	TERM_NOT_YET,
	TERM_OVER,
	TERM_KEPT,
	TERM_MATCHES
};

/* Why the term that went furthest stopped there. */
static const char *const term_reasons[] = {
	[TERM_NONE] = "no agreement names this desk",
	[TERM_OWNER] = "no agreement of this desk covers the owner",
	[TERM_KIND] = "the owner shares under agreements alone",
	[TERM_COUNTY] = "no agreement with the owner covers the county",
	[TERM_CATEGORY] = "no agreement for the county covers the category",
	[TERM_SEVERITY] = "the severity is below the agreement's floor",
	[TERM_TLP] = "the TLP label is above the agreement's ceiling",
	[TERM_USE] = "no agreement permits this use",
	[TERM_PROFILE] = "the agreement names no profile",
	[TERM_NOT_YET] = "the agreement is not in force yet",
	[TERM_OVER] = "the agreement has ended",
	[TERM_KEPT] = "the agreement's time of keeping is over for it",
	[TERM_MATCHES] = "allowed by an agreement",
};

/* NULL: the subject may be asked about at all. */
static const char *refuse_subject(const struct jk_subject *subject)
{
	if (subject->realm != JK_REALM_LIVE && subject->realm != JK_REALM_EXERCISE)
		return "the key is not valid in this realm";
	if (subject->agency_id < 0)
		return "the key belongs to no agency";
	if (subject->use < JK_USE_VIEW || subject->use > JK_USE_RESPOND)
		return "it is not said what the copy is for";
	switch (subject->role) {
	case JK_ROLE_DESK:
		return subject->desk_id < 0 ? "the key has role DESK and no desk" : NULL;
	case JK_ROLE_OPERATOR:
		return subject->desk_id < 0 ? "an operator without a desk sees no content" : NULL;
	case JK_ROLE_PUBLISHER:
		return NULL;
	default:
		return "the key has no role";
	}
}

/* NULL: the label is complete. A copy that lacks a label goes to nobody, not even the owner: it is not one of ours. */
static const char *refuse_label(const struct jk_label *label)
{
	if (label->owner_agency_id < 0)
		return "the owner is unknown";
	if ((label->categories & CATEGORY_BITS) == 0)
		return "the copy has no category";
	if (label->tlp < JK_TLP_CLEAR || label->tlp > JK_TLP_RED)
		return "the copy has no TLP label";
	if (label->scope < JK_SCOPE_PUBLIC || label->scope > JK_SCOPE_PRIVATE)
		return "the copy has no scope";
	if (label->status < JK_CAP_STATUS_ACTUAL || label->status > JK_CAP_STATUS_TEST)
		return "the copy has no status of those that are stored";
	return NULL;
}

/* A code that is "" names nobody. */
static bool is_named(const struct jk_label *label, const char *code)
{
	if (code == NULL || code[0] == '\0')
		return false;
	for (size_t i = 0; i < label->named_count; i++)
		if (strcmp(label->named[i], code) == 0)
			return true;
	return false;
}

/* Bit n: county n; 0: no county of ours. */
static uint64_t county_bit(const char county[JK_COUNTY_BYTES])
{
	unsigned number = 0;

	for (int i = 0; i < JK_COUNTY_BYTES - 1; i++) {
		if (county[i] < '0' || county[i] > '9')
			return 0;
		number = number * 10 + (unsigned)(county[i] - '0');
	}
	return county[JK_COUNTY_BYTES - 1] == '\0' && number >= 1 && number <= JK_COUNTY_MAX ? UINT64_C(1) << number : 0;
}

/* NULL: others than the owner may have it where a term says so. */
static const char *refuse_others(const struct jk_subject *subject, const struct jk_label *label)
{
	bool by_desk = false, by_agency = false;

	if (subject->desk_id < 0)
		return "a publisher sees only its own agency's copies";
	if (county_bit(label->county) == 0)
		return "the copy has no county";
	if (label->tlp == JK_TLP_RED || label->scope != JK_SCOPE_PUBLIC) {
		by_desk = is_named(label, subject->desk_code);
		by_agency = is_named(label, subject->agency_code);
	}
	if (label->tlp == JK_TLP_RED && !by_desk)
		return "TLP:RED: only the owner and the desks it names";
	if (label->scope == JK_SCOPE_PRIVATE && !by_desk && !by_agency)
		return "scope PRIVATE: only the owner and whom it names";
	if (label->scope == JK_SCOPE_RESTRICTED && !by_desk && !by_agency)
		return "scope RESTRICTED: only the owner and whom it names";
	return NULL;
}

/* UNKNOWN is no severity: it meets no floor. */
static bool meets_floor(uint8_t severity, uint8_t floor)
{
	return floor == JK_SEVERITY_NONE || (floor <= JK_SEVERITY_MINOR && severity >= JK_SEVERITY_EXTREME && severity <= floor);
}

static bool shows_nothing(const struct jk_term *term)
{
	return term->profile <= JK_PROFILE_NONE || term->profile >= JK_PROFILE_COUNT;
}

/* The recipient may not keep it any more, so it is not given any more. */
static bool is_past_keeping(const struct jk_term *term, const struct jk_label *label, int64_t now_us)
{
	static const int64_t day_us = INT64_C(86400000000);

	if (term->retention_days == 0)
		return false;
	return label->recorded_at_us <= 0 || (now_us - label->recorded_at_us - 1) / day_us >= (int64_t)term->retention_days;
}

/* The owner matches already. */
static enum term_step term_match(const struct jk_term *term, const struct jk_subject *subject, const struct jk_label *label,
	uint64_t county, int64_t now_us)
{
	if (term->pact_id == 0 && label->owner_agreements_only)
		return TERM_KIND;
	if ((term->counties & county) == 0)
		return TERM_COUNTY;
	if ((term->categories & label->categories & CATEGORY_BITS) == 0)
		return TERM_CATEGORY;
	if (!meets_floor(label->severity, term->severity_floor))
		return TERM_SEVERITY;
	if (label->tlp > term->tlp_ceiling)
		return TERM_TLP;
	if ((term->uses >> subject->use & 1) == 0)
		return TERM_USE;
	if (shows_nothing(term))
		return TERM_PROFILE;
	if (now_us < term->from_us)
		return TERM_NOT_YET;
	if (term->until_us != 0 && now_us >= term->until_us)
		return TERM_OVER;
	if (is_past_keeping(term, label, now_us))
		return TERM_KEPT;
	return TERM_MATCHES;
}

static struct jk_decision deny(const char *reason)
{
	return (struct jk_decision){.effect = JK_DENY, .withheld = UINT32_MAX, .reason = reason};
}

static struct jk_decision allow(const struct jk_term *term, uint32_t withheld, const char *reason)
{
	return (struct jk_decision){
		.effect = withheld == 0 ? JK_ALLOW : JK_ALLOW_REDACTED, .term = term, .withheld = withheld, .reason = reason};
}

/* Which of two that allow counts, whatever the order they lie in. */
static bool is_better(const struct jk_term *term, const struct jk_term *than)
{
	int count = __builtin_popcount(term->withheld), than_count = __builtin_popcount(than->withheld);

	if (count != than_count)
		return count < than_count;
	if (term->pact_id != than->pact_id)
		return term->pact_id < than->pact_id;
	return term->allow_id < than->allow_id;
}

/* What has been found so far. */
struct search {
	enum term_step furthest;
	const struct jk_term *best;
};

/* From `at` on, as long as the terms are of this owner. */
static void look_through(struct search *search, const struct jk_term *at, const struct jk_term *end, bool every_owner,
	const struct jk_subject *subject, const struct jk_label *label, int64_t now_us)
{
	uint64_t county = county_bit(label->county);

	for (; at < end && (every_owner ? at->owner_agency_id < 0 : at->owner_agency_id == label->owner_agency_id); at++) {
		enum term_step step = term_match(at, subject, label, county, now_us);

		if (step == TERM_MATCHES && (search->best == NULL || is_better(at, search->best)))
			search->best = at;
		if (step > search->furthest)
			search->furthest = step;
	}
}

/* The first term of this owner, or where it would lie. */
static const struct jk_term *find_owner(const struct jk_term *terms, size_t count, int32_t owner_agency_id)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (terms[middle].owner_agency_id < owner_agency_id)
			low = middle + 1;
		else
			high = middle;
	}
	return terms + low;
}

static struct jk_decision decide_by_terms(
	const struct jk_subject *subject, const struct jk_label *label, const struct jk_term *terms, size_t count, int64_t now_us)
{
	struct search search = {.furthest = TERM_OWNER};

	if (count == 0)
		return deny(term_reasons[TERM_NONE]);
	look_through(&search, terms, terms + count, true, subject, label, now_us);
	look_through(&search, find_owner(terms, count, label->owner_agency_id), terms + count, false, subject, label, now_us);
	if (search.best == NULL)
		return deny(term_reasons[search.furthest]);
	return allow(search.best, search.best->withheld, term_reasons[TERM_MATCHES]);
}

struct jk_decision jk_authz_decide(
	const struct jk_subject *subject, const struct jk_label *label, const struct jk_term *terms, size_t count, int64_t now_us)
{
	const char *reason = refuse_subject(subject);

	if (reason == NULL)
		reason = refuse_label(label);
	if (reason != NULL)
		return deny(reason);
	if (subject->agency_id == label->owner_agency_id)
		return allow(NULL, 0, "the owner's own");
	reason = refuse_others(subject, label);
	return reason != NULL ? deny(reason) : decide_by_terms(subject, label, terms, count, now_us);
}
