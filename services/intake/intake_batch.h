/* intake_batch.h: group commit. Takes reports from the queue, decides them against the ledger, stores them in one transaction,
 * and hands each one over with its verdict. One batch at a time. */
#pragma once

#include "services/intake/intake_queue.h"
#include "services/intake/intake_store.h"

struct intake_batch;

/* Called once for each report, with its verdict; the receiver owns it then and gives it back to the queue. */
typedef void intake_batch_reply(void *arg, struct intake_item *item);
/* Called after each commit, before its reports are handed over; stored: how many reports. */
typedef void intake_batch_stored(void *arg, size_t stored, int64_t commit_us);

struct intake_batch_options {
	struct intake_store *store;
	struct intake_queue *queue;
	intake_batch_reply *on_reply;
	intake_batch_stored *on_stored;
	void *arg;
};

enum jk_status intake_batch_open(const struct intake_batch_options *options, struct intake_batch **ret_batch) JK_MUST_CHECK;
/* The store must have no job in flight (its connection is closed before). What was not answered is answered BUSY. */
void intake_batch_close(struct intake_batch **batch_p);

/* Between two batches of busy keys alone it pauses for half of the time that the last one took, so that what another key sends
 * finds it idle more often. A batch that took long, because the database did, is no reason to pause long. */
enum { INTAKE_PAUSE_MAX_US = 20000 };

/* Starts a batch when none is in flight and reports wait; goes on with one that is to be repeated. Call at the end of each turn
 * of the loop and at least every 50 ms. Returns for how many microseconds it leaves reports waiting (at most
 * INTAKE_PAUSE_MAX_US): call again by then; 0: it does not. */
int intake_batch_run(struct intake_batch *batch);
/* No report is taken and not yet answered. */
bool intake_batch_is_idle(const struct intake_batch *batch);
