/* Sealing, labelling, copying and verifying bodies: what is withheld never shows, what is foreign never passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "feed/feed_body.h"
#include "old_body.h"

enum { ARENA_BYTES = 1024 * 1024, APART_BYTES = 3 /* field stored_apart */ };
#define BIT(n) (1U << (n))

static const char secret[] = "Achieng Odhiambo, +254700000001";

/* A sealed body with something in every group. */
struct sealed {
	struct jk_arena *arena;
	struct jk_group groups[JK_GROUP_COUNT];
	uint8_t commitment[32];
	const uint8_t *body;
	size_t size;
};

static void set_group(struct sealed *sealed, int tag, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *content = jk_arena_alloc(sealed->arena, size + 1);

	assert_non_null(content);
	protobuf_c_message_pack(message, content);
	sealed->groups[tag - 1].content = content;
	sealed->groups[tag - 1].content_size = size;
}

static void fill_identity_and_times(struct sealed *sealed)
{
	Jukwaa__V1__Identity identity = JUKWAA__V1__IDENTITY__INIT;
	Jukwaa__V1__Times times = JUKWAA__V1__TIMES__INIT;

	identity.agency = (char[]){"NPS"};
	identity.sender = (char[]){"desk@nps.example"};
	identity.revision = 1772352930000;
	identity.status = JUKWAA__V1__STATUS__STATUS_TEST;
	identity.msg_type = JUKWAA__V1__MSG_TYPE__MSG_TYPE_CANCEL;
	set_group(sealed, JK_GROUP_IDENTITY, &identity.base);
	times.sent_present_case = JUKWAA__V1__TIMES__SENT_PRESENT_SENT_US;
	times.sent_us = 5;
	times.expires_present_case = JUKWAA__V1__TIMES__EXPIRES_PRESENT_EXPIRES_US;
	times.expires_us = 1772352930000000;
	set_group(sealed, JK_GROUP_TIMES, &times.base);
}

static void fill_classification_and_handling(struct sealed *sealed)
{
	Jukwaa__V1__Classification classification = JUKWAA__V1__CLASSIFICATION__INIT;
	Jukwaa__V1__Category categories[] = {JUKWAA__V1__CATEGORY__CATEGORY_RESCUE, JUKWAA__V1__CATEGORY__CATEGORY_TRANSPORT,
		JUKWAA__V1__CATEGORY__CATEGORY_GEO};
	Jukwaa__V1__Handling handling = JUKWAA__V1__HANDLING__INIT;

	classification.n_categories = 3;
	classification.categories = categories;
	classification.event = (char[]){"Road crash"};
	classification.severity = JUKWAA__V1__SEVERITY__SEVERITY_SEVERE;
	set_group(sealed, JK_GROUP_CLASSIFICATION, &classification.base);
	handling.tlp = JUKWAA__V1__TLP__TLP_AMBER_STRICT;
	handling.scope = JUKWAA__V1__SCOPE__SCOPE_RESTRICTED;
	set_group(sealed, JK_GROUP_HANDLING, &handling.base);
}

static void fill_texts_and_persons(struct sealed *sealed)
{
	Jukwaa__V1__Text first = JUKWAA__V1__TEXT__INIT, second = JUKWAA__V1__TEXT__INIT;
	Jukwaa__V1__Text *texts[] = {&first, &second};
	Jukwaa__V1__Narrative narrative = JUKWAA__V1__NARRATIVE__INIT;
	Jukwaa__V1__Reporter reporter = JUKWAA__V1__REPORTER__INIT;

	first.language = (char[]){"sw"};
	first.headline = (char[]){"Ajali ya barabarani, Thika"};
	first.description = (char[]){"…"};
	second.headline = (char[]){"Crash at Thika"};
	narrative.n_texts = 2;
	narrative.texts = texts;
	set_group(sealed, JK_GROUP_NARRATIVE, &narrative.base);
	reporter.name = (char *)(uintptr_t)secret;
	set_group(sealed, JK_GROUP_REPORTER, &reporter.base);
}

