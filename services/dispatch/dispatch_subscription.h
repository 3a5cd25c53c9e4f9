/* dispatch_subscription.h: what a session has subscribed to, in memory: for each stream how far it is, what is on its way and
 * not acknowledged, which numbers may be sent because their disclosure is written down. Bounded by window and streams. Not
 * here: sending, SQL. */
#pragma once

#include "dispatch_cache.h"
#include "dispatch_flight.h"
#include "dispatch_items.h"
#include "dispatch_record.h"
#include "dispatch_seal.h"

enum {
	DISPATCH_RANGES_MAX = 4,
	DISPATCH_UNACKED_MAX_BYTES = 4 * 1024 * 1024,
	DISPATCH_UNACKED_MAX = 16384, /* deliveries */
};

/* A disclosure row that is open: numbers that may have been sent. */
struct dispatch_range {
	int64_t disclosure_id;
	uint64_t from_seq, to_seq;
	uint32_t groups;                  /* protected ones that its copies may carry */
	struct dispatch_record *record;   /* NULL: nothing of it was sent */
	uint64_t noted_seen, noted_acked; /* as written down last */
	int64_t noted_ms;
};

/* One stream of the subscription. */
struct dispatch_place {
	struct dispatch_stream *stream;
	struct dispatch_position at;    /* delivered or passed over up to here */
	struct dispatch_position acked; /* everything up to here that it may see is with the client */
	uint64_t sent_seq;              /* newest delivered */
	uint64_t told_seq;              /* position the client holds a seal of */
	uint32_t unacked;               /* deliveries on their way */
	bool unsaved;                   /* acked has moved since the cursor was saved */
	bool reserving;                 /* a range has been asked for */
	uint64_t asked_block, asked_in; /* the block it waits for, and the reading it was last counted in */
	uint64_t reserved_to;           /* may be sent up to here */
	uint32_t groups;                /* protected ones that ranges to come are asked for */
	bool fetching;                  /* protected groups of its next events have been asked for */
	uint64_t until;                 /* nothing after it is sent; UINT64_MAX: no end */
	struct dispatch_range ranges[DISPATCH_RANGES_MAX];
	uint8_t range_count;
};

/* What is on its way: an event as the next of its stream; one of a snapshot, which moves no place; the end of a snapshot. */
enum dispatch_sent { DISPATCH_SENT_EVENT, DISPATCH_SENT_ITEM, DISPATCH_SENT_END };

/* A delivery that waits for its acknowledgement. */
struct dispatch_unacked {
	struct dispatch_position position;
	int64_t recorded_at_us;
	uint32_t size;
	int32_t agency_id; /* who is told that the desk has it; -1: nobody */
	uint16_t place;
	bool ends_message; /* the last one of its message, which takes one place of the window */
	enum dispatch_sent sent;
};

enum { DISPATCH_PAGE_EVENTS = 64, DISPATCH_PAGE_BYTES = 512 * 1024 };
enum dispatch_snapshot_state {
	DISPATCH_SNAPSHOT_NEW,     /* what is open has not been read */
	DISPATCH_SNAPSHOT_TELLING, /* it is being told */
	DISPATCH_SNAPSHOT_TOLD,    /* its end is on its way */
};
/* First what is open: dispatch_snapshot.c. */
struct dispatch_snapshot {
	enum dispatch_snapshot_state state;
	bool include_closed;
	bool asked;            /* a reading of it waits or is under way */
	bool cut;              /* into ranges, which have been asked for */
	uint32_t groups;       /* protected ones that its ranges are asked for */
	uint64_t told, end_no; /* deliveries so far; number of the end */
	struct dispatch_items items;
	size_t page_first, page_count;  /* turns of which the events are here */
	size_t page_bytes, items_bytes; /* as counted with those of others */
	size_t ranges_asked;
	int64_t moved_ms;                                  /* when something of it was sent or acknowledged last */
	struct dispatch_event *page[DISPATCH_PAGE_EVENTS]; /* NULL: not kept any more */
};

