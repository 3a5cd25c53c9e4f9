/* RFC 3339 times: refusals first, then known answers and every day of the calendar against the C library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "base/jk_time.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"2026-03-01",
		"2026-03-01T08:15:30",  /* no offset */
		"2026-03-01T08:15Z",    /* no seconds */
		"2026-03-01 08:15:30Z", /* no T */
		"2026-02-29T00:00:00Z", /* no leap year */
		"1900-02-29T00:00:00Z", /* nor 1900 */
		"2026-04-31T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z",
		"2026-01-01T00:00:00+15:00", /* beyond 14 h */
		"2026-01-01T00:00:00+14:01",
		"2026-01-01T00:00:00+03",
		"2026-01-01T00:00:00+0300",
		"2026-01-01T00:00:00+03:60",
		"2026-01-01T00:00:00.Z",
		"2026-01-01T00:00:00,5Z",
		"2026-01-01T00:00:00Zz",
		" 2026-01-01T00:00:00Z",
		"1899-12-31T23:59:59Z",
		"1900-01-01T00:00:00+03:00", /* 1899 in UTC */
		"9999-12-31T23:59:59-03:00",
		"10000-01-01T00:00:00Z",
		"+2026-01-01T00:00:00Z",
		"2026-1-01T00:00:00Z",
	};
	int64_t time_us = 77;
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (jk_time_parse(bad[i], &time_us))
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(time_us, 77);
}

static void known_answers(void **state)
{
	static const struct {
		const char *text;
		int64_t time_us;
		const char *again;
	} vectors[] = {
		{"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"},
		{"2026-03-01T11:15:30.123456+03:00", INT64_C(1772352930123456), "2026-03-01T08:15:30.123456Z"},
		{"2026-03-01T08:15:30.1234569Z", INT64_C(1772352930123456), "2026-03-01T08:15:30.123456Z"},
		{"2026-03-01t08:15:30.5z", INT64_C(1772352930500000), "2026-03-01T08:15:30.500000Z"},
		{"2026-03-01T08:15:30-00:00", INT64_C(1772352930000000), "2026-03-01T08:15:30Z"},
		{"1969-12-31T23:59:59.999999Z", -1, "1969-12-31T23:59:59.999999Z"},
		{"1900-01-01T00:00:00Z", INT64_C(-2208988800000000), "1900-01-01T00:00:00Z"},
		{"9999-12-31T23:59:59Z", INT64_C(253402300799000000), "9999-12-31T23:59:59Z"},
		{"2000-02-29T12:00:00+14:00", INT64_C(951775200000000), "2000-02-28T22:00:00Z"},
	};
	char text[JK_TIME_BYTES];
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		int64_t time_us;
		assert_true(jk_time_parse(vectors[i].text, &time_us));
		if (time_us != vectors[i].time_us)
			fail_msg("%s: %lld", vectors[i].text, (long long)time_us);
		jk_time_format(text, time_us);
		assert_string_equal(text, vectors[i].again);
	}
	/* Far outside: no overrun, and something a person can read. */
	jk_time_format(text, INT64_MAX);
	jk_time_format(text, INT64_MIN);
	assert_true(strlen(text) < sizeof text);
}

static void every_day_agrees_with_libc(void **state)
{
	(void)state;
	for (int year = 1900; year <= 9999; year += year < 2200 ? 1 : 97)
		for (int month = 1; month <= 12; month++)
			for (int day = 1; day <= 31; day++) {
				struct tm parts = {
					.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = 7, .tm_sec = 9};
				time_t seconds = timegm(&parts);
				bool exists = parts.tm_mday == day;
				int64_t time_us = 0;
				assert_true(jk_time_from_civil(year, month, day, 7, 0, 9, 0, &time_us) == exists);
				if (!exists)
					continue;
				assert_true(time_us == (int64_t)seconds * 1000000);
				char text[JK_TIME_BYTES];
				int64_t again;
				jk_time_format(text, time_us);
				assert_true(jk_time_parse(text, &again) && again == time_us);
			}
}

static void clocks_run(void **state)
{
	(void)state;
	int64_t before = jk_time_mono_ms();
	assert_true(jk_time_now_us() / 1000000 - time(NULL) <= 1);
	assert_true(jk_time_mono_ms() >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),
		cmocka_unit_test(known_answers),
		cmocka_unit_test(every_day_agrees_with_libc),
		cmocka_unit_test(clocks_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
