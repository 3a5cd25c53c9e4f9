/* The subscriber: one subscription kept up over sessions that come and go. Deliveries are counted on across sessions, so that
 * an acknowledgement always names one delivery; `base` is where the session at hand began. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_time.h"
#include "client/client_event.h"
#include "client/client_link.h"
#include "client/client_positions.h"
#include "client/client_resume.h"
#include "evidence/evidence_witness.h"
#include "jukwaa/v1/session.pb-c.h"
#include "wire/wire_body.h"
#include "wire/wire_field.h"

enum { BATCH_MAX_BYTES = 32768, BATCH_DELIVERIES_FIELD = 2 };
enum { WINDOW_MAX = 256, WINDOW_DEFAULT = 64, RESUME_EVERY_MS = 200, AGAIN_MS = 2000, LATER_MS = 1000, COUNTIES_MAX = 64 };

/* A position that becomes acknowledged when everything up to delivery_no is. */
struct pending_position {
	uint64_t delivery_no;
	struct client_position position;
};

struct jukwaa_subscriber {
	struct client_link link;
	char **counties;
	size_t county_count;
	Jukwaa__V1__Category *categories;
	size_t category_count;
	int minimum_severity;
	bool all, neighbours, mailbox, include_test, write_json;
	char cursor[65], *resume_file, *heads_file;
	uint8_t witnessed_root[32]; /* added last */
	uint32_t window;
	enum jukwaa_start { FROM_NOW, FROM_BEGINNING, FROM_TOKEN, FROM_CURSOR, FROM_SNAPSHOT } start;
	bool include_closed;
	char agreement[33];

	uint64_t request;     /* of the Subscribe sent last */
	int64_t subscribe_ms; /* when to say it (again) */
	bool subscribed;
	uint64_t base, received, acked; /* delivery numbers as the caller counts */
	struct client_positions received_positions, acked_positions;
	struct pending_position *pending; /* a queue: first at pending_first */
	size_t pending_first, pending_count, pending_capacity;
	struct client_chains chains;
	struct jk_buffer json, token;
	struct jk_dealer_message held; /* under the event given last, and those of its batch that are still to be given */
	struct jk_fields batch;        /* what is left of it */
	bool resume_due;
	int64_t resume_ms;
};

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static int refuse_open(char ret_reason[256], const char *what, const char *which)
{
	(void)jk_text_format(ret_reason, 256, "%s%s", what, which);
	return JUKWAA_E_USAGE;
}

static int copy_filter(struct jukwaa_subscriber *s, const struct jukwaa_subscription *from, char ret_reason[256])
{
	s->counties = calloc(from->county_count + 1, sizeof *s->counties);
	s->categories = calloc(from->category_count + 1, sizeof *s->categories);
	if (!s->counties || !s->categories)
		return refuse_open(ret_reason, "no memory", "");
	if (from->county_count > COUNTIES_MAX)
		return refuse_open(ret_reason, "there are 47 counties, more were named", "");
	for (size_t i = 0; i < from->county_count; i++) {
		if (strspn(from->counties[i], "0123456789") != 3 || strlen(from->counties[i]) != 3)
			return refuse_open(ret_reason, "a county is three digits (\"047\"), not ", from->counties[i]);
		if (!(s->counties[i] = strdup(from->counties[i])))
			return refuse_open(ret_reason, "no memory", "");
		s->county_count++;
	}
	for (size_t i = 0; i < from->category_count; i++) {
		int category = jk_words_number(&jk_categories, from->categories[i]);

		if (category <= 0)
			return refuse_open(ret_reason, "no such category: ", from->categories[i]);
		s->categories[s->category_count++] = (Jukwaa__V1__Category)category;
	}
	if (from->minimum_severity && (s->minimum_severity = jk_words_number(&jk_severities, from->minimum_severity)) <= 0)
		return refuse_open(ret_reason, "no such severity: ", from->minimum_severity);
	s->all = from->all;
	s->neighbours = from->neighbours;
	s->mailbox = from->mailbox;
	s->include_test = from->include_test;
	if (!s->all && !s->mailbox && s->county_count == 0)
		return refuse_open(ret_reason, "nothing to subscribe to: name counties, all, or the mailbox", "");
	return JUKWAA_OK;
}

