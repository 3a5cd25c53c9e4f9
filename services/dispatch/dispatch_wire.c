/* dispatch_wire.c: see dispatch_wire.h. */
#include "dispatch_wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "wire/wire_body.h"
#include "wire/wire_field.h"
#include "wire/wire_frame.h"

_Static_assert(DISPATCH_START_NOW == (int)JUKWAA__V1__START_AT__START_AT_NOW &&
		       DISPATCH_START_BEGINNING == (int)JUKWAA__V1__START_AT__START_AT_BEGINNING &&
		       DISPATCH_START_TOKEN == (int)JUKWAA__V1__START_AT__START_AT_TOKEN &&
		       DISPATCH_START_CURSOR == (int)JUKWAA__V1__START_AT__START_AT_CURSOR &&
		       DISPATCH_START_SNAPSHOT == (int)JUKWAA__V1__START_AT__START_AT_SNAPSHOT,
	"dispatch_rules.h numbers starts as dispatch.proto does");
_Static_assert((int)DISPATCH_STREAM_BYTES == (int)JK_STREAM_BYTES, "one length of stream names");

bool dispatch_wire_read_subscribe(const struct jk_request *request, struct dispatch_ask *ret_ask)
{
	const Jukwaa__V1__Subscribe *message = (const Jukwaa__V1__Subscribe *)request->message;
	struct dispatch_sealed *positions = jk_arena_alloc(request->arena, (message->n_positions + 1) * sizeof *positions);

	if (positions == NULL)
		return false;
	for (size_t i = 0; i < message->n_positions; i++)
		positions[i] = (struct dispatch_sealed){.stream = message->positions[i]->stream,
			.seal = message->positions[i]->seal.data,
			.size = message->positions[i]->seal.len};
	*ret_ask = (struct dispatch_ask){
		.request = message->request,
		.counties = (const char *const *)message->counties,
		.county_count = message->n_counties,
		.all = message->all,
		.neighbours = message->neighbours,
		.mailbox = message->mailbox,
		.filter = {.minimum_severity = (uint8_t)message->minimum_severity, .include_test = message->include_test},
		.start = (enum dispatch_start)message->start_at,
		.cursor = message->cursor,
		.window = message->window,
		.batch_max_bytes = message->batch_max_bytes,
		.lagging = message->lagging,
		.recalled = message->recalled,
		.work = message->work,
		.include_closed = message->include_closed,
		.positions = positions,
		.position_count = message->n_positions,
	};
	for (size_t i = 0; i < message->n_categories; i++)
		ret_ask->filter.categories |= (uint16_t)(1U << message->categories[i]);
	ret_ask->agreement_fits =
		jk_text_copy(ret_ask->filter.agreement, sizeof ret_ask->filter.agreement, message->only_agreement);
	return true;
}

uint64_t dispatch_wire_read_ack(const struct jk_request *request)
{
	return ((const Jukwaa__V1__Ack *)request->message)->delivery_no;
}

void dispatch_wire_subscribe_handler(
	struct jk_handler *ret_handler, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret_handler = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_SUBSCRIBE,
		.type = &jukwaa__v1__subscribe__descriptor,
		.roles = 1U << JK_ROLE_DESK | 1U << JK_ROLE_PUBLISHER,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__Subscribe, session),
		.request_offset = offsetof(Jukwaa__V1__Subscribe, request),
	};
}

void dispatch_wire_ack_handler(
	struct jk_handler *ret_handler, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret_handler = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_ACK,
		.type = &jukwaa__v1__ack__descriptor,
		.roles = 1U << JK_ROLE_DESK | 1U << JK_ROLE_PUBLISHER,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__Ack, session),
		.request_offset = 0, /* an acknowledgement asks for no answer */
	};
}

/* The messages of a list of seals; point into told and into themselves. */
struct position_list {
	Jukwaa__V1__SealedPosition items[DISPATCH_STREAMS_MAX], *pointers[DISPATCH_STREAMS_MAX];
};

