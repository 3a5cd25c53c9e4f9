/* admin_pact_act.c: acts of agreements and task forces, from the operator's chair: each is checked by the rules that the services
 * go by when they load it, before it is written. */
#include "services/cli/admin_pact.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_time.h"
#include "services/cli/json_slice.h"
#include "services/cli/pact_file.h"
#include "services/cli/pact_store_pg.h"
#include "services/cli/pact_text.h"
#include "json/json_map.h"

static const int64_t minute_us = INT64_C(60) * 1000000;
/* How far an act's time may be off, and how long a signed act may travel to the operator. */
enum { CLOCK_OFF_MINUTES = 5, TRAVEL_DAYS = 7 };

/* An act on its way into the database. */
struct acting {
	struct admin_pact *call;
	struct jk_pact *pact; /* as it is; NULL: there is none yet */
	struct jk_act_row row;
	const char *code, *document;
	bool travelled;        /* was signed elsewhere */
	const uint8_t *digest; /* of the document that was signed elsewhere */
	struct jk_pact after;  /* with the new version and the new act */
	struct jk_pact_state state;
};

/* ---- saying ---- */

static int fail_act(const struct acting *acting, const struct jk_refusal *refusal)
{
	char fingerprint[PACT_FINGERPRINT_BYTES];
	bool forbidden = refusal->code == JK_CODE_NOT_PERMITTED || refusal->code == JK_CODE_REVOKED;

	pact_book_fingerprint(fingerprint, acting->row.sign_key);
	return cli_fail(forbidden ? CLI_NOT_PERMITTED : CLI_REFUSED, NULL, "%s %s: %s (%s %s, key %s)",
		jk_words_name(&jk_codes, (int)refusal->code), refusal->field, refusal->reason,
		jk_words_name(&jk_pact_acts, (int)acting->row.act), acting->code ? acting->code : "?", fingerprint);
}

static void print_done(const struct acting *acting, const char *done)
{
	const struct jk_pact *pact = &acting->after;
	int index = (int)pact->version_count - 1;

	while (index > 0 && pact->versions[index].version != acting->row.version)
		index--;
	const char *word =
		jk_words_name(&jk_pact_words, (int)pact_book_word(acting->call->book, pact, &acting->state, (size_t)index));
	if (acting->call->cli->json)
		printf("{\"done\":\"%s\",\"kind\":\"%s\",\"code\":\"%s\",\"version\":%" PRIu32
		       ",\"act\":\"%s\",\"act_no\":%d,\"agency\":\"%s\",\"state\":\"%s\"}\n",
			done, jk_words_name(&jk_pact_kinds, (int)pact->kind), acting->code, acting->row.version,
			jk_words_name(&jk_pact_acts, (int)acting->row.act), acting->row.act_no, acting->row.agency, word);
	else
		printf("%s %s version %" PRIu32 ": %s by %s %s; it is %s\n", admin_pact_object(pact->kind), acting->code,
			acting->row.version, jk_words_name(&jk_pact_acts, (int)acting->row.act), acting->row.agency, done, word);
}

/* ---- checking ---- */

/* The pact with the proposed version, if any, and room for the act. */
static bool extend_pact(struct acting *acting)
{
	static const struct jk_pact nothing;
	struct jk_arena *arena = acting->call->arena;
	const struct jk_pact *pact = acting->pact ? acting->pact : &nothing;
	struct jk_pact_version_row *versions = jk_arena_alloc(arena, (pact->version_count + 1) * sizeof *versions);
	struct jk_act_row *acts = jk_arena_alloc(arena, (pact->act_count + 1) * sizeof *acts);

	if (!versions || !acts)
		return false;
	if (pact->version_count > 0)
		memcpy(versions, pact->versions, pact->version_count * sizeof *versions);
	if (pact->act_count > 0)
		memcpy(acts, pact->acts, pact->act_count * sizeof *acts);
	acting->after = (struct jk_pact){.pact_id = pact->pact_id,
		.kind = acting->call->kind,
		.code = acting->code,
		.versions = versions,
		.version_count = pact->version_count,
		.acts = acts,
		.act_count = pact->act_count};
	if (acting->row.act == JK_ACT_PROPOSE) {
		versions[pact->version_count] =
			(struct jk_pact_version_row){.version = acting->row.version, .document = acting->document};
		acting->after.version_count++;
	}
	return true;
}

