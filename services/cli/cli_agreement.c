/* cli_agreement.c: `jukwaa agreement sign|show`: at an agency, without the exchange: what is signed here is carried to the
 * operator, who submits it. The agency needs its key file, and what the operator exported. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_time.h"
#include "services/cli/cli_commands.h"
#include "services/cli/pact_book.h"
#include "services/cli/pact_file.h"
#include "services/cli/pact_text.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

struct signing {
	const struct cli *cli;
	struct jk_arena *arena;
	const char *file, *act, *agency, *after_file, *out;
	enum jk_pact_kind kind;
	const char *document;  /* canonical; NULL: none yet */
	struct pact_act after; /* statement NULL: it is the first act */
};

static int fail_file(const char *path, const struct jk_refusal *refusal)
{
	return cli_fail(CLI_REFUSED, NULL, "%s: %s%s%s: %s", path, jk_words_name(&jk_codes, (int)refusal->code),
		refusal->field[0] ? " " : "", refusal->field, refusal->reason);
}

/* The text behind an act must be what the act is about, where both are of one version. */
static bool check_act_document(
	const struct pact_act *act, enum jk_pact_kind kind, struct jk_arena *arena, struct jk_refusal *ret_refusal)
{
	struct jk_pact_name name;
	uint8_t digest[JK_SHA256_BYTES];

	if (!jk_pact_name_read(kind, act->document, arena, &name, ret_refusal))
		return false;
	jk_pact_digest(digest, act->document);
	if (name.version == act->parts.version && memcmp(digest, act->parts.document, sizeof digest) != 0)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "document", "is not the one that was signed");
	return strcmp(name.code, act->parts.code) == 0 ||
	       jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "document", "is not of this pact");
}

/* A document or an act out of a file. */
static int take_file(struct signing *signing, const char *path)
{
	struct jk_refusal refusal;
	size_t size = 0;
	char *text = pact_file_read(path, &size);
	bool good = true;

	if (!text)
		return CLI_USAGE;
	enum pact_file_kind kind = pact_file_kind(text, size);
	if (kind == PACT_FILE_ACT) {
		good = pact_act_read(text, size, signing->arena, &signing->after, &refusal);
		signing->kind = signing->after.parts.kind;
		if (good && *signing->after.document) {
			good = check_act_document(&signing->after, signing->kind, signing->arena, &refusal);
			signing->document = signing->document ? signing->document : signing->after.document;
		}
	} else {
		signing->kind = kind == PACT_FILE_TASK_FORCE ? JK_PACT_TASK_FORCE : JK_PACT_AGREEMENT;
		good = jk_pact_canonical(signing->kind, text, size, signing->arena, &signing->document, &refusal);
	}
	free(text);
	return good ? CLI_OK : fail_file(path, &refusal);
}

static void print_act(const struct pact_act *act)
{
	char fingerprint[PACT_FINGERPRINT_BYTES] = "";

	pact_book_fingerprint(fingerprint, act->sign_key);
	printf("signed, with key %s:\n%s", fingerprint, act->statement);
}

/* ---- show ---- */

static int show(struct signing *signing)
{
	int status = take_file(signing, signing->file);

	if (status != CLI_OK)
		return status;
	if (signing->after.statement)
		print_act(&signing->after);
	if (!signing->document)
		return CLI_OK;
	(void)pact_text_warn(signing->kind, signing->document, signing->arena);
	(void)pact_text_explain(signing->kind, signing->document, signing->arena);
	printf("%s\n", signing->document);
	return CLI_OK;
}

/* ---- sign ---- */

static bool make_act(
	struct signing *signing, enum jk_act act, const struct jk_key *key, struct pact_act *ret, struct jk_refusal *ret_refusal)
{
	const struct pact_act *after = &signing->after;
	struct jk_act_row row = {.act = act, .act_no = after->statement ? after->parts.act_no + 1 : 1, .at_us = jk_time_now_us()};
	char statement[JK_STATEMENT_MAX_BYTES];
	uint8_t digest[JK_SHA256_BYTES];
	struct jk_pact_name name;

