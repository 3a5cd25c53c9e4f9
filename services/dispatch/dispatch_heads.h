/* dispatch_heads.h: the signed head over all streams, which every desk gets with its beats: whoever keeps one can later prove
 * that history was not rewritten behind it. Not here: reading and storing heads. */
#pragma once

#include "crypt/crypt.h"
#include "feed/feed_reader.h"

enum { DISPATCH_HEAD_EVERY_MS = 10000, DISPATCH_HEAD_EVERY_EVENTS = 1000 };

/* A signed head over all streams. */
struct dispatch_signed_head {
	uint8_t root[32], public_key[32], signature[64];
	int64_t signed_at_us;
};

/* True when a head is due: something moved since the last one, and it is long ago or much. */
bool dispatch_heads_is_due(uint64_t new_events, int64_t since_last_ms);

/* Root as in RFC 6962 over one leaf a stream, ascending by byte:
 *   length of its name, 32 bits big-endian | name | last seq, 64 bits big-endian | last chain, 32 bytes
 * signed with Ed25519 over "jk-head-1" | root | signed_at_us, 64 bits big-endian. leaves: scratch for `count` hashes. */
void dispatch_heads_sign(const struct jk_head *streams, size_t count, const struct jk_key *key, int64_t now_us,
	uint8_t (*leaves)[32], struct dispatch_signed_head *ret_head);
