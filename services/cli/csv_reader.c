/* Rows to reports. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/cli/csv_map_internal.h"
#include "services/cli/csv_rows.h"
#include "services/cli/csv_time.h"
#include "wire/wire_body.h"

struct csv_reader {
	const struct csv_map *map;
	struct csv_rows rows;
	size_t cells;                      /* of the header */
	char *header[CSV_CELLS_MAX];       /* its names, for refusals */
	size_t positions[CSV_COLUMNS_MAX]; /* of the map's columns among the cells */
};

/* One row on its way. */
struct making {
	const struct csv_reader *reader;
	struct jk_arena *arena;
	Jukwaa__V1__Incident incident;
	bool set[CSV_RULES_MAX]; /* by slot */
	struct jk_refusal *refusal;
};

void csv_reader_close(struct csv_reader **reader_p)
{
	struct csv_reader *reader = *reader_p;

	if (reader == NULL)
		return;
	csv_rows_done(&reader->rows);
	for (size_t i = 0; i < reader->cells; i++)
		free(reader->header[i]);
	free(reader);
	*reader_p = NULL;
}

static bool keep_header(struct csv_reader *reader, struct jk_refusal *ret_refusal)
{
	for (size_t i = 0; i < reader->rows.cells; i++) {
		const char *name = csv_rows_cell(&reader->rows, i);

		if (!jk_text_is_utf8(name, strlen(name)))
			return jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "header", "column %zu's name is not UTF-8", i + 1);
		name += strspn(name, " \t");
		reader->header[i] = strdup(name);
		if (reader->header[i] == NULL)
			return jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "header", "there is no memory for the header");
		reader->cells = i + 1;
		for (size_t end = strlen(name); end > 0 && strchr(" \t", name[end - 1]) != NULL; end--)
			reader->header[i][end - 1] = '\0';
	}
	return true;
}

/* All missing columns at once: whoever mends the map or the file wants to do it once. */
static bool find_columns(struct csv_reader *reader, struct jk_refusal *ret_refusal)
{
	struct jk_buffer missing = {0};
	bool found;

	for (size_t i = 0; i < reader->map->column_count; i++) {
		const char *name = reader->map->columns[i];
		size_t times = 0;

		for (size_t j = 0; j < reader->cells; j++)
			if (strcmp(reader->header[j], name) == 0) {
				reader->positions[i] = j;
				times++;
			}
		if (times > 1) {
			jk_buffer_done(&missing);
			return jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "header", "there are two columns %s", name);
		}
		if (times == 0)
			jk_buffer_printf(&missing, "%s%s", missing.size > 0 ? ", " : "", name);
	}
	found = missing.size == 0;
	if (!found)
		jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "header", "missing columns: %s",
			missing.data == NULL ? "?" : missing.data);
	jk_buffer_done(&missing);
	return found;
}

static bool read_header(struct csv_reader *reader, struct jk_refusal *ret_refusal)
{
	struct jk_refusal fault;

	switch (csv_rows_next(&reader->rows, &fault)) {
	case CSV_ROW_END:
		return jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "header", "the file is empty: a header was expected");
	case CSV_ROW_BAD:
		return jk_refuse(ret_refusal, fault.code, "header", "%s", fault.reason);
	case CSV_ROW_READ:
		break;
	}
	return keep_header(reader, ret_refusal) && find_columns(reader, ret_refusal);
}

enum jk_status csv_reader_open(
	const struct csv_map *map, FILE *file, struct csv_reader **ret_reader, struct jk_refusal *ret_refusal)
{
	struct csv_reader *reader = calloc(1, sizeof *reader);

	*ret_reader = reader;
	if (reader == NULL) {
		jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "header", "there is no memory for the reader");
		return JK_BROKEN;
	}
	reader->map = map;
	csv_rows_init(&reader->rows, file);
	if (read_header(reader, ret_refusal))
		return JK_OK;
	csv_reader_close(ret_reader);
	return JK_BROKEN;
}

/* The cell without blanks around it. */
static const char *trimmed_cell(struct making *making, size_t column)
{
	const char *cell = csv_rows_cell(&making->reader->rows, making->reader->positions[column]);
	size_t size;

	cell += strspn(cell, " \t\r\n");
	size = strlen(cell);
	while (size > 0 && strchr(" \t\r\n", cell[size - 1]) != NULL)
		size--;
	return jk_arena_string(making->arena, cell, size);
}

static bool refuse_memory(struct making *making)
{
	return jk_refuse(making->refusal, JK_CODE_OVERSIZE, "", "the row needs more memory than a report may take");
}

/* The pieces joined; "" when all of its columns are empty. */
static bool join_pieces(struct making *making, const struct csv_rule *rule, const char **ret_value)
{
	const char *joined = "";
	bool has_column = false, is_empty = true;

	for (size_t i = 0; i < rule->piece_count; i++) {
		const struct csv_piece *piece = &rule->pieces[i];
		const char *part = piece->text != NULL ? piece->text : trimmed_cell(making, piece->column);

		if (part == NULL)
			return refuse_memory(making);
		has_column |= piece->text == NULL;
		is_empty &= piece->text != NULL || part[0] == '\0';
		joined = i == 0 ? part : jk_arena_printf(making->arena, "%s%s", joined, part);
		if (joined == NULL)
			return refuse_memory(making);
	}
	*ret_value = has_column && is_empty ? "" : joined;
	return true;
}

/* The column that a refusal of this rule's value names. */
static const char *column_of(const struct making *making, const struct csv_rule *rule)
{
	for (size_t i = 0; i < rule->piece_count; i++)
		if (rule->pieces[i].text == NULL)
			return making->reader->map->columns[rule->pieces[i].column];
	return rule->path;
}

