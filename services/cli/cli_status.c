/* jukwaa status: the whole exchange on one screen, with parts missing too. */
#include <inttypes.h>
#include <string.h>

#include "services/cli/cli_commands.h"
#include "services/cli/status_desks.h"
#include "services/cli/status_http.h"
#include "services/cli/status_pacts.h"
#include "services/cli/status_store_pg.h"
#include "json/json_map.h"

enum { SERVICES_MAX = 32, URL_BYTES = 256 };

#define DEFAULT_URLS "http://127.0.0.1:9101 http://127.0.0.1:9102 http://127.0.0.1:9103 http://127.0.0.1:9104"

/* What is worth a place on the screen. */
static const struct figure {
	const char *service, *metric, *labels, *name;
} figures[] = {
	{"intake", "jukwaa_intake_sessions", "", "sessions"},
	{"intake", "jukwaa_intake_reports_total", "STORED", "stored"},
	{"intake", "jukwaa_intake_reports_total", "DUPLICATE", "duplicate"},
	{"intake", "jukwaa_intake_reports_total", "CONFLICT", "conflict"},
	{"intake", "jukwaa_intake_reports_total", "REJECTED", "rejected"},
	{"intake", "jukwaa_intake_queue_reports", "", "queued"},
	{"intake", "jukwaa_port_handshakes_total", "revoked", "revoked tries"},
	{"dispatch", "jukwaa_dispatch_sessions", "", "sessions"},
	{"dispatch", "jukwaa_dispatch_deliveries_total", "", "delivered"},
	{"dispatch", "jukwaa_dispatch_acknowledged_total", "", "acknowledged"},
	{"dispatch", "jukwaa_dispatch_desk_lag", "measure=\"events\"", "behind"},
	{"dispatch", "jukwaa_dispatch_heads_signed_total", "", "heads signed"},
	{"dispatch", "jukwaa_port_handshakes_total", "revoked", "revoked tries"},
	{"cases", "jukwaa_cases_opened_total", "", "opened"},
	{"cases", "jukwaa_cases_revised_total", "", "revised"},
	{"cases", "jukwaa_cases_lag_events", "", "behind"},
	{"cases", "jukwaa_port_handshakes_total", "revoked", "revoked tries"},
	{"notify", "jukwaa_notify_attempts_total", "", "attempts"},
	{"notify", "jukwaa_notify_accepted_total", "", "accepted"},
	{"notify", "jukwaa_notify_dead_total", "", "dead"},
	{"notify", "jukwaa_notify_lag_events", "", "behind"},
};

static const char *ready_word(enum status_ready ready)
{
	static const char *const words[] = {"UNREACHABLE", "NOT_READY", "READY"};

	return words[ready];
}

/* ---- services --------------------------------------------------------------------------------------------------- */

static void show_service_json(const struct status_service *service, const char *name)
{
	struct jk_buffer line = {0};
	double value;

	jk_buffer_printf(&line, "{\"part\":");
	jk_json_quote(&line, name);
	jk_buffer_printf(&line, ",\"url\":");
	jk_json_quote(&line, service->url);
	jk_buffer_printf(&line, ",\"state\":\"%s\",\"reason\":", ready_word(service->ready));
	jk_json_quote(&line, service->reason);
	if (*service->code)
		jk_buffer_printf(&line, ",\"code\":\"%s\"", service->code);
	if (service->for_s >= 0)
		jk_buffer_printf(&line, ",\"for_s\":%" PRId64, service->for_s);
	if (status_http_metric(service, "jukwaa_up_seconds", "", &value))
		jk_buffer_printf(&line, ",\"up_s\":%.0f", value);
	for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
		const struct figure *figure = &figures[i];

		if (strcmp(figure->service, name) == 0 && status_http_metric(service, figure->metric, figure->labels, &value))
			jk_buffer_printf(&line, ",\"%.*s\":%.0f", (int)strcspn(figure->name, " "), figure->name, value);
	}
	printf("%s}\n", line.data ? line.data : "{");
	jk_buffer_done(&line);
}

static void show_service_human(const struct cli *cli, const struct status_service *service, const char *name)
{
	static const enum cli_tone tones[] = {CLI_BAD, CLI_WARN, CLI_GOOD};
	char text[24];
	double value;
	int column = 22;

	printf("%-9s %s%-12s%s", name, cli_tone(cli, tones[service->ready]), ready_word(service->ready),
		cli_tone(cli, CLI_PLAIN));
	if (service->ready != STATUS_READY) {
		printf(" ");
		cli_print_text(stdout, service->url, 0);
		printf("\n  ");
		cli_print_text(stdout, service->reason, 0);
		if (service->for_s >= 0) {
			cli_format_age(text, (double)service->for_s);
			printf(" (for %s)", text);
		}
		column = cli_columns();
	}
	if (status_http_metric(service, "jukwaa_up_seconds", "", &value)) {
		cli_format_age(text, value);
		cli_print_figure(&column, "up", text);
	}
	for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
		const struct figure *figure = &figures[i];

		if (strcmp(figure->service, name) != 0 || !status_http_metric(service, figure->metric, figure->labels, &value))
			continue;
		(void)jk_text_format(text, sizeof text, "%.0f", value);
		cli_print_figure(&column, figure->name, text);
	}
	printf("\n");
}

