/* admin_duty_show.c: `jukwaa admin duty show`: the rules, lists and escalations of a county as sentences. */
#include "services/cli/admin_duty.h"

#include <stdio.h>
#include <string.h>

#include "base/jk_time.h"
#include "registry/registry.h"
#include "json/json_map.h"

/* One county, read. */
struct showing {
	const struct cli *cli;
	const char *county;
	struct admin_rows *name, *rules, *desks, *escalations;
	const struct jk_registry *registry; /* NULL: could not be read */
};

static bool is_revoked(const struct admin_rows *rows, int row)
{
	return *admin_rows_text_at(rows, row, "desk_revoked") == 't';
}

/* The word of a floor; NULL: any. */
static const char *floor_at(const struct admin_rows *rows, int row, const char *column, const struct jk_words *words)
{
	int64_t number = 0;

	if (!jk_text_to_int64(admin_rows_text_at(rows, row, column), 1, JK_SEVERITY_MAX, &number))
		return NULL;
	return jk_words_name(words, (int)number);
}

static bool is_of(const struct admin_rows *rows, int row, const char *discipline)
{
	return strcmp(admin_rows_text_at(rows, row, "discipline"), discipline) == 0;
}

/* ---- as sentences ---- */

static void print_floor(
	const struct admin_rows *rows, int row, const char *column, const struct jk_words *words, const char *more)
{
	const char *word = floor_at(rows, row, column, words);

	/* There is nothing beyond the first word. */
	if (word)
		printf(", %s%s", word, strcmp(word, jk_words_name(words, 1)) == 0 ? "" : more);
}

static void print_rule(const struct showing *showing, int row)
{
	const struct admin_rows *rules = showing->rules;
	char categories[128];

	admin_format_categories(categories, sizeof categories, admin_rows_text_at(rules, row, "categories"), " or ");
	printf("%s%s%s, by rule %s, for\n  ", cli_tone(showing->cli, CLI_BOLD), admin_rows_text_at(rules, row, "discipline"),
		cli_tone(showing->cli, CLI_PLAIN), admin_rows_text_at(rules, row, "rule_id"));
	printf("%s", strcmp(admin_rows_text_at(rules, row, "categories"), "8190") == 0 ? "any category" : categories);
	print_floor(rules, row, "severity_floor", &jk_severities, " or worse");
	print_floor(rules, row, "urgency_floor", &jk_urgencies, " or sooner");
	printf(":\n");
}

static bool is_here(const struct showing *showing, int row)
{
	return strcmp(admin_rows_text_at(showing->desks, row, "county"), showing->county) == 0;
}

/* Is there an agreement (or a row of the operator) that lets the desk act on incidents of others, of the rule's categories, here?
 * True also when nobody can say. */
static bool acts_for_others(const struct showing *showing, int desk_row, int64_t categories)
{
	const char *code = admin_rows_text_at(showing->desks, desk_row, "desk");
	const struct jk_registry *registry = showing->registry;
	int64_t county, now_us = jk_time_now_us();

	if (!registry || !jk_text_to_int64(showing->county, 1, JK_COUNTY_MAX, &county))
		return true;
	for (size_t i = 0; i < registry->desk_count; i++) {
		const struct jk_desk *desk = &registry->desks[i];

		for (size_t k = 0; strcmp(desk->code, code) == 0 && k < desk->term_count; k++) {
			const struct jk_term *term = &desk->terms[k];

			if (term->uses >> JK_USE_RESPOND & 1 && term->counties >> county & 1 && term->categories & categories &&
				(term->until_us == 0 || term->until_us > now_us) && term->from_us <= now_us)
				return true;
		}
	}
	return false;
}

/* One that can be asked. rule -1: none asks. */
static void print_desk(const struct showing *showing, int rule, int row, int place)
{
	const struct admin_rows *desks = showing->desks;
	int64_t categories = 0;

	printf("  %d. %s of %s", place, admin_rows_text_at(desks, row, "desk"), admin_rows_text_at(desks, row, "agency"));
	if (!is_here(showing, row))
		printf(", for %s", admin_rows_text_at(desks, row, "county"));
	if (rule >= 0)
		printf(", has %s s to answer", admin_rows_text_at(showing->rules, rule, "answer_s"));
	if (rule >= 0 && jk_text_to_int64(admin_rows_text_at(showing->rules, rule, "categories"), 1, UINT16_MAX, &categories) &&
		!acts_for_others(showing, row, categories))
		printf("%s; only what %s reports%s", cli_tone(showing->cli, CLI_WARN), admin_rows_text_at(desks, row, "agency"),
			cli_tone(showing->cli, CLI_PLAIN));
	printf("\n");
}

