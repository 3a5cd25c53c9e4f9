#include "command/command.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_text.h"
#include "base/jk_time.h"
#include "jukwaa/v1/command.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "wire/wire_body.h"

enum {
	WAITING_MAX = 4096,
	SESSION_MAX = 64,
	BODY_MAX_BYTES = 64 * 1024,
	ARENA_BYTES = 8 * 1024, /* and so many times a command's size, for what it unpacks into */
	ARENA_TIMES = 32,
	PATIENCE_MS = 5000,
	RACES_MAX = 3,
	PASSES_MAX = 20, /* through load and store, before they go one by one, or the sender of one is told to come again */
	LOG_EVERY_MS = 10000,
};

/* DECIDED: the next turn stores, for a job cannot be started from within another one's end. */
enum stage { IDLE, LOADING, DECIDED, STORING };

struct jk_commands {
	struct jk_command_service service;
	struct jk_sessions *sessions;
	struct jk_db *db;
	struct jk_command *head, **tail;
	size_t waiting; /* in the queue */
	struct jk_command *batch[JK_COMMANDS_BATCH_MAX];
	size_t batch_count;
	enum stage stage;
	unsigned passes;
	size_t singly; /* so many are to be taken one by one: among them is one that the database does not take */
	bool alone;    /* the batch is one of those */
};

static void free_command(struct jk_command *command)
{
	jk_arena_free(&command->arena);
	free(command);
}

enum jk_status jk_commands_open(const struct jk_command_service *service, struct jk_sessions *sessions, struct jk_db *db,
	struct jk_commands **ret_commands)
{
	struct jk_commands *commands = calloc(1, sizeof *commands);

	if (commands == NULL)
		return JK_BROKEN;
	commands->service = *service;
	commands->sessions = sessions;
	commands->db = db;
	commands->tail = &commands->head;
	*ret_commands = commands;
	return JK_OK;
}

