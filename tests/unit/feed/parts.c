/* Which field lies in which group: each in exactly one, no free text where a redacting profile looks, nothing lost on the way
 * there and back, nothing foreign let in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "feed/feed_body.h"
#include "feed/feed_parts.h"
#include "wire/wire_body.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };

static const char marker[] = "MARKER-of-free-text";
static struct jk_arena *arena;

static int set_up(void **state)
{
	(void)state;
	arena = jk_arena_new(ARENA_BYTES);
	return arena == NULL || jk_crypt_init() != JK_OK;
}

static int tear_down(void **state)
{
	(void)state;
	jk_arena_free(&arena);
	return 0;
}

static ProtobufCMessage *make_full(const ProtobufCMessageDescriptor *type);

static void set_value(const ProtobufCFieldDescriptor *field, void *at)
{
	const char *text = marker;
	const ProtobufCMessage *message;
	const double number = 1.5;
	static uint8_t bytes[4] = {1, 2, 3, 4};

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		memcpy(at, &text, sizeof text);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		message = make_full(field->descriptor);
		memcpy(at, &message, sizeof message);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		memcpy(at, &number, sizeof number);
		break;
	case PROTOBUF_C_TYPE_INT64:
		*(int64_t *)at = 1772352930000000;
		break;
	case PROTOBUF_C_TYPE_UINT32:
		*(uint32_t *)at = 1;
		break;
	case PROTOBUF_C_TYPE_BYTES: /* digests and signatures: no free text */
		*(ProtobufCBinaryData *)at = (ProtobufCBinaryData){sizeof bytes, bytes};
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = 1;
		break;
	case PROTOBUF_C_TYPE_ENUM:
		*(int32_t *)at = 1;
		break;
	default:
		fail_msg("%s: what is filled in here?", field->name);
	}
}

/* With something in every field, lists with one. */
static ProtobufCMessage *make_full(const ProtobufCMessageDescriptor *type)
{
	uint8_t *message = jk_arena_alloc(arena, type->sizeof_message);

	protobuf_c_message_init(type, (ProtobufCMessage *)message);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		uint8_t *at = message + field->offset;

		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			void *list = jk_arena_alloc(arena, 16);
			const size_t one = 1;
			set_value(field, list);
			memcpy(at, &list, sizeof list);
			memcpy(message + field->quantifier_offset, &one, sizeof one);
			continue;
		}
		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
			memcpy(message + field->quantifier_offset, &field->id, sizeof(uint32_t));
		set_value(field, at);
	}
	return (ProtobufCMessage *)message;
}

/* Ends with the incident in the groups of a body, none withheld. */
static void split(const Jukwaa__V1__Incident *incident, struct jk_group groups[JK_GROUP_COUNT])
{
	const ProtobufCMessage *messages[JK_GROUP_COUNT];

	assert_true(jk_parts_split(incident, arena, messages));
	for (int i = 0; i < JK_GROUP_COUNT; i++) {
		groups[i] = (struct jk_group){0};
		if (messages[i] != NULL)
			groups[i].content = jk_body_pack(messages[i], arena, &groups[i].content_size);
	}
}

static bool holds(const struct jk_group *group, const char *text)
{
	return group->content_size > 0 && memmem(group->content, group->content_size, text, strlen(text)) != NULL;
}

static Jukwaa__V1__EventBody *body_of(const struct jk_group groups[JK_GROUP_COUNT])
{
	Jukwaa__V1__EventBody *body = jk_arena_alloc(arena, sizeof *body);

	jukwaa__v1__event_body__init(body);
	body->n_groups = JK_GROUP_COUNT;
	body->groups = jk_arena_alloc(arena, JK_GROUP_COUNT * sizeof *body->groups);
	for (int i = 0; i < JK_GROUP_COUNT; i++) {
		body->groups[i] = jk_arena_alloc(arena, sizeof **body->groups);
		jukwaa__v1__group__init(body->groups[i]);
		body->groups[i]->tag = (Jukwaa__V1__GroupTag)(i + 1);
		body->groups[i]->content.data = (uint8_t *)(uintptr_t)groups[i].content;
		body->groups[i]->content.len = groups[i].content_size;
	}
	return body;
}

