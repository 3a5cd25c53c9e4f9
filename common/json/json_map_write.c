/* json_map_write.c: a message to one line of JSON, fields in the order of their numbers. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_id.h"
#include "base/jk_time.h"
#include "json_map_internal.h"

static const int64_t exact_max = INT64_C(1) << 53; /* whole numbers every reader of JSON keeps */

static void put(struct jk_buffer *buffer, const char *text)
{
	jk_buffer_append(buffer, text, strlen(text));
}

void jk_json_quote(struct jk_buffer *buffer, const char *text)
{
	bool utf8 = jk_text_is_utf8(text, strlen(text));
	const char *start = text;

	put(buffer, "\"");
	for (const char *c = text; *c; c++) {
		unsigned char byte = (unsigned char)*c;
		if (byte >= 0x20 && byte != '"' && byte != '\\' && (byte < 0x80 || utf8))
			continue;
		jk_buffer_append(buffer, start, (size_t)(c - start));
		start = c + 1;
		if (byte == '\n')
			put(buffer, "\\n");
		else if (byte == '"' || byte == '\\')
			jk_buffer_printf(buffer, "\\%c", byte);
		else if (byte >= 0x80)
			put(buffer, "\\ufffd");
		else
			jk_buffer_printf(buffer, "\\u%04x", byte);
	}
	put(buffer, start);
	put(buffer, "\"");
}

static void write_int64(struct jk_buffer *buffer, int64_t value)
{
	bool exact = value >= -exact_max && value <= exact_max;
	jk_buffer_printf(buffer, exact ? "%" PRId64 : "\"%" PRId64 "\"", value);
}

static void write_uint64(struct jk_buffer *buffer, uint64_t value)
{
	bool exact = value <= (uint64_t)exact_max;
	jk_buffer_printf(buffer, exact ? "%" PRIu64 : "\"%" PRIu64 "\"", value);
}

/* The shortest decimal that reads back as the same number. */
static void write_double(struct jk_buffer *buffer, double value)
{
	char text[40];
	double again;

	if (!isfinite(value)) {
		put(buffer, "null");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		(void)jk_text_format(text, sizeof text, "%.*g", digits, value);
		char *comma = strchr(text, ','); /* of the process's locale */
		if (comma)
			*comma = '.';
		if (jk_text_to_double(text, &again) && again == value)
			break;
	}
	put(buffer, text);
}

static void write_bytes(struct jk_buffer *buffer, const char *field_name, const ProtobufCBinaryData *bytes)
{
	enum json_bytes_form form = json_bytes_form(field_name);
	char *text = malloc(2 * bytes->len + JK_ID_TEXT_BYTES);
	struct jk_id id;

	if (!text) {
		buffer->failed = true;
		return;
	}
	if (form == JSON_BYTES_UUID && bytes->len == sizeof id.bytes) {
		memcpy(id.bytes, bytes->data, sizeof id.bytes);
		jk_id_format(text, &id);
	} else if (form == JSON_BYTES_HEX) {
		jk_hex_encode(text, bytes->data, bytes->len);
	} else {
		(void)jk_base64url_encode(text, bytes->data, bytes->len);
	}
	jk_json_quote(buffer, text);
	free(text);
}

static void write_enum(struct jk_buffer *buffer, const ProtobufCEnumDescriptor *type, int value)
{
	const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);

	if (known)
		jk_json_quote(buffer, known->name + json_enum_prefix(type));
	else
		jk_buffer_printf(buffer, "%d", value);
}

static void write_time(struct jk_buffer *buffer, int64_t time_us)
{
	char text[JK_TIME_BYTES];
	jk_time_format(text, time_us);
	jk_json_quote(buffer, text);
}

static void write_value(struct jk_buffer *buffer, const ProtobufCFieldDescriptor *field, const void *at)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		jk_json_write(*(ProtobufCMessage *const *)at, buffer);
		break;
	case PROTOBUF_C_TYPE_STRING:
		jk_json_quote(buffer, *(const char *const *)at);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		write_bytes(buffer, field->name, at);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		write_enum(buffer, field->descriptor, *(const int *)at);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		put(buffer, *(const protobuf_c_boolean *)at ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		write_double(buffer, *(const double *)at);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		write_double(buffer, (double)*(const float *)at);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		write_uint64(buffer, *(const uint64_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		write_uint64(buffer, *(const uint32_t *)at);
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		write_int64(buffer, *(const int32_t *)at);
		break;
	default:
		if (json_is_time(field))
			write_time(buffer, *(const int64_t *)at);
		else
			write_int64(buffer, *(const int64_t *)at);
	}
}

static void write_array(struct jk_buffer *buffer, const ProtobufCFieldDescriptor *field, const char *values, size_t count)
{
	size_t step = json_value_bytes(field->type);

	put(buffer, "[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			put(buffer, ",");
		write_value(buffer, field, values + i * step);
	}
	put(buffer, "]");
}

/* proto3: a scalar outside a oneof is set when it differs from its type's zero. */
static bool is_set(const ProtobufCFieldDescriptor *field, const char *message)
{
	const char *at = message + field->offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(message + field->quantifier_offset) > 0;
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(message + field->quantifier_offset) == field->id;
	switch (field->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(void *const *)at;
	case PROTOBUF_C_TYPE_STRING:
		return *(const char *const *)at && **(const char *const *)at;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)at)->len > 0;
	default: {
		static const char zero[8];
		return memcmp(at, zero, json_value_bytes(field->type)) != 0;
	}
	}
}

void jk_json_write(const ProtobufCMessage *message, struct jk_buffer *buffer)
{
	const char *base = (const char *)message;
	const char *separator = "{";

	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		if (!is_set(field, base))
			continue;
		put(buffer, separator);
		separator = ",";
		jk_buffer_printf(buffer, "\"%s\":", field->name);
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			write_array(buffer, field, *(const char *const *)(base + field->offset),
				*(const size_t *)(base + field->quantifier_offset));
		else
			write_value(buffer, field, base + field->offset);
	}
	put(buffer, *separator == '{' ? "{}" : "}");
}