static const char *find_document(const struct jk_pact *pact, uint32_t version)
{
	for (size_t i = 0; pact && i < pact->version_count; i++)
		if (pact->versions[i].version == version)
			return pact->versions[i].document;
	return NULL;
}

/* An old number for other words, or the same words again. ret_same: nothing is to be done. */
static bool check_document(struct acting *acting, bool *ret_same, struct jk_refusal *ret_refusal)
{
	const char *stored = find_document(acting->pact, acting->row.version);
	uint8_t digest[JK_SHA256_BYTES];

	*ret_same = false;
	if (acting->row.act == JK_ACT_PROPOSE && stored) {
		*ret_same = strcmp(stored, acting->document) == 0;
		return *ret_same ||
		       jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "version",
			       "version %" PRIu32 " is another document; a change needs a number of its own, the next",
			       acting->row.version);
	}
	const char *document = acting->row.act == JK_ACT_PROPOSE ? acting->document : stored;
	if (!document)
		return jk_refuse(ret_refusal, JK_CODE_NOT_FOUND, "version", "there is no version %" PRIu32, acting->row.version);
	jk_pact_digest(digest, document);
	return !acting->digest || memcmp(digest, acting->digest, sizeof digest) == 0 ||
	       jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "document",
		       "what was signed is not the document of version %" PRIu32, acting->row.version);
}

static bool check_clock(const struct acting *acting, struct jk_refusal *ret_refusal)
{
	int64_t off_us = acting->row.at_us - acting->call->book->now_us;
	int64_t late_us = acting->travelled ? TRAVEL_DAYS * 24 * 60 * minute_us : CLOCK_OFF_MINUTES * minute_us;
	const struct jk_pact *pact = acting->pact;

	if (off_us > CLOCK_OFF_MINUTES * minute_us)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "at",
			"a wrong clock: it was signed %" PRId64 " minutes from now by the database's clock", off_us / minute_us);
	if (off_us < -late_us && acting->travelled)
		return jk_refuse(ret_refusal, JK_CODE_EXPIRED, "at", "it was signed more than %d days ago", TRAVEL_DAYS);
	if (off_us < -late_us)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "at",
			"a wrong clock: it was signed %" PRId64 " minutes ago by the database's clock", -off_us / minute_us);
	if (pact && pact->act_count > 0 &&
		acting->row.at_us < pact->acts[pact->act_count - 1].at_us - CLOCK_OFF_MINUTES * minute_us)
		return jk_refuse(
			ret_refusal, JK_CODE_RULE_VIOLATION, "at", "a wrong clock: it was signed before the act that it follows");
	return true;
}

/* Where in the history it stands. */
static bool check_place(const struct acting *acting, const struct jk_statement *parts, struct jk_refusal *ret_refusal)
{
	const struct jk_pact *pact = acting->pact;
	size_t count = pact ? pact->act_count : 0;
	uint8_t previous[JK_SHA256_BYTES];

	for (size_t i = 0; i < count; i++)
		if (strcmp(pact->acts[i].statement, acting->row.statement) == 0)
			return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "act_no", "a replay: it is act %zu already", i + 1);
	if ((size_t)parts->act_no != count + 1)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "act_no",
			"it is signed as act %d, and the next is %zu: sign again after the newest act", parts->act_no, count + 1);
	if (count == 0)
		return true;
	jk_pact_digest(previous, pact->acts[count - 1].statement);
	return memcmp(previous, parts->previous, sizeof previous) == 0 ||
	       jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "previous", "it follows another act than the newest: sign again");
}

/* May this act follow? By the state of now, with the lead and the members of now. */
static bool check_rules(struct acting *acting, bool is_operator, struct jk_refusal *ret_refusal)
{
	struct jk_refusal why;

	pact_book_decide(acting->call->book, &acting->after, &acting->state, &why);
	if (acting->state.closed)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, why.field, "it is closed: %s", why.reason);
	return jk_pact_may(&acting->after, &acting->state, acting->row.act, acting->row.version, acting->row.agency, is_operator,
		acting->call->arena, ret_refusal);
}