static struct sealed seal_sample(void)
{
	struct sealed sealed = {.arena = jk_arena_new(ARENA_BYTES)};

	fill_identity_and_times(&sealed);
	fill_classification_and_handling(&sealed);
	fill_texts_and_persons(&sealed);
	assert_int_equal(jk_body_seal(sealed.groups, sealed.arena, sealed.commitment, &sealed.body, &sealed.size), JK_OK);
	return sealed;
}

static bool is_protected(int tag)
{
	return tag == JK_GROUP_REPORTER || tag == JK_GROUP_PERSONS;
}

static bool holds(const void *bytes, size_t size, const char *needle)
{
	return memmem(bytes, size, needle, strlen(needle)) != NULL;
}

static void a_sealed_body_withholds_reporter_and_persons(void **state)
{
	(void)state;
	struct sealed sealed = seal_sample();
	Jukwaa__V1__EventBody *body = jukwaa__v1__event_body__unpack(NULL, sealed.size, sealed.body);

	assert_non_null(body);
	assert_false(holds(sealed.body, sealed.size, secret));
	assert_true(holds(sealed.body, sealed.size, "Ajali"));
	assert_int_equal(body->n_groups, JK_GROUP_COUNT);
	for (int i = 0; i < JK_GROUP_COUNT; i++) {
		bool apart = is_protected(i + 1);
		assert_int_equal(body->groups[i]->tag, i + 1);
		assert_int_equal(body->groups[i]->digest.len, apart ? 32 : 0);
		assert_int_equal(body->groups[i]->salt.len, apart ? 0 : JK_SALT_BYTES);
		assert_int_equal(body->groups[i]->content.len, apart ? 0 : sealed.groups[i].content_size);
	}
	assert_int_equal(body->stored_apart, BIT(JK_GROUP_REPORTER)); /* there are no persons */
	assert_true(jk_body_verify(body, sealed.commitment));
	jukwaa__v1__event_body__free_unpacked(body, NULL);
	jk_arena_free(&sealed.arena);
}

/* The salts that intake keeps for the protected table are those of the digests. */
static void kept_salts_open_the_digests(void **state)
{
	(void)state;
	struct sealed sealed = seal_sample();
	const struct jk_group *reporter = &sealed.groups[JK_GROUP_REPORTER - 1];
	uint8_t digest[32];

	jk_sha256(digest,
		(const struct jk_span[]){{reporter->salt, sizeof reporter->salt}, {reporter->content, reporter->content_size}},
		2);
	assert_non_null(memmem(sealed.body, sealed.size, digest, sizeof digest));
	jk_arena_free(&sealed.arena);
}

static void salts_are_fresh_for_every_group_and_report(void **state)
{
	(void)state;
	struct sealed a = seal_sample(), b = seal_sample();

	for (int i = 0; i < JK_GROUP_COUNT; i++) {
		assert_memory_not_equal(a.groups[i].salt, b.groups[i].salt, JK_SALT_BYTES);
		assert_memory_not_equal(a.groups[i].salt, a.groups[(i + 1) % JK_GROUP_COUNT].salt, JK_SALT_BYTES);
	}
	assert_memory_not_equal(a.commitment, b.commitment, 32);
	jk_arena_free(&a.arena);
	jk_arena_free(&b.arena);
}

static void a_full_arena_is_told(void **state)
{
	(void)state;
	struct sealed sealed = seal_sample();
	struct jk_arena *small = jk_arena_new(16);

	assert_int_equal(jk_body_seal(sealed.groups, small, sealed.commitment, &sealed.body, &sealed.size), JK_BROKEN);
	jk_arena_free(&small);
	jk_arena_free(&sealed.arena);
}

