#include "dispatch_opened.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "command/command.h"
#include "daemon/metrics.h"
#include "dispatch_opened_pg.h"
#include "dispatch_opened_wire.h"

enum { ARENA_BYTES = 4 * 1024 * 1024, FORGET_EVERY_MS = 60000, LOG_EVERY_MS = 10000 };

struct dispatch_opened {
	struct jk_db *db;
	struct jk_commands *commands;
	void (*woken)(void *arg);
	void *arg;
	struct jk_arena *arena; /* labels of one event; a mail */
	struct dispatch_opened_store store;
	struct dispatch_opened_row marks[JK_COMMANDS_BATCH_MAX]; /* what this batch writes */
	size_t mark_count, mail_count;
	int64_t forget_at_ms;
	struct jk_metric *opened, *mails;
};

/* What the newest events of an incident come to for one desk. */
struct verdict {
	struct dispatch_opened_event event; /* of a county where it is allowed */
	const struct jk_agency *owner;
	bool allowed, hides; /* hides: the owner is not to know who it is */
};

/* ---- load ------------------------------------------------------------------------------------------------------- */

static size_t load(void *service, struct jk_command *const *commands, size_t count, struct jk_db_step *steps)
{
	struct dispatch_opened *opened = service;
	struct jk_id incident_id;

	dispatch_opened_want_reset(&opened->store);
	for (size_t i = 0; i < count; i++)
		if (dispatch_opened_wire_incident(commands[i]->message, &incident_id))
			dispatch_opened_want_add(&opened->store, &incident_id, &commands[i]->command_id);
	dispatch_opened_load_steps(&opened->store, steps);
	return DISPATCH_OPENED_LOADS;
}

/* ---- decide ----------------------------------------------------------------------------------------------------- */

/* As for a copy of the newest event, in each county that has the incident. */
static struct verdict decide_view(struct dispatch_opened *opened, const PGresult *events, const struct jk_registry *registry,
	const struct jk_registry_key *key, const struct jk_id *incident_id)
{
	struct verdict verdict = {.allowed = false};

	for (int row = 0; row < PQntuples(events); row++) {
		struct dispatch_opened_event event;
		struct jk_event_label read;
		struct jk_decision decision;
		const struct jk_agency *owner;

		dispatch_opened_read_event(events, row, &event);
		if (!jk_id_equal(&event.incident_id, incident_id))
			continue;
		jk_arena_reset(opened->arena);
		if (!dispatch_opened_wire_label(event.body, opened->arena, &read)) {
			jk_log_limited(LOG_EVERY_MS, JK_LOG_ERROR, "event_unreadable", "stream=%s", event.stream);
			continue;
		}
		owner = jk_registry_find_agency(registry, read.agency_code);
		(void)jk_text_copy(read.label.county, sizeof read.label.county, event.stream);
		read.label.recorded_at_us = event.recorded_at_us;
		jk_registry_label_owner(&read.label, owner);
		decision = jk_registry_decide(registry, key, JK_USE_VIEW, &read.label, jk_time_now_us());
		if (decision.effect == JK_DENY)
			continue;
		verdict.event = event;
		verdict.owner = owner;
		verdict.allowed = true;
		verdict.hides = verdict.hides || (decision.term != NULL && decision.term->hides_recipient);
	}
	return verdict;
}

/* That the same was done before, by this command or another one of the desk, in the database or earlier in the batch; or that the
 * command's id was used for something else. True: answered. */
static bool answer_again(struct jk_command *command, const struct jk_id *incident_id, const struct dispatch_opened_row *row)
{
	bool same_command = jk_id_equal(&row->command_id, &command->command_id);

	if (same_command && memcmp(row->digest, command->digest, sizeof row->digest) != 0)
		(void)jk_refuse(&command->refusal, JK_CODE_RULE_VIOLATION, "command_id", "this id was used for another command");
	else if (same_command || (row->desk_id == command->desk_id && jk_id_equal(&row->incident_id, incident_id)))
		command->answer.repeated = true;
	else
		return false;
	return true;
}

