#include "services/cli/json_slice.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct json_slice *text)
{
	while (text->at < text->end && is_blank(*text->at))
		text->at++;
}

struct json_slice json_slice_trim(struct json_slice text)
{
	skip_blanks(&text);
	while (text.end > text.at && is_blank(text.end[-1]))
		text.end--;
	return text;
}

/* After the closing quote; NULL: not closed. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end; at++) {
		if (*at == '\\')
			at++;
		else if (*at == '"')
			return at + 1;
	}
	return NULL;
}

/* After the bracket that closes the one at `at`; NULL: not closed. */
static const char *skip_brackets(const char *at, const char *end)
{
	int depth = 0;

	while (at && at < end) {
		char c = *at;

		if (c == '"') {
			at = skip_string(at, end);
			continue;
		}
		at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return at;
	}
	return NULL;
}

static const char *skip_scalar(const char *at, const char *end)
{
	const char *start = at;

	while (at < end && !is_blank(*at) && !strchr(",:{}[]\"", *at))
		at++;
	return at > start ? at : NULL;
}

bool json_slice_take(struct json_slice *text, struct json_slice *ret_value)
{
	const char *after;

	skip_blanks(text);
	if (text->at >= text->end)
		return false;
	if (*text->at == '"')
		after = skip_string(text->at, text->end);
	else if (*text->at == '{' || *text->at == '[')
		after = skip_brackets(text->at, text->end);
	else
		after = skip_scalar(text->at, text->end);
	if (!after)
		return false;
	*ret_value = (struct json_slice){text->at, after};
	text->at = after;
	return true;
}

bool json_slice_enter(struct json_slice *text, char bracket)
{
	skip_blanks(text);
	if (text->at >= text->end || *text->at != bracket)
		return false;
	text->at++;
	return true;
}

/* Past a comma, if one stands there. */
static void skip_comma(struct json_slice *text)
{
	skip_blanks(text);
	if (text->at < text->end && *text->at == ',')
		text->at++;
}

bool json_slice_element(struct json_slice *text, struct json_slice *ret_value)
{
	skip_comma(text);
	return json_slice_take(text, ret_value);
}

bool json_slice_member(struct json_slice *text, struct json_slice *ret_name, struct json_slice *ret_value)
{
	skip_comma(text);
	skip_blanks(text);
	if (text->at >= text->end || *text->at != '"' || !json_slice_take(text, ret_name))
		return false;
	ret_name->at++;
	ret_name->end--;
	return json_slice_enter(text, ':') && json_slice_take(text, ret_value);
}

bool json_slice_find(struct json_slice object, const char *name, struct json_slice *ret_value)
{
	struct json_slice found;

	if (!json_slice_enter(&object, '{'))
		return false;
	while (json_slice_member(&object, &found, ret_value))
		if ((size_t)(found.end - found.at) == strlen(name) && memcmp(found.at, name, strlen(name)) == 0)
			return true;
	return false;
}
