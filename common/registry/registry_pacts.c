/* registry_pacts.c: first the task forces, then the agreements, which may name them. Whatever is doubtful about one closes that
 * one. */
#include "registry/registry_pacts.h"

#include <stdlib.h>
#include <string.h>

enum {
	KEPT_MAX_BYTES = 32 * 1024 * 1024,
	SCRATCH_MAX_BYTES = 16 * 1024 * 1024, /* one pact with all its versions */
	TERMS_MAX = 300000,                   /* of all desks: 26 MiB */
};

/* A task force in force: who has joined it and is still there. */
struct force {
	const char *code;
	struct jk_task_force document;
	const int32_t *members;
	size_t member_count;
};

struct compiling {
	const struct registry_rows *rows;
	const struct registry_parties *parties;
	struct registry_terms *terms;
	struct registry_closed *closed;
	struct jk_arena *arena;               /* the snapshot's */
	struct jk_arena *kept, *scratch;      /* of this load; of one pact */
	const struct registry_key_row **keys; /* those that may sign, ascending by sign_key */
	size_t key_count;
	struct jk_pact *pacts;
	struct force *forces;
	size_t force_count;
};

/* ---- what closes ---- */

static void close_pact(struct compiling *compiling, const struct jk_pact *pact, const char *field, const char *reason)
{
	const char *colon = field[0] == '\0' ? "" : ": ";
	const char *text = jk_arena_printf(compiling->arena, "%s%s%s", field, colon, reason);
	const char *code = jk_arena_string(compiling->arena, pact->code, strlen(pact->code));

	compiling->closed->items[compiling->closed->count++] =
		(struct jk_closed_pact){.task_force = pact->kind == JK_PACT_TASK_FORCE,
			.code = code == NULL ? "" : code,
			.reason = text == NULL ? "" : text};
}

/* ---- who may sign ---- */

static int compare_sign_keys(const void *a, const void *b)
{
	return memcmp((*(const struct registry_key_row *const *)a)->sign_key,
		(*(const struct registry_key_row *const *)b)->sign_key, JK_KEY_BYTES);
}

static bool list_signers(struct compiling *compiling)
{
	const struct registry_rows *rows = compiling->rows;

	compiling->keys = jk_arena_alloc(compiling->kept, (rows->key_count + 1) * sizeof *compiling->keys);
	if (compiling->keys == NULL)
		return false;
	for (size_t i = 0; i < rows->key_count; i++)
		if (rows->keys[i].may_sign && rows->keys[i].realm == rows->realm)
			compiling->keys[compiling->key_count++] = &rows->keys[i];
	if (compiling->key_count > 0)
		qsort(compiling->keys, compiling->key_count, sizeof(struct registry_key_row *), compare_sign_keys);
	return true;
}

/* What a key signed while it was good stays good. */
static bool is_good_at(const struct registry_key_row *key, int64_t at_us)
{
	return !key->revoked || key->revoked_at_us > at_us;
}

static bool may_sign(void *arg, const uint8_t sign_key[JK_KEY_BYTES], int32_t agency_id, bool operator_act, int64_t at_us)
{
	const struct compiling *compiling = arg;
	size_t low = 0, high = compiling->key_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(compiling->keys[middle]->sign_key, sign_key, JK_KEY_BYTES) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < compiling->key_count && memcmp(compiling->keys[low]->sign_key, sign_key, JK_KEY_BYTES) == 0; low++) {
		const struct registry_key_row *key = compiling->keys[low];

		if (key->agency_id == agency_id && (!operator_act || key->role == JK_ROLE_OPERATOR) && is_good_at(key, at_us))
			return true;
	}
	return false;
}

/* An act says when it was done, and a stolen key says what it likes: the database's own clock counts too. */
static bool were_keys_good(const struct compiling *compiling, const struct jk_pact *pact)
{
	const int64_t *added_at_us = compiling->rows->act_added_at_us + (pact->acts - compiling->rows->acts);

	for (size_t i = 0; i < pact->act_count; i++)
		if (!may_sign((void *)compiling, pact->acts[i].sign_key, pact->acts[i].agency_id, false, added_at_us[i]))
			return false;
	return true;
}

