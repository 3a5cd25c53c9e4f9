/* Hashes and signatures against published answers: FIPS 180-4, RFC 4231, RFC 6962 (the reference implementation's leaves),
 * RFC 8032. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "crypt/crypt.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void assert_hex(const uint8_t *bytes, size_t size, const char *hex)
{
	char text[2 * 64 + 1];
	jk_hex_encode(text, bytes, size);
	assert_string_equal(text, hex);
}

static void sha256_known_answers(void **state)
{
	static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	char *million = malloc(1000000);
	uint8_t hash[32];
	(void)state;
	memset(million, 'a', 1000000);
	jk_sha256(hash, NULL, 0);
	assert_hex(hash, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	jk_sha256(hash, &(struct jk_span){"abc", 3}, 1);
	assert_hex(hash, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	for (size_t cut = 0; cut <= strlen(two_blocks); cut++) {
		const struct jk_span spans[] = {{two_blocks, cut}, {NULL, 0}, {two_blocks + cut, strlen(two_blocks) - cut}};
		jk_sha256(hash, spans, COUNT(spans));
		assert_hex(hash, 32, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	}
	jk_sha256(hash, &(struct jk_span){million, 1000000}, 1);
	assert_hex(hash, 32, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(million);
}

static void hmac_known_answers(void **state)
{
	uint8_t mac[32], key[131];
	(void)state;
	memset(key, 0x0b, 20);
	jk_hmac_sha256(mac, key, 20, &(struct jk_span){"Hi There", 8}, 1);
	assert_hex(mac, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	const struct jk_span spans[] = {{"what do ya want ", 16}, {"for nothing?", 12}};
	jk_hmac_sha256(mac, "Jefe", 4, spans, 2);
	assert_hex(mac, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof key);
	jk_hmac_sha256(mac, key, sizeof key, &(struct jk_span){"Test Using Larger Than Block-Size Key - Hash Key First", 54}, 1);
	assert_hex(mac, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void keyed_hash_known_answers(void **state)
{
	uint8_t key[32], hash[32];
	(void)state;
	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	jk_keyed_hash(hash, 32, key, &(struct jk_span){"abc", 3}, 1);
	assert_hex(hash, 32, "d63a32d3e44738d7907f964316c241adaba0abfeabc32349677578a15a203f7f");
	jk_keyed_hash(hash, 16, key, &(struct jk_span){"abc", 3}, 1);
	assert_hex(hash, 16, "1a64be47e4729d951c302ee543f97cf3");
}

static void merkle_known_answers(void **state)
{
	static const char *const inputs[] = {
		"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
	static const char *const roots[] = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
	uint8_t leaves[8][32], root[32];
	(void)state;
	for (size_t count = 0; count <= COUNT(inputs); count++) {
		for (size_t i = 0; i < count; i++) {
			uint8_t data[16];
			size_t size = strlen(inputs[i]) / 2;
			assert_true(jk_hex_decode(data, size, inputs[i]));
			jk_merkle_leaf(leaves[i], data, size);
		}
		jk_merkle_root(root, leaves, count);
		assert_hex(root, 32, roots[count]);
	}
}

/* RFC 8032 §7.1, test 3. */
static void signature_known_answer(void **state)
{
	struct jk_key key = {.curve_public = {0}};
	uint8_t signature[64], message[2] = {0xaf, 0x82};
	(void)state;
	assert_true(jk_hex_decode(key.sign_secret, 64,
		"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"));
	memcpy(key.sign_public, key.sign_secret + 32, 32);
	jk_sign(signature, &key, message, sizeof message);
	assert_hex(signature, 64,
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
		"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
	assert_true(jk_verify(signature, key.sign_public, message, sizeof message));
	message[1] ^= 1;
	assert_false(jk_verify(signature, key.sign_public, message, sizeof message));
	message[1] ^= 1;
	signature[0] ^= 1;
	assert_false(jk_verify(signature, key.sign_public, message, sizeof message));
	signature[0] ^= 1;
	key.sign_public[0] ^= 1;
	assert_false(jk_verify(signature, key.sign_public, message, sizeof message));
}

static void equality(void **state)
{
	(void)state;
	assert_true(jk_bytes_equal("abc", "abc", 3));
	assert_false(jk_bytes_equal("abc", "abd", 3));
	assert_true(jk_bytes_equal("abc", "abd", 2));
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, JK_SALT_BYTES);
}

static void random_never_repeats(void **state)
{
	enum { SALTS = 100000 };
	uint8_t(*salts)[JK_SALT_BYTES] = calloc(SALTS, JK_SALT_BYTES);
	uint8_t large[200] = {0}, zero[200] = {0};
	(void)state;
	for (int i = 0; i < SALTS; i++)
		jk_random(salts[i], JK_SALT_BYTES);
	qsort(salts, SALTS, JK_SALT_BYTES, compare);
	for (int i = 1; i < SALTS; i++)
		assert_memory_not_equal(salts[i - 1], salts[i], JK_SALT_BYTES);
	free(salts);
	jk_random(large, sizeof large);
	assert_memory_not_equal(large, zero, sizeof large);
}

static void a_fork_draws_its_own(void **state)
{
	uint8_t parent[JK_SALT_BYTES], child[JK_SALT_BYTES];
	int ends[2];
	(void)state;
	jk_random(parent, sizeof parent);
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		jk_random(child, sizeof child);
		_exit(write(ends[1], child, sizeof child) == sizeof child ? 0 : 1);
	}
	jk_random(parent, sizeof parent);
	assert_int_equal(read(ends[0], child, sizeof child), sizeof child);
	(void)waitpid(pid, NULL, 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
	assert_memory_not_equal(parent, child, sizeof parent);
}

static int init(void **state)
{
	(void)state;
	return jk_crypt_init() == JK_OK && jk_crypt_init() == JK_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_known_answers),
		cmocka_unit_test(hmac_known_answers),
		cmocka_unit_test(keyed_hash_known_answers),
		cmocka_unit_test(merkle_known_answers),
		cmocka_unit_test(signature_known_answer),
		cmocka_unit_test(equality),
		cmocka_unit_test(random_never_repeats),
		cmocka_unit_test(a_fork_draws_its_own),
	};
	return cmocka_run_group_tests(tests, init, NULL);
}
