/* dispatch_unit_store_pg.c: loading and saving a batch of commands. See dispatch_unit_store_pg.h. */
#include "dispatch_unit_store_pg_internal.h"

#include <stdlib.h>
#include <string.h>

static const struct jk_db_statement deeds_statement = {
	.name = "dispatch_unit_deeds",
	.sql = "SELECT clock_timestamp(), c.agency_id, c.command_id, c.digest, c.thing_id, c.version, c.state"
	       " FROM (SELECT 1) AS one LEFT JOIN (unnest($1::int4[], $2::uuid[]) AS w (agency_id, command_id)"
	       " JOIN dispatch.unit_command AS c ON c.agency_id = w.agency_id AND c.command_id = w.command_id) ON true",
	.params = 2,
};

/* Units wanted by id or by code: two look-ups in indexes. */
#define WANTED_UNITS                                                                                                             \
	"unnest($1::int4[], $2::uuid[], $3::text[]) AS w (agency_id, unit_id, code) CROSS JOIN LATERAL ("                        \
	"SELECT * FROM dispatch.unit AS k WHERE k.unit_id = w.unit_id AND k.agency_id = w.agency_id AND k.removed_at IS NULL"    \
	" UNION ALL SELECT * FROM dispatch.unit AS k WHERE k.agency_id = w.agency_id AND k.code = w.code"                        \
	" AND k.removed_at IS NULL) AS u"
static const struct jk_db_statement units_statement = {
	.name = "dispatch_unit_units",
	.sql = "SELECT DISTINCT ON (u.unit_id) " DISPATCH_UNIT_COLUMNS " FROM " WANTED_UNITS " LEFT JOIN dispatch.assignment AS a"
	       " ON a.unit_id = u.unit_id AND a.ended_at IS NULL",
	.params = 3,
};
static const struct jk_db_statement aids_statement = {
	.name = "dispatch_unit_aids",
	.sql = "SELECT " DISPATCH_AID_COLUMNS
	       " FROM dispatch.aid AS d WHERE d.aid_id = ANY ($1::uuid[]) OR d.asked_id = ANY ($1::uuid[])"
	       " ORDER BY d.aid_id",
	.params = 1,
};
static const struct jk_db_statement incidents_statement = {
	.name = "dispatch_unit_incidents",
	.sql = "WITH ids AS (SELECT unnest($4::uuid[]) AS id UNION SELECT a.incident_id FROM " WANTED_UNITS
	       " JOIN dispatch.assignment AS a ON a.unit_id = u.unit_id AND a.ended_at IS NULL"
	       " UNION SELECT d.incident_id FROM dispatch.aid AS d WHERE d.aid_id = ANY ($5::uuid[])) " DISPATCH_INCIDENTS_OF_IDS,
	.params = 5,
};

/* A command that another process has done in between is missed here; then the batch is decided anew, and finds it done. */
static const struct jk_db_statement add_deeds_statement = {
	.name = "dispatch_unit_add_deeds",
	.sql = "WITH w AS (INSERT INTO dispatch.unit_command (agency_id, command_id, digest, desk_id, action, thing_id, version, "
	       "state,"
	       " number, done_at) SELECT v.*, '', $9::timestamptz FROM unnest($1::int4[], $2::uuid[], $3::bytea[], $4::int4[],"
	       " $5::text[], $6::uuid[], $7::int4[], $8::text[]) AS v ON CONFLICT DO NOTHING RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM w), $10::int8)",
	.params = 10,
};
#define UNIT_ROWS                                                                                                                \
	"unnest($1::uuid[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[], $8::text[], $9::int4[]," \
	" $10::int2[], $11::int4[], $12::int4[], $13::bool[]) AS v (unit_id, agency_id, code, discipline, capabilities, "        \
	"base_lat,"                                                                                                              \
	" base_lon, county, desk_id, state, version, loaded, changes)"
