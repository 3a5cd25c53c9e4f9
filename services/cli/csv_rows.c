#include "services/cli/csv_rows.h"

#include <string.h>

/* Where in a cell the reading stands. */
enum place { CELL_START, BARE, QUOTED, QUOTE_IN_QUOTED };

/* What is wrong with the row, found while it is read to its end. */
struct row_fault {
	enum jk_code code;
	const char *reason;
};

void csv_rows_init(struct csv_rows *rows, FILE *file)
{
	*rows = (struct csv_rows){.file = file};
}

void csv_rows_done(struct csv_rows *rows)
{
	jk_buffer_done(&rows->text);
}

const char *csv_rows_cell(const struct csv_rows *rows, size_t index)
{
	return rows->text.data + rows->starts[index];
}

static void find_fault(struct row_fault *fault, enum jk_code code, const char *reason)
{
	if (fault->code == JK_CODE_NONE)
		*fault = (struct row_fault){code, reason};
}

static void add_byte(struct csv_rows *rows, int c, struct row_fault *fault)
{
	char byte = (char)c;

	if (c == '\0')
		find_fault(fault, JK_CODE_NOT_WELL_FORMED, "there is a NUL");
	if (rows->text.size >= CSV_ROW_MAX_BYTES)
		find_fault(fault, JK_CODE_OVERSIZE, "the row is longer than 1 MiB; is a quote not closed?");
	else
		jk_buffer_append(&rows->text, &byte, 1);
}

static void end_cell(struct csv_rows *rows, struct row_fault *fault)
{
	jk_buffer_append(&rows->text, "", 1);
	if (rows->cells == CSV_CELLS_MAX) {
		find_fault(fault, JK_CODE_NOT_WELL_FORMED, "the row has more than 1024 cells");
		return;
	}
	rows->starts[++rows->cells] = rows->text.size;
}

/* One byte within a row; false: it ended the row. */
static bool take_byte(struct csv_rows *rows, int c, enum place *place, struct row_fault *fault)
{
	if (*place == QUOTED) {
		if (c == '"')
			*place = QUOTE_IN_QUOTED;
		else
			add_byte(rows, c, fault);
		return true;
	}
	if (c == '"' && *place == QUOTE_IN_QUOTED) { /* "" stands for one */
		add_byte(rows, c, fault);
		*place = QUOTED;
	} else if (c == '"' && *place == CELL_START) {
		*place = QUOTED;
	} else if (c == ',') {
		end_cell(rows, fault);
		*place = CELL_START;
	} else if (c == '\n') {
		return false;
	} else if (c == '"') {
		find_fault(fault, JK_CODE_NOT_WELL_FORMED, "a quote stands within a cell that does not begin with one");
	} else if (*place == QUOTE_IN_QUOTED) {
		find_fault(fault, JK_CODE_NOT_WELL_FORMED, "there is text behind the closing quote of a cell");
	} else {
		add_byte(rows, c, fault);
		*place = BARE;
	}
	return true;
}

static int next_byte(struct csv_rows *rows)
{
	int c = getc_unlocked(rows->file);

	if (c == '\r') { /* CRLF is one end of line */
		int next = getc_unlocked(rows->file);

		if (next == '\n')
			return next;
		if (next != EOF)
			ungetc(next, rows->file);
	}
	return c;
}

/* Inside quotes a CRLF stays as it is. */
static int next_byte_at(struct csv_rows *rows, enum place place)
{
	return place == QUOTED ? getc_unlocked(rows->file) : next_byte(rows);
}

static void skip_byte_order_mark(struct csv_rows *rows)
{
	static const unsigned char mark[] = {0xef, 0xbb, 0xbf};
	int c = getc_unlocked(rows->file);

	if (c != mark[0]) {
		if (c != EOF)
			ungetc(c, rows->file);
		return;
	}
	if (getc_unlocked(rows->file) != mark[1] || getc_unlocked(rows->file) != mark[2])
		jk_buffer_append(&rows->text, "\xff", 1); /* no UTF-8: found below */
}

/* Reads one row, empty or not, to its end whatever is wrong with it. */
static struct row_fault read_row(struct csv_rows *rows)
{
	struct row_fault fault = {JK_CODE_NONE, NULL};
	enum place place = CELL_START;
	int c;

	rows->text.size = 0;
	rows->cells = 0;
	rows->starts[0] = 0;
	if (rows->row++ == 0)
		skip_byte_order_mark(rows);
	while ((c = next_byte_at(rows, place)) != EOF && take_byte(rows, c, &place, &fault))
		;
	rows->ended = c == EOF;
	if (c == EOF && place == QUOTED)
		find_fault(&fault, JK_CODE_NOT_WELL_FORMED, "the file ends within quotes");
	if (c == EOF && ferror(rows->file) != 0)
		fault = (struct row_fault){JK_CODE_UNAVAILABLE, "the file cannot be read further"};
	end_cell(rows, &fault);
	if (rows->text.failed)
		fault = (struct row_fault){JK_CODE_UNAVAILABLE, "there is no memory for the row"};
	return fault;
}

enum csv_row csv_rows_next(struct csv_rows *rows, struct jk_refusal *ret_refusal)
{
	struct row_fault fault;

	do {
		if (rows->ended)
			return CSV_ROW_END;
		fault = read_row(rows);
	} while (fault.code == JK_CODE_NONE && rows->cells == 1 && rows->text.size == 1);
	if (fault.code == JK_CODE_NONE)
		return CSV_ROW_READ;
	jk_refuse(ret_refusal, fault.code, "", "%s", fault.reason);
	return CSV_ROW_BAD;
}
