/* pact_rows.c: see pact_rows.h. */
#include "pact_rows.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

#include "base/jk_text.h"

void pact_rows_init(struct pact_rows *rows)
{
	memset(rows, 0, sizeof *rows);
	assert_int_equal(jk_crypt_init(), JK_OK);
	rows->arena = jk_arena_new(16 * 1024 * 1024);
	assert_non_null(rows->arena);
}

void pact_rows_done(struct pact_rows *rows)
{
	jk_arena_free(&rows->arena);
}

void pact_rows_give(struct pact_rows *rows, struct registry_rows *ret)
{
	ret->pacts = rows->pacts, ret->pact_count = rows->pact_count;
	ret->versions = rows->versions, ret->version_count = rows->version_count;
	ret->acts = rows->acts, ret->act_count = rows->act_count;
	ret->act_added_at_us = rows->added_at_us;
}

static const struct registry_pact_row *newest(const struct pact_rows *rows)
{
	return &rows->pacts[rows->pact_count - 1];
}

int32_t pact_rows_add(struct pact_rows *rows, enum jk_pact_kind kind, const char *code, const char *json)
{
	assert_true(rows->pact_count < PACT_ROWS_MAX);
	rows->pacts[rows->pact_count] =
		(struct registry_pact_row){.pact_id = (int32_t)rows->pact_count + 1, .kind = kind, .code = code};
	rows->pact_count++;
	pact_rows_add_version(rows, json);
	return newest(rows)->pact_id;
}

void pact_rows_add_version(struct pact_rows *rows, const char *json)
{
	const struct registry_pact_row *pact = newest(rows);
	struct jk_pact_name name;
	struct jk_refusal refusal;
	const char *document;

	if (!jk_pact_canonical(pact->kind, json, strlen(json), rows->arena, &document, &refusal) ||
		!jk_pact_name_read(pact->kind, document, rows->arena, &name, &refusal))
		fail_msg("%s: %s: %s", json, refusal.field, refusal.reason);
	assert_true(rows->version_count < PACT_ROWS_MAX);
	rows->versions[rows->version_count++] =
		(struct jk_pact_version_row){.pact_id = pact->pact_id, .version = name.version, .document = document};
}

static const char *document_of(const struct pact_rows *rows, int32_t pact_id, uint32_t version)
{
	for (size_t i = 0; i < rows->version_count; i++)
		if (rows->versions[i].pact_id == pact_id && rows->versions[i].version == version)
			return rows->versions[i].document;
	fail_msg("there is no version %u", version);
	return NULL;
}

struct jk_act_row *pact_rows_sign(struct pact_rows *rows, uint32_t version, enum jk_act act, const struct pact_signer *signer)
{
	const struct registry_pact_row *pact = newest(rows);
	struct jk_act_row *row = &rows->acts[rows->act_count];
	const struct jk_act_row *before = rows->act_count > 0 && row[-1].pact_id == pact->pact_id ? &row[-1] : NULL;
	char statement[JK_STATEMENT_MAX_BYTES];
	uint8_t digest[JK_SHA256_BYTES];
	size_t size;

	assert_true(rows->act_count < PACT_ROWS_MAX);
	*row = (struct jk_act_row){.pact_id = pact->pact_id,
		.version = version,
		.act_no = before == NULL ? 1 : before->act_no + 1,
		.act = act,
		.agency_id = signer->agency_id,
		.at_us = signer->at_us};
	(void)jk_text_copy(row->agency, sizeof row->agency, signer->agency);
	jk_pact_digest(digest, document_of(rows, pact->pact_id, version));
	size = jk_act_write(statement, pact->kind, pact->code, row, digest, before == NULL ? NULL : before->statement);
	assert_true(size > 0);
	row->statement = jk_arena_string(rows->arena, statement, size);
	memcpy(row->sign_key, signer->key->sign_public, sizeof row->sign_key);
	jk_sign(row->signature, signer->key, row->statement, size);
	rows->added_at_us[rows->act_count++] = signer->at_us;
	return row;
}
