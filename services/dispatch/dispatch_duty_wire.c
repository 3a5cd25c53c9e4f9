#include "dispatch_duty_wire.h"

#include <stddef.h>
#include <string.h>

#include "base/jk_text.h"
#include "jukwaa/v1/duty.pb-c.h"
#include "jukwaa/v1/feed.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "jukwaa/v1/work.pb-c.h"
#include "wire/wire_body.h"

_Static_assert((int)DISPATCH_DUTY_WAITING == (int)JUKWAA__V1__DUTY_STATE__DUTY_STATE_WAITING &&
		       (int)DISPATCH_DUTY_OFFERED == (int)JUKWAA__V1__DUTY_STATE__DUTY_STATE_OFFERED &&
		       (int)DISPATCH_DUTY_HELD == (int)JUKWAA__V1__DUTY_STATE__DUTY_STATE_HELD &&
		       (int)DISPATCH_DUTY_UNANSWERED == (int)JUKWAA__V1__DUTY_STATE__DUTY_STATE_UNANSWERED &&
		       (int)DISPATCH_DUTY_COMPLETED == (int)JUKWAA__V1__DUTY_STATE__DUTY_STATE_COMPLETED &&
		       (int)DISPATCH_DUTY_WITHDRAWN == (int)JUKWAA__V1__DUTY_STATE__DUTY_STATE_WITHDRAWN,
	"states as in duty.proto");
_Static_assert((int)DISPATCH_DISCIPLINE_BYTES == (int)JK_DISCIPLINE_BYTES, "a discipline as in the registry");
_Static_assert((int)DISPATCH_ACTION_OPENED == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_OPENED &&
		       (int)DISPATCH_ACTION_OFFERED == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_OFFERED &&
		       (int)DISPATCH_ACTION_ACCEPTED == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_ACCEPTED &&
		       (int)DISPATCH_ACTION_DECLINED == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_DECLINED &&
		       (int)DISPATCH_ACTION_TIMED_OUT == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_TIMED_OUT &&
		       (int)DISPATCH_ACTION_SKIPPED == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_SKIPPED &&
		       (int)DISPATCH_ACTION_UNANSWERED == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_UNANSWERED &&
		       (int)DISPATCH_ACTION_HANDED_OVER == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_HANDED_OVER &&
		       (int)DISPATCH_ACTION_COMPLETED == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_COMPLETED &&
		       (int)DISPATCH_ACTION_WITHDRAWN == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_WITHDRAWN &&
		       (int)DISPATCH_ACTION_ESCALATED == (int)JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_ESCALATED,
	"actions as in work.proto");
_Static_assert((int)DISPATCH_STANDING_ASKED == (int)JUKWAA__V1__OFFER_STANDING__OFFER_STANDING_ASKED &&
		       (int)DISPATCH_STANDING_HOLDER == (int)JUKWAA__V1__OFFER_STANDING__OFFER_STANDING_HOLDER &&
		       (int)DISPATCH_STANDING_PAST == (int)JUKWAA__V1__OFFER_STANDING__OFFER_STANDING_PAST &&
		       (int)DISPATCH_STANDING_FORMER_HOLDER == (int)JUKWAA__V1__OFFER_STANDING__OFFER_STANDING_FORMER_HOLDER &&
		       (int)DISPATCH_STANDING_TOLD == (int)JUKWAA__V1__OFFER_STANDING__OFFER_STANDING_TOLD &&
		       (int)DISPATCH_FILTER_OPEN == (int)JUKWAA__V1__OFFER_FILTER__OFFER_FILTER_OPEN &&
		       (int)DISPATCH_FILTER_HELD == (int)JUKWAA__V1__OFFER_FILTER__OFFER_FILTER_HELD &&
		       (int)DISPATCH_FILTER_ALL == (int)JUKWAA__V1__OFFER_FILTER__OFFER_FILTER_ALL,
	"standings and filters as in duty.proto");

/* ---- what is told ---- */

/* protobuf-c's structs are not const; what they point to is not written to. */
static char *text(const char *value)
{
	return (char *)(uintptr_t)value;
}