/* A command_id that was used for something else goes before that the incident was opened by another one. */
static bool was_done(
	const struct dispatch_opened *opened, const PGresult *rows, struct jk_command *command, const struct jk_id *incident_id)
{
	bool done = false;

	for (int i = 0; i < PQntuples(rows); i++) {
		struct dispatch_opened_row row;

		dispatch_opened_read_row(rows, i, &row);
		done = answer_again(command, incident_id, &row) || done;
	}
	for (size_t i = 0; i < opened->mark_count; i++)
		done = answer_again(command, incident_id, &opened->marks[i]) || done;
	return done;
}

/* The owner's own desks need not tell their owner. False: no memory. */
static bool add_mail(struct dispatch_opened *opened, const struct verdict *verdict, const struct jk_registry_key *key,
	const struct dispatch_opened_row *mark)
{
	const struct dispatch_opened_event *event = &verdict->event;
	const struct dispatch_opened_mail mail = {.desk = verdict->hides ? "" : key->desk->code,
		.agency = verdict->hides ? "" : key->agency->code,
		.at_us = mark->at_us};
	struct jk_span body;

	if (verdict->owner->agency_id == key->agency->agency_id)
		return true;
	jk_arena_reset(opened->arena);
	if (!dispatch_opened_wire_mail(&mail, opened->arena, &body))
		return false;
	jk_append_add_mail(&opened->store.mails, &(struct jk_append_mail){.agency = verdict->owner->code,
							 .incident_id = mark->incident_id,
							 .kind = JK_EVENT_OPENED,
							 .revision = event->revision,
							 .tlp = event->tlp,
							 .category = event->category,
							 .body = body});
	opened->mail_count++;
	return true;
}

static void decide(struct dispatch_opened *opened, const struct jk_db_outcome *outcome, const struct jk_registry *registry,
	struct jk_command *command)
{
	const struct jk_registry_key *key = jk_registry_find_key(registry, command->curve_key);
	struct dispatch_opened_row *mark = &opened->marks[opened->mark_count];
	struct verdict verdict;
	struct jk_id incident_id;

	if (!dispatch_opened_wire_incident(command->message, &incident_id)) {
		(void)jk_refuse(
			&command->refusal, JK_CODE_RULE_VIOLATION, "incident_id", "an id is 16 bytes, not all of them zero");
		return;
	}
	command->answer = (struct jk_command_answer){.thing_id = incident_id, .state = "OPENED"};
	if (key == NULL || key->desk == NULL || key->desk->desk_id != command->desk_id) {
		(void)jk_refuse(&command->refusal, JK_CODE_NOT_PERMITTED, NULL, "only a desk opens incidents");
		return;
	}
	/* What it may see is asked before what it did: a desk that may not see it any more learns nothing. */
	verdict = decide_view(opened, outcome->results[0], registry, key, &incident_id);
	if (!verdict.allowed) {
		(void)jk_refuse(&command->refusal, JK_CODE_NOT_FOUND, "incident_id", "there is no such incident for this key");
		return;
	}
	if (was_done(opened, outcome->results[1], command, &incident_id))
		return;
	*mark = (struct dispatch_opened_row){.incident_id = incident_id,
		.command_id = command->command_id,
		.desk_id = command->desk_id,
		.at_us = jk_time_now_us()};
	memcpy(mark->digest, command->digest, sizeof mark->digest);
	if (!add_mail(opened, &verdict, key, mark)) {
		(void)jk_refuse(&command->refusal, JK_CODE_UNAVAILABLE, NULL, "no memory; send it again");
		return;
	}
	dispatch_opened_save_add(&opened->store, mark);
	opened->mark_count++;
}

static void on_loaded(void *service, const struct jk_db_outcome *outcome, const struct jk_registry *registry,
	struct jk_command *const *commands, size_t count)
{
	struct dispatch_opened *opened = service;

