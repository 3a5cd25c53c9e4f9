/* dispatch_store_pg.h: all of dispatch's SQL, on three connections of its own so that reading the feed, reading protected groups
 * and writing never wait for each other. Each connection has one job in flight; a call that finds it busy or away answers
 * JK_RETRY and has done nothing. What is passed in is borrowed until `done`. done(JK_OK): committed. JK_RETRY: perhaps not; the
 * same call may be made again. JK_BROKEN: the database refuses it (see dispatch_store_problem). Not here: what to do about it. */
#pragma once

#include "bus/bus_loop.h"
#include "dispatch_apart.h"
#include "dispatch_heads.h"
#include "dispatch_items.h"
#include "dispatch_record.h"
#include "dispatch_seal.h"
#include "feed/feed_reader.h"

struct dispatch_store;

struct dispatch_store_done {
	void *arg;
	void (*done)(void *arg, enum jk_status status);
};

/* Opens all lanes and adds them to the loop with a timer. */
enum jk_status dispatch_store_open(const char *conninfo, struct jk_loop *loop, struct dispatch_store **ret_store) JK_MUST_CHECK;
void dispatch_store_close(struct dispatch_store **store_p);
bool dispatch_store_can_read(const struct dispatch_store *store);
bool dispatch_store_can_fetch(const struct dispatch_store *store);
bool dispatch_store_can_write(const struct dispatch_store *store);
/* True while the connections for reading and writing stand. */
bool dispatch_store_is_up(const struct dispatch_store *store);
/* What keeps the database from working, as jk_db_trouble says it of either lane; "" when nothing. */
void dispatch_store_trouble(const struct dispatch_store *store, char ret_words[JK_DB_TROUBLE_BYTES]);
/* What the database said last, for logs. */
const char *dispatch_store_problem(const struct dispatch_store *store);

/* ---- reading lane ---- */

/* Events of a stream after a number. */
struct dispatch_want {
	const char *stream;
	uint64_t after;
};
enum { DISPATCH_READ_MAX_BYTES = 8 * 1024 * 1024, DISPATCH_WANTS_MAX = 64 };

struct dispatch_reader {
	void (*on_head)(void *arg, const struct jk_head *head);    /* ascending */
	void (*on_event)(void *arg, const struct jk_event *event); /* by stream, then seq */
	/* An erasure after number erased_after, before the events; asked with the heads. < 0: once, with the number of the newest
	 * one, 0 where there is none, and no incident. */
	void (*on_erased)(void *arg, int64_t erasure_id, const struct jk_id *incident_id);
	int64_t erased_after;
	struct dispatch_store_done done;
	size_t max_bytes; /* of all bodies together; at most DISPATCH_READ_MAX_BYTES */
};
/* Reads all heads (where asked), then up to DISPATCH_BLOCK_EVENTS events for each want, at least one and no more than its share
 * of max_bytes. Callbacks come only when all of it was read, before done. */
enum jk_status dispatch_store_read(struct dispatch_store *store, bool heads, const struct dispatch_want *wants, size_t count,
	const struct dispatch_reader *reader) JK_MUST_CHECK;

/* A durable cursor that is behind in a stream, was saved within the last days, and not just now. */
struct dispatch_cursor_name {
	char holder[DISPATCH_HOLDER_BYTES], name[DISPATCH_CURSOR_BYTES]; /* filled up with zeros */
};
struct dispatch_idle_cursor {
	struct dispatch_cursor_name name;
	char stream[DISPATCH_STREAM_BYTES];
	uint64_t seq;
	int64_t oldest_us; /* when the first event after seq was recorded; INT64_MAX: it is not kept */
};
enum { DISPATCH_CURSORS_A_PAGE = 2000 };
/* The next page of them after this one (all zero: from the first), ordered by name and stream; desks' cursors only. Fewer than a
 * page: that was the last one. Takes the reading lane, as dispatch_store_read does. */
enum jk_status dispatch_store_read_cursors(struct dispatch_store *store, const struct dispatch_idle_cursor *after,
	void (*on_cursor)(void *arg, const struct dispatch_idle_cursor *cursor),
	const struct dispatch_store_done *done) JK_MUST_CHECK;

/* Did this desk get content of the incident, with a lower number in this stream? */
struct dispatch_recall_question {
	int32_t desk_id;
	struct dispatch_holder holder;
	const char *stream;
	uint64_t seq;
	struct jk_id incident_id;
	uint32_t answer; /* for dispatch_recall.c, as is had */
	bool had;
};
/* on_earlier comes for each earlier number of the incident (the newest 64), in any order; had: by what is written down of it. Of
 * a row that is silent (left open by a crash) it says no: what nobody knows to be sent, nobody is told to have. Takes the reading
 * lane. */
enum jk_status dispatch_store_recall(struct dispatch_store *store, const struct dispatch_recall_question *questions, size_t count,
	void (*on_earlier)(void *arg, size_t index, uint64_t seq, bool had),
	const struct dispatch_store_done *done) JK_MUST_CHECK;

/* Where a stream stands, for a snapshot: what is open is known up to there. */
struct dispatch_snapshot_reader {
	const struct dispatch_streams *streams;
	bool include_closed;
	int64_t grace_s;
	void (*on_start)(void *arg, size_t place, const struct dispatch_position *position); /* each once, before the items */
	void (*on_item)(void *arg, const struct dispatch_item *item);                        /* the gravest first */
	struct dispatch_store_done done;
};
/* Reads which incidents are open in these streams, and where the streams stand, as of one moment. Takes the reading lane. */
enum jk_status dispatch_store_read_snapshot(
	struct dispatch_store *store, const struct dispatch_snapshot_reader *reader) JK_MUST_CHECK;

