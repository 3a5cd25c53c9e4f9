/* The alert element (CAP 1.2 §3.2.1): counts, identity, handling, references, and the rules of §3 that no schema sees. */
#include <string.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "services/intake/intake_wire_cap_parts.h"

/* One walk over the alert before anything is allocated; the first element that is one too many is named. */
static bool count_named(struct cap_reading *reading, const xmlNode *node, size_t *count, size_t others, size_t most)
{
	if (++*count + others <= most)
		return true;
	return cap_refuse(reading, JK_CODE_RULE_VIOLATION, node, "an alert may hold at most %zu of these", most);
}

static bool count_in_area(struct cap_reading *reading, const xmlNode *area)
{
	struct cap_counts *counts = &reading->counts;

	for (const xmlNode *node = cap_first(area); node != NULL; node = cap_next(node)) {
		bool fits = true;

		if (cap_is(node, "polygon"))
			fits = count_named(reading, node, &counts->polygons, counts->circles, CAP_SHAPES_MAX);
		else if (cap_is(node, "circle"))
			fits = count_named(reading, node, &counts->circles, counts->polygons, CAP_SHAPES_MAX);
		else if (cap_is(node, "geocode"))
			fits = count_named(
				reading, node, &counts->geocodes, counts->parameters + counts->event_codes, CAP_NAMED_VALUES_MAX);
		if (!fits)
			return false;
	}
	return true;
}

static bool count_in_info(struct cap_reading *reading, const xmlNode *info)
{
	struct cap_counts *counts = &reading->counts;

	for (const xmlNode *node = cap_first(info); node != NULL; node = cap_next(node)) {
		bool fits = true;

		if (cap_is(node, "category"))
			counts->categories++;
		else if (cap_is(node, "responseType"))
			counts->response_types++;
		else if (cap_is(node, "eventCode"))
			fits = count_named(
				reading, node, &counts->event_codes, counts->parameters + counts->geocodes, CAP_NAMED_VALUES_MAX);
		else if (cap_is(node, "parameter"))
			fits = count_named(
				reading, node, &counts->parameters, counts->event_codes + counts->geocodes, CAP_NAMED_VALUES_MAX);
		else if (cap_is(node, "resource"))
			fits = count_named(reading, node, &counts->resources, 0, CAP_RESOURCES_MAX);
		else if (cap_is(node, "area"))
			fits = count_named(reading, node, &counts->areas, 0, CAP_AREAS_MAX) && count_in_area(reading, node);
		if (!fits)
			return false;
	}
	return true;
}

static bool count_all(struct cap_reading *reading)
{
	for (const xmlNode *node = cap_first(reading->alert); node != NULL; node = cap_next(node)) {
		if (cap_is(node, "code") && !count_named(reading, node, &reading->counts.codes, 0, CAP_LIST_MAX))
			return false;
		if (cap_is(node, "info") &&
			!(count_named(reading, node, &reading->counts.infos, 0, CAP_INFOS_MAX) && count_in_info(reading, node)))
			return false;
	}
	return true;
}

/* CAP 1.2 §3.2.1: identifier and sender hold no spaces, commas, < or &; references are made of them. It says nothing of their
 * length; the other formats' bound is theirs too. */
static bool check_name(struct cap_reading *reading, const xmlNode *node, const char *name)
{
	if (name[0] == '\0')
		return cap_refuse(reading, JK_CODE_RULE_VIOLATION, node, "it is empty");
	if (strlen(name) > INTAKE_NAME_MAX_BYTES)
		return cap_refuse(reading, JK_CODE_INVALID_SCHEMA, node, "it is longer than %d bytes", INTAKE_NAME_MAX_BYTES);
	if (name[strcspn(name, " \t\r\n,<&")] != '\0')
		return cap_refuse(reading, JK_CODE_RULE_VIOLATION, node, "it may hold no blank, comma, < or &");
	return true;
}

/* sender,identifier,sent with sent in UTC: two writings of one instant meet, here and in references. */
static const char *join_id(struct cap_reading *reading, const char *sender, const char *identifier, int64_t sent_us)
{
	char sent[JK_TIME_BYTES];
	char *joined;

	jk_time_format(sent, sent_us);
	joined = jk_arena_printf(reading->arena, "%s,%s,%s", sender, identifier, sent);
	if (joined == NULL)
		jk_refuse(reading->refusal, JK_CODE_OVERSIZE, "alert", "the alert needs more memory than a report may take");
	return joined;
}

