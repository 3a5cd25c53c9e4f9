#include "services/cli/publish_csv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/jk_arena.h"
#include "base/jk_text.h"
#include "services/cli/csv_map.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

/* Which row it was, before the reason. */
static void name_row(struct jk_refusal *refusal, size_t row)
{
	struct jk_refusal found = *refusal;

	(void)jk_refuse(refusal, found.code, found.field, "row %zu: %s", row, found.reason);
}

static enum publish_result give_rows(
	const char *path, struct csv_reader *reader, struct jk_arena *arena, publish_take *take, void *arg)
{
	struct publish_item item = {.file = path, .format = "csv"};
	struct csv_report report;
	enum csv_next next;

	while ((next = csv_reader_next(reader, arena, &report, &item.refusal)) != CSV_END) {
		if (next == CSV_REPORT)
			item.refusal.code = JK_CODE_NONE;
		else
			name_row(&item.refusal, report.row);
		item.payload = report.bytes;
		item.payload_size = report.size;
		(void)jk_text_copy(item.external_id, sizeof item.external_id, report.external_id ? report.external_id : "");
		if (!take(arg, &item))
			return PUBLISH_STOPPED;
	}
	return PUBLISH_READ;
}

static enum publish_result read_with_map(
	const char *path, FILE *file, const struct csv_map *map, publish_take *take, void *arg, struct jk_refusal *ret_refusal)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct csv_reader *reader = NULL;
	enum publish_result result = PUBLISH_NO_MAP;
	struct jk_refusal why = {0};

	if (!arena)
		(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL, "%s: no memory", path);
	else if (csv_reader_open(map, file, &reader, &why) != JK_OK)
		(void)jk_refuse(ret_refusal, why.code, why.field, "%s: %s", path, why.reason);
	else
		result = give_rows(path, reader, arena, take, arg);
	if (reader)
		csv_reader_close(&reader);
	jk_arena_free(&arena);
	return result;
}

enum publish_result publish_read_csv(
	const char *path, const char *map_file, publish_take *take, void *arg, struct jk_refusal *ret_refusal)
{
	FILE *file;
	struct csv_map *map = NULL;
	enum publish_result result = PUBLISH_NO_MAP;

	if (!map_file) {
		(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL,
			"%s: a CSV file needs --map FILE, which says what its columns mean", path);
		return PUBLISH_NO_MAP;
	}
	file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!file) {
		(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL, "%s: %s", path, strerror(errno));
		return PUBLISH_UNREADABLE;
	}
	if (csv_map_open(map_file, &map, ret_refusal) == JK_OK)
		result = read_with_map(path, file, map, take, arg, ret_refusal);
	csv_map_close(&map);
	if (file != stdin)
		fclose(file);
	return result;
}
