/* registry_snapshot.h: inside this part, and for tests: how a snapshot is built from rows, wherever they come from. */
#pragma once

#include <stdatomic.h>

#include "agreement/agreement.h"
#include "base/jk_arena.h"
#include "base/jk_refusal.h"
#include "registry/registry.h"
#include "registry/registry_known.h"

/* A code, spelling or ISO code and the county it stands for. */
struct registry_name {
	const char *name;
	char county[JK_COUNTY_BYTES];
};
struct registry_names {
	const struct registry_name *items;
	size_t count;
};
struct registry_border {
	char county[JK_COUNTY_BYTES], neighbour[JK_COUNTY_BYTES];
};
struct registry_key_row {
	uint8_t curve_key[32];
	int32_t key_id, agency_id, desk_id; /* desk_id < 0: none */
	enum jk_role role;
	enum jk_realm realm;
	bool revoked;
	int32_t rate_limit;
	int64_t valid_from_us, expires_at_us; /* 0: none */
	uint8_t sign_key[JK_KEY_BYTES];
	bool may_sign;
	int64_t revoked_at_us; /* where revoked */
};
/* An agreement or a task force, without its versions and acts. */
struct registry_pact_row {
	int32_t pact_id;
	enum jk_pact_kind kind;
	const char *code;
};
struct registry_sender_row {
	int32_t key_id;
	const char *sender;
};

/* A grant by the operator. < 0, "" or 0: any. */
struct registry_allow_row {
	int32_t allow_id, desk_id, owner_agency_id;
	char county[JK_COUNTY_BYTES];
	uint8_t category;
	enum jk_tlp tlp_ceiling;
	int64_t valid_from_us, valid_until_us; /* until: exclusive; 0: open */
};

/* As in the snapshot, with desk NULL. */
struct registry_duty_desk_row {
	struct jk_duty_desk duty;
	int32_t desk_id;
};
struct registry_escalation_row {
	struct jk_escalation escalation;
	int32_t desk_id;
};

/* Everything a snapshot is made of, in any order; borrowed, texts too. `revoked` is each row's own; agency and terms of desks
 * are unused. */
struct registry_rows {
	int64_t version;
	enum jk_realm realm;
	const struct jk_agency *agencies;
	size_t agency_count;
	const struct jk_desk *desks;
	size_t desk_count;
	const struct registry_key_row *keys;
	size_t key_count;
	const struct registry_sender_row *senders;
	size_t sender_count;
	const struct registry_allow_row *allow;
	size_t allow_count;
	/* These are ascending: by pact_id; by pact_id and version; by pact_id and act_no. */
	const struct registry_pact_row *pacts;
	size_t pact_count;
	const struct jk_pact_version_row *versions;
	size_t version_count;
	const struct jk_act_row *acts;
	const int64_t *act_added_at_us; /* when the database took each, by its own clock */
	size_t act_count;
	struct registry_known *known; /* acts verified before; NULL: none are remembered */
	const char (*counties)[JK_COUNTY_BYTES];
	size_t county_count;
	const struct registry_border *borders;
	size_t border_count;
	struct registry_names isos, constituencies, aliases;
	const struct jk_duty_rule *duty_rules;
	size_t duty_rule_count;
	const struct registry_duty_desk_row *duty_desks;
	size_t duty_desk_count;
	const struct registry_escalation_row *escalations;
	size_t escalation_count;
};

/* jk_registry.index. */
struct registry_index {
	struct jk_arena *arena; /* holds the whole snapshot, this struct too */
	atomic_int holders;
	uint32_t *slots; /* open addressing over curve keys: position + 1, 0 is free */
	size_t slot_mask;
	const char (*counties)[JK_COUNTY_BYTES]; /* ascending */
	size_t county_count;
	const char (*neighbours)[JK_COUNTY_BYTES];           /* by county, then ascending */
	const size_t *neighbours_from;                       /* county_count + 1 positions in `neighbours` */
	struct registry_names isos, constituencies, aliases; /* ascending by name */
};

/* JK_BROKEN: a row names another that is not there, or there is no memory (64 MiB are the most); ret_refusal says which. The
 * snapshot has one holder, the caller. */
enum jk_status registry_build(
	const struct registry_rows *rows, struct jk_registry **ret_registry, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
/* Memory it takes. */
size_t registry_bytes(const struct jk_registry *registry);
/* One holder less; freed with the last. Nulls the pointer; NULL is fine. Any thread. */
void registry_drop(const struct jk_registry **registry_p);

/* Start of the probe for a key. */
size_t registry_slot_of(const uint8_t curve_key[32]);

/* A watch without thread and database: what a test gives it is what is found. Takes over *registry_p (NULL: none yet). */
enum jk_status registry_watch_open_fixed(struct jk_registry **registry_p, struct jk_registry_watch **ret_watch) JK_MUST_CHECK;
/* Puts a newer snapshot in place of the current one, as the thread does. Takes over *registry_p. */
void registry_watch_swap(struct jk_registry_watch *watch, struct jk_registry **registry_p);
