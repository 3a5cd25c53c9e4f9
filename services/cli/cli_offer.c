/* jukwaa offer …, jukwaa opened …: what a desk is asked to answer for, and its answers. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_id.h"
#include "base/jk_time.h"
#include "services/cli/cli_commands.h"
#include "services/cli/cli_link.h"
#include "services/cli/offer_show.h"
#include "json/json_map.h"

enum { LIST_DEFAULT = 50, PAGE_MAX = 200, LIMIT_MAX = 100000, TIMEOUT_S = 10, TIMEOUT_MAX_S = 86400, REASON_MAX_BYTES = 200 };

/* What one of the answers takes. */
enum { NEEDS_DUTY = 1, NEEDS_DESK = 2, NEEDS_REASON = 4, NEEDS_DISPOSITION = 8, TAKES_REASON = 16 };
static const struct answer {
	const char *word, *member; /* as typed; of OfferCommand */
	unsigned needs;
	const char *done; /* to people */
} answers[] = {
	{"accept", "accept", NEEDS_DUTY, "accepted: this desk has it"},
	{"decline", "decline", NEEDS_DUTY | NEEDS_REASON, "declined"},
	{"hand-over", "hand_over", NEEDS_DUTY | NEEDS_DESK | TAKES_REASON, "offered; this desk has it until the other accepts"},
	{"hand-over-all", "hand_over_all", NEEDS_DESK | TAKES_REASON,
		"to be offered; this desk has each until the other accepts"},
	{"complete", "complete", NEEDS_DUTY | NEEDS_DISPOSITION | TAKES_REASON, "completed"},
	{"acknowledge", "acknowledge", NEEDS_DUTY, "acknowledged"},
};

/* The arguments of any of them. */
struct call {
	const struct cli *cli;
	const char *duty, *desk, *reason, *disposition, *command_id;
	const char *filter; /* of OfferList */
	int64_t version, limit, timeout_s, count;
};

static int fail_call(const struct jukwaa_connection *connection, int status, const char *what, const char *reason)
{
	/* "CODE field: reason", as the library puts a refusal. */
	char code[48] = "";
	size_t size = strcspn(reason, " ");

	if (status != JUKWAA_E_REFUSED || size >= sizeof code)
		return cli_link_fail(connection, status, "", "", reason);
	memcpy(code, reason, size);
	if (strcmp(code, "NOT_FOUND") == 0)
		return cli_fail(CLI_REFUSED, NULL, "NOT_FOUND: there is no such %s for this key", what);
	return cli_link_fail(connection, status, code, "", reason + size + (reason[size] != '\0'));
}

static bool take_number(const char *name, const char *text, int64_t least, int64_t most, int64_t *ret)
{
	if (jk_text_to_int64(text, least, most, ret))
		return true;
	(void)cli_usage("offer", "%s is %" PRId64 " to %" PRId64 ", not '%s'", name, least, most, text);
	return false;
}

static bool is_id(const char *what, const char *text)
{
	struct jk_id id;

	if (jk_id_parse(text, &id))
		return true;
	(void)cli_usage("offer", "'%s' is no id of %s (8-4-4-4-12 hex digits)", text, what);
	return false;
}

/* One argument. False: said. */
static bool take(struct call *call, struct cli_args *args)
{
	const struct {
		const char *name;
		int64_t least, most, *value;
	} numbers[] = {{"--version", 1, UINT32_MAX, &call->version}, {"--limit", 1, LIMIT_MAX, &call->limit},
		{"--timeout", 1, TIMEOUT_MAX_S, &call->timeout_s}, {"--count", 1, INT32_MAX, &call->count}};
	const char *text = NULL;

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (cli_args_take(args, numbers[i].name, &text))
			return !text || take_number(numbers[i].name, text, numbers[i].least, numbers[i].most, numbers[i].value);
	if (cli_args_take(args, "--held", NULL))
		call->filter = "HELD";
	else if (cli_args_take(args, "--all", NULL))
		call->filter = "ALL";
	else if (cli_args_take(args, "--desk", &call->desk) || cli_args_take(args, "--reason", &call->reason) ||
		 cli_args_take(args, "--disposition", &call->disposition) ||
		 cli_args_take(args, "--command-id", &call->command_id))
		return true;
	else if (!call->duty && (text = cli_args_word(args)))
		call->duty = text;
	else {
		(void)cli_usage("offer", "'%s' is not wanted here", cli_args_peek(args));
		return false;
	}
	return true;
}

