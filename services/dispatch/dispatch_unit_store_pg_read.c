/* dispatch_unit_store_pg_read.c: rows of units, assignments, help and incidents, read into an arena. */
#include "dispatch_unit_store_pg_internal.h"

#include <string.h>

void dispatch_unit_store_reset(struct dispatch_unit_store *store, const unsigned *oids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		jk_db_array_reset(&store->arrays[i], oids[i]);
}

int64_t dispatch_unit_store_time(int64_t time_us)
{
	static const int64_t pg_epoch_us = INT64_C(946684800000000);

	return time_us - pg_epoch_us;
}

static uint64_t bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	return bits;
}

void dispatch_unit_store_add_double(struct jk_db_array *array, double value)
{
	uint8_t bytes[8];

	jk_put_be64(bytes, bits_of(value));
	jk_db_array_add(array, bytes, sizeof bytes);
}

void dispatch_unit_store_bind_double(struct jk_db_step *step, int index, struct jk_db_int8 *storage, double value)
{
	jk_db_bind_int8(step, index, storage, (int64_t)bits_of(value));
}

static double get_double(const PGresult *result, int row, int column)
{
	size_t size;
	const uint8_t *bytes = jk_db_get_bytes(result, row, column, &size);
	double value = 0;

	if (bytes != NULL && size == sizeof value) {
		uint64_t bits = jk_get_be64(bytes);

		memcpy(&value, &bits, sizeof value);
	}
	return value;
}

void dispatch_unit_store_text(char *ret, size_t capacity, const PGresult *result, int row, int column)
{
	const char *text = jk_db_get_bytes(result, row, column, NULL);

	(void)jk_text_copy(ret, capacity, text != NULL ? text : "");
}

static int64_t get_time(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? 0 : jk_db_get_time_us(result, row, column);
}

/* ---- units ---- */

static bool read_assignment(const PGresult *result, int row, struct jk_arena *arena, struct dispatch_unit *unit)
{
	struct dispatch_assignment *assignment;

	if (PQgetisnull(result, row, 15))
		return true;
	assignment = unit->assignment = jk_arena_alloc(arena, sizeof *assignment);
	if (assignment == NULL)
		return false;
	assignment->assignment_id = jk_db_get_id(result, row, 15);
	assignment->unit_id = unit->unit_id;
	assignment->incident_id = jk_db_get_id(result, row, 16);
	assignment->desk_id = (int32_t)jk_db_get_int(result, row, 17);
	assignment->hidden = jk_db_get_int(result, row, 18) != 0;
	dispatch_unit_store_text(assignment->allowed_by, sizeof assignment->allowed_by, result, row, 19);
	unit->steps = (struct dispatch_steps){.dispatched_us = get_time(result, row, 20),
		.en_route_us = get_time(result, row, 21),
		.on_scene_us = get_time(result, row, 22),
		.transporting_us = get_time(result, row, 23)};
	return true;
}

static struct dispatch_unit *read_unit(const PGresult *result, int row, struct jk_arena *arena)
{
	struct dispatch_unit *unit = jk_arena_alloc(arena, sizeof *unit);

	if (unit == NULL)
		return NULL;
	unit->unit_id = jk_db_get_id(result, row, 0);
	unit->agency_id = (int32_t)jk_db_get_int(result, row, 1);
	dispatch_unit_store_text(unit->code, sizeof unit->code, result, row, 2);
	dispatch_unit_store_text(unit->record.discipline, sizeof unit->record.discipline, result, row, 3);
	dispatch_unit_store_text(unit->record.capabilities, sizeof unit->record.capabilities, result, row, 4);
	unit->record.base_lat = get_double(result, row, 5);
	unit->record.base_lon = get_double(result, row, 6);
	dispatch_unit_store_text(unit->record.county, sizeof unit->record.county, result, row, 7);
	unit->record.desk_id = (int32_t)jk_db_get_int(result, row, 8);
	unit->lat = get_double(result, row, 9);
	unit->lon = get_double(result, row, 10);
	unit->position_at_us = get_time(result, row, 11);
	unit->state = (enum dispatch_unit_state)jk_db_get_int(result, row, 12);
	unit->state_at_us = get_time(result, row, 13);
	unit->version = unit->loaded_version = (int32_t)jk_db_get_int(result, row, 14);
	return read_assignment(result, row, arena, unit) ? unit : NULL;
}