enum { UNIT_ARRAYS = 13 };
static const struct jk_db_statement add_units_statement = {
	.name = "dispatch_unit_add_units",
	.sql = "WITH w AS (INSERT INTO dispatch.unit (unit_id, agency_id, code, discipline, capabilities, base_lat, base_lon, "
	       "county,"
	       " desk_id, state, version, state_at, added_at, removed_at) SELECT v.unit_id, v.agency_id, v.code, v.discipline,"
	       " string_to_array(v.capabilities, ' '), v.base_lat, v.base_lon, nullif(v.county, ''), nullif(v.desk_id, -1),"
	       " least(v.state, 7), v.version, $14::timestamptz, $14::timestamptz,"
	       " CASE WHEN v.state = 8 THEN $14::timestamptz END FROM " UNIT_ROWS
	       " WHERE v.loaded = 0 ON CONFLICT DO NOTHING RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM w), $15::int8)",
	.params = 15,
};
static const struct jk_db_statement step_units_statement = {
	.name = "dispatch_unit_step_units",
	.sql = "WITH w AS (UPDATE dispatch.unit AS u SET discipline = v.discipline, capabilities = "
	       "string_to_array(v.capabilities, ' '),"
	       " base_lat = v.base_lat, base_lon = v.base_lon, county = nullif(v.county, ''), desk_id = nullif(v.desk_id, -1),"
	       " state = least(v.state, 7), version = v.version,"
	       " state_at = CASE WHEN v.changes THEN $14::timestamptz ELSE u.state_at END,"
	       " removed_at = CASE WHEN v.state = 8 THEN $14::timestamptz END FROM " UNIT_ROWS
	       " WHERE v.loaded > 0 AND u.unit_id = v.unit_id AND u.version = v.loaded AND u.removed_at IS NULL RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM w), $15::int8)",
	.params = 15,
};
static const struct jk_db_statement move_units_statement = {
	.name = "dispatch_unit_move_units",
	.sql = "UPDATE dispatch.unit AS u SET lat = v.lat, lon = v.lon, position_at = $4::timestamptz"
	       " FROM unnest($1::uuid[], $2::float8[], $3::float8[]) AS v (unit_id, lat, lon) WHERE u.unit_id = v.unit_id",
	.params = 4,
};
#define ASSIGNMENT_ROWS                                                                                                          \
	"unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int4[], $5::text[], $6::bool[], $7::text[], $8::text[], $9::int2[],"     \
	" $10::int2[], $11::bool[]) AS v (assignment_id, unit_id, incident_id, desk_id, allowed_by, hidden, reason, end_reason," \
	" outcome, reached, added)"
enum { ASSIGNMENT_ARRAYS = 11 };
/* Those that end come before those that begin: a unit has one open. reached: bit n, state n. */
static const struct jk_db_statement step_assignments_statement = {
	.name = "dispatch_unit_step_assignments",
	.sql = "WITH w AS (UPDATE dispatch.assignment AS a SET"
	       " en_route_at = CASE WHEN v.reached & 8 <> 0 THEN $12::timestamptz ELSE a.en_route_at END,"
	       " on_scene_at = CASE WHEN v.reached & 16 <> 0 THEN $12::timestamptz ELSE a.on_scene_at END,"
	       " transporting_at = CASE WHEN v.reached & 32 <> 0 THEN $12::timestamptz ELSE a.transporting_at END,"
	       " ended_at = CASE WHEN v.outcome > 0 THEN $12::timestamptz END, outcome = nullif(v.outcome, 0),"
	       " end_reason = nullif(v.end_reason, '') FROM " ASSIGNMENT_ROWS
	       " WHERE NOT v.added AND a.assignment_id = v.assignment_id AND a.ended_at IS NULL RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM w), $13::int8)",
	.params = 13,
};
static const struct jk_db_statement add_assignments_statement = {
	.name = "dispatch_unit_add_assignments",
	.sql = "WITH w AS (INSERT INTO dispatch.assignment (assignment_id, unit_id, incident_id, desk_id, allowed_by, hidden, "
	       "reason,"
	       " dispatched_at, en_route_at, on_scene_at, transporting_at, ended_at, outcome, end_reason)"
	       " SELECT v.assignment_id, v.unit_id, v.incident_id, v.desk_id, v.allowed_by, v.hidden, v.reason, $12::timestamptz,"
	       " CASE WHEN v.reached & 8 <> 0 THEN $12::timestamptz END, CASE WHEN v.reached & 16 <> 0 THEN $12::timestamptz END,"
	       " CASE WHEN v.reached & 32 <> 0 THEN $12::timestamptz END, CASE WHEN v.outcome > 0 THEN $12::timestamptz END,"
	       " nullif(v.outcome, 0), nullif(v.end_reason, '') FROM " ASSIGNMENT_ROWS
	       " WHERE v.added ON CONFLICT DO NOTHING RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM w), $13::int8)",
	.params = 13,
};
#define AID_ROWS                                                                                                                 \
	"unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int4[], $5::int4[], $6::text[], $7::int4[], $8::int4[], $9::int8[],"     \
	" $10::int2[], $11::int4[], $12::int4[], $13::bool[], $14::text[]) AS v (aid_id, asked_id, incident_id, agency_id,"      \
	" giver_id, capability, count, offered, needed_by, state, version, loaded, hidden, reason)"