static bool read_arguments(struct call *call, struct cli_args *args)
{
	while (cli_args_peek(args))
		if (!take(call, args))
			return false;
	if (cli_args_missing(args)) {
		(void)cli_usage("offer", "%s wants a value", cli_args_missing(args));
		return false;
	}
	return true;
}

/* ---- list ------------------------------------------------------------------------------------------------------- */

/* Prints up to *left of one page; gives back the next page's name, "" at the end. */
static void print_page(const struct call *call, const char *json, int64_t *left, char *ret_page, size_t capacity)
{
	struct json_slice text = {json, json + strlen(json)}, list, one, page;

	ret_page[0] = '\0';
	if (json_slice_find(text, "offers", &list) && json_slice_enter(&list, '['))
		while (*left > 0 && json_slice_element(&list, &one)) {
			if (call->cli->json)
				printf("%.*s\n", (int)(one.end - one.at), one.at);
			else
				offer_print(call->cli, one);
			--*left;
		}
	if (json_slice_find(text, "page", &page) && page.end - page.at > 2)
		(void)jk_text_format(ret_page, capacity, "%.*s", (int)(page.end - page.at - 2), page.at + 1);
}

static int list_offers(const struct call *call, const struct jukwaa_connection *connection)
{
	char page[1024] = "", reason[256], question[1280], *json = NULL;
	int64_t left = call->limit;

	do {
		int status;

		(void)jk_text_format(question, sizeof question, "{\"filter\":\"%s\",\"limit\":%" PRId64 "%s%s%s}", call->filter,
			left < PAGE_MAX ? left : PAGE_MAX, *page ? ",\"after\":\"" : "", page, *page ? "\"" : "");
		status = jukwaa_call(connection, "OfferList", question, (int)call->timeout_s * 1000, &json, reason);
		if (status != JUKWAA_OK)
			return fail_call(connection, status, "list", reason);
		print_page(call, json, &left, page, sizeof page);
		free(json);
	} while (left > 0 && *page);
	fflush(stdout);
	if (*page && !call->cli->json)
		fprintf(stderr, "There are more: --limit %" PRId64 " shows twice as many.\n", call->limit * 2);
	else if (left == call->limit && !call->cli->json)
		fprintf(stderr, "None.\n");
	return CLI_OK;
}

static int run_list(struct call *call, struct cli_args *args)
{
	struct jukwaa_connection connection;

	if (!read_arguments(call, args))
		return CLI_USAGE;
	if (call->duty)
		return cli_usage("offer", "offer list takes no id");
	if (!cli_link_connection(call->cli, "JUKWAA_DISPATCH", &connection))
		return CLI_USAGE;
	return list_offers(call, &connection);
}

/* ---- watch ------------------------------------------------------------------------------------------------------ */

/* Trouble that passes is said once, until something comes again. */
static int watch_offers(const struct call *call, const struct jukwaa_connection *connection, struct jukwaa_offers *offers)
{
	int64_t deadline_ms = jk_time_mono_ms() + call->timeout_s * 1000, seen = 0;
	int said = JUKWAA_OK;

	while (call->count == 0 || seen < call->count) {
		int64_t left_ms = call->timeout_s == 0 ? INT32_MAX : deadline_ms - jk_time_mono_ms();
		const char *json;
		int status = jukwaa_offers_next(offers, left_ms > 1000 ? 1000 : left_ms > 0 ? (int)left_ms : 0, &json);

		if (status == JUKWAA_OK) {
			said = JUKWAA_OK;
			seen++;
			if (call->cli->json)
				printf("%s\n", json);
			else
				offer_print(call->cli, (struct json_slice){json, json + strlen(json)});
			fflush(stdout);
		} else if (status != JUKWAA_E_TIMEOUT && status != said) {
			const struct jukwaa_error *error = jukwaa_offers_error(offers);
			int ends = cli_link_fail(connection, status, error->code, error->field, error->reason);

			said = status;
			if (status != JUKWAA_E_UNREACHABLE)
				return ends;
		}
		if (left_ms <= 0)
			return call->count > 0 ? CLI_REFUSED : CLI_OK;
	}
	return CLI_OK;
}

