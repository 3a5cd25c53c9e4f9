/* admin_duty.c: `jukwaa admin duty …`: who has to answer for what, as one table of what each command takes. */
#include "services/cli/admin_duty.h"

#include <stdio.h>
#include <string.h>

#include "base/jk_arena.h"
#include "services/cli/admin.h"

enum { PARAMETERS_MAX = 8, SECONDS_MIN = 5, SECONDS_MAX = 86400, RANK_MAX = 9999, ARENA_BYTES = 64 * 1024 };

enum parameter {
	NONE,
	ID, /* the one word */
	DISCIPLINE,
	CATEGORY,
	SEVERITY,
	URGENCY,
	COUNTY,
	ANSWER,
	AGAIN,
	AFTER,
	RANK,
	DESK,
	ROLE,
	ALL,
	PARAMETERS
};
static const struct {
	const char *option, *value, *help;
	const char *fallback; /* NULL: none */
} parameters[PARAMETERS] = {
	[ID] = {NULL, "ID", "see list", NULL},
	[DISCIPLINE] = {"--discipline", "WORD", "POLICE, AMBULANCE, FIRE, …: who is needed", NULL},
	[CATEGORY] = {"--category", "LIST", "an incident of one of these; default: of any", NULL},
	[SEVERITY] = {"--severity", "WORD", "this or worse: EXTREME, SEVERE, MODERATE, MINOR; default: any", NULL},
	[URGENCY] = {"--urgency", "WORD", "this or sooner: IMMEDIATE, EXPECTED, FUTURE, PAST; default: any", NULL},
	[COUNTY] = {"--county", "CODE", "three digits; where it may be left out: every county", NULL},
	[ANSWER] = {"--answer", "S", "seconds a desk has to answer (60)", "60"},
	[AGAIN] = {"--again", "S", "seconds until it is said again that nobody acts (120)", "120"},
	[AFTER] = {"--after", "S", "seconds without anybody who has accepted", NULL},
	[RANK] = {"--rank", "N", "lower comes first; default: as it was, else after the others", NULL},
	[DESK] = {"--desk", "CODE", "which desk", NULL},
	[ROLE] = {"--role", "ROLE", "COUNTY_COMMISSIONER, REGIONAL or NATIONAL", NULL},
	[ALL] = {"--all", NULL, "also what was removed", "false"},
};
#define BIT(parameter) (1U << (parameter))