enum { AID_ARRAYS = 14 };
static const struct jk_db_statement add_aids_statement = {
	.name = "dispatch_unit_add_aids",
	.sql = "WITH w AS (INSERT INTO dispatch.aid (aid_id, asked_id, incident_id, agency_id, giver_id, capability, count, "
	       "offered,"
	       " needed_by, state, version, hidden, reason, created_at, updated_at)"
	       " SELECT v.aid_id, nullif(v.asked_id, '00000000-0000-0000-0000-000000000000'), v.incident_id, v.agency_id,"
	       " nullif(v.giver_id, -1), v.capability, v.count, v.offered,"
	       " CASE WHEN v.needed_by <> 0 THEN timestamptz 'epoch' + v.needed_by * interval '1 microsecond' END,"
	       " v.state, v.version, v.hidden, v.reason, $15::timestamptz, $15::timestamptz FROM " AID_ROWS
	       " WHERE v.loaded = 0 ORDER BY v.asked_id ON CONFLICT DO NOTHING RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM w), $16::int8)",
	.params = 16,
};
static const struct jk_db_statement step_aids_statement = {
	.name = "dispatch_unit_step_aids",
	.sql = "WITH w AS (UPDATE dispatch.aid AS d SET offered = v.offered, state = v.state, version = v.version, hidden = "
	       "v.hidden,"
	       " reason = v.reason, updated_at = $15::timestamptz FROM " AID_ROWS
	       " WHERE v.loaded > 0 AND d.aid_id = v.aid_id AND d.version = v.loaded RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM w), $16::int8)",
	.params = 16,
};

struct dispatch_unit_store *dispatch_unit_store_new(void)
{
	return calloc(1, sizeof(struct dispatch_unit_store));
}

void dispatch_unit_store_free(struct dispatch_unit_store **store_p)
{
	struct dispatch_unit_store *store = *store_p;

	if (store == NULL)
		return;
	for (size_t i = 0; i < DISPATCH_UNIT_ARRAYS; i++)
		jk_db_array_done(&store->arrays[i]);
	free(store);
	*store_p = NULL;
}

/* ---- loading ---- */

enum { DEED_AGENCY, DEED_ID, UNIT_AGENCY, UNIT_ID, UNIT_CODE, AID_ID, INCIDENT_ID, WANTS };

void dispatch_unit_store_begin(struct dispatch_unit_store *store)
{
	static const unsigned oids[WANTS] = {
		JK_OID_INT4, JK_OID_UUID, JK_OID_INT4, JK_OID_UUID, JK_OID_TEXT, JK_OID_UUID, JK_OID_UUID};

	dispatch_unit_store_reset(store, oids, WANTS);
}

void dispatch_unit_store_want_deed(struct dispatch_unit_store *store, int32_t agency_id, const struct jk_id *command_id)
{
	jk_db_array_add_int(&store->arrays[DEED_AGENCY], agency_id);
	jk_db_array_add_id(&store->arrays[DEED_ID], command_id);
}

void dispatch_unit_store_want_unit(
	struct dispatch_unit_store *store, int32_t agency_id, const struct jk_id *unit_id, const char *code)
{
	jk_db_array_add_int(&store->arrays[UNIT_AGENCY], agency_id);
	jk_db_array_add_id(&store->arrays[UNIT_ID], unit_id);
	jk_db_array_add_text(&store->arrays[UNIT_CODE], code);
}

void dispatch_unit_store_want_aid(struct dispatch_unit_store *store, const struct jk_id *aid_id)
{
	jk_db_array_add_id(&store->arrays[AID_ID], aid_id);
}

