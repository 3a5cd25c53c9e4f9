#include "cases_command_pg.h"

#include <string.h>

#include "base/jk_text.h"
#include "cases_row_pg.h"

/* More than this of bodies is not read for one batch; one alone is. */
enum { BODIES_MAX_BYTES = 16 * 1024 * 1024 };
/* Kinds of results, as in cases_wanted.step_of. */
enum { DONE, CASES, NEWEST, TASKS, NUMBERS, LINKS };

/* One look into an index for each row, whatever the tables hold, by plans that are kept: planning anew took half of the time of a
 * lone command, and plans left to themselves that were made while tables are small would read them whole. */
static const struct jk_db_statement begin = {
	.name = "cases_command_begin",
	.sql = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),"
	       " set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true),"
	       " clock_timestamp()",
	.params = 0,
};
static const struct jk_db_statement find_done = {
	.name = "cases_command_done",
	.sql = "SELECT e.command_id, e.thing_id, e.digest, e.version, e.state, e.number FROM unnest($1::uuid[]) AS u (id)"
	       " CROSS JOIN LATERAL (SELECT * FROM cases.entry k WHERE k.command_id = u.id OFFSET 0) AS e",
	.params = 1,
};
/* And those that they were merged into. */
static const struct jk_db_statement find_cases = {
	.name = "cases_command_cases",
	.sql = "SELECT " CASES_ROW_COLUMNS " FROM unnest($1::uuid[]) AS u (id) CROSS JOIN LATERAL"
	       " (SELECT k.* FROM cases.\"case\" k WHERE k.case_id = u.id UNION ALL SELECT b.* FROM cases.\"case\" k"
	       " JOIN cases.\"case\" b ON b.case_id = k.merged_into WHERE k.case_id = u.id OFFSET 0) AS c",
	.params = 1,
};
/* streams: the counties that the report went to, less those it left, however far each of them has been followed. */
static const struct jk_db_statement find_newest = {
	.name = "cases_command_newest",
	.sql = "SELECT w.case_id, w.revision, w.tlp, w.category, CASE WHEN w.before + w.size <= $2::int8 OR w.before = 0 THEN "
	       "w.body END, w.streams FROM (SELECT c.case_id, e.revision, e.tlp, e.category, e.body, octet_length(e.body) AS "
	       "size,"
	       " sum(octet_length(e.body)) OVER (ORDER BY u.n) - octet_length(e.body) AS before,"
	       " (SELECT bit_or(1::int8 << k.stream::int4) FROM feed.event k WHERE k.event_id = c.event_id AND k.kind < 16"
	       " AND k.kind <> 5) AS streams FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, n)"
	       " CROSS JOIN LATERAL (SELECT k.case_id, k.event_id FROM cases.\"case\" k WHERE k.case_id = u.id OFFSET 0) AS c"
	       " CROSS JOIN LATERAL (SELECT k.revision, k.tlp, k.category, k.body FROM feed.event k WHERE k.event_id = c.event_id"
	       " LIMIT 1) AS e) w",
	.params = 2,
};
static const struct jk_db_statement find_tasks = {
	.name = "cases_command_tasks",
	.sql = "SELECT " CASES_TASK_ROW_COLUMNS " FROM unnest($1::uuid[]) AS u (id)"
	       " CROSS JOIN LATERAL (SELECT * FROM cases.task k WHERE k.task_id = u.id OFFSET 0) AS t",
	.params = 1,
};
static const struct jk_db_statement find_numbers = {
	.name = "cases_command_numbers",
	.sql = "SELECT n.case_id, n.agency, n.number, n.ob_number FROM unnest($1::text[], $2::text[], $3::uuid[])"
	       " AS u (agency, number, case_id) CROSS JOIN LATERAL"
	       " (SELECT k.* FROM cases.number k WHERE k.agency = u.agency AND k.number = u.number"
	       " UNION ALL SELECT k.* FROM cases.number k WHERE k.case_id = u.case_id AND k.agency = u.agency OFFSET 0) AS n",
	.params = 3,
};
static const struct jk_db_statement find_links = {
	.name = "cases_command_links",
	.sql = "SELECT l.case_id, l.other_id, l.relation FROM unnest($1::uuid[], $2::uuid[]) AS u (case_id, other_id)"
	       " CROSS JOIN LATERAL (SELECT * FROM cases.link k WHERE k.case_id = u.case_id AND k.other_id = u.other_id OFFSET "
	       "0) l",
	.params = 2,
};

