/* jukwaa case list | show; the other verbs have files of their own (cli_case_*.c). */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_arena.h"
#include "base/jk_id.h"
#include "base/jk_time.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "services/cli/cli_case.h"
#include "services/cli/cli_case_act.h"
#include "services/cli/cli_commands.h"
#include "services/cli/cli_link.h"
#include "services/cli/json_slice.h"
#include "json/json_map.h"

enum { LIMIT_DEFAULT = 50, PAGE_MAX = 500, TIMEOUT_S = 10, ARENA_BYTES = 64 * 1024 * 1024 };

int cli_case_fail(const struct jukwaa_connection *connection, int status, const char *reason)
{
	/* "CODE field: reason", as the library puts a refusal. */
	char code[48] = "";
	size_t size = strcspn(reason, " ");

	if (status != JUKWAA_E_REFUSED || size >= sizeof code)
		return cli_link_fail(connection, status, "", "", reason);
	memcpy(code, reason, size);
	if (strcmp(code, "NOT_FOUND") == 0)
		return cli_fail(
			CLI_REFUSED, "jukwaa case list shows those this key may see", "there is no such case for this key");
	return cli_link_fail(connection, status, code, "", reason + size + (reason[size] != '\0'));
}

bool cli_case_take_purpose(const char *word, const char *note, char scratch[32], struct jukwaa_purpose *ret_purpose)
{
	enum { NOTE_MAX_BYTES = 200 };
	const ProtobufCEnumDescriptor *type = &jukwaa__v1__case_purpose__descriptor;
	static const char prefix[] = "CASE_PURPOSE_";
	char choices[200] = "";

	word = word ? word : cli_setting("JUKWAA_PURPOSE");
	(void)jk_text_copy(scratch, 32, word ? word : "");
	for (char *c = scratch; *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
	*ret_purpose = (struct jukwaa_purpose){.word = scratch, .note = note};
	if (note && strlen(note) > NOTE_MAX_BYTES) {
		cli_usage("case", "--note is at most %d bytes", NOTE_MAX_BYTES);
		return false;
	}
	for (unsigned i = 1; i < type->n_values; i++) {
		size_t used = strlen(choices);
		const char *name = type->values[i].name + sizeof prefix - 1;

		if (strcmp(name, scratch) == 0)
			return true;
		(void)jk_text_format(choices + used, sizeof choices - used, "%s%s", i > 1 ? ", " : "", name);
	}
	if (word)
		cli_usage("case", "'%s' is no purpose; what it is read for is recorded: --purpose %s", word, choices);
	else
		cli_usage("case", "say what it is read for, which is recorded: --purpose (or JUKWAA_PURPOSE) %s", choices);
	return false;
}

/* ---- human form ------------------------------------------------------------------------------------------------- */

void cli_case_print_time(const char *prefix, int64_t time_us)
{
	char text[JK_TIME_BYTES];

	jk_time_format(text, time_us / 60000000 * 60000000);
	text[16] = 'Z';
	text[17] = '\0';
	text[10] = ' ';
	printf("%s%s", prefix, text);
}

static const char *state_name(Jukwaa__V1__CaseState state)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(&jukwaa__v1__case_state__descriptor, (int)state);

	return value ? value->name + strlen("CASE_STATE_") : "?";
}

void cli_case_print_id(const ProtobufCBinaryData *bytes)
{
	char text[JK_ID_TEXT_BYTES] = "-";
	struct jk_id id;

	if (bytes->len == sizeof id.bytes) {
		memcpy(id.bytes, bytes->data, sizeof id.bytes);
		jk_id_format(text, &id);
	}
	printf("%s", text);
}

void cli_case_print_summary(const struct cli *cli, const Jukwaa__V1__CaseSummary *summary)
{
	enum { WIDE = 120, ID_COLUMNS = 36 };
	int columns = cli_columns(), left = columns;
	char counties[64] = "";

	for (size_t i = 0; i < summary->n_counties; i++) {
		size_t used = strlen(counties);

		(void)jk_text_format(counties + used, sizeof counties - used, "%s%s", i ? "," : "", summary->counties[i]);
	}
	cli_case_print_id(&summary->case_id);
	left -= ID_COLUMNS;
	left -= printf(" %s%-11s%s ", cli_tone(cli, CLI_BOLD), state_name(summary->state), cli_tone(cli, CLI_PLAIN));
	left -= printf("%-8s ", counties);
	if (columns < WIDE) {
		printf("\n  ");
		left = columns - 2;
	}
	left -= printf("%-8s %-9s ", jk_words_name(&jk_severities, (int)summary->severity),
		jk_words_name(&jk_categories, (int)summary->category));
	cli_case_print_time("", summary->opened_at_us);
	left -= 18;
	printf(" ");
	if (left > 8)
		left -= cli_print_text(stdout, summary->headline, left) + 2;
	if (left > (int)strlen(summary->agency)) {
		printf("  ");
		cli_print_text(stdout, summary->agency, 0);
	}
	printf("\n");
}