static int start_from_token(struct jukwaa_subscriber *s, const char *token, char ret_reason[256])
{
	if (!client_positions_parse(&s->received_positions, token) ||
		!client_positions_copy(&s->acked_positions, &s->received_positions))
		return refuse_open(ret_reason, "not a resume token: ", token);
	s->start = FROM_TOKEN;
	return JUKWAA_OK;
}

static int choose_backfill(struct jukwaa_subscriber *s, const struct jukwaa_subscription *from, char ret_reason[256])
{
	if (!*from->backfill || !jk_text_copy(s->agreement, sizeof s->agreement, from->backfill))
		return refuse_open(ret_reason, "not the code of an agreement: ", from->backfill);
	if (s->cursor[0] || s->mailbox || from->resume_file || (from->from && *from->from))
		return refuse_open(
			ret_reason, "a backfill has neither cursor, resume file nor mailbox, and starts at the beginning", "");
	s->start = FROM_BEGINNING;
	return JUKWAA_OK;
}

/* resume file, else `from`, else the cursor, else now. */
static int choose_start(struct jukwaa_subscriber *s, const struct jukwaa_subscription *from, char ret_reason[256])
{
	struct jk_refusal refusal = {0};

	if (from->cursor && (!*from->cursor || !jk_text_copy(s->cursor, sizeof s->cursor, from->cursor)))
		return refuse_open(ret_reason, "a cursor's name has 1 to 64 characters", "");
	s->start = s->cursor[0] ? FROM_CURSOR : FROM_NOW;
	if (from->heads_file && !(s->heads_file = strdup(from->heads_file)))
		return refuse_open(ret_reason, "no memory", "");
	if (from->backfill)
		return choose_backfill(s, from, ret_reason);
	if (from->resume_file) {
		if (!(s->resume_file = strdup(from->resume_file)))
			return refuse_open(ret_reason, "no memory", "");
		if (client_resume_read(s->resume_file, &s->token, &refusal) != JK_OK) {
			(void)jk_text_copy(ret_reason, 256, refusal.reason);
			return JUKWAA_E_STORAGE;
		}
		if (s->token.size > 0)
			return start_from_token(s, s->token.data, ret_reason);
	}
	s->include_closed = from->include_closed;
	if (!from->from || !*from->from)
		return JUKWAA_OK;
	if (strcmp(from->from, "now") == 0)
		s->start = FROM_NOW;
	else if (strcmp(from->from, "beginning") == 0)
		s->start = FROM_BEGINNING;
	else if (strcmp(from->from, "snapshot") == 0)
		s->start = FROM_SNAPSHOT;
	else
		return start_from_token(s, from->from, ret_reason);
	return JUKWAA_OK;
}

int jukwaa_subscriber_open(const struct jukwaa_connection *connection, const struct jukwaa_subscription *subscription,
	struct jukwaa_subscriber **ret_subscriber, char ret_reason[256])
{
	struct jukwaa_subscriber *s;
	int status;

	ret_reason[0] = '\0';
	if (subscription->window > WINDOW_MAX)
		return refuse_open(ret_reason, "a window is 1 to 256 deliveries", "");
	s = calloc(1, sizeof *s);
	if (!s)
		return refuse_open(ret_reason, "no memory", "");
	s->window = subscription->window ? subscription->window : WINDOW_DEFAULT;
	s->write_json = !subscription->skip_json;
	status = client_link_open(&s->link, connection, s->window, ret_reason);
	if (status == JUKWAA_OK)
		status = copy_filter(s, subscription, ret_reason);
	if (status == JUKWAA_OK)
		status = choose_start(s, subscription, ret_reason);
	if (status != JUKWAA_OK) {
		jukwaa_subscriber_close(&s);
		return status;
	}
	*ret_subscriber = s;
	return JUKWAA_OK;
}

const struct jukwaa_error *jukwaa_subscriber_error(const struct jukwaa_subscriber *subscriber)
{
	return &subscriber->link.error;
}

/* ---- positions -------------------------------------------------------------------------------------------------- */

const char *jukwaa_subscriber_token(struct jukwaa_subscriber *subscriber)
{
	if (subscriber->acked_positions.count == 0 || !client_positions_token(&subscriber->acked_positions, &subscriber->token))
		return NULL;
	return subscriber->token.data;
}

