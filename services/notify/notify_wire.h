/* notify_wire.h: events in, webhook bodies out (proto/jukwaa/v1/notify.proto in a CloudEvents 1.0 envelope). */
#pragma once

#include "base/jk_text.h"
#include "feed/feed_body.h"
#include "feed/feed_reader.h"
#include "notify.h"

/* False: not an event of ours in a county stream. arena: for the call. */
bool notify_wire_read_event(const struct jk_event *event, struct jk_arena *arena, struct notify_event *ret_event);
/* Label of a stored body, with the owner's code; false: not a body of ours. */
bool notify_wire_read_label(const uint8_t *body, size_t size, const char *county, int64_t recorded_at_us, struct jk_arena *arena,
	struct jk_label *ret_label, char ret_agency[33]);

/* Appends the CloudEvents JSON of a message (structured mode): the same bytes in every attempt. */
struct notify_told {
	const char *message_id, *incident_id; /* text form */
	const char *county;
	int category, severity;
	int64_t time_us; /* when the incident's event was recorded */
	enum jk_realm realm;
};
void notify_wire_write(const struct notify_told *told, struct jk_buffer *buffer);
