/* registry_known.c: see registry_known.h. */
#include "registry/registry_known.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t free_slot[REGISTRY_DIGEST_BYTES];

/* Where the digest is, or the free slot where it belongs. Digests are as good as random. */
static uint8_t *find_slot(const struct registry_digests *digests, const uint8_t digest[REGISTRY_DIGEST_BYTES])
{
	size_t slot;

	memcpy(&slot, digest, sizeof slot);
	for (slot &= digests->slot_count - 1; memcmp(digests->slots[slot], free_slot, sizeof free_slot) != 0 &&
					      memcmp(digests->slots[slot], digest, REGISTRY_DIGEST_BYTES) != 0;
		slot = (slot + 1) & (digests->slot_count - 1))
		;
	return digests->slots[slot];
}

static bool has(const struct registry_digests *digests, const uint8_t digest[REGISTRY_DIGEST_BYTES])
{
	return digests->count > 0 && memcmp(find_slot(digests, digest), digest, REGISTRY_DIGEST_BYTES) == 0;
}

static bool grow(struct registry_digests *digests)
{
	struct registry_digests grown = {.slot_count = digests->slot_count == 0 ? 256 : 2 * digests->slot_count};

	grown.slots = calloc(grown.slot_count, sizeof *grown.slots);
	if (grown.slots == NULL)
		return false;
	for (size_t i = 0; i < digests->slot_count; i++)
		if (memcmp(digests->slots[i], free_slot, sizeof free_slot) != 0)
			memcpy(find_slot(&grown, digests->slots[i]), digests->slots[i], REGISTRY_DIGEST_BYTES);
	grown.count = digests->count;
	free(digests->slots);
	*digests = grown;
	return true;
}

bool registry_known_has(struct registry_known *known, const uint8_t digest[REGISTRY_DIGEST_BYTES])
{
	if (has(&known->now, digest))
		return true;
	if (!has(&known->before, digest))
		return false;
	registry_known_learn(known, digest);
	return true;
}

void registry_known_learn(struct registry_known *known, const uint8_t digest[REGISTRY_DIGEST_BYTES])
{
	struct registry_digests *now = &known->now;

	if (memcmp(digest, free_slot, sizeof free_slot) == 0 || has(now, digest))
		return;
	if (2 * (now->count + 1) > now->slot_count && !grow(now))
		return;
	memcpy(find_slot(now, digest), digest, REGISTRY_DIGEST_BYTES);
	now->count++;
}

void registry_known_turn(struct registry_known *known)
{
	free(known->before.slots);
	known->before = known->now;
	known->now = (struct registry_digests){0};
}

void registry_known_done(struct registry_known *known)
{
	free(known->before.slots);
	free(known->now.slots);
	*known = (struct registry_known){0};
}
