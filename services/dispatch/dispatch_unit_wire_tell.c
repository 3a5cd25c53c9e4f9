/* dispatch_unit_wire_tell.c: what was done, packed for streams and mailboxes; answers to questions. */
#include <string.h>

#include "dispatch_unit_wire.h"
#include "jukwaa/v1/feed.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "jukwaa/v1/unit.pb-c.h"
#include "wire/wire_body.h"

/* protobuf-c's strings and bytes are not const, and packing only reads them. */
static char *borrow(const char *text)
{
	return (char *)(uintptr_t)text;
}

static ProtobufCBinaryData id_bytes(const struct jk_id *id)
{
	if (jk_id_is_zero(id))
		return (ProtobufCBinaryData){0};
	return (ProtobufCBinaryData){.len = sizeof id->bytes, .data = (uint8_t *)(uintptr_t)id->bytes};
}

static struct jk_span pack(const ProtobufCMessage *message, struct jk_arena *arena)
{
	struct jk_span span = {0};

	span.data = jk_body_pack(message, arena, &span.size);
	if (span.data == NULL)
		span.size = 0;
	return span;
}

static Jukwaa__V1__Work work_of(int64_t at_us, const struct dispatch_actor *actor)
{
	Jukwaa__V1__Work work = JUKWAA__V1__WORK__INIT;

	work.at_us = at_us;
	work.agency = borrow(actor->agency);
	work.desk = borrow(actor->desk);
	return work;
}

struct jk_span dispatch_unit_wire_work(
	struct jk_arena *arena, int64_t at_us, const struct dispatch_actor *actor, const struct dispatch_told_unit *told)
{
	Jukwaa__V1__Work work = work_of(at_us, actor);
	Jukwaa__V1__UnitStep step = JUKWAA__V1__UNIT_STEP__INIT;

	step.assignment_id = id_bytes(told->assignment_id);
	step.unit = borrow(told->code);
	step.from = (Jukwaa__V1__UnitState)told->from;
	step.to = (Jukwaa__V1__UnitState)told->to;
	step.discipline = borrow(told->discipline);
	step.reason = borrow(told->reason);
	work.step_case = JUKWAA__V1__WORK__STEP_UNIT_STEP;
	work.unit_step = &step;
	return pack(&work.base, arena);
}

struct jk_span dispatch_unit_wire_aid_work(
	struct jk_arena *arena, int64_t at_us, const struct dispatch_actor *actor, const struct dispatch_told_aid *told)
{
	Jukwaa__V1__Work work = work_of(at_us, actor);
	Jukwaa__V1__AidStep step = JUKWAA__V1__AID_STEP__INIT;

	step.aid_id = id_bytes(&told->aid->aid_id);
	step.from = (Jukwaa__V1__AidState)told->from;
	step.to = (Jukwaa__V1__AidState)told->aid->state;
	step.capability = borrow(told->aid->capability);
	step.count = (uint32_t)told->count;
	step.giver = borrow(told->giver);
	step.reason = borrow(told->aid->reason);
	work.step_case = JUKWAA__V1__WORK__STEP_AID_STEP;
	work.aid_step = &step;
	return pack(&work.base, arena);
}

struct jk_span dispatch_unit_wire_acted(struct jk_arena *arena, int64_t at_us, const struct dispatch_acted *acted)
{
	Jukwaa__V1__Acted message = JUKWAA__V1__ACTED__INIT;

	message.step = borrow(dispatch_unit_state_name(acted->step));
	message.desk = borrow(acted->desk);
	message.agency = borrow(acted->agency);
	message.discipline = borrow(acted->discipline);
	message.at_us = at_us;
	return pack(&message.base, arena);
}

/* ---- answers ---- */