static int write_resume(struct jukwaa_subscriber *s)
{
	struct jk_refusal refusal = {0};
	const char *token = jukwaa_subscriber_token(s);

	s->resume_due = false;
	s->resume_ms = jk_time_mono_ms();
	if (token && client_resume_write(s->resume_file, token, &refusal) != JK_OK) {
		s->resume_due = true;
		return client_link_fail(&s->link, JUKWAA_E_STORAGE, "", refusal.field, refusal.reason);
	}
	return JUKWAA_OK;
}

static int keep_resume(struct jukwaa_subscriber *s, bool now)
{
	if (!s->resume_file || !s->resume_due || (!now && jk_time_mono_ms() - s->resume_ms < RESUME_EVERY_MS))
		return JUKWAA_OK;
	return write_resume(s);
}

void jukwaa_subscriber_close(struct jukwaa_subscriber **subscriber_p)
{
	struct jukwaa_subscriber *s = *subscriber_p;

	*subscriber_p = NULL;
	if (!s)
		return;
	(void)keep_resume(s, true);
	jk_dealer_release(&s->held);
	client_link_close(&s->link);
	for (size_t i = 0; i < s->county_count; i++)
		free(s->counties[i]);
	free(s->counties);
	free(s->categories);
	free(s->resume_file);
	free(s->heads_file);
	free(s->pending);
	client_positions_done(&s->received_positions);
	client_positions_done(&s->acked_positions);
	client_chains_done(&s->chains);
	jk_buffer_done(&s->json);
	jk_buffer_done(&s->token);
	free(s);
}

static bool queue_position(struct jukwaa_subscriber *s, uint64_t delivery_no, const struct client_position *position)
{
	if (s->pending_first > 0 && s->pending_first + s->pending_count == s->pending_capacity) {
		memmove(s->pending, s->pending + s->pending_first, s->pending_count * sizeof *s->pending);
		s->pending_first = 0;
	}
	if (s->pending_count == s->pending_capacity) {
		size_t capacity = s->pending_capacity ? s->pending_capacity * 2 : (size_t)s->window;
		struct pending_position *grown = realloc(s->pending, capacity * sizeof *grown);

		if (!grown)
			return false;
		s->pending = grown;
		s->pending_capacity = capacity;
	}
	s->pending[s->pending_first + s->pending_count++] = (struct pending_position){delivery_no, *position};
	return true;
}

/* Positions whose deliveries are all acknowledged become the token. */
static bool settle_positions(struct jukwaa_subscriber *s)
{
	bool good = true;

	while (s->pending_count > 0 && s->pending[s->pending_first].delivery_no <= s->acked) {
		good = client_positions_set(&s->acked_positions, &s->pending[s->pending_first].position) && good;
		s->pending_first++;
		s->pending_count--;
		s->resume_due = true;
	}
	if (s->pending_count == 0)
		s->pending_first = 0;
	return good;
}

static bool take_position(struct jukwaa_subscriber *s, uint64_t delivery_no, const Jukwaa__V1__SealedPosition *wire)
{
	struct client_position position;

	return client_position_read(wire, &position) && client_positions_set(&s->received_positions, &position) &&
	       queue_position(s, delivery_no, &position);
}

/* ---- talking ---------------------------------------------------------------------------------------------------- */

