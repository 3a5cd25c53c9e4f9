/* What libjukwaa reads from a service it should not have to trust: deliveries (two in a row, for the chain), receipts, sealed
 * positions. What is written out must be JSON. First byte: which. */
#include <jansson.h>

#include "client/client_event.h"
#include "client/client_positions.h"
#include "client/client_receipt.h"
#include "fuzz.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "wire/wire_body.h"

static void read_delivery(struct client_link *link, const struct jk_dealer_message *message, struct client_chains *chains)
{
	const Jukwaa__V1__Deliver *deliver = (const void *)client_link_read(link, &jukwaa__v1__deliver__descriptor, message);
	struct client_position position;
	struct jk_buffer json = {0};
	struct jukwaa_event event;

	if (deliver == NULL)
		return;
	(void)client_position_read(deliver->position, &position);
	if (client_event_read(link, deliver, 1, chains, &json, &event) && event.json != NULL) {
		json_error_t error;
		json_t *read = json_loads(event.json, 0, &error);
		fuzz_must(read != NULL);
		json_decref(read);
	}
	jk_buffer_done(&json);
}

/* The same bytes as what ends a snapshot. */
static void read_end(struct client_link *link, const struct jk_dealer_message *message, struct client_chains *chains)
{
	const Jukwaa__V1__SnapshotEnd *end = (const void *)client_link_read(link, &jukwaa__v1__snapshot_end__descriptor, message);
	struct client_position position;
	struct jk_buffer json = {0};
	struct jukwaa_event event;

	for (size_t i = 0; end != NULL && i < end->n_positions; i++)
		(void)client_position_read(end->positions[i], &position);
	if (end != NULL) {
		client_event_read_end(end, 2, chains, &json, &event);
		fuzz_must(event.json != NULL);
	}
	jk_buffer_done(&json);
}

static void read_receipt(struct client_link *link, const struct jk_dealer_message *message)
{
	static struct client_receipt room;
	struct jukwaa_receipt receipt = {0};

	if (client_receipt_read(link, message->body, message->body_size, &room, &receipt))
		fuzz_must(receipt.verdict != NULL && receipt.position_count <= CLIENT_POSITIONS_MAX);
}

static void read_beat(struct client_link *link, const struct jk_dealer_message *message)
{
	const Jukwaa__V1__Beat *beat = (const void *)client_link_read(link, &jukwaa__v1__beat__descriptor, message);
	struct client_positions positions = {0}, again = {0};
	struct client_position position;
	struct jk_buffer token = {0};

	for (size_t i = 0; beat != NULL && i < beat->n_positions; i++)
		if (client_position_read(beat->positions[i], &position))
			(void)client_positions_set(&positions, &position);
	if (positions.count > 0) {
		fuzz_must(client_positions_token(&positions, &token) && client_positions_parse(&again, token.data));
		fuzz_must(again.count == positions.count);
	}
	jk_buffer_done(&token);
	client_positions_done(&positions);
	client_positions_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct client_link link = {.arena = fuzz_arena(16 * 1024 * 1024)};
	struct client_chains chains = {0};

	if (size == 0)
		return 0;
	const struct jk_dealer_message message = {.body = bytes + 1, .body_size = size - 1};
	if (bytes[0] % 3 == 0) {
		read_delivery(&link, &message, &chains);
		read_delivery(&link, &message, &chains);
		read_end(&link, &message, &chains);
	} else if (bytes[0] % 3 == 1) {
		read_receipt(&link, &message);
	} else {
		read_beat(&link, &message);
	}
	client_chains_done(&chains);
	return 0;
}