static ProtobufCBinaryData bytes_of(const struct jk_id *id)
{
	return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)id->bytes, .len = sizeof id->bytes};
}

static struct jk_span pack(const ProtobufCMessage *message, struct jk_arena *arena)
{
	struct jk_span span = {0};

	span.data = jk_body_pack(message, arena, &span.size);
	if (span.data == NULL)
		span.size = 0;
	return span;
}

struct jk_span dispatch_duty_wire_work(const struct dispatch_duty_work *work, struct jk_arena *arena)
{
	Jukwaa__V1__Work message = JUKWAA__V1__WORK__INIT;
	Jukwaa__V1__DutyStep step = JUKWAA__V1__DUTY_STEP__INIT;

	step.duty_id = bytes_of(&work->duty->duty_id);
	step.county = text(work->duty->county);
	step.discipline = text(work->duty->discipline);
	step.action = (Jukwaa__V1__DutyAction)work->action;
	step.desk = text(work->desk);
	step.due_us = work->due_us;
	step.reason = text(work->reason);
	step.disposition = (Jukwaa__V1__Disposition)work->disposition;
	step.role = text(work->role);
	message.at_us = work->at_us;
	message.agency = text(work->by_agency);
	message.desk = text(work->by_desk);
	message.step_case = JUKWAA__V1__WORK__STEP_DUTY_STEP;
	message.duty_step = &step;
	return pack(&message.base, arena);
}

struct jk_span dispatch_duty_wire_acted(
	const char *step, const char *desk, const char *agency, const struct dispatch_duty *duty, struct jk_arena *arena)
{
	Jukwaa__V1__Acted message = JUKWAA__V1__ACTED__INIT;

	message.step = text(step);
	message.desk = text(desk);
	message.agency = text(agency);
	message.discipline = text(duty->discipline);
	message.at_us = duty->updated_us;
	return pack(&message.base, arena);
}

struct jk_span dispatch_duty_wire_unanswered(const struct dispatch_duty *duty, uint32_t desks_asked, struct jk_arena *arena)
{
	Jukwaa__V1__Unanswered message = JUKWAA__V1__UNANSWERED__INIT;

	message.county = text(duty->county);
	message.discipline = text(duty->discipline);
	message.since_us = duty->opened_us;
	message.desks_asked = desks_asked;
	message.times = (uint32_t)duty->times;
	return pack(&message.base, arena);
}

/* ---- commands ---- */

void dispatch_duty_wire_command_handler(
	struct jk_handler *ret_handler, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret_handler = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_OFFER_COMMAND,
		.type = &jukwaa__v1__offer_command__descriptor,
		.roles = 1U << JK_ROLE_DESK,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__OfferCommand, session),
		.request_offset = offsetof(Jukwaa__V1__OfferCommand, request),
		.rate_limited = true,
	};
}

struct jk_id dispatch_duty_wire_command_duty(const ProtobufCMessage *message)
{
	const Jukwaa__V1__OfferCommand *command = (const void *)message;
	struct jk_id id = {{0}};

	if (command->duty_id.len == sizeof id.bytes)
		memcpy(id.bytes, command->duty_id.data, sizeof id.bytes);
	return id;
}

/* The action's event, desk, reason and disposition. */
static bool read_action(const Jukwaa__V1__OfferCommand *command, struct dispatch_duty_command *ret)
{
	switch (command->action_case) {
	case JUKWAA__V1__OFFER_COMMAND__ACTION_ACCEPT:
		ret->event = DISPATCH_DUTY_ACCEPT;
		return true;
	case JUKWAA__V1__OFFER_COMMAND__ACTION_DECLINE:
		ret->event = DISPATCH_DUTY_DECLINE;
		ret->reason = command->decline->reason;
		return true;
	case JUKWAA__V1__OFFER_COMMAND__ACTION_HAND_OVER:
		ret->event = DISPATCH_DUTY_HAND_OVER;
		ret->desk = command->hand_over->desk;
		ret->reason = command->hand_over->reason;
		return true;
	case JUKWAA__V1__OFFER_COMMAND__ACTION_COMPLETE:
		ret->event = DISPATCH_DUTY_COMPLETE;
		ret->disposition = (int)command->complete->disposition;
		ret->reason = command->complete->reason;
		return true;
	case JUKWAA__V1__OFFER_COMMAND__ACTION_HAND_OVER_ALL:
		ret->event = DISPATCH_DUTY_HAND_OVER;
		ret->all = true;
		ret->desk = command->hand_over_all->desk;
		ret->reason = command->hand_over_all->reason;
		return true;
	case JUKWAA__V1__OFFER_COMMAND__ACTION_ACKNOWLEDGE:
		ret->event = DISPATCH_DUTY_ACKNOWLEDGE;
		return true;
	default:
		return false;
	}
}

