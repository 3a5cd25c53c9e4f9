#include "services/cli/publish_report.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "json/json_map.h"

size_t publish_tally_receipts(const struct publish_tally *tally)
{
	return tally->stored + tally->duplicate + tally->conflict + tally->rejected + tally->valid;
}

bool publish_tally_is_good(const struct publish_tally *tally)
{
	return tally->conflict + tally->rejected + tally->unreadable == 0;
}

static size_t *count_of(struct publish_tally *tally, const char *verdict)
{
	switch (jk_words_number(&jk_verdicts, verdict)) {
	case JK_VERDICT_STORED:
		return &tally->stored;
	case JK_VERDICT_DUPLICATE:
		return &tally->duplicate;
	case JK_VERDICT_CONFLICT:
		return &tally->conflict;
	case JK_VERDICT_VALID:
		return &tally->valid;
	default:
		return &tally->rejected;
	}
}

static void append_text(struct jk_buffer *line, const char *name, const char *text)
{
	jk_buffer_printf(line, "\"%s\":", name);
	jk_json_quote(line, text);
}

static void append_positions(struct jk_buffer *line, const struct jukwaa_receipt *receipt)
{
	char chain[65];

	jk_buffer_printf(line, ",\"positions\":[");
	for (size_t i = 0; i < receipt->position_count; i++) {
		const struct jukwaa_position *position = &receipt->positions[i];

		jk_hex_encode(chain, position->chain, sizeof position->chain);
		jk_buffer_printf(line, "%s{\"county\":", i ? "," : "");
		jk_json_quote(line, position->stream);
		jk_buffer_printf(line, ",\"seq\":%" PRIu64 ",\"chain\":\"%s\"}", position->seq, chain);
	}
	jk_buffer_printf(line, "]");
}

static void append_refusal(struct jk_buffer *line, const char *code, const char *field, const char *reason)
{
	append_text(line, "code", code);
	jk_buffer_printf(line, ",");
	append_text(line, "field", field);
	jk_buffer_printf(line, ",");
	append_text(line, "reason", reason);
}

static void append_audience(struct jk_buffer *line, const struct jukwaa_receipt *receipt)
{
	jk_buffer_printf(line, ",\"audience\":[");
	for (size_t i = 0; i < receipt->audience_count; i++) {
		const struct jukwaa_reader *reader = &receipt->audience[i];

		jk_buffer_printf(line, i ? ",{" : "{");
		append_text(line, "county", reader->county);
		jk_buffer_printf(line, ",");
		append_text(line, "desk", reader->desk);
		jk_buffer_printf(line, ",");
		append_text(line, "agency", reader->agency);
		jk_buffer_printf(line, ",\"hidden_desks\":%" PRIu32 ",\"effect\":\"%s\",", reader->hidden_desks, reader->effect);
		append_text(line, "agreement", reader->agreement);
		jk_buffer_printf(line, ",\"version\":%" PRIu32 ",", reader->version);
		append_text(line, "profile", reader->profile);
		jk_buffer_printf(line, ",");
		append_text(line, "reason", reader->reason);
		jk_buffer_printf(line, "}");
	}
	jk_buffer_printf(line, "],\"audience_more\":%zu", receipt->audience_more);
}

static void show_json(const struct jukwaa_receipt *receipt, bool dry_run)
{
	static struct jk_buffer line; /* grows to the longest receipt */

	line.size = 0;
	jk_buffer_printf(&line, "{");
	append_text(&line, "file", receipt->label);
	jk_buffer_printf(&line, ",");
	append_text(&line, "external_id", receipt->external_id);
	jk_buffer_printf(&line, ",\"revision\":%" PRId64 ",\"verdict\":\"%s\",\"incident_id\":\"%s\",\"event_id\":\"%s\"",
		receipt->revision, receipt->verdict, receipt->incident_id, receipt->event_id);
	append_positions(&line, receipt);
	jk_buffer_printf(&line, ",\"epoch\":%" PRIu32 ",\"warnings\":[", receipt->epoch);
	for (size_t i = 0; i < receipt->warning_count; i++) {
		jk_buffer_printf(&line, i ? ",{" : "{");
		append_refusal(&line, receipt->warnings[i].code, receipt->warnings[i].field, receipt->warnings[i].reason);
		jk_buffer_printf(&line, "}");
	}
	jk_buffer_printf(&line, "],");
	append_refusal(&line, receipt->code, receipt->field, receipt->reason);
	if (dry_run)
		append_audience(&line, receipt);
	jk_buffer_printf(&line, "}\n");
	if (line.failed)
		cli_fail(CLI_REFUSED, NULL, "no memory for a receipt");
	else
		fwrite(line.data, 1, line.size, stdout);
}

static void print_padded(const char *text, int columns)
{
	int printed = cli_print_text(stdout, text, columns);

	printf("%*s ", columns - printed, "");
}

