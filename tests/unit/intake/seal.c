/* What leaves intake is built from known fields, says what intake decided, and withholds reporter and persons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/jk_text.h"
#include "feed/feed_body.h"
#include "services/intake/intake_wire.h"
#include "wire/wire_body.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };
static const char json[] = "{\"identity\":{\"external_id\":\"x-1\",\"revision\":7,\"status\":\"ACTUAL\",\"agency\":\"KRCS\"},"
			   "\"classification\":{\"categories\":[\"FIRE\",\"RESCUE\"]},"
			   "\"place\":{\"codes\":[{\"scheme\":\"CONSTITUENCY\",\"code\":\"290\"}],\"counties\":[\"001\"]},"
			   "\"references\":{\"orphan\":true},\"handling\":{\"scope\":\"PUBLIC\"},"
			   "\"reporter\":{\"name\":\"Njeri Wa SECRET\",\"phone\":\"+254700000001\"},"
			   "\"persons\":{\"persons\":[{\"name\":\"Otieno SECRET\"}]}}";

static struct jk_arena *arena;

static int open_arena(void **state)
{
	(void)state;
	arena = jk_arena_new(ARENA_BYTES);
	return arena ? 0 : -1;
}

static int close_arena(void **state)
{
	(void)state;
	jk_arena_free(&arena);
	return 0;
}

static void read_item(struct intake_item *item, enum jk_format format, const void *bytes, size_t size)
{
	static struct intake_decoded decoded;
	const struct intake_publish publish = {.format = format, .payload = bytes, .payload_size = size, .county = ""};
	struct jk_refusal refusal = {0};

	memset(item, 0, sizeof *item);
	memset(&decoded, 0, sizeof decoded);
	item->arena = arena;
	jk_text_copy(item->agency, sizeof item->agency, "KRCS");
	if (!intake_wire_read(NULL, &publish, arena, &decoded, &refusal))
		fail_msg("%s: %s", refusal.field, refusal.reason);
	assert_true(intake_wire_report(&decoded, "", arena, &item->report, &item->message, &refusal));
}

static bool holds(const uint8_t *bytes, size_t size, const char *text)
{
	return memmem(bytes, size, text, strlen(text)) != NULL;
}

static const Jukwaa__V1__EventBody *sealed_body(struct intake_item *item, const struct intake_incident *incident)
{
	struct jk_refusal refusal;

	const struct intake_filling filling = {.counties = UINT64_C(1) << 47 | UINT64_C(1) << 22, .incident = incident};
	assert_int_equal(intake_wire_seal(item, &filling, arena), JK_OK);
	const Jukwaa__V1__EventBody *body = (const Jukwaa__V1__EventBody *)jk_body_unpack(
		&jukwaa__v1__event_body__descriptor, item->sealed.body, item->sealed.body_size, arena, &refusal);
	assert_non_null(body);
	assert_int_equal(body->n_groups, JK_GROUP_COUNT);
	assert_true(jk_body_verify(body, item->sealed.commitment));
	return body;
}

static const void *group_of(const Jukwaa__V1__EventBody *body, int tag, const ProtobufCMessageDescriptor *type)
{
	struct jk_refusal refusal;
	const ProtobufCBinaryData *content = &body->groups[tag - 1]->content;
	const void *message = jk_body_unpack(type, content->data, content->len, arena, &refusal);

	assert_non_null(message);
	return message;
}

static void test_reporter_and_persons_stay_out_of_the_body(void **state)
{
	struct intake_item item;

	(void)state;
	read_item(&item, JK_FORMAT_JSON, json, sizeof json - 1);
	const Jukwaa__V1__EventBody *body = sealed_body(&item, NULL);
	assert_false(holds(item.sealed.body, item.sealed.body_size, "SECRET"));
	assert_false(holds(item.sealed.body, item.sealed.body_size, "254700000001"));
	assert_true(holds(item.sealed.reporter.content, item.sealed.reporter.size, "Njeri Wa SECRET"));
	assert_true(holds(item.sealed.persons.content, item.sealed.persons.size, "Otieno SECRET"));
	assert_int_equal(body->stored_apart, 1 << JK_GROUP_REPORTER | 1 << JK_GROUP_PERSONS);
	static const uint8_t zero[JK_SALT_BYTES];
	assert_memory_not_equal(item.sealed.reporter.salt, zero, sizeof zero);
}

static void test_intake_fills_in_what_it_decided(void **state)
{
	struct intake_item item;

	(void)state;
	read_item(&item, JK_FORMAT_JSON, json, sizeof json - 1);
	assert_int_equal(item.report.tlp, JK_TLP_AMBER);
	assert_int_equal(item.report.category, 6);
	const Jukwaa__V1__EventBody *body = sealed_body(&item, NULL);
	const Jukwaa__V1__Place *place = group_of(body, JK_GROUP_PLACE, &jukwaa__v1__place__descriptor);
	assert_int_equal(place->n_counties, 2);
	assert_string_equal(place->counties[0], "022");
	assert_string_equal(place->counties[1], "047");
	assert_string_equal(place->constituency, "290");
	assert_int_equal(place->n_codes, 0); /* as the publisher wrote it: with the words */
	/* A publisher cannot call itself an orphan: with nothing else in the group, it is empty. */
	assert_int_equal(body->groups[JK_GROUP_REFERENCES - 1]->content.len, 0);
	const Jukwaa__V1__Classification *classification =
		group_of(body, JK_GROUP_CLASSIFICATION, &jukwaa__v1__classification__descriptor);
	assert_int_equal(classification->severity, JK_SEVERITY_UNKNOWN);
}

