/* agreement_state.c: a pact's rows in, what holds out. Every act is verified to the byte before the rules see it. */
#include <string.h>

#include "agreement_internal.h"
#include "agreement_rules.h"
#include "base/jk_text.h"

/* One call of jk_pact_decide. */
struct deciding {
	const struct jk_pact *pact;
	const struct jk_signers *signers;
	struct jk_refusal *refusal;
	struct agreement_ledger ledger;
};

static bool refuse_act(struct deciding *deciding, const struct jk_act_row *act, enum jk_code code, const char *reason)
{
	char field[32];
	(void)jk_text_format(field, sizeof field, "act %d", act->act_no);
	return jk_refuse(deciding->refusal, code, field, "%s", reason);
}

/* ---- versions ---- */

static void read_version(
	const struct jk_pact *pact, const struct jk_pact_version_row *row, struct jk_arena *arena, struct agreement_version *ret)
{
	struct jk_refusal ignored;
	bool agreement = pact->kind == JK_PACT_AGREEMENT;

	ret->version = row->version;
	ret->good = agreement ? jk_agreement_read(row->document, arena, &ret->agreement, &ignored)
			      : jk_task_force_read(row->document, arena, &ret->task_force, &ignored);
	const char *code = agreement ? ret->agreement.code : ret->task_force.code;
	uint32_t version = agreement ? ret->agreement.version : ret->task_force.version;
	ret->good = ret->good && version == row->version && strcmp(code, pact->code) == 0;
	jk_pact_digest(ret->digest, row->document);
}

static bool init_ledger(struct agreement_ledger *ledger, const struct jk_pact *pact, struct jk_arena *arena)
{
	struct agreement_version *versions = jk_arena_alloc(arena, (pact->version_count + 1) * sizeof *versions);

	*ledger = (struct agreement_ledger){.kind = pact->kind, .holds = -1, .proposed = -1, .proposer_id = -1};
	ledger->words = jk_arena_alloc(arena, (pact->version_count + 1) * sizeof *ledger->words);
	ledger->standings = jk_arena_alloc(arena, (pact->act_count + 1) * sizeof *ledger->standings);
	if (!versions || !ledger->words || !ledger->standings)
		return false;
	for (size_t i = 0; i < pact->version_count; i++) {
		read_version(pact, &pact->versions[i], arena, &versions[i]);
		if (i > 0 && versions[i].version <= versions[i - 1].version)
			versions[i].good = false;
	}
	ledger->versions = versions;
	ledger->version_count = pact->version_count;
	return true;
}

static int find_version(const struct jk_pact *pact, uint32_t version)
{
	for (size_t i = 0; i < pact->version_count; i++)
		if (pact->versions[i].version == version)
			return (int)i;
	return -1;
}

/* ---- one act ---- */

/* What was signed says what the row says, in this place of this pact. */
static bool check_statement(struct deciding *deciding, size_t index, int version)
{
	const struct jk_act_row *act = &deciding->pact->acts[index];
	const char *previous = index > 0 ? deciding->pact->acts[index - 1].statement : NULL;
	char statement[JK_STATEMENT_MAX_BYTES];
	size_t size = jk_act_write(
		statement, deciding->pact->kind, deciding->pact->code, act, deciding->ledger.versions[version].digest, previous);

	return (size > 0 && strcmp(statement, act->statement) == 0) ||
	       refuse_act(deciding, act, JK_CODE_NOT_WELL_FORMED, "its statement is about something else");
}

static bool check_signature(struct deciding *deciding, const struct jk_act_row *act, bool operator_act)
{
	const struct jk_signers *signers = deciding->signers;
	const struct jk_span spans[] = {{act->sign_key, sizeof act->sign_key}, {act->signature, sizeof act->signature},
		{act->statement, strlen(act->statement)}};
	uint8_t digest[JK_SHA256_BYTES];

	if (!signers->may_sign(signers->arg, act->sign_key, act->agency_id, operator_act, act->at_us))
		return refuse_act(deciding, act, JK_CODE_NOT_PERMITTED, "its key may not sign for that agency");
	jk_sha256(digest, spans, sizeof spans / sizeof *spans);
	if (signers->is_known && signers->is_known(signers->arg, digest))
		return true;
	if (!jk_verify(act->signature, act->sign_key, act->statement, strlen(act->statement)))
		return refuse_act(deciding, act, JK_CODE_BAD_SIGNATURE, "its signature is not good");
	if (signers->learn)
		signers->learn(signers->arg, digest);
	return true;
}

static bool apply_act(struct deciding *deciding, size_t index)
{
	const struct jk_act_row *act = &deciding->pact->acts[index];
	struct agreement_ledger *ledger = &deciding->ledger;
	int version = find_version(deciding->pact, act->version);
	bool statutory;

	if (act->act_no != (int)index + 1)
		return refuse_act(deciding, act, JK_CODE_NOT_WELL_FORMED, "an act before it is missing");
	if (version < 0 || !ledger->versions[version].good)
		return refuse_act(deciding, act, JK_CODE_NOT_WELL_FORMED, "its version has no document of this pact");
	statutory = ledger->versions[version].agreement.statutory;
	if (!check_statement(deciding, index, version) || !check_signature(deciding, act, statutory))
		return false;
	const struct agreement_request request = {
		.act = act->act,
		.version = version,
		.agency_id = act->agency_id,
		.agency = act->agency,
		.roles = agreement_roles(ledger, act->act, version, act->agency, statutory, NULL),
	};
	struct jk_refusal why;
	if (!agreement_may(ledger, &request, &why))
		return refuse_act(deciding, act, why.code, why.reason);
	agreement_apply(ledger, &request);
	return true;
}

