/* command.h: commands that change something (duty, units, aid, cases), committed together: what comes while a commit is under way
 * makes up the next batch. Each is answered once: CommandDone (command.proto) after COMMIT, or Refused. The service decides; this
 * part queues, runs the two jobs of a batch (load, store), repeats what the database asks to repeat, takes the commands of a
 * batch that it does not take one by one, and answers. Works on a connection of its own, never blocks, one thread. Not here: SQL,
 * what a command means. */
#pragma once

#include "base/jk_id.h"
#include "base/jk_refusal.h"
#include "crypt/crypt.h"
#include "db/db.h"
#include "session/session.h"

enum { JK_COMMANDS_BATCH_MAX = 256, JK_COMMANDS_STEPS_MAX = 12, JK_COMMAND_STATE_BYTES = 24, JK_COMMAND_NUMBER_BYTES = 65 };

/* What is answered when it is done. */
struct jk_command_answer {
	struct jk_id thing_id;
	uint32_t version;
	char state[JK_COMMAND_STATE_BYTES];
	char number[JK_COMMAND_NUMBER_BYTES];
	bool repeated; /* had been done before: by its command_id */
};

/* One command that waits. The service reads the first part and fills the second while it decides. */
struct jk_command {
	struct jk_id command_id;            /* of its sender's making */
	uint8_t digest[JK_SHA256_BYTES];    /* over agency, desk and content: the same id with another digest is to be refused */
	int32_t key_id, agency_id, desk_id; /* who sends it; desk_id -1: none */
	uint8_t curve_key[32];
	uint64_t session, request;
	int64_t since_ms;
	const ProtobufCMessage *message; /* checked and unpacked, the command's own memory; session and request are 0 */

	struct jk_refusal refusal; /* .code not NONE: refused, and it changes nothing */
	struct jk_command_answer answer;
	void *mind; /* the service's, for one pass; NULL before load */
	struct jk_command *next;
	struct jk_arena *arena; /* of the message */
};

/* The service's part. A batch goes load -> on_loaded -> store -> on_stored; when the database asks to repeat (another process
 * changed a row in between: 40001; a newer report has come: JK_DB_STALE), it starts again with load, with the refusals and
 * answers cleared. Where that does not help, or the database refuses data, each of its commands goes the same way alone, in their
 * order. What steps point to must stay until the next callback. */
struct jk_command_service {
	void *service;
	/* Fills at most JK_COMMANDS_STEPS_MAX steps that read what the commands need to know (by command_id too: was it done
	 * before?). 0: nothing to read, on_loaded is called with NULL. */
	size_t (*load)(void *service, struct jk_command *const *commands, size_t count, struct jk_db_step *steps);
	/* Decides all of them, in this order, each upon what those before it changed. registry: the newest snapshot. */
	void (*on_loaded)(void *service, const struct jk_db_outcome *outcome, const struct jk_registry *registry,
		struct jk_command *const *commands, size_t count);
	/* Fills the steps of the storing transaction, feed.append last; 0: nothing changes, all is answered at once. */
	size_t (*store)(void *service, struct jk_db_step *steps);
	/* Committed; the answers go out after it. May be NULL. outcome NULL: there was nothing to store. */
	void (*on_stored)(void *service, const struct jk_db_outcome *outcome);
};

struct jk_commands;

/* All borrowed; db is used for this alone (the caller gives it to its loop). JK_BROKEN: out of memory. */
enum jk_status jk_commands_open(const struct jk_command_service *service, struct jk_sessions *sessions, struct jk_db *db,
	struct jk_commands **ret_commands) JK_MUST_CHECK;
/* What waits is not answered: its senders repeat it. */
void jk_commands_close(struct jk_commands **commands_p);

/* Takes a command from a handler. Its message has the fields session, request and command_id, by these names. Refuses by itself:
 * a command_id that is not 16 bytes, not all of them zero (RULE_VIOLATION); more than 64 KiB (OVERSIZE); too many wait, of this
 * session 64, in all 4,096, or the database is away (UNAVAILABLE). */
void jk_commands_put(struct jk_commands *commands, const struct jk_request *request);
/* At the end of each turn of the loop: starts the next job when the connection is free. */
void jk_commands_turn(struct jk_commands *commands);
/* At least every 250 ms: serves the connection's timer; what has waited for more than 5 s is answered UNAVAILABLE (it may be done
 * all the same: its sender repeats it, under its id). */
void jk_commands_on_timer(struct jk_commands *commands);
/* How many wait for their answer. */
size_t jk_commands_count(const struct jk_commands *commands);