static void the_label_is_what_was_packed(void **state)
{
	(void)state;
	struct sealed sealed = seal_sample();
	struct jk_event_label label;

	assert_int_equal(jk_body_label(sealed.body, sealed.size, sealed.arena, &label), JK_OK);
	assert_int_equal(label.label.owner_agency_id, -1);
	assert_string_equal(label.agency_code, "NPS");
	assert_int_equal(label.label.categories, BIT(JUKWAA__V1__CATEGORY__CATEGORY_RESCUE) |
							 BIT(JUKWAA__V1__CATEGORY__CATEGORY_TRANSPORT) |
							 BIT(JUKWAA__V1__CATEGORY__CATEGORY_GEO));
	assert_int_equal(label.category, JUKWAA__V1__CATEGORY__CATEGORY_RESCUE);
	assert_int_equal(label.severity, JK_SEVERITY_SEVERE);
	assert_int_equal(label.label.severity, JK_SEVERITY_SEVERE);
	assert_int_equal(label.status, JK_CAP_STATUS_TEST);
	assert_int_equal(label.label.status, JK_CAP_STATUS_TEST);
	assert_int_equal(label.msg_type, JK_MSG_TYPE_CANCEL);
	assert_int_equal(label.label.tlp, JK_TLP_AMBER_STRICT);
	assert_int_equal(label.label.scope, JK_SCOPE_RESTRICTED);
	assert_true(label.expires_us == 1772352930000000);
	assert_string_equal(label.headline, "Ajali ya barabarani, Thika");
	jk_arena_free(&sealed.arena);
}

/* Names are words: they lie in that group, whatever Handling's own group says. */
static struct jk_label label_of(Jukwaa__V1__Handling *handling, Jukwaa__V1__Incident *words, struct sealed *sealed)
{
	struct jk_event_label label;

	sealed->arena = jk_arena_new(ARENA_BYTES);
	memset(sealed->groups, 0, sizeof sealed->groups);
	set_group(sealed, JK_GROUP_HANDLING, &handling->base);
	set_group(sealed, JK_GROUP_WORDS, &words->base);
	assert_int_equal(jk_body_seal(sealed->groups, sealed->arena, sealed->commitment, &sealed->body, &sealed->size), JK_OK);
	assert_int_equal(jk_body_label(sealed->body, sealed->size, sealed->arena, &label), JK_OK);
	return label.label;
}

static void names_are_read_where_they_count(void **state)
{
	(void)state;
	static const struct {
		Jukwaa__V1__Tlp tlp;
		Jukwaa__V1__Scope scope;
		size_t named;
	} rows[] = {
		{JUKWAA__V1__TLP__TLP_AMBER, JUKWAA__V1__SCOPE__SCOPE_PUBLIC, 0},
		{JUKWAA__V1__TLP__TLP_RED, JUKWAA__V1__SCOPE__SCOPE_PUBLIC, 3},
		{JUKWAA__V1__TLP__TLP_AMBER, JUKWAA__V1__SCOPE__SCOPE_RESTRICTED, 3},
		{JUKWAA__V1__TLP__TLP_AMBER, JUKWAA__V1__SCOPE__SCOPE_PRIVATE, 3},
	};
	char *addresses[] = {(char[]){"KRCS-047"}, (char[]){"a name of thirty-three characters"}, (char[]){""}, (char[]){"NPS"}};
	Jukwaa__V1__Handling handling = JUKWAA__V1__HANDLING__INIT, names = JUKWAA__V1__HANDLING__INIT;
	Jukwaa__V1__Incident words = JUKWAA__V1__INCIDENT__INIT;
	struct sealed sealed;
	struct jk_label label;

	names.addresses = addresses;
	names.n_addresses = 4;
	words.handling = &names;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		handling.tlp = rows[i].tlp;
		handling.scope = rows[i].scope;
		label = label_of(&handling, &words, &sealed);
		assert_int_equal(label.named_count, rows[i].named);
		for (size_t n = 0; n < label.named_count; n++)
			assert_string_equal(label.named[n], ((const char *const[]){"KRCS-047", "", "NPS"})[n]);
		jk_arena_free(&sealed.arena);
	}
}

