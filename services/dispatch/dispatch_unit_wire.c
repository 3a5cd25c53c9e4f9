/* dispatch_unit_wire.c: commands about units and help, checked for their shape; questions likewise. See dispatch_unit_wire.h. */
#include "dispatch_unit_wire.h"

#include <stddef.h>
#include <string.h>

#include "base/jk_text.h"
#include "jukwaa/v1/session.pb-c.h"
#include "jukwaa/v1/unit.pb-c.h"

#define SAME_STATE(state)                                                                                                        \
	_Static_assert((int)DISPATCH_UNIT_##state == (int)JUKWAA__V1__UNIT_STATE__UNIT_STATE_##state, "as in work.proto")
SAME_STATE(AVAILABLE);
SAME_STATE(DISPATCHED);
SAME_STATE(EN_ROUTE);
SAME_STATE(ON_SCENE);
SAME_STATE(TRANSPORTING);
SAME_STATE(CLEARED);
SAME_STATE(OUT_OF_SERVICE);
#define SAME_AID(state)                                                                                                          \
	_Static_assert((int)DISPATCH_AID_##state == (int)JUKWAA__V1__AID_STATE__AID_STATE_##state, "as in work.proto")
SAME_AID(REQUESTED);
SAME_AID(OFFERED);
SAME_AID(COMMITTED);
SAME_AID(RELEASED);
SAME_AID(RETURNED);
SAME_AID(DECLINED);
SAME_AID(WITHDRAWN);

enum { DISCIPLINE_MAX = JK_DISCIPLINE_BYTES - 1, CAPABILITY_MAX = DISPATCH_CAPABILITY_BYTES - 1 };
/* The year 10000: beyond, no time can be written. */
static const int64_t time_max_us = INT64_C(253402300800000000);

/* ---- pieces ---- */

/* An id that may be left out: then zero. */
static bool read_id(ProtobufCBinaryData bytes, const char *field, bool wanted, struct jk_id *ret, struct jk_refusal *refusal)
{
	*ret = (struct jk_id){{0}};
	if (bytes.len == 0 && !wanted)
		return true;
	if (bytes.len != sizeof ret->bytes)
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, field, "an id has 16 bytes");
	memcpy(ret->bytes, bytes.data, sizeof ret->bytes);
	return !jk_id_is_zero(ret) || jk_refuse(refusal, JK_CODE_RULE_VIOLATION, field, "the id is all zero");
}

static bool check_reason(const char *reason, struct jk_refusal *refusal)
{
	return strlen(reason) < DISPATCH_REASON_BYTES ||
	       jk_refuse(refusal, JK_CODE_OVERSIZE, "reason", "at most %d bytes", DISPATCH_REASON_BYTES - 1);
}

static bool holds_word(const char *list, const char *word)
{
	return dispatch_recommend_has_all(list, word);
}

/* Different words of the right form, joined by blanks. */
static bool read_capabilities(char *const *words, size_t count, char ret[DISPATCH_CAPABILITIES_BYTES], struct jk_refusal *refusal)
{
	size_t used = 0;

	ret[0] = '\0';
	if (count > DISPATCH_CAPABILITIES_MAX)
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "capabilities", "at most %d", DISPATCH_CAPABILITIES_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!dispatch_unit_rules_is_word(words[i], CAPABILITY_MAX))
			return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "capabilities", "a capability is 1 to %d of A-Z 0-9 _",
				CAPABILITY_MAX);
		if (used > 0 && holds_word(ret, words[i]))
			return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "capabilities", "one of them is named twice");
		(void)jk_text_format(ret + used, DISPATCH_CAPABILITIES_BYTES - used, "%s%s", used > 0 ? " " : "", words[i]);
		used += strlen(ret + used);
	}
	return true;
}

static bool read_point(
	const Jukwaa__V1__Point *point, const char *field, double *ret_lat, double *ret_lon, struct jk_refusal *refusal)
{
	if (point == NULL)
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, field, "the point is missing");
	*ret_lat = point->lat;
	*ret_lon = point->lon;
	return dispatch_unit_rules_is_place(point->lat, point->lon) ||
	       jk_refuse(refusal, JK_CODE_RULE_VIOLATION, field, "lat is -90 to 90, lon -180 to 180");
}

static bool read_discipline(const char *text, char ret[JK_DISCIPLINE_BYTES], struct jk_refusal *refusal)
{
	return (dispatch_unit_rules_is_word(text, DISCIPLINE_MAX) && jk_text_copy(ret, JK_DISCIPLINE_BYTES, text)) ||
	       jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "discipline", "1 to %d of A-Z 0-9 _", DISCIPLINE_MAX);
}

