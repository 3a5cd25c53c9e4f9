/* cap_support.h: what the tests of the CAP reader share: the data set's files, and reading one of them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_file {
	char name[256];
	uint8_t *bytes;
	size_t size;
};

#ifdef TEST_DATA_DEFAULT
static inline const char *test_data(void)
{
	const char *path = getenv("JUKWAA_TEST_DATA");

	return path != NULL && path[0] != '\0' ? path : TEST_DATA_DEFAULT;
}

/* Ends the program as skipped where the data set is not there. */
static inline void skip_without_data(void)
{
	char path[4096];
	DIR *folder;

	snprintf(path, sizeof path, "%s/cap/valid", test_data());
	folder = opendir(path);
	if (folder == NULL) {
		printf("skipped: no data set at %s (JUKWAA_TEST_DATA)\n", test_data());
		exit(77);
	}
	closedir(folder);
}
#endif

static inline void load_file(struct test_file *file, const char *path)
{
	FILE *stream = fopen(path, "rb");
	long size;

	assert_non_null(stream);
	assert_int_equal(fseek(stream, 0, SEEK_END), 0);
	size = ftell(stream);
	assert_true(size >= 0);
	rewind(stream);
	file->size = (size_t)size;
	file->bytes = malloc(file->size + 1);
	assert_non_null(file->bytes);
	assert_int_equal(fread(file->bytes, 1, file->size, stream), file->size);
	fclose(stream);
}

static inline int by_name(const void *a, const void *b)
{
	return strcmp(((const struct test_file *)a)->name, ((const struct test_file *)b)->name);
}

/* All .xml files of a folder, by name. *ret_files is freed with free_folder. */
static inline size_t load_folder(const char *folder, struct test_file **ret_files)
{
	struct test_file *files = calloc(256, sizeof *files);
	DIR *stream = opendir(folder);
	struct dirent *entry;
	char path[8192];
	size_t count = 0;

	assert_non_null(files);
	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL) {
		size_t length = strlen(entry->d_name);

		if (length < 5 || strcmp(entry->d_name + length - 4, ".xml") != 0)
			continue;
		assert_true(count < 256);
		snprintf(files[count].name, sizeof files[count].name, "%s", entry->d_name);
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		load_file(&files[count++], path);
	}
	closedir(stream);
	qsort(files, count, sizeof *files, by_name);
	*ret_files = files;
	return count;
}

static inline void free_folder(struct test_file *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(files[i].bytes);
	free(files);
}
