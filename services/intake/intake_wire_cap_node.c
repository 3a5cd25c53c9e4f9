#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "services/intake/intake_wire_cap_parts.h"

enum { PATH_LEVELS_MAX = 8 };

static const xmlNode *skip_foreign(const xmlNode *node)
{
	while (node != NULL &&
		(node->type != XML_ELEMENT_NODE || node->ns == NULL || strcmp((const char *)node->ns->href, CAP_NAMESPACE) != 0))
		node = node->next;
	return node;
}

const xmlNode *cap_first(const xmlNode *parent)
{
	return skip_foreign(parent->children);
}

const xmlNode *cap_next(const xmlNode *node)
{
	return skip_foreign(node->next);
}

bool cap_is(const xmlNode *node, const char *name)
{
	return strcmp((const char *)node->name, name) == 0;
}

const xmlNode *cap_child(const xmlNode *parent, const char *name)
{
	const xmlNode *child = cap_first(parent);

	while (child != NULL && !cap_is(child, name))
		child = cap_next(child);
	return child;
}

void *cap_alloc(struct cap_reading *reading, size_t bytes)
{
	void *memory = jk_arena_alloc(reading->arena, bytes);

	if (memory == NULL)
		jk_refuse(reading->refusal, JK_CODE_OVERSIZE, "alert", "the alert needs more memory than a report may take");
	return memory;
}

void *cap_list(struct cap_reading *reading, size_t pointers)
{
	return cap_alloc(reading, (pointers + 1) * sizeof(void *));
}

void *cap_message(struct cap_reading *reading, const ProtobufCMessageDescriptor *type)
{
	void *message = cap_alloc(reading, type->sizeof_message);

	if (message != NULL)
		protobuf_c_message_init(type, message);
	return message;
}

bool cap_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool cap_is_blank(const char *text)
{
	while (cap_is_space(*text))
		text++;
	return *text == '\0';
}

static bool is_text(const xmlNode *node)
{
	return node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE;
}

/* A comment parts a text into several nodes. */
bool cap_text(struct cap_reading *reading, const xmlNode *node, char **ret_text)
{
	size_t size = 0;
	char *text;

	for (const xmlNode *child = node->children; child != NULL; child = child->next)
		size += is_text(child) ? strlen((const char *)child->content) : 0;
	text = cap_alloc(reading, size + 1);
	if (text == NULL)
		return false;
	*ret_text = text;
	for (const xmlNode *child = node->children; child != NULL; child = child->next) {
		if (!is_text(child))
			continue;
		size = strlen((const char *)child->content);
		memcpy(text, child->content, size);
		text += size;
	}
	return true;
}

bool cap_word(struct cap_reading *reading, const xmlNode *node, char **ret_word)
{
	char *text;
	size_t size;

	if (!cap_text(reading, node, &text))
		return false;
	while (cap_is_space(*text))
		text++;
	size = strlen(text);
	while (size > 0 && cap_is_space(text[size - 1]))
		size--;
	text[size] = '\0';
	*ret_word = text;
	return true;
}

bool cap_child_text(struct cap_reading *reading, const xmlNode *parent, const char *name, char **ret_text)
{
	const xmlNode *child = cap_child(parent, name);

	return child == NULL || cap_text(reading, child, ret_text);
}

bool cap_number(struct cap_reading *reading, const xmlNode *node, const struct jk_words *words, int *ret_number)
{
	char *word = CAP_NO_TEXT;

	if (node != NULL && !cap_text(reading, node, &word))
		return false;
	*ret_number = jk_words_number(words, word);
	return *ret_number > 0 || cap_refuse(reading, JK_CODE_INVALID_SCHEMA, node, "no word that CAP 1.2 knows");
}

bool cap_time(struct cap_reading *reading, const xmlNode *node, int64_t *ret_time_us)
{
	char *word;

	if (!cap_word(reading, node, &word))
		return false;
	if (!jk_time_parse(word, ret_time_us)) /* the schema takes a little more: 24:00:00, the years 0001 to 1899 */
		return cap_refuse(reading, JK_CODE_RULE_VIOLATION, node, "the time is none between the years 1900 and 9999");
	return true;
}

static bool is_same(const xmlNode *a, const xmlNode *b)
{
	return a->type == XML_ELEMENT_NODE && strcmp((const char *)a->name, (const char *)b->name) == 0;
}

/* 0: the only one of its name. */
static size_t index_among_siblings(const xmlNode *node)
{
	size_t before = 0, after = 0;

	for (const xmlNode *sibling = node->prev; sibling != NULL; sibling = sibling->prev)
		before += is_same(sibling, node);
	for (const xmlNode *sibling = node->next; sibling != NULL && after == 0; sibling = sibling->next)
		after += is_same(sibling, node);
	return before + after == 0 ? 0 : before + 1;
}

void cap_path(char *ret, size_t capacity, const xmlNode *node)
{
	const xmlNode *levels[PATH_LEVELS_MAX];
	size_t count = 0, used = 0;

	if (node != NULL && node->type == XML_ATTRIBUTE_NODE)
		node = node->parent;
	for (; node != NULL && node->type == XML_ELEMENT_NODE; node = node->parent) {
		if (count == PATH_LEVELS_MAX) { /* deeper than CAP goes: its top is what helps */
			memmove((void *)levels, levels + 1, (PATH_LEVELS_MAX - 1) * sizeof(void *));
			count--;
		}
		levels[count++] = node;
	}
	ret[0] = '\0';
	while (count-- > 0 && used < capacity) {
		size_t index = index_among_siblings(levels[count]);
		char number[24] = "";

		if (index > 0)
			snprintf(number, sizeof number, "[%zu]", index);
		used += (size_t)snprintf(
			ret + used, capacity - used, "%s%s%s", used > 0 ? "/" : "", (const char *)levels[count]->name, number);
	}
}

bool cap_refuse(struct cap_reading *reading, enum jk_code code, const xmlNode *node, const char *reason_format, ...)
{
	char path[2 * sizeof reading->refusal->field], reason[sizeof reading->refusal->reason];
	va_list arguments;

	va_start(arguments, reason_format);
	vsnprintf(reason, sizeof reason, reason_format, arguments);
	va_end(arguments);
	cap_path(path, sizeof path, node);
	return jk_refuse(reading->refusal, code, path, "%s", reason);
}

static bool warn(struct cap_reading *reading, bool strict, enum jk_code code, const xmlNode *node, const char *reason)
{
	char path[2 * sizeof reading->refusal->field];

	cap_path(path, sizeof path, node);
	return intake_warn(reading->decoded, strict, reading->refusal, code, path, "%s", reason);
}

bool cap_warn(struct cap_reading *reading, enum jk_code code, const xmlNode *node, const char *reason)
{
	if (warn(reading, reading->strict, code, node, reason))
		return true;
	reading->refusal->code = JK_CODE_RULE_VIOLATION; /* what a warning names is a rule of CAP's that strict mode holds up */
	return false;
}

void cap_note(struct cap_reading *reading, enum jk_code code, const xmlNode *node, const char *reason)
{
	(void)warn(reading, false, code, node, reason);
}
