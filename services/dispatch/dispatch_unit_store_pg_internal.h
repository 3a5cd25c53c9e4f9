/* dispatch_unit_store_pg_internal.h: what the files of the store of units share: columns, and how their rows are read. */
#pragma once

#include "dispatch_unit_store_pg.h"

enum { DISPATCH_UNIT_ARRAYS = 64, DISPATCH_UNIT_SCALARS = 12, DISPATCH_OID_FLOAT8 = 701 };

struct dispatch_unit_store {
	struct jk_db_array arrays[DISPATCH_UNIT_ARRAYS];
	struct jk_db_int8 at, scalars[DISPATCH_UNIT_SCALARS];
};

/* Of dispatch.unit u and its open assignment a. */
#define DISPATCH_UNIT_COLUMNS                                                                                                    \
	"u.unit_id, u.agency_id, u.code, u.discipline, array_to_string(u.capabilities, ' '), u.base_lat, u.base_lon,"            \
	" coalesce(u.county, ''), coalesce(u.desk_id, -1), u.lat, u.lon, u.position_at, u.state, u.state_at, u.version,"         \
	" a.assignment_id, a.incident_id, a.desk_id, a.hidden, a.allowed_by, a.dispatched_at, a.en_route_at, a.on_scene_at,"     \
	" a.transporting_at"
/* Of dispatch.aid d. */
#define DISPATCH_AID_COLUMNS                                                                                                     \
	"d.aid_id, coalesce(d.asked_id, '00000000-0000-0000-0000-000000000000'), d.incident_id, d.agency_id,"                    \
	" coalesce(d.giver_id, -1), d.capability, d.count, d.offered, d.needed_by, d.state, d.version, d.hidden, d.reason,"      \
	" d.created_at, d.updated_at"
/* Each incident of `ids` in each of its counties. The body, which is the same in all of them, comes once, as long as those before
 * it are less than 8 MiB in all. */
#define DISPATCH_INCIDENTS_OF_IDS                                                                                                \
	"SELECT n.incident_id, n.stream, n.open, n.revision, n.recorded_at, n.tlp, n.category, n.lat, n.lon,"                    \
	" CASE WHEN n.place = 1 AND coalesce(n.before, 0) < 8388608 THEN n.body END"                                             \
	" FROM (SELECT k.*, sum(CASE WHEN k.place = 1 THEN octet_length(k.body) ELSE 0 END)"                                     \
	" OVER (ORDER BY k.incident_id, k.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before"                     \
	" FROM (SELECT o.incident_id, o.stream, o.closed_at IS NULL AS open, e.revision, e.recorded_at, e.tlp, e.category,"      \
	" o.lat, o.lon, e.body, row_number() OVER (PARTITION BY o.incident_id ORDER BY o.closed_at IS NOT NULL,"                 \
	" e.revision DESC, o.stream)"                                                                                            \
	" AS place FROM ids JOIN dispatch.open_incident AS o ON o.incident_id = ids.id"                                          \
	" JOIN feed.event AS e ON e.stream = o.stream AND e.seq = o.body_seq) AS k) AS n ORDER BY n.incident_id, n.place"

/* Makes the first `count` arrays empty ones of these types. */
void dispatch_unit_store_reset(struct dispatch_unit_store *store, const unsigned *oids, size_t count);
void dispatch_unit_store_add_double(struct jk_db_array *array, double value);
void dispatch_unit_store_bind_double(struct jk_db_step *step, int index, struct jk_db_int8 *storage, double value);
/* timestamptz as PostgreSQL counts it. */
int64_t dispatch_unit_store_time(int64_t time_us);
void dispatch_unit_store_text(char *ret, size_t capacity, const PGresult *result, int row, int column);