static bool check_command(
	const Jukwaa__V1__OfferCommand *message, const struct dispatch_duty_command *command, struct jk_refusal *ret_refusal)
{
	if (command->all && (message->duty_id.len > 0 || message->version > 0))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "duty_id", "all that the desk holds is not one duty");
	if (!command->all && jk_id_is_zero(&command->duty_id))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "duty_id", "16 bytes");
	if (message->version > INT32_MAX)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "version", "no duty has such a version");
	if (strlen(command->reason) > DISPATCH_REASON_MAX_BYTES)
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "reason", "at most %d bytes", DISPATCH_REASON_MAX_BYTES);
	if (command->event == DISPATCH_DUTY_DECLINE && command->reason[0] == '\0')
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "reason", "say why it is declined");
	if (command->event == DISPATCH_DUTY_HAND_OVER && command->desk[0] == '\0')
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "desk", "say which desk it is handed over to");
	if (command->event == DISPATCH_DUTY_COMPLETE && command->disposition == 0)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "disposition", "say how it ended");
	return true;
}

bool dispatch_duty_wire_read_command(
	const ProtobufCMessage *message, struct dispatch_duty_command *ret, struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__OfferCommand *command = (const void *)message;

	*ret = (struct dispatch_duty_command){.desk = "", .reason = "", .version = (int32_t)(command->version & INT32_MAX)};
	ret->duty_id = dispatch_duty_wire_command_duty(message);
	if (!read_action(command, ret))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "action", "say what is to be done");
	return check_command(command, ret, ret_refusal);
}

/* ---- lists and offers ---- */

void dispatch_duty_wire_list_handler(
	struct jk_handler *ret_handler, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret_handler = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_OFFER_LIST,
		.type = &jukwaa__v1__offer_list__descriptor,
		.roles = 1U << JK_ROLE_DESK,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__OfferList, session),
		.request_offset = offsetof(Jukwaa__V1__OfferList, request),
		.rate_limited = true,
	};
}

uint64_t dispatch_duty_wire_list_request(const struct jk_request *request)
{
	return ((const Jukwaa__V1__OfferList *)(const void *)request->message)->request;
}

/* What a row can hold; beyond, PostgreSQL would refuse the number. */
static bool read_after(ProtobufCBinaryData after, struct dispatch_offer_place *ret)
{
	static const int64_t end_us = INT64_C(253402300800000000);

	ret->at_us = end_us - 1;
	memset(ret->duty_id.bytes, 0xff, sizeof ret->duty_id.bytes);
	if (after.len == 0)
		return true;
	if (after.len != DISPATCH_OFFER_PAGE_BYTES)
		return false;
	ret->at_us = (int64_t)jk_get_be64(after.data);
	memcpy(ret->duty_id.bytes, after.data + 8, sizeof ret->duty_id.bytes);
	return ret->at_us >= 0 && ret->at_us < end_us;
}

bool dispatch_duty_wire_read_list(
	const struct jk_request *request, struct dispatch_offer_ask *ret, struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__OfferList *list = (const void *)request->message;

	ret->filter = list->filter == JUKWAA__V1__OFFER_FILTER__OFFER_FILTER_UNSPECIFIED
			      ? DISPATCH_FILTER_OPEN
			      : (enum dispatch_offer_filter)list->filter;
	ret->limit = list->limit == 0 ? DISPATCH_OFFERS_DEFAULT : list->limit;
	if (ret->limit > DISPATCH_OFFERS_MAX)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "limit", "1 to %d", DISPATCH_OFFERS_MAX);
	return read_after(list->after, &ret->after) ||
	       jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "after", "this is no page of a list");
}

