/* JSON: what is refused, by code and field; then both directions. That the schema agrees with the reader is tested in
 * tests/contract/json_schema_test.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "wire/wire_body.h"
#include "json/json_map.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define INCIDENT &jukwaa__v1__incident__descriptor
#define DELIVER &jukwaa__v1__deliver__descriptor
#define PUBLISH &jukwaa__v1__publish__descriptor
#define WELCOME &jukwaa__v1__welcome__descriptor
#define TIMES &jukwaa__v1__times__descriptor
#define POINT &jukwaa__v1__point__descriptor
#define RECEIPT &jukwaa__v1__receipt__descriptor

enum { ARENA_BYTES = 1 << 20 };

struct refusal {
	const ProtobufCMessageDescriptor *type;
	const char *text;
	enum jk_code code;
	const char *field;
};
static const struct refusal refusals[] = {
	{INCIDENT, "", JK_CODE_NOT_WELL_FORMED, "line 1 column 0"},
	{INCIDENT, "{", JK_CODE_NOT_WELL_FORMED, "line 1 column 1"},
	{INCIDENT, "{\n \"identity\": }", JK_CODE_NOT_WELL_FORMED, "line 2 column 14"},
	{INCIDENT, "{} {}", JK_CODE_NOT_WELL_FORMED, "line 1 column 4"},
	{INCIDENT, "{\"identity\":{},}", JK_CODE_NOT_WELL_FORMED, NULL},
	{INCIDENT, "{'identity':{}}", JK_CODE_NOT_WELL_FORMED, NULL},
	{INCIDENT, "{\"identity\":{}} // why", JK_CODE_NOT_WELL_FORMED, NULL},
	{INCIDENT, "{\"identity\":{},\"identity\":{}}", JK_CODE_NOT_WELL_FORMED, NULL},
	{INCIDENT, "{\"identity\":{\"agency\":\"a\\u0000b\"}}", JK_CODE_NOT_WELL_FORMED, NULL},
	{INCIDENT, "{\"identity\":{\"agency\":\"\xff\"}}", JK_CODE_NOT_WELL_FORMED, NULL},
	{INCIDENT, "{\"identity\":{\"agency\":\"\\ud800\"}}", JK_CODE_NOT_WELL_FORMED, NULL},
	{INCIDENT, "{\"identity\":{\"agency\":\"a\nb\"}}", JK_CODE_NOT_WELL_FORMED, NULL},
	{INCIDENT, "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", JK_CODE_NOT_WELL_FORMED, "line 1 column 17"},
	{POINT, "{\"lat\":NaN}", JK_CODE_NOT_WELL_FORMED, NULL},
	{POINT, "{\"lat\":01}", JK_CODE_NOT_WELL_FORMED, NULL},
	{POINT, "{\"lat\":1e999}", JK_CODE_INVALID_SCHEMA, NULL},
	{POINT, "{\"lat\":\"1.5\"}", JK_CODE_INVALID_SCHEMA, "lat"},
	{POINT, "{\"lat\":true}", JK_CODE_INVALID_SCHEMA, "lat"},
	{INCIDENT, "[]", JK_CODE_INVALID_SCHEMA, ""},
	{INCIDENT, "7", JK_CODE_INVALID_SCHEMA, ""},
	{INCIDENT, "null", JK_CODE_INVALID_SCHEMA, ""},
	{INCIDENT, "{\"Identity\":{}}", JK_CODE_INVALID_SCHEMA, "Identity"},
	{INCIDENT, "{\"identity\":{\"externalId\":\"x\"}}", JK_CODE_INVALID_SCHEMA, "identity.externalId"},
	{INCIDENT, "{\"identity\":null}", JK_CODE_INVALID_SCHEMA, "identity"},
	{INCIDENT, "{\"identity\":[]}", JK_CODE_INVALID_SCHEMA, "identity"},
	{INCIDENT, "{\"identity\":{\"agency\":7}}", JK_CODE_INVALID_SCHEMA, "identity.agency"},
	{INCIDENT, "{\"identity\":{\"status\":\"Actual\"}}", JK_CODE_INVALID_SCHEMA, "identity.status"},
	{INCIDENT, "{\"identity\":{\"status\":1}}", JK_CODE_INVALID_SCHEMA, "identity.status"},
	{INCIDENT, "{\"identity\":{\"revision\":1.0}}", JK_CODE_INVALID_SCHEMA, "identity.revision"},
	{INCIDENT, "{\"identity\":{\"revision\":\"9223372036854775808\"}}", JK_CODE_INVALID_SCHEMA, "identity.revision"},
	{INCIDENT, "{\"identity\":{\"revision\":9223372036854775808}}", JK_CODE_INVALID_SCHEMA, NULL},
	{INCIDENT, "{\"narrative\":{\"texts\":{}}}", JK_CODE_INVALID_SCHEMA, "narrative.texts"},
	{INCIDENT, "{\"narrative\":{\"texts\":[{},{\"headline\":[]}]}}", JK_CODE_INVALID_SCHEMA, "narrative.texts[1].headline"},
	{INCIDENT, "{\"narrative\":{\"texts\":[null]}}", JK_CODE_INVALID_SCHEMA, "narrative.texts[0]"},
	{INCIDENT, "{\"classification\":{\"categories\":[\"FIRE\",\"SMOKE\"]}}", JK_CODE_INVALID_SCHEMA,
		"classification.categories[1]"},
	{INCIDENT, "{\"references\":{\"orphan\":1}}", JK_CODE_INVALID_SCHEMA, "references.orphan"},
	{TIMES, "{\"sent_us\":\"2026-03-01T08:15:30\"}", JK_CODE_INVALID_SCHEMA, "sent_us"},
	{TIMES, "{\"sent_us\":1.5}", JK_CODE_INVALID_SCHEMA, "sent_us"},
	{TIMES, "{\"sent_us\":\"yesterday\"}", JK_CODE_INVALID_SCHEMA, "sent_us"},
	{WELCOME, "{\"epoch\":4294967296}", JK_CODE_INVALID_SCHEMA, "epoch"},
	{WELCOME, "{\"epoch\":-1}", JK_CODE_INVALID_SCHEMA, "epoch"},
	{WELCOME, "{\"session\":-1}", JK_CODE_INVALID_SCHEMA, "session"},
	{WELCOME, "{\"session\":\"18446744073709551616\"}", JK_CODE_INVALID_SCHEMA, "session"},
	{WELCOME, "{\"session\":\"\"}", JK_CODE_INVALID_SCHEMA, "session"},
	{DELIVER, "{\"event\":{},\"delivered\":{}}", JK_CODE_INVALID_SCHEMA, "delivered"},
	{DELIVER, "{\"event_id\":\"not a uuid\"}", JK_CODE_INVALID_SCHEMA, "event_id"},
	{DELIVER, "{\"chain\":\"abc\"}", JK_CODE_INVALID_SCHEMA, "chain"},
	{DELIVER, "{\"chain\":\"zz\"}", JK_CODE_INVALID_SCHEMA, "chain"},
	{PUBLISH, "{\"payload\":\"a+b/\"}", JK_CODE_INVALID_SCHEMA, "payload"},
	{PUBLISH, "{\"payload\":\"YQ==\"}", JK_CODE_INVALID_SCHEMA, "payload"},
};

static void refuses(void **state)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	(void)state;
	for (size_t i = 0; i < COUNT(refusals); i++) {
		const struct refusal *row = &refusals[i];
		struct jk_refusal refusal = {.code = JK_CODE_NONE};
		size_t size = strlen(row->text);
		char *text = malloc(size + 1);
		memcpy(text, row->text, size);
		if (jk_json_read(row->type, text, size, arena, &refusal))
			fail_msg("taken: %s", row->text);
		if (refusal.code != row->code || (row->field && strcmp(refusal.field, row->field) != 0))
			fail_msg("%s: code %d field '%s' reason '%s'", row->text, refusal.code, refusal.field, refusal.reason);
		assert_true(refusal.reason[0]);
		free(text);
	}
	jk_arena_free(&arena);
}

/* What the reader says about a text must not repeat it: it may be about people. */
static void reasons_do_not_quote_the_text(void **state)
{
	static const char text[] = "{\"reporter\":{\"name\":\"Wanjiru Kamau\"x}}";
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_refusal refusal;
	(void)state;
	assert_null(jk_json_read(INCIDENT, text, sizeof text - 1, arena, &refusal));
	assert_null(strstr(refusal.reason, "Wanjiru"));
	assert_null(strstr(refusal.reason, "x"));
	jk_arena_free(&arena);
}