bool dispatch_unit_store_read_units(
	const struct jk_db_outcome *outcome, size_t step, struct jk_arena *arena, struct dispatch_unit **ret_units)
{
	const PGresult *result = outcome->results[step];

	for (int row = 0; row < PQntuples(result); row++) {
		*ret_units = read_unit(result, row, arena);
		if (*ret_units == NULL)
			return false;
		ret_units = &(*ret_units)->next;
	}
	return true;
}

/* ---- help between agencies ---- */

static struct dispatch_aid *read_aid(const PGresult *result, int row, struct jk_arena *arena)
{
	struct dispatch_aid *aid = jk_arena_alloc(arena, sizeof *aid);

	if (aid == NULL)
		return NULL;
	aid->aid_id = jk_db_get_id(result, row, 0);
	aid->asked_id = jk_db_get_id(result, row, 1);
	aid->incident_id = jk_db_get_id(result, row, 2);
	aid->agency_id = (int32_t)jk_db_get_int(result, row, 3);
	aid->giver_id = (int32_t)jk_db_get_int(result, row, 4);
	dispatch_unit_store_text(aid->capability, sizeof aid->capability, result, row, 5);
	aid->count = (int32_t)jk_db_get_int(result, row, 6);
	aid->offered = (int32_t)jk_db_get_int(result, row, 7);
	aid->needed_by_us = get_time(result, row, 8);
	aid->state = (enum dispatch_aid_state)jk_db_get_int(result, row, 9);
	aid->version = aid->loaded_version = (int32_t)jk_db_get_int(result, row, 10);
	aid->hidden = jk_db_get_int(result, row, 11) != 0;
	dispatch_unit_store_text(aid->reason, sizeof aid->reason, result, row, 12);
	aid->created_at_us = get_time(result, row, 13);
	aid->updated_at_us = get_time(result, row, 14);
	return aid;
}

bool dispatch_unit_store_read_aids(
	const struct jk_db_outcome *outcome, size_t step, struct jk_arena *arena, struct dispatch_aid **ret_aids)
{
	const PGresult *result = outcome->results[step];

	for (int row = 0; row < PQntuples(result); row++) {
		*ret_aids = read_aid(result, row, arena);
		if (*ret_aids == NULL)
			return false;
		ret_aids = &(*ret_aids)->next;
	}
	return true;
}

/* ---- incidents ---- */

/* The first row of an incident, which has the body. NULL: the arena is full. */
static struct dispatch_incident *begin_incident(const PGresult *result, int row, struct jk_arena *arena)
{
	struct dispatch_incident *incident = jk_arena_alloc(arena, sizeof *incident);
	const void *body;

	if (incident == NULL)
		return NULL;
	incident->incident_id = jk_db_get_id(result, row, 0);
	incident->has_point = !PQgetisnull(result, row, 7) && !PQgetisnull(result, row, 8);
	incident->lat = get_double(result, row, 7);
	incident->lon = get_double(result, row, 8);
	body = jk_db_get_bytes(result, row, 9, &incident->body.size);
	if (body == NULL) {
		incident->body.size = 0;
		return incident;
	}
	incident->body.data = jk_arena_copy(arena, body, incident->body.size);
	if (incident->body.data == NULL)
		return NULL;
	incident->readable = jk_body_label(incident->body.data, incident->body.size, arena, &incident->label) == JK_OK;
	return incident;
}

static void add_county(const PGresult *result, int row, struct dispatch_incident *incident)
{
	struct dispatch_incident_county *county;

	if (incident->county_count == JK_COUNTY_MAX)
		return;
	county = &incident->counties[incident->county_count++];
	dispatch_unit_store_text(county->county, sizeof county->county, result, row, 1);
	county->open = jk_db_get_int(result, row, 2) != 0;
	county->revision = jk_db_get_int(result, row, 3);
	county->recorded_at_us = get_time(result, row, 4);
	county->tlp = (int)jk_db_get_int(result, row, 5);
	county->category = (int)jk_db_get_int(result, row, 6);
}

bool dispatch_unit_store_read_incidents(
	const struct jk_db_outcome *outcome, size_t step, struct jk_arena *arena, struct dispatch_incident **ret_incidents)
{
	const PGresult *result = outcome->results[step];
	struct dispatch_incident *incident = NULL;

	for (int row = 0; row < PQntuples(result); row++) {
		struct jk_id id = jk_db_get_id(result, row, 0);

		if (incident == NULL || !jk_id_equal(&incident->incident_id, &id)) {
			incident = begin_incident(result, row, arena);
			if (incident == NULL)
				return false;
			*ret_incidents = incident;
			ret_incidents = &incident->next;
		}
		add_county(result, row, incident);
	}
	return true;
}
