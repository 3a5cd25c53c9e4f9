#include "dispatch_open_wire.h"

#include <string.h>

#include "base/jk_text.h"
#include "feed/feed_body.h"
#include "jukwaa/v1/work.pb-c.h"
#include "wire/wire_body.h"

_Static_assert(JUKWAA__V1__CASE_STATE__CASE_STATE_CLOSED == 8 && JUKWAA__V1__CASE_STATE__CASE_STATE_REOPENED == 9 &&
		       JUKWAA__V1__CASE_STATE__CASE_STATE_MERGED == 10,
	"states as in dispatch_open_rules.c");

/* 0: it does not say. */
static int case_state_of(struct jk_span packed, struct jk_arena *arena)
{
	struct jk_refusal refusal;
	const Jukwaa__V1__Work *work =
		(const void *)jk_body_unpack(&jukwaa__v1__work__descriptor, packed.data, packed.size, arena, &refusal);

	if (work == NULL || work->step_case != JUKWAA__V1__WORK__STEP_CASE_STEP)
		return 0;
	return (int)work->case_step->to;
}

static void fill_labels(const struct jk_event_label *label, struct dispatch_open_labels *ret)
{
	(void)jk_text_copy(ret->agency, sizeof ret->agency, label->agency_code);
	ret->categories = label->label.categories;
	ret->category = label->category;
	ret->severity = label->severity;
	ret->urgency = label->urgency;
	ret->status = label->status;
	ret->tlp = label->label.tlp;
	ret->scope = label->label.scope;
	ret->has_point = label->has_point;
	ret->lat = label->lat;
	ret->lon = label->lon;
	ret->named[0] = '\0';
	for (size_t i = 0; i < label->label.named_count; i++)
		dispatch_open_name(ret->named, label->label.named[i]);
}

bool dispatch_open_wire_read(const struct jk_event *event, struct jk_arena *arena, struct dispatch_open_event *ret)
{
	struct jk_event_label label;

	if (strlen(event->stream) >= sizeof ret->stream)
		return false;
	memcpy(ret->stream, event->stream, strlen(event->stream) + 1);
	ret->incident_id = event->incident_id;
	ret->event_id = event->event_id;
	ret->seq = (int64_t)event->seq;
	ret->revision = event->revision;
	ret->recorded_at_us = event->recorded_at_us;
	ret->kind = event->kind;
	ret->case_state = 0;
	if (dispatch_open_rules_find(event->kind) == NULL && event->kind != JK_EVENT_CASE_STATE)
		return true;
	if (jk_body_label(event->body, event->body_size, arena, &label) != JK_OK ||
		!jk_text_is_utf8(label.agency_code, strlen(label.agency_code)))
		return false;
	fill_labels(&label, &ret->labels);
	if (event->kind == JK_EVENT_CASE_STATE)
		ret->case_state = case_state_of(label.work, arena);
	return true;
}