/* One event. */
struct dispatch_item_want {
	const char *stream;
	uint64_t seq;
};
/* Reads single events in the order of the wants, at least the first and no more than max_bytes of them: those after the last that
 * came are to be asked for again. event NULL: it is not kept. Takes the reading lane. */
enum jk_status dispatch_store_read_items(struct dispatch_store *store, const struct dispatch_item_want *wants, size_t count,
	size_t max_bytes, void (*on_event)(void *arg, size_t index, const struct jk_event *event),
	const struct dispatch_store_done *done) JK_MUST_CHECK;

/* ---- lane of protected groups ---- */

/* Protected groups of an event, under a range that is written down and says that it may carry them. */
struct dispatch_protected_want {
	uint64_t session, serial, seq;
	int64_t policy_version;
	uint16_t place;
	int64_t disclosure_id;
	struct jk_id event_id;
};
enum { DISPATCH_FETCH_MAX = 64, DISPATCH_FETCH_MAX_BYTES = 4 * 1024 * 1024 };
/* on_protected comes in the order of the wants, before done. refused: "" or why nothing is given; "LATER": the job was full. */
enum jk_status dispatch_store_fetch_protected(struct dispatch_store *store, const struct dispatch_protected_want *wants,
	size_t count, void (*on_protected)(void *arg, size_t index, const char *refused, const struct dispatch_apart *apart),
	const struct dispatch_store_done *done) JK_MUST_CHECK;

/* ---- writing lane ---- */

/* Key of the seals, and the feed's epoch (0: not confirmed). */
enum jk_status dispatch_store_read_secret(struct dispatch_store *store,
	void (*on_secret)(void *arg, const uint8_t *key, uint32_t epoch), const struct dispatch_store_done *done) JK_MUST_CHECK;

/* A cursor's position in one stream. */
struct dispatch_cursor_row {
	struct dispatch_holder holder;
	char name[DISPATCH_CURSOR_BYTES];
	char stream[DISPATCH_STREAM_BYTES];
	struct dispatch_position position;
};
/* Cursors are saved without waiting for the disk and never lowered; those in `renewed` (stream unused) are removed before, and
 * that is waited for. */
struct dispatch_cursor_batch {
	const struct dispatch_cursor_row *renewed, *rows;
	size_t renewed_count, row_count;
};
/* What a disclosure row is to say; of several for one row the last counts. */
struct dispatch_closing {
	int64_t disclosure_id;
	uint64_t from_seq, sent_seq, acked_seq;
	uint64_t seen_seq;              /* sent or passed over up to here: the record written down ends here */
	bool ends;                      /* nothing more will be sent */
	struct dispatch_record *record; /* NULL: nothing was sent */
	int32_t desk_id;                /* for dispatch_closing.c, as is stream; -1: none */
	const struct dispatch_stream *stream;
};
enum jk_status dispatch_store_save(struct dispatch_store *store, const struct dispatch_cursor_batch *cursors,
	const struct dispatch_terms *terms, const struct dispatch_closing *closings, size_t closing_count,
	const struct dispatch_store_done *done) JK_MUST_CHECK;

/* What a subscription asks about one of its streams. */
struct dispatch_question {
	const struct dispatch_holder *holder;
	const char *cursor; /* "": none */
	const char *stream;
	bool counts; /* ask also how many positions the cursor has */
	bool asked;  /* seq is a token's */
	uint64_t seq;
};
struct dispatch_answer {
	struct dispatch_found found; /* claim: the cursor's, when it has one under this filter and no token asked */
	bool cursor_fits;            /* the cursor has a position here under this filter */
	size_t cursor_held;          /* positions the cursor has in all, where that was asked */
};
/* Saves the cursors first, so that the answers know them. on_answer comes in the order of the questions, before done. */
enum jk_status dispatch_store_find(struct dispatch_store *store, const struct dispatch_cursor_batch *cursors,
	const struct dispatch_question *questions, size_t count,
	void (*on_answer)(void *arg, size_t index, const struct dispatch_answer *answer),
	const struct dispatch_store_done *done) JK_MUST_CHECK;

/* Numbers that are about to be sent. */
struct dispatch_reservation {
	uint64_t session, serial;
	struct dispatch_holder holder;
	int32_t key_id;
	uint16_t place;
	const char *stream;
	uint64_t from_seq, to_seq;
	int64_t policy_version;
	uint32_t groups;     /* protected ones that its copies may carry */
	uint32_t item_range; /* index + 1 of a snapshot's range; 0: the place's */
};
/* on_id comes in the order of the reservations, before done. */
enum jk_status dispatch_store_reserve(struct dispatch_store *store, const struct dispatch_reservation *reservations, size_t count,
	void (*on_id)(void *arg, size_t index, int64_t disclosure_id), const struct dispatch_store_done *done) JK_MUST_CHECK;

/* on_number: the head's number, before done. */
enum jk_status dispatch_store_add_head(struct dispatch_store *store, const struct jk_signed_head *head,
	const struct jk_head *streams, size_t count, void (*on_number)(void *arg, size_t index, int64_t head_no),
	const struct dispatch_store_done *done) JK_MUST_CHECK;

/* An event for a mailbox. */
struct dispatch_mail {
	char stream[DISPATCH_STREAM_BYTES];
	struct jk_id event_id, incident_id;
	uint8_t commitment[32];
	int kind; /* JK_EVENT_DELIVERED, JK_EVENT_LAGGING */
	uint8_t body[160];
	size_t body_size;
};
/* Appends them as events. */
enum jk_status dispatch_store_append(struct dispatch_store *store, const struct dispatch_mail *mails, size_t count,
	const struct dispatch_store_done *done) JK_MUST_CHECK;
