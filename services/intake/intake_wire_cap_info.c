/* The info elements (CAP 1.2 §3.2.2, §3.2.3): one incident of all of them. Categories, response types, codes and parameters are
 * united; the first info gives the words there is one place for; the worst severity counts; each info gives a text. */
#include <string.h>

#include "base/jk_text.h"
#include "services/intake/intake_wire_cap_parts.h"

/* Blank-separated, "quoted ones may hold blanks"; cut in place. */
static char *next_word(char **rest, bool *unclosed)
{
	char *word = *rest, *end;

	while (cap_is_space(*word))
		word++;
	if (*word == '\0')
		return NULL;
	if (*word == '"') {
		word++;
		end = strchr(word, '"');
		*unclosed = end == NULL;
		if (end == NULL)
			end = word + strlen(word);
	} else {
		end = word + strcspn(word, " \t\r\n");
	}
	*rest = *end == '\0' ? end : end + 1;
	*end = '\0';
	return word;
}

bool cap_read_list(struct cap_reading *reading, const xmlNode *node, size_t *ret_count, char ***ret_words, bool *ret_unclosed)
{
	char *text, *word, *words[CAP_LIST_MAX];
	size_t count = 0;

	*ret_unclosed = false;
	*ret_count = 0;
	*ret_words = NULL;
	if (!cap_text(reading, node, &text))
		return false;
	while ((word = next_word(&text, ret_unclosed)) != NULL) {
		if (count == CAP_LIST_MAX)
			return cap_refuse(reading, JK_CODE_RULE_VIOLATION, node, "it may list at most %d", CAP_LIST_MAX);
		words[count++] = word;
	}
	if (count == 0)
		return true;
	*ret_words = cap_list(reading, count);
	if (*ret_words == NULL)
		return false;
	memcpy(*ret_words, words, count * sizeof *words);
	*ret_count = count;
	return true;
}

/* Adds a number to a list without repeats. */
static void unite(int number, size_t *count, int *list)
{
	for (size_t i = 0; i < *count; i++)
		if (list[i] == number)
			return;
	list[(*count)++] = number;
}

static bool add_named_value(struct cap_reading *reading, const xmlNode *node, size_t *count, Jukwaa__V1__NamedValue **list)
{
	Jukwaa__V1__NamedValue *value = cap_message(reading, &jukwaa__v1__named_value__descriptor);

	if (value == NULL || !cap_child_text(reading, node, "valueName", &value->name) ||
		!cap_child_text(reading, node, "value", &value->value))
		return false;
	for (size_t i = 0; i < *count; i++) /* each language tends to repeat them */
		if (strcmp(list[i]->name, value->name) == 0 && strcmp(list[i]->value, value->value) == 0)
			return true;
	list[(*count)++] = value;
	return true;
}

/* The number of the police's Occurrence Book has a field of its own, and stands only there, so that it can be withheld. */
static bool take_ob_number(struct cap_reading *reading, const xmlNode *parameter, bool *ret_taken)
{
	char *name = CAP_NO_TEXT, *value = CAP_NO_TEXT;

	*ret_taken = false;
	if (!cap_child_text(reading, parameter, "valueName", &name))
		return false;
	if (strcmp(name, "OBNumber") != 0)
		return true;
	*ret_taken = true;
	if (!cap_child_text(reading, parameter, "value", &value))
		return false;
	if (reading->incident->identity->ob_number[0] == '\0')
		reading->incident->identity->ob_number = value;
	return true;
}

static bool classify_child(struct cap_reading *reading, const xmlNode *node, Jukwaa__V1__Classification *class)
{
	bool taken = false;
	int number;

	if (cap_is(node, "category")) {
		if (!cap_number(reading, node, &jk_categories, &number))
			return false;
		unite(number, &class->n_categories, (int *)class->categories);
	} else if (cap_is(node, "responseType")) {
		if (!cap_number(reading, node, &jk_response_types, &number))
			return false;
		unite(number, &class->n_response_types, (int *)class->response_types);
	} else if (cap_is(node, "eventCode")) {
		return add_named_value(reading, node, &class->n_event_codes, class->event_codes);
	} else if (cap_is(node, "parameter")) {
		return take_ob_number(reading, node, &taken) &&
		       (taken || add_named_value(reading, node, &class->n_parameters, class->parameters));
	}
	return true;
}

