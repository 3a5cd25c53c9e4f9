/* pact_book.h: agreements and task forces as the database has them, and what holds. Filled by pact_store_pg.c. */
#pragma once

#include "agreement/agreement.h"

/* A registered key, and whom it may sign for. */
struct pact_signer {
	uint8_t sign_key[JK_KEY_BYTES];
	int32_t agency_id;
	char agency[JK_PACT_CODE_BYTES];
	bool is_operator, may_sign, agency_revoked; /* may_sign: and is a key of this realm */
	int64_t revoked_us;                         /* INT64_MAX: is not */
	int64_t valid_from_us, expires_us;          /* from, and until (exclusive); INT64_MIN, INT64_MAX: no bound */
};
/* All of it lives in the arena. */
struct pact_book {
	struct jk_arena *arena;
	int64_t now_us; /* the database's clock */
	const struct pact_signer *signers;
	size_t signer_count;
	struct jk_pact *pacts; /* task forces first */
	int64_t **added_us;    /* of each pact its acts', by the database's clock */
	size_t pact_count;
};

/* NULL: none of that kind and code. */
struct jk_pact *pact_book_find(const struct pact_book *book, enum jk_pact_kind kind, const char *code);
/* What holds; pact->task_force is set on the way. ret_refusal says why a pact is closed. */
void pact_book_decide(
	const struct pact_book *book, struct jk_pact *pact, struct jk_pact_state *ret, struct jk_refusal *ret_refusal);
/* The word of a version today: jk_pact_state's, and ENDED when its time is over. */
enum jk_pact_word pact_book_word(
	const struct pact_book *book, const struct jk_pact *pact, const struct jk_pact_state *state, size_t version);
/* This key might sign at that time. */
bool pact_book_may_sign(const struct pact_signer *signer, int64_t at_us);
/* Who may sign now with this key; agency NULL: whichever it is registered for, when there is one only. NULL: refused. */
const struct pact_signer *pact_book_signer(
	const struct pact_book *book, const uint8_t sign_key[JK_KEY_BYTES], const char *agency, struct jk_refusal *ret_refusal);
/* The agreement's task force by its document; "" when it names none. */
const char *pact_book_task_force(const struct jk_agreement *agreement);
/* The first 16 digits of a key: what refusals are found by. */
enum { PACT_FINGERPRINT_BYTES = 17 };
void pact_book_fingerprint(char ret[PACT_FINGERPRINT_BYTES], const uint8_t sign_key[JK_KEY_BYTES]);
