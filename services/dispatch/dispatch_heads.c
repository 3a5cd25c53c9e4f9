/* dispatch_heads.c: see dispatch_heads.h. */
#include "dispatch_heads.h"

bool dispatch_heads_is_due(uint64_t new_events, int64_t since_last_ms)
{
	return new_events >= DISPATCH_HEAD_EVERY_EVENTS || (new_events > 0 && since_last_ms >= DISPATCH_HEAD_EVERY_MS);
}

void dispatch_heads_sign(const struct jk_head *streams, size_t count, const struct jk_key *key, int64_t now_us,
	uint8_t (*leaves)[32], struct jk_signed_head *ret_head)
{
	for (size_t i = 0; i < count; i++)
		jk_leaf_hash(leaves[i], streams[i].stream, streams[i].last_seq, streams[i].last_chain);
	*ret_head = (struct jk_signed_head){.signed_at_us = now_us};
	jk_merkle_root(ret_head->root, leaves, count);
	jk_head_sign(ret_head, key);
}
