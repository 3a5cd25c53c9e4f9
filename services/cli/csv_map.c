/* Opening and closing mapping files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/cli/csv_map_internal.h"

enum { MAP_MAX_BYTES = 256 * 1024, MAP_ARENA_BYTES = 8 * 1024 * 1024 };

void csv_map_close(struct csv_map **map_p)
{
	if (*map_p == NULL)
		return;
	jk_arena_free(&(*map_p)->arena);
	free(*map_p);
	*map_p = NULL;
}

static bool refuse_line(struct jk_refusal *ret_refusal, const char *name, size_t line, const char *reason)
{
	return jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "map", "%s, line %zu: %s", name, line, reason);
}

static bool parse_lines(struct csv_map *map, const char *name, char *text, struct jk_refusal *ret_refusal)
{
	size_t number = 0;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		const char *wrong;

		number++;
		line += number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* byte order mark */
		wrong = csv_map_parse_line(map, line);
		if (wrong != NULL)
			return refuse_line(ret_refusal, name, number, wrong);
	}
	return true;
}

/* Every row must have a key of its own. */
static bool find_id_column(struct csv_map *map, const char *name, struct jk_refusal *ret_refusal)
{
	for (size_t i = 0; i < map->rule_count; i++)
		if (strcmp(map->rules[i].path, "identity.external_id") == 0)
			for (size_t j = 0; j < map->rules[i].piece_count; j++)
				if (map->rules[i].pieces[j].text == NULL) {
					map->id_column = map->rules[i].pieces[j].column;
					return true;
				}
	return jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "map", "%s: no line makes identity.external_id of a column", name);
}

static bool fill_map(struct csv_map *map, const char *name, const char *text, size_t size, struct jk_refusal *ret_refusal)
{
	char *copy;

	map->arena = jk_arena_new(MAP_ARENA_BYTES);
	copy = map->arena == NULL ? NULL : jk_arena_string(map->arena, text, size);
	if (copy == NULL)
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "map", "there is no memory for the map");
	if (!jk_text_is_utf8(text, size))
		return jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "map", "%s is not UTF-8", name);
	return parse_lines(map, name, copy, ret_refusal) && find_id_column(map, name, ret_refusal);
}

enum jk_status csv_map_read(
	const char *name, const char *text, size_t size, struct csv_map **ret_map, struct jk_refusal *ret_refusal)
{
	*ret_map = calloc(1, sizeof **ret_map);
	if (*ret_map == NULL)
		jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "map", "there is no memory for the map");
	else if (fill_map(*ret_map, name, text, size, ret_refusal))
		return JK_OK;
	csv_map_close(ret_map);
	return JK_BROKEN;
}

enum jk_status csv_map_open(const char *path, struct csv_map **ret_map, struct jk_refusal *ret_refusal)
{
	FILE *file = fopen(path, "rbe");
	enum jk_status status = JK_BROKEN;
	char *text = malloc(MAP_MAX_BYTES + 1);
	size_t size = 0;

	*ret_map = NULL;
	errno = file == NULL ? errno : 0;
	if (file != NULL && text != NULL)
		size = fread(text, 1, MAP_MAX_BYTES + 1, file);
	if (file == NULL || text == NULL || ferror(file) != 0)
		jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "map", "%s cannot be read: %s", path, strerror(errno));
	else if (size > MAP_MAX_BYTES)
		jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "map", "%s is larger than %d bytes", path, MAP_MAX_BYTES);
	else
		status = csv_map_read(path, text, size, ret_map, ret_refusal);
	free(text);
	if (file != NULL)
		fclose(file);
	return status;
}
