/* dispatch_protected.h: protected groups (reporter, persons) on their way to those who may have them. Their content is never in
 * the feed's cache: it is read for one event and one range, lives for a second at the most, and goes out in one copy. Bounded in
 * bytes: the oldest goes first, and is read again when its session comes for it. Not here: the decision. */
#pragma once

#include "dispatch_list.h"
#include "dispatch_store_pg.h"

struct dispatch;
struct dispatch_event;
struct dispatch_range;
struct dispatch_subscription;

struct dispatch_fetched;

struct dispatch_protected {
	struct dispatch_list wanted, flying; /* struct dispatch_protected_want */
	struct dispatch_fetched *oldest, *newest;
	size_t bytes;
	int64_t not_before_ms; /* after a failure */
	bool stale;            /* something was erased while they flew */
};

enum { DISPATCH_FETCH_AHEAD = 16 };

/* What was read for the number that the place takes next; NULL: not (or no longer) here. Valid until the next call. */
const struct dispatch_apart *dispatch_protected_find(
	struct dispatch *dispatch, const struct dispatch_subscription *subscription, size_t place_no, uint64_t seq);
/* It has left, or will not. */
void dispatch_protected_drop(
	struct dispatch *dispatch, const struct dispatch_subscription *subscription, size_t place_no, uint64_t seq);
/* Asks for it, under this range. False: not now (too much is asked for already). */
bool dispatch_protected_want(struct dispatch *dispatch, struct dispatch_subscription *subscription, size_t place_no,
	const struct dispatch_event *event, const struct dispatch_range *range);
/* Starts the job that reads what is wanted, when there is something and the lane is free. */
void dispatch_protected_turn(struct dispatch *dispatch);
/* Drops what has got old. Every tick. */
void dispatch_protected_tick(struct dispatch *dispatch);
/* Drops everything (something was erased). */
void dispatch_protected_forget(struct dispatch *dispatch);
void dispatch_protected_done(struct dispatch *dispatch);
