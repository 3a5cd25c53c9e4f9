/* pact_store_pg.c: reading the registry's agreements and task forces whole, writing one act. */
#include "services/cli/pact_store_pg.h"

#include <string.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "db/db.h"
#include "services/cli/admin_store_pg_internal.h"

static const char load_begin[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
static const char load_keys[] = "SELECT k.sign_key, k.agency_id, a.code, k.role = 'OPERATOR', "
				"k.may_sign AND k.realm = (SELECT realm FROM meta.realm), a.revoked_at IS NOT NULL, "
				"coalesce(k.revoked_at, 'infinity'), coalesce(k.valid_from, '-infinity'), "
				"coalesce(k.expires_at, 'infinity') FROM registry.key k JOIN registry.agency a USING (agency_id) "
				"ORDER BY k.key_id";
static const char load_clock[] = "SELECT clock_timestamp()";
/* All three in one order, so that rows of a pact follow each other. */
static const char load_pacts[] = "SELECT pact_id, kind, code FROM registry.pact ORDER BY kind DESC, code";
static const char load_versions[] = "SELECT pact_id, v.version, v.document FROM registry.pact_version v JOIN registry.pact p "
				    "USING (pact_id) ORDER BY p.kind DESC, p.code, v.version";
static const char load_acts[] =
	"SELECT pact_id, t.version, t.act_no, t.act, t.agency_id, a.code, t.at, t.statement, t.sign_key, "
	"t.signature, t.added_at FROM registry.act t JOIN registry.pact p USING (pact_id) JOIN registry.agency a "
	"USING (agency_id) ORDER BY p.kind DESC, p.code, t.act_no";

/* kind, code */
static const char add_pact[] = "INSERT INTO registry.pact (kind, code) VALUES ($1, $2) ON CONFLICT (kind, code) DO NOTHING";
/* kind, code, version, document, digest */
static const char add_version[] = "INSERT INTO registry.pact_version (pact_id, version, document, digest) "
				  "SELECT pact_id, $3::integer, $4, decode($5, 'hex') FROM registry.pact "
				  "WHERE kind = $1 AND code = $2";
/* kind, code, version, act_no, act, agency, at, statement, sign_key, signature. The key's row is locked: what is revoked at the
 * same time comes before or after. */
static const char add_act[] =
	"INSERT INTO registry.act "
	"(pact_id, version, act_no, act, agency_id, at, statement, sign_key, signature) "
	"SELECT p.pact_id, $3::integer, $4::integer, $5, a.agency_id, $7::timestamptz, $8, k.sign_key, "
	"decode($10, 'hex') FROM registry.pact p CROSS JOIN registry.key k JOIN registry.agency a USING (agency_id) "
	"WHERE p.kind = $1 AND p.code = $2 AND a.code = $6 AND k.sign_key = decode($9, 'hex') AND k.may_sign "
	"AND k.realm = (SELECT realm FROM meta.realm) AND k.revoked_at IS NULL AND a.revoked_at IS NULL "
	"AND coalesce(k.valid_from <= clock_timestamp(), true) AND coalesce(k.expires_at > clock_timestamp(), true) "
	"ORDER BY k.key_id LIMIT 1 FOR SHARE OF k, a";

/* ---- reading ---- */

struct loading {
	PGconn *link;
	struct jk_arena *arena;
	struct pact_book *book;
	int *status;
};

/* Rows in binary; NULL: said. */
static PGresult *query(struct loading *loading, const char *sql)
{
	PGresult *result = PQexecParams(loading->link, sql, 0, NULL, NULL, NULL, NULL, 1);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	*loading->status = admin_fail(loading->link, result, "agreements cannot be read");
	PQclear(result);
	return NULL;
}

static char *copy_text(struct loading *loading, const PGresult *result, int row, int column)
{
	const char *text = PQgetvalue(result, row, column);
	return jk_arena_string(loading->arena, text, strlen(text));
}

/* Exactly `size` bytes, else zeros, which belong to nobody. */
static void copy_bytes(uint8_t *ret, size_t size, const PGresult *result, int row, int column)
{
	size_t got = 0;
	const void *bytes = jk_db_get_bytes(result, row, column, &got);
	memset(ret, 0, size);
	if (bytes && got == size)
		memcpy(ret, bytes, size);
}

static bool take_keys(struct loading *loading, const PGresult *result)
{
	int count = PQntuples(result);
	struct pact_signer *signers = jk_arena_alloc(loading->arena, ((size_t)count + 1) * sizeof *signers);

	for (int row = 0; signers && row < count; row++) {
		struct pact_signer *signer = &signers[row];
		copy_bytes(signer->sign_key, sizeof signer->sign_key, result, row, 0);
		signer->agency_id = (int32_t)jk_db_get_int(result, row, 1);
		(void)jk_text_copy(signer->agency, sizeof signer->agency, PQgetvalue(result, row, 2));
		signer->is_operator = jk_db_get_int(result, row, 3) != 0;
		signer->may_sign = jk_db_get_int(result, row, 4) != 0;
		signer->agency_revoked = jk_db_get_int(result, row, 5) != 0;
		signer->revoked_us = jk_db_get_time_us(result, row, 6);
		signer->valid_from_us = jk_db_get_time_us(result, row, 7);
		signer->expires_us = jk_db_get_time_us(result, row, 8);
	}
	loading->book->signers = signers;
	loading->book->signer_count = (size_t)count;
	return signers;
}

static bool take_clock(struct loading *loading, const PGresult *result)
{
	loading->book->now_us = jk_db_get_time_us(result, 0, 0);
	return true;
}

static bool take_pacts(struct loading *loading, const PGresult *result)
{
	int count = PQntuples(result);
	struct jk_pact *pacts = jk_arena_alloc(loading->arena, ((size_t)count + 1) * sizeof *pacts);

	for (int row = 0; pacts && row < count; row++) {
		pacts[row].pact_id = (int32_t)jk_db_get_int(result, row, 0);
		pacts[row].kind = (enum jk_pact_kind)jk_words_number(&jk_pact_kinds, PQgetvalue(result, row, 1));
		pacts[row].code = copy_text(loading, result, row, 2);
		if (!pacts[row].code)
			return false;
	}
	loading->book->pacts = pacts;
	loading->book->pact_count = (size_t)count;
	loading->book->added_us = jk_arena_alloc(loading->arena, ((size_t)count + 1) * sizeof *loading->book->added_us);
	return pacts && loading->book->added_us;
}

/* How many rows from this one on are the pact's. */
static int count_rows(const PGresult *result, const struct jk_pact *pact, int row)
{
	int count = 0;
	while (row + count < PQntuples(result) && jk_db_get_int(result, row + count, 0) == pact->pact_id)
		count++;
	return count;
}

static bool take_versions(struct loading *loading, const PGresult *result)
{
	int row = 0;

	for (size_t i = 0; i < loading->book->pact_count; i++) {
		struct jk_pact *pact = &loading->book->pacts[i];
		int count = count_rows(result, pact, row);
		struct jk_pact_version_row *rows = jk_arena_alloc(loading->arena, ((size_t)count + 1) * sizeof *rows);
		for (int k = 0; rows && k < count; k++, row++) {
			rows[k].pact_id = pact->pact_id;
			rows[k].version = (uint32_t)jk_db_get_int(result, row, 1);
			rows[k].document = copy_text(loading, result, row, 2);
			if (!rows[k].document)
				return false;
		}
		pact->versions = rows;
		pact->version_count = (size_t)count;
		if (!rows)
			return false;
	}
	return true;
}

static bool take_act(struct loading *loading, const PGresult *result, int row, struct jk_act_row *ret)
{
	ret->pact_id = (int32_t)jk_db_get_int(result, row, 0);
	ret->version = (uint32_t)jk_db_get_int(result, row, 1);
	ret->act_no = (int)jk_db_get_int(result, row, 2);
	ret->act = (enum jk_act)jk_words_number(&jk_pact_acts, PQgetvalue(result, row, 3));
	ret->agency_id = (int32_t)jk_db_get_int(result, row, 4);
	(void)jk_text_copy(ret->agency, sizeof ret->agency, PQgetvalue(result, row, 5));
	ret->at_us = jk_db_get_time_us(result, row, 6);
	ret->statement = copy_text(loading, result, row, 7);
	copy_bytes(ret->sign_key, sizeof ret->sign_key, result, row, 8);
	copy_bytes(ret->signature, sizeof ret->signature, result, row, 9);
	return ret->statement;
}

static bool take_acts(struct loading *loading, const PGresult *result)
{
	int row = 0;

	for (size_t i = 0; i < loading->book->pact_count; i++) {
		struct jk_pact *pact = &loading->book->pacts[i];
		int count = count_rows(result, pact, row);
		struct jk_act_row *acts = jk_arena_alloc(loading->arena, ((size_t)count + 1) * sizeof *acts);
		int64_t *added_us = jk_arena_alloc(loading->arena, ((size_t)count + 1) * sizeof *added_us);
		for (int k = 0; acts && added_us && k < count; k++, row++) {
			added_us[k] = jk_db_get_time_us(result, row, 10);
			if (!take_act(loading, result, row, &acts[k]))
				return false;
		}
		loading->book->added_us[i] = added_us;
		pact->acts = acts;
		pact->act_count = (size_t)count;
		if (!acts || !added_us)
			return false;
	}
	return true;
}

static bool no_memory(struct loading *loading)
{
	*loading->status = cli_fail(CLI_REFUSED, NULL, "out of memory");
	return false;
}

static bool load_book(struct loading *loading, const char *sql, bool (*take)(struct loading *, const PGresult *))
{
	PGresult *result = query(loading, sql);
	bool good = result && (take(loading, result) || no_memory(loading));
	PQclear(result);
	return good;
}

struct pact_book *pact_store_load(struct admin_store *store, struct jk_arena *arena, int *ret_status)
{
	struct loading loading = {store->link, arena, jk_arena_alloc(arena, sizeof(struct pact_book)), ret_status};

	if (!loading.book) {
		(void)no_memory(&loading);
		return NULL;
	}
	loading.book->arena = arena;
	PQclear(PQexec(store->link, load_begin));
	bool good = load_book(&loading, load_keys, take_keys) && load_book(&loading, load_clock, take_clock) &&
		    load_book(&loading, load_pacts, take_pacts) && load_book(&loading, load_versions, take_versions) &&
		    load_book(&loading, load_acts, take_acts);
	PQclear(PQexec(store->link, "ROLLBACK"));
	return good ? loading.book : NULL;
}

/* ---- writing ---- */

/* Runs it in the transaction under way. rows: how many it must make; 0: any. */
static enum pact_added add_rows(
	struct admin_store *store, const char *sql, const char *const *params, int count, const char *rows, int *ret_status)
{
	PGresult *result = PQexecParams(store->link, sql, count, NULL, params, NULL, NULL, 0);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	enum pact_added added = PACT_ADDED;

	if (state && strcmp(state, "23505") == 0) {
		added = PACT_LOST;
	} else if (PQresultStatus(result) != PGRES_COMMAND_OK) {
		added = PACT_FAILED;
		*ret_status = admin_fail(store->link, result, "the act is not written");
	} else if (rows && strcmp(PQcmdTuples(result), rows) != 0) {
		added = PACT_NOT_SIGNER;
	}
	PQclear(result);
	return added;
}

static enum pact_added add_all(struct admin_store *store, enum jk_pact_kind kind, const char *code, const struct jk_act_row *act,
	const char *document, int *ret_status)
{
	char version[16], act_no[16], at[JK_TIME_BYTES], digest_hex[2 * JK_SHA256_BYTES + 1], key_hex[JK_KEY_HEX_BYTES],
		signature_hex[2 * JK_SIGNATURE_BYTES + 1];
	const char *kind_name = jk_words_name(&jk_pact_kinds, (int)kind);
	enum pact_added added = PACT_ADDED;

	(void)jk_text_format(version, sizeof version, "%u", act->version);
	(void)jk_text_format(act_no, sizeof act_no, "%d", act->act_no);
	jk_time_format(at, act->at_us);
	jk_hex_encode(key_hex, act->sign_key, sizeof act->sign_key);
	jk_hex_encode(signature_hex, act->signature, sizeof act->signature);
	if (document) {
		uint8_t digest[JK_SHA256_BYTES];
		jk_pact_digest(digest, document);
		jk_hex_encode(digest_hex, digest, sizeof digest);
		const char *const params[] = {kind_name, code, version, document, digest_hex};
		added = add_rows(store, add_pact, params, 2, NULL, ret_status);
		if (added == PACT_ADDED)
			added = add_rows(store, add_version, params, 5, "1", ret_status);
	}
	const char *const params[] = {kind_name, code, version, act_no, jk_words_name(&jk_pact_acts, (int)act->act), act->agency,
		at, act->statement, key_hex, signature_hex};
	return added == PACT_ADDED ? add_rows(store, add_act, params, 10, "1", ret_status) : added;
}

enum pact_added pact_store_add(struct admin_store *store, enum jk_pact_kind kind, const char *code, const struct jk_act_row *act,
	const char *document, int *ret_status)
{
	PQclear(PQexec(store->link, "BEGIN"));
	enum pact_added added = add_all(store, kind, code, act, document, ret_status);
	PGresult *end = PQexec(store->link, added == PACT_ADDED ? "COMMIT" : "ROLLBACK");
	/* COMMIT answers ROLLBACK where the transaction was broken. */
	if (added == PACT_ADDED && (PQresultStatus(end) != PGRES_COMMAND_OK || strcmp(PQcmdStatus(end), "COMMIT") != 0)) {
		added = PACT_FAILED;
		*ret_status = admin_fail(store->link, end, "the act is not written");
	}
	PQclear(end);
	return added;
}
