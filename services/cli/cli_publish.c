/* jukwaa publish: files to reports, reports to receipts. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jk_arena.h"
#include "base/jk_time.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "services/cli/cli_commands.h"
#include "services/cli/cli_link.h"
#include "services/cli/publish_input.h"
#include "services/cli/publish_report.h"
#include "wire/wire_body.h"
#include "json/json_map.h"

enum {
	FIRST_ANSWER_S = 5, /* without --timeout: for the first answer, and between receipts */
	NEXT_ANSWER_S = 30,
	SLICE_MS = 250,
	ARENA_BYTES = 64 * 1024 * 1024,
};

struct publishing {
	const struct cli *cli;
	struct jukwaa_publisher_options options;
	struct jukwaa_publisher *publisher;
	struct publish_options input;
	const char *county;
	bool strict, check, dry_run;
	bool print;    /* send nothing */
	int timeout_s; /* 0: as above */
	struct publish_tally tally;
	bool heard; /* some receipt came */
	int64_t progress_ms, shown_ms;
	int failed; /* exit status once it cannot go on; 0 before */
};

/* ---- receipts --------------------------------------------------------------------------------------------------- */

/* On a terminal that does not show the receipts themselves. */
static void show_progress(struct publishing *p)
{
	enum { EVERY_MS = 200 };
	int64_t now = jk_time_mono_ms();

	if (now - p->shown_ms < EVERY_MS || !isatty(STDERR_FILENO) || isatty(STDOUT_FILENO))
		return;
	p->shown_ms = now;
	fprintf(stderr, "\r%zu receipts, %zu under way ", publish_tally_receipts(&p->tally),
		jukwaa_publisher_outstanding(p->publisher));
}

static void give_up(struct publishing *p, int status)
{
	const struct jukwaa_error *error = jukwaa_publisher_error(p->publisher);
	size_t outstanding = jukwaa_publisher_outstanding(p->publisher);

	p->failed = cli_link_fail(&p->options.connection, status, error->code, error->field, error->reason);
	if (outstanding > 0 && p->options.outbox)
		fprintf(stderr, "  %zu waiting in the outbox %s; the next run with it sends them\n", outstanding,
			p->options.outbox);
	else if (outstanding > 0)
		fprintf(stderr, "  %zu without a receipt; publishing again is harmless\n", outstanding);
}

/* One receipt, waiting up to timeout_ms. False: none came. */
static bool take_receipt(struct publishing *p, int timeout_ms)
{
	struct jukwaa_receipt receipt;
	int status = jukwaa_publisher_receive(p->publisher, timeout_ms, &receipt);
	int patience_s = p->timeout_s ? p->timeout_s : p->heard ? NEXT_ANSWER_S : FIRST_ANSWER_S;

	if (status == JUKWAA_OK) {
		publish_show(p->cli, &receipt, &p->tally);
		p->heard = true;
		p->progress_ms = jk_time_mono_ms();
		show_progress(p);
		return true;
	}
	if (status != JUKWAA_E_TIMEOUT && status != JUKWAA_E_UNREACHABLE)
		give_up(p, status);
	else if (timeout_ms > 0 && jk_time_mono_ms() - p->progress_ms > patience_s * 1000L)
		give_up(p, status);
	return false;
}

static void show_refused_here(struct publishing *p, const struct publish_item *item)
{
	struct jukwaa_receipt receipt = {
		.label = item->file,
		.verdict = "REJECTED",
		.external_id = item->external_id,
		.code = jk_words_name(&jk_codes, (int)item->refusal.code),
		.field = item->refusal.field,
		.reason = item->refusal.reason,
	};

	publish_show(p->cli, &receipt, &p->tally);
}

/* ---- reports ---------------------------------------------------------------------------------------------------- */

