/* agreement_check.c: what a document may say, field by field, refusals first. */
#include <stdlib.h>
#include <string.h>

#include "agreement_internal.h"
#include "base/jk_text.h"
#include "base/jk_time.h"

static const char task_force_prefix[] = "taskforce:";

/* ---- texts ---- */

static bool is_code(const char *text)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t size = strlen(text);
	return size > 0 && size < JK_PACT_CODE_BYTES && strchr(first, text[0]) && strspn(text, rest) == size;
}

/* Decodes one character of UTF-8 that is known to be well-formed. */
static unsigned next_character(const unsigned char **text_p)
{
	const unsigned char *text = *text_p;
	int more = *text < 0x80 ? 0 : *text < 0xe0 ? 1 : *text < 0xf0 ? 2 : 3;
	unsigned character = more == 0 ? *text : *text & (0x3fu >> more);

	for (int i = 1; i <= more; i++)
		character = character << 6 | (text[i] & 0x3fu);
	*text_p += more + 1;
	return character;
}

/* What a screen would obey or reorder: a signer must see what is signed. */
static bool shows_as_written(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		unsigned c = next_character(&at);
		bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
		bool reorders = c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
				(c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
		if (control || reorders || (c >= 0xe0000 && c <= 0xe007f))
			return false;
	}
	return true;
}

static bool check_text(const char *field, const char *text, struct jk_refusal *ret_refusal)
{
	if (text[strspn(text, " ")] == '\0')
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, field, "must say something");
	if (strlen(text) > AGREEMENT_TEXT_MAX_BYTES)
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, field, "has at most %d bytes", AGREEMENT_TEXT_MAX_BYTES);
	if (!jk_text_is_utf8(text, strlen(text)) || !shows_as_written(text))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, field, "holds control characters");
	return true;
}

static bool check_code(const char *field, const char *text, char ret[JK_PACT_CODE_BYTES], struct jk_refusal *ret_refusal)
{
	if (!is_code(text))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, field,
			"must be 1 to 32 of A-Z 0-9 _ -, the first a letter or digit");
	return jk_text_copy(ret, JK_PACT_CODE_BYTES, text);
}

static bool check_version(uint32_t version, struct jk_refusal *ret_refusal)
{
	return (version > 0 && version <= INT32_MAX) ||
	       jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "version", "counts from 1");
}

/* ---- lists ---- */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_texts(char **list, size_t *count)
{
	size_t kept = 0;
	if (*count > 1)
		qsort(list, *count, sizeof *list, compare_texts);
	for (size_t i = 0; i < *count; i++)
		if (kept == 0 || strcmp(list[kept - 1], list[i]) != 0)
			list[kept++] = list[i];
	*count = kept;
}

static int compare_numbers(const void *a, const void *b)
{
	int left = *(const int *)a, right = *(const int *)b;
	return (left > right) - (left < right);
}

/* Words of an enumeration in order; ret: bit n for number n. */
static bool check_words(const char *field, int *list, size_t *count, uint16_t *ret, struct jk_refusal *ret_refusal)
{
	size_t kept = 0;
	if (*count > 1)
		qsort(list, *count, sizeof *list, compare_numbers);
	*ret = 0;
	for (size_t i = 0; i < *count; i++) {
		if (list[i] <= 0 || list[i] > 15)
			return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, field, "names something unspecified");
		if (kept == 0 || list[kept - 1] != list[i])
			list[kept++] = list[i];
		*ret |= (uint16_t)(1u << list[i]);
	}
	*count = kept;
	return true;
}

static bool check_codes(const char *field, char **list, size_t *count, struct jk_refusal *ret_refusal)
{
	char code[JK_PACT_CODE_BYTES];
	if (*count > AGREEMENT_LIST_MAX)
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, field, "has at most %d members", AGREEMENT_LIST_MAX);
	for (size_t i = 0; i < *count; i++)
		if (!check_code(field, list[i], code, ret_refusal))
			return false;
	sort_texts(list, count);
	return true;
}

static bool check_counties(char **list, size_t *count, uint64_t *ret, struct jk_refusal *ret_refusal)
{
	*ret = 0;
	if (*count > AGREEMENT_LIST_MAX)
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "counties", "has at most %d members", AGREEMENT_LIST_MAX);
	for (size_t i = 0; i < *count; i++) {
		int64_t number = 0;
		bool all = strcmp(list[i], "*") == 0;
		if (all && *count > 1)
			return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "counties", "\"*\" means all and stands alone");
		if (!all && (strlen(list[i]) != 3 || strspn(list[i], "0123456789") != 3 ||
				    !jk_text_to_int64(list[i], 1, JK_COUNTY_MAX, &number)))
			return jk_refuse(ret_refusal, JK_CODE_UNKNOWN_COUNTY, "counties",
				"must be national codes of three digits, \"001\" to \"0%d\", or \"*\"", JK_COUNTY_MAX);
		*ret |= all ? ((UINT64_C(1) << JK_COUNTY_MAX) - 1) << 1 : UINT64_C(1) << number;
	}
	sort_texts(list, count);
	return true;
}

