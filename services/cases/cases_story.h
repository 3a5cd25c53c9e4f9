/* cases_story.h: what is known of a case beside its row: timeline, tasks, numbers, links, cases merged into it. Read by
 * cases_story_pg.c, cut down to what the asker may see by cases_story.c, written by cases_story_wire.c. */
#pragma once

#include "base/jk_arena.h"
#include "base/jk_refusal.h"
#include "cases.h"
#include "db/db.h"

enum {
	CASES_TASKS_MAX = 500,
	CASES_STORY_NUMBERS_MAX = 100,
	CASES_STORY_LINKS_MAX = 200,
	CASES_TOOK_IN_MAX = 64,
	CASES_ENTRIES_MAX = 2000
};
/* What all lines of one answer say beside their columns: at most so much. Beyond it the long ones say nothing, the oldest first;
 * short ones always have room, so that nobody's notes hide what was done. */
enum { CASES_DETAILS_MAX_BYTES = 1024 * 1024, CASES_DETAIL_SHORT_BYTES = 512 };
_Static_assert(CASES_DETAILS_MAX_BYTES / CASES_DETAIL_SHORT_BYTES >= CASES_ENTRIES_MAX, "short ones have room");

struct cases_story_number {
	char agency[CASES_CODE_BYTES], number[CASES_NUMBER_BYTES], ob_number[CASES_NUMBER_BYTES];
};
struct cases_story_link {
	struct cases_case other; /* as it is, for the decision */
	enum cases_relation_kind relation;
	int64_t at_us;
};

/* Arena memory. */
struct cases_story {
	struct cases_task *tasks;
	size_t task_count;
	struct cases_story_number *numbers;
	size_t number_count;
	struct cases_story_link *links;
	size_t link_count;
	struct cases_case *took_in;
	size_t took_in_count;
	struct cases_case into; /* that it was merged into; version 0: none */
	struct cases_entry *entries;
	size_t entry_count;
	/* Of other cases it may be said that they are there. */
	struct jk_id *known;
	size_t known_count;
};

/* All but the entries, as it is stored. JK_RETRY: the database is away or slow; JK_BROKEN: the arena is full. Blocks at most two
 * seconds. */
enum jk_status cases_story_read(
	struct jk_db *db, const struct cases_case *row, struct jk_arena *arena, struct cases_story *ret) JK_MUST_CHECK;
/* The timeline of these cases by time; at most CASES_ENTRIES_MAX, the newest; details within CASES_DETAILS_MAX_BYTES. */
enum jk_status cases_story_read_entries(struct jk_db *db, const struct jk_id *case_ids, size_t count, struct jk_arena *arena,
	struct cases_story *ret) JK_MUST_CHECK;
