/* intake_assume.h: whether a batch may be decided without loading what is known of its reports. Most reports are new and refer to
 * none; then loading, a quarter of a batch's time, is left out, and the commit proves that nothing was known
 * (intake_store_commit). Where that was wrong the batch is loaded and decided again, and so are the next ones for a while:
 * whoever replays a spool is not made to do all twice. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialised: assumes from the first batch on. */
struct intake_assume {
	unsigned loads_left; /* batches still to be loaded */
	unsigned penalty;    /* how many the last wrong assumption cost */
};

/* Asked once for each batch. may: its reports can be decided alone (none refers to another, none is only checked). */
bool intake_assume_ask(struct intake_assume *assume, bool may);
/* How it ended: the commit went through, or something was known after all. */
void intake_assume_was_right(struct intake_assume *assume);
void intake_assume_was_wrong(struct intake_assume *assume);
/* A loaded batch met reports that are known: more of them are likely. */
void intake_assume_saw_known(struct intake_assume *assume);