/* ---- times ---- */

static bool check_time(const char *field, char **text, struct jk_arena *arena, int64_t *ret, struct jk_refusal *ret_refusal)
{
	char canonical[JK_TIME_BYTES];

	if (!jk_time_parse(*text, ret))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, field,
			"must be an RFC 3339 time with a zone, such as 2027-01-01T00:00:00+03:00");
	jk_time_format(canonical, *ret);
	*text = jk_arena_string(arena, canonical, strlen(canonical));
	return *text || jk_refuse(ret_refusal, JK_CODE_OVERSIZE, field, "no memory is left");
}

static bool check_end(
	char **text, bool needed, int64_t start_us, struct jk_arena *arena, int64_t *ret, struct jk_refusal *ret_refusal)
{
	*ret = 0;
	if (!**text && !needed)
		return true;
	if (!check_time("end", text, arena, ret, ret_refusal))
		return false;
	if (*ret == 0) /* which would read as open */
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "end", "must not be the first moment of 1970");
	return *ret > start_us || jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "end", "must be after start");
}

/* ---- agreements ---- */

static bool check_party(const char *field, const char *text, bool statutory, struct jk_party *ret, struct jk_refusal *ret_refusal)
{
	size_t prefix = sizeof task_force_prefix - 1;

	ret->kind = JK_PARTY_AGENCY;
	if (strcmp(text, "*") == 0) {
		ret->kind = JK_PARTY_EVERYBODY;
		return statutory ||
		       jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, field, "\"*\" is for STATUTORY agreements only");
	}
	if (strncmp(text, task_force_prefix, prefix) == 0) {
		ret->kind = JK_PARTY_TASK_FORCE;
		text += prefix;
		if (statutory)
			return jk_refuse(
				ret_refusal, JK_CODE_RULE_VIOLATION, field, "a STATUTORY agreement names agencies or \"*\"");
	}
	return check_code(field, text, ret->code, ret_refusal);
}

static bool check_parties(const Jukwaa__V1__Agreement *message, struct jk_agreement *ret, struct jk_refusal *ret_refusal)
{
	if (message->kind != JUKWAA__V1__AGREEMENT_KIND__AGREEMENT_KIND_MUTUAL_CONSENT &&
		message->kind != JUKWAA__V1__AGREEMENT_KIND__AGREEMENT_KIND_STATUTORY)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "kind", "must be MUTUAL_CONSENT or STATUTORY");
	ret->statutory = message->kind == JUKWAA__V1__AGREEMENT_KIND__AGREEMENT_KIND_STATUTORY;
	const struct jk_party *provider = &ret->provider, *recipient = &ret->recipient;
	if (!check_party("provider", message->provider, ret->statutory, &ret->provider, ret_refusal) ||
		!check_party("recipient", message->recipient, ret->statutory, &ret->recipient, ret_refusal))
		return false;
	bool same = strcmp(provider->code, recipient->code) == 0;
	if (provider->kind == JK_PARTY_AGENCY && recipient->kind == JK_PARTY_AGENCY && same)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "recipient", "must be another than the provider");
	if (provider->kind == JK_PARTY_TASK_FORCE && recipient->kind == JK_PARTY_TASK_FORCE && !same)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "recipient",
			"a task force on both sides must be the same one: its members give to one another");
	return true;
}

static bool check_what(Jukwaa__V1__Agreement *message, struct jk_agreement *ret, struct jk_refusal *ret_refusal)
{
	if (!check_codes("desks", message->desks, &message->n_desks, ret_refusal) ||
		!check_counties(message->counties, &message->n_counties, &ret->counties, ret_refusal))
		return false;
	ret->desks = (const char *const *)message->desks;
	ret->desk_count = message->n_desks;
	int *categories = (int *)message->categories;
	if (!check_words("categories", categories, &message->n_categories, &ret->categories, ret_refusal))
		return false;
	if (message->all_categories && message->n_categories > 0)
		return jk_refuse(
			ret_refusal, JK_CODE_RULE_VIOLATION, "all_categories", "excludes categories: give one of the two");
	if (message->all_categories)
		ret->categories = ((1u << JK_CATEGORY_MAX) - 1) << 1;
	if ((int)message->severity_floor >= JK_SEVERITY_UNKNOWN)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "severity_floor",
			"must be EXTREME, SEVERE, MODERATE or MINOR; left out it means any severity");
	ret->severity_floor = (uint8_t)message->severity_floor;
	if (message->tlp_ceiling == JUKWAA__V1__TLP__TLP_UNSPECIFIED)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "tlp_ceiling", "must be named");
	ret->tlp_ceiling = (enum jk_tlp)message->tlp_ceiling;
	return true;
}

