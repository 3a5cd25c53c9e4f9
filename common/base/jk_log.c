/* jk_log.c: the writer of log lines. The format is walked conversion by conversion, so that a value with blanks cannot pass
 * for further fields. A line is one write(2). */
#include "base/jk_log.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "base/jk_time.h"

enum { LINE_BYTES = 8192, VALUE_BYTES = 1024, KEY_BYTES = 48, LIMITED_EVENTS = 64 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *log_service = "";
static bool log_json;
static enum jk_log_level log_minimum = JK_LOG_INFO;

struct line {
	char text[LINE_BYTES];
	size_t size;
};

void jk_log_init(const char *service, bool json, enum jk_log_level minimum)
{
	log_service = service;
	log_json = json;
	log_minimum = minimum;
}

bool jk_log_level_parse(const char *name, enum jk_log_level *ret)
{
	for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
		if (strcasecmp(name, level_names[i]) == 0) {
			*ret = (enum jk_log_level)i;
			return true;
		}
	return false;
}

/* Room for the closing characters is kept in write_line. */
static void put(struct line *line, const char *text, size_t size)
{
	size_t room = sizeof line->text - 8 - line->size;
	if (size > room)
		size = room;
	memcpy(line->text + line->size, text, size);
	line->size += size;
}

/* Quoted after JSON's rules; text form uses the same. */
static void put_quoted(struct line *line, const char *text)
{
	bool plain = jk_text_is_utf8(text, strlen(text));

	put(line, "\"", 1);
	for (const char *c = text; *c; c++) {
		unsigned char byte = (unsigned char)*c;
		char escaped[8];
		if (byte == '"' || byte == '\\')
			(void)jk_text_format(escaped, sizeof escaped, "\\%c", byte);
		else if (byte < 0x20 || byte == 0x7f)
			(void)jk_text_format(escaped, sizeof escaped, "\\u%04x", byte);
		else
			escaped[0] = (char)(byte >= 0x80 && !plain ? '?' : byte), escaped[1] = '\0';
		put(line, escaped, strlen(escaped));
	}
	put(line, "\"", 1);
}

static bool needs_quotes(const char *value)
{
	if (!*value)
		return true;
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c <= 0x20 || *c == 0x7f || *c == '"' || *c == '\\' || *c == '=')
			return true;
	return !jk_text_is_utf8(value, strlen(value));
}

static void put_field(struct line *line, const char *key, const char *value, bool number)
{
	bool first = line->size == (log_json ? 1u : 0u);

	/* Quoting makes at most six of one; a field that might not fit whole would spoil the line. */
	if (6 * strlen(value) + strlen(key) + 16 > sizeof line->text - line->size) {
		value = "(too long)";
		number = false;
	}
	if (!first)
		put(line, log_json ? "," : " ", 1);
	if (log_json) {
		put_quoted(line, key);
		put(line, ":", 1);
	} else {
		put(line, key, strlen(key));
		put(line, "=", 1);
	}
	if (log_json ? number : !needs_quotes(value))
		put(line, value, strlen(value));
	else
		put_quoted(line, value);
}

/* va_list in a structure: a bare one cannot be passed on and gone on with portably. */
struct arguments {
	va_list list;
};

/* Formats the conversion `spec` ("%-5zu"), whose last character is its type, with the next argument. */
static void format_integer(char *ret, size_t capacity, const char *spec, struct arguments *arguments)
{
	size_t length = strlen(spec);
	char before = length > 2 ? spec[length - 2] : '\0';
	char twice = length > 3 ? spec[length - 3] : '\0';

	if (before == 'l' && twice == 'l')
		(void)jk_text_format(ret, capacity, spec, va_arg(arguments->list, long long));
	else if (before == 'l')
		(void)jk_text_format(ret, capacity, spec, va_arg(arguments->list, long));
	else if (before == 'z')
		(void)jk_text_format(ret, capacity, spec, va_arg(arguments->list, size_t));
	else if (before == 'j')
		(void)jk_text_format(ret, capacity, spec, va_arg(arguments->list, intmax_t));
	else if (before == 't')
		(void)jk_text_format(ret, capacity, spec, va_arg(arguments->list, ptrdiff_t));
	else
		(void)jk_text_format(ret, capacity, spec, va_arg(arguments->list, int));
}

static void format_string(char *ret, size_t capacity, const char *spec, struct arguments *arguments)
{
	if (strcmp(spec, "%.*s") == 0) {
		int precision = va_arg(arguments->list, int);
		(void)jk_text_format(ret, capacity, "%.*s", precision, va_arg(arguments->list, const char *));
		return;
	}
	const char *text = va_arg(arguments->list, const char *);
	(void)jk_text_format(ret, capacity, spec, text ? text : "");
}