static const struct operation {
	const char *object, *verb;
	enum duty_statement statement;
	enum parameter takes[PARAMETERS_MAX + 1]; /* as the statement has them */
	unsigned needs;
	const char *help;
} operations[] = {
	{"rule", "add", DUTY_RULE_ADD, {DISCIPLINE, CATEGORY, SEVERITY, URGENCY, COUNTY, ANSWER, AGAIN, RANK}, BIT(DISCIPLINE),
		"such an incident needs the discipline; of several rules for it the lowest rank counts"},
	{"rule", "list", DUTY_RULE_LIST, {ALL}, 0, "the rules, in their order"},
	{"rule", "remove", DUTY_RULE_REMOVE, {ID}, BIT(ID), "duties that began under it go on"},
	{"desk", "add", DUTY_DESK_ADD, {COUNTY, DISCIPLINE, DESK, RANK}, BIT(COUNTY) | BIT(DISCIPLINE) | BIT(DESK),
		"asked in that county for the discipline, one after the other by rank"},
	{"desk", "list", DUTY_DESK_LIST, {ALL, COUNTY, DISCIPLINE}, 0, "the desks, as they are asked"},
	{"desk", "remove", DUTY_DESK_REMOVE, {COUNTY, DISCIPLINE, DESK}, BIT(COUNTY) | BIT(DISCIPLINE) | BIT(DESK),
		"it is not asked any more"},
	{"escalation", "add", DUTY_ESCALATION_ADD, {ROLE, SEVERITY, COUNTY, AFTER, AGAIN, DESK},
		BIT(ROLE) | BIT(AFTER) | BIT(DESK), "the role is told, at that desk, when nobody acts"},
	{"escalation", "list", DUTY_ESCALATION_LIST, {ALL}, 0, "who is told when nobody acts"},
	{"escalation", "remove", DUTY_ESCALATION_REMOVE, {ID}, BIT(ID), "nobody is told by it any more"},
	{"show", "", DUTY_SHOW_COUNTY, {COUNTY}, BIT(COUNTY), "who would be asked for what, in sentences"},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

struct call {
	const struct operation *operation;
	const char *values[PARAMETERS]; /* as the statement wants them; NULL: not given */
	struct jk_arena *arena;
};

static void print_usage(const struct operation *operation)
{
	printf("  jukwaa admin duty %s%s%s", operation->object, *operation->verb ? " " : "", operation->verb);
	for (int i = 0; operation->takes[i] != NONE; i++) {
		enum parameter parameter = operation->takes[i];
		const char *option = parameters[parameter].option, *value = parameters[parameter].value;
		bool needed = operation->needs & BIT(parameter);

		printf(" %s%s%s%s%s", needed ? "" : "[", option ? option : "", option && value ? " " : "", value ? value : "",
			needed ? "" : "]");
	}
	printf("\n      %s\n", operation->help);
}

void admin_duty_help(void)
{
	for (int i = 0; i < OPERATIONS; i++)
		print_usage(&operations[i]);
	for (int i = ID; i < PARAMETERS; i++) {
		char left[32];

		(void)jk_text_format(left, sizeof left, "%s%s%s", parameters[i].option ? parameters[i].option : "",
			parameters[i].option && parameters[i].value ? " " : "", parameters[i].value ? parameters[i].value : "");
		printf("      %-24s %s\n", left, parameters[i].help);
	}
	printf("      for example: jukwaa admin duty rule add --discipline POLICE --category TRANSPORT,SECURITY --severity "
	       "SEVERE\n"
	       "                   jukwaa admin duty desk add --county 047 --discipline POLICE --desk NAIROBI --rank 1\n");
}

/* ---- what was typed, as SQL wants it; NULL: said ---- */

static const char *upper(struct call *call, const char *text)
{
	char *word = jk_arena_string(call->arena, text, strlen(text));

	for (char *c = word; c && *c; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
	return word;
}

static const char *read_word(struct call *call, const struct jk_words *words, int last, const char *text)
{
	int number = jk_words_number(words, text);

	if (number >= 1 && number <= last)
		return jk_arena_printf(call->arena, "%d", number);
	(void)cli_fail(CLI_USAGE, NULL, "do not know the word '%s'", text);
	return NULL;
}

/* "Transport,SECURITY" -> the number with their bits. */
static const char *read_categories(struct call *call, const char *list)
{
	unsigned bits = 0;

	while (*list) {
		size_t size = strcspn(list, ",");
		const char *word = jk_arena_string(call->arena, list, size);
		int number = word ? jk_words_number(&jk_categories, word) : -1;

		if (number < 1) {
			(void)cli_fail(CLI_USAGE, NULL, "do not know the category '%s'", word ? word : "");
			return NULL;
		}
		bits |= 1U << number;
		list += size + (list[size] == ',');
	}
	if (bits)
		return jk_arena_printf(call->arena, "%u", bits);
	(void)cli_fail(CLI_USAGE, NULL, "--category names none");
	return NULL;
}

static const char *read_number(const char *text, int64_t least, int64_t most, const char *what)
{
	int64_t number;

	if (jk_text_to_int64(text, least, most, &number))
		return text;
	(void)cli_fail(CLI_USAGE, NULL, "'%s' is no %s, %lld to %lld", text, what, (long long)least, (long long)most);
	return NULL;
}

static const char *convert(struct call *call, enum parameter parameter, const char *text)
{
	switch (parameter) {
	case DISCIPLINE:
	case ROLE:
		return upper(call, text);
	case CATEGORY:
		return read_categories(call, text);
	case SEVERITY:
		return read_word(call, &jk_severities, JK_SEVERITY_MINOR, text);
	case URGENCY:
		return read_word(call, &jk_urgencies, JK_URGENCY_MAX - 1, text);
	case ANSWER:
	case AGAIN:
	case AFTER:
		return read_number(text, SECONDS_MIN, SECONDS_MAX, "number of seconds");
	case RANK:
		return read_number(text, 0, RANK_MAX, "rank");
	case ID:
		return read_number(text, 1, INT32_MAX, "id");
	default:
		return text;
	}
}

/* Takes one argument. False: said. */
static bool take(struct call *call, struct cli_args *args)
{
	for (int i = 0; call->operation->takes[i] != NONE; i++) {
		enum parameter parameter = call->operation->takes[i];
		const char *text = NULL, *option = parameters[parameter].option;
		bool is_switch = option && !parameters[parameter].value;

		if (!option ? call->values[parameter] || !(text = cli_args_word(args))
			    : !cli_args_take(args, option, is_switch ? NULL : &text))
			continue;
		if (!is_switch && !text) {
			(void)cli_usage("admin", "%s needs a value", option);
			return false;
		}
		call->values[parameter] = is_switch ? "true" : convert(call, parameter, text);
		return call->values[parameter] != NULL;
	}
	(void)cli_usage(
		"admin", "duty %s %s does not take '%s'", call->operation->object, call->operation->verb, cli_args_peek(args));
	return false;
}

static bool read_arguments(struct call *call, struct cli_args *args)
{
	const struct operation *operation = call->operation;

	while (cli_args_peek(args))
		if (!take(call, args))
			return false;
	for (int i = 0; operation->takes[i] != NONE; i++) {
		enum parameter parameter = operation->takes[i];

		if (!call->values[parameter])
			call->values[parameter] = parameters[parameter].fallback;
		if (!call->values[parameter] && operation->needs & BIT(parameter)) {
			(void)cli_usage("admin", "duty %s%s%s needs %s", operation->object, *operation->verb ? " " : "",
				operation->verb, parameters[parameter].option ? parameters[parameter].option : "ID");
			return false;
		}
	}
	/* Not given: all of them. */
	if (operation->statement == DUTY_RULE_ADD && !call->values[CATEGORY])
		call->values[CATEGORY] =
			jk_arena_printf(call->arena, "%u", (1U << (JK_CATEGORY_MAX + 1)) - (1U << JK_CATEGORY_GEO));
	return true;
}

/* ---- doing it ---- */

static int print_done(const struct cli *cli, const struct call *call, const struct admin_rows *rows)
{
	const struct operation *operation = call->operation;
	bool desk = operation->statement == DUTY_DESK_ADD || operation->statement == DUTY_DESK_REMOVE;
	const char *id = admin_rows_text(rows, operation->object[0] == 'r' ? "rule_id" : "escalation_id");

	if (!admin_rows_count(rows))
		return cli_fail(CLI_REFUSED, NULL, "NOT_FOUND: there is no such %s: %s",
			desk ? "desk on that list" : operation->object, desk ? call->values[DESK] : call->values[ID]);
	if (cli->json)
		admin_rows_print(cli, rows);
	else if (desk)
		printf("%s in %s for %s, rank %s: %s\n", call->values[DESK], call->values[COUNTY], call->values[DISCIPLINE],
			admin_rows_text(rows, "rank"), admin_rows_text(rows, "done"));
	else
		printf("%s %s: %s\n", operation->object, id, admin_rows_text(rows, "done"));
	return CLI_OK;
}

static int run(const struct cli *cli, struct call *call)
{
	const struct operation *operation = call->operation;
	const char *params[PARAMETERS_MAX];
	int count = 0, status = CLI_USAGE;
	struct admin_store *store = admin_store_open(cli, 0, &status);
	struct admin_rows *rows = NULL;

	while (operation->takes[count] != NONE) {
		params[count] = call->values[operation->takes[count]];
		count++;
	}
	if (store && operation->statement == DUTY_SHOW_COUNTY)
		status = admin_duty_show(cli, store, call->values[COUNTY]);
	else if (store)
		rows = duty_store_run(store, operation->statement, params, count, &status);
	if (rows && strcmp(operation->verb, "list") == 0) {
		admin_rows_print(cli, rows);
		status = CLI_OK;
	} else if (rows) {
		status = print_done(cli, call, rows);
	}
	admin_rows_free(&rows);
	admin_store_close(&store);
	return status;
}

static const struct operation *find_operation(const char *object, const char *verb)
{
	for (int i = 0; i < OPERATIONS; i++)
		if (strcmp(operations[i].object, object) == 0 && strcmp(operations[i].verb, verb) == 0)
			return &operations[i];
	return NULL;
}

int admin_duty(const struct cli *cli, struct cli_args *args)
{
	const char *object = cli_args_word(args);
	bool shows = object && strcmp(object, "show") == 0;
	const char *verb = object && !shows ? cli_args_word(args) : "";
	struct call call = {.operation = object && verb ? find_operation(object, verb) : NULL};
	int status = CLI_USAGE;

	if (!object || (!verb && !shows))
		return cli_usage("admin", "say what to do: duty rule, desk or escalation, add, list or remove; or duty show");
	if (!call.operation)
		return cli_usage(
			"admin", "do not know 'duty %s%s%s'", object ? object : "", verb && *verb ? " " : "", verb ? verb : "");
	call.arena = jk_arena_new(ARENA_BYTES);
	if (call.arena && read_arguments(&call, args))
		status = run(cli, &call);
	jk_arena_free(&call.arena);
	return status;
}
