#include "services/cli/cli_work.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/cli_link.h"
#include "services/cli/json_slice.h"
#include "json/json_map.h"

/* What any of the lists gives at once. */
enum { PAGE_MAX = 200 };

/* ---- the message ------------------------------------------------------------------------------------------------ */

void cli_work_add(struct jk_buffer *json, const char *name, const char *text)
{
	jk_buffer_printf(json, ",\"%s\":", name);
	jk_json_quote(json, text);
}

bool cli_work_add_point(struct jk_buffer *json, const char *command, const char *name, const char *text)
{
	char lat_text[64] = "";
	const char *comma = text ? strchr(text, ',') : NULL;
	double lat, lon;

	if (comma && (size_t)(comma - text) < sizeof lat_text)
		memcpy(lat_text, text, (size_t)(comma - text));
	if (!comma || !jk_text_to_double(lat_text, &lat) || !jk_text_to_double(comma + 1, &lon)) {
		cli_usage(command, "--at is LAT,LON in degrees, such as -1.2864,36.8172");
		return false;
	}
	jk_buffer_printf(json, ",\"%s\":{\"lat\":%.17g,\"lon\":%.17g}", name, lat, lon);
	return true;
}

void cli_work_add_capabilities(struct jk_buffer *json, const struct cli_work *work)
{
	jk_buffer_printf(json, ",\"capabilities\":[");
	for (size_t i = 0; i < work->capability_count; i++) {
		if (i)
			jk_buffer_printf(json, ",");
		jk_json_quote(json, work->capabilities[i]);
	}
	jk_buffer_printf(json, "]");
}

