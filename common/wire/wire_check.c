/* wire_check.c: the walk over raw bytes. Runs on every message of every session: one pass, no allocation, cost linear in
 * the size. Encoding: protobuf's "Encoding" page; what protobuf-c makes of it: wire_body.h. */
#include <assert.h>
#include <string.h>

#include "base/jk_text.h"
#include "wire_internal.h"

enum {
	DEPTH_MAX = 8,
	FIELDS_MAX = 524288,  /* 2 MiB of polygons have 314,573 */
	TYPE_FIELDS_MAX = 64, /* of our own messages; the bits of `seen` */
	TAG_BYTES_MAX = 5,
};
enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };

struct walk {
	const ProtobufCFieldDescriptor *path[DEPTH_MAX]; /* for the refusal: the field each level is at */
	int depth;
	unsigned fields;
	bool unknown_fields;
	struct jk_refusal *refusal;
};

struct bytes {
	const uint8_t *at, *end;
};

static bool refuse(struct walk *walk, enum jk_code code, const char *reason)
{
	char field[256] = "";
	size_t size = 0;

	for (int i = 0; i <= walk->depth && i < DEPTH_MAX; i++) {
		if (!walk->path[i])
			break;
		(void)jk_text_format(field + size, sizeof field - size, "%s%s", size ? "." : "", walk->path[i]->name);
		size += strlen(field + size);
	}
	return jk_refuse(walk->refusal, code, field, "%s", reason);
}

static bool refuse_encoding(struct walk *walk, const char *reason)
{
	return refuse(walk, JK_CODE_NOT_WELL_FORMED, reason);
}

static bool refuse_value(struct walk *walk, const char *reason)
{
	return refuse(walk, JK_CODE_INVALID_SCHEMA, reason);
}

/* A varint of at most ten bytes and 64 bits. */
static inline bool take_varint(struct bytes *bytes, uint64_t *ret)
{
	const uint8_t *at = bytes->at;
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && at < bytes->end; shift += 7) {
		uint8_t byte = *at++;
		if (shift == 63 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			bytes->at = at;
			*ret = value;
			return true;
		}
	}
	return false;
}

/* A length in at most five bytes (what protobuf-c reads) and what it announces. */
static inline bool take_length(struct bytes *bytes, struct bytes *ret_part)
{
	const uint8_t *start = bytes->at;
	uint64_t length;

	if (!take_varint(bytes, &length) || bytes->at - start > TAG_BYTES_MAX || length > (uint64_t)(bytes->end - bytes->at))
		return false;
	*ret_part = (struct bytes){bytes->at, bytes->at + length};
	bytes->at += length;
	return true;
}

static inline const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type, uint32_t tag)
{
	/* Most of our messages number their fields 1, 2, 3, … */
	if (tag <= type->n_fields && type->fields[tag - 1].id == tag)
		return &type->fields[tag - 1];
	return protobuf_c_message_descriptor_get_field(type, tag);
}

static bool enum_has(const ProtobufCEnumDescriptor *type, uint64_t value)
{
	if (value < type->n_values && type->values[value].value == (int)value)
		return true;
	return value <= INT32_MAX && protobuf_c_enum_descriptor_get_value(type, (int)value);
}

/* protobuf-c cuts to 32 bits without a word. */
static bool check_varint(struct walk *walk, const ProtobufCFieldDescriptor *field, uint64_t value)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_ENUM:
		return enum_has(field->descriptor, value) || refuse_value(walk, "the number is not a value of this field's list");
	case PROTOBUF_C_TYPE_INT32:
		return value <= INT32_MAX || value >= (uint64_t)INT32_MIN ||
		       refuse_value(walk, "the number needs more than 32 bits");
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_SINT32:
		return value <= UINT32_MAX || refuse_value(walk, "the number needs more than 32 bits");
	default:
		return true;
	}
}

static bool check_fixed(struct walk *walk, const ProtobufCFieldDescriptor *field, const uint8_t *at)
{
	/* All bits of the exponent set: an infinity or no number at all. */
	bool finite = true;
	if (field->type == PROTOBUF_C_TYPE_DOUBLE)
		finite = (at[7] & 0x7f) != 0x7f || (at[6] & 0xf0) != 0xf0;
	else if (field->type == PROTOBUF_C_TYPE_FLOAT)
		finite = (at[3] & 0x7f) != 0x7f || (at[2] & 0x80) == 0;
	return finite || refuse_value(walk, "not a finite number");
}

static enum wire_type wire_type_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_FIXED64;
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_FIXED32;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_LENGTH;
	default:
		return WIRE_VARINT;
	}
}

/* One value of a known field in the wire type of its own. */
static bool check_number(struct walk *walk, const ProtobufCFieldDescriptor *field, enum wire_type wire_type, struct bytes *bytes)
{
	uint64_t value;

	if (wire_type == WIRE_VARINT) {
		if (!take_varint(bytes, &value))
			return refuse_encoding(walk, "a number is cut off or too long");
		return check_varint(walk, field, value);
	}
	size_t size = wire_type == WIRE_FIXED64 ? 8 : 4;
	if ((size_t)(bytes->end - bytes->at) < size)
		return refuse_encoding(walk, "a number is cut off");
	bytes->at += size;
	return check_fixed(walk, field, bytes->at - size);
}