/* An empty incident has no owner, category, TLP label or scope: the decision function denies it. */
static void an_empty_body_has_an_empty_label(void **state)
{
	(void)state;
	struct jk_group groups[JK_GROUP_COUNT] = {0};
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_event_label label;
	uint8_t commitment[32];
	const uint8_t *body;
	size_t size;

	assert_int_equal(jk_body_seal(groups, arena, commitment, &body, &size), JK_OK);
	assert_int_equal(jk_body_label(body, size, arena, &label), JK_OK);
	assert_string_equal(label.agency_code, "");
	assert_string_equal(label.headline, "");
	assert_int_equal(label.label.categories, 0);
	assert_int_equal(label.label.tlp, JK_TLP_NONE);
	assert_int_equal(label.label.scope, JK_SCOPE_NONE);
	assert_true(label.expires_us == 0);
	jk_arena_free(&arena);
}

static void a_copy_shows_what_is_allowed_and_verifies(void **state)
{
	(void)state;
	struct sealed sealed = seal_sample();

	for (uint32_t withheld = 0; withheld < BIT(JK_GROUP_COUNT + 1); withheld += 2) {
		struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
		Jukwaa__V1__EventBody *copy = jk_body_copy(sealed.body, sealed.size, withheld, arena);
		assert_non_null(copy);
		assert_int_equal(copy->stored_apart, 0);
		assert_true(jk_body_verify(copy, sealed.commitment));
		for (int i = 0; i < JK_GROUP_COUNT; i++) {
			bool shown = (withheld >> (i + 1) & 1) == 0 && !is_protected(i + 1);
			assert_int_equal(copy->groups[i]->digest.len, shown ? 0 : 32);
			assert_int_equal(copy->groups[i]->salt.len, shown ? JK_SALT_BYTES : 0);
			assert_int_equal(copy->groups[i]->content.len, shown ? sealed.groups[i].content_size : 0);
		}
		jk_arena_free(&arena);
	}
	jk_arena_free(&sealed.arena);
}

/* The copy does not lean on the bytes it was made of. */
static void a_copy_outlives_the_stored_bytes(void **state)
{
	(void)state;
	struct sealed sealed = seal_sample();
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	Jukwaa__V1__EventBody *copy = jk_body_copy(sealed.body, sealed.size, 0, arena);

	jk_arena_free(&sealed.arena);
	assert_true(jk_body_verify(copy, sealed.commitment));
	jk_arena_free(&arena);
}

static void any_change_breaks_the_commitment(void **state)
{
	(void)state;
	struct sealed sealed = seal_sample();
	Jukwaa__V1__EventBody *body = jukwaa__v1__event_body__unpack(NULL, sealed.size, sealed.body);

	for (int i = 0; i < JK_GROUP_COUNT; i++) {
		Jukwaa__V1__Group *group = body->groups[i];
		ProtobufCBinaryData *parts[] = {&group->salt, &group->content, &group->digest};
		for (int part = 0; part < 3; part++) {
			if (parts[part]->len == 0)
				continue;
			parts[part]->data[0] ^= 1;
			assert_false(jk_body_verify(body, sealed.commitment));
			parts[part]->data[0] ^= 1;
		}
	}
	assert_true(jk_body_verify(body, sealed.commitment));
	body->groups[0]->tag = JUKWAA__V1__GROUP_TAG__GROUP_TAG_PLACE;
	assert_false(jk_body_verify(body, sealed.commitment));
	body->groups[0]->tag = JUKWAA__V1__GROUP_TAG__GROUP_TAG_IDENTITY;
	/* A group both shown and withheld would let a forged content ride on a true digest. */
	body->groups[8]->salt = body->groups[0]->salt;
	assert_false(jk_body_verify(body, sealed.commitment));
	body->groups[8]->salt = (ProtobufCBinaryData){0};
	for (; body->n_groups > 0; body->n_groups--)
		assert_true(jk_body_verify(body, sealed.commitment) == (body->n_groups == JK_GROUP_COUNT));
	body->n_groups = JK_GROUP_COUNT;
	jukwaa__v1__event_body__free_unpacked(body, NULL);
	jk_arena_free(&sealed.arena);
}

