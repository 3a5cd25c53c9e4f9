/* dispatch_event.c: see dispatch_event.h. */
#include "dispatch_event.h"

#include <stdlib.h>
#include <string.h>

#include "feed/feed_apart.h"
#include "feed/feed_body.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "wire/wire_body.h"
#include "wire/wire_field.h"

enum { DELIVER_EVENT = 16, PREFIX_MAX_BYTES = 2 * JK_VARINT_MAX_BYTES };

/* What mailboxes hold. */
static const struct mail {
	int kind;
	unsigned field; /* of Deliver */
	const ProtobufCMessageDescriptor *type;
} mails[] = {
	{JK_EVENT_DELIVERED, 17, &jukwaa__v1__delivered__descriptor},
	{JK_EVENT_LAGGING, 19, &jukwaa__v1__lagging__descriptor},
	{JK_EVENT_OPENED, 31, &jukwaa__v1__opened__descriptor},
	{JK_EVENT_ACTED, 32, &jukwaa__v1__acted__descriptor},
	{JK_EVENT_UNANSWERED, 33, &jukwaa__v1__unanswered__descriptor},
};

static const struct mail *find_mail(int kind)
{
	for (size_t i = 0; i < sizeof mails / sizeof mails[0]; i++)
		if (mails[i].kind == kind)
			return &mails[i];
	return NULL;
}

static size_t names_bytes(const struct dispatch_event *event)
{
	size_t bytes = event->label.named_count * sizeof *event->label.named;

	for (size_t i = 0; i < event->label.named_count; i++)
		bytes += strlen(event->label.named[i]) + 1;
	return bytes;
}

static void read_mailbox_label(struct dispatch_event *event, const char *stream)
{
	event->mailbox = true;
	event->readable = find_mail(event->kind) != NULL;
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

/* Names outlive the arena: pointers and texts in one block, which is label.named. */
static bool keep_names(struct dispatch_event *event)
{
	const char *const *from = event->label.named;
	size_t count = event->label.named_count;
	const char **named;
	char *text;

	named = count == 0 ? NULL : malloc(names_bytes(event));
	event->label.named = named;
	if (count == 0)
		return true;
	if (named == NULL) {
		event->label.named_count = 0;
		return false;
	}
	text = (char *)(named + count);
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(from[i]) + 1;

		named[i] = memcpy(text, from[i], size);
		text += size;
	}
	return true;
}

static void read_county_label(struct dispatch_event *event, const char *stream, struct jk_arena *scratch)
{
	struct jk_event_label read;

	jk_arena_reset(scratch);
	if (jk_body_label(event->stored + event->body_offset, event->body_size, scratch, &read) != JK_OK)
		return;
	event->apart = jk_body_apart(event->stored + event->body_offset, event->body_size);
	event->label = read.label;
	event->label.owner_agency_id = -1;
	event->group_count = read.group_count;
	event->readable = keep_names(event);
	(void)jk_text_copy(event->label.county, sizeof event->label.county, stream);
	memcpy(event->agency, read.agency_code, sizeof event->agency);
	event->projection.categories = read.label.categories;
	event->projection.severity = (uint8_t)read.severity;
	event->projection.status = (uint8_t)read.status;
}

static ProtobufCBinaryData borrow(const void *data, size_t size)
{
	return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)data};
}

/* What every recipient is told about the event. */
static void fill_label(Jukwaa__V1__Deliver *message, const struct jk_event *from)
{
	message->stream = (char *)from->stream;
	message->seq = from->seq;
	message->epoch = from->epoch;
	message->event_id = borrow(from->event_id.bytes, sizeof from->event_id.bytes);
	message->kind = (Jukwaa__V1__EventKind)from->kind;
	message->recorded_at_us = from->recorded_at_us;
	message->incident_id = borrow(from->incident_id.bytes, sizeof from->incident_id.bytes);
	message->revision = from->revision;
	message->tlp = (Jukwaa__V1__Tlp)from->tlp;
	message->category = (Jukwaa__V1__Category)from->category;
	message->commitment = borrow(from->commitment, from->commitment_size);
	message->chain = borrow(from->chain, JK_SHA256_BYTES);
}

/* Tag and length of the body's field; returns their length. */
static size_t write_prefix(uint8_t ret[PREFIX_MAX_BYTES], bool mailbox, int kind, size_t body_size)
{
	const struct mail *mail = mailbox ? find_mail(kind) : NULL;
	size_t size = jk_varint_write(ret, (mail == NULL ? DELIVER_EVENT : mail->field) << 3 | JK_WIRE_LENGTH);

	return size + jk_varint_write(ret + size, body_size);
}