static void test_a_cancellation_carries_its_incidents_classification(void **state)
{
	static const char cancel[] = "{\"identity\":{\"external_id\":\"x-1\",\"revision\":8,\"status\":\"ACTUAL\","
				     "\"msg_type\":\"CANCEL\"},\"handling\":{\"scope\":\"PUBLIC\",\"tlp\":\"GREEN\"}}";
	struct intake_item item;

	(void)state;
	read_item(&item, JK_FORMAT_JSON, cancel, sizeof cancel - 1);
	for (int category = 6; category >= 5; category--) { /* decided twice: the second time for another incident */
		const struct intake_incident incident = {
			.category = category, .categories = (uint16_t)(1 << category | 1 << 7), .severity = JK_SEVERITY_SEVERE};
		const Jukwaa__V1__Classification *classification =
			group_of(sealed_body(&item, &incident), JK_GROUP_CLASSIFICATION, &jukwaa__v1__classification__descriptor);
		assert_int_equal(classification->n_categories, 2);
		assert_int_equal(classification->categories[0], category);
		assert_int_equal(classification->categories[1], 7);
		assert_int_equal(classification->severity, JK_SEVERITY_SEVERE);
	}
}

static void test_unknown_fields_do_not_pass(void **state)
{
	/* identity { external_id "u", status ACTUAL, field 99 "MARKER" }, category FIRE, scope PUBLIC, field 77 "MARKER" */
	static const uint8_t bytes[] = {0x0a, 14, 0x1a, 1, 'u', 0x28, 1, 0x9a, 0x06, 6, 'M', 'A', 'R', 'K', 'E', 'R', 0x12, 3,
		0x0a, 1, 6, 0x42, 2, 0x10, 1, 0xea, 0x04, 6, 'M', 'A', 'R', 'K', 'E', 'R'};
	struct intake_item item;

	(void)state;
	read_item(&item, JK_FORMAT_PROTOBUF, bytes, sizeof bytes);
	assert_int_equal(sealed_body(&item, NULL)->stored_apart, 0);
	assert_false(holds(item.sealed.body, item.sealed.body_size, "MARKER"));
}

static void test_json_and_protobuf_of_one_report_have_one_canonical_content(void **state)
{
	static const char spaced[] = "{ \"handling\" : {\"scope\":\"PUBLIC\"},\n \"classification\":{\"categories\":[\"FIRE\"]},"
				     "\"identity\":{\"status\":\"ACTUAL\",\"external_id\":\"u\"}}";
	static const uint8_t bytes[] = {0x0a, 5, 0x1a, 1, 'u', 0x28, 1, 0x12, 3, 0x0a, 1, 6, 0x42, 2, 0x10, 1};
	static struct intake_decoded one, other;
	struct jk_refusal refusal;

	(void)state;
	assert_true(intake_json_read((const uint8_t *)spaced, sizeof spaced - 1, false, arena, &one, &refusal));
	assert_true(intake_pb_read(bytes, sizeof bytes, false, arena, &other, &refusal));
	assert_int_equal(one.canonical_size, other.canonical_size);
	assert_memory_equal(one.canonical, other.canonical, one.canonical_size);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_arena, close_arena)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reporter_and_persons_stay_out_of_the_body),
		TEST(test_intake_fills_in_what_it_decided),
		TEST(test_a_cancellation_carries_its_incidents_classification),
		TEST(test_unknown_fields_do_not_pass),
		TEST(test_json_and_protobuf_of_one_report_have_one_canonical_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
