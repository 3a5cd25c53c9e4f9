/* jukwaa_call: commands and questions of desks by their message's name, as JSON. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_id.h"
#include "client/client_question.h"
#include "jukwaa/v1/command.pb-c.h"
#include "jukwaa/v1/duty.pb-c.h"
#include "jukwaa/v1/find.pb-c.h"
#include "jukwaa/v1/life.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "jukwaa/v1/unit.pb-c.h"
#include "wire/wire_body.h"
#include "json/json_map.h"

enum { ARENA_BYTES = 4 * 1024 * 1024 };

/* What may be called: a row for each message. Commands are answered with CommandDone. */
struct call {
	const ProtobufCMessageDescriptor *type;
	uint16_t kind, answer_kind;
	const ProtobufCMessageDescriptor *answer_type;
};
#define COMMAND(type, KIND)                                                                                                      \
	{                                                                                                                        \
		&jukwaa__v1__##type##__descriptor, JUKWAA__V1__KIND__KIND_##KIND, JUKWAA__V1__KIND__KIND_COMMAND_DONE,           \
			&jukwaa__v1__command_done__descriptor                                                                    \
	}
#define QUESTION(type, KIND, answer, ANSWER)                                                                                     \
	{                                                                                                                        \
		&jukwaa__v1__##type##__descriptor, JUKWAA__V1__KIND__KIND_##KIND, JUKWAA__V1__KIND__KIND_##ANSWER,               \
			&jukwaa__v1__##answer##__descriptor                                                                      \
	}
static const struct call calls[] = {
	COMMAND(offer_command, OFFER_COMMAND),
	QUESTION(offer_list, OFFER_LIST, offer_listed, OFFER_LISTED),
	COMMAND(incident_mark, INCIDENT_MARK),
	QUESTION(case_list, CASE_LIST, case_listed, CASE_LISTED),
	QUESTION(case_export, CASE_EXPORT, case_exported, CASE_EXPORTED),
	QUESTION(case_figures, CASE_FIGURES, case_figures_told, CASE_FIGURES_TOLD),
	QUESTION(case_similar, CASE_SIMILAR, case_similar_found, CASE_SIMILAR_FOUND),
	COMMAND(unit_command, UNIT_COMMAND),
	QUESTION(unit_list, UNIT_LIST, unit_listed, UNIT_LISTED),
	QUESTION(unit_recommend, UNIT_RECOMMEND, unit_recommended, UNIT_RECOMMENDED),
	COMMAND(aid_command, AID_COMMAND),
	QUESTION(aid_list, AID_LIST, aid_listed, AID_LISTED),
	COMMAND(case_command, CASE_COMMAND),
	QUESTION(case_states, CASE_STATES, case_states_told, CASE_STATES_TOLD),
	{NULL, 0, 0, NULL},
};

static const struct call *find_call(const char *name)
{
	for (const struct call *call = calls; call->type; call++)
		if (strcmp(call->type->short_name, name) == 0)
			return call;
	return NULL;
}

/* A command that its sender gave no id gets one, which stays the same while this call repeats it. */
static bool number_command(ProtobufCMessage *message, struct jk_arena *arena)
{
	ProtobufCBinaryData *command_id = jk_body_member(message, "command_id");
	struct jk_id *id;

	*(uint64_t *)jk_body_member(message, "request") = CLIENT_QUESTION;
	if (!command_id || command_id->len > 0)
		return true;
	id = jk_arena_alloc(arena, sizeof *id);
	if (!id)
		return false;
	*id = jk_id_new();
	*command_id = (ProtobufCBinaryData){.data = id->bytes, .len = sizeof id->bytes};
	return true;
}

static void write_answer(struct client_link *link, const ProtobufCMessage *answer, struct jk_buffer *json)
{
	(void)link;
	jk_json_write(answer, json);
}

int jukwaa_call(const struct jukwaa_connection *connection, const char *name, const char *json, int timeout_ms, char **ret_json,
	char ret_reason[256])
{
	const struct call *call = find_call(name);
	struct jk_arena *arena = call ? jk_arena_new(ARENA_BYTES) : NULL;
	ProtobufCMessage *message = NULL;
	struct jk_refusal refusal;
	int status = JUKWAA_E_USAGE;

	*ret_json = NULL;
	ret_reason[0] = '\0';
	if (!call)
		(void)jk_text_format(ret_reason, 256, "there is no such command or question: %s", name);
	else if (!arena)
		(void)jk_text_copy(ret_reason, 256, "no memory");
	else if (!(message = jk_json_read(call->type, json, strlen(json), arena, &refusal)))
		(void)jk_text_format(ret_reason, 256, "%s: %s", refusal.field, refusal.reason);
	else if (!number_command(message, arena))
		(void)jk_text_copy(ret_reason, 256, "no memory");
	if (message && !ret_reason[0]) {
		const struct client_question question = {call->kind, call->answer_kind, message,
			jk_body_member(message, "session"), call->answer_type, write_answer};

		status = client_question_ask(connection, &question, timeout_ms, ret_json, ret_reason);
	}
	jk_arena_free(&arena);
	return status;
}
