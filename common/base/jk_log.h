/* jk_log.h: one line an event on standard error, key=value or JSON. Floors 0–4 return; only shells log. Never: personal
 * data, message text, keys. Thread-safe. */
#pragma once

#include <stdbool.h>

enum jk_log_level { JK_LOG_DEBUG, JK_LOG_INFO, JK_LOG_WARN, JK_LOG_ERROR };

/* service: "intake", … (borrowed for ever). json: one JSON object a line. */
void jk_log_init(const char *service, bool json, enum jk_log_level minimum);

/* event: a fixed name ("session_opened"); then pairs key, printf format, ... built with jk_log_field below:
 *   jk_log(JK_LOG_INFO, "batch_stored", "reports=%zu took_ms=%" PRId64, n, ms);
 * The format must be of the form key=%… key=%…; values with blanks or quotes are quoted by the writer. */
void jk_log(enum jk_log_level level, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* As jk_log, at most once in interval_ms for each event name; counts what it swallowed and says so. */
void jk_log_limited(int interval_ms, enum jk_log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool jk_log_level_parse(const char *name, enum jk_log_level *ret);
