/* admin_pact.c: `jukwaa admin agreement|taskforce VERB …`: one table of verbs, what they take, help. */
#include "services/cli/admin_pact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/crypt.h"
#include "services/cli/pact_store_pg.h"

enum { ARENA_BYTES = 1024 * 1024 * 1024 };

const char *admin_pact_object(enum jk_pact_kind kind)
{
	return kind == JK_PACT_TASK_FORCE ? "taskforce" : "agreement";
}

int admin_pact_load(struct admin_pact *call)
{
	int status = CLI_REFUSED;

	jk_arena_reset(call->arena);
	if (!call->store)
		call->store = admin_store_open(call->cli, 0, &status);
	call->book = call->store ? pact_store_load(call->store, call->arena, &status) : NULL;
	return call->book ? CLI_OK : status;
}

struct jk_pact *admin_pact_named(struct admin_pact *call, int *ret_status)
{
	if (call->word_count != 1) {
		*ret_status = cli_usage("admin", "%s %s takes one CODE", admin_pact_object(call->kind), call->verb);
		return NULL;
	}
	*ret_status = admin_pact_load(call);
	if (*ret_status != CLI_OK)
		return NULL;
	struct jk_pact *pact = pact_book_find(call->book, call->kind, call->words[0]);
	if (!pact)
		*ret_status = cli_fail(
			CLI_REFUSED, NULL, "NOT_FOUND: there is no such %s: %s", admin_pact_object(call->kind), call->words[0]);
	return pact;
}

int admin_pact_version(
	const struct admin_pact *call, const struct jk_pact *pact, const struct jk_pact_state *state, int *ret_status)
{
	int index = state->holds >= 0 ? state->holds : (int)pact->version_count - 1;

	for (size_t i = 0; call->version && i < pact->version_count; i++)
		if (pact->versions[i].version == call->version)
			return (int)i;
	if (!call->version && index >= 0)
		return index;
	*ret_status = cli_fail(CLI_REFUSED, NULL, "NOT_FOUND version: there is no such version");
	return -1;
}

static const struct {
	const char *verb;
	enum jk_act act;                     /* with a CODE */
	int (*run)(struct admin_pact *call); /* else */
	const char *arguments, *help;
} verbs[] = {
	{"propose", JK_ACT_NONE, admin_pact_propose, "FILE… | -",
		"sign and propose what a JSON file says; --dry-run shows what it means"},
	{"accept", JK_ACT_ACCEPT, NULL, "CODE", "consent to the version that waits; a member joins what is in force"},
	{"suspend", JK_ACT_SUSPEND, NULL, "CODE", "stop it at once"},
	{"resume", JK_ACT_RESUME, NULL, "CODE", "only who suspended it can"},
	{"withdraw", JK_ACT_WITHDRAW, NULL, "CODE", "take back one's proposal, or end what is in force for good"},
	{"leave", JK_ACT_LEAVE, NULL, "CODE", "a task force's member leaves; only a later version can have it back"},
	{"submit", JK_ACT_NONE, admin_pact_submit, "FILE…", "write acts that were signed at an agency by jukwaa agreement sign"},
	{"import", JK_ACT_NONE, admin_pact_propose, "FILE…", "the same as propose; what is known already is left as it is"},
	{"list", JK_ACT_NONE, admin_pact_list, "", "what there is, and how it stands; --all: also allow rows and old versions"},
	{"show", JK_ACT_NONE, admin_pact_show, "CODE", "what a version means, who has consented; --history: every act"},
	{"export", JK_ACT_NONE, admin_pact_export, "CODE | --all",
		"the document, one field a line; --last: what jukwaa agreement sign goes on from"},
};

void admin_pact_help(enum jk_pact_kind kind)
{
	const char *object = admin_pact_object(kind);

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		printf("  jukwaa admin %s %s %s\n      %s\n", object, verbs[i].verb, verbs[i].arguments, verbs[i].help);
	printf("      --key FILE               the signer's key file (for acts; added with --may-sign)\n"
	       "      --version N              which version; default: the one the act is about\n"
	       "      --agency CODE            list: with this party; acts: where the key signs for several\n"
	       "      --out FILE               export: into a new file\n");
	if (kind == JK_PACT_AGREEMENT)
		printf("      for example: jukwaa admin agreement propose kps-krcs.json --key police.key\n");
}

static bool take_option(struct admin_pact *call, struct cli_args *args, bool *ret_good)
{
	const struct {
		const char *name;
		bool *value;
	} switches[] = {
		{"--all", &call->all}, {"--dry-run", &call->dry_run}, {"--history", &call->history}, {"--last", &call->last}};
	const char *text = NULL;
	int64_t number;

	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
		if (cli_args_take(args, switches[i].name, NULL))
			return *switches[i].value = true;
	if (cli_args_take(args, "--agency", &call->agency) || cli_args_take(args, "--out", &call->out))
		return true;
	if (!cli_args_take(args, "--version", &text))
		return false;
	*ret_good = text && jk_text_to_int64(text, 1, INT32_MAX, &number);
	if (*ret_good)
		call->version = (uint32_t)number;
	else
		cli_usage("admin", "--version needs a number from 1");
	return true;
}

static bool read_arguments(struct admin_pact *call, struct cli_args *args)
{
	call->words = calloc((size_t)args->argc + 1, sizeof *call->words);
	while (call->words && cli_args_peek(args)) {
		bool good = true;
		if (take_option(call, args, &good)) {
			if (!good)
				return false;
			continue;
		}
		const char *word = cli_args_word(args);
		if (!word) {
			cli_usage("admin", "%s %s does not take '%s'", admin_pact_object(call->kind), call->verb,
				cli_args_peek(args) ? cli_args_peek(args) : "");
			return false;
		}
		call->words[call->word_count++] = word;
	}
	if (cli_args_missing(args))
		cli_usage("admin", "%s needs a value", cli_args_missing(args));
	return call->words && !cli_args_missing(args);
}

static int run_verb(struct admin_pact *call)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verbs[i].verb, call->verb) == 0)
			return verbs[i].run ? verbs[i].run(call) : admin_pact_on_code(call, verbs[i].act);
	return cli_usage("admin", "do not know '%s %s'", admin_pact_object(call->kind), call->verb);
}

int admin_pact(const struct cli *cli, enum jk_pact_kind kind, struct cli_args *args)
{
	struct admin_pact call = {.cli = cli, .kind = kind, .verb = cli_args_word(args)};
	int status = CLI_USAGE;

	if (!call.verb)
		return cli_usage("admin", "say what to do with %ss: propose, accept, list, show, …", admin_pact_object(kind));
	call.arena = jk_arena_new(ARENA_BYTES);
	if (call.arena && jk_crypt_init() == JK_OK && read_arguments(&call, args))
		status = run_verb(&call);
	admin_store_close(&call.store);
	jk_arena_free(&call.arena);
	free(call.words);
	return status;
}
