/* replay.c: runs a fuzz target over files: replay FOLDER [FOLDER below JUKWAA_TEST_DATA]. Every file also comes cut at a few
 * lengths and with single bytes changed, from a fixed seed. */
#define _XOPEN_SOURCE 700
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { FILE_MAX_BYTES = 4 * 1024 * 1024, CHANGES = 16, SMALL_BYTES = 64 * 1024 };

static unsigned files;

static void replay(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	unsigned seed = 20191108;

	if (!copy)
		abort();
	LLVMFuzzerTestOneInput(bytes, size);
	for (int i = 0; i < CHANGES && size > 0 && size < SMALL_BYTES; i++) {
		memcpy(copy, bytes, size);
		LLVMFuzzerTestOneInput(copy, (size_t)rand_r(&seed) % size);
		copy[(size_t)rand_r(&seed) % size] = (uint8_t)rand_r(&seed);
		LLVMFuzzerTestOneInput(copy, size);
	}
	free(copy);
	files++;
}

static int on_file(const char *path, const struct stat *about, int kind, struct FTW *where)
{
	(void)where;
	if (kind != FTW_F || about->st_size > FILE_MAX_BYTES)
		return 0;
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = malloc((size_t)about->st_size + 1);
	if (!file || !bytes)
		abort();
	replay(bytes, fread(bytes, 1, (size_t)about->st_size, file));
	free(bytes);
	fclose(file);
	return 0;
}

int main(int argc, char **argv)
{
	const char *data = getenv("JUKWAA_TEST_DATA");

	if (argc < 2 || nftw(argv[1], on_file, 8, FTW_PHYS) != 0 || files == 0) {
		fprintf(stderr, "no regressions in %s\n", argc < 2 ? "?" : argv[1]);
		return 1;
	}
	char path[4096];
	if (argc > 2 && data && snprintf(path, sizeof path, "%s/%s", data, argv[2]) < (int)sizeof path)
		(void)nftw(path, on_file, 8, FTW_PHYS);
	printf("%u files\n", files);
	return 0;
}
