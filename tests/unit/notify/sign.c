/* Secrets and signatures. Expected values were computed with Python's hmac and base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "notify_sign.h"

static char path[] = "/tmp/notify-sign-XXXXXX";

static void write_file(const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static bool reads(struct notify_secret *ret_secret)
{
	struct jk_refusal refusal = {0};
	bool good = notify_sign_read_secret(path, ret_secret, &refusal);
	assert_int_equal(good, refusal.code == JK_CODE_NONE);
	assert_null(strstr(refusal.reason, path));
	return good;
}

static void signatures_are_those_of_the_standard(void **state)
{
	(void)state;
	struct notify_secret secret;
	char signature[NOTIFY_SIGNATURE_BYTES];
	static const char body[] = "{\"a\":1}";
	write_file("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", 0600);
	assert_true(reads(&secret));
	assert_int_equal(secret.size, 32);
	notify_sign(signature, &secret, "msg_1", 1700000000, body, strlen(body));
	assert_string_equal(signature, "v1,AMaOha7DUT/0J0JMycRuYOBSvbx3WtwLd2khXXbaVj4=");
	notify_sign(signature, &secret, "msg_1", 1700000001, body, strlen(body));
	assert_string_equal(signature, "v1,O8SNXINrgnh2jGeCC+lNCgmhEpO/Ii8p0KFgcpZECMY=");
}

static void secrets_in_every_form_that_is_one(void **state)
{
	(void)state;
	static const char *const good[] = {
		"whsec_+//7//v/+//7//v/+//7//v/+//7//v/",                /* both special digits, no end of line */
		"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\r\n", /* without padding */
		"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n", /* 64 bytes */
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct notify_secret secret;
		write_file(good[i], 0600);
		assert_true(reads(&secret));
		assert_in_range(secret.size, NOTIFY_SECRET_MIN_BYTES, NOTIFY_SECRET_MAX_BYTES);
	}
}

static void what_is_no_secret_or_no_secret_any_more(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "\n", "whsec_", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"WHSEC_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* 23 bytes */
		"whsec_AAECAwQFBgcICQoLDA0O DxAREhMUFRYXGBkaGxwdHh8=",
		"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", /* 65 bytes */
	};
	static const mode_t open_to_others[] = {0640, 0604, 0620, 0602, 0644, 0666, 0601};
	struct notify_secret secret;
	struct jk_refusal refusal;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		write_file(bad[i], 0600);
		assert_false(reads(&secret));
	}
	for (size_t i = 0; i < sizeof open_to_others / sizeof *open_to_others; i++) {
		write_file("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", open_to_others[i]);
		assert_false(reads(&secret));
	}
	assert_false(notify_sign_read_secret("/tmp", &secret, &refusal));
	assert_false(notify_sign_read_secret("/dev/zero", &secret, &refusal));
	assert_false(notify_sign_read_secret("/nowhere/at/all", &secret, &refusal));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures_are_those_of_the_standard),
		cmocka_unit_test(secrets_in_every_form_that_is_one),
		cmocka_unit_test(what_is_no_secret_or_no_secret_any_more),
	};
	int file = mkstemp(path);
	if (file < 0)
		return 1;
	close(file);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
