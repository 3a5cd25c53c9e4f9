/* Where each element of an alert goes, on one rich alert of our own writing and small variations of its head. */
#include "cap_support.h"

#include "services/intake/intake_wire_cap.h"

static struct intake_cap *cap;
static struct jk_arena *arena;
static char text[16384];

static int open_reader(void **state)
{
	(void)state;
	arena = jk_arena_new(1024 * 1024);
	return arena != NULL && intake_cap_open(&cap) == JK_OK ? 0 : -1;
}

static int close_reader(void **state)
{
	(void)state;
	intake_cap_close(&cap);
	jk_arena_free(&arena);
	return 0;
}

#define HEAD(code)                                                                                                               \
	"<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>KE-2</identifier><sender>kmd@example.or.ke</sender>"  \
	"<sent>2026-03-01T08:15:30+03:00</sent><status>Exercise</status><msgType>Update</msgType><source>radar</source>" code

#define REFERENCES                                                                                                               \
	"<references> kmd@example.or.ke,KE-0,2026-03-01T06:00:00+03:00\n kmd@example.or.ke,KE-1,2026-03-01T04:00:00-00:00 "      \
	"</references><incidents>\"long rains\" flood-7</incidents>"

#define AREA                                                                                                                     \
	"<area><areaDesc>Budalangi</areaDesc><polygon>0.1,34.0 0.1,34.1 0.2,34.1 0.1,34.0</polygon><circle>0.15,34.05 "          \
	"3</circle>"                                                                                                             \
	"<geocode><valueName>KE-COUNTY</valueName><value>040</value></geocode>"                                                  \
	"<geocode><valueName>iso-3166-2</valueName><value> KE-04 </value></geocode>"                                             \
	"<geocode><valueName>ISO-3166-2</valueName><value>UG-203</value></geocode>"                                              \
	"<geocode><valueName>KE-CONSTITUENCY</valueName><value>225</value></geocode>"                                            \
	"<geocode><valueName>UGC</valueName><value>047</value></geocode></area>"

static const char *const rich =
	HEAD("<scope>Restricted</scope><restriction>county staff</restriction><addresses>a@example.or.ke \"County "
	     "Commander\"</addresses>"
	     "<code>profile:x</code><code>TLP:GREEN</code><code>tlp:amber+strict</code><note>a note</note>") REFERENCES
	"<info><language>en-KE</language><category>Met</category><category>Geo</category><event>Flood</event>"
	"<responseType>Evacuate</responseType><responseType>AllClear</responseType>"
	"<urgency>Expected</urgency><severity>Moderate</severity><certainty>Likely</certainty><audience>all</audience>"
	"<eventCode><valueName>SAME</valueName><value>FFW</value></eventCode>"
	"<effective>2026-03-01T09:00:00+03:00</effective><onset>2026-03-01T12:00:00+03:00</onset>"
	"<expires>2026-03-01T18:00:00+03:00</expires><senderName>Met Department</senderName><headline>Flood</headline>"
	"<description>The Nzoia rises.</description><instruction>Leave.</instruction><web>https://example.or.ke/1</web>"
	"<contact>020</contact><parameter><valueName>level</valueName><value>2</value></parameter>"
	"<parameter><valueName>OBNumber</valueName><value>17/01/03/2026</value></parameter>"
	"<resource><resourceDesc>Map</resourceDesc><mimeType>image/png</mimeType><size> 1200 </size>"
	"<uri>https://example.or.ke/m.png</uri><derefUri>QUJD\nREVG</derefUri><digest>d1</digest></resource>" AREA "</info>"
	"<info><language>sw-KE</language><category>Met</category><category>Safety</category><event>Mafuriko</event>"
	"<responseType>Evacuate</responseType>"
	"<urgency>Future</urgency><severity>Extreme</severity><certainty>Observed</certainty>"
	"<eventCode><valueName>SAME</valueName><value>FFW</value></eventCode>"
	"<effective>2026-03-01T08:30:00+03:00</effective><onset>2026-03-01T13:00:00+03:00</onset>"
	"<expires>2026-03-01T19:00:00+03:00</expires><headline>Mafuriko</headline>" AREA "</info></alert>";

