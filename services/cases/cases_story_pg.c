#include <string.h>

#include "base/jk_text.h"
#include "cases_row_pg.h"
#include "cases_store_pg.h"
#include "cases_story.h"

enum { QUERY_TIMEOUT_MS = 2000 };
/* The steps of cases_story_read. */
enum { TASKS, NUMBERS, LINKS, TOOK_IN, INTO, STEPS };

static const struct jk_db_statement read_tasks = {
	.name = "cases_story_tasks",
	.sql = "SELECT * FROM (SELECT " CASES_TASK_ROW_COLUMNS " FROM cases.task t WHERE t.case_id = $1::uuid"
	       " ORDER BY t.state, t.made_at DESC, t.task_id DESC LIMIT $2::int8) t ORDER BY made_at, task_id",
	.params = 2,
};
static const struct jk_db_statement read_numbers = {
	.name = "cases_story_numbers",
	.sql = "SELECT n.agency, n.number, n.ob_number FROM cases.number n WHERE n.case_id = $1::uuid ORDER BY n.agency LIMIT "
	       "$2::int8",
	.params = 2,
};
static const struct jk_db_statement read_links = {
	.name = "cases_story_links",
	.sql = "SELECT " CASES_ROW_COLUMNS ", l.relation, l.at FROM (SELECT * FROM cases.link k WHERE k.case_id = $1::uuid"
	       " ORDER BY k.at DESC, k.other_id LIMIT $2::int8) l JOIN cases.\"case\" c ON c.case_id = l.other_id ORDER BY l.at, "
	       "l.other_id",
	.params = 2,
};
static const struct jk_db_statement read_took_in = {
	.name = "cases_story_took_in",
	.sql = "SELECT " CASES_ROW_COLUMNS " FROM cases.\"case\" c WHERE c.merged_into = $1::uuid ORDER BY c.opened_at, c.case_id"
	       " LIMIT $2::int8",
	.params = 2,
};
static const struct jk_db_statement read_into = {
	.name = "cases_story_into",
	.sql = "SELECT " CASES_ROW_COLUMNS " FROM cases.\"case\" c WHERE c.case_id = $1::uuid LIMIT $2::int8",
	.params = 2,
};
/* Short details are counted first, then the long ones from the newest on: a line whose detail has no room is there without it. */
static const struct jk_db_statement read_entries = {
	.name = "cases_story_entries",
	.sql = "SELECT e.case_id, e.event_id, e.entry_no, e.at, e.kind, e.revision, e.agency, e.actor_agency, e.actor_desk, "
	       "e.hidden,"
	       " CASE WHEN e.bytes <= $4::int8 THEN e.detail END FROM (SELECT m.*, sum(coalesce(octet_length(m.detail), 0))"
	       " OVER (ORDER BY coalesce(octet_length(m.detail), 0) > $5::int8, m.at DESC, m.entry_no DESC, m.case_id) AS bytes"
	       " FROM (SELECT k.* FROM unnest($1::uuid[]) AS u (id) CROSS JOIN LATERAL"
	       " (SELECT * FROM cases.entry k WHERE k.case_id = u.id ORDER BY k.at DESC, k.entry_no DESC LIMIT $2::int8) k"
	       " ORDER BY k.at DESC, k.entry_no DESC LIMIT $2::int8) m) e"
	       " ORDER BY e.at, e.case_id <> $3::uuid, e.entry_no",
	.params = 5,
};

struct reading {
	struct jk_arena *arena;
	struct cases_story *story;
	bool full;
};

static void *rows(struct reading *reading, const PGresult *result, size_t size, size_t *ret_count)
{
	void *room = jk_arena_alloc(reading->arena, ((size_t)PQntuples(result) + 1) * size);

	*ret_count = room ? (size_t)PQntuples(result) : 0;
	reading->full = reading->full || !room;
	return room;
}

static void read_text(char *ret, size_t size, const PGresult *result, int row, int column)
{
	const char *text = jk_db_get_bytes(result, row, column, NULL);
	(void)jk_text_copy(ret, size, text ? text : "");
}

static void take_numbers(struct reading *reading, const PGresult *result)
{
	struct cases_story *story = reading->story;

	story->numbers = rows(reading, result, sizeof *story->numbers, &story->number_count);
	for (size_t i = 0; i < story->number_count; i++) {
		read_text(story->numbers[i].agency, sizeof story->numbers[i].agency, result, (int)i, 0);
		read_text(story->numbers[i].number, sizeof story->numbers[i].number, result, (int)i, 1);
		read_text(story->numbers[i].ob_number, sizeof story->numbers[i].ob_number, result, (int)i, 2);
	}
}

static void take_links(struct reading *reading, const PGresult *result)
{
	struct cases_story *story = reading->story;

	story->links = rows(reading, result, sizeof *story->links, &story->link_count);
	for (size_t i = 0; i < story->link_count; i++) {
		cases_row_read(result, (int)i, &story->links[i].other);
		story->links[i].relation = (enum cases_relation_kind)jk_db_get_int(result, (int)i, CASES_ROW_COLUMN_COUNT);
		story->links[i].at_us = jk_db_get_time_us(result, (int)i, CASES_ROW_COLUMN_COUNT + 1);
	}
}

