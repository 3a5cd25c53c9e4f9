/* Deliveries: what is malformed, what adds up and what does not, and the line of JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client/client_event.h"
#include "feed/feed_body.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "wire/wire_body.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };

/* A delivery as dispatch would make it: sealed, copied without reporter and persons, chained. */
struct sample {
	struct jk_arena *arena;
	struct client_link link;
	Jukwaa__V1__Deliver deliver;
	uint8_t commitment[32], chain[32], event_id[16], incident_id[16];
	char stream[8], allowed_by[8];
};

static struct jk_group pack_group(struct jk_arena *arena, const ProtobufCMessage *message)
{
	struct jk_group group = {0};

	group.content = jk_body_pack(message, arena, &group.content_size);
	return group;
}

static Jukwaa__V1__EventBody *make_body(struct sample *s)
{
	Jukwaa__V1__Identity identity = JUKWAA__V1__IDENTITY__INIT;
	Jukwaa__V1__Classification classification = JUKWAA__V1__CLASSIFICATION__INIT;
	Jukwaa__V1__Text text = JUKWAA__V1__TEXT__INIT, *texts[] = {&text};
	Jukwaa__V1__Narrative narrative = JUKWAA__V1__NARRATIVE__INIT;
	Jukwaa__V1__Category categories[] = {JUKWAA__V1__CATEGORY__CATEGORY_FIRE};
	struct jk_group groups[JK_GROUP_COUNT] = {0};
	char agency[] = "KPS", event[] = "Fire", headline[] = "Moto \"sokoni\"";
	const uint8_t *body;
	size_t size;

	identity.agency = agency;
	identity.status = JUKWAA__V1__STATUS__STATUS_ACTUAL;
	classification.event = event;
	classification.severity = JUKWAA__V1__SEVERITY__SEVERITY_SEVERE;
	classification.categories = categories;
	classification.n_categories = 1;
	text.headline = headline;
	narrative.texts = texts;
	narrative.n_texts = 1;
	groups[JK_GROUP_IDENTITY - 1] = pack_group(s->arena, &identity.base);
	groups[JK_GROUP_CLASSIFICATION - 1] = pack_group(s->arena, &classification.base);
	groups[JK_GROUP_NARRATIVE - 1] = pack_group(s->arena, &narrative.base);
	assert_int_equal(jk_body_seal(groups, s->arena, s->commitment, &body, &size), JK_OK);
	return jk_body_copy(body, size, 1U << JK_GROUP_REPORTER | 1U << JK_GROUP_PERSONS, s->arena);
}

static void chain_sample(struct sample *s, const uint8_t *previous)
{
	struct jk_chain_link link = {.stream = "047",
		.seq = s->deliver.seq,
		.epoch = 1,
		.recorded_at_us = s->deliver.recorded_at_us,
		.kind = (int)s->deliver.kind,
		.tlp = (int)s->deliver.tlp,
		.category = (int)s->deliver.category,
		.commitment_size = 32};

	memcpy(link.commitment, s->commitment, 32);
	memcpy(link.event_id.bytes, s->event_id, 16);
	memcpy(link.incident_id.bytes, s->incident_id, 16);
	jk_chain_next(s->chain, previous, &link);
}

static void make_sample(struct sample *s, uint64_t seq, const uint8_t *previous)
{
	*s = (struct sample){.stream = "047", .allowed_by = "allow:1", .event_id = {1}, .incident_id = {2}};
	assert_int_equal(jk_crypt_init(), JK_OK);
	s->arena = s->link.arena = jk_arena_new(ARENA_BYTES);
	jukwaa__v1__deliver__init(&s->deliver);
	s->deliver.stream = s->stream;
	s->deliver.allowed_by = s->allowed_by;
	s->deliver.seq = seq;
	s->deliver.epoch = 1;
	s->deliver.kind = JUKWAA__V1__EVENT_KIND__EVENT_KIND_INCIDENT;
	s->deliver.recorded_at_us = 1772352930000000;
	s->deliver.tlp = JUKWAA__V1__TLP__TLP_GREEN;
	s->deliver.category = JUKWAA__V1__CATEGORY__CATEGORY_FIRE;
	s->deliver.body_case = JUKWAA__V1__DELIVER__BODY_EVENT;
	s->deliver.event = make_body(s);
	chain_sample(s, previous);
	s->deliver.event_id = (ProtobufCBinaryData){16, s->event_id};
	s->deliver.incident_id = (ProtobufCBinaryData){16, s->incident_id};
	s->deliver.commitment = (ProtobufCBinaryData){32, s->commitment};
	s->deliver.chain = (ProtobufCBinaryData){32, s->chain};
}