struct dispatch_event *dispatch_event_new(const struct jk_event *from, struct jk_arena *scratch)
{
	Jukwaa__V1__Deliver label = JUKWAA__V1__DELIVER__INIT;
	uint8_t prefix[PREFIX_MAX_BYTES];
	size_t prefix_size = write_prefix(prefix, from->stream[0] == '@', from->kind, from->body_size), label_size;
	struct dispatch_event *event;

	fill_label(&label, from);
	label_size = jukwaa__v1__deliver__get_packed_size(&label);
	event = calloc(1, sizeof *event + label_size + prefix_size + from->body_size);
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
	event->label_size = jukwaa__v1__deliver__pack(&label, event->stored);
	memcpy(event->stored + label_size, prefix, prefix_size);
	event->body_offset = label_size + prefix_size;
	if (from->body_size > 0)
		memcpy(event->stored + event->body_offset, from->body, from->body_size);
	event->body_size = from->body_size;
	if (event->category >= 0 && event->category <= JK_CATEGORY_MAX)
		event->projection.category = (uint8_t)event->category;
	if (from->stream[0] == '@')
		read_mailbox_label(event, from->stream);
	else
		read_county_label(event, from->stream, scratch);
	event->label.recorded_at_us = from->recorded_at_us;
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
	free((void *)event->label.named);
	free(event);
	*event_p = NULL;
}

size_t dispatch_event_bytes(const struct dispatch_event *event)
{
	size_t bytes = sizeof *event + event->body_offset + event->body_size + names_bytes(event);

	for (const struct dispatch_copy *copy = event->copies; copy != NULL; copy = copy->next)
		bytes += sizeof *copy + (copy->bytes == copy->own ? copy->size : 0);
	return bytes;
}

/* The range that content was read under may give more than the decision about this event does. */
static void show_apart(Jukwaa__V1__EventBody *copy, uint32_t withheld, const struct dispatch_apart *apart)
{
	for (int i = 0; i < DISPATCH_APART_GROUPS; i++)
		if (apart->content[i] != NULL && (withheld & 1U << (JK_GROUP_REPORTER + i)) == 0)
			(void)jk_body_show(copy, JK_GROUP_REPORTER + i, apart->salt[i],
				(struct jk_span){.data = apart->content[i], .size = apart->size[i]});
}

/* The message the copy is made of, from known fields alone; NULL: not readable or arena full. */
static const ProtobufCMessage *build_copy(
	const struct dispatch_event *event, uint32_t withheld, const struct dispatch_apart *apart, struct jk_arena *scratch)
{
	const uint8_t *body = event->stored + event->body_offset;
	Jukwaa__V1__EventBody *copy;
	struct jk_refusal refusal;

	if (!event->readable)
		return NULL;
	if (event->mailbox)
		return jk_body_unpack(find_mail(event->kind)->type, body, event->body_size, scratch, &refusal);
	copy = jk_body_copy(body, event->body_size, withheld | JK_GROUPS_PROTECTED, scratch);
	if (copy != NULL && event->kind == JK_EVENT_ERASED)
		copy->erased = jk_body_erasure(body, event->body_size, scratch);
	if (copy != NULL && apart != NULL)
		show_apart(copy, withheld, apart);
	return (const ProtobufCMessage *)copy;
}

struct dispatch_copy *dispatch_event_copy_apart(
	struct dispatch_event *event, uint32_t withheld, const struct dispatch_apart *apart, struct jk_arena *scratch)
{
	const ProtobufCMessage *message;
	const uint8_t *packed;
	uint8_t prefix[PREFIX_MAX_BYTES];
	size_t packed_size, prefix_size;
	struct dispatch_copy *copy;
	bool as_stored;

	jk_arena_reset(scratch);
	message = build_copy(event, withheld, apart, scratch);
	if (message == NULL)
		return NULL;
	packed = jk_body_pack(message, scratch, &packed_size);
	if (packed == NULL)
		return NULL;
	prefix_size = write_prefix(prefix, event->mailbox, event->kind, packed_size);
	as_stored = packed_size == event->body_size && memcmp(packed, event->stored + event->body_offset, packed_size) == 0;
	copy = malloc(sizeof *copy + (as_stored ? 0 : event->label_size + prefix_size + packed_size));
	if (copy == NULL)
		return NULL;
	*copy = (struct dispatch_copy){
		.withheld = withheld, .size = event->label_size + prefix_size + packed_size, .bytes = event->stored};
	if (!as_stored) {
		memcpy(copy->own, event->stored, event->label_size);
		memcpy(copy->own + event->label_size, prefix, prefix_size);
		memcpy(copy->own + event->label_size + prefix_size, packed, packed_size);
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
	copy = dispatch_event_copy_apart(event, withheld, NULL, scratch);
	if (copy == NULL)
		return NULL;
	copy->next = event->copies;
	event->copies = copy;
	return copy;
}