static void fill_position(Jukwaa__V1__SealedPosition *ret, const char *stream, const uint8_t *seal)
{
	jukwaa__v1__sealed_position__init(ret);
	ret->stream = (char *)stream;
	ret->seal = (ProtobufCBinaryData){.len = DISPATCH_SEAL_BYTES, .data = (uint8_t *)seal};
}

static void fill_positions(struct position_list *ret, const struct dispatch_told *told)
{
	for (size_t i = 0; i < told->count; i++) {
		fill_position(&ret->items[i], told->streams[i], told->seals[i]);
		ret->pointers[i] = &ret->items[i];
	}
}

enum jk_status dispatch_wire_send_subscribed(
	struct jk_sessions *sessions, struct jk_session *session, uint64_t request, const struct dispatch_told *told)
{
	Jukwaa__V1__Subscribed message = JUKWAA__V1__SUBSCRIBED__INIT;
	struct position_list list;

	fill_positions(&list, told);
	message.session = session->number;
	message.request = request;
	message.n_positions = told->count;
	message.positions = list.pointers;
	return jk_session_send(sessions, session, JUKWAA__V1__KIND__KIND_SUBSCRIBED, &message.base);
}

static ProtobufCBinaryData borrow(const void *data, size_t size)
{
	return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)data};
}

/* ---- deliveries ----
 *
 * Put together by hand: what a copy is for all its recipients is packed once (dispatch_event.h), and only what is this session's
 * is written for each. Fields may stand in any order. */

enum {
	TAG_SESSION = 1 << 3 | JK_WIRE_VARINT,             /* of Deliver and of DeliverBatch */
	TAG_BATCH_DELIVERY = 2 << 3 | JK_WIRE_LENGTH,      /* DeliverBatch.deliveries */
	TAG_DELIVERY_NO = 2 << 3 | JK_WIRE_VARINT,         /* Deliver.delivery_no */
	TAG_POSITION = 3 << 3 | JK_WIRE_LENGTH,            /* Deliver.position */
	TAG_ALLOWED_BY = 18 << 3 | JK_WIRE_LENGTH,         /* Deliver; from here on, two bytes */
	TAG_AGREEMENT = 20 << 3 | JK_WIRE_LENGTH,          /* Deliver */
	TAG_AGREEMENT_VERSION = 21 << 3 | JK_WIRE_VARINT,  /* Deliver */
	TAG_PROFILE = 22 << 3 | JK_WIRE_LENGTH,            /* Deliver */
	TAG_RETENTION_DAYS = 23 << 3 | JK_WIRE_VARINT,     /* Deliver */
	TAG_REDISTRIBUTION = 24 << 3 | JK_WIRE_VARINT,     /* Deliver */
	TAG_SNAPSHOT = 25 << 3 | JK_WIRE_VARINT,           /* Deliver */
	TAG_CASE_STATE = 26 << 3 | JK_WIRE_VARINT,         /* Deliver */
	TAG_CLOSED = 27 << 3 | JK_WIRE_VARINT,             /* Deliver */
	TAG_STREAM = 1 << 3 | JK_WIRE_LENGTH,              /* SealedPosition */
	TAG_SEAL = 2 << 3 | JK_WIRE_LENGTH,                /* SealedPosition */
	SESSION_FIELD_MAX_BYTES = 1 + JK_VARINT_MAX_BYTES, /* kept free at the front */
	ENTRY_PREFIX_MAX_BYTES = 1 + JK_VARINT_MAX_BYTES,
	TERM_CODE_MAX_BYTES = 32,
	PROFILE_MAX_BYTES = 24,
	/* allowed_by, agreement, version, profile, retention, redistribution, each with its tag */
	TERM_FIELDS_MAX_BYTES = 3 + JK_TERM_NAME_BYTES + 3 + TERM_CODE_MAX_BYTES + 7 + 3 + PROFILE_MAX_BYTES + 7 + 3,
	/* The same for "owner" and a row of the operator: allowed_by and profile. */
	ROW_FIELDS_MAX_BYTES = 3 + 18 + 3 + PROFILE_MAX_BYTES,
	POSITION_MAX_BYTES = DISPATCH_STREAM_BYTES + DISPATCH_SEAL_BYTES + 6,
	/* Of a delivery, beside the copy: number, position, and what allowed it. */
	OWN_FIELDS_MAX_BYTES = 1 + JK_VARINT_MAX_BYTES + POSITION_MAX_BYTES + TERM_FIELDS_MAX_BYTES,
};

