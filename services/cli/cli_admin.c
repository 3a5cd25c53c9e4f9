/* cli_admin.c: `jukwaa admin …`: the operator's commands, as one table of what each takes. They work on the database
 * (JUKWAA_DATABASE); services notice a change within a second. */
#include "services/cli/admin.h"

#include <stdio.h>
#include <string.h>

#include "base/jk_arena.h"
#include "base/jk_id.h"
#include "base/jk_time.h"
#include "crypt/crypt.h"
#include "services/cli/admin_pact.h"
#include "services/cli/admin_store_pg.h"

enum { VALUES_MAX = 16, DAYS_MAX = 36500 };

/* How an option's text becomes a statement's parameter. */
enum form {
	TEXT,
	SWITCH,
	ALL,
	CATEGORY,
	TLP,
	SEVERITY,
	TIME,
	END_TIME,
	SPAN,
	UPPER,
	NUMBER,
	DAYS,
	UUID,
	KEY_FILE,
	KEY_PAIR,
	SENDERS,
	SECRET_FILE
};

struct parameter {
	const char *option; /* "--name"; NULL: the next word */
	enum form form;
	const char *value_name, *help;
	bool required;
	const char *fallback;
};

struct operation {
	const char *object, *verb; /* "agency", "add" */
	enum admin_statement statement;
	struct parameter parameters[14];
	const char *what; /* for "unchanged" and "there is no such …" */
	const char *example;
};

#define END                                                                                                                      \
	{                                                                                                                        \
		NULL, TEXT, NULL, NULL, false, NULL                                                                              \
	}
#define WORD(name, help)                                                                                                         \
	{                                                                                                                        \
		NULL, TEXT, name, help, true, NULL                                                                               \
	}

