/* intake_store.h: all of intake's SQL, behind the domain's words. A batch is two jobs: load what its decisions need, then commit
 * what was decided, in one transaction whose last statement appends to the feed. Not here: deciding. */
#pragma once

#include "db/db.h"
#include "services/intake/intake_item.h"

struct intake_store;

/* What became of a job. */
enum intake_outcome {
	INTAKE_DONE,    /* a commit job: committed */
	INTAKE_AGAIN,   /* the database is away or busy, or another intake was faster: load and decide again */
	INTAKE_POISON,  /* the database refuses a row (SQLSTATE 22*, 23*), or what was found has no room: halve the batch */
	INTAKE_REFUSED, /* it refuses for another reason (grants, epoch not confirmed, schema, disk full): a person must act */
};
typedef void intake_store_done(void *arg, enum intake_outcome outcome, const char *why);

enum jk_status intake_store_open(const char *conninfo, struct intake_store **ret_store) JK_MUST_CHECK;
void intake_store_close(struct intake_store **store_p);
/* For the loop and for asking whether it is up; jobs are started only here. */
struct jk_db *intake_store_db(struct intake_store *store);

/* Once after each start: the content key and the epoch. */
enum jk_status intake_store_begin(struct intake_store *store, intake_store_done *done, void *arg) JK_MUST_CHECK;
/* Key of content hashes, 32 bytes; NULL before begin is done. */
const uint8_t *intake_store_content_key(const struct intake_store *store);
/* As of the newest answer; 0: unknown, or not confirmed. */
uint32_t intake_store_epoch(const struct intake_store *store);

enum { INTAKE_BATCH_MAX = 512 };
/* The part of a batch that is under way; items, ledger and arena are borrowed until done. */
struct intake_work {
	struct intake_item **items;
	size_t count;
	struct intake_ledger *ledger; /* seeded by load, read by commit */
	struct jk_arena *arena;       /* the batch's; first answers of duplicates live there */
	bool assumed;                 /* commit: the ledger was not loaded; INTAKE_AGAIN when one of these reports was known */
};
/* JK_RETRY: no connection, or a job in flight; done will not be called. JK_BROKEN: out of memory. */
enum jk_status intake_store_load(
	struct intake_store *store, const struct intake_work *work, intake_store_done *done, void *arg) JK_MUST_CHECK;
/* Stores the items whose verdict is STORED; on INTAKE_DONE their answers hold positions and epoch. Where there is none, it makes
 * sure of what was loaded: rows that can be read may still be missing on the standby (a wait that was cancelled, a server that
 * restarted during one, another intake's), so a DUPLICATE may be answered only after a commit that began after its load.
 * JK_BROKEN: no room or memory; fewer may fit. */
enum jk_status intake_store_commit(
	struct intake_store *store, const struct intake_work *work, intake_store_done *done, void *arg) JK_MUST_CHECK;