/* Cuts the list at its blanks into the arena. False: it is full. */
static bool split(const char *list, struct jk_arena *arena, char ***ret_words, size_t *ret_count)
{
	size_t most = DISPATCH_CAPABILITIES_MAX, count = 0;
	char **words = jk_arena_alloc(arena, most * sizeof *words);

	while (words != NULL && *list != '\0' && count < most) {
		size_t size = strcspn(list, " ");

		words[count] = jk_arena_string(arena, list, size);
		if (words[count++] == NULL)
			return false;
		list += size + (list[size] == ' ');
	}
	*ret_words = words;
	*ret_count = count;
	return words != NULL;
}

static Jukwaa__V1__Point *point_of(double lat, double lon, struct jk_arena *arena)
{
	Jukwaa__V1__Point *point = jk_arena_alloc(arena, sizeof *point);

	if (point == NULL)
		return NULL;
	jukwaa__v1__point__init(point);
	point->lat = lat;
	point->lon = lon;
	return point;
}

/* The code of a desk that is still known. */
static const char *desk_code(struct jk_sessions *sessions, int32_t desk_id)
{
	const struct jk_registry *registry = jk_sessions_registry(sessions);
	const struct jk_desk *desk = registry != NULL && desk_id >= 0 ? jk_registry_find_desk(registry, desk_id) : NULL;

	return desk != NULL ? desk->code : "";
}

static const char *agency_code(struct jk_sessions *sessions, int32_t agency_id)
{
	const struct jk_registry *registry = jk_sessions_registry(sessions);

	for (size_t i = 0; registry != NULL && i < registry->agency_count; i++)
		if (registry->agencies[i].agency_id == agency_id)
			return registry->agencies[i].code;
	return "";
}

static Jukwaa__V1__UnitRecord *write_record(
	struct jk_sessions *sessions, const struct dispatch_unit *unit, struct jk_arena *arena)
{
	Jukwaa__V1__UnitRecord *record = jk_arena_alloc(arena, sizeof *record);

	if (record == NULL)
		return NULL;
	jukwaa__v1__unit_record__init(record);
	record->discipline = borrow(unit->record.discipline);
	record->base_point = point_of(unit->record.base_lat, unit->record.base_lon, arena);
	record->county = borrow(unit->record.county);
	record->desk = borrow(desk_code(sessions, unit->record.desk_id));
	return record->base_point != NULL &&
			       split(unit->record.capabilities, arena, &record->capabilities, &record->n_capabilities)
		       ? record
		       : NULL;
}

static Jukwaa__V1__Unit *write_unit(struct jk_sessions *sessions, const struct dispatch_unit *unit, struct jk_arena *arena)
{
	Jukwaa__V1__Unit *out = jk_arena_alloc(arena, sizeof *out);

	if (out == NULL)
		return NULL;
	jukwaa__v1__unit__init(out);
	out->unit_id = id_bytes(&unit->unit_id);
	out->code = borrow(unit->code);
	out->state = (Jukwaa__V1__UnitState)unit->state;
	out->state_at_us = unit->state_at_us;
	out->version = (uint32_t)unit->version;
	if (unit->position_at_us > 0) {
		out->position = point_of(unit->lat, unit->lon, arena);
		out->position_at_us = unit->position_at_us;
	}
	if (unit->assignment != NULL) {
		out->assignment_id = id_bytes(&unit->assignment->assignment_id);
		out->incident_id = id_bytes(&unit->assignment->incident_id);
		out->dispatched_at_us = unit->steps.dispatched_us;
		out->en_route_at_us = unit->steps.en_route_us;
		out->on_scene_at_us = unit->steps.on_scene_us;
		out->transporting_at_us = unit->steps.transporting_us;
	}
	out->record = write_record(sessions, unit, arena);
	return out->record != NULL ? out : NULL;
}

