/* dispatch_wire.c: see dispatch_wire.h. */
#include "dispatch_wire.h"

#include <string.h>

#include "base/jk_text.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"

_Static_assert(DISPATCH_START_NOW == (int)JUKWAA__V1__START_AT__START_AT_NOW &&
		       DISPATCH_START_BEGINNING == (int)JUKWAA__V1__START_AT__START_AT_BEGINNING &&
		       DISPATCH_START_TOKEN == (int)JUKWAA__V1__START_AT__START_AT_TOKEN &&
		       DISPATCH_START_CURSOR == (int)JUKWAA__V1__START_AT__START_AT_CURSOR,
	"dispatch_rules.h numbers starts as dispatch.proto does");
_Static_assert((int)DISPATCH_STREAM_BYTES == (int)JK_STREAM_BYTES, "one length of stream names");

/* Field numbers of Deliver's body. */
enum { DELIVER_EVENT = 16, DELIVER_DELIVERED = 17, WIRE_LENGTH_PREFIXED = 2 };

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
		.positions = positions,
		.position_count = message->n_positions,
	};
	for (size_t i = 0; i < message->n_categories; i++)
		ret_ask->filter.categories |= (uint16_t)(1U << message->categories[i]);
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

/* The body was rebuilt and packed when the copy was made; it is put in as a field that is already in wire form, which packs to
 * the same bytes as the message itself would, without walking its groups again for each recipient. */
static void attach_copy(
	Jukwaa__V1__Deliver *message, const struct dispatch_delivery *delivery, ProtobufCMessageUnknownField *field)
{
	*field = (ProtobufCMessageUnknownField){
		.tag = delivery->event->mailbox ? DELIVER_DELIVERED : DELIVER_EVENT,
		.wire_type = (ProtobufCWireType)WIRE_LENGTH_PREFIXED,
		.len = delivery->copy->size,
		.data = (uint8_t *)delivery->copy->bytes,
	};
	message->base.n_unknown_fields = 1;
	message->base.unknown_fields = field;
}

static void fill_event(Jukwaa__V1__Deliver *message, const struct dispatch_event *event)
{
	message->seq = event->seq;
	message->epoch = event->epoch;
	message->event_id = borrow(event->event_id.bytes, sizeof event->event_id.bytes);
	message->kind = (Jukwaa__V1__EventKind)event->kind;
	message->recorded_at_us = event->recorded_at_us;
	message->incident_id = borrow(event->incident_id.bytes, sizeof event->incident_id.bytes);
	message->revision = event->revision;
	message->tlp = (Jukwaa__V1__Tlp)event->tlp;
	message->category = (Jukwaa__V1__Category)event->category;
	message->commitment = borrow(event->commitment, sizeof event->commitment);
	message->chain = borrow(event->chain, sizeof event->chain);
}

enum jk_status dispatch_wire_send_deliver(
	struct jk_sessions *sessions, struct jk_session *session, const struct dispatch_delivery *delivery)
{
	Jukwaa__V1__Deliver message = JUKWAA__V1__DELIVER__INIT;
	Jukwaa__V1__SealedPosition position;
	ProtobufCMessageUnknownField field;
	char allowed_by[24] = "owner";

	fill_position(&position, delivery->stream, delivery->seal);
	if (delivery->allow_id != 0)
		(void)jk_text_format(allowed_by, sizeof allowed_by, "allow:%d", delivery->allow_id);
	message.session = session->number;
	message.delivery_no = delivery->delivery_no;
	message.position = &position;
	message.stream = (char *)delivery->stream;
	message.allowed_by = allowed_by;
	fill_event(&message, delivery->event);
	attach_copy(&message, delivery, &field);
	return jk_session_send(sessions, session, JUKWAA__V1__KIND__KIND_DELIVER, &message.base);
}

enum jk_status dispatch_wire_send_beat(struct jk_sessions *sessions, struct jk_session *session, uint64_t delivery_no,
	const struct dispatch_told *told, const struct dispatch_signed_head *head)
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
