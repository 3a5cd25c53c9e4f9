/* intake_store_pg.h: what the two halves of the store share. For intake_store_*pg.c alone. */
#pragma once

#include "services/intake/intake_store.h"

enum { STORE_ARRAYS = 11 };

/* Arrays of one statement's parameters. */
struct store_arrays {
	struct jk_db_array of[STORE_ARRAYS];
};

/* One job at a time; the memory of its arrays is kept from job to job. */
struct intake_store {
	struct jk_db *db;
	uint8_t content_key[32];
	bool has_content_key;
	uint32_t epoch;

	struct intake_work work;
	intake_store_done *done;
	void *arg;

	/* load */
	struct store_arrays known, newest, awaited;
	bool asks_newest;
	/* commit */
	struct store_arrays dedup, report, protected, opened, amended, await, await_over, touched, append;
	struct jk_db_int8 amended_count;
	struct append_slot {
		struct intake_item *item;
		size_t position;
	} * slots; /* element i of append */
	size_t slot_count, slot_capacity;
};

/* Empties `count` arrays and sets their element types. */
void store_arrays_reset(struct store_arrays *arrays, const unsigned *element_oids, int count);
/* A step with all of a statement's arrays bound. */
struct jk_db_step store_step(const struct jk_db_statement *statement, struct store_arrays *arrays, int count);
/* Starts the job and remembers whom to tell. */
enum jk_status store_start(struct intake_store *store, const struct jk_db_step *steps, size_t count, jk_db_done *on_end,
	intake_store_done *done, void *arg);
/* Tells whom it concerns; the outcome is judged from the job's end. */
void store_finish(struct intake_store *store, const struct jk_db_outcome *end);
