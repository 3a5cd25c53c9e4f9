/* The language of mapping files, a line at a time: TARGET column NAME | constant TEXT | template TEXT, then
 * time PATTERN [zone OFFSET] or table FROM=TO …. deploy/maps/README.md explains it. */
#include <string.h>

#include "services/cli/csv_map_internal.h"
#include "services/cli/csv_time.h"

enum { WORDS_MAX = 128 };

static const char no_memory[] = "the map needs too much memory";

struct words {
	char *list[WORDS_MAX];
	size_t count, at;
};

/* Blank-separated; "…" keeps blanks, "" within it is one quote; # begins a comment. Cut in place. */
static const char *split(char *line, struct words *ret)
{
	ret->count = ret->at = 0;
	for (;;) {
		bool quoted = false;
		char *out;

		line += strspn(line, " \t\r");
		if (*line == '\0' || *line == '#')
			return NULL;
		if (ret->count == WORDS_MAX)
			return "the line has more than 128 words";
		ret->list[ret->count++] = out = line;
		for (; *line != '\0' && (quoted || strchr(" \t\r", *line) == NULL); line++) {
			if (*line != '"')
				*out++ = *line;
			else if (quoted && line[1] == '"')
				*out++ = *++line;
			else
				quoted = !quoted;
		}
		if (quoted)
			return "a quote is not closed";
		line += *line != '\0';
		*out = '\0';
	}
}

static char *next(struct words *words)
{
	return words->at < words->count ? words->list[words->at++] : NULL;
}

static const char *add_column(struct csv_map *map, const char *name, size_t *ret_index)
{
	size_t i = 0;

	while (i < map->column_count && strcmp(map->columns[i], name) != 0)
		i++;
	*ret_index = i;
	if (i < map->column_count)
		return NULL;
	if (i == CSV_COLUMNS_MAX)
		return "the map names more than 128 columns";
	map->columns[i] = jk_arena_string(map->arena, name, strlen(name));
	map->column_count++;
	return map->columns[i] == NULL ? no_memory : NULL;
}

static const char *add_piece(struct csv_map *map, struct csv_rule *rule, const char *text, size_t size, bool is_column)
{
	struct csv_piece *piece = &rule->pieces[rule->piece_count];
	const char *copy = jk_arena_string(map->arena, text, size);

	if (copy == NULL)
		return no_memory;
	if (rule->piece_count == CSV_PIECES_MAX)
		return "the template has more than 32 parts";
	rule->piece_count++;
	if (is_column)
		return size == 0 ? "a column has no name" : add_column(map, copy, &piece->column);
	piece->text = copy;
	return NULL;
}

/* "text {column} text" */
static const char *parse_template(struct csv_map *map, struct csv_rule *rule, const char *text)
{
	const char *wrong = NULL;

	while (*text != '\0' && wrong == NULL) {
		size_t size = strcspn(text, "{");

		if (size > 0)
			wrong = add_piece(map, rule, text, size, false);
		text += size;
		if (*text == '\0' || wrong != NULL)
			break;
		size = strcspn(++text, "}");
		if (text[size] == '\0')
			return "a { is not closed";
		wrong = add_piece(map, rule, text, size, true);
		text += size + 1;
	}
	return wrong;
}

static const char *parse_source(struct csv_map *map, struct csv_rule *rule, struct words *words)
{
	const char *kind = next(words), *text = next(words);

	if (kind == NULL || text == NULL)
		return "after the field comes: column NAME, constant TEXT or template TEXT";
	rule->pieces = jk_arena_alloc(map->arena, (CSV_PIECES_MAX + 1) * sizeof *rule->pieces);
	if (rule->pieces == NULL)
		return no_memory;
	if (strcmp(kind, "column") == 0)
		return add_piece(map, rule, text, strlen(text), true);
	if (strcmp(kind, "constant") == 0)
		return add_piece(map, rule, text, strlen(text), false);
	if (strcmp(kind, "template") == 0)
		return parse_template(map, rule, text);
	return "a value is a column, a constant or a template";
}