static size_t write_number(uint8_t *ret, unsigned tag, uint64_t value)
{
	size_t size = jk_varint_write(ret, tag);

	return size + jk_varint_write(ret + size, value);
}

static size_t write_bytes(uint8_t *ret, unsigned tag, const void *bytes, size_t size)
{
	size_t prefix = write_number(ret, tag, size);

	memcpy(ret + prefix, bytes, size);
	return prefix + size;
}

/* "" is not written, as for every field of proto3. A text that is too long would not be one of ours. */
static size_t write_text(uint8_t *ret, unsigned tag, const char *text, size_t max_bytes)
{
	size_t size = strnlen(text, max_bytes);

	return size == 0 ? 0 : write_bytes(ret, tag, text, size);
}

static size_t write_nonzero(uint8_t *ret, unsigned tag, uint64_t value)
{
	return value == 0 ? 0 : write_number(ret, tag, value);
}

/* What allowed the copy, and what it may be used for. */
static size_t write_term(uint8_t ret[TERM_FIELDS_MAX_BYTES], const struct jk_term *term, bool recalls)
{
	char allowed_by[JK_TERM_NAME_BYTES];
	size_t size;

	if (recalls)
		(void)jk_text_copy(allowed_by, sizeof allowed_by, "recall");
	else
		jk_term_name(allowed_by, term);
	size = write_text(ret, TAG_ALLOWED_BY, allowed_by, sizeof allowed_by);
	if (term == NULL)
		return size;
	size += write_text(ret + size, TAG_AGREEMENT, term->code, TERM_CODE_MAX_BYTES);
	size += write_nonzero(ret + size, TAG_AGREEMENT_VERSION, term->version);
	size += write_text(ret + size, TAG_PROFILE, jk_profile_name(term->profile), PROFILE_MAX_BYTES);
	size += write_nonzero(ret + size, TAG_RETENTION_DAYS, term->retention_days);
	return size + write_nonzero(ret + size, TAG_REDISTRIBUTION, term->redistribution);
}

static size_t write_position(uint8_t ret[POSITION_MAX_BYTES], const struct dispatch_delivery *delivery)
{
	uint8_t position[POSITION_MAX_BYTES];
	size_t size = write_bytes(position, TAG_STREAM, delivery->stream, strlen(delivery->stream));

	size += write_bytes(position + size, TAG_SEAL, delivery->seal, DISPATCH_SEAL_BYTES);
	return write_bytes(ret, TAG_POSITION, position, size);
}

/* What is said of an incident of a snapshot; takes less than a position. */
static size_t write_item(uint8_t *ret, const struct dispatch_delivery *delivery)
{
	size_t size = write_number(ret, TAG_SNAPSHOT, 1);

	size += write_nonzero(ret + size, TAG_CASE_STATE, (uint64_t)delivery->case_state);
	return size + write_nonzero(ret + size, TAG_CLOSED, delivery->closed);
}

/* The fields that are this session's. */
static size_t write_own_fields(uint8_t ret[OWN_FIELDS_MAX_BYTES], const struct dispatch_delivery *delivery)
{
	size_t size = write_number(ret, TAG_DELIVERY_NO, delivery->delivery_no);

	size += delivery->seal == NULL ? write_item(ret + size, delivery) : write_position(ret + size, delivery);
	return size + write_term(ret + size, delivery->term, delivery->recalls);
}