static void malformed_deliveries_are_refused(void **state)
{
	struct client_chains chains = {0};
	struct jukwaa_event event;
	struct sample s;

	(void)state;
	make_sample(&s, 1, NULL);
	s.deliver.event_id.len = 15;
	assert_false(client_event_read(&s.link, &s.deliver, 1, &chains, NULL, &event));
	s.deliver.event_id.len = 16;
	s.deliver.seq = 0;
	assert_false(client_event_read(&s.link, &s.deliver, 1, &chains, NULL, &event));
	s.deliver.seq = 1;
	s.deliver.body_case = JUKWAA__V1__DELIVER__BODY__NOT_SET;
	assert_false(client_event_read(&s.link, &s.deliver, 1, &chains, NULL, &event));
	client_chains_done(&chains);
	jk_arena_free(&s.arena);
}

static void a_changed_copy_does_not_add_up(void **state)
{
	struct client_chains chains = {0};
	struct jukwaa_event event;
	struct sample s;

	(void)state;
	make_sample(&s, 1, NULL);
	assert_true(client_event_read(&s.link, &s.deliver, 1, &chains, NULL, &event));
	assert_true(event.copy_verified);
	s.deliver.event->groups[JK_GROUP_NARRATIVE - 1]->content.data[3] ^= 1;
	assert_true(client_event_read(&s.link, &s.deliver, 1, &chains, NULL, &event));
	assert_false(event.copy_verified);
	client_chains_done(&chains);
	jk_arena_free(&s.arena);
}

static void the_chain_is_followed_in_each_stream(void **state)
{
	struct client_chains chains = {0};
	struct jukwaa_event event;
	struct sample first, second, fourth;

	(void)state;
	make_sample(&first, 1, NULL);
	make_sample(&second, 2, first.chain);
	make_sample(&fourth, 4, second.chain);
	assert_true(client_event_read(&first.link, &first.deliver, 1, &chains, NULL, &event));
	assert_true(event.chain_verified);
	assert_true(client_event_read(&second.link, &second.deliver, 2, &chains, NULL, &event));
	assert_true(event.chain_verified);
	assert_false(event.chain_broken);
	/* A hole by policy: nothing can be said. */
	assert_true(client_event_read(&fourth.link, &fourth.deliver, 3, &chains, NULL, &event));
	assert_false(event.chain_verified);
	assert_false(event.chain_broken);
	/* One after the other, and it does not add up. */
	fourth.deliver.seq = 5;
	fourth.deliver.revision = 9;
	assert_true(client_event_read(&fourth.link, &fourth.deliver, 4, &chains, NULL, &event));
	assert_false(event.chain_verified);
	assert_true(event.chain_broken);
	client_chains_done(&chains);
	jk_arena_free(&first.arena);
	jk_arena_free(&second.arena);
	jk_arena_free(&fourth.arena);
}

static void a_stream_met_in_its_middle_says_nothing(void **state)
{
	struct client_chains chains = {0};
	struct jukwaa_event event;
	struct sample s;

	(void)state;
	make_sample(&s, 7, (const uint8_t *)"unknown previous chain, 32 bytes");
	assert_true(client_event_read(&s.link, &s.deliver, 1, &chains, NULL, &event));
	assert_false(event.chain_verified);
	assert_false(event.chain_broken);
	client_chains_done(&chains);
	jk_arena_free(&s.arena);
}

static void the_line_holds_what_is_shown(void **state)
{
	static const char *const parts[] = {"{\"delivery_no\":7,", "\"stream\":\"047\",\"county\":\"047\",\"seq\":1,",
		"\"kind\":\"INCIDENT\"", "\"event_id\":\"01000000-0000-0000-0000-000000000000\"",
		"\"recorded_at\":\"2026-03-01T08:15:30Z\"", "\"tlp\":\"GREEN\",\"category\":\"FIRE\",\"severity\":\"SEVERE\"",
		"\"agency\":\"KPS\",\"headline\":\"Moto \\\"sokoni\\\"\"", "\"copy_verified\":true,\"chain_verified\":true",
		"\"allowed_by\":\"allow:1\",\"agreement\":\"\",\"agreement_version\":0,\"profile\":\"FULL@1\",\"retention_days\":"
		"30,"
		"\"redistribution\":true",
		"\"withheld\":[\"reporter\",\"persons\"]}}"};
	struct client_chains chains = {0};
	struct jk_buffer json = {0};
	struct jukwaa_event event;
	struct sample s;

	(void)state;
	make_sample(&s, 1, NULL);
	s.deliver.profile = (char[]){"FULL@1"};
	s.deliver.retention_days = 30;
	s.deliver.redistribution = true;
	assert_true(client_event_read(&s.link, &s.deliver, 7, &chains, &json, &event));
	assert_string_equal(event.profile, "FULL@1");
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (!strstr(event.json, parts[i]))
			fail_msg("%s is not in %s", parts[i], event.json);
	assert_null(strchr(event.json, '\n'));
	assert_string_equal(event.headline, "Moto \"sokoni\"");
	jk_buffer_done(&json);
	client_chains_done(&chains);
	jk_arena_free(&s.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_deliveries_are_refused),
		cmocka_unit_test(a_changed_copy_does_not_add_up),
		cmocka_unit_test(the_chain_is_followed_in_each_stream),
		cmocka_unit_test(a_stream_met_in_its_middle_says_nothing),
		cmocka_unit_test(the_line_holds_what_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