	if (!jk_pact_name_read(signing->kind, signing->document, signing->arena, &name, ret_refusal))
		return false;
	if (after->statement && (after->parts.kind != signing->kind || strcmp(after->parts.code, name.code) != 0))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "previous", "the act it goes on from is of another pact");
	row.version = name.version;
	if (!jk_text_copy(row.agency, sizeof row.agency, signing->agency))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "agency", "is no code");
	jk_pact_digest(digest, signing->document);
	size_t size = jk_act_write(statement, signing->kind, name.code, &row, digest, after->statement);
	*ret = (struct pact_act){.document = signing->document, .statement = jk_arena_string(signing->arena, statement, size)};
	if (!size || !ret->statement || !jk_statement_read(ret->statement, &ret->parts, ret_refusal))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "agency", "is no code");
	jk_sign(ret->signature, key, ret->statement, size);
	memcpy(ret->sign_key, key->sign_public, sizeof ret->sign_key);
	return true;
}

static int write_signed(const struct signing *signing, const struct pact_act *act)
{
	struct jk_buffer text = {0};

	if (signing->out && !signing->cli->json) {
		(void)pact_text_explain(signing->kind, signing->document, signing->arena);
		print_act(act);
	}
	pact_act_write(act, &text);
	bool good = !text.failed && pact_file_write(signing->out, text.data, text.size);
	jk_buffer_done(&text);
	return good ? CLI_OK : CLI_USAGE;
}

static int sign(struct signing *signing)
{
	int act = signing->act ? jk_words_number(&jk_pact_acts, signing->act) : 0;
	struct jk_refusal refusal;
	struct pact_act signed_act = {.statement = ""};
	struct jk_key key;

	if (act <= 0)
		return cli_usage("agreement", "sign needs --act propose, accept, suspend, resume, withdraw or leave");
	if (!signing->agency)
		return cli_usage("agreement", "sign needs --agency CODE: for whom you sign");
	if (!signing->cli->key_file)
		return cli_usage("agreement", "sign needs --key FILE: the agency's key file");
	int status = take_file(signing, signing->file);
	if (status == CLI_OK && signing->after_file)
		status = take_file(signing, signing->after_file);
	if (status != CLI_OK)
		return status;
	if (!signing->document)
		return cli_fail(CLI_USAGE, NULL, "%s: has no document with it", signing->file);
	if (!signing->after.statement && act != JK_ACT_PROPOSE)
		return cli_fail(CLI_USAGE, "ask the operator for: jukwaa admin agreement export CODE --last",
			"only the first proposal follows no act: give the newest one, as FILE or with --after");
	if (jk_key_read(signing->cli->key_file, &key, &refusal) != JK_OK)
		return cli_fail(CLI_USAGE, NULL, "%s", refusal.reason);
	bool good = make_act(signing, (enum jk_act)act, &key, &signed_act, &refusal);
	jk_key_wipe(&key);
	return good ? write_signed(signing, &signed_act) : fail_file(signing->file, &refusal);
}

int cli_agreement(const struct cli *cli, int argc, char **argv)
{
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	struct signing signing = {.cli = cli};
	const char *verb = cli_args_word(&args);
	int status = CLI_USAGE;

	while (verb && cli_args_peek(&args)) {
		if (cli_args_take(&args, "--act", &signing.act) || cli_args_take(&args, "--agency", &signing.agency) ||
			cli_args_take(&args, "--after", &signing.after_file) || cli_args_take(&args, "--out", &signing.out))
			continue;
		const char *word = signing.file ? NULL : cli_args_word(&args);
		if (!word)
			return cli_usage(
				"agreement", "%s does not take '%s'", verb, cli_args_peek(&args) ? cli_args_peek(&args) : "--");
		signing.file = word;
	}
	if (cli_args_missing(&args))
		return cli_usage("agreement", "%s needs a value", cli_args_missing(&args));
	if (!verb || (strcmp(verb, "sign") != 0 && strcmp(verb, "show") != 0))
		return cli_usage("agreement", "sign or show");
	if (!signing.file)
		return cli_usage("agreement", "%s takes a FILE", verb);
	signing.arena = jk_arena_new(ARENA_BYTES);
	if (signing.arena && jk_crypt_init() == JK_OK)
		status = strcmp(verb, "sign") == 0 ? sign(&signing) : show(&signing);
	jk_arena_free(&signing.arena);
	return status;
}
