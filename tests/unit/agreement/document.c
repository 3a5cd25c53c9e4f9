/* Documents and statements: what is refused, at which field; then the canonical form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agreement/agreement.h"
#include "base/jk_text.h"

static struct jk_arena *arena;

static const char agreement[] = "{\"agreement\":\"KPS-KRCS\",\"version\":1,\"kind\":\"MUTUAL_CONSENT\",\"provider\":\"KPS\","
				"\"recipient\":\"KRCS\",\"counties\":[\"001\",\"047\"],\"categories\":[\"FIRE\",\"HEALTH\"],"
				"\"tlp_ceiling\":\"AMBER\",\"profile\":\"COARSE_PLACE@1\",\"actions\":[\"VIEW\",\"CASE\"],"
				"\"purpose\":\"First aid\",\"legal_basis\":\"DPA s.30\",\"retention_days\":30,"
				"\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"2027-01-01T00:00:00Z\"}";
static const char task_force[] = "{\"task_force\":\"NORTH\",\"version\":2,\"lead\":\"KPS\",\"members\":[\"KPS\",\"KWS\"],"
				 "\"counties\":[\"009\"],\"purpose\":\"Cattle\",\"legal_basis\":\"NPSA s.10\","
				 "\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"2026-04-01T00:00:00Z\"}";

/* text with its first `from` replaced; free() it. */
static char *replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	if (!at)
		fail_msg("'%s' is not in the document", from);
	size_t size = strlen(text) - strlen(from) + strlen(to) + 1;
	char *changed = malloc(size);
	assert_non_null(changed);
	assert_true(jk_text_format(changed, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)));
	return changed;
}

static void assert_refused(enum jk_pact_kind kind, const char *text, enum jk_code code, const char *field)
{
	struct jk_refusal refusal = {.code = JK_CODE_NONE};
	const char *document;

	jk_arena_reset(arena);
	if (jk_pact_canonical(kind, text, strlen(text), arena, &document, &refusal))
		fail_msg("taken: %s", text);
	if (refusal.code != code || strncmp(refusal.field, field, strlen(field)) != 0 || !*field != !*refusal.field)
		fail_msg("%s %s: %s, not at %s, of %.200s", jk_words_name(&jk_codes, (int)refusal.code), refusal.field,
			refusal.reason, field, text);
	assert_true(strlen(refusal.reason) > 3);
}

struct wrong {
	const char *from, *to;
	enum jk_code code;
	const char *field;
};

static void assert_all_refused(enum jk_pact_kind kind, const char *good, const struct wrong *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *text = replace(good, list[i].from, list[i].to);
		assert_refused(kind, text, list[i].code, list[i].field);
		free(text);
	}
}

