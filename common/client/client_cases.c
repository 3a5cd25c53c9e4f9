/* Questions to cases, and their answers as JSON. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_id.h"
#include "client/client_event.h"
#include "client/client_question.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "json/json_map.h"

enum { PAGE_MAX_BYTES = 512 };

/* The number of a word of cases.proto, whose enums no other code of ours names; -1: there is none. */
static int word_number(const ProtobufCEnumDescriptor *type, const char *prefix, const char *word)
{
	const ProtobufCEnumValue *value;
	char full[64];

	if (!jk_text_format(full, sizeof full, "%s%s", prefix, word))
		return -1;
	value = protobuf_c_enum_descriptor_get_value_by_name(type, full);
	return value && value->value > 0 ? value->value : -1;
}

/* False: ret_reason says which words there are. */
static bool take_purpose(
	const struct jukwaa_purpose *purpose, Jukwaa__V1__CasePurpose *ret_purpose, char **ret_note, char ret_reason[256])
{
	const ProtobufCEnumDescriptor *type = &jukwaa__v1__case_purpose__descriptor;
	static const char prefix[] = "CASE_PURPOSE_";
	int number = purpose && purpose->word ? word_number(type, prefix, purpose->word) : -1;

	if (number > 0) {
		*ret_purpose = (Jukwaa__V1__CasePurpose)number;
		if (purpose->note)
			*ret_note = (char *)(uintptr_t)purpose->note;
		return true;
	}
	(void)jk_text_copy(ret_reason, 256, "say what the case is read for: ");
	for (unsigned i = 1; i < type->n_values; i++) {
		size_t used = strlen(ret_reason);
		(void)jk_text_format(
			ret_reason + used, 256 - used, "%s%s", i > 1 ? ", " : "", type->values[i].name + sizeof prefix - 1);
	}
	return false;
}

/* ---- list ------------------------------------------------------------------------------------------------------- */

static void write_listed(struct client_link *link, const ProtobufCMessage *answer, struct jk_buffer *json)
{
	const Jukwaa__V1__CaseListed *listed = (const void *)answer;
	char page[PAGE_MAX_BYTES * 4 / 3 + 4] = "";

	(void)link;
	jk_buffer_printf(json, "{\"cases\":[");
	for (size_t i = 0; i < listed->n_cases; i++) {
		if (i > 0)
			jk_buffer_append(json, ",", 1);
		jk_json_write(&listed->cases[i]->base, json);
	}
	if (listed->page.len > 0 && listed->page.len <= PAGE_MAX_BYTES)
		(void)jk_base64url_encode(page, listed->page.data, listed->page.len);
	jk_buffer_printf(json, "],\"page\":\"%s\"}", page);
}

int jukwaa_case_list(const struct jukwaa_connection *connection, const struct jukwaa_case_query *query, int timeout_ms,
	char **ret_json, char ret_reason[256])
{
	Jukwaa__V1__CaseList list = JUKWAA__V1__CASE_LIST__INIT;
	const struct client_question question = {JUKWAA__V1__KIND__KIND_CASE_LIST, JUKWAA__V1__KIND__KIND_CASE_LISTED, &list.base,
		&list.session, &jukwaa__v1__case_listed__descriptor, write_listed};
	uint8_t page[PAGE_MAX_BYTES];
	int state = query->state ? word_number(&jukwaa__v1__case_state__descriptor, "CASE_STATE_", query->state) : 0;

	*ret_json = NULL;
	ret_reason[0] = '\0';
	if (state < 0) {
		(void)jk_text_format(ret_reason, 256, "no such state of a case: %s", query->state);
		return JUKWAA_E_USAGE;
	}
	if (query->after && !jk_base64url_decode(page, sizeof page, &list.after.len, query->after)) {
		(void)jk_text_copy(ret_reason, 256, "`after` is not the page of an answer before");
		return JUKWAA_E_USAGE;
	}
	if (!take_purpose(&query->purpose, &list.purpose, &list.purpose_note, ret_reason))
		return JUKWAA_E_USAGE;
	list.after.data = page;
	list.request = CLIENT_QUESTION;
	list.counties = (char **)query->counties;
	list.n_counties = query->county_count;
	list.state = (Jukwaa__V1__CaseState)state;
	list.include_test = query->include_test;
	list.limit = query->limit;
	return client_question_ask(connection, &question, timeout_ms, ret_json, ret_reason);
}

