/* json_map_value.c: one JSON value to one field's value, and the conventions by field name. */
#include <string.h>

#include "base/jk_id.h"
#include "base/jk_time.h"
#include "json_map_internal.h"

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);
	return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

enum json_bytes_form json_bytes_form(const char *field_name)
{
	static const char *const hex_names[] = {"chain", "commitment", "digest", "salt", "root", "signature"};

	if (ends_with(field_name, "_id"))
		return JSON_BYTES_UUID;
	if (ends_with(field_name, "_key") || ends_with(field_name, "_chain"))
		return JSON_BYTES_HEX;
	for (size_t i = 0; i < sizeof hex_names / sizeof hex_names[0]; i++)
		if (strcmp(field_name, hex_names[i]) == 0)
			return JSON_BYTES_HEX;
	return JSON_BYTES_BASE64URL;
}

bool json_is_time(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_INT64 && ends_with(field->name, "_us");
}

size_t json_enum_prefix(const ProtobufCEnumDescriptor *type)
{
	static const char zero[] = "UNSPECIFIED";
	const char *first = type->values[0].name;
	return ends_with(first, zero) ? strlen(first) - (sizeof zero - 1) : 0;
}

size_t json_value_bytes(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	default:
		return 4;
	}
}

static bool read_enum(struct json_reading *reading, const struct json_place *place, const ProtobufCEnumDescriptor *type,
	const json_t *value, int *ret)
{
	const char *word = json_string_value(value);
	size_t prefix = json_enum_prefix(type);

	if (!word)
		return json_refuse(reading, place, "must be a word");
	for (unsigned i = 0; i < type->n_values; i++)
		if (strcmp(type->values[i].name, word) == 0 || strcmp(type->values[i].name + prefix, word) == 0) {
			*ret = type->values[i].value;
			return true;
		}
	return json_refuse(reading, place, "is not a word of this field's list");
}

static bool read_time(struct json_reading *reading, const struct json_place *place, const json_t *value, int64_t *ret)
{
	if (json_is_integer(value)) {
		*ret = json_integer_value(value);
		return (*ret >= JK_TIME_FIRST_US && *ret <= JK_TIME_LAST_US) ||
		       json_refuse(reading, place, "must be a time of the years 1900 to 9999");
	}
	if (!json_is_string(value) || !jk_time_parse(json_string_value(value), ret))
		return json_refuse(reading, place, "must be an RFC 3339 time with an offset, or microseconds since 1970");
	return true;
}

static bool read_int64(struct json_reading *reading, const struct json_place *place, const json_t *value, int64_t minimum,
	int64_t maximum, int64_t *ret)
{
	if (json_is_integer(value)) {
		*ret = json_integer_value(value);
		return (*ret >= minimum && *ret <= maximum) || json_refuse(reading, place, "the number is out of range");
	}
	if (json_is_string(value) && jk_text_to_int64(json_string_value(value), minimum, maximum, ret))
		return true;
	return json_refuse(reading, place, "must be a whole number in range");
}

/* JSON's own numbers end at the largest int64; beyond stands text. */
static bool read_uint64(struct json_reading *reading, const struct json_place *place, const json_t *value, uint64_t *ret)
{
	const char *text = json_string_value(value);
	uint64_t number = 0;

	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*ret = (uint64_t)json_integer_value(value);
		return true;
	}
	if (!text || !*text)
		return json_refuse(reading, place, "must be a whole number, not negative");
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
			return json_refuse(reading, place, "must be a whole number in range, not negative");
	}
	*ret = number;
	return true;
}

static bool read_string(struct json_reading *reading, const struct json_place *place, const json_t *value, char **ret)
{
	if (!json_is_string(value))
		return json_refuse(reading, place, "must be text");
	*ret = jk_arena_string(reading->arena, json_string_value(value), json_string_length(value));
	return *ret || json_refuse_memory(reading);
}

static bool read_bytes(struct json_reading *reading, const struct json_place *place, const char *field_name, const json_t *value,
	ProtobufCBinaryData *ret)
{
	const char *text = json_string_value(value);
	enum json_bytes_form form = json_bytes_form(field_name);
	size_t length = text ? strlen(text) : 0, size = length / 2;
	struct jk_id id;

	if (!text)
		return json_refuse(reading, place, "must be text");
	uint8_t *data = jk_arena_alloc(reading->arena, length + 1);
	if (!data)
		return json_refuse_memory(reading);
	if (form == JSON_BYTES_UUID && jk_id_parse(text, &id)) {
		size = sizeof id.bytes;
		memcpy(data, id.bytes, size);
	} else if (form == JSON_BYTES_HEX) {
		if (!jk_hex_decode(data, size, text))
			return json_refuse(reading, place, "must be hexadecimal digits");
	} else if (!jk_base64url_decode(data, length, &size, text)) {
		return json_refuse(
			reading, place, form == JSON_BYTES_UUID ? "must be a UUID" : "must be base64url without padding");
	}
	*ret = (ProtobufCBinaryData){.data = data, .len = size};
	return true;
}

static bool read_int32(struct json_reading *reading, const struct json_place *place, const json_t *value, int32_t *ret)
{
	int64_t number = 0;
	if (!read_int64(reading, place, value, INT32_MIN, INT32_MAX, &number))
		return false;
	*ret = (int32_t)number;
	return true;
}

static bool read_uint32(struct json_reading *reading, const struct json_place *place, const json_t *value, uint32_t *ret)
{
	int64_t number = 0;
	if (!read_int64(reading, place, value, 0, UINT32_MAX, &number))
		return false;
	*ret = (uint32_t)number;
	return true;
}

bool json_read_scalar(struct json_reading *reading, const struct json_place *place, const ProtobufCFieldDescriptor *field,
	const json_t *value, void *ret)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return read_string(reading, place, value, ret);
	case PROTOBUF_C_TYPE_BYTES:
		return read_bytes(reading, place, field->name, value, ret);
	case PROTOBUF_C_TYPE_ENUM:
		return read_enum(reading, place, field->descriptor, value, ret);
	case PROTOBUF_C_TYPE_BOOL:
		if (!json_is_boolean(value))
			return json_refuse(reading, place, "must be true or false");
		*(protobuf_c_boolean *)ret = json_is_true(value);
		return true;
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_FLOAT:
		if (!json_is_number(value))
			return json_refuse(reading, place, "must be a number");
		if (field->type == PROTOBUF_C_TYPE_DOUBLE)
			*(double *)ret = json_number_value(value);
		else
			*(float *)ret = (float)json_number_value(value);
		return true;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return read_uint64(reading, place, value, ret);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return read_uint32(reading, place, value, ret);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return read_int32(reading, place, value, ret);
	default:
		if (json_is_time(field))
			return read_time(reading, place, value, ret);
		return read_int64(reading, place, value, INT64_MIN, INT64_MAX, ret);
	}
}
