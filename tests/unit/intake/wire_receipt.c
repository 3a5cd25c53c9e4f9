/* What a publisher can make intake say back: bounded, whatever the report holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/jk_text.h"
#include "feed/feed_label.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "services/intake/intake_wire.h"

enum { ARENA_BYTES = 64 * 1024 };

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

static const char *echoed(const char *external_id, enum jk_verdict verdict)
{
	struct jk_refusal refusal = {.code = JK_CODE_UNROUTABLE};
	struct intake_item item = {.arena = arena, .report.external_id = external_id, .verdict = verdict, .refusal = &refusal};
	const Jukwaa__V1__Receipt *receipt = (const Jukwaa__V1__Receipt *)intake_wire_receipt(&item);

	assert_non_null(receipt);
	return receipt->external_id;
}

static void test_a_receipt_echoes_256_bytes_of_an_external_id(void **state)
{
	static char id[2 * 1024 * 1024];

	(void)state;
	jk_arena_reset(arena);
	memset(id, 'x', 256);
	assert_string_equal(echoed(id, JK_VERDICT_REJECTED), id);
	memset(id, 'x', sizeof id - 1);
	assert_int_equal(strlen(echoed(id, JK_VERDICT_REJECTED)), 256);
	assert_int_equal(strlen(echoed(id, JK_VERDICT_BUSY)), 256);
	memcpy(id + 255, "é", strlen("é"));
	assert_int_equal(strlen(echoed(id, JK_VERDICT_BUSY)), 255);
	assert_string_equal(echoed("", JK_VERDICT_BUSY), "");
	assert_string_equal(echoed(NULL, JK_VERDICT_BUSY), "");
}

static void test_without_memory_there_is_no_receipt(void **state)
{
	static char id[1024];
	struct jk_arena *small = jk_arena_new(sizeof(Jukwaa__V1__Receipt) + 64);
	const struct intake_item item = {.arena = small, .report.external_id = id, .verdict = JK_VERDICT_BUSY};

	(void)state;
	memset(id, 'x', sizeof id - 1);
	assert_null(intake_wire_receipt(&item));
	jk_arena_free(&small);
}

/* The item of a report for these addresses alone, and its label. */
static bool label_of(char **addresses, size_t count, struct jk_label *ret)
{
	Jukwaa__V1__Handling handling = JUKWAA__V1__HANDLING__INIT;
	Jukwaa__V1__Incident incident = JUKWAA__V1__INCIDENT__INIT;
	const struct intake_item item = {.arena = arena,
		.report = {.tlp = JK_TLP_GREEN, .categories = 1 << JK_CATEGORY_GEO},
		.message = (const struct intake_message *)&incident};

	handling.scope = JUKWAA__V1__SCOPE__SCOPE_PRIVATE;
	handling.addresses = addresses;
	handling.n_addresses = count;
	incident.handling = &handling;
	return intake_wire_label(&item, ret);
}

static void test_a_label_names_whom_the_stored_event_will_name(void **state)
{
	enum { ADDRESSES = 1000 };
	static char longest[] = "32-bytes-32-bytes-32-bytes-32-by", longer[] = "33-bytes-33-bytes-33-bytes-33-byt";
	char *addresses[ADDRESSES], last[] = "LAST";
	struct jk_label label;

	(void)state;
	jk_arena_reset(arena);
	for (size_t i = 0; i < ADDRESSES; i++)
		addresses[i] = i % 2 ? longest : longer;
	addresses[2 * JK_LABEL_NAMED_MAX - 1] = last; /* the last of those that are short enough */
	assert_true(label_of(addresses, ADDRESSES, &label));
	assert_int_equal(label.named_count, JK_LABEL_NAMED_MAX);
	assert_string_equal(label.named[0], longest);
	assert_string_equal(label.named[JK_LABEL_NAMED_MAX - 1], last);
	assert_true(label_of(addresses, 4, &label));
	assert_int_equal(label.named_count, 2);
	assert_true(label_of(NULL, 0, &label));
	assert_int_equal(label.named_count, 0);
	assert_int_equal(label.tlp, JK_TLP_GREEN);
}

/* It denies: better to nobody than to those whom a part of it names. */
static void test_a_label_without_memory_denies(void **state)
{
	char *address[] = {(char[]){"OPEN"}};
	struct jk_label label;

	(void)state;
	jk_arena_reset(arena);
	while (jk_arena_alloc(arena, 1024))
		;
	assert_false(label_of(address, 1, &label));
	assert_int_equal(label.tlp, JK_TLP_NONE);
	assert_int_equal(label.named_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_receipt_echoes_256_bytes_of_an_external_id),
		cmocka_unit_test(test_without_memory_there_is_no_receipt),
		cmocka_unit_test(test_a_label_names_whom_the_stored_event_will_name),
		cmocka_unit_test(test_a_label_without_memory_denies),
	};

	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
