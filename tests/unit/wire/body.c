/* Bodies: every trap that protobuf-c 1.4.1 leaves open is refused here, by name of the field; then what passes, and what it
 * costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/jk_text.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "wire/wire_body.h"

#define INCIDENT &jukwaa__v1__incident__descriptor
#define PUBLISH &jukwaa__v1__publish__descriptor
#define DELIVER &jukwaa__v1__deliver__descriptor
#define POINT &jukwaa__v1__point__descriptor
#define WELCOME &jukwaa__v1__welcome__descriptor
#define IDENTITY &jukwaa__v1__identity__descriptor
#define CLASSIFICATION &jukwaa__v1__classification__descriptor

enum { ARENA_BYTES = 1 << 20 };

struct refusal {
	const char *what;
	const ProtobufCMessageDescriptor *type;
	const char *bytes;
	size_t size;
	enum jk_code code;
	const char *field;
};
#define B(text) text, sizeof(text) - 1
static const struct refusal refusals[] = {
	{"tag cut off", INCIDENT, B("\x80"), JK_CODE_NOT_WELL_FORMED, ""},
	{"tag 0", INCIDENT, B("\x02\x00"), JK_CODE_NOT_WELL_FORMED, ""},
	{"tag of six bytes", INCIDENT, B("\x8a\x80\x80\x80\x80\x00\x00"), JK_CODE_NOT_WELL_FORMED, ""},
	{"tag beyond 29 bits", INCIDENT, B("\xf8\xff\xff\xff\x1f\x00"), JK_CODE_NOT_WELL_FORMED, ""},
	{"group begins", INCIDENT, B("\xa3\x06"), JK_CODE_NOT_WELL_FORMED, ""},
	{"group ends", INCIDENT, B("\xa4\x06"), JK_CODE_NOT_WELL_FORMED, ""},
	{"wire type 6", INCIDENT, B("\xa6\x06"), JK_CODE_NOT_WELL_FORMED, ""},
	{"wire type 7", INCIDENT, B("\xa7\x06"), JK_CODE_NOT_WELL_FORMED, ""},
	{"known field as a group", INCIDENT, B("\x0b\x0c"), JK_CODE_INVALID_SCHEMA, "identity"},
	{"length missing", INCIDENT, B("\x0a"), JK_CODE_NOT_WELL_FORMED, "identity"},
	{"length past the end", INCIDENT, B("\x0a\x05\x0a\x01"), JK_CODE_NOT_WELL_FORMED, "identity"},
	{"length of 4 GiB", INCIDENT, B("\x0a\xff\xff\xff\xff\x0f"), JK_CODE_NOT_WELL_FORMED, "identity"},
	{"length of 2^64-1", INCIDENT, B("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), JK_CODE_NOT_WELL_FORMED, "identity"},
	{"length in six bytes", INCIDENT, B("\x0a\x80\x80\x80\x80\x80\x00"), JK_CODE_NOT_WELL_FORMED, "identity"},
	{"inner length past the inner end", INCIDENT, B("\x0a\x02\x0a\x05KESTR"), JK_CODE_NOT_WELL_FORMED, "identity.agency"},
	{"varint cut off", PUBLISH, B("\x08\xff"), JK_CODE_NOT_WELL_FORMED, "session"},
	{"varint of eleven bytes", PUBLISH, B("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), JK_CODE_NOT_WELL_FORMED,
		"session"},
	{"varint beyond 64 bits", PUBLISH, B("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), JK_CODE_NOT_WELL_FORMED, "session"},
	{"64 bits cut off", POINT, B("\x09\x00\x00\x00"), JK_CODE_NOT_WELL_FORMED, "lat"},
	{"unknown field's number cut off", INCIDENT, B("\xa0\x06\x80"), JK_CODE_NOT_WELL_FORMED, ""},
	{"unknown field's 64 bits cut off", INCIDENT, B("\xa1\x06\x00"), JK_CODE_NOT_WELL_FORMED, ""},
	{"unknown field's 32 bits cut off", INCIDENT, B("\xa5\x06\x00"), JK_CODE_NOT_WELL_FORMED, ""},
	{"unknown field's length past the end", INCIDENT, B("\xa2\x06\x7f"), JK_CODE_NOT_WELL_FORMED, ""},
	{"text as number", IDENTITY, B("\x08\x01"), JK_CODE_INVALID_SCHEMA, "agency"},
	{"number as text", PUBLISH, B("\x0a\x01\x01"), JK_CODE_INVALID_SCHEMA, "session"},
	{"number in 32 bits", PUBLISH, B("\x0d\x01\x00\x00\x00"), JK_CODE_INVALID_SCHEMA, "session"},
	{"NUL within text", INCIDENT, B("\x0a\x09\x0a\x07KE\0evil"), JK_CODE_INVALID_SCHEMA, "identity.agency"},
	{"text not UTF-8", INCIDENT, B("\x0a\x04\x0a\x02\xc0\xaf"), JK_CODE_INVALID_SCHEMA, "identity.agency"},
	{"surrogate in text", INCIDENT, B("\x0a\x05\x0a\x03\xed\xa0\x80"), JK_CODE_INVALID_SCHEMA, "identity.agency"},
	{"text in an array not UTF-8", INCIDENT, B("\x22\x03\x32\x01\xff"), JK_CODE_INVALID_SCHEMA, "place.text"},
	{"enum 99", PUBLISH, B("\x18\x63"), JK_CODE_INVALID_SCHEMA, "format"},
	{"enum -1", PUBLISH, B("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), JK_CODE_INVALID_SCHEMA, "format"},
	{"enum 2^32+1, which protobuf-c takes for 1", PUBLISH, B("\x18\x81\x80\x80\x80\x10"), JK_CODE_INVALID_SCHEMA, "format"},
	{"enum 13 in the gap of kinds", DELIVER, B("\x40\x0d"), JK_CODE_INVALID_SCHEMA, "kind"},
	{"enum 99 packed", CLASSIFICATION, B("\x0a\x02\x06\x63"), JK_CODE_INVALID_SCHEMA, "categories"},
	{"enum 99 in an array, unpacked", CLASSIFICATION, B("\x08\x06\x08\x63"), JK_CODE_INVALID_SCHEMA, "categories"},
	{"packed numbers cut off", CLASSIFICATION, B("\x0a\x02\x06\x80"), JK_CODE_NOT_WELL_FORMED, "categories"},
	{"uint32 of 33 bits", WELCOME, B("\x18\x80\x80\x80\x80\x10"), JK_CODE_INVALID_SCHEMA, "epoch"},
	{"NaN", POINT, B("\x09\0\0\0\0\0\0\xf8\x7f"), JK_CODE_INVALID_SCHEMA, "lat"},
	{"-infinity", POINT, B("\x11\0\0\0\0\0\0\xf0\xff"), JK_CODE_INVALID_SCHEMA, "lon"},
	{"message twice", INCIDENT, B("\x0a\x00\x0a\x00"), JK_CODE_INVALID_SCHEMA, "identity"},
	{"message twice, another between", INCIDENT, B("\x0a\x00\x12\x00\x0a\x00"), JK_CODE_INVALID_SCHEMA, "identity"},
	{"one-member oneof twice", &jukwaa__v1__times__descriptor, B("\x08\x01\x08\x02"), JK_CODE_INVALID_SCHEMA, "sent_us"},
	{"oneof with both members", DELIVER, B("\x82\x01\x00\x8a\x01\x00"), JK_CODE_INVALID_SCHEMA, "delivered"},
	{"oneof message twice", DELIVER, B("\x82\x01\x00\x82\x01\x00"), JK_CODE_INVALID_SCHEMA, "event"},
	{"deep in an array", INCIDENT, B("\x22\x0f\x22\x0d\x0a\x0b\x09\0\0\0\0\0\0\xf8\x7f\x11\0"), JK_CODE_INVALID_SCHEMA,
		"place.polygons.points.lat"},
};

static void traps_are_refused(void **state)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		const struct refusal *row = &refusals[i];
		struct jk_refusal refusal = {.code = JK_CODE_NONE};
		/* In memory of its exact size: a sanitizer sees every byte read beyond. */
		uint8_t *bytes = malloc(row->size);
		memcpy(bytes, row->bytes, row->size);
		if (jk_body_check(row->type, bytes, row->size, &refusal))
			fail_msg("taken: %s", row->what);
		if (refusal.code != row->code || strcmp(refusal.field, row->field) != 0)
			fail_msg("%s: code %d field '%s'", row->what, refusal.code, refusal.field);
		assert_true(refusal.reason[0]);
		assert_null(jk_body_unpack(row->type, bytes, row->size, arena, &refusal));
		free(bytes);
	}
	assert_int_equal(jk_arena_used(arena), 0);
	jk_arena_free(&arena);
}

