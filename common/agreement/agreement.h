/* agreement.h: agreements and task forces as documents and signed acts: reading and writing the canonical form, signing and
 * verifying acts, and what is in force after a row of acts. Pure but for memory: no SQL, no clock. Not here: what is in force
 * becomes terms of decisions (common/registry), the tables (deploy/sql/010_agreement.sql). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authz/authz.h"
#include "base/jk_arena.h"
#include "base/jk_refusal.h"
#include "crypt/crypt.h"

enum { JK_PACT_CODE_BYTES = 33, JK_PACT_DOCUMENT_MAX_BYTES = 65536, JK_STATEMENT_MAX_BYTES = 4096 };

enum jk_pact_kind { JK_PACT_NONE = 0, JK_PACT_AGREEMENT, JK_PACT_TASK_FORCE };
enum jk_act { JK_ACT_NONE = 0, JK_ACT_PROPOSE, JK_ACT_ACCEPT, JK_ACT_SUSPEND, JK_ACT_RESUME, JK_ACT_LEAVE, JK_ACT_WITHDRAW };
enum jk_party_kind { JK_PARTY_NONE = 0, JK_PARTY_AGENCY, JK_PARTY_TASK_FORCE, JK_PARTY_EVERYBODY };

struct jk_party {
	enum jk_party_kind kind;
	char code[JK_PACT_CODE_BYTES]; /* of the agency or the task force */
};

/* A document, read and checked. Texts and lists lie in the arena. */
struct jk_agreement {
	char code[JK_PACT_CODE_BYTES];
	uint32_t version;
	bool statutory;
	struct jk_party provider, recipient;
	const char *const *desks;
	size_t desk_count;
	uint64_t counties; /* bit n: county n, 1 to JK_COUNTY_MAX */
	uint16_t categories;
	uint8_t severity_floor;
	enum jk_tlp tlp_ceiling;
	enum jk_profile profile;
	bool reporter, persons;
	uint16_t uses; /* bit n: enum jk_use n */
	const char *purpose, *legal_basis;
	uint32_t retention_days;
	bool redistribution;
	int64_t start_us, end_us; /* end: exclusive; 0: open */
};
struct jk_task_force {
	char code[JK_PACT_CODE_BYTES];
	uint32_t version;
	char lead[JK_PACT_CODE_BYTES];
	const char *const *members;
	size_t member_count;
	uint64_t counties;
	const char *purpose, *legal_basis;
	int64_t start_us, end_us;
};

/* Any JSON form of a document -> its canonical form (arena memory): lists sorted, repetitions dropped, times in UTC. False:
 * ret_refusal names field and reason; unknown fields are refused. */
bool jk_pact_canonical(enum jk_pact_kind kind, const char *json, size_t size, struct jk_arena *arena, const char **ret_document,
	struct jk_refusal *ret_refusal);
/* A canonical document as stored. False: not one of ours, or not in its canonical form (such rows must close, not open). */
bool jk_agreement_read(const char *document, struct jk_arena *arena, struct jk_agreement *ret, struct jk_refusal *ret_refusal);
bool jk_task_force_read(const char *document, struct jk_arena *arena, struct jk_task_force *ret, struct jk_refusal *ret_refusal);

/* What both kinds have in common, of a document in any JSON form that is complete. */
struct jk_pact_name {
	char code[JK_PACT_CODE_BYTES];
	uint32_t version;
};
bool jk_pact_name_read(enum jk_pact_kind kind, const char *document, struct jk_arena *arena, struct jk_pact_name *ret,
	struct jk_refusal *ret_refusal);
/* SHA-256 of a document or a statement. */
void jk_pact_digest(uint8_t ret[JK_SHA256_BYTES], const char *text);

/* The text that is signed, each line ended by LF:
 *   jukwaa-act-1
 *   pact: AGREEMENT CODE
 *   version: N
 *   act: ACCEPT
 *   act_no: N
 *   agency: CODE
 *   at: TIME
 *   document: HEX
 *   previous: HEX
 * document: SHA-256 of the version's canonical form. previous: SHA-256 of the statement before in this pact, empty for the
 * first. So an act serves once: for one version of one pact, in one place of its history. */
struct jk_act_row {
	int32_t pact_id;
	uint32_t version;
	int act_no;
	enum jk_act act;
	int32_t agency_id;
	char agency[JK_PACT_CODE_BYTES];
	int64_t at_us;
	const char *statement;
	uint8_t sign_key[JK_KEY_BYTES], signature[JK_SIGNATURE_BYTES];
};
/* Writes the statement; 0: does not fit. previous: NULL for the first. */
size_t jk_act_write(char ret[JK_STATEMENT_MAX_BYTES], enum jk_pact_kind kind, const char *code, const struct jk_act_row *act,
	const uint8_t document_digest[JK_SHA256_BYTES], const char *previous_statement);