static void what_an_agreement_may_not_say(void **state)
{
	(void)state;
	static const struct wrong list[] = {
		{"{\"agreement\"", "[{\"agreement\"", JK_CODE_NOT_WELL_FORMED, "line 1 column "},
		{"\"version\":1", "\"version\":1,\"version\":2", JK_CODE_NOT_WELL_FORMED, "line 1 column "},
		{"\"version\":1", "\"version\":1,\"also\":\"KWS\"", JK_CODE_INVALID_SCHEMA, "also"},
		{"\"version\":1", "\"version\":\"one\"", JK_CODE_INVALID_SCHEMA, "version"},
		{"\"version\":1", "\"version\":0", JK_CODE_RULE_VIOLATION, "version"},
		{"\"version\":1", "\"version\":4294967295", JK_CODE_RULE_VIOLATION, "version"},
		{"KPS-KRCS", "", JK_CODE_RULE_VIOLATION, "agreement"},
		{"KPS-KRCS", "kps", JK_CODE_RULE_VIOLATION, "agreement"},
		{"KPS-KRCS", "-KPS", JK_CODE_RULE_VIOLATION, "agreement"},
		{"KPS-KRCS", "KPS KRCS", JK_CODE_RULE_VIOLATION, "agreement"},
		{"KPS-KRCS", "A23456789012345678901234567890123", JK_CODE_RULE_VIOLATION, "agreement"},
		{"MUTUAL_CONSENT", "UNSPECIFIED", JK_CODE_RULE_VIOLATION, "kind"},
		{"MUTUAL_CONSENT", "SECRET", JK_CODE_INVALID_SCHEMA, "kind"},
		{"\"provider\":\"KPS\"", "\"provider\":\"*\"", JK_CODE_RULE_VIOLATION, "provider"},
		{"\"recipient\":\"KRCS\"", "\"recipient\":\"*\"", JK_CODE_RULE_VIOLATION, "recipient"},
		{"\"provider\":\"KPS\"", "\"provider\":\"\"", JK_CODE_RULE_VIOLATION, "provider"},
		{"\"provider\":\"KPS\"", "\"provider\":\"KRCS\"", JK_CODE_RULE_VIOLATION, "recipient"},
		{"\"provider\":\"KPS\"", "\"provider\":\"taskforce:\"", JK_CODE_RULE_VIOLATION, "provider"},
		{"\"provider\":\"KPS\",\"recipient\":\"KRCS\"", "\"provider\":\"taskforce:A\",\"recipient\":\"taskforce:B\"",
			JK_CODE_RULE_VIOLATION, "recipient"},
		{"\"kind\":\"MUTUAL_CONSENT\",\"provider\":\"KPS\"", "\"kind\":\"STATUTORY\",\"provider\":\"taskforce:A\"",
			JK_CODE_RULE_VIOLATION, "provider"},
		{"\"counties\"", "\"desks\":[\"a b\"],\"counties\"", JK_CODE_RULE_VIOLATION, "desks"},
		{"\"001\"", "\"1\"", JK_CODE_UNKNOWN_COUNTY, "counties"},
		{"\"001\"", "\"000\"", JK_CODE_UNKNOWN_COUNTY, "counties"},
		{"\"001\"", "\"048\"", JK_CODE_UNKNOWN_COUNTY, "counties"},
		{"\"001\"", "\"+01\"", JK_CODE_UNKNOWN_COUNTY, "counties"},
		{"\"001\"", "\"KE-28\"", JK_CODE_UNKNOWN_COUNTY, "counties"},
		{"\"001\"", "\"*\"", JK_CODE_RULE_VIOLATION, "counties"},
		{"\"FIRE\"", "\"FLOOD\"", JK_CODE_INVALID_SCHEMA, "categories[0]"},
		{"\"FIRE\"", "\"UNSPECIFIED\"", JK_CODE_RULE_VIOLATION, "categories"},
		{"\"tlp_ceiling\"", "\"all_categories\":true,\"tlp_ceiling\"", JK_CODE_RULE_VIOLATION, "all_categories"},
		{"\"tlp_ceiling\"", "\"severity_floor\":\"UNKNOWN\",\"tlp_ceiling\"", JK_CODE_RULE_VIOLATION, "severity_floor"},
		{"\"tlp_ceiling\":\"AMBER\",", "", JK_CODE_RULE_VIOLATION, "tlp_ceiling"},
		{"AMBER", "PURPLE", JK_CODE_INVALID_SCHEMA, "tlp_ceiling"},
		{"COARSE_PLACE@1", "", JK_CODE_RULE_VIOLATION, "profile"},
		{"COARSE_PLACE@1", "COARSE_PLACE@2", JK_CODE_RULE_VIOLATION, "profile"},
		{"COARSE_PLACE@1", "COARSE_PLACE", JK_CODE_RULE_VIOLATION, "profile"},
		{"COARSE_PLACE@1\"", "COARSE_PLACE@1\",\"reporter\":true", JK_CODE_RULE_VIOLATION, "reporter"},
		{"COARSE_PLACE@1\"", "NO_PERSONS@1\",\"persons\":true", JK_CODE_RULE_VIOLATION, "persons"},
		{"\"VIEW\",", "", JK_CODE_RULE_VIOLATION, "actions"},
		{"\"actions\":[\"VIEW\",\"CASE\"],", "", JK_CODE_RULE_VIOLATION, "actions"},
		{"\"CASE\"", "\"UNSPECIFIED\"", JK_CODE_RULE_VIOLATION, "actions"},
		{"\"CASE\"", "\"SELL\"", JK_CODE_INVALID_SCHEMA, "actions[1]"},
		{"First aid", "", JK_CODE_RULE_VIOLATION, "purpose"},
		{"First aid", "   ", JK_CODE_RULE_VIOLATION, "purpose"},
		{"First aid", "First\\naid", JK_CODE_RULE_VIOLATION, "purpose"},
		{"First aid", "First\\u001b[2Jaid", JK_CODE_RULE_VIOLATION, "purpose"},
		{"First aid", "First \\u202eaid", JK_CODE_RULE_VIOLATION, "purpose"},
		{"First aid", "First\\u0000aid", JK_CODE_NOT_WELL_FORMED, "line 1 column "},
		{"DPA s.30", "", JK_CODE_RULE_VIOLATION, "legal_basis"},
		{"\"retention_days\":30", "\"retention_days\":36501", JK_CODE_RULE_VIOLATION, "retention_days"},
		{"\"retention_days\":30", "\"retention_days\":-1", JK_CODE_INVALID_SCHEMA, "retention_days"},
		{"\"start\":\"2026-01-01T00:00:00Z\",", "", JK_CODE_RULE_VIOLATION, "start"},
		{"2026-01-01T00:00:00Z", "2026-01-01", JK_CODE_RULE_VIOLATION, "start"},
		{"2026-01-01T00:00:00Z", "2026-01-01T00:00:00", JK_CODE_RULE_VIOLATION, "start"},
		{"2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z", JK_CODE_RULE_VIOLATION, "end"},
		{"2027-01-01T00:00:00Z", "2026-01-01T02:00:00+03:00", JK_CODE_RULE_VIOLATION, "end"},
		{"2027-01-01T00:00:00Z", "2026-13-01T00:00:00Z", JK_CODE_RULE_VIOLATION, "end"},
	};
	assert_all_refused(JK_PACT_AGREEMENT, agreement, list, sizeof list / sizeof *list);
}

