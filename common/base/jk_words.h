/* jk_words.h: the domain's enumerations, for code that may not see protobuf (rules, authz). The numbers are those of
 * proto/jukwaa/v1/{session,incident,intake,feed,cases}.proto; common/wire asserts that at compile time. Sources: CAP 1.2 §3.2,
 * FIRST TLP 2.0. Not here: messages. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum jk_code {
	JK_CODE_NONE = 0,
	JK_CODE_NOT_WELL_FORMED = 1,
	JK_CODE_NOT_AN_ALERT = 2,
	JK_CODE_WRONG_NAMESPACE = 3,
	JK_CODE_OLD_NAMESPACE = 4,
	JK_CODE_INVALID_SCHEMA = 5,
	JK_CODE_RULE_VIOLATION = 6,
	JK_CODE_BAD_SIGNATURE = 7,
	JK_CODE_SENDER_MISMATCH = 8,
	JK_CODE_WRONG_REALM = 9,
	JK_CODE_UNKNOWN_COUNTY = 10,
	JK_CODE_UNROUTABLE = 11,
	JK_CODE_UNSUPPORTED_VERSION = 12,
	JK_CODE_NOT_PERMITTED = 13,
	JK_CODE_EXPIRED = 14,
	JK_CODE_OVERSIZE = 15,
	JK_CODE_RATE_LIMITED = 16,
	JK_CODE_NOT_FOUND = 17,
	JK_CODE_RESYNC = 18,
	JK_CODE_REPLACED = 19,
	JK_CODE_REVOKED = 20,
	JK_CODE_STOPPING = 21,
	JK_CODE_UNAVAILABLE = 22,
	JK_CODE_STALE_VERSION = 23,
	JK_CODE_WRONG_STATE = 24,
	JK_CODE_TAKEN = 25,
	JK_CODE_BAD_SHAPE = 32,
	JK_CODE_EXPIRES_NOT_AFTER_SENT = 33,
	JK_CODE_ALREADY_EXPIRED = 34,
	JK_CODE_PLACE_OUTSIDE_COUNTY = 35,
	JK_CODE_ORPHAN = 36,
	JK_CODE_LATE_REVISION = 37,
	JK_CODE_CONTENT_NOT_CARRIED = 38,
};

enum jk_realm { JK_REALM_NONE = 0, JK_REALM_LIVE = 1, JK_REALM_EXERCISE = 2 };
enum jk_role { JK_ROLE_NONE = 0, JK_ROLE_PUBLISHER = 1, JK_ROLE_DESK = 2, JK_ROLE_OPERATOR = 3 };

enum jk_cap_status {
	JK_CAP_STATUS_NONE = 0,
	JK_CAP_STATUS_ACTUAL = 1,
	JK_CAP_STATUS_EXERCISE = 2,
	JK_CAP_STATUS_SYSTEM = 3,
	JK_CAP_STATUS_TEST = 4,
	JK_CAP_STATUS_DRAFT = 5,
};
enum jk_msg_type {
	JK_MSG_TYPE_NONE = 0,
	JK_MSG_TYPE_ALERT = 1,
	JK_MSG_TYPE_UPDATE = 2,
	JK_MSG_TYPE_CANCEL = 3,
	JK_MSG_TYPE_ACK = 4,
	JK_MSG_TYPE_ERROR = 5,
};
enum jk_scope { JK_SCOPE_NONE = 0, JK_SCOPE_PUBLIC = 1, JK_SCOPE_RESTRICTED = 2, JK_SCOPE_PRIVATE = 3 };
enum { JK_CATEGORY_NONE = 0, JK_CATEGORY_GEO = 1, JK_CATEGORY_OTHER = 12, JK_CATEGORY_MAX = 12 };
enum { JK_URGENCY_NONE = 0, JK_URGENCY_MAX = 5 };
enum {
	JK_SEVERITY_NONE = 0,
	JK_SEVERITY_EXTREME = 1,
	JK_SEVERITY_SEVERE = 2,
	JK_SEVERITY_MODERATE = 3,
	JK_SEVERITY_MINOR = 4,
	JK_SEVERITY_UNKNOWN = 5,
	JK_SEVERITY_MAX = 5,
};
enum { JK_CERTAINTY_NONE = 0, JK_CERTAINTY_MAX = 5 };
enum { JK_RESPONSE_TYPE_NONE = 0, JK_RESPONSE_TYPE_MAX = 9 };
enum jk_tlp {
	JK_TLP_NONE = 0,
	JK_TLP_CLEAR = 1,
	JK_TLP_GREEN = 2,
	JK_TLP_AMBER = 3,
	JK_TLP_AMBER_STRICT = 4,
	JK_TLP_RED = 5,
};
enum jk_format { JK_FORMAT_NONE = 0, JK_FORMAT_PROTOBUF = 1, JK_FORMAT_CAP = 2, JK_FORMAT_JSON = 3, JK_FORMAT_CSV = 4 };
enum jk_verdict {
	JK_VERDICT_NONE = 0,
	JK_VERDICT_STORED = 1,
	JK_VERDICT_DUPLICATE = 2,
	JK_VERDICT_CONFLICT = 3,
	JK_VERDICT_REJECTED = 4,
	JK_VERDICT_BUSY = 5,
	JK_VERDICT_VALID = 6,
};
enum jk_event_kind {
	JK_EVENT_NONE = 0,
	JK_EVENT_INCIDENT = 1,
	JK_EVENT_UPDATE = 2,
	JK_EVENT_CANCEL = 3,
	JK_EVENT_HISTORY = 4,
	JK_EVENT_MOVED_AWAY = 5,
	JK_EVENT_ACK = 6,
	JK_EVENT_ERROR = 7,
	JK_EVENT_ERASED = 8,
	/* With group WORK: something was done about the incident. */
	JK_EVENT_CASE_STATE = 9,
	JK_EVENT_DUTY = 10,
	JK_EVENT_UNIT = 11,
	JK_EVENT_AID = 12,
	JK_EVENT_DELIVERED = 16,
	JK_EVENT_LAGGING = 17,
	JK_EVENT_RECALLED = 18,
	JK_EVENT_OPENED = 19,
	JK_EVENT_ACTED = 20,
	JK_EVENT_UNANSWERED = 21,
};
enum jk_place_scheme {
	JK_PLACE_NONE = 0,
	JK_PLACE_COUNTY = 1,
	JK_PLACE_ISO_3166_2 = 2,
	JK_PLACE_CONSTITUENCY = 3,
	JK_PLACE_NAME = 4,
};
enum {
	JK_GROUP_IDENTITY = 1,
	JK_GROUP_CLASSIFICATION = 2,
	JK_GROUP_TIMES = 3,
	JK_GROUP_PLACE = 4,
	JK_GROUP_NARRATIVE = 5,
	JK_GROUP_RESOURCES = 6,
	JK_GROUP_REFERENCES = 7,
	JK_GROUP_HANDLING = 8,
	JK_GROUP_REPORTER = 9,
	JK_GROUP_PERSONS = 10,
	JK_GROUP_REGISTRATION = 11,
	JK_GROUP_POSITION = 12,
	JK_GROUP_WORDS = 13,
	JK_GROUP_COUNT = 13, /* of an incident */
	JK_GROUP_WORK = 14,
	JK_GROUP_MAX = 14,       /* of a body that says what was done */
	JK_GROUP_COUNT_OLD = 10, /* of bodies stored by version 0.1.0 */
	/* Bit n: group n. What names people lies apart and is joined only for a copy that may carry it. */
	JK_GROUPS_PROTECTED = 1 << JK_GROUP_REPORTER | 1 << JK_GROUP_PERSONS,
};

enum { JK_COUNTY_MAX = 47, JK_COUNTY_BYTES = 4 /* three digits and NUL */ };

/* Names as in the .proto files without the enum's prefix ("SEVERE", "AMBER_STRICT"); "UNSPECIFIED" for 0, "?" for others.
 * A word list is an array indexed by number; NULL holes where a number is not used. */
struct jk_words {
	const char *const *names;
	size_t count;
};
extern const struct jk_words jk_codes, jk_realms, jk_roles, jk_cap_statuses, jk_msg_types, jk_scopes, jk_categories, jk_urgencies,
	jk_severities, jk_certainties, jk_response_types, jk_tlps, jk_formats, jk_verdicts, jk_event_kinds, jk_place_schemes;

const char *jk_words_name(const struct jk_words *words, int number);
/* Number of the name, letter case ignored ("Actual", "AllClear" too: underscores are ignored); -1 when there is none. */
int jk_words_number(const struct jk_words *words, const char *name);
