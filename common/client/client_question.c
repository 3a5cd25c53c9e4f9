#include "client/client_question.h"

#include "base/jk_time.h"
#include "jukwaa/v1/session.pb-c.h"

enum { LATER_MS = 500, AGAIN_MS = 2000 };

static int fail_question(const struct client_link *link, int status, char ret_reason[256])
{
	const struct jukwaa_error *error = &link->error;

	(void)jk_text_format(ret_reason, 256, "%s%s%s%s%s", error->code, *error->code ? " " : "", error->field,
		*error->field ? ": " : "", error->reason);
	return status;
}

/* JUKWAA_OK with *ret_done, or not yet; else what went wrong. */
static int take_answer(struct client_link *link, const struct client_question *question, const struct jk_dealer_message *message,
	struct jk_buffer *json, bool *ret_done, int64_t *ret_again_ms)
{
	const Jukwaa__V1__Refused *refused;
	const ProtobufCMessage *answer;

	if (message->kind == JUKWAA__V1__KIND__KIND_REFUSED) {
		refused = (const void *)client_link_read(link, &jukwaa__v1__refused__descriptor, message);
		if (!refused || refused->request != CLIENT_QUESTION)
			return JUKWAA_OK;
		*ret_again_ms = jk_time_mono_ms() + LATER_MS;
		return client_link_is_later((int)refused->code)
			       ? JUKWAA_OK
			       : client_link_fail(link, JUKWAA_E_REFUSED, jk_words_name(&jk_codes, (int)refused->code),
					 refused->field, refused->reason);
	}
	if (message->kind != question->answer_kind)
		return JUKWAA_OK;
	answer = client_link_read(link, question->answer_type, message);
	if (answer) {
		question->write(link, answer, json);
		*ret_done = true;
	}
	return JUKWAA_OK;
}

static int ask(struct client_link *link, const struct client_question *question, int timeout_ms, struct jk_buffer *json)
{
	int64_t deadline = client_deadline(timeout_ms), again_ms = 0;
	struct jk_dealer_message message;
	bool done = false;
	int status = JUKWAA_OK;

	while (!done && status == JUKWAA_OK) {
		int wait = client_left_ms(deadline);

		if (link->state == CLIENT_OPEN && jk_time_mono_ms() >= again_ms) {
			*question->session = link->session;
			(void)!client_link_send(link, question->kind, question->message);
			again_ms = jk_time_mono_ms() + AGAIN_MS;
		}
		switch (client_link_poll(link, wait > LATER_MS ? LATER_MS : wait, &message)) {
		case CLIENT_TROUBLE:
			status = link->error.status;
			break;
		case CLIENT_OPENED:
			again_ms = 0;
			break;
		case CLIENT_MESSAGE:
			status = take_answer(link, question, &message, json, &done, &again_ms);
			jk_dealer_release(&message);
			break;
		case CLIENT_NOTHING:
			if (client_left_ms(deadline) == 0)
				status = client_link_timeout(link);
			break;
		}
	}
	return status;
}

int client_question_ask(const struct jukwaa_connection *connection, const struct client_question *question, int timeout_ms,
	char **ret_json, char ret_reason[256])
{
	struct client_link link;
	struct jk_buffer json = {0};
	int status = client_link_open(&link, connection, 0, ret_reason);

	*ret_json = NULL;
	if (status != JUKWAA_OK)
		return status;
	status = ask(&link, question, timeout_ms, &json);
	if (status == JUKWAA_OK && json.failed)
		status = client_link_fail(&link, JUKWAA_E_USAGE, "", NULL, "no memory");
	if (status == JUKWAA_OK) {
		*ret_json = json.data;
		json = (struct jk_buffer){0};
	} else {
		(void)fail_question(&link, status, ret_reason);
	}
	jk_buffer_done(&json);
	client_link_close(&link);
	return status;
}