static void an_old_body_is_read_as_before(void **state)
{
	(void)state;
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_event_label label;

	assert_int_equal(jk_body_label(old_body, sizeof old_body, arena, &label), JK_OK);
	assert_int_equal(label.group_count, JK_GROUP_COUNT_OLD);
	assert_string_equal(label.agency_code, "NPS");
	assert_string_equal(label.headline, "Ajali ya barabarani, Thika");
	assert_int_equal(label.label.categories, BIT(5) | BIT(9));
	assert_int_equal(label.severity, JK_SEVERITY_SEVERE);
	assert_int_equal(label.label.tlp, JK_TLP_GREEN);
	assert_int_equal(label.label.scope, JK_SCOPE_PUBLIC);
	jk_arena_free(&arena);
}

/* Whatever is withheld of an old body beyond the protected groups, times are all that is left of it. */
static void an_old_body_shows_all_or_times(void **state)
{
	(void)state;
	static const char *const texts[] = {"desk@nps.example", "Thika Police Station", "OB 12/2026", "Road crash",
		"near the bridge", "Ajali", "ask the OCS"};

	for (uint32_t withheld = 0; withheld < BIT(JK_GROUP_COUNT + 1); withheld += 2) {
		struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
		Jukwaa__V1__EventBody *copy = jk_body_copy(old_body, sizeof old_body, withheld, arena);
		bool redacts = (withheld & ~(uint32_t)JK_GROUPS_PROTECTED) != 0;
		uint8_t packed[sizeof old_body];
		assert_non_null(copy);
		assert_int_equal(copy->n_groups, JK_GROUP_COUNT_OLD);
		assert_true(jk_body_verify(copy, old_commitment));
		for (int i = 0; i < JK_GROUP_COUNT_OLD; i++) {
			bool shown = !is_protected(i + 1) && (!redacts || (i + 1 == JK_GROUP_TIMES && !(withheld & BIT(i + 1))));
			assert_int_equal(copy->groups[i]->digest.len, shown ? 0 : 32);
			assert_int_equal(copy->groups[i]->salt.len, shown ? JK_SALT_BYTES : 0);
		}
		size_t size = jukwaa__v1__event_body__pack(copy, packed);
		for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
			assert_true(holds(packed, size, texts[i]) == !redacts);
		jk_arena_free(&arena);
	}
}

/* What is mapped is the form that the body has, not one it says it has. */
static void what_is_withheld_depends_on_the_form(void **state)
{
	(void)state;
	const uint32_t coarse = jk_profile_withheld(JK_PROFILE_COARSE_PLACE), none = UINT32_MAX;

	assert_int_equal(jk_body_withheld(JK_GROUP_COUNT, coarse), coarse);
	assert_int_equal(jk_body_withheld(JK_GROUP_COUNT, JK_GROUPS_PROTECTED), JK_GROUPS_PROTECTED);
	assert_int_equal(jk_body_withheld(JK_GROUP_COUNT, none), none);
	assert_int_equal(jk_body_withheld(JK_GROUP_COUNT_OLD, 0), 0);
	assert_int_equal(jk_body_withheld(JK_GROUP_COUNT_OLD, JK_GROUPS_PROTECTED), JK_GROUPS_PROTECTED);
	assert_int_equal(jk_body_withheld(JK_GROUP_COUNT_OLD, BIT(JK_GROUP_REPORTER)), BIT(JK_GROUP_REPORTER));
	assert_int_equal(jk_body_withheld(JK_GROUP_COUNT_OLD, coarse), ~BIT(JK_GROUP_TIMES));
	assert_int_equal(jk_body_withheld(JK_GROUP_COUNT_OLD, BIT(JK_GROUP_WORDS)), ~BIT(JK_GROUP_TIMES));
	assert_int_equal(jk_body_withheld(JK_GROUP_COUNT_OLD, jk_profile_withheld(JK_PROFILE_STATISTICS_ONLY)), none);
	assert_int_equal(jk_body_withheld(JK_GROUP_COUNT_OLD, none), none);
}

