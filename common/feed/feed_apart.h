/* feed_apart.h: what a body says beside its groups: that protected content is stored apart, that content was erased; and showing
 * protected content in a copy. Not here: where that content comes from, or who may have it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_arena.h"
#include "crypt/crypt.h"
#include "jukwaa/v1/feed.pb-c.h"

/* Bit n: protected group n has content in a table of its own. 0: none, or not a body of ours. */
uint32_t jk_body_apart(const uint8_t *body, size_t size);

/* What the body of an ERASED event says was erased, in arena memory. NULL: nothing, or the arena is full. */
Jukwaa__V1__Erasure *jk_body_erasure(const uint8_t *body, size_t size, struct jk_arena *arena);

/* Shows group `tag` of a copy in which it stands as a digest; salt (JK_SALT_BYTES) and content are borrowed. False, and nothing
 * is changed: this is not what the digest was made of. */
bool jk_body_show(Jukwaa__V1__EventBody *copy, int tag, const uint8_t *salt, struct jk_span content);