size_t dispatch_wire_delivery_bytes(const struct dispatch_delivery *delivery)
{
	enum { NUMBER = 1 + JK_VARINT_MAX_BYTES, POSITION = 6 + DISPATCH_SEAL_BYTES, PREFIX = 6 };
	bool by_pact = delivery->term != NULL && delivery->term->pact_id != 0;

	return PREFIX + NUMBER + POSITION + strlen(delivery->stream) + (by_pact ? TERM_FIELDS_MAX_BYTES : ROW_FIELDS_MAX_BYTES) +
	       delivery->copy->size;
}

void dispatch_parcel_done(struct dispatch_parcel *parcel)
{
	free(parcel->bytes);
	*parcel = (struct dispatch_parcel){0};
}

static bool make_room(struct dispatch_parcel *parcel, size_t more)
{
	size_t need = parcel->size + more;
	uint8_t *bytes;

	if (need <= parcel->capacity)
		return true;
	bytes = realloc(parcel->bytes, need * 2);
	if (bytes == NULL)
		return false;
	parcel->bytes = bytes;
	parcel->capacity = need * 2;
	return true;
}

bool dispatch_parcel_add(struct dispatch_parcel *parcel, const struct dispatch_delivery *delivery)
{
	uint8_t own[OWN_FIELDS_MAX_BYTES];
	size_t own_size = write_own_fields(own, delivery), prefix;

	if (!make_room(parcel, SESSION_FIELD_MAX_BYTES + dispatch_wire_delivery_bytes(delivery)))
		return false;
	if (parcel->count == 0)
		parcel->size = SESSION_FIELD_MAX_BYTES;
	prefix = write_number(parcel->bytes + parcel->size, TAG_BATCH_DELIVERY, own_size + delivery->copy->size);
	if (parcel->count++ == 0)
		parcel->first_prefix = prefix;
	parcel->size += prefix;
	memcpy(parcel->bytes + parcel->size, own, own_size);
	parcel->size += own_size;
	memcpy(parcel->bytes + parcel->size, delivery->copy->bytes, delivery->copy->size);
	parcel->size += delivery->copy->size;
	return true;
}

enum jk_status dispatch_wire_send_parcel(struct jk_sessions *sessions, struct jk_session *session, struct dispatch_parcel *parcel)
{
	bool alone = parcel->count == 1;
	uint8_t field[2 * JK_VARINT_MAX_BYTES];
	size_t field_size = write_number(field, TAG_SESSION, session->number), size = parcel->size;
	/* The session stands right before the first delivery; one that is alone is no entry. */
	size_t start = SESSION_FIELD_MAX_BYTES + (alone ? parcel->first_prefix : 0) - field_size;

	memcpy(parcel->bytes + start, field, field_size);
	parcel->count = 0;
	parcel->size = 0;
	return jk_session_send_packed(sessions, session,
		alone ? JUKWAA__V1__KIND__KIND_DELIVER : JUKWAA__V1__KIND__KIND_DELIVER_BATCH, parcel->bytes + start,
		size - start);
}

enum jk_status dispatch_wire_send_beat(struct jk_sessions *sessions, struct jk_session *session, uint64_t delivery_no,
	const struct dispatch_told *told, const struct jk_signed_head *head)
{
	Jukwaa__V1__Beat message = JUKWAA__V1__BEAT__INIT;
	struct position_list list;

	fill_positions(&list, told);
	message.session = session->number;
	message.delivery_no = delivery_no;
	message.n_positions = told->count;
	message.positions = list.pointers;
	if (head != NULL) {
		message.head_root = borrow(head->root, sizeof head->root);
		message.head_signed_at_us = head->signed_at_us;
		message.head_signature = borrow(head->signature, sizeof head->signature);
		message.head_public_key = borrow(head->public_key, sizeof head->public_key);
	}
	return jk_session_send(sessions, session, JUKWAA__V1__KIND__KIND_BEAT, &message.base);
}

