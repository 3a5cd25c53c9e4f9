/* admin_pact_show.c: what there is: lists, one pact with its history, documents for other tools. For the operator: members of
 * task forces are named. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_time.h"
#include "services/cli/admin_pact.h"
#include "services/cli/pact_file.h"
#include "services/cli/pact_text.h"
#include "json/json_map.h"

/* One version with what a line says of it. */
struct row {
	const struct jk_pact *pact;
	struct jk_agreement agreement;
	struct jk_task_force task_force;
	uint32_t version;
	enum jk_pact_word word;
	const char *from, *to; /* parties as in the document; of a task force: lead and members */
	const char *why;       /* it is closed; "" */
};

/* ---- parties ---- */

static const char *party_text(struct jk_arena *arena, const struct jk_party *party)
{
	const char *text = party->code;
	if (party->kind == JK_PARTY_TASK_FORCE)
		text = jk_arena_printf(arena, "taskforce:%s", party->code);
	else if (party->kind == JK_PARTY_EVERYBODY)
		text = "*";
	return text ? text : "?";
}

static const char *members_text(struct jk_arena *arena, const struct jk_task_force *task_force)
{
	struct jk_buffer list = {0};
	for (size_t i = 0; i < task_force->member_count; i++)
		jk_buffer_printf(&list, "%s%s", i ? "," : "", task_force->members[i]);
	const char *text = list.size ? jk_arena_string(arena, list.data, list.size) : "";
	jk_buffer_done(&list);
	return text ? text : "";
}

static bool names(const struct row *row, const char *agency)
{
	bool member = false;

	for (size_t i = 0; i < row->task_force.member_count; i++)
		member = member || strcmp(row->task_force.members[i], agency) == 0;
	if (row->pact->kind == JK_PACT_TASK_FORCE)
		return member;
	for (size_t i = 0; row->pact->task_force && i < row->pact->task_force->member_count; i++)
		member = member || strcmp(row->pact->task_force->members[i], agency) == 0;
	return member || strcmp(row->from, agency) == 0 || strcmp(row->to, agency) == 0 || strcmp(row->from, "*") == 0 ||
	       strcmp(row->to, "*") == 0;
}

static void make_row(struct admin_pact *call, struct jk_pact *pact, const struct jk_pact_state *state, size_t version,
	const struct jk_refusal *why, struct row *ret)
{
	const char *document = pact->versions[version].document;
	struct jk_refusal ignored;

	*ret = (struct row){.pact = pact, .version = pact->versions[version].version, .from = "?", .to = "?", .why = ""};
	ret->word = pact_book_word(call->book, pact, state, version);
	if (ret->word == JK_PACT_CLOSED)
		ret->why = jk_arena_printf(call->arena, "%s: %s", why->field, why->reason);
	if (pact->kind == JK_PACT_AGREEMENT && jk_agreement_read(document, call->arena, &ret->agreement, &ignored)) {
		ret->from = party_text(call->arena, &ret->agreement.provider);
		ret->to = party_text(call->arena, &ret->agreement.recipient);
	} else if (pact->kind == JK_PACT_TASK_FORCE && jk_task_force_read(document, call->arena, &ret->task_force, &ignored)) {
		ret->from = ret->task_force.lead;
		ret->to = members_text(call->arena, &ret->task_force);
	}
}

/* ---- list ---- */

static void format_time(char ret[JK_TIME_BYTES], int64_t time_us)
{
	ret[0] = '\0';
	if (time_us)
		jk_time_format(ret, time_us);
}

static void print_row_json(const struct row *row)
{
	bool agreement = row->pact->kind == JK_PACT_AGREEMENT;
	char start[JK_TIME_BYTES], end[JK_TIME_BYTES];
	struct jk_buffer why = {0};

	format_time(start, agreement ? row->agreement.start_us : row->task_force.start_us);
	format_time(end, agreement ? row->agreement.end_us : row->task_force.end_us);
	jk_json_quote(&why, row->why ? row->why : "");
	printf("{\"state\":\"%s\",\"kind\":\"%s\",\"code\":\"%s\",\"version\":%" PRIu32 ",\"%s\":\"%s\",\"%s\":\"%s\",",
		jk_words_name(&jk_pact_words, (int)row->word), jk_words_name(&jk_pact_kinds, (int)row->pact->kind),
		row->pact->code, row->version, agreement ? "provider" : "lead", row->from, agreement ? "recipient" : "members",
		row->to);
	if (agreement)
		printf("\"profile\":\"%s\",\"tlp_ceiling\":\"%s\",\"statutory\":%s,", jk_profile_name(row->agreement.profile),
			jk_words_name(&jk_tlps, (int)row->agreement.tlp_ceiling), row->agreement.statutory ? "true" : "false");
	printf("\"start\":\"%s\",\"end\":\"%s\",\"why\":%s}\n", start, end, why.failed ? "\"\"" : why.data);
	jk_buffer_done(&why);
}