static int run_watch(struct call *call, struct cli_args *args)
{
	struct jukwaa_connection connection;
	struct jukwaa_offers *offers;
	char reason[256];
	int status;

	call->timeout_s = 0; /* none */
	if (!read_arguments(call, args))
		return CLI_USAGE;
	if (call->duty)
		return cli_usage("offer", "offer watch takes no id");
	if (!cli_link_connection(call->cli, "JUKWAA_DISPATCH", &connection))
		return CLI_USAGE;
	status = jukwaa_offers_open(&connection, &offers, reason);
	if (status != JUKWAA_OK)
		return cli_link_fail(&connection, status, "", "", reason);
	status = watch_offers(call, &connection, offers);
	jukwaa_offers_close(&offers);
	return status;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static bool check_answer(const struct call *call, const struct answer *answer)
{
	const struct {
		unsigned need, may;
		const char *value, *name;
	} parts[] = {{NEEDS_DUTY, 0, call->duty, "the duty's id (jukwaa offer list shows it)"},
		{NEEDS_DESK, 0, call->desk, "--desk CODE, who is to take it"},
		{NEEDS_REASON, TAKES_REASON, call->reason, "--reason TEXT"},
		{NEEDS_DISPOSITION, 0, call->disposition, "--disposition WORD"}};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		bool needed = answer->needs & parts[i].need, may = answer->needs & (parts[i].need | parts[i].may);

		if (needed && (!parts[i].value || !*parts[i].value)) {
			(void)cli_usage("offer", "offer %s wants %s", answer->word, parts[i].name);
			return false;
		}
		if (!may && parts[i].value) {
			(void)cli_usage("offer", "offer %s does not take '%s'", answer->word, parts[i].value);
			return false;
		}
	}
	if (call->reason && strlen(call->reason) > REASON_MAX_BYTES) {
		(void)cli_usage("offer", "--reason is at most %d bytes", REASON_MAX_BYTES);
		return false;
	}
	return (!call->duty || is_id("a duty", call->duty)) && (!call->command_id || is_id("a command", call->command_id));
}

static void add_member(struct jk_buffer *json, const char *name, const char *text)
{
	if (!text)
		return;
	jk_buffer_printf(json, "%s\"%s\":", json->data[json->size - 1] == '{' ? "" : ",", name);
	jk_json_quote(json, text);
}

static void write_answer(const struct call *call, const struct answer *answer, struct jk_buffer *json)
{
	char word[32] = "";

	for (size_t i = 0; call->disposition && call->disposition[i] && i < sizeof word - 1; i++)
		word[i] = call->disposition[i] == '-' ? '_' : (char)toupper((unsigned char)call->disposition[i]);
	jk_buffer_printf(json, "{");
	add_member(json, "command_id", call->command_id);
	add_member(json, "duty_id", call->duty);
	if (call->version > 0)
		jk_buffer_printf(json, "%s\"version\":%" PRId64, json->size > 1 ? "," : "", call->version);
	jk_buffer_printf(json, "%s\"%s\":{", json->size > 1 ? "," : "", answer->member);
	add_member(json, "desk", call->desk);
	add_member(json, "disposition", call->disposition ? word : NULL);
	add_member(json, "reason", call->reason);
	jk_buffer_printf(json, "}}");
}

/* A text of CommandDone, without its quotes; "" where there is none. */
static void read_text(const char *json, const char *name, char *ret, size_t capacity)
{
	struct json_slice text = {json, json + strlen(json)}, value;

	ret[0] = '\0';
	if (json_slice_find(text, name, &value) && value.end - value.at > 2 && *value.at == '"')
		(void)jk_text_format(ret, capacity, "%.*s", (int)(value.end - value.at - 2), value.at + 1);
}

static bool was_repeated(const char *json)
{
	struct json_slice text = {json, json + strlen(json)}, value;

	return json_slice_find(text, "repeated", &value) && *value.at == 't';
}

