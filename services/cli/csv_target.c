#include "services/cli/csv_target.h"

#include <string.h>
#include <strings.h>

#include "base/jk_text.h"

static const char no_memory[] = "the row needs more memory than a report may take";

/* The word list's number of an enum value's short name: "SEVERE" of SEVERITY_SEVERE; 0: none. */
static int enum_number(const ProtobufCEnumDescriptor *type, const char *word)
{
	const char *zero = type->values[0].name; /* SEVERITY_UNSPECIFIED */
	size_t prefix = strlen(zero) - strlen("UNSPECIFIED");

	for (unsigned i = 1; i < type->n_values; i++)
		if (strcasecmp(type->values[i].name + prefix, word) == 0)
			return type->values[i].value;
	return 0;
}

static const ProtobufCFieldDescriptor *field_named(const ProtobufCMessageDescriptor *type, const char *name)
{
	return protobuf_c_message_descriptor_get_field_by_name(type, name);
}

/* "name" or "name[key]", cut out of *path. */
static bool take_segment(const char **path, char ret_name[64], char ret_key[96])
{
	size_t size = strcspn(*path, ".[");

	ret_key[0] = '\0';
	if (size == 0 || size >= 64)
		return false;
	memcpy(ret_name, *path, size);
	ret_name[size] = '\0';
	*path += size;
	if (**path == '[') {
		size = strcspn(*path + 1, "]");
		if (size == 0 || size >= 96 || (*path)[1 + size] != ']')
			return false;
		memcpy(ret_key, *path + 1, size);
		ret_key[size] = '\0';
		*path += size + 2;
	}
	if (**path == '.')
		return *++*path != '\0';
	return **path == '\0';
}

/* place.codes[COUNTY] and classification.parameters[NAME]: the key goes into the element, the text beside it. */
static bool find_keyed(const ProtobufCFieldDescriptor *list, struct csv_target *ret)
{
	const ProtobufCMessageDescriptor *element = list->descriptor;

	if (element == &jukwaa__v1__place_code__descriptor) {
		ret->scheme = enum_number(&jukwaa__v1__place_scheme__descriptor, ret->key);
		ret->levels[ret->count++] = field_named(element, "code");
		return ret->scheme != 0;
	}
	if (element != &jukwaa__v1__named_value__descriptor)
		return false;
	ret->levels[ret->count++] = field_named(element, "value");
	return true;
}

static bool find_last(struct csv_target *ret)
{
	const ProtobufCFieldDescriptor *field = ret->levels[ret->count - 1];
	size_t length = strlen(field->name);

	ret->is_list = ret->key[0] != '\0' || field->label == PROTOBUF_C_LABEL_REPEATED;
	ret->is_time = field->type == PROTOBUF_C_TYPE_INT64 && length > 3 && strcmp(field->name + length - 3, "_us") == 0;
	ret->is_integer = field->type == PROTOBUF_C_TYPE_INT64 && !ret->is_time;
	if (field->label == PROTOBUF_C_LABEL_REPEATED && field->type != PROTOBUF_C_TYPE_STRING &&
		field->type != PROTOBUF_C_TYPE_ENUM)
		return false;
	return field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_ENUM ||
	       field->type == PROTOBUF_C_TYPE_INT64 || field->type == PROTOBUF_C_TYPE_DOUBLE;
}

bool csv_target_find(const char *path, struct csv_target *ret, const char **ret_reason)
{
	const ProtobufCMessageDescriptor *type = &jukwaa__v1__incident__descriptor;
	char name[64];

	*ret = (struct csv_target){.count = 0};
	*ret_reason = "an incident has no such field";
	do {
		const ProtobufCFieldDescriptor *field;

		if (ret->key[0] != '\0' || ret->count >= CSV_TARGET_LEVELS - 1 || type == NULL ||
			!take_segment(&path, name, ret->key) || (field = field_named(type, name)) == NULL)
			return false;
		ret->levels[ret->count++] = field;
		type = field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
	} while (*path != '\0');
	*ret_reason = "it cannot be set from a cell; lists take a name in brackets: place.codes[COUNTY], "
		      "classification.parameters[NAME]";
	if (ret->key[0] != '\0' && (type == NULL || !find_keyed(ret->levels[ret->count - 1], ret)))
		return false;
	return find_last(ret);
}

static void *member(void *message, size_t offset)
{
	return (char *)message + offset;
}