/* Asks every URL; the worst exit status. */
static int show_services(const struct cli *cli, const char *urls)
{
	static const char *const usual[] = {"intake", "dispatch", "cases", "notify"};
	int status = CLI_OK;

	for (int i = 0; *urls && i < SERVICES_MAX; i++) {
		struct status_service service = {0};
		char url[URL_BYTES];
		const char *name;
		size_t size;

		urls += strspn(urls, " \t");
		size = strcspn(urls, " \t");
		if (size == 0)
			break;
		(void)jk_text_format(url, sizeof url, "%.*s", (int)size, urls);
		urls += size;
		service.url = url;
		status_http_ask(&service);
		name = *service.name ? service.name : i < 4 ? usual[i] : "service";
		cli->json ? show_service_json(&service, name) : show_service_human(cli, &service, name);
		if (strcmp(name, "dispatch") == 0)
			status_desks_show(cli, &service);
		if (service.ready == STATUS_UNREACHABLE)
			status = CLI_UNREACHABLE;
		else if (service.ready == STATUS_NOT_READY && status == CLI_OK)
			status = CLI_REFUSED;
		status_http_done(&service);
	}
	return status;
}

/* ---- database --------------------------------------------------------------------------------------------------- */

struct shown_rows {
	const struct cli *cli;
	char part[16], subject[128];
	int column;
	int desks; /* shown */
	bool failed;
};

/* On one screen: of the desks only the first, which are those furthest behind. As JSON all. */
static bool is_too_much(const struct shown_rows *shown, const char *part)
{
	enum { DESKS_MAX = 20 };

	return !shown->cli->json && strcmp(part, "desk") == 0 && shown->desks > DESKS_MAX;
}

static void end_row(struct shown_rows *shown)
{
	if (*shown->part)
		printf(shown->cli->json ? "}\n" : "\n");
	shown->part[0] = '\0';
}

static void print_json_text(const char *name, const char *text)
{
	struct jk_buffer quoted = {0};
	int64_t number;

	if (jk_text_to_int64(text, INT64_MIN, INT64_MAX, &number)) {
		printf(",\"%s\":%s", name, text);
		return;
	}
	jk_json_quote(&quoted, text);
	printf(",\"%s\":%s", name, quoted.data ? quoted.data : "\"\"");
	jk_buffer_done(&quoted);
}

/* Of a warning. */
static enum cli_tone level_tone(const char *level)
{
	if (strcmp(level, "ALARM") == 0)
		return CLI_BAD;
	return strcmp(level, "WARN") == 0 ? CLI_WARN : CLI_PLAIN;
}

static void show_value(void *arg, const char *part, const char *subject, const char *name, const char *value)
{
	struct shown_rows *shown = arg;

	if (strcmp(shown->part, part) != 0 || strcmp(shown->subject, subject) != 0)
		shown->desks += strcmp(part, "desk") == 0;
	if (is_too_much(shown, part))
		return;
	if (strcmp(shown->part, part) != 0 || strcmp(shown->subject, subject) != 0) {
		end_row(shown);
		(void)jk_text_copy(shown->part, sizeof shown->part, part);
		(void)jk_text_copy(shown->subject, sizeof shown->subject, subject);
		if (shown->cli->json) {
			printf("{\"part\":\"%s\"", part);
			if (*subject)
				print_json_text("subject", subject);
		} else {
			shown->column = printf(
				"%-9s %s%s%s", part, cli_tone(shown->cli, CLI_BOLD), subject, cli_tone(shown->cli, CLI_PLAIN));
		}
	}
	shown->failed = shown->failed || strcmp(name, "error") == 0;
	if (shown->cli->json)
		print_json_text(name, value);
	else if (strcmp(name, "level") == 0)
		shown->column +=
			printf("  %s%s%s", cli_tone(shown->cli, level_tone(value)), value, cli_tone(shown->cli, CLI_PLAIN));
	else if (*value)
		cli_print_figure(&shown->column, name, value);
}

static int show_database(const struct cli *cli)
{
	struct shown_rows shown = {.cli = cli};
	const char *code;
	char reason[256];
	int pacts;

	if (!status_store_read(cli->database, show_value, &shown, &code, reason)) {
		if (cli->json) {
			printf("{\"part\":\"database\",\"state\":\"UNREACHABLE\",\"code\":\"%s\"", code);
			print_json_text("reason", reason);
			printf("}\n");
		} else {
			printf("database  %sUNREACHABLE%s  %s\n", cli_tone(cli, CLI_BAD), cli_tone(cli, CLI_PLAIN), reason);
		}
		return CLI_UNREACHABLE;
	}
	end_row(&shown);
	pacts = status_pacts_show(cli);
	return shown.failed ? CLI_REFUSED : pacts;
}

int cli_status(const struct cli *cli, int argc, char **argv)
{
	const char *urls = cli_setting("JUKWAA_HTTP");
	int services, database = CLI_OK;

	if (argc > 1)
		return cli_usage("status", "status takes no '%s'", argv[1]);
	services = show_services(cli, urls ? urls : DEFAULT_URLS);
	if (cli->database)
		database = show_database(cli);
	if (services == CLI_UNREACHABLE || database == CLI_UNREACHABLE)
		return CLI_UNREACHABLE;
	return services != CLI_OK ? services : database;
}
