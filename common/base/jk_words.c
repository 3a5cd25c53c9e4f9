/* jk_words.c: the word lists. tests/unit/wire compares every name with the .proto files. */
#include "base/jk_words.h"

#include <ctype.h>

static const char *const code_names[] = {
	[JK_CODE_NONE] = "UNSPECIFIED",
	[JK_CODE_NOT_WELL_FORMED] = "NOT_WELL_FORMED",
	[JK_CODE_NOT_AN_ALERT] = "NOT_AN_ALERT",
	[JK_CODE_WRONG_NAMESPACE] = "WRONG_NAMESPACE",
	[JK_CODE_OLD_NAMESPACE] = "OLD_NAMESPACE",
	[JK_CODE_INVALID_SCHEMA] = "INVALID_SCHEMA",
	[JK_CODE_RULE_VIOLATION] = "RULE_VIOLATION",
	[JK_CODE_BAD_SIGNATURE] = "BAD_SIGNATURE",
	[JK_CODE_SENDER_MISMATCH] = "SENDER_MISMATCH",
	[JK_CODE_WRONG_REALM] = "WRONG_REALM",
	[JK_CODE_UNKNOWN_COUNTY] = "UNKNOWN_COUNTY",
	[JK_CODE_UNROUTABLE] = "UNROUTABLE",
	[JK_CODE_UNSUPPORTED_VERSION] = "UNSUPPORTED_VERSION",
	[JK_CODE_NOT_PERMITTED] = "NOT_PERMITTED",
	[JK_CODE_EXPIRED] = "EXPIRED",
	[JK_CODE_OVERSIZE] = "OVERSIZE",
	[JK_CODE_RATE_LIMITED] = "RATE_LIMITED",
	[JK_CODE_NOT_FOUND] = "NOT_FOUND",
	[JK_CODE_RESYNC] = "RESYNC",
	[JK_CODE_REPLACED] = "REPLACED",
	[JK_CODE_REVOKED] = "REVOKED",
	[JK_CODE_STOPPING] = "STOPPING",
	[JK_CODE_UNAVAILABLE] = "UNAVAILABLE",
	[JK_CODE_STALE_VERSION] = "STALE_VERSION",
	[JK_CODE_WRONG_STATE] = "WRONG_STATE",
	[JK_CODE_TAKEN] = "TAKEN",
	[JK_CODE_BAD_SHAPE] = "BAD_SHAPE",
	[JK_CODE_EXPIRES_NOT_AFTER_SENT] = "EXPIRES_NOT_AFTER_SENT",
	[JK_CODE_ALREADY_EXPIRED] = "ALREADY_EXPIRED",
	[JK_CODE_PLACE_OUTSIDE_COUNTY] = "PLACE_OUTSIDE_COUNTY",
	[JK_CODE_ORPHAN] = "ORPHAN",
	[JK_CODE_LATE_REVISION] = "LATE_REVISION",
	[JK_CODE_CONTENT_NOT_CARRIED] = "CONTENT_NOT_CARRIED",
};
static const char *const realm_names[] = {"UNSPECIFIED", "LIVE", "EXERCISE"};
static const char *const role_names[] = {"UNSPECIFIED", "PUBLISHER", "DESK", "OPERATOR"};
static const char *const cap_status_names[] = {"UNSPECIFIED", "ACTUAL", "EXERCISE", "SYSTEM", "TEST", "DRAFT"};
static const char *const msg_type_names[] = {"UNSPECIFIED", "ALERT", "UPDATE", "CANCEL", "ACK", "ERROR"};
static const char *const scope_names[] = {"UNSPECIFIED", "PUBLIC", "RESTRICTED", "PRIVATE"};
static const char *const category_names[] = {"UNSPECIFIED", "GEO", "MET", "SAFETY", "SECURITY", "RESCUE", "FIRE", "HEALTH", "ENV",
	"TRANSPORT", "INFRA", "CBRNE", "OTHER"};