static const struct operation operations[] = {
	{"agency", "add", ADMIN_AGENCY_ADD,
		{WORD("CODE", "short name, A-Z 0-9 _ -"), {"--name", TEXT, "NAME", "full name", true, NULL},
			{"--strict", SWITCH, NULL, "refuse what would only be warned of", false, NULL},
			{"--refuse-expired", SWITCH, NULL, "refuse reports that have expired", false, NULL},
			{"--agreements-only", SWITCH, NULL, "its incidents go out under agreements alone, not by allow rows",
				false, NULL},
			{"--require-signature", SWITCH, NULL, "refuse reports that it has not signed itself", false, NULL}, END},
		"agency", "jukwaa admin agency add KPS --name 'Kenya Police Service'"},
	{"agency", "set", ADMIN_AGENCY_SET,
		{WORD("CODE", "which agency"), {"--agreements-only", TEXT, "yes|no", "do allow rows count for it?", false, NULL},
			{"--require-signature", TEXT, "yes|no", "must it have signed its reports?", false, NULL}, END},
		"agency", "jukwaa admin agency set KPS --agreements-only yes"},
	{"agency", "list", ADMIN_AGENCY_LIST, {END}, "agency", NULL},
	{"agency", "revoke", ADMIN_AGENCY_REVOKE, {WORD("CODE", "its keys stop within a second"), END}, "agency", NULL},
	{"agency", "reinstate", ADMIN_AGENCY_REINSTATE, {WORD("CODE", "a revoked agency takes part again"), END}, "agency", NULL},
	{"desk", "add", ADMIN_DESK_ADD,
		{WORD("CODE", "short name"), {"--agency", TEXT, "CODE", "whose desk it is", true, NULL},
			{"--name", TEXT, "NAME", "full name", true, NULL}, END},
		"desk", "jukwaa admin desk add NAIROBI --agency KPS --name 'Nairobi control room'"},
	{"desk", "list", ADMIN_DESK_LIST, {END}, "desk", NULL},
	{"desk", "revoke", ADMIN_DESK_REVOKE, {WORD("CODE", "its keys stop within a second"), END}, "desk", NULL},
	{"desk", "reinstate", ADMIN_DESK_REINSTATE, {WORD("CODE", "a revoked desk takes part again"), END}, "desk", NULL},
	{"key", "add", ADMIN_KEY_ADD,
		{{"--file", KEY_PAIR, "FILE", "FILE.pub of the party, made by `jukwaa key new`", true, NULL},
			{"--role", UPPER, "ROLE", "publisher, desk or operator", true, NULL},
			{"--realm", UPPER, "REALM", "live or exercise; default: the database's", false, NULL},
			{"--agency", TEXT, "CODE", "whose key it is", true, NULL},
			{"--desk", TEXT, "CODE", "for role desk", false, NULL},
			{"--cap-sender", SENDERS, "SENDER", "CAP sender it may speak for; may be given several times", false,
				NULL},
			{"--any-sender", SENDERS, NULL, "it may relay any CAP sender", false, NULL},
			{"--may-sign", SWITCH, NULL, "it may propose and accept agreements for its agency", false, NULL},
			{"--rate-limit", NUMBER, "N", "reports a second, 0: none", false, "0"},
			{"--note", TEXT, "TEXT", "for people", false, ""},
			{"--from", TIME, "TIME", "RFC 3339; it is refused before; default: at once", false, NULL},
			{"--expires", END_TIME, "TIME", "RFC 3339, or never; as if revoked from then on; default: as it was",
				false, NULL},
			END},
		"key", "jukwaa admin key add --file police.key.pub --role publisher --agency KPS --any-sender"},
	{"key", "rotate", ADMIN_KEY_ROTATE,
		{{NULL, KEY_FILE, "OLD.pub|HEX", "the key that ends", true, NULL},
			{"--file", KEY_PAIR, "NEW.pub", "takes over role, agency, desk, senders and limits", true, NULL},
			{"--overlap", SPAN, "SPAN", "how long the old one stays good: 7d, 12h, 90m or 0", false, "7d"},
			{"--expires", END_TIME, "TIME", "end of the new key, RFC 3339, or never", false, "never"}, END},
		"key", "jukwaa admin key rotate police.key.pub --file police-2027.key.pub --overlap 7d"},
	{"key", "list", ADMIN_KEY_LIST, {END}, "key", NULL},
	{"key", "revoke", ADMIN_KEY_REVOKE,
		{{NULL, KEY_FILE, "FILE|HEX", "FILE.pub, or the public CURVE key in hex", true, NULL}, END}, "key", NULL},
	{"key", "reinstate", ADMIN_KEY_REINSTATE, {{NULL, KEY_FILE, "FILE|HEX", "a revoked key works again", true, NULL}, END},
		"key", NULL},
	{"allow", "add", ADMIN_ALLOW_ADD,
		{{"--desk", TEXT, "CODE", "the operator's own grant, without an agreement: who may have copies", true, NULL},
			{"--agency", TEXT, "CODE", "of whose incidents; default: any", false, NULL},
			{"--county", TEXT, "CODE", "three digits; default: any", false, NULL},
			{"--category", CATEGORY, "WORD", "FIRE, HEALTH, …; default: any", false, NULL},
			{"--tlp-ceiling", TLP, "LABEL", "highest label: CLEAR, GREEN, AMBER, AMBER_STRICT", false, "AMBER"},
			{"--until", TIME, "TIME", "RFC 3339; default: no end", false, NULL}, END},
		"desk", "jukwaa admin allow add --desk NAIROBI --county 047 --tlp-ceiling AMBER"},
	{"allow", "list", ADMIN_ALLOW_LIST, {{"--desk", TEXT, "CODE", "of this desk only", false, NULL}, END}, "row", NULL},
	{"allow", "revoke", ADMIN_ALLOW_REVOKE, {{NULL, NUMBER, "ID", "allow_id, see list", true, NULL}, END}, "row", NULL},
	{"target", "add", ADMIN_TARGET_ADD,
		{{"--category", CATEGORY, "WORD", "of cases of this category; default: any", false, NULL},
			{"--severity", SEVERITY, "WORD", "of this severity; default: any", false, NULL},
			{"--triage", SPAN, "SPAN", "triaged within: 15m, 2h, 1d", false, NULL},
			{"--resolve", SPAN, "SPAN", "resolved within", false, NULL}, END},
		"target", "jukwaa admin target add --category FIRE --severity EXTREME --triage 5m --resolve 1d"},
	{"target", "list", ADMIN_TARGET_LIST, {END}, "target", NULL},
	{"target", "remove", ADMIN_TARGET_REMOVE,
		{{NULL, NUMBER, "ID", "target_id, see list; cases keep theirs", true, NULL}, END}, "target", NULL},
	{"rule", "add", ADMIN_RULE_ADD,
		{WORD("NAME", "short name"),
			{"--desk", TEXT, "CODE", "the rule never tells what this desk may not see", true, NULL},
			{"--county", TEXT, "CODE", "default: any", false, NULL},
			{"--category", CATEGORY, "WORD", "default: any", false, NULL},
			{"--min-severity", SEVERITY, "WORD", "EXTREME, SEVERE, MODERATE or MINOR", false, NULL},
			{"--include-test", SWITCH, NULL, "also TEST and SYSTEM", false, NULL},
			{"--url", TEXT, "URL", "http(s) webhook", true, NULL},
			{"--secret-file", SECRET_FILE, "FILE", "signing secret (whsec_…, mode 0600), made when absent", true,
				NULL},
			END},
		"rule",
		"jukwaa admin notify rule add night --desk NAIROBI --county 047 --url https://example.ke/hook --secret-file "
		"/etc/jukwaa/night.whsec"},
	{"rule", "list", ADMIN_RULE_LIST, {END}, "rule", NULL},
	{"rule", "revoke", ADMIN_RULE_REVOKE, {WORD("NAME", "nothing more is sent for it"), END}, "rule", NULL},
	{"rule", "reinstate", ADMIN_RULE_REINSTATE, {WORD("NAME", "a revoked rule speaks again"), END}, "rule", NULL},
	{"dead", "list", ADMIN_DEAD_LIST, {END}, "message", NULL},
	{"dead", "requeue", ADMIN_DEAD_REQUEUE,
		{{NULL, TEXT, "ID", "message_id, see list", true, NULL},
			{"--all", ALL, NULL, "every dead letter instead of one", false, NULL}, END},
		"message", "jukwaa admin notify dead requeue --all"},
	{"epoch", "confirm", ADMIN_EPOCH_CONFIRM, {END}, "epoch", NULL},
	{"epoch", "show", ADMIN_EPOCH_SHOW, {END}, "epoch", NULL},
	{"retention", "set", ADMIN_RETENTION_SET,
		{WORD("KIND", "event, report, protected, dedup, spool, disclosure, access, message or head; see list"),
			{NULL, DAYS, "DAYS", "how long it is kept, or forever; in force within seconds", true, NULL}, END},
		"kind", "jukwaa admin retention set disclosure 1460"},
	{"retention", "list", ADMIN_RETENTION_LIST, {END}, "kind", NULL},
	{"retention", "confirm", ADMIN_RETENTION_CONFIRM, {END}, "clock", NULL},
	{"access", "list", ADMIN_ACCESS_LIST,
		{{"--case", UUID, "ID", "who asked for this case, or was shown it in a list", false, NULL},
			{"--agency", TEXT, "CODE", "by keys of this agency", false, NULL},
			{"--since", TIME, "TIME", "RFC 3339; default: all that is kept", false, NULL},
			{"--limit", NUMBER, "N", "the newest so many", false, "1000"}, END},
		"reading", "jukwaa admin access list --agency KPS --since 2026-11-01T00:00:00Z"},
	{"hold", "add", ADMIN_HOLD_ADD,
		{WORD("INCIDENT", "nothing of it is removed by age or erased"),
			{"--reason", TEXT, "TEXT", "without personal data", true, NULL},
			{"--by", TEXT, "WHO", "who decided it; default: the database's user", false, NULL},
			{"--until", TIME, "TIME", "RFC 3339; default: until it is released", false, NULL}, END},
		"incident", "jukwaa admin hold add 0192d0a4-… --reason 'Milimani 1143/2026' --until 2027-12-31T00:00:00+03:00"},
	{"hold", "list", ADMIN_HOLD_LIST, {END}, "hold", NULL},
	{"hold", "release", ADMIN_HOLD_RELEASE, {{NULL, NUMBER, "ID", "hold_id, see list", true, NULL}, END}, "hold", NULL},
	{"erasure", "list", ADMIN_ERASURE_LIST, {{NULL, TEXT, "INCIDENT", "of this one only", false, NULL}, END}, "erasure",
		NULL},
};

