/* Deliveries: what is malformed, what adds up and what does not, and the line of JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "authz/authz_profile.h"
#include "client/client_event.h"
#include "feed/feed_body.h"
#include "feed/feed_parts.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "jukwaa/v1/work.pb-c.h"
#include "wire/wire_body.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };

/* A delivery as dispatch would make it: sealed, copied without reporter and persons, chained. */
struct sample {
	struct jk_arena *arena;
	struct client_link link;
	Jukwaa__V1__Deliver deliver;
	uint8_t commitment[32], chain[32], event_id[16], incident_id[16];
	char stream[8], allowed_by[8];
	uint32_t withheld;
};

/* Sealed as intake does. */
static const uint8_t *seal(struct sample *s, const Jukwaa__V1__Incident *incident, size_t *ret_size)
{
	const ProtobufCMessage *messages[JK_GROUP_COUNT];
	struct jk_group groups[JK_GROUP_COUNT] = {0};
	const uint8_t *body;

	assert_true(jk_parts_split(incident, s->arena, messages));
	for (int i = 0; i < JK_GROUP_COUNT; i++)
		if (messages[i])
			groups[i].content = jk_body_pack(messages[i], s->arena, &groups[i].content_size);
	assert_int_equal(jk_body_seal(groups, s->arena, s->commitment, &body, ret_size), JK_OK);
	return body;
}

