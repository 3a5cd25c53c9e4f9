#include "feed/feed_parts.h"

#include <string.h>

#include "feed/feed_groups.h"

#define F(number) (1U << (number))
#define ALL UINT32_MAX

/* The allow-list: these fields of Incident's message `type` lie in `group`. tests/unit/feed/parts.c finds a field in none. */
static const struct part {
	int group, type;
	uint32_t fields;
} parts[] = {
	{JK_GROUP_IDENTITY, JK_GROUP_IDENTITY, F(1) | F(5) | F(6) | F(10)}, /* agency, status, msg_type, origin */
	{JK_GROUP_CLASSIFICATION, JK_GROUP_CLASSIFICATION, F(1) | F(3) | F(4) | F(5) | F(6)}, /* all but words */
	{JK_GROUP_TIMES, JK_GROUP_TIMES, ALL}, {JK_GROUP_PLACE, JK_GROUP_PLACE, F(7) | F(8)}, /* counties, constituency */
	{JK_GROUP_NARRATIVE, JK_GROUP_NARRATIVE, ALL}, {JK_GROUP_RESOURCES, JK_GROUP_RESOURCES, ALL},
	{JK_GROUP_REFERENCES, JK_GROUP_REFERENCES, F(1) | F(3)}, /* references, orphan */
	{JK_GROUP_HANDLING, JK_GROUP_HANDLING, F(1) | F(2)},     /* tlp, scope */
	{JK_GROUP_REPORTER, JK_GROUP_REPORTER, ALL}, {JK_GROUP_PERSONS, JK_GROUP_PERSONS, ALL},
	{JK_GROUP_REGISTRATION, JK_GROUP_IDENTITY, F(2) | F(3) | F(4) | F(9)}, /* sender, external_id, revision, ob_number */
	{JK_GROUP_POSITION, JK_GROUP_PLACE, F(2) | F(3) | F(4) | F(5)},        /* point, accuracy_m, polygons, circles */
	{JK_GROUP_WORDS, JK_GROUP_IDENTITY, F(7) | F(8)},                      /* source, sender_name */
	{JK_GROUP_WORDS, JK_GROUP_CLASSIFICATION, F(2) | F(7) | F(8)},         /* event, event_codes, parameters */
	{JK_GROUP_WORDS, JK_GROUP_PLACE, F(1) | F(6) | F(9)},                  /* codes, text, geocodes */
	{JK_GROUP_WORDS, JK_GROUP_REFERENCES, F(2)},                           /* incidents */
	{JK_GROUP_WORDS, JK_GROUP_HANDLING, F(3) | F(4) | F(5) | F(6)},        /* restriction, addresses, codes, note */
};
enum { PART_COUNT = sizeof parts / sizeof *parts };

static const struct part *find_part(int group, int type)
{
	for (size_t i = 0; i < PART_COUNT; i++)
		if (parts[i].group == group && parts[i].type == type)
			return &parts[i];
	return NULL;
}

const char *jk_group_name(int tag)
{
	static const char *const names[JK_GROUP_MAX + 1] = {"", "identity", "classification", "times", "place", "narrative",
		"resources", "references", "handling", "reporter", "persons", "registration", "position", "words", "work"};

	return tag > 0 && tag <= JK_GROUP_MAX ? names[tag] : "";
}

/* ---- apart ------------------------------------------------------------------------------------------------------ */

/* Where Incident has its message `type`. */
static void *member_of(const Jukwaa__V1__Incident *incident, int type, const ProtobufCMessageDescriptor **ret_type)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(&jukwaa__v1__incident__descriptor, (unsigned)type);

	*ret_type = field->descriptor;
	return (uint8_t *)(uintptr_t)incident + field->offset;
}

static size_t value_size(const ProtobufCFieldDescriptor *field)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return sizeof(void *);
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return sizeof(int64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return sizeof(int32_t);
	}
}

static void copy_field(const ProtobufCFieldDescriptor *field, const uint8_t *from, uint8_t *to)
{
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		uint32_t number;

		memcpy(&number, from + field->quantifier_offset, sizeof number);
		if (number != field->id)
			return;
		memcpy(to + field->quantifier_offset, &number, sizeof number);
	} else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		memcpy(to + field->quantifier_offset, from + field->quantifier_offset, sizeof(size_t));
	}
	memcpy(to + field->offset, from + field->offset, value_size(field));
}

/* A message of its type with these fields of it; NULL: the arena is full. */
static ProtobufCMessage *take(const ProtobufCMessage *message, uint32_t fields, struct jk_arena *arena)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	ProtobufCMessage *taken = jk_arena_alloc(arena, type->sizeof_message);

	if (taken == NULL)
		return NULL;
	protobuf_c_message_init(type, taken);
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].id < 32 && (fields >> type->fields[i].id & 1) != 0)
			copy_field(&type->fields[i], (const uint8_t *)message, (uint8_t *)taken);
	return taken;
}

