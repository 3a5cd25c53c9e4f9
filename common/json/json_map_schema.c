/* json_map_schema.c: a JSON Schema made of the descriptors, true to the reader in json_map_read.c. */
#include <assert.h>
#include <string.h>

#include "json_map_internal.h"

enum { TYPES_MAX = 64 };

/* Message types the schema speaks of, in the order met; `type` itself is the first. */
struct types {
	const ProtobufCMessageDescriptor *list[TYPES_MAX];
	size_t count;
};

static void add_type(struct types *types, const ProtobufCMessageDescriptor *type)
{
	for (size_t i = 0; i < types->count; i++)
		if (types->list[i] == type)
			return;
	assert(types->count < TYPES_MAX);
	types->list[types->count++] = type;
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			add_type(types, type->fields[i].descriptor);
}

static void put(struct jk_buffer *buffer, const char *text)
{
	jk_buffer_append(buffer, text, strlen(text));
}

static void put_enum(struct jk_buffer *buffer, const ProtobufCEnumDescriptor *type)
{
	size_t prefix = json_enum_prefix(type);

	put(buffer, "{\"enum\":[");
	for (unsigned i = 0; i < type->n_values; i++)
		jk_buffer_printf(buffer, "%s\"%s\"", i ? "," : "", type->values[i].name + prefix);
	for (unsigned i = 0; prefix && i < type->n_values; i++)
		jk_buffer_printf(buffer, ",\"%s\"", type->values[i].name);
	put(buffer, "]}");
}

static void put_bytes(struct jk_buffer *buffer, const char *field_name)
{
	switch (json_bytes_form(field_name)) {
	case JSON_BYTES_UUID:
		put(buffer, "{\"type\":\"string\",\"anyOf\":[{\"format\":\"uuid\"},{\"pattern\":\"^[A-Za-z0-9_-]*$\"}]}");
		break;
	case JSON_BYTES_HEX:
		put(buffer, "{\"type\":\"string\",\"pattern\":\"^([0-9A-Fa-f]{2})*$\"}");
		break;
	case JSON_BYTES_BASE64URL:
		put(buffer, "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-]*$\"}");
		break;
	}
}

/* A whole number, or its decimal text. */
static void put_integer(struct jk_buffer *buffer, const char *minimum, const char *maximum)
{
	jk_buffer_printf(buffer,
		"{\"anyOf\":[{\"type\":\"integer\",\"minimum\":%s,\"maximum\":%s},"
		"{\"type\":\"string\",\"pattern\":\"^%s[0-9]+$\"}]}",
		minimum, maximum, *minimum == '-' ? "-?" : "");
}

static void put_value(struct jk_buffer *buffer, const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_MESSAGE: {
		const ProtobufCMessageDescriptor *type = field->descriptor;
		jk_buffer_printf(buffer, "{\"$ref\":\"#/$defs/%s\"}", type->short_name);
		break;
	}
	case PROTOBUF_C_TYPE_STRING:
		put(buffer, "{\"type\":\"string\"}");
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(buffer, field->name);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		put_enum(buffer, field->descriptor);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		put(buffer, "{\"type\":\"boolean\"}");
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_FLOAT:
		put(buffer, "{\"type\":\"number\"}");
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		put_integer(buffer, "0", "9223372036854775807");
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		put_integer(buffer, "0", "4294967295");
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		put_integer(buffer, "-2147483648", "2147483647");
		break;
	default:
		if (json_is_time(field))
			put(buffer, "{\"anyOf\":[{\"type\":\"string\",\"format\":\"date-time\"},{\"type\":\"integer\"}]}");
		else
			put_integer(buffer, "-9223372036854775808", "9223372036854775807");
	}
}

static bool exclude_each_other(const ProtobufCFieldDescriptor *a, const ProtobufCFieldDescriptor *b)
{
	return a->flags & b->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && a->quantifier_offset == b->quantifier_offset;
}

/* Two members of one oneof never stand together. */
static void put_exclusions(struct jk_buffer *buffer, const ProtobufCMessageDescriptor *type)
{
	unsigned count = 0;

	for (unsigned i = 0; i < type->n_fields; i++)
		for (unsigned j = i + 1; j < type->n_fields; j++)
			if (exclude_each_other(&type->fields[i], &type->fields[j]))
				jk_buffer_printf(buffer, "%s{\"not\":{\"required\":[\"%s\",\"%s\"]}}",
					count++ ? "," : ",\"allOf\":[", type->fields[i].name, type->fields[j].name);
	put(buffer, count ? "]" : "");
}

static void put_type(struct jk_buffer *buffer, const ProtobufCMessageDescriptor *type)
{
	put(buffer, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
		jk_buffer_printf(
			buffer, "%s\"%s\":%s", i ? "," : "", field->name, repeated ? "{\"type\":\"array\",\"items\":" : "");
		put_value(buffer, field);
		put(buffer, repeated ? "}" : "");
	}
	put(buffer, "}");
	put_exclusions(buffer, type);
	put(buffer, "}");
}

void jk_json_schema(const ProtobufCMessageDescriptor *type, const char *id, struct jk_buffer *buffer)
{
	struct types types = {.count = 0};

	add_type(&types, type);
	put(buffer, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$id\":");
	jk_json_quote(buffer, id);
	jk_buffer_printf(buffer, ",\"title\":\"%s\",\"$ref\":\"#/$defs/%s\",\"$defs\":{", type->name, type->short_name);
	for (size_t i = 0; i < types.count; i++) {
		jk_buffer_printf(buffer, "%s\"%s\":", i ? "," : "", types.list[i]->short_name);
		put_type(buffer, types.list[i]);
	}
	put(buffer, "}}");
}
