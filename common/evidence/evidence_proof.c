#include "evidence/evidence_proof.h"

#include <inttypes.h>
#include <string.h>

#include "evidence/evidence_wire.h"

#define FORM "jukwaa-proof-1"
enum { ARENA_BYTES = 128 << 20, STREAMS_MAX = 64 };

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* A comma unless something was just opened. */
static void separate(struct jk_buffer *text)
{
	if (text->size > 0 && text->data[text->size - 1] != '[' && text->data[text->size - 1] != '{')
		jk_buffer_append(text, ",", 1);
}

void jk_proof_begin(struct jk_buffer *text, const struct jk_id *event_id)
{
	char id[JK_ID_TEXT_BYTES];

	jk_id_format(id, event_id);
	jk_buffer_printf(text, "{\"form\":\"" FORM "\",\n\"event_id\":\"%s\",\n\"streams\":[", id);
}

void jk_proof_stream(struct jk_buffer *text, const char *stream, const uint8_t *previous)
{
	separate(text);
	jk_buffer_printf(text, "{\"stream\":\"%s\",", stream);
	evidence_write_bytes(text, "previous_chain", previous, previous ? 32 : 0);
	jk_buffer_printf(text, ",\n\"links\":[");
}

void jk_proof_link(struct jk_buffer *text, const struct jk_chain_link *link)
{
	char event_id[JK_ID_TEXT_BYTES], incident_id[JK_ID_TEXT_BYTES];

	jk_id_format(event_id, &link->event_id);
	jk_id_format(incident_id, &link->incident_id);
	separate(text);
	jk_buffer_printf(text,
		"\n{\"seq\":%" PRIu64 ",\"epoch\":%" PRIu32 ",\"recorded_at_us\":%" PRId64 ",\"event_id\":\"%s\",\"kind\":%d,"
		"\"incident_id\":\"%s\",\"revision\":%" PRId64 ",\"tlp\":%d,\"category\":%d,",
		link->seq, link->epoch, link->recorded_at_us, event_id, link->kind, incident_id, link->revision, link->tlp,
		link->category);
	evidence_write_bytes(text, "commitment", link->commitment, link->commitment_size);
	jk_buffer_append(text, "}", 1);
}

void jk_proof_path(struct jk_buffer *text, const struct jk_audit_step *steps, size_t count)
{
	jk_buffer_printf(text, "],\n\"audit\":[");
	for (size_t i = 0; i < count; i++) {
		separate(text);
		jk_buffer_append(text, "\n{", 2);
		evidence_write_bytes(text, "digest", steps[i].digest, sizeof steps[i].digest);
		jk_buffer_printf(text, ",\"left\":%s}", steps[i].left ? "true" : "false");
	}
	jk_buffer_append(text, "]}", 2);
}

void jk_proof_end(struct jk_buffer *text, const struct jk_signed_head *head)
{
	jk_buffer_printf(text, "],\n\"head\":{");
	evidence_write_head(text, head);
	jk_buffer_append(text, "}}\n", 3);
}

/* ---- checking --------------------------------------------------------------------------------------------------- */

static bool refuse(struct jk_refusal *ret_refusal, const char *field, const char *reason)
{
	return jk_refuse(ret_refusal, JK_CODE_BAD_SIGNATURE, field, "%s", reason);
}

static bool read_link(const Jukwaa__V1__ChainLink *message, const char *stream, struct jk_chain_link *ret)
{
	if (message->event_id.len != 16 || message->incident_id.len != 16 ||
		(message->commitment.len != 0 && message->commitment.len != 32) || message->kind > INT16_MAX ||
		message->tlp > INT16_MAX || message->category > INT16_MAX)
		return false;
	*ret = (struct jk_chain_link){.stream = stream,
		.seq = message->seq,
		.epoch = message->epoch,
		.recorded_at_us = message->recorded_at_us,
		.kind = (int)message->kind,
		.revision = message->revision,
		.tlp = (int)message->tlp,
		.category = (int)message->category,
		.commitment_size = message->commitment.len};
	memcpy(ret->event_id.bytes, message->event_id.data, 16);
	memcpy(ret->incident_id.bytes, message->incident_id.data, 16);
	if (message->commitment.len != 0)
		memcpy(ret->commitment, message->commitment.data, 32);
	return true;
}

/* From the first link to the last: *ret is the event's, ret_chain the last one's. */
static bool follow_links(
	const Jukwaa__V1__StreamProof *proof, struct jk_proven *ret, uint8_t ret_chain[32], struct jk_refusal *ret_refusal)
{
	const uint8_t *previous = NULL;

	*ret = (struct jk_proven){0};
	if (proof->n_links == 0 || proof->links[0]->seq == 0 || proof->previous_chain.len != (proof->links[0]->seq == 1 ? 0 : 32))
		return refuse(ret_refusal, "streams.previous_chain", "it begins nowhere");
	if (proof->previous_chain.len != 0)
		previous = proof->previous_chain.data;
	for (size_t i = 0; i < proof->n_links; i++) {
		struct jk_chain_link link;
		uint8_t chain[32];

		if (!read_link(proof->links[i], proof->stream, &link))
			return refuse(ret_refusal, "streams.links", "fields of a size that cannot be");
		if (link.seq != proof->links[0]->seq + i)
			return refuse(ret_refusal, "streams.links.seq", "numbers do not follow one another");
		jk_chain_next(chain, previous, &link);
		memcpy(ret_chain, chain, sizeof chain);
		previous = ret_chain;
		if (i > 0)
			continue;
		*ret = (struct jk_proven){.link = link, .links = proof->n_links - 1};
		memcpy(ret->chain, chain, sizeof chain);
	}
	return true;
}

