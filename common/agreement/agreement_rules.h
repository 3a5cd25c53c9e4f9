/* agreement_rules.h: what may happen to a pact next, and what holds then. Pure. Not here: signatures, documents' forms. */
#pragma once

#include "agreement/agreement.h"

/* One version as the rules want it: of kind AGREEMENT or TASK_FORCE. */
struct agreement_version {
	uint32_t version;
	bool good; /* read, and its number and code are the row's */
	uint8_t digest[JK_SHA256_BYTES];
	struct jk_agreement agreement;
	struct jk_task_force task_force;
};

/* What an agency may do about a version. */
enum agreement_role {
	ROLE_PARTY = 1,    /* speaks for one side: an agency named, the lead of the task force */
	ROLE_LEAD = 2,     /* proposes for a task force */
	ROLE_MEMBER = 4,   /* of a task force: speaks for itself only */
	ROLE_OPERATOR = 8, /* of statutory agreements */
	ROLE_UNKNOWN = 16, /* may have been any of the first three when it acted */
};

/* The state of a pact while its acts are applied; versions: all of the pact. */
struct agreement_ledger {
	enum jk_pact_kind kind;
	const struct agreement_version *versions;
	size_t version_count;
	int holds, proposed;
	int32_t proposer_id;
	bool ended;
	uint32_t last_proposed; /* number of the newest version that was ever proposed; 0: none */
	struct jk_standing *standings;
	size_t standing_count;
	enum jk_pact_word *words;
};
/* What is asked for. version: index. roles: bits of enum agreement_role that the agency has for that version. */
struct agreement_request {
	enum jk_act act;
	int version;
	int32_t agency_id;
	const char *agency;
	unsigned roles;
};
/* The roles, bits of enum agreement_role. task_force NULL: who was lead or member of the task force named when it acted cannot be
 * told from this pact, so that anybody may have been; what such acts are worth now is for agreement_stands. */
unsigned agreement_roles(const struct agreement_ledger *ledger, enum jk_act act, int version, const char *agency,
	bool is_operator, const struct jk_task_force *task_force);
/* Is there a row of the table for it? False: refused. */
bool agreement_may(
	const struct agreement_ledger *ledger, const struct agreement_request *request, struct jk_refusal *ret_refusal);
/* Does it; only after agreement_may. There is room for one more standing. */
void agreement_apply(struct agreement_ledger *ledger, const struct agreement_request *request);
/* Do the consents suffice now, by the task force as it is? False too when nothing holds. */
bool agreement_stands(const struct agreement_ledger *ledger, const struct jk_task_force *task_force);
/* Has somebody suspended it who speaks for a side? */
bool agreement_is_suspended(const struct agreement_ledger *ledger, const struct jk_task_force *task_force);
