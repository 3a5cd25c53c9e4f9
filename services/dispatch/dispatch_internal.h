/* dispatch_internal.h: what the files of the shell share. One thread, one loop; each turn of it goes
 *   messages and results -> fan-out to sessions -> next reading job -> next writing job.
 *
 *   dispatch_service.c    opening, timers, the turn, acknowledgements, beats
 *   dispatch_ask.c        SUBSCRIBE: shape, streams, seals
 *   dispatch_subscribe.c  SUBSCRIBE: from a sound ask to the first position
 *   dispatch_feed.c       reading lane: heads, blocks that sessions wait for
 *   dispatch_fanout.c     who gets the next event of each stream
 *   dispatch_visit.c      what a visit to a session sends
 *   dispatch_snapshot.c   first what is open: telling it, its ranges; ends of backfills
 *   dispatch_snapshot_read.c  reading lane: what is open, and its events
 *   dispatch_protected.c  a lane of its own: protected groups for those who may have them
 *   dispatch_writing.c    writing lane: disclosure, cursors; which job is next
 *   dispatch_closing.c    writing lane: what was sent of each range, and how far
 *   dispatch_recall.c     reading lane: RECALLED to those that had an earlier copy
 *   dispatch_evidence.c   writing lane: DELIVERED receipts, signed heads
 *   dispatch_lag.c        how far desks are behind
 *   dispatch_lagging.c    publishers are told which desks lag
 *   dispatch_retain.c     sessions that removal by age has overtaken
 *   dispatch_unit_*.c, dispatch_aid_*.c  units and help, with connections of their own: see dispatch_unit_internal.h */
#pragma once

#include "daemon/metrics.h"
#include "dispatch_cache.h"
#include "dispatch_duty.h"
#include "dispatch_list.h"
#include "dispatch_open.h"
#include "dispatch_opened.h"
#include "dispatch_protected.h"
#include "dispatch_receipts.h"
#include "dispatch_service.h"
#include "dispatch_store_pg.h"
#include "dispatch_subscription.h"
#include "dispatch_unit_service.h"
#include "dispatch_wants.h"
#include "dispatch_wire.h"

enum {
	DISPATCH_TICK_MS = 250,
	DISPATCH_IDLE_BEAT_MS = 4500, /* "at least every 5 s", looked at every tick */
	DISPATCH_HEAD_BEAT_MS = 1000, /* a new head is told no more often */
	DISPATCH_SAVE_MS = 1000,
	DISPATCH_LAG_MS = 1000,
	DISPATCH_RETRY_MS = 500,
	DISPATCH_FIND_MAX = 32,
	DISPATCH_PENDING_MAX = 1024, /* subscriptions that wait for the look-up; some 8 KiB each */
	DISPATCH_MAILS_MAX = 1024,
	DISPATCH_SCRATCH_BYTES = 32 * 1024 * 1024,
};

struct dispatch_feed {
	bool heads_due, reading, moved;
	struct dispatch_wants wants;
	struct dispatch_wanted *flying[DISPATCH_WANTS_MAX]; /* in wants, which stays as it is until the reading ends */
	size_t flying_count;
	int64_t erased_after; /* number of the newest erasure seen; < 0: none yet */
	uint64_t total_seq;   /* of all streams, as last read */
	uint64_t sum_seq;     /* of the reading under way */
	int64_t began_us;
};

/* A SUBSCRIBE on its way. */
struct dispatch_pending {
	struct dispatch_pending *next;
	uint64_t session, request;
	int32_t key_id, desk_id, agency_id;
	struct dispatch_holder holder;
	struct dispatch_filter filter;
	enum dispatch_start start;
	char cursor[DISPATCH_CURSOR_BYTES];
	uint32_t window, batch_max_bytes;
	bool lagging, recalled, work, include_closed;
	struct dispatch_streams streams;
	bool sealed[DISPATCH_STREAMS_MAX];
	uint8_t seals[DISPATCH_STREAMS_MAX][DISPATCH_SEAL_BYTES];
	struct dispatch_found found[DISPATCH_STREAMS_MAX];
	size_t first_question, matching, held;
};

enum dispatch_job { /* in flight on the writing lane */
	DISPATCH_JOB_NONE,
	DISPATCH_JOB_SECRET,
	DISPATCH_JOB_FIND,
	DISPATCH_JOB_RESERVE,
	DISPATCH_JOB_SAVE,
	DISPATCH_JOB_HEAD,
	DISPATCH_JOB_APPEND,
};