static bool read_identity(struct cap_reading *reading)
{
	const xmlNode *alert = reading->alert, *sent = cap_child(alert, "sent");
	Jukwaa__V1__Identity *identity = cap_message(reading, &jukwaa__v1__identity__descriptor);
	Jukwaa__V1__Times *times = cap_message(reading, &jukwaa__v1__times__descriptor);
	int status, msg_type;

	if (identity == NULL || times == NULL || sent == NULL)
		return false;
	reading->incident->identity = identity;
	reading->incident->times = times;
	if (!cap_child_text(reading, alert, "identifier", &identity->external_id) ||
		!cap_child_text(reading, alert, "sender", &identity->sender) ||
		!cap_child_text(reading, alert, "source", &identity->source) ||
		!check_name(reading, cap_child(alert, "identifier"), identity->external_id) ||
		!check_name(reading, cap_child(alert, "sender"), identity->sender) ||
		!cap_time(reading, sent, &reading->sent_us) ||
		!cap_number(reading, cap_child(alert, "status"), &jk_cap_statuses, &status) ||
		!cap_number(reading, cap_child(alert, "msgType"), &jk_msg_types, &msg_type))
		return false;
	identity->status = (Jukwaa__V1__Status)status;
	identity->msg_type = (Jukwaa__V1__MsgType)msg_type;
	identity->revision = reading->sent_us / 1000;
	times->sent_present_case = JUKWAA__V1__TIMES__SENT_PRESENT_SENT_US;
	times->sent_us = reading->sent_us;
	reading->decoded->sender = identity->sender;
	reading->decoded->revision = identity->revision;
	reading->decoded->external_id = join_id(reading, identity->sender, identity->external_id, reading->sent_us);
	return reading->decoded->external_id != NULL;
}

/* TLP from a code "TLP:AMBER" (FIRST TLP 2.0 has no place in CAP; this is how issuers write it). Several: the strictest.
 * A label that nobody knows is refused: to guess would be to disclose. */
static bool read_label(struct cap_reading *reading, const xmlNode *node, const char *code, int *tlp)
{
	char label[24];
	int number;

	if (strncasecmp(code, "TLP:", 4) != 0)
		return true;
	if (strcasecmp(code + 4, "WHITE") == 0) { /* TLP 1.0's word for CLEAR */
		number = JK_TLP_CLEAR;
	} else {
		bool whole = jk_text_copy(label, sizeof label, code + 4);

		label[strcspn(label, "+-")] = label[strcspn(label, "+-")] == '\0' ? '\0' : '_'; /* AMBER+STRICT */
		number = whole ? jk_words_number(&jk_tlps, label) : -1;
	}
	if (number <= 0)
		return cap_refuse(reading, JK_CODE_RULE_VIOLATION, node, "no label of TLP 2.0");
	if (number > *tlp)
		*tlp = number;
	return true;
}

/* Without a label the scope decides (CAP 1.2 §3.2.1): PUBLIC is for everybody, RESTRICTED for those with a need in their work,
 * PRIVATE for the addresses alone. */
static int label_of_scope(int scope)
{
	return scope == JK_SCOPE_PUBLIC ? JK_TLP_CLEAR : scope == JK_SCOPE_RESTRICTED ? JK_TLP_AMBER : JK_TLP_RED;
}

static bool read_codes(struct cap_reading *reading, Jukwaa__V1__Handling *handling)
{
	int tlp = JK_TLP_NONE;

	if (reading->counts.codes > 0) {
		handling->codes = cap_list(reading, reading->counts.codes);
		if (handling->codes == NULL)
			return false;
	}
	for (const xmlNode *node = cap_first(reading->alert); node != NULL; node = cap_next(node)) {
		char *word;

		if (!cap_is(node, "code"))
			continue;
		if (!cap_text(reading, node, &handling->codes[handling->n_codes++]) || !cap_word(reading, node, &word) ||
			!read_label(reading, node, word, &tlp))
			return false;
	}
	handling->tlp = (Jukwaa__V1__Tlp)(tlp == JK_TLP_NONE ? label_of_scope((int)handling->scope) : tlp);
	return true;
}