static bool is_known(void *arg, const uint8_t digest[JK_SHA256_BYTES])
{
	const struct compiling *compiling = arg;

	return compiling->rows->known != NULL && registry_known_has(compiling->rows->known, digest);
}

static void learn(void *arg, const uint8_t digest[JK_SHA256_BYTES])
{
	const struct compiling *compiling = arg;

	if (compiling->rows->known != NULL)
		registry_known_learn(compiling->rows->known, digest);
}

/* False: it is closed, and listed. */
static bool decide(struct compiling *compiling, const struct jk_pact *pact, struct jk_pact_state *ret_state)
{
	const struct jk_signers signers = {.may_sign = may_sign, .is_known = is_known, .learn = learn, .arg = compiling};
	struct jk_refusal refusal;

	if (!were_keys_good(compiling, pact)) {
		close_pact(compiling, pact, "", "an act came from a key that could not sign any more, or never could");
		return false;
	}
	jk_pact_decide(pact, &signers, compiling->scratch, ret_state, &refusal);
	if (ret_state->closed)
		close_pact(compiling, pact, refusal.field, refusal.reason);
	return !ret_state->closed;
}

/* ---- the rows of each pact ---- */

static bool cut_pacts(struct compiling *compiling)
{
	const struct registry_rows *rows = compiling->rows;
	size_t version = 0, act = 0;

	compiling->pacts = jk_arena_alloc(compiling->kept, (rows->pact_count + 1) * sizeof *compiling->pacts);
	compiling->forces = jk_arena_alloc(compiling->kept, (rows->pact_count + 1) * sizeof *compiling->forces);
	compiling->closed->items = jk_arena_alloc(compiling->arena, (rows->pact_count + 1) * sizeof *compiling->closed->items);
	if (compiling->pacts == NULL || compiling->forces == NULL || compiling->closed->items == NULL)
		return false;
	for (size_t i = 0; i < rows->pact_count; i++) {
		const struct registry_pact_row *row = &rows->pacts[i];
		struct jk_pact *pact = &compiling->pacts[i];

		*pact = (struct jk_pact){.pact_id = row->pact_id, .kind = row->kind, .code = row->code};
		pact->versions = &rows->versions[version];
		for (; version < rows->version_count && rows->versions[version].pact_id == row->pact_id; version++)
			pact->version_count++;
		pact->acts = &rows->acts[act];
		for (; act < rows->act_count && rows->acts[act].pact_id == row->pact_id; act++)
			pact->act_count++;
	}
	return true;
}

/* ---- parties ---- */

static int compare_code(const void *code, const void *agency)
{
	return strcmp(code, ((const struct jk_agency *)agency)->code);
}

/* NULL: unknown or revoked. */
static const struct jk_agency *find_agency(const struct compiling *compiling, const char *code)
{
	const struct registry_parties *parties = compiling->parties;
	const struct jk_agency *agency =
		bsearch(code, parties->agencies, parties->agency_count, sizeof *parties->agencies, compare_code);

	return agency != NULL && !agency->revoked ? agency : NULL;
}

static bool is_listed(const int32_t *list, size_t count, int32_t agency_id)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == agency_id)
			return true;
	return false;
}

static const struct force *find_force(const struct compiling *compiling, const char *code)
{
	for (size_t i = 0; i < compiling->force_count; i++)
		if (strcmp(compiling->forces[i].code, code) == 0)
			return &compiling->forces[i];
	return NULL;
}

/* Without its lead nobody speaks for it. */
static bool add_force(struct compiling *compiling, const struct jk_pact *pact)
{
	struct force *force = &compiling->forces[compiling->force_count];
	struct jk_pact_state state;
	struct jk_refusal refusal;
	int32_t *members;

	if (!decide(compiling, pact, &state) || state.in_force < 0)
		return true;
	*force = (struct force){.code = pact->code};
	if (!jk_task_force_read(pact->versions[state.in_force].document, compiling->kept, &force->document, &refusal)) {
		close_pact(compiling, pact, refusal.field, refusal.reason);
		return true;
	}
	members = jk_arena_alloc(compiling->kept, (force->document.member_count + 1) * sizeof *members);
	if (members == NULL)
		return false;
	for (size_t i = 0; i < force->document.member_count; i++) {
		const struct jk_agency *agency = find_agency(compiling, force->document.members[i]);

		if (agency != NULL && is_listed(state.consented, state.consented_count, agency->agency_id))
			members[force->member_count++] = agency->agency_id;
	}
	force->members = members;
	if (find_agency(compiling, force->document.lead) != NULL)
		compiling->force_count++;
	return true;
}

