/* dispatch_list.h: a growing array, for what is collected between two jobs. Zero-initialise. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct dispatch_list {
	void *items;
	size_t count, capacity;
};

/* One more item, zeroed; NULL without memory. All items of a list are of one size. */
void *dispatch_list_add(struct dispatch_list *list, size_t item_size);
/* Moves everything from one list to the end of another; false without memory: nothing is moved. */
bool dispatch_list_move(struct dispatch_list *to, struct dispatch_list *from, size_t item_size);
/* Moves the first `most` at the most. */
bool dispatch_list_move_some(struct dispatch_list *to, struct dispatch_list *from, size_t most, size_t item_size);
/* Forgets the items, keeps the memory. */
void dispatch_list_clear(struct dispatch_list *list);
void dispatch_list_done(struct dispatch_list *list);
