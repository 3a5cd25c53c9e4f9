/* Offers as they come: pushed by dispatch, and asked for now and then, because one that is pushed may be lost. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_id.h"
#include "base/jk_time.h"
#include "client/client_link.h"
#include "jukwaa/v1/duty.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "json/json_map.h"

enum { ASK_EVERY_MS = 10000, AGAIN_MS = 2000, LIST_MAX = 200, KEPT_MAX = 65536 };

/* What was given of a duty last. */
struct given {
	struct jk_id duty_id;
	uint32_t version, times;
	int standing;
	bool listed; /* by the round of questions under way */
};

struct jukwaa_offers {
	struct client_link link;
	struct given *given;
	size_t given_count, given_capacity;
	char **waiting; /* JSON, in the order they came; waiting_at: the next */
	size_t waiting_at, waiting_count, waiting_capacity;
	char *held; /* given last */
	uint64_t request;
	int64_t ask_ms;
	ProtobufCBinaryData page; /* of the list under way, malloc'd */
};

int jukwaa_offers_open(const struct jukwaa_connection *connection, struct jukwaa_offers **ret_offers, char ret_reason[256])
{
	struct jukwaa_offers *offers = calloc(1, sizeof *offers);
	int status;

	*ret_offers = NULL;
	ret_reason[0] = '\0';
	if (!offers) {
		(void)jk_text_copy(ret_reason, 256, "no memory");
		return JUKWAA_E_USAGE;
	}
	status = client_link_open(&offers->link, connection, 0, ret_reason);
	if (status == JUKWAA_OK)
		*ret_offers = offers;
	else
		free(offers);
	return status;
}

void jukwaa_offers_close(struct jukwaa_offers **offers_p)
{
	struct jukwaa_offers *offers = *offers_p;

	if (!offers)
		return;
	*offers_p = NULL;
	client_link_close(&offers->link);
	while (offers->waiting_at < offers->waiting_count)
		free(offers->waiting[offers->waiting_at++]);
	free(offers->waiting);
	free(offers->given);
	free(offers->held);
	free(offers->page.data);
	free(offers);
}

const struct jukwaa_error *jukwaa_offers_error(const struct jukwaa_offers *offers)
{
	return &offers->link.error;
}

/* ---- what was given --------------------------------------------------------------------------------------------- */

/* Room for one more in an array that doubles. False: no memory. */
static bool grow(void **items, size_t size, size_t count, size_t *capacity)
{
	size_t more = *capacity == 0 ? 16 : *capacity * 2;
	void *grown;

	if (count < *capacity)
		return true;
	grown = more > KEPT_MAX ? NULL : realloc(*items, more * size);
	if (!grown)
		return false;
	*items = grown;
	*capacity = more;
	return true;
}

/* Its entry, made where there is none (times 0, version 0: nothing was given); NULL: no memory, so it is given again later. */
static struct given *find_given(struct jukwaa_offers *offers, const struct jk_id *duty_id)
{
	void *items = offers->given;

	for (size_t i = 0; i < offers->given_count; i++)
		if (jk_id_equal(&offers->given[i].duty_id, duty_id))
			return &offers->given[i];
	if (!grow(&items, sizeof *offers->given, offers->given_count, &offers->given_capacity))
		return NULL;
	offers->given = items;
	offers->given[offers->given_count] = (struct given){.duty_id = *duty_id};
	return &offers->given[offers->given_count++];
}

static void add_waiting(struct jukwaa_offers *offers, const Jukwaa__V1__Offered *offered)
{
	void *items = offers->waiting;
	struct jk_buffer json = {0};

	jk_json_write(&offered->base, &json);
	if (json.failed || !grow(&items, sizeof *offers->waiting, offers->waiting_count, &offers->waiting_capacity)) {
		jk_buffer_done(&json);
		return;
	}
	offers->waiting = items;
	offers->waiting[offers->waiting_count++] = json.data;
}

/* An older state than the one given last, which a push may have overtaken, is nothing new. */
static void take_offer(struct jukwaa_offers *offers, const Jukwaa__V1__Offered *offered, bool listed)
{
	struct given *given;
	struct jk_id duty_id;

	if (offered->duty_id.len != sizeof duty_id.bytes)
		return;
	memcpy(duty_id.bytes, offered->duty_id.data, sizeof duty_id.bytes);
	given = find_given(offers, &duty_id);
	if (!given)
		return;
	given->listed = given->listed || listed;
	if (offered->version < given->version || (offered->version == given->version && offered->times <= given->times &&
							 (int)offered->standing == given->standing))
		return;
	given->version = offered->version;
	given->times = offered->times;
	given->standing = (int)offered->standing;
	add_waiting(offers, offered);
}