/* Each kind of job has a list that is collected and one that flies; what flies stays until it is committed. */
struct dispatch_writing {
	enum dispatch_job job, last_job; /* under way, begun last */
	bool secret_due;                 /* read anew with every connection: the epoch may be another one */
	int64_t not_before_ms;           /* after a failure */
	int64_t save_at_ms, append_at_ms, head_at_ms;
	struct dispatch_pending *pending, *finding; /* subscriptions */
	struct dispatch_question questions[DISPATCH_FIND_MAX * DISPATCH_STREAMS_MAX];
	size_t question_count;
	struct dispatch_list reserve, reserve_flying;   /* struct dispatch_reservation */
	struct dispatch_list renewed, renewed_flying;   /* struct dispatch_cursor_row */
	struct dispatch_list cursors, cursors_flying;   /* struct dispatch_cursor_row */
	struct dispatch_list closings, closings_flying; /* struct dispatch_closing */
	struct dispatch_list settled;                   /* committed during a look-up of dispatch_recall.c */
	unsigned notes;                                 /* of rows that stay open, for the next job */
	struct dispatch_receipts *receipts;
	struct dispatch_list notices;       /* struct dispatch_mail, the next ones beside the receipts */
	struct dispatch_list mails;         /* struct dispatch_mail, flying */
	struct dispatch_list heads, leaves; /* struct jk_head, hashes */
	struct jk_signed_head head, head_flying;
	uint64_t head_number; /* of head; 0: none yet */
	uint64_t published_number;
	int64_t publish_at_ms;
	uint64_t head_total, head_flying_total;
};

struct dispatch_metrics {
	struct jk_metric *delivered, *batches, *denied, *recalled, *filtered, *unreadable, *acked;
	struct jk_metric *hits, *misses, *cache_bytes, *events_read, *read_time;
	struct jk_metric *sessions, *flight_bytes, *registry_version;
	struct jk_metric *heads_signed, *receipts, *notices, *reservations, *failures;
	struct jk_metric *protected_copies, *protected_refused, *protected_bytes, *erasures, *snapshots;
};

/* A stream of a durable cursor that no session holds. */
struct dispatch_idle_place {
	int32_t desk_id;
	struct dispatch_stream *stream;
	uint64_t seq;
	int64_t oldest_us; /* when the first event after seq was recorded */
	uint32_t cursor;   /* equal for the streams of one cursor */
};

struct dispatch_lag {                           /* dispatch_lag.c */
	struct dispatch_list desks;             /* pointers, by desk */
	struct dispatch_list held;              /* struct dispatch_cursor_name, of sessions; sorted */
	struct dispatch_list idle, idle_coming; /* struct dispatch_idle_place; as last read, being read */
	struct dispatch_idle_cursor last;       /* the row seen last; the page goes on after it */
	uint32_t cursors;                       /* different ones seen */
	size_t page_rows;
	int64_t look_at_ms, began_ms, measure_at_ms;
};

struct dispatch_lagging_desks {        /* dispatch_lagging.c */
	struct dispatch_list laggards; /* by desk and stream */
	int64_t mark_at_ms, look_at_ms;
	size_t next; /* where the looking through goes on */
};

enum dispatch_recall_state {
	DISPATCH_RECALL_UNKNOWN,
	DISPATCH_RECALL_ASKED,
	DISPATCH_RECALL_NO,
	DISPATCH_RECALL_YES,
};
enum { DISPATCH_RECALL_ANSWERS = 4096, DISPATCH_RECALL_QUESTIONS = 256 };

/* Had this desk a copy of the event's incident, earlier in the stream? */
struct dispatch_recall_answer {
	int32_t desk_id;
	enum dispatch_recall_state state;
	bool seen; /* by whom it was for */
	const struct dispatch_stream *stream;
	uint64_t seq;
	int64_t policy_version, until_ms;
};

/* The event at hand: who is not to have it. */
struct dispatch_recall_case {
	const struct dispatch_subscription *subscription;
	const struct dispatch_stream *stream;
	const struct jk_registry *registry;
	const struct jk_registry_key *key;
	int64_t now_us;
};

struct dispatch_recall {                                                /* dispatch_recall.c */
	struct dispatch_recall_answer answers[DISPATCH_RECALL_ANSWERS]; /* by what they answer; the newest wins */
	struct dispatch_list asking, flying;                            /* struct dispatch_recall_question */
	bool looking, turn;
};

/* Snapshots wait for the reading lane. */
struct dispatch_snapshot_turn {
	uint64_t session, serial;
};
struct dispatch_snapshots {           /* dispatch_snapshot.c */
	struct dispatch_list waiting; /* struct dispatch_snapshot_turn */
	struct dispatch_snapshot_turn flying;
	struct dispatch_streams streams; /* of the one that flies */
	size_t page_bytes, items_bytes;  /* of all */
	bool looking, stale, failed, turn;
};

