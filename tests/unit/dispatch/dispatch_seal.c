/* Seals: what was written is read back by the same holder, and by nobody else; every single bit counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypt/crypt.h"
#include "dispatch_seal.h"

static const uint8_t key[DISPATCH_SEAL_KEY_BYTES] = {1, 2, 3};
static const struct dispatch_filter every = {0}, tests = {.include_test = true};
static const struct dispatch_position position = {.seq = 0x0102030405060708, .chain8 = {9, 8, 7}};

static bool reads(
	const struct dispatch_holder *holder, const char *stream, const uint8_t *seal, size_t size, enum jk_code *ret_code)
{
	const struct dispatch_sealed sealed = {.stream = stream, .seal = seal, .size = size};
	struct jk_refusal refusal = {.code = JK_CODE_NONE};
	struct dispatch_position got = {.seq = 0};
	bool read = dispatch_seal_read(key, holder, &sealed, &got, &refusal);

	*ret_code = refusal.code;
	if (read)
		assert_true(got.seq == position.seq && memcmp(got.chain8, position.chain8, sizeof got.chain8) == 0);
	return read;
}

static void test_refused(void **state)
{
	struct dispatch_holder desk, other;
	uint8_t seal[DISPATCH_SEAL_BYTES];
	enum jk_code code;
	(void)state;

	dispatch_seal_holder(&desk, 12, 3, &every);
	dispatch_seal_write(seal, key, &desk, "047", &position);
	for (size_t bit = 0; bit < sizeof seal * 8; bit++) {
		seal[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_false(reads(&desk, "047", seal, sizeof seal, &code));
		assert_int_equal(code, JK_CODE_NOT_PERMITTED);
		seal[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	assert_false(reads(&desk, "047", seal, sizeof seal - 1, &code));
	assert_int_equal(code, JK_CODE_NOT_WELL_FORMED);
	assert_false(reads(&desk, "047", seal, 0, &code));
	assert_false(reads(&desk, "048", seal, sizeof seal, &code));
	dispatch_seal_holder(&other, 13, 3, &every);
	assert_false(reads(&other, "047", seal, sizeof seal, &code));
	dispatch_seal_holder(&other, -1, 12, &every); /* agency 12 is not desk 12 */
	assert_false(reads(&other, "047", seal, sizeof seal, &code));
	dispatch_seal_holder(&other, 12, 3, &tests);
	assert_false(reads(&other, "047", seal, sizeof seal, &code));
	assert_int_equal(code, JK_CODE_NOT_PERMITTED);
}

static void test_read_back(void **state)
{
	struct dispatch_holder desk, publisher;
	uint8_t seal[DISPATCH_SEAL_BYTES];
	enum jk_code code;
	(void)state;

	dispatch_seal_holder(&desk, 12, 3, &every);
	dispatch_seal_write(seal, key, &desk, "047", &position);
	assert_true(reads(&desk, "047", seal, sizeof seal, &code));
	dispatch_seal_holder(&publisher, -1, 3, &every);
	assert_string_equal(publisher.name, "A3");
	dispatch_seal_write(seal, key, &publisher, "@POLICE", &position);
	assert_true(reads(&publisher, "@POLICE", seal, sizeof seal, &code));
}

int main(void)
{
	const struct CMUnitTest all[] = {cmocka_unit_test(test_refused), cmocka_unit_test(test_read_back)};

	return jk_crypt_init() == JK_OK ? cmocka_run_group_tests(all, NULL, NULL) : 1;
}
