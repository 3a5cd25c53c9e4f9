/* jukwaa explain INCIDENT --desk DESK [--at TIME]. Without --at: may this desk have it, and why: asked of the decision function
 * that feeds and case queries ask, with the registry as it stands now. With --at: what the records say that had been reserved and
 * sent by then, and under what; nothing is decided again. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "authz/authz.h"
#include "base/jk_arena.h"
#include "base/jk_time.h"
#include "feed/feed_body.h"
#include "registry/registry.h"
#include "services/cli/cli_commands.h"
#include "services/cli/disclosures_show.h"
#include "services/cli/explain_store_pg.h"
#include "json/json_map.h"

enum { ARENA_BYTES = 16 * 1024 * 1024, LOAD_TIMEOUT_MS = 5000 };

struct explaining {
	const struct cli *cli;
	const struct jk_registry *registry;
	const struct jk_desk *desk;
	int allowed;
};

/* By number, as in GroupTag. */
static const char *const group_names[] = {"", "identity", "classification", "times", "place", "narrative", "resources",
	"references", "handling", "reporter", "persons", "registration", "position", "words"};
enum { GROUPS = sizeof group_names / sizeof group_names[0] };

static void append_withheld(struct jk_buffer *line, uint32_t withheld, const char *quote)
{
	const char *comma = "";

	for (int group = 1; group < GROUPS; group++) {
		if ((withheld & 1U << group) == 0)
			continue;
		jk_buffer_printf(line, "%s%s%s%s", comma, quote, group_names[group], quote);
		comma = *quote ? "," : ", ";
	}
}

/* The agreement, or nothing. */
static void append_term(struct jk_buffer *line, const struct jk_term *term)
{
	if (!term)
		return;
	if (term->pact_id != 0)
		jk_buffer_printf(line, ",\"agreement\":\"%s\",\"version\":%" PRIu32, term->code, term->version);
	jk_buffer_printf(line, ",\"profile\":\"%s\"", jk_profile_name(term->profile));
}

static void show_json(const struct explain_event *event, const struct jk_event_label *label, const struct jk_decision *decision)
{
	struct jk_buffer line = {0};

	jk_buffer_printf(&line,
		"{\"stream\":\"%s\",\"seq\":%" PRId64 ",\"kind\":\"%s\",\"effect\":\"%s\",\"allow_id\":%" PRId32 ",\"owner\":",
		event->stream, event->seq, jk_words_name(&jk_event_kinds, event->kind),
		decision->effect == JK_DENY    ? "DENY"
		: decision->effect == JK_ALLOW ? "ALLOW"
					       : "ALLOW_REDACTED",
		decision->term ? decision->term->allow_id : 0);
	jk_json_quote(&line, label->agency_code);
	jk_buffer_printf(&line, ",\"tlp\":\"%s\",\"scope\":\"%s\",\"category\":\"%s\",\"reason\":",
		jk_words_name(&jk_tlps, (int)label->label.tlp), jk_words_name(&jk_scopes, (int)label->label.scope),
		jk_words_name(&jk_categories, label->category));
	jk_json_quote(&line, decision->reason);
	append_term(&line, decision->term);
	jk_buffer_printf(&line, ",\"withheld\":[");
	append_withheld(&line, decision->withheld, "\"");
	jk_buffer_printf(&line, "]");
	printf("%s}\n", line.data ? line.data : "{");
	jk_buffer_done(&line);
}

