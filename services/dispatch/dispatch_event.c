/* dispatch_event.c: see dispatch_event.h. */
#include "dispatch_event.h"

#include <stdlib.h>
#include <string.h>

#include "feed/feed_body.h"
#include "wire/wire_body.h"

enum { VARINT_MAX_BYTES = 10 };

/* Protocol buffers' variable-length integer; returns its length. */
static size_t write_varint(uint8_t ret[VARINT_MAX_BYTES], uint64_t value)
{
	size_t size = 0;

	for (; value >= 0x80; value >>= 7)
		ret[size++] = (uint8_t)(value | 0x80);
	ret[size++] = (uint8_t)value;
	return size;
}

static void read_mailbox_label(struct dispatch_event *event, const char *stream)
{
	event->mailbox = true;
	event->readable = event->kind == JK_EVENT_DELIVERED;
	(void)jk_text_copy(event->agency, sizeof event->agency, stream + 1);
	event->label = (struct jk_label){
		.owner_agency_id = -1,
		.categories = (uint16_t)(1U << event->projection.category),
		.tlp = (enum jk_tlp)event->tlp,
		.scope = JK_SCOPE_RESTRICTED,
		.status = JK_CAP_STATUS_ACTUAL,
	};
	event->projection.status = JK_CAP_STATUS_ACTUAL;
}

static void read_county_label(struct dispatch_event *event, const char *stream, struct jk_arena *scratch)
{
	struct jk_event_label read;

	jk_arena_reset(scratch);
	if (jk_body_label(event->stored + event->body_offset, event->body_size, scratch, &read) != JK_OK)
		return;
	event->readable = true;
	event->label = read.label;
	event->label.owner_agency_id = -1;
	(void)jk_text_copy(event->label.county, sizeof event->label.county, stream);
	memcpy(event->agency, read.agency_code, sizeof event->agency);
	event->projection.categories = read.label.categories;
	event->projection.severity = (uint8_t)read.severity;
	event->projection.status = (uint8_t)read.status;
}

struct dispatch_event *dispatch_event_new(const struct jk_event *from, struct jk_arena *scratch)
{
	uint8_t length[VARINT_MAX_BYTES];
	size_t length_size = write_varint(length, from->body_size);
	struct dispatch_event *event = calloc(1, sizeof *event + length_size + from->body_size);

	if (event == NULL)
		return NULL;
	event->seq = from->seq;
	event->epoch = from->epoch;
	event->event_id = from->event_id;
	event->incident_id = from->incident_id;
	event->kind = from->kind;
	event->tlp = from->tlp;
	event->category = from->category;
	event->recorded_at_us = from->recorded_at_us;
	event->revision = from->revision;
	if (from->commitment_size == sizeof event->commitment)
		memcpy(event->commitment, from->commitment, sizeof event->commitment);
	memcpy(event->chain, from->chain, sizeof event->chain);
	memcpy(event->stored, length, length_size);
	if (from->body_size > 0)
		memcpy(event->stored + length_size, from->body, from->body_size);
	event->body_offset = length_size;
	event->body_size = from->body_size;
	if (event->category >= 0 && event->category <= JK_CATEGORY_MAX)
		event->projection.category = (uint8_t)event->category;
	if (from->stream[0] == '@')
		read_mailbox_label(event, from->stream);
	else
		read_county_label(event, from->stream, scratch);
	return event;
}

void dispatch_event_free(struct dispatch_event **event_p)
{
	struct dispatch_event *event = *event_p;

	if (event == NULL)
		return;
	while (event->copies != NULL) {
		struct dispatch_copy *copy = event->copies;

		event->copies = copy->next;
		free(copy);
	}
	free(event);
	*event_p = NULL;
}

size_t dispatch_event_bytes(const struct dispatch_event *event)
{
	size_t bytes = sizeof *event + event->body_offset + event->body_size;

	for (const struct dispatch_copy *copy = event->copies; copy != NULL; copy = copy->next)
		bytes += sizeof *copy + (copy->bytes == copy->own ? copy->size : 0);
	return bytes;
}

/* The message the copy is made of, from known fields alone; NULL: not readable or arena full. */
static const ProtobufCMessage *build_copy(const struct dispatch_event *event, uint32_t withheld, struct jk_arena *scratch)
{
	const uint8_t *body = event->stored + event->body_offset;
	struct jk_refusal refusal;

	if (!event->readable)
		return NULL;
	if (event->mailbox)
		return jk_body_unpack(&jukwaa__v1__delivered__descriptor, body, event->body_size, scratch, &refusal);
	return (const ProtobufCMessage *)jk_body_copy(body, event->body_size, withheld, scratch);
}

static struct dispatch_copy *make_copy(struct dispatch_event *event, uint32_t withheld, struct jk_arena *scratch)
{
	const ProtobufCMessage *message;
	const uint8_t *packed;
	uint8_t length[VARINT_MAX_BYTES];
	size_t packed_size, length_size;
	struct dispatch_copy *copy;
	bool as_stored;

	jk_arena_reset(scratch);
	message = build_copy(event, withheld, scratch);
	if (message == NULL)
		return NULL;
	packed = jk_body_pack(message, scratch, &packed_size);
	if (packed == NULL)
		return NULL;
	length_size = write_varint(length, packed_size);
	as_stored = packed_size == event->body_size && memcmp(packed, event->stored + event->body_offset, packed_size) == 0;
	copy = malloc(sizeof *copy + (as_stored ? 0 : length_size + packed_size));
	if (copy == NULL)
		return NULL;
	*copy = (struct dispatch_copy){.withheld = withheld, .size = length_size + packed_size, .bytes = event->stored};
	if (!as_stored) {
		memcpy(copy->own, length, length_size);
		memcpy(copy->own + length_size, packed, packed_size);
		copy->bytes = copy->own;
	}
	return copy;
}

const struct dispatch_copy *dispatch_event_copy(struct dispatch_event *event, uint32_t withheld, struct jk_arena *scratch)
{
	struct dispatch_copy *copy = event->copies;

	while (copy != NULL && copy->withheld != withheld)
		copy = copy->next;
	if (copy != NULL)
		return copy;
	copy = make_copy(event, withheld, scratch);
	if (copy == NULL)
		return NULL;
	copy->next = event->copies;
	event->copies = copy;
	return copy;
}
