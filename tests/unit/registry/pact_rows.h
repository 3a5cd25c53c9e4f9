/* pact_rows.h: agreements and task forces with signed acts, as the registry's tables would hold them. For tests. */
#pragma once

#include "registry/registry_snapshot.h"

enum { PACT_ROWS_MAX = 64 };

struct pact_rows {
	struct jk_arena *arena;
	struct registry_pact_row pacts[PACT_ROWS_MAX];
	struct jk_pact_version_row versions[PACT_ROWS_MAX];
	struct jk_act_row acts[PACT_ROWS_MAX];
	int64_t added_at_us[PACT_ROWS_MAX];
	size_t pact_count, version_count, act_count;
};
void pact_rows_init(struct pact_rows *rows);
void pact_rows_done(struct pact_rows *rows);
/* Points the three lists of ret at these. */
void pact_rows_give(struct pact_rows *rows, struct registry_rows *ret);

/* Who signs, and when it says that was; the database takes the act at the same moment. */
struct pact_signer {
	int32_t agency_id;
	const char *agency;
	const struct jk_key *key;
	int64_t at_us;
};

/* A pact with the next id and its first version from any JSON form of the document; rows lie in order when each pact is whole
 * before the next begins. */
int32_t pact_rows_add(struct pact_rows *rows, enum jk_pact_kind kind, const char *code, const char *json);
/* A further version of the newest pact. */
void pact_rows_add_version(struct pact_rows *rows, const char *json);
/* The next act of the newest pact, on its version `version`. */
struct jk_act_row *pact_rows_sign(struct pact_rows *rows, uint32_t version, enum jk_act act, const struct pact_signer *signer);