static bool classify_info(struct cap_reading *reading, const xmlNode *info, Jukwaa__V1__Classification *class)
{
	int urgency, severity, certainty;

	if (!cap_number(reading, cap_child(info, "urgency"), &jk_urgencies, &urgency) ||
		!cap_number(reading, cap_child(info, "severity"), &jk_severities, &severity) ||
		!cap_number(reading, cap_child(info, "certainty"), &jk_certainties, &certainty))
		return false;
	if (class->urgency == JUKWAA__V1__URGENCY__URGENCY_UNSPECIFIED) { /* the first */
		class->urgency = (Jukwaa__V1__Urgency)urgency;
		class->certainty = (Jukwaa__V1__Certainty)certainty;
		class->severity = (Jukwaa__V1__Severity)severity;
		if (!cap_child_text(reading, info, "event", &class->event))
			return false;
	}
	if (severity < (int)class->severity)
		class->severity = (Jukwaa__V1__Severity)severity;
	if (reading->incident->identity->sender_name[0] == '\0' &&
		!cap_child_text(reading, info, "senderName", &reading->incident->identity->sender_name))
		return false;
	for (const xmlNode *node = cap_first(info); node != NULL; node = cap_next(node))
		if (!classify_child(reading, node, class))
			return false;
	return true;
}

static Jukwaa__V1__Classification *new_classification(struct cap_reading *reading)
{
	const struct cap_counts *counts = &reading->counts;
	Jukwaa__V1__Classification *class = cap_message(reading, &jukwaa__v1__classification__descriptor);

	if (class == NULL)
		return NULL;
	class->categories = cap_alloc(reading, (JK_CATEGORY_MAX + 1) * sizeof *class->categories);
	class->response_types = cap_alloc(reading, (JK_RESPONSE_TYPE_MAX + 1) * sizeof *class->response_types);
	class->event_codes = cap_list(reading, counts->event_codes);
	class->parameters = cap_list(reading, counts->parameters);
	return class->categories != NULL && class->response_types != NULL && class->event_codes != NULL &&
			       class->parameters != NULL
		       ? class
		       : NULL;
}

/* A Cancel often has no info at all: what it cancels says the rest. */
static void classify_nothing(Jukwaa__V1__Classification *class)
{
	class->categories[class->n_categories++] = JUKWAA__V1__CATEGORY__CATEGORY_OTHER;
	class->urgency = JUKWAA__V1__URGENCY__URGENCY_UNKNOWN;
	class->severity = JUKWAA__V1__SEVERITY__SEVERITY_UNKNOWN;
	class->certainty = JUKWAA__V1__CERTAINTY__CERTAINTY_UNKNOWN;
}

/* Earliest effective and onset, latest expires. */
static bool read_times(struct cap_reading *reading, const xmlNode *info)
{
	const xmlNode *effective = cap_child(info, "effective"), *onset = cap_child(info, "onset");
	const xmlNode *expires = cap_child(info, "expires");
	Jukwaa__V1__Times *times = reading->incident->times;
	int64_t time_us;

	if (effective != NULL) {
		if (!cap_time(reading, effective, &time_us))
			return false;
		if (times->effective_present_case == 0 || time_us < times->effective_us)
			times->effective_us = time_us;
		times->effective_present_case = JUKWAA__V1__TIMES__EFFECTIVE_PRESENT_EFFECTIVE_US;
	}
	if (onset != NULL) {
		if (!cap_time(reading, onset, &time_us))
			return false;
		if (times->onset_present_case == 0 || time_us < times->onset_us)
			times->onset_us = time_us;
		times->onset_present_case = JUKWAA__V1__TIMES__ONSET_PRESENT_ONSET_US;
	}
	if (expires != NULL) {
		if (!cap_time(reading, expires, &time_us))
			return false;
		if (times->expires_present_case == 0 || time_us > times->expires_us)
			times->expires_us = time_us;
		times->expires_present_case = JUKWAA__V1__TIMES__EXPIRES_PRESENT_EXPIRES_US;
		if (time_us <= reading->sent_us)
			return cap_warn(reading, JK_CODE_EXPIRES_NOT_AFTER_SENT, expires, "it expires no later than it was sent");
	}
	return true;
}

static bool is_same_text(const Jukwaa__V1__Text *a, const Jukwaa__V1__Text *b)
{
	return strcmp(a->language, b->language) == 0 && strcmp(a->headline, b->headline) == 0 &&
	       strcmp(a->description, b->description) == 0 && strcmp(a->instruction, b->instruction) == 0 &&
	       strcmp(a->audience, b->audience) == 0 && strcmp(a->web, b->web) == 0 && strcmp(a->contact, b->contact) == 0;
}