/* A type that contains itself, which our own files may not have. */
static ProtobufCMessageDescriptor nested;
static ProtobufCFieldDescriptor nested_field = {.name = "inner",
	.id = 1,
	.label = PROTOBUF_C_LABEL_NONE,
	.type = PROTOBUF_C_TYPE_MESSAGE,
	.offset = sizeof(ProtobufCMessage),
	.descriptor = &nested};
static const unsigned nested_by_name[] = {0};
static const ProtobufCIntRange nested_ranges[] = {{1, 0}, {0, 1}};

static void describe_nested(void)
{
	nested = (ProtobufCMessageDescriptor){.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
		.name = "nested",
		.sizeof_message = sizeof(ProtobufCMessage) + sizeof(void *),
		.n_fields = 1,
		.fields = &nested_field,
		.fields_sorted_by_name = nested_by_name,
		.n_field_ranges = 1,
		.field_ranges = nested_ranges};
}

static void depth_ends_at_eight(void **state)
{
	struct jk_refusal refusal;
	uint8_t bytes[40];
	(void)state;
	describe_nested();
	for (size_t levels = 1; levels < 20; levels++) {
		/* levels - 1 messages within the outermost. */
		for (size_t i = 0; i + 1 < levels; i++) {
			bytes[2 * i] = 0x0a;
			bytes[2 * i + 1] = (uint8_t)(2 * (levels - 2 - i));
		}
		assert_true(jk_body_check(&nested, bytes, 2 * (levels - 1), &refusal) == (levels <= 8));
	}
	assert_int_equal(refusal.code, JK_CODE_NOT_WELL_FORMED);
	assert_string_equal(refusal.field, "inner.inner.inner.inner.inner.inner.inner.inner");
}