/* Were a field in no group, it would be missing here; in two, the group would not be its own. */
static void an_incident_comes_back_whole(void **state)
{
	const Jukwaa__V1__Incident *incident = (const void *)make_full(&jukwaa__v1__incident__descriptor);
	struct jk_group groups[JK_GROUP_COUNT];
	struct jk_refusal refusal;

	(void)state;
	split(incident, groups);
	for (int tag = 1; tag <= JK_GROUP_COUNT; tag++) {
		assert_true(groups[tag - 1].content_size > 0);
		assert_true(jk_parts_own(
			JK_GROUP_COUNT, tag, (struct jk_span){groups[tag - 1].content, groups[tag - 1].content_size}));
	}
	for (int tag = 1; tag <= JK_GROUP_PERSONS; tag++) {
		const ProtobufCFieldDescriptor *field =
			protobuf_c_message_descriptor_get_field(&jukwaa__v1__incident__descriptor, (unsigned)tag);
		const ProtobufCMessage *whole;
		struct jk_span merged;
		size_t size, again_size;

		memcpy(&whole, (const uint8_t *)incident + field->offset, sizeof whole);
		assert_true(jk_parts_merge(body_of(groups), tag, arena, &merged));
		const ProtobufCMessage *again = jk_body_unpack(field->descriptor, merged.data, merged.size, arena, &refusal);
		assert_non_null(again);
		const uint8_t *packed = jk_body_pack(whole, arena, &size);
		const uint8_t *packed_again = jk_body_pack(again, arena, &again_size);
		assert_int_equal(again_size, size);
		assert_memory_equal(packed_again, packed, size);
	}
}

/* agency comes from the credential, counties and constituency are looked up in the registry: intake's, not the publisher's. */
static void no_free_text_is_where_profiles_look(void **state)
{
	static const int without[] = {
		JK_GROUP_IDENTITY, JK_GROUP_CLASSIFICATION, JK_GROUP_TIMES, JK_GROUP_PLACE, JK_GROUP_HANDLING, JK_GROUP_POSITION};
	static const int with[] = {JK_GROUP_NARRATIVE, JK_GROUP_RESOURCES, JK_GROUP_REFERENCES, JK_GROUP_REPORTER,
		JK_GROUP_PERSONS, JK_GROUP_REGISTRATION, JK_GROUP_WORDS};
	Jukwaa__V1__Incident *incident = (void *)make_full(&jukwaa__v1__incident__descriptor);
	char agency[] = "KPS", county[] = "047", constituency[] = "290";
	struct jk_group groups[JK_GROUP_COUNT];

	(void)state;
	incident->identity->agency = agency;
	incident->place->counties[0] = county;
	incident->place->constituency = constituency;
	split(incident, groups);
	for (size_t i = 0; i < sizeof without / sizeof *without; i++)
		assert_false(holds(&groups[without[i] - 1], marker));
	for (size_t i = 0; i < sizeof with / sizeof *with; i++)
		assert_true(holds(&groups[with[i] - 1], marker));
}

static void what_is_empty_has_no_group(void **state)
{
	Jukwaa__V1__Incident *incident = (void *)make_full(&jukwaa__v1__incident__descriptor);
	Jukwaa__V1__Classification classification = JUKWAA__V1__CLASSIFICATION__INIT;
	Jukwaa__V1__Place place = JUKWAA__V1__PLACE__INIT;
	Jukwaa__V1__Category fire = JUKWAA__V1__CATEGORY__CATEGORY_FIRE;
	struct jk_group groups[JK_GROUP_COUNT];
	struct jk_span merged;

	(void)state;
	incident->identity = NULL;
	incident->references = NULL;
	incident->handling = NULL;
	incident->classification = &classification;
	incident->place = &place;
	classification.categories = &fire;
	classification.n_categories = 1;
	split(incident, groups);
	assert_int_equal(groups[JK_GROUP_IDENTITY - 1].content_size, 0);
	assert_int_equal(groups[JK_GROUP_REGISTRATION - 1].content_size, 0);
	assert_int_equal(groups[JK_GROUP_POSITION - 1].content_size, 0);
	assert_int_equal(groups[JK_GROUP_WORDS - 1].content_size, 0);
	assert_true(groups[JK_GROUP_CLASSIFICATION - 1].content_size > 0);
	assert_true(jk_parts_merge(body_of(groups), JK_GROUP_IDENTITY, arena, &merged));
	assert_int_equal(merged.size, 0);
}