static Jukwaa__V1__EventBody *make_body(struct sample *s)
{
	Jukwaa__V1__Incident incident = JUKWAA__V1__INCIDENT__INIT;
	Jukwaa__V1__Identity identity = JUKWAA__V1__IDENTITY__INIT;
	Jukwaa__V1__Classification classification = JUKWAA__V1__CLASSIFICATION__INIT;
	Jukwaa__V1__Place place = JUKWAA__V1__PLACE__INIT;
	Jukwaa__V1__Text text = JUKWAA__V1__TEXT__INIT, *texts[] = {&text};
	Jukwaa__V1__Narrative narrative = JUKWAA__V1__NARRATIVE__INIT;
	Jukwaa__V1__Category categories[] = {JUKWAA__V1__CATEGORY__CATEGORY_FIRE};
	char agency[] = "KPS", external_id[] = "OB 7", sender_name[] = "Gikomba", event[] = "Fire",
	     headline[] = "Moto \"sokoni\"";
	char county[] = "047", where[] = "near the bridge", *counties[] = {county}, *words[] = {where};
	const uint8_t *body;
	size_t size;

	identity.agency = agency;
	identity.external_id = external_id;
	identity.sender_name = sender_name;
	identity.status = JUKWAA__V1__STATUS__STATUS_ACTUAL;
	classification.event = event;
	classification.severity = JUKWAA__V1__SEVERITY__SEVERITY_SEVERE;
	classification.categories = categories;
	classification.n_categories = 1;
	place.counties = counties;
	place.text = words;
	place.n_counties = place.n_text = 1;
	place.accuracy_present_case = JUKWAA__V1__PLACE__ACCURACY_PRESENT_ACCURACY_M;
	place.accuracy_m = 2.5;
	text.headline = headline;
	narrative.texts = texts;
	narrative.n_texts = 1;
	incident.identity = &identity;
	incident.classification = &classification;
	incident.place = &place;
	incident.narrative = &narrative;
	body = seal(s, &incident, &size);
	return jk_body_copy(body, size, s->withheld, s->arena);
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

static void make_sample_for(struct sample *s, uint32_t withheld, uint64_t seq, const uint8_t *previous)
{
	*s = (struct sample){.stream = "047", .allowed_by = "allow:1", .event_id = {1}, .incident_id = {2}, .withheld = withheld};
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

static void make_sample(struct sample *s, uint64_t seq, const uint8_t *previous)
{
	make_sample_for(s, 1U << JK_GROUP_REPORTER | 1U << JK_GROUP_PERSONS, seq, previous);
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
	s.deliver.seq = UINT64_C(1) << 63;
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
		/* Put together from their groups, in the order of their fields. */
		"\"incident\":{\"identity\":{\"agency\":\"KPS\",\"external_id\":\"OB "
		"7\",\"status\":\"ACTUAL\",\"sender_name\":\"Gikomba\"},"
		"\"classification\":{\"categories\":[\"FIRE\"],\"event\":\"Fire\",\"severity\":\"SEVERE\"},"
		"\"place\":{\"accuracy_m\":2.5,\"text\":[\"near the bridge\"],\"counties\":[\"047\"]},\"narrative\":",
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

/* Reads the sample; the caller frees its arena. */
static struct jukwaa_event read_sample(struct sample *s, struct jk_buffer *json)
{
	struct client_chains chains = {0};
	struct jukwaa_event event;

	assert_true(client_event_read(&s->link, &s->deliver, 1, &chains, json, &event));
	client_chains_done(&chains);
	return event;
}

static void a_copy_says_what_it_withholds(void **state)
{
	static const char profile[] = "COARSE_PLACE@1";
	struct jk_buffer json = {0};
	struct jukwaa_event event;
	struct sample s;

	(void)state;
	make_sample_for(&s, jk_profile_withheld(JK_PROFILE_COARSE_PLACE), 1, NULL);
	s.deliver.profile = (char *)(uintptr_t)profile;
	event = read_sample(&s, &json);
	assert_true(event.copy_verified);
	assert_string_equal(event.copy_problem, "");
	assert_null(strstr(event.json, "copy_problem"));
	assert_string_equal(event.headline, "");
	assert_non_null(strstr(event.json, "\"incident\":{\"identity\":{\"agency\":\"KPS\",\"status\":\"ACTUAL\"},"
					   "\"classification\":{\"categories\":[\"FIRE\"],"
					   "\"severity\":\"SEVERE\"},\"place\":{\"counties\":[\"047\"]},\"withheld\":["
					   "\"narrative\",\"resources\",\"references\","
					   "\"reporter\",\"persons\",\"registration\",\"position\",\"words\"]}}"));
	jk_buffer_done(&json);
	jk_arena_free(&s.arena);
}

/* Each adds up to its commitment, and is not what it says it is. */
static void a_copy_that_shows_more_than_its_profile_is_told(void **state)
{
	static const struct {
		enum jk_profile made_for;
		const char *profile, *problem;
	} rows[] = {
		{JK_PROFILE_FULL, "", ""},
		{JK_PROFILE_FULL, "FULL@1", ""},
		{JK_PROFILE_STATISTICS_ONLY, "FULL@1", ""}, /* less than it might */
		{JK_PROFILE_STATISTICS_ONLY, "COARSE_PLACE@1", ""},
		{JK_PROFILE_FULL, "COARSE_PLACE@1", "narrative is shown, which its profile withholds"},
		{JK_PROFILE_NO_NARRATIVE, "COARSE_PLACE@1", "references is shown, which its profile withholds"},
		{JK_PROFILE_NO_PERSONS, "COARSE_PLACE@1", "position is shown, which its profile withholds"},
		{JK_PROFILE_COARSE_PLACE, "STATISTICS_ONLY@1", "times is shown, which its profile withholds"},
		{JK_PROFILE_FULL, "FULL@2", "the profile that it names is not known here"},
		{JK_PROFILE_FULL, "coarse_place@1", "the profile that it names is not known here"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct jk_buffer json = {0};
		struct jukwaa_event event;
		struct sample s;

		make_sample_for(&s, jk_profile_withheld(rows[i].made_for), 1, NULL);
		s.deliver.profile = (char *)(uintptr_t)rows[i].profile;
		event = read_sample(&s, &json);
		assert_string_equal(event.copy_problem, rows[i].problem);
		assert_true(event.copy_verified == (rows[i].problem[0] == '\0'));
		assert_true((strstr(event.json, "\"copy_problem\":\"") != NULL) == !event.copy_verified);
		jk_buffer_done(&json);
		jk_arena_free(&s.arena);
	}
}

static void a_group_with_what_is_not_its_own_is_told(void **state)
{
	Jukwaa__V1__Identity identity = JUKWAA__V1__IDENTITY__INIT;
	struct jk_group groups[JK_GROUP_COUNT] = {0};
	char agency[] = "KPS", sender_name[] = "smuggled";
	const uint8_t *body;
	struct sample s;
	size_t size;

	(void)state;
	make_sample(&s, 1, NULL);
	identity.agency = agency;
	identity.sender_name = sender_name; /* of WORDS, in the group that every profile shows */
	groups[0].content = jk_body_pack(&identity.base, s.arena, &groups[0].content_size);
	assert_int_equal(jk_body_seal(groups, s.arena, s.commitment, &body, &size), JK_OK);
	s.deliver.event = jk_body_copy(body, size, JK_GROUPS_PROTECTED, s.arena);
	assert_string_equal(read_sample(&s, NULL).copy_problem, "identity holds what is not its own");
	s.deliver.event->stored_apart = 1U << JK_GROUP_REPORTER;
	assert_string_equal(read_sample(&s, NULL).copy_problem, "it tells what is stored apart");
	s.deliver.event->stored_apart = 0;
	s.deliver.event->groups[1]->salt.data[0] ^= 1;
	assert_string_equal(read_sample(&s, NULL).copy_problem, "it does not add up to its commitment");
	jk_arena_free(&s.arena);
}

/* The sample's body with what was done. */
static void add_work(struct sample *s)
{
	Jukwaa__V1__DutyStep duty = JUKWAA__V1__DUTY_STEP__INIT;
	Jukwaa__V1__Work work = JUKWAA__V1__WORK__INIT;
	Jukwaa__V1__EventBody *before = s->deliver.event;
	struct jk_span packed, body;
	const uint8_t *stored;
	size_t size;

	duty.discipline = (char[]){"AMBULANCE"};
	duty.action = JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_ACCEPTED;
	work.step_case = JUKWAA__V1__WORK__STEP_DUTY_STEP;
	work.duty_step = &duty;
	packed.data = jk_body_pack(&work.base, s->arena, &packed.size);
	body.data = jk_body_pack(&before->base, s->arena, &body.size);
	assert_int_equal(jk_body_add_work(body, packed, s->arena, s->commitment, &stored, &size), JK_OK);
	s->deliver.event = jk_body_copy(stored, size, s->withheld, s->arena);
	s->deliver.kind = JUKWAA__V1__EVENT_KIND__EVENT_KIND_DUTY;
	chain_sample(s, NULL);
}

static void what_was_done_stands_beside_the_incident(void **state)
{
	struct jk_buffer json = {0};
	struct jukwaa_event event;
	struct sample s;

	(void)state;
	make_sample(&s, 1, NULL);
	add_work(&s);
	event = read_sample(&s, &json);
	assert_string_equal(event.kind, "DUTY");
	assert_string_equal(event.copy_problem, "");
	assert_true(event.chain_verified);
	assert_string_equal(event.headline, "Moto \"sokoni\"");
	assert_non_null(strstr(event.json, "\"withheld\":[\"reporter\",\"persons\"]},\"work\":{"));
	assert_non_null(strstr(event.json, "\"duty_step\":{\"discipline\":\"AMBULANCE\",\"action\":\"ACCEPTED\"}}}"));
	jk_buffer_done(&json);
	jk_arena_free(&s.arena);
}

static void what_was_done_is_shown_by_full_alone(void **state)
{
	static const uint32_t lets_through = 1U << JK_GROUP_WORK;
	const uint32_t withheld = jk_profile_withheld(JK_PROFILE_NO_NARRATIVE);
	struct jk_buffer json = {0};
	struct jukwaa_event event;
	struct sample s;

	(void)state;
	for (int shown = 0; shown < 2; shown++) {
		make_sample(&s, 1, NULL);
		s.withheld = shown ? withheld & ~lets_through : withheld;
		s.deliver.profile = (char[]){"NO_NARRATIVE@1"};
		add_work(&s);
		event = read_sample(&s, &json);
		assert_string_equal(event.copy_problem, shown ? "work is shown, which its profile withholds" : "");
		assert_true((strstr(event.json, "\"work\":{") != NULL) == shown);
		assert_true((strstr(event.json, "\"words\",\"work\"]") != NULL) != shown);
		jk_arena_free(&s.arena);
	}
	jk_buffer_done(&json);
}

static void read_mail(const char *expected, void (*set)(Jukwaa__V1__Deliver *deliver))
{
	struct jk_buffer json = {0};
	struct jk_span packed;
	struct jukwaa_event event;
	struct sample s;

	make_sample(&s, 1, NULL);
	set(&s.deliver);
	packed.data = jk_body_pack((const ProtobufCMessage *)s.deliver.opened, s.arena, &packed.size);
	jk_sha256(s.commitment, &packed, 1);
	chain_sample(&s, NULL);
	event = read_sample(&s, &json);
	assert_true(event.copy_verified);
	assert_true(event.chain_verified);
	if (!strstr(event.json, expected))
		fail_msg("%s is not in %s", expected, event.json);
	s.commitment[0] ^= 1;
	assert_string_equal(read_sample(&s, NULL).copy_problem, "it does not add up to its commitment");
	jk_buffer_done(&json);
	jk_arena_free(&s.arena);
}

static void one_of_a_snapshot_says_so(void **state)
{
	struct client_chains chains = {0};
	struct jk_buffer json = {0};
	struct jukwaa_event event;
	struct sample s;
	Jukwaa__V1__SnapshotEnd end = JUKWAA__V1__SNAPSHOT_END__INIT;

	(void)state;
	make_sample(&s, 7, (const uint8_t *)"unknown previous chain, 32 bytes");
	s.deliver.snapshot = s.deliver.closed = true;
	s.deliver.case_state = JUKWAA__V1__CASE_STATE__CASE_STATE_CLOSED;
	for (int i = 0; i < 2; i++) {
		assert_true(client_event_read(&s.link, &s.deliver, 1, &chains, &json, &event));
		assert_true(event.snapshot && event.closed && event.copy_verified);
		assert_int_equal(event.snapshot_begins, i == 0);
		assert_false(event.chain_verified || event.chain_broken); /* its place says nothing of those around it */
		assert_string_equal(event.case_state, "CLOSED");
		assert_non_null(strstr(event.json,
			i == 0 ? ",\"snapshot\":true,\"snapshot_begins\":true,\"case_state\":\"CLOSED\",\"closed\":true,"
			       : ",\"snapshot_begins\":false,"));
	}
	s.deliver.case_state = 200; /* of a later version */
	assert_true(client_event_read(&s.link, &s.deliver, 1, &chains, NULL, &event));
	assert_string_equal(event.case_state, "");
	end.count = 3;
	client_event_read_end(&end, 4, &chains, &json, &event);
	assert_string_equal(event.kind, "SNAPSHOT_END");
	assert_false(event.snapshot_begins);
	assert_int_equal(event.snapshot_count, 3);
	assert_string_equal(event.json,
		"{\"delivery_no\":4,\"kind\":\"SNAPSHOT_END\",\"snapshot\":true,\"snapshot_begins\":false,\"snapshot_count\":3}");
	end.count = 0;
	client_event_read_end(&end, 5, &chains, NULL, &event);
	assert_true(event.snapshot_begins); /* and ends: nothing is open */
	assert_null(event.json);
	jk_buffer_done(&json);
	client_chains_done(&chains);
	jk_arena_free(&s.arena);
}

static void set_opened(Jukwaa__V1__Deliver *deliver)
{
	static Jukwaa__V1__Opened opened = JUKWAA__V1__OPENED__INIT;

	opened.desk = (char *)(uintptr_t) "KRCS-NBO";
	deliver->body_case = JUKWAA__V1__DELIVER__BODY_OPENED;
	deliver->opened = &opened;
}

static void set_acted(Jukwaa__V1__Deliver *deliver)
{
	static Jukwaa__V1__Acted acted = JUKWAA__V1__ACTED__INIT;

	acted.step = (char *)(uintptr_t) "ON_SCENE";
	deliver->body_case = JUKWAA__V1__DELIVER__BODY_ACTED;
	deliver->acted = &acted;
}

static void set_unanswered(Jukwaa__V1__Deliver *deliver)
{
	static Jukwaa__V1__Unanswered unanswered = JUKWAA__V1__UNANSWERED__INIT;

	unanswered.times = 3;
	deliver->body_case = JUKWAA__V1__DELIVER__BODY_UNANSWERED;
	deliver->unanswered = &unanswered;
}

static void mails_are_checked_and_written_out(void **state)
{
	(void)state;
	read_mail(",\"opened\":{\"desk\":\"KRCS-NBO\"}}", set_opened);
	read_mail(",\"acted\":{\"step\":\"ON_SCENE\"}}", set_acted);
	read_mail(",\"unanswered\":{\"times\":3}}", set_unanswered);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_deliveries_are_refused),
		cmocka_unit_test(a_changed_copy_does_not_add_up),
		cmocka_unit_test(the_chain_is_followed_in_each_stream),
		cmocka_unit_test(a_stream_met_in_its_middle_says_nothing),
		cmocka_unit_test(the_line_holds_what_is_shown),
		cmocka_unit_test(a_copy_says_what_it_withholds),
		cmocka_unit_test(a_copy_that_shows_more_than_its_profile_is_told),
		cmocka_unit_test(a_group_with_what_is_not_its_own_is_told),
		cmocka_unit_test(what_was_done_stands_beside_the_incident),
		cmocka_unit_test(what_was_done_is_shown_by_full_alone),
		cmocka_unit_test(mails_are_checked_and_written_out),
		cmocka_unit_test(one_of_a_snapshot_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