static const Jukwaa__V1__Incident *read_alert(const char *alert, struct intake_decoded *ret)
{
	struct jk_refusal refusal = {0};

	jk_arena_reset(arena);
	if (!intake_cap_read(cap, (const uint8_t *)alert, strlen(alert), false, arena, ret, &refusal))
		fail_msg("refused: %s %s: %s", jk_words_name(&jk_codes, (int)refusal.code), refusal.field, refusal.reason);
	return ret->incident;
}

static const int64_t sent_us = INT64_C(1772342130000000);  /* 2026-03-01T05:15:30Z */
static const int64_t eight_us = INT64_C(1772341200000000); /* 2026-03-01T08:00:00+03:00 */
static const int64_t hour_us = INT64_C(3600000000);

static void test_identity_and_references(void **state)
{
	struct intake_decoded decoded;
	const Jukwaa__V1__Incident *incident = read_alert(rich, &decoded);
	const Jukwaa__V1__References *references = incident->references;

	(void)state;
	assert_string_equal(incident->identity->external_id, "KE-2");
	assert_string_equal(incident->identity->sender, "kmd@example.or.ke");
	assert_string_equal(incident->identity->agency, "");
	assert_string_equal(incident->identity->source, "radar");
	assert_string_equal(incident->identity->sender_name, "Met Department");
	assert_string_equal(incident->identity->ob_number, "17/01/03/2026");
	assert_int_equal(incident->identity->status, JK_CAP_STATUS_EXERCISE);
	assert_int_equal(incident->identity->msg_type, JK_MSG_TYPE_UPDATE);
	assert_int_equal(incident->identity->revision, sent_us / 1000);
	assert_string_equal(decoded.external_id, "kmd@example.or.ke,KE-2,2026-03-01T05:15:30Z");
	assert_string_equal(decoded.sender, "kmd@example.or.ke");
	assert_false(decoded.key_has_revision);
	assert_int_equal(decoded.reference_count, 2);
	assert_string_equal(decoded.references[0], "kmd@example.or.ke,KE-0,2026-03-01T03:00:00Z");
	assert_string_equal(decoded.references[1], "kmd@example.or.ke,KE-1,2026-03-01T04:00:00Z");
	assert_int_equal(references->n_references, 2);
	assert_string_equal(references->references[1]->external_id, "KE-1");
	assert_int_equal(references->references[0]->sent_us, eight_us - 2 * hour_us);
	assert_int_equal(references->n_incidents, 2);
	assert_string_equal(references->incidents[0], "long rains");
	assert_string_equal(references->incidents[1], "flood-7");
}

static void test_classification_and_times(void **state)
{
	struct intake_decoded decoded;
	const Jukwaa__V1__Incident *incident = read_alert(rich, &decoded);
	const Jukwaa__V1__Classification *class = incident->classification;

	(void)state;
	assert_int_equal(class->n_categories, 3);
	assert_int_equal(class->categories[0], jk_words_number(&jk_categories, "Met"));
	assert_int_equal(class->categories[2], jk_words_number(&jk_categories, "Safety"));
	assert_string_equal(class->event, "Flood");
	assert_int_equal(class->urgency, jk_words_number(&jk_urgencies, "Expected"));
	assert_int_equal(class->certainty, jk_words_number(&jk_certainties, "Likely"));
	assert_int_equal(class->severity, JK_SEVERITY_EXTREME);
	assert_int_equal(class->n_response_types, 2);
	assert_int_equal(class->response_types[1], jk_words_number(&jk_response_types, "AllClear"));
	assert_int_equal(class->n_event_codes, 1);
	assert_string_equal(class->event_codes[0]->value, "FFW");
	assert_int_equal(class->n_parameters, 1);
	assert_string_equal(class->parameters[0]->name, "level");
	assert_int_equal(incident->times->sent_us, sent_us);
	assert_int_equal(incident->times->effective_us, eight_us + hour_us / 2);
	assert_int_equal(incident->times->onset_us, eight_us + 4 * hour_us);
	assert_int_equal(incident->times->expires_us, eight_us + 11 * hour_us);
}