static void print_detail(const struct cli *cli, const char *mark, const char *code, const char *field, const char *reason)
{
	char text[512];

	(void)jk_text_format(text, sizeof text, "%s %s%s%s", code, field, *field ? ": " : "", reason);
	printf("          %s%s%s ", cli_tone(cli, *mark == '!' ? CLI_WARN : CLI_BAD), mark, cli_tone(cli, CLI_PLAIN));
	cli_print_text(stdout, text, 0);
	printf("\n");
}

/*           047  KRCS-OPS (KRCS)         COARSE_PLACE@1   KPS-KRCS@2  allowed by an agreement */
static void print_audience(const struct cli *cli, const struct jukwaa_receipt *receipt)
{
	enum { DESK_COLUMNS = 28, PROFILE_COLUMNS = 18 };

	if (receipt->audience_count == 0)
		printf("          no desk would see it\n");
	for (size_t i = 0; i < receipt->audience_count; i++) {
		const struct jukwaa_reader *reader = &receipt->audience[i];
		char who[96], under[64] = "";

		if (reader->hidden_desks > 0)
			(void)jk_text_format(who, sizeof who, "%" PRIu32 " of a task force", reader->hidden_desks);
		else
			(void)jk_text_format(who, sizeof who, "%s (%s)", reader->desk, reader->agency);
		if (*reader->agreement)
			(void)jk_text_format(under, sizeof under, "%s@%" PRIu32 "  ", reader->agreement, reader->version);
		printf("          %s  ", reader->county);
		print_padded(who, DESK_COLUMNS);
		print_padded(*reader->profile ? reader->profile : "everything", PROFILE_COLUMNS);
		printf("%s", under);
		cli_print_text(stdout, reader->reason, 0);
		printf("\n");
	}
	if (receipt->audience_more > 0)
		printf("          %sand %zu more%s\n", cli_tone(cli, CLI_WARN), receipt->audience_more, cli_tone(cli, CLI_PLAIN));
}

/* STORED    fire-nairobi-1       047#12 022#3     fire-nairobi.cap.xml */
static void show_human(const struct cli *cli, const struct jukwaa_receipt *receipt, bool dry_run)
{
	enum { VERDICT_COLUMNS = 9, PLACE_COLUMNS = 16, FILE_COLUMNS_MIN = 12 };
	bool good = *receipt->verdict == 'S' || *receipt->verdict == 'D' || *receipt->verdict == 'V';
	int columns = cli_columns(), id_columns = columns >= 100 ? 40 : columns / 3, left;
	const char *slash = strrchr(receipt->label, '/');
	char places[128] = "";

	for (size_t i = 0; i < receipt->position_count; i++) {
		size_t used = strlen(places);

		if (!jk_text_format(places + used, sizeof places - used, "%s%s#%" PRIu64, i ? " " : "",
			    receipt->positions[i].stream, receipt->positions[i].seq))
			break;
	}
	printf("%s%-*s%s ", cli_tone(cli, good ? CLI_GOOD : CLI_BAD), VERDICT_COLUMNS, receipt->verdict,
		cli_tone(cli, CLI_PLAIN));
	print_padded(*receipt->external_id ? receipt->external_id : "-", id_columns);
	print_padded(*places ? places : "-", PLACE_COLUMNS);
	left = columns - VERDICT_COLUMNS - id_columns - PLACE_COLUMNS - 3;
	if (left >= FILE_COLUMNS_MIN)
		cli_print_text(stdout, slash ? slash + 1 : receipt->label, left);
	printf("\n");
	if (*receipt->code)
		print_detail(cli, "x", receipt->code, receipt->field, receipt->reason);
	for (size_t i = 0; i < receipt->warning_count; i++)
		print_detail(cli, "!", receipt->warnings[i].code, receipt->warnings[i].field, receipt->warnings[i].reason);
	if (dry_run && *receipt->verdict == 'V')
		print_audience(cli, receipt);
}

void publish_show(const struct cli *cli, const struct jukwaa_receipt *receipt, struct publish_tally *tally)
{
	++*count_of(tally, receipt->verdict);
	if (cli->json)
		show_json(receipt, tally->dry_run);
	else
		show_human(cli, receipt, tally->dry_run);
}

void publish_show_tally(const struct publish_tally *tally)
{
	const struct {
		size_t count;
		const char *what;
	} parts[] = {
		{tally->stored, "STORED"},
		{tally->duplicate, "DUPLICATE"},
		{tally->valid, "VALID"},
		{tally->conflict, "CONFLICT"},
		{tally->rejected, "REJECTED"},
		{tally->unreadable, tally->unreadable == 1 ? "file not read" : "files not read"},
	};
	const char *comma = "";

	fflush(stdout);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (parts[i].count == 0)
			continue;
		fprintf(stderr, "%s%zu %s", comma, parts[i].count, parts[i].what);
		comma = ", ";
	}
	fprintf(stderr, "%s\n", *comma ? "" : "nothing to publish");
}
