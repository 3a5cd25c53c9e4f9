#include "cases_wire.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "cases_life_rules.h"
#include "cases_rules.h"
#include "cases_wire_internal.h"
#include "cases_work_wire.h"
#include "feed/feed_body.h"
#include "jukwaa/v1/session.pb-c.h"
#include "jukwaa/v1/work.pb-c.h"
#include "wire/wire_frame.h"

_Static_assert((int)CASES_NEW == (int)JUKWAA__V1__CASE_STATE__CASE_STATE_NEW &&
		       (int)CASES_STATE_MAX == (int)JUKWAA__V1__CASE_STATE__CASE_STATE_MERGED,
	"states as in cases.proto");
_Static_assert(
	(int)CASES_OPENED == (int)JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_OPENED &&
		(int)CASES_REVISED == (int)JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_REVISED &&
		(int)CASES_CANCELLED_BY_PUBLISHER == (int)JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_CANCELLED_BY_PUBLISHER &&
		(int)CASES_LATE_REPORT == (int)JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_LATE_REPORT &&
		(int)CASES_ACKNOWLEDGED == (int)JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_ACKNOWLEDGED &&
		(int)CASES_ERROR_REPORTED == (int)JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_ERROR_REPORTED &&
		(int)CASES_ENTRY_MOVED == (int)JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_MOVED &&
		(int)CASES_ENTRY_AID == (int)JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_AID,
	"kinds of lines as in cases.proto");

/* A time that a row cannot hold is not known. */
static bool read_place(const struct jk_event *event, struct jk_arena *arena, struct cases_place *ret)
{
	struct jk_event_place place;

	if (jk_body_place(event->body, event->body_size, arena, &place) != JK_OK)
		return false;
	*ret = (struct cases_place){.located = place.located, .lat = place.lat, .lon = place.lon};
	memcpy(ret->constituency, place.constituency, sizeof ret->constituency);
	if (place.occurred_at_us > 0 && place.occurred_at_us < CASES_TIME_END_US)
		ret->occurred_at_us = place.occurred_at_us;
	return true;
}

bool cases_wire_read_event(const struct jk_event *event, struct jk_arena *arena, struct cases_event *ret_event)
{
	struct jk_event_label label;
	*ret_event = (struct cases_event){
		.incident_id = event->incident_id,
		.event_id = event->event_id,
		.county = cases_county_bit(event->stream),
		.kind = (enum jk_event_kind)event->kind,
		.revision = event->revision,
		.recorded_at_us = event->recorded_at_us,
	};
	if (ret_event->county == 0 || jk_body_label(event->body, event->body_size, arena, &label) != JK_OK ||
		!jk_text_is_utf8(label.agency_code, strlen(label.agency_code)))
		return false;
	ret_event->labels = (struct cases_labels){
		.categories = label.label.categories,
		.category = label.category,
		.severity = label.severity,
		.status = label.status,
		.scope = label.label.scope,
		.tlp = label.label.tlp,
	};
	for (size_t i = 0; i < label.label.named_count; i++)
		cases_rules_name(ret_event->labels.named, label.label.named[i]);
	if ((event->kind == JK_EVENT_DUTY || event->kind == JK_EVENT_UNIT || event->kind == JK_EVENT_AID) &&
		!cases_work_read(ret_event->kind, event->body, event->body_size, arena, &ret_event->work))
		return false;
	if (!read_place(event, arena, &ret_event->place))
		return false;
	return jk_text_copy(ret_event->labels.agency, sizeof ret_event->labels.agency, label.agency_code);
}

bool cases_wire_read_show(const struct jk_request *request, struct jk_id *ret_case_id, struct cases_reading *ret_reading,
	struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__CaseShow *show = (const void *)request->message;

	return cases_wire_take_id(show->case_id, "case_id", ret_case_id, ret_refusal) &&
	       cases_wire_take_reading(show->purpose, show->purpose_note, ret_reading, ret_refusal);
}

uint64_t cases_wire_request(const struct jk_request *request)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(request->message->descriptor, "request");
	uint64_t number;

	memcpy(&number, (const uint8_t *)request->message + field->offset, sizeof number);
	return number;
}

void cases_wire_list_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_CASE_LIST,
		.type = &jukwaa__v1__case_list__descriptor,
		.roles = CASES_ROLES,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__CaseList, session),
		.request_offset = offsetof(Jukwaa__V1__CaseList, request),
	};
}

