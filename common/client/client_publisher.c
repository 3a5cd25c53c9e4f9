/* The publisher: window and outbox on one side, the link on the other. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_crash.h"
#include "base/jk_text.h"
#include "base/jk_time.h"
#include "client/client_link.h"
#include "client/client_receipt.h"
#include "client/client_window.h"
#include "client/outbox.h"
#include "evidence/evidence_origin.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"

enum {
	BUSY_FIRST_MS = 50,
	BUSY_LIMIT_MS = 2000,
	SILENCE_FIRST_MS = 2000,
	SILENCE_LIMIT_MS = 30000,
	PAYLOAD_MAX_BYTES = 2 * 1024 * 1024,
	LABEL_MAX_BYTES = 4096,
	RECEIPTS_MAX = 16384, /* not taken by the caller; beyond, send waits */
	SETTLE_EVERY_MS = 200,
	SETTLE_AGAIN_MS = 1000, /* after it could not be written */
	TURN_EVERY_MS = 20,
};

/* A receipt that came while the caller was sending. */
struct waiting_receipt {
	struct waiting_receipt *next;
	uint64_t ticket;
	bool retried;
	size_t body_size;
	uint8_t bytes[]; /* body, then label with NUL */
};

struct jukwaa_publisher {
	struct client_link link;
	struct client_window window;
	struct jk_outbox *outbox;
	uint64_t last_ticket, loaded_ticket; /* loaded: the outbox's newest that is, or was, in the window */
	struct waiting_receipt *first, *last, *given;
	size_t receipt_count;
	bool sign;
	int64_t settle_due_ms, turned_ms;
	struct client_receipt room;
};

int jukwaa_publisher_open(
	const struct jukwaa_publisher_options *options, struct jukwaa_publisher **ret_publisher, char ret_reason[256])
{
	uint32_t window = options->window == 0 ? CLIENT_WINDOW_DEFAULT : options->window;
	struct jukwaa_publisher *publisher;
	struct jk_refusal refusal = {0};
	int status;

	ret_reason[0] = '\0';
	if (window > CLIENT_WINDOW_MAX) {
		(void)jk_text_format(ret_reason, 256, "a window is 1 to %d reports", CLIENT_WINDOW_MAX);
		return JUKWAA_E_USAGE;
	}
	publisher = calloc(1, sizeof *publisher);
	if (!publisher) {
		(void)jk_text_copy(ret_reason, 256, "no memory");
		return JUKWAA_E_USAGE;
	}
	status = client_link_open(&publisher->link, &options->connection, window, ret_reason);
	client_window_init(&publisher->window, window);
	publisher->sign = options->sign;
	if (status == JUKWAA_OK && options->outbox &&
		jk_outbox_open(options->outbox, JK_OUTBOX_WRITE, options->outbox_max_bytes, &publisher->outbox, &refusal) !=
			JK_OK) {
		(void)jk_text_copy(ret_reason, 256, refusal.reason);
		status = JUKWAA_E_STORAGE;
	}
	if (status != JUKWAA_OK) {
		jukwaa_publisher_close(&publisher);
		return status;
	}
	*ret_publisher = publisher;
	return JUKWAA_OK;
}

void jukwaa_publisher_close(struct jukwaa_publisher **publisher_p)
{
	struct jukwaa_publisher *publisher = *publisher_p;

	*publisher_p = NULL;
	if (!publisher)
		return;
	jk_outbox_close(&publisher->outbox);
	client_link_close(&publisher->link);
	client_window_done(&publisher->window);
	free(publisher->given);
	while (publisher->first) {
		struct waiting_receipt *next = publisher->first->next;

		free(publisher->first);
		publisher->first = next;
	}
	free(publisher);
}

const struct jukwaa_error *jukwaa_publisher_error(const struct jukwaa_publisher *publisher)
{
	return &publisher->link.error;
}

static size_t backlog(const struct jukwaa_publisher *publisher)
{
	size_t durable = 0;

	if (!publisher->outbox)
		return 0;
	for (unsigned i = 0; i < publisher->window.size; i++)
		durable += publisher->window.reports[i].state != REPORT_NONE && publisher->window.reports[i].durable;
	return jk_outbox_waiting(publisher->outbox) - durable;
}

