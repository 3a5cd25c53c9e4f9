/* Every file of the data set gets the class that its folder demands; and the identities among them are counted. */
#include "cap_support.h"

#include "services/intake/intake_wire_cap.h"
#include "wire/wire_body.h"

enum { ARENA_BYTES = 16 * 1024 * 1024, FILES_MAX = 256 };

static struct intake_cap *cap;
static struct jk_arena *arena;

static int open_reader(void **state)
{
	(void)state;
	arena = jk_arena_new(ARENA_BYTES);
	return arena != NULL && intake_cap_open(&cap) == JK_OK ? 0 : -1;
}

static int close_reader(void **state)
{
	(void)state;
	intake_cap_close(&cap);
	jk_arena_free(&arena);
	return 0;
}

struct expectation {
	const char *folder;
	size_t files;
	enum jk_code code, strict_code; /* NONE: taken */
	size_t doctypes;                /* of these, refused for their DOCTYPE */
};

/* Strict mode looks no further than the warnings: some files of cap/valid have them too, hence the separate test below. */
static const struct expectation expectations[] = {
	{"cap/valid", 54, JK_CODE_NONE, JK_CODE_NONE, 0},
	{"cap/invalid/legacy-namespace", 27, JK_CODE_OLD_NAMESPACE, JK_CODE_OLD_NAMESPACE, 0},
	{"cap/invalid/wrong-namespace", 1, JK_CODE_WRONG_NAMESPACE, JK_CODE_WRONG_NAMESPACE, 0},
	{"cap/invalid/not-an-alert", 13, JK_CODE_NOT_AN_ALERT, JK_CODE_NOT_AN_ALERT, 1},
	{"cap/invalid/not-well-formed", 1, JK_CODE_NOT_WELL_FORMED, JK_CODE_NOT_WELL_FORMED, 0},
	{"cap/invalid/schema-invalid", 9, JK_CODE_INVALID_SCHEMA, JK_CODE_INVALID_SCHEMA, 1},
	{"cap/invalid/semantic-invalid", 3, JK_CODE_NONE, JK_CODE_RULE_VIOLATION, 0},
	{"cap/invalid/signature-invalid", 11, JK_CODE_NONE, JK_CODE_NONE, 0},
};

static void check_packed(const struct intake_decoded *decoded)
{
	struct jk_refusal refusal = {0};
	size_t size;
	uint8_t *packed = jk_body_pack(&decoded->incident->base, arena, &size);

	assert_non_null(packed);
	if (!jk_body_check(&jukwaa__v1__incident__descriptor, packed, size, &refusal))
		fail_msg("what was read cannot be read again: %s: %s", refusal.field, refusal.reason);
}

static bool check_file(const struct test_file *file, bool strict, enum jk_code code)
{
	struct intake_decoded decoded;
	struct jk_refusal refusal = {0};
	bool taken, doctype;

	jk_arena_reset(arena);
	taken = intake_cap_read(cap, file->bytes, file->size, strict, arena, &decoded, &refusal);
	doctype = !taken && strcmp(refusal.field, "doctype") == 0;
	if (doctype)
		code = JK_CODE_NOT_WELL_FORMED;
	if ((taken ? JK_CODE_NONE : refusal.code) != code)
		fail_msg("%s: %s %s: %s, but %s was expected", file->name,
			jk_words_name(&jk_codes, taken ? JK_CODE_NONE : (int)refusal.code), taken ? "" : refusal.field,
			taken ? "taken" : refusal.reason, jk_words_name(&jk_codes, (int)code));
	if (taken)
		check_packed(&decoded);
	else
		printf("  %-60.60s %s %s: %s\n", file->name, jk_words_name(&jk_codes, (int)refusal.code), refusal.field,
			refusal.reason);
	return doctype;
}

static void test_class_of_every_file(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++) {
		const struct expectation *expected = &expectations[i];
		struct test_file *files;
		char folder[4096];
		size_t count, doctypes = 0, strict_doctypes = 0;

		snprintf(folder, sizeof folder, "%s/%s", test_data(), expected->folder);
		count = load_folder(folder, &files);
		assert_int_equal(count, expected->files);
		for (size_t j = 0; j < count; j++) {
			doctypes += check_file(&files[j], false, expected->code);
			strict_doctypes += check_file(&files[j], true, expected->strict_code);
		}
		assert_int_equal(doctypes, expected->doctypes);
		assert_int_equal(strict_doctypes, expected->doctypes);
		free_folder(files, count);
	}
}

struct content {
	char *id;
	uint8_t *bytes;
	size_t size;
};

static void keep_content(const struct test_file *file, struct content *ret)
{
	struct intake_decoded decoded;
	struct jk_refusal refusal = {0};

	jk_arena_reset(arena);
	assert_true(intake_cap_read(cap, file->bytes, file->size, false, arena, &decoded, &refusal));
	ret->id = strdup(decoded.external_id);
	ret->bytes = malloc(decoded.canonical_size);
	assert_non_null(ret->id);
	assert_non_null(ret->bytes);
	memcpy(ret->bytes, decoded.canonical, decoded.canonical_size);
	ret->size = decoded.canonical_size;
}

static const struct content *find_content(const struct content *contents, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(contents[i].id, id) == 0)
			return &contents[i];
	return NULL;
}

/* 54 files, 48 identities, 4 twins, 2 with other contents; and the 11 with broken signatures are all twins. */
static void test_identities(void **state)
{
	struct content contents[FILES_MAX];
	size_t count = 0, twins = 0, conflicts = 0, duplicates = 0;
	static const char *const folders[] = {"cap/valid", "cap/invalid/signature-invalid"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct test_file *files;
		char folder[4096];
		size_t in_folder;

		snprintf(folder, sizeof folder, "%s/%s", test_data(), folders[i]);
		in_folder = load_folder(folder, &files);
		for (size_t j = 0; j < in_folder; j++) {
			struct content content;
			const struct content *first;
			bool same;

			keep_content(&files[j], &content);
			first = find_content(contents, count, content.id);
			if (first == NULL) {
				assert_true(i == 0 && count < FILES_MAX);
				contents[count++] = content;
				continue;
			}
			same = first->size == content.size && memcmp(first->bytes, content.bytes, content.size) == 0;
			*(i == 1 ? &duplicates : same ? &twins : &conflicts) += 1;
			assert_true(i == 0 || same);
			free(content.id);
			free(content.bytes);
		}
		free_folder(files, in_folder);
	}
	assert_int_equal(count, 48);
	assert_int_equal(twins, 4);
	assert_int_equal(conflicts, 2);
	assert_int_equal(duplicates, 11);
	for (size_t i = 0; i < count; i++) {
		free(contents[i].id);
		free(contents[i].bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_class_of_every_file),
		cmocka_unit_test(test_identities),
	};

	skip_without_data();
	return cmocka_run_group_tests(tests, open_reader, close_reader);
}
