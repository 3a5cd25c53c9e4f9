/* dispatch_aid_decide.c: AidCommand: who is party to it, what the table says, what is told. */
#include <string.h>

#include "dispatch_unit_internal.h"

/* One step under way. */
struct step {
	const struct dispatch_aid_order *order;
	const struct dispatch_incident *incident; /* NULL: not known any more */
	struct dispatch_aid *aid;
	enum dispatch_aid_state from;
};

static bool refuse_memory(const struct dispatch_unit_turn *turn)
{
	return dispatch_unit_refuse(turn, JK_CODE_UNAVAILABLE, NULL, "no memory; send it again");
}

static const struct jk_agency *agency_of(const struct jk_registry *registry, int32_t agency_id)
{
	for (size_t i = 0; i < registry->agency_count; i++)
		if (registry->agencies[i].agency_id == agency_id)
			return &registry->agencies[i];
	return NULL;
}

static struct dispatch_aid *find_aid(const struct dispatch_unit_batch *batch, const struct jk_id *aid_id)
{
	struct dispatch_aid *aid = batch->aids;

	while (aid != NULL && !jk_id_equal(&aid->aid_id, aid_id))
		aid = aid->next;
	return aid;
}

/* A request that was made to all, and is no offer itself. */
static bool is_to_all(const struct dispatch_aid *aid)
{
	return aid->giver_id < 0 && jk_id_is_zero(&aid->asked_id);
}

/* ---- telling ---- */

static bool tell(const struct dispatch_unit_turn *turn, const struct step *step)
{
	const struct dispatch_aid *aid = step->aid;
	const struct jk_agency *giver = agency_of(turn->registry, aid->giver_id);
	const struct dispatch_actor actor = {
		aid->hidden ? "" : turn->key->agency->code, aid->hidden ? "" : turn->key->desk->code};
	const struct dispatch_told_aid told = {.aid = aid,
		.from = step->from,
		.giver = aid->hidden || giver == NULL ? "" : giver->code,
		.count = aid->offered > 0 ? aid->offered : aid->count};

	return dispatch_unit_tell(turn, step->incident, JK_EVENT_AID,
		dispatch_unit_wire_aid_work(turn->batch->arena, turn->batch->at_us, &actor, &told));
}

/* The row as it will be is told first; what cannot be told does not happen. */
static bool take(const struct dispatch_unit_turn *turn, struct step *step, const struct dispatch_aid *next)
{
	struct dispatch_aid before = *step->aid;

	step->from = before.state;
	*step->aid = *next;
	if (!tell(turn, step)) {
		*step->aid = before;
		return false;
	}
	step->aid->version++;
	step->aid->changed = true;
	step->aid->updated_at_us = turn->batch->at_us;
	return true;
}

static void finish(const struct dispatch_unit_turn *turn, const struct dispatch_aid_order *order, const struct dispatch_aid *aid)
{
	dispatch_unit_done(
		turn, dispatch_aid_event_name(order->event), &aid->aid_id, aid->version, dispatch_aid_state_name(aid->state));
}

/* ---- asking ---- */

static struct dispatch_aid *make_aid(const struct dispatch_unit_turn *turn)
{
	struct dispatch_aid *aid = jk_arena_alloc(turn->batch->arena, sizeof *aid);

	if (aid == NULL)
		return NULL;
	aid->aid_id = jk_id_new();
	aid->created_at_us = turn->batch->at_us;
	return aid;
}

static void list_aid(struct dispatch_unit_batch *batch, struct dispatch_aid *aid)
{
	aid->next = batch->aids;
	batch->aids = aid;
}

