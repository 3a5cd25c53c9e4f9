/* client_question.h: one question or command, one answer: a connection made for it, repeated while the service says "later" or
 * nothing, its answer as JSON. */
#pragma once

#include "base/jk_text.h"
#include "client/client_link.h"

/* What `request` of the message must be. */
enum { CLIENT_QUESTION = 1 };

/* The session is filled in when there is one. */
struct client_question {
	uint16_t kind, answer_kind;
	ProtobufCMessage *message;
	uint64_t *session;
	const ProtobufCMessageDescriptor *answer_type;
	void (*write)(struct client_link *link, const ProtobufCMessage *answer, struct jk_buffer *json);
};

/* JUKWAA_OK with malloc'd JSON in *ret_json; else NULL there, and ret_reason says why ("CODE field: reason" for a refusal). */
int client_question_ask(const struct jukwaa_connection *connection, const struct client_question *question, int timeout_ms,
	char **ret_json, char ret_reason[256]);
