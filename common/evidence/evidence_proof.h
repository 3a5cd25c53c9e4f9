/* evidence_proof.h: a proof that an event stands in its streams: from the event, link by link, to the next signed head. Written
 * with the database at hand, checked without. The form is EvidenceProof of proto/jukwaa/v1/evidence.proto, in JSON. Not here:
 * finding the rows (services/cli). */
#pragma once

#include "evidence/evidence_head.h"
#include "feed/feed_body.h"

/* Links in one proof at most. A head comes every 1,000 events while dispatch runs; where it was away for longer, the streams are
 * exported instead. */
enum { JK_PROOF_LINKS_MAX = 20000, JK_PROOF_MAX_BYTES = 16 << 20 };

/* Writing, in this order: begin, for each stream (stream, link…, path), end; no stream twice. Numbers are written as they are
 * hashed. */
void jk_proof_begin(struct jk_buffer *text, const struct jk_id *event_id);
/* previous: the chain before the first link, NULL for seq 1. */
void jk_proof_stream(struct jk_buffer *text, const char *stream, const uint8_t *previous);
void jk_proof_link(struct jk_buffer *text, const struct jk_chain_link *link);
void jk_proof_path(struct jk_buffer *text, const struct jk_audit_step *steps, size_t count);
void jk_proof_end(struct jk_buffer *text, const struct jk_signed_head *head);

/* What a proof that holds has shown: this event stood there with this chain. */
struct jk_proven {
	struct jk_chain_link link;
	uint8_t chain[32];
	uint64_t links; /* up to the head */
};
typedef void jk_proof_position(void *arg, const struct jk_proven *position);
/* Reads and checks; keys: those of which one must have signed the head. False: ret_refusal says what does not hold (field: the
 * member of the proof). position is called for each stream, once, only when all of it holds. */
bool jk_proof_check(const char *text, size_t size, const uint8_t (*keys)[32], size_t key_count, jk_proof_position *position,
	void *arg, struct jk_signed_head *ret_head, struct jk_refusal *ret_refusal);