static void on_story(void *arg, const struct jk_db_outcome *outcome)
{
	struct reading *reading = arg;
	struct cases_story *story = reading->story;

	if (outcome->status != JK_OK)
		return;
	story->tasks = rows(reading, outcome->results[TASKS], sizeof *story->tasks, &story->task_count);
	for (size_t i = 0; i < story->task_count; i++)
		cases_row_read_task(outcome->results[TASKS], (int)i, &story->tasks[i]);
	take_numbers(reading, outcome->results[NUMBERS]);
	take_links(reading, outcome->results[LINKS]);
	story->took_in = rows(reading, outcome->results[TOOK_IN], sizeof *story->took_in, &story->took_in_count);
	for (size_t i = 0; i < story->took_in_count; i++)
		cases_row_read(outcome->results[TOOK_IN], (int)i, &story->took_in[i]);
	if (PQntuples(outcome->results[INTO]) == 1)
		cases_row_read(outcome->results[INTO], 0, &story->into);
}

/* Without a connection the answer comes at once; the loop sees to a new one. */
static enum jk_status run(
	struct jk_db *db, const struct jk_db_step *steps, size_t count, jk_db_done *done, struct reading *reading)
{
	enum jk_status status = jk_db_is_idle(db) ? jk_db_run(db, steps, count, QUERY_TIMEOUT_MS, done, reading) : JK_RETRY;

	return status == JK_OK && reading->full ? JK_BROKEN : status;
}

enum jk_status cases_story_read(struct jk_db *db, const struct cases_case *row, struct jk_arena *arena, struct cases_story *ret)
{
	static const struct {
		const struct jk_db_statement *statement;
		int64_t limit;
	} wanted[STEPS] = {
		[TASKS] = {&read_tasks, CASES_TASKS_MAX},
		[NUMBERS] = {&read_numbers, CASES_STORY_NUMBERS_MAX},
		[LINKS] = {&read_links, CASES_STORY_LINKS_MAX},
		[TOOK_IN] = {&read_took_in, CASES_TOOK_IN_MAX},
		[INTO] = {&read_into, 1},
	};
	struct reading reading = {.arena = arena, .story = ret};
	struct jk_db_step steps[STEPS];
	struct jk_db_int8 limits[STEPS];

	*ret = (struct cases_story){0};
	for (int i = 0; i < STEPS; i++) {
		const struct jk_id *id = i == INTO ? &row->life.merged_into : &row->case_id;
		steps[i] = (struct jk_db_step){.statement = wanted[i].statement};
		jk_db_bind_bytes(&steps[i], 0, id->bytes, sizeof id->bytes);
		jk_db_bind_int8(&steps[i], 1, &limits[i], wanted[i].limit);
	}
	return run(db, steps, STEPS, on_story, &reading);
}

static void on_entries(void *arg, const struct jk_db_outcome *outcome)
{
	struct reading *reading = arg;
	struct cases_story *story = reading->story;

	if (outcome->status != JK_OK)
		return;
	const PGresult *result = outcome->results[0];
	story->entries = rows(reading, result, sizeof *story->entries, &story->entry_count);
	for (size_t i = 0; i < story->entry_count; i++) {
		struct cases_entry *entry = &story->entries[i];
		const void *detail = jk_db_get_bytes(result, (int)i, 10, &entry->detail_size);

		entry->case_id = jk_db_get_id(result, (int)i, 0);
		entry->event_id = jk_db_get_id(result, (int)i, 1);
		entry->entry_no = (int32_t)jk_db_get_int(result, (int)i, 2);
		entry->at_us = jk_db_get_time_us(result, (int)i, 3);
		entry->kind = (enum cases_entry_kind)jk_db_get_int(result, (int)i, 4);
		entry->revision = jk_db_get_int(result, (int)i, 5);
		read_text(entry->agency, sizeof entry->agency, result, (int)i, 6);
		read_text(entry->actor_agency, sizeof entry->actor_agency, result, (int)i, 7);
		read_text(entry->actor_desk, sizeof entry->actor_desk, result, (int)i, 8);
		entry->hidden = jk_db_get_int(result, (int)i, 9) != 0;
		entry->detail = detail ? jk_arena_copy(reading->arena, detail, entry->detail_size) : NULL;
		reading->full = reading->full || (detail && !entry->detail);
	}
}

enum jk_status cases_story_read_entries(
	struct jk_db *db, const struct jk_id *case_ids, size_t count, struct jk_arena *arena, struct cases_story *ret)
{
	__attribute__((cleanup(jk_db_array_done))) struct jk_db_array ids = {0};
	struct jk_db_step step = {.statement = &read_entries};
	struct reading reading = {.arena = arena, .story = ret};
	struct jk_db_int8 limit, bytes, short_bytes;

	jk_db_array_reset(&ids, JK_OID_UUID);
	for (size_t i = 0; i < count; i++)
		jk_db_array_add_id(&ids, &case_ids[i]);
	jk_db_bind_array(&step, 0, &ids);
	jk_db_bind_int8(&step, 1, &limit, CASES_ENTRIES_MAX);
	jk_db_bind_bytes(&step, 2, case_ids[0].bytes, sizeof case_ids[0].bytes);
	jk_db_bind_int8(&step, 3, &bytes, CASES_DETAILS_MAX_BYTES);
	jk_db_bind_int8(&step, 4, &short_bytes, CASES_DETAIL_SHORT_BYTES);
	return run(db, &step, 1, on_entries, &reading);
}
