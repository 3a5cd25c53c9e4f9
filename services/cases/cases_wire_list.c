/* cases_wire_list.c: what questions about many cases have in common: filters, page marks, purposes. */
#include <string.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "cases_rules.h"
#include "cases_wire_internal.h"

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
	return ret->opened_at_us >= 0 && ret->opened_at_us < CASES_TIME_END_US;
}

/* The name of an enum's value without what all its names begin with; "" where there is none. */
static const char *value_word(const ProtobufCEnumDescriptor *type, int number, const char *prefix)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
	return value ? value->name + strlen(prefix) : "";
}

bool cases_wire_take_reading(
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

/* Adds " name=value" where there is a value. */
static void write_part(char ret[CASES_QUERY_BYTES], const char *name, const char *value)
{
	size_t used = strlen(ret);

	if (*value)
		(void)jk_text_format(
			ret + used, CASES_QUERY_BYTES - used, "%s%s%s%s", used ? " " : "", name, *name ? "=" : "", value);
}

static void write_time_part(char ret[CASES_QUERY_BYTES], const char *name, int64_t time_us)
{
	char text[JK_TIME_BYTES] = "";

	if (time_us)
		jk_time_format(text, time_us);
	write_part(ret, name, text);
}

void cases_wire_write_query(const struct cases_filter *filter, char ret[CASES_QUERY_BYTES])
{
	char list[JK_COUNTY_MAX][JK_COUNTY_BYTES], text[CASES_QUERY_BYTES] = "";
	size_t count = cases_county_list(filter->counties, list);

	ret[0] = '\0';
	for (size_t i = 0; i < count; i++)
		(void)jk_text_format(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "," : "", list[i]);
	write_part(ret, "counties", text);
	text[0] = '\0';
	for (int state = 1; filter->states && state <= CASES_STATE_MAX; state++)
		if (filter->states >> state & 1)
			(void)jk_text_format(text + strlen(text), sizeof text - strlen(text), "%s%s", *text ? "," : "",
				value_word(&jukwaa__v1__case_state__descriptor, state, "CASE_STATE_"));
	write_part(ret, "state", text);
	write_part(ret, "", filter->include_test ? "include_test" : "");
	write_part(ret, "constituency", filter->constituency);
	write_part(ret, "agency", filter->agency);
	write_part(ret, "category", filter->category ? jk_words_name(&jk_categories, filter->category) : "");
	write_part(ret, "severity", filter->severity_floor ? jk_words_name(&jk_severities, filter->severity_floor) : "");
	write_part(ret, "number", filter->number);
	write_part(ret, "", filter->breached ? "breached" : "");
	write_time_part(ret, "from", filter->from_us);
	write_time_part(ret, "to", filter->to_us);
	text[0] = '\0';
	if (filter->limit)
		(void)jk_text_format(text, sizeof text, "%zu", filter->limit);
	write_part(ret, "limit", text);
	text[0] = '\0';
	if (filter->after.opened_at_us != INT64_MAX && filter->after.case_id.bytes[0])
		jk_id_format(text, &filter->after.case_id);
	write_part(ret, "after", text);
}

bool cases_wire_take_counties(char *const *codes, size_t count, uint64_t *ret, struct jk_refusal *ret_refusal)
{
	*ret = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t county = cases_county_bit(codes[i]);
		if (!county)
			return jk_refuse(ret_refusal, JK_CODE_UNKNOWN_COUNTY, "counties",
				"a county is named by its three-digit code, 001 to %03d", JK_COUNTY_MAX);
		*ret |= county;
	}
	return true;
}

bool cases_wire_take_agency(const char *code, char ret[33], struct jk_refusal *ret_refusal)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return (strspn(code, letters) == strlen(code) && jk_text_copy(ret, 33, code)) ||
	       jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "agency", "an agency is named by its code");
}

