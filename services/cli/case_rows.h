/* case_rows.h: cases as rows of a CSV file (RFC 4180) and as features of a GeoJSON file (RFC 7946): for jukwaa case export.
 * Appends to a buffer. Not here: asking for them. */
#pragma once

#include "base/jk_text.h"
#include "jukwaa/v1/cases.pb-c.h"

/* A field of a CSV row: quoted where it must be. What a spreadsheet would take for a formula (it begins with = + - @, tab or CR)
 * gets an apostrophe in front. */
void case_rows_write_field(struct jk_buffer *out, const char *text);
/* The line of names, and a case as a line; with CR LF. */
void case_rows_write_head(struct jk_buffer *out);
void case_rows_write_row(struct jk_buffer *out, const Jukwaa__V1__CaseSummary *summary);
/* The beginning, a feature (first: the first one), the end. A case without a position has geometry null. */
void case_rows_open_features(struct jk_buffer *out);
void case_rows_write_feature(struct jk_buffer *out, const Jukwaa__V1__CaseSummary *summary, bool first);
void case_rows_close_features(struct jk_buffer *out);
