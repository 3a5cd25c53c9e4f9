/* Agreements: documents, statements and whole histories from any bytes. First byte: which. What is taken has one canonical form;
 * a history that nobody signed never has anything in force. */
#include "agreement/agreement.h"
#include "fuzz.h"

static void read_document(enum jk_pact_kind kind, const char *text, size_t size, struct jk_arena *arena)
{
	struct jk_agreement agreement;
	struct jk_task_force task_force;
	struct jk_refusal refusal = {.code = JK_CODE_NONE};
	const char *document, *again;

	if (!jk_pact_canonical(kind, text, size, arena, &document, &refusal)) {
		fuzz_must_say_why(&refusal);
		return;
	}
	fuzz_must(jk_pact_canonical(kind, document, strlen(document), arena, &again, &refusal) && strcmp(document, again) == 0);
	if (kind == JK_PACT_TASK_FORCE) {
		fuzz_must(jk_task_force_read(document, arena, &task_force, &refusal) && task_force.member_count > 0);
		return;
	}
	fuzz_must(jk_agreement_read(document, arena, &agreement, &refusal));
	fuzz_must(agreement.profile != JK_PROFILE_NONE && agreement.tlp_ceiling != JK_TLP_NONE &&
		  agreement.uses & 1u << JK_USE_VIEW);
	fuzz_must(agreement.counties >> (JK_COUNTY_MAX + 1) == 0 && !(agreement.counties & 1) && agreement.categories <= 0x1ffe);
	fuzz_must(!(agreement.reporter || agreement.persons) || agreement.profile == JK_PROFILE_FULL);
}

/* A statement that is read is written again as it was, when it is a first one. */
static void read_statement(const char *text)
{
	struct jk_statement statement;
	struct jk_refusal refusal = {.code = JK_CODE_NONE};
	char written[JK_STATEMENT_MAX_BYTES];

	if (!jk_statement_read(text, &statement, &refusal)) {
		fuzz_must_say_why(&refusal);
		fuzz_must(statement.act == JK_ACT_NONE);
		return;
	}
	struct jk_act_row act = {
		.version = statement.version, .act_no = statement.act_no, .act = statement.act, .at_us = statement.at_us};
	fuzz_must(jk_text_copy(act.agency, sizeof act.agency, statement.agency));
	size_t size = jk_act_write(written, statement.kind, statement.code, &act, statement.document, NULL);
	fuzz_must(size > 0 && strncmp(written, text, size - 1) == 0 && (statement.has_previous || strcmp(written, text) == 0));
}

static bool may_sign(void *arg, const uint8_t sign_key[JK_KEY_BYTES], int32_t agency_id, bool operator_act, int64_t at_us)
{
	(void)arg;
	(void)sign_key;
	(void)agency_id;
	(void)operator_act;
	(void)at_us;
	return true;
}

static bool is_known(void *arg, const uint8_t digest[JK_SHA256_BYTES])
{
	(void)digest;
	return *(const bool *)arg;
}

/* Two versions of a document, and a byte for each act: who, what, about which. known: every signature counts as verified, so that
 * the rules are walked; otherwise none is good. */
static void walk(const uint8_t *bytes, size_t size, bool known, struct jk_arena *arena)
{
	static const char *const documents[] = {"{\"task_force\":\"T\",\"version\":1,\"lead\":\"A\",\"members\":[\"A\",\"B\"],"
						"\"purpose\":\"p\",\"legal_basis\":\"l\","
						"\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"2027-01-01T00:00:00Z\"}",
		"{\"task_force\":\"T\",\"version\":2,\"lead\":\"B\",\"members\":[\"B\",\"C\"],\"purpose\":\"p\",\"legal_basis\":"
		"\"l\","
		"\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"2028-01-01T00:00:00Z\"}"};
	static const char *const agencies[] = {"A", "B", "C", "D"};
	enum { ACTS_MAX = 12 };
	static char statements[ACTS_MAX][JK_STATEMENT_MAX_BYTES];
	const struct jk_pact_version_row versions[] = {{1, 1, documents[0]}, {1, 2, documents[1]}};
	struct jk_act_row acts[ACTS_MAX];
	struct jk_pact pact = {
		.pact_id = 1, .kind = JK_PACT_TASK_FORCE, .code = "T", .versions = versions, .version_count = 2, .acts = acts};
	const struct jk_signers signers = {.may_sign = may_sign, .is_known = is_known, .arg = &known};
	struct jk_pact_state state;
	struct jk_refusal refusal;

	for (size_t i = 0; i < size && i < ACTS_MAX; i++) {
		uint8_t digest[JK_SHA256_BYTES];
		acts[i] = (struct jk_act_row){.pact_id = 1,
			.version = 1 + (bytes[i] >> 7),
			.act_no = (int)i + 1,
			.act = (enum jk_act)(1 + (bytes[i] & 7) % 6),
			.agency_id = 1 + (bytes[i] >> 3) % 4,
			.at_us = 1,
			.statement = statements[i]};
		fuzz_must(jk_text_copy(acts[i].agency, sizeof acts[i].agency, agencies[(bytes[i] >> 3) % 4]));
		jk_pact_digest(digest, documents[acts[i].version - 1]);
		fuzz_must(jk_act_write(statements[i], pact.kind, pact.code, &acts[i], digest, i > 0 ? statements[i - 1] : NULL) >
			  0);
		pact.act_count = i + 1;
		jk_pact_decide(&pact, &signers, arena, &state, &refusal);
		fuzz_must(known || state.closed);
		fuzz_must(!state.closed || (state.in_force == -1 && state.consented_count == 0));
		fuzz_must(state.in_force < 0 || (state.in_force == state.holds && state.consented_count > 0 && !state.ended));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size == 0 || jk_crypt_init() != JK_OK)
		return 0;
	struct jk_arena *arena = fuzz_arena((size_t)32 * 1024 * 1024);
	char *text = fuzz_text(bytes + 1, size - 1);
	switch (bytes[0] % 5) {
	case 0:
		read_document(JK_PACT_AGREEMENT, text, size - 1, arena);
		break;
	case 1:
		read_document(JK_PACT_TASK_FORCE, text, size - 1, arena);
		break;
	case 2:
		read_statement(text);
		break;
	default:
		walk(bytes + 1, size - 1, bytes[0] % 5 == 3, arena);
	}
	free(text);
	return 0;
}