void cases_wire_show_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_CASE_SHOW,
		.type = &jukwaa__v1__case_show__descriptor,
		.roles = CASES_ROLES,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__CaseShow, session),
		.request_offset = offsetof(Jukwaa__V1__CaseShow, request),
	};
}

static ProtobufCBinaryData id_bytes(const struct jk_id *id)
{
	return (ProtobufCBinaryData){.len = sizeof id->bytes, .data = (uint8_t *)(uintptr_t)id->bytes};
}

static bool write_counties(uint64_t counties, struct jk_arena *arena, Jukwaa__V1__CaseSummary *summary)
{
	char list[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	size_t count = cases_county_list(counties, list);
	char *text = jk_arena_copy(arena, list, sizeof list);
	summary->counties = jk_arena_alloc(arena, sizeof list / sizeof *list * sizeof *summary->counties);
	if (!text || !summary->counties)
		return false;
	for (size_t i = 0; i < count; i++)
		summary->counties[i] = text + i * JK_COUNTY_BYTES;
	summary->n_counties = count;
	return true;
}

static bool write_place(const struct cases_place *place, struct jk_arena *arena, Jukwaa__V1__CaseSummary *summary)
{
	summary->constituency = (char *)(uintptr_t)place->constituency;
	if (place->occurred_at_us) {
		summary->occurred_present_case = JUKWAA__V1__CASE_SUMMARY__OCCURRED_PRESENT_OCCURRED_AT_US;
		summary->occurred_at_us = place->occurred_at_us;
	}
	if (!place->located)
		return true;
	summary->position = jk_arena_alloc(arena, sizeof *summary->position);
	if (!summary->position)
		return false;
	jukwaa__v1__point__init(summary->position);
	summary->position_present_case = JUKWAA__V1__CASE_SUMMARY__POSITION_PRESENT_POSITION;
	summary->position->lat = place->lat;
	summary->position->lon = place->lon;
	return true;
}

static char *word(const char *text)
{
	return (char *)(uintptr_t)text;
}

static void write_life(const struct cases_shown *shown, Jukwaa__V1__CaseSummary *summary)
{
	const struct cases_life *life = &shown->summary.life;
	const ProtobufCEnumValue *ended =
		protobuf_c_enum_descriptor_get_value(&jukwaa__v1__disposition__descriptor, life->disposition);
	int64_t now_us = jk_time_now_us();

	summary->assigned_agency = word(life->assigned_agency);
	summary->assigned_desk = word(life->assigned_desk);
	summary->referred_agency = word(life->referred_agency);
	summary->referred_service = word(life->referred_service);
	if (ended && life->disposition != CASES_DISPOSITION_NONE)
		summary->disposition = word(ended->name + strlen("DISPOSITION_"));
	if (shown->merged_into)
		summary->merged_into_id = id_bytes(shown->merged_into);
	summary->triaged_at_us = life->triaged_at_us;
	summary->assigned_at_us = life->assigned_at_us;
	summary->started_at_us = life->started_at_us;
	summary->closed_at_us = life->closed_at_us;
	summary->triage_due_us = life->target_triage_at_us;
	summary->resolve_due_us = life->target_resolve_at_us;
	/* What was merged goes on elsewhere. */
	if (shown->summary.state != CASES_MERGED) {
		summary->triage_late = cases_life_is_late(life->target_triage_at_us, life->triaged_at_us, now_us);
		summary->resolve_late =
			cases_life_is_late(life->target_resolve_at_us, shown->summary.steps.resolved_at_us, now_us);
	}
	summary->blocking_tasks = (uint32_t)life->blocking;
}

static Jukwaa__V1__CaseSummary *write_steps(const struct cases_steps *steps, Jukwaa__V1__CaseSummary *summary)
{
	if (steps->accepted_at_us) {
		summary->accepted_present_case = JUKWAA__V1__CASE_SUMMARY__ACCEPTED_PRESENT_ACCEPTED_AT_US;
		summary->accepted_at_us = steps->accepted_at_us;
	}
	if (steps->dispatched_at_us) {
		summary->dispatched_present_case = JUKWAA__V1__CASE_SUMMARY__DISPATCHED_PRESENT_DISPATCHED_AT_US;
		summary->dispatched_at_us = steps->dispatched_at_us;
	}
	if (steps->on_scene_at_us) {
		summary->on_scene_present_case = JUKWAA__V1__CASE_SUMMARY__ON_SCENE_PRESENT_ON_SCENE_AT_US;
		summary->on_scene_at_us = steps->on_scene_at_us;
	}
	if (steps->resolved_at_us) {
		summary->resolved_present_case = JUKWAA__V1__CASE_SUMMARY__RESOLVED_PRESENT_RESOLVED_AT_US;
		summary->resolved_at_us = steps->resolved_at_us;
	}
	return summary;
}

Jukwaa__V1__CaseSummary *cases_wire_write_summary(const struct cases_shown *shown, struct jk_arena *arena)
{
	const struct cases_case *row = &shown->summary;
	Jukwaa__V1__CaseSummary *summary = jk_arena_alloc(arena, sizeof *summary);
	if (!summary)
		return NULL;
	jukwaa__v1__case_summary__init(summary);
	summary->case_id = id_bytes(&row->case_id);
	summary->incident_id = id_bytes(&row->case_id);
	summary->state = (Jukwaa__V1__CaseState)row->state;
	summary->version = (uint32_t)row->version;
	summary->agency = (char *)(uintptr_t)row->labels.agency;
	summary->category = (Jukwaa__V1__Category)row->labels.category;
	summary->severity = (Jukwaa__V1__Severity)row->labels.severity;
	summary->status = (Jukwaa__V1__Status)row->labels.status;
	summary->tlp = (Jukwaa__V1__Tlp)row->labels.tlp;
	summary->headline = (char *)(uintptr_t)shown->headline;
	summary->opened_at_us = row->opened_at_us;
	summary->updated_at_us = row->updated_at_us;
	summary->revision = row->revision;
	summary->allowed_by = (char *)(uintptr_t)shown->allowed_by;
	if (!write_place(&row->place, arena, summary) || !write_counties(row->counties, arena, summary))
		return NULL;
	write_life(shown, summary);
	return write_steps(&row->steps, summary);
}

void *cases_wire_alloc_pointers(struct jk_arena *arena, size_t count)
{
	return jk_arena_alloc(arena, (count + 1) * sizeof(void *));
}

bool cases_wire_pack(uint16_t kind, const ProtobufCMessage *message, struct cases_packed *ret_packed)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	*ret_packed = (struct cases_packed){.kind = kind, .size = size};
	if (size <= JK_BODY_MAX_BYTES)
		ret_packed->bytes = malloc(size ? size : 1);
	if (!ret_packed->bytes)
		return false;
	(void)protobuf_c_message_pack(message, ret_packed->bytes);
	return true;
}