static const struct jk_db_statement move_cases = {
	.name = "cases_command_move",
	.sql = "WITH put AS (UPDATE cases.\"case\" c SET version = u.version, since_version = u.version, entries = u.entries, "
	       "changed = pg_current_xact_id(), state = u.state,"
	       " updated_at = u.updated_at, assigned_agency = u.assigned_agency, assigned_desk = u.assigned_desk,"
	       " referred_agency = u.referred_agency, referred_service = u.referred_service, disposition = u.disposition,"
	       " blocking = u.blocking, took_in = u.took_in, merged_into = u.merged_into, triaged_at = u.triaged_at,"
	       " assigned_at = u.assigned_at, started_at = u.started_at, resolved_at = u.resolved_at, closed_at = u.closed_at,"
	       " assigned_hidden = u.assigned_hidden, referred_hidden = u.referred_hidden"
	       " FROM unnest($1::uuid[], $2::int4[], $3::int4[], $4::int4[], $5::int2[], $6::timestamptz[], $7::text[], "
	       "$8::text[],"
	       " $9::text[], $10::text[], $11::int2[], $12::int4[], $13::int4[], $14::uuid[], $15::timestamptz[],"
	       " $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::bool[], $21::bool[]) AS u "
	       "(case_id, loaded, version,"
	       " entries, state, updated_at, assigned_agency, assigned_desk, referred_agency, referred_service, disposition,"
	       " blocking, took_in, merged_into, triaged_at, assigned_at, started_at, resolved_at, closed_at, assigned_hidden, "
	       "referred_hidden)"
	       " WHERE c.case_id = u.case_id AND c.version = u.loaded RETURNING 1)"
	       " SELECT cases.expect((SELECT count(*) FROM put), $22::int8)",
	.params = CASES_MOVED_COLUMNS + 1,
};
static const struct jk_db_statement add_lines = {
	.name = "cases_command_lines",
	.sql = "INSERT INTO cases.entry (case_id, event_id, entry_no, at, kind, revision, agency, actor_agency, actor_desk, "
	       "actor_key,"
	       " hidden, command_id, digest, version, state, thing_id, number, detail) SELECT * FROM unnest($1::uuid[], "
	       "$2::uuid[],"
	       " $3::int4[], $4::timestamptz[], $5::int2[], $6::int8[], $7::text[], $8::text[], $9::text[], $10::int4[], "
	       "$11::bool[],"
	       " $12::uuid[], $13::bytea[], $14::int4[], $15::int2[], $16::uuid[], $17::text[], $18::bytea[])",
	.params = CASES_LINE_COLUMNS,
};
static const struct jk_db_statement add_tasks = {
	.name = "cases_command_add_tasks",
	.sql = "INSERT INTO cases.task (task_id, case_id, title, agency, desk, due_at, blocking, state, made_at, hidden)"
	       " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bool[],"
	       " $8::int2[], $9::timestamptz[], $10::bool[])",
	.params = CASES_TASK_COLUMNS,
};
static const struct jk_db_statement end_tasks = {
	.name = "cases_command_end_tasks",
	.sql = "WITH put AS (UPDATE cases.task t SET state = u.state, ended_at = u.at FROM unnest($1::uuid[], $2::int2[],"
	       " $3::timestamptz[]) AS u (id, state, at) WHERE t.task_id = u.id AND t.state = 1 RETURNING 1)"
	       " SELECT cases.expect((SELECT count(*) FROM put), $4::int8)",
	.params = CASES_TASK_END_COLUMNS + 1,
};
static const struct jk_db_statement put_numbers = {
	.name = "cases_command_numbered",
	.sql = "INSERT INTO cases.number (case_id, agency, number, ob_number, at) SELECT u.case_id, u.agency, nullif(u.number, "
	       "''),"
	       " nullif(u.ob_number, ''), u.at FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])"
	       " AS u (case_id, agency, number, ob_number, at) ON CONFLICT (case_id, agency) DO UPDATE SET number = "
	       "excluded.number,"
	       " ob_number = excluded.ob_number, at = excluded.at",
	.params = CASES_NUMBER_COLUMNS,
};
static const struct jk_db_statement add_links = {
	.name = "cases_command_link",
	.sql = "INSERT INTO cases.link (case_id, other_id, relation, at) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int2[],"
	       " $4::timestamptz[])",
	.params = CASES_LINK_COLUMNS,
};

