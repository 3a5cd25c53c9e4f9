/* Bytes to a tree. libxml2 2.9.14 bounds depth and entities by itself; what it does not bound is bounded here: it compares each
 * attribute of an element with all others (170,000 of them took minutes), and each name with all namespaces in scope. */
#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/intake/intake_wire_cap_parts.h"

enum { ATTRIBUTES_MAX = 512 /* of one element */, NAMESPACES_MAX = 128 /* declared in the document */ };

/* NOENT, DTDLOAD, XINCLUDE, HUGE and RECOVER must stay away: the first reads files, the last accept what is no XML. */
static const int parse_options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA;

/* What a parser met; reached through its _private. */
struct findings {
	bool doctype;
	bool broken;
	bool wide; /* two bytes a character */
	int line;
	int namespaces;
	char message[160];
};

static void break_off(xmlParserCtxtPtr parser, const char *message)
{
	struct findings *findings = parser->_private;

	if (!findings->broken) {
		findings->broken = true;
		findings->line = parser->input == NULL ? 0 : parser->input->line;
		jk_text_copy(findings->message, sizeof findings->message, message);
	}
	xmlStopParser(parser);
}

/* libxml2 2.9.14 still returns a document after xmlStopParser: the flag is what counts. */
static void on_doctype(void *data, const xmlChar *name, const xmlChar *external_id, const xmlChar *system_id)
{
	xmlParserCtxtPtr parser = data;
	struct findings *findings = parser->_private;

	(void)name;
	(void)external_id;
	(void)system_id;
	findings->doctype = true;
	xmlStopParser(parser);
}

/* Encodings in which ASCII is ASCII, so that find_many_attributes sees what the parser sees. */
static bool is_encoding_taken(const char *name, bool wide)
{
	static const char *const beginnings[] = {"UTF-8", "UTF8", "US-ASCII", "ASCII", "ISO-8859-", "WINDOWS-125"};

	if (wide)
		return strncasecmp(name, "UTF-16", 6) == 0;
	for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
		if (strncasecmp(name, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

static void on_start(void *data)
{
	xmlParserCtxtPtr parser = data;
	const struct findings *findings = parser->_private;

	xmlSAX2StartDocument(parser);
	if (parser->encoding != NULL && !is_encoding_taken((const char *)parser->encoding, findings->wide))
		break_off(parser, "the encoding is not taken; write UTF-8");
}

static void on_element(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int namespace_count,
	const xmlChar **namespaces, int attribute_count, int default_count, const xmlChar **attributes)
{
	xmlParserCtxtPtr parser = data;
	struct findings *findings = parser->_private;

	xmlSAX2StartElementNs(data, name, prefix, uri, namespace_count, namespaces, attribute_count, default_count, attributes);
	findings->namespaces += namespace_count;
	if (findings->namespaces > NAMESPACES_MAX)
		break_off(parser, "there are too many namespace declarations");
}

static void on_parse_error(void *data, xmlErrorPtr error)
{
	xmlParserCtxtPtr parser = data;
	struct findings *findings = parser->_private;

	if (findings->broken || error->level < XML_ERR_ERROR)
		return;
	findings->broken = true;
	findings->line = error->line;
	if (error->message != NULL && jk_text_is_utf8(error->message, strlen(error->message)))
		jk_text_copy(findings->message, sizeof findings->message, error->message);
	findings->message[strcspn(findings->message, "\r\n")] = '\0';
}

static bool is_wide(const uint8_t *bytes, size_t size)
{
	return size >= 2 && (bytes[0] == 0 || bytes[1] == 0 || bytes[0] >= 0xfe);
}

/* Where an element with too many attributes begins; size: nowhere. Attributes of one element stand between two "<": within a tag
 * none may occur. They are counted by what must begin their values, = and a quote; a text would have to hold hundreds of
 * these to be mistaken. */
static size_t find_many_attributes(const uint8_t *bytes, size_t size)
{
	bool wide = is_wide(bytes, size);
	size_t low = wide && (bytes[0] == 0 || bytes[0] == 0xfe) ? 1 : 0, count = 0, begin = 0;
	uint8_t before = 0;

	for (size_t i = low; i < size; i += wide ? 2 : 1) {
		uint8_t c = wide && (i ^ 1) < size && bytes[i ^ 1] != 0 ? 'x' : bytes[i];

		if (c == '<') {
			begin = i - low;
			count = 0;
		} else if ((c == '"' || c == '\'') && before == '=' && ++count > ATTRIBUTES_MAX) {
			return begin;
		}
		if (!cap_is_space((char)c) && c != 0)
			before = c;
	}
	return size;
}

/* libxml2 takes a NUL after the root element for the end, and would pass over what follows. */
static void look_behind_end(xmlParserCtxtPtr parser, struct findings *findings)
{
	if (findings->broken || findings->doctype || parser->input == NULL || parser->input->cur >= parser->input->end)
		return;
	findings->broken = true;
	findings->line = parser->input->line;
	jk_text_copy(findings->message, sizeof findings->message, "there is a NUL");
}

/* Nothing is well-formed about what findings say is not. */
static void refuse(const struct findings *findings, struct jk_refusal *ret_refusal)
{
	char field[24];

	snprintf(field, sizeof field, "line %d", findings->line > 0 ? findings->line : 1);
	if (findings->doctype)
		jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "doctype", "a document type declaration is not taken");
	else
		jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, field, "no well-formed XML: %s", findings->message);
}

xmlDocPtr cap_parse(const uint8_t *bytes, size_t size, struct jk_refusal *ret_refusal)
{
	struct findings findings = {.message = "it ends too early or is no XML", .wide = is_wide(bytes, size)};
	xmlParserCtxtPtr parser = xmlNewParserCtxt();
	size_t usable = find_many_attributes(bytes, size);
	xmlDocPtr doc;
	bool well_formed;

	if (parser == NULL) {
		jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "alert", "there is no memory for a parser");
		return NULL;
	}
	parser->_private = &findings;
	parser->sax->internalSubset = on_doctype;
	parser->sax->startDocument = on_start;
	parser->sax->startElementNs = on_element;
	parser->sax->serror = on_parse_error;
	doc = xmlCtxtReadMemory(parser, (const char *)bytes, (int)usable, NULL, NULL, parse_options);
	look_behind_end(parser, &findings);
	well_formed = usable == size && doc != NULL && parser->wellFormed && parser->nsWellFormed && !findings.broken &&
		      !findings.doctype;
	xmlFreeParserCtxt(parser);
	if (well_formed)
		return doc;
	xmlFreeDoc(doc);
	if (usable < size) /* the rest was read for the sake of a DOCTYPE before it */
		jk_text_copy(findings.message, sizeof findings.message, "an element has too many attributes");
	refuse(&findings, ret_refusal);
	return NULL;
}