static void test_narrative_and_resources(void **state)
{
	struct intake_decoded decoded;
	const Jukwaa__V1__Incident *incident = read_alert(rich, &decoded);
	const Jukwaa__V1__Text *english = incident->narrative->texts[0];
	const Jukwaa__V1__Resource *resource = incident->resources->resources[0];

	(void)state;
	assert_int_equal(incident->narrative->n_texts, 2);
	assert_string_equal(english->language, "en-KE");
	assert_string_equal(english->headline, "Flood");
	assert_string_equal(english->description, "The Nzoia rises.");
	assert_string_equal(english->instruction, "Leave.");
	assert_string_equal(english->audience, "all");
	assert_string_equal(english->web, "https://example.or.ke/1");
	assert_string_equal(english->contact, "020");
	assert_string_equal(incident->narrative->texts[1]->headline, "Mafuriko");
	assert_int_equal(incident->resources->n_resources, 1);
	assert_string_equal(resource->description, "Map");
	assert_string_equal(resource->mime_type, "image/png");
	assert_int_equal(resource->size_bytes, 1200);
	assert_string_equal(resource->uri, "https://example.or.ke/m.png");
	assert_string_equal(resource->digest, "d1");
	assert_int_equal(resource->embedded_bytes, 6);
	assert_int_equal(decoded.warnings.count, 1);
	assert_int_equal(decoded.warnings.list[0].code, JK_CODE_CONTENT_NOT_CARRIED);
	assert_string_equal(decoded.warnings.list[0].field, "alert/info[1]/resource/derefUri");
}

static void test_place(void **state)
{
	struct intake_decoded decoded;
	const Jukwaa__V1__Place *place = read_alert(rich, &decoded)->place;

	(void)state;
	assert_int_equal(place->n_text, 1);
	assert_string_equal(place->text[0], "Budalangi");
	assert_int_equal(place->n_polygons, 1);
	assert_int_equal(place->polygons[0]->n_points, 4);
	assert_true(place->polygons[0]->points[2]->lat == 0.2 && place->polygons[0]->points[2]->lon == 34.1);
	assert_int_equal(place->n_circles, 1);
	assert_true(place->circles[0]->centre->lat == 0.15 && place->circles[0]->radius_km == 3.0);
	assert_int_equal(place->n_codes, 3);
	assert_int_equal(place->codes[0]->scheme, JK_PLACE_COUNTY);
	assert_string_equal(place->codes[0]->code, "040");
	assert_int_equal(place->codes[1]->scheme, JK_PLACE_ISO_3166_2);
	assert_string_equal(place->codes[1]->code, "KE-04");
	assert_int_equal(place->codes[2]->scheme, JK_PLACE_CONSTITUENCY);
	assert_int_equal(place->n_geocodes, 2);
	assert_string_equal(place->geocodes[0]->value, "UG-203");
	assert_string_equal(place->geocodes[1]->name, "UGC");
}

static void test_handling(void **state)
{
	struct intake_decoded decoded;
	const Jukwaa__V1__Handling *handling = read_alert(rich, &decoded)->handling;

	(void)state;
	assert_int_equal(handling->scope, JK_SCOPE_RESTRICTED);
	assert_string_equal(handling->restriction, "county staff");
	assert_string_equal(handling->note, "a note");
	assert_int_equal(handling->n_addresses, 2);
	assert_string_equal(handling->addresses[0], "a@example.or.ke");
	assert_string_equal(handling->addresses[1], "County Commander");
	assert_int_equal(handling->n_codes, 3);
	assert_int_equal(handling->tlp, JK_TLP_AMBER_STRICT); /* the strictest of GREEN and AMBER+STRICT */
}