static void what_a_task_force_may_not_say(void **state)
{
	(void)state;
	static const struct wrong list[] = {
		{"\"version\":2", "\"version\":2,\"desks\":[]", JK_CODE_INVALID_SCHEMA, "desks"},
		{"NORTH", "north", JK_CODE_RULE_VIOLATION, "task_force"},
		{"\"version\":2", "\"version\":0", JK_CODE_RULE_VIOLATION, "version"},
		{"\"lead\":\"KPS\"", "\"lead\":\"\"", JK_CODE_RULE_VIOLATION, "lead"},
		{"\"lead\":\"KPS\"", "\"lead\":\"NMS\"", JK_CODE_RULE_VIOLATION, "members"},
		{"\"KWS\"", "\"*\"", JK_CODE_RULE_VIOLATION, "members"},
		{"\"KWS\"", "\"taskforce:A\"", JK_CODE_RULE_VIOLATION, "members"},
		{"\"009\"", "\"9\"", JK_CODE_UNKNOWN_COUNTY, "counties"},
		{"Cattle", "", JK_CODE_RULE_VIOLATION, "purpose"},
		{"NPSA s.10", "", JK_CODE_RULE_VIOLATION, "legal_basis"},
		{",\"end\":\"2026-04-01T00:00:00Z\"", "", JK_CODE_RULE_VIOLATION, "end"},
		{"2026-04-01T00:00:00Z", "2025-04-01T00:00:00Z", JK_CODE_RULE_VIOLATION, "end"},
	};
	assert_all_refused(JK_PACT_TASK_FORCE, task_force, list, sizeof list / sizeof *list);
	assert_refused(JK_PACT_TASK_FORCE, agreement, JK_CODE_INVALID_SCHEMA, "agreement");
	assert_refused(JK_PACT_AGREEMENT, task_force, JK_CODE_INVALID_SCHEMA, "task_force");
}

