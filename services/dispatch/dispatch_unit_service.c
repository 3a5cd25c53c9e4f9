/* dispatch_unit_service.c: opening and closing, and the two jobs of a batch of commands. See dispatch_unit_internal.h. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_time.h"
#include "dispatch_unit_internal.h"

enum {
	/* Bodies of incidents, 8 MiB and one more of 2 at the most, each with what was done added some times over. */
	BATCH_ARENA_BYTES = 48 * 1024 * 1024,
};

struct dispatch_units {
	struct dispatch_units_around around;
	struct jk_db *db, *ask_db;
	struct jk_commands *commands;
	struct dispatch_unit_asks_queue *asks;
	struct dispatch_unit_store *store;
	struct dispatch_unit_batch batch;
	bool appends;
	struct jk_metric *done, *refused;
};

/* ---- a batch ---- */

static void want(struct dispatch_units *units, const struct jk_command *command)
{
	struct jk_refusal refusal;
	struct dispatch_unit_order order;
	struct dispatch_aid_order aid;

	dispatch_unit_store_want_deed(units->store, command->agency_id, &command->command_id);
	if (dispatch_unit_wire_is_unit(command->message)) {
		if (!dispatch_unit_wire_read(command->message, &order, &refusal))
			return;
		dispatch_unit_store_want_unit(units->store, command->agency_id, &order.unit_id, order.code);
		if (order.action == DISPATCH_ORDER_ASSIGN)
			dispatch_unit_store_want_incident(units->store, &order.incident_id);
	} else if (dispatch_unit_wire_read_aid(command->message, &aid, &refusal)) {
		if (aid.event == DISPATCH_AID_ASK)
			dispatch_unit_store_want_incident(units->store, &aid.incident_id);
		else
			dispatch_unit_store_want_aid(units->store, &aid.aid_id);
	}
}

static size_t load(void *service, struct jk_command *const *commands, size_t count, struct jk_db_step *steps)
{
	struct dispatch_units *units = service;

	dispatch_unit_store_begin(units->store);
	for (size_t i = 0; i < count; i++)
		want(units, commands[i]);
	return dispatch_unit_store_load(units->store, steps);
}

/* The command was done before, in this batch too: its first answer, or a refusal where it is another one. */
static bool is_done(const struct dispatch_unit_batch *batch, struct jk_command *command)
{
	const struct dispatch_deed *deed = batch->deeds;

	while (deed != NULL && (deed->agency_id != command->agency_id || !jk_id_equal(&deed->command_id, &command->command_id)))
		deed = deed->next;
	if (deed == NULL)
		return false;
	if (memcmp(deed->digest, command->digest, sizeof deed->digest) != 0) {
		(void)jk_refuse(
			&command->refusal, JK_CODE_RULE_VIOLATION, "command_id", "this id was given to another command before");
		return true;
	}
	command->answer.thing_id = deed->thing_id;
	command->answer.version = (uint32_t)deed->version;
	(void)jk_text_copy(command->answer.state, sizeof command->answer.state, deed->state);
	command->answer.repeated = true;
	return true;
}

/* The key may have ended since the command came. */
static const struct jk_registry_key *key_of(const struct jk_registry *registry, struct jk_command *command)
{
	const struct jk_registry_key *key = jk_registry_find_key(registry, command->curve_key);

	if (key != NULL && key->desk != NULL && jk_registry_key_standing(key, jk_time_now_us()) == JK_STANDING_GOOD)
		return key;
	(void)jk_refuse(&command->refusal, JK_CODE_NOT_PERMITTED, NULL, "this is for desks");
	return NULL;
}

static void decide_one(struct dispatch_units *units, const struct jk_registry *registry, struct jk_command *command)
{
	const struct dispatch_unit_turn turn = {
		.batch = &units->batch, .registry = registry, .key = key_of(registry, command), .command = command};
	struct dispatch_unit_order order;
	struct dispatch_aid_order aid;

	if (turn.key == NULL || is_done(&units->batch, command))
		return;
	command->mind = jk_arena_alloc(units->batch.arena, sizeof(struct dispatch_deed));
	if (command->mind == NULL)
		(void)jk_refuse(&command->refusal, JK_CODE_UNAVAILABLE, NULL, "too much at once; send it again");
	else if (!dispatch_unit_wire_is_unit(command->message)) {
		if (dispatch_unit_wire_read_aid(command->message, &aid, &command->refusal))
			dispatch_aid_decide(&turn, &aid);
	} else if (dispatch_unit_wire_read(command->message, &order, &command->refusal)) {
		dispatch_unit_decide(&turn, &order);
	}
}

static void begin_batch(struct dispatch_unit_batch *batch)
{
	jk_arena_reset(batch->arena);
	jk_append_reset(&batch->append);
	batch->at_us = 0;
	batch->incidents = NULL;
	batch->units = NULL;
	batch->assignments = NULL;
	batch->aids = NULL;
	batch->deeds = NULL;
	batch->acted = NULL;
}