static const char step[] = "AMBULANCE accepted";

/* The sample with WORK. */
static struct sealed seal_work(struct sealed *of)
{
	struct sealed sealed = {.arena = jk_arena_new(ARENA_BYTES)};

	assert_int_equal(jk_body_add_work((struct jk_span){.data = of->body, .size = of->size},
				 (struct jk_span){.data = step, .size = sizeof step - 1}, sealed.arena, sealed.commitment,
				 &sealed.body, &sealed.size),
		JK_OK);
	return sealed;
}

static void work_is_added_to_what_is_stored(void **state)
{
	(void)state;
	struct sealed sample = seal_sample(), work = seal_work(&sample), again = seal_work(&work);
	Jukwaa__V1__EventBody *before = jukwaa__v1__event_body__unpack(NULL, sample.size, sample.body);
	Jukwaa__V1__EventBody *body = jukwaa__v1__event_body__unpack(NULL, work.size, work.body);

	assert_int_equal(body->n_groups, JK_GROUP_MAX);
	assert_int_equal(body->stored_apart, 0); /* stays with the report */
	assert_true(jk_body_verify(body, work.commitment));
	assert_memory_not_equal(work.commitment, sample.commitment, 32);
	for (int i = 0; i < JK_GROUP_COUNT; i++) {
		assert_int_equal(body->groups[i]->content.len, before->groups[i]->content.len);
		assert_memory_equal(body->groups[i]->salt.data, before->groups[i]->salt.data, before->groups[i]->salt.len);
		assert_memory_equal(body->groups[i]->digest.data, before->groups[i]->digest.data, before->groups[i]->digest.len);
	}
	assert_int_equal(body->groups[JK_GROUP_WORK - 1]->tag, JK_GROUP_WORK);
	assert_int_equal(jk_body_work(body).size, sizeof step - 1);
	assert_memory_equal(jk_body_work(body).data, step, sizeof step - 1);
	assert_int_equal(jk_body_work(before).size, 0);
	/* What was done before is no part of it; each has a salt of its own. */
	assert_int_equal(again.size, work.size);
	assert_memory_not_equal(again.commitment, work.commitment, 32);
	jukwaa__v1__event_body__free_unpacked(before, NULL);
	jukwaa__v1__event_body__free_unpacked(body, NULL);
	jk_arena_free(&sample.arena);
	jk_arena_free(&work.arena);
	jk_arena_free(&again.arena);
}

static void work_is_not_added_to_what_is_no_body_of_ours(void **state)
{
	(void)state;
	struct sealed sample = seal_sample();
	const struct jk_span work = {.data = step, .size = sizeof step - 1};
	struct jk_arena *small = jk_arena_new(sample.size);
	uint8_t commitment[32];
	const uint8_t *body;
	size_t size;

	assert_int_equal(jk_body_add_work((struct jk_span){.data = old_body, .size = sizeof old_body}, work, sample.arena,
				 commitment, &body, &size),
		JK_BROKEN);
	assert_int_equal(jk_body_add_work((struct jk_span){.data = sample.body, .size = sample.size / 2}, work, sample.arena,
				 commitment, &body, &size),
		JK_BROKEN);
	assert_int_equal(jk_body_add_work((struct jk_span){0}, work, sample.arena, commitment, &body, &size), JK_BROKEN);
	assert_int_equal(jk_body_add_work((struct jk_span){.data = sample.body, .size = sample.size}, work, small, commitment,
				 &body, &size),
		JK_BROKEN);
	jk_arena_free(&small);
	jk_arena_free(&sample.arena);
}

