/* notify_rules.h: the pure decisions of notify: does a rule tell of an event, what follows from an attempt, which addresses may
 * be connected to. Time and chance are arguments. Not here: what the rule's desk may see (common/authz). */
#pragma once

#include "notify.h"

/* TELL, or the first reason not to. */
enum notify_match {
	NOTIFY_TELL,
	NOTIFY_NOT_OF_A_KIND, /* only INCIDENT and UPDATE; the store tells of an incident once (rule, incident, county) */
	NOTIFY_BEFORE_RULE,   /* recorded before the rule was added */
	NOTIFY_EXPIRED,
	NOTIFY_OTHER_COUNTY,
	NOTIFY_OTHER_CATEGORY,
	NOTIFY_TOO_MILD, /* UNKNOWN severity passes only where none is asked for */
	NOTIFY_A_TEST,   /* TEST and SYSTEM go only where asked for; DRAFT and no status nowhere */
};
enum notify_match notify_rules_match(const struct notify_rule *rule, const struct notify_event *event, int64_t now_us);
/* The category a message names: the rule's own where it has one, else the event's first. */
int notify_rules_category(const struct notify_rule *rule, const struct notify_event *event);

enum notify_state { NOTIFY_PENDING, NOTIFY_ACCEPTED, NOTIFY_DEAD };
/* "PENDING", …: as in notify.message. */
const char *notify_rules_state_name(enum notify_state state);

struct notify_next {
	enum notify_state state;
	int64_t delay_ms;                /* PENDING: until the next attempt */
	char reason[NOTIFY_ERROR_BYTES]; /* "" when accepted */
};
/* After attempt number `attempts` (from 1) of attempts_max. chance: uniform over all 32 bits, for the jitter. */
struct notify_next notify_rules_decide(const struct notify_result *result, int attempts, int attempts_max, uint32_t chance);

/* False for every address that is not of the public internet: this host, this link, private networks, multicast, and IPv6 forms
 * that carry such an IPv4 address (RFC 6890). bytes: network order; size: 4 or 16. */
bool notify_rules_address_is_public(const uint8_t *bytes, size_t size);