static void what_is_too_large(void **state)
{
	(void)state;
	enum { MEGABYTE = 1024 * 1024 };
	char *text = malloc(MEGABYTE), *changed, *many = malloc(JK_PACT_DOCUMENT_MAX_BYTES);
	assert_non_null(text);
	assert_non_null(many);

	memset(text, 'x', MEGABYTE);
	text[MEGABYTE - 1] = '\0';
	changed = replace(agreement, "First aid", text);
	assert_refused(JK_PACT_AGREEMENT, changed, JK_CODE_OVERSIZE, "");
	free(changed);
	text[1001] = '\0';
	changed = replace(agreement, "First aid", text);
	assert_refused(JK_PACT_AGREEMENT, changed, JK_CODE_OVERSIZE, "purpose");
	free(changed);

	size_t size = 0;
	for (int i = 0; i < 513; i++)
		size += (size_t)snprintf(many + size, JK_PACT_DOCUMENT_MAX_BYTES - size, "\"D%d\",", i);
	many[size - 1] = '\0';
	assert_true(jk_text_format(text, MEGABYTE, "\"desks\":[%s],\"counties\"", many));
	changed = replace(agreement, "\"counties\"", text);
	assert_refused(JK_PACT_AGREEMENT, changed, JK_CODE_OVERSIZE, "desks");
	free(changed);
	free(text);
	free(many);
}

static void assert_canonical(enum jk_pact_kind kind, const char *text, const char *expected)
{
	struct jk_refusal refusal;
	const char *document, *again;

	jk_arena_reset(arena);
	if (!jk_pact_canonical(kind, text, strlen(text), arena, &document, &refusal))
		fail_msg("%s: %s", refusal.field, refusal.reason);
	assert_string_equal(document, expected);
	assert_true(jk_pact_canonical(kind, document, strlen(document), arena, &again, &refusal));
	assert_string_equal(again, document);
}

static void one_form_whatever_people_write(void **state)
{
	(void)state;
	char *changed = replace(agreement, "\"001\",\"047\"", " \"047\" , \"001\",\n\"047\"");
	assert_canonical(JK_PACT_AGREEMENT, changed, agreement);
	free(changed);
	changed = replace(agreement, "\"FIRE\",\"HEALTH\"", "\"CATEGORY_HEALTH\",\"FIRE\",\"HEALTH\"");
	assert_canonical(JK_PACT_AGREEMENT, changed, agreement);
	free(changed);
	changed = replace(agreement, "2026-01-01T00:00:00Z", "2026-01-01T03:00:00.000+03:00");
	assert_canonical(JK_PACT_AGREEMENT, changed, agreement);
	free(changed);
	changed = replace(
		agreement, "{\"agreement\":\"KPS-KRCS\",", "{\"redistribution\":false,\"desks\":[],\"agreement\":\"KPS-KRCS\",");
	assert_canonical(JK_PACT_AGREEMENT, changed, agreement);
	free(changed);
	changed = replace(task_force, "\"KPS\",\"KWS\"", "\"KWS\",\"KPS\",\"KWS\"");
	assert_canonical(JK_PACT_TASK_FORCE, changed, task_force);
	free(changed);
}

static void stored_documents_must_be_canonical(void **state)
{
	(void)state;
	struct jk_agreement read;
	struct jk_task_force force;
	struct jk_refusal refusal;

	jk_arena_reset(arena);
	assert_true(jk_agreement_read(agreement, arena, &read, &refusal));
	assert_string_equal(read.code, "KPS-KRCS");
	assert_int_equal(read.version, 1);
	assert_int_equal(read.provider.kind, JK_PARTY_AGENCY);
	assert_string_equal(read.recipient.code, "KRCS");
	assert_true(read.counties == (UINT64_C(1) << 1 | UINT64_C(1) << 47));
	assert_int_equal(read.categories, 1 << 6 | 1 << 7);
	assert_int_equal(read.severity_floor, 0);
	assert_int_equal(read.tlp_ceiling, JK_TLP_AMBER);
	assert_int_equal(read.profile, JK_PROFILE_COARSE_PLACE);
	assert_int_equal(read.uses, 1 << JK_USE_VIEW | 1 << JK_USE_CASE);
	assert_int_equal(read.retention_days, 30);
	assert_true(read.end_us - read.start_us == INT64_C(365) * 86400 * 1000000);
	assert_true(jk_task_force_read(task_force, arena, &force, &refusal));
	assert_string_equal(force.lead, "KPS");
	assert_int_equal(force.member_count, 2);

	char *changed = replace(agreement, "\"version\":1", "\"version\": 1");
	assert_false(jk_agreement_read(changed, arena, &read, &refusal));
	assert_int_equal(refusal.code, JK_CODE_NOT_WELL_FORMED);
	assert_string_equal(read.code, "");
	assert_true(read.counties == 0 && read.provider.kind == JK_PARTY_NONE);
	free(changed);
}