void dispatch_unit_store_want_incident(struct dispatch_unit_store *store, const struct jk_id *incident_id)
{
	jk_db_array_add_id(&store->arrays[INCIDENT_ID], incident_id);
}

static void bind(struct jk_db_step *step, const struct jk_db_statement *statement, struct jk_db_array *arrays, int count)
{
	*step = (struct jk_db_step){.statement = statement};
	for (int i = 0; i < count; i++)
		jk_db_bind_array(step, i, &arrays[i]);
}

void dispatch_unit_store_incidents(struct dispatch_unit_store *store, struct jk_db_step *ret_step)
{
	bind(ret_step, &incidents_statement, &store->arrays[UNIT_AGENCY], 3);
	jk_db_bind_array(ret_step, 3, &store->arrays[INCIDENT_ID]);
	jk_db_bind_array(ret_step, 4, &store->arrays[AID_ID]);
}

enum { LOAD_DEEDS, LOAD_UNITS, LOAD_AIDS, LOAD_INCIDENTS, LOADS };
_Static_assert((int)LOADS <= (int)DISPATCH_UNIT_LOAD_STEPS, "they fit");

size_t dispatch_unit_store_load(struct dispatch_unit_store *store, struct jk_db_step steps[DISPATCH_UNIT_LOAD_STEPS])
{
	bind(&steps[LOAD_DEEDS], &deeds_statement, &store->arrays[DEED_AGENCY], 2);
	bind(&steps[LOAD_UNITS], &units_statement, &store->arrays[UNIT_AGENCY], 3);
	bind(&steps[LOAD_AIDS], &aids_statement, &store->arrays[AID_ID], 1);
	dispatch_unit_store_incidents(store, &steps[LOAD_INCIDENTS]);
	return LOADS;
}

static bool read_deeds(const PGresult *result, struct dispatch_unit_batch *batch)
{
	batch->at_us = jk_db_get_time_us(result, 0, 0);
	for (int row = 0; row < PQntuples(result); row++) {
		struct dispatch_deed *deed;
		size_t size;
		const void *digest = jk_db_get_bytes(result, row, 3, &size);

		if (digest == NULL)
			continue;
		deed = jk_arena_alloc(batch->arena, sizeof *deed);
		if (deed == NULL)
			return false;
		deed->agency_id = (int32_t)jk_db_get_int(result, row, 1);
		deed->command_id = jk_db_get_id(result, row, 2);
		if (size == sizeof deed->digest)
			memcpy(deed->digest, digest, size);
		deed->thing_id = jk_db_get_id(result, row, 4);
		deed->version = (int32_t)jk_db_get_int(result, row, 5);
		dispatch_unit_store_text(deed->state, sizeof deed->state, result, row, 6);
		deed->before = true;
		deed->next = batch->deeds;
		batch->deeds = deed;
	}
	return true;
}

bool dispatch_unit_store_loaded(const struct jk_db_outcome *outcome, struct dispatch_unit_batch *batch)
{
	return read_deeds(outcome->results[LOAD_DEEDS], batch) &&
	       dispatch_unit_store_read_units(outcome, LOAD_UNITS, batch->arena, &batch->units) &&
	       dispatch_unit_store_read_aids(outcome, LOAD_AIDS, batch->arena, &batch->aids) &&
	       dispatch_unit_store_read_incidents(outcome, LOAD_INCIDENTS, batch->arena, &batch->incidents);
}

/* ---- saving ---- */

enum { DEED_ARRAYS = 8, MOVE_ARRAYS = 3 };
enum {
	DEEDS = 0,
	UNITS = DEEDS + DEED_ARRAYS,
	MOVES = UNITS + UNIT_ARRAYS,
	ASSIGNMENTS = MOVES + MOVE_ARRAYS,
	AIDS = ASSIGNMENTS + ASSIGNMENT_ARRAYS,
	SAVES = AIDS + AID_ARRAYS,
};
_Static_assert((int)SAVES <= (int)DISPATCH_UNIT_ARRAYS, "they fit");