/* Parameters of one call, in the order of the table; texts made here live in the arena. */
struct call {
	const struct operation *operation;
	const char *values[VALUES_MAX];
	struct jk_buffer senders;
	struct jk_arena *arena;
};

/* A PostgreSQL array of texts: each quoted. */
static void add_sender(struct jk_buffer *senders, const char *sender)
{
	jk_buffer_printf(senders, "%s\"", senders->size ? "," : "{");
	for (; *sender; sender++)
		jk_buffer_printf(senders, *sender == '"' || *sender == '\\' ? "\\%c" : "%c", *sender);
	jk_buffer_printf(senders, "\"");
}

/* Reads FILE.pub or hex into texts: the CURVE and the Ed25519 key. Hex has the first only; where both are needed it will not do.
 */
static bool read_key(struct call *call, bool pair, const char *text, const char **ret_curve, const char **ret_sign)
{
	uint8_t curve[JK_KEY_BYTES], sign[JK_KEY_BYTES] = {0};
	struct jk_refusal refusal;
	if ((pair || !jk_hex_decode(curve, sizeof curve, text)) && jk_key_read_public(text, curve, sign, &refusal) != JK_OK) {
		cli_fail(CLI_USAGE, "give the FILE.pub that `jukwaa key new` wrote", "%s", refusal.reason);
		return false;
	}
	char *curve_hex = jk_arena_alloc(call->arena, JK_KEY_HEX_BYTES),
	     *sign_hex = jk_arena_alloc(call->arena, JK_KEY_HEX_BYTES);
	if (!curve_hex || !sign_hex)
		return false;
	jk_hex_encode(curve_hex, curve, sizeof curve);
	jk_hex_encode(sign_hex, sign, sizeof sign);
	*ret_curve = curve_hex;
	*ret_sign = sign_hex;
	return true;
}

