/* Exports as files: what may stand where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "evidence/evidence_export.h"

enum { EVENTS = 12 };

static struct jk_key key;
static uint8_t keys[1][32];
static struct jk_chain_link links[EVENTS + 1]; /* by number, from 1 */
static struct jk_leaf leaves[EVENTS + 1];

static void on_finding(void *arg, const struct jk_finding *finding)
{
	(void)finding;
	++*(int *)arg;
}

static void write_events(struct jk_export *export, uint64_t first, uint64_t last)
{
	for (uint64_t seq = first; seq <= last; seq++)
		jk_export_event(export, &links[seq], leaves[seq].chain);
}

static void write_head(struct jk_export *export, uint64_t seq)
{
	struct jk_signed_head head = {.head_no = 1, .signed_at_us = 1};
	uint8_t hashes[1][32];

	jk_leaf_hash(hashes[0], leaves[seq].stream, seq, leaves[seq].chain);
	jk_merkle_root(head.root, hashes, 1);
	jk_head_sign(&head, &key);
	jk_export_head(export, &head, &leaves[seq], 1);
}

static void write_words(struct jk_export *export, const char *words)
{
	fprintf(export->file, "%s\n", words);
	export->lines++;
}

/* B: beginning in part; E: end of all; P: end of a part, W: the same as if it were of all; H: a head; 1, 2, 3: thirds of the
 * events. */
static void write_one(struct jk_export *export, char what)
{
	switch (what) {
	case 'S':
		jk_export_start(export, true);
		break;
	case 's':
		write_words(export, "streams all");
		break;
	case 'B':
		jk_export_begin(export, &leaves[4], 0);
		break;
	case 'E':
		jk_export_end(export, &leaves[EVENTS], true);
		break;
	case 'P':
		jk_export_end(export, &leaves[8], false);
		break;
	case 'W':
		jk_export_end(export, &leaves[8], true);
		break;
	case 'H':
		write_head(export, 9);
		break;
	case '1':
	case '2':
	case '3':
		write_events(export, (uint64_t)(what - '1') * 4 + 1, (uint64_t)(what - '0') * 4);
		break;
	case 'F':
		write_words(export, "jukwaa-evidence-1");
		break;
	default:
		fail();
	}
}

/* Findings; -1: it was refused. */
static int read_written(const char *what, struct jk_check_sum *ret_sum)
{
	struct jk_export export = {.file = tmpfile()};
	struct jk_refusal refusal = {0};
	int findings = 0;
	struct jk_check *check = jk_check_new(keys, 1, on_finding, &findings);
	bool good;

	assert_non_null(export.file);
	assert_non_null(check);
	for (; *what; what++)
		write_one(&export, *what);
	jk_export_finish(&export);
	rewind(export.file);
	good = jk_export_read(export.file, check, &refusal);
	*ret_sum = jk_check_finish(check);
	jk_check_free(&check);
	fclose(export.file);
	if (!good)
		assert_int_equal(refusal.code, JK_CODE_NOT_WELL_FORMED);
	return good ? findings : -1;
}

static void test_whole_and_in_part(void **state)
{
	struct jk_check_sum sum;
	(void)state;

	assert_int_equal(read_written("SEH123", &sum), 0);
	assert_int_equal(sum.partial_streams, 0);
	assert_true(sum.all_streams);
	assert_int_equal(read_written("SPBH2", &sum), 0);
	assert_int_equal(sum.partial_streams, 1);
	assert_int_equal(read_written("SEBH23", &sum), 0);
	assert_int_equal(sum.partial_streams, 1);
}

/* What is said of streams behind heads or events, or twice, would make them mean something else. */
static void test_order(void **state)
{
	static const char *const wrong[] = {
		"SEH1B23", /* what came before #5 is forgotten */
		"SPH12W",  /* a head that knows more was beyond the part */
		"SPWH12",  /* the same, at once */
		"SBEBH23", /* two beginnings */
		"SEH123E", /* two ends */
		"SEH123s", /* too late for what heads name */
		"SsEH123", /* twice */
		"FEH123",  /* never */
		"EH123",   /* no export */
	};
	struct jk_check_sum sum;
	(void)state;

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(read_written(wrong[i], &sum), -1);
}

static int init(void **state)
{
	(void)state;
	if (jk_crypt_init() != JK_OK)
		return -1;
	jk_key_new(&key);
	memcpy(keys[0], key.sign_public, 32);
	for (uint64_t seq = 1; seq <= EVENTS; seq++) {
		links[seq] = (struct jk_chain_link){.stream = "047", .seq = seq, .epoch = 1, .kind = 1};
		leaves[seq] = (struct jk_leaf){.stream = "047", .seq = seq};
		jk_chain_next(leaves[seq].chain, seq == 1 ? NULL : leaves[seq - 1].chain, &links[seq]);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_and_in_part),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