/* Who is asked by name must be able to answer; the incident's own agency and others alike. */
static bool find_asked(const struct dispatch_unit_turn *turn, const struct dispatch_aid_order *order,
	const struct dispatch_incident *incident, int32_t *ret_giver_id)
{
	const struct jk_agency *agency = jk_registry_find_agency(turn->registry, order->to_agency);

	*ret_giver_id = -1;
	if (*order->to_agency == '\0')
		return true;
	for (size_t i = 0; agency != NULL && agency != turn->key->agency && i < turn->registry->desk_count; i++) {
		const struct jk_desk *desk = &turn->registry->desks[i];
		struct dispatch_sight sight;

		if (desk->revoked || desk->agency_id != agency->agency_id)
			continue;
		sight = dispatch_unit_look(turn->registry, desk, incident, turn->batch->at_us);
		if (!sight.may_answer || sight.hidden)
			continue;
		*ret_giver_id = agency->agency_id;
		return true;
	}
	return dispatch_unit_refuse(
		turn, JK_CODE_RULE_VIOLATION, "to_agency", "there is no such agency that may answer this incident");
}

static void ask(const struct dispatch_unit_turn *turn, const struct dispatch_aid_order *order)
{
	struct dispatch_sight sight;
	struct step step = {.order = order, .incident = dispatch_unit_answerable(turn, &order->incident_id, &sight)};
	struct dispatch_aid next;

	if (step.incident == NULL)
		return;
	step.aid = make_aid(turn);
	if (step.aid == NULL) {
		(void)refuse_memory(turn);
		return;
	}
	next = *step.aid;
	next.incident_id = order->incident_id;
	next.agency_id = turn->command->agency_id;
	next.count = order->count;
	next.needed_by_us = order->needed_by_us;
	next.hidden = sight.hidden;
	next.state = DISPATCH_AID_REQUESTED;
	(void)jk_text_copy(next.capability, sizeof next.capability, order->capability);
	if (!find_asked(turn, order, step.incident, &next.giver_id) || !take(turn, &step, &next))
		return;
	list_aid(turn->batch, step.aid);
	finish(turn, order, step.aid);
}

/* ---- answering ---- */

/* What the agency has answered to a request that was made to all, as long as it counts. */
static bool has_answered(const struct dispatch_unit_batch *batch, const struct dispatch_aid *asked, int32_t agency_id)
{
	for (const struct dispatch_aid *aid = batch->aids; aid != NULL; aid = aid->next)
		if (jk_id_equal(&aid->asked_id, &asked->aid_id) && aid->giver_id == agency_id &&
			aid->state != DISPATCH_AID_RETURNED && aid->state != DISPATCH_AID_WITHDRAWN)
			return true;
	return false;
}

/* The answer to a request made to all gets a row of its own. The request's version moves too: who withdraws it at the same moment
 * must know of the offer. */
static void split(const struct dispatch_unit_turn *turn, struct step *step, const struct dispatch_aid *next)
{
	struct dispatch_aid *asked = step->aid;

	if (has_answered(turn->batch, asked, turn->command->agency_id)) {
		(void)dispatch_unit_refuse(
			turn, JK_CODE_WRONG_STATE, "aid_id", "your agency has answered this request: go on with that answer");
		return;
	}
	step->aid = make_aid(turn);
	if (step->aid == NULL) {
		(void)refuse_memory(turn);
		return;
	}
	struct dispatch_aid answer = *next;
	answer.aid_id = step->aid->aid_id;
	answer.asked_id = asked->aid_id;
	answer.giver_id = turn->command->agency_id;
	answer.created_at_us = turn->batch->at_us;
	answer.version = answer.loaded_version = 0;
	answer.changed = false;
	step->aid->state = DISPATCH_AID_REQUESTED;
	if (!take(turn, step, &answer))
		return;
	list_aid(turn->batch, step->aid);
	asked->version++;
	asked->changed = true;
	finish(turn, step->order, step->aid);
}

/* Offers to a request that is withdrawn, and not taken yet, end with it. What cannot be told ends all the same: the request's own
 * end was told. */
static void cascade(const struct dispatch_unit_turn *turn, const struct step *step)
{
	for (struct dispatch_aid *aid = turn->batch->aids; aid != NULL; aid = aid->next) {
		struct step other = {.order = step->order, .incident = step->incident, .aid = aid};
		struct dispatch_aid next = *aid;

		if (aid->state != DISPATCH_AID_OFFERED || !jk_id_equal(&aid->asked_id, &step->aid->aid_id))
			continue;
		next.state = DISPATCH_AID_WITHDRAWN;
		memcpy(next.reason, step->aid->reason, sizeof next.reason);
		if (take(turn, &other, &next))
			continue;
		turn->command->refusal = (struct jk_refusal){0};
		next.version++;
		next.changed = true;
		*aid = next;
	}
}