static void say_subscribe(struct jukwaa_subscriber *s)
{
	static const Jukwaa__V1__StartAt starts[] = {
		[FROM_NOW] = JUKWAA__V1__START_AT__START_AT_NOW,
		[FROM_BEGINNING] = JUKWAA__V1__START_AT__START_AT_BEGINNING,
		[FROM_TOKEN] = JUKWAA__V1__START_AT__START_AT_TOKEN,
		[FROM_CURSOR] = JUKWAA__V1__START_AT__START_AT_CURSOR,
		[FROM_SNAPSHOT] = JUKWAA__V1__START_AT__START_AT_SNAPSHOT,
	};
	Jukwaa__V1__Subscribe subscribe = JUKWAA__V1__SUBSCRIBE__INIT;
	struct client_wire_positions room = {0};

	subscribe.session = s->link.session;
	subscribe.request = ++s->request;
	subscribe.counties = s->counties;
	subscribe.n_counties = s->county_count;
	subscribe.all = s->all;
	subscribe.neighbours = s->neighbours;
	subscribe.mailbox = s->mailbox;
	subscribe.categories = s->categories;
	subscribe.n_categories = s->category_count;
	subscribe.minimum_severity = (Jukwaa__V1__Severity)s->minimum_severity;
	subscribe.include_test = s->include_test;
	subscribe.start_at = starts[s->start];
	subscribe.cursor = s->cursor;
	subscribe.window = s->window;
	subscribe.batch_max_bytes = BATCH_MAX_BYTES;
	subscribe.lagging = true;
	subscribe.recalled = true;
	subscribe.work = true;
	subscribe.include_closed = s->include_closed;
	subscribe.only_agreement = s->agreement;
	if (s->start == FROM_TOKEN && !client_positions_write(&s->received_positions, &room, &subscribe))
		(void)client_link_fail(&s->link, JUKWAA_E_USAGE, "", NULL, "no memory");
	else if (client_link_send(&s->link, JUKWAA__V1__KIND__KIND_SUBSCRIBE, &subscribe.base) == JK_OK)
		s->subscribe_ms = jk_time_mono_ms() + AGAIN_MS;
	client_wire_positions_done(&room);
}

/* A cursor moves to where its session starts: what the caller holds and has not acknowledged must come again, for with the
 * caller it would be lost. False: no memory. */
static bool go_back_to_acked(struct jukwaa_subscriber *s)
{
	s->pending_first = s->pending_count = 0;
	return client_positions_copy(&s->received_positions, &s->acked_positions);
}

static void begin_session(struct jukwaa_subscriber *s)
{
	s->subscribed = false;
	s->batch = (struct jk_fields){0};
	s->base = s->received;
	s->chains.in_snapshot = false;
	if (s->cursor[0] && !go_back_to_acked(s))
		(void)client_link_fail(&s->link, JUKWAA_E_USAGE, "", NULL, "no memory");
	/* From where we are, once we have been somewhere; before that, as the caller said. */
	if (s->received_positions.count > 0)
		s->start = FROM_TOKEN;
	say_subscribe(s);
}

static int on_subscribed(struct jukwaa_subscriber *s, const struct jk_dealer_message *message)
{
	const Jukwaa__V1__Subscribed *subscribed =
		(const void *)client_link_read(&s->link, &jukwaa__v1__subscribed__descriptor, message);

	if (!subscribed || subscribed->request != s->request || s->subscribed)
		return JUKWAA_OK;
	s->subscribed = true;
	for (size_t i = 0; i < subscribed->n_positions; i++)
		(void)take_position(s, s->received, subscribed->positions[i]);
	(void)settle_positions(s);
	return JUKWAA_OK;
}

static int on_refused(struct jukwaa_subscriber *s, const struct jk_dealer_message *message)
{
	const Jukwaa__V1__Refused *refused = (const void *)client_link_read(&s->link, &jukwaa__v1__refused__descriptor, message);

	if (!refused || refused->request != s->request || s->subscribed)
		return JUKWAA_OK;
	if (client_link_is_later((int)refused->code)) {
		s->subscribe_ms = jk_time_mono_ms() + client_backoff_ms(LATER_MS, LATER_MS, 0);
		return JUKWAA_OK;
	}
	s->link.state = CLIENT_OVER;
	return client_link_fail(
		&s->link, JUKWAA_E_REFUSED, jk_words_name(&jk_codes, (int)refused->code), refused->field, refused->reason);
}

/* A hole means that a delivery was lost on the way: the session is begun anew from the newest position received. */
static bool is_next(struct jukwaa_subscriber *s, uint64_t wire_no)
{
	if (wire_no == s->received - s->base + 1)
		return true;
	if (wire_no > s->received - s->base)
		client_link_restart(&s->link);
	return false;
}