/* Copies one conversion from *format_p, formats it; true for a number. */
static bool format_conversion(char *ret, size_t capacity, const char **format_p, struct arguments *arguments)
{
	char spec[24];
	size_t length = 1 + strcspn(*format_p + 1, "diouxXeEfFgGcsp%");
	char type = (*format_p)[length];

	/* The compiler checks formats; anything else is a programmer's error. */
	assert(type && length + 2 <= sizeof spec);
	memcpy(spec, *format_p, length + 1);
	spec[length + 1] = '\0';
	*format_p += length + 1;
	if (strchr("eEfFgG", type))
		(void)jk_text_format(ret, capacity, spec, va_arg(arguments->list, double));
	else if (type == 's')
		format_string(ret, capacity, spec, arguments);
	else if (type == 'p')
		(void)jk_text_format(ret, capacity, spec, va_arg(arguments->list, void *));
	else if (type == '%')
		(void)jk_text_copy(ret, capacity, "%");
	else
		format_integer(ret, capacity, spec, arguments);
	return strchr("diueEfFgG", type) && !strpbrk(ret, "ni"); /* nan and inf are no JSON numbers */
}

/* One pair "key=value" of the format; *format_p moves to the next. */
static void put_pair(struct line *line, const char **format_p, struct arguments *arguments)
{
	char key[KEY_BYTES], value[VALUE_BYTES] = "";
	size_t key_size = strcspn(*format_p, "= "), size = 0;
	bool number = false;

	assert(key_size < sizeof key);
	memcpy(key, *format_p, key_size);
	key[key_size] = '\0';
	*format_p += key_size;
	if (**format_p == '=')
		++*format_p;
	for (const char *start = *format_p; **format_p && **format_p != ' ';) {
		if (**format_p == '%') {
			bool first = *format_p == start;
			number = format_conversion(value + size, sizeof value - size, format_p, arguments) && first;
		} else {
			number = false;
			if (size + 1 < sizeof value)
				value[size] = **format_p, value[size + 1] = '\0';
			++*format_p;
		}
		size += strlen(value + size);
	}
	put_field(line, key, value, number);
}

static void write_line(enum jk_log_level level, const char *event, uint64_t swallowed, const char *format, va_list list)
{
	struct line line = {.size = 0};
	struct arguments arguments;
	char text[JK_TIME_BYTES];

	if (log_json)
		put(&line, "{", 1);
	jk_time_format(text, jk_time_now_us());
	put_field(&line, "time", text, false);
	put_field(&line, "level", level_names[level], false);
	if (*log_service)
		put_field(&line, "service", log_service, false);
	put_field(&line, "event", event, false);
	va_copy(arguments.list, list);
	while (*format) {
		if (*format == ' ')
			format++;
		else
			put_pair(&line, &format, &arguments);
	}
	va_end(arguments.list);
	if (swallowed) {
		(void)jk_text_format(text, sizeof text, "%llu", (unsigned long long)swallowed);
		put_field(&line, "swallowed", text, true);
	}
	const char *end = log_json ? "}\n" : "\n";
	memcpy(line.text + line.size, end, strlen(end));
	/* Nobody is left to tell when standard error is gone. */
	ssize_t ignored = write(STDERR_FILENO, line.text, line.size + strlen(end));
	(void)ignored;
}

void jk_log(enum jk_log_level level, const char *event, const char *format, ...)
{
	va_list list;

	if (level < log_minimum)
		return;
	va_start(list, format);
	write_line(level, event, 0, format, list);
	va_end(list);
}

static struct limited {
	char event[KEY_BYTES];
	int64_t last_ms;
	uint64_t swallowed;
} limited_events[LIMITED_EVENTS];
static pthread_mutex_t limited_lock = PTHREAD_MUTEX_INITIALIZER;

/* The event's slot, or a free one, or NULL when the table is full of others. */
static struct limited *find_limited(const char *event)
{
	for (size_t i = 0; i < LIMITED_EVENTS; i++) {
		struct limited *slot = &limited_events[i];
		if (!slot->event[0]) {
			(void)jk_text_copy(slot->event, sizeof slot->event, event);
			slot->last_ms = INT64_MIN / 2;
			return slot;
		}
		if (strcmp(slot->event, event) == 0)
			return slot;
	}
	return NULL;
}

void jk_log_limited(int interval_ms, enum jk_log_level level, const char *event, const char *format, ...)
{
	uint64_t swallowed = 0;
	bool due = true;
	va_list list;

	if (level < log_minimum)
		return;
	(void)pthread_mutex_lock(&limited_lock);
	struct limited *slot = find_limited(event);
	int64_t now_ms = jk_time_mono_ms();
	if (slot && now_ms - slot->last_ms < interval_ms) {
		slot->swallowed++;
		due = false;
	} else if (slot) {
		swallowed = slot->swallowed;
		slot->swallowed = 0;
		slot->last_ms = now_ms;
	}
	(void)pthread_mutex_unlock(&limited_lock);
	if (!due)
		return;
	va_start(list, format);
	write_line(level, event, swallowed, format, list);
	va_end(list);
}