/* The desks of a rule (-1: of none, and those around are left out). Returns how many can be asked. */
static int print_desks(const struct showing *showing, int rule, const char *discipline)
{
	const struct admin_rows *desks = showing->desks;
	int place = 0;

	for (int row = 0; row < admin_rows_count(desks); row++) {
		if (!is_of(desks, row, discipline) || (rule < 0 && !is_here(showing, row)))
			continue;
		if (!is_revoked(desks, row))
			print_desk(showing, rule, row, ++place);
		else
			printf("  %s-  %s of %s is revoked, and passed over%s\n", cli_tone(showing->cli, CLI_WARN),
				admin_rows_text_at(desks, row, "desk"), admin_rows_text_at(desks, row, "agency"),
				cli_tone(showing->cli, CLI_PLAIN));
	}
	return place;
}

static bool is_asked_for(const struct showing *showing, const char *discipline)
{
	for (int row = 0; row < admin_rows_count(showing->rules); row++)
		if (is_of(showing->rules, row, discipline))
			return true;
	return false;
}

/* Lists of desks that no rule needs. */
static void print_idle(const struct showing *showing)
{
	const char *before = "";

	for (int row = 0; row < admin_rows_count(showing->desks); row++) {
		const char *discipline = admin_rows_text_at(showing->desks, row, "discipline");

		if (!is_here(showing, row))
			continue;
		if (strcmp(discipline, before) != 0 && !is_asked_for(showing, discipline)) {
			printf("%s: desks are named, but no rule asks for them here:\n", discipline);
			(void)print_desks(showing, -1, discipline);
		}
		before = discipline;
	}
}

static void print_escalations(const struct showing *showing)
{
	const struct admin_rows *rows = showing->escalations;

	printf(admin_rows_count(rows) ? "While nobody has accepted:\n" : "While nobody has accepted, no role is told.\n");
	for (int row = 0; row < admin_rows_count(rows); row++) {
		printf("  after %s s, and every %s s: %s at %s of %s%s", admin_rows_text_at(rows, row, "after_s"),
			admin_rows_text_at(rows, row, "again_s"), admin_rows_text_at(rows, row, "role"),
			admin_rows_text_at(rows, row, "desk"), admin_rows_text_at(rows, row, "agency"),
			is_revoked(rows, row) ? " (revoked: nobody is told)" : "");
		print_floor(rows, row, "severity_floor", &jk_severities, " or worse");
		printf("\n");
	}
}

static void print_sentences(const struct showing *showing)
{
	printf("%s %s\n", showing->county, admin_rows_text(showing->name, "name"));
	if (!admin_rows_count(showing->rules))
		printf("No rule counts here: nobody has to answer for anything.\n");
	for (int row = 0; row < admin_rows_count(showing->rules); row++) {
		const char *again_s = admin_rows_text_at(showing->rules, row, "again_s");

		print_rule(showing, row);
		if (print_desks(showing, row, admin_rows_text_at(showing->rules, row, "discipline")))
			printf("  then the publisher is told that nobody has it, and again every %s s\n", again_s);
		else
			printf("  %snobody can be asked: the publisher is told at once, and every %s s%s\n",
				cli_tone(showing->cli, CLI_BAD), again_s, cli_tone(showing->cli, CLI_PLAIN));
	}
	print_idle(showing);
	if (admin_rows_count(showing->rules)) {
		print_escalations(showing);
		printf(showing->registry ? "A desk is passed over where no agreement lets it act on the incident.\n"
					 : "What agreements let these desks act on could not be read.\n");
	}
}

/* ---- as JSON: one line a rule, one an escalation ---- */

static void add_text(struct jk_buffer *line, const char *name, const char *text)
{
	jk_buffer_printf(line, "%s\"%s\":", line->size > 1 && line->data[line->size - 1] != '{' ? "," : "", name);
	if (text)
		jk_json_quote(line, text);
	else
		jk_buffer_printf(line, "null");
}

static void add_desks(struct jk_buffer *line, const struct showing *showing, const char *discipline, int64_t categories)
{
	const struct admin_rows *desks = showing->desks;
	const char *between = "";

	jk_buffer_printf(line, ",\"desks\":[");
	for (int row = 0; row < admin_rows_count(desks); row++) {
		if (!is_of(desks, row, discipline))
			continue;
		jk_buffer_printf(line, "%s{", between);
		add_text(line, "desk", admin_rows_text_at(desks, row, "desk"));
		add_text(line, "agency", admin_rows_text_at(desks, row, "agency"));
		add_text(line, "county", admin_rows_text_at(desks, row, "county"));
		jk_buffer_printf(line, ",\"revoked\":%s,\"acts_for_others\":%s}", is_revoked(desks, row) ? "true" : "false",
			acts_for_others(showing, row, categories) ? "true" : "false");
		between = ",";
	}
	jk_buffer_printf(line, "]");
}