/* A position is before (older than) `to` when it comes after this one. */
bool cases_wire_take_period(int64_t from_us, int64_t to_us, struct cases_filter *ret, struct jk_refusal *ret_refusal)
{
	if (from_us < 0 || from_us >= CASES_TIME_END_US)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "from_us", "this is no time");
	if (to_us < 0 || to_us >= CASES_TIME_END_US)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "to_us", "this is no time");
	ret->from_us = from_us;
	ret->to_us = to_us;
	if (to_us && to_us < ret->after.opened_at_us)
		ret->after = (struct cases_position){.opened_at_us = to_us};
	return true;
}

static bool read_states(const Jukwaa__V1__CaseList *list, unsigned *ret_states, struct jk_refusal *ret_refusal)
{
	*ret_states = list->state > 0 ? 1U << list->state : 0;
	for (size_t i = 0; i < list->n_states; i++)
		if (list->states[i] > 0 && (int)list->states[i] <= CASES_STATE_MAX)
			*ret_states |= 1U << list->states[i];
	if (!list->open)
		return true;
	*ret_states = (*ret_states ? *ret_states : (unsigned)CASES_STATES_ALL) & (unsigned)CASES_STATES_OPEN;
	return *ret_states || jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "open", "no case in one of these states is open");
}

static bool read_narrowing(const Jukwaa__V1__CaseList *list, struct cases_filter *ret, struct jk_refusal *ret_refusal)
{
	if (list->severity_floor > JUKWAA__V1__SEVERITY__SEVERITY_MINOR)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "severity_floor", "UNKNOWN is worse than nothing");
	ret->severity_floor = (int)list->severity_floor;
	ret->category = (int)list->category;
	if (*list->constituency && (strlen(list->constituency) != 3 || strspn(list->constituency, "0123456789") != 3))
		return jk_refuse(
			ret_refusal, JK_CODE_RULE_VIOLATION, "constituency", "a constituency is named by its three-digit code");
	(void)jk_text_copy(ret->constituency, sizeof ret->constituency, list->constituency);
	ret->breached = list->breached;
	if (!jk_text_copy(ret->number, sizeof ret->number, list->number))
		return jk_refuse(
			ret_refusal, JK_CODE_OVERSIZE, "number", "a number has at most %d bytes", CASES_NUMBER_BYTES - 1);
	return cases_wire_take_agency(list->agency, ret->agency, ret_refusal);
}

bool cases_wire_take_list(const Jukwaa__V1__CaseList *list, size_t limit_default, size_t limit_max,
	struct cases_filter *ret_filter, struct jk_refusal *ret_refusal)
{
	*ret_filter = (struct cases_filter){
		.include_test = list->include_test,
		.limit = list->limit ? list->limit : limit_default,
	};
	if (ret_filter->limit > limit_max)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "limit", "at most %zu cases a page", limit_max);
	if (!read_after(list->after, &ret_filter->after))
		return jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "after", "this is no page mark of ours");
	return cases_wire_take_counties(list->counties, list->n_counties, &ret_filter->counties, ret_refusal) &&
	       read_states(list, &ret_filter->states, ret_refusal) && read_narrowing(list, ret_filter, ret_refusal) &&
	       cases_wire_take_period(list->from_us, list->to_us, ret_filter, ret_refusal);
}

bool cases_wire_read_list(const struct jk_request *request, struct cases_filter *ret_filter, struct cases_reading *ret_reading,
	struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__CaseList *list = (const void *)request->message;

	return cases_wire_take_list(list, CASES_PAGE_DEFAULT, CASES_PAGE_MAX, ret_filter, ret_refusal) &&
	       cases_wire_take_reading(list->purpose, list->purpose_note, ret_reading, ret_refusal);
}

bool cases_wire_take_id(ProtobufCBinaryData bytes, const char *field, struct jk_id *ret, struct jk_refusal *ret_refusal)
{
	if (bytes.len != sizeof ret->bytes)
		return jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, field, "an id has 16 bytes");
	memcpy(ret->bytes, bytes.data, sizeof ret->bytes);
	return true;
}