static size_t add_deeds(struct jk_db_array *column, const struct dispatch_unit_batch *batch)
{
	size_t count = 0;

	for (const struct dispatch_deed *deed = batch->deeds; deed != NULL; deed = deed->next) {
		if (deed->before)
			continue;
		jk_db_array_add_int(&column[0], deed->agency_id);
		jk_db_array_add_id(&column[1], &deed->command_id);
		jk_db_array_add(&column[2], deed->digest, sizeof deed->digest);
		jk_db_array_add_int(&column[3], deed->desk_id);
		jk_db_array_add_text(&column[4], deed->action);
		jk_db_array_add_id(&column[5], &deed->thing_id);
		jk_db_array_add_int(&column[6], deed->version);
		jk_db_array_add_text(&column[7], deed->state);
		count++;
	}
	return count;
}

static void add_unit(struct jk_db_array *column, const struct dispatch_unit *unit, bool changes)
{
	jk_db_array_add_id(column++, &unit->unit_id);
	jk_db_array_add_int(column++, unit->agency_id);
	jk_db_array_add_text(column++, unit->code);
	jk_db_array_add_text(column++, unit->record.discipline);
	jk_db_array_add_text(column++, unit->record.capabilities);
	dispatch_unit_store_add_double(column++, unit->record.base_lat);
	dispatch_unit_store_add_double(column++, unit->record.base_lon);
	jk_db_array_add_text(column++, unit->record.county);
	jk_db_array_add_int(column++, unit->record.desk_id);
	jk_db_array_add_int(column++, unit->state);
	jk_db_array_add_int(column++, unit->version);
	jk_db_array_add_int(column++, unit->loaded_version);
	jk_db_array_add_int(column, changes);
}

/* What is to be written of each kind. */
struct counts {
	size_t deeds, added_units, stepped_units, moved, added_assignments, stepped_assignments, added_aids, stepped_aids;
};

static void add_units(struct jk_db_array *arrays, const struct dispatch_unit_batch *batch, struct counts *counts)
{
	for (const struct dispatch_unit *unit = batch->units; unit != NULL; unit = unit->next) {
		if (unit->stepped) {
			add_unit(&arrays[UNITS], unit, unit->state_at_us == batch->at_us);
			counts->added_units += unit->loaded_version == 0;
			counts->stepped_units += unit->loaded_version > 0;
		}
		if (unit->moved) {
			jk_db_array_add_id(&arrays[MOVES], &unit->unit_id);
			dispatch_unit_store_add_double(&arrays[MOVES + 1], unit->lat);
			dispatch_unit_store_add_double(&arrays[MOVES + 2], unit->lon);
			counts->moved++;
		}
	}
}

static void add_assignments(struct jk_db_array *arrays, const struct dispatch_unit_batch *batch, struct counts *counts)
{
	for (const struct dispatch_assignment *assignment = batch->assignments; assignment != NULL;
		assignment = assignment->next) {
		struct jk_db_array *column = &arrays[ASSIGNMENTS];

		jk_db_array_add_id(column++, &assignment->assignment_id);
		jk_db_array_add_id(column++, &assignment->unit_id);
		jk_db_array_add_id(column++, &assignment->incident_id);
		jk_db_array_add_int(column++, assignment->desk_id);
		jk_db_array_add_text(column++, assignment->allowed_by);
		jk_db_array_add_int(column++, assignment->hidden);
		jk_db_array_add_text(column++, assignment->reason);
		jk_db_array_add_text(column++, assignment->end_reason);
		jk_db_array_add_int(column++, assignment->outcome);
		jk_db_array_add_int(column++, (int64_t)assignment->reached);
		jk_db_array_add_int(column, assignment->added);
		counts->added_assignments += assignment->added;
		counts->stepped_assignments += !assignment->added;
	}
}

static void add_aids(struct jk_db_array *arrays, const struct dispatch_unit_batch *batch, struct counts *counts)
{
	for (const struct dispatch_aid *aid = batch->aids; aid != NULL; aid = aid->next) {
		struct jk_db_array *column = &arrays[AIDS];

		if (!aid->changed)
			continue;
		jk_db_array_add_id(column++, &aid->aid_id);
		jk_db_array_add_id(column++, &aid->asked_id);
		jk_db_array_add_id(column++, &aid->incident_id);
		jk_db_array_add_int(column++, aid->agency_id);
		jk_db_array_add_int(column++, aid->giver_id);
		jk_db_array_add_text(column++, aid->capability);
		jk_db_array_add_int(column++, aid->count);
		jk_db_array_add_int(column++, aid->offered);
		jk_db_array_add_int(column++, aid->needed_by_us);
		jk_db_array_add_int(column++, aid->state);
		jk_db_array_add_int(column++, aid->version);
		jk_db_array_add_int(column++, aid->loaded_version);
		jk_db_array_add_int(column++, aid->hidden);
		jk_db_array_add_text(column, aid->reason);
		counts->added_aids += aid->loaded_version == 0;
		counts->stepped_aids += aid->loaded_version > 0;
	}
}