/* ---- show ------------------------------------------------------------------------------------------------------- */

static void write_list(const char *name, ProtobufCMessage *const *messages, size_t count, struct jk_buffer *json)
{
	jk_buffer_printf(json, ",\"%s\":[", name);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			jk_buffer_append(json, ",", 1);
		jk_json_write(messages[i], json);
	}
	jk_buffer_printf(json, "]");
}

static void write_took_in(const Jukwaa__V1__CaseShown *shown, struct jk_buffer *json)
{
	jk_buffer_printf(json, ",\"took_in_ids\":[");
	for (size_t i = 0; i < shown->n_took_in_ids; i++) {
		char text[JK_ID_TEXT_BYTES];
		struct jk_id id = {{0}};

		if (shown->took_in_ids[i].len == sizeof id.bytes)
			memcpy(id.bytes, shown->took_in_ids[i].data, sizeof id.bytes);
		jk_id_format(text, &id);
		jk_buffer_printf(json, "%s\"%s\"", i > 0 ? "," : "", text);
	}
	jk_buffer_printf(json, "]");
}

static void write_shown(struct client_link *link, const ProtobufCMessage *answer, struct jk_buffer *json)
{
	const Jukwaa__V1__CaseShown *shown = (const void *)answer;

	jk_buffer_printf(json, "{\"case\":");
	if (shown->summary)
		jk_json_write(&shown->summary->base, json);
	else
		jk_buffer_printf(json, "{}");
	write_list("timeline", (ProtobufCMessage *const *)(void *)shown->timeline, shown->n_timeline, json);
	if (shown->n_tasks > 0)
		write_list("tasks", (ProtobufCMessage *const *)(void *)shown->tasks, shown->n_tasks, json);
	if (shown->n_numbers > 0)
		write_list("numbers", (ProtobufCMessage *const *)(void *)shown->numbers, shown->n_numbers, json);
	if (shown->n_links > 0)
		write_list("links", (ProtobufCMessage *const *)(void *)shown->links, shown->n_links, json);
	if (shown->n_took_in_ids > 0)
		write_took_in(shown, json);
	if (shown->incident) {
		jk_buffer_printf(json, ",\"incident\":{");
		client_event_write_groups(link->arena, shown->incident, json);
		jk_buffer_printf(json, "}");
	}
	jk_buffer_printf(json, "}");
}

int jukwaa_case_show(const struct jukwaa_connection *connection, const char *case_id, const struct jukwaa_purpose *purpose,
	int timeout_ms, char **ret_json, char ret_reason[256])
{
	Jukwaa__V1__CaseShow show = JUKWAA__V1__CASE_SHOW__INIT;
	const struct client_question question = {JUKWAA__V1__KIND__KIND_CASE_SHOW, JUKWAA__V1__KIND__KIND_CASE_SHOWN, &show.base,
		&show.session, &jukwaa__v1__case_shown__descriptor, write_shown};
	struct jk_id id;

	*ret_json = NULL;
	ret_reason[0] = '\0';
	if (!case_id || !jk_id_parse(case_id, &id)) {
		(void)jk_text_format(ret_reason, 256, "not the id of a case (8-4-4-4-12 hex digits): %s", case_id ? case_id : "");
		return JUKWAA_E_USAGE;
	}
	if (!take_purpose(purpose, &show.purpose, &show.purpose_note, ret_reason))
		return JUKWAA_E_USAGE;
	show.request = CLIENT_QUESTION;
	show.case_id.data = id.bytes;
	show.case_id.len = sizeof id.bytes;
	return client_question_ask(connection, &question, timeout_ms, ret_json, ret_reason);
}
