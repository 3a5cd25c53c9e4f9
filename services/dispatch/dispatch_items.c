/* dispatch_items.c: see dispatch_items.h. */
#include "dispatch_items.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 64 };

void dispatch_items_done(struct dispatch_items *items)
{
	free(items->items);
	free(items->turns);
	free(items->late);
	free(items->ranges);
	*items = (struct dispatch_items){0};
}

size_t dispatch_items_bytes(const struct dispatch_items *items)
{
	return items->capacity * sizeof items->items[0] + items->count * sizeof items->turns[0] +
	       items->range_count * sizeof items->ranges[0];
}

bool dispatch_items_add(struct dispatch_items *items, const struct dispatch_item *item)
{
	if (items->count == items->capacity) {
		size_t capacity = items->capacity == 0 ? CAPACITY_MIN : items->capacity * 2;
		struct dispatch_item *grown =
			capacity > UINT32_MAX / 2 ? NULL : realloc(items->items, capacity * sizeof items->items[0]);

		if (grown == NULL)
			return false;
		items->items = grown;
		items->capacity = capacity;
	}
	items->items[items->count] = *item;
	items->items[items->count].range = (uint32_t)items->count; /* its turn, until they are ordered */
	items->count++;
	return true;
}

static int compare_numbers(size_t left_place, uint64_t left_seq, const struct dispatch_item *right)
{
	if (left_place != right->place)
		return left_place < right->place ? -1 : 1;
	return left_seq < right->seq ? -1 : left_seq > right->seq;
}

static int compare_items(const void *left, const void *right)
{
	const struct dispatch_item *item = left;

	return compare_numbers(item->place, item->seq, right);
}

bool dispatch_items_order(struct dispatch_items *items)
{
	if (items->count == 0)
		return true;
	items->turns = calloc(items->count, sizeof items->turns[0]);
	if (items->turns == NULL)
		return false;
	qsort(items->items, items->count, sizeof items->items[0], compare_items);
	for (size_t i = 0; i < items->count; i++) {
		items->turns[items->items[i].range] = (uint32_t)i;
		items->items[i].range = 0;
	}
	items->turn_count = items->count;
	return true;
}

struct dispatch_item *dispatch_items_at(const struct dispatch_items *items, size_t turn)
{
	return turn < items->turn_count ? &items->items[items->turns[turn]] : NULL;
}

struct dispatch_item *dispatch_items_find(const struct dispatch_items *items, size_t place, uint64_t seq)
{
	size_t low = 0, high = items->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_numbers(place, seq, &items->items[middle]);

		if (order == 0)
			return &items->items[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* ---- rounds ---- */

bool dispatch_items_put_off(struct dispatch_items *items)
{
	uint32_t item = items->turns[items->next];

	if (items->late == NULL)
		items->late = calloc(items->count, sizeof items->late[0]);
	if (items->late == NULL)
		return false;
	items->late[items->late_count++] = item;
	items->items[item].late = true;
	items->next++;
	return true;
}

static int compare_turns(const void *left, const void *right)
{
	const uint32_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

bool dispatch_items_next_round(struct dispatch_items *items)
{
	if (items->late_count == 0)
		return false;
	memcpy(items->turns, items->late, items->late_count * sizeof items->turns[0]);
	qsort(items->turns, items->late_count, sizeof items->turns[0], compare_turns);
	items->turn_count = items->late_count;
	items->late_count = items->next = 0;
	return true;
}

/* ---- ranges ---- */

static bool fits(const struct dispatch_items_range *range, size_t held, const struct dispatch_item *item)
{
	return held > 0 && held < DISPATCH_ITEMS_A_RANGE && range->place == item->place &&
	       item->seq - range->from_seq < DISPATCH_RESERVE_MAX;
}

static bool add_range(struct dispatch_items *items, size_t *capacity, size_t first)
{
	const struct dispatch_item *item = &items->items[first];

	if (items->range_count == *capacity) {
		size_t more = *capacity == 0 ? CAPACITY_MIN : *capacity * 2;
		struct dispatch_items_range *grown = realloc(items->ranges, more * sizeof items->ranges[0]);

		if (grown == NULL)
			return false;
		items->ranges = grown;
		*capacity = more;
	}
	items->ranges[items->range_count++] =
		(struct dispatch_items_range){.from_seq = item->seq, .to_seq = item->seq, .first = first, .place = item->place};
	return true;
}

bool dispatch_items_cut(struct dispatch_items *items)
{
	size_t capacity = 0, held = 0;

	free(items->ranges);
	items->ranges = NULL;
	items->range_count = 0;
	for (size_t i = 0; i < items->count; i++) {
		struct dispatch_item *item = &items->items[i];
		struct dispatch_items_range *range;

		item->range = 0;
		if (item->term != 0)
			continue;
		if (held == 0 || !fits(&items->ranges[items->range_count - 1], held, item)) {
			held = 0;
			if (!add_range(items, &capacity, i))
				return false;
		}
		held++;
		range = &items->ranges[items->range_count - 1];
		range->to_seq = item->seq;
		range->last = i;
		item->range = (uint32_t)items->range_count;
	}
	return true;
}

struct dispatch_items_range *dispatch_items_range(const struct dispatch_items *items, const struct dispatch_item *item)
{
	return item->range == 0 ? NULL : &items->ranges[item->range - 1];
}

static bool was_sent(
	const struct dispatch_items *items, const struct dispatch_items_range *range, const struct dispatch_item *item)
{
	return item->term != 0 && dispatch_items_range(items, item) == range;
}

struct dispatch_record *dispatch_items_record(
	const struct dispatch_items *items, const struct dispatch_items_range *range, bool *ret_complete)
{
	struct dispatch_record *record = NULL;

	*ret_complete = true;
	for (size_t i = range->first; i <= range->last; i++) {
		const struct dispatch_item *item = &items->items[i];

		if (!was_sent(items, range, item))
			continue;
		if (record == NULL)
			record = dispatch_record_new(range->from_seq);
		if (record == NULL || !dispatch_record_make_room(record, item->term)) {
			*ret_complete = false;
			dispatch_record_free(&record);
			return NULL;
		}
		dispatch_record_add(record, item->seq, item->term);
	}
	return record;
}

uint64_t dispatch_items_sent(const struct dispatch_items *items, const struct dispatch_items_range *range)
{
	uint64_t sent = range->from_seq - 1;

	for (size_t i = range->first; i <= range->last; i++)
		if (was_sent(items, range, &items->items[i]))
			sent = items->items[i].seq;
	return sent;
}

uint64_t dispatch_items_acked(const struct dispatch_items *items, const struct dispatch_items_range *range)
{
	uint64_t acked = range->from_seq - 1;

	for (size_t i = range->first; i <= range->last; i++) {
		const struct dispatch_item *item = &items->items[i];

		if (was_sent(items, range, item) && !item->acked)
			break;
		if (was_sent(items, range, item))
			acked = item->seq;
	}
	return acked;
}
