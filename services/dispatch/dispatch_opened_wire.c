#include "dispatch_opened_wire.h"

#include <string.h>

#include "base/jk_text.h"
#include "jukwaa/v1/duty.pb-c.h"
#include "jukwaa/v1/feed.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "wire/wire_body.h"

void dispatch_opened_wire_handler(
	struct jk_handler *ret_handler, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret_handler = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_INCIDENT_MARK,
		.type = &jukwaa__v1__incident_mark__descriptor,
		.roles = 1U << JK_ROLE_DESK,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__IncidentMark, session),
		.request_offset = offsetof(Jukwaa__V1__IncidentMark, request),
	};
}

bool dispatch_opened_wire_incident(const ProtobufCMessage *mark, struct jk_id *ret_incident)
{
	const Jukwaa__V1__IncidentMark *message = (const Jukwaa__V1__IncidentMark *)mark;

	if (message->incident_id.len != sizeof ret_incident->bytes)
		return false;
	memcpy(ret_incident->bytes, message->incident_id.data, sizeof ret_incident->bytes);
	return !jk_id_is_zero(ret_incident);
}

bool dispatch_opened_wire_label(struct jk_span body, struct jk_arena *arena, struct jk_event_label *ret)
{
	return jk_body_label(body.data, body.size, arena, ret) == JK_OK &&
	       jk_text_is_utf8(ret->agency_code, strlen(ret->agency_code));
}

bool dispatch_opened_wire_mail(const struct dispatch_opened_mail *mail, struct jk_arena *arena, struct jk_span *ret_body)
{
	Jukwaa__V1__Opened message = JUKWAA__V1__OPENED__INIT;

	message.desk = (char *)mail->desk;
	message.agency = (char *)mail->agency;
	message.at_us = mail->at_us;
	ret_body->data = jk_body_pack(&message.base, arena, &ret_body->size);
	return ret_body->data != NULL;
}