static void show_human(const struct cli *cli, const struct explain_event *event, const struct jk_event_label *label,
	const struct jk_decision *decision)
{
	bool allowed = decision->effect != JK_DENY;

	printf("%s#%" PRId64 "  %s%s%s  %s\n", event->stream, event->seq, cli_tone(cli, allowed ? CLI_GOOD : CLI_BAD),
		allowed ? "ALLOW" : "DENY", cli_tone(cli, CLI_PLAIN), decision->reason);
	printf("  of %s, %s, TLP:%s, %s\n", label->agency_code, jk_words_name(&jk_scopes, (int)label->label.scope),
		jk_words_name(&jk_tlps, (int)label->label.tlp), jk_words_name(&jk_categories, label->category));
	if (allowed && decision->term && decision->term->pact_id == 0)
		printf("  by allow row %" PRId32 " (jukwaa admin allow list)\n", decision->term->allow_id);
	else if (allowed && decision->term)
		printf("  under agreement %s, version %" PRIu32 ", profile %s\n", decision->term->code, decision->term->version,
			jk_profile_name(decision->term->profile));
	if (allowed) {
		struct jk_buffer groups = {0};

		append_withheld(&groups, decision->withheld, "");
		printf("  withheld: %s\n", groups.data ? groups.data : "nothing");
		jk_buffer_done(&groups);
	} else if (label->label.scope == JK_SCOPE_PUBLIC && label->label.tlp != JK_TLP_RED) {
		printf("  a row that would allow it: jukwaa admin allow add --desk … --county %s --category %s --tlp-ceiling "
		       "%s\n",
			event->stream, jk_words_name(&jk_categories, label->category),
			jk_words_name(&jk_tlps, (int)label->label.tlp));
	}
}

static void explain_event(void *arg, const struct explain_event *event)
{
	struct explaining *e = arg;
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_event_label label;
	struct jk_decision decision;
	const struct jk_agency *owner;

	if (!arena || jk_body_label(event->body, event->body_size, arena, &label) != JK_OK) {
		cli_fail(CLI_REFUSED, NULL, "%s#%" PRId64 " cannot be read", event->stream, event->seq);
		jk_arena_free(&arena);
		return;
	}
	owner = jk_registry_find_agency(e->registry, label.agency_code);
	jk_registry_label_owner(&label.label, owner);
	(void)jk_text_copy(label.label.county, sizeof label.label.county, event->stream);
	label.label.recorded_at_us = event->recorded_at_us;
	decision = jk_registry_decide_desk(e->registry, e->desk, JK_USE_VIEW, &label.label, jk_time_now_us());
	if (e->desk->revoked)
		decision = (struct jk_decision){.effect = JK_DENY, .withheld = UINT32_MAX, .reason = "the desk is revoked"};
	e->allowed += decision.effect != JK_DENY;
	if (e->cli->json)
		show_json(event, &label, &decision);
	else
		show_human(e->cli, event, &label, &decision);
	jk_arena_free(&arena);
}

/* The first snapshot; NULL: said on standard error. */
static const struct jk_registry *await_registry(struct jk_registry_watch *watch)
{
	int64_t deadline = jk_time_mono_ms() + LOAD_TIMEOUT_MS;
	char problem[256];
	bool fatal = false;

	while (jk_time_mono_ms() < deadline && !fatal) {
		const struct timespec pause = {0, 20 * 1000 * 1000};
		const struct jk_registry *registry = jk_registry_acquire(watch);

		if (registry)
			return registry;
		jk_registry_watch_problem(watch, problem, &fatal);
		nanosleep(&pause, NULL);
	}
	cli_fail(CLI_UNREACHABLE, NULL, "the registry cannot be read: %s", problem);
	return NULL;
}

static const struct jk_desk *find_desk(const struct jk_registry *registry, const char *code)
{
	for (size_t i = 0; i < registry->desk_count; i++)
		if (strcasecmp(registry->desks[i].code, code) == 0)
			return &registry->desks[i];
	cli_fail(CLI_REFUSED, "jukwaa admin desk list", "there is no desk %s", code);
	return NULL;
}

static int explain(struct explaining *e, struct explain_store *store, const char *desk, const struct jk_id *incident_id)
{
	char reason[256];
	int count;

	e->desk = find_desk(e->registry, desk);
	if (!e->desk)
		return CLI_REFUSED;
	count = explain_store_events(store, incident_id, explain_event, e, reason);
	if (count < 0)
		return cli_fail(CLI_NOT_PERMITTED, "the connection string of the operator in JUKWAA_DATABASE", "%s", reason);
	if (count == 0)
		return cli_fail(CLI_REFUSED, "the incident_id of a receipt or an event",
			"no event of this incident is in a county stream");
	return e->allowed > 0 ? CLI_OK : CLI_REFUSED;
}

