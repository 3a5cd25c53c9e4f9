/* json_map_read.c: JSON text to a message. jansson parses; the walk here follows the descriptor, so that what the type does
 * not name is refused. Scalars are in json_map_value.c. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "json_map_internal.h"

enum { DEPTH_MAX = 16, TREE_MAX_BYTES = 48 * 1024 * 1024 };

/* jansson makes some 20 bytes of one, hostile text hundreds: what one reading may take is counted. The hooks are the
 * process's; outside a reading they only pass on. */
static _Thread_local bool counting;
static _Thread_local size_t tree_left;
static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;

static void *counted_malloc(size_t size)
{
	if (counting) {
		if (size > tree_left) {
			tree_left = 0;
			return NULL;
		}
		tree_left -= size;
	}
	return malloc(size);
}

static void set_hooks(void)
{
	json_set_alloc_funcs(counted_malloc, free);
}

/* The path from the outermost field inwards. */
static void put_path(char *path, size_t capacity, const struct json_place *place)
{
	if (!place)
		return;
	put_path(path, capacity, place->parent);
	size_t size = strlen(path);
	if (place->in_array)
		(void)jk_text_format(path + size, capacity - size, "%s%s[%zu]", size ? "." : "", place->name, place->index);
	else
		(void)jk_text_format(path + size, capacity - size, "%s%s", size ? "." : "", place->name);
}

bool json_refuse(struct json_reading *reading, const struct json_place *place, const char *reason)
{
	char path[256] = "";
	put_path(path, sizeof path, place);
	return jk_refuse(reading->refusal, JK_CODE_INVALID_SCHEMA, path, "%s", reason);
}

bool json_refuse_memory(struct json_reading *reading)
{
	return jk_refuse(reading->refusal, JK_CODE_OVERSIZE, NULL, "the message needs more memory than one may have");
}

static bool refuse_text(struct jk_refusal *ret_refusal, enum jk_code code, int line, int column, const char *reason)
{
	char field[64];
	(void)jk_text_format(field, sizeof field, "line %d column %d", line, column);
	return jk_refuse(ret_refusal, code, field, "%s", reason);
}

/* Before jansson, which recurses 2,048 levels deep. */
static bool check_depth(const char *text, size_t size, struct jk_refusal *ret_refusal)
{
	int depth = 0, line = 1, column = 0;
	bool in_string = false;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];
		column++;
		if (c == '\n') {
			line++;
			column = 0;
		} else if (in_string && c == '\\') {
			i++;
			column++;
		} else if (c == '"') {
			in_string = !in_string;
		} else if (!in_string && (c == '{' || c == '[') && ++depth > DEPTH_MAX) {
			return refuse_text(ret_refusal, JK_CODE_NOT_WELL_FORMED, line, column, "nested too deeply");
		} else if (!in_string && (c == '}' || c == ']')) {
			depth--;
		}
	}
	return true;
}

/* jansson's own words quote the text, which may be about people; these do not. */
static bool refuse_error(struct jk_refusal *ret_refusal, const json_error_t *error)
{
	const char *reason = "not JSON";
	enum jk_code code = JK_CODE_NOT_WELL_FORMED;

	switch (json_error_code(error)) {
	case json_error_premature_end_of_input:
		reason = "the text ends too early";
		break;
	case json_error_end_of_input_expected:
		reason = "something follows the end of the object";
		break;
	case json_error_invalid_utf8:
		reason = "the text is not UTF-8";
		break;
	case json_error_null_character:
	case json_error_null_byte_in_key:
		reason = "the text holds a NUL";
		break;
	case json_error_duplicate_key:
		reason = "a field is given twice in one object";
		break;
	case json_error_numeric_overflow:
		reason = "a number is out of range";
		code = JK_CODE_INVALID_SCHEMA;
		break;
	default:
		break;
	}
	return refuse_text(ret_refusal, code, error->line, error->column, reason);
}

static ProtobufCMessage *read_object(struct json_reading *reading, const struct json_place *place,
	const ProtobufCMessageDescriptor *type, const json_t *object);

static bool read_value(struct json_reading *reading, const struct json_place *place, const ProtobufCFieldDescriptor *field,
	const json_t *value, void *ret)
{
	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return json_read_scalar(reading, place, field, value, ret);
	if (!json_is_object(value))
		return json_refuse(reading, place, "must be an object");
	ProtobufCMessage *message = read_object(reading, place, field->descriptor, value);
	*(ProtobufCMessage **)ret = message;
	return message;
}

static bool read_array(struct json_reading *reading, struct json_place *place, const ProtobufCFieldDescriptor *field,
	const json_t *array, char *message)
{
	size_t count = json_array_size(array), step = json_value_bytes(field->type);

	if (!json_is_array(array))
		return json_refuse(reading, place, "must be an array");
	if (count == 0)
		return true;
	char *values = jk_arena_alloc(reading->arena, count * step);
	if (!values)
		return json_refuse_memory(reading);
	place->in_array = true;
	for (place->index = 0; place->index < count; place->index++)
		if (!read_value(reading, place, field, json_array_get(array, place->index), values + place->index * step))
			return false;
	*(void **)(message + field->offset) = values;
	*(size_t *)(message + field->quantifier_offset) = count;
	return true;
}

static bool read_field(struct json_reading *reading, struct json_place *place, const ProtobufCFieldDescriptor *field,
	const json_t *value, char *message)
{
	if (json_is_null(value))
		return json_refuse(reading, place, "must have a value; leave it out where there is none");
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return read_array(reading, place, field, value, message);
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		uint32_t *member = (uint32_t *)(message + field->quantifier_offset);
		if (*member != 0)
			return json_refuse(reading, place, "excludes another field that is given too");
		*member = field->id;
	}
	return read_value(reading, place, field, value, message + field->offset);
}

static ProtobufCMessage *read_object(struct json_reading *reading, const struct json_place *place,
	const ProtobufCMessageDescriptor *type, const json_t *object)
{
	ProtobufCMessage *message = jk_arena_alloc(reading->arena, type->sizeof_message);
	if (!message) {
		(void)json_refuse_memory(reading);
		return NULL;
	}
	protobuf_c_message_init(type, message);

	/* jansson's iterators want a tree that may be changed. */
	json_t *iterated = (json_t *)object;
	for (void *at = json_object_iter(iterated); at; at = json_object_iter_next(iterated, at)) {
		struct json_place inner = {.parent = place, .name = json_object_iter_key(at)};
		const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(type, inner.name);
		if (!field) {
			(void)json_refuse(reading, &inner, "there is no such field");
			return NULL;
		}
		if (!read_field(reading, &inner, field, json_object_iter_value(at), (char *)message))
			return NULL;
	}
	return message;
}

ProtobufCMessage *jk_json_read(const ProtobufCMessageDescriptor *type, const char *text, size_t size, struct jk_arena *arena,
	struct jk_refusal *ret_refusal)
{
	struct json_reading reading = {.arena = arena, .refusal = ret_refusal};
	ProtobufCMessage *message = NULL;
	json_error_t error;

	(void)pthread_once(&hooks_once, set_hooks);
	if (!check_depth(text, size, ret_refusal))
		return NULL;
	counting = true;
	tree_left = TREE_MAX_BYTES;
	json_t *tree = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	counting = false;
	if (!tree && tree_left == 0)
		(void)json_refuse_memory(&reading);
	else if (!tree)
		(void)refuse_error(ret_refusal, &error);
	else if (!json_is_object(tree))
		(void)jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, NULL, "must be an object");
	else
		message = read_object(&reading, NULL, type, tree);
	json_decref(tree);
	return message;
}
