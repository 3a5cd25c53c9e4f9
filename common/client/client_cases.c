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

static void write_shown(struct client_link *link, const ProtobufCMessage *answer, struct jk_buffer *json)
{
	const Jukwaa__V1__CaseShown *shown = (const void *)answer;

	jk_buffer_printf(json, "{\"case\":");
	if (shown->summary)
		jk_json_write(&shown->summary->base, json);
	else
		jk_buffer_printf(json, "{}");
	jk_buffer_printf(json, ",\"timeline\":[");
	for (size_t i = 0; i < shown->n_timeline; i++) {
		if (i > 0)
			jk_buffer_append(json, ",", 1);
		jk_json_write(&shown->timeline[i]->base, json);
	}
	jk_buffer_printf(json, "]");
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