	opened->mark_count = opened->mail_count = 0;
	dispatch_opened_save_reset(&opened->store);
	for (size_t i = 0; i < count; i++)
		decide(opened, outcome, registry, commands[i]);
}

/* ---- store ------------------------------------------------------------------------------------------------------ */

static size_t store(void *service, struct jk_db_step *steps)
{
	struct dispatch_opened *opened = service;

	return dispatch_opened_save_steps(&opened->store, steps);
}

static void on_stored(void *service, const struct jk_db_outcome *outcome)
{
	struct dispatch_opened *opened = service;

	if (outcome == NULL)
		return;
	jk_metric_add(opened->opened, opened->mark_count);
	jk_metric_add(opened->mails, opened->mail_count);
	if (opened->mail_count > 0)
		opened->woken(opened->arg);
}

/* ---- removing by age -------------------------------------------------------------------------------------------- */

static void on_forgotten(void *arg, const struct jk_db_outcome *outcome)
{
	(void)arg;
	if (outcome->status == JK_BROKEN)
		jk_log_limited(LOG_EVERY_MS, JK_LOG_ERROR, "opened_not_removed", "sqlstate=%s why=%s", outcome->sqlstate,
			outcome->message ? outcome->message : "");
}

/* Between commands: they take the connection when it is idle again. */
static void forget_old(struct dispatch_opened *opened)
{
	struct jk_db_step step;

	if (jk_time_mono_ms() < opened->forget_at_ms || jk_commands_count(opened->commands) > 0)
		return;
	dispatch_opened_forget_step(&opened->store, &step);
	if (jk_db_start(opened->db, &step, 1, on_forgotten, opened) == JK_OK)
		opened->forget_at_ms = jk_time_mono_ms() + FORGET_EVERY_MS;
}

/* ---- the part --------------------------------------------------------------------------------------------------- */

void dispatch_opened_mark(struct dispatch_opened *opened, const struct jk_request *request)
{
	jk_commands_put(opened->commands, request);
}

void dispatch_opened_on_timer(struct dispatch_opened *opened)
{
	jk_commands_on_timer(opened->commands);
	forget_old(opened);
}

void dispatch_opened_turn(struct dispatch_opened *opened)
{
	jk_commands_turn(opened->commands);
}

enum jk_status dispatch_opened_open(const char *conninfo, struct jk_loop *loop, struct jk_sessions *sessions,
	void (*woken)(void *arg), void *arg, struct dispatch_opened **ret_opened)
{
	struct dispatch_opened *opened = calloc(1, sizeof *opened);
	const struct jk_command_service service = {
		.service = opened, .load = load, .on_loaded = on_loaded, .store = store, .on_stored = on_stored};

	if (opened == NULL)
		return JK_BROKEN;
	opened->woken = woken;
	opened->arg = arg;
	opened->arena = jk_arena_new(ARENA_BYTES);
	if (opened->arena == NULL || jk_db_open(conninfo, "jukwaa-dispatch-opened", &opened->db) != JK_OK ||
		jk_commands_open(&service, sessions, opened->db, &opened->commands) != JK_OK ||
		jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, opened->db) != JK_OK) {
		dispatch_opened_close(&opened);
		return JK_BROKEN;
	}
	opened->opened = jk_metric_counter("jukwaa_dispatch_opened_total", "", "Incidents that a person at a desk has opened.");
	opened->mails = jk_metric_counter("jukwaa_dispatch_opened_mails_total", "", "OPENED mails appended to mailboxes.");
	*ret_opened = opened;
	return JK_OK;
}

void dispatch_opened_close(struct dispatch_opened **opened_p)
{
	struct dispatch_opened *opened = *opened_p;

	if (opened == NULL)
		return;
	*opened_p = NULL;
	jk_db_close(&opened->db); /* first: no job may end any more */
	jk_commands_close(&opened->commands);
	jk_arena_free(&opened->arena);
	dispatch_opened_store_done(&opened->store);
	free(opened);
}