static void print_line(struct jk_buffer *line)
{
	jk_buffer_printf(line, "}");
	printf("%s\n", line->failed ? "{}" : line->data);
	jk_buffer_done(line);
}

static void print_json(const struct showing *showing)
{
	for (int row = 0; row < admin_rows_count(showing->rules); row++) {
		const struct admin_rows *rules = showing->rules;
		const char *discipline = admin_rows_text_at(rules, row, "discipline");
		struct jk_buffer line = {0};
		char categories[128];
		int64_t bits = 0;

		(void)jk_text_to_int64(admin_rows_text_at(rules, row, "categories"), 1, UINT16_MAX, &bits);
		admin_format_categories(categories, sizeof categories, admin_rows_text_at(rules, row, "categories"), ",");
		jk_buffer_printf(&line, "{");
		add_text(&line, "discipline", discipline);
		add_text(&line, "categories", categories);
		add_text(&line, "severity", floor_at(rules, row, "severity_floor", &jk_severities));
		add_text(&line, "urgency", floor_at(rules, row, "urgency_floor", &jk_urgencies));
		jk_buffer_printf(&line, ",\"rule_id\":%s,\"answer_s\":%s,\"again_s\":%s",
			admin_rows_text_at(rules, row, "rule_id"), admin_rows_text_at(rules, row, "answer_s"),
			admin_rows_text_at(rules, row, "again_s"));
		add_desks(&line, showing, discipline, bits);
		print_line(&line);
	}
	for (int row = 0; row < admin_rows_count(showing->escalations); row++) {
		const struct admin_rows *rows = showing->escalations;
		struct jk_buffer line = {0};

		jk_buffer_printf(&line, "{");
		add_text(&line, "role", admin_rows_text_at(rows, row, "role"));
		add_text(&line, "severity", floor_at(rows, row, "severity_floor", &jk_severities));
		add_text(&line, "desk", admin_rows_text_at(rows, row, "desk"));
		jk_buffer_printf(&line, ",\"after_s\":%s,\"again_s\":%s,\"revoked\":%s", admin_rows_text_at(rows, row, "after_s"),
			admin_rows_text_at(rows, row, "again_s"), is_revoked(rows, row) ? "true" : "false");
		print_line(&line);
	}
}

/* NULL where it cannot be read: the sentences are then without what agreements say. */
static struct jk_registry_watch *open_registry(struct showing *showing)
{
	enum jk_realm realm = (enum jk_realm)jk_words_number(&jk_realms, admin_rows_text(showing->name, "realm"));
	struct jk_registry_watch *watch = NULL;

	if (jk_registry_watch_open(showing->cli->database, "jukwaa admin", realm, &watch) != JK_OK)
		return NULL;
	showing->registry = jk_registry_acquire(watch);
	return watch;
}

static void show(struct showing *showing)
{
	struct jk_registry_watch *watch = open_registry(showing);

	if (showing->cli->json)
		print_json(showing);
	else
		print_sentences(showing);
	if (watch)
		jk_registry_release(watch, &showing->registry);
	if (watch)
		jk_registry_watch_close(&watch);
}

int admin_duty_show(const struct cli *cli, struct admin_store *store, const char *county)
{
	struct showing showing = {.cli = cli, .county = county};
	struct {
		enum duty_statement statement;
		struct admin_rows **rows;
	} const parts[] = {{DUTY_SHOW_COUNTY, &showing.name}, {DUTY_SHOW_RULES, &showing.rules},
		{DUTY_SHOW_DESKS, &showing.desks}, {DUTY_SHOW_ESCALATIONS, &showing.escalations}};
	int status = CLI_OK;

	for (size_t i = 0; i < sizeof parts / sizeof *parts && status == CLI_OK; i++)
		*parts[i].rows = duty_store_run(store, parts[i].statement, &county, 1, &status);
	if (status == CLI_OK && !admin_rows_count(showing.name))
		status = cli_fail(CLI_REFUSED, NULL, "there is no such county; counties are 001 to 047");
	else if (status == CLI_OK)
		show(&showing);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		admin_rows_free(parts[i].rows);
	return status;
}
