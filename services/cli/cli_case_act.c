/* cli_case_act.c: what desks do with a case: one table of verbs, each a CaseCommand. */
#include "services/cli/cli_case_act.h"

#include <stdlib.h>
#include <string.h>

#include "services/cli/cli_link.h"
#include "services/cli/json_slice.h"
#include "json/json_map.h"

enum { TIMEOUT_S = 10, OPTIONS_MAX = 6 };

enum form { TEXT, UPPER, NUMBER, SWITCH };
struct option {
	const char *name, *field; /* "--reason", "reason" */
	enum form form;
	bool required;
};
#define REASON                                                                                                                   \
	{                                                                                                                        \
		"--reason", "reason", TEXT, false                                                                                \
	}
#define WANTS_REASON                                                                                                             \
	{                                                                                                                        \
		"--reason", "reason", TEXT, true                                                                                 \
	}
#define WHOM                                                                                                                     \
	{"--agency", "agency", UPPER, false},                                                                                    \
	{                                                                                                                        \
		"--desk", "desk", UPPER, false                                                                                   \
	}

static const struct verb {
	const char *words[2]; /* "task", "add" */
	const char *action;   /* the member of CaseCommand */
	bool moves;           /* then it wants --version */
	const char *second;   /* what stands behind the id: its field; NULL: nothing */
	struct option options[OPTIONS_MAX];
} verbs[] = {
	{{"triage", NULL}, "triage", true, NULL, {REASON}},
	{{"assign", NULL}, "assign", true, NULL, {WHOM, REASON}},
	{{"start", NULL}, "start", true, NULL, {REASON}},
	{{"hold", NULL}, "hold", true, NULL, {WANTS_REASON}},
	{{"resume", NULL}, "resume", true, NULL, {REASON}},
	{{"refer", NULL}, "refer", true, NULL,
		{{"--agency", "agency", UPPER, false}, {"--service", "service", UPPER, false}, REASON}},
	{{"accept-referral", NULL}, "accept_referral", true, NULL, {REASON}},
	{{"decline-referral", NULL}, "decline_referral", true, NULL, {WANTS_REASON}},
	{{"resolve", NULL}, "resolve", true, NULL, {{"--disposition", "disposition", UPPER, true}, REASON}},
	{{"close", NULL}, "close", true, NULL, {REASON}},
	{{"reopen", NULL}, "reopen", true, NULL, {WANTS_REASON}},
	{{"merge", NULL}, "merge", true, NULL,
		{{"--into", "into_id", TEXT, true}, {"--into-version", "into_version", NUMBER, false}, REASON}},
	{{"link", NULL}, "link", false, NULL,
		{{"--to", "other_id", TEXT, true}, {"--relation", "relation", UPPER, true}, REASON}},
	{{"number", NULL}, "number", false, NULL, {{"--number", "number", TEXT, false}, {"--ob", "ob_number", TEXT, false}}},
	{{"note", NULL}, "note", false, "text", {{"--language", "language", TEXT, false}}},
	{{"task", "add"}, "task_add", false, "title",
		{WHOM, {"--due", "due_us", TEXT, false}, {"--blocking", "blocking", SWITCH, false}}},
	{{"task", "done"}, "task_done", false, "task_id", {REASON}},
	{{"task", "cancel"}, "task_cancel", false, "task_id", {REASON}},
	{{"evidence", NULL}, "evidence", false, NULL,
		{{"--digest", "digest", TEXT, true}, {"--location", "location", TEXT, true},
			{"--media-type", "media_type", TEXT, true}}},
};

struct act {
	const struct verb *verb;
	const char *words[2]; /* id, and what stands behind it */
	const char *values[OPTIONS_MAX], *version, *command_id, *timeout;
};

/* ---- reading the command line ------------------------------------------------------------------------------------------- */

static bool take_option(struct act *act, struct cli_args *args)
{
	for (size_t i = 0; i < OPTIONS_MAX && act->verb->options[i].name; i++) {
		const struct option *option = &act->verb->options[i];
		if (option->form == SWITCH && cli_args_take(args, option->name, NULL)) {
			act->values[i] = "true";
			return true;
		}
		if (option->form != SWITCH && cli_args_take(args, option->name, &act->values[i]))
			return true;
	}
	return cli_args_take(args, "--version", &act->version) || cli_args_take(args, "--command-id", &act->command_id) ||
	       cli_args_take(args, "--timeout", &act->timeout);
}

/* CLI_OK, or it has been said. */
static int take_all(struct act *act, struct cli_args *args)
{
	size_t words = 0, wanted = act->verb->second ? 2 : 1;

	while (cli_args_peek(args)) {
		if (take_option(act, args))
			continue;
		const char *word = cli_args_word(args);
		if (!word || words == wanted)
			return cli_usage(
				"case", "case %s does not take '%s'", act->verb->words[0], word ? word : cli_args_peek(args));
		act->words[words++] = word;
	}
	if (cli_args_missing(args))
		return cli_usage("case", "%s wants a value", cli_args_missing(args));
	if (words < wanted)
		return cli_usage("case", "case %s wants the id of a case%s%s", act->verb->words[0],
			wanted > 1 ? ", then its " : "", wanted > 1 ? act->verb->second : "");
	if (act->verb->moves && !act->version)
		return cli_usage(
			"case", "case %s wants --version: the one it was decided on (case show tells it)", act->verb->words[0]);
	for (size_t i = 0; i < OPTIONS_MAX && act->verb->options[i].name; i++)
		if (act->verb->options[i].required && !act->values[i])
			return cli_usage("case", "case %s wants %s", act->verb->words[0], act->verb->options[i].name);
	return CLI_OK;
}