size_t jukwaa_publisher_outstanding(const struct jukwaa_publisher *publisher)
{
	return publisher->window.size - publisher->window.free_count + backlog(publisher);
}

/* ---- what comes in ---------------------------------------------------------------------------------------------- */

static bool queue_receipt(
	struct jukwaa_publisher *publisher, const struct client_report *report, const uint8_t *body, size_t body_size)
{
	const char *label = client_report_label(report);
	size_t label_size = strlen(label) + 1;
	struct waiting_receipt *receipt = malloc(sizeof *receipt + body_size + label_size);

	if (!receipt)
		return false;
	receipt->next = NULL;
	receipt->ticket = report->ticket;
	receipt->retried = report->retried;
	receipt->body_size = body_size;
	memcpy(receipt->bytes, body, body_size);
	memcpy(receipt->bytes + body_size, label, label_size);
	if (publisher->last)
		publisher->last->next = receipt;
	else
		publisher->first = receipt;
	publisher->last = receipt;
	publisher->receipt_count++;
	return true;
}

/* False: it must stay in the window, or it would be outstanding for ever; it goes again when due, and is heard of twice. */
static bool settle_report(struct jukwaa_publisher *publisher, const struct client_report *report, int verdict, const char *code,
	const char *field, const char *reason)
{
	if (!report->durable)
		return true;
	if (verdict == JK_VERDICT_STORED || verdict == JK_VERDICT_DUPLICATE)
		return jk_outbox_settle(publisher->outbox, report->ticket) == JK_OK;
	return jk_outbox_bury(publisher->outbox, report->ticket, jk_words_name(&jk_verdicts, verdict), code, field, reason) ==
	       JK_OK;
}

static void hold_busy(struct jukwaa_publisher *publisher, struct client_report *report)
{
	int64_t wait_ms = client_backoff_ms(BUSY_FIRST_MS, BUSY_LIMIT_MS, report->busy_tries++);

	client_window_hold(&publisher->window, report, jk_time_mono_ms() + wait_ms);
}

static void on_receipt(struct jukwaa_publisher *publisher, const struct jk_dealer_message *message)
{
	const Jukwaa__V1__Receipt *receipt =
		(const void *)client_link_read(&publisher->link, &jukwaa__v1__receipt__descriptor, message);
	struct client_report *report = receipt ? client_window_find(&publisher->window, receipt->request) : NULL;

	/* None: the answer to a repetition came first. Held: a late BUSY, or a final word that ends the waiting. */
	if (!report)
		return;
	if (receipt->verdict == JUKWAA__V1__VERDICT__VERDICT_BUSY) {
		if (report->state == REPORT_FLYING)
			hold_busy(publisher, report);
		return;
	}
	if (receipt->verdict == JUKWAA__V1__VERDICT__VERDICT_UNSPECIFIED ||
		!queue_receipt(publisher, report, message->body, message->body_size))
		return;
	JK_CRASH_POINT("publisher_after_receipt", NULL);
	if (settle_report(publisher, report, (int)receipt->verdict,
		    receipt->code ? jk_words_name(&jk_codes, (int)receipt->code) : "", receipt->field, receipt->reason))
		client_window_remove(&publisher->window, report);
}

/* A command that was not even looked at: to the caller it is a REJECTED receipt. */
static void on_refused(struct jukwaa_publisher *publisher, const struct jk_dealer_message *message)
{
	const Jukwaa__V1__Refused *refused =
		(const void *)client_link_read(&publisher->link, &jukwaa__v1__refused__descriptor, message);
	struct client_report *report = refused ? client_window_find(&publisher->window, refused->request) : NULL;
	Jukwaa__V1__Receipt receipt = JUKWAA__V1__RECEIPT__INIT;
	uint8_t *packed;

	if (!report)
		return;
	if (client_link_is_later((int)refused->code)) {
		if (report->state == REPORT_FLYING)
			hold_busy(publisher, report);
		return;
	}
	receipt.request = refused->request;
	receipt.verdict = JUKWAA__V1__VERDICT__VERDICT_REJECTED;
	receipt.code = refused->code;
	receipt.field = refused->field;
	receipt.reason = refused->reason;
	packed = malloc(jukwaa__v1__receipt__get_packed_size(&receipt));
	if (!packed)
		return;
	if (queue_receipt(publisher, report, packed, jukwaa__v1__receipt__pack(&receipt, packed)) &&
		settle_report(publisher, report, JK_VERDICT_REJECTED, jk_words_name(&jk_codes, (int)refused->code),
			refused->field, refused->reason))
		client_window_remove(&publisher->window, report);
	free(packed);
}