/* ---- agreements ---- */

/* Those of one side: agencies, or everybody. */
struct side {
	bool everybody;
	int32_t one;
	const int32_t *agencies;
	size_t count;
	const struct force *force; /* NULL: none */
};

/* False: there is nobody on that side. */
static bool find_side(const struct compiling *compiling, const struct jk_party *party, struct side *ret)
{
	const struct jk_agency *agency;

	*ret = (struct side){.everybody = party->kind == JK_PARTY_EVERYBODY};
	if (party->kind == JK_PARTY_TASK_FORCE) {
		ret->force = find_force(compiling, party->code);
		if (ret->force == NULL)
			return false;
		ret->agencies = ret->force->members;
		ret->count = ret->force->member_count;
	} else if (party->kind == JK_PARTY_AGENCY) {
		agency = find_agency(compiling, party->code);
		if (agency == NULL)
			return false;
		ret->one = agency->agency_id;
		ret->count = 1;
	}
	if (ret->agencies == NULL)
		ret->agencies = &ret->one;
	return ret->everybody || ret->count > 0;
}

static void cut_by_force(struct jk_term *term, const struct force *force)
{
	const struct jk_task_force *document = &force->document;

	term->counties &= document->counties;
	if (document->start_us > term->from_us)
		term->from_us = document->start_us;
	if (document->end_us != 0 && (term->until_us == 0 || document->end_us < term->until_us))
		term->until_us = document->end_us;
}

static uint32_t withheld_by(const struct jk_agreement *agreement)
{
	uint32_t withheld = jk_profile_withheld(agreement->profile);

	if (agreement->profile == JK_PROFILE_FULL && agreement->reporter)
		withheld &= ~(1U << JK_GROUP_REPORTER);
	if (agreement->profile == JK_PROFILE_FULL && agreement->persons)
		withheld &= ~(1U << JK_GROUP_PERSONS);
	return withheld;
}

static struct jk_term term_of(const struct jk_pact *pact, const struct jk_agreement *agreement, const char *code)
{
	return (struct jk_term){
		.pact_id = pact->pact_id,
		.version = agreement->version,
		.code = code,
		.counties = agreement->counties,
		.categories = agreement->categories,
		.severity_floor = agreement->severity_floor,
		.tlp_ceiling = agreement->tlp_ceiling,
		.uses = agreement->uses,
		.withheld = withheld_by(agreement),
		.profile = agreement->profile,
		.retention_days = agreement->retention_days,
		.redistribution = agreement->redistribution,
		.statutory = agreement->statutory,
		.from_us = agreement->start_us,
		.until_us = agreement->end_us,
	};
}

static bool is_for_desk(const struct jk_agreement *agreement, const struct side *recipient, const struct jk_desk *desk)
{
	if (desk->revoked || (!recipient->everybody && !is_listed(recipient->agencies, recipient->count, desk->agency_id)))
		return false;
	for (size_t i = 0; i < agreement->desk_count; i++)
		if (strcmp(agreement->desks[i], desk->code) == 0)
			return true;
	return agreement->desk_count == 0;
}

/* Of a task force each member is an owner that has consented to this version itself. */
static bool add_for_desk(struct compiling *compiling, const struct side *provider, const struct jk_pact_state *state,
	const struct jk_desk *desk, struct jk_term *term)
{
	if (provider->everybody) {
		term->owner_agency_id = -1;
		return registry_terms_add(compiling->terms, desk->desk_id, term);
	}
	for (size_t i = 0; i < provider->count; i++) {
		term->owner_agency_id = provider->agencies[i];
		if (term->owner_agency_id == desk->agency_id ||
			(provider->force != NULL && !is_listed(state->consented, state->consented_count, term->owner_agency_id)))
			continue;
		if (!registry_terms_add(compiling->terms, desk->desk_id, term))
			return false;
	}
	return true;
}

