/* dispatch_wire.h: protobuf <-> dispatch's own types (proto/jukwaa/v1/dispatch.proto). What goes out is built anew from known
 * fields. Not here: deciding, storing. */
#pragma once

#include "dispatch_event.h"
#include "dispatch_heads.h"
#include "dispatch_seal.h"
#include "session/session.h"

/* A Subscribe; texts and arrays are borrowed from the request. */
struct dispatch_ask {
	uint64_t request;
	const char *const *counties;
	size_t county_count;
	bool all, neighbours, mailbox;
	struct dispatch_filter filter;
	enum dispatch_start start;
	const char *cursor;
	uint32_t window, batch_max_bytes;
	bool lagging, recalled, work, include_closed;
	bool agreement_fits; /* the agreement's code is no longer than one may be */
	const struct dispatch_sealed *positions;
	size_t position_count;
};
/* false: the arena is full. */
bool dispatch_wire_read_subscribe(const struct jk_request *request, struct dispatch_ask *ret_ask);
uint64_t dispatch_wire_read_ack(const struct jk_request *request);

/* Handler rows for the session layer. */
void dispatch_wire_subscribe_handler(
	struct jk_handler *ret_handler, void (*on_message)(void *service, const struct jk_request *request));
void dispatch_wire_ack_handler(
	struct jk_handler *ret_handler, void (*on_message)(void *service, const struct jk_request *request));

/* Seals as they go out. */
struct dispatch_told {
	size_t count;
	const char *streams[DISPATCH_STREAMS_MAX];
	uint8_t seals[DISPATCH_STREAMS_MAX][DISPATCH_SEAL_BYTES];
};
enum jk_status dispatch_wire_send_subscribed(struct jk_sessions *sessions, struct jk_session *session, uint64_t request,
	const struct dispatch_told *told) JK_MUST_CHECK;

struct dispatch_delivery {
	uint64_t delivery_no;
	const char *stream;
	const uint8_t *seal; /* DISPATCH_SEAL_BYTES; NULL: of a snapshot, without position */
	int case_state;      /* of a snapshot; 0: not shown */
	bool closed;         /* likewise */
	const struct dispatch_copy *copy;
	const struct jk_term *term; /* NULL: the owner's own */
	bool recalls;               /* ids alone */
};

/* Deliveries of one session that leave in one message. Zero-initialise; the memory serves one message after the other. */
struct dispatch_parcel {
	uint8_t *bytes;
	size_t size, capacity;
	size_t first_prefix; /* of the first delivery, as an entry */
	unsigned count;
};
void dispatch_parcel_done(struct dispatch_parcel *parcel);
/* What the delivery takes as an entry of a batch, at the most. */
size_t dispatch_wire_delivery_bytes(const struct dispatch_delivery *delivery);
/* Puts it in; false without memory. */
bool dispatch_parcel_add(struct dispatch_parcel *parcel, const struct dispatch_delivery *delivery);
/* Sends what is in (a Deliver when it is one, else a DeliverBatch) and empties the parcel, whatever the answer. */
enum jk_status dispatch_wire_send_parcel(
	struct jk_sessions *sessions, struct jk_session *session, struct dispatch_parcel *parcel) JK_MUST_CHECK;

/* head NULL: none signed yet. */
enum jk_status dispatch_wire_send_beat(struct jk_sessions *sessions, struct jk_session *session, uint64_t delivery_no,
	const struct dispatch_told *told, const struct jk_signed_head *head) JK_MUST_CHECK;

/* The end of a snapshot, or of a backfill. */
enum jk_status dispatch_wire_send_snapshot_end(struct jk_sessions *sessions, struct jk_session *session, uint64_t delivery_no,
	uint64_t count, const struct dispatch_told *told) JK_MUST_CHECK;

/* Packs jukwaa.v1.Delivered; returns its size, 0 when it does not fit. */
size_t dispatch_wire_write_delivered(uint8_t *ret, size_t capacity, const char *desk, const char *stream, uint64_t up_to_seq);

struct dispatch_lagging {
	const char *desk, *stream;
	uint64_t from_seq;
	int64_t since_us;
	bool cleared;
};
/* Why an event of this kind recalls an earlier copy; NULL: it does not. */
const char *dispatch_wire_recall_reason(int kind);
/* What a desk that may not see the event is told in its place; made in scratch, which is reset. NULL: no room. */
const struct dispatch_copy *dispatch_wire_recall_copy(
	const struct dispatch_event *event, const char *stream, struct jk_arena *scratch);

/* Packs jukwaa.v1.Lagging likewise. */
size_t dispatch_wire_write_lagging(uint8_t *ret, size_t capacity, const struct dispatch_lagging *lagging);