enum jk_status dispatch_unit_wire_send_units(struct jk_sessions *sessions, struct jk_session *session,
	const struct dispatch_unit_question *question, const struct dispatch_unit *units, struct jk_arena *arena)
{
	Jukwaa__V1__UnitListed listed = JUKWAA__V1__UNIT_LISTED__INIT;
	const struct dispatch_unit *last = NULL;

	listed.session = session->number;
	listed.request = question->request;
	listed.units = jk_arena_alloc(arena, question->limit * sizeof *listed.units);
	if (listed.units == NULL)
		return JK_BROKEN;
	for (; units != NULL && listed.n_units < question->limit; units = units->next) {
		last = units;
		listed.units[listed.n_units] = write_unit(sessions, units, arena);
		if (listed.units[listed.n_units++] == NULL)
			return JK_BROKEN;
	}
	if (units != NULL && last != NULL)
		listed.page = (ProtobufCBinaryData){.len = strlen(last->code), .data = (uint8_t *)borrow(last->code)};
	return jk_session_send(sessions, session, JUKWAA__V1__KIND__KIND_UNIT_LISTED, &listed.base);
}

static Jukwaa__V1__UnitRung *write_rung(const struct dispatch_unit_row *row, struct jk_arena *arena)
{
	Jukwaa__V1__UnitRung *rung = jk_arena_alloc(arena, sizeof *rung);

	if (rung == NULL)
		return NULL;
	jukwaa__v1__unit_rung__init(rung);
	rung->from = (Jukwaa__V1__UnitState)row->from;
	rung->event = borrow(dispatch_unit_event_name(row->event));
	if (row->to != DISPATCH_UNIT_REMOVED)
		rung->to = (Jukwaa__V1__UnitState)row->to;
	rung->wants_reason = row->guard == DISPATCH_UNIT_WITH_REASON;
	rung->told = row->effects & DISPATCH_UNIT_TELL;
	rung->ends = row->effects & DISPATCH_UNIT_END;
	rung->why = borrow(row->why);
	return rung;
}

enum jk_status dispatch_unit_wire_send_ladder(struct jk_sessions *sessions, struct jk_session *session,
	const struct dispatch_unit_question *question, struct jk_arena *arena)
{
	enum { ROWS_MAX = DISPATCH_UNIT_STATES * DISPATCH_UNIT_EVENTS };
	Jukwaa__V1__UnitListed listed = JUKWAA__V1__UNIT_LISTED__INIT;
	const struct dispatch_unit_row *row;

	listed.session = session->number;
	listed.request = question->request;
	listed.ladder = jk_arena_alloc(arena, ROWS_MAX * sizeof *listed.ladder);
	while (listed.ladder != NULL && (row = dispatch_unit_rules_row(listed.n_ladder)) != NULL) {
		listed.ladder[listed.n_ladder] = write_rung(row, arena);
		if (listed.ladder[listed.n_ladder++] == NULL)
			return JK_BROKEN;
	}
	return listed.ladder == NULL ? JK_BROKEN
				     : jk_session_send(sessions, session, JUKWAA__V1__KIND__KIND_UNIT_LISTED, &listed.base);
}

static Jukwaa__V1__Aid *write_aid(struct jk_sessions *sessions, const struct dispatch_aid *aid, struct jk_arena *arena)
{
	Jukwaa__V1__Aid *out = jk_arena_alloc(arena, sizeof *out);

	if (out == NULL)
		return NULL;
	jukwaa__v1__aid__init(out);
	out->aid_id = id_bytes(&aid->aid_id);
	out->asked_id = id_bytes(&aid->asked_id);
	out->incident_id = id_bytes(&aid->incident_id);
	out->requester = borrow(agency_code(sessions, aid->agency_id));
	out->giver = borrow(agency_code(sessions, aid->giver_id));
	out->capability = borrow(aid->capability);
	out->count = (uint32_t)aid->count;
	out->offered = (uint32_t)aid->offered;
	out->needed_by_us = aid->needed_by_us;
	out->state = (Jukwaa__V1__AidState)aid->state;
	out->version = (uint32_t)aid->version;
	out->reason = borrow(aid->reason);
	out->created_at_us = aid->created_at_us;
	out->updated_at_us = aid->updated_at_us;
	return out;
}

