/* csv_map_internal.h: a mapping file in memory. For csv_map.c, csv_map_parse.c and csv_reader.c alone. */
#pragma once

#include "services/cli/csv_map.h"
#include "services/cli/csv_target.h"

enum { CSV_RULES_MAX = 128, CSV_COLUMNS_MAX = 128, CSV_PIECES_MAX = 32 };

/* A value is its pieces one after another: fixed text, or a column. */
struct csv_piece {
	const char *text; /* NULL: a column */
	size_t column;    /* index in the map's columns */
};

struct csv_entry {
	const char *from; /* "*": anything else */
	const char *to;   /* "": as if the cell were empty */
};

/* One line of the map. */
struct csv_rule {
	struct csv_target target;
	const char *path;
	size_t slot; /* rules of the same target share one: the first that has a value sets it */
	struct csv_piece *pieces;
	size_t piece_count;
	struct csv_entry *entries;
	size_t entry_count;
	const char *pattern; /* NULL: no time */
	int zone_s;
	bool has_zone;
};

struct csv_map {
	struct jk_arena *arena; /* holds all of it */
	const char *columns[CSV_COLUMNS_MAX];
	size_t column_count;
	struct csv_rule rules[CSV_RULES_MAX];
	size_t rule_count;
	size_t id_column; /* of the external id */
};

/* Reads one line. NULL, or what is wrong with it (arena or constant). */
const char *csv_map_parse_line(struct csv_map *map, char *line);
