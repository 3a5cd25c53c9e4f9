/* dispatch_unit_decide.c: UnitCommand: which unit, may this desk command it, what the ladder says, what is told. */
#include <string.h>

#include "dispatch_unit_internal.h"

static struct dispatch_unit *find_unit(const struct dispatch_unit_turn *turn, const struct dispatch_unit_order *order)
{
	for (struct dispatch_unit *unit = turn->batch->units; unit != NULL; unit = unit->next)
		if (unit->agency_id == turn->command->agency_id && unit->state != DISPATCH_UNIT_REMOVED &&
			(jk_id_is_zero(&order->unit_id) ? strcmp(unit->code, order->code) == 0
							: jk_id_equal(&unit->unit_id, &order->unit_id)))
			return unit;
	return NULL;
}

/* ---- what a unit is ---- */

/* The order's record with its desk looked up. */
static bool take_record(
	const struct dispatch_unit_turn *turn, const struct dispatch_unit_order *order, struct dispatch_unit *unit)
{
	struct dispatch_unit_record record = order->record;

	if (record.county[0] != '\0' && !jk_registry_county_exists(turn->registry, record.county))
		return dispatch_unit_refuse(turn, JK_CODE_UNKNOWN_COUNTY, "county", "there is no such county");
	for (size_t i = 0; *order->desk != '\0' && record.desk_id < 0 && i < turn->registry->desk_count; i++) {
		const struct jk_desk *desk = &turn->registry->desks[i];

		if (desk->agency_id == turn->command->agency_id && !desk->revoked && strcmp(desk->code, order->desk) == 0)
			record.desk_id = desk->desk_id;
	}
	if (*order->desk != '\0' && record.desk_id < 0)
		return dispatch_unit_refuse(turn, JK_CODE_RULE_VIOLATION, "desk", "your agency has no such desk");
	unit->record = record;
	return true;
}

static void finish(const struct dispatch_unit_turn *turn, const char *action, const struct dispatch_unit *unit)
{
	dispatch_unit_done(turn, action, &unit->unit_id, unit->version, dispatch_unit_state_name(unit->state));
}

static void add(const struct dispatch_unit_turn *turn, const struct dispatch_unit_order *order)
{
	struct dispatch_unit *unit;

	if (find_unit(turn, order) != NULL) {
		(void)dispatch_unit_refuse(turn, JK_CODE_RULE_VIOLATION, "code", "your agency has a unit of this code");
		return;
	}
	unit = jk_arena_alloc(turn->batch->arena, sizeof *unit);
	if (unit == NULL) {
		(void)dispatch_unit_refuse(turn, JK_CODE_UNAVAILABLE, NULL, "no memory; send it again");
		return;
	}
	if (!take_record(turn, order, unit))
		return;
	unit->unit_id = jk_id_new();
	unit->agency_id = turn->command->agency_id;
	(void)jk_text_copy(unit->code, sizeof unit->code, order->code);
	unit->state = DISPATCH_UNIT_AVAILABLE;
	unit->state_at_us = turn->batch->at_us;
	unit->version = 1;
	unit->stepped = true;
	unit->next = turn->batch->units;
	turn->batch->units = unit;
	finish(turn, "ADD", unit);
}

static void change(const struct dispatch_unit_turn *turn, const struct dispatch_unit_order *order, struct dispatch_unit *unit)
{
	if (!take_record(turn, order, unit))
		return;
	unit->version++;
	unit->stepped = true;
	finish(turn, "CHANGE", unit);
}

static void move(const struct dispatch_unit_turn *turn, const struct dispatch_unit_order *order, struct dispatch_unit *unit)
{
	unit->lat = order->lat;
	unit->lon = order->lon;
	unit->position_at_us = turn->batch->at_us;
	unit->moved = true;
	finish(turn, "POSITION", unit);
}

/* ---- the ladder ---- */

/* One step under way. */
struct step {
	const struct dispatch_unit_row *row;
	struct dispatch_unit *unit;
	const struct dispatch_unit_order *order;
	const struct dispatch_incident *incident; /* of the assignment; NULL: none, or not known any more */
};

static struct dispatch_assignment *make_assignment(
	const struct dispatch_unit_turn *turn, struct step *step, const struct dispatch_sight *sight)
{
	struct dispatch_assignment *assignment = jk_arena_alloc(turn->batch->arena, sizeof *assignment);

	if (assignment == NULL) {
		(void)dispatch_unit_refuse(turn, JK_CODE_UNAVAILABLE, NULL, "no memory; send it again");
		return NULL;
	}
	assignment->assignment_id = jk_id_new();
	assignment->unit_id = step->unit->unit_id;
	assignment->incident_id = step->order->incident_id;
	assignment->desk_id = turn->command->desk_id;
	assignment->hidden = sight->hidden;
	assignment->added = true;
	jk_term_name(assignment->allowed_by, sight->term);
	(void)jk_text_copy(assignment->reason, sizeof assignment->reason, step->order->reason);
	return assignment;
}