static void mark_present(const ProtobufCFieldDescriptor *field, void *message)
{
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
		*(uint32_t *)member(message, field->quantifier_offset) = field->id;
}

/* Room for one more element of a repeated field; NULL without memory. */
static void *append(const ProtobufCFieldDescriptor *field, void *message, size_t element_size, struct jk_arena *arena)
{
	size_t *count = member(message, field->quantifier_offset);
	void **list = member(message, field->offset);
	char *grown = jk_arena_alloc(arena, (*count + 1) * element_size);

	if (grown == NULL)
		return NULL;
	if (*count > 0)
		memcpy(grown, *list, *count * element_size);
	*list = grown;
	return grown + (*count)++ * element_size;
}

static void *new_message(const ProtobufCMessageDescriptor *type, struct jk_arena *arena)
{
	void *message = jk_arena_alloc(arena, type->sizeof_message);

	if (message != NULL)
		protobuf_c_message_init(type, message);
	return message;
}

/* The sub-message of a field: that which is there, or a new one. Of a list without key the first element counts. */
static void *enter(const ProtobufCFieldDescriptor *field, void *message, bool always_new, struct jk_arena *arena)
{
	bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
	void **place, *child;

	if (is_list && !always_new && *(size_t *)member(message, field->quantifier_offset) > 0)
		return **(void ***)member(message, field->offset);
	if (!is_list && *(void **)member(message, field->offset) != NULL)
		return *(void **)member(message, field->offset);
	child = new_message(field->descriptor, arena);
	if (child == NULL)
		return NULL;
	place = is_list ? append(field, message, sizeof child, arena) : member(message, field->offset);
	if (place == NULL)
		return NULL;
	*place = child;
	if (!is_list)
		mark_present(field, message);
	return child;
}

static const char *set_enum(const ProtobufCFieldDescriptor *field, void *message, const char *text, struct jk_arena *arena)
{
	int number = enum_number(field->descriptor, text), *place = member(message, field->offset);

	if (number == 0)
		return "no word that this field takes";
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		place = append(field, message, sizeof *place, arena);
	if (place == NULL)
		return no_memory;
	*place = number;
	return NULL;
}

static const char *set_text(const ProtobufCFieldDescriptor *field, void *message, const char *text, struct jk_arena *arena)
{
	char *copy = jk_arena_string(arena, text, strlen(text)), **place = member(message, field->offset);

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		place = append(field, message, sizeof *place, arena);
	if (copy == NULL || place == NULL)
		return no_memory;
	*place = copy;
	return NULL;
}

static const char *set_number(
	const struct csv_target *target, const ProtobufCFieldDescriptor *field, void *message, const char *text, int64_t time_us)
{
	if (field->type == PROTOBUF_C_TYPE_DOUBLE) {
		if (!jk_text_to_double(text, member(message, field->offset)))
			return "no decimal number";
	} else if (target->is_time) {
		*(int64_t *)member(message, field->offset) = time_us;
	} else if (!jk_text_to_int64(text, INT64_MIN, INT64_MAX, member(message, field->offset))) {
		return "no whole number";
	}
	mark_present(field, message);
	return NULL;
}

static void set_key(const struct csv_target *target, const ProtobufCMessageDescriptor *type, void *element)
{
	if (type == &jukwaa__v1__place_code__descriptor)
		((Jukwaa__V1__PlaceCode *)element)->scheme = (Jukwaa__V1__PlaceScheme)target->scheme;
	else
		((Jukwaa__V1__NamedValue *)element)->name = (char *)target->key; /* the target outlives the row */
}

const char *csv_target_set(const struct csv_target *target, Jukwaa__V1__Incident *incident, const char *text, int64_t time_us,
	struct jk_arena *arena)
{
	const ProtobufCFieldDescriptor *field = target->levels[target->count - 1];
	void *message = incident;

	for (size_t i = 0; i + 1 < target->count; i++) {
		bool is_keyed = target->key[0] != '\0' && i + 2 == target->count;

		message = enter(target->levels[i], message, is_keyed, arena);
		if (message == NULL)
			return no_memory;
		if (is_keyed)
			set_key(target, target->levels[i]->descriptor, message);
	}
	if (field->type == PROTOBUF_C_TYPE_ENUM)
		return set_enum(field, message, text, arena);
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return set_text(field, message, text, arena);
	return set_number(target, field, message, text, time_us);
}
