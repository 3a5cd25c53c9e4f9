/* dispatch_heads.h: the signed head over all streams, which every desk gets with its beats: whoever keeps one can later prove
 * that history was not rewritten behind it. Not here: reading and storing heads. */
#pragma once

#include "evidence/evidence_head.h"
#include "feed/feed_reader.h"

enum { DISPATCH_HEAD_EVERY_MS = 10000, DISPATCH_HEAD_EVERY_EVENTS = 1000 };

/* True when a head is due: something moved since the last one, and it is long ago or much. */
bool dispatch_heads_is_due(uint64_t new_events, int64_t since_last_ms);

/* Root over one leaf a stream, ascending by byte, signed: see evidence_head.h. leaves: scratch for `count` hashes. */
void dispatch_heads_sign(const struct jk_head *streams, size_t count, const struct jk_key *key, int64_t now_us,
	uint8_t (*leaves)[32], struct jk_signed_head *ret_head);