static void fields_end_at_524288(void **state)
{
	struct jk_refusal refusal;
	uint8_t *bytes = malloc(2 * 524289);
	(void)state;
	for (int i = 0; i < 524289; i++)
		memcpy(bytes + 2 * i, "\x18\x01", 2);
	assert_true(jk_body_check(PUBLISH, bytes, 2 * 524288, &refusal));
	assert_false(jk_body_check(PUBLISH, bytes, 2 * 524289, &refusal));
	assert_int_equal(refusal.code, JK_CODE_NOT_WELL_FORMED);
	free(bytes);
}

/* What is cut anywhere is refused, or is a shorter message that unpacks too; never a crash. */
static uint8_t *sample(struct jk_arena *arena, size_t *ret_size);

static void cut_anywhere(void **state)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES), *other = jk_arena_new(ARENA_BYTES);
	struct jk_refusal refusal;
	size_t size, refused = 0;
	uint8_t *bytes = sample(arena, &size);
	(void)state;
	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *copy = malloc(cut + 1);
		memcpy(copy, bytes, cut);
		bool good = jk_body_check(INCIDENT, copy, cut, &refusal);
		jk_arena_reset(other);
		assert_true((jk_body_unpack(INCIDENT, copy, cut, other, &refusal) != NULL) == good);
		refused += !good;
		free(copy);
	}
	assert_true(refused > size * 9 / 10);
	jk_arena_free(&arena);
	jk_arena_free(&other);
}

/* Every bit turned: whatever the check lets pass, protobuf-c unpacks. */
static void any_bit_turned(void **state)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES), *other = jk_arena_new(ARENA_BYTES);
	struct jk_refusal refusal;
	size_t size, passed = 0;
	uint8_t *bytes = sample(arena, &size);
	(void)state;
	for (size_t bit = 0; bit < 8 * size; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		bool good = jk_body_check(INCIDENT, bytes, size, &refusal);
		jk_arena_reset(other);
		ProtobufCMessage *message = jk_body_unpack(INCIDENT, bytes, size, other, &refusal);
		assert_true((message != NULL) == good);
		if (message)
			assert_true(protobuf_c_message_check(message));
		passed += good;
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(passed > 0 && passed < 8 * size);
	jk_arena_free(&arena);
	jk_arena_free(&other);
}

