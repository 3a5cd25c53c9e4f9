#include "cases_command.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_crash.h"
#include "base/jk_log.h"
#include "cases_command_batch.h"
#include "daemon/metrics.h"

/* The largest event and what it is made of. */
enum { ARENA_BYTES = 16 * 1024 * 1024, LOG_EVERY_MS = 10000 };

struct cases_commands {
	struct jk_sessions *sessions;
	struct jk_commands *queue;
	struct cases_wanted wanted;
	struct cases_command_batch batch;
	struct jk_metric *done, *repeated, *refused, *silent;
};

struct cases_seat *cases_batch_seat(struct cases_command_batch *batch, const struct jk_id *case_id)
{
	for (size_t i = 0; i < batch->seat_count; i++)
		if (jk_id_equal(&batch->seats[i].row.case_id, case_id))
			return &batch->seats[i];
	return NULL;
}

/* ---- load ---------------------------------------------------------------------------------------------------------------- */

/* bodies: its newest event is wanted too. */
static void want_case(struct cases_commands *commands, const struct jk_id *case_id, bool body)
{
	struct cases_command_batch *batch = &commands->batch;
	struct cases_seat *seat = cases_batch_seat(batch, case_id);

	if (!seat) {
		seat = &batch->seats[batch->seat_count++];
		*seat = (struct cases_seat){.row = {.case_id = *case_id}};
		jk_db_array_add_id(&commands->wanted.cases, case_id);
	}
	if (body && !seat->has_newest) {
		seat->has_newest = true; /* asked for: once */
		jk_db_array_add_id(&commands->wanted.bodies, case_id);
	}
}

static void want(struct cases_commands *commands, const struct jk_command *queued, const struct cases_command *command,
	const struct jk_registry *registry)
{
	struct cases_wanted *wanted = &commands->wanted;
	const struct jk_registry_key *key = registry ? jk_registry_find_key(registry, queued->curve_key) : NULL;

	jk_db_array_add_id(&wanted->commands, &queued->command_id);
	want_case(commands, &command->case_id, cases_life_moves(command->action));
	if (cases_life_wants_other(command->action))
		want_case(commands, &command->other_id, false);
	if (command->action == CASES_TASK_DONE || command->action == CASES_TASK_CANCEL)
		jk_db_array_add_id(&wanted->tasks, &command->task_id);
	if (command->action == CASES_NUMBER && key) {
		jk_db_array_add_text(&wanted->number_agencies, key->agency->code);
		jk_db_array_add_text(&wanted->numbers, command->number);
		jk_db_array_add_id(&wanted->number_cases, &command->case_id);
	}
	if (command->action == CASES_LINK) {
		jk_db_array_add_id(&wanted->link_cases, &command->case_id);
		jk_db_array_add_id(&wanted->link_others, &command->other_id);
	}
}

static size_t load(void *arg, struct jk_command *const *queued, size_t count, struct jk_db_step *steps)
{
	struct cases_commands *commands = arg;
	struct cases_command_batch *batch = &commands->batch;
	const struct jk_registry *registry = jk_sessions_registry(commands->sessions);
	struct jk_refusal refusal;

	batch->queued = queued;
	batch->count = count;
	batch->seat_count = batch->done_count = batch->task_count = batch->number_count = batch->link_count = 0;
	cases_wanted_reset(&commands->wanted);
	for (size_t i = 0; i < count; i++) {
		/* It was well-formed when it came. */
		if (cases_command_read(queued[i]->message, &batch->commands[i], &refusal))
			want(commands, queued[i], &batch->commands[i], registry);
	}
	return cases_command_load(&commands->wanted, steps);
}

static void on_done(void *arg, const struct cases_done_command *done)
{
	struct cases_command_batch *batch = arg;
	if (batch->done_count < JK_COMMANDS_BATCH_MAX)
		batch->done[batch->done_count++] = *done;
}

static void on_case(void *arg, const struct cases_case *row)
{
	struct cases_command_batch *batch = arg;
	struct cases_seat *seat = cases_batch_seat(batch, &row->case_id);
	if (!seat && batch->seat_count < CASES_SEATS_MAX) {
		seat = &batch->seats[batch->seat_count++];
		*seat = (struct cases_seat){0};
	}
	if (seat) {
		seat->row = *row;
		seat->loaded = row->version;
	}
}

static void on_newest(void *arg, const struct cases_newest *newest)
{
	struct cases_seat *seat = cases_batch_seat(arg, &newest->case_id);
	if (seat) {
		seat->newest = *newest;
		seat->has_newest = true;
	}
}

static void on_task(void *arg, const struct cases_task *task)
{
	struct cases_command_batch *batch = arg;
	for (size_t i = 0; i < batch->task_count; i++)
		if (jk_id_equal(&batch->tasks[i].task_id, &task->task_id))
			return;
	if (batch->task_count < JK_COMMANDS_BATCH_MAX) {
		batch->task_ended[batch->task_count] = false;
		batch->tasks[batch->task_count++] = *task;
	}
}

static void on_number(void *arg, const struct cases_known_number *number)
{
	struct cases_command_batch *batch = arg;
	for (size_t i = 0; i < batch->number_count; i++)
		if (jk_id_equal(&batch->numbers[i].case_id, &number->case_id) &&
			strcmp(batch->numbers[i].agency, number->agency) == 0)
			return;
	if (batch->number_count < CASES_NUMBERS_MAX) {
		batch->numbered[batch->number_count] = false;
		batch->numbers[batch->number_count++] = *number;
	}
}

static void on_link(void *arg, const struct cases_known_link *link)
{
	struct cases_command_batch *batch = arg;
	if (batch->link_count < CASES_LINKS_MAX)
		batch->links[batch->link_count++] = *link;
}