/* Decisions and filters see the incident, whatever was done about it. */
static void the_label_of_work_is_the_incidents(void **state)
{
	(void)state;
	struct sealed sample = seal_sample(), work = seal_work(&sample);
	struct jk_event_label label, expected;

	assert_int_equal(jk_body_label(sample.body, sample.size, sample.arena, &expected), JK_OK);
	assert_int_equal(jk_body_label(work.body, work.size, work.arena, &label), JK_OK);
	assert_int_equal(label.group_count, JK_GROUP_MAX);
	assert_string_equal(label.agency_code, expected.agency_code);
	assert_string_equal(label.headline, expected.headline);
	assert_int_equal(label.label.categories, expected.label.categories);
	assert_int_equal(label.label.tlp, expected.label.tlp);
	assert_int_equal(label.label.scope, expected.label.scope);
	assert_int_equal(label.severity, expected.severity);
	assert_int_equal(label.status, expected.status);
	assert_true(label.expires_us == expected.expires_us);
	assert_int_equal(jk_body_withheld(JK_GROUP_MAX, BIT(JK_GROUP_WORK)), BIT(JK_GROUP_WORK));
	jk_arena_free(&sample.arena);
	jk_arena_free(&work.arena);
}

static void a_copy_of_work_shows_what_is_allowed_and_verifies(void **state)
{
	(void)state;
	struct sealed sample = seal_sample(), work = seal_work(&sample);

	for (uint32_t withheld = 0; withheld < BIT(JK_GROUP_MAX + 1); withheld += 2) {
		struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
		Jukwaa__V1__EventBody *copy = jk_body_copy(work.body, work.size, withheld, arena);
		uint8_t packed[4096];
		size_t size;
		assert_non_null(copy);
		assert_int_equal(copy->n_groups, JK_GROUP_MAX);
		assert_true(jk_body_verify(copy, work.commitment));
		for (int i = 0; i < JK_GROUP_MAX; i++) {
			bool shown = (withheld >> (i + 1) & 1) == 0 && !is_protected(i + 1);
			assert_int_equal(copy->groups[i]->digest.len, shown ? 0 : 32);
			assert_int_equal(copy->groups[i]->salt.len, shown ? JK_SALT_BYTES : 0);
		}
		size = jukwaa__v1__event_body__pack(copy, packed);
		assert_true(holds(packed, size, step) == ((withheld & BIT(JK_GROUP_WORK)) == 0));
		assert_true((jk_body_work(copy).size > 0) == ((withheld & BIT(JK_GROUP_WORK)) == 0));
		copy->n_groups = JK_GROUP_COUNT; /* WORK cannot be left out */
		assert_false(jk_body_verify(copy, work.commitment));
		jk_arena_free(&arena);
	}
	jk_arena_free(&sample.arena);
	jk_arena_free(&work.arena);
}

/* Field 15, length-delimited, "SMUGGLED": once beside the groups, once inside the first. */
static void unknown_fields_do_not_pass(void **state)
{
	(void)state;
	static const uint8_t smuggled[] = {0x7a, 8, 'S', 'M', 'U', 'G', 'G', 'L', 'E', 'D'};
	struct sealed sealed = seal_sample();
	uint8_t *bytes = jk_arena_alloc(sealed.arena, sealed.size + 2 * sizeof smuggled);
	uint8_t *at = bytes;
	size_t group_size = sealed.body[1];

	assert_int_equal(sealed.body[0], 0x0a);
	assert_true(group_size + sizeof smuggled < 128);
	*at++ = 0x0a;
	*at++ = (uint8_t)(group_size + sizeof smuggled);
	memcpy(at, sealed.body + 2, group_size);
	memcpy(at += group_size, smuggled, sizeof smuggled);
	memcpy(at += sizeof smuggled, sealed.body + 2 + group_size, sealed.size - 2 - group_size);
	memcpy(at += sealed.size - 2 - group_size, smuggled, sizeof smuggled);
	at += sizeof smuggled;

	Jukwaa__V1__EventBody *copy = jk_body_copy(bytes, (size_t)(at - bytes), 0, sealed.arena);
	assert_non_null(copy);
	uint8_t packed[4096];
	size_t size = jukwaa__v1__event_body__pack(copy, packed);
	assert_int_equal(size, sealed.size - APART_BYTES);
	assert_memory_equal(packed, sealed.body, size);
	jk_arena_free(&sealed.arena);
}

