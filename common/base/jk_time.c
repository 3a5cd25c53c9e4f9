/* jk_time.c: clocks and RFC 3339, without the C library's time zones. Calendar arithmetic: proleptic Gregorian, years that
 * begin in March, so that the leap day is a year's last. */
#include "base/jk_time.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/jk_text.h"

enum {
	DAYS_OF_ERA = 146097, /* 400 years */
	ERA_TO_1970_DAYS = 719468,
	OFFSET_MAX_S = 14 * 3600,
};
static const int64_t day_us = INT64_C(86400) * 1000000;

int64_t jk_time_now_us(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t jk_time_mono_us(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t jk_time_mono_ms(void)
{
	return jk_time_mono_us() / 1000;
}

static int64_t days_from_civil(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * DAYS_OF_ERA + day_of_era - ERA_TO_1970_DAYS;
}

static void civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
	days += ERA_TO_1970_DAYS;
	int64_t era = (days >= 0 ? days : days - (DAYS_OF_ERA - 1)) / DAYS_OF_ERA;
	int64_t day_of_era = days - era * DAYS_OF_ERA;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_OF_ERA - 1)) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;

	*ret_day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
	*ret_month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
	*ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

void jk_time_format(char ret[JK_TIME_BYTES], int64_t time_us)
{
	int64_t days = time_us / day_us, rest_us = time_us % day_us, year;
	int month, day;

	if (rest_us < 0) {
		rest_us += day_us;
		days--;
	}
	civil_from_days(days, &year, &month, &day);
	int seconds = (int)(rest_us / 1000000), fraction = (int)(rest_us % 1000000);
	char tail[16] = "Z";
	if (fraction)
		(void)jk_text_format(tail, sizeof tail, ".%06dZ", fraction);
	(void)jk_text_format(ret, JK_TIME_BYTES, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d%s", year, month, day, seconds / 3600,
		seconds / 60 % 60, seconds % 60, tail);
}

static int days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return month == 2 && leap ? 29 : days[month - 1];
}

bool jk_time_from_civil(int year, int month, int day, int hour, int minute, int second, int offset_s, int64_t *ret_time_us)
{
	if (year < 1900 || year > 9999 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
		return false;
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
		return false;
	if (offset_s < -OFFSET_MAX_S || offset_s > OFFSET_MAX_S)
		return false;
	int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s;
	int64_t time_us = seconds * 1000000;
	/* The years hold for UTC too: what is read here is written in UTC, and has to be read again. */
	if (time_us < JK_TIME_FIRST_US || time_us > JK_TIME_LAST_US)
		return false;
	*ret_time_us = time_us;
	return true;
}

/* Exactly `count` digits at *text_p, which moves on. */
static bool take_number(const char **text_p, int count, int *ret)
{
	int value = 0;

	for (int i = 0; i < count; i++) {
		char c = (*text_p)[i];
		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (c - '0');
	}
	*text_p += count;
	*ret = value;
	return true;
}

static bool take_char(const char **text_p, const char *choices)
{
	for (const char *c = choices; *c; c++)
		if (**text_p == *c) {
			++*text_p;
			return true;
		}
	return false;
}

/* ".123": at least one digit; digits after the sixth are dropped. */
static bool take_fraction(const char **text_p, int *ret_us)
{
	*ret_us = 0;
	if (!take_char(text_p, "."))
		return true;
	const char *start = *text_p;
	int scale = 100000;
	for (; **text_p >= '0' && **text_p <= '9'; ++*text_p, scale /= 10)
		*ret_us += (**text_p - '0') * scale;
	return *text_p > start;
}

static bool take_offset(const char **text_p, int *ret_offset_s)
{
	int hours, minutes, sign = **text_p == '-' ? -1 : 1;

	*ret_offset_s = 0;
	if (take_char(text_p, "Zz"))
		return true;
	if (!take_char(text_p, "+-") || !take_number(text_p, 2, &hours) || !take_char(text_p, ":") ||
		!take_number(text_p, 2, &minutes))
		return false;
	*ret_offset_s = sign * (hours * 3600 + minutes * 60);
	return minutes <= 59;
}

bool jk_time_parse(const char *text, int64_t *ret_time_us)
{
	int year, month, day, hour, minute, second, fraction_us, offset_s;
	int64_t time_us;

	bool date = take_number(&text, 4, &year) && take_char(&text, "-") && take_number(&text, 2, &month) &&
		    take_char(&text, "-") && take_number(&text, 2, &day) && take_char(&text, "Tt");
	bool clock = date && take_number(&text, 2, &hour) && take_char(&text, ":") && take_number(&text, 2, &minute) &&
		     take_char(&text, ":") && take_number(&text, 2, &second) && take_fraction(&text, &fraction_us);
	if (!clock || !take_offset(&text, &offset_s) || *text)
		return false;
	if (!jk_time_from_civil(year, month, day, hour, minute, second, offset_s, &time_us))
		return false;
	*ret_time_us = time_us + fraction_us;
	return true;
}
