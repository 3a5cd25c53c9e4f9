#include "cases_wire.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "cases_rules.h"
#include "cases_work_wire.h"
#include "feed/feed_body.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
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
		(int)CASES_ERROR_REPORTED == (int)JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_ERROR_REPORTED,
	"kinds of lines as in cases.proto");

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
	return jk_text_copy(ret_event->labels.agency, sizeof ret_event->labels.agency, label.agency_code);
}

static bool read_after(ProtobufCBinaryData after, struct cases_position *ret)
{
	if (after.len == 0) { /* before the newest */
		ret->opened_at_us = INT64_MAX;
		memset(ret->case_id.bytes, 0xff, sizeof ret->case_id.bytes);
		return true;
	}
	if (after.len != CASES_PAGE_BYTES)
		return false;
	ret->opened_at_us = (int64_t)jk_get_be64(after.data);
	memcpy(ret->case_id.bytes, after.data + 8, sizeof ret->case_id.bytes);
	/* What a row can hold; beyond, PostgreSQL would refuse the number. */
	return ret->opened_at_us >= 0 && ret->opened_at_us < INT64_C(253402300800000000);
}

/* The name of an enum's value without what all its names begin with; "" where there is none. */
static const char *value_word(const ProtobufCEnumDescriptor *type, int number, const char *prefix)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
	return value ? value->name + strlen(prefix) : "";
}

static bool read_reading(
	Jukwaa__V1__CasePurpose purpose, const char *note, struct cases_reading *ret, struct jk_refusal *ret_refusal)
{
	const ProtobufCEnumDescriptor *type = &jukwaa__v1__case_purpose__descriptor;
	char choices[160] = "";

	*ret = (struct cases_reading){.purpose = value_word(type, (int)purpose, "CASE_PURPOSE_"), .note = note};
	if (purpose == JUKWAA__V1__CASE_PURPOSE__CASE_PURPOSE_UNSPECIFIED || !*ret->purpose) {
		for (unsigned i = 1; i < type->n_values; i++) {
			size_t used = strlen(choices);
			(void)jk_text_format(choices + used, sizeof choices - used, "%s%s", i > 1 ? ", " : "",
				type->values[i].name + strlen("CASE_PURPOSE_"));
		}
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "purpose", "say what the case is read for: %s", choices);
	}
	if (strlen(note) > CASES_NOTE_MAX_BYTES)
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "purpose_note", "at most %d bytes", CASES_NOTE_MAX_BYTES);
	return jk_text_is_utf8(note, strlen(note)) ||
	       jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "purpose_note", "this is not UTF-8");
}

void cases_wire_write_query(const struct cases_filter *filter, char ret[CASES_QUERY_BYTES])
{
	char counties[JK_COUNTY_MAX][JK_COUNTY_BYTES], after[JK_ID_TEXT_BYTES] = "";
	size_t count = cases_county_list(filter->counties, counties), used = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < count; i++, used = strlen(ret))
		(void)jk_text_format(ret + used, CASES_QUERY_BYTES - used, "%s%s", i ? "," : "counties=", counties[i]);
	if (filter->after.opened_at_us != INT64_MAX)
		jk_id_format(after, &filter->after.case_id);
	(void)jk_text_format(ret + used, CASES_QUERY_BYTES - used, "%s%s%s%s%slimit=%zu%s%s", used ? " " : "",
		filter->state ? "state=" : "",
		filter->state ? value_word(&jukwaa__v1__case_state__descriptor, (int)filter->state, "CASE_STATE_") : "",
		filter->state ? " " : "", filter->include_test ? "include_test " : "", filter->limit, *after ? " after=" : "",
		after);
}

bool cases_wire_read_list(const struct jk_request *request, struct cases_filter *ret_filter, struct cases_reading *ret_reading,
	struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__CaseList *list = (const void *)request->message;
	*ret_filter = (struct cases_filter){
		.state = (enum cases_state)list->state,
		.include_test = list->include_test,
		.limit = list->limit ? list->limit : CASES_PAGE_DEFAULT,
	};
	if (ret_filter->limit > CASES_PAGE_MAX)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "limit", "at most %d cases a page", CASES_PAGE_MAX);
	if (!read_after(list->after, &ret_filter->after))
		return jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "after", "this is no page mark of ours");
	for (size_t i = 0; i < list->n_counties; i++) {
		uint64_t county = cases_county_bit(list->counties[i]);
		if (!county)
			return jk_refuse(ret_refusal, JK_CODE_UNKNOWN_COUNTY, "counties",
				"a county is named by its three-digit code, 001 to %03d", JK_COUNTY_MAX);
		ret_filter->counties |= county;
	}
	return read_reading(list->purpose, list->purpose_note, ret_reading, ret_refusal);
}

