/* Log lines as they stand on standard error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/jk_log.h"

static char caught[16384];

/* Standard error goes to a pipe while `what` runs; caught: what it wrote. */
static void catch_errors(void (*what)(void))
{
	int ends[2], kept = dup(STDERR_FILENO);
	size_t size = 0;
	ssize_t got;

	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	(void)close(ends[1]);
	what();
	assert_true(dup2(kept, STDERR_FILENO) >= 0);
	(void)close(kept);
	while ((got = read(ends[0], caught + size, sizeof caught - 1 - size)) > 0)
		size += (size_t)got;
	caught[size] = '\0';
	(void)close(ends[0]);
}

static void write_one(void)
{
	jk_log(JK_LOG_INFO, "batch_stored",
		"reports=%zu took_ms=%" PRId64 " peer=%s text=%s empty=%s addr=%s:%d ratio=%.2f share=%d%% hex=%08x part=%.*s",
		(size_t)3, (int64_t)-4, "abc", "two words \"q\" level=error\nevent=forged", "", "::1", 80, 0.5, 7, 0xbeefu, 2,
		"xyz");
}

static void plain_lines_cannot_be_forged(void **state)
{
	(void)state;
	jk_log_init("intake", false, JK_LOG_INFO);
	catch_errors(write_one);
	char *fields = strstr(caught, " level=info");
	assert_non_null(fields);
	assert_memory_equal(caught, "time=2", 6);
	assert_string_equal(fields, " level=info service=intake event=batch_stored reports=3 took_ms=-4 peer=abc "
				    "text=\"two words \\\"q\\\" level=error\\u000aevent=forged\" empty=\"\" addr=::1:80 "
				    "ratio=0.50 share=7% hex=0000beef part=xy\n");
}

static void json_lines_keep_numbers(void **state)
{
	(void)state;
	jk_log_init("intake", true, JK_LOG_INFO);
	catch_errors(write_one);
	assert_memory_equal(caught, "{\"time\":\"2", 10);
	assert_non_null(strstr(caught, "\",\"level\":\"info\",\"service\":\"intake\",\"event\":\"batch_stored\",\"reports\":3,"
				       "\"took_ms\":-4,\"peer\":\"abc\","
				       "\"text\":\"two words \\\"q\\\" "
				       "level=error\\u000aevent=forged\",\"empty\":\"\",\"addr\":\"::1:80\",\"ratio\":0.50,"
				       "\"share\":\"7%\",\"hex\":\"0000beef\",\"part\":\"xy\"}\n"));
}

static void write_hostile(void)
{
	char longest[5000];
	memset(longest, 1, sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	jk_log(JK_LOG_WARN, "hostile", "a=%s b=%s c=%s d=%s", "\xff\xfe", longest, longest, longest);
	jk_log(JK_LOG_DEBUG, "hidden", "a=%d", 1);
}

static void one_line_whatever_the_value(void **state)
{
	(void)state;
	jk_log_init("intake", true, JK_LOG_INFO);
	catch_errors(write_hostile);
	assert_null(strstr(caught, "hidden"));
	assert_non_null(strstr(caught, "\"a\":\"??\""));
	size_t size = strlen(caught);
	assert_string_equal(caught + size - 2, "}\n");
	assert_ptr_equal(strchr(caught, '\n'), caught + size - 1);
}

static void write_many(void)
{
	for (int i = 0; i < 100; i++) {
		jk_log_limited(60000, JK_LOG_WARN, "often", "i=%d", i);
		jk_log_limited(0, JK_LOG_WARN, "always", "i=%d", i);
	}
	usleep(2000);
	jk_log_limited(1, JK_LOG_WARN, "often", "i=%d", 100);
}

static void limited_lines_count_what_they_swallow(void **state)
{
	int lines = 0;
	(void)state;
	jk_log_init("intake", false, JK_LOG_INFO);
	catch_errors(write_many);
	for (char *c = caught; (c = strchr(c, '\n')); c++)
		lines++;
	assert_int_equal(lines, 102);
	assert_non_null(strstr(caught, "event=often i=0\n"));
	assert_non_null(strstr(caught, "event=often i=100 swallowed=99\n"));
}

static void levels(void **state)
{
	enum jk_log_level level = JK_LOG_ERROR;
	(void)state;
	assert_false(jk_log_level_parse("loud", &level));
	assert_int_equal(level, JK_LOG_ERROR);
	assert_true(jk_log_level_parse("Debug", &level));
	assert_int_equal(level, JK_LOG_DEBUG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lines_cannot_be_forged),
		cmocka_unit_test(json_lines_keep_numbers),
		cmocka_unit_test(one_line_whatever_the_value),
		cmocka_unit_test(limited_lines_count_what_they_swallow),
		cmocka_unit_test(levels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
