/* csv_time.h: times as CSV files write them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum csv_time { CSV_TIME_READ, CSV_TIME_BAD, CSV_TIME_WITHOUT_ZONE };

/* pattern: "rfc3339", or text in which these stand for a part: yyyy mm dd HH MM SS (figures; all but yyyy may lack the leading
 * zero where no figure follows), mon (Jan … Dec), zone (Z, +03:00, +0300); other characters stand for themselves. */
bool csv_time_is_pattern(const char *pattern);
/* zone_s: seconds east of UTC for times that name no zone; NULL: there is none. */
enum csv_time csv_time_parse(const char *pattern, const int *zone_s, const char *text, int64_t *ret_time_us);
/* "Z", "+03:00", "+0300". *text moves behind it. */
bool csv_time_parse_zone(const char **text, int *ret_zone_s);