static bool reaches_root(const Jukwaa__V1__StreamProof *proof, uint64_t last_seq, const uint8_t last_chain[32],
	const uint8_t root[32], struct jk_refusal *ret_refusal)
{
	struct jk_audit_step steps[JK_AUDIT_MAX];
	uint8_t reached[32];

	if (proof->n_audit > JK_AUDIT_MAX)
		return refuse(ret_refusal, "streams.audit", "longer than any tree is high");
	for (size_t i = 0; i < proof->n_audit; i++) {
		if (proof->audit[i]->digest.len != 32)
			return refuse(ret_refusal, "streams.audit.digest", "not a digest");
		memcpy(steps[i].digest, proof->audit[i]->digest.data, 32);
		steps[i].left = proof->audit[i]->left;
	}
	jk_leaf_hash(reached, proof->stream, last_seq, last_chain);
	jk_audit_root(reached, reached, steps, proof->n_audit);
	if (memcmp(reached, root, 32) != 0)
		return refuse(
			ret_refusal, "streams.audit", "the links do not lead to the head's root: something in them was changed");
	return true;
}

static bool check_stream(const Jukwaa__V1__EvidenceProof *proof, const Jukwaa__V1__StreamProof *stream, const uint8_t root[32],
	struct jk_proven *ret, struct jk_refusal *ret_refusal)
{
	uint8_t chain[32];
	size_t name_size = strlen(stream->stream);

	if (name_size == 0 || name_size >= JK_LEAF_STREAM_BYTES)
		return refuse(ret_refusal, "streams.stream", "not the name of a stream");
	if (!follow_links(stream, ret, chain, ret_refusal))
		return false;
	if (proof->event_id.len != 16 || memcmp(ret->link.event_id.bytes, proof->event_id.data, 16) != 0)
		return refuse(ret_refusal, "event_id", "the first link is another event's");
	return reaches_root(stream, ret->link.seq + ret->links, chain, root, ret_refusal);
}

static bool check_head(const Jukwaa__V1__SignedHead *message, const uint8_t (*keys)[32], size_t key_count,
	struct jk_signed_head *ret, struct jk_refusal *ret_refusal)
{
	if (!message || !evidence_read_head(message, ret))
		return refuse(ret_refusal, "head", "there is no whole signed head");
	if (!jk_head_is_signed(ret))
		return refuse(ret_refusal, "head.signature", "the signature does not hold");
	for (size_t i = 0; i < key_count; i++)
		if (memcmp(keys[i], ret->public_key, 32) == 0)
			return true;
	return refuse(ret_refusal, "head.public_key", "signed by a key that is not the exchange's");
}

/* Said twice it would look like proof of two streams. */
static bool is_said_before(const Jukwaa__V1__EvidenceProof *proof, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(proof->streams[i]->stream, proof->streams[index]->stream) == 0)
			return true;
	return false;
}

static bool check(
	const Jukwaa__V1__EvidenceProof *proof, struct jk_proven *proven, const uint8_t root[32], struct jk_refusal *ret_refusal)
{
	if (strcmp(proof->form, FORM) != 0)
		return jk_refuse(ret_refusal, JK_CODE_UNSUPPORTED_VERSION, "form", "this program knows " FORM " only");
	if (proof->n_streams == 0 || proof->n_streams > STREAMS_MAX)
		return refuse(ret_refusal, "streams", "it proves nothing, or too much");
	for (size_t i = 0; i < proof->n_streams; i++) {
		if (is_said_before(proof, i))
			return refuse(ret_refusal, "streams.stream", "the same stream twice");
		if (!check_stream(proof, proof->streams[i], root, &proven[i], ret_refusal))
			return false;
	}
	return true;
}

bool jk_proof_check(const char *text, size_t size, const uint8_t (*keys)[32], size_t key_count, jk_proof_position *position,
	void *arg, struct jk_signed_head *ret_head, struct jk_refusal *ret_refusal)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_proven proven[STREAMS_MAX];
	const Jukwaa__V1__EvidenceProof *proof = NULL;
	bool good;

	if (arena)
		proof = (const void *)jk_json_read(&jukwaa__v1__evidence_proof__descriptor, text, size, arena, ret_refusal);
	else
		(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "", "no memory");
	good = proof && check_head(proof->head, keys, key_count, ret_head, ret_refusal) &&
	       check(proof, proven, ret_head->root, ret_refusal);
	for (size_t i = 0; good && i < proof->n_streams; i++)
		position(arg, &proven[i]);
	jk_arena_free(&arena);
	return good;
}
