/* wire_body.c: unpacking and packing with an arena. The check is in wire_check.c. */
#include "wire/wire_body.h"

#include "wire_internal.h"

struct source {
	struct jk_arena *arena;
	bool full;
};

static void *arena_alloc(void *data, size_t size)
{
	struct source *source = data;
	void *memory = jk_arena_alloc(source->arena, size);

	source->full |= !memory;
	return memory;
}

static void arena_free(void *data, void *memory)
{
	(void)data;
	(void)memory;
}

static void drop_unknown_fields(ProtobufCMessage *message);

static void drop_in_field(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	char *base = (char *)message;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t count = *(size_t *)(base + field->quantifier_offset);
		ProtobufCMessage **members = *(ProtobufCMessage ***)(base + field->offset);
		for (size_t i = 0; i < count; i++)
			drop_unknown_fields(members[i]);
		return;
	}
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && *(uint32_t *)(base + field->quantifier_offset) != field->id)
		return;
	ProtobufCMessage *member = *(ProtobufCMessage **)(base + field->offset);
	if (member)
		drop_unknown_fields(member);
}

/* protobuf-c would pack them again, past every redaction. */
static void drop_unknown_fields(ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;

	message->n_unknown_fields = 0;
	message->unknown_fields = NULL;
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			drop_in_field(message, &type->fields[i]);
}

ProtobufCMessage *jk_body_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size,
	struct jk_arena *arena, struct jk_refusal *ret_refusal)
{
	struct source source = {.arena = arena};
	ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = &source};
	bool unknown_fields;

	if (!wire_check(type, bytes, size, &unknown_fields, ret_refusal))
		return NULL;
	ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, size, bytes);
	if (!message) {
		if (source.full)
			(void)jk_refuse(ret_refusal, JK_CODE_OVERSIZE, NULL, "the message needs more memory than one may have");
		else
			(void)jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, NULL, "not a message of this kind");
		return NULL;
	}
	if (unknown_fields)
		drop_unknown_fields(message);
	return message;
}

void *jk_body_member(const ProtobufCMessage *message, const char *name)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);

	return field == NULL ? NULL : (uint8_t *)(uintptr_t)message + field->offset;
}

uint8_t *jk_body_pack(const ProtobufCMessage *message, struct jk_arena *arena, size_t *ret_size)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = jk_arena_alloc(arena, size);

	if (!bytes)
		return NULL;
	*ret_size = protobuf_c_message_pack(message, bytes);
	return bytes;
}
