/* jukwaa offer …, jukwaa opened …: what a desk is asked to answer for, and its answers; what its people have seen. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_id.h"
#include "base/jk_time.h"
#include "services/cli/cli_commands.h"
#include "services/cli/cli_link.h"
#include "services/cli/cli_work.h"
#include "services/cli/offer_show.h"
#include "json/json_map.h"

enum { TIMEOUT_S = 10, TIMEOUT_MAX_S = 86400 };

/* ---- list and answers --------------------------------------------------------------------------------------------- */

static bool write_list(const struct cli_work *work, struct jk_buffer *json)
{
	cli_work_add(json, "filter", work->all ? "ALL" : work->held ? "HELD" : "OPEN");
	jk_buffer_printf(json, ",\"limit\":%" PRId64, work->limit);
	return true;
}

static void print_list(struct cli_work *work, const char *json)
{
	struct json_slice text = {json, json + strlen(json)}, list, one;

	if (json_slice_find(text, "offers", &list) && json_slice_enter(&list, '['))
		while (json_slice_element(&list, &one)) {
			offer_print(work->cli, one);
			work->printed++;
		}
}

/* What the verb cannot do without; NULL: nothing is missing. */
static const char *missing_option(const struct cli_work *work)
{
	const char *name = work->verb->name;

	if (strncmp(name, "hand-over", strlen("hand-over")) == 0 && !work->desk)
		return "--desk CODE, who is to take it";
	if (strcmp(name, "complete") == 0 && !work->disposition)
		return "--disposition WORD";
	return strcmp(name, "decline") == 0 && (!work->reason || !*work->reason) ? "--reason TEXT" : NULL;
}

static void add_field(struct jk_buffer *json, bool *first, const char *name, const char *text)
{
	if (!text)
		return;
	jk_buffer_printf(json, "%s\"%s\":", *first ? "" : ",", name);
	jk_json_quote(json, text);
	*first = false;
}

/* ,"duty_id":"…","hand_over":{…}: the member of OfferCommand is named as the verb. */
static bool write_answer(const struct cli_work *work, struct jk_buffer *json)
{
	char member[32], disposition[32];
	bool first = true;

	if (missing_option(work)) {
		cli_usage("offer", "offer %s wants %s", work->verb->name, missing_option(work));
		return false;
	}
	if (work->words[0])
		cli_work_add(json, "duty_id", work->words[0]);
	(void)jk_text_copy(member, sizeof member, work->verb->name);
	for (char *c = member; *c; c++)
		*c = *c == '-' ? '_' : *c;
	jk_buffer_printf(json, ",\"%s\":{", member);
	cli_work_upper(disposition, sizeof disposition, work->disposition ? work->disposition : "");
	add_field(json, &first, "desk", work->desk);
	add_field(json, &first, "disposition", work->disposition ? disposition : NULL);
	add_field(json, &first, "reason", work->reason);
	jk_buffer_printf(json, "}");
	return true;
}

/* How many of them. */
static void print_shift(struct cli_work *work, const char *json)
{
	struct json_slice text = {json, json + strlen(json)}, number;

	(void)work;
	if (json_slice_find(text, "number", &number) && number.end - number.at > 2)
		printf("%.*s to be offered; this desk has each until the other accepts it\n", (int)(number.end - number.at - 2),
			number.at + 1);
	else
		printf("this desk has none\n");
}

#define ANSWER(name, words, options)                                                                                             \
	{                                                                                                                        \
		name, "OfferCommand", words, " --version --command-id " options, write_answer, NULL, NULL                        \
	}