static bool send_item(void *arg, const struct publish_item *item)
{
	struct publishing *p = arg;
	const struct jukwaa_report report = {
		.format = item->format,
		.payload = item->payload,
		.payload_size = item->payload_size,
		.county = p->county,
		.strict = p->strict,
		.check = p->check,
		.dry_run = p->dry_run,
		.label = item->file,
	};
	int status;

	if (item->refusal.code != JK_CODE_NONE) {
		show_refused_here(p, item);
		return true;
	}
	if (publish_tally_receipts(&p->tally) == 0 && jukwaa_publisher_outstanding(p->publisher) == 0)
		p->progress_ms = jk_time_mono_ms();
	while ((status = jukwaa_publisher_send(p->publisher, &report, 0, NULL)) == JUKWAA_E_TIMEOUT ||
		status == JUKWAA_E_UNREACHABLE) {
		(void)take_receipt(p, SLICE_MS);
		if (p->failed)
			return false;
	}
	if (status != JUKWAA_OK) {
		give_up(p, status);
		return false;
	}
	while (take_receipt(p, 0))
		;
	return !p->failed;
}

static bool print_item(void *arg, const struct publish_item *item)
{
	struct publishing *p = arg;
	const ProtobufCMessageDescriptor *type = &jukwaa__v1__incident__descriptor;
	struct publish_item refused = *item;
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_buffer line = {0};
	ProtobufCMessage *incident = NULL;
	bool is_cap = strcmp(item->format, "cap") == 0;

	refused.refusal.code = item->refusal.code;
	if (arena && !is_cap && item->refusal.code == JK_CODE_NONE)
		incident = strcmp(item->format, "json") == 0
				   ? jk_json_read(type, item->payload, item->payload_size, arena, &refused.refusal)
				   : jk_body_unpack(type, item->payload, item->payload_size, arena, &refused.refusal);
	if (refused.refusal.code != JK_CODE_NONE || (!is_cap && !incident)) {
		show_refused_here(p, &refused);
	} else {
		jk_buffer_printf(&line, "{\"file\":");
		jk_json_quote(&line, item->file);
		jk_buffer_printf(&line, ",\"format\":\"%s\",\"bytes\":%zu", item->format, item->payload_size);
		if (p->county) {
			jk_buffer_printf(&line, ",\"county\":");
			jk_json_quote(&line, p->county);
		}
		if (incident) {
			jk_buffer_printf(&line, ",\"incident\":");
			jk_json_write(incident, &line);
		}
		printf("%s}\n", line.data);
		p->tally.valid++;
	}
	jk_buffer_done(&line);
	jk_arena_free(&arena);
	return true;
}

static void read_files(struct publishing *p, int count, char **files)
{
	struct jk_refusal refusal = {0};

	for (int i = 0; i < count && !p->failed; i++) {
		switch (publish_read_file(files[i], &p->input, p->print ? print_item : send_item, p, &refusal)) {
		case PUBLISH_READ:
		case PUBLISH_STOPPED:
			break;
		case PUBLISH_UNREADABLE:
			p->tally.unreadable++;
			cli_fail(CLI_REFUSED, NULL, "not read: %s", refusal.reason);
			break;
		case PUBLISH_NO_MAP:
			p->failed = cli_usage("publish", "%s", refusal.reason);
			break;
		}
	}
}

static void await_receipts(struct publishing *p)
{
	p->progress_ms = jk_time_mono_ms();
	while (!p->failed && jukwaa_publisher_outstanding(p->publisher) > 0)
		(void)take_receipt(p, SLICE_MS);
}

static int publish_files(struct publishing *p, int count, char **files)
{
	char reason[256];

	if (!p->print) {
		int status;

		if (!cli_link_connection(p->cli, "JUKWAA_INTAKE", &p->options.connection))
			return CLI_USAGE;
		status = jukwaa_publisher_open(&p->options, &p->publisher, reason);
		if (status != JUKWAA_OK)
			return cli_link_fail(&p->options.connection, status, "", "", reason);
	}
	p->progress_ms = jk_time_mono_ms();
	p->tally.dry_run = p->dry_run;
	read_files(p, count, files);
	if (p->publisher) {
		await_receipts(p);
		if (p->shown_ms > 0)
			fputs("\r\033[K", stderr);
		jukwaa_publisher_close(&p->publisher);
	}
	if (!p->failed || publish_tally_receipts(&p->tally) > 0)
		publish_show_tally(&p->tally);
	if (p->failed)
		return p->failed;
	return publish_tally_is_good(&p->tally) ? CLI_OK : CLI_REFUSED;
}