static int explain_with_registry(const struct cli *cli, const char *desk, const struct jk_id *incident_id)
{
	struct explaining e = {.cli = cli};
	struct jk_registry_watch *watch = NULL;
	char reason[256] = "no memory";
	struct explain_store *store = explain_store_open(cli->database, reason);
	int status = CLI_UNREACHABLE;

	if (!store)
		return cli_fail(CLI_UNREACHABLE, "the connection string in JUKWAA_DATABASE", "the database: %s", reason);
	if (jk_registry_watch_open(cli->database, "jukwaa explain", explain_store_realm(store), &watch) != JK_OK) {
		cli_fail(CLI_UNREACHABLE, NULL, "the registry cannot be read");
	} else if ((e.registry = await_registry(watch))) {
		status = explain(&e, store, desk, incident_id);
		jk_registry_release(watch, &e.registry);
	}
	if (watch)
		jk_registry_watch_close(&watch);
	explain_store_close(&store);
	return status;
}

/* ---- by the records ---- */

static void show_recorded(void *arg, const struct disclosed_copy *copy)
{
	const struct cli *cli = arg;

	if (cli->json) {
		disclosures_print_copy_json(copy, "record");
		return;
	}
	printf("%s#%" PRId64 " %s  ", copy->stream, copy->seq, jk_words_name(&jk_event_kinds, copy->kind));
	disclosures_print_copy(cli, copy);
}

static int explain_recorded(
	const struct cli *cli, const char *desk, const struct jk_id *incident_id, const char *at, int64_t at_us)
{
	char reason[256] = "no memory";
	struct disclosures_store *store = disclosures_store_open(cli->database, reason);
	int count;

	if (!store)
		return cli_fail(CLI_UNREACHABLE, "the connection string in JUKWAA_DATABASE", "the database: %s", reason);
	count = disclosures_store_copies(store, incident_id, desk, at_us, show_recorded, (void *)cli, reason);
	disclosures_store_close(&store);
	if (count < 0)
		return cli_fail(CLI_NOT_PERMITTED, "the connection string of the operator in JUKWAA_DATABASE", "%s", reason);
	if (count == 0)
		return cli_fail(CLI_REFUSED, NULL, "no record says that desk %s had anything of this incident by %s", desk, at);
	return CLI_OK;
}

int cli_explain(const struct cli *cli, int argc, char **argv)
{
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	const char *incident = NULL, *desk = NULL, *at = NULL, *word;
	struct jk_id incident_id;
	int64_t at_us = 0;

	while (cli_args_peek(&args)) {
		if (cli_args_take(&args, "--desk", &desk) || cli_args_take(&args, "--at", &at))
			continue;
		word = cli_args_word(&args);
		if (!word || incident)
			return cli_usage("explain", "do not know what to do with '%s'", word ? word : cli_args_peek(&args));
		incident = word;
	}
	if (!incident || !desk)
		return cli_usage("explain", "say which incident and which desk: explain INCIDENT --desk DESK");
	if (at && !jk_time_parse(at, &at_us))
		return cli_usage("explain", "--at is a time such as 2026-03-01T08:15:30Z, not '%s'", at);
	if (!jk_id_parse(incident, &incident_id))
		return cli_usage("explain", "an incident's id has the form 8-4-4-4-12 hex digits, not '%s'", incident);
	if (!cli->database)
		return cli_fail(
			CLI_USAGE, "set JUKWAA_DATABASE (quickstart: . STATE/admin.env)", "do not know which database to ask");
	return at ? explain_recorded(cli, desk, &incident_id, at, at_us) : explain_with_registry(cli, desk, &incident_id);
}