struct dispatch {
	struct dispatch_surroundings around;
	struct jk_sessions *sessions;
	struct dispatch_store *store;
	struct dispatch_cache *cache;
	struct jk_arena *scratch;
	uint64_t generation; /* moves when a session that waits may be able to go on */
	uint64_t serial;
	uint64_t lap; /* of the sessions that catch up: each is visited once in it */
	struct dispatch_parcel parcel;
	int64_t registry_version;
	struct dispatch_flight flight;
	bool has_secret, was_up, draining, fatal;
	struct {
		uint64_t sessions, unacknowledged;
	} left; /* when the drain began */
	uint8_t seal_key[DISPATCH_SEAL_KEY_BYTES];
	uint32_t epoch;
	struct dispatch_feed feed;
	struct dispatch_protected protected;
	struct dispatch_writing writing;
	struct dispatch_metrics metrics;
	struct dispatch_lag lag;
	struct dispatch_lagging_desks lagging;
	struct dispatch_terms terms; /* of records */
	struct dispatch_recall recall;
	struct dispatch_snapshots snapshots;
	struct dispatch_units *units;
	struct dispatch_open *open;
	struct dispatch_duties *duties;
	struct dispatch_opened *opened;
};

/* dispatch_ask.c */
void dispatch_on_subscribe(void *service, const struct jk_request *request);

/* dispatch_subscribe.c */
void dispatch_subscribe_add(struct dispatch_pending **list, struct dispatch_pending *pending);
/* Starts the job that looks the next subscriptions up. */
enum jk_status dispatch_subscribe_find(struct dispatch *dispatch, const struct dispatch_cursor_batch *cursors,
	const struct dispatch_store_done *done) JK_MUST_CHECK;
/* The job ended: answers them (or keeps them for the next try). */
void dispatch_subscribe_found(struct dispatch *dispatch, enum jk_status status);
/* The session ended: what it asked needs no answer. */
void dispatch_subscribe_forget(struct dispatch *dispatch, uint64_t session);
void dispatch_subscribe_done(struct dispatch *dispatch);
/* Takes the session's subscription away, keeping what has to be written. */
void dispatch_subscription_end(struct dispatch *dispatch, struct jk_session *session);

/* dispatch_feed.c */
/* The session whose place it is waits for what follows `after` in the stream. */
void dispatch_feed_want(struct dispatch *dispatch, struct dispatch_place *place, uint64_t after);
/* The database behind the feed is another one: nothing cached counts, and every session shows its positions again. */
void dispatch_feed_changed(struct dispatch *dispatch);
/* Starts the next reading job, if there is one and the lane is free. */
void dispatch_feed_turn(struct dispatch *dispatch);

/* dispatch_fanout.c */
/* Goes round the sessions once; true when more could be done at once. */
bool dispatch_fanout_turn(struct dispatch *dispatch);
/* The owner is looked up once for all sessions; a snapshot that does not know it yet denies. */
void dispatch_fanout_find_owner(struct dispatch_event *event, const struct jk_registry *registry);

/* dispatch_writing.c */
/* Is the next number covered by a range that is written down, and can it be noted there as sent under this term? False: not yet;
 * what is missing is asked for. */
bool dispatch_writing_covers(
	struct dispatch *dispatch, struct dispatch_subscription *subscription, size_t place, uint64_t seq, uint32_t term);
/* Asks for a range that the next number stands in, with the groups of the place. */
void dispatch_writing_reserve(struct dispatch *dispatch, struct dispatch_subscription *subscription, size_t place);
/* Notes the cursor's positions that moved, and the ranges that ended (all of them, when the subscription ends). */
void dispatch_writing_collect(struct dispatch *dispatch, struct dispatch_subscription *subscription, bool ends);
/* The cursor starts anew: nothing noted for it so far counts. */
void dispatch_writing_renew_cursor(struct dispatch *dispatch, const struct dispatch_subscription *subscription);
void dispatch_writing_turn(struct dispatch *dispatch);
/* Nothing is left to be written before the end. */
bool dispatch_writing_is_clear(const struct dispatch *dispatch);
void dispatch_writing_done(struct dispatch *dispatch);

/* dispatch_closing.c */
/* Nothing of the range was sent, nor will be. */
void dispatch_closing_unused(struct dispatch *dispatch, const struct dispatch_range *range);
/* What was sent of it so far is all that this process will know; ends: all that was sent at all. Takes the record. */
void dispatch_closing_add(struct dispatch *dispatch, const struct dispatch_subscription *subscription,
	const struct dispatch_place *place, struct dispatch_range *range, bool ends);
/* All that was sent of this range of the subscription's snapshot is what will be. */
void dispatch_closing_add_items(struct dispatch *dispatch, const struct dispatch_subscription *subscription,
	const struct dispatch_items_range *items_range);
/* Notes the place's ranges that moved some time ago and stay open. */
void dispatch_closing_note_open(
	struct dispatch *dispatch, const struct dispatch_subscription *subscription, struct dispatch_place *place);