static void test_labels(void **state)
{
	static const struct {
		const char *head;
		int tlp;
	} rows[] = {
		{"<scope>Public</scope>", JK_TLP_CLEAR},
		{"<scope>Restricted</scope><restriction>x</restriction>", JK_TLP_AMBER},
		{"<scope>Private</scope><addresses>a</addresses>", JK_TLP_RED},
		{"<scope>Public</scope><code>TLP:RED</code>", JK_TLP_RED},
		{"<scope>Public</scope><code> tlp:Amber-Strict </code>", JK_TLP_AMBER_STRICT},
		{"<scope>Public</scope><code>TLP:WHITE</code>", JK_TLP_CLEAR},
		{"<scope>Private</scope><addresses>a</addresses><code>TLP:GREEN</code>", JK_TLP_GREEN},
		{"<scope>Public</scope><code>TLPS</code>", JK_TLP_CLEAR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct intake_decoded decoded;

		snprintf(text, sizeof text, HEAD("%s") REFERENCES "</alert>", rows[i].head);
		assert_int_equal(read_alert(text, &decoded)->handling->tlp, rows[i].tlp);
	}
}

static void test_cancel_without_info(void **state)
{
	struct intake_decoded decoded;
	const Jukwaa__V1__Incident *incident;

	(void)state;
	snprintf(text, sizeof text, "%s", HEAD("<scope>Public</scope>") REFERENCES "</alert>");
	memcpy(strstr(text, "Update"), "Cancel", 6);
	incident = read_alert(text, &decoded);
	assert_int_equal(incident->identity->msg_type, JK_MSG_TYPE_CANCEL);
	assert_int_equal(incident->classification->n_categories, 1);
	assert_int_equal(incident->classification->categories[0], JK_CATEGORY_OTHER);
	assert_int_equal(incident->classification->severity, JK_SEVERITY_UNKNOWN);
	assert_int_equal(incident->narrative->n_texts, 0);
	assert_int_equal(incident->times->expires_present_case, 0);
}

/* What canonical content leaves out, and what it keeps. */
static void test_canonical(void **state)
{
	static const char *const same =
		"<?xml version='1.0'?><c:alert xmlns:c='urn:oasis:names:tc:emergency:cap:1.2' xmlns:unused='urn:x'>\n\n"
		"<c:identifier >KE-3</c:identifier><!-- a comment "
		"--><c:sender>a</c:sender>\n<c:sent>2026-03-01T08:15:30+03:00</c:sent>"
		"<c:status>Actual</c:status><c:msgType>Alert</c:msgType><c:scope><![CDATA[Public]]></c:scope>"
		"<d:Signature xmlns:d='http://www.w3.org/2000/09/xmldsig#'>x</d:Signature></c:alert>\n";
	static const char *const expected =
		"<c:alert "
		"xmlns:c=\"urn:oasis:names:tc:emergency:cap:1.2\"><c:identifier>KE-3</c:identifier><c:sender>a</c:sender>"
		"<c:sent>2026-03-01T08:15:30+03:00</c:sent><c:status>Actual</c:status><c:msgType>Alert</c:msgType>"
		"<c:scope>Public</c:scope></c:alert>";
	struct intake_decoded decoded;
	size_t size;

	(void)state;
	read_alert(same, &decoded);
	assert_int_equal(decoded.canonical_size, strlen(expected));
	assert_memory_equal(decoded.canonical, expected, strlen(expected));
	/* White space within an element is content. */
	snprintf(text, sizeof text, "%s", rich);
	read_alert(text, &decoded);
	size = decoded.canonical_size;
	*strstr(text, "Nzoia rises") = '\n';
	read_alert(text, &decoded);
	assert_int_equal(decoded.canonical_size, size);
	assert_non_null(memmem(decoded.canonical, size, "The \nzoia rises", 15));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity_and_references),
		cmocka_unit_test(test_classification_and_times),
		cmocka_unit_test(test_narrative_and_resources),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_handling),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_cancel_without_info),
		cmocka_unit_test(test_canonical),
	};

	return cmocka_run_group_tests(tests, open_reader, close_reader);
}
