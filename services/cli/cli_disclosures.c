/* jukwaa disclosures INCIDENT: who got what of it, when and under what, what is possibly disclosed; and who of those that had a
 * copy has not confirmed the newest change. For the owner of the incident and the operator: it names every desk, also those of
 * task forces, and reads the database as `jukwaa explain` does. */
#include <inttypes.h>
#include <string.h>

#include "base/jk_time.h"
#include "services/cli/cli_commands.h"
#include "services/cli/disclosures_show.h"
#include "json/json_map.h"

static const char *const answer_names[] = {[DISCLOSED_CONFIRMED] = "CONFIRMED",
	[DISCLOSED_SENT] = "SENT",
	[DISCLOSED_POSSIBLY] = "POSSIBLY_SENT",
	[DISCLOSED_NOTHING] = "NOT_SENT"};

struct listing {
	const struct cli *cli;
	size_t copies, open; /* duties not confirmed */
	char place[64];      /* printed last */
};

static void show_event(void *arg, const struct disclosed_event *event)
{
	struct listing *l = arg;
	char at[JK_TIME_BYTES];

	jk_time_format(at, event->recorded_at_us);
	if (l->cli->json)
		printf("{\"type\":\"event\",\"stream\":\"%s\",\"seq\":%" PRId64
		       ",\"kind\":\"%s\",\"event_id\":\"%s\",\"revision\":\"%" PRId64 "\",\"recorded_at\":\"%s\"}\n",
			event->stream, event->seq, jk_words_name(&jk_event_kinds, event->kind), event->event_id, event->revision,
			at);
	else
		printf("%s#%-8" PRId64 " %-10s recorded %s\n", event->stream, event->seq,
			jk_words_name(&jk_event_kinds, event->kind), at);
}

static void show_copy(void *arg, const struct disclosed_copy *copy)
{
	struct listing *l = arg;
	char place[64];

	if (l->copies++ == 0 && !l->cli->json)
		printf("\nCopies\n");
	if (l->cli->json) {
		disclosures_print_copy_json(copy, "copy");
		return;
	}
	(void)jk_text_format(place, sizeof place, "%s#%" PRId64, copy->stream, copy->seq);
	printf("%-12s ", strcmp(place, l->place) == 0 ? "" : place);
	(void)jk_text_copy(l->place, sizeof l->place, place);
	disclosures_print_copy(l->cli, copy);
}

static void print_duty_json(const struct disclosed_duty *duty)
{
	struct jk_buffer line = {0};

	jk_buffer_printf(&line,
		"{\"type\":\"confirmation\",\"stream\":\"%s\",\"seq\":%" PRId64 ",\"kind\":\"%s\",\"desk\":", duty->stream,
		duty->seq, jk_words_name(&jk_event_kinds, duty->kind));
	jk_json_quote(&line, duty->desk);
	jk_buffer_printf(&line, ",\"agency\":");
	jk_json_quote(&line, duty->agency);
	printf("%s,\"answer\":\"%s\",\"recalled\":%s,\"key_revoked\":%s,\"possibly\":%s}\n", line.data ? line.data : "{",
		answer_names[duty->answer], duty->recalled ? "true" : "false", duty->key_revoked ? "true" : "false",
		duty->possibly ? "true" : "false");
	jk_buffer_done(&line);
}

static void show_duty(void *arg, const struct disclosed_duty *duty)
{
	static const char *const words[] = {[DISCLOSED_CONFIRMED] = "confirmed",
		[DISCLOSED_SENT] = "sent, not confirmed",
		[DISCLOSED_POSSIBLY] = "possibly sent, not confirmed",
		[DISCLOSED_NOTHING] = "not told yet"};
	struct listing *l = arg;
	bool confirmed = duty->answer == DISCLOSED_CONFIRMED;

	if (l->cli->json) {
		print_duty_json(duty);
	} else {
		printf("  %s#%" PRId64 " %s: %s (%s)  %s%s%s%s%s%s\n", duty->stream, duty->seq,
			jk_words_name(&jk_event_kinds, duty->kind), duty->desk, duty->agency,
			cli_tone(l->cli, confirmed ? CLI_GOOD : CLI_BAD), words[duty->answer], cli_tone(l->cli, CLI_PLAIN),
			duty->recalled ? " (recalled: ids alone)" : "",
			duty->key_revoked && !confirmed ? "; its keys are revoked: it gets nothing" : "",
			duty->possibly ? "; that it had a copy is possible, not known" : "");
	}
	l->open += !confirmed;
}

static int list(struct listing *l, struct disclosures_store *store, const struct jk_id *incident_id)
{
	char reason[256];
	int events = disclosures_store_events(store, incident_id, show_event, l, reason);
	int copies = events < 0 ? -1 : disclosures_store_copies(store, incident_id, NULL, INT64_MAX, show_copy, l, reason);
	int duties;

	if (copies == 0 && events > 0 && !l->cli->json)
		printf("no desk has a copy\n");
	if (copies > 0 && !l->cli->json)
		printf("\nThe newest change, at those that had an earlier copy\n");
	duties = copies < 0 ? -1 : disclosures_store_duties(store, incident_id, show_duty, l, reason);
	if (duties < 0)
		return cli_fail(CLI_NOT_PERMITTED, "the connection string of the operator in JUKWAA_DATABASE", "%s", reason);
	if (events == 0)
		return cli_fail(CLI_REFUSED, "the incident_id of a receipt or an event",
			"no event of this incident is in a county stream");
	if (duties == 0 && copies > 0 && !l->cli->json)
		printf("  none: nothing has changed since\n");
	return l->open > 0 ? CLI_REFUSED : CLI_OK;
}

int cli_disclosures(const struct cli *cli, int argc, char **argv)
{
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	struct listing l = {.cli = cli};
	const char *incident = cli_args_word(&args);
	struct disclosures_store *store;
	struct jk_id incident_id;
	char reason[256] = "no memory";
	int status;

	if (!incident || cli_args_peek(&args))
		return cli_usage("disclosures", "say which incident: disclosures INCIDENT");
	if (!jk_id_parse(incident, &incident_id))
		return cli_usage("disclosures", "an incident's id has the form 8-4-4-4-12 hex digits, not '%s'", incident);
	if (!cli->database)
		return cli_fail(
			CLI_USAGE, "set JUKWAA_DATABASE (quickstart: . STATE/admin.env)", "do not know which database to ask");
	store = disclosures_store_open(cli->database, reason);
	if (!store)
		return cli_fail(CLI_UNREACHABLE, "the connection string in JUKWAA_DATABASE", "the database: %s", reason);
	status = list(&l, store, &incident_id);
	disclosures_store_close(&store);
	return status;
}