static const char *parse_time(struct csv_map *map, struct csv_rule *rule, struct words *words)
{
	const char *pattern = next(words), *zone;

	if (pattern == NULL || !csv_time_is_pattern(pattern))
		return "a time is written rfc3339, or with yyyy mm dd HH MM (and SS, mon, zone): time \"dd/mm/yyyy HH:MM\"";
	rule->pattern = jk_arena_string(map->arena, pattern, strlen(pattern));
	if (rule->pattern == NULL)
		return no_memory;
	if (words->at == words->count || strcmp(words->list[words->at], "zone") != 0)
		return NULL;
	words->at++;
	zone = next(words);
	rule->has_zone = zone != NULL && csv_time_parse_zone(&zone, &rule->zone_s) && *zone == '\0';
	return rule->has_zone ? NULL : "a zone is written +03:00";
}

static const char *parse_table(struct csv_map *map, struct csv_rule *rule, struct words *words)
{
	size_t count = words->count - words->at;
	char *entry;

	rule->entries = jk_arena_alloc(map->arena, (count + 1) * sizeof *rule->entries);
	if (rule->entries == NULL)
		return no_memory;
	if (count == 0)
		return "a table has entries FROM=TO";
	while ((entry = next(words)) != NULL) {
		char *equals = strrchr(entry, '=');

		if (equals == NULL)
			return "an entry of a table is written FROM=TO";
		*equals = '\0';
		rule->entries[rule->entry_count].from = jk_arena_string(map->arena, entry, strlen(entry));
		rule->entries[rule->entry_count].to = jk_arena_string(map->arena, equals + 1, strlen(equals + 1));
		if (rule->entries[rule->entry_count].from == NULL || rule->entries[rule->entry_count].to == NULL)
			return no_memory;
		rule->entry_count++;
	}
	return NULL;
}

/* What the map itself says must be fit for the field: constants, and what its tables give. */
static const char *try_texts(struct csv_map *map, const struct csv_rule *rule)
{
	Jukwaa__V1__Incident incident = JUKWAA__V1__INCIDENT__INIT;
	const char *wrong = NULL;

	if (rule->piece_count == 1 && rule->pieces[0].text != NULL && rule->pattern == NULL)
		wrong = csv_target_set(&rule->target, &incident, rule->pieces[0].text, 0, map->arena);
	for (size_t i = 0; i < rule->entry_count && wrong == NULL; i++)
		if (rule->entries[i].to[0] != '\0')
			wrong = csv_target_set(&rule->target, &incident, rule->entries[i].to, 0, map->arena);
	return wrong;
}

static const char *parse_rule(struct csv_map *map, struct csv_rule *rule, struct words *words)
{
	const char *wrong = parse_source(map, rule, words), *kind;

	if (wrong == NULL && (kind = next(words)) != NULL) {
		if (strcmp(kind, "time") == 0)
			wrong = parse_time(map, rule, words);
		else if (strcmp(kind, "table") == 0)
			wrong = parse_table(map, rule, words);
		else
			wrong = "behind the value may come: time PATTERN [zone OFFSET], or table FROM=TO …";
	}
	if (wrong == NULL && words->at < words->count)
		wrong = "there is more on the line than belongs there (blanks want quotes)";
	if (wrong == NULL && rule->target.is_time && rule->pattern == NULL)
		wrong = "a time needs its pattern: time rfc3339, or time \"dd/mm/yyyy HH:MM\" zone +03:00";
	if (wrong == NULL && rule->pattern != NULL && !rule->target.is_time && !rule->target.is_integer)
		wrong = "this field holds no time";
	return wrong != NULL ? wrong : try_texts(map, rule);
}

const char *csv_map_parse_line(struct csv_map *map, char *line)
{
	struct csv_rule *rule = &map->rules[map->rule_count];
	struct words words;
	const char *wrong = split(line, &words), *path;

	if (wrong != NULL || words.count == 0)
		return wrong;
	if (map->rule_count == CSV_RULES_MAX)
		return "the map has more than 128 lines";
	path = next(&words);
	if (!csv_target_find(path, &rule->target, &wrong))
		return wrong;
	rule->path = jk_arena_string(map->arena, path, strlen(path));
	if (rule->path == NULL)
		return no_memory;
	rule->slot = 0;
	while (strcmp(map->rules[rule->slot].path, rule->path) != 0)
		rule->slot++;
	wrong = parse_rule(map, rule, &words);
	map->rule_count += wrong == NULL;
	return wrong;
}
