/* dispatch_unit_tell.c: who may answer an incident, and what is told of what was done. See dispatch_unit_internal.h. */
#include <string.h>

#include "dispatch_unit_internal.h"

bool dispatch_unit_refuse(const struct dispatch_unit_turn *turn, enum jk_code code, const char *field, const char *reason)
{
	return jk_refuse(&turn->command->refusal, code, field, "%s", reason);
}

static bool refuse_full(const struct dispatch_unit_turn *turn)
{
	return dispatch_unit_refuse(
		turn, JK_CODE_UNAVAILABLE, NULL, "too much at once; send it again, under the same command_id");
}

/* ---- who may ---- */

const struct dispatch_incident *dispatch_unit_find_incident(
	const struct dispatch_incident *incidents, const struct jk_id *incident_id)
{
	while (incidents != NULL && !jk_id_equal(&incidents->incident_id, incident_id))
		incidents = incidents->next;
	return incidents;
}

/* One of the county's streams: what it adds to the sight. An open one counts before those that are closed. */
static void look_in_county(const struct jk_registry *registry, const struct jk_desk *desk, struct jk_label *label,
	const struct dispatch_incident_county *county, int64_t now_us, struct dispatch_sight *sight)
{
	struct jk_decision decision;

	memcpy(label->county, county->county, sizeof label->county);
	label->recorded_at_us = county->recorded_at_us;
	decision = jk_registry_decide_desk(registry, desk, JK_USE_RESPOND, label, now_us);
	if (decision.effect == JK_DENY) {
		sight->seen = sight->seen ||
			      jk_registry_decide_desk(registry, desk, JK_USE_VIEW, label, now_us).effect != JK_DENY ||
			      jk_registry_decide_desk(registry, desk, JK_USE_CASE, label, now_us).effect != JK_DENY;
		return;
	}
	sight->seen = true;
	if (sight->may_answer && (sight->open || !county->open))
		return;
	sight->may_answer = true;
	sight->open = county->open;
	sight->term = decision.term;
	sight->hidden = decision.term != NULL && decision.term->hides_recipient;
	sight->has_point = !(decision.withheld >> JK_GROUP_POSITION & 1);
}

struct dispatch_sight dispatch_unit_look(
	const struct jk_registry *registry, const struct jk_desk *desk, const struct dispatch_incident *incident, int64_t now_us)
{
	struct dispatch_sight sight = {0};
	struct jk_label label;

	if (incident == NULL || !incident->readable)
		return sight;
	label = incident->label.label;
	jk_registry_label_owner(&label, jk_registry_find_agency(registry, incident->label.agency_code));
	for (size_t i = 0; i < incident->county_count; i++)
		look_in_county(registry, desk, &label, &incident->counties[i], now_us, &sight);
	sight.has_point = sight.has_point && incident->has_point;
	return sight;
}

bool dispatch_unit_may_name(const struct dispatch_sight *theirs, const struct dispatch_sight *mine)
{
	return !theirs->hidden || (mine->term != NULL && mine->term->pact_id == theirs->term->pact_id);
}

const struct dispatch_incident *dispatch_unit_answerable(
	const struct dispatch_unit_turn *turn, const struct jk_id *incident_id, struct dispatch_sight *ret_sight)
{
	const struct dispatch_incident *incident = dispatch_unit_find_incident(turn->batch->incidents, incident_id);

	*ret_sight = dispatch_unit_look(turn->registry, turn->key->desk, incident, turn->batch->at_us);
	if (incident != NULL && incident->body.size == 0)
		(void)refuse_full(turn);
	else if (!ret_sight->seen)
		(void)dispatch_unit_refuse(turn, JK_CODE_NOT_FOUND, "incident_id", "there is no such incident, or not for you");
	else if (!ret_sight->may_answer)
		(void)dispatch_unit_refuse(
			turn, JK_CODE_NOT_PERMITTED, "incident_id", "no agreement lets this desk answer the incident");
	else if (!ret_sight->open)
		(void)dispatch_unit_refuse(turn, JK_CODE_WRONG_STATE, "incident_id", "the incident is closed");
	else
		return incident;
	return NULL;
}

/* ---- what is told ---- */

bool dispatch_unit_tell(const struct dispatch_unit_turn *turn, const struct dispatch_incident *incident, enum jk_event_kind kind,
	struct jk_span work)
{
	uint8_t commitment[JK_SHA256_BYTES];
	struct jk_append_event event = {.event_id = jk_id_new(), .kind = kind, .commitment = commitment};

	/* Nothing can be added to a body of version 0.1.0: of such an old incident steps are on the record, and not in streams.
	 */
	if (incident == NULL || !incident->readable || incident->label.group_count == JK_GROUP_COUNT_OLD)
		return true;
	if (incident->body.size == 0 || work.size == 0 ||
		jk_body_add_work(incident->body, work, turn->batch->arena, commitment, &event.body, &event.body_size) != JK_OK)
		return refuse_full(turn);
	event.incident_id = incident->incident_id;
	for (size_t i = 0; i < incident->county_count; i++) {
		const struct dispatch_incident_county *county = &incident->counties[i];

		if (!county->open)
			continue;
		event.stream = county->county;
		event.revision = county->revision;
		event.tlp = county->tlp;
		event.category = county->category;
		jk_append_add(&turn->batch->append, &event);
	}
	return true;
}

void dispatch_unit_mail(struct dispatch_unit_batch *batch, struct dispatch_acted *acted)
{
	struct dispatch_acted **place = &batch->acted;

	while (*place != NULL && ((*place)->incident != acted->incident || (*place)->step != acted->step))
		place = &(*place)->next;
	acted->next = *place != NULL ? (*place)->next : NULL;
	*place = acted;
}

void dispatch_unit_post(struct dispatch_unit_batch *batch)
{
	for (const struct dispatch_acted *acted = batch->acted; acted != NULL; acted = acted->next) {
		struct jk_span body = dispatch_unit_wire_acted(batch->arena, batch->at_us, acted);

		if (body.size == 0)
			continue;
		jk_append_add_mail(&batch->append, &(struct jk_append_mail){.agency = acted->incident->label.agency_code,
							   .incident_id = acted->incident->incident_id,
							   .kind = JK_EVENT_ACTED,
							   .tlp = JK_TLP_AMBER,
							   .category = JK_CATEGORY_OTHER,
							   .body = body});
	}
}

void dispatch_unit_done(const struct dispatch_unit_turn *turn, const char *action, const struct jk_id *thing_id, int32_t version,
	const char *state)
{
	struct jk_command *command = turn->command;
	struct dispatch_deed *deed = command->mind;

	deed->agency_id = command->agency_id;
	deed->desk_id = command->desk_id;
	deed->command_id = command->command_id;
	deed->thing_id = *thing_id;
	memcpy(deed->digest, command->digest, sizeof deed->digest);
	deed->action = action;
	deed->version = version;
	(void)jk_text_copy(deed->state, sizeof deed->state, state);
	deed->next = turn->batch->deeds;
	turn->batch->deeds = deed;
	command->answer.thing_id = *thing_id;
	command->answer.version = (uint32_t)version;
	(void)jk_text_copy(command->answer.state, sizeof command->answer.state, state);
}
