/* Positions, the token made of them, and the file that holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client_positions.h"
#include "client/client_resume.h"

static char folder[64], path[96];

static int make_folder(void **state)
{
	(void)state;
	(void)jk_text_format(folder, sizeof folder, "/tmp/jk-resume-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	return jk_text_format(path, sizeof path, "%s/resume", folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void set(struct client_positions *positions, const char *stream, const char *seal)
{
	struct client_position position = {.seal_size = (uint16_t)strlen(seal)};

	(void)jk_text_copy(position.stream, sizeof position.stream, stream);
	memcpy(position.seal, seal, strlen(seal));
	assert_true(client_positions_set(positions, &position));
}

static void what_is_no_token_is_refused(void **state)
{
	static const char *const bad[] = {"", "x", "now", "AAAA", "!!!!", "CAE", "WgA"};
	struct client_positions positions = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(client_positions_parse(&positions, bad[i]));
	client_positions_done(&positions);
}

static void the_newest_of_each_stream_counts(void **state)
{
	struct client_positions positions = {0}, read = {0};
	struct jk_buffer token = {0};

	(void)state;
	set(&positions, "047", "one");
	set(&positions, "@KPS", "other");
	set(&positions, "047", "two");
	assert_int_equal(positions.count, 2);
	assert_true(client_positions_token(&positions, &token));
	assert_true(client_positions_parse(&read, token.data));
	assert_int_equal(read.count, 2);
	assert_string_equal(read.items[0].stream, "047");
	assert_int_equal(read.items[0].seal_size, 3);
	assert_memory_equal(read.items[0].seal, "two", 3);
	assert_string_equal(read.items[1].stream, "@KPS");
	jk_buffer_done(&token);
	client_positions_done(&positions);
	client_positions_done(&read);
}

static void too_long_a_seal_is_refused(void **state)
{
	static uint8_t seal[CLIENT_SEAL_MAX_BYTES + 1];
	Jukwaa__V1__SealedPosition wire = JUKWAA__V1__SEALED_POSITION__INIT;
	struct client_position position;
	char stream[] = "047";

	(void)state;
	wire.stream = stream;
	wire.seal.data = seal;
	assert_false(client_position_read(&wire, &position));
	wire.seal.len = sizeof seal;
	assert_false(client_position_read(&wire, &position));
	wire.seal.len = CLIENT_SEAL_MAX_BYTES;
	assert_true(client_position_read(&wire, &position));
	assert_false(client_position_read(NULL, &position));
}

static void no_file_is_no_token(void **state)
{
	struct jk_buffer token = {0};
	struct jk_refusal refusal;

	(void)state;
	assert_int_equal(client_resume_read(path, &token, &refusal), JK_OK);
	assert_int_equal(token.size, 0);
	jk_buffer_done(&token);
}

static void a_file_of_another_kind_is_refused(void **state)
{
	static const char *const bad[] = {"", "x\n", "jukwaa-resume-1 \n", "jukwaa-resume-1 cut off", "jukwaa-resume-9 AAAA\n"};
	struct jk_buffer token = {0};
	struct jk_refusal refusal;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		FILE *file = fopen(path, "w");

		fputs(bad[i], file);
		fclose(file);
		assert_int_equal(client_resume_read(path, &token, &refusal), JK_BROKEN);
	}
	jk_buffer_done(&token);
}

static void the_newest_token_is_read_back(void **state)
{
	struct jk_buffer token = {0};
	struct jk_refusal refusal;
	struct stat status;

	(void)state;
	assert_int_equal(client_resume_write(path, "AAAA", &refusal), JK_OK);
	assert_int_equal(client_resume_write(path, "BBBB", &refusal), JK_OK);
	assert_int_equal(client_resume_read(path, &token, &refusal), JK_OK);
	assert_string_equal(token.data, "BBBB");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	jk_buffer_done(&token);
}

static void a_folder_that_is_not_there_is_said(void **state)
{
	struct jk_refusal refusal;

	(void)state;
	assert_int_equal(client_resume_write("/nowhere/at/all", "AAAA", &refusal), JK_BROKEN);
	assert_non_null(strstr(refusal.reason, "/nowhere/at/all"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_token_is_refused),
		cmocka_unit_test(the_newest_of_each_stream_counts),
		cmocka_unit_test(too_long_a_seal_is_refused),
		TEST(no_file_is_no_token),
		TEST(a_file_of_another_kind_is_refused),
		TEST(the_newest_token_is_read_back),
		TEST(a_folder_that_is_not_there_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