static void print_answer(const struct cli *cli, const struct answer *answer, const char *json)
{
	char state[32], number[32];

	if (cli->json) {
		printf("%s\n", json);
		return;
	}
	read_text(json, "state", state, sizeof state);
	read_text(json, "number", number, sizeof number);
	printf("%s%s%s%s%s%s%s\n", *number ? number : "", *number ? " " : "", answer->done, *state ? " (" : "", state,
		*state ? ")" : "", was_repeated(json) ? "; this had been done before" : "");
}

static int run_answer(struct call *call, const struct answer *answer, struct cli_args *args)
{
	struct jukwaa_connection connection;
	struct jk_buffer question = {0};
	char reason[256], *json = NULL;
	int status;

	if (!read_arguments(call, args) || !check_answer(call, answer))
		return CLI_USAGE;
	if (!cli_link_connection(call->cli, "JUKWAA_DISPATCH", &connection))
		return CLI_USAGE;
	write_answer(call, answer, &question);
	if (question.failed)
		return cli_fail(CLI_REFUSED, NULL, "no memory");
	status = jukwaa_call(&connection, "OfferCommand", question.data, (int)call->timeout_s * 1000, &json, reason);
	jk_buffer_done(&question);
	if (status != JUKWAA_OK)
		return fail_call(&connection, status, "duty", reason);
	print_answer(call->cli, answer, json);
	free(json);
	return CLI_OK;
}

int cli_offer(const struct cli *cli, int argc, char **argv)
{
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	struct call call = {.cli = cli, .filter = "OPEN", .limit = LIST_DEFAULT, .timeout_s = TIMEOUT_S};
	const char *what = cli_args_word(&args);

	if (what && strcmp(what, "list") == 0)
		return run_list(&call, &args);
	if (what && strcmp(what, "watch") == 0)
		return run_watch(&call, &args);
	for (size_t i = 0; what && i < sizeof answers / sizeof *answers; i++)
		if (strcmp(what, answers[i].word) == 0)
			return run_answer(&call, &answers[i], &args);
	return cli_usage(
		"offer", "say what: offer list, watch, accept, decline, hand-over, hand-over-all, complete, acknowledge");
}

/* ---- opened ----------------------------------------------------------------------------------------------------- */

/* One incident after the other; the first that is refused ends it. */
static int mark_opened(const struct call *call, const struct jukwaa_connection *connection, const char *incident)
{
	char question[128], reason[256], *json = NULL;
	int status;

	(void)jk_text_format(question, sizeof question, "{\"incident_id\":\"%s\"}", incident);
	status = jukwaa_call(connection, "IncidentMark", question, (int)call->timeout_s * 1000, &json, reason);
	if (status != JUKWAA_OK)
		return fail_call(connection, status, "incident", reason);
	if (call->cli->json)
		printf("%s\n", json);
	else
		printf("%s: opened%s\n", incident, was_repeated(json) ? " before; its owner knows" : "; its owner is told");
	free(json);
	return CLI_OK;
}

int cli_opened(const struct cli *cli, int argc, char **argv)
{
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	struct call call = {.cli = cli, .timeout_s = TIMEOUT_S};
	struct jukwaa_connection connection;
	const char **incidents = calloc((size_t)argc, sizeof *incidents), *text;
	int count = 0, status = CLI_OK;

	while (status == CLI_OK && incidents && cli_args_peek(&args)) {
		if (cli_args_take(&args, "--timeout", &text))
			status = text && take_number("--timeout", text, 1, TIMEOUT_MAX_S, &call.timeout_s) ? CLI_OK : CLI_USAGE;
		else if ((text = cli_args_word(&args)))
			status = is_id("an incident", incidents[count++] = text) ? CLI_OK : CLI_USAGE;
		else
			status = cli_usage("opened", "'%s' is not an option of it", cli_args_peek(&args));
	}
	if (status == CLI_OK && count == 0)
		status = cli_usage("opened", "say which incident a person here has opened");
	if (status == CLI_OK && !cli_link_connection(cli, "JUKWAA_DISPATCH", &connection))
		status = CLI_USAGE;
	for (int i = 0; i < count && status == CLI_OK; i++)
		status = mark_opened(&call, &connection, incidents[i]);
	free(incidents);
	return status;
}
