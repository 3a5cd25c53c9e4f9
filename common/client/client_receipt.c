#include "client/client_receipt.h"

#include <string.h>

#include "base/jk_id.h"
#include "base/jk_text.h"
#include "jukwaa/v1/intake.pb-c.h"

static void read_id(char ret[JK_ID_TEXT_BYTES], const ProtobufCBinaryData *bytes)
{
	struct jk_id id;

	ret[0] = '\0';
	if (bytes->len != sizeof id.bytes)
		return;
	memcpy(id.bytes, bytes->data, sizeof id.bytes);
	jk_id_format(ret, &id);
}

static void read_positions(const Jukwaa__V1__Receipt *wire, struct client_receipt *room, struct jukwaa_receipt *ret)
{
	size_t count = wire->n_positions < CLIENT_POSITIONS_MAX ? wire->n_positions : CLIENT_POSITIONS_MAX;

	for (size_t i = 0; i < count; i++) {
		const Jukwaa__V1__Position *from = wire->positions[i];
		struct jukwaa_position *to = &room->positions[i];

		*to = (struct jukwaa_position){.seq = from->seq};
		(void)jk_text_copy(to->stream, sizeof to->stream, from->stream);
		if (from->chain.len == sizeof to->chain)
			memcpy(to->chain, from->chain.data, sizeof to->chain);
	}
	ret->positions = room->positions;
	ret->position_count = count;
}

static void read_warnings(const Jukwaa__V1__Receipt *wire, struct client_receipt *room, struct jukwaa_receipt *ret)
{
	size_t count = wire->n_warnings < CLIENT_WARNINGS_MAX ? wire->n_warnings : CLIENT_WARNINGS_MAX;

	for (size_t i = 0; i < count; i++) {
		const Jukwaa__V1__Warning *from = wire->warnings[i];

		room->warnings[i] = (struct jukwaa_warning){jk_words_name(&jk_codes, (int)from->code), from->field, from->reason};
	}
	ret->warnings = room->warnings;
	ret->warning_count = count;
}

static void read_audience(const Jukwaa__V1__Receipt *wire, struct client_receipt *room, struct jukwaa_receipt *ret)
{
	size_t count = wire->n_audience < CLIENT_AUDIENCE_MAX ? wire->n_audience : CLIENT_AUDIENCE_MAX;

	for (size_t i = 0; i < count; i++) {
		const Jukwaa__V1__Audience *from = wire->audience[i];

		room->audience[i] = (struct jukwaa_reader){.county = from->county,
			.desk = from->desk,
			.agency = from->agency,
			.hidden_desks = from->hidden_desks,
			.effect = from->effect,
			.agreement = from->agreement,
			.version = from->version,
			.profile = from->profile,
			.reason = from->reason};
	}
	ret->audience = room->audience;
	ret->audience_count = count;
	ret->audience_more = wire->audience_more + wire->n_audience - count;
}

bool client_receipt_read(
	struct client_link *link, const uint8_t *body, size_t size, struct client_receipt *room, struct jukwaa_receipt *ret)
{
	const struct jk_dealer_message message = {.body = body, .body_size = size};
	const Jukwaa__V1__Receipt *wire = (const void *)client_link_read(link, &jukwaa__v1__receipt__descriptor, &message);

	if (!wire)
		return false;
	ret->verdict = jk_words_name(&jk_verdicts, (int)wire->verdict);
	ret->external_id = wire->external_id;
	ret->revision = wire->revision;
	ret->epoch = wire->epoch;
	ret->code = wire->code ? jk_words_name(&jk_codes, (int)wire->code) : "";
	ret->field = wire->field;
	ret->reason = wire->reason;
	read_id(ret->incident_id, &wire->incident_id);
	read_id(ret->event_id, &wire->event_id);
	read_positions(wire, room, ret);
	read_warnings(wire, room, ret);
	read_audience(wire, room, ret);
	return true;
}
