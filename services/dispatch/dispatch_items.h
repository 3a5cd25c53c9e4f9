/* dispatch_items.h: what a snapshot is to tell: numbers of streams in the order in which they are told, what has been sent of
 * them, and the ranges under which that is written down. Events themselves are not kept here. An item is 24 bytes and its turn 4.
 * Not here: reading, deciding, sending (dispatch_snapshot.c). */
#pragma once

#include "dispatch_record.h"
#include "dispatch_rules.h"

enum { DISPATCH_ITEMS_A_RANGE = 1024 };

struct dispatch_item {
	uint64_t seq;
	uint32_t term;     /* number of dispatch_terms under which it was sent; 0: not sent */
	uint32_t range;    /* index + 1 of the range it stands in; 0: none, or none any more */
	int32_t agency_id; /* who is told that the desk has it; -1: nobody, or it was not sent */
	uint16_t place;
	uint8_t case_state;
	bool closed : 1, acked : 1, late : 1;
};

/* Numbers of one stream, of which some are items; written down before the first of them is sent. */
struct dispatch_items_range {
	int64_t disclosure_id; /* 0: not yet */
	uint64_t from_seq, to_seq;
	size_t first, last; /* items */
	uint16_t place;
};

/* Zero-initialise. */
struct dispatch_items {
	struct dispatch_item *items; /* by place and number, once they are ordered */
	uint32_t *turns;             /* items in the order in which they are told */
	size_t count, capacity;
	size_t turn_count, next; /* of the round under way: next is the first turn that is not over */
	size_t late_count;       /* of the next round */
	uint32_t *late;
	struct dispatch_items_range *ranges;
	size_t range_count;
};
void dispatch_items_done(struct dispatch_items *items);
/* Bytes of memory. */
size_t dispatch_items_bytes(const struct dispatch_items *items);

/* Adds the next one in the order of telling; false without memory. */
bool dispatch_items_add(struct dispatch_items *items, const struct dispatch_item *item);
/* All were added: from now on turns and look-ups work. False without memory. */
bool dispatch_items_order(struct dispatch_items *items);
/* The item at a turn; NULL: the round is over. */
struct dispatch_item *dispatch_items_at(const struct dispatch_items *items, size_t turn);
/* The item with this number; NULL: there is none. */
struct dispatch_item *dispatch_items_find(const struct dispatch_items *items, size_t place, uint64_t seq);

/* The turn at hand is put off to the next round, in which the order is that of streams and numbers: where the recipient is not
 * shown how grave it is, its turn would tell. False without memory. */
bool dispatch_items_put_off(struct dispatch_items *items);
/* The round is over: begins the next one; false: there is none. */
bool dispatch_items_next_round(struct dispatch_items *items);

/* Cuts what has not been sent into ranges of at most DISPATCH_RESERVE_MAX numbers and DISPATCH_ITEMS_A_RANGE items, none of them
 * written down. What was sent under earlier ranges stands in none any more. False without memory. */
bool dispatch_items_cut(struct dispatch_items *items);
/* The range of an item; NULL: none. */
struct dispatch_items_range *dispatch_items_range(const struct dispatch_items *items, const struct dispatch_item *item);
/* What was sent of the range, for its row. *ret_complete is false where the record could not hold it, or without memory. NULL:
 * nothing was sent, or not complete. */
struct dispatch_record *dispatch_items_record(
	const struct dispatch_items *items, const struct dispatch_items_range *range, bool *ret_complete);
/* The highest number sent of the range, and the highest up to which all that was sent is acknowledged; from_seq - 1: none. */
uint64_t dispatch_items_sent(const struct dispatch_items *items, const struct dispatch_items_range *range);
uint64_t dispatch_items_acked(const struct dispatch_items *items, const struct dispatch_items_range *range);