/* A statement's parts. previous: all zero and has_previous false for the first. */
struct jk_statement {
	enum jk_pact_kind kind;
	char code[JK_PACT_CODE_BYTES], agency[JK_PACT_CODE_BYTES];
	uint32_t version;
	enum jk_act act;
	int act_no;
	int64_t at_us;
	uint8_t document[JK_SHA256_BYTES], previous[JK_SHA256_BYTES];
	bool has_previous;
};
/* False: not a statement as jk_act_write writes it, to the byte. */
bool jk_statement_read(const char *text, struct jk_statement *ret, struct jk_refusal *ret_refusal);

/* One pact with all its versions and acts, as loaded. */
struct jk_pact_version_row {
	int32_t pact_id;
	uint32_t version;
	const char *document;
};
struct jk_pact {
	int32_t pact_id;
	enum jk_pact_kind kind;
	const char *code;
	const struct jk_pact_version_row *versions; /* ascending */
	size_t version_count;
	const struct jk_act_row *acts; /* by act_no, 1.. without hole */
	size_t act_count;
	/* Of an agreement that names a task force: that one as in force now (decide it first). NULL: there is none in force, so
	 * nobody has consented for that side, and the agreement is not in force. */
	const struct jk_task_force *task_force;
};

/* Answers for a signer: this key may (or, at that time, might) sign for that agency; operator: for statutory acts. */
struct jk_signers {
	bool (*may_sign)(void *arg, const uint8_t sign_key[JK_KEY_BYTES], int32_t agency_id, bool operator_act, int64_t at_us);
	/* Were this key, signature and statement (SHA-256 over them in this order) verified before? May be NULL, as may learn. */
	bool (*is_known)(void *arg, const uint8_t digest[JK_SHA256_BYTES]);
	void (*learn)(void *arg, const uint8_t digest[JK_SHA256_BYTES]);
	void *arg;
};

/* What became of a version. */
enum jk_pact_word {
	JK_PACT_WORD_NONE = 0, /* nobody has proposed it */
	JK_PACT_PROPOSED,      /* waits for consent */
	JK_PACT_IN_FORCE,
	JK_PACT_SUSPENDED,
	JK_PACT_ENDED,      /* for good; by its end date too, which the caller looks at */
	JK_PACT_WITHDRAWN,  /* before it was accepted, or another proposal took its place */
	JK_PACT_SUPERSEDED, /* a newer version was accepted */
	JK_PACT_CLOSED,     /* an act is not what it must be: nobody gets anything */
};
extern const struct jk_words jk_pact_kinds, jk_pact_acts, jk_pact_words;

/* Where one agency stands. */
struct jk_standing {
	int32_t agency_id;
	char agency[JK_PACT_CODE_BYTES];
	bool consents;      /* has proposed or accepted the version that holds, and not left */
	bool consents_next; /* the same of the version proposed */
	bool suspended;     /* has suspended, and not resumed */
	uint32_t left;      /* has left; may accept versions above this one only. 0: has not */
};

/* What holds after all acts. in_force: index of the version in force, or -1. consented: agencies (by act) that have proposed or
 * accepted that version, as a party or a member of now, and neither left nor suspended; arena memory. An act that does not
 * verify, that its agency may not do, or that breaks the row closes the whole pact (in_force -1) and says so in ret_refusal:
 * nobody gets anything under it. Suspended pacts are not in force either. */
struct jk_pact_state {
	int in_force;
	bool closed, suspended, ended;
	int holds;    /* index of the version that was accepted last, in force or suspended or ended; -1: none */
	int proposed; /* index of the version that waits; -1: none */
	int32_t proposer_id;
	const int32_t *consented;
	size_t consented_count;
	const struct jk_standing *standings;
	size_t standing_count;
	const enum jk_pact_word *words; /* one a version */
	enum jk_act last_act;
};
void jk_pact_decide(const struct jk_pact *pact, const struct jk_signers *signers, struct jk_arena *arena,
	struct jk_pact_state *ret, struct jk_refusal *ret_refusal);
/* May this agency do this act next? For the CLI, before anything is signed. For PROPOSE the new version stands among the pact's
 * already, as the last. Stricter than jk_pact_decide where a task force is concerned: its lead and members are those of now. */
bool jk_pact_may(const struct jk_pact *pact, const struct jk_pact_state *state, enum jk_act act, uint32_t version,
	const char *agency, bool is_operator, struct jk_arena *arena, struct jk_refusal *ret_refusal);