static void on_loaded(void *service, const struct jk_db_outcome *outcome, const struct jk_registry *registry,
	struct jk_command *const *commands, size_t count)
{
	struct dispatch_units *units = service;
	bool read;

	begin_batch(&units->batch);
	read = dispatch_unit_store_loaded(outcome, &units->batch);
	for (size_t i = 0; i < count; i++) {
		if (read)
			decide_one(units, registry, commands[i]);
		else
			(void)jk_refuse(&commands[i]->refusal, JK_CODE_UNAVAILABLE, NULL, "too much at once; send it again");
		jk_metric_add(units->refused, commands[i]->refusal.code != JK_CODE_NONE);
		jk_metric_add(units->done, commands[i]->refusal.code == JK_CODE_NONE);
	}
	dispatch_unit_post(&units->batch);
}

static size_t store(void *service, struct jk_db_step *steps)
{
	struct dispatch_units *units = service;
	size_t count = dispatch_unit_store_save(units->store, &units->batch, steps);

	units->appends = jk_append_step(&units->batch.append, &steps[count]);
	return count + units->appends;
}

static void on_stored(void *service, const struct jk_db_outcome *outcome)
{
	const struct dispatch_units *units = service;

	if (outcome != NULL && units->appends)
		units->around.on_appended(units->around.arg);
}

/* ---- the room ---- */

void dispatch_units_on_command(struct dispatch_units *units, const struct jk_request *request)
{
	jk_commands_put(units->commands, request);
}

void dispatch_units_on_question(struct dispatch_units *units, const struct jk_request *request)
{
	dispatch_unit_asks_put(units->asks, request);
}

void dispatch_units_turn(struct dispatch_units *units)
{
	jk_commands_turn(units->commands);
	dispatch_unit_asks_turn(units->asks);
}

void dispatch_units_tick(struct dispatch_units *units)
{
	jk_commands_on_timer(units->commands);
	dispatch_unit_asks_on_timer(units->asks);
}

bool dispatch_units_is_clear(const struct dispatch_units *units)
{
	return jk_commands_count(units->commands) == 0;
}

static enum jk_status open_parts(struct dispatch_units *units)
{
	const struct dispatch_units_around *around = &units->around;
	const struct jk_command_service service = {
		.service = units, .load = load, .on_loaded = on_loaded, .store = store, .on_stored = on_stored};

	units->store = dispatch_unit_store_new();
	units->batch.arena = jk_arena_new(BATCH_ARENA_BYTES);
	if (units->store == NULL || units->batch.arena == NULL)
		return JK_BROKEN;
	if (jk_db_open(around->conninfo, "jukwaa-dispatch-unit", &units->db) != JK_OK ||
		jk_db_open(around->conninfo, "jukwaa-dispatch-unit-ask", &units->ask_db) != JK_OK ||
		jk_loop_add_fd(around->loop, jk_db_fd, jk_db_events, jk_db_on_ready, units->db) != JK_OK ||
		jk_loop_add_fd(around->loop, jk_db_fd, jk_db_events, jk_db_on_ready, units->ask_db) != JK_OK)
		return JK_BROKEN;
	if (jk_commands_open(&service, around->sessions, units->db, &units->commands) != JK_OK)
		return JK_BROKEN;
	return dispatch_unit_asks_open(around->sessions, units->ask_db, &units->asks);
}

enum jk_status dispatch_units_open(const struct dispatch_units_around *around, struct dispatch_units **ret_units)
{
	struct dispatch_units *units = calloc(1, sizeof *units);

	*ret_units = NULL;
	if (units == NULL)
		return JK_BROKEN;
	units->around = *around;
	units->done =
		jk_metric_counter("jukwaa_dispatch_unit_commands_total", "verdict=\"done\"", "Commands about units and help.");
	units->refused =
		jk_metric_counter("jukwaa_dispatch_unit_commands_total", "verdict=\"refused\"", "Commands about units and help.");
	if (open_parts(units) != JK_OK) {
		dispatch_units_close(&units);
		return JK_BROKEN;
	}
	*ret_units = units;
	return JK_OK;
}

void dispatch_units_close(struct dispatch_units **units_p)
{
	struct dispatch_units *units = *units_p;

	if (units == NULL)
		return;
	/* The connections first: no job may end any more. */
	if (units->db != NULL)
		jk_db_close(&units->db);
	if (units->ask_db != NULL)
		jk_db_close(&units->ask_db);
	jk_commands_close(&units->commands);
	dispatch_unit_asks_close(&units->asks);
	dispatch_unit_store_free(&units->store);
	jk_arena_free(&units->batch.arena);
	jk_append_done(&units->batch.append);
	free(units);
	*units_p = NULL;
}