static void memory_has_a_limit(void **state)
{
	enum { SIZE = 2 << 20 };
	struct jk_arena *arena = jk_arena_new(1024);
	struct jk_refusal refusal;
	char *text = malloc(SIZE);
	(void)state;
	/* 700,000 empty arrays would be some 100 MB of jansson's. */
	memset(text, ' ', SIZE);
	memcpy(text, "{\"x\":[", 6);
	for (size_t i = 6; i + 5 < SIZE; i += 3)
		memcpy(text + i, "[],", 3);
	memcpy(text + SIZE - 4, "7]} ", 4);
	assert_null(jk_json_read(INCIDENT, text, SIZE, arena, &refusal));
	assert_int_equal(refusal.code, JK_CODE_OVERSIZE);

	/* And the message itself ends with the arena. */
	memset(text, 'a', 4000);
	memcpy(text, "{\"identity\":{\"agency\":\"", 23);
	memcpy(text + 3997, "\"}}", 3);
	assert_null(jk_json_read(INCIDENT, text, 4000, arena, &refusal));
	assert_int_equal(refusal.code, JK_CODE_OVERSIZE);
	jk_arena_free(&arena);
	arena = jk_arena_new(ARENA_BYTES);
	assert_non_null(jk_json_read(INCIDENT, text, 4000, arena, &refusal));
	jk_arena_free(&arena);
	free(text);
}

