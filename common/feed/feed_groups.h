/* feed_groups.h: inside this part only. Reads stored bodies by walking their bytes: an event is labelled for every desk and
 * copied for many, and unpacking a long narrative only to find its headline costs more than all the rest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_words.h"
#include "crypt/crypt.h"
#include "jukwaa/v1/feed.pb-c.h"

/* A place in protobuf bytes; borrowed. */
struct feed_walk {
	const uint8_t *at, *end;
};
/* One field. `value` for varints and numbers of 64 bits, `bytes` for length-delimited ones; those of 32 bits are passed over. */
struct feed_field {
	uint32_t number;
	bool is_varint, is_fixed64, is_bytes;
	uint64_t value;
	struct jk_span bytes;
};
struct feed_walk feed_walk_over(struct jk_span bytes);
/* False at the end, and on malformed bytes: then walk->at is NULL. */
bool feed_walk_next(struct feed_walk *walk, struct feed_field *ret);

/* One group of a body: shown (salt of JK_SALT_BYTES and content) or withheld (digest alone). */
struct feed_group {
	struct jk_span salt, content, digest;
};
/* How many groups a body may have. */
bool feed_groups_is_count(size_t count);
bool feed_group_is_sound(const struct feed_group *group);

/* A body's groups in ascending order, index tag - 1: JK_GROUP_COUNT of them, JK_GROUP_MAX, or JK_GROUP_COUNT_OLD; empty ones
 * after them. */
struct feed_groups {
	size_t count;
	struct feed_group items[JK_GROUP_MAX];
};
/* False when it is not a body of ours. Unknown fields are passed over. */
bool feed_groups_read(struct jk_span body, struct feed_groups *ret);
/* What the content of WORDS has of Incident's message `type`; size 0: nothing. */
struct jk_span feed_words_of(struct jk_span words, int type);
/* The digest of a group, computed where it is shown. */
void feed_group_digest(const struct feed_group *group, uint8_t ret[JK_SHA256_BYTES]);
void feed_groups_commit(const struct feed_groups *groups, uint8_t ret_commitment[JK_SHA256_BYTES]);