/* ---- what goes out ---------------------------------------------------------------------------------------------- */

static bool load_from_outbox(struct jukwaa_publisher *publisher)
{
	struct jk_outbox_report row;
	struct client_report *report;
	bool no_memory;

	if (!jk_outbox_next(publisher->outbox, publisher->loaded_ticket, &row))
		return false;
	report = client_window_add(&publisher->window, row.payload, row.payload_size, row.label, &no_memory);
	if (!report)
		return false;
	report->ticket = row.ticket;
	report->format = row.format;
	report->strict = row.strict;
	report->durable = true;
	(void)jk_text_copy(report->county, sizeof report->county, row.county);
	publisher->loaded_ticket = row.ticket;
	return true;
}

/* A salt of its own each time: only the one that is stored counts. */
static void sign_report(const struct jukwaa_publisher *publisher, const struct client_report *report,
	uint8_t ret_salt[JK_SALT_BYTES], struct jk_origin *ret_origin)
{
	ret_origin->format = (uint32_t)report->format;
	jk_random(ret_salt, JK_SALT_BYTES);
	jk_origin_digest(ret_origin->digest, ret_salt, report->bytes, report->payload_size);
	jk_origin_sign(ret_origin, publisher->link.agency, &publisher->link.key);
}

static enum jk_status send_report(struct jukwaa_publisher *publisher, const struct client_report *report)
{
	Jukwaa__V1__Publish publish = JUKWAA__V1__PUBLISH__INIT;
	uint8_t salt[JK_SALT_BYTES];
	struct jk_origin origin;

	publish.session = publisher->link.session;
	publish.request = report->request;
	publish.format = (Jukwaa__V1__Format)report->format;
	publish.payload.data = report->bytes;
	publish.payload.len = report->payload_size;
	publish.county = (char *)report->county;
	publish.strict = report->strict;
	publish.check = report->check;
	publish.dry_run = report->dry_run;
	if (publisher->sign) {
		sign_report(publisher, report, salt, &origin);
		publish.origin_salt = (ProtobufCBinaryData){sizeof salt, salt};
		publish.origin_signature = (ProtobufCBinaryData){sizeof origin.signature, origin.signature};
	}
	return client_link_send(&publisher->link, JUKWAA__V1__KIND__KIND_PUBLISH, &publish.base);
}

static unsigned flying_max(const struct jukwaa_publisher *publisher)
{
	unsigned theirs = publisher->link.window;

	return theirs > 0 && theirs < publisher->window.size ? theirs : publisher->window.size;
}

/* Sends what may be sent; true when something waits for the pipe. */
static bool send_unsent(struct jukwaa_publisher *publisher)
{
	struct client_window *window = &publisher->window;

	if (publisher->link.state != CLIENT_OPEN)
		return false;
	while (window->unsent > 0 && window->flying < flying_max(publisher)) {
		struct client_report *report = client_window_next_unsent(window);
		int64_t wait_ms = SILENCE_FIRST_MS;

		if (send_report(publisher, report) != JK_OK)
			return true;
		if (report->silent_tries > 0)
			wait_ms = client_backoff_ms(SILENCE_FIRST_MS * 2, SILENCE_LIMIT_MS, report->silent_tries);
		client_window_sent(window, report, jk_time_mono_ms() + wait_ms);
		JK_CRASH_POINT("publisher_after_send", NULL);
	}
	return false;
}