/* Cut to its groups it is one that has nothing apart; cut to the first ten, one of version 0.1.0. Anything between is nothing. */
static bool is_whole(const struct sealed *sealed, size_t size)
{
	size_t end = 0;

	for (int i = 0; i < JK_GROUP_COUNT_OLD; i++) {
		assert_true(sealed->body[end + 1] < 128);
		end += 2 + sealed->body[end + 1];
	}
	return size == end || size == sealed->size - APART_BYTES || size == sealed->size;
}

/* Cut anywhere, or with any byte changed, it is refused or read, but never read past its end (run with sanitizers). */
static void broken_bodies_do_no_harm(void **state)
{
	(void)state;
	struct sealed sealed = seal_sample();
	struct jk_event_label label;

	for (size_t size = 0; size <= sealed.size; size++) {
		struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
		uint8_t *exact = test_malloc(size + (size == 0));
		memcpy(exact, sealed.body, size);
		assert_int_equal(jk_body_label(exact, size, arena, &label), is_whole(&sealed, size) ? JK_OK : JK_BROKEN);
		assert_true((jk_body_copy(exact, size, 0, arena) != NULL) == is_whole(&sealed, size));
		for (int change = 1; size == sealed.size && change < 256; change++) {
			for (size_t i = 0; i < size; i++) {
				exact[i] ^= (uint8_t)change;
				jk_arena_reset(arena);
				if (jk_body_label(exact, size, arena, &label) == JK_OK)
					(void)jk_body_copy(exact, size, BIT(1) | BIT(5), arena);
				exact[i] ^= (uint8_t)change;
			}
		}
		test_free(exact);
		jk_arena_free(&arena);
	}
	jk_arena_free(&sealed.arena);
}

static int init(void **state)
{
	(void)state;
	return jk_crypt_init() == JK_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_body_withholds_reporter_and_persons),
		cmocka_unit_test(kept_salts_open_the_digests),
		cmocka_unit_test(salts_are_fresh_for_every_group_and_report),
		cmocka_unit_test(a_full_arena_is_told),
		cmocka_unit_test(the_label_is_what_was_packed),
		cmocka_unit_test(names_are_read_where_they_count),
		cmocka_unit_test(an_empty_body_has_an_empty_label),
		cmocka_unit_test(a_copy_shows_what_is_allowed_and_verifies),
		cmocka_unit_test(a_copy_outlives_the_stored_bytes),
		cmocka_unit_test(any_change_breaks_the_commitment),
		cmocka_unit_test(an_old_body_is_read_as_before),
		cmocka_unit_test(an_old_body_shows_all_or_times),
		cmocka_unit_test(what_is_withheld_depends_on_the_form),
		cmocka_unit_test(work_is_added_to_what_is_stored),
		cmocka_unit_test(work_is_not_added_to_what_is_no_body_of_ours),
		cmocka_unit_test(the_label_of_work_is_the_incidents),
		cmocka_unit_test(a_copy_of_work_shows_what_is_allowed_and_verifies),
		cmocka_unit_test(unknown_fields_do_not_pass),
		cmocka_unit_test(broken_bodies_do_no_harm),
	};
	return cmocka_run_group_tests_name("feed body", tests, init, NULL);
}
