/* pact_store_pg.h: all SQL of agreements and task forces. Blocks. */
#pragma once

#include "services/cli/admin_store_pg.h"
#include "services/cli/pact_book.h"

/* Keys that are registered, and every pact with its versions and acts, as of one moment. NULL: said on standard error, with
 * *ret_status a cli_exit. Lives in the arena. */
struct pact_book *pact_store_load(struct admin_store *store, struct jk_arena *arena, int *ret_status);

/* What became of an act that was to be written. */
enum pact_added {
	PACT_ADDED,
	PACT_LOST,       /* another act came first: load again */
	PACT_NOT_SIGNER, /* the key has been revoked meanwhile */
	PACT_FAILED,     /* said on standard error, with *ret_status */
};
/* Writes an act in one transaction. document: canonical, for PROPOSE (makes the version, and the pact when it is new); else NULL.
 * kind and code name the pact. */
enum pact_added pact_store_add(struct admin_store *store, enum jk_pact_kind kind, const char *code, const struct jk_act_row *act,
	const char *document, int *ret_status);