void jk_commands_close(struct jk_commands **commands_p)
{
	struct jk_commands *commands = *commands_p;

	if (commands == NULL)
		return;
	*commands_p = NULL;
	for (size_t i = 0; i < commands->batch_count; i++)
		free_command(commands->batch[i]);
	while (commands->head != NULL) {
		struct jk_command *command = commands->head;

		commands->head = command->next;
		free_command(command);
	}
	free(commands);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static void answer(struct jk_commands *commands, struct jk_command *command)
{
	Jukwaa__V1__CommandDone done = JUKWAA__V1__COMMAND_DONE__INIT;
	struct jk_session *session = jk_session_find(commands->sessions, command->session);

	/* Who is gone comes again with the same command_id. */
	if (session == NULL)
		return;
	if (command->refusal.code != JK_CODE_NONE) {
		jk_session_refuse(commands->sessions, session, command->request, &command->refusal);
		return;
	}
	done.session = command->session;
	done.request = command->request;
	done.thing_id =
		(ProtobufCBinaryData){.data = command->answer.thing_id.bytes, .len = sizeof command->answer.thing_id.bytes};
	done.version = command->answer.version;
	done.state = command->answer.state;
	done.number = command->answer.number;
	done.repeated = command->answer.repeated;
	if (jk_session_send(commands->sessions, session, JUKWAA__V1__KIND__KIND_COMMAND_DONE, &done.base) != JK_OK)
		jk_log_limited(LOG_EVERY_MS, JK_LOG_WARN, "answer_not_sent", "what=command");
}

static void answer_batch(struct jk_commands *commands)
{
	size_t count = commands->batch_count;

	commands->batch_count = 0;
	commands->stage = IDLE;
	commands->passes = 0;
	for (size_t i = 0; i < count; i++) {
		answer(commands, commands->batch[i]);
		free_command(commands->batch[i]);
	}
}

static void refuse_later(struct jk_command *command, const char *reason)
{
	(void)jk_refuse(&command->refusal, JK_CODE_UNAVAILABLE, NULL, "%s; send it again, under the same command_id", reason);
}

static void refuse_batch(struct jk_commands *commands, const char *reason)
{
	for (size_t i = 0; i < commands->batch_count; i++)
		refuse_later(commands->batch[i], reason);
	answer_batch(commands);
}

/* ---- one batch -------------------------------------------------------------------------------------------------- */

/* What the database says of data: another command of the batch is none the worse for it. */
static bool is_about_data(const struct jk_db_outcome *outcome)
{
	return outcome->status == JK_BROKEN &&
	       (strncmp(outcome->sqlstate, "22", 2) == 0 || strncmp(outcome->sqlstate, "23", 2) == 0);
}

/* A row that another process has committed since it was loaded: the same command, sent there before a link was lost; or the same
 * number. Loaded anew, it is known. */
static bool is_a_race(const struct jk_db_outcome *outcome)
{
	return strcmp(outcome->sqlstate, "23505") == 0 || strcmp(outcome->sqlstate, "23P01") == 0;
}

/* It was decided upon a report that is not the newest any more, and the service may be far behind in reading the feed. */
static bool is_stale(const struct jk_db_outcome *outcome)
{
	return strcmp(outcome->sqlstate, JK_DB_STALE) == 0;
}

/* Passes do not help: what stands in the way may be between two commands of this very batch, or one's alone. */
static bool is_stuck(const struct jk_commands *commands, const struct jk_db_outcome *outcome)
{
	return commands->passes >= PASSES_MAX && strncmp(outcome->sqlstate, "40", 2) == 0;
}

static void put_back(struct jk_commands *commands)
{
	commands->passes = 0;
	commands->singly = commands->batch_count;
	while (commands->batch_count > 0) {
		struct jk_command *command = commands->batch[--commands->batch_count];

		command->next = commands->head;
		if (commands->head == NULL)
			commands->tail = &command->next;
		commands->head = command;
		commands->waiting++;
	}
}

static void refuse_data(struct jk_commands *commands, const struct jk_db_outcome *outcome)
{
	(void)jk_refuse(&commands->batch[0]->refusal, JK_CODE_RULE_VIOLATION, NULL, "the database does not take it (%s)",
		outcome->sqlstate);
	answer_batch(commands);
}

static void on_failed(struct jk_commands *commands, const struct jk_db_outcome *outcome)
{
	bool worth_it = outcome->status == JK_RETRY || (is_a_race(outcome) && commands->passes < RACES_MAX);
	bool tried = commands->alone && is_stale(outcome); /* with its batch */
	bool again = worth_it && !tried && ++commands->passes < PASSES_MAX && jk_db_is_up(commands->db);

	jk_log_limited(LOG_EVERY_MS, outcome->status == JK_RETRY ? JK_LOG_WARN : JK_LOG_ERROR, "commands_not_done",
		"commands=%zu sqlstate=%s why=%s", commands->batch_count, outcome->sqlstate,
		outcome->message ? outcome->message : "");
	commands->stage = IDLE;
	if (again)
		return; /* the next turn starts it anew */
	if ((is_about_data(outcome) || is_stuck(commands, outcome)) && commands->batch_count > 1)
		put_back(commands);
	else if (is_about_data(outcome))
		refuse_data(commands, outcome);
	else
		refuse_batch(commands,
			is_stale(outcome) ? "a newer report of the incident is not read yet" : "the database did not take it");
}

static void on_stored(void *arg, const struct jk_db_outcome *outcome)
{
	struct jk_commands *commands = arg;

	if (outcome->status != JK_OK) {
		on_failed(commands, outcome);
		return;
	}
	if (commands->service.on_stored)
		commands->service.on_stored(commands->service.service, outcome);
	answer_batch(commands);
}

static void decide(struct jk_commands *commands, const struct jk_db_outcome *outcome)
{
	const struct jk_registry *registry = jk_sessions_registry(commands->sessions);

	if (registry == NULL) {
		refuse_batch(commands, "the registry is not loaded yet");
		return;
	}
	commands->service.on_loaded(commands->service.service, outcome, registry, commands->batch, commands->batch_count);
	commands->stage = DECIDED;
}

static void on_loaded(void *arg, const struct jk_db_outcome *outcome)
{
	struct jk_commands *commands = arg;

	if (outcome->status != JK_OK)
		on_failed(commands, outcome);
	else
		decide(commands, outcome);
}

static void start_store(struct jk_commands *commands)
{
	struct jk_db_step steps[JK_COMMANDS_STEPS_MAX];
	size_t count = commands->service.store(commands->service.service, steps);

	commands->stage = STORING;
	if (count == 0) {
		if (commands->service.on_stored)
			commands->service.on_stored(commands->service.service, NULL);
		answer_batch(commands);
	} else if (jk_db_start(commands->db, steps, count, on_stored, commands) != JK_OK) {
		refuse_batch(commands, "the database is away");
	}
}

static void start_load(struct jk_commands *commands)
{
	struct jk_db_step steps[JK_COMMANDS_STEPS_MAX];
	size_t count;

	for (size_t i = 0; i < commands->batch_count; i++) {
		commands->batch[i]->refusal = (struct jk_refusal){0};
		commands->batch[i]->answer = (struct jk_command_answer){0};
		commands->batch[i]->mind = NULL;
	}
	count = commands->service.load(commands->service.service, commands->batch, commands->batch_count, steps);
	if (count == 0) {
		decide(commands, NULL);
		return;
	}
	commands->stage = LOADING;
	if (jk_db_start(commands->db, steps, count, on_loaded, commands) != JK_OK)
		refuse_batch(commands, "the database is away");
}

static void take_batch(struct jk_commands *commands)
{
	size_t most = commands->singly > 0 ? 1 : JK_COMMANDS_BATCH_MAX;

	commands->alone = commands->singly > 0;
	commands->singly -= commands->alone;
	while (commands->head != NULL && commands->batch_count < most) {
		struct jk_command *command = commands->head;

		commands->head = command->next;
		if (commands->head == NULL)
			commands->tail = &commands->head;
		commands->waiting--;
		commands->batch[commands->batch_count++] = command;
	}
}

void jk_commands_turn(struct jk_commands *commands)
{
	if (!jk_db_is_idle(commands->db))
		return;
	if (commands->stage == DECIDED) {
		start_store(commands);
		return;
	}
	if (commands->stage != IDLE)
		return;
	if (commands->batch_count == 0)
		take_batch(commands);
	if (commands->batch_count > 0)
		start_load(commands);
}

/* ---- what waits ------------------------------------------------------------------------------------------------- */

static size_t count_of_session(const struct jk_commands *commands, uint64_t session)
{
	size_t count = 0;

	for (const struct jk_command *command = commands->head; command != NULL; command = command->next)
		count += command->session == session;
	for (size_t i = 0; i < commands->batch_count; i++)
		count += commands->batch[i]->session == session;
	return count;
}

static bool take_id(const ProtobufCMessage *message, struct jk_id *ret_id)
{
	const ProtobufCBinaryData *bytes = jk_body_member(message, "command_id");

	if (bytes == NULL || bytes->len != sizeof ret_id->bytes)
		return false;
	memcpy(ret_id->bytes, bytes->data, sizeof ret_id->bytes);
	return !jk_id_is_zero(ret_id);
}

static bool digest_command(struct jk_command *command)
{
	uint8_t who[8];
	struct jk_span pieces[2] = {{.data = who, .size = sizeof who}};

	jk_put_be32(who, (uint32_t)command->agency_id);
	jk_put_be32(who + 4, (uint32_t)command->desk_id);
	pieces[1].data = jk_body_pack(command->message, command->arena, &pieces[1].size);
	if (pieces[1].data == NULL)
		return false;
	jk_sha256(command->digest, pieces, 2);
	return true;
}

/* NULL: refused. */
static struct jk_command *make_command(const struct jk_request *request, struct jk_refusal *ret_refusal)
{
	struct jk_command *command = calloc(1, sizeof *command);
	ProtobufCMessage *message;
	uint64_t *session, *number;

	if (command == NULL || (command->arena = jk_arena_new(ARENA_BYTES + ARENA_TIMES * request->body_size)) == NULL) {
		free(command);
		(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL, "no memory; send it again");
		return NULL;
	}
	message = jk_body_unpack(request->message->descriptor, jk_arena_copy(command->arena, request->body, request->body_size),
		request->body_size, command->arena, ret_refusal);
	if (message == NULL) {
		free_command(command);
		return NULL;
	}
	command->message = message;
	command->session = request->session->number;
	command->key_id = request->key->key_id;
	command->agency_id = request->key->agency->agency_id;
	command->desk_id = request->key->desk ? request->key->desk->desk_id : -1;
	memcpy(command->curve_key, request->key->curve_key, sizeof command->curve_key);
	command->since_ms = jk_time_mono_ms();
	session = jk_body_member(message, "session");
	number = jk_body_member(message, "request");
	command->request = *number;
	*session = *number = 0;
	if (!take_id(message, &command->command_id))
		(void)jk_refuse(
			ret_refusal, JK_CODE_RULE_VIOLATION, "command_id", "16 bytes of the sender's making, not all zero");
	else if (!digest_command(command))
		(void)jk_refuse(ret_refusal, JK_CODE_OVERSIZE, NULL, "the command is too large");
	else
		return command;
	free_command(command);
	return NULL;
}

void jk_commands_put(struct jk_commands *commands, const struct jk_request *request)
{
	const uint64_t *number = jk_body_member(request->message, "request");
	struct jk_refusal refusal = {0};
	struct jk_command *command = NULL;

	if (request->body_size > BODY_MAX_BYTES)
		(void)jk_refuse(&refusal, JK_CODE_OVERSIZE, NULL, "a command has at most %d bytes", BODY_MAX_BYTES);
	else if (!jk_db_is_up(commands->db) || jk_db_is_stuck(commands->db))
		(void)jk_refuse(&refusal, JK_CODE_UNAVAILABLE, NULL, "the database does not answer; send it again");
	else if (commands->waiting >= WAITING_MAX || count_of_session(commands, request->session->number) >= SESSION_MAX)
		(void)jk_refuse(&refusal, JK_CODE_UNAVAILABLE, NULL, "too many commands wait; send it again");
	else
		command = make_command(request, &refusal);
	if (command == NULL) {
		jk_session_refuse(commands->sessions, request->session, *number, &refusal);
		return;
	}
	*commands->tail = command;
	commands->tail = &command->next;
	commands->waiting++;
}

/* The oldest stand first. What a batch holds stays until its job has ended. */
void jk_commands_on_timer(struct jk_commands *commands)
{
	int64_t since_ms = jk_time_mono_ms() - PATIENCE_MS;

	jk_db_on_timer(commands->db);
	while (commands->head != NULL && commands->head->since_ms < since_ms) {
		struct jk_command *command = commands->head;

		commands->head = command->next;
		if (commands->head == NULL)
			commands->tail = &commands->head;
		commands->waiting--;
		commands->singly -= commands->singly > 0; /* those that were put back stand first */
		refuse_later(command, "it has waited too long");
		answer(commands, command);
		free_command(command);
	}
	if ((commands->stage == IDLE || commands->stage == DECIDED) && commands->batch_count > 0 && !jk_db_is_up(commands->db))
		refuse_batch(commands, "the database is away");
}

size_t jk_commands_count(const struct jk_commands *commands)
{
	return commands->waiting + commands->batch_count;
}