/* ---- UnitCommand ---- */

static bool read_record(const Jukwaa__V1__UnitRecord *record, struct dispatch_unit_order *order, struct jk_refusal *refusal)
{
	struct dispatch_unit_record *ret = &order->record;

	if (record == NULL)
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "record", "what the unit is, is missing");
	ret->desk_id = -1;
	order->desk = record->desk;
	if (*record->county != '\0' && strlen(record->county) != JK_COUNTY_BYTES - 1)
		return jk_refuse(refusal, JK_CODE_UNKNOWN_COUNTY, "county", "a county is named by its three-digit code");
	(void)jk_text_copy(ret->county, sizeof ret->county, record->county);
	return read_discipline(record->discipline, ret->discipline, refusal) &&
	       read_capabilities(record->capabilities, record->n_capabilities, ret->capabilities, refusal) &&
	       read_point(record->base_point, "base_point", &ret->base_lat, &ret->base_lon, refusal);
}

static bool read_advance(const Jukwaa__V1__UnitAdvance *advance, struct dispatch_unit_order *order, struct jk_refusal *refusal)
{
	order->to = (enum dispatch_unit_state)advance->to;
	order->reason = advance->reason;
	if (dispatch_unit_rules_advance(order->to) == DISPATCH_UNIT_EVENTS)
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "to",
			"a unit advances to EN_ROUTE, ON_SCENE, TRANSPORTING, "
			"CLEARED or AVAILABLE");
	return check_reason(order->reason, refusal);
}

static bool read_action(const Jukwaa__V1__UnitCommand *command, struct dispatch_unit_order *order, struct jk_refusal *refusal)
{
	switch (command->action_case) {
	case JUKWAA__V1__UNIT_COMMAND__ACTION_ADD:
		order->action = DISPATCH_ORDER_ADD;
		return read_record(command->add->record, order, refusal);
	case JUKWAA__V1__UNIT_COMMAND__ACTION_CHANGE:
		order->action = DISPATCH_ORDER_CHANGE;
		return read_record(command->change->record, order, refusal);
	case JUKWAA__V1__UNIT_COMMAND__ACTION_REMOVE:
		order->action = DISPATCH_ORDER_REMOVE;
		return true;
	case JUKWAA__V1__UNIT_COMMAND__ACTION_POSITION:
		order->action = DISPATCH_ORDER_POSITION;
		return read_point(command->position->point, "point", &order->lat, &order->lon, refusal);
	case JUKWAA__V1__UNIT_COMMAND__ACTION_ASSIGN:
		order->action = DISPATCH_ORDER_ASSIGN;
		order->reason = command->assign->reason;
		return read_id(command->assign->incident_id, "incident_id", true, &order->incident_id, refusal) &&
		       check_reason(order->reason, refusal);
	case JUKWAA__V1__UNIT_COMMAND__ACTION_ADVANCE:
		order->action = DISPATCH_ORDER_ADVANCE;
		return read_advance(command->advance, order, refusal);
	case JUKWAA__V1__UNIT_COMMAND__ACTION_OUT_OF_SERVICE:
		order->action = DISPATCH_ORDER_OUT;
		order->reason = command->out_of_service->reason;
		return check_reason(order->reason, refusal);
	case JUKWAA__V1__UNIT_COMMAND__ACTION_IN_SERVICE:
		order->action = DISPATCH_ORDER_IN;
		return true;
	default:
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "action", "the command says nothing to do");
	}
}

bool dispatch_unit_wire_is_unit(const ProtobufCMessage *message)
{
	return message->descriptor == &jukwaa__v1__unit_command__descriptor;
}

bool dispatch_unit_wire_read(
	const ProtobufCMessage *message, struct dispatch_unit_order *ret_order, struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__UnitCommand *command = (const void *)message;

	*ret_order = (struct dispatch_unit_order){.code = command->code, .version = command->version, .reason = "", .desk = ""};
	if (!read_id(command->unit_id, "unit_id", false, &ret_order->unit_id, ret_refusal) ||
		!read_action(command, ret_order, ret_refusal))
		return false;
	if (ret_order->version > INT32_MAX)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "version", "there are no such versions");
	if (*command->code == '\0' ? jk_id_is_zero(&ret_order->unit_id) : !dispatch_unit_rules_is_code(command->code))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "code",
			"a code begins with A-Z or 0-9 and has 1 to 32 of A-Z 0-9 - _");
	if (*command->code != '\0' && !jk_id_is_zero(&ret_order->unit_id))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "unit_id", "name the unit by its id or its code, not both");
	if (ret_order->action == DISPATCH_ORDER_ADD && *command->code == '\0')
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "code", "a new unit has a code, and gets its id");
	return true;
}