static bool read_addresses(struct cap_reading *reading, Jukwaa__V1__Handling *handling)
{
	const xmlNode *node = cap_child(reading->alert, "addresses");
	bool unclosed;

	if (node == NULL)
		return true;
	if (!cap_read_list(reading, node, &handling->n_addresses, &handling->addresses, &unclosed))
		return false;
	return !unclosed || cap_refuse(reading, JK_CODE_RULE_VIOLATION, node, "a quote is not closed: who is meant is not clear");
}

static bool read_handling(struct cap_reading *reading)
{
	const xmlNode *alert = reading->alert;
	Jukwaa__V1__Handling *handling = cap_message(reading, &jukwaa__v1__handling__descriptor);
	int scope;

	if (handling == NULL || !cap_number(reading, cap_child(alert, "scope"), &jk_scopes, &scope))
		return false;
	handling->scope = (Jukwaa__V1__Scope)scope;
	reading->incident->handling = handling;
	if (!cap_child_text(reading, alert, "restriction", &handling->restriction) ||
		!cap_child_text(reading, alert, "note", &handling->note) || !read_addresses(reading, handling) ||
		!read_codes(reading, handling))
		return false;
	if (scope == JK_SCOPE_PRIVATE && handling->n_addresses == 0)
		return jk_refuse(
			reading->refusal, JK_CODE_RULE_VIOLATION, "alert/addresses", "a Private alert must name its addresses");
	if (scope == JK_SCOPE_RESTRICTED && cap_is_blank(handling->restriction))
		return jk_refuse(reading->refusal, JK_CODE_RULE_VIOLATION, "alert/restriction",
			"a Restricted alert must say its restriction");
	return true;
}

/* "sender,identifier,sent" in place. */
static bool split_reference(struct cap_reading *reading, const xmlNode *node, char *text, Jukwaa__V1__Reference *reference)
{
	char *identifier = strchr(text, ','), *sent = identifier == NULL ? NULL : strchr(identifier + 1, ',');

	if (sent == NULL || identifier == text || sent == identifier + 1)
		return cap_refuse(reading, JK_CODE_RULE_VIOLATION, node, "a reference is written sender,identifier,sent");
	*identifier++ = '\0';
	*sent++ = '\0';
	if (!jk_time_parse(sent, &reference->sent_us))
		return cap_refuse(reading, JK_CODE_RULE_VIOLATION, node, "the sent of a reference is no time with an offset");
	reference->sent_present_case = JUKWAA__V1__REFERENCE__SENT_PRESENT_SENT_US;
	reference->sender = text;
	reference->external_id = identifier;
	return true;
}

static bool read_reference_list(struct cap_reading *reading, const xmlNode *node, Jukwaa__V1__References *references)
{
	char **words;
	const char **ids;
	size_t count;
	bool unclosed;

	if (!cap_read_list(reading, node, &count, &words, &unclosed))
		return false;
	references->references = cap_list(reading, count);
	ids = cap_list(reading, count);
	if (references->references == NULL || ids == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		Jukwaa__V1__Reference *reference = cap_message(reading, &jukwaa__v1__reference__descriptor);

		if (reference == NULL || !split_reference(reading, node, words[i], reference))
			return false;
		ids[i] = join_id(reading, reference->sender, reference->external_id, reference->sent_us);
		if (ids[i] == NULL)
			return false;
		references->references[references->n_references++] = reference;
	}
	reading->decoded->references = ids;
	reading->decoded->reference_count = count;
	return true;
}

static bool read_references(struct cap_reading *reading)
{
	const xmlNode *references_node = cap_child(reading->alert, "references");
	const xmlNode *incidents_node = cap_child(reading->alert, "incidents");
	Jukwaa__V1__References *references = cap_message(reading, &jukwaa__v1__references__descriptor);
	bool unclosed;

	if (references == NULL)
		return false;
	reading->incident->references = references;
	if (references_node != NULL && !read_reference_list(reading, references_node, references))
		return false;
	if (reading->incident->identity->msg_type != JUKWAA__V1__MSG_TYPE__MSG_TYPE_ALERT && references->n_references == 0)
		return jk_refuse(reading->refusal, JK_CODE_RULE_VIOLATION, "alert/references",
			"an Update, Cancel, Ack or Error must reference the alert it is about");
	return incidents_node == NULL ||
	       cap_read_list(reading, incidents_node, &references->n_incidents, &references->incidents, &unclosed);
}

bool cap_read_alert(struct cap_reading *reading)
{
	return count_all(reading) && read_identity(reading) && read_handling(reading) && read_references(reading);
}
