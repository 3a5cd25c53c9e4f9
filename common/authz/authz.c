/* authz.c: the decision, as a sequence of questions; the first "no" names its reason. */
#include "authz/authz.h"

#include <string.h>

enum {
	CATEGORY_BITS = ((1 << (JK_CATEGORY_MAX + 1)) - 1) & ~1,
	PROTECTED_GROUPS = 1 << JK_GROUP_REPORTER | 1 << JK_GROUP_PERSONS
};

/* How far one ALLOW row goes for a copy, in the order in which the questions are asked. */
enum row_step { ROW_DESK, ROW_OWNER, ROW_COUNTY, ROW_CATEGORY, ROW_TLP, ROW_NOT_YET, ROW_OVER, ROW_MATCHES };

/* Why the row that went furthest stopped there. */
static const char *const row_reasons[] = {
	[ROW_DESK] = "no agreement names this desk",
	[ROW_OWNER] = "no agreement of this desk covers the owner",
	[ROW_COUNTY] = "no agreement with the owner covers the county",
	[ROW_CATEGORY] = "no agreement for the county covers the category",
	[ROW_TLP] = "the TLP label is above the agreement's ceiling",
	[ROW_NOT_YET] = "the agreement is not in force yet",
	[ROW_OVER] = "the agreement has ended",
	[ROW_MATCHES] = "allowed by an agreement",
};

/* NULL: the subject may be asked about at all. */
static const char *refuse_subject(const struct jk_subject *subject)
{
	if (subject->realm != JK_REALM_LIVE && subject->realm != JK_REALM_EXERCISE)
		return "the key is not valid in this realm";
	if (subject->agency_id < 0)
		return "the key belongs to no agency";
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
	return NULL;
}

/* NULL: others than the owner may have it where a row says so. */
static const char *refuse_others(const struct jk_subject *subject, const struct jk_label *label)
{
	if (label->scope == JK_SCOPE_PRIVATE)
		return "scope PRIVATE: only the owner";
	if (label->scope == JK_SCOPE_RESTRICTED)
		return "scope RESTRICTED: only the owner";
	if (label->tlp == JK_TLP_RED)
		return "TLP:RED: only the owner";
	if (subject->desk_id < 0)
		return "a publisher sees only its own agency's copies";
	if (label->county[0] == '\0')
		return "the copy has no county";
	return NULL;
}

static enum row_step row_match(
	const struct jk_allow *row, const struct jk_subject *subject, const struct jk_label *label, int64_t now_us)
{
	if (row->desk_id != subject->desk_id)
		return ROW_DESK;
	if (row->owner_agency_id >= 0 && row->owner_agency_id != label->owner_agency_id)
		return ROW_OWNER;
	if (row->county[0] != '\0' && strncmp(row->county, label->county, sizeof row->county) != 0)
		return ROW_COUNTY;
	if (row->category != JK_CATEGORY_NONE &&
		(row->category > JK_CATEGORY_MAX || (label->categories & 1U << row->category) == 0))
		return ROW_CATEGORY;
	if (label->tlp > row->tlp_ceiling)
		return ROW_TLP;
	if (now_us < row->valid_from_us)
		return ROW_NOT_YET;
	if (row->valid_until_us != 0 && now_us >= row->valid_until_us)
		return ROW_OVER;
	return ROW_MATCHES;
}

static struct jk_decision deny(const char *reason)
{
	return (struct jk_decision){.effect = JK_DENY, .reason = reason};
}

static struct jk_decision allow_redacted(int32_t allow_id, const char *reason)
{
	return (struct jk_decision){
		.effect = JK_ALLOW_REDACTED, .allow_id = allow_id, .withheld = PROTECTED_GROUPS, .reason = reason};
}

static struct jk_decision decide_by_rows(
	const struct jk_subject *subject, const struct jk_label *label, const struct jk_allow *rows, size_t count, int64_t now_us)
{
	enum row_step furthest = ROW_DESK;
	int32_t allow_id = 0;

	for (size_t i = 0; i < count; i++) {
		enum row_step step = row_match(&rows[i], subject, label, now_us);
		/* The lowest id of those that match, so that the order of rows changes nothing in the record. */
		if (step == ROW_MATCHES && (furthest != ROW_MATCHES || rows[i].allow_id < allow_id))
			allow_id = rows[i].allow_id;
		if (step > furthest)
			furthest = step;
	}
	return furthest == ROW_MATCHES ? allow_redacted(allow_id, row_reasons[ROW_MATCHES]) : deny(row_reasons[furthest]);
}

struct jk_decision jk_authz_decide(
	const struct jk_subject *subject, const struct jk_label *label, const struct jk_allow *rows, size_t count, int64_t now_us)
{
	const char *reason = refuse_subject(subject);

	if (reason == NULL)
		reason = refuse_label(label);
	if (reason != NULL)
		return deny(reason);
	if (subject->agency_id == label->owner_agency_id)
		return allow_redacted(0, "the owner's own");
	reason = refuse_others(subject, label);
	return reason != NULL ? deny(reason) : decide_by_rows(subject, label, rows, count, now_us);
}
