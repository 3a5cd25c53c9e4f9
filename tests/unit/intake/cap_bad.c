/* Alerts of our own writing that are wrong, each in one way: refused (or warned of) with the code and the field it says here. */
#include "cap_support.h"

#include "services/intake/intake_wire_cap.h"

enum { ARENA_BYTES = 16 * 1024 * 1024, TEXT_MAX = 3 * 1024 * 1024 };

static struct intake_cap *cap;
static struct jk_arena *arena;
static char text[TEXT_MAX];

static int open_reader(void **state)
{
	(void)state;
	arena = jk_arena_new(ARENA_BYTES);
	return arena != NULL && intake_cap_open(&cap) == JK_OK ? 0 : -1;
}

static int close_reader(void **state)
{
	(void)state;
	intake_cap_close(&cap);
	jk_arena_free(&arena);
	return 0;
}

/* One alert; the rows below replace a piece of it. */
static const char *const good =
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	"<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">\n"
	"<identifier>KE-1</identifier><sender>desk@example.or.ke</sender><sent>2026-03-01T08:15:30+03:00</sent>\n"
	"<status>Actual</status><msgType>Alert</msgType><scope>Public</scope>\n"
	"<info><category>Fire</category><event>Fire</event><urgency>Immediate</urgency><severity>Severe</severity>\n"
	"<certainty>Observed</certainty><expires>2026-03-01T20:00:00+03:00</expires>\n"
	"<area><areaDesc>Gikomba</areaDesc><polygon>-1.28,36.83 -1.28,36.84 -1.29,36.84 -1.28,36.83</polygon>\n"
	"<circle>-1.28,36.83 2.5</circle></area></info></alert>\n";

/* `good` with the first `from` replaced by `to`, in text. */
static size_t replace(const char *from, const char *to)
{
	const char *at = strstr(good, from);

	if (at == NULL)
		fail_msg("the good alert holds no %s", from);
	return (size_t)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
}

static bool read_text(size_t size, bool strict, struct intake_decoded *ret, struct jk_refusal *ret_refusal)
{
	/* An exact copy on the heap, so that reading past its end is seen. */
	uint8_t *copy = malloc(size == 0 ? 1 : size);
	bool taken;

	assert_non_null(copy);
	memcpy(copy, text, size);
	jk_arena_reset(arena);
	*ret_refusal = (struct jk_refusal){0};
	taken = intake_cap_read(cap, copy, size, strict, arena, ret, ret_refusal);
	free(copy);
	return taken;
}

static void expect_refusal(size_t size, enum jk_code code, const char *field, const char *what)
{
	struct intake_decoded decoded;
	struct jk_refusal refusal;

	if (read_text(size, false, &decoded, &refusal))
		fail_msg("taken: %s", what);
	if (refusal.code != code || strcmp(refusal.field, field) != 0 || refusal.reason[0] == '\0')
		fail_msg("%s: %s at \"%s\" (%s), expected %s at \"%s\"", what, jk_words_name(&jk_codes, (int)refusal.code),
			refusal.field, refusal.reason, jk_words_name(&jk_codes, (int)code), field);
}

struct row {
	const char *from, *to;
	enum jk_code code;
	const char *field;
};

#define STATUS "<status>Actual</status>"
#define ALERT "<msgType>Alert</msgType><scope>Public</scope>"
#define SENT "2026-03-01T08:15:30+03:00"
#define RING "-1.28,36.83 -1.28,36.84 -1.29,36.84 -1.28,36.83"
#define CIRCLE "-1.28,36.83 2.5"