/* Which part the agency has in it; PARTIES: none. To a request made to all, every agency that may answer is one that was asked.
 */
static enum dispatch_aid_party party_of(
	const struct dispatch_unit_turn *turn, const struct dispatch_aid *aid, const struct dispatch_sight *sight)
{
	if (aid->agency_id == turn->command->agency_id)
		return DISPATCH_AID_REQUESTER;
	if (aid->giver_id == turn->command->agency_id)
		return DISPATCH_AID_GIVER;
	return is_to_all(aid) && sight->may_answer ? DISPATCH_AID_GIVER : DISPATCH_AID_PARTIES;
}

static bool check_guards(const struct dispatch_unit_turn *turn, const struct dispatch_aid_row *row, const struct step *step)
{
	struct dispatch_sight sight;

	if (row->guards & DISPATCH_AID_WANTS_REASON && *step->order->reason == '\0')
		return dispatch_unit_refuse(turn, JK_CODE_RULE_VIOLATION, "reason", "say why");
	return !(row->guards & DISPATCH_AID_WANTS_OPEN) ||
	       dispatch_unit_answerable(turn, &step->aid->incident_id, &sight) != NULL;
}

static void go_on(const struct dispatch_unit_turn *turn, struct step *step, const struct dispatch_aid_row *row, bool hidden)
{
	struct dispatch_aid next = *step->aid;

	next.state = row->to;
	next.hidden = next.hidden || hidden;
	if (row->event == DISPATCH_AID_OFFER)
		next.offered = step->order->count;
	if (row->guards & DISPATCH_AID_WANTS_REASON || *step->order->reason != '\0')
		(void)jk_text_copy(next.reason, sizeof next.reason, step->order->reason);
	if (row->effects & DISPATCH_AID_SPLITS && is_to_all(step->aid)) {
		split(turn, step, &next);
		return;
	}
	if (!take(turn, step, &next))
		return;
	finish(turn, step->order, step->aid);
	if (row->effects & DISPATCH_AID_CASCADES)
		cascade(turn, step);
}

void dispatch_aid_decide(const struct dispatch_unit_turn *turn, const struct dispatch_aid_order *order)
{
	struct step step = {.order = order, .aid = find_aid(turn->batch, &order->aid_id)};
	const struct dispatch_aid_row *row;
	enum dispatch_aid_party party = DISPATCH_AID_PARTIES;
	struct dispatch_sight sight = {0};

	if (order->event == DISPATCH_AID_ASK) {
		ask(turn, order);
		return;
	}
	if (step.aid != NULL) {
		step.incident = dispatch_unit_find_incident(turn->batch->incidents, &step.aid->incident_id);
		sight = dispatch_unit_look(turn->registry, turn->key->desk, step.incident, turn->batch->at_us);
		party = party_of(turn, step.aid, &sight);
	}
	if (party == DISPATCH_AID_PARTIES) {
		(void)dispatch_unit_refuse(
			turn, JK_CODE_NOT_FOUND, "aid_id", "there is no such request or offer, or not for you");
		return;
	}
	row = dispatch_aid_rules_find(step.aid->state, order->event, party);
	if (order->version != 0 && order->version != (uint32_t)step.aid->version)
		(void)jk_refuse(
			&turn->command->refusal, JK_CODE_STALE_VERSION, "version", "it is at version %d", (int)step.aid->version);
	else if (row == NULL)
		(void)jk_refuse(&turn->command->refusal, JK_CODE_WRONG_STATE, NULL, "it is %s: %s cannot %s it",
			dispatch_aid_state_name(step.aid->state), party == DISPATCH_AID_REQUESTER ? "the requester" : "the giver",
			dispatch_aid_event_name(order->event));
	else if (check_guards(turn, row, &step))
		go_on(turn, &step, row, party == DISPATCH_AID_GIVER && sight.hidden);
}