/* ---- what is looked for -------------------------------------------------------------------------------------------------- */

void cases_wanted_reset(struct cases_wanted *wanted)
{
	jk_db_array_reset(&wanted->commands, JK_OID_UUID);
	jk_db_array_reset(&wanted->cases, JK_OID_UUID);
	jk_db_array_reset(&wanted->bodies, JK_OID_UUID);
	jk_db_array_reset(&wanted->tasks, JK_OID_UUID);
	jk_db_array_reset(&wanted->number_agencies, JK_OID_TEXT);
	jk_db_array_reset(&wanted->numbers, JK_OID_TEXT);
	jk_db_array_reset(&wanted->number_cases, JK_OID_UUID);
	jk_db_array_reset(&wanted->link_cases, JK_OID_UUID);
	jk_db_array_reset(&wanted->link_others, JK_OID_UUID);
}

void cases_wanted_done(struct cases_wanted *wanted)
{
	jk_db_array_done(&wanted->commands);
	jk_db_array_done(&wanted->cases);
	jk_db_array_done(&wanted->bodies);
	jk_db_array_done(&wanted->tasks);
	jk_db_array_done(&wanted->number_agencies);
	jk_db_array_done(&wanted->numbers);
	jk_db_array_done(&wanted->number_cases);
	jk_db_array_done(&wanted->link_cases);
	jk_db_array_done(&wanted->link_others);
}

/* Adds the step when there is something to look for. */
static struct jk_db_step *ask(struct cases_wanted *wanted, int what, const struct jk_db_statement *statement,
	struct jk_db_array *first, struct jk_db_step *steps, size_t *count)
{
	wanted->step_of[what] = -1;
	if (first->count == 0)
		return NULL;
	wanted->step_of[what] = (int)*count;
	struct jk_db_step *step = &steps[(*count)++];
	*step = (struct jk_db_step){.statement = statement};
	jk_db_bind_array(step, 0, first);
	return step;
}

size_t cases_command_load(struct cases_wanted *wanted, struct jk_db_step *steps)
{
	size_t count = 1;
	struct jk_db_step *step;

	steps[0] = (struct jk_db_step){.statement = &begin};
	(void)ask(wanted, CASES, &find_cases, &wanted->cases, steps, &count);
	step = ask(wanted, NEWEST, &find_newest, &wanted->bodies, steps, &count);
	if (step)
		jk_db_bind_int8(step, 1, &wanted->body_bytes, BODIES_MAX_BYTES);
	(void)ask(wanted, TASKS, &find_tasks, &wanted->tasks, steps, &count);
	step = ask(wanted, NUMBERS, &find_numbers, &wanted->number_agencies, steps, &count);
	if (step) {
		jk_db_bind_array(step, 1, &wanted->numbers);
		jk_db_bind_array(step, 2, &wanted->number_cases);
	}
	step = ask(wanted, LINKS, &find_links, &wanted->link_cases, steps, &count);
	if (step)
		jk_db_bind_array(step, 1, &wanted->link_others);
	/* Each step sees what is committed by then. This one last: a command that another process does in between is then known
	 * as done, and not only seen in the case's new version, which would make its repetition stale. */
	(void)ask(wanted, DONE, &find_done, &wanted->commands, steps, &count);
	return count;
}

static void take_text(char *ret, size_t size, const PGresult *result, int row, int column)
{
	const char *text = jk_db_get_bytes(result, row, column, NULL);
	(void)jk_text_copy(ret, size, text ? text : "");
}