static bool refuse_value(struct making *making, const struct csv_rule *rule, const char *reason)
{
	return jk_refuse(making->refusal, JK_CODE_INVALID_SCHEMA, column_of(making, rule), "%s: %s", rule->path, reason);
}

/* true with *value as the table says. */
static bool look_up(struct making *making, const struct csv_rule *rule, const char **value)
{
	const char *otherwise = (*value)[0] == '\0' ? "" : NULL;

	for (size_t i = 0; i < rule->entry_count; i++) {
		if (strcmp(rule->entries[i].from, *value) == 0) {
			*value = rule->entries[i].to;
			return true;
		}
		if (strcmp(rule->entries[i].from, "*") == 0)
			otherwise = rule->entries[i].to;
	}
	if (otherwise == NULL)
		return refuse_value(making, rule, "the table has no such entry");
	*value = otherwise;
	return true;
}

static bool set_time(struct making *making, const struct csv_rule *rule, const char *value)
{
	char revision[24];
	const char *wrong;
	int64_t time_us;

	switch (csv_time_parse(rule->pattern, rule->has_zone ? &rule->zone_s : NULL, value, &time_us)) {
	case CSV_TIME_BAD:
		return refuse_value(making, rule, "no time of the kind the map says");
	case CSV_TIME_WITHOUT_ZONE:
		return refuse_value(making, rule, "a time without zone, and the map names none");
	case CSV_TIME_READ:
		break;
	}
	snprintf(revision, sizeof revision, "%lld", (long long)(time_us / 1000));
	wrong = csv_target_set(&rule->target, &making->incident, revision, time_us, making->arena);
	return wrong == NULL || refuse_value(making, rule, wrong);
}

static bool apply(struct making *making, const struct csv_rule *rule)
{
	const char *value = "", *wrong;

	if (!rule->target.is_list && making->set[rule->slot])
		return true;
	if (!join_pieces(making, rule, &value))
		return false;
	if (rule->entry_count > 0 && !look_up(making, rule, &value))
		return false;
	if (value[0] == '\0')
		return true;
	making->set[rule->slot] = true;
	if (rule->pattern != NULL)
		return set_time(making, rule, value);
	wrong = csv_target_set(&rule->target, &making->incident, value, 0, making->arena);
	return wrong == NULL || refuse_value(making, rule, wrong);
}

/* A cell that is not UTF-8 is refused even where no line of the map looks at it: the file is not what it says. */
static bool check_cells(struct making *making)
{
	const struct csv_reader *reader = making->reader;

	if (reader->rows.cells != reader->cells)
		return jk_refuse(making->refusal, JK_CODE_NOT_WELL_FORMED, "", "the row has %zu cells, the header %zu",
			reader->rows.cells, reader->cells);
	for (size_t i = 0; i < reader->cells; i++) {
		const char *cell = csv_rows_cell(&reader->rows, i);

		if (!jk_text_is_utf8(cell, strlen(cell)))
			return jk_refuse(making->refusal, JK_CODE_NOT_WELL_FORMED, reader->header[i], "the cell is not UTF-8");
	}
	return true;
}

/* A latitude alone would be read as a point on the Greenwich meridian. */
static bool check_point(struct making *making)
{
	static const char *const halves[] = {"place.point.lat", "place.point.lon"};
	const struct csv_map *map = making->reader->map;
	const struct csv_rule *missing = NULL;
	size_t set = 0;

	for (size_t i = 0; i < map->rule_count; i++)
		for (size_t j = 0; j < 2; j++)
			if (strcmp(map->rules[i].path, halves[j]) == 0 && map->rules[i].slot == i) {
				set += making->set[i];
				missing = making->set[i] ? missing : &map->rules[i];
			}
	return set != 1 || missing == NULL || refuse_value(making, missing, "empty, while the other coordinate is there");
}

static bool make_report(struct making *making, struct csv_report *ret)
{
	const struct csv_map *map = making->reader->map;
	const Jukwaa__V1__Identity *identity;

	if (!check_cells(making))
		return false;
	for (size_t i = 0; i < map->rule_count; i++) {
		if (!apply(making, &map->rules[i]))
			return false;
		if (making->incident.identity != NULL)
			ret->external_id = making->incident.identity->external_id;
	}
	identity = making->incident.identity;
	if (identity == NULL || identity->external_id[0] == '\0')
		return jk_refuse(
			making->refusal, JK_CODE_INVALID_SCHEMA, map->columns[map->id_column], "the external id is empty");
	if (!check_point(making))
		return false;
	ret->revision = identity->revision;
	ret->bytes = jk_body_pack(&making->incident.base, making->arena, &ret->size);
	return ret->bytes != NULL || refuse_memory(making);
}

enum csv_next csv_reader_next(
	struct csv_reader *reader, struct jk_arena *arena, struct csv_report *ret, struct jk_refusal *ret_refusal)
{
	struct making making = {.reader = reader, .arena = arena, .incident = JUKWAA__V1__INCIDENT__INIT, .refusal = ret_refusal};
	enum csv_row row;

	jk_arena_reset(arena);
	*ret = (struct csv_report){.external_id = ""};
	row = csv_rows_next(&reader->rows, ret_refusal);
	ret->row = reader->rows.row;
	if (row == CSV_ROW_END)
		return CSV_END;
	if (row == CSV_ROW_READ && make_report(&making, ret))
		return CSV_REPORT;
	ret->bytes = NULL;
	return CSV_REFUSED;
}
