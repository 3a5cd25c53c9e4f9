/* jukwaa outbox list | retry: what waits in a publisher's outbox, and its dead letters. */
#include <inttypes.h>
#include <string.h>

#include "base/jk_time.h"
#include "client/outbox.h"
#include "services/cli/cli_commands.h"
#include "json/json_map.h"

static void show_json(const struct jk_outbox_report *report, bool dead)
{
	struct jk_buffer line = {0};
	char added_at[JK_TIME_BYTES];
	const struct {
		const char *name, *text;
	} texts[] = {
		{"label", report->label},
		{"county", report->county},
		{"verdict", report->verdict},
		{"code", report->code},
		{"field", report->field},
		{"reason", report->reason},
	};

	jk_time_format(added_at, report->added_us);
	jk_buffer_printf(&line, "{\"id\":\"%s\",\"state\":\"%s\",\"format\":\"%s\",\"bytes\":%zu,\"added_at\":\"%s\"", report->id,
		dead ? "DEAD" : "WAITING", jk_words_name(&jk_formats, report->format), report->payload_size, added_at);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		jk_buffer_printf(&line, ",\"%s\":", texts[i].name);
		jk_json_quote(&line, texts[i].text);
	}
	printf("%s}\n", line.data ? line.data : "{");
	jk_buffer_done(&line);
}

static void show_human(const struct cli *cli, const struct jk_outbox_report *report, bool dead)
{
	printf("%s  %s%-8s%s %8zu  ", report->id, cli_tone(cli, dead ? CLI_BAD : CLI_PLAIN), dead ? report->verdict : "WAITING",
		cli_tone(cli, CLI_PLAIN), report->payload_size);
	cli_print_text(stdout, report->label, 0);
	if (dead) {
		printf("\n    %s %s%s", report->code, report->field, *report->field ? ": " : "");
		cli_print_text(stdout, report->reason, 0);
	}
	printf("\n");
}

static int list_outbox(const struct cli *cli, struct jk_outbox *outbox)
{
	struct jk_outbox_report report;
	size_t waiting = 0, dead = 0;

	for (uint64_t after = 0; jk_outbox_next(outbox, after, &report); after = report.ticket, waiting++)
		cli->json ? show_json(&report, false) : show_human(cli, &report, false);
	for (uint64_t after = 0; jk_outbox_next_dead(outbox, after, &report); after = report.ticket, dead++)
		cli->json ? show_json(&report, true) : show_human(cli, &report, true);
	fflush(stdout);
	fprintf(stderr, "%zu waiting, %zu dead letters\n", waiting, dead);
	return CLI_OK;
}

static int retry_outbox(struct jk_outbox *outbox, const char *id)
{
	size_t count;

	if (jk_outbox_retry(outbox, id, &count) != JK_OK)
		return cli_fail(CLI_REFUSED, NULL, "the outbox cannot be written");
	if (count == 0)
		return cli_fail(CLI_REFUSED, "jukwaa outbox list FILE", "no such dead letter");
	fprintf(stderr, "%zu waiting again; jukwaa publish --outbox FILE sends them\n", count);
	return CLI_OK;
}

int cli_outbox(const struct cli *cli, int argc, char **argv)
{
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	const char *what = cli_args_word(&args), *path = cli_args_word(&args), *id = cli_args_word(&args);
	bool all = cli_args_take(&args, "--all", NULL), retry = what && strcmp(what, "retry") == 0;
	struct jk_outbox *outbox;
	struct jk_refusal refusal = {0};
	int status;

	if (cli_args_peek(&args))
		return cli_usage("outbox", "do not know what to do with '%s'", cli_args_peek(&args));
	if (!what || !path || (!retry && strcmp(what, "list") != 0) || (!retry && (id || all)))
		return cli_usage("outbox", "say: outbox list FILE, or outbox retry FILE ID, or outbox retry FILE --all");
	if (retry && !id == !all)
		return cli_usage("outbox", "say which to send again: an ID from outbox list, or --all");
	if (jk_outbox_open(path, retry ? JK_OUTBOX_WRITE : JK_OUTBOX_READ, 0, &outbox, &refusal) != JK_OK)
		return cli_fail(CLI_USAGE, NULL, "%s", refusal.reason);
	status = retry ? retry_outbox(outbox, id) : list_outbox(cli, outbox);
	jk_outbox_close(&outbox);
	return status;
}