static void keep_outbox(struct jukwaa_publisher *publisher)
{
	if (!publisher->outbox)
		return;
	while (publisher->window.free_count > 0 && load_from_outbox(publisher))
		;
	if (jk_time_mono_ms() >= publisher->settle_due_ms) {
		/* What could not be written is kept and counts as settled: its receipts came. */
		int wait_ms = jk_outbox_flush(publisher->outbox) == JK_OK ? SETTLE_EVERY_MS : SETTLE_AGAIN_MS;

		publisher->settle_due_ms = jk_time_mono_ms() + wait_ms;
	}
}

/* One turn: sends, then waits up to timeout_ms for one thing to come. Returns JUKWAA_OK, or what the caller must hear. */
static int turn(struct jukwaa_publisher *publisher, int timeout_ms)
{
	enum { FULL_PIPE_MS = 5 };
	struct jk_dealer_message message;
	int64_t now = jk_time_mono_ms(), due = publisher->window.next_due_ms;

	publisher->turned_ms = now;
	keep_outbox(publisher);
	client_window_wake(&publisher->window, now, false);
	if (send_unsent(publisher) && timeout_ms > FULL_PIPE_MS)
		timeout_ms = FULL_PIPE_MS;
	if (due > 0 && due - now < timeout_ms)
		timeout_ms = due > now ? (int)(due - now) : 0;
	switch (client_link_poll(&publisher->link, timeout_ms, &message)) {
	case CLIENT_TROUBLE:
		return publisher->link.error.status;
	case CLIENT_OPENED:
		client_window_wake(&publisher->window, now, true);
		(void)send_unsent(publisher);
		break;
	case CLIENT_MESSAGE:
		if (message.kind == JUKWAA__V1__KIND__KIND_RECEIPT)
			on_receipt(publisher, &message);
		else if (message.kind == JUKWAA__V1__KIND__KIND_REFUSED)
			on_refused(publisher, &message);
		jk_dealer_release(&message);
		break;
	case CLIENT_NOTHING:
		break;
	}
	return JUKWAA_OK;
}

/* ---- the calls -------------------------------------------------------------------------------------------------- */

static int check_report(struct jukwaa_publisher *publisher, const struct jukwaa_report *report, int *ret_format)
{
	struct client_link *link = &publisher->link;

	*ret_format = report->format ? jk_words_number(&jk_formats, report->format) : -1;
	if (*ret_format <= 0)
		return client_link_fail(link, JUKWAA_E_USAGE, "", "format", "a format is cap, json, protobuf or csv");
	if (report->payload_size > PAYLOAD_MAX_BYTES)
		return client_link_fail(link, JUKWAA_E_USAGE, "OVERSIZE", "payload", "a report is at most 2 MiB");
	if (!report->payload && report->payload_size > 0)
		return client_link_fail(link, JUKWAA_E_USAGE, "", "payload", "no payload given");
	if (report->county && strlen(report->county) >= sizeof publisher->window.reports[0].county)
		return client_link_fail(link, JUKWAA_E_USAGE, "UNKNOWN_COUNTY", "county", "a county is three digits");
	if (report->county && !jk_text_is_utf8(report->county, strlen(report->county)))
		return client_link_fail(link, JUKWAA_E_USAGE, "UNKNOWN_COUNTY", "county", "a county is three digits");
	if (report->label && strlen(report->label) > LABEL_MAX_BYTES)
		return client_link_fail(link, JUKWAA_E_USAGE, "", "label", "a label is at most 4096 bytes");
	return JUKWAA_OK;
}

/* Into the outbox; the window takes it from there. */
static int keep_report(struct jukwaa_publisher *publisher, const struct jukwaa_report *report, int format, uint64_t *ret_ticket)
{
	const struct jk_outbox_report row = {
		.format = format,
		.payload = report->payload_size > 0 ? report->payload : "",
		.payload_size = report->payload_size,
		.county = report->county ? report->county : "",
		.strict = report->strict,
		.label = report->label ? report->label : "",
	};
	struct jk_refusal refusal = {0};

	if (jk_outbox_add(publisher->outbox, &row, ret_ticket, &refusal) != JK_OK)
		return client_link_fail(&publisher->link, JUKWAA_E_STORAGE, "", refusal.field, refusal.reason);
	return jk_time_mono_ms() - publisher->turned_ms >= TURN_EVERY_MS ? turn(publisher, 0) : JUKWAA_OK;
}