struct offered {
	Jukwaa__V1__Offered message;
	Jukwaa__V1__Category categories[JK_CATEGORY_MAX + 1];
};

static void fill_incident(const struct dispatch_offer *offer, struct offered *ret)
{
	const struct dispatch_open_labels *labels = &offer->incident.labels;
	Jukwaa__V1__Offered *message = &ret->message;

	message->incident_id = bytes_of(&offer->duty.incident_id);
	message->event_id = bytes_of(&offer->incident.event_id);
	message->revision = offer->incident.revision;
	message->agency = text(labels->agency);
	message->categories = ret->categories;
	for (int category = 1; category <= JK_CATEGORY_MAX; category++)
		if (labels->categories >> category & 1)
			ret->categories[message->n_categories++] = (Jukwaa__V1__Category)category;
	message->severity = (Jukwaa__V1__Severity)labels->severity;
	message->urgency = (Jukwaa__V1__Urgency)labels->urgency;
	message->status = (Jukwaa__V1__Status)labels->status;
	message->tlp = (Jukwaa__V1__Tlp)labels->tlp;
	message->allowed_by = text(offer->allowed_by);
}

static void fill_offered(const struct dispatch_offer *offer, struct offered *ret)
{
	Jukwaa__V1__Offered *message = &ret->message;

	jukwaa__v1__offered__init(message);
	message->duty_id = bytes_of(&offer->duty.duty_id);
	message->version = (uint32_t)offer->duty.version;
	message->state = (Jukwaa__V1__DutyState)offer->duty.state;
	message->standing = (Jukwaa__V1__OfferStanding)offer->standing;
	message->county = text(offer->duty.county);
	message->discipline = text(offer->duty.discipline);
	message->since_us = offer->duty.opened_us;
	message->at_us = offer->at_us;
	message->due_us = offer->due_us;
	message->holder = text(offer->holder);
	message->reason = text(offer->reason);
	message->role = text(offer->role == 0 ? "" : jk_words_name(&jk_escalation_roles, offer->role));
	message->times = (uint32_t)offer->times;
	if (offer->shown)
		fill_incident(offer, ret);
}

enum jk_status dispatch_duty_wire_send_offered(
	struct jk_sessions *sessions, struct jk_session *session, const struct dispatch_offer *offer)
{
	struct offered offered;

	fill_offered(offer, &offered);
	offered.message.session = session->number;
	return jk_session_send(sessions, session, JUKWAA__V1__KIND__KIND_OFFERED, &offered.message.base);
}

enum jk_status dispatch_duty_wire_send_listed(struct jk_sessions *sessions, struct jk_session *session, uint64_t request,
	const struct dispatch_offer *offers, size_t count, const struct dispatch_offer_place *next)
{
	Jukwaa__V1__OfferListed listed = JUKWAA__V1__OFFER_LISTED__INIT;
	struct offered offered[DISPATCH_OFFERS_MAX];
	Jukwaa__V1__Offered *messages[DISPATCH_OFFERS_MAX];
	uint8_t page[DISPATCH_OFFER_PAGE_BYTES];

	for (size_t i = 0; i < count && i < DISPATCH_OFFERS_MAX; i++) {
		fill_offered(&offers[i], &offered[i]);
		messages[listed.n_offers++] = &offered[i].message;
	}
	listed.offers = messages;
	listed.session = session->number;
	listed.request = request;
	if (next != NULL) {
		jk_put_be64(page, (uint64_t)next->at_us);
		memcpy(page + 8, next->duty_id.bytes, sizeof next->duty_id.bytes);
		listed.page = (ProtobufCBinaryData){.data = page, .len = sizeof page};
	}
	return jk_session_send(sessions, session, JUKWAA__V1__KIND__KIND_OFFER_LISTED, &listed.base);
}
