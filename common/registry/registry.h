/* registry.h: the registry as an immutable snapshot in memory, replaced whole. A watcher thread with its own database
 * connection reads registry.version every 250 ms and swaps; without a database the last snapshot stays. Not here: writing
 * the registry (services/cli/admin). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authz/authz.h"
#include "base/jk_status.h"
#include "bus/bus_context.h"
#include "registry/registry_duty.h"

struct jk_agency {
	int32_t agency_id;
	char code[33];
	bool strict, refuse_expired, revoked;
	bool agreements_only;   /* for jk_label.owner_agreements_only */
	bool require_signature; /* its reports must carry its own signature */
};
struct jk_desk {
	int32_t desk_id, agency_id;
	const struct jk_agency *agency;
	char code[33];
	bool revoked;                /* itself or its agency */
	const struct jk_term *terms; /* in the order that jk_authz_decide asks for; none for a desk that is revoked */
	size_t term_count;
};
struct jk_registry_key {
	uint8_t curve_key[32], sign_key[32];
	int32_t key_id;
	enum jk_role role;
	enum jk_realm realm;
	const struct jk_agency *agency;
	const struct jk_desk *desk; /* NULL: none */
	bool revoked;               /* the key, its desk or its agency; ask jk_registry_key_standing, which knows of time too */
	int64_t valid_from_us, expires_at_us; /* 0: none */
	bool any_sender;                      /* cap_senders holds "*" */
	const char *const *cap_senders;
	size_t cap_sender_count;
	int32_t rate_limit; /* reports a second; 0: none */
};

/* An agreement or task force under which nobody gets anything because its rows are not what they must be. */
struct jk_closed_pact {
	bool task_force;
	const char *code, *reason;
};

/* Immutable; valid from acquire to release. */
struct jk_registry {
	int64_t version;
	enum jk_realm realm;
	const struct jk_registry_key *keys;
	size_t key_count;
	const struct jk_agency *agencies;
	size_t agency_count;
	const struct jk_desk *desks;
	size_t desk_count;
	const struct jk_closed_pact *closed;
	size_t closed_count;
	size_t term_count; /* of all desks */
	/* Who has to answer for what: registry_duty.h. */
	const struct jk_duty_rule *duty_rules; /* by (rank, rule_id) */
	size_t duty_rule_count;
	const struct jk_duty_desk *duty_desks;
	size_t duty_desk_count;
	const struct jk_escalation *escalations;
	size_t escalation_count;
	void *index; /* of the snapshot */
};

struct jk_registry_watch;

/* Starts the thread; the first load happens there, and is waited for, 2 s at most: with a snapshot a service's self-test gets a
 * clear "no" at its own door at once, instead of "later". Without a database it goes on all the same. A database whose meta.realm
 * differs from `realm`, or whose schema is older than this build needs, is said by jk_registry_watch_problem and never loaded. */
enum jk_status jk_registry_watch_open(
	const char *conninfo, const char *service, enum jk_realm realm, struct jk_registry_watch **ret_watch) JK_MUST_CHECK;
void jk_registry_watch_close(struct jk_registry_watch **watch_p);
/* Newest snapshot, counted; NULL before the first load. Any thread. Release with the same pointer. */
const struct jk_registry *jk_registry_acquire(struct jk_registry_watch *watch);
void jk_registry_release(struct jk_registry_watch *watch, const struct jk_registry **registry_p);
/* Version of the newest snapshot without taking it; 0: none. Cheap, any thread. */
int64_t jk_registry_version(struct jk_registry_watch *watch);
/* Copies what keeps it from loading as "CODE: words" ("" when all is well); fatal: waiting will not help (wrong realm). */
void jk_registry_watch_problem(struct jk_registry_watch *watch, char ret[256], bool *ret_fatal);

/* May the key be used? Asked whenever something is received from it or made for it: a key ends by the clock, whether the registry
 * can be read or not. To the peer every answer but GOOD is the same. */
enum jk_key_standing { JK_STANDING_GOOD, JK_STANDING_REVOKED, JK_STANDING_EXPIRED, JK_STANDING_NOT_YET };
enum jk_key_standing jk_registry_key_standing(const struct jk_registry_key *key, int64_t now_us);
/* "revoked", "expired", "not yet valid", "good": for logs. */
const char *jk_registry_standing_name(enum jk_key_standing standing);

/* Lookups; NULL when unknown. Revoked keys are found, with revoked set. */
const struct jk_registry_key *jk_registry_find_key(const struct jk_registry *registry, const uint8_t curve_key[32]);
const struct jk_agency *jk_registry_find_agency(const struct jk_registry *registry, const char *code);
const struct jk_desk *jk_registry_find_desk(const struct jk_registry *registry, int32_t desk_id);
/* The decision for a subject that is this key, with its desk's terms. The term in it lives as long as the snapshot. */
struct jk_decision jk_registry_decide(const struct jk_registry *registry, const struct jk_registry_key *key, enum jk_use use,
	const struct jk_label *label, int64_t now_us);
/* The same for a desk of itself, as if it had a key of this realm. */
struct jk_decision jk_registry_decide_desk(const struct jk_registry *registry, const struct jk_desk *desk, enum jk_use use,
	const struct jk_label *label, int64_t now_us);
/* What the owner's row says of its copies: who it is, and its policy. owner NULL: unknown, which denies. */
void jk_registry_label_owner(struct jk_label *label, const struct jk_agency *owner);

/* Geography, same snapshot. Codes are three digits; false or NULL when unknown. */
bool jk_registry_county_exists(const struct jk_registry *registry, const char *county);
const char *jk_registry_county_of_iso(const struct jk_registry *registry, const char *iso_3166_2);
const char *jk_registry_county_of_constituency(const struct jk_registry *registry, const char *constituency);
const char *jk_registry_county_of_name(const struct jk_registry *registry, const char *spelling); /* folds it first */
/* Neighbours of a county, ascending; count 0 when unknown. */
const char (*jk_registry_neighbours(const struct jk_registry *registry, const char *county, size_t *ret_count))[JK_COUNTY_BYTES];
/* All counties, ascending. */
const char (*jk_registry_counties(const struct jk_registry *registry, size_t *ret_count))[JK_COUNTY_BYTES];

/* For jk_bus_open: arg is the watch. Unknown: REFUSE; revoked or expired: REVOKED; no snapshot yet: LATER. */
jk_zap_decide jk_registry_zap;