static void take_done(const PGresult *result, int row, const struct cases_command_taker *taker)
{
	size_t size;
	const void *digest = jk_db_get_bytes(result, row, 2, &size);
	struct cases_done_command done = {
		.command_id = jk_db_get_id(result, row, 0),
		.thing_id = jk_db_get_id(result, row, 1),
		.version = (int32_t)jk_db_get_int(result, row, 3),
		.state = (enum cases_state)jk_db_get_int(result, row, 4),
	};

	if (digest && size == sizeof done.digest)
		memcpy(done.digest, digest, size);
	take_text(done.number, sizeof done.number, result, row, 5);
	taker->on_done(taker->arg, &done);
}

static void take_case(const PGresult *result, int row, const struct cases_command_taker *taker)
{
	struct cases_case found;
	cases_row_read(result, row, &found);
	taker->on_case(taker->arg, &found);
}

static void take_newest(const PGresult *result, int row, const struct cases_command_taker *taker)
{
	struct cases_newest newest = {
		.case_id = jk_db_get_id(result, row, 0),
		.revision = jk_db_get_int(result, row, 1),
		.tlp = (int)jk_db_get_int(result, row, 2),
		.category = (int)jk_db_get_int(result, row, 3),
		.counties = (uint64_t)jk_db_get_int(result, row, 5),
	};
	newest.body = jk_db_get_bytes(result, row, 4, &newest.size);
	taker->on_newest(taker->arg, &newest);
}

static void take_task(const PGresult *result, int row, const struct cases_command_taker *taker)
{
	struct cases_task task;
	cases_row_read_task(result, row, &task);
	taker->on_task(taker->arg, &task);
}

static void take_number(const PGresult *result, int row, const struct cases_command_taker *taker)
{
	struct cases_known_number number = {.case_id = jk_db_get_id(result, row, 0)};
	take_text(number.agency, sizeof number.agency, result, row, 1);
	take_text(number.number, sizeof number.number, result, row, 2);
	take_text(number.ob_number, sizeof number.ob_number, result, row, 3);
	taker->on_number(taker->arg, &number);
}

static void take_link(const PGresult *result, int row, const struct cases_command_taker *taker)
{
	const struct cases_known_link link = {
		.case_id = jk_db_get_id(result, row, 0),
		.other_id = jk_db_get_id(result, row, 1),
		.relation = (enum cases_relation_kind)jk_db_get_int(result, row, 2),
	};
	taker->on_link(taker->arg, &link);
}

int64_t cases_command_take(
	const struct cases_wanted *wanted, const struct jk_db_outcome *outcome, const struct cases_command_taker *taker)
{
	static void (*const takes[])(const PGresult *result, int row, const struct cases_command_taker *taker) = {
		[DONE] = take_done,
		[CASES] = take_case,
		[NEWEST] = take_newest,
		[TASKS] = take_task,
		[NUMBERS] = take_number,
		[LINKS] = take_link,
	};

	for (size_t what = 0; what < sizeof takes / sizeof *takes; what++) {
		const PGresult *result = wanted->step_of[what] < 0 ? NULL : outcome->results[wanted->step_of[what]];
		for (int row = 0; result && row < PQntuples(result); row++)
			takes[what](result, row, taker);
	}
	return jk_db_get_time_us(outcome->results[0], 0, 4);
}

/* ---- what is stored ------------------------------------------------------------------------------------------------------ */

static void reset(struct jk_db_array *columns, const unsigned *oids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		jk_db_array_reset(&columns[i], oids[i]);
}
#define RESET(columns, ...) reset(columns, (const unsigned[]){__VA_ARGS__}, sizeof(columns) / sizeof *(columns))