static const char *const urgency_names[] = {"UNSPECIFIED", "IMMEDIATE", "EXPECTED", "FUTURE", "PAST", "UNKNOWN"};
static const char *const severity_names[] = {"UNSPECIFIED", "EXTREME", "SEVERE", "MODERATE", "MINOR", "UNKNOWN"};
static const char *const certainty_names[] = {"UNSPECIFIED", "OBSERVED", "LIKELY", "POSSIBLE", "UNLIKELY", "UNKNOWN"};
static const char *const response_type_names[] = {
	"UNSPECIFIED", "SHELTER", "EVACUATE", "PREPARE", "EXECUTE", "AVOID", "MONITOR", "ASSESS", "ALL_CLEAR", "NONE"};
static const char *const tlp_names[] = {"UNSPECIFIED", "CLEAR", "GREEN", "AMBER", "AMBER_STRICT", "RED"};
static const char *const format_names[] = {"UNSPECIFIED", "PROTOBUF", "CAP", "JSON", "CSV"};
static const char *const verdict_names[] = {"UNSPECIFIED", "STORED", "DUPLICATE", "CONFLICT", "REJECTED", "BUSY", "VALID"};
static const char *const event_kind_names[] = {
	[JK_EVENT_NONE] = "UNSPECIFIED",
	[JK_EVENT_INCIDENT] = "INCIDENT",
	[JK_EVENT_UPDATE] = "UPDATE",
	[JK_EVENT_CANCEL] = "CANCEL",
	[JK_EVENT_HISTORY] = "HISTORY",
	[JK_EVENT_MOVED_AWAY] = "MOVED_AWAY",
	[JK_EVENT_ACK] = "ACK",
	[JK_EVENT_ERROR] = "ERROR",
	[JK_EVENT_ERASED] = "ERASED",
	[JK_EVENT_CASE_STATE] = "CASE_STATE",
	[JK_EVENT_DUTY] = "DUTY",
	[JK_EVENT_UNIT] = "UNIT",
	[JK_EVENT_AID] = "AID",
	[JK_EVENT_DELIVERED] = "DELIVERED",
	[JK_EVENT_LAGGING] = "LAGGING",
	[JK_EVENT_RECALLED] = "RECALLED",
	[JK_EVENT_OPENED] = "OPENED",
	[JK_EVENT_ACTED] = "ACTED",
	[JK_EVENT_UNANSWERED] = "UNANSWERED",
};
static const char *const place_scheme_names[] = {"UNSPECIFIED", "COUNTY", "ISO_3166_2", "CONSTITUENCY", "NAME"};

#define WORDS(list)                                                                                                              \
	{                                                                                                                        \
		list, sizeof(list) / sizeof((list)[0])                                                                           \
	}
const struct jk_words jk_codes = WORDS(code_names);
const struct jk_words jk_realms = WORDS(realm_names);
const struct jk_words jk_roles = WORDS(role_names);
const struct jk_words jk_cap_statuses = WORDS(cap_status_names);
const struct jk_words jk_msg_types = WORDS(msg_type_names);
const struct jk_words jk_scopes = WORDS(scope_names);
const struct jk_words jk_categories = WORDS(category_names);
const struct jk_words jk_urgencies = WORDS(urgency_names);
const struct jk_words jk_severities = WORDS(severity_names);
const struct jk_words jk_certainties = WORDS(certainty_names);
const struct jk_words jk_response_types = WORDS(response_type_names);
const struct jk_words jk_tlps = WORDS(tlp_names);
const struct jk_words jk_formats = WORDS(format_names);
const struct jk_words jk_verdicts = WORDS(verdict_names);
const struct jk_words jk_event_kinds = WORDS(event_kind_names);
const struct jk_words jk_place_schemes = WORDS(place_scheme_names);

const char *jk_words_name(const struct jk_words *words, int number)
{
	if (number < 0 || (size_t)number >= words->count || !words->names[number])
		return "?";
	return words->names[number];
}

static bool same_word(const char *a, const char *b)
{
	for (;;) {
		while (*a == '_')
			a++;
		while (*b == '_')
			b++;
		if (toupper((unsigned char)*a) != toupper((unsigned char)*b))
			return false;
		if (!*a)
			return true;
		a++;
		b++;
	}
}

int jk_words_number(const struct jk_words *words, const char *name)
{
	for (size_t i = 0; i < words->count; i++)
		if (words->names[i] && same_word(words->names[i], name))
			return (int)i;
	return -1;
}
