/* Validate, make canonical; intake_wire_cap_parse.c parses, intake_wire_cap_alert.c and its neighbours read the tree. */
#include "services/intake/intake_wire_cap.h"

#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/intake/intake_wire_cap_parts.h"

#define SIGNATURE_NAMESPACE "http://www.w3.org/2000/09/xmldsig#"

enum { CAP_BYTES_MAX = 2 * 1024 * 1024 };

extern const unsigned char intake_cap12_xsd[];
extern const size_t intake_cap12_xsd_size;

struct intake_cap {
	xmlSchemaPtr schema;
};

static xmlParserInputPtr refuse_to_load(const char *url, const char *id, xmlParserCtxtPtr parser)
{
	(void)url;
	(void)id;
	(void)parser;
	return NULL;
}

static void discard_error(void *data, xmlErrorPtr error)
{
	(void)data;
	(void)error;
}

enum jk_status intake_cap_open(struct intake_cap **ret_cap)
{
	struct intake_cap *cap;
	xmlSchemaParserCtxtPtr parser;

	LIBXML_TEST_VERSION
	xmlInitParser();
	xmlSetExternalEntityLoader(refuse_to_load);
	cap = calloc(1, sizeof *cap);
	parser = xmlSchemaNewMemParserCtxt((const char *)intake_cap12_xsd, (int)intake_cap12_xsd_size);
	if (cap != NULL && parser != NULL) {
		xmlSchemaSetParserStructuredErrors(parser, discard_error, NULL);
		cap->schema = xmlSchemaParse(parser);
	}
	xmlSchemaFreeParserCtxt(parser);
	*ret_cap = cap;
	if (cap == NULL || cap->schema == NULL) {
		intake_cap_close(ret_cap);
		return JK_BROKEN;
	}
	return JK_OK;
}

void intake_cap_close(struct intake_cap **cap_p)
{
	if (*cap_p == NULL)
		return;
	xmlSchemaFree((*cap_p)->schema);
	free(*cap_p);
	*cap_p = NULL;
}

static bool is_old_namespace(const char *name)
{
	static const char *const olds[] = {
		"http://www.incident.com/cap/1.0", /* CAP 1.0 */
		"urn:oasis:names:tc:emergency:cap:1.0",
		"urn:oasis:names:tc:emergency:cap:1.1",
		"http://www.incident.com/cap/1.1", /* drafts */
		"http://www.oasis-open.org/committees/emergency/cap/1.0",
		"http://www.oasis-open.org/committees/emergency/cap/1.1",
	};

	for (size_t i = 0; i < sizeof olds / sizeof olds[0]; i++)
		if (strcmp(name, olds[i]) == 0)
			return true;
	return false;
}

static bool check_root(const xmlNode *root, struct jk_refusal *ret_refusal)
{
	const char *space;

	if (root == NULL || strcmp((const char *)root->name, "alert") != 0)
		return jk_refuse(ret_refusal, JK_CODE_NOT_AN_ALERT, root == NULL ? "" : (const char *)root->name,
			"the document is no CAP alert");
	space = root->ns == NULL ? "" : (const char *)root->ns->href;
	if (strcmp(space, CAP_NAMESPACE) == 0)
		return true;
	if (is_old_namespace(space))
		return jk_refuse(ret_refusal, JK_CODE_OLD_NAMESPACE, "alert", "this is CAP 1.0 or 1.1; CAP 1.2 is taken");
	return jk_refuse(ret_refusal, JK_CODE_WRONG_NAMESPACE, "alert", "the namespace is not " CAP_NAMESPACE);
}

static bool is_time(const xmlNode *node)
{
	static const char *const times[] = {"sent", "effective", "onset", "expires"};

	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
		if (cap_is(node, times[i]))
			return true;
	return false;
}

/* Own sentences, but for what names elements only: libxml2's quote the value, which may be personal. */
static void word_schema_error(const xmlError *error, char *ret, size_t capacity)
{
	static const char space[] = "{" CAP_NAMESPACE "}";
	const char *from = error->message == NULL ? NULL : strstr(error->message, "': ");
	size_t used = 0;

	if (error->code != XML_SCHEMAV_ELEMENT_CONTENT || from == NULL) {
		const xmlNode *node = error->node;

		snprintf(ret, capacity, "%s",
			node != NULL && node->type == XML_ELEMENT_NODE && is_time(node)
				? "a time is written as 2026-03-01T08:15:30+03:00, always with its offset"
				: "this is not what CAP 1.2 allows here");
		return;
	}
	for (from += 3; *from != '\0' && *from != '\n' && used + 1 < capacity;) {
		if (strncmp(from, space, sizeof space - 1) == 0)
			from += sizeof space - 1;
		else
			ret[used++] = *from++;
	}
	ret[used] = '\0';
}

