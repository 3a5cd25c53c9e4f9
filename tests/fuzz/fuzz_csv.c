/* A mapping file, and after a byte 0x1e the CSV file that is read by it; without that byte a small CSV file of our own. Rows that
 * come out must be incidents that pass the wire's check. */
#include <stdio.h>

#include "fuzz.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "services/cli/csv_map.h"
#include "wire/wire_body.h"

enum { ROWS_MAX = 200 };

static void read_rows(const struct csv_map *map, const uint8_t *bytes, size_t size)
{
	struct jk_arena *arena = fuzz_arena(16 * 1024 * 1024);
	struct csv_reader *reader = NULL;
	struct csv_report report;
	struct jk_refusal refusal = {0};
	enum csv_next next = CSV_REPORT;
	char *text = fuzz_text(bytes, size);
	FILE *file = fmemopen(text, size + 1, "r");

	fuzz_must(file != NULL);
	if (csv_reader_open(map, file, &reader, &refusal) != JK_OK) {
		fuzz_must_say_why(&refusal);
		next = CSV_END;
	}
	for (int row = 0; row < ROWS_MAX && next != CSV_END; row++) {
		refusal = (struct jk_refusal){0};
		next = csv_reader_next(reader, arena, &report, &refusal);
		if (next == CSV_REFUSED)
			fuzz_must_say_why(&refusal);
		else if (next == CSV_REPORT)
			fuzz_must(jk_body_check(&jukwaa__v1__incident__descriptor, report.bytes, report.size, &refusal));
	}
	csv_reader_close(&reader);
	fclose(file);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char small[] = "id,a,b\r\n1,2,\"x\ny\"\r\n2,04/03/2016 10:00,-1.28\r\n";
	const uint8_t *mark = memchr(bytes, 0x1e, size);
	size_t map_size = mark ? (size_t)(mark - bytes) : size;
	char *text = fuzz_text(bytes, map_size);
	struct csv_map *map;
	struct jk_refusal refusal = {0};

	if (csv_map_read("fuzz.map", text, map_size, &map, &refusal) != JK_OK)
		fuzz_must_say_why(&refusal);
	else if (mark)
		read_rows(map, mark + 1, size - map_size - 1);
	else
		read_rows(map, (const uint8_t *)small, sizeof small - 1);
	csv_map_close(&map);
	free(text);
	return 0;
}