/* The last word is that of the function which services ask when they load it. */
static bool check_result(struct acting *acting, struct jk_refusal *ret_refusal)
{
	union {
		const struct jk_act_row *in;
		struct jk_act_row *out;
	} acts = {.in = acting->after.acts};

	acts.out[acting->after.act_count++] = acting->row;
	pact_book_decide(acting->call->book, &acting->after, &acting->state, ret_refusal);
	return !acting->state.closed;
}

/* ---- writing ---- */

static int write_act(struct acting *acting)
{
	struct jk_refusal refusal;
	int status = CLI_REFUSED;

	if (!check_result(acting, &refusal))
		return fail_act(acting, &refusal);
	switch (pact_store_add(acting->call->store, acting->call->kind, acting->code, &acting->row,
		acting->row.act == JK_ACT_PROPOSE ? acting->document : NULL, &status)) {
	case PACT_ADDED:
		print_done(acting, "written");
		return CLI_OK;
	case PACT_LOST:
		(void)jk_refuse(&refusal, JK_CODE_RULE_VIOLATION, "act_no", "another act came first: look at it and sign again");
		return fail_act(acting, &refusal);
	case PACT_NOT_SIGNER:
		(void)jk_refuse(&refusal, JK_CODE_REVOKED, "key", "this key has just been revoked");
		return fail_act(acting, &refusal);
	case PACT_FAILED:
		break;
	}
	return status;
}

/* ---- signing here ---- */

/* A version that was not given: the one the act is most likely about, when there is only one. */
static bool choose_version(struct acting *acting, struct jk_refusal *ret_refusal)
{
	struct jk_refusal ignored;
	struct jk_pact_state state;

	if (acting->row.version || !acting->pact)
		return true;
	pact_book_decide(acting->call->book, acting->pact, &state, &ignored);
	bool both = state.holds >= 0 && state.proposed >= 0;
	int index = state.holds;
	if (acting->row.act == JK_ACT_ACCEPT || acting->row.act == JK_ACT_WITHDRAW)
		index = state.proposed >= 0 ? state.proposed : state.holds;
	if (acting->row.act == JK_ACT_WITHDRAW && both)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "version",
			"one version holds and another waits: say which with --version");
	if (index < 0)
		index = (int)acting->pact->version_count - 1;
	if (index < 0)
		return jk_refuse(ret_refusal, JK_CODE_NOT_FOUND, "version", "it has no version");
	acting->row.version = acting->pact->versions[index].version;
	return true;
}

static bool sign(struct acting *acting, const struct jk_key *key, struct jk_refusal *ret_refusal)
{
	const struct jk_pact *pact = acting->pact;
	size_t count = pact ? pact->act_count : 0;
	char statement[JK_STATEMENT_MAX_BYTES];
	uint8_t digest[JK_SHA256_BYTES];

	acting->row.act_no = (int)count + 1;
	jk_pact_digest(digest, acting->row.act == JK_ACT_PROPOSE ? acting->document : find_document(pact, acting->row.version));
	size_t size = jk_act_write(statement, acting->call->kind, acting->code, &acting->row, digest,
		count > 0 ? pact->acts[count - 1].statement : NULL);
	acting->row.statement = size ? jk_arena_string(acting->call->arena, statement, size) : NULL;
	if (!acting->row.statement)
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "statement", "does not fit");
	jk_sign(acting->row.signature, key, statement, size);
	return true;
}

/* document: for PROPOSE. */
static int sign_and_write(struct acting *acting, const struct jk_key *key)
{
	struct jk_refusal refusal;
	bool same = false;

	memcpy(acting->row.sign_key, key->sign_public, sizeof acting->row.sign_key);
	acting->row.at_us = jk_time_now_us();
	acting->pact = pact_book_find(acting->call->book, acting->call->kind, acting->code);
	if (!acting->pact && acting->row.act != JK_ACT_PROPOSE)
		return cli_fail(CLI_REFUSED, NULL, "NOT_FOUND: there is no such %s: %s", admin_pact_object(acting->call->kind),
			acting->code);
	if (!choose_version(acting, &refusal) || !check_document(acting, &same, &refusal))
		return fail_act(acting, &refusal);
	if (same) {
		printf(acting->call->cli->json ? "{\"done\":\"unchanged\",\"code\":\"%s\"}\n" : "%s: unchanged\n", acting->code);
		return CLI_OK;
	}
	const struct pact_signer *signer =
		pact_book_signer(acting->call->book, acting->row.sign_key, acting->call->agency, &refusal);
	if (!signer)
		return fail_act(acting, &refusal);
	acting->row.agency_id = signer->agency_id;
	(void)jk_text_copy(acting->row.agency, sizeof acting->row.agency, signer->agency);
	if (!extend_pact(acting))
		return cli_fail(CLI_REFUSED, NULL, "out of memory");
	if (!check_clock(acting, &refusal) || !check_rules(acting, signer->is_operator, &refusal) || !sign(acting, key, &refusal))
		return fail_act(acting, &refusal);
	return write_act(acting);
}