struct dispatch_subscription {
	uint64_t session, serial; /* serial: of this subscription, among all of the process */
	int32_t key_id, desk_id;
	struct dispatch_holder holder;
	struct dispatch_filter filter;
	char cursor[DISPATCH_CURSOR_BYTES]; /* "": none */
	uint64_t delivery_no, acked_no;     /* newest sent, newest acknowledged */
	uint64_t first_no;                  /* newest sent when the subscription began */
	struct dispatch_snapshot *snapshot; /* NULL: none, or it is with the client */
	bool backfill_told;                 /* the end of the backfill is on its way */
	size_t unacked_bytes;
	struct dispatch_share *share; /* its agency's, which counts them too */
	int64_t policy_version;       /* of the ranges */
	uint64_t idle_since;          /* the feed's generation in which nothing was left to do; 0: look again */
	int64_t beat_ms;              /* last beat or delivery */
	int64_t head_beat_ms;         /* last beat that told a new head */
	uint64_t told_head;           /* number of the newest signed head told */
	uint32_t window;
	uint32_t batch_max_bytes; /* 0: one event a message */
	bool lagging;             /* knows EVENT_KIND_LAGGING */
	bool recalled;            /* knows EVENT_KIND_RECALLED */
	bool work;                /* knows what dispatch_rules_is_work names */
	bool catching_up;         /* the last visit ended before it had all there is */
	uint64_t lap;             /* of those that catch up: in which it was visited last */
	uint32_t messages;        /* unacknowledged, wholly or in part */
	size_t next_place;
	size_t place_count;
	struct dispatch_unacked *unacked; /* ring by delivery_no; grows, a power of two */
	size_t unacked_capacity;
	struct dispatch_place places[];
};

/* With these streams, none of them set up yet but stream pointers; NULL without memory. */
struct dispatch_subscription *dispatch_subscription_new(
	struct dispatch_cache *cache, const struct dispatch_streams *streams, uint32_t window);
/* Lets the snapshot go. */
void dispatch_subscription_drop_snapshot(struct dispatch_subscription *subscription);
/* Drops the events of its page. */
void dispatch_snapshot_drop_page(struct dispatch_snapshot *snapshot);
/* Nulls the pointer. */
void dispatch_subscription_free(struct dispatch_subscription **subscription_p);
/* Where the stream begins. */
void dispatch_subscription_start(
	struct dispatch_subscription *subscription, size_t place, const struct dispatch_position *position);

/* True while one more delivery may be on its way. joins: in a message that is being put together already. */
bool dispatch_subscription_has_credit(const struct dispatch_subscription *subscription, bool joins);
/* Room to note one more; false without memory. */
bool dispatch_subscription_make_room(struct dispatch_subscription *subscription);
/* The next delivery is on its way: moves its place (an event's), takes credit (of the window only where it does not join). There
 * must be credit and room. */
void dispatch_subscription_sent(struct dispatch_subscription *subscription, const struct dispatch_unacked *delivery, bool joins);
/* Passed over without delivery. */
void dispatch_subscription_passed(
	struct dispatch_subscription *subscription, size_t place, const struct dispatch_position *position);

/* Everything up to delivery_no is with the client; on_acked is called for each delivery. Older numbers change nothing. false:
 * that number was never sent. */
bool dispatch_subscription_ack(struct dispatch_subscription *subscription, uint64_t delivery_no,
	void (*on_acked)(void *arg, const struct dispatch_subscription *subscription, const struct dispatch_unacked *delivery),
	void *arg);

/* Nothing may be sent under ranges reserved so far (the policy is another one now). */
void dispatch_subscription_revoke_ranges(struct dispatch_subscription *subscription, int64_t policy_version);
/* Can the number be noted as sent under this term, in the range that covers it? False: there is none, its record is full, or
 * there is no memory. */
bool dispatch_subscription_can_note(struct dispatch_place *place, uint64_t seq, uint32_t term);
/* It was sent; could be noted. */
void dispatch_subscription_note(struct dispatch_place *place, uint64_t seq, uint32_t term);
/* The range is written down. A range before it ends where this one begins. */
void dispatch_subscription_grant(struct dispatch_place *place, const struct dispatch_range *range);
/* The open range that this number is sent under; NULL: none. */
struct dispatch_range *dispatch_subscription_range(struct dispatch_place *place, uint64_t seq);
/* Takes out a range of which all that was sent is acknowledged (or any, when `all`), with its record; false when there is none.
 */
bool dispatch_subscription_take_closed(struct dispatch_place *place, bool all, struct dispatch_range *ret_range);

/* Numbers of its streams that are not with the client. */
uint64_t dispatch_subscription_behind(const struct dispatch_subscription *subscription);
/* When the oldest delivery that waits for its acknowledgement was recorded; INT64_MAX: none waits. */
int64_t dispatch_subscription_oldest_us(const struct dispatch_subscription *subscription);
