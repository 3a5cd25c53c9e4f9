/* jk_time.h: clocks and RFC 3339. Rules take times as arguments; only shells read clocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Microseconds since 1970-01-01 UTC. */
int64_t jk_time_now_us(void);
/* Of a clock that never goes back. */
int64_t jk_time_mono_us(void);
int64_t jk_time_mono_ms(void);

/* The first and the last time that can be written and read: years 1900 to 9999. */
#define JK_TIME_FIRST_US INT64_C(-2208988800000000)
#define JK_TIME_LAST_US INT64_C(253402300799999999)

enum { JK_TIME_BYTES = 40 };
/* "2026-03-01T08:15:30.123456Z"; the fraction is left out when zero. */
void jk_time_format(char ret[JK_TIME_BYTES], int64_t time_us);
/* RFC 3339 date-time with seconds and an offset (Z, ±hh:mm), optional fraction up to 6 digits kept; a missing offset is
 * refused. Years 1900–9999. */
bool jk_time_parse(const char *text, int64_t *ret_time_us);
/* Civil time to time_us; false when a part is out of range (31 February). offset_s: seconds east of UTC, within ±14 h. */
bool jk_time_from_civil(int year, int month, int day, int hour, int minute, int second, int offset_s, int64_t *ret_time_us);
