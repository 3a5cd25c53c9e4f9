/* cases_store_pg.h: all SQL of cases. Following: steps of a batch, for feed_follow. Asking: blocking queries with a time limit,
 * on a connection of their own. Recording: one step for many questions. Not here: what an event does, who may see what. */
#pragma once

#include "base/jk_arena.h"
#include "cases_batch.h"
#include "feed/feed_follow.h"

extern const struct jk_db_statement cases_store_positions, cases_store_move;

/* Parameters of the steps: one array a column. Zero-initialise; cases_store_done at the end. What a step borrows stays until
 * the next call with this struct. */
enum { CASES_CASE_COLUMNS = 25, CASES_ENTRY_COLUMNS = 10 };
struct cases_store_rows {
	struct jk_db_array columns[CASES_CASE_COLUMNS];
	struct jk_db_int8 expected;
};
struct cases_store {
	struct jk_db_array incidents, report_incidents, reports;
	struct cases_store_rows opened, changed;
	struct jk_db_array entries[CASES_ENTRY_COLUMNS];
};
void cases_store_done(struct cases_store *store);

/* Steps that read the cases and lines the batch meets; results go to cases_store_take. */
size_t cases_store_load(struct cases_store *store, const struct cases_batch *batch, struct jk_db_step *steps);
void cases_store_take(const struct jk_db_outcome *outcome, struct cases_batch *batch);
/* Steps that store a decided batch, each for all its rows. They fail with 40001 when a case was changed by somebody else. */
size_t cases_store_save(struct cases_store *store, const struct cases_batch *batch, struct jk_db_step *steps);

/* JK_RETRY: the database is away or slow. Blocks at most two seconds. Not found: ret_case->version is 0. */
enum jk_status cases_store_find(struct jk_db *db, const struct jk_id *case_id, struct cases_case *ret_case) JK_MUST_CHECK;
/* Whose cases, and of which counties, somebody can be shown at all: a net with room for too much, never for too little. */
struct cases_reach {
	const char *own; /* its agency, whose cases it always sees */
	bool any_owner, any_county;
	uint64_t counties;
	const char *const *owners;
	size_t owner_count;
};
/* One look at the cases after a position. look_at_max: how many, at most; fetch_max: until so many (CASES_SCAN_MAX at most) are
 * found that the filter and the reach let through, newest first. last: the last one looked at; more: there may be older ones. */
enum { CASES_SCAN_MAX = 1000 };
struct cases_scan {
	size_t look_at_max, fetch_max;
	struct cases_case *cases; /* room for fetch_max */
	size_t count, looked_at;
	struct cases_position last;
	bool more;
};
enum jk_status cases_store_page(struct jk_db *db, const struct cases_filter *filter, const struct cases_reach *reach,
	const struct cases_position *after, struct cases_scan *scan) JK_MUST_CHECK;
/* The cases within CASES_SIMILAR_DAYS of the case (which has a position) in its cell and the eight around it, itself among them:
 * the nearest in time, before and after; ret_hours: how much time they are all of. ret_cases holds CASES_NEAR_MAX. */
enum { CASES_NEAR_MAX = 500 };
enum jk_status cases_store_near(struct jk_db *db, const struct cases_case *row, struct cases_case *ret_cases, size_t *ret_count,
	double *ret_hours) JK_MUST_CHECK;
/* The same of all that were opened around a time, wherever they are. */
enum jk_status cases_store_near_time(
	struct jk_db *db, int64_t opened_at_us, struct cases_case *ret_cases, size_t *ret_count, double *ret_hours) JK_MUST_CHECK;
/* Calls on_body for each event found, once, in any order; the body is borrowed for the call. count: at most CASES_BODIES_MAX. */
enum { CASES_BODIES_MAX = 50 };
typedef void cases_store_on_body(void *arg, const struct jk_id *event_id, const uint8_t *body, size_t size);
enum jk_status cases_store_bodies(
	struct jk_db *db, const struct jk_id *event_ids, size_t count, cases_store_on_body *on_body, void *arg) JK_MUST_CHECK;

/* How far a reader of all cases and their changes has come. Zero-initialise. It goes through the cases in the order of the
 * transactions that changed them; at the end it starts again at the oldest one that was still open when the pass began. The
 * numbers of transactions are those of the server that is spoken to, as long as it stands: what comes back after a lost
 * connection may be another one, or the same after a crash that took the newest with it, and gives them out again. */
struct cases_changed {
	int64_t connected_us; /* when the server took the connection; 0: nothing has been read */
	uint64_t at, horizon;
	struct jk_id case_id;
	bool under_way;    /* between two steps of one pass */
	uint64_t complete; /* passes; after each, all that was committed before it began has been read */
	char xid[24];
	struct jk_db_int8 limit, first;
};
enum { CASES_CHANGED_MAX = 5000 };
/* The steps that read on; returns how many. They borrow from `changed`. */
size_t cases_store_changed(struct cases_changed *changed, struct jk_db_step *steps);
/* LOST: the connection is another one, and all that was read is to be forgotten, `changed` too. */
enum cases_changed_end { CASES_CHANGED_TAKEN, CASES_CHANGED_LOST, CASES_CHANGED_STOPPED };
/* Calls on_case for each case read; its false ends it: STOPPED. */
typedef bool cases_store_on_changed(void *arg, const struct cases_case *row);
enum cases_changed_end cases_store_take_changed(
	struct cases_changed *changed, const struct jk_db_outcome *outcome, cases_store_on_changed *on_case, void *arg);
/* Cases that are past a time target and have not reached it; 100,000 stands for more. Blocks at most a second. */
struct cases_late {
	int64_t to_triage, to_resolve;
};
enum jk_status cases_store_late(struct jk_db *db, struct cases_late *ret) JK_MUST_CHECK;

/* Parameters of the step that records; as cases_store_rows. */
enum { CASES_ACCESS_COLUMNS = 13 };
struct cases_access_rows {
	struct jk_db_array columns[CASES_ACCESS_COLUMNS];
};
void cases_access_rows_done(struct cases_access_rows *rows);
/* Records them, in this order. What the step borrows stays until the next call with this struct. */
void cases_store_access(
	struct cases_access_rows *rows, const struct cases_access *const *accesses, size_t count, struct jk_db_step *ret_step);