enum jk_status dispatch_wire_send_snapshot_end(struct jk_sessions *sessions, struct jk_session *session, uint64_t delivery_no,
	uint64_t count, const struct dispatch_told *told)
{
	Jukwaa__V1__SnapshotEnd message = JUKWAA__V1__SNAPSHOT_END__INIT;
	struct position_list list;

	fill_positions(&list, told);
	message.session = session->number;
	message.delivery_no = delivery_no;
	message.count = count;
	message.n_positions = told->count;
	message.positions = list.pointers;
	return jk_session_send(sessions, session, JUKWAA__V1__KIND__KIND_SNAPSHOT_END, &message.base);
}

size_t dispatch_wire_write_delivered(uint8_t *ret, size_t capacity, const char *desk, const char *stream, uint64_t up_to_seq)
{
	Jukwaa__V1__Delivered message = JUKWAA__V1__DELIVERED__INIT;

	message.desk = (char *)desk;
	message.stream = (char *)stream;
	message.up_to_seq = up_to_seq;
	if (jukwaa__v1__delivered__get_packed_size(&message) > capacity)
		return 0;
	return jukwaa__v1__delivered__pack(&message, ret);
}

size_t dispatch_wire_write_lagging(uint8_t *ret, size_t capacity, const struct dispatch_lagging *lagging)
{
	Jukwaa__V1__Lagging message = JUKWAA__V1__LAGGING__INIT;

	message.desk = (char *)lagging->desk;
	message.stream = (char *)lagging->stream;
	message.from_seq = lagging->from_seq;
	message.since_us = lagging->since_us;
	message.cleared = lagging->cleared;
	if (jukwaa__v1__lagging__get_packed_size(&message) > capacity)
		return 0;
	return jukwaa__v1__lagging__pack(&message, ret);
}

/* ---- recall ---- */

const char *dispatch_wire_recall_reason(int kind)
{
	switch (kind) {
	case JK_EVENT_CANCEL:
		return "CANCELLED";
	case JK_EVENT_UPDATE:
	case JK_EVENT_MOVED_AWAY:
		return "OUTDATED";
	case JK_EVENT_ERASED:
		return "ERASED";
	default:
		return NULL;
	}
}

const struct dispatch_copy *dispatch_wire_recall_copy(
	const struct dispatch_event *event, const char *stream, struct jk_arena *scratch)
{
	Jukwaa__V1__Deliver message = JUKWAA__V1__DELIVER__INIT;
	Jukwaa__V1__Recalled recalled = JUKWAA__V1__RECALLED__INIT;
	struct dispatch_copy *copy;
	const uint8_t *packed;

	message.stream = (char *)stream;
	message.seq = event->seq;
	message.epoch = event->epoch;
	message.event_id = borrow(event->event_id.bytes, sizeof event->event_id.bytes);
	message.incident_id = borrow(event->incident_id.bytes, sizeof event->incident_id.bytes);
	message.kind = JUKWAA__V1__EVENT_KIND__EVENT_KIND_RECALLED;
	message.body_case = JUKWAA__V1__DELIVER__BODY_RECALLED;
	message.recalled = &recalled;
	recalled.reason = (char *)dispatch_wire_recall_reason(event->kind);
	jk_arena_reset(scratch);
	copy = jk_arena_alloc(scratch, sizeof *copy);
	if (copy == NULL)
		return NULL;
	*copy = (struct dispatch_copy){.withheld = UINT32_MAX};
	packed = jk_body_pack(&message.base, scratch, &copy->size);
	copy->bytes = packed;
	return packed == NULL ? NULL : copy;
}