Jukwaa__V1__CaseSummary **cases_wire_write_summaries(const struct cases_shown *shown, size_t count, struct jk_arena *arena)
{
	Jukwaa__V1__CaseSummary **summaries = cases_wire_alloc_pointers(arena, count);

	for (size_t i = 0; summaries && i < count; i++) {
		summaries[i] = cases_wire_write_summary(&shown[i], arena);
		if (!summaries[i])
			return NULL;
	}
	return summaries;
}

ProtobufCBinaryData cases_wire_write_page(const struct cases_position *last, uint8_t room[CASES_PAGE_BYTES])
{
	if (!last)
		return (ProtobufCBinaryData){0};
	jk_put_be64(room, (uint64_t)last->opened_at_us);
	memcpy(room + 8, last->case_id.bytes, sizeof last->case_id.bytes);
	return (ProtobufCBinaryData){.len = CASES_PAGE_BYTES, .data = room};
}

bool cases_wire_pack_listed(const struct jk_request *request, const struct cases_shown *shown, size_t count,
	const struct cases_position *last, struct cases_packed *ret_packed)
{
	Jukwaa__V1__CaseListed listed = JUKWAA__V1__CASE_LISTED__INIT;
	uint8_t page[CASES_PAGE_BYTES];
	listed.session = request->session->number;
	listed.request = cases_wire_request(request);
	listed.cases = cases_wire_write_summaries(shown, count, request->arena);
	listed.n_cases = count;
	listed.page = cases_wire_write_page(last, page);
	return listed.cases && cases_wire_pack(JUKWAA__V1__KIND__KIND_CASE_LISTED, &listed.base, ret_packed);
}

const char *cases_wire_read_headline(const uint8_t *body, size_t size, struct jk_arena *scratch, struct jk_arena *arena)
{
	struct jk_event_label label;
	char headline[CASES_HEADLINE_BYTES + 1];
	if (jk_body_label(body, size, scratch, &label) != JK_OK || !jk_text_is_utf8(label.headline, strlen(label.headline)))
		return "";
	(void)jk_text_copy(headline, sizeof headline, label.headline);
	const char *kept = jk_arena_string(arena, headline, strlen(headline));
	return kept ? kept : "";
}