/* ---- AidCommand ---- */

static bool read_ask(const Jukwaa__V1__AidRequest *ask, struct dispatch_aid_order *order, struct jk_refusal *refusal)
{
	if (!read_id(ask->incident_id, "incident_id", true, &order->incident_id, refusal))
		return false;
	if (!dispatch_unit_rules_is_word(ask->capability, CAPABILITY_MAX))
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "capability", "1 to %d of A-Z 0-9 _", CAPABILITY_MAX);
	if (ask->needed_by_us < 0 || ask->needed_by_us >= time_max_us)
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "needed_by_us", "there is no such time");
	order->capability = ask->capability;
	order->to_agency = ask->to_agency;
	order->needed_by_us = ask->needed_by_us;
	order->count = ask->count > DISPATCH_AID_COUNT_MAX ? 0 : (int32_t)ask->count;
	return order->count >= 1 || jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "count", "1 to %d", DISPATCH_AID_COUNT_MAX);
}

static bool read_aid_action(const Jukwaa__V1__AidCommand *command, struct dispatch_aid_order *order, struct jk_refusal *refusal)
{
	switch (command->action_case) {
	case JUKWAA__V1__AID_COMMAND__ACTION_ASK:
		order->event = DISPATCH_AID_ASK;
		return read_ask(command->ask, order, refusal);
	case JUKWAA__V1__AID_COMMAND__ACTION_OFFER:
		order->event = DISPATCH_AID_OFFER;
		order->count = command->offer->count > DISPATCH_AID_COUNT_MAX ? 0 : (int32_t)command->offer->count;
		return order->count >= 1 ||
		       jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "count", "1 to %d", DISPATCH_AID_COUNT_MAX);
	case JUKWAA__V1__AID_COMMAND__ACTION_COMMIT:
		order->event = DISPATCH_AID_COMMIT;
		return true;
	case JUKWAA__V1__AID_COMMAND__ACTION_RELEASE:
		order->event = DISPATCH_AID_RELEASE;
		return true;
	case JUKWAA__V1__AID_COMMAND__ACTION_RETURN_BACK:
		order->event = DISPATCH_AID_RETURN;
		return true;
	case JUKWAA__V1__AID_COMMAND__ACTION_DECLINE:
		order->event = DISPATCH_AID_DECLINE;
		order->reason = command->decline->reason;
		return check_reason(order->reason, refusal);
	case JUKWAA__V1__AID_COMMAND__ACTION_WITHDRAW:
		order->event = DISPATCH_AID_WITHDRAW;
		order->reason = command->withdraw->reason;
		return check_reason(order->reason, refusal);
	default:
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "action", "the command says nothing to do");
	}
}

bool dispatch_unit_wire_read_aid(
	const ProtobufCMessage *message, struct dispatch_aid_order *ret_order, struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__AidCommand *command = (const void *)message;

	*ret_order = (struct dispatch_aid_order){.version = command->version, .reason = "", .capability = "", .to_agency = ""};
	if (!read_aid_action(command, ret_order, ret_refusal))
		return false;
	if (ret_order->version > INT32_MAX)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "version", "there are no such versions");
	if (ret_order->event == DISPATCH_AID_ASK && command->aid_id.len > 0)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "aid_id", "a new request gets its id");
	return read_id(command->aid_id, "aid_id", ret_order->event != DISPATCH_AID_ASK, &ret_order->aid_id, ret_refusal);
}

/* ---- questions ---- */

static bool read_limit(uint32_t asked, size_t usual, size_t most, size_t *ret, struct jk_refusal *refusal)
{
	*ret = asked > 0 ? asked : usual;
	return *ret <= most || jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "limit", "at most %zu", most);
}

static bool read_optional_discipline(const char *text, struct dispatch_unit_question *ret, struct jk_refusal *refusal)
{
	return *text == '\0' || read_discipline(text, ret->discipline, refusal);
}