/* The next ones get ready to fly, unless some still do. */
void dispatch_closing_fly(struct dispatch_writing *writing);
/* Those that flew are committed. */
void dispatch_closing_written(struct dispatch *dispatch);
/* No look-up is under way any more. */
void dispatch_closing_settle(struct dispatch *dispatch);
/* Does something that is not sure to be found in the database say that the desk got content with this number? */
bool dispatch_closing_has_copy(
	const struct dispatch_writing *writing, int32_t desk_id, const struct dispatch_stream *stream, uint64_t seq);
void dispatch_closing_done(struct dispatch_writing *writing);

/* dispatch_recall.c */
/* The event was denied: is the desk to be told that its earlier copy is recalled? ASKED: wait. */
enum dispatch_recall_state dispatch_recall_decide(struct dispatch *dispatch, const struct dispatch_recall_case *of,
	struct dispatch_block *block, const struct dispatch_event *event);
/* Starts the reading job that answers, when something is asked. */
bool dispatch_recall_look(struct dispatch *dispatch);
void dispatch_recall_done(struct dispatch *dispatch);

/* dispatch_snapshot.c */
enum { DISPATCH_PAGES_MAX_BYTES = 32 * 1024 * 1024 }; /* of all snapshots; plus what one job brings */
/* Lets its events go, which are read again when it comes for them. */
void dispatch_snapshot_release_page(struct dispatch *dispatch, struct dispatch_snapshot *snapshot);
/* The subscription's snapshot waits for what it needs next: what is open, or the events of its next page. */
void dispatch_snapshot_want(struct dispatch *dispatch, struct dispatch_subscription *subscription);
/* The policy is another one: what is left is written down anew before it is sent. */
void dispatch_snapshot_revoke(struct dispatch *dispatch, struct dispatch_subscription *subscription);
/* A range of it is written down. False: it is not one of its ranges any more. */
bool dispatch_snapshot_grant(
	struct dispatch_subscription *subscription, const struct dispatch_reservation *reservation, int64_t disclosure_id);
/* One of it is with the client. */
void dispatch_snapshot_acked(const struct dispatch_subscription *subscription, const struct dispatch_unacked *delivery);
/* Lets it go when its end is with the client: the cursor begins where it ends. */
void dispatch_snapshot_settle(struct dispatch *dispatch, struct dispatch_subscription *subscription);
/* The subscription ends: what was sent of it is written down. */
void dispatch_snapshot_end(struct dispatch *dispatch, struct dispatch_subscription *subscription);
/* Has it sent content with this number, of which no row says it yet? */
bool dispatch_snapshot_has_copy(const struct dispatch_subscription *subscription, size_t place_no, uint64_t seq);
/* Something was erased: no event that was read before is told. */
void dispatch_snapshot_forget(struct dispatch *dispatch);
/* Starts the reading job that the next one waits for. */
bool dispatch_snapshot_look(struct dispatch *dispatch);
void dispatch_snapshot_done(struct dispatch *dispatch);

/* dispatch_lag.c */
void dispatch_lag_measure(struct dispatch *dispatch, int64_t now_us);
/* Starts the reading job that looks up cursors without a session, when it is time for it. */
bool dispatch_lag_look(struct dispatch *dispatch);
void dispatch_lag_done(struct dispatch *dispatch);

/* dispatch_lagging.c */
void dispatch_lagging_tick(struct dispatch *dispatch, int64_t now_ms);
void dispatch_lagging_done(struct dispatch *dispatch);

/* dispatch_retain.c */
/* The event that the session would take next in this stream is no longer kept: ends the session with RESYNC. */
void dispatch_retain_end_behind(
	struct dispatch *dispatch, struct jk_session *session, const struct dispatch_subscription *subscription, size_t place_no);

/* dispatch_evidence.c */
/* A message for the agency's mailbox, to be appended soon. */
void dispatch_evidence_notice(struct dispatch *dispatch, const struct jk_agency *agency, const struct dispatch_lagging *lagging);
bool dispatch_evidence_append_is_due(const struct dispatch *dispatch, int64_t now_ms);
enum jk_status dispatch_evidence_append(struct dispatch *dispatch, const struct dispatch_store_done *done) JK_MUST_CHECK;
void dispatch_evidence_appended(struct dispatch *dispatch);
bool dispatch_evidence_head_is_due(const struct dispatch *dispatch, int64_t now_ms);
enum jk_status dispatch_evidence_sign(struct dispatch *dispatch, const struct dispatch_store_done *done) JK_MUST_CHECK;
void dispatch_evidence_signed(struct dispatch *dispatch);
/* Adds the newest head to the file where they are published, if it is due. */
void dispatch_evidence_publish(struct dispatch *dispatch, int64_t now_ms);
