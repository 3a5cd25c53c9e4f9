#include "evidence/evidence_head.h"

#include <string.h>

void jk_leaf_hash(uint8_t ret[32], const char *stream, uint64_t seq, const uint8_t chain[32])
{
	uint8_t leaf[4 + JK_LEAF_STREAM_BYTES + 8 + 32];
	size_t name_size = strnlen(stream, JK_LEAF_STREAM_BYTES);
	uint8_t *at = leaf;

	jk_put_be32(at, (uint32_t)name_size);
	at += 4;
	memcpy(at, stream, name_size);
	at += name_size;
	jk_put_be64(at, seq);
	at += 8;
	memcpy(at, chain, 32);
	at += 32;
	jk_merkle_leaf(ret, leaf, (size_t)(at - leaf));
}

#define LABEL "jk-head-1"
enum { SIGNED_BYTES = sizeof LABEL - 1 + 32 + 8 };

static void write_signed_text(uint8_t ret[SIGNED_BYTES], const struct jk_signed_head *head)
{
	memcpy(ret, LABEL, sizeof LABEL - 1);
	memcpy(ret + sizeof LABEL - 1, head->root, sizeof head->root);
	jk_put_be64(ret + sizeof LABEL - 1 + sizeof head->root, (uint64_t)head->signed_at_us);
}

void jk_head_sign(struct jk_signed_head *head, const struct jk_key *key)
{
	uint8_t text[SIGNED_BYTES];

	write_signed_text(text, head);
	jk_sign(head->signature, key, text, sizeof text);
	memcpy(head->public_key, key->sign_public, sizeof head->public_key);
}

bool jk_head_is_signed(const struct jk_signed_head *head)
{
	uint8_t text[SIGNED_BYTES];

	write_signed_text(text, head);
	return jk_verify(head->signature, head->public_key, text, sizeof text);
}

static void join(uint8_t ret[32], const uint8_t left[32], const uint8_t right[32])
{
	const struct jk_span spans[] = {{"\1", 1}, {left, 32}, {right, 32}};
	uint8_t node[32];

	jk_sha256(node, spans, 3);
	memcpy(ret, node, sizeof node);
}

/* Level by level, as jk_merkle_root goes; a node without a partner moves up and adds no step. */
size_t jk_audit_path(uint8_t (*leaves)[32], size_t count, size_t index, struct jk_audit_step ret_steps[JK_AUDIT_MAX])
{
	size_t steps = 0;

	for (; count > 1 && steps < JK_AUDIT_MAX; count = (count + 1) / 2, index /= 2) {
		size_t beside = index ^ 1;

		if (beside < count) {
			ret_steps[steps].left = beside < index;
			memcpy(ret_steps[steps++].digest, leaves[beside], 32);
		}
		for (size_t i = 0; i + 1 < count; i += 2)
			join(leaves[i / 2], leaves[i], leaves[i + 1]);
		if (count % 2)
			memmove(leaves[count / 2], leaves[count - 1], 32);
	}
	return steps;
}

void jk_audit_root(uint8_t ret[32], const uint8_t leaf[32], const struct jk_audit_step *steps, size_t count)
{
	memmove(ret, leaf, 32);
	for (size_t i = 0; i < count; i++) {
		if (steps[i].left)
			join(ret, steps[i].digest, ret);
		else
			join(ret, ret, steps[i].digest);
	}
}
