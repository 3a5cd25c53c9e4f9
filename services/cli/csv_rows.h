/* csv_rows.h: a CSV file (RFC 4180) as a stream of rows of cells. Not here: what the cells mean. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/jk_refusal.h"
#include "base/jk_text.h"

enum { CSV_ROW_MAX_BYTES = 1024 * 1024, CSV_CELLS_MAX = 1024 };

struct csv_rows {
	FILE *file;            /* borrowed */
	struct jk_buffer text; /* the row's cells, a NUL behind each */
	size_t starts[CSV_CELLS_MAX + 1];
	size_t cells;
	size_t row; /* the one read last, from 1; empty lines count */
	bool ended;
};

enum csv_row { CSV_ROW_READ, CSV_ROW_BAD, CSV_ROW_END };

void csv_rows_init(struct csv_rows *rows, FILE *file);
void csv_rows_done(struct csv_rows *rows);

/* Reads the next row that is not empty. CSV_ROW_BAD: the refusal says why (NOT_WELL_FORMED, OVERSIZE, UNAVAILABLE); the next call
 * goes on behind it. A byte order mark before the first row is passed over; rows end with LF or CRLF. */
enum csv_row csv_rows_next(struct csv_rows *rows, struct jk_refusal *ret_refusal);
/* Cell `index` of the row read last; valid until the next call. */
const char *csv_rows_cell(const struct csv_rows *rows, size_t index);
