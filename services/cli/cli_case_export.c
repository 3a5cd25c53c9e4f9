/* jukwaa case export: page by page from the exchange to standard output; what is in memory is one page. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_arena.h"
#include "services/cli/case_rows.h"
#include "services/cli/cli_case.h"
#include "services/cli/cli_link.h"
#include "services/cli/json_slice.h"
#include "json/json_map.h"

enum { PAGE_CASES = 2000, HEADLINE_PAGE_CASES = 500, ARENA_BYTES = 64 * 1024 * 1024, PAGE_MARK_BYTES = 256 };

enum form { CSV, GEOJSON, LINES };

struct export
{
	enum form form;
	bool headlines;
	int64_t count, limit;
	char page[PAGE_MARK_BYTES];
	struct jk_arena *arena;
	struct jk_buffer out;
};

static void write_case(struct export *export, struct json_slice one)
{
	struct jk_refusal refusal;
	const Jukwaa__V1__CaseSummary *summary;

	if (export->form == LINES) {
		jk_buffer_append(&export->out, one.at, (size_t)(one.end - one.at));
		jk_buffer_append(&export->out, "\n", 1);
		export->count++;
		return;
	}
	summary = (const void *)jk_json_read(
		&jukwaa__v1__case_summary__descriptor, one.at, (size_t)(one.end - one.at), export->arena, &refusal);
	if (!summary) {
		export->out.failed = true;
		return;
	}
	if (export->form == CSV)
		case_rows_write_row(&export->out, summary);
	else
		case_rows_write_feature(&export->out, summary, export->count == 0);
	export->count++;
}

/* False: it cannot be written, or not be kept in memory. */
static bool flush(struct export *export)
{
	bool good = !export->out.failed &&
		    fwrite(export->out.data ? export->out.data : "", 1, export->out.size, stdout) == export->out.size;

	export->out.size = 0;
	return good && fflush(stdout) == 0;
}

static bool write_page(struct export *export, const char *json)
{
	struct json_slice text = {json, json + strlen(json)}, list, one, page;

	export->page[0] = '\0';
	jk_arena_reset(export->arena);
	if (json_slice_find(text, "cases", &list) && json_slice_enter(&list, '['))
		while (export->count < export->limit && json_slice_element(&list, &one))
			write_case(export, one);
	if (json_slice_find(text, "page", &page) && page.end - page.at > 2)
		(void)jk_text_format(export->page, sizeof export->page, "%.*s", (int)(page.end - page.at - 2), page.at + 1);
	return flush(export);
}

/* What is there already is a part, which nobody should take for the whole. */
static int interrupted(const struct export *export, int status)
{
	fprintf(stderr, "jukwaa: the export is not complete: it ends after %" PRId64 " cases.\n", export->count);
	return status;
}

static int ask(const struct jukwaa_connection *connection, struct export *export, const char *filter, int timeout_ms)
{
	struct jk_buffer question = {0};
	char reason[256], *json = NULL;
	int64_t left = export->limit - export->count, page = export->headlines ? HEADLINE_PAGE_CASES : PAGE_CASES;
	int status;
	bool good;

	jk_buffer_printf(&question, "{\"headlines\":%s,\"list\":{%s,\"limit\":%" PRId64, export->headlines ? "true" : "false",
		filter, left < page ? left : page);
	if (*export->page)
		jk_buffer_printf(&question, ",\"after\":\"%s\"", export->page);
	jk_buffer_append(&question, "}}", 2);
	status = question.failed ? JUKWAA_E_STORAGE
				 : jukwaa_call(connection, "CaseExport", question.data, timeout_ms, &json, reason);
	jk_buffer_done(&question);
	if (status != JUKWAA_OK)
		return interrupted(export, cli_case_fail(connection, status, reason));
	good = write_page(export, json);
	free(json);
	return good ? CLI_OK : interrupted(export, cli_fail(CLI_REFUSED, NULL, "cannot write: %s", strerror(errno)));
}

static int run(const struct jukwaa_connection *connection, struct export *export, const char *filter, int timeout_ms)
{
	int status = CLI_OK;

	if (export->form == CSV)
		case_rows_write_head(&export->out);
	else if (export->form == GEOJSON)
		case_rows_open_features(&export->out);
	do
		status = ask(connection, export, filter, timeout_ms);
	while (status == CLI_OK && *export->page && export->count < export->limit);
	if (status != CLI_OK)
		return status;
	if (export->form == GEOJSON)
		case_rows_close_features(&export->out);
	if (!flush(export))
		return interrupted(export, cli_fail(CLI_REFUSED, NULL, "cannot write: %s", strerror(errno)));
	fprintf(stderr, "%" PRId64 " cases%s\n", export->count, *export->page ? "; there are more: --limit" : "");
	return CLI_OK;
}

static bool take_form(const char *word, struct export *ret)
{
	static const char *const words[] = {[CSV] = "csv", [GEOJSON] = "geojson", [LINES] = "json"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i]) == 0) {
			ret->form = (enum form)i;
			return true;
		}
	cli_usage("case", "--format is csv, geojson or json, not '%s'", word);
	return false;
}

int cli_case_export(const struct cli *cli, struct cli_args *args)
{
	const char *format = cli->json ? "json" : "csv", *limit_text = "1000000000", *timeout_text = "30";
	struct cli_case_filter filter = {0};
	struct export export = {0};
	struct jukwaa_connection connection;
	struct jk_buffer members = {0};
	int64_t timeout;
	int status = CLI_USAGE;

	while (cli_args_peek(args)) {
		if (cli_args_take(args, "--headlines", NULL))
			export.headlines = true;
		else if (!cli_args_take(args, "--format", &format) && !cli_args_take(args, "--limit", &limit_text) &&
			 !cli_args_take(args, "--timeout", &timeout_text) && !cli_case_filter_take(&filter, args))
			return cli_usage("case", "'%s' is not an option of case export", cli_args_peek(args));
	}
	if (cli_args_missing(args))
		return cli_usage("case", "%s wants a value", cli_args_missing(args));
	if (!jk_text_to_int64(limit_text, 1, INT64_C(1000000000), &export.limit))
		return cli_usage("case", "--limit is 1 or more, not '%s'", limit_text);
	if (!jk_text_to_int64(timeout_text, 1, 3600, &timeout))
		return cli_usage("case", "--timeout is 1 to 3600 seconds, not '%s'", timeout_text);
	if (!take_form(format, &export))
		return CLI_USAGE;
	export.arena = jk_arena_new(ARENA_BYTES);
	if (cli_case_filter_write(&filter, &members) && cli_link_connection(cli, "JUKWAA_CASES", &connection)) {
		status = !members.failed && export.arena ? run(&connection, &export, members.data, (int)timeout * 1000)
							 : cli_fail(CLI_REFUSED, NULL, "no memory");
	}
	jk_buffer_done(&members);
	jk_buffer_done(&export.out);
	jk_arena_free(&export.arena);
	return status;
}
