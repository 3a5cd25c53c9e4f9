/* What people hand in as evidence: a proof, an export, a file of witnessed heads. First byte: which. Whatever it is, nothing of
 * it may be proven under a key that has signed nothing. */
#include "evidence/evidence_export.h"
#include "evidence/evidence_proof.h"
#include "evidence/evidence_witness.h"
#include "fuzz.h"

static const uint8_t keys[1][32] = {{1}};

static void on_proven(void *arg, const struct jk_proven *position)
{
	(void)arg;
	(void)position;
	fuzz_must(false);
}

static void on_finding(void *arg, const struct jk_finding *finding)
{
	(void)arg;
	fuzz_must(finding->code != NULL && strlen(finding->words) < sizeof finding->words);
}

static void on_head(void *arg, const struct jk_signed_head *head)
{
	struct jk_signed_head again;
	struct jk_buffer line = {0};

	jk_check_witness(arg, head);
	jk_witness_write(&line, head);
	fuzz_must(line.failed || (jk_witness_parse(line.data, line.size - 1, &again) && memcmp(&again, head, sizeof again) == 0));
	jk_buffer_done(&line);
}

static void check_export(const char *path, struct jk_check *check)
{
	FILE *file = fopen(path, "re");
	struct jk_refusal refusal = {0};

	fuzz_must(file != NULL);
	if (!jk_export_read(file, check, &refusal))
		fuzz_must(refusal.code != JK_CODE_NONE);
	fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct jk_refusal refusal = {0};
	struct jk_signed_head head;
	struct jk_check *check;
	size_t bad;

	if (size == 0 || jk_crypt_init() != JK_OK)
		return 0;
	if (bytes[0] % 3 == 0) {
		fuzz_must(!jk_proof_check((const char *)bytes + 1, size - 1, keys, 1, on_proven, NULL, &head, &refusal) &&
			  refusal.code != JK_CODE_NONE);
		return 0;
	}
	check = jk_check_new(keys, 1, on_finding, NULL);
	if (check == NULL)
		return 0;
	if (bytes[0] % 3 == 1)
		check_export(fuzz_file(bytes + 1, size - 1), check);
	else
		(void)!jk_witness_read(fuzz_file(bytes + 1, size - 1), on_head, check, &bad, &refusal);
	(void)jk_check_finish(check);
	jk_check_free(&check);
	return 0;
}