static void on_schema_error(void *data, xmlErrorPtr error)
{
	struct jk_refusal *refusal = data;
	char path[2 * sizeof refusal->field], reason[sizeof refusal->reason];

	if (refusal->code != JK_CODE_NONE || error->level < XML_ERR_ERROR)
		return;
	cap_path(path, sizeof path, error->node);
	word_schema_error(error, reason, sizeof reason);
	jk_refuse(refusal, JK_CODE_INVALID_SCHEMA, path, "%s", jk_text_is_utf8(reason, strlen(reason)) ? reason : "not CAP 1.2");
}

static bool validate(struct intake_cap *cap, xmlDocPtr doc, struct jk_refusal *ret_refusal)
{
	xmlSchemaValidCtxtPtr validator = xmlSchemaNewValidCtxt(cap->schema);
	int verdict = -1;

	*ret_refusal = (struct jk_refusal){0};
	if (validator != NULL) {
		xmlSchemaSetValidStructuredErrors(validator, on_schema_error, ret_refusal);
		verdict = xmlSchemaValidateDoc(validator, doc);
	}
	xmlSchemaFreeValidCtxt(validator);
	if (verdict == 0)
		return true;
	if (ret_refusal->code == JK_CODE_NONE)
		jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "alert", "not CAP 1.2");
	return false;
}

static bool is_left_out(const xmlNode *node)
{
	if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE)
		return xmlIsBlankNode(node);
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, "Signature") == 0 && node->ns != NULL &&
	       strcmp((const char *)node->ns->href, SIGNATURE_NAMESPACE) == 0;
}

/* Canonical content: Exclusive XML Canonicalization 1.0 without comments, after removing the alert's signatures and the white
 * space between its children (not within them: there it is content). Changes the tree. */
static bool make_canonical(xmlDocPtr doc, xmlNodePtr alert, struct cap_reading *reading)
{
	xmlChar *text = NULL;
	uint8_t *copy;
	int size;

	for (xmlNodePtr child = alert->children, next; child != NULL; child = next) {
		next = child->next;
		if (!is_left_out(child))
			continue;
		xmlUnlinkNode(child);
		xmlFreeNode(child);
	}
	size = xmlC14NDocDumpMemory(doc, NULL, XML_C14N_EXCLUSIVE_1_0, NULL, 0, &text);
	if (size < 0 || text == NULL) {
		xmlFree(text);
		return jk_refuse(reading->refusal, JK_CODE_INVALID_SCHEMA, "alert",
			"the alert has no canonical form (is a namespace name relative?)");
	}
	copy = cap_alloc(reading, (size_t)size);
	if (copy != NULL)
		memcpy(copy, text, (size_t)size);
	xmlFree(text);
	reading->decoded->canonical = copy;
	reading->decoded->canonical_size = (size_t)size;
	return copy != NULL;
}

static bool read_document(struct intake_cap *cap, xmlDocPtr doc, struct cap_reading *reading)
{
	xmlNodePtr alert = xmlDocGetRootElement(doc);

	if (!check_root(alert, reading->refusal) || !validate(cap, doc, reading->refusal))
		return false;
	reading->alert = alert;
	reading->incident = cap_message(reading, &jukwaa__v1__incident__descriptor);
	reading->decoded->incident = reading->incident;
	return reading->incident != NULL && cap_read_alert(reading) && cap_read_infos(reading) && cap_read_areas(reading) &&
	       make_canonical(doc, alert, reading);
}

bool intake_cap_read(struct intake_cap *cap, const uint8_t *bytes, size_t size, bool strict, struct jk_arena *arena,
	struct intake_decoded *ret, struct jk_refusal *ret_refusal)
{
	struct cap_reading reading = {.strict = strict, .arena = arena, .decoded = ret, .refusal = ret_refusal};
	xmlDocPtr doc;
	bool taken;

	*ret = (struct intake_decoded){0};
	if (size > CAP_BYTES_MAX)
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "", "an alert may have at most %d bytes", CAP_BYTES_MAX);
	xmlSetStructuredErrorFunc(NULL, discard_error); /* the thread's; what comes here is said in our own words */
	doc = cap_parse(bytes, size, ret_refusal);
	if (doc == NULL)
		return false;
	taken = read_document(cap, doc, &reading);
	xmlFreeDoc(doc);
	return taken;
}