static bool add_terms(struct compiling *compiling, const struct jk_pact *pact, const struct jk_pact_state *state,
	const struct jk_agreement *agreement)
{
	const struct registry_parties *parties = compiling->parties;
	const char *code = jk_arena_string(compiling->arena, pact->code, strlen(pact->code));
	size_t before = compiling->terms->count;
	struct side provider, recipient;
	struct jk_term term;

	if (code == NULL)
		return false;
	if (!find_side(compiling, &agreement->provider, &provider) || !find_side(compiling, &agreement->recipient, &recipient))
		return true;
	term = term_of(pact, agreement, code);
	if (provider.force != NULL)
		cut_by_force(&term, provider.force);
	if (recipient.force != NULL)
		cut_by_force(&term, recipient.force);
	for (size_t i = 0; i < parties->desk_count; i++)
		if (is_for_desk(agreement, &recipient, &parties->desks[i]) &&
			!add_for_desk(compiling, &provider, state, &parties->desks[i], &term))
			return false;
	if (compiling->terms->count > TERMS_MAX) {
		compiling->terms->count = before;
		close_pact(compiling, pact, "", "all agreements together reach more desks and owners than this build holds");
	}
	return true;
}

/* The task force that an agreement names, in any of its versions; NULL: none, or none in force. */
static const struct jk_task_force *force_named(struct compiling *compiling, const struct jk_pact *pact)
{
	struct jk_agreement agreement;
	struct jk_refusal ignored;
	const struct jk_party *party;
	const struct force *force;

	/* Nearly all name none: they are not read for this. */
	if (compiling->force_count == 0 || pact->version_count == 0 ||
		strstr(pact->versions[0].document, "\"taskforce:") == NULL ||
		!jk_agreement_read(pact->versions[0].document, compiling->scratch, &agreement, &ignored))
		return NULL;
	party = agreement.provider.kind == JK_PARTY_TASK_FORCE ? &agreement.provider : &agreement.recipient;
	force = party->kind == JK_PARTY_TASK_FORCE ? find_force(compiling, party->code) : NULL;
	return force == NULL ? NULL : &force->document;
}

static bool add_agreement(struct compiling *compiling, struct jk_pact *pact)
{
	struct jk_pact_state state;
	struct jk_agreement agreement;
	struct jk_refusal refusal;

	pact->task_force = force_named(compiling, pact);
	if (!decide(compiling, pact, &state) || state.in_force < 0)
		return true;
	if (!jk_agreement_read(pact->versions[state.in_force].document, compiling->scratch, &agreement, &refusal)) {
		close_pact(compiling, pact, refusal.field, refusal.reason);
		return true;
	}
	return add_terms(compiling, pact, &state, &agreement);
}

static bool add_all(struct compiling *compiling, enum jk_pact_kind kind)
{
	bool added = true;

	for (size_t i = 0; added && i < compiling->rows->pact_count; i++) {
		struct jk_pact *pact = &compiling->pacts[i];

		if (pact->kind != kind)
			continue;
		jk_arena_reset(compiling->scratch);
		added = kind == JK_PACT_TASK_FORCE ? add_force(compiling, pact) : add_agreement(compiling, pact);
	}
	return added;
}

bool registry_pacts_compile(const struct registry_rows *rows, const struct registry_parties *parties, struct jk_arena *arena,
	struct registry_terms *terms, struct registry_closed *ret_closed)
{
	struct compiling compiling = {.rows = rows,
		.parties = parties,
		.terms = terms,
		.closed = ret_closed,
		.arena = arena,
		.kept = jk_arena_new(KEPT_MAX_BYTES),
		.scratch = jk_arena_new(SCRATCH_MAX_BYTES)};
	bool compiled = compiling.kept != NULL && compiling.scratch != NULL && list_signers(&compiling) &&
			cut_pacts(&compiling) && add_all(&compiling, JK_PACT_TASK_FORCE) &&
			add_all(&compiling, JK_PACT_AGREEMENT);

	jk_arena_free(&compiling.kept);
	jk_arena_free(&compiling.scratch);
	return compiled;
}