/* Kept as it came: a head that the exchange has not signed is evidence too. */
static int keep_head(struct jukwaa_subscriber *s, const Jukwaa__V1__Beat *beat)
{
	struct jk_signed_head head = {.signed_at_us = beat->head_signed_at_us};
	struct jk_refusal refusal = {0};

	if (!s->heads_file || beat->head_root.len != sizeof head.root || beat->head_signature.len != sizeof head.signature ||
		beat->head_public_key.len != sizeof head.public_key ||
		memcmp(s->witnessed_root, beat->head_root.data, sizeof head.root) == 0)
		return JUKWAA_OK;
	memcpy(head.root, beat->head_root.data, sizeof head.root);
	memcpy(head.signature, beat->head_signature.data, sizeof head.signature);
	memcpy(head.public_key, beat->head_public_key.data, sizeof head.public_key);
	if (jk_witness_append(s->heads_file, &head, &refusal) != JK_OK)
		return client_link_fail(&s->link, JUKWAA_E_STORAGE, "", refusal.field, refusal.reason);
	memcpy(s->witnessed_root, head.root, sizeof head.root);
	return JUKWAA_OK;
}

static int on_beat(struct jukwaa_subscriber *s, const struct jk_dealer_message *message)
{
	const Jukwaa__V1__Beat *beat = (const void *)client_link_read(&s->link, &jukwaa__v1__beat__descriptor, message);

	if (!beat || beat->session != s->link.session)
		return JUKWAA_OK;
	if (beat->delivery_no > s->received - s->base) {
		client_link_restart(&s->link);
		return JUKWAA_OK;
	}
	for (size_t i = 0; i < beat->n_positions; i++)
		(void)take_position(s, s->received, beat->positions[i]);
	(void)settle_positions(s);
	return keep_head(s, beat);
}

/* True: *ret_event is filled. What does not fit the protocol begins the session anew, and comes again. bytes: of the Deliver,
 * as it came. */
static bool on_deliver(
	struct jukwaa_subscriber *s, const uint8_t *bytes, size_t size, bool in_batch, struct jukwaa_event *ret_event)
{
	const struct jk_dealer_message message = {.body = bytes, .body_size = size};
	const Jukwaa__V1__Deliver *deliver = (const void *)client_link_read(&s->link, &jukwaa__v1__deliver__descriptor, &message);

	if (!deliver || deliver->session != (in_batch ? 0 : s->link.session) || !is_next(s, deliver->delivery_no))
		return false;
	if (!client_event_read(&s->link, deliver, s->received + 1, &s->chains, s->write_json ? &s->json : NULL, ret_event) ||
		(!deliver->snapshot && !take_position(s, s->received + 1, deliver->position))) {
		client_link_restart(&s->link);
		return false;
	}
	ret_event->body = bytes;
	ret_event->body_size = size;
	s->received++;
	return true;
}

/* The next one of the batch in hand. The batch ends early where something in it is not as it should be: what is missing is
 * then asked for in a new session. */
static bool next_of_batch(struct jukwaa_subscriber *s, struct jukwaa_event *ret_event)
{
	struct jk_field field;

	while (jk_field_next(&s->batch, &field)) {
		if (field.number != BATCH_DELIVERIES_FIELD)
			continue;
		if (on_deliver(s, field.data, field.size, true, ret_event))
			return true;
		break;
	}
	s->batch = (struct jk_fields){0};
	return false;
}

/* True: the batch is the session's, and its first event is in *ret_event. */
static bool on_batch(struct jukwaa_subscriber *s, const struct jk_dealer_message *message, struct jukwaa_event *ret_event)
{
	struct jk_fields fields = {message->body, message->body + message->body_size};
	struct jk_field session;

	if (!jk_field_next(&fields, &session) || session.number != 1 || session.value != s->link.session)
		return false;
	s->batch = fields;
	return next_of_batch(s, ret_event);
}

/* True: *ret_event is filled. Its positions become the caller's when it is acknowledged. */
static bool on_snapshot_end(struct jukwaa_subscriber *s, const struct jk_dealer_message *message, struct jukwaa_event *ret_event)
{
	const Jukwaa__V1__SnapshotEnd *end =
		(const void *)client_link_read(&s->link, &jukwaa__v1__snapshot_end__descriptor, message);

	if (!end || end->session != s->link.session || !is_next(s, end->delivery_no))
		return false;
	for (size_t i = 0; i < end->n_positions; i++) {
		if (take_position(s, s->received + 1, end->positions[i]))
			continue;
		client_link_restart(&s->link);
		return false;
	}
	client_event_read_end(end, s->received + 1, &s->chains, s->write_json ? &s->json : NULL, ret_event);
	ret_event->body = message->body;
	ret_event->body_size = message->body_size;
	s->received++;
	return true;
}