enum jk_status dispatch_unit_wire_send_aids(struct jk_sessions *sessions, struct jk_session *session,
	const struct dispatch_unit_question *question, const struct dispatch_aid *aids, const struct jk_id *more,
	struct jk_arena *arena)
{
	Jukwaa__V1__AidListed listed = JUKWAA__V1__AID_LISTED__INIT;

	listed.session = session->number;
	listed.request = question->request;
	listed.aids = jk_arena_alloc(arena, question->limit * sizeof *listed.aids);
	if (listed.aids == NULL)
		return JK_BROKEN;
	for (; aids != NULL && listed.n_aids < question->limit; aids = aids->next) {
		listed.aids[listed.n_aids] = write_aid(sessions, aids, arena);
		if (listed.aids[listed.n_aids++] == NULL)
			return JK_BROKEN;
	}
	if (more != NULL)
		listed.page = id_bytes(more);
	return jk_session_send(sessions, session, JUKWAA__V1__KIND__KIND_AID_LISTED, &listed.base);
}

/* Of another agency's unit no more than needed to ask for it. */
static Jukwaa__V1__UnitChoice *write_choice(const struct dispatch_candidate *unit, struct jk_arena *arena)
{
	Jukwaa__V1__UnitChoice *choice = jk_arena_alloc(arena, sizeof *choice);

	if (choice == NULL)
		return NULL;
	jukwaa__v1__unit_choice__init(choice);
	choice->code = borrow(unit->code);
	choice->agency = borrow(unit->agency);
	choice->discipline = borrow(unit->discipline);
	choice->same_county = unit->same_county;
	choice->allowed_by = borrow(unit->allowed_by);
	if (unit->distance_km >= 0) {
		choice->distance_present_case = JUKWAA__V1__UNIT_CHOICE__DISTANCE_PRESENT_DISTANCE_KM;
		choice->distance_km = dispatch_recommend_shown_km(unit);
	}
	if (!unit->own)
		return choice;
	choice->unit_id = id_bytes(&unit->unit_id);
	choice->version = (uint32_t)unit->version;
	if (unit->age_us >= 0) {
		choice->position_age_present_case = JUKWAA__V1__UNIT_CHOICE__POSITION_AGE_PRESENT_POSITION_AGE_S;
		choice->position_age_s = (uint32_t)(unit->age_us / 1000000);
	}
	return split(unit->capabilities, arena, &choice->capabilities, &choice->n_capabilities) ? choice : NULL;
}

enum jk_status dispatch_unit_wire_send_nearest(struct jk_sessions *sessions, struct jk_session *session,
	const struct dispatch_unit_question *question, const struct dispatch_nearest *nearest, struct jk_arena *arena)
{
	Jukwaa__V1__UnitRecommended told = JUKWAA__V1__UNIT_RECOMMENDED__INIT;

	told.session = session->number;
	told.request = question->request;
	told.order =
		nearest->by_distance ? JUKWAA__V1__UNIT_ORDER__UNIT_ORDER_DISTANCE : JUKWAA__V1__UNIT_ORDER__UNIT_ORDER_COUNTY;
	told.further = nearest->further;
	told.busy = nearest->busy;
	told.out_of_service = nearest->out_of_service;
	told.lacking = nearest->lacking;
	told.not_allowed = nearest->not_allowed;
	told.choices = jk_arena_alloc(arena, (nearest->count + 1) * sizeof *told.choices);
	if (told.choices == NULL)
		return JK_BROKEN;
	for (size_t i = 0; i < nearest->count; i++) {
		told.choices[i] = write_choice(&nearest->choices[i], arena);
		if (told.choices[told.n_choices++] == NULL)
			return JK_BROKEN;
	}
	return jk_session_send(sessions, session, JUKWAA__V1__KIND__KIND_UNIT_RECOMMENDED, &told.base);
}
