/* dispatch_opened_wire.h: IncidentMark and the mail that comes of it. */
#pragma once

#include "base/jk_arena.h"
#include "crypt/crypt.h"
#include "feed/feed_body.h"
#include "session/session.h"

/* Who has opened it, and when. desk, agency: "" where an agreement keeps them from the owner. */
struct dispatch_opened_mail {
	const char *desk, *agency;
	int64_t at_us;
};

void dispatch_opened_wire_handler(
	struct jk_handler *ret_handler, void (*on_message)(void *service, const struct jk_request *request));
/* False: incident_id is not an id. */
bool dispatch_opened_wire_incident(const ProtobufCMessage *mark, struct jk_id *ret_incident);
/* Labels of a stored body, for a decision. False: not a body of ours. */
bool dispatch_opened_wire_label(struct jk_span body, struct jk_arena *arena, struct jk_event_label *ret);
/* Packs the mail. False: the arena is full. */
bool dispatch_opened_wire_mail(const struct dispatch_opened_mail *mail, struct jk_arena *arena, struct jk_span *ret_body);