static bool check_how(Jukwaa__V1__Agreement *message, struct jk_agreement *ret, struct jk_refusal *ret_refusal)
{
	ret->profile = jk_profile_find(message->profile);
	if (ret->profile == JK_PROFILE_NONE)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "profile", "is not one of the profiles known here");
	ret->reporter = message->reporter;
	ret->persons = message->persons;
	if ((ret->reporter || ret->persons) && ret->profile != JK_PROFILE_FULL)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, ret->reporter ? "reporter" : "persons",
			"protected groups go out with profile %s only", jk_profile_name(JK_PROFILE_FULL));
	int *actions = (int *)message->actions;
	if (!check_words("actions", actions, &message->n_actions, &ret->uses, ret_refusal))
		return false;
	if (!(ret->uses & 1u << JK_USE_VIEW))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "actions", "must have VIEW among them");
	if (message->retention_days > AGREEMENT_RETENTION_MAX_DAYS)
		return jk_refuse(
			ret_refusal, JK_CODE_RULE_VIOLATION, "retention_days", "is at most %d", AGREEMENT_RETENTION_MAX_DAYS);
	ret->retention_days = message->retention_days;
	ret->redistribution = message->redistribution;
	return true;
}

static bool check_why(const char *purpose, const char *legal_basis, struct jk_refusal *ret_refusal)
{
	return check_text("purpose", purpose, ret_refusal) && check_text("legal_basis", legal_basis, ret_refusal);
}

bool agreement_check(
	Jukwaa__V1__Agreement *message, struct jk_arena *arena, struct jk_agreement *ret, struct jk_refusal *ret_refusal)
{
	memset(ret, 0, sizeof *ret);
	if (!check_code("agreement", message->agreement, ret->code, ret_refusal) || !check_version(message->version, ret_refusal))
		return false;
	ret->version = message->version;
	if (!check_parties(message, ret, ret_refusal) || !check_what(message, ret, ret_refusal) ||
		!check_how(message, ret, ret_refusal))
		return false;
	if (!check_why(message->purpose, message->legal_basis, ret_refusal))
		return false;
	ret->purpose = message->purpose;
	ret->legal_basis = message->legal_basis;
	return check_time("start", &message->start, arena, &ret->start_us, ret_refusal) &&
	       check_end(&message->end, false, ret->start_us, arena, &ret->end_us, ret_refusal);
}

/* ---- task forces ---- */

static bool check_members(Jukwaa__V1__TaskForce *message, struct jk_task_force *ret, struct jk_refusal *ret_refusal)
{
	bool has_lead = false;

	if (!check_code("lead", message->lead, ret->lead, ret_refusal) ||
		!check_codes("members", message->members, &message->n_members, ret_refusal))
		return false;
	for (size_t i = 0; i < message->n_members; i++)
		has_lead = has_lead || strcmp(message->members[i], message->lead) == 0;
	ret->members = (const char *const *)message->members;
	ret->member_count = message->n_members;
	return has_lead || jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "members", "must have the lead among them");
}

bool agreement_check_task_force(
	Jukwaa__V1__TaskForce *message, struct jk_arena *arena, struct jk_task_force *ret, struct jk_refusal *ret_refusal)
{
	memset(ret, 0, sizeof *ret);
	if (!check_code("task_force", message->task_force, ret->code, ret_refusal) ||
		!check_version(message->version, ret_refusal))
		return false;
	ret->version = message->version;
	if (!check_members(message, ret, ret_refusal) ||
		!check_counties(message->counties, &message->n_counties, &ret->counties, ret_refusal))
		return false;
	if (!check_why(message->purpose, message->legal_basis, ret_refusal))
		return false;
	ret->purpose = message->purpose;
	ret->legal_basis = message->legal_basis;
	return check_time("start", &message->start, arena, &ret->start_us, ret_refusal) &&
	       check_end(&message->end, true, ret->start_us, arena, &ret->end_us, ret_refusal);
}