static bool read_key(const struct admin_pact *call, struct jk_key *ret, int *ret_status)
{
	struct jk_refusal refusal;

	if (!call->cli->key_file) {
		*ret_status =
			cli_usage("admin", "%s %s needs --key KEYFILE: the signer's", admin_pact_object(call->kind), call->verb);
		return false;
	}
	if (jk_key_read(call->cli->key_file, ret, &refusal) == JK_OK)
		return true;
	*ret_status = cli_fail(CLI_USAGE, "name the signer's key file, as made by `jukwaa key new`", "%s", refusal.reason);
	return false;
}

int admin_pact_on_code(struct admin_pact *call, enum jk_act act)
{
	struct acting acting = {.call = call, .code = call->words[0], .row = {.act = act, .version = call->version}};
	struct jk_key key;
	int status;

	if (call->word_count != 1)
		return cli_usage("admin", "%s %s takes one CODE", admin_pact_object(call->kind), call->verb);
	if (!read_key(call, &key, &status))
		return status;
	status = admin_pact_load(call);
	if (status == CLI_OK)
		status = sign_and_write(&acting, &key);
	jk_key_wipe(&key);
	return status;
}

/* ---- documents ---- */

static int fail_document(const char *path, const struct jk_refusal *refusal)
{
	return cli_fail(CLI_REFUSED, NULL, "%s: %s%s%s: %s", path, jk_words_name(&jk_codes, (int)refusal->code),
		refusal->field[0] ? " " : "", refusal->field, refusal->reason);
}

/* One document out of a file: shown, and proposed unless it is a dry run. */
static int propose_text(struct admin_pact *call, const char *path, struct json_slice text, const struct jk_key *key)
{
	struct acting acting = {.call = call, .row = {.act = JK_ACT_PROPOSE}};
	struct jk_pact_name name;
	struct jk_refusal refusal;

	if (!jk_pact_canonical(call->kind, text.at, (size_t)(text.end - text.at), call->arena, &acting.document, &refusal) ||
		!jk_pact_name_read(call->kind, acting.document, call->arena, &name, &refusal))
		return fail_document(path, &refusal);
	acting.code = jk_arena_string(call->arena, name.code, strlen(name.code));
	acting.row.version = name.version;
	(void)pact_text_warn(call->kind, acting.document, call->arena);
	if (!call->cli->json)
		(void)pact_text_explain(call->kind, acting.document, call->arena);
	if (call->dry_run || !call->cli->json)
		printf("%s\n", acting.document);
	return call->dry_run ? CLI_OK : sign_and_write(&acting, key);
}

/* How many documents are in it: a list is looked through to its end before anything is done. -1: said. */
static int count_documents(const char *path, struct json_slice text, bool *ret_list)
{
	struct json_slice rest = text, value;
	int count = 0;

	*ret_list = json_slice_enter(&rest, '[');
	if (!*ret_list)
		return 1;
	while (json_slice_element(&rest, &value))
		count++;
	rest = json_slice_trim(rest);
	if (rest.end - rest.at == 1 && *rest.at == ']' && count > 0)
		return count;
	cli_fail(CLI_REFUSED, NULL, "%s: NOT_WELL_FORMED: is no list of documents", path);
	return -1;
}