static bool read_text(struct cap_reading *reading, const xmlNode *info, Jukwaa__V1__Narrative *narrative)
{
	const xmlNode *language = cap_child(info, "language");
	Jukwaa__V1__Text *text = cap_message(reading, &jukwaa__v1__text__descriptor);

	if (text == NULL || (language != NULL && !cap_word(reading, language, &text->language)) ||
		!cap_child_text(reading, info, "headline", &text->headline) ||
		!cap_child_text(reading, info, "description", &text->description) ||
		!cap_child_text(reading, info, "instruction", &text->instruction) ||
		!cap_child_text(reading, info, "audience", &text->audience) ||
		!cap_child_text(reading, info, "web", &text->web) || !cap_child_text(reading, info, "contact", &text->contact))
		return false;
	for (size_t i = 0; i < narrative->n_texts; i++)
		if (is_same_text(narrative->texts[i], text))
			return true;
	narrative->texts[narrative->n_texts++] = text;
	return true;
}

/* How many bytes the base64 text of an element stands for. Not copied: one alert in the data set embeds 450 KB. */
static int64_t decoded_size(const xmlNode *node)
{
	int64_t digits = 0;

	for (const xmlNode *child = node->children; child != NULL; child = child->next)
		for (const char *c = (const char *)child->content; child->type == XML_TEXT_NODE && *c != '\0'; c++)
			digits += *c != '=' && !cap_is_space(*c);
	return digits * 3 / 4;
}

static bool read_resource(struct cap_reading *reading, const xmlNode *node, Jukwaa__V1__Resources *resources)
{
	const xmlNode *size = cap_child(node, "size"), *content = cap_child(node, "derefUri");
	Jukwaa__V1__Resource *resource = cap_message(reading, &jukwaa__v1__resource__descriptor);
	char *word = CAP_NO_TEXT;

	if (resource == NULL || !cap_child_text(reading, node, "resourceDesc", &resource->description) ||
		!cap_child_text(reading, node, "mimeType", &resource->mime_type) ||
		!cap_child_text(reading, node, "uri", &resource->uri) ||
		!cap_child_text(reading, node, "digest", &resource->digest) || (size != NULL && !cap_word(reading, size, &word)))
		return false;
	if (jk_text_to_int64(word[0] == '+' ? word + 1 : word, 0, INT64_MAX, &resource->size_bytes))
		resource->size_present_case = JUKWAA__V1__RESOURCE__SIZE_PRESENT_SIZE_BYTES;
	resources->resources[resources->n_resources++] = resource;
	if (content == NULL || decoded_size(content) == 0)
		return true;
	resource->embedded_bytes = decoded_size(content);
	resource->embedded_present_case = JUKWAA__V1__RESOURCE__EMBEDDED_PRESENT_EMBEDDED_BYTES;
	cap_note(reading, JK_CODE_CONTENT_NOT_CARRIED, content, "embedded content stays with the stored report");
	return true;
}

static bool read_info(struct cap_reading *reading, const xmlNode *info)
{
	if (!classify_info(reading, info, reading->incident->classification) || !read_times(reading, info) ||
		!read_text(reading, info, reading->incident->narrative))
		return false;
	for (const xmlNode *node = cap_first(info); node != NULL; node = cap_next(node))
		if (cap_is(node, "resource") && !read_resource(reading, node, reading->incident->resources))
			return false;
	return true;
}

bool cap_read_infos(struct cap_reading *reading)
{
	Jukwaa__V1__Incident *incident = reading->incident;

	incident->classification = new_classification(reading);
	incident->narrative = cap_message(reading, &jukwaa__v1__narrative__descriptor);
	incident->resources = cap_message(reading, &jukwaa__v1__resources__descriptor);
	if (incident->classification == NULL || incident->narrative == NULL || incident->resources == NULL)
		return false;
	incident->narrative->texts = cap_list(reading, reading->counts.infos);
	incident->resources->resources = cap_list(reading, reading->counts.resources);
	if (incident->narrative->texts == NULL || incident->resources->resources == NULL)
		return false;
	for (const xmlNode *node = cap_first(reading->alert); node != NULL; node = cap_next(node))
		if (cap_is(node, "info") && !read_info(reading, node))
			return false;
	if (reading->counts.infos == 0)
		classify_nothing(incident->classification);
	return true;
}
