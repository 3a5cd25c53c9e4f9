#include "services/cli/csv_time.h"

#include <string.h>
#include <strings.h>

#include "base/jk_text.h"
#include "base/jk_time.h"

enum part { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, ZONE, PARTS };

static const struct {
	const char *name;
	enum part part;
	int digits; /* 0: no figures */
} tokens[] = {
	{"yyyy", YEAR, 4},
	{"mon", MONTH, 0},
	{"mm", MONTH, 2},
	{"dd", DAY, 2},
	{"HH", HOUR, 2},
	{"MM", MINUTE, 2},
	{"SS", SECOND, 2},
	{"zone", ZONE, 0},
};
enum { TOKENS = sizeof tokens / sizeof tokens[0] };

static size_t token_at(const char *pattern)
{
	size_t i = 0;

	while (i < TOKENS && strncmp(pattern, tokens[i].name, strlen(tokens[i].name)) != 0)
		i++;
	return i;
}

bool csv_time_is_pattern(const char *pattern)
{
	bool seen[PARTS] = {false};

	if (strcmp(pattern, "rfc3339") == 0)
		return true;
	while (*pattern != '\0') {
		size_t i = token_at(pattern);

		if (i < TOKENS)
			seen[tokens[i].part] = true;
		pattern += i < TOKENS ? strlen(tokens[i].name) : 1;
	}
	return seen[YEAR] && seen[MONTH] && seen[DAY] && seen[HOUR] && seen[MINUTE];
}

/* At most `digits` figures; fewer only where another character follows. */
static bool read_figures(const char **text, int digits, int *ret)
{
	int count = 0, value = 0;

	for (; count < digits && **text >= '0' && **text <= '9'; count++, ++*text)
		value = value * 10 + (**text - '0');
	*ret = value;
	return count == digits || (count > 0 && digits == 2);
}

static bool read_month(const char **text, int *ret)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (strncasecmp(*text, names + 3 * i, 3) == 0) {
			*ret = i + 1;
			*text += 3;
			return true;
		}
	return false;
}

bool csv_time_parse_zone(const char **text, int *ret_zone_s)
{
	const char *at = *text;
	int hours, minutes;
	bool west = *at == '-';

	if (*at == 'Z') {
		*ret_zone_s = 0;
		++*text;
		return true;
	}
	if (*at != '+' && *at != '-')
		return false;
	at++;
	if (strspn(at, "0123456789") < 2 || !read_figures(&at, 2, &hours))
		return false;
	at += *at == ':';
	if (strspn(at, "0123456789") < 2 || !read_figures(&at, 2, &minutes) || hours > 14 || minutes > 59)
		return false;
	*ret_zone_s = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
	*text = at;
	return true;
}

/* An RFC 3339 time whose offset is missing: everything before it must be right. */
static enum csv_time parse_rfc3339(const int *zone_s, const char *text, int64_t *ret_time_us)
{
	char with_zone[64];

	if (jk_time_parse(text, ret_time_us))
		return CSV_TIME_READ;
	if (!jk_text_format(with_zone, sizeof with_zone, "%sZ", text) || !jk_time_parse(with_zone, ret_time_us))
		return CSV_TIME_BAD;
	if (zone_s == NULL)
		return CSV_TIME_WITHOUT_ZONE;
	*ret_time_us -= (int64_t)*zone_s * 1000000;
	return CSV_TIME_READ;
}

static bool parse_parts(const char *pattern, const char *text, int parts[PARTS], bool *ret_has_zone)
{
	while (*pattern != '\0') {
		size_t i = token_at(pattern);
		bool read;

		if (i == TOKENS) {
			if (*text++ != *pattern++)
				return false;
			continue;
		}
		pattern += strlen(tokens[i].name);
		if (tokens[i].part == ZONE) {
			read = csv_time_parse_zone(&text, &parts[ZONE]);
			*ret_has_zone = true;
		} else {
			read = tokens[i].digits > 0 ? read_figures(&text, tokens[i].digits, &parts[tokens[i].part])
						    : read_month(&text, &parts[MONTH]);
		}
		if (!read)
			return false;
	}
	return *text == '\0';
}

enum csv_time csv_time_parse(const char *pattern, const int *zone_s, const char *text, int64_t *ret_time_us)
{
	int parts[PARTS] = {0};
	bool has_zone = false;

	if (strcmp(pattern, "rfc3339") == 0)
		return parse_rfc3339(zone_s, text, ret_time_us);
	if (!parse_parts(pattern, text, parts, &has_zone))
		return CSV_TIME_BAD;
	if (!has_zone && zone_s != NULL)
		parts[ZONE] = *zone_s;
	if (!jk_time_from_civil(
		    parts[YEAR], parts[MONTH], parts[DAY], parts[HOUR], parts[MINUTE], parts[SECOND], parts[ZONE], ret_time_us))
		return CSV_TIME_BAD;
	return has_zone || zone_s != NULL ? CSV_TIME_READ : CSV_TIME_WITHOUT_ZONE;
}
