/* json_map_internal.h: what reading, writing and the schema must agree on. */
#pragma once

#include <jansson.h>

#include "json/json_map.h"

/* How a field of bytes stands in JSON, by its name. */
enum json_bytes_form { JSON_BYTES_BASE64URL, JSON_BYTES_HEX, JSON_BYTES_UUID };
enum json_bytes_form json_bytes_form(const char *field_name);
/* An integer that counts microseconds since 1970: written as RFC 3339 text. */
bool json_is_time(const ProtobufCFieldDescriptor *field);
/* Length of the prefix that a type's enum values share ("SEVERITY_"). */
size_t json_enum_prefix(const ProtobufCEnumDescriptor *type);

/* Size of one value in the generated structure, or in a repeated field's array. */
size_t json_value_bytes(ProtobufCType type);

/* Where the reader is: the field and, in an array, the element. */
struct json_place {
	const struct json_place *parent;
	const char *name;
	size_t index;
	bool in_array;
};
struct json_reading {
	struct jk_arena *arena;
	struct jk_refusal *refusal;
};
/* Refuse with INVALID_SCHEMA at the place; return false. */
bool json_refuse(struct json_reading *reading, const struct json_place *place, const char *reason);
bool json_refuse_memory(struct json_reading *reading);
/* A value of any type but message into memory of the field's type. */
bool json_read_scalar(struct json_reading *reading, const struct json_place *place, const ProtobufCFieldDescriptor *field,
	const json_t *value, void *ret);