bool cases_wire_read_show(const struct jk_request *request, struct jk_id *ret_case_id, struct cases_reading *ret_reading,
	struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__CaseShow *show = (const void *)request->message;
	if (show->case_id.len != sizeof ret_case_id->bytes)
		return jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "case_id", "an id has 16 bytes");
	memcpy(ret_case_id->bytes, show->case_id.data, sizeof ret_case_id->bytes);
	return read_reading(show->purpose, show->purpose_note, ret_reading, ret_refusal);
}

uint64_t cases_wire_request(const struct jk_request *request)
{
	if (request->message->descriptor == &jukwaa__v1__case_list__descriptor)
		return ((const Jukwaa__V1__CaseList *)request->message)->request;
	return ((const Jukwaa__V1__CaseShow *)request->message)->request;
}

enum { ROLES = 1 << JK_ROLE_DESK | 1 << JK_ROLE_OPERATOR | 1 << JK_ROLE_PUBLISHER };

void cases_wire_list_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_CASE_LIST,
		.type = &jukwaa__v1__case_list__descriptor,
		.roles = ROLES,
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
		.roles = ROLES,
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

/* NULL: the arena is full. Borrows from shown. */
static Jukwaa__V1__CaseSummary *write_summary(const struct cases_shown *shown, struct jk_arena *arena)
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
	return write_counties(row->counties, arena, summary) ? summary : NULL;
}

/* Room for a repeated field of `count` messages; never of size 0. */
static void *alloc_pointers(struct jk_arena *arena, size_t count)
{
	return jk_arena_alloc(arena, (count + 1) * sizeof(void *));
}

static bool pack(uint16_t kind, const ProtobufCMessage *message, struct cases_packed *ret_packed)
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

bool cases_wire_pack_listed(const struct jk_request *request, const struct cases_shown *shown, size_t count,
	const struct cases_position *last, struct cases_packed *ret_packed)
{
	Jukwaa__V1__CaseListed listed = JUKWAA__V1__CASE_LISTED__INIT;
	uint8_t page[CASES_PAGE_BYTES];
	listed.session = request->session->number;
	listed.request = cases_wire_request(request);
	listed.cases = alloc_pointers(request->arena, count);
	for (size_t i = 0; listed.cases && i < count; i++) {
		listed.cases[i] = write_summary(&shown[i], request->arena);
		if (!listed.cases[i])
			return false;
	}
	if (!listed.cases)
		return false;
	listed.n_cases = count;
	if (last) {
		jk_put_be64(page, (uint64_t)last->opened_at_us);
		memcpy(page + 8, last->case_id.bytes, sizeof last->case_id.bytes);
		listed.page = (ProtobufCBinaryData){.len = sizeof page, .data = page};
	}
	return pack(JUKWAA__V1__KIND__KIND_CASE_LISTED, &listed.base, ret_packed);
}

static Jukwaa__V1__CaseEntry *write_entry(const struct cases_entry *from, struct jk_arena *arena)
{
	Jukwaa__V1__CaseEntry *entry = jk_arena_alloc(arena, sizeof *entry);
	if (!entry)
		return NULL;
	jukwaa__v1__case_entry__init(entry);
	entry->entry_no = (uint32_t)from->entry_no;
	entry->at_us = from->at_us;
	entry->kind = (Jukwaa__V1__CaseEntryKind)from->kind;
	entry->event_id = id_bytes(&from->event_id);
	entry->revision = from->revision;
	entry->agency = (char *)(uintptr_t)from->agency;
	return entry;
}

bool cases_wire_pack_shown(const struct jk_request *request, const struct cases_shown *shown, const struct cases_entry *entries,
	size_t entry_count, const struct cases_body *body, struct cases_packed *ret_packed)
{
	Jukwaa__V1__CaseShown reply = JUKWAA__V1__CASE_SHOWN__INIT;
	reply.session = request->session->number;
	reply.request = cases_wire_request(request);
	reply.summary = write_summary(shown, request->arena);
	reply.timeline = alloc_pointers(request->arena, entry_count);
	reply.incident = body->bytes ? jk_body_copy(body->bytes, body->size, body->withheld, request->arena) : NULL;
	if (!reply.summary || !reply.timeline || (body->bytes && !reply.incident))
		return false;
	for (size_t i = 0; i < entry_count; i++) {
		reply.timeline[i] = write_entry(&entries[i], request->arena);
		if (!reply.timeline[i])
			return false;
	}
	reply.n_timeline = entry_count;
	/* The newest lines go out where all of them with the body are more than a message holds. */
	while (reply.n_timeline > 0 && protobuf_c_message_get_packed_size(&reply.base) > JK_BODY_MAX_BYTES) {
		size_t leave = (reply.n_timeline + 1) / 2;
		reply.timeline += leave;
		reply.n_timeline -= leave;
	}
	return pack(JUKWAA__V1__KIND__KIND_CASE_SHOWN, &reply.base, ret_packed);
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