/* Waits for a free place and for room among the receipts. */
static int wait_for_room(struct jukwaa_publisher *publisher, int timeout_ms)
{
	int64_t deadline = client_deadline(timeout_ms);

	while (publisher->window.free_count == 0 || publisher->receipt_count >= RECEIPTS_MAX) {
		int status = turn(publisher, client_left_ms(deadline));

		if (status != JUKWAA_OK)
			return status;
		if (publisher->window.free_count > 0 && publisher->receipt_count < RECEIPTS_MAX)
			break;
		if (client_left_ms(deadline) == 0)
			return publisher->receipt_count >= RECEIPTS_MAX
				       ? client_link_fail(&publisher->link, JUKWAA_E_TIMEOUT, "", NULL,
						 "16384 receipts wait to be taken by jukwaa_publisher_receive")
				       : client_link_timeout(&publisher->link);
	}
	return JUKWAA_OK;
}

int jukwaa_publisher_send(
	struct jukwaa_publisher *publisher, const struct jukwaa_report *report, int timeout_ms, uint64_t *ret_ticket)
{
	struct client_report *slot;
	uint64_t ticket = 0;
	int format, status = check_report(publisher, report, &format);
	bool no_memory;

	if (status != JUKWAA_OK)
		return status;
	if (publisher->outbox && !report->check && !report->dry_run) {
		status = keep_report(publisher, report, format, ret_ticket ? ret_ticket : &ticket);
		/* It is on disk: trouble of the link is for the calls that wait. */
		if (status == JUKWAA_OK || status == JUKWAA_E_STORAGE)
			return status;
		publisher->link.trouble = true;
		return JUKWAA_OK;
	}
	status = wait_for_room(publisher, timeout_ms);
	if (status != JUKWAA_OK)
		return status;
	slot = client_window_add(
		&publisher->window, report->payload, report->payload_size, report->label ? report->label : "", &no_memory);
	if (!slot)
		return client_link_fail(&publisher->link, JUKWAA_E_USAGE, "", NULL, "no memory");
	slot->ticket = ++publisher->last_ticket;
	slot->format = format;
	slot->strict = report->strict;
	slot->check = report->check;
	slot->dry_run = report->dry_run;
	(void)jk_text_copy(slot->county, sizeof slot->county, report->county ? report->county : "");
	if (ret_ticket)
		*ret_ticket = slot->ticket;
	(void)send_unsent(publisher);
	return JUKWAA_OK;
}

static void give_receipt(struct jukwaa_publisher *publisher, struct jukwaa_receipt *ret_receipt)
{
	struct waiting_receipt *given = publisher->first;

	publisher->first = given->next;
	if (!publisher->first)
		publisher->last = NULL;
	publisher->receipt_count--;
	publisher->given = given;
	*ret_receipt = (struct jukwaa_receipt){
		.ticket = given->ticket,
		.label = (const char *)given->bytes + given->body_size,
		.retried = given->retried,
	};
	/* It was read once already, when it came. */
	(void)client_receipt_read(&publisher->link, given->bytes, given->body_size, &publisher->room, ret_receipt);
}

int jukwaa_publisher_receive(struct jukwaa_publisher *publisher, int timeout_ms, struct jukwaa_receipt *ret_receipt)
{
	int64_t deadline = client_deadline(timeout_ms);
	int status;

	free(publisher->given);
	publisher->given = NULL;
	while (!publisher->first) {
		status = turn(publisher, client_left_ms(deadline));
		if (status != JUKWAA_OK)
			return status;
		if (!publisher->first && client_left_ms(deadline) == 0)
			return client_link_timeout(&publisher->link);
	}
	give_receipt(publisher, ret_receipt);
	return JUKWAA_OK;
}