/* A file of one document, or an array of them. What was proposed changes what may follow: the book is read anew each time. */
static int propose_file(struct admin_pact *call, const char *path, const struct jk_key *key)
{
	size_t size = 0;
	char *text = pact_file_read(path, &size);
	bool list = false;

	if (!text)
		return CLI_USAGE;
	struct json_slice rest = json_slice_trim((struct json_slice){text, text + size}), one = rest;
	int count = count_documents(path, rest, &list), worst = count < 0 ? CLI_REFUSED : CLI_OK;
	if (list)
		(void)json_slice_enter(&rest, '[');
	for (int i = 0; i < count && worst != CLI_UNREACHABLE && (!list || json_slice_element(&rest, &one)); i++) {
		int status = call->dry_run ? CLI_OK : admin_pact_load(call);
		if (status == CLI_OK)
			status = propose_text(call, path, one, key);
		worst = status > worst ? status : worst;
	}
	free(text);
	return worst;
}

int admin_pact_propose(struct admin_pact *call)
{
	struct jk_key key = {.curve_public = {0}};
	int status = CLI_OK, worst = CLI_OK;

	if (call->word_count < 1)
		return cli_usage(
			"admin", "%s %s takes a FILE, or - for standard input", admin_pact_object(call->kind), call->verb);
	if (!call->dry_run && !read_key(call, &key, &status))
		return status;
	for (int i = 0; i < call->word_count; i++) {
		status = propose_file(call, call->words[i], &key);
		worst = status > worst ? status : worst;
	}
	jk_key_wipe(&key);
	return worst;
}

/* ---- signed elsewhere ---- */

static int submit_act(struct admin_pact *call, const char *path, const struct pact_act *act)
{
	struct acting acting = {.call = call, .code = act->parts.code, .travelled = true, .digest = act->parts.document};
	const struct jk_statement *parts = &act->parts;
	struct jk_refusal refusal;
	bool same;

	acting.row = (struct jk_act_row){.version = parts->version,
		.act_no = parts->act_no,
		.act = parts->act,
		.at_us = parts->at_us,
		.statement = act->statement};
	(void)jk_text_copy(acting.row.agency, sizeof acting.row.agency, parts->agency);
	memcpy(acting.row.sign_key, act->sign_key, sizeof acting.row.sign_key);
	memcpy(acting.row.signature, act->signature, sizeof acting.row.signature);
	if (parts->kind != call->kind)
		return cli_fail(CLI_USAGE, NULL, "%s: the act is about a %s", path, admin_pact_object(parts->kind));
	if (parts->act == JK_ACT_PROPOSE &&
		!jk_pact_canonical(call->kind, act->document, strlen(act->document), call->arena, &acting.document, &refusal))
		return fail_document(path, &refusal);
	acting.pact = pact_book_find(call->book, call->kind, acting.code);
	const struct pact_signer *signer = pact_book_signer(call->book, act->sign_key, parts->agency, &refusal);
	if (!signer)
		return fail_act(&acting, &refusal);
	acting.row.agency_id = signer->agency_id;
	if (!check_place(&acting, parts, &refusal) || !check_document(&acting, &same, &refusal))
		return fail_act(&acting, &refusal);
	if (same)
		return cli_fail(
			CLI_REFUSED, NULL, "RULE_VIOLATION version: version %" PRIu32 " is proposed already", parts->version);
	if (!extend_pact(&acting))
		return cli_fail(CLI_REFUSED, NULL, "out of memory");
	if (!check_clock(&acting, &refusal) || !check_rules(&acting, signer->is_operator, &refusal))
		return fail_act(&acting, &refusal);
	return write_act(&acting);
}

static int submit_file(struct admin_pact *call, const char *path)
{
	struct jk_refusal refusal;
	struct pact_act act;
	size_t size = 0;
	int status = admin_pact_load(call);
	char *text = status == CLI_OK ? pact_file_read(path, &size) : NULL;

	if (!text)
		return status == CLI_OK ? CLI_USAGE : status;
	if (pact_act_read(text, size, call->arena, &act, &refusal))
		status = submit_act(call, path, &act);
	else
		status = fail_document(path, &refusal);
	free(text);
	return status;
}

int admin_pact_submit(struct admin_pact *call)
{
	int worst = CLI_OK;

	if (call->word_count < 1)
		return cli_usage("admin", "%s submit takes the FILE of a signed act", admin_pact_object(call->kind));
	for (int i = 0; i < call->word_count; i++) {
		int status = submit_file(call, call->words[i]);
		worst = status > worst ? status : worst;
	}
	return worst;
}
