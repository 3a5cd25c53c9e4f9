/* cases_command_wire.h: protobuf <-> commands of cases (proto/jukwaa/v1/life.proto, work.proto), and what is written of them:
 * details of lines, bodies of events and mails. Not here: decisions. */
#pragma once

#include "base/jk_arena.h"
#include "base/jk_refusal.h"
#include "cases_life_rules.h"
#include "crypt/crypt.h"
#include "session/session.h"

/* False: refused for its form alone, which says nothing about any case. ret borrows from the message. */
bool cases_command_read(const ProtobufCMessage *message, struct cases_command *ret, struct jk_refusal *ret_refusal);
void cases_command_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request));
uint64_t cases_command_request(const struct jk_request *request);

/* A command that was done to a case. */
struct cases_deed {
	const struct cases_command *command;
	const struct cases_actor *actor;
	const struct cases_case *row; /* as it is after it */
	const struct cases_case *other;
	enum cases_state from;
	struct jk_id thing_id; /* zero: none */
	int64_t at_us;
};
/* Arena memory; data NULL: it is full. What its line says: a packed CaseEntry. */
struct jk_span cases_command_write_detail(const struct cases_deed *deed, struct jk_arena *arena);
/* The line of the other case. */
struct jk_span cases_command_write_other(const struct cases_deed *deed, struct jk_arena *arena);
/* Group WORK of its event, and the body of its mail. */
struct jk_span cases_command_write_work(const struct cases_deed *deed, struct jk_arena *arena);
struct jk_span cases_command_write_acted(
	const char *step, const char *agency, const char *desk, int64_t at_us, struct jk_arena *arena);

void cases_states_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request));
/* Sends the table. JK_BROKEN: out of memory, or it could not be sent. */
enum jk_status cases_states_send(struct jk_sessions *sessions, const struct jk_request *request) JK_MUST_CHECK;