static bool check_message(struct walk *walk, const ProtobufCMessageDescriptor *type, struct bytes bytes);

/* A length-prefixed value of a known field: text, bytes, a message, or packed numbers. */
static bool check_part(struct walk *walk, const ProtobufCFieldDescriptor *field, struct bytes *bytes)
{
	struct bytes part;

	if (!take_length(bytes, &part))
		return refuse_encoding(walk, "a length runs past the end");
	switch (field->type) {
	case PROTOBUF_C_TYPE_BYTES:
		return true;
	case PROTOBUF_C_TYPE_STRING:
		return jk_text_is_utf8((const char *)part.at, (size_t)(part.end - part.at)) ||
		       refuse_value(walk, "the text is not UTF-8 or holds a NUL");
	case PROTOBUF_C_TYPE_MESSAGE:
		if (walk->depth + 1 >= DEPTH_MAX)
			return refuse_encoding(walk, "nested too deeply");
		walk->depth++;
		if (!check_message(walk, field->descriptor, part))
			return false;
		walk->path[walk->depth--] = NULL;
		return true;
	default:
		while (part.at < part.end)
			if (!check_number(walk, field, wire_type_of(field->type), &part))
				return false;
		return true;
	}
}

static bool skip_unknown(struct walk *walk, unsigned wire_type, struct bytes *bytes)
{
	struct bytes part;
	uint64_t value;

	walk->unknown_fields = true;
	switch (wire_type) {
	case WIRE_VARINT:
		return take_varint(bytes, &value) || refuse_encoding(walk, "a number is cut off or too long");
	case WIRE_LENGTH:
		return take_length(bytes, &part) || refuse_encoding(walk, "a length runs past the end");
	case WIRE_FIXED64:
	case WIRE_FIXED32: {
		ptrdiff_t size = wire_type == WIRE_FIXED64 ? 8 : 4;
		if (bytes->end - bytes->at < size)
			return refuse_encoding(walk, "a number is cut off");
		bytes->at += size;
		return true;
	}
	default:
		return refuse_encoding(walk, "groups are not taken");
	}
}

/* protobuf-c merges a singular message given twice at quadratic cost, and lets the last member of a oneof win. */
static bool check_once(
	struct walk *walk, const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field, uint64_t *seen)
{
	bool oneof = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;

	if (field->label == PROTOBUF_C_LABEL_REPEATED || (!oneof && field->type != PROTOBUF_C_TYPE_MESSAGE))
		return true;
	uint64_t bit = UINT64_C(1) << (field - type->fields), taken = bit;
	for (unsigned i = 0; oneof && i < type->n_fields; i++)
		if (type->fields[i].quantifier_offset == field->quantifier_offset &&
			type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
			taken |= UINT64_C(1) << i;
	if (*seen & taken)
		return refuse_value(walk, "given twice");
	*seen |= bit;
	return true;
}

static bool check_message(struct walk *walk, const ProtobufCMessageDescriptor *type, struct bytes bytes)
{
	uint64_t seen = 0;

	assert(type->n_fields <= TYPE_FIELDS_MAX);
	while (bytes.at < bytes.end) {
		const uint8_t *start = bytes.at;
		uint64_t key;

		walk->path[walk->depth] = NULL;
		if (++walk->fields > FIELDS_MAX)
			return refuse_encoding(walk, "more than 524,288 fields");
		if (!take_varint(&bytes, &key) || bytes.at - start > TAG_BYTES_MAX || key > UINT32_MAX || key >> 3 == 0)
			return refuse_encoding(walk, "a field's number is cut off or out of range");

		unsigned wire_type = key & 7;
		const ProtobufCFieldDescriptor *field = find_field(type, (uint32_t)key >> 3);
		if (!field) {
			if (!skip_unknown(walk, wire_type, &bytes))
				return false;
			continue;
		}
		walk->path[walk->depth] = field;
		enum wire_type own = wire_type_of(field->type);
		bool packed = wire_type == WIRE_LENGTH && own != WIRE_LENGTH && field->label == PROTOBUF_C_LABEL_REPEATED;
		if (wire_type != own && !packed)
			return refuse_value(walk, "encoded as another type");
		if (!check_once(walk, type, field, &seen))
			return false;
		if (wire_type == WIRE_LENGTH ? !check_part(walk, field, &bytes) : !check_number(walk, field, own, &bytes))
			return false;
	}
	return true;
}

bool wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, bool *ret_unknown_fields,
	struct jk_refusal *ret_refusal)
{
	struct walk walk = {.refusal = ret_refusal};
	struct bytes all = {bytes, size ? bytes + size : bytes};

	bool good = check_message(&walk, type, all);
	*ret_unknown_fields = walk.unknown_fields;
	return good;
}

bool jk_body_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, struct jk_refusal *ret_refusal)
{
	bool unknown_fields;
	return wire_check(type, bytes, size, &unknown_fields, ret_refusal);
}