static void add_upper(struct jk_buffer *json, const char *text)
{
	char word[64];

	(void)jk_text_copy(word, sizeof word, text);
	for (char *c = word; *c; c++) {
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	}
	jk_json_quote(json, word);
}

/* False: it is no number. */
static bool add_value(struct jk_buffer *json, enum form form, const char *text)
{
	int64_t number;

	switch (form) {
	case TEXT:
		jk_json_quote(json, text);
		return true;
	case UPPER:
		add_upper(json, text);
		return true;
	case SWITCH:
		jk_buffer_printf(json, "true");
		return true;
	case NUMBER:
		break;
	}
	if (!jk_text_to_int64(text, 0, INT32_MAX, &number))
		return false;
	jk_buffer_printf(json, "%lld", (long long)number);
	return true;
}

/* The command as JSON; false: a number is none, and it has been said. */
static bool write_command(const struct act *act, struct jk_buffer *json)
{
	const char *comma = "";

	jk_buffer_printf(json, "{\"case_id\":");
	jk_json_quote(json, act->words[0]);
	if (act->command_id) {
		jk_buffer_printf(json, ",\"command_id\":");
		jk_json_quote(json, act->command_id);
	}
	if (act->version) {
		jk_buffer_printf(json, ",\"version\":");
		if (!add_value(json, NUMBER, act->version)) {
			cli_usage("case", "--version is a number, not '%s'", act->version);
			return false;
		}
	}
	jk_buffer_printf(json, ",\"%s\":{", act->verb->action);
	if (act->verb->second) {
		jk_buffer_printf(json, "\"%s\":", act->verb->second);
		jk_json_quote(json, act->words[1]);
		comma = ",";
	}
	for (size_t i = 0; i < OPTIONS_MAX && act->verb->options[i].name; i++) {
		if (!act->values[i])
			continue;
		jk_buffer_printf(json, "%s\"%s\":", comma, act->verb->options[i].field);
		if (!add_value(json, act->verb->options[i].form, act->values[i])) {
			cli_usage("case", "%s is a number, not '%s'", act->verb->options[i].name, act->values[i]);
			return false;
		}
		comma = ",";
	}
	jk_buffer_printf(json, "}}");
	return true;
}

/* ---- sending it --------------------------------------------------------------------------------------------------------- */

static int fail_act(const struct jukwaa_connection *connection, int status, const char *reason)
{
	/* "CODE field: reason", as the library puts a refusal. */
	char code[48] = "";
	size_t size = strcspn(reason, " ");

	if (status != JUKWAA_E_REFUSED || size >= sizeof code)
		return cli_link_fail(connection, status, "", "", reason);
	memcpy(code, reason, size);
	if (strcmp(code, "STALE_VERSION") == 0)
		return cli_fail(
			CLI_REFUSED, "look at it again (jukwaa case show), and decide anew", "it has changed:%s", reason + size);
	return cli_link_fail(connection, status, code, "", reason + size + (reason[size] != '\0'));
}

static void print_part(struct json_slice whole, const char *name, const char *before)
{
	struct json_slice part;

	if (!json_slice_find(whole, name, &part))
		return;
	int quoted = part.end - part.at >= 2 && *part.at == '"';
	printf("%s%.*s", before, (int)(part.end - part.at) - 2 * quoted, part.at + quoted);
}

/* "TRIAGED, version 3", and what it has made. */
static void print_done(const struct cli *cli, const struct act *act, const char *json)
{
	struct json_slice whole = {json, json + strlen(json)};

	if (cli->json) {
		printf("%s\n", json);
		return;
	}
	print_part(whole, "state", "");
	print_part(whole, "version", ", version ");
	if (!act->verb->moves)
		print_part(whole, "thing_id", ", ");
	printf("%s\n", strstr(json, "\"repeated\":true") ? " (had been done before)" : "");
}

static int send_act(const struct cli *cli, const struct act *act)
{
	struct jk_buffer command = {0};
	struct jukwaa_connection connection;
	char reason[256], *answer = NULL;
	int64_t timeout_s = TIMEOUT_S;
	int status = CLI_USAGE;

	if (act->timeout && !jk_text_to_int64(act->timeout, 1, 3600, &timeout_s))
		return cli_usage("case", "--timeout is 1 to 3600 seconds, not '%s'", act->timeout);
	if (write_command(act, &command) && cli_link_connection(cli, "JUKWAA_CASES", &connection)) {
		status = command.failed
				 ? JUKWAA_E_USAGE
				 : jukwaa_call(&connection, "CaseCommand", command.data, (int)timeout_s * 1000, &answer, reason);
		if (status == JUKWAA_OK) {
			print_done(cli, act, answer);
			status = CLI_OK;
		} else {
			status = fail_act(&connection, status, reason);
		}
	}
	free(answer);
	jk_buffer_done(&command);
	return status;
}

bool cli_case_act(const struct cli *cli, const char *word, struct cli_args *args, int *ret_status)
{
	const char *second = NULL;

	if (strcmp(word, "states") == 0) {
		*ret_status = cli_case_states(cli, args);
		return true;
	}
	if (strcmp(word, "task") == 0) {
		second = cli_args_word(args);
		if (!second)
			second = "";
	}
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		struct act act = {.verb = &verbs[i]};

		if (strcmp(verbs[i].words[0], word) != 0 || (second && strcmp(verbs[i].words[1], second) != 0))
			continue;
		*ret_status = take_all(&act, args);
		if (*ret_status == CLI_OK)
			*ret_status = send_act(cli, &act);
		return true;
	}
	if (second)
		*ret_status = cli_usage("case", "say what: case task add, case task done or case task cancel");
	return second != NULL;
}