int jukwaa_subscriber_ack(struct jukwaa_subscriber *subscriber, uint64_t delivery_no)
{
	Jukwaa__V1__Ack ack = JUKWAA__V1__ACK__INIT;

	if (delivery_no > subscriber->received)
		return client_link_fail(&subscriber->link, JUKWAA_E_USAGE, "", "delivery_no", "no such delivery was made");
	if (delivery_no <= subscriber->acked)
		return JUKWAA_OK;
	subscriber->acked = delivery_no;
	if (!settle_positions(subscriber))
		return client_link_fail(&subscriber->link, JUKWAA_E_USAGE, "", NULL, "no memory");
	if (delivery_no > subscriber->base) {
		ack.session = subscriber->link.session;
		ack.delivery_no = delivery_no - subscriber->base;
		/* When the link is down there is no session left to acknowledge in: the next one starts behind it. */
		(void)!client_link_send(&subscriber->link, JUKWAA__V1__KIND__KIND_ACK, &ack.base);
	}
	return keep_resume(subscriber, false);
}

/* One message. JUKWAA_OK with *ret_given: an event; else nothing yet, or a status for the caller. */
static int take_message(
	struct jukwaa_subscriber *s, struct jk_dealer_message *message, struct jukwaa_event *ret_event, bool *ret_given)
{
	int status = JUKWAA_OK;

	*ret_given = false;
	switch (message->kind) {
	case JUKWAA__V1__KIND__KIND_DELIVER:
		*ret_given = on_deliver(s, message->body, message->body_size, false, ret_event);
		break;
	case JUKWAA__V1__KIND__KIND_DELIVER_BATCH:
		*ret_given = on_batch(s, message, ret_event);
		break;
	case JUKWAA__V1__KIND__KIND_SNAPSHOT_END:
		*ret_given = on_snapshot_end(s, message, ret_event);
		break;
	case JUKWAA__V1__KIND__KIND_BEAT:
		status = on_beat(s, message);
		break;
	case JUKWAA__V1__KIND__KIND_SUBSCRIBED:
		status = on_subscribed(s, message);
		break;
	case JUKWAA__V1__KIND__KIND_REFUSED:
		status = on_refused(s, message);
		break;
	default:
		break;
	}
	return status;
}

static int wait_ms(const struct jukwaa_subscriber *s, int64_t deadline)
{
	int left = client_left_ms(deadline);

	return s->resume_due && left > RESUME_EVERY_MS ? RESUME_EVERY_MS : left;
}

int jukwaa_subscriber_next(struct jukwaa_subscriber *subscriber, int timeout_ms, struct jukwaa_event *ret_event)
{
	int64_t deadline = client_deadline(timeout_ms);
	struct jk_dealer_message message;
	bool given;
	int status;

	if (subscriber->batch.at != subscriber->batch.end) {
		client_link_keep(&subscriber->link);
		status = keep_resume(subscriber, false);
		if (status != JUKWAA_OK)
			return status;
		if (next_of_batch(subscriber, ret_event))
			return JUKWAA_OK;
	}
	jk_dealer_release(&subscriber->held);
	for (;;) {
		status = keep_resume(subscriber, false);
		if (status != JUKWAA_OK)
			return status;
		if (subscriber->link.state == CLIENT_OVER && !subscriber->link.trouble)
			return subscriber->link.error.status;
		switch (client_link_poll(&subscriber->link, wait_ms(subscriber, deadline), &message)) {
		case CLIENT_TROUBLE:
			return subscriber->link.error.status;
		case CLIENT_OPENED:
			begin_session(subscriber);
			break;
		case CLIENT_MESSAGE:
			status = take_message(subscriber, &message, ret_event, &given);
			if (given) {
				subscriber->held = message;
				return JUKWAA_OK;
			}
			jk_dealer_release(&message);
			if (status != JUKWAA_OK)
				return status;
			break;
		case CLIENT_NOTHING:
			if (subscriber->link.state == CLIENT_OPEN && !subscriber->subscribed &&
				jk_time_mono_ms() >= subscriber->subscribe_ms)
				say_subscribe(subscriber);
			if (client_left_ms(deadline) == 0)
				return client_link_timeout(&subscriber->link);
			break;
		}
	}
}
