/* Receipts, and the warnings that are kept to be given again. */
#include <string.h>

#include "base/jk_text.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "services/intake/intake_wire.h"
#include "wire/wire_body.h"

void *intake_wire_message(struct jk_arena *arena, const ProtobufCMessageDescriptor *type)
{
	void *message = jk_arena_alloc(arena, type->sizeof_message);

	if (message)
		type->message_init(message);
	return message;
}

const uint8_t *intake_wire_pack_warnings(const struct intake_warnings *warnings, struct jk_arena *arena, size_t *ret_size)
{
	Jukwaa__V1__Receipt receipt = JUKWAA__V1__RECEIPT__INIT;
	Jukwaa__V1__Warning list[INTAKE_WARNINGS_MAX], *pointers[INTAKE_WARNINGS_MAX];

	*ret_size = 0;
	if (warnings->count == 0)
		return NULL;
	for (size_t i = 0; i < warnings->count; i++) {
		jukwaa__v1__warning__init(&list[i]);
		list[i].code = (Jukwaa__V1__Code)warnings->list[i].code;
		list[i].field = (char *)warnings->list[i].field;
		list[i].reason = (char *)warnings->list[i].reason;
		pointers[i] = &list[i];
	}
	receipt.n_warnings = warnings->count;
	receipt.warnings = pointers;
	return jk_body_pack(&receipt.base, arena, ret_size);
}

static bool receipt_positions(Jukwaa__V1__Receipt *receipt, const struct intake_answer *answer, struct jk_arena *arena)
{
	Jukwaa__V1__Position *list = jk_arena_alloc(arena, answer->position_count * sizeof *list);
	Jukwaa__V1__Position **pointers = jk_arena_alloc(arena, answer->position_count * sizeof *pointers);
	if (!list || !pointers)
		return false;
	for (size_t i = 0; i < answer->position_count; i++) {
		const struct intake_position *position = &answer->positions[i];
		jukwaa__v1__position__init(&list[i]);
		list[i].stream = (char *)position->stream;
		list[i].seq = position->seq;
		list[i].chain = (ProtobufCBinaryData){sizeof position->chain, (uint8_t *)position->chain};
		pointers[i] = &list[i];
	}
	receipt->positions = pointers;
	receipt->n_positions = answer->position_count;
	return true;
}

static bool receipt_warnings(Jukwaa__V1__Receipt *receipt, const struct intake_answer *answer, struct jk_arena *arena)
{
	struct jk_refusal unused;

	if (!answer->warnings)
		return true;
	const Jukwaa__V1__Receipt *kept = (const Jukwaa__V1__Receipt *)jk_body_unpack(
		&jukwaa__v1__receipt__descriptor, answer->warnings, answer->warnings_size, arena, &unused);
	if (!kept)
		return false;
	receipt->warnings = kept->warnings;
	receipt->n_warnings = kept->n_warnings;
	return true;
}

static void receipt_ids(Jukwaa__V1__Receipt *receipt, const struct intake_answer *answer)
{
	receipt->incident_id = (ProtobufCBinaryData){sizeof answer->incident_id, (uint8_t *)answer->incident_id.bytes};
	receipt->event_id = (ProtobufCBinaryData){sizeof answer->event_id, (uint8_t *)answer->event_id.bytes};
}

static bool receipt_answer(Jukwaa__V1__Receipt *receipt, const struct intake_answer *answer, struct jk_arena *arena)
{
	receipt_ids(receipt, answer);
	/* A first answer outlives its events; then it says where they stood no more. */
	if (answer->position_count == 0)
		return receipt_warnings(receipt, answer, arena);
	receipt->epoch = answer->epoch;
	receipt->commitment = (ProtobufCBinaryData){sizeof answer->commitment, (uint8_t *)answer->commitment};
	return receipt_positions(receipt, answer, arena) && receipt_warnings(receipt, answer, arena);
}

static void receipt_reader(Jukwaa__V1__Audience *ret, const struct intake_reader *reader)
{
	const struct jk_term *term = reader->decision.term;

	jukwaa__v1__audience__init(ret);
	ret->county = (char *)reader->county;
	ret->desk = (char *)reader->desk;
	ret->agency = (char *)reader->agency;
	ret->hidden_desks = reader->hidden_desks;
	ret->effect = reader->decision.effect == JK_ALLOW ? (char *)"ALLOW" : (char *)"ALLOW_REDACTED";
	ret->reason = reader->hidden_desks > 0 ? (char *)"a task force under an agreement" : (char *)reader->decision.reason;
	if (term == NULL)
		return;
	ret->agreement = (char *)term->code;
	ret->version = term->version;
	ret->profile = (char *)jk_profile_name(term->profile);
}

static bool receipt_audience(Jukwaa__V1__Receipt *receipt, const struct intake_audience *audience, struct jk_arena *arena)
{
	Jukwaa__V1__Audience *list = jk_arena_alloc(arena, audience->count * sizeof *list);
	Jukwaa__V1__Audience **pointers = jk_arena_alloc(arena, audience->count * sizeof *pointers);

	if (audience->count == 0)
		return true;
	if (!list || !pointers)
		return false;
	for (size_t i = 0; i < audience->count; i++) {
		receipt_reader(&list[i], &audience->readers[i]);
		pointers[i] = &list[i];
	}
	receipt->n_audience = audience->count;
	receipt->audience = pointers;
	receipt->audience_more = (uint32_t)audience->more;
	return true;
}

/* Cut at 256 bytes, whatever the format's reader lets pass (CAP: sender, identifier and sent, 534 at most): whoever reads no
 * receipts lets thousands of them pile up. The publisher knows its report by the request. */
static bool receipt_external_id(Jukwaa__V1__Receipt *receipt, const char *external_id, struct jk_arena *arena)
{
	char *cut;

	if (external_id && strlen(external_id) > INTAKE_NAME_MAX_BYTES) {
		cut = jk_arena_alloc(arena, INTAKE_NAME_MAX_BYTES + 1);
		if (!cut)
			return false;
		(void)jk_text_copy(cut, INTAKE_NAME_MAX_BYTES + 1, external_id);
		receipt->external_id = cut;
	} else if (external_id) {
		receipt->external_id = (char *)external_id;
	}
	return true;
}

const ProtobufCMessage *intake_wire_receipt(const struct intake_item *item)
{
	Jukwaa__V1__Receipt *receipt = intake_wire_message(item->arena, &jukwaa__v1__receipt__descriptor);
	bool whole = true;

	if (!receipt || !receipt_external_id(receipt, item->report.external_id, item->arena))
		return NULL;
	receipt->session = item->session;
	receipt->request = item->request;
	receipt->verdict = (Jukwaa__V1__Verdict)item->verdict;
	receipt->revision = item->report.revision;
	if (item->verdict == JK_VERDICT_STORED) {
		whole = receipt_answer(receipt, item->answer, item->arena);
	} else if (item->verdict == JK_VERDICT_DUPLICATE) {
		whole = receipt_answer(receipt, item->decision.first, item->arena);
	} else if (item->verdict == JK_VERDICT_VALID) {
		whole = receipt_warnings(receipt, item->answer, item->arena) &&
			receipt_audience(receipt, &item->audience, item->arena);
	} else if (item->verdict == JK_VERDICT_CONFLICT) {
		receipt_ids(receipt, item->decision.first);
		receipt->reason = (char *)"the same report came before with other content; the first stands";
	} else if (item->refusal) {
		receipt->code = (Jukwaa__V1__Code)item->refusal->code;
		receipt->field = item->refusal->field;
		receipt->reason = item->refusal->reason;
	}
	return whole ? &receipt->base : NULL;
}