/* What is not open any more need not be remembered. What was pushed while the list was made may be given twice. */
static void forget_unlisted(struct jukwaa_offers *offers)
{
	size_t kept = 0;

	for (size_t i = 0; i < offers->given_count; i++)
		if (offers->given[i].listed)
			offers->given[kept++] = offers->given[i];
	offers->given_count = kept;
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void ask(struct jukwaa_offers *offers)
{
	Jukwaa__V1__OfferList question = JUKWAA__V1__OFFER_LIST__INIT;

	if (offers->page.len == 0)
		for (size_t i = 0; i < offers->given_count; i++)
			offers->given[i].listed = false;
	question.session = offers->link.session;
	question.request = ++offers->request;
	question.filter = JUKWAA__V1__OFFER_FILTER__OFFER_FILTER_OPEN;
	question.limit = LIST_MAX;
	question.after = offers->page;
	(void)!client_link_send(&offers->link, JUKWAA__V1__KIND__KIND_OFFER_LIST, &question.base);
	offers->ask_ms = jk_time_mono_ms() + AGAIN_MS;
}

static void begin_list(struct jukwaa_offers *offers)
{
	free(offers->page.data);
	offers->page = (ProtobufCBinaryData){0};
	ask(offers);
}

static void take_list(struct jukwaa_offers *offers, const Jukwaa__V1__OfferListed *listed)
{
	ProtobufCBinaryData page = {0};

	if (listed->request != offers->request)
		return;
	for (size_t i = 0; i < listed->n_offers; i++)
		take_offer(offers, listed->offers[i], true);
	if (listed->page.len > 0 && (page.data = malloc(listed->page.len))) {
		memcpy(page.data, listed->page.data, listed->page.len);
		page.len = listed->page.len;
	}
	free(offers->page.data);
	offers->page = page;
	if (page.len > 0) {
		ask(offers);
		return;
	}
	forget_unlisted(offers);
	offers->ask_ms = jk_time_mono_ms() + ASK_EVERY_MS;
}

/* Of the list; "not now" is asked again after AGAIN_MS. */
static int take_refusal(struct jukwaa_offers *offers, const Jukwaa__V1__Refused *refused)
{
	if (refused->request != offers->request || client_link_is_later((int)refused->code))
		return JUKWAA_OK;
	offers->ask_ms = jk_time_mono_ms() + ASK_EVERY_MS;
	return client_link_fail(
		&offers->link, JUKWAA_E_REFUSED, jk_words_name(&jk_codes, (int)refused->code), refused->field, refused->reason);
}

static int take_message(struct jukwaa_offers *offers, const struct jk_dealer_message *message)
{
	const void *read = NULL;
	int status = JUKWAA_OK;

	if (message->kind == JUKWAA__V1__KIND__KIND_OFFERED &&
		(read = client_link_read(&offers->link, &jukwaa__v1__offered__descriptor, message)))
		take_offer(offers, read, false);
	else if (message->kind == JUKWAA__V1__KIND__KIND_OFFER_LISTED &&
		 (read = client_link_read(&offers->link, &jukwaa__v1__offer_listed__descriptor, message)))
		take_list(offers, read);
	else if (message->kind == JUKWAA__V1__KIND__KIND_REFUSED &&
		 (read = client_link_read(&offers->link, &jukwaa__v1__refused__descriptor, message)))
		status = take_refusal(offers, read);
	return status;
}

static bool next_waiting(struct jukwaa_offers *offers, const char **ret_json)
{
	free(offers->held);
	offers->held = NULL;
	if (offers->waiting_at == offers->waiting_count)
		return false;
	offers->held = offers->waiting[offers->waiting_at++];
	if (offers->waiting_at == offers->waiting_count)
		offers->waiting_at = offers->waiting_count = 0;
	*ret_json = offers->held;
	return true;
}

static int wait_ms(const struct jukwaa_offers *offers, int64_t deadline)
{
	int64_t until_ask = offers->ask_ms - jk_time_mono_ms();
	int left = client_left_ms(deadline);

	if (offers->link.state != CLIENT_OPEN || until_ask >= left)
		return left;
	return until_ask > 0 ? (int)until_ask : 0;
}

int jukwaa_offers_next(struct jukwaa_offers *offers, int timeout_ms, const char **ret_json)
{
	int64_t deadline = client_deadline(timeout_ms);
	struct jk_dealer_message message;
	int status = JUKWAA_OK;

	for (;;) {
		if (next_waiting(offers, ret_json))
			return JUKWAA_OK;
		if (offers->link.state == CLIENT_OVER && !offers->link.trouble)
			return offers->link.error.status;
		if (offers->link.state == CLIENT_OPEN && jk_time_mono_ms() >= offers->ask_ms)
			ask(offers);
		switch (client_link_poll(&offers->link, wait_ms(offers, deadline), &message)) {
		case CLIENT_TROUBLE:
			return offers->link.error.status;
		case CLIENT_OPENED:
			begin_list(offers);
			break;
		case CLIENT_MESSAGE:
			status = take_message(offers, &message);
			jk_dealer_release(&message);
			if (status != JUKWAA_OK)
				return status;
			break;
		case CLIENT_NOTHING:
			if (client_left_ms(deadline) == 0)
				return client_link_timeout(&offers->link);
			break;
		}
	}
}
