/* dispatch_wants.c: see dispatch_wants.h. */
#include "dispatch_wants.h"

#include <string.h>

enum {
	SLOTS = DISPATCH_WANTS_KEPT * 2,
	PATIENCE = 16,   /* readings after which a want counts as old */
	FORGOTTEN = 256, /* readings in which nobody asked again: who waited is gone */
};

static size_t slot_of(const struct dispatch_stream *stream, uint64_t block)
{
	uint64_t mixed = ((uint64_t)(uintptr_t)stream >> 4) * 0x9e3779b97f4a7c15U + block * 0xff51afd7ed558ccdU;

	return (size_t)(mixed ^ (mixed >> 29)) % SLOTS;
}

static bool is_block(const struct dispatch_wanted *wanted, const struct dispatch_stream *stream, uint64_t block)
{
	return wanted->stream == stream && dispatch_rules_block_of(wanted->after + 1) == block;
}

void dispatch_wants_add(struct dispatch_wants *wants, struct dispatch_stream *stream, uint64_t after)
{
	uint64_t block = dispatch_rules_block_of(after + 1);
	size_t slot = slot_of(stream, block);
	struct dispatch_wanted *wanted;

	while (wants->slots[slot].stream != NULL && !is_block(&wants->slots[slot], stream, block))
		slot = (slot + 1) % SLOTS;
	wanted = &wants->slots[slot];
	if (wanted->stream == NULL) {
		if (wants->count == DISPATCH_WANTS_KEPT)
			return;
		wants->count++;
		*wanted = (struct dispatch_wanted){.stream = stream, .after = after, .since = wants->reading};
	}
	wanted->sessions++;
	wanted->asked = wants->reading;
	/* Who needs the block from an earlier number on decides; one that has grown meanwhile is read from where it ends. */
	if (!wanted->flying && after < wanted->after)
		wanted->after = after;
}

/* The slots after a freed one move up, so that no search ends too early. */
static void free_slot(struct dispatch_wants *wants, size_t slot)
{
	struct dispatch_wanted *slots = wants->slots;

	wants->count--;
	slots[slot].stream = NULL;
	for (size_t next = (slot + 1) % SLOTS; slots[next].stream != NULL; next = (next + 1) % SLOTS) {
		size_t home = slot_of(slots[next].stream, dispatch_rules_block_of(slots[next].after + 1));

		if ((next + SLOTS - home) % SLOTS < (next + SLOTS - slot) % SLOTS)
			continue;
		slots[slot] = slots[next];
		slots[next].stream = NULL;
		slot = next;
	}
}

static bool is_newest(const struct dispatch_wanted *wanted)
{
	return dispatch_rules_block_of(wanted->after + 1) >= dispatch_rules_block_of(wanted->stream->last_seq);
}

static size_t take_newest(struct dispatch_wants *wants, struct dispatch_wanted **ret, size_t capacity)
{
	size_t taken = 0;

	for (size_t i = 0; i < SLOTS && taken < capacity; i++) {
		struct dispatch_wanted *wanted = &wants->slots[i];

		if (wanted->stream == NULL || wanted->stream->last_seq == 0 || !is_newest(wanted))
			continue;
		wanted->flying = true;
		ret[taken++] = wanted;
	}
	return taken;
}

/* oldest: the one that waits longest, of those that do for long; else the one most wait for. */
static struct dispatch_wanted *find_next(struct dispatch_wants *wants, bool oldest)
{
	struct dispatch_wanted *best = NULL;

	for (size_t i = 0; i < SLOTS; i++) {
		struct dispatch_wanted *wanted = &wants->slots[i];

		if (wanted->stream == NULL || wanted->flying || (oldest && wants->reading - wanted->since < PATIENCE))
			continue;
		if (best == NULL || (oldest ? wanted->since < best->since : wanted->sessions > best->sessions))
			best = wanted;
	}
	return best;
}

static void forget_those_that_left(struct dispatch_wants *wants)
{
	for (size_t i = 0; i < SLOTS; i++)
		while (wants->slots[i].stream != NULL && wants->reading - wants->slots[i].asked > FORGOTTEN)
			free_slot(wants, i);
}

size_t dispatch_wants_begin(struct dispatch_wants *wants, struct dispatch_wanted **ret, size_t capacity)
{
	size_t taken, catch_up;

	wants->reading++;
	if (wants->count == 0)
		return 0;
	forget_those_that_left(wants);
	taken = take_newest(wants, ret, capacity);
	catch_up = capacity - taken < DISPATCH_CATCH_UP_BLOCKS ? capacity - taken : DISPATCH_CATCH_UP_BLOCKS;
	for (size_t i = 0; i < catch_up; i++) {
		struct dispatch_wanted *wanted = i % 4 == 3 ? find_next(wants, true) : NULL;

		if (wanted == NULL)
			wanted = find_next(wants, false);
		if (wanted == NULL)
			break;
		wanted->flying = true;
		ret[taken++] = wanted;
	}
	return taken;
}

void dispatch_wants_end(struct dispatch_wants *wants)
{
	for (size_t i = 0; i < SLOTS; i++)
		while (wants->slots[i].stream != NULL && wants->slots[i].flying)
			free_slot(wants, i);
}