/* A group that is there but says nothing is the same as none. */
static bool add_words(Jukwaa__V1__Incident *words, int type, const ProtobufCMessage *taken)
{
	const ProtobufCMessageDescriptor *unused;

	if (protobuf_c_message_get_packed_size(taken) == 0)
		return false;
	memcpy(member_of(words, type, &unused), &taken, sizeof taken);
	return true;
}

bool jk_parts_split(
	const Jukwaa__V1__Incident *incident, struct jk_arena *arena, const ProtobufCMessage *ret_messages[JK_GROUP_COUNT])
{
	Jukwaa__V1__Incident *words = jk_arena_alloc(arena, sizeof *words);

	if (words == NULL)
		return false;
	jukwaa__v1__incident__init(words);
	memset(ret_messages, 0, JK_GROUP_COUNT * sizeof *ret_messages);
	for (size_t i = 0; i < PART_COUNT; i++) {
		const ProtobufCMessageDescriptor *type;
		const ProtobufCMessage *message, *taken;

		memcpy(&message, member_of(incident, parts[i].type, &type), sizeof message);
		if (message == NULL)
			continue;
		taken = take(message, parts[i].fields, arena);
		if (taken == NULL)
			return false;
		if (parts[i].group != JK_GROUP_WORDS)
			ret_messages[parts[i].group - 1] = taken;
		else if (add_words(words, parts[i].type, taken))
			ret_messages[JK_GROUP_WORDS - 1] = &words->base;
	}
	return true;
}

/* ---- together --------------------------------------------------------------------------------------------------- */

static struct jk_span shown_content(const Jukwaa__V1__EventBody *body, int tag)
{
	for (size_t i = 0; i < body->n_groups; i++)
		if ((int)body->groups[i]->tag == tag)
			return (struct jk_span){.data = body->groups[i]->content.data, .size = body->groups[i]->content.len};
	return (struct jk_span){0};
}

bool jk_parts_merge(const Jukwaa__V1__EventBody *body, int tag, struct jk_arena *arena, struct jk_span *ret_packed)
{
	struct jk_span pieces[JK_GROUP_COUNT];
	size_t count = 0, size = 0;
	uint8_t *merged;

	*ret_packed = (struct jk_span){0};
	for (size_t i = 0; i < PART_COUNT; i++) {
		struct jk_span piece;

		if (parts[i].type != tag)
			continue;
		piece = shown_content(body, parts[i].group);
		if (parts[i].group == JK_GROUP_WORDS)
			piece = feed_words_of(piece, tag);
		if (piece.size == 0)
			continue;
		pieces[count++] = piece;
		size += piece.size;
	}
	if (count <= 1) {
		*ret_packed = count == 1 ? pieces[0] : *ret_packed;
		return true;
	}
	merged = jk_arena_alloc(arena, size);
	if (merged == NULL)
		return false;
	*ret_packed = (struct jk_span){.data = merged, .size = size};
	for (size_t i = 0; i < count; merged += pieces[i++].size)
		memcpy(merged, pieces[i].data, pieces[i].size);
	return true;
}

/* ---- checked ---------------------------------------------------------------------------------------------------- */

static uint32_t fields_of_others(int group, int type)
{
	uint32_t fields = 0;

	for (size_t i = 0; i < PART_COUNT; i++)
		if (parts[i].type == type && parts[i].group != group)
			fields |= parts[i].fields;
	return fields;
}

static bool holds_none_of(struct jk_span content, uint32_t fields)
{
	struct feed_walk walk = feed_walk_over(content);
	struct feed_field field;

	while (feed_walk_next(&walk, &field))
		if (field.number < 32 && (fields >> field.number & 1) != 0)
			return false;
	return walk.at != NULL;
}

/* WORDS is a partial Incident: of each message its own part, and no other message. */
static bool words_are_own(struct jk_span content)
{
	struct feed_walk walk = feed_walk_over(content);
	struct feed_field field;

	while (feed_walk_next(&walk, &field)) {
		if (field.number > JK_GROUP_PERSONS)
			continue;
		if (!field.is_bytes || find_part(JK_GROUP_WORDS, (int)field.number) == NULL ||
			!holds_none_of(field.bytes, fields_of_others(JK_GROUP_WORDS, (int)field.number)))
			return false;
	}
	return walk.at != NULL;
}

bool jk_parts_own(size_t group_count, int tag, struct jk_span content)
{
	if (tag == JK_GROUP_WORDS)
		return words_are_own(content);
	if (tag == JK_GROUP_WORK)
		return group_count == JK_GROUP_MAX && holds_none_of(content, 0);
	for (size_t i = 0; i < PART_COUNT; i++)
		if (parts[i].group == tag)
			return holds_none_of(
				content, group_count == JK_GROUP_COUNT_OLD ? 0 : fields_of_others(tag, parts[i].type));
	return false;
}