static const struct row refused[] = {
	{"</alert>", "", JK_CODE_NOT_WELL_FORMED, "line 9"},
	{"<status>", "<status", JK_CODE_NOT_WELL_FORMED, "line 4"},
	{"Gikomba", "Giko\xff mba", JK_CODE_NOT_WELL_FORMED, "line 7"},
	{"Gikomba", "Giko&#0;mba", JK_CODE_NOT_WELL_FORMED, "line 7"},
	{"Gikomba", "Giko&#1;mba", JK_CODE_NOT_WELL_FORMED, "line 7"},
	{"Gikomba", "&gikomba;", JK_CODE_NOT_WELL_FORMED, "line 7"},
	{"Gikomba", "<x:b/>", JK_CODE_NOT_WELL_FORMED, "line 7"},
	{"encoding=\"UTF-8\"", "encoding=\"NONE-8\"", JK_CODE_NOT_WELL_FORMED, "line 1"},
	{"<alert ", "<!DOCTYPE alert [<!ENTITY a \"b\">]>\n<alert ", JK_CODE_NOT_WELL_FORMED, "doctype"},
	{"<alert ", "<!DOCTYPE alert SYSTEM \"file:///etc/passwd\">\n<alert ", JK_CODE_NOT_WELL_FORMED, "doctype"},
	{"<alert ", "<!DOCTYPE feed>\n<feed ", JK_CODE_NOT_WELL_FORMED, "doctype"},
	{"<alert xmlns", "<alarm xmlns", JK_CODE_NOT_WELL_FORMED, "line 8"},
	{" xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"", "", JK_CODE_WRONG_NAMESPACE, "alert"},
	{"cap:1.2", "cap:1.3", JK_CODE_WRONG_NAMESPACE, "alert"},
	{"cap:1.2", "cap:1.1", JK_CODE_OLD_NAMESPACE, "alert"},
	{"urn:oasis:names:tc:emergency:cap:1.2", "http://www.incident.com/cap/1.0", JK_CODE_OLD_NAMESPACE, "alert"},
	{STATUS, "", JK_CODE_INVALID_SCHEMA, "alert/msgType"},
	{"Actual", "actual", JK_CODE_INVALID_SCHEMA, "alert/status"},
	{SENT, "2026-03-01T08:15:30", JK_CODE_INVALID_SCHEMA, "alert/sent"},
	{SENT, "2026-03-01T05:15:30Z", JK_CODE_INVALID_SCHEMA, "alert/sent"},
	{SENT, "2026-03-01T08:15:30.5+03:00", JK_CODE_INVALID_SCHEMA, "alert/sent"},
	{SENT, "2026-02-30T08:15:30+03:00", JK_CODE_INVALID_SCHEMA, "alert/sent"},
	{"Gikomba</areaDesc>", "G</areaDesc>text", JK_CODE_INVALID_SCHEMA, "alert/info/area"},
	{"<info>", "<info odd=\"1\">", JK_CODE_INVALID_SCHEMA, "alert/info"},
	{"<info>", "<info xmlns:r=\"relative\">", JK_CODE_INVALID_SCHEMA, "alert"},
	{"<info>", "<info xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" i:nil=\"true\">", JK_CODE_INVALID_SCHEMA,
		"alert/info"},
	{SENT, "0800-03-01T08:15:30+03:00", JK_CODE_RULE_VIOLATION, "alert/sent"},
	{"KE-1", "KE 1", JK_CODE_RULE_VIOLATION, "alert/identifier"},
	{"KE-1", "KE,1", JK_CODE_RULE_VIOLATION, "alert/identifier"},
	{"KE-1", "KE&lt;1", JK_CODE_RULE_VIOLATION, "alert/identifier"},
	{"KE-1", "KE&amp;1", JK_CODE_RULE_VIOLATION, "alert/identifier"},
	{"KE-1", "", JK_CODE_RULE_VIOLATION, "alert/identifier"},
	{"desk@", "the desk@", JK_CODE_RULE_VIOLATION, "alert/sender"},
	{"desk@", "desk\n@", JK_CODE_RULE_VIOLATION, "alert/sender"},
	{"<msgType>Alert", "<msgType>Update", JK_CODE_RULE_VIOLATION, "alert/references"},
	{"<msgType>Alert", "<msgType>Cancel", JK_CODE_RULE_VIOLATION, "alert/references"},
	{"<msgType>Alert", "<msgType>Ack", JK_CODE_RULE_VIOLATION, "alert/references"},
	{"<msgType>Alert", "<msgType>Error", JK_CODE_RULE_VIOLATION, "alert/references"},
	{"</scope>", "</scope><references> \n</references>", JK_CODE_NONE, ""},
	{ALERT, "<msgType>Update</msgType><scope>Public</scope><references> </references>", JK_CODE_RULE_VIOLATION,
		"alert/references"},
	{"</scope>", "</scope><references>a,b</references>", JK_CODE_RULE_VIOLATION, "alert/references"},
	{"</scope>", "</scope><references>a,b,2026-03-01</references>", JK_CODE_RULE_VIOLATION, "alert/references"},
	{"</scope>", "</scope><references>a,b,c,2026-03-01T08:00:00+03:00</references>", JK_CODE_RULE_VIOLATION,
		"alert/references"},
	{"</scope>", "</scope><references>,b,2026-03-01T08:00:00+03:00</references>", JK_CODE_RULE_VIOLATION, "alert/references"},
	{"Public", "Private", JK_CODE_RULE_VIOLATION, "alert/addresses"},
	{"Public</scope>", "Private</scope><addresses> </addresses>", JK_CODE_RULE_VIOLATION, "alert/addresses"},
	{"Public</scope>", "Private</scope><addresses>\"County Commander</addresses>", JK_CODE_RULE_VIOLATION, "alert/addresses"},
	{"Public", "Restricted", JK_CODE_RULE_VIOLATION, "alert/restriction"},
	{"</scope>", "</scope><code>TLP:PURPLE</code>", JK_CODE_RULE_VIOLATION, "alert/code"},
	{"</scope>", "</scope><code>TLP:</code>", JK_CODE_RULE_VIOLATION, "alert/code"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		const struct row *row = &refused[i];
		size_t size = replace(row->from, row->to);
		struct intake_decoded decoded;
		struct jk_refusal refusal;

		if (row->code != JK_CODE_NONE)
			expect_refusal(size, row->code, row->field, row->to);
		else if (!read_text(size, true, &decoded, &refusal))
			fail_msg("%s: refused: %s %s", row->to, refusal.field, refusal.reason);
	}
}

/* Taken with one warning; strict refuses as RULE_VIOLATION with the same field. */
static const struct row warned[] = {
	{RING, "", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{RING, " \n ", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{RING, "-1.28,36.83 -1.28,36.84 -1.29,36.84 -1.29,36.85", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{RING, "-1.28,36.83 -1.28,36.84 -1.28,36.83", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{RING, "-91.28,36.83 -1.28,36.84 -1.29,36.84 -91.28,36.83", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{RING, "-1.28,236.83 -1.28,36.84 -1.29,36.84 -1.28,236.83", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{RING, "-1.28,nan -1.28,36.84 -1.29,36.84 -1.28,nan", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{RING, "-1.28 36.83 -1.28 36.84 -1.29 36.84 -1.28 36.83", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{RING, "-1.28,36.83,-1.28,36.84,-1.29,36.84,-1.28,36.83", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{RING, "-1.28,36.83, -1.28,36.84, -1.29,36.84, -1.28,36.83", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{RING, "lat,lon", JK_CODE_BAD_SHAPE, "alert/info/area/polygon"},
	{CIRCLE, "-1.28,36.83 -2.5", JK_CODE_BAD_SHAPE, "alert/info/area/circle"},
	{CIRCLE, "-1.28,36.83", JK_CODE_BAD_SHAPE, "alert/info/area/circle"},
	{CIRCLE, "-1.28,36.83 ", JK_CODE_BAD_SHAPE, "alert/info/area/circle"},
	{CIRCLE, "-1.28,36.83 2.5 km", JK_CODE_BAD_SHAPE, "alert/info/area/circle"},
	{CIRCLE, "-1.28,36.83 99999", JK_CODE_BAD_SHAPE, "alert/info/area/circle"},
	{CIRCLE, "-1.28,36.83,2.5", JK_CODE_BAD_SHAPE, "alert/info/area/circle"},
	{CIRCLE, "", JK_CODE_BAD_SHAPE, "alert/info/area/circle"},
	{"2026-03-01T20:00:00", "2026-03-01T08:15:30", JK_CODE_EXPIRES_NOT_AFTER_SENT, "alert/info/expires"},
	{"2026-03-01T20:00:00+03:00", "2026-03-01T05:00:00-00:00", JK_CODE_EXPIRES_NOT_AFTER_SENT, "alert/info/expires"},
};

static void test_warned(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof warned / sizeof warned[0]; i++) {
		const struct row *row = &warned[i];
		size_t size = replace(row->from, row->to);
		struct intake_decoded decoded;
		struct jk_refusal refusal;

		if (!read_text(size, false, &decoded, &refusal))
			fail_msg("refused: %s: %s %s", row->to, refusal.field, refusal.reason);
		if (decoded.warnings.count != 1 || decoded.warnings.list[0].code != row->code ||
			strcmp(decoded.warnings.list[0].field, row->field) != 0)
			fail_msg("%s: %zu warnings, the first at %s", row->to, decoded.warnings.count,
				decoded.warnings.list[0].field);
		assert_int_equal(decoded.incident->place->n_polygons + decoded.incident->place->n_circles,
			row->code == JK_CODE_BAD_SHAPE ? 1 : 2);
		if (read_text(size, true, &decoded, &refusal))
			fail_msg("taken under strict: %s", row->to);
		assert_int_equal(refusal.code, JK_CODE_RULE_VIOLATION);
		assert_string_equal(refusal.field, row->field);
	}
}

static void test_taken(void **state)
{
	static const struct row rows[] = {
		{SENT, "2026-03-01T05:15:30-00:00", JK_CODE_NONE, ""},
		{SENT, "2026-03-01T05:15:30+00:00", JK_CODE_NONE, ""},
		{SENT, "\n 2026-03-01T05:15:30+00:00 ", JK_CODE_NONE, ""},
		{"KE-1", "KE<!-- a comment -->-1", JK_CODE_NONE, ""},
		{"KE-1", "<![CDATA[KE-1]]>", JK_CODE_NONE, ""},
		{"Actual", "Act<!-- a comment -->ual", JK_CODE_NONE, ""},
		{"<alert ",
			"<alert xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
			"xsi:schemaLocation=\"urn:oasis:names:tc:emergency:cap:1.2 file:///etc/passwd urn:x "
			"http://127.0.0.1:9/x\" ",
			JK_CODE_NONE, ""},
		{"</info></alert>", "</info><s:info xmlns:s=\"http://www.w3.org/2000/09/xmldsig#\">x</s:info></alert>",
			JK_CODE_NONE, ""},
		{RING, " -1.28,36.83\n-1.28,36.84\t-1.29,36.84 -1.28,36.83 ", JK_CODE_NONE, ""},
		{CIRCLE, "-1.28,36.83 0", JK_CODE_NONE, ""},
	};

	(void)state;
	for (int round = 0; round < 2; round++) /* twice: nothing an alert says may stay in the schema */
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			struct intake_decoded decoded;
			struct jk_refusal refusal;

			if (!read_text(replace(rows[i].from, rows[i].to), true, &decoded, &refusal))
				fail_msg("%s: refused: %s %s", rows[i].to, refusal.field, refusal.reason);
			assert_string_equal(decoded.external_id, "desk@example.or.ke,KE-1,2026-03-01T05:15:30Z");
			assert_int_equal(decoded.revision, INT64_C(1772342130000));
			assert_int_equal(decoded.warnings.count, 0);
		}
}

static void test_empty_and_foreign(void **state)
{
	static const char utf16[] = "\xff\xfe<\0a\0/\0>\0";
	static const char latin1[] = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe9</a>";

	(void)state;
	expect_refusal(0, JK_CODE_NOT_WELL_FORMED, "line 1", "nothing");
	expect_refusal((size_t)snprintf(text, sizeof text, "{\"identity\":{}}"), JK_CODE_NOT_WELL_FORMED, "line 1", "JSON");
	memcpy(text, utf16, sizeof utf16 - 1);
	expect_refusal(sizeof utf16 - 1, JK_CODE_NOT_AN_ALERT, "a", "UTF-16 is converted, but it is no alert");
	memcpy(text, latin1, sizeof latin1 - 1);
	expect_refusal(sizeof latin1 - 1, JK_CODE_NOT_AN_ALERT, "a", "Latin 1 is converted, but it is no alert");
	memcpy(text, "<a/>\0", 6);
	expect_refusal(6, JK_CODE_NOT_WELL_FORMED, "line 1", "NUL behind the end");
	memcpy(text, "\xff\xfe<\0a\0/\0>\0\0\0x\0", 14);
	expect_refusal(14, JK_CODE_NOT_WELL_FORMED, "line 1", "NUL behind the end in UTF-16");
	memcpy(text, good, strlen(good));
	text[strlen(good) / 2] = '\0';
	expect_refusal(strlen(good), JK_CODE_NOT_WELL_FORMED, "line 5", "NUL in the middle");
}

static void test_truncated_anywhere(void **state)
{
	struct intake_decoded decoded;
	struct jk_refusal refusal;

	(void)state;
	for (size_t size = 0; size < strlen(good) - 1; size++) { /* its last byte is a newline */
		memcpy(text, good, size);
		if (read_text(size, false, &decoded, &refusal))
			fail_msg("taken when cut at %zu", size);
		assert_int_equal(refusal.code, JK_CODE_NOT_WELL_FORMED);
	}
}

static void test_bombs(void **state)
{
	size_t size;

	(void)state;
	size = (size_t)snprintf(text, sizeof text,
		"<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c "
		"\"&b;&b;&b;&b;&b;&b;\">"
		"<!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\">]><alert>&d;&d;&d;&d;&d;</alert>");
	expect_refusal(size, JK_CODE_NOT_WELL_FORMED, "doctype", "billion laughs");
	size = (size_t)snprintf(
		text, sizeof text, "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/hostname\">]><alert>&x;</alert>");
	expect_refusal(size, JK_CODE_NOT_WELL_FORMED, "doctype", "external entity");
	size = (size_t)snprintf(text, sizeof text, "<!DOCTYPE a [<!ENTITY %% x SYSTEM \"http://127.0.0.1:9/x\"> %%x;]><alert/>");
	expect_refusal(size, JK_CODE_NOT_WELL_FORMED, "doctype", "external parameter entity");
	size = (size_t)snprintf(text, sizeof text, "<!DOCTYPE a [<<<<");
	expect_refusal(size, JK_CODE_NOT_WELL_FORMED, "doctype", "a document type before anything else that is wrong");
	size = 0;
	while (size < 1500000)
		size += (size_t)snprintf(text + size, sizeof text - size, "<a>");
	expect_refusal(size, JK_CODE_NOT_WELL_FORMED, "line 1", "half a million levels");
	memset(text, ' ', 2 * 1024 * 1024 + 1);
	expect_refusal(2 * 1024 * 1024 + 1, JK_CODE_OVERSIZE, "", "2 MiB and a byte");
	memset(text, ' ', 2 * 1024 * 1024);
	expect_refusal(2 * 1024 * 1024, JK_CODE_NOT_WELL_FORMED, "line 1", "2 MiB of blanks");
}

/* What libxml2 takes quadratic time for: refused at once. */
static void test_slow(void **state)
{
	static const char head[] = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"";
	size_t size = (size_t)snprintf(text, sizeof text, "%s", head);

	(void)state;
	for (unsigned i = 0; size < 2000000; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, " a%x=\"\"", i);
	size += (size_t)snprintf(text + size, sizeof text - size, "/>");
	expect_refusal(size, JK_CODE_NOT_WELL_FORMED, "line 1", "200,000 attributes");
	memcpy(text, "<!DOCTYPE a>\n<alert xml=", 24);
	expect_refusal(size, JK_CODE_NOT_WELL_FORMED, "doctype", "200,000 attributes behind a DOCTYPE");
	size = (size_t)snprintf(text, sizeof text, "%s>", head);
	for (unsigned i = 0; size < 2000000; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, "<a xmlns:a%x=\"u\"/>", i);
	expect_refusal(size, JK_CODE_NOT_WELL_FORMED, "line 1", "100,000 namespaces");
	size = 0;
	for (const char *c = "\xff\xfe"; *c != '\0'; c++)
		text[size++] = *c;
	for (const char *c = head; *c != '\0' || size < 10000; c = c[1] == '\0' && size < 10000 ? head + 6 : c + 1) {
		text[size++] = *c;
		text[size++] = '\0';
	}
	expect_refusal(size, JK_CODE_NOT_WELL_FORMED, "line 1", "many attributes in UTF-16");
	size = (size_t)snprintf(text, sizeof text, "<?xml version=\"1.0\" encoding=\"UTF-7\"?>%s>", head);
	expect_refusal(size, JK_CODE_NOT_WELL_FORMED, "line 1", "UTF-7");
}

/* `good` with a piece repeated before `at`. */
static size_t repeat(const char *at, const char *piece, size_t times)
{
	const char *place = strstr(good, at);
	size_t size = (size_t)(place - good), length = strlen(piece);

	memcpy(text, good, size);
	for (; times > 0; times--, size += length)
		memcpy(text + size, piece, length);
	memcpy(text + size, place, strlen(place));
	return size + strlen(place);
}

static void test_too_many(void **state)
{
	struct intake_decoded decoded;
	struct jk_refusal refusal;
	size_t size;

	(void)state;
	size = repeat("<info>",
		"<info><category>Fire</category><event>Fire</event><urgency>Past</urgency><severity>Minor</severity>"
		"<certainty>Unlikely</certainty></info>",
		64);
	expect_refusal(size, JK_CODE_RULE_VIOLATION, "alert/info[65]", "65 infos");
	expect_refusal(repeat("<area>", "<area><areaDesc>a</areaDesc></area>", 256), JK_CODE_RULE_VIOLATION,
		"alert/info/area[257]", "257 areas");
	expect_refusal(
		repeat("<circle>", "<polygon/>", 1024), JK_CODE_RULE_VIOLATION, "alert/info/area/polygon[1025]", "1025 polygons");
	expect_refusal(
		repeat("</area>", "<circle/>", 1023), JK_CODE_RULE_VIOLATION, "alert/info/area/circle[1024]", "1024 circles");
	expect_refusal(repeat("</area>", "<geocode><valueName>a</valueName><value>b</value></geocode>", 3073),
		JK_CODE_RULE_VIOLATION, "alert/info/area/geocode[3073]", "3073 geocodes");
	expect_refusal(repeat(" -1.28,36.84", " -1.28,36.83", 16384 - 3), JK_CODE_RULE_VIOLATION, "alert/info/area/polygon",
		"16385 points");
	assert_true(read_text(repeat(" -1.28,36.84", " -1.28,36.83", 16384 - 4), true, &decoded, &refusal));
	assert_int_equal(decoded.incident->place->polygons[0]->n_points, 16384);
	assert_true(read_text(repeat("</area>", "<circle/>", 1022), false, &decoded, &refusal));
	assert_int_equal(decoded.warnings.count, 1); /* one wrong shape, however often */
}

/* As the other formats' external ids: 256 bytes, and not one more. */
static void test_long_names(void **state)
{
	static const struct {
		const char *before, *field;
		size_t room; /* beside what the good alert has */
	} rows[] = {
		{"KE-1", "alert/identifier", 256 - (sizeof "KE-1" - 1)},
		{"desk@", "alert/sender", 256 - (sizeof "desk@example.or.ke" - 1)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct intake_decoded decoded;
		struct jk_refusal refusal;

		if (!read_text(repeat(rows[i].before, "x", rows[i].room), true, &decoded, &refusal))
			fail_msg("256 bytes are refused: %s %s", refusal.field, refusal.reason);
		expect_refusal(repeat(rows[i].before, "x", rows[i].room + 1), JK_CODE_INVALID_SCHEMA, rows[i].field, "257 bytes");
		expect_refusal(repeat(rows[i].before, "x", 1900000), JK_CODE_INVALID_SCHEMA, rows[i].field, "1.9 MB");
	}
}

static void test_small_arena(void **state)
{
	struct intake_decoded decoded;
	struct jk_refusal refusal = {0};
	size_t refusals = 0;

	(void)state;
	for (size_t limit = 64; limit < 65536; limit += 64) {
		struct jk_arena *small = jk_arena_new(limit);

		assert_non_null(small);
		if (!intake_cap_read(cap, (const uint8_t *)good, strlen(good), false, small, &decoded, &refusal)) {
			assert_int_equal(refusal.code, JK_CODE_OVERSIZE);
			refusals++;
		}
		jk_arena_free(&small);
	}
	assert_true(refusals > 10 && refusals < 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_warned),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_empty_and_foreign),
		cmocka_unit_test(test_truncated_anywhere),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_small_arena),
	};

	return cmocka_run_group_tests(tests, open_reader, close_reader);
}
