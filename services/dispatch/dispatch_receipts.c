/* dispatch_receipts.c: see dispatch_receipts.h. Entries in the order they came, and an open-addressing index over them that is
 * rebuilt when it grows or entries are taken. */
#include "dispatch_receipts.h"

#include <stdlib.h>
#include <string.h>

enum { INDEX_MIN = 256 };

struct dispatch_receipts {
	struct dispatch_receipt *entries;
	size_t count, capacity;
	uint32_t *index;   /* entry + 1; 0: free */
	size_t index_size; /* a power of two, at least twice the capacity */
};

struct dispatch_receipts *dispatch_receipts_new(void)
{
	return calloc(1, sizeof(struct dispatch_receipts));
}

void dispatch_receipts_free(struct dispatch_receipts **receipts_p)
{
	if (*receipts_p == NULL)
		return;
	free((*receipts_p)->entries);
	free((*receipts_p)->index);
	free(*receipts_p);
	*receipts_p = NULL;
}

static bool is_same(const struct dispatch_receipt *a, const struct dispatch_receipt *b)
{
	return a->desk_id == b->desk_id && a->agency_id == b->agency_id && a->stream == b->stream;
}

/* The slot that holds the entry, or the free one where it belongs. */
static uint32_t *find_slot(struct dispatch_receipts *receipts, const struct dispatch_receipt *receipt)
{
	uint64_t mixed = ((uint64_t)(uint32_t)receipt->desk_id << 32 | (uint32_t)receipt->agency_id) * 0x9e3779b97f4a7c15U;
	size_t i = (size_t)((mixed >> 20) ^ ((uintptr_t)receipt->stream >> 4)) & (receipts->index_size - 1);

	while (receipts->index[i] != 0 && !is_same(&receipts->entries[receipts->index[i] - 1], receipt))
		i = (i + 1) & (receipts->index_size - 1);
	return &receipts->index[i];
}

static void rebuild_index(struct dispatch_receipts *receipts)
{
	memset(receipts->index, 0, receipts->index_size * sizeof receipts->index[0]);
	for (size_t i = 0; i < receipts->count; i++)
		*find_slot(receipts, &receipts->entries[i]) = (uint32_t)i + 1;
}

static bool grow(struct dispatch_receipts *receipts)
{
	size_t index_size = receipts->index_size == 0 ? INDEX_MIN : receipts->index_size * 2;
	struct dispatch_receipt *entries = realloc(receipts->entries, index_size / 2 * sizeof *entries);
	uint32_t *index;

	if (entries == NULL)
		return false;
	receipts->entries = entries;
	index = realloc(receipts->index, index_size * sizeof *index);
	if (index == NULL)
		return false;
	receipts->index = index;
	receipts->index_size = index_size;
	receipts->capacity = index_size / 2;
	rebuild_index(receipts);
	return true;
}

bool dispatch_receipts_add(struct dispatch_receipts *receipts, const struct dispatch_receipt *receipt)
{
	uint32_t *slot;

	if (receipts->count == receipts->capacity && !grow(receipts))
		return false;
	slot = find_slot(receipts, receipt);
	if (*slot == 0) {
		receipts->entries[receipts->count] = *receipt;
		*slot = (uint32_t)++receipts->count;
	} else if (receipts->entries[*slot - 1].up_to_seq < receipt->up_to_seq) {
		receipts->entries[*slot - 1].up_to_seq = receipt->up_to_seq;
	}
	return true;
}

size_t dispatch_receipts_take(struct dispatch_receipts *receipts, struct dispatch_receipt *ret, size_t capacity)
{
	size_t taken = receipts->count < capacity ? receipts->count : capacity;

	if (taken == 0)
		return 0;
	memcpy(ret, receipts->entries, taken * sizeof *ret);
	receipts->count -= taken;
	memmove(receipts->entries, receipts->entries + taken, receipts->count * sizeof *ret);
	rebuild_index(receipts);
	return taken;
}

size_t dispatch_receipts_count(const struct dispatch_receipts *receipts)
{
	return receipts->count;
}