static const struct cli_work_verb verbs[] = {
	{"list", "OfferList", "", " --held --all --limit ", write_list, print_list, "offers"},
	ANSWER("accept", "DUTY", ""),
	ANSWER("decline", "DUTY", "--reason "),
	ANSWER("hand-over", "DUTY", "--desk --reason "),
	{"hand-over-all", "OfferCommand", "", " --version --command-id --desk --reason ", write_answer, print_shift, NULL},
	ANSWER("complete", "DUTY", "--disposition --reason "),
	ANSWER("acknowledge", "DUTY", ""),
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* ---- watch ------------------------------------------------------------------------------------------------------ */

struct watching {
	const struct cli *cli;
	int64_t timeout_s, count; /* 0: none */
};

static bool take_number(const char *command, const char *name, const char *text, int64_t most, int64_t *ret)
{
	if (jk_text_to_int64(text, 1, most, ret))
		return true;
	(void)cli_usage(command, "%s is 1 to %" PRId64 ", not '%s'", name, most, text);
	return false;
}

static void print_offer(const struct cli *cli, const char *json)
{
	if (cli->json)
		printf("%s\n", json);
	else
		offer_print(cli, (struct json_slice){json, json + strlen(json)});
	fflush(stdout);
}

/* Nobody there is said once, until something comes again; other trouble ends it. */
static int watch_offers(const struct watching *watching, const struct jukwaa_connection *connection, struct jukwaa_offers *offers)
{
	int64_t deadline_ms = jk_time_mono_ms() + watching->timeout_s * 1000, seen = 0;
	bool said = false;

	while (watching->count == 0 || seen < watching->count) {
		int64_t left_ms = watching->timeout_s == 0 ? INT32_MAX : deadline_ms - jk_time_mono_ms();
		const struct jukwaa_error *error = jukwaa_offers_error(offers);
		const char *json;
		int status = jukwaa_offers_next(offers, left_ms > 1000 ? 1000 : left_ms > 0 ? (int)left_ms : 0, &json);

		if (status == JUKWAA_OK) {
			print_offer(watching->cli, json);
			seen++;
			said = false;
		} else if (status == JUKWAA_E_UNREACHABLE && !said) {
			(void)cli_link_fail(connection, status, error->code, error->field, error->reason);
			said = true;
		} else if (status != JUKWAA_E_UNREACHABLE && status != JUKWAA_E_TIMEOUT) {
			return cli_link_fail(connection, status, error->code, error->field, error->reason);
		}
		if (left_ms <= 0)
			return watching->count > 0 ? CLI_REFUSED : CLI_OK;
	}
	return CLI_OK;
}

static bool read_watch(struct watching *watching, struct cli_args *args)
{
	const char *text = NULL;

	while (cli_args_peek(args)) {
		bool good = true;

		if (cli_args_take(args, "--timeout", &text))
			good = !text || take_number("offer", "--timeout", text, TIMEOUT_MAX_S, &watching->timeout_s);
		else if (cli_args_take(args, "--count", &text))
			good = !text || take_number("offer", "--count", text, INT32_MAX, &watching->count);
		else
			good = cli_usage("offer", "offer watch does not take '%s'", cli_args_peek(args)) == CLI_OK;
		if (!good)
			return false;
	}
	if (cli_args_missing(args))
		(void)cli_usage("offer", "%s wants a value", cli_args_missing(args));
	return !cli_args_missing(args);
}

static int run_watch(const struct cli *cli, struct cli_args *args)
{
	struct watching watching = {.cli = cli};
	struct jukwaa_connection connection;
	struct jukwaa_offers *offers;
	char reason[256];
	int status;

	if (!read_watch(&watching, args) || !cli_link_connection(cli, "JUKWAA_DISPATCH", &connection))
		return CLI_USAGE;
	status = jukwaa_offers_open(&connection, &offers, reason);
	if (status != JUKWAA_OK)
		return cli_link_fail(&connection, status, "", "", reason);
	status = watch_offers(&watching, &connection, offers);
	jukwaa_offers_close(&offers);
	return status;
}

int cli_offer(const struct cli *cli, int argc, char **argv)
{
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	const char *what = cli_args_word(&args);

	if (what && strcmp(what, "watch") == 0)
		return run_watch(cli, &args);
	return cli_work_run(cli, "offer", verbs, argc, argv);
}

/* ---- opened ----------------------------------------------------------------------------------------------------- */

/* Of one incident; what is refused is said. */
static int mark_opened(const struct cli *cli, const struct jukwaa_connection *connection, const char *incident, int64_t timeout_s)
{
	char question[128], reason[256], *json = NULL;
	struct json_slice text, repeated;
	int status;

	(void)jk_text_format(question, sizeof question, "{\"incident_id\":\"%s\"}", incident);
	status = jukwaa_call(connection, "IncidentMark", question, (int)timeout_s * 1000, &json, reason);
	if (status == JUKWAA_E_REFUSED && strncmp(reason, "NOT_FOUND", strlen("NOT_FOUND")) == 0)
		return cli_fail(CLI_REFUSED, NULL, "NOT_FOUND: there is no such incident for this key");
	if (status == JUKWAA_E_REFUSED) {
		size_t size = strcspn(reason, " ");

		reason[size] = '\0';
		return cli_link_fail(connection, status, reason, "", reason + size + 1);
	}
	if (status != JUKWAA_OK)
		return cli_link_fail(connection, status, "", "", reason);
	text = (struct json_slice){json, json + strlen(json)};
	if (cli->json)
		printf("%s\n", json);
	else if (json_slice_find(text, "repeated", &repeated) && *repeated.at == 't')
		printf("%s: opened before; its owner knows\n", incident);
	else
		printf("%s: opened; its owner is told\n", incident);
	free(json);
	return CLI_OK;
}

/* False: said. Words are ids of incidents, which stand in ret_incidents. */
static bool read_opened(struct cli_args *args, const char **ret_incidents, int *ret_count, int64_t *ret_timeout_s)
{
	const char *text = NULL;
	struct jk_id id;

	while (cli_args_peek(args)) {
		if (cli_args_take(args, "--timeout", &text)) {
			if (text && !take_number("opened", "--timeout", text, TIMEOUT_MAX_S, ret_timeout_s))
				return false;
			continue;
		}
		text = cli_args_word(args);
		if (!text || !jk_id_parse(text, &id)) {
			(void)cli_usage("opened",
				text ? "'%s' is no id of an incident (8-4-4-4-12 hex digits)" : "'%s' is not an option of it",
				text ? text : cli_args_peek(args));
			return false;
		}
		ret_incidents[(*ret_count)++] = text;
	}
	if (cli_args_missing(args))
		(void)cli_usage("opened", "%s wants a value", cli_args_missing(args));
	else if (*ret_count == 0)
		(void)cli_usage("opened", "say which incident a person here has opened");
	return !cli_args_missing(args) && *ret_count > 0;
}

int cli_opened(const struct cli *cli, int argc, char **argv)
{
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	const char **incidents = calloc((size_t)argc, sizeof *incidents);
	struct jukwaa_connection connection;
	int64_t timeout_s = TIMEOUT_S;
	int count = 0, status = CLI_USAGE;

	if (incidents && read_opened(&args, incidents, &count, &timeout_s) &&
		cli_link_connection(cli, "JUKWAA_DISPATCH", &connection)) {
		status = CLI_OK;
		/* The first that is refused ends it. */
		for (int i = 0; i < count && status == CLI_OK; i++)
			status = mark_opened(cli, &connection, incidents[i], timeout_s);
	}
	free(incidents);
	return status;
}