static void nobody_and_everybody(void **state)
{
	(void)state;
	struct jk_agreement read;
	struct jk_refusal refusal;

	jk_arena_reset(arena);
	char *changed = replace(agreement, "\"counties\":[\"001\",\"047\"],\"categories\":[\"FIRE\",\"HEALTH\"],", "");
	assert_true(jk_agreement_read(changed, arena, &read, &refusal));
	assert_true(read.counties == 0 && read.categories == 0);
	free(changed);
	changed = replace(agreement, "\"counties\":[\"001\",\"047\"],\"categories\":[\"FIRE\",\"HEALTH\"],",
		"\"counties\":[\"*\"],\"all_categories\":true,");
	assert_true(jk_agreement_read(changed, arena, &read, &refusal));
	assert_true(read.counties == ((UINT64_C(1) << 48) - 2));
	assert_int_equal(read.categories, 0x1ffe);
	free(changed);
}

static const struct jk_act_row example = {.version = 3, .act_no = 2, .act = JK_ACT_ACCEPT, .agency = "KPS", .at_us = 1500000};

static void statements_are_read_as_written_and_not_otherwise(void **state)
{
	(void)state;
	char text[JK_STATEMENT_MAX_BYTES], changed[JK_STATEMENT_MAX_BYTES];
	const uint8_t digest[32] = {1, 2, 3};
	struct jk_statement read, other;
	struct jk_refusal refusal;

	size_t size = jk_act_write(text, JK_PACT_TASK_FORCE, "NORTH", &example, digest, "before\n");
	assert_int_equal(size, strlen(text));
	assert_true(jk_statement_read(text, &read, &refusal));
	assert_int_equal(read.kind, JK_PACT_TASK_FORCE);
	assert_string_equal(read.code, "NORTH");
	assert_string_equal(read.agency, "KPS");
	assert_int_equal(read.version, 3);
	assert_int_equal(read.act, JK_ACT_ACCEPT);
	assert_int_equal(read.act_no, 2);
	assert_true(read.at_us == 1500000 && read.has_previous);
	assert_memory_equal(read.document, digest, 32);

	/* Whatever one byte becomes: refused, or it reads as what it then says. */
	for (size_t i = 0; i < size; i++)
		for (int bit = 0; bit < 8; bit++) {
			memcpy(changed, text, size + 1);
			changed[i] = (char)(changed[i] ^ (1 << bit));
			if (!jk_statement_read(changed, &other, &refusal))
				continue;
			struct jk_act_row again = {
				.version = other.version, .act_no = other.act_no, .act = other.act, .at_us = other.at_us};
			assert_true(jk_text_copy(again.agency, sizeof again.agency, other.agency));
			char written[JK_STATEMENT_MAX_BYTES];
			(void)jk_act_write(written, other.kind, other.code, &again, other.document, "before\n");
			assert_int_equal(strncmp(written, changed, strlen(written) - 66), 0);
		}
	assert_true(jk_text_format(changed, sizeof changed, "%s\n", text));
	assert_false(jk_statement_read(changed, &other, &refusal));
	for (size_t cut = 0; cut < size; cut++) {
		memcpy(changed, text, size + 1);
		changed[cut] = '\0';
		assert_false(jk_statement_read(changed, &other, &refusal));
	}
	assert_int_equal(other.act, JK_ACT_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_agreement_may_not_say),
		cmocka_unit_test(what_a_task_force_may_not_say),
		cmocka_unit_test(what_is_too_large),
		cmocka_unit_test(one_form_whatever_people_write),
		cmocka_unit_test(stored_documents_must_be_canonical),
		cmocka_unit_test(nobody_and_everybody),
		cmocka_unit_test(statements_are_read_as_written_and_not_otherwise),
	};
	arena = jk_arena_new(8 * 1024 * 1024);
	int failed = arena ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
	jk_arena_free(&arena);
	return failed;
}