void cli_work_upper(char *ret, size_t capacity, const char *word)
{
	(void)jk_text_copy(ret, capacity, word);
	for (char *c = ret; *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

/* ---- arguments -------------------------------------------------------------------------------------------------- */

/* Takes the option at hand when the verb has it. */
static bool take_option(struct cli_args *args, const struct cli_work_verb *verb, const char *name, const char **ret_value)
{
	char spaced[32];

	(void)jk_text_format(spaced, sizeof spaced, " %s ", name);
	return strstr(verb->options, spaced) && cli_args_take(args, name, ret_value);
}

static bool take_one(struct cli_args *args, const struct cli_work_verb *verb, struct cli_work *work, const char **limit)
{
	const struct {
		const char *name, **value;
	} options[] = {{"--at", &work->at}, {"--reason", &work->reason}, {"--state", &work->state},
		{"--discipline", &work->discipline}, {"--county", &work->county}, {"--desk", &work->desk},
		{"--count", &work->count}, {"--by", &work->by}, {"--to", &work->to}, {"--incident", &work->incident},
		{"--disposition", &work->disposition}, {"--version", &work->version}, {"--command-id", &work->command_id},
		{"--limit", limit}};
	const struct {
		const char *name;
		bool *value;
	} switches[] = {{"--held", &work->held}, {"--all", &work->all}};
	const char *capability = NULL;

	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
		if (take_option(args, verb, switches[i].name, NULL))
			return *switches[i].value = true;
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (take_option(args, verb, options[i].name, options[i].value))
			return true;
	if (!take_option(args, verb, "--capability", &capability))
		return false;
	if (capability && work->capability_count < CLI_WORK_REPEATS_MAX)
		work->capabilities[work->capability_count++] = capability;
	return true;
}

static size_t count_words(const char *words)
{
	size_t count = *words != '\0';

	for (; *words; words++)
		count += *words == ' ';
	return count;
}

static bool read_arguments(const char *command, const struct cli_work_verb *verb, struct cli_args *args, struct cli_work *work)
{
	enum { LIST_DEFAULT = 50, CHOICES_DEFAULT = 10 };
	const char *limit = NULL, *timeout = NULL, *word;
	size_t count = 0, wanted = count_words(verb->words);
	int64_t version;

	work->limit = verb->list ? LIST_DEFAULT : CHOICES_DEFAULT;
	while (cli_args_peek(args)) {
		if (cli_args_take(args, "--timeout", &timeout) || take_one(args, verb, work, &limit))
			continue;
		word = cli_args_word(args);
		if (!word || count == wanted) {
			cli_usage(command, "%s %s does not take '%s'", command, verb->name, word ? word : cli_args_peek(args));
			return false;
		}
		work->words[count++] = word;
	}
	if (cli_args_missing(args))
		cli_usage(command, "%s wants a value", cli_args_missing(args));
	else if (count < wanted)
		cli_usage(command, "%s %s wants %s", command, verb->name, verb->words);
	else if (timeout && !jk_text_to_int64(timeout, 1, 3600, &work->timeout_s))
		cli_usage(command, "--timeout is 1 to 3600 seconds, not '%s'", timeout);
	else if (limit && !jk_text_to_int64(limit, 1, 1000000, &work->limit))
		cli_usage(command, "--limit is 1 to 1000000, not '%s'", limit);
	else if (work->version && !jk_text_to_int64(work->version, 1, INT32_MAX, &version))
		cli_usage(command, "--version is the number that list shows, not '%s'", work->version);
	else
		return true;
	return false;
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

/* "CODE field: reason", as the library puts a refusal. */
static int fail(const struct jukwaa_connection *connection, int status, const char *reason)
{
	char code[48] = "", field[64] = "";
	size_t size = strcspn(reason, " "), name;

	if (status != JUKWAA_E_REFUSED || size >= sizeof code)
		return cli_link_fail(connection, status, "", "", reason);
	memcpy(code, reason, size);
	reason += size + (reason[size] != '\0');
	name = strcspn(reason, ": ");
	if (name < sizeof field && reason[name] == ':') {
		memcpy(field, reason, name);
		reason += name + 1 + (reason[name + 1] == ' ');
	}
	return cli_link_fail(connection, status, code, field, reason);
}

static void print_done(const struct cli_work *work, const char *json)
{
	struct json_slice text = {json, json + strlen(json)}, state, version, repeated, thing;
	const char *tone = cli_tone(work->cli, CLI_BOLD), *plain = cli_tone(work->cli, CLI_PLAIN);

	if (json_slice_find(text, "thing_id", &thing))
		printf("%.*s ", (int)(thing.end - thing.at - 2), thing.at + 1);
	if (json_slice_find(text, "state", &state))
		printf("%s%.*s%s", tone, (int)(state.end - state.at - 2), state.at + 1, plain);
	if (json_slice_find(text, "version", &version))
		printf(" (version %.*s)", (int)(version.end - version.at), version.at);
	if (json_slice_find(text, "repeated", &repeated) && *repeated.at == 't')
		printf(", done before");
	printf("\n");
}

static void print_json(struct cli_work *work, const struct cli_work_verb *verb, const char *json)
{
	struct json_slice text = {json, json + strlen(json)}, list, one;

	if (!verb->list) {
		printf("%s\n", json);
		return;
	}
	if (json_slice_find(text, verb->list, &list) && json_slice_enter(&list, '['))
		while (json_slice_element(&list, &one)) {
			printf("%.*s\n", (int)(one.end - one.at), one.at);
			work->printed++;
		}
}

static bool write_message(const struct cli_work *work, const struct cli_work_verb *verb, struct jk_buffer *json)
{
	size_t start = json->size;

	if (work->version)
		jk_buffer_printf(json, ",\"version\":%s", work->version);
	if (work->command_id)
		cli_work_add(json, "command_id", work->command_id);
	if (verb->write && !verb->write(work, json))
		return false;
	if (work->page)
		jk_buffer_printf(json, ",\"after\":%s", work->page);
	if (json->size == start)
		jk_buffer_append(json, "{", 1);
	else
		json->data[start] = '{';
	jk_buffer_append(json, "}", 1);
	return !json->failed;
}

/* One call; ret_page: what the next one goes on after, "" at the end. */
static int call(
	struct cli_work *work, const struct cli_work_verb *verb, const struct jukwaa_connection *connection, char ret_page[256])
{
	struct jk_buffer message = {0};
	char reason[256], *json = NULL;
	struct json_slice page;
	int status;

	ret_page[0] = '\0';
	if (!write_message(work, verb, &message)) {
		jk_buffer_done(&message);
		return CLI_USAGE;
	}
	status = jukwaa_call(connection, verb->call, message.data, (int)work->timeout_s * 1000, &json, reason);
	jk_buffer_done(&message);
	if (status != JUKWAA_OK)
		return fail(connection, status, reason);
	if (work->cli->json)
		print_json(work, verb, json);
	else if (verb->print)
		verb->print(work, json);
	else
		print_done(work, json);
	if (verb->list && json_slice_find((struct json_slice){json, json + strlen(json)}, "page", &page))
		(void)jk_text_format(ret_page, 256, "%.*s", (int)(page.end - page.at), page.at);
	free(json);
	return CLI_OK;
}

static int run(struct cli_work *work, const struct cli_work_verb *verb)
{
	struct jukwaa_connection connection;
	char page[256], after[256];
	int64_t wanted = work->limit;
	int status;

	if (!cli_link_connection(work->cli, "JUKWAA_DISPATCH", &connection))
		return CLI_USAGE;
	do {
		int64_t left = wanted - (int64_t)work->printed;

		work->limit = verb->list && left > PAGE_MAX ? PAGE_MAX : left;
		status = call(work, verb, &connection, page);
		memcpy(after, page, sizeof after);
		work->page = after;
	} while (status == CLI_OK && page[0] != '\0' && (int64_t)work->printed < wanted);
	work->page = NULL;
	fflush(stdout);
	if (status == CLI_OK && verb->list && *verb->words && work->printed == 0)
		return cli_fail(CLI_REFUSED, NULL, "there is no '%s' for this key", work->words[0]);
	if (status == CLI_OK && page[0] != '\0' && !work->cli->json)
		fprintf(stderr, "There are more: a greater --limit shows them.\n");
	else if (status == CLI_OK && verb->list && work->printed == 0 && !work->cli->json)
		fprintf(stderr, "None.\n");
	return status;
}

int cli_work_run(const struct cli *cli, const char *command, const struct cli_work_verb *verbs, int argc, char **argv)
{
	enum { TIMEOUT_S = 10 };
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	struct cli_work work = {.cli = cli, .timeout_s = TIMEOUT_S};
	const char *name = cli_args_word(&args);

	for (const struct cli_work_verb *verb = verbs; name && verb->name; verb++)
		if (strcmp(verb->name, name) == 0) {
			work.verb = verb;
			return read_arguments(command, verb, &args, &work) ? run(&work, verb) : CLI_USAGE;
		}
	return name ? cli_usage(command, "'%s' is not one of its commands", name) : cli_usage(command, "say what to do");
}
