/* csv_map.h: rows of a CSV file as incidents, after a mapping file (deploy/maps/README.md has its language). The file is read as
 * a stream, a row at a time. Not here: sending. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/jk_arena.h"
#include "base/jk_refusal.h"

struct csv_map;    /* a mapping file; nothing changes it once it is open */
struct csv_reader; /* a CSV file being read; one thread */

/* JK_BROKEN with a sentence that names file and line: cannot be read, unknown target, unknown word, no external id, …. */
enum jk_status csv_map_open(const char *path, struct csv_map **ret_map, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
/* The same from the file's text; name: for the sentences. */
enum jk_status csv_map_read(
	const char *name, const char *text, size_t size, struct csv_map **ret_map, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
/* NULL is fine. */
void csv_map_close(struct csv_map **map_p);

/* Reads the header. JK_BROKEN: refused before any row, with field "header": columns that the map names are missing (all of them
 * listed) or stand twice, or the file is empty or no CSV. map and file are borrowed until csv_reader_close, which closes
 * neither. */
enum jk_status csv_reader_open(
	const struct csv_map *map, FILE *file, struct csv_reader **ret_reader, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
void csv_reader_close(struct csv_reader **reader_p);

struct csv_report {
	size_t row;              /* as a spreadsheet numbers them: the header is row 1 */
	const char *external_id; /* arena; "" in a refused row where it is not known */
	int64_t revision;
	const uint8_t *bytes; /* jukwaa.v1.Incident, packed, arena; NULL in a refused row */
	size_t size;
};

enum csv_next { CSV_REPORT, CSV_REFUSED, CSV_END };

/* The next row; blocks on the file. Resets the arena before. CSV_REFUSED: this row alone; the next call goes on behind it. field
 * is the column: NOT_WELL_FORMED (quotes, number of cells, UTF-8, NUL), OVERSIZE (a row over 1 MiB), INVALID_SCHEMA (no
 * number, no time, a time without zone, a word that the table does not have, external id empty), UNAVAILABLE (the file could
 * not be read to its end; CSV_END comes next). */
enum csv_next csv_reader_next(
	struct csv_reader *reader, struct jk_arena *arena, struct csv_report *ret, struct jk_refusal *ret_refusal);