/* Text in, text out; NULL: the same. */
struct pair {
	const ProtobufCMessageDescriptor *type;
	const char *text, *again;
};
static const struct pair pairs[] = {
	{INCIDENT, "{}", NULL},
	{INCIDENT, " { \"identity\" : { } } ", "{\"identity\":{}}"},
	{INCIDENT, "{\"identity\":{\"agency\":\"\",\"revision\":0,\"status\":\"UNSPECIFIED\"}}", "{\"identity\":{}}"},
	{INCIDENT, "{\"identity\":{\"status\":\"ACTUAL\",\"msg_type\":\"MSG_TYPE_ALERT\"}}",
		"{\"identity\":{\"status\":\"ACTUAL\",\"msg_type\":\"ALERT\"}}"},
	{INCIDENT,
		"{\"classification\":{\"categories\":[\"FIRE\",\"CATEGORY_CBRNE\"],\"response_types\":[\"ALL_CLEAR\",\"NONE\"]}}",
		"{\"classification\":{\"categories\":[\"FIRE\",\"CBRNE\"],\"response_types\":[\"ALL_CLEAR\",\"NONE\"]}}"},
	{INCIDENT, "{\"classification\":{\"categories\":[]}}", "{\"classification\":{}}"},
	{INCIDENT, "{\"place\":{\"codes\":[{\"scheme\":\"ISO_3166_2\",\"code\":\"KE-30\"}],\"text\":[\"\",\"Gikomba\"]}}", NULL},
	{INCIDENT, "{\"place\":{\"point\":{\"lat\":-1.2921,\"lon\":36.8219},\"accuracy_m\":0}}", NULL},
	{INCIDENT, "{\"references\":{\"orphan\":true}}", NULL},
	{INCIDENT, "{\"references\":{\"orphan\":false}}", "{\"references\":{}}"},
	{INCIDENT, "{\"identity\":{\"agency\":\"\\u20ac \\\"q\\\" \\\\ \\/ \\n\\u0001\\ud83d\\ude92\"}}",
		"{\"identity\":{\"agency\":\"€ \\\"q\\\" \\\\ / \\n\\u0001🚒\"}}"},
	{POINT, "{\"lat\":1,\"lon\":0.1}", NULL},
	{POINT, "{\"lat\":1e-7,\"lon\":1.7976931348623157e308}", "{\"lat\":1e-07,\"lon\":1.7976931348623157e+308}"},
	{POINT, "{\"lat\":0.30000000000000004}", NULL},
	{TIMES, "{\"sent_us\":\"2026-03-01T11:15:30.5+03:00\"}", "{\"sent_us\":\"2026-03-01T08:15:30.500000Z\"}"},
	{TIMES, "{\"sent_us\":1772352930123456,\"expires_us\":0}",
		"{\"sent_us\":\"2026-03-01T08:15:30.123456Z\",\"expires_us\":\"1970-01-01T00:00:00Z\"}"},
	{INCIDENT, "{\"identity\":{\"revision\":9007199254740992}}", NULL},
	{INCIDENT, "{\"identity\":{\"revision\":9007199254740993}}", "{\"identity\":{\"revision\":\"9007199254740993\"}}"},
	{INCIDENT, "{\"identity\":{\"revision\":\"-9223372036854775808\"}}", NULL},
	{INCIDENT, "{\"identity\":{\"revision\":\"17\"}}", "{\"identity\":{\"revision\":17}}"},
	{WELCOME, "{\"session\":\"18446744073709551615\",\"epoch\":4294967295}", NULL},
	{PUBLISH, "{\"payload\":\"-_8\",\"strict\":true}", NULL},
	{DELIVER,
		"{\"seq\":7,\"event_id\":\"0190d5d8-1a2b-7c3d-8e4f-001122334455\",\"commitment\":\"00ff\",\"chain\":\"ABCD\","
		"\"event\":{\"groups\":[{\"tag\":\"IDENTITY\",\"salt\":\"0102\",\"content\":\"AQ\",\"digest\":\"03\"}]}}",
		"{\"seq\":7,\"event_id\":\"0190d5d8-1a2b-7c3d-8e4f-001122334455\",\"commitment\":\"00ff\",\"chain\":\"abcd\","
		"\"event\":{\"groups\":[{\"tag\":\"IDENTITY\",\"salt\":\"0102\",\"content\":\"AQ\",\"digest\":\"03\"}]}}"},
	{DELIVER, "{\"event_id\":\"AQI\"}", NULL},
	{RECEIPT,
		"{\"verdict\":\"STORED\",\"positions\":[{\"stream\":\"047\",\"seq\":1}],\"warnings\":[{\"code\":\"BAD_SHAPE\"}]}",
		NULL},
};