static void print_json_value(struct json_slice value)
{
	char text[600];
	size_t size = (size_t)(value.end - value.at);

	if (size >= 2 && *value.at == '"') {
		value.at++;
		size -= 2;
	}
	if (size >= sizeof text)
		size = sizeof text - 1;
	memcpy(text, value.at, size);
	text[size] = '\0';
	cli_print_text(stdout, text, 0);
	printf("\n");
}

/* An object of our own making as indented lines: name, value. */
static void print_tree(struct json_slice value, int depth)
{
	struct json_slice name, inner, scan = value;
	bool is_array = *value.at == '[';

	if (*value.at != '{' && !is_array) {
		printf(" ");
		print_json_value(value);
		return;
	}
	printf("\n");
	(void)json_slice_enter(&scan, *value.at);
	while (is_array ? json_slice_element(&scan, &inner) : json_slice_member(&scan, &name, &inner)) {
		printf("%*s", depth * 2, "");
		if (is_array)
			printf("-");
		else
			printf("%.*s:", (int)(name.end - name.at), name.at);
		print_tree(inner, depth + 1);
	}
}

/* ---- list ------------------------------------------------------------------------------------------------------- */

/* Prints up to *left cases of one page; gives back the next page's name, "" at the end. */
static void print_page(const struct cli *cli, const char *json, int64_t *left, char *ret_page, size_t capacity)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct json_slice text = {json, json + strlen(json)}, list, one, page;
	struct jk_refusal refusal;

	ret_page[0] = '\0';
	if (arena && json_slice_find(text, "cases", &list) && json_slice_enter(&list, '[')) {
		while (*left > 0 && json_slice_element(&list, &one)) {
			const Jukwaa__V1__CaseSummary *summary = NULL;

			if (cli->json)
				printf("%.*s\n", (int)(one.end - one.at), one.at);
			else if ((summary = (const void *)jk_json_read(&jukwaa__v1__case_summary__descriptor, one.at,
					  (size_t)(one.end - one.at), arena, &refusal)))
				cli_case_print_summary(cli, summary);
			--*left;
		}
	}
	if (json_slice_find(text, "page", &page) && page.end - page.at > 2)
		(void)jk_text_format(ret_page, capacity, "%.*s", (int)(page.end - page.at - 2), page.at + 1);
	jk_arena_free(&arena);
}

static int list_cases(
	const struct cli *cli, const struct jukwaa_connection *connection, const char *filter, int64_t limit, int timeout_s)
{
	char page[1024] = "", reason[256], *json = NULL;
	int64_t left = limit;

	do {
		struct jk_buffer question = {0};
		int status = JUKWAA_E_STORAGE;

		jk_buffer_printf(&question, "{%s,\"limit\":%" PRId64, filter, left < PAGE_MAX ? left : PAGE_MAX);
		if (*page)
			jk_buffer_printf(&question, ",\"after\":\"%s\"", page);
		jk_buffer_append(&question, "}", 1);
		(void)jk_text_copy(reason, sizeof reason, "no memory");
		if (!question.failed)
			status = jukwaa_call(connection, "CaseList", question.data, timeout_s * 1000, &json, reason);
		jk_buffer_done(&question);
		if (status != JUKWAA_OK)
			return cli_case_fail(connection, status, reason);
		print_page(cli, json, &left, page, sizeof page);
		free(json);
	} while (left > 0 && *page);
	fflush(stdout);
	if (*page && !cli->json)
		fprintf(stderr, "There are more: --limit %" PRId64 " shows twice as many.\n", limit * 2);
	else if (left == limit && !cli->json)
		fprintf(stderr, "No case that this key may see.\n");
	return CLI_OK;
}