/* ---- arguments -------------------------------------------------------------------------------------------------- */

/* As libjukwaa names them; NULL: no such format. */
static const char *format_name(const char *word)
{
	static const struct {
		const char *word, *name;
	} formats[] = {{"cap", "cap"}, {"json", "json"}, {"csv", "csv"}, {"pb", "protobuf"}, {"protobuf", "protobuf"}};

	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		if (strcmp(formats[i].word, word) == 0)
			return formats[i].name;
	return NULL;
}

static bool take_option(
	struct publishing *p, struct cli_args *args, const char **ret_format, const char **ret_window, const char **ret_timeout)
{
	return cli_args_take(args, "--format", ret_format) || cli_args_take(args, "--county", &p->county) ||
	       cli_args_take(args, "--map", &p->input.map_file) || cli_args_take(args, "--outbox", &p->options.outbox) ||
	       cli_args_take(args, "--window", ret_window) || cli_args_take(args, "--timeout", ret_timeout);
}

static int read_arguments(struct publishing *p, struct cli_args *args, char **ret_files, int *ret_count)
{
	const char *format = NULL, *window = "64", *timeout = NULL, *word;
	int64_t number;

	while (cli_args_peek(args)) {
		if (take_option(p, args, &format, &window, &timeout))
			continue;
		if (cli_args_take(args, "--sign", NULL))
			p->options.sign = true;
		else if (cli_args_take(args, "--strict", NULL))
			p->strict = true;
		else if (cli_args_take(args, "--check", NULL))
			p->check = true;
		else if (cli_args_take(args, "--dry-run", NULL))
			p->dry_run = true;
		else if (cli_args_take(args, "--print", NULL))
			p->print = true;
		else if ((word = cli_args_word(args)))
			ret_files[(*ret_count)++] = (char *)word;
		else if (cli_args_peek(args))
			return cli_usage("publish", "there is no option %s", cli_args_peek(args));
	}
	if (cli_args_missing(args))
		return cli_usage("publish", "%s wants a value", cli_args_missing(args));
	if (format && !(p->input.format = format_name(format)))
		return cli_usage("publish", "--format is cap, json, csv or pb, not '%s'", format);
	if (p->county && (strlen(p->county) != 3 || strspn(p->county, "0123456789") != 3))
		return cli_usage("publish", "--county is three digits, such as 047 for Nairobi City, not '%s'", p->county);
	if (!jk_text_to_int64(window, 1, 256, &number))
		return cli_usage("publish", "--window is 1 to 256, not '%s'", window);
	p->options.window = (uint32_t)number;
	if (timeout && !jk_text_to_int64(timeout, 1, 86400, &number))
		return cli_usage("publish", "--timeout is 1 to 86400 seconds, not '%s'", timeout);
	p->timeout_s = timeout ? (int)number : 0;
	if (*ret_count == 0 && !p->options.outbox)
		return cli_usage("publish", "name the files to publish, or - for standard input");
	return CLI_OK;
}

int cli_publish(const struct cli *cli, int argc, char **argv)
{
	struct publishing p = {.cli = cli};
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	char **files = calloc((size_t)argc + 1, sizeof *files);
	int count = 0, status;

	if (!files)
		return cli_fail(CLI_REFUSED, NULL, "no memory");
	status = read_arguments(&p, &args, files, &count);
	if (status == CLI_OK)
		status = publish_files(&p, count, files);
	free(files);
	return status;
}