static void print_row(const struct cli *cli, const struct row *row)
{
	bool good = row->word == JK_PACT_IN_FORCE, agreement = row->pact->kind == JK_PACT_AGREEMENT;
	char end[JK_TIME_BYTES];

	format_time(end, agreement ? row->agreement.end_us : row->task_force.end_us);
	printf("%s%-10s%s  %-20s %3" PRIu32 "  ", cli_tone(cli, good ? CLI_GOOD : CLI_WARN),
		jk_words_name(&jk_pact_words, (int)row->word), cli_tone(cli, CLI_PLAIN), row->pact->code, row->version);
	if (agreement)
		printf("%s -> %s  %s  up to TLP:%s", row->from, row->to, jk_profile_name(row->agreement.profile),
			jk_words_name(&jk_tlps, (int)row->agreement.tlp_ceiling));
	else
		printf("led by %s  of %s", row->from, row->to);
	if (agreement && row->agreement.statutory)
		printf("  by law");
	if (*end)
		printf("  until %s", end);
	if (row->why && *row->why) {
		printf("  (");
		(void)cli_print_text(stdout, row->why, 0);
		printf(")");
	}
	printf("\n");
}

/* Old versions are history: shown with --all. */
static bool is_listed(const struct admin_pact *call, const struct jk_pact_state *state, size_t version, size_t count)
{
	bool newest = version + 1 == count;
	return call->all || (int)version == state->holds || (int)version == state->proposed ||
	       (newest && (state->closed || state->holds < 0));
}

/* The operator's own grants, beside what agencies have agreed on. */
static int print_allow_rows(struct admin_pact *call)
{
	int status = CLI_OK;
	struct admin_rows *rows = admin_store_run(call->store, ADMIN_ALLOW_LIST_GRANTS, NULL, 0, &status);

	if (!rows)
		return status;
	if (!call->cli->json && admin_rows_count(rows) > 0)
		printf("\nallow rows: the operator's own grants (jukwaa admin allow list)\n");
	if (call->cli->json || admin_rows_count(rows) > 0)
		admin_rows_print(call->cli, rows);
	admin_rows_free(&rows);
	return CLI_OK;
}

int admin_pact_list(struct admin_pact *call)
{
	int status = admin_pact_load(call);

	for (size_t i = 0; status == CLI_OK && i < call->book->pact_count; i++) {
		struct jk_pact *pact = &call->book->pacts[i];
		struct jk_pact_state state;
		struct jk_refusal why;
		if (pact->kind != call->kind)
			continue;
		pact_book_decide(call->book, pact, &state, &why);
		for (size_t version = 0; version < pact->version_count; version++) {
			struct row row;
			if (!is_listed(call, &state, version, pact->version_count))
				continue;
			make_row(call, pact, &state, version, &why, &row);
			if (call->agency && !names(&row, call->agency))
				continue;
			if (call->cli->json)
				print_row_json(&row);
			else
				print_row(call->cli, &row);
		}
	}
	if (status == CLI_OK && call->all && call->kind == JK_PACT_AGREEMENT && !call->agency)
		status = print_allow_rows(call);
	return status;
}

/* ---- show ---- */

static void print_standings(const struct jk_pact_state *state, int version)
{
	for (size_t i = 0; i < state->standing_count; i++) {
		const struct jk_standing *standing = &state->standings[i];
		bool consents =
			version == state->holds ? standing->consents : version == state->proposed && standing->consents_next;
		printf("  %-13s %s%s%s\n", standing->agency, consents ? "consents" : "does not consent",
			standing->suspended ? ", has suspended it" : "", standing->left ? ", has left" : "");
	}
}

static void print_act(const struct jk_act_row *act)
{
	char at[JK_TIME_BYTES], fingerprint[PACT_FINGERPRINT_BYTES];

	jk_time_format(at, act->at_us);
	pact_book_fingerprint(fingerprint, act->sign_key);
	printf("  %3d  %-8s version %-3" PRIu32 " %-16s %s  key %s\n", act->act_no, jk_words_name(&jk_pact_acts, (int)act->act),
		act->version, act->agency, at, fingerprint);
}

static void add_act_json(struct jk_buffer *line, const struct jk_act_row *act)
{
	char at[JK_TIME_BYTES], key[JK_KEY_HEX_BYTES];

	jk_time_format(at, act->at_us);
	jk_hex_encode(key, act->sign_key, sizeof act->sign_key);
	jk_buffer_printf(line,
		"%s{\"act_no\":%d,\"act\":\"%s\",\"version\":%" PRIu32 ",\"agency\":\"%s\",\"at\":\"%s\",\"sign_key\":\"%s\"}",
		line->data[line->size - 1] == '[' ? "" : ",", act->act_no, jk_words_name(&jk_pact_acts, (int)act->act),
		act->version, act->agency, at, key);
}