void cases_deeds_reset(struct cases_deeds *deeds)
{
	RESET(deeds->moved, JK_OID_UUID, JK_OID_INT4, JK_OID_INT4, JK_OID_INT4, JK_OID_INT2, CASES_OID_TIMESTAMPTZ, JK_OID_TEXT,
		JK_OID_TEXT, JK_OID_TEXT, JK_OID_TEXT, JK_OID_INT2, JK_OID_INT4, JK_OID_INT4, JK_OID_UUID, CASES_OID_TIMESTAMPTZ,
		CASES_OID_TIMESTAMPTZ, CASES_OID_TIMESTAMPTZ, CASES_OID_TIMESTAMPTZ, CASES_OID_TIMESTAMPTZ, JK_OID_BOOL,
		JK_OID_BOOL);
	RESET(deeds->lines, JK_OID_UUID, JK_OID_UUID, JK_OID_INT4, CASES_OID_TIMESTAMPTZ, JK_OID_INT2, JK_OID_INT8, JK_OID_TEXT,
		JK_OID_TEXT, JK_OID_TEXT, JK_OID_INT4, JK_OID_BOOL, JK_OID_UUID, JK_OID_BYTEA, JK_OID_INT4, JK_OID_INT2,
		JK_OID_UUID, JK_OID_TEXT, JK_OID_BYTEA);
	RESET(deeds->tasks, JK_OID_UUID, JK_OID_UUID, JK_OID_TEXT, JK_OID_TEXT, JK_OID_TEXT, CASES_OID_TIMESTAMPTZ, JK_OID_BOOL,
		JK_OID_INT2, CASES_OID_TIMESTAMPTZ, JK_OID_BOOL);
	RESET(deeds->task_ends, JK_OID_UUID, JK_OID_INT2, CASES_OID_TIMESTAMPTZ);
	RESET(deeds->numbers, JK_OID_UUID, JK_OID_TEXT, JK_OID_TEXT, JK_OID_TEXT, CASES_OID_TIMESTAMPTZ);
	RESET(deeds->links, JK_OID_UUID, JK_OID_UUID, JK_OID_INT2, CASES_OID_TIMESTAMPTZ);
}

static void done(struct jk_db_array *columns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		jk_db_array_done(&columns[i]);
}

void cases_deeds_done(struct cases_deeds *deeds)
{
	done(deeds->moved, CASES_MOVED_COLUMNS);
	done(deeds->lines, CASES_LINE_COLUMNS);
	done(deeds->tasks, CASES_TASK_COLUMNS);
	done(deeds->task_ends, CASES_TASK_END_COLUMNS);
	done(deeds->numbers, CASES_NUMBER_COLUMNS);
	done(deeds->links, CASES_LINK_COLUMNS);
}

static void add_id(struct jk_db_array *column, const struct jk_id *id)
{
	if (jk_id_is_zero(id))
		jk_db_array_add(column, NULL, 0);
	else
		jk_db_array_add_id(column, id);
}

void cases_deeds_move(struct cases_deeds *deeds, const struct cases_case *row, int32_t loaded)
{
	struct jk_db_array *column = deeds->moved;
	const struct cases_life *life = &row->life;

	jk_db_array_add_id(column++, &row->case_id);
	jk_db_array_add_int(column++, loaded);
	jk_db_array_add_int(column++, row->version);
	jk_db_array_add_int(column++, row->entries);
	jk_db_array_add_int(column++, row->state);
	cases_row_add_time(column++, row->updated_at_us);
	jk_db_array_add_text(column++, life->assigned_agency);
	jk_db_array_add_text(column++, life->assigned_desk);
	jk_db_array_add_text(column++, life->referred_agency);
	jk_db_array_add_text(column++, life->referred_service);
	jk_db_array_add_int(column++, life->disposition);
	jk_db_array_add_int(column++, life->blocking);
	jk_db_array_add_int(column++, life->took_in);
	add_id(column++, &life->merged_into);
	cases_row_add_time(column++, life->triaged_at_us);
	cases_row_add_time(column++, life->assigned_at_us);
	cases_row_add_time(column++, life->started_at_us);
	cases_row_add_time(column++, row->steps.resolved_at_us);
	cases_row_add_time(column++, life->closed_at_us);
	jk_db_array_add_int(column++, life->assigned_hidden);
	jk_db_array_add_int(column++, life->referred_hidden);
}

void cases_deeds_enter(struct cases_deeds *deeds, const struct cases_line *line)
{
	struct jk_db_array *column = deeds->lines;
	const struct cases_entry *entry = &line->entry;

	jk_db_array_add_id(column++, &entry->case_id);
	jk_db_array_add_id(column++, &entry->event_id);
	jk_db_array_add_int(column++, entry->entry_no);
	cases_row_add_time(column++, entry->at_us);
	jk_db_array_add_int(column++, entry->kind);
	jk_db_array_add_int(column++, entry->revision);
	jk_db_array_add_text(column++, entry->agency);
	jk_db_array_add_text(column++, entry->actor_agency);
	jk_db_array_add_text(column++, entry->actor_desk);
	jk_db_array_add_int(column++, line->key_id);
	jk_db_array_add_int(column++, entry->hidden);
	jk_db_array_add(column++, line->command_id ? line->command_id->bytes : NULL, line->command_id ? 16 : 0);
	jk_db_array_add(column++, line->digest, line->digest ? JK_SHA256_BYTES : 0);
	jk_db_array_add_int(column++, line->version);
	jk_db_array_add_int(column++, line->state);
	add_id(column++, &line->thing_id);
	jk_db_array_add_text(column++, line->number);
	jk_db_array_add(column++, entry->detail, (int)entry->detail_size);
}