/* To whom a step is told: the streams of the assignment's incident, and its owner. False: refused. */
static bool tell(const struct dispatch_unit_turn *turn, const struct step *step, const struct dispatch_assignment *assignment)
{
	bool hidden = assignment->hidden;
	const struct dispatch_actor actor = {hidden ? "" : turn->key->agency->code, hidden ? "" : turn->key->desk->code};
	const struct dispatch_told_unit told = {.assignment_id = &assignment->assignment_id,
		.code = hidden ? "" : step->unit->code,
		.discipline = step->unit->record.discipline,
		.reason = step->order->reason,
		.from = step->row->from,
		.to = step->row->to};
	bool mails = step->row->effects & DISPATCH_UNIT_MAIL && step->incident != NULL && step->incident->readable;
	struct dispatch_acted *acted = mails ? jk_arena_alloc(turn->batch->arena, sizeof *acted) : NULL;

	if (mails && acted == NULL)
		return dispatch_unit_refuse(turn, JK_CODE_UNAVAILABLE, NULL, "no memory; send it again");
	if (step->row->effects & DISPATCH_UNIT_TELL &&
		!dispatch_unit_tell(turn, step->incident, JK_EVENT_UNIT,
			dispatch_unit_wire_work(turn->batch->arena, turn->batch->at_us, &actor, &told)))
		return false;
	if (!mails)
		return true;
	acted->incident = step->incident;
	acted->step = step->row->to;
	memcpy(acted->discipline, step->unit->record.discipline, sizeof acted->discipline);
	(void)jk_text_copy(acted->agency, sizeof acted->agency, actor.agency);
	(void)jk_text_copy(acted->desk, sizeof acted->desk, actor.desk);
	dispatch_unit_mail(turn->batch, acted);
	return true;
}

/* The assignment changes with the unit; in the batch's list once. */
static void step_assignment(
	const struct dispatch_unit_turn *turn, const struct step *step, struct dispatch_assignment *assignment)
{
	if (assignment->reached == 0) {
		assignment->next = turn->batch->assignments;
		turn->batch->assignments = assignment;
	}
	assignment->reached |= 1U << step->row->to;
	step->unit->assignment = assignment;
	if (!(step->row->effects & DISPATCH_UNIT_END))
		return;
	assignment->outcome = step->row->to;
	(void)jk_text_copy(assignment->end_reason, sizeof assignment->end_reason, step->order->reason);
	step->unit->assignment = NULL;
}

static void apply(const struct dispatch_unit_turn *turn, struct step *step)
{
	struct dispatch_assignment *assignment = step->unit->assignment;
	struct dispatch_sight sight;

	if (step->row->effects & DISPATCH_UNIT_BEGIN) {
		step->incident = dispatch_unit_answerable(turn, &step->order->incident_id, &sight);
		assignment = step->incident != NULL ? make_assignment(turn, step, &sight) : NULL;
		if (assignment == NULL)
			return;
	} else if (assignment != NULL) {
		step->incident = dispatch_unit_find_incident(turn->batch->incidents, &assignment->incident_id);
	}
	if (assignment != NULL) {
		if (!tell(turn, step, assignment))
			return;
		step_assignment(turn, step, assignment);
	}
	step->unit->state = step->row->to;
	step->unit->state_at_us = turn->batch->at_us;
	step->unit->version++;
	step->unit->stepped = true;
	finish(turn, dispatch_unit_event_name(step->row->event), step->unit);
}

static enum dispatch_unit_event event_of(const struct dispatch_unit_order *order)
{
	switch (order->action) {
	case DISPATCH_ORDER_ASSIGN:
		return DISPATCH_UNIT_ASSIGN;
	case DISPATCH_ORDER_OUT:
		return DISPATCH_UNIT_TAKE_OUT;
	case DISPATCH_ORDER_IN:
		return DISPATCH_UNIT_PUT_IN;
	case DISPATCH_ORDER_REMOVE:
		return DISPATCH_UNIT_REMOVE;
	default:
		return dispatch_unit_rules_advance(order->to);
	}
}

static void climb(const struct dispatch_unit_turn *turn, const struct dispatch_unit_order *order, struct dispatch_unit *unit)
{
	enum dispatch_unit_event event = event_of(order);
	struct step step = {.row = dispatch_unit_rules_find(unit->state, event), .unit = unit, .order = order};

	if (step.row == NULL)
		(void)jk_refuse(&turn->command->refusal, JK_CODE_WRONG_STATE, NULL, "the unit is %s: it cannot %s",
			dispatch_unit_state_name(unit->state), dispatch_unit_event_name(event));
	else if (step.row->guard == DISPATCH_UNIT_WITH_REASON && *order->reason == '\0')
		(void)dispatch_unit_refuse(turn, JK_CODE_RULE_VIOLATION, "reason", "it ends the unit's assignment: say why");
	else
		apply(turn, &step);
}

/* A unit that one desk runs is that desk's to move; what it is, any desk of its agency says. */
static bool is_run_by(const struct dispatch_unit *unit, const struct dispatch_unit_turn *turn, enum dispatch_unit_action action)
{
	return unit->record.desk_id < 0 || unit->record.desk_id == turn->command->desk_id || action == DISPATCH_ORDER_CHANGE ||
	       action == DISPATCH_ORDER_REMOVE;
}

void dispatch_unit_decide(const struct dispatch_unit_turn *turn, const struct dispatch_unit_order *order)
{
	struct dispatch_unit *unit;

	if (order->action == DISPATCH_ORDER_ADD) {
		add(turn, order);
		return;
	}
	unit = find_unit(turn, order);
	if (unit == NULL)
		(void)dispatch_unit_refuse(turn, JK_CODE_NOT_FOUND, "unit_id", "there is no such unit, or not for you");
	else if (!is_run_by(unit, turn, order->action))
		(void)dispatch_unit_refuse(turn, JK_CODE_NOT_PERMITTED, "unit_id", "another desk of your agency runs this unit");
	else if (order->action == DISPATCH_ORDER_POSITION)
		move(turn, order, unit);
	else if (order->version != 0 && order->version != (uint32_t)unit->version)
		(void)jk_refuse(&turn->command->refusal, JK_CODE_STALE_VERSION, "version", "the unit is at version %d",
			(int)unit->version);
	else if (order->action == DISPATCH_ORDER_CHANGE)
		change(turn, order, unit);
	else
		climb(turn, order, unit);
}
