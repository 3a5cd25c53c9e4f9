#include "services/intake/intake_rules.h"

#include <string.h>

/* Which CAP status is taken in which realm. No row: refused as WRONG_REALM. */
static const struct {
	enum jk_realm realm;
	enum jk_cap_status status;
} taken[] = {
	{JK_REALM_LIVE, JK_CAP_STATUS_ACTUAL},
	{JK_REALM_LIVE, JK_CAP_STATUS_SYSTEM},
	{JK_REALM_LIVE, JK_CAP_STATUS_TEST},
	{JK_REALM_EXERCISE, JK_CAP_STATUS_EXERCISE},
	{JK_REALM_EXERCISE, JK_CAP_STATUS_TEST},
};

void intake_rules_warn(struct intake_warnings *warnings, enum jk_code code, const char *field, const char *reason)
{
	if (warnings->count < INTAKE_WARNINGS_MAX)
		jk_refuse(&warnings->list[warnings->count++], code, field, "%s", reason);
}

static bool admit_status(enum jk_cap_status status, enum jk_realm realm, struct jk_refusal *ret_refusal)
{
	if (status == JK_CAP_STATUS_NONE)
		return jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "identity.status", "a report must say its status");
	if (status == JK_CAP_STATUS_DRAFT)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "status", "drafts are taken nowhere");
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		if (taken[i].realm == realm && taken[i].status == status)
			return true;
	return jk_refuse(ret_refusal, JK_CODE_WRONG_REALM, "status", "the %s realm does not take status %s",
		jk_words_name(&jk_realms, realm), jk_words_name(&jk_cap_statuses, status));
}

static bool admit_sender(const char *sender, const struct intake_policy *policy, struct jk_refusal *ret_refusal)
{
	if (policy->any_sender)
		return true;
	for (size_t i = 0; i < policy->cap_sender_count; i++)
		if (strcmp(policy->cap_senders[i], sender) == 0)
			return true;
	return jk_refuse(ret_refusal, JK_CODE_SENDER_MISMATCH, "sender", "this key may not speak for this CAP sender");
}

bool intake_rules_admit(const struct intake_report *report, const struct intake_policy *policy, struct jk_refusal *ret_refusal)
{
	if (*report->agency && strcmp(report->agency, policy->agency) != 0)
		return jk_refuse(
			ret_refusal, JK_CODE_SENDER_MISMATCH, "identity.agency", "this key belongs to agency %s", policy->agency);
	if (report->sender && !admit_sender(report->sender, policy, ret_refusal))
		return false;
	return admit_status(report->status, policy->realm, ret_refusal);
}

uint64_t intake_county_bit(const char *county)
{
	if (strlen(county) != JK_COUNTY_BYTES - 1 || strspn(county, "0123456789") != JK_COUNTY_BYTES - 1)
		return 0;
	int number = (county[0] - '0') * 100 + (county[1] - '0') * 10 + (county[2] - '0');
	return number >= INTAKE_COUNTY_FIRST && number <= JK_COUNTY_MAX ? UINT64_C(1) << number : 0;
}

size_t intake_county_list(uint64_t counties, char ret[JK_COUNTY_MAX][JK_COUNTY_BYTES])
{
	size_t count = 0;

	for (int number = INTAKE_COUNTY_FIRST; number <= JK_COUNTY_MAX; number++) {
		if (!(counties >> number & 1))
			continue;
		ret[count][0] = '0';
		ret[count][1] = (char)('0' + number / 10);
		ret[count][2] = (char)('0' + number % 10);
		ret[count++][3] = '\0';
	}
	return count;
}

/* True when what the report shows of its place lies wholly outside the counties that it names. */
static bool lies_outside(const struct intake_located *located, uint64_t named)
{
	if (located->constituencies && !(located->constituencies & named))
		return true;
	if (!located->has_boundaries)
		return false;
	return (located->has_point && !(located->point & named)) || (located->has_shapes && !(located->shapes & named));
}

static uint64_t first_found(const struct intake_located *located)
{
	if (located->point)
		return located->point;
	if (located->shapes)
		return located->shapes;
	return located->constituencies ? located->constituencies : located->names;
}

bool intake_rules_place(const struct intake_located *located, bool strict, uint64_t *ret_counties,
	struct intake_warnings *warnings, struct jk_refusal *ret_refusal)
{
	if (located->unknown)
		return jk_refuse(ret_refusal, JK_CODE_UNKNOWN_COUNTY, located->unknown->field, "no %s has the code \"%.32s\"",
			located->unknown->scheme == JK_PLACE_CONSTITUENCY ? "constituency" : "county", located->unknown->code);
	if (located->bad_shape && strict)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "place",
			"a shape crosses itself, or the shapes are more than one report may have looked at");
	if (located->bad_shape)
		intake_rules_warn(warnings, JK_CODE_BAD_SHAPE, "place",
			"a shape crosses itself, or is more than one report may have looked at, and was passed over");
	uint64_t named = located->publisher ? located->publisher : located->codes;
	if (named && lies_outside(located, named))
		intake_rules_warn(
			warnings, JK_CODE_PLACE_OUTSIDE_COUNTY, "place", "the place lies outside the county that is named");
	*ret_counties = named ? named : first_found(located);
	return true;
}

bool intake_rules_accept(const struct intake_report *report, const struct intake_policy *policy, uint64_t counties,
	int64_t now_us, struct intake_warnings *warnings, struct jk_refusal *ret_refusal)
{
	if (!counties)
		return jk_refuse(ret_refusal, JK_CODE_UNROUTABLE, "place",
			"no county: none is named, no point or shape lies in one, and it joins no known incident");
	if (report->expires_us == 0 || report->expires_us > now_us)
		return true;
	if (policy->refuse_expired)
		return jk_refuse(ret_refusal, JK_CODE_EXPIRED, "expires", "it expired before it came");
	intake_rules_warn(
		warnings, JK_CODE_ALREADY_EXPIRED, "expires", "it expired before it came; it is never offered for response");
	return true;
}

bool intake_rules_stands_alone(const struct intake_report *report, uint64_t counties)
{
	return counties && report->categories && (report->msg_type == JK_MSG_TYPE_ALERT || report->reference_count == 0);
}
