/* pact_book.c: asks common/agreement about what the database has. */
#include "services/cli/pact_book.h"

#include <string.h>

#include "base/jk_text.h"

struct jk_pact *pact_book_find(const struct pact_book *book, enum jk_pact_kind kind, const char *code)
{
	for (size_t i = 0; i < book->pact_count; i++)
		if (book->pacts[i].kind == kind && strcmp(book->pacts[i].code, code) == 0)
			return &book->pacts[i];
	return NULL;
}

/* As common/registry: what a key signed while it was good stays good. */
bool pact_book_may_sign(const struct pact_signer *signer, int64_t at_us)
{
	return signer->may_sign && at_us < signer->revoked_us && at_us >= signer->valid_from_us && at_us < signer->expires_us;
}

/* The asker's own data. */
struct asking {
	const struct pact_book *book;
	bool nobody; /* may sign */
};

static bool may_sign(void *arg, const uint8_t sign_key[JK_KEY_BYTES], int32_t agency_id, bool operator_act, int64_t at_us)
{
	const struct asking *asking = arg;

	for (size_t i = 0; !asking->nobody && i < asking->book->signer_count; i++) {
		const struct pact_signer *signer = &asking->book->signers[i];
		if (memcmp(signer->sign_key, sign_key, JK_KEY_BYTES) == 0 && signer->agency_id == agency_id &&
			(!operator_act || signer->is_operator) && pact_book_may_sign(signer, at_us))
			return true;
	}
	return false;
}

/* An act says when it was done, and a stolen key says what it likes: the time of the row counts too. */
static bool were_keys_good(const struct pact_book *book, const struct jk_pact *pact)
{
	struct asking asking = {.book = book};
	const struct jk_pact *stored = pact_book_find(book, pact->kind, pact->code);

	for (size_t i = 0; stored && i < stored->act_count && i < pact->act_count; i++)
		if (!may_sign(&asking, pact->acts[i].sign_key, pact->acts[i].agency_id, false,
			    book->added_us[stored - book->pacts][i]))
			return false;
	return true;
}

static void decide(const struct pact_book *book, struct jk_pact *pact, struct jk_pact_state *ret, struct jk_refusal *ret_refusal)
{
	struct asking asking = {.book = book, .nobody = !were_keys_good(book, pact)};
	const struct jk_signers signers = {.may_sign = may_sign, .arg = &asking};
	jk_pact_decide(pact, &signers, book->arena, ret, ret_refusal);
}

const char *pact_book_task_force(const struct jk_agreement *agreement)
{
	if (agreement->provider.kind == JK_PARTY_TASK_FORCE)
		return agreement->provider.code;
	return agreement->recipient.kind == JK_PARTY_TASK_FORCE ? agreement->recipient.code : "";
}

/* The task force of that code when it is in force and its time is not over. */
static const struct jk_task_force *find_task_force(const struct pact_book *book, const char *code)
{
	struct jk_task_force *task_force = jk_arena_alloc(book->arena, sizeof *task_force);
	struct jk_pact *pact = pact_book_find(book, JK_PACT_TASK_FORCE, code);
	struct jk_pact_state state;
	struct jk_refusal ignored;

	if (!pact || !task_force)
		return NULL;
	decide(book, pact, &state, &ignored);
	if (state.in_force < 0 || !jk_task_force_read(pact->versions[state.in_force].document, book->arena, task_force, &ignored))
		return NULL;
	return task_force->end_us > book->now_us ? task_force : NULL;
}

void pact_book_decide(
	const struct pact_book *book, struct jk_pact *pact, struct jk_pact_state *ret, struct jk_refusal *ret_refusal)
{
	struct jk_agreement agreement;
	struct jk_refusal ignored;

	pact->task_force = NULL;
	/* All versions have the parties of the first. */
	if (pact->kind == JK_PACT_AGREEMENT && pact->version_count > 0 &&
		jk_agreement_read(pact->versions[0].document, book->arena, &agreement, &ignored) &&
		pact_book_task_force(&agreement)[0])
		pact->task_force = find_task_force(book, pact_book_task_force(&agreement));
	decide(book, pact, ret, ret_refusal);
}

enum jk_pact_word pact_book_word(
	const struct pact_book *book, const struct jk_pact *pact, const struct jk_pact_state *state, size_t version)
{
	const char *document = pact->versions[version].document;
	struct jk_agreement agreement = {.end_us = 0};
	struct jk_task_force task_force = {.end_us = 0};
	struct jk_refusal ignored;

	if (!state->words || state->closed)
		return JK_PACT_CLOSED;
	bool read = pact->kind == JK_PACT_AGREEMENT ? jk_agreement_read(document, book->arena, &agreement, &ignored)
						    : jk_task_force_read(document, book->arena, &task_force, &ignored);
	int64_t end_us = pact->kind == JK_PACT_AGREEMENT ? agreement.end_us : task_force.end_us;
	bool over = read && end_us != 0 && end_us <= book->now_us;
	return over && (int)version == state->holds ? JK_PACT_ENDED : state->words[version];
}

const struct pact_signer *pact_book_signer(
	const struct pact_book *book, const uint8_t sign_key[JK_KEY_BYTES], const char *agency, struct jk_refusal *ret_refusal)
{
	const struct pact_signer *found = NULL;
	bool known = false, revoked = false, over = false;

	for (size_t i = 0; i < book->signer_count; i++) {
		const struct pact_signer *signer = &book->signers[i];
		if (memcmp(signer->sign_key, sign_key, JK_KEY_BYTES) != 0 || (agency && strcmp(signer->agency, agency) != 0))
			continue;
		known = true;
		bool stopped = signer->revoked_us <= book->now_us || signer->agency_revoked;
		revoked = revoked || stopped;
		over = over || (signer->may_sign && !stopped && !pact_book_may_sign(signer, book->now_us));
		if (stopped || !pact_book_may_sign(signer, book->now_us))
			continue;
		if (found && found->agency_id != signer->agency_id) {
			(void)jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "agency", "this key signs for several: name one");
			return NULL;
		}
		found = found && found->is_operator ? found : signer;
	}
	if (found)
		return found;
	if (!known && agency)
		(void)jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "agency", "this key is not one of %s", agency);
	else if (!known)
		(void)jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "key", "this key is not registered");
	else if (revoked)
		(void)jk_refuse(ret_refusal, JK_CODE_REVOKED, "key", "this key, or its agency, is revoked");
	else if (over)
		(void)jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "key", "this key has expired, or is not valid yet");
	else
		(void)jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "key",
			"this key may not sign for its agency (jukwaa admin key add … --may-sign)");
	return NULL;
}

void pact_book_fingerprint(char ret[PACT_FINGERPRINT_BYTES], const uint8_t sign_key[JK_KEY_BYTES])
{
	jk_hex_encode(ret, sign_key, (PACT_FINGERPRINT_BYTES - 1) / 2);
}
