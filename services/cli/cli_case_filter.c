/* Which cases, as options: shared by case list, export and figures. */
#include <ctype.h>
#include <string.h>

#include "base/jk_words.h"
#include "services/cli/cli_case.h"
#include "json/json_map.h"

bool cli_case_filter_take(struct cli_case_filter *filter, struct cli_args *args)
{
	const struct {
		const char *name, **value;
	} texts[] = {
		{"--constituency", &filter->constituency},
		{"--category", &filter->category},
		{"--agency", &filter->agency},
		{"--from", &filter->from},
		{"--to", &filter->to},
		{"--min-severity", &filter->severity},
		{"--number", &filter->number},
		{"--purpose", &filter->purpose},
		{"--note", &filter->note},
	};
	const char *value = NULL;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (cli_args_take(args, texts[i].name, texts[i].value))
			return true;
	if (cli_args_take(args, "--county", &value)) {
		if (value && filter->county_count < CLI_CASE_COUNTIES_MAX)
			filter->counties[filter->county_count++] = value;
		return true;
	}
	if (cli_args_take(args, "--state", &value)) {
		if (value && filter->state_count < CLI_CASE_STATES_MAX)
			filter->states[filter->state_count++] = value;
		return true;
	}
	if (cli_args_take(args, "--open", NULL))
		return filter->open = true;
	if (cli_args_take(args, "--breached", NULL))
		return filter->breached = true;
	return cli_args_take(args, "--include-test", NULL) && (filter->include_test = true);
}

static bool are_digits(const char *text)
{
	return strlen(text) == 3 && strspn(text, "0123456789") == 3;
}

static void write_text(struct jk_buffer *json, const char *name, const char *text)
{
	if (!text)
		return;
	jk_buffer_printf(json, ",\"%s\":", name);
	jk_json_quote(json, text);
}

/* A word of an enum in any case; false: said. */
static bool write_word(
	struct jk_buffer *json, const char *name, const char *word, const char *option, const struct jk_words *words)
{
	int number = word ? jk_words_number(words, word) : 0;

	if (!word)
		return true;
	if (number <= 0) {
		cli_usage("case", "'%s' is nothing that %s takes", word, option);
		return false;
	}
	write_text(json, name, jk_words_name(words, number));
	return true;
}

/* RFC 3339, or a day, which begins at midnight in Nairobi. */
static void write_time(struct jk_buffer *json, const char *name, const char *text)
{
	char full[64];

	if (text && strlen(text) == sizeof "2026-11-27" - 1 && jk_text_format(full, sizeof full, "%sT00:00:00+03:00", text))
		write_text(json, name, full);
	else
		write_text(json, name, text);
}

static bool write_states(const struct cli_case_filter *filter, struct jk_buffer *json)
{
	const ProtobufCEnumDescriptor *type = &jukwaa__v1__case_state__descriptor;
	char word[48];

	for (size_t i = 0; i < filter->state_count; i++) {
		if (!jk_text_format(word, sizeof word, "CASE_STATE_%s", filter->states[i])) {
			cli_usage("case", "'%s' is no state of a case", filter->states[i]);
			return false;
		}
		for (char *c = word; *c; c++)
			*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
		if (!protobuf_c_enum_descriptor_get_value_by_name(type, word)) {
			cli_usage("case", "'%s' is no state of a case", filter->states[i]);
			return false;
		}
		jk_buffer_printf(json, "%s\"%s\"", i ? "," : ",\"states\":[", word + strlen("CASE_STATE_"));
	}
	if (filter->state_count)
		jk_buffer_append(json, "]", 1);
	return true;
}

static bool write_places(const struct cli_case_filter *filter, struct jk_buffer *json)
{
	for (size_t i = 0; i < filter->county_count; i++) {
		if (!are_digits(filter->counties[i])) {
			cli_usage("case", "--county is three digits, such as 047 (give it again for another), not '%s'",
				filter->counties[i]);
			return false;
		}
		jk_buffer_printf(json, "%s\"%s\"", i ? "," : ",\"counties\":[", filter->counties[i]);
	}
	if (filter->county_count)
		jk_buffer_append(json, "]", 1);
	if (filter->constituency && !are_digits(filter->constituency)) {
		cli_usage("case", "--constituency is three digits, such as 290, not '%s'", filter->constituency);
		return false;
	}
	write_text(json, "constituency", filter->constituency);
	return true;
}

bool cli_case_filter_write(const struct cli_case_filter *filter, struct jk_buffer *json)
{
	struct jukwaa_purpose purpose;
	char scratch[32];

	if (!cli_case_take_purpose(filter->purpose, filter->note, scratch, &purpose))
		return false;
	jk_buffer_printf(json, "\"purpose\":\"%s\"", purpose.word);
	write_text(json, "purpose_note", filter->note);
	if (filter->open)
		jk_buffer_printf(json, ",\"open\":true");
	if (filter->include_test)
		jk_buffer_printf(json, ",\"include_test\":true");
	if (filter->breached)
		jk_buffer_printf(json, ",\"breached\":true");
	write_text(json, "agency", filter->agency);
	write_text(json, "number", filter->number);
	write_time(json, "from_us", filter->from);
	write_time(json, "to_us", filter->to);
	return write_states(filter, json) && write_places(filter, json) &&
	       write_word(json, "category", filter->category, "--category", &jk_categories) &&
	       write_word(json, "severity_floor", filter->severity, "--min-severity", &jk_severities);
}