static void both_directions(void **state)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct jk_refusal refusal;
		struct jk_buffer buffer = {0};
		size_t size;
		ProtobufCMessage *message = jk_json_read(pairs[i].type, pairs[i].text, strlen(pairs[i].text), arena, &refusal);
		if (!message)
			fail_msg("%s: %s %s", pairs[i].text, refusal.field, refusal.reason);
		assert_true(protobuf_c_message_check(message));
		jk_json_write(message, &buffer);
		assert_string_equal(buffer.data, pairs[i].again ? pairs[i].again : pairs[i].text);
		jk_buffer_done(&buffer);

		/* What JSON made passes the check of the wire, and says the same from there. */
		uint8_t *packed = jk_body_pack(message, arena, &size);
		message = jk_body_unpack(pairs[i].type, packed, size, arena, &refusal);
		assert_non_null(message);
		jk_json_write(message, &buffer);
		assert_string_equal(buffer.data, pairs[i].again ? pairs[i].again : pairs[i].text);
		jk_buffer_done(&buffer);
		jk_arena_reset(arena);
	}
	jk_arena_free(&arena);
}

static void writer_is_robust(void **state)
{
	Jukwaa__V1__Identity identity = JUKWAA__V1__IDENTITY__INIT;
	Jukwaa__V1__Point point = JUKWAA__V1__POINT__INIT;
	struct jk_buffer buffer = {0};
	(void)state;
	identity.agency = (char *)"a\xff"
				  "b";
	identity.status = 99;
	identity.external_id = NULL;
	jk_json_write(&identity.base, &buffer);
	assert_string_equal(buffer.data, "{\"agency\":\"a\\ufffdb\",\"status\":99}");
	jk_buffer_done(&buffer);
	point.lat = DBL_MAX * 2;
	jk_json_write(&point.base, &buffer);
	assert_string_equal(buffer.data, "{\"lat\":null}");
	jk_buffer_done(&buffer);
}

/* Every prefix and every changed byte of a good text: an answer, never a crash. */
static void hostile_texts(void **state)
{
	const char *good = pairs[COUNT(pairs) - 1].text;
	size_t size = strlen(good);
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_refusal refusal;
	(void)state;
	for (size_t cut = 0; cut < size; cut++)
		assert_null(jk_json_read(RECEIPT, good, cut, arena, &refusal));
	char *text = malloc(size);
	for (size_t at = 0; at < size; at++)
		for (int value = 0; value < 256; value += 5) {
			memcpy(text, good, size);
			text[at] = (char)value;
			jk_arena_reset(arena);
			(void)jk_json_read(RECEIPT, text, size, arena, &refusal);
		}
	free(text);
	jk_arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),
		cmocka_unit_test(reasons_do_not_quote_the_text),
		cmocka_unit_test(memory_has_a_limit),
		cmocka_unit_test(both_directions),
		cmocka_unit_test(writer_is_robust),
		cmocka_unit_test(hostile_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