static void on_loaded(void *arg, const struct jk_db_outcome *outcome, const struct jk_registry *registry,
	struct jk_command *const *queued, size_t count)
{
	struct cases_commands *commands = arg;
	struct cases_command_batch *batch = &commands->batch;
	const struct cases_command_taker taker = {
		.arg = batch,
		.on_done = on_done,
		.on_case = on_case,
		.on_newest = on_newest,
		.on_task = on_task,
		.on_number = on_number,
		.on_link = on_link,
	};

	batch->queued = queued;
	batch->count = count;
	for (size_t i = 0; i < batch->seat_count; i++)
		batch->seats[i].has_newest = false;
	batch->now_us = cases_command_take(&commands->wanted, outcome, &taker);
	cases_command_decide(batch, registry);
}

/* ---- store --------------------------------------------------------------------------------------------------------------- */

static int compare_seats(const void *a, const void *b)
{
	const struct cases_seat *const *left = a, *const *right = b;
	return memcmp((*left)->row.case_id.bytes, (*right)->row.case_id.bytes, sizeof(*left)->row.case_id.bytes);
}

static void move_all(struct cases_command_batch *batch)
{
	const struct cases_seat *moved[CASES_SEATS_MAX] = {NULL};
	size_t count = 0;

	for (size_t i = 0; i < batch->seat_count; i++)
		if (batch->seats[i].row.version != batch->seats[i].loaded)
			moved[count++] = &batch->seats[i];
	qsort(moved, count, sizeof *moved, compare_seats);
	for (size_t i = 0; i < count; i++)
		cases_deeds_move(&batch->deeds, &moved[i]->row, moved[i]->loaded);
}

static size_t store(void *arg, struct jk_db_step *steps)
{
	struct cases_commands *commands = arg;
	struct cases_command_batch *batch = &commands->batch;

	move_all(batch);
	for (size_t i = 0; i < batch->task_count; i++)
		if (batch->task_ended[i])
			cases_deeds_end_task(&batch->deeds, &batch->tasks[i]);
	for (size_t i = 0; i < batch->number_count; i++)
		if (batch->numbered[i])
			cases_deeds_number(&batch->deeds, &batch->numbers[i], batch->now_us);
	size_t count = cases_command_store(&batch->deeds, steps);
	return count + (count > 0 && jk_append_step(&batch->append, &steps[count]));
}

static void on_stored(void *arg, const struct jk_db_outcome *outcome)
{
	struct cases_commands *commands = arg;
	struct cases_command_batch *batch = &commands->batch;

	if (outcome)
		JK_CRASH_POINT("cases_command_before_answer", NULL);
	jk_metric_add(commands->done, batch->done_anew);
	jk_metric_add(commands->repeated, batch->repeated);
	jk_metric_add(commands->refused, batch->refused);
	jk_metric_add(commands->silent, batch->silent);
	if (batch->silent > 0)
		jk_log_limited(LOG_EVERY_MS, JK_LOG_WARN, "command_without_event",
			"commands=%zu why=the newest report of the incident is not kept any more, or is of version 0.1.0",
			batch->silent);
}

/* ---- the room itself ------------------------------------------------------------------------------------------------------ */

void cases_commands_put(struct cases_commands *commands, const struct jk_request *request)
{
	struct cases_command command;
	struct jk_refusal refusal;

	if (cases_command_read(request->message, &command, &refusal)) {
		jk_commands_put(commands->queue, request);
		return;
	}
	jk_metric_add(commands->refused, 1);
	jk_session_refuse(commands->sessions, request->session, cases_command_request(request), &refusal);
}

enum jk_status cases_commands_open(struct jk_sessions *sessions, struct jk_db *db, struct cases_commands **ret_commands)
{
	struct cases_commands *commands = calloc(1, sizeof *commands);
	const struct jk_command_service service = {
		.service = commands, .load = load, .on_loaded = on_loaded, .store = store, .on_stored = on_stored};
	static const char name[] = "jukwaa_cases_commands_total", help[] = "Commands of desks, by what came of them.";

	if (!commands)
		return JK_BROKEN;
	commands->sessions = sessions;
	commands->done = jk_metric_counter(name, "result=\"done\"", help);
	commands->repeated = jk_metric_counter(name, "result=\"repeated\"", help);
	commands->refused = jk_metric_counter(name, "result=\"refused\"", help);
	commands->silent = jk_metric_counter("jukwaa_cases_commands_without_event_total", "",
		"Commands done whose incident's newest report is not kept any more.");
	commands->batch.arena = jk_arena_new(ARENA_BYTES);
	if (!commands->batch.arena || jk_commands_open(&service, sessions, db, &commands->queue) != JK_OK) {
		cases_commands_close(&commands);
		return JK_BROKEN;
	}
	*ret_commands = commands;
	return JK_OK;
}

void cases_commands_close(struct cases_commands **commands_p)
{
	struct cases_commands *commands = *commands_p;

	if (!commands)
		return;
	*commands_p = NULL;
	jk_commands_close(&commands->queue);
	cases_wanted_done(&commands->wanted);
	cases_deeds_done(&commands->batch.deeds);
	jk_append_done(&commands->batch.append);
	jk_arena_free(&commands->batch.arena);
	free(commands);
}

void cases_commands_run(struct cases_commands *commands)
{
	jk_commands_turn(commands->queue);
}

void cases_commands_on_timer(struct cases_commands *commands)
{
	jk_commands_on_timer(commands->queue);
}

size_t cases_commands_count(const struct cases_commands *commands)
{
	return jk_commands_count(commands->queue);
}