static bool read_unit_list(const Jukwaa__V1__UnitList *list, struct dispatch_unit_question *ret, struct jk_refusal *refusal)
{
	char after[DISPATCH_UNIT_CODE_BYTES] = "";

	ret->state = (int)list->state;
	if (list->after.len >= sizeof after)
		return jk_refuse(refusal, JK_CODE_INVALID_SCHEMA, "after", "this is no page mark of ours");
	if (list->after.len > 0)
		memcpy(after, list->after.data, list->after.len);
	if (list->after.len > 0 && !dispatch_unit_rules_is_code(after))
		return jk_refuse(refusal, JK_CODE_INVALID_SCHEMA, "after", "this is no page mark of ours");
	if (*list->code != '\0' && !dispatch_unit_rules_is_code(list->code))
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "code", "this is no unit's code");
	(void)jk_text_copy(ret->after, sizeof ret->after, after);
	(void)jk_text_copy(ret->code, sizeof ret->code, list->code);
	return read_optional_discipline(list->discipline, ret, refusal) &&
	       read_limit(list->limit, DISPATCH_UNIT_PAGE_DEFAULT, DISPATCH_UNIT_PAGE_MAX, &ret->limit, refusal);
}

static bool read_nearest(const Jukwaa__V1__UnitRecommend *ask, struct dispatch_unit_question *ret, struct jk_refusal *refusal)
{
	return read_id(ask->incident_id, "incident_id", true, &ret->incident_id, refusal) &&
	       read_optional_discipline(ask->discipline, ret, refusal) &&
	       read_capabilities(ask->capabilities, ask->n_capabilities, ret->capabilities, refusal) &&
	       read_limit(ask->limit, DISPATCH_NEAREST_DEFAULT, DISPATCH_NEAREST_MAX, &ret->limit, refusal);
}

static bool read_aid_list(const Jukwaa__V1__AidList *list, struct dispatch_unit_question *ret, struct jk_refusal *refusal)
{
	ret->state = (int)list->state;
	return read_id(list->incident_id, "incident_id", false, &ret->incident_id, refusal) &&
	       read_id(list->after, "after", false, &ret->after_id, refusal) &&
	       read_limit(list->limit, DISPATCH_UNIT_PAGE_DEFAULT, DISPATCH_UNIT_PAGE_MAX, &ret->limit, refusal);
}

bool dispatch_unit_wire_read_question(
	const ProtobufCMessage *message, struct dispatch_unit_question *ret, struct jk_refusal *ret_refusal)
{
	*ret = (struct dispatch_unit_question){0};
	if (message->descriptor == &jukwaa__v1__unit_list__descriptor) {
		const Jukwaa__V1__UnitList *list = (const void *)message;

		ret->asks = list->ladder ? DISPATCH_ASKS_LADDER : DISPATCH_ASKS_UNITS;
		ret->request = list->request;
		return read_unit_list(list, ret, ret_refusal);
	}
	if (message->descriptor == &jukwaa__v1__unit_recommend__descriptor) {
		const Jukwaa__V1__UnitRecommend *ask = (const void *)message;

		ret->asks = DISPATCH_ASKS_NEAREST;
		ret->request = ask->request;
		return read_nearest(ask, ret, ret_refusal);
	}
	const Jukwaa__V1__AidList *list = (const void *)message;

	ret->asks = DISPATCH_ASKS_AID;
	ret->request = list->request;
	return read_aid_list(list, ret, ret_refusal);
}

/* ---- handlers ---- */

#define HANDLER(Type, name, KIND, function)                                                                                      \
	{                                                                                                                        \
		.kind = JUKWAA__V1__KIND__KIND_##KIND, .type = &jukwaa__v1__##name##__descriptor, .roles = 1U << JK_ROLE_DESK,   \
		.on_message = (function), .session_offset = offsetof(Jukwaa__V1__##Type, session),                               \
		.request_offset = offsetof(Jukwaa__V1__##Type, request),                                                         \
	}

void dispatch_unit_wire_handlers(struct jk_handler ret_handlers[DISPATCH_UNIT_HANDLERS], dispatch_unit_on_message *on_command,
	dispatch_unit_on_message *on_question)
{
	const struct jk_handler handlers[DISPATCH_UNIT_HANDLERS] = {
		HANDLER(UnitCommand, unit_command, UNIT_COMMAND, on_command),
		HANDLER(AidCommand, aid_command, AID_COMMAND, on_command),
		HANDLER(UnitList, unit_list, UNIT_LIST, on_question),
		HANDLER(UnitRecommend, unit_recommend, UNIT_RECOMMEND, on_question),
		HANDLER(AidList, aid_list, AID_LIST, on_question),
	};

	memcpy(ret_handlers, handlers, sizeof handlers);
}