void cases_deeds_add_task(struct cases_deeds *deeds, const struct cases_task *task)
{
	struct jk_db_array *column = deeds->tasks;

	jk_db_array_add_id(column++, &task->task_id);
	jk_db_array_add_id(column++, &task->case_id);
	jk_db_array_add_text(column++, task->title);
	jk_db_array_add_text(column++, task->agency);
	jk_db_array_add_text(column++, task->desk);
	cases_row_add_time(column++, task->due_us);
	jk_db_array_add_int(column++, task->blocking);
	jk_db_array_add_int(column++, CASES_TASK_OPEN);
	cases_row_add_time(column++, task->made_at_us);
	jk_db_array_add_int(column++, task->hidden);
}

void cases_deeds_end_task(struct cases_deeds *deeds, const struct cases_task *task)
{
	jk_db_array_add_id(&deeds->task_ends[0], &task->task_id);
	jk_db_array_add_int(&deeds->task_ends[1], task->state);
	cases_row_add_time(&deeds->task_ends[2], task->ended_at_us);
}

void cases_deeds_number(struct cases_deeds *deeds, const struct cases_known_number *number, int64_t at_us)
{
	jk_db_array_add_id(&deeds->numbers[0], &number->case_id);
	jk_db_array_add_text(&deeds->numbers[1], number->agency);
	jk_db_array_add_text(&deeds->numbers[2], number->number);
	jk_db_array_add_text(&deeds->numbers[3], number->ob_number);
	cases_row_add_time(&deeds->numbers[4], at_us);
}

void cases_deeds_link(struct cases_deeds *deeds, const struct cases_known_link *link, int64_t at_us)
{
	jk_db_array_add_id(&deeds->links[0], &link->case_id);
	jk_db_array_add_id(&deeds->links[1], &link->other_id);
	jk_db_array_add_int(&deeds->links[2], link->relation);
	cases_row_add_time(&deeds->links[3], at_us);
}

static struct jk_db_step *put(const struct jk_db_statement *statement, struct jk_db_array *columns, int count,
	struct jk_db_step *steps, size_t *step_count)
{
	struct jk_db_step *step = &steps[*step_count];

	if (columns->count == 0)
		return NULL;
	++*step_count;
	*step = (struct jk_db_step){.statement = statement};
	for (int i = 0; i < count; i++)
		jk_db_bind_array(step, i, &columns[i]);
	return step;
}

size_t cases_command_store(struct cases_deeds *deeds, struct jk_db_step *steps)
{
	size_t count = 1;
	struct jk_db_step *step;

	steps[0] = (struct jk_db_step){.statement = &begin};
	step = put(&move_cases, deeds->moved, CASES_MOVED_COLUMNS, steps, &count);
	if (!step)
		return 0;
	jk_db_bind_int8(step, CASES_MOVED_COLUMNS, &deeds->moved_count, deeds->moved[0].count);
	(void)put(&add_lines, deeds->lines, CASES_LINE_COLUMNS, steps, &count);
	(void)put(&add_tasks, deeds->tasks, CASES_TASK_COLUMNS, steps, &count);
	step = put(&end_tasks, deeds->task_ends, CASES_TASK_END_COLUMNS, steps, &count);
	if (step)
		jk_db_bind_int8(step, CASES_TASK_END_COLUMNS, &deeds->task_end_count, deeds->task_ends[0].count);
	(void)put(&put_numbers, deeds->numbers, CASES_NUMBER_COLUMNS, steps, &count);
	(void)put(&add_links, deeds->links, CASES_LINK_COLUMNS, steps, &count);
	return count;
}
