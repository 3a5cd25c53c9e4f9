/* Key files: what is refused, in which words; then writing, reading, permissions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "crypt/crypt.h"

static char folder[] = "/tmp/jukwaa-key-XXXXXX";
static char path[64], public_path[64], other_path[64];
static struct jk_key key;

static void write_file(const char *name, mode_t mode, const char *text)
{
	(void)unlink(name);
	FILE *file = fopen(name, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(name, mode), 0);
}

static void format_key(char *text, size_t capacity, const struct jk_key *from)
{
	char hex[4][129];
	jk_hex_encode(hex[0], from->curve_public, 32);
	jk_hex_encode(hex[1], from->curve_secret, 32);
	jk_hex_encode(hex[2], from->sign_public, 32);
	jk_hex_encode(hex[3], from->sign_secret, 64);
	assert_true(jk_text_format(text, capacity,
		"curve-public = %s\ncurve-secret=%s\n# comment\n\n sign-public = %s \r\nsign-secret = %s", hex[0], hex[1], hex[2],
		hex[3]));
}

static void assert_refused(const char *text, mode_t mode, enum jk_code code, const char *word)
{
	struct jk_refusal reason = {.code = JK_CODE_NONE};
	struct jk_key read, zero = {.curve_public = {0}};

	write_file(other_path, mode, text);
	assert_int_equal(jk_key_read(other_path, &read, &reason), JK_BROKEN);
	assert_int_equal(reason.code, code);
	if (!strstr(reason.reason, word))
		fail_msg("'%s' is not in '%s'", word, reason.reason);
	assert_memory_equal(&read, &zero, sizeof read);
}

static void malformed_files_are_refused(void **state)
{
	char text[1024], changed[1024];
	struct jk_key wrong;
	(void)state;
	format_key(text, sizeof text, &key);
	assert_refused("", 0600, JK_CODE_NOT_WELL_FORMED, "not a whole key file");
	assert_refused("hello", 0600, JK_CODE_NOT_WELL_FORMED, "line 1");
	(void)jk_text_format(changed, sizeof changed, "%s\nsign-public = 00", text);
	assert_refused(changed, 0600, JK_CODE_NOT_WELL_FORMED, "line 7");
	(void)jk_text_format(changed, sizeof changed, "%s\nfurther = 00", text);
	assert_refused(changed, 0600, JK_CODE_NOT_WELL_FORMED, "line 7");
	assert_refused(strchr(text, '\n'), 0600, JK_CODE_NOT_WELL_FORMED, "not a whole key file");
	text[20] = 'g';
	assert_refused(text, 0600, JK_CODE_NOT_WELL_FORMED, "line 1");

	/* Each half of another key in turn. */
	struct jk_key second;
	jk_key_new(&second);
	for (int part = 0; part < 4; part++) {
		wrong = key;
		uint8_t *values[] = {wrong.curve_public, wrong.curve_secret, wrong.sign_public, wrong.sign_secret};
		uint8_t *others[] = {second.curve_public, second.curve_secret, second.sign_public, second.sign_secret};
		memcpy(values[part], others[part], part == 3 ? 64 : 32);
		format_key(text, sizeof text, &wrong);
		assert_refused(text, 0600, JK_CODE_NOT_WELL_FORMED, "do not belong together");
	}
}

static void open_files_are_refused(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0644, 0660};
	char text[1024];
	struct jk_key read;
	struct jk_refusal reason;
	(void)state;
	format_key(text, sizeof text, &key);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		assert_refused(text, modes[i], JK_CODE_RULE_VIOLATION, "chmod 600");
	write_file(other_path, 0400, text);
	assert_int_equal(jk_key_read(other_path, &read, &reason), JK_OK);
	assert_memory_equal(&read, &key, sizeof key);
}

static void other_things_are_refused(void **state)
{
	struct jk_key read;
	struct jk_refusal reason;
	char text[5000];
	(void)state;
	assert_int_equal(jk_key_read("/nonexistent/key", &read, &reason), JK_BROKEN);
	assert_int_equal(reason.code, JK_CODE_NOT_FOUND);
	assert_int_equal(jk_key_read(folder, &read, &reason), JK_BROKEN);
	assert_int_equal(jk_key_read("/dev/zero", &read, &reason), JK_BROKEN);
	memset(text, '#', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_refused(text, 0600, JK_CODE_NOT_WELL_FORMED, "is not a key file");
}

static void nothing_is_overwritten(void **state)
{
	struct jk_refusal reason;
	struct jk_key second, read;
	(void)state;
	jk_key_new(&second);
	assert_int_equal(jk_key_write(&second, path, &reason), JK_BROKEN);
	assert_non_null(strstr(reason.reason, "not overwritten"));
	assert_int_equal(jk_key_read(path, &read, &reason), JK_OK);
	assert_memory_equal(&read, &key, sizeof key);

	/* A public file alone stops it too, and no secret is left behind. */
	write_file(other_path, 0600, "");
	(void)unlink(other_path);
	char other_public[80];
	(void)jk_text_format(other_public, sizeof other_public, "%s.pub", other_path);
	write_file(other_public, 0644, "keep");
	assert_int_equal(jk_key_write(&second, other_path, &reason), JK_BROKEN);
	assert_int_equal(access(other_path, F_OK), -1);
	(void)unlink(other_public);
	assert_int_equal(jk_key_write(&second, "/nonexistent/folder/key", &reason), JK_BROKEN);
}

static void written_files_are_read(void **state)
{
	struct jk_refusal reason;
	struct jk_key read;
	struct stat about;
	uint8_t curve[32], sign[32];
	(void)state;
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(about.st_mode & 07777, 0600);
	assert_int_equal(stat(public_path, &about), 0);
	assert_int_equal(about.st_mode & 07777, 0644);
	assert_int_equal(jk_key_read(path, &read, &reason), JK_OK);
	assert_memory_equal(&read, &key, sizeof key);
	const char *both[] = {path, public_path};
	for (int i = 0; i < 2; i++) {
		memset(curve, 0, sizeof curve);
		assert_int_equal(jk_key_read_public(both[i], curve, sign, &reason), JK_OK);
		assert_memory_equal(curve, key.curve_public, 32);
		assert_memory_equal(sign, key.sign_public, 32);
	}
	assert_int_equal(jk_key_read(public_path, &read, &reason), JK_BROKEN);
	assert_non_null(strstr(reason.reason, "public halves only"));
	jk_key_wipe(&read);
	assert_true(read.curve_secret[0] == 0 && read.sign_secret[63] == 0);
}

static int make_folder(void **state)
{
	struct jk_refusal reason;
	(void)state;
	(void)umask(0077); /* must not narrow the public file */
	if (jk_crypt_init() != JK_OK || !mkdtemp(folder))
		return -1;
	(void)jk_text_format(path, sizeof path, "%s/key", folder);
	(void)jk_text_format(public_path, sizeof public_path, "%s/key.pub", folder);
	(void)jk_text_format(other_path, sizeof other_path, "%s/other", folder);
	jk_key_new(&key);
	return jk_key_write(&key, path, &reason) == JK_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(public_path);
	(void)unlink(other_path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_files_are_refused),
		cmocka_unit_test(open_files_are_refused),
		cmocka_unit_test(other_things_are_refused),
		cmocka_unit_test(nothing_is_overwritten),
		cmocka_unit_test(written_files_are_read),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
