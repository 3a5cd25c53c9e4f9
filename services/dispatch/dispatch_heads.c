/* dispatch_heads.c: see dispatch_heads.h. */
#include "dispatch_heads.h"

#include <string.h>

bool dispatch_heads_is_due(uint64_t new_events, int64_t since_last_ms)
{
	return new_events >= DISPATCH_HEAD_EVERY_EVENTS || (new_events > 0 && since_last_ms >= DISPATCH_HEAD_EVERY_MS);
}

static void hash_leaf(uint8_t ret[32], const struct jk_head *stream)
{
	uint8_t leaf[4 + JK_STREAM_BYTES + 8 + 32];
	size_t name_size = strlen(stream->stream);
	uint8_t *at = leaf;

	jk_put_be32(at, (uint32_t)name_size);
	at += 4;
	memcpy(at, stream->stream, name_size);
	at += name_size;
	jk_put_be64(at, stream->last_seq);
	at += 8;
	memcpy(at, stream->last_chain, sizeof stream->last_chain);
	at += sizeof stream->last_chain;
	jk_merkle_leaf(ret, leaf, (size_t)(at - leaf));
}

void dispatch_heads_sign(const struct jk_head *streams, size_t count, const struct jk_key *key, int64_t now_us,
	uint8_t (*leaves)[32], struct dispatch_signed_head *ret_head)
{
	static const char label[] = "jk-head-1";
	uint8_t signed_text[sizeof label - 1 + 32 + 8];

	for (size_t i = 0; i < count; i++)
		hash_leaf(leaves[i], &streams[i]);
	jk_merkle_root(ret_head->root, leaves, count);
	memcpy(signed_text, label, sizeof label - 1);
	memcpy(signed_text + sizeof label - 1, ret_head->root, sizeof ret_head->root);
	jk_put_be64(signed_text + sizeof label - 1 + sizeof ret_head->root, (uint64_t)now_us);
	jk_sign(ret_head->signature, key, signed_text, sizeof signed_text);
	memcpy(ret_head->public_key, key->sign_public, sizeof ret_head->public_key);
	ret_head->signed_at_us = now_us;
}
