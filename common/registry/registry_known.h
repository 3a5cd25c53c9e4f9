/* registry_known.h: inside this part: digests of acts that were verified before, so that a thousand agreements need no thousand
 * verifications each time a row changes. What a load did not ask for is forgotten with the next. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REGISTRY_DIGEST_BYTES = 32 };

/* Open addressing over digests; all zero is free. */
struct registry_digests {
	uint8_t (*slots)[REGISTRY_DIGEST_BYTES];
	size_t slot_count, count;
};
/* Zero-initialise. */
struct registry_known {
	struct registry_digests before, now;
};

bool registry_known_has(struct registry_known *known, const uint8_t digest[REGISTRY_DIGEST_BYTES]);
/* Without memory it is not remembered, and verified again. */
void registry_known_learn(struct registry_known *known, const uint8_t digest[REGISTRY_DIGEST_BYTES]);
/* A load begins. */
void registry_known_turn(struct registry_known *known);
void registry_known_done(struct registry_known *known);
