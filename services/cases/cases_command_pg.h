/* cases_command_pg.h: all SQL of commands: what a batch of them meets, and storing what was decided. Steps for common/command,
 * which runs them. Not here: deciding, questions (cases_store_pg.h). */
#pragma once

#include "cases.h"
#include "crypt/crypt.h"
#include "db/db.h"

/* What is looked for. Zero-initialise; cases_wanted_done at the end. Reused from batch to batch. */
struct cases_wanted {
	struct jk_db_array commands, cases, bodies, tasks, number_agencies, numbers, number_cases, link_cases, link_others;
	struct jk_db_int8 body_bytes;
	int step_of[7]; /* of each kind of result; -1: not asked */
};
void cases_wanted_reset(struct cases_wanted *wanted);
void cases_wanted_done(struct cases_wanted *wanted);
/* Steps that read it all; the first one reads the database's clock. */
size_t cases_command_load(struct cases_wanted *wanted, struct jk_db_step *steps);

/* A command that was done before, and its answer. */
struct cases_done_command {
	struct jk_id command_id, thing_id;
	uint8_t digest[JK_SHA256_BYTES];
	int32_t version;
	enum cases_state state;
	char number[CASES_NUMBER_BYTES];
};
/* The newest event of a case's incident. body NULL: it is there, and too much was asked for at once. */
struct cases_newest {
	struct jk_id case_id;
	int64_t revision;
	int tlp, category;
	uint64_t counties;   /* it went to; bit n: county n */
	const uint8_t *body; /* borrowed from the result */
	size_t size;
};
struct cases_known_number {
	struct jk_id case_id;
	char agency[CASES_CODE_BYTES], number[CASES_NUMBER_BYTES], ob_number[CASES_NUMBER_BYTES];
};
struct cases_known_link {
	struct jk_id case_id, other_id;
	enum cases_relation_kind relation;
};

/* Where results go, row by row. */
struct cases_command_taker {
	void *arg;
	void (*on_done)(void *arg, const struct cases_done_command *done);
	void (*on_case)(void *arg, const struct cases_case *row);
	void (*on_newest)(void *arg, const struct cases_newest *newest);
	void (*on_task)(void *arg, const struct cases_task *task);
	void (*on_number)(void *arg, const struct cases_known_number *number);
	void (*on_link)(void *arg, const struct cases_known_link *link);
};
/* Returns the database's time. */
int64_t cases_command_take(
	const struct cases_wanted *wanted, const struct jk_db_outcome *outcome, const struct cases_command_taker *taker);

/* One line of history. Texts and bytes are copied when it is added. */
struct cases_line {
	struct cases_entry entry; /* with its actor and detail */
	int32_t key_id;
	const struct jk_id *command_id; /* NULL: the second line of a command */
	const uint8_t *digest;
	int32_t version;
	enum cases_state state;
	struct jk_id thing_id;
	const char *number; /* "" none */
};

/* What is to be stored: an array a column. Zero-initialise; as cases_wanted. */
enum {
	CASES_MOVED_COLUMNS = 21,
	CASES_LINE_COLUMNS = 18,
	CASES_TASK_COLUMNS = 10,
	CASES_TASK_END_COLUMNS = 3,
	CASES_NUMBER_COLUMNS = 5,
	CASES_LINK_COLUMNS = 4,
};
struct cases_deeds {
	struct jk_db_array moved[CASES_MOVED_COLUMNS], lines[CASES_LINE_COLUMNS], tasks[CASES_TASK_COLUMNS];
	struct jk_db_array task_ends[CASES_TASK_END_COLUMNS], numbers[CASES_NUMBER_COLUMNS], links[CASES_LINK_COLUMNS];
	struct jk_db_int8 moved_count, task_end_count;
};
void cases_deeds_reset(struct cases_deeds *deeds);
void cases_deeds_done(struct cases_deeds *deeds);
/* loaded: the version it was read with. In ascending order of case_id: two that store lock rows in one order. */
void cases_deeds_move(struct cases_deeds *deeds, const struct cases_case *row, int32_t loaded);
void cases_deeds_enter(struct cases_deeds *deeds, const struct cases_line *line);
void cases_deeds_add_task(struct cases_deeds *deeds, const struct cases_task *task);
/* A task that was open when it was read. */
void cases_deeds_end_task(struct cases_deeds *deeds, const struct cases_task *task);
void cases_deeds_number(struct cases_deeds *deeds, const struct cases_known_number *number, int64_t at_us);
void cases_deeds_link(struct cases_deeds *deeds, const struct cases_known_link *link, int64_t at_us);
/* The steps that store, without the one that appends to the feed. 0: nothing is to be stored. They fail with 40001 where a case
 * or a task was changed by somebody else. */
size_t cases_command_store(struct cases_deeds *deeds, struct jk_db_step *steps);
