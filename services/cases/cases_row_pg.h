/* cases_row_pg.h: a row of cases."case" as both store files read it. */
#pragma once

#include "cases_rules.h"
#include "db/db.h"

enum { CASES_OID_TIMESTAMPTZ = 1184 };

/* Of a table alias `c`; read by cases_row_read from the first column on. */
#define CASES_ROW_COLUMNS                                                                                                        \
	"c.case_id, c.state, c.version, c.entries, c.agency, array_to_string(c.counties, ','), c.category, c.categories,"        \
	" c.severity, c.status, c.scope, c.tlp, c.revision, c.event_id, c.opened_at, c.updated_at,"                              \
	" c.event_at, array_to_string(c.named, ',')"
enum { CASES_ROW_COLUMN_COUNT = 18 };

void cases_row_read(const PGresult *result, int row, struct cases_case *ret);
/* Microseconds since 1970 as PostgreSQL's binary timestamptz; INT64_MAX is infinity. */
int64_t cases_row_time(int64_t time_us);