/* ---- the whole ---- */

static bool list_consented(const struct agreement_ledger *ledger, struct jk_arena *arena, struct jk_pact_state *ret)
{
	int32_t *list = jk_arena_alloc(arena, (ledger->standing_count + 1) * sizeof *list);

	for (size_t i = 0; list && i < ledger->standing_count; i++)
		if (ledger->standings[i].consents && !ledger->standings[i].suspended)
			list[ret->consented_count++] = ledger->standings[i].agency_id;
	ret->consented = list;
	return list;
}

static void close_pact(const struct jk_pact *pact, struct agreement_ledger *ledger, struct jk_pact_state *ret)
{
	for (size_t i = 0; ledger->words && i < pact->version_count; i++)
		ledger->words[i] = JK_PACT_CLOSED;
	*ret = (struct jk_pact_state){.in_force = -1, .holds = -1, .proposed = -1, .proposer_id = -1, .closed = true};
	ret->words = ledger->words;
}

/* The words of a version that holds, after all acts. */
static void name_holding(struct agreement_ledger *ledger, const struct jk_pact_state *state)
{
	if (state->holds >= 0 && !state->ended && state->suspended)
		ledger->words[state->holds] = JK_PACT_SUSPENDED;
	else if (state->holds >= 0 && !state->ended && state->in_force < 0)
		ledger->words[state->holds] = JK_PACT_PROPOSED; /* waits for the task force's consent */
}

void jk_pact_decide(const struct jk_pact *pact, const struct jk_signers *signers, struct jk_arena *arena,
	struct jk_pact_state *ret, struct jk_refusal *ret_refusal)
{
	struct deciding deciding = {.pact = pact, .signers = signers, .refusal = ret_refusal};
	struct agreement_ledger *ledger = &deciding.ledger;

	*ret_refusal = (struct jk_refusal){.code = JK_CODE_NONE};
	bool good = init_ledger(ledger, pact, arena) || jk_refuse(ret_refusal, JK_CODE_OVERSIZE, NULL, "no memory is left");
	for (size_t i = 0; good && i < pact->act_count; i++)
		good = apply_act(&deciding, i);
	*ret = (struct jk_pact_state){
		.in_force = -1,
		.holds = ledger->holds,
		.proposed = ledger->proposed,
		.proposer_id = ledger->proposer_id,
		.ended = ledger->ended,
		.standings = ledger->standings,
		.standing_count = ledger->standing_count,
		.words = ledger->words,
		.last_act = pact->act_count > 0 ? pact->acts[pact->act_count - 1].act : JK_ACT_NONE,
	};
	if (good && !list_consented(ledger, arena, ret))
		good = jk_refuse(ret_refusal, JK_CODE_OVERSIZE, NULL, "no memory is left");
	if (!good) {
		close_pact(pact, ledger, ret);
		return;
	}
	ret->suspended = agreement_is_suspended(ledger, pact->task_force);
	if (!ret->suspended && agreement_stands(ledger, pact->task_force))
		ret->in_force = ledger->holds;
	name_holding(ledger, ret);
}

static int32_t find_agency(const struct jk_pact_state *state, const char *agency)
{
	for (size_t i = 0; i < state->standing_count; i++)
		if (strcmp(state->standings[i].agency, agency) == 0)
			return state->standings[i].agency_id;
	return -1;
}

bool jk_pact_may(const struct jk_pact *pact, const struct jk_pact_state *state, enum jk_act act, uint32_t version,
	const char *agency, bool is_operator, struct jk_arena *arena, struct jk_refusal *ret_refusal)
{
	static const struct jk_task_force nobody;
	struct agreement_ledger ledger;
	int index = find_version(pact, version);

	if (state->closed)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "act", "it is closed: an act of its history is not good");
	if (index < 0)
		return jk_refuse(ret_refusal, JK_CODE_NOT_FOUND, "version", "there is no version %u", version);
	if (!init_ledger(&ledger, pact, arena))
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, NULL, "no memory is left");
	ledger.holds = state->holds;
	ledger.proposed = state->proposed;
	ledger.proposer_id = state->proposer_id;
	ledger.ended = state->ended;
	for (size_t i = 0; i < pact->act_count; i++)
		if (pact->acts[i].act == JK_ACT_PROPOSE)
			ledger.last_proposed = pact->acts[i].version;
	if (state->standing_count > 0)
		memcpy(ledger.standings, state->standings, state->standing_count * sizeof *ledger.standings);
	ledger.standing_count = state->standing_count;
	const struct agreement_request request = {
		.act = act,
		.version = index,
		.agency_id = find_agency(state, agency),
		.agency = agency,
		.roles = agreement_roles(&ledger, act, index, agency, is_operator, pact->task_force ? pact->task_force : &nobody),
	};
	return agreement_may(&ledger, &request, ret_refusal);
}
