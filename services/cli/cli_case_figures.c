/* jukwaa case figures: how many, how fast, and how old what is open is. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_arena.h"
#include "jukwaa/v1/find.pb-c.h"
#include "services/cli/cli_case.h"
#include "services/cli/cli_link.h"
#include "services/cli/json_slice.h"
#include "json/json_map.h"

enum { ARENA_BYTES = 16 * 1024 * 1024, SPAN_BYTES = 24 };

/* "4m", "59s", "3h", "12d"; three columns where it can be. */
static void format_ms(char ret[SPAN_BYTES], int64_t ms)
{
	static const struct {
		int64_t below_ms, unit_ms;
		char unit;
	} units[] = {
		{100 * 1000, 1000, 's'}, {100 * 60000, 60000, 'm'}, {48 * 3600000, 3600000, 'h'}, {INT64_MAX, 86400000, 'd'}};
	size_t i = 0;

	while (ms >= units[i].below_ms && i + 1 < sizeof units / sizeof *units)
		i++;
	(void)jk_text_format(ret, SPAN_BYTES, "%" PRId64 "%c", (ms + units[i].unit_ms / 2) / units[i].unit_ms, units[i].unit);
}

static void print_span(const Jukwaa__V1__CaseSpan *span)
{
	char p50[SPAN_BYTES], p90[SPAN_BYTES];

	if (!span || span->count == 0) {
		printf("%8s", "-");
		return;
	}
	format_ms(p50, span->p50_ms);
	format_ms(p90, span->p90_ms);
	printf(" %3s/%-3s", p50, p90);
}

/* 80 columns: 3 + 1 + 8 + 8 + 4 x 8 + 4 x 7. */
static void print_figure(const Jukwaa__V1__CaseFigure *figure, const char *county, const char *agency)
{
	printf("%-3s ", county);
	for (int left = 8 - cli_print_text(stdout, agency, 8); left > 0; left--)
		printf(" ");
	printf("%8" PRIu64, figure->count);
	print_span(figure->accepted);
	print_span(figure->dispatched);
	print_span(figure->on_scene);
	print_span(figure->resolved);
	printf("%7" PRIu64 "%7" PRIu64 "%7" PRIu64 "%7" PRIu64 "\n", figure->open_hour, figure->open_day, figure->open_week,
		figure->open_older);
}

static void print_head(const struct cli *cli)
{
	printf("%s%20s %-31s %-27s%s\n", cli_tone(cli, CLI_DIM), "", "from the step before: p50/p90", "open for",
		cli_tone(cli, CLI_PLAIN));
	printf("%s%-3s %-8s%8s%8s%8s%8s%8s%7s%7s%7s%7s%s\n", cli_tone(cli, CLI_BOLD), "", "agency", "cases", "accept", "dispat.",
		"scene", "resolve", "<1h", "<1day", "<7days", "older", cli_tone(cli, CLI_PLAIN));
}

static void print_answer(const struct cli *cli, const char *json)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct json_slice text = {json, json + strlen(json)}, list, one;
	struct jk_refusal refusal;
	const Jukwaa__V1__CaseFigure *figure;

	print_head(cli);
	if (arena && json_slice_find(text, "figures", &list) && json_slice_enter(&list, '['))
		while (json_slice_element(&list, &one))
			if ((figure = (const void *)jk_json_read(
				     &jukwaa__v1__case_figure__descriptor, one.at, (size_t)(one.end - one.at), arena, &refusal)))
				print_figure(figure, figure->county, figure->agency);
	if (arena && json_slice_find(text, "all", &one) &&
		(figure = (const void *)jk_json_read(
			 &jukwaa__v1__case_figure__descriptor, one.at, (size_t)(one.end - one.at), arena, &refusal)))
		print_figure(figure, "", "all");
	jk_arena_free(&arena);
}

static void print_lines(const char *json)
{
	struct json_slice text = {json, json + strlen(json)}, list, one;

	if (json_slice_find(text, "figures", &list) && json_slice_enter(&list, '['))
		while (json_slice_element(&list, &one))
			printf("%.*s\n", (int)(one.end - one.at), one.at);
	if (json_slice_find(text, "all", &one))
		printf("%.*s\n", (int)(one.end - one.at), one.at);
}

static int ask(const struct cli *cli, const struct jukwaa_connection *connection, const char *filter, int timeout_ms)
{
	struct jk_buffer question = {0};
	char reason[256] = "no memory", *json = NULL;
	int status = JUKWAA_E_STORAGE;

	jk_buffer_printf(&question, "{%s}", filter);
	if (!question.failed)
		status = jukwaa_call(connection, "CaseFigures", question.data, timeout_ms, &json, reason);
	jk_buffer_done(&question);
	if (status != JUKWAA_OK)
		return cli_case_fail(connection, status, reason);
	if (cli->json)
		print_lines(json);
	else
		print_answer(cli, json);
	free(json);
	return CLI_OK;
}

int cli_case_figures(const struct cli *cli, struct cli_args *args)
{
	const char *timeout_text = "30";
	struct cli_case_filter filter = {0};
	struct jukwaa_connection connection;
	struct jk_buffer members = {0};
	int64_t timeout;
	int status = CLI_USAGE;

	while (cli_args_peek(args))
		if (!cli_args_take(args, "--timeout", &timeout_text) && !cli_case_filter_take(&filter, args))
			return cli_usage("case", "'%s' is not an option of case figures", cli_args_peek(args));
	if (cli_args_missing(args))
		return cli_usage("case", "%s wants a value", cli_args_missing(args));
	if (filter.constituency || filter.category || filter.severity || filter.state_count || filter.open || filter.breached ||
		filter.number || filter.include_test)
		return cli_usage("case", "case figures are by --county, --agency, --from and --to");
	if (!jk_text_to_int64(timeout_text, 1, 3600, &timeout))
		return cli_usage("case", "--timeout is 1 to 3600 seconds, not '%s'", timeout_text);
	if (cli_case_filter_write(&filter, &members) && cli_link_connection(cli, "JUKWAA_CASES", &connection))
		status = members.failed ? cli_fail(CLI_REFUSED, NULL, "no memory")
					: ask(cli, &connection, members.data, (int)timeout * 1000);
	jk_buffer_done(&members);
	return status;
}