/* A step over these arrays, the time and how many rows it must change; no step where that is none. */
struct save {
	const struct jk_db_statement *statement;
	int first, arrays;
	size_t expected;
};

static size_t add_step(
	struct dispatch_unit_store *store, const struct save *save, int64_t at_us, struct jk_db_step *steps, size_t count)
{
	struct jk_db_step *step = &steps[count];

	if (save->expected == 0)
		return count;
	bind(step, save->statement, &store->arrays[save->first], save->arrays);
	jk_db_bind_int8(step, save->arrays, &store->at, dispatch_unit_store_time(at_us));
	if (save->statement->params > save->arrays + 1)
		jk_db_bind_int8(step, save->arrays + 1, &store->scalars[count], (int64_t)save->expected);
	return count + 1;
}

size_t dispatch_unit_store_save(struct dispatch_unit_store *store, const struct dispatch_unit_batch *batch,
	struct jk_db_step steps[DISPATCH_UNIT_SAVE_STEPS])
{
	static const unsigned oids[SAVES] = {/* deeds */ JK_OID_INT4, JK_OID_UUID, JK_OID_BYTEA, JK_OID_INT4, JK_OID_TEXT,
		JK_OID_UUID, JK_OID_INT4, JK_OID_TEXT,
		/* units */ JK_OID_UUID, JK_OID_INT4, JK_OID_TEXT, JK_OID_TEXT, JK_OID_TEXT, DISPATCH_OID_FLOAT8,
		DISPATCH_OID_FLOAT8, JK_OID_TEXT, JK_OID_INT4, JK_OID_INT2, JK_OID_INT4, JK_OID_INT4, JK_OID_BOOL,
		/* moves */ JK_OID_UUID, DISPATCH_OID_FLOAT8, DISPATCH_OID_FLOAT8,
		/* assignments */ JK_OID_UUID, JK_OID_UUID, JK_OID_UUID, JK_OID_INT4, JK_OID_TEXT, JK_OID_BOOL, JK_OID_TEXT,
		JK_OID_TEXT, JK_OID_INT2, JK_OID_INT2, JK_OID_BOOL,
		/* aids */ JK_OID_UUID, JK_OID_UUID, JK_OID_UUID, JK_OID_INT4, JK_OID_INT4, JK_OID_TEXT, JK_OID_INT4, JK_OID_INT4,
		JK_OID_INT8, JK_OID_INT2, JK_OID_INT4, JK_OID_INT4, JK_OID_BOOL, JK_OID_TEXT};
	struct counts counts = {0};
	size_t count = 0;

	dispatch_unit_store_reset(store, oids, SAVES);
	counts.deeds = add_deeds(&store->arrays[DEEDS], batch);
	add_units(store->arrays, batch, &counts);
	add_assignments(store->arrays, batch, &counts);
	add_aids(store->arrays, batch, &counts);
	/* What ends comes before what begins: the code of a unit that is removed may be given again in the same batch. */
	const struct save saves[] = {
		{&add_deeds_statement, DEEDS, DEED_ARRAYS, counts.deeds},
		{&step_units_statement, UNITS, UNIT_ARRAYS, counts.stepped_units},
		{&add_units_statement, UNITS, UNIT_ARRAYS, counts.added_units},
		{&move_units_statement, MOVES, MOVE_ARRAYS, counts.moved},
		{&step_assignments_statement, ASSIGNMENTS, ASSIGNMENT_ARRAYS, counts.stepped_assignments},
		{&add_assignments_statement, ASSIGNMENTS, ASSIGNMENT_ARRAYS, counts.added_assignments},
		{&step_aids_statement, AIDS, AID_ARRAYS, counts.stepped_aids},
		{&add_aids_statement, AIDS, AID_ARRAYS, counts.added_aids},
	};
	for (size_t i = 0; i < sizeof saves / sizeof saves[0]; i++)
		count = add_step(store, &saves[i], batch->at_us, steps, count);
	return count;
}
