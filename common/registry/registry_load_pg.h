/* registry_load_pg.h: inside this part: the registry's rows out of PostgreSQL. Blocks; called from the watcher's thread. */
#pragma once

#include "db/db.h"
#include "registry/registry_snapshot.h"

/* Number of the newest migration in deploy/sql that this build relies on. */
enum { REGISTRY_SCHEMA_NEEDED = 26 };
enum { REGISTRY_PROBLEM_BYTES = 256 };

/* What the database is, and how far its registry has come. */
struct registry_state {
	int64_t version;
	int64_t schema;
	enum jk_realm realm;
};

/* RETRY: no database now, or none that was ever migrated; ret_problem says it in a sentence. */
enum jk_status registry_load_state(
	struct jk_db *db, struct registry_state *ret, char ret_problem[REGISTRY_PROBLEM_BYTES]) JK_MUST_CHECK;
/* A snapshot of one version. known: what earlier loads have verified. RETRY: as above, or the registry was changed meanwhile.
 * BROKEN: its rows contradict each other. */
enum jk_status registry_load(struct jk_db *db, struct registry_known *known, struct jk_registry **ret_registry,
	char ret_problem[REGISTRY_PROBLEM_BYTES]) JK_MUST_CHECK;