static void memory_has_a_limit(void **state)
{
	/* Empty polygons: two bytes each on the wire, a structure and a pointer each in memory. */
	enum { POLYGONS = 20000, SIZE = 2 * POLYGONS + 4 };
	uint8_t *bytes = malloc(SIZE);
	struct jk_refusal refusal;
	(void)state;
	memcpy(bytes, "\x22\xc0\xb8\x02", 4);
	for (int i = 0; i < POLYGONS; i++)
		memcpy(bytes + 4 + 2 * i, "\x22\x00", 2);
	assert_true(jk_body_check(INCIDENT, bytes, SIZE, &refusal));
	struct jk_arena *arena = jk_arena_new(64 * 1024);
	assert_null(jk_body_unpack(INCIDENT, bytes, SIZE, arena, &refusal));
	assert_int_equal(refusal.code, JK_CODE_OVERSIZE);
	jk_arena_free(&arena);
	arena = jk_arena_new(8 << 20);
	assert_non_null(jk_body_unpack(INCIDENT, bytes, SIZE, arena, &refusal));
	jk_arena_free(&arena);
	free(bytes);
}

static void unknown_fields_are_dropped_at_every_depth(void **state)
{
	static const uint8_t bytes[] = "\xa2\x06\x06secret"                            /* in the incident */
				       "\x0a\x10\x0a\x03KPS\xa2\x06\x06secret\x20\x05" /* in a message */
				       "\x2a\x0d\x0a\x0b\xa2\x06\x06secret\x0a\x00";   /* in an element of an array */
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_refusal refusal;
	size_t size;
	(void)state;
	ProtobufCMessage *message = jk_body_unpack(INCIDENT, bytes, sizeof bytes - 1, arena, &refusal);
	assert_non_null(message);
	uint8_t *packed = jk_body_pack(message, arena, &size);
	assert_non_null(packed);
	assert_null(memmem(packed, size, "secret", 6));
	const Jukwaa__V1__Incident *incident = (const Jukwaa__V1__Incident *)message;
	assert_string_equal(incident->identity->agency, "KPS");
	assert_int_equal(incident->identity->revision, 5);
	assert_int_equal(incident->narrative->n_texts, 1);
	jk_arena_free(&arena);
}

static void unknown_fields_within_a_oneof_are_dropped(void **state)
{
	static const uint8_t bytes[] = "\x8a\x01\x0a\x0a\x01"
				       "D\xa2\x06\x04gone";
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_refusal refusal;
	size_t size;
	(void)state;
	ProtobufCMessage *message = jk_body_unpack(DELIVER, bytes, sizeof bytes - 1, arena, &refusal);
	assert_non_null(message);
	assert_string_equal(((Jukwaa__V1__Deliver *)message)->delivered->desk, "D");
	assert_null(memmem(jk_body_pack(message, arena, &size), size, "gone", 4));
	jk_arena_free(&arena);
}

static uint8_t *sample(struct jk_arena *arena, size_t *ret_size)
{
	Jukwaa__V1__Identity identity = JUKWAA__V1__IDENTITY__INIT;
	Jukwaa__V1__Classification classification = JUKWAA__V1__CLASSIFICATION__INIT;
	Jukwaa__V1__Times times = JUKWAA__V1__TIMES__INIT;
	Jukwaa__V1__Place place = JUKWAA__V1__PLACE__INIT;
	Jukwaa__V1__PlaceCode code = JUKWAA__V1__PLACE_CODE__INIT;
	Jukwaa__V1__Point point = JUKWAA__V1__POINT__INIT;
	Jukwaa__V1__Narrative narrative = JUKWAA__V1__NARRATIVE__INIT;
	Jukwaa__V1__Text text = JUKWAA__V1__TEXT__INIT;
	Jukwaa__V1__Incident incident = JUKWAA__V1__INCIDENT__INIT;
	Jukwaa__V1__Category categories[] = {JUKWAA__V1__CATEGORY__CATEGORY_FIRE, JUKWAA__V1__CATEGORY__CATEGORY_RESCUE};
	Jukwaa__V1__PlaceCode *codes[] = {&code};
	Jukwaa__V1__Text *texts[] = {&text};

	identity.agency = (char *)"NPS";
	identity.external_id = (char *)"OB/17/2026";
	identity.status = JUKWAA__V1__STATUS__STATUS_ACTUAL;
	identity.revision = INT64_MIN;
	classification.n_categories = 2;
	classification.categories = categories;
	classification.severity = JUKWAA__V1__SEVERITY__SEVERITY_SEVERE;
	times.sent_present_case = JUKWAA__V1__TIMES__SENT_PRESENT_SENT_US;
	times.sent_us = INT64_C(1772352930123456);
	code.scheme = JUKWAA__V1__PLACE_SCHEME__PLACE_SCHEME_COUNTY;
	code.code = (char *)"047";
	point.lat = -1.2921;
	point.lon = 36.8219;
	place.n_codes = 1;
	place.codes = codes;
	place.point_present_case = JUKWAA__V1__PLACE__POINT_PRESENT_POINT;
	place.point = &point;
	text.headline = (char *)"Moto mkubwa Gikomba";
	text.description = (char *)"Soko limeshika moto; njia ya kuingia imefungwa.";
	narrative.n_texts = 1;
	narrative.texts = texts;
	incident.identity = &identity;
	incident.classification = &classification;
	incident.times = &times;
	incident.place = &place;
	incident.narrative = &narrative;
	uint8_t *bytes = jk_body_pack(&incident.base, arena, ret_size);
	assert_non_null(bytes);
	return bytes;
}

