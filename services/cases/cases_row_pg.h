/* cases_row_pg.h: a row of cases."case" as both store files read it. */
#pragma once

#include "cases_rules.h"
#include "db/db.h"

enum { CASES_OID_FLOAT8 = 701, CASES_OID_TIMESTAMPTZ = 1184 };

/* Of a table alias `c`; read by cases_row_read from the first column on. */
#define CASES_ROW_COLUMNS                                                                                                        \
	"c.case_id, c.state, c.version, c.entries, c.agency, array_to_string(c.counties, ','), c.category, c.categories,"        \
	" c.severity, c.status, c.scope, c.tlp, c.revision, c.event_id, c.opened_at, c.updated_at,"                              \
	" c.event_at, array_to_string(c.named, ','),"                                                                            \
	" c.lat, c.lon, c.constituency, c.occurred_at,"                                                                          \
	" c.accepted_at, c.dispatched_at, c.on_scene_at, c.resolved_at"
enum { CASES_ROW_COLUMN_COUNT = 26 };

/* Where the columns of cases_place and cases_steps begin, counted from 0. */
enum { CASES_ROW_PLACE = 18, CASES_ROW_STEPS = 22 };
void cases_row_read(const PGresult *result, int row, struct cases_case *ret);
/* Microseconds since 1970 as PostgreSQL's binary timestamptz; INT64_MAX is infinity. */
int64_t cases_row_time(int64_t time_us);
