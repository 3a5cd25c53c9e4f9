/* dispatch_store_pg_internal.h: the lanes as dispatch_store_pg.c (all, and reading), dispatch_store_pg_protected.c and
 * dispatch_store_pg_write.c see them.
 */
#pragma once

#include "dispatch_store_pg.h"

enum { DISPATCH_STORE_ARRAYS = 10 };

/* What the job in flight on the writing lane is to be answered with. */
struct dispatch_write_job {
	struct dispatch_store_done done;
	size_t answer_step;
	void (*on_secret)(void *arg, const uint8_t *key, uint32_t epoch);
	void (*on_answer)(void *arg, size_t index, const struct dispatch_answer *answer);
	void (*on_id)(void *arg, size_t index, int64_t disclosure_id);
	const struct dispatch_question *questions;
	struct jk_db_step steps[JK_DB_STEPS_MAX];
	size_t count;
};

struct dispatch_store {
	struct jk_db *read_db, *write_db, *protected_db;
	struct jk_db_array read_arrays[2], recall_arrays[4], item_arrays[2], protected_arrays[2], arrays[DISPATCH_STORE_ARRAYS],
		cursor_arrays[8];
	struct jk_db_int8 read_rows, read_bytes, read_erased, protected_bytes, head_time;
	struct dispatch_reader reader;
	struct dispatch_store_done protected_done;
	void (*on_protected)(void *arg, size_t index, const char *refused, const struct dispatch_apart *apart);
	bool read_heads, read_events;
	void (*on_cursor)(void *arg, const struct dispatch_idle_cursor *cursor);
	void (*on_earlier)(void *arg, size_t index, uint64_t seq, bool had);
	struct dispatch_snapshot_reader snapshot;
	void (*on_item_event)(void *arg, size_t index, const struct jk_event *event);
	struct dispatch_write_job job;
};