static void good_messages_round_trip(void **state)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_refusal refusal;
	size_t size, again;
	uint8_t *bytes = sample(arena, &size);
	(void)state;
	ProtobufCMessage *message = jk_body_unpack(INCIDENT, bytes, size, arena, &refusal);
	assert_non_null(message);
	uint8_t *packed = jk_body_pack(message, arena, &again);
	assert_int_equal(again, size);
	assert_memory_equal(packed, bytes, size);
	/* Nothing at all is a message; 0 is in every list of words; both forms of arrays; last number wins. */
	assert_non_null(jk_body_unpack(INCIDENT, NULL, 0, arena, &refusal));
	assert_true(jk_body_check(PUBLISH, (const uint8_t *)"\x18\x00\x18\x02", 4, &refusal));
	assert_true(jk_body_check(CLASSIFICATION, (const uint8_t *)"\x0a\x02\x06\x05\x08\x0c", 6, &refusal));
	assert_true(jk_body_check(DELIVER, (const uint8_t *)"\x40\x10", 2, &refusal));
	struct jk_arena *small = jk_arena_new(size - 1);
	assert_null(jk_body_pack(message, small, &again));
	jk_arena_free(&small);
	jk_arena_free(&arena);
}

/* protobuf-c needed 271 ms for 256 KiB of one message repeated. Here the second one ends it; and 2 MiB of the worst that
 * passes are walked at a linear price. */
static void cost_is_linear(void **state)
{
	enum { SIZE = 2 << 20 };
	uint8_t *bytes = malloc(SIZE);
	struct jk_refusal refusal;
	(void)state;
	for (size_t i = 0; i + 4 <= SIZE; i += 4)
		memcpy(bytes + i, "\x0a\x02\x20\x01", 4);
	clock_t start = clock();
	assert_false(jk_body_check(INCIDENT, bytes, SIZE, &refusal));
	assert_true(clock() - start < CLOCKS_PER_SEC / 100);

	/* One text of two-byte characters, where the eight-byte step never applies. */
	memcpy(bytes, "\x0a\xfb\xff\x7f", 4); /* 2 MiB - 5 */
	for (size_t i = 4; i + 2 <= SIZE; i += 2)
		memcpy(bytes + i, "\xc3\xa9", 2);
	bytes[SIZE - 2] = 'x';
	start = clock();
	assert_true(jk_body_check(IDENTITY, bytes, SIZE - 1, &refusal));
	assert_true(clock() - start < CLOCKS_PER_SEC / 5);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traps_are_refused),
		cmocka_unit_test(depth_ends_at_eight),
		cmocka_unit_test(fields_end_at_524288),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(any_bit_turned),
		cmocka_unit_test(memory_has_a_limit),
		cmocka_unit_test(unknown_fields_are_dropped_at_every_depth),
		cmocka_unit_test(unknown_fields_within_a_oneof_are_dropped),
		cmocka_unit_test(good_messages_round_trip),
		cmocka_unit_test(cost_is_linear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
