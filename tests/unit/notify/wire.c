/* The document that leaves: exact bytes, since they are signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "notify_wire.h"

static void a_cloud_event_with_four_facts(void **state)
{
	(void)state;
	struct jk_buffer buffer = {0};
	const struct notify_told told = {
		.message_id = "01a209e2-d73d-7313-87b2-e3fe8a3ffc58",
		.incident_id = "01a209e2-d4ca-789e-9a58-b676fddc0e3c",
		.county = "047",
		.category = 9,
		.severity = 2,
		.time_us = 1767225600000000,
		.realm = JK_REALM_EXERCISE,
	};
	notify_wire_write(&told, &buffer);
	assert_string_equal(buffer.data,
		"{\"specversion\":\"1.0\",\"id\":\"01a209e2-d73d-7313-87b2-e3fe8a3ffc58\",\"source\":\"urn:jukwaa:exercise\","
		"\"type\":\"ke.jukwaa.incident.v1\",\"time\":\"2026-01-01T00:00:00Z\",\"datacontenttype\":\"application/json\","
		"\"data\":{\"id\":\"01a209e2-d4ca-789e-9a58-b676fddc0e3c\",\"county\":\"047\",\"category\":\"TRANSPORT\","
		"\"severity\":\"SEVERE\"}}");
	jk_buffer_done(&buffer);
}

static void what_is_no_body_is_no_event(void **state)
{
	(void)state;
	static const uint8_t noise[] = {0xff, 0xff, 0xff};
	struct jk_arena *arena = jk_arena_new(65536);
	struct jk_event event = {.stream = "047", .kind = JK_EVENT_INCIDENT, .body = noise, .body_size = sizeof noise};
	struct notify_event read;
	struct jk_label label;
	char agency[33];
	assert_false(notify_wire_read_event(&event, arena, &read));
	assert_false(notify_wire_read_label(noise, sizeof noise, "047", 1, arena, &label, agency));
	jk_arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cloud_event_with_four_facts),
		cmocka_unit_test(what_is_no_body_is_no_event),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
