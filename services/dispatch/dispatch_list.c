/* dispatch_list.c: see dispatch_list.h. */
#include "dispatch_list.h"

#include <stdlib.h>
#include <string.h>

static bool make_room(struct dispatch_list *list, size_t more, size_t item_size)
{
	size_t capacity = list->capacity == 0 ? 16 : list->capacity;
	void *items;

	while (capacity < list->count + more)
		capacity *= 2;
	if (capacity == list->capacity)
		return true;
	items = reallocarray(list->items, capacity, item_size);
	if (items == NULL)
		return false;
	list->items = items;
	list->capacity = capacity;
	return true;
}

void *dispatch_list_add(struct dispatch_list *list, size_t item_size)
{
	void *item;

	if (!make_room(list, 1, item_size))
		return NULL;
	item = (char *)list->items + list->count++ * item_size;
	return memset(item, 0, item_size);
}

bool dispatch_list_move_some(struct dispatch_list *to, struct dispatch_list *from, size_t most, size_t item_size)
{
	size_t count = from->count < most ? from->count : most;

	if (count == 0)
		return true;
	if (!make_room(to, count, item_size))
		return false;
	memcpy((char *)to->items + to->count * item_size, from->items, count * item_size);
	to->count += count;
	from->count -= count;
	memmove(from->items, (char *)from->items + count * item_size, from->count * item_size);
	return true;
}

bool dispatch_list_move(struct dispatch_list *to, struct dispatch_list *from, size_t item_size)
{
	return dispatch_list_move_some(to, from, from->count, item_size);
}

void dispatch_list_clear(struct dispatch_list *list)
{
	list->count = 0;
}

void dispatch_list_done(struct dispatch_list *list)
{
	free(list->items);
	*list = (struct dispatch_list){0};
}