/* Content that another group's withholding would be evaded by. */
static void a_group_with_foreign_fields_is_not_its_own(void **state)
{
	static const struct {
		int tag;
		const char *content;
		size_t size;
		bool own;
	} rows[] = {
		{JK_GROUP_IDENTITY, "\x0a\x03KPS", 5, true},
		{JK_GROUP_IDENTITY, "\x12\x01s", 3, false},       /* sender: REGISTRATION */
		{JK_GROUP_IDENTITY, "\x42\x01s", 3, false},       /* sender_name: WORDS */
		{JK_GROUP_IDENTITY, "\x7a\x01s", 3, true},        /* field 15: of a later version */
		{JK_GROUP_REGISTRATION, "\x0a\x03KPS", 5, false}, /* agency: IDENTITY */
		{JK_GROUP_CLASSIFICATION, "\x12\x01s", 3, false}, /* event */
		{JK_GROUP_PLACE, "\x32\x01s", 3, false},          /* text */
		{JK_GROUP_PLACE, "\x12\x00", 2, false},           /* point */
		{JK_GROUP_HANDLING, "\x32\x01s", 3, false},       /* note */
		{JK_GROUP_WORDS, "\x12\x03\x12\x01s", 5, true},   /* classification.event */
		{JK_GROUP_WORDS, "\x12\x02\x08\x01", 4, false},   /* classification.categories */
		{JK_GROUP_WORDS, "\x2a\x00", 2, false},           /* narrative */
		{JK_GROUP_WORDS, "\x4a\x03\x0a\x01s", 5, false},  /* reporter.name */
		{JK_GROUP_WORDS, "\x08\x01", 2, false},           /* identity, as a number */
		{JK_GROUP_TIMES, "\x08", 1, false},               /* cut */
		{JK_GROUP_WORK, "", 0, false},                    /* in a body of thirteen groups there is none */
		{JK_GROUP_MAX + 1, "", 0, false},
		{0, "", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (jk_parts_own(JK_GROUP_COUNT, rows[i].tag, (struct jk_span){rows[i].content, rows[i].size}) != rows[i].own)
			fail_msg("row %zu", i);
	/* In bodies of ten groups each is the whole message. */
	assert_true(jk_parts_own(JK_GROUP_COUNT_OLD, JK_GROUP_IDENTITY, (struct jk_span){"\x12\x01s", 3}));
	assert_false(jk_parts_own(JK_GROUP_COUNT_OLD, JK_GROUP_IDENTITY, (struct jk_span){"\x12\x02s", 3}));
}

/* Work is a message of its own: no field of it is another group's. The others are as in a body of thirteen. */
static void work_is_its_own_group(void **state)
{
	static const struct {
		int tag;
		const char *content;
		size_t size;
		bool own;
	} rows[] = {
		{JK_GROUP_WORK, "", 0, true},
		{JK_GROUP_WORK, "\x08\x01\x12\x03KPS", 7, true}, /* at_us, agency */
		{JK_GROUP_WORK, "\x7a\x01s", 3, true},           /* of a later version */
		{JK_GROUP_WORK, "\x12\x04KPS", 5, false},        /* cut */
		{JK_GROUP_IDENTITY, "\x0a\x03KPS", 5, true},
		{JK_GROUP_IDENTITY, "\x12\x01s", 3, false}, /* sender: REGISTRATION */
		{JK_GROUP_WORDS, "\x72\x01s", 3, true},     /* field 14 of Incident: none that this version knows */
		{JK_GROUP_MAX + 1, "", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (jk_parts_own(JK_GROUP_MAX, rows[i].tag, (struct jk_span){rows[i].content, rows[i].size}) != rows[i].own)
			fail_msg("row %zu", i);
	assert_false(jk_parts_own(JK_GROUP_COUNT_OLD, JK_GROUP_WORK, (struct jk_span){"", 0}));
}

static void a_full_arena_is_told(void **state)
{
	const Jukwaa__V1__Incident *incident = (const void *)make_full(&jukwaa__v1__incident__descriptor);
	struct jk_arena *small = jk_arena_new(sizeof *incident + 64);
	const ProtobufCMessage *messages[JK_GROUP_COUNT];
	struct jk_group groups[JK_GROUP_COUNT];
	struct jk_span merged;

	(void)state;
	assert_false(jk_parts_split(incident, small, messages));
	split(incident, groups);
	assert_false(jk_parts_merge(body_of(groups), JK_GROUP_PLACE, small, &merged) && merged.size > sizeof *incident);
	jk_arena_free(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_incident_comes_back_whole),
		cmocka_unit_test(no_free_text_is_where_profiles_look),
		cmocka_unit_test(what_is_empty_has_no_group),
		cmocka_unit_test(a_group_with_foreign_fields_is_not_its_own),
		cmocka_unit_test(work_is_its_own_group),
		cmocka_unit_test(a_full_arena_is_told),
	};
	return cmocka_run_group_tests_name("feed parts", tests, set_up, tear_down);
}
