/* cases_row_pg.h: rows of cases."case" and cases.task as all store files read them. */
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
	" c.accepted_at, c.dispatched_at, c.on_scene_at, c.resolved_at, " CASES_LIFE_COLUMNS
#define CASES_LIFE_COLUMNS                                                                                                       \
	"c.assigned_agency, c.assigned_desk, c.referred_agency, c.referred_service, c.disposition, c.blocking, c.took_in,"       \
	" c.merged_into, c.triaged_at, c.assigned_at, c.started_at, c.closed_at, c.target_triage_at, c.target_resolve_at,"       \
	" c.assigned_hidden, c.referred_hidden, c.since_version"
enum { CASES_ROW_COLUMN_COUNT = 43 };

/* Where the columns of cases_place, cases_steps and cases_life begin, counted from 0. */
enum { CASES_ROW_PLACE = 18, CASES_ROW_STEPS = 22, CASES_ROW_LIFE = 26 };
void cases_row_read(const PGresult *result, int row, struct cases_case *ret);
/* Its part, from CASES_ROW_LIFE on. */
void cases_row_read_life(const PGresult *result, int row, struct cases_life *ret);

/* Of a table alias `t`. */
#define CASES_TASK_ROW_COLUMNS                                                                                                   \
	"t.task_id, t.case_id, t.title, t.agency, t.desk, t.due_at, t.blocking, t.state, t.made_at, t.ended_at, t.hidden"
void cases_row_read_task(const PGresult *result, int row, struct cases_task *ret);

/* Microseconds since 1970 as PostgreSQL's binary timestamptz; INT64_MAX is infinity. */
int64_t cases_row_time(int64_t time_us);
/* One more element of a column of times; 0: NULL. */
void cases_row_add_time(struct jk_db_array *column, int64_t time_us);