static const char *word_number(struct call *call, const struct jk_words *words, const char *word)
{
	int number = jk_words_number(words, word);
	if (number > 0)
		return jk_arena_printf(call->arena, "%d", number);
	cli_fail(CLI_USAGE, NULL, "do not know the word '%s'", word);
	return NULL;
}

static const char *upper(struct call *call, const char *text)
{
	char *word = jk_arena_string(call->arena, text, strlen(text));
	for (char *c = word; c && *c; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
	return word;
}

/* "7d", "12h", "90m", "0" -> an interval of SQL. */
static const char *span(struct call *call, const char *text)
{
	static const struct {
		char letter;
		const char *unit;
	} units[] = {{'d', "days"}, {'h', "hours"}, {'m', "minutes"}};
	char digits[8];
	size_t size = strspn(text, "0123456789");
	int64_t number;
	if (size > 0 && size < sizeof digits) {
		memcpy(digits, text, size);
		digits[size] = '\0';
		for (size_t i = 0; i < sizeof units / sizeof *units; i++)
			if (text[size] == units[i].letter && !text[size + 1] && jk_text_to_int64(digits, 0, 999999, &number))
				return jk_arena_printf(call->arena, "%s %s", digits, units[i].unit);
	}
	if (!strcmp(text, "0"))
		return "0 days";
	cli_fail(CLI_USAGE, NULL, "'%s' is no span of time: 7d, 12h, 90m or 0", text);
	return NULL;
}

/* The parameter's text for SQL; NULL: said. */
static const char *convert(struct call *call, enum form form, const char *text)
{
	struct jk_id id;
	int64_t number;
	switch (form) {
	case CATEGORY:
		return word_number(call, &jk_categories, text);
	case TLP:
		return word_number(call, &jk_tlps, text);
	case SEVERITY:
		return word_number(call, &jk_severities, text);
	case UPPER:
		return upper(call, text);
	case SECRET_FILE:
		return admin_secret_file(text) == CLI_OK ? text : NULL;
	case TIME:
		if (!jk_time_parse(text, &number))
			break;
		return text;
	case UUID:
		if (!jk_id_parse(text, &id))
			break;
		return text;
	case END_TIME:
		if (strcmp(text, "never") == 0)
			return "infinity";
		if (!jk_time_parse(text, &number))
			break;
		return text;
	case SPAN:
		return span(call, text);
	case NUMBER:
		if (!jk_text_to_int64(text, 0, INT32_MAX, &number))
			break;
		return text;
	case DAYS:
		if (strcmp(text, "forever") != 0 && !jk_text_to_int64(text, 1, DAYS_MAX, &number))
			break;
		return text;
	default:
		return text;
	}
	if (form == END_TIME)
		cli_fail(CLI_USAGE, NULL, "'%s' is neither an RFC 3339 time with a zone nor 'never'", text);
	else if (form == TIME)
		cli_fail(CLI_USAGE, NULL, "'%s' is no RFC 3339 time with a zone", text);
	else if (form == UUID)
		cli_fail(CLI_USAGE, NULL, "'%s' is no id (8-4-4-4-12 hex digits)", text);
	else if (form == DAYS)
		cli_fail(CLI_USAGE, NULL, "'%s' is neither a number of days, 1 to %d, nor 'forever'", text, DAYS_MAX);
	else
		cli_fail(CLI_USAGE, NULL, "'%s' is no number", text);
	return NULL;
}

/* Takes one argument for the parameter when it is at hand. *ret_good false: said. */
static bool take(struct call *call, struct cli_args *args, int at, bool *ret_good)
{
	const struct parameter *parameter = &call->operation->parameters[at];
	const char *text = NULL;
	bool is_switch = !parameter->value_name;
	if (!parameter->option) {
		if (call->values[at] || !(text = cli_args_word(args)))
			return false;
	} else if (!cli_args_take(args, parameter->option, is_switch ? NULL : &text)) {
		return false;
	} else if (!is_switch && !text) {
		cli_usage("admin", "%s needs a value", parameter->option);
		*ret_good = false;
		return true;
	}
	if (parameter->form == SENDERS)
		add_sender(&call->senders, text ? text : "*");
	else if (is_switch)
		call->values[at] = "true";
	else
		call->values[at] =
			parameter->form == KEY_FILE || parameter->form == KEY_PAIR ? text : convert(call, parameter->form, text);
	*ret_good = parameter->form == SENDERS || call->values[at];
	return true;
}

static int count_parameters(const struct operation *operation)
{
	int count = 0;
	while (operation->parameters[count].option || operation->parameters[count].value_name)
		count++;
	return count;
}

/* A switch such as --all stands in for the word that names one. */
static bool has_all(const struct call *call)
{
	for (int i = 0; i < count_parameters(call->operation); i++)
		if (call->operation->parameters[i].form == ALL && call->values[i] && !strcmp(call->values[i], "true"))
			return true;
	return false;
}

static bool read_arguments(struct call *call, struct cli_args *args)
{
	int count = count_parameters(call->operation);
	while (cli_args_peek(args)) {
		bool good = true, taken = false;
		for (int i = 0; i < count && !taken; i++)
			taken = take(call, args, i, &good);
		if (!taken)
			cli_usage("admin", "%s %s does not take '%s'", call->operation->object, call->operation->verb,
				cli_args_peek(args));
		if (!taken || !good)
			return false;
	}
	for (int i = 0; i < count; i++) {
		const struct parameter *parameter = &call->operation->parameters[i];
		if (!call->values[i] && parameter->fallback)
			call->values[i] = convert(call, parameter->form, parameter->fallback);
		if (!call->values[i] && (parameter->form == SWITCH || parameter->form == ALL))
			call->values[i] = "false";
		if (!call->values[i] && parameter->required && !has_all(call)) {
			cli_usage("admin", "%s %s needs %s", call->operation->object, call->operation->verb,
				parameter->option ? parameter->option : parameter->value_name);
			return false;
		}
	}
	return true;
}

/* The statement's parameters: the table's, a key file as two, the senders as one array. Returns how many; -1: said. */
static int bind(struct call *call, const char **ret_params)
{
	int count = 0;
	bool senders_bound = false;
	for (int i = 0; i < count_parameters(call->operation); i++) {
		enum form form = call->operation->parameters[i].form;
		if (form == SENDERS && senders_bound)
			continue;
		if (form == SENDERS) {
			jk_buffer_printf(&call->senders, call->senders.size ? "}" : "{}");
			ret_params[count++] = call->senders.data;
			senders_bound = true;
		} else if (form == KEY_FILE || form == KEY_PAIR) {
			const char *sign;
			if (!read_key(call, form == KEY_PAIR, call->values[i], &ret_params[count++], &sign))
				return -1;
			if (form == KEY_PAIR)
				ret_params[count++] = sign;
		} else {
			ret_params[count++] = call->values[i];
		}
	}
	return count;
}

/* Objects of `jukwaa admin notify …`. */
static bool is_below_notify(const struct operation *operation)
{
	return !strcmp(operation->object, "rule") || !strcmp(operation->object, "dead");
}

/* Why a rotation was not done; NULL: it was. */
static const char *rotation_refusal(const char *done)
{
	if (!strcmp(done, "revoked"))
		return "the old key is revoked: what it could do cannot be taken over; use key add for the new one";
	return !strcmp(done, "taken") ? "the new key is registered already, and not as what follows this one" : NULL;
}

/* What a change came to. name: of the thing, where it has one that people typed; NULL: none. */
static int print_done(const struct cli *cli, const struct operation *operation, const struct admin_rows *rows, const char *name)
{
	const char *done = admin_rows_count(rows) ? admin_rows_text(rows, "done") : "unchanged";
	if (!strcmp(operation->verb, "add") && !strcmp(done, "revoked")) {
		char next[128];
		jk_text_format(next, sizeof next, "jukwaa admin %s%s reinstate %s", is_below_notify(operation) ? "notify " : "",
			operation->object, name ? name : "FILE");
		return cli_fail(CLI_REFUSED, next, "this %s is revoked; adding it again does not change that", operation->what);
	}
	if (!strcmp(operation->verb, "rotate") && rotation_refusal(done))
		return cli_fail(CLI_REFUSED, NULL, "%s", rotation_refusal(done));
	if (cli->json && admin_rows_count(rows))
		admin_rows_print(cli, rows);
	else if (cli->json)
		printf("{\"done\":\"unchanged\"}\n");
	else if (!strcmp(operation->verb, "rotate"))
		printf("key: %s; the old one is good until %s\n", done, admin_rows_text(rows, "old_expires_at"));
	else
		printf("%s%s%s: %s\n", operation->object, name ? " " : "", name ? name : "", done);
	return CLI_OK;
}

static int run_operation(const struct cli *cli, struct call *call)
{
	const struct operation *operation = call->operation;
	const char *params[VALUES_MAX];
	int status = CLI_USAGE, count = bind(call, params);
	struct admin_store *store = count < 0 ? NULL : admin_store_open(cli, 0, &status);
	struct admin_rows *rows = store ? admin_store_run(store, operation->statement, params, count, &status) : NULL;
	if (rows) {
		bool lists = !strcmp(operation->verb, "list") || !strcmp(operation->verb, "show");
		bool adds = !strcmp(operation->verb, "add");
		status = CLI_OK;
		if (lists)
			admin_rows_print(cli, rows);
		else if (!admin_rows_count(rows) && (!adds || operation->statement == ADMIN_HOLD_ADD))
			status = cli_fail(CLI_REFUSED, NULL, "there is no such %s: %s", operation->what, params[0]);
		else
			status = print_done(cli, operation, rows, operation->parameters[0].option ? NULL : call->values[0]);
	}
	admin_rows_free(&rows);
	admin_store_close(&store);
	return status;
}

static void print_operation(const struct operation *operation)
{
	printf("  jukwaa admin %s%s %s", is_below_notify(operation) ? "notify " : "", operation->object, operation->verb);
	for (int i = 0; i < count_parameters(operation); i++)
		if (!operation->parameters[i].option)
			printf(operation->parameters[i].required ? " %s" : " [%s]", operation->parameters[i].value_name);
	printf("\n");
	for (int i = 0; i < count_parameters(operation); i++) {
		const struct parameter *parameter = &operation->parameters[i];
		char left[48];
		jk_text_format(left, sizeof left, "%s %s", parameter->option ? parameter->option : "",
			parameter->value_name ? parameter->value_name : "");
		printf("      %-24s %s%s\n", parameter->option ? left : parameter->value_name, parameter->help,
			parameter->required && parameter->option ? " (required)" : "");
	}
	if (operation->example)
		printf("      for example: %s\n", operation->example);
}

static void print_migrate(void)
{
	printf("  jukwaa admin migrate [--sql DIR] [--realm live|exercise] [--passwords FILE] [--create-database] [--wait S]\n"
	       "      makes or updates the schema; harmless when repeated\n"
	       "      --sql DIR                NNN_name.sql, applied in order; default: JUKWAA_SQL, else as installed\n"
	       "      --realm REALM            live (default) or exercise; written once, never changed\n"
	       "      --passwords FILE         pgpass file: its jukwaa_… roles get their passwords\n"
	       "      --create-database        makes the database that JUKWAA_DATABASE names, where it is missing\n"
	       "      --wait S                 seconds to wait for PostgreSQL to answer; default 0\n"
	       "      for example: JUKWAA_DATABASE='host=/run/postgresql dbname=jukwaa user=postgres' jukwaa admin migrate\n");
}

/* object NULL: all of them. */
static int print_help(const char *object)
{
	bool all = !object, known = all;
	printf("jukwaa admin: agencies, desks, keys, rules and the database, in JUKWAA_DATABASE.\n\n");
	if (all || !strcmp(object, "migrate")) {
		print_migrate();
		known = true;
	}
	for (enum jk_pact_kind kind = JK_PACT_AGREEMENT; kind <= JK_PACT_TASK_FORCE; kind++)
		if (all || !strcmp(object, admin_pact_object(kind))) {
			admin_pact_help(kind);
			known = true;
		}
	if (all || !strcmp(object, "erase")) {
		admin_erase_help();
		known = true;
	}
	if (all || !strcmp(object, "duty")) {
		admin_duty_help();
		known = true;
	}
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
		bool notify = !all && !strcmp(object, "notify") && is_below_notify(&operations[i]);
		if (all || notify || !strcmp(object, operations[i].object)) {
			print_operation(&operations[i]);
			known = true;
		}
	}
	if (!known)
		return cli_usage("admin", "do not know '%s'", object);
	printf("\n  --json prints one object a line. An add that changes nothing says \"unchanged\": scripts may run twice.\n");
	return CLI_OK;
}

