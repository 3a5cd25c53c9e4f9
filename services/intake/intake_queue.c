#include "services/intake/intake_queue.h"

#include <assert.h>
#include <stdlib.h>

struct intake_lane {
	struct intake_item *head, **tail;
	struct intake_lane *next; /* among the lanes where something waits */
	size_t bytes, items;      /* from put to done */
	bool left;
};

struct intake_queue {
	size_t memory_max_bytes, lane_max_bytes;
	struct intake_lane *turn, **turn_end;
	size_t count, bytes, lanes;
};

struct intake_queue *intake_queue_new(size_t memory_max_bytes, size_t lane_max_bytes)
{
	struct intake_queue *queue = calloc(1, sizeof *queue);

	if (!queue)
		return NULL;
	queue->memory_max_bytes = memory_max_bytes;
	queue->lane_max_bytes = lane_max_bytes;
	queue->turn_end = &queue->turn;
	return queue;
}

void intake_queue_free(struct intake_queue **queue_p)
{
	assert(!*queue_p || (*queue_p)->lanes == 0);
	free(*queue_p);
	*queue_p = NULL;
}

struct intake_lane *intake_queue_join(struct intake_queue *queue)
{
	struct intake_lane *lane = calloc(1, sizeof *lane);

	if (!lane)
		return NULL;
	lane->tail = &lane->head;
	queue->lanes++;
	return lane;
}

static void lane_free_if_empty(struct intake_queue *queue, struct intake_lane *lane)
{
	if (!lane->left || lane->items)
		return;
	queue->lanes--;
	free(lane);
}

void intake_queue_leave(struct intake_queue *queue, struct intake_lane **lane_p)
{
	if (!*lane_p)
		return;
	(*lane_p)->left = true;
	lane_free_if_empty(queue, *lane_p);
	*lane_p = NULL;
}

bool intake_queue_has_room(const struct intake_queue *queue, const struct intake_lane *lane, size_t size)
{
	return lane->bytes + size <= queue->lane_max_bytes && queue->bytes + size <= queue->memory_max_bytes;
}

static void line_up(struct intake_queue *queue, struct intake_lane *lane)
{
	lane->next = NULL;
	*queue->turn_end = lane;
	queue->turn_end = &lane->next;
}

void intake_queue_put(struct intake_queue *queue, struct intake_lane *lane, struct intake_item *item)
{
	item->next = NULL;
	item->lane = lane;
	if (!lane->head)
		line_up(queue, lane);
	*lane->tail = item;
	lane->tail = &item->next;
	lane->items++;
	lane->bytes += item->size;
	queue->bytes += item->cost_bytes;
	queue->count++;
}

struct intake_item *intake_queue_take(struct intake_queue *queue)
{
	struct intake_lane *lane = queue->turn;

	if (!lane)
		return NULL;
	queue->turn = lane->next;
	if (!queue->turn)
		queue->turn_end = &queue->turn;
	struct intake_item *item = lane->head;
	lane->head = item->next;
	if (lane->head)
		line_up(queue, lane);
	else
		lane->tail = &lane->head;
	queue->count--;
	return item;
}

void intake_queue_done(struct intake_queue *queue, struct intake_item *item)
{
	struct intake_lane *lane = item->lane;

	lane->items--;
	lane->bytes -= item->size;
	queue->bytes -= item->cost_bytes;
	item->lane = NULL;
	lane_free_if_empty(queue, lane);
}

size_t intake_queue_count(const struct intake_queue *queue)
{
	return queue->count;
}

size_t intake_queue_bytes(const struct intake_queue *queue)
{
	return queue->bytes;
}