static void show_json(const struct admin_pact *call, const struct jk_pact *pact, const struct jk_pact_state *state,
	const struct row *row, int version)
{
	struct jk_buffer line = {0};

	jk_buffer_printf(&line, "{\"state\":\"%s\",\"kind\":\"%s\",\"code\":\"%s\",\"version\":%" PRIu32 ",\"why\":",
		jk_words_name(&jk_pact_words, (int)row->word), jk_words_name(&jk_pact_kinds, (int)pact->kind), pact->code,
		row->version);
	jk_json_quote(&line, row->why ? row->why : "");
	jk_buffer_printf(&line, ",\"document\":%s,\"consented\":[", pact->versions[version].document);
	for (size_t i = 0; i < state->standing_count; i++)
		if (version == state->holds ? state->standings[i].consents && !state->standings[i].suspended
					    : version == state->proposed && state->standings[i].consents_next)
			jk_buffer_printf(
				&line, "%s\"%s\"", line.data[line.size - 1] == '[' ? "" : ",", state->standings[i].agency);
	jk_buffer_printf(&line, "]");
	if (call->history) {
		jk_buffer_printf(&line, ",\"acts\":[");
		for (size_t i = 0; i < pact->act_count; i++)
			add_act_json(&line, &pact->acts[i]);
		jk_buffer_printf(&line, "]");
	}
	printf("%s}\n", line.failed ? "{" : line.data);
	jk_buffer_done(&line);
}

int admin_pact_show(struct admin_pact *call)
{
	int status;
	struct jk_pact *pact = admin_pact_named(call, &status);
	struct jk_pact_state state;
	struct jk_refusal why;
	struct row row;

	if (!pact)
		return status;
	pact_book_decide(call->book, pact, &state, &why);
	int version = admin_pact_version(call, pact, &state, &status);
	if (version < 0)
		return status;
	make_row(call, pact, &state, (size_t)version, &why, &row);
	if (call->cli->json) {
		show_json(call, pact, &state, &row, version);
		return CLI_OK;
	}
	if (!pact_text_explain(pact->kind, pact->versions[version].document, call->arena))
		printf("version %" PRIu32 " is no document of this exchange\n", row.version);
	printf("%s\n", pact->versions[version].document);
	print_row(call->cli, &row);
	print_standings(&state, version);
	for (size_t i = 0; call->history && i < pact->act_count; i++)
		print_act(&pact->acts[i]);
	return CLI_OK;
}

/* ---- export ---- */

static int write_out(const struct admin_pact *call, const struct jk_buffer *text)
{
	if (text->failed || !text->data)
		return cli_fail(CLI_REFUSED, NULL, "out of memory");
	return pact_file_write(call->out, text->data, text->size) ? CLI_OK : CLI_USAGE;
}

/* Every pact's document that holds, or its newest: an array that import takes. */
static int export_all(struct admin_pact *call)
{
	struct jk_buffer text = {0};
	int status = admin_pact_load(call), count = 0;

	jk_buffer_printf(&text, "[\n");
	for (size_t i = 0; status == CLI_OK && i < call->book->pact_count; i++) {
		struct jk_pact *pact = &call->book->pacts[i];
		struct jk_pact_state state;
		struct jk_refusal why;
		if (pact->kind != call->kind || pact->version_count == 0)
			continue;
		pact_book_decide(call->book, pact, &state, &why);
		size_t version = state.holds >= 0 ? (size_t)state.holds : pact->version_count - 1;
		jk_buffer_printf(&text, "%s", count++ ? ",\n" : "");
		pact_text_pretty(pact->versions[version].document, &text);
	}
	jk_buffer_printf(&text, "]\n");
	if (status == CLI_OK)
		status = write_out(call, &text);
	jk_buffer_done(&text);
	return status;
}

/* The newest act, with the document of the version asked for: what an agency signs after. */
static int export_last(struct admin_pact *call, const struct jk_pact *pact, int version)
{
	struct jk_buffer text = {0};
	struct jk_refusal refusal;
	struct pact_act act = {.document = pact->versions[version].document};

	if (pact->act_count == 0)
		return cli_fail(CLI_REFUSED, NULL, "nothing has been signed yet");
	const struct jk_act_row *last = &pact->acts[pact->act_count - 1];
	act.statement = last->statement;
	memcpy(act.sign_key, last->sign_key, sizeof act.sign_key);
	memcpy(act.signature, last->signature, sizeof act.signature);
	if (!jk_statement_read(act.statement, &act.parts, &refusal))
		return cli_fail(CLI_REFUSED, NULL, "it is closed: %s", refusal.reason);
	pact_act_write(&act, &text);
	int status = write_out(call, &text);
	jk_buffer_done(&text);
	return status;
}

int admin_pact_export(struct admin_pact *call)
{
	int status;

	if (call->all && call->word_count == 0)
		return export_all(call);
	struct jk_pact *pact = admin_pact_named(call, &status);
	struct jk_pact_state state;
	struct jk_refusal why;
	if (!pact)
		return status;
	pact_book_decide(call->book, pact, &state, &why);
	/* What waits is what is signed next. */
	if (call->last && !call->version && state.proposed >= 0)
		call->version = pact->versions[state.proposed].version;
	int version = admin_pact_version(call, pact, &state, &status);
	if (version < 0)
		return status;
	if (call->last)
		return export_last(call, pact, version);
	struct jk_buffer text = {0};
	pact_text_pretty(pact->versions[version].document, &text);
	status = write_out(call, &text);
	jk_buffer_done(&text);
	return status;
}