static int run_list(const struct cli *cli, struct cli_args *args)
{
	const char *limit_text = "50", *timeout_text = "10";
	struct cli_case_filter filter = {0};
	struct jukwaa_connection connection;
	struct jk_buffer members = {0};
	int64_t limit = LIMIT_DEFAULT, timeout = TIMEOUT_S;
	int status = CLI_USAGE;

	while (cli_args_peek(args))
		if (!cli_args_take(args, "--limit", &limit_text) && !cli_args_take(args, "--timeout", &timeout_text) &&
			!cli_case_filter_take(&filter, args))
			return cli_usage("case", "'%s' is not an option of case list", cli_args_peek(args));
	if (cli_args_missing(args))
		return cli_usage("case", "%s wants a value", cli_args_missing(args));
	if (!jk_text_to_int64(limit_text, 1, 1000000, &limit))
		return cli_usage("case", "--limit is 1 to 1000000, not '%s'", limit_text);
	if (!jk_text_to_int64(timeout_text, 1, 3600, &timeout))
		return cli_usage("case", "--timeout is 1 to 3600 seconds, not '%s'", timeout_text);
	if (cli_case_filter_write(&filter, &members) && cli_link_connection(cli, "JUKWAA_CASES", &connection))
		status = members.failed ? cli_fail(CLI_REFUSED, NULL, "no memory")
					: list_cases(cli, &connection, members.data, limit, (int)timeout);
	jk_buffer_done(&members);
	return status;
}

/* ---- show ------------------------------------------------------------------------------------------------------- */

static void print_case(const struct cli *cli, const char *json)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct json_slice text = {json, json + strlen(json)}, part;
	struct jk_refusal refusal;
	const Jukwaa__V1__CaseSummary *summary;

	if (arena && json_slice_find(text, "case", &part) &&
		(summary = (const void *)jk_json_read(
			 &jukwaa__v1__case_summary__descriptor, part.at, (size_t)(part.end - part.at), arena, &refusal)))
		cli_case_print_summary(cli, summary);
	cli_case_print_story(cli, json);
	printf("%sincident%s", cli_tone(cli, CLI_BOLD), cli_tone(cli, CLI_PLAIN));
	if (json_slice_find(text, "incident", &part))
		print_tree(part, 1);
	else
		printf("  no longer kept: its reports have been removed by age\n");
	jk_arena_free(&arena);
}

static int run_show(const struct cli *cli, struct cli_args *args)
{
	const char *id = NULL, *word, *timeout_text = "10", *purpose_text = NULL, *note = NULL;
	struct jukwaa_connection connection;
	struct jukwaa_purpose purpose;
	char reason[256], purpose_word[32], *json;
	int64_t timeout = TIMEOUT_S;
	int status;

	while (cli_args_peek(args)) {
		if (cli_args_take(args, "--timeout", &timeout_text) || cli_args_take(args, "--purpose", &purpose_text) ||
			cli_args_take(args, "--note", &note))
			continue;
		word = cli_args_word(args);
		if (!word || id)
			return cli_usage("case", "case show takes one id, not '%s'", word ? word : cli_args_peek(args));
		id = word;
	}
	if (!id)
		return cli_usage("case", "case show wants the id of a case (jukwaa case list shows them)");
	if (cli_args_missing(args))
		return cli_usage("case", "%s wants a value", cli_args_missing(args));
	if (!jk_text_to_int64(timeout_text, 1, 3600, &timeout))
		return cli_usage("case", "--timeout is 1 to 3600 seconds, not '%s'", timeout_text);
	if (!cli_case_take_purpose(purpose_text, note, purpose_word, &purpose))
		return CLI_USAGE;
	if (!cli_link_connection(cli, "JUKWAA_CASES", &connection))
		return CLI_USAGE;
	status = jukwaa_case_show(&connection, id, &purpose, (int)timeout * 1000, &json, reason);
	if (status != JUKWAA_OK)
		return cli_case_fail(&connection, status, reason);
	if (cli->json)
		printf("%s\n", json);
	else
		print_case(cli, json);
	free(json);
	return CLI_OK;
}

int cli_case(const struct cli *cli, int argc, char **argv)
{
	int status;
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	const char *what = cli_args_word(&args);

	if (what && strcmp(what, "list") == 0)
		return run_list(cli, &args);
	if (what && strcmp(what, "show") == 0)
		return run_show(cli, &args);
	if (what && strcmp(what, "export") == 0)
		return cli_case_export(cli, &args);
	if (what && strcmp(what, "figures") == 0)
		return cli_case_figures(cli, &args);
	if (what && strcmp(what, "similar") == 0)
		return cli_case_similar(cli, &args);
	if (what && cli_case_act(cli, what, &args, &status))
		return status;
	return cli_usage("case", "say what: case list, case show ID, case triage ID, … (jukwaa help case)");
}