static const struct operation *find_operation(const char *object, const char *verb)
{
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (!strcmp(operations[i].object, object) && !strcmp(operations[i].verb, verb))
			return &operations[i];
	return NULL;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return argc < 2;
}

/* The last of the first two words: "rule" of `admin notify rule --help`; NULL: none. */
static const char *help_topic(int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-')
		return NULL;
	return !strcmp(argv[1], "notify") && argc > 2 && argv[2][0] != '-' ? argv[2] : argv[1];
}

int cli_admin(const struct cli *cli, int argc, char **argv)
{
	bool below_notify = argc > 1 && !strcmp(argv[1], "notify");
	struct cli_args args = {argc, argv, below_notify ? 2 : 1, false};
	if (wants_help(argc, argv))
		return print_help(help_topic(argc, argv));
	const char *object = cli_args_word(&args);
	if (object && !strcmp(object, "migrate"))
		return admin_migrate(cli, &args);
	for (enum jk_pact_kind kind = JK_PACT_AGREEMENT; object && kind <= JK_PACT_TASK_FORCE; kind++)
		if (!strcmp(object, admin_pact_object(kind)))
			return admin_pact(cli, kind, &args);
	if (object && !strcmp(object, "erase"))
		return admin_erase(cli, &args);
	if (object && !strcmp(object, "duty"))
		return admin_duty(cli, &args);
	const char *verb = cli_args_word(&args);
	const struct operation *operation = object && verb ? find_operation(object, verb) : NULL;
	if (!operation)
		return cli_usage("admin", "do not know '%s%s%s'", object ? object : "", verb ? " " : "", verb ? verb : "");
	struct call call = {.operation = operation, .arena = jk_arena_new(64 * 1024)};
	int status =
		call.arena && jk_crypt_init() == JK_OK && read_arguments(&call, &args) ? run_operation(cli, &call) : CLI_USAGE;
	jk_buffer_done(&call.senders);
	jk_arena_free(&call.arena);
	return status;
}
