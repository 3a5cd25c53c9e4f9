#include "services/intake/intake_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "services/intake/intake_store.h"

struct intake_lane {
	struct intake_item *head, **tail;
	struct intake_lane *next; /* among its key's lanes where something waits */
	struct waiting_key *key;
	size_t bytes, items; /* from put to done */
	bool left;
};

/* A key with at least one lane. */
struct waiting_key {
	struct waiting_key *next;      /* among all */
	struct waiting_key *next_turn; /* among those where something waits */
	struct intake_lane *turn, **turn_end;
	int32_t key_id;
	size_t lanes;
	size_t count; /* reports that wait */
	size_t bytes; /* cost, from put to done */
};

struct intake_queue {
	size_t memory_max_bytes, lane_max_bytes;
	struct waiting_key *keys, *turn, **turn_end;
	size_t count, bytes;
	size_t drawn, draw_max; /* of the draw under way; drawn 0: none is */
	bool express;           /* this draw, or the one before it, is of keys that are not busy */
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
	assert(!*queue_p || !(*queue_p)->keys);
	free(*queue_p);
	*queue_p = NULL;
}

/* ---- keys and their lanes ---- */

static struct waiting_key *find_key(struct intake_queue *queue, int32_t key_id)
{
	struct waiting_key *key = queue->keys;

	while (key && key->key_id != key_id)
		key = key->next;
	if (key || !(key = calloc(1, sizeof *key)))
		return key;
	key->key_id = key_id;
	key->turn_end = &key->turn;
	key->next = queue->keys;
	queue->keys = key;
	return key;
}

static void key_free_if_empty(struct intake_queue *queue, struct waiting_key *key)
{
	struct waiting_key **at = &queue->keys;

	if (key->lanes)
		return;
	while (*at != key)
		at = &(*at)->next;
	*at = key->next;
	free(key);
}

struct intake_lane *intake_queue_join(struct intake_queue *queue, int32_t key_id)
{
	struct intake_lane *lane = calloc(1, sizeof *lane);
	struct waiting_key *key = lane ? find_key(queue, key_id) : NULL;

	if (!key) {
		free(lane);
		return NULL;
	}
	lane->tail = &lane->head;
	lane->key = key;
	key->lanes++;
	return lane;
}

static void lane_free_if_empty(struct intake_queue *queue, struct intake_lane *lane)
{
	struct waiting_key *key = lane->key;

	if (!lane->left || lane->items)
		return;
	free(lane);
	key->lanes--;
	key_free_if_empty(queue, key);
}

void intake_queue_leave(struct intake_queue *queue, struct intake_lane **lane_p)
{
	if (!*lane_p)
		return;
	(*lane_p)->left = true;
	lane_free_if_empty(queue, *lane_p);
	*lane_p = NULL;
}

/* ---- in ---- */

bool intake_queue_has_room(const struct intake_queue *queue, const struct intake_lane *lane, size_t size)
{
	return lane->bytes + size <= queue->lane_max_bytes && queue->bytes + lane->key->bytes + size <= queue->memory_max_bytes;
}

static void line_up_key(struct intake_queue *queue, struct waiting_key *key)
{
	key->next_turn = NULL;
	*queue->turn_end = key;
	queue->turn_end = &key->next_turn;
}

static void line_up_lane(struct waiting_key *key, struct intake_lane *lane)
{
	lane->next = NULL;
	*key->turn_end = lane;
	key->turn_end = &lane->next;
}

void intake_queue_put(struct intake_queue *queue, struct intake_lane *lane, struct intake_item *item)
{
	struct waiting_key *key = lane->key;

	item->next = NULL;
	item->lane = lane;
	if (!key->turn)
		line_up_key(queue, key);
	if (!lane->head)
		line_up_lane(key, lane);
	*lane->tail = item;
	lane->tail = &item->next;
	lane->items++;
	lane->bytes += item->size;
	key->count++;
	key->bytes += item->cost_bytes;
	queue->bytes += item->cost_bytes;
	queue->count++;
}

/* ---- out ---- */

static bool is_busy(const struct waiting_key *key)
{
	return key->count > INTAKE_DRAW_SHARED_MAX;
}

struct census {
	size_t keys, busy;
	size_t waiting; /* reports of keys that are not busy */
};

static struct census take_census(const struct intake_queue *queue)
{
	struct census census = {0};

	for (const struct waiting_key *key = queue->keys; key; key = key->next) {
		census.keys++;
		census.busy += is_busy(key);
		census.waiting += is_busy(key) ? 0 : key->count;
	}
	return census;
}

bool intake_queue_can_pause(const struct intake_queue *queue)
{
	const struct census census = take_census(queue);

	return census.busy > 0 && census.busy < census.keys && census.waiting == 0;
}

/* Long draws carry most, and harm nobody while every key that is connected has more waiting than its share of a short one. Else
 * every second draw is of the keys that are not busy alone, when something of theirs waits: a batch of few is done soonest. */
static void begin_draw(struct intake_queue *queue)
{
	const struct census census = take_census(queue);

	queue->express = census.busy > 0 && census.waiting > 0 && !queue->express;
	if (census.busy == census.keys || census.keys == 1 || census.keys >= INTAKE_BATCH_MAX)
		queue->draw_max = INTAKE_BATCH_MAX;
	else
		queue->draw_max = census.keys > INTAKE_DRAW_SHARED_MAX ? census.keys : INTAKE_DRAW_SHARED_MAX;
	if (queue->express && census.waiting < queue->draw_max)
		queue->draw_max = census.waiting;
}

static struct intake_item *take_from_lane(struct waiting_key *key)
{
	struct intake_lane *lane = key->turn;
	struct intake_item *item = lane->head;

	key->turn = lane->next;
	if (!key->turn)
		key->turn_end = &key->turn;
	lane->head = item->next;
	if (lane->head)
		line_up_lane(key, lane);
	else
		lane->tail = &lane->head;
	key->count--;
	return item;
}

static struct waiting_key *take_turn(struct intake_queue *queue)
{
	struct waiting_key *key = queue->turn;

	queue->turn = key->next_turn;
	if (!queue->turn)
		queue->turn_end = &queue->turn;
	return key;
}

/* Whose turn it is; NULL: nobody's in this draw. In an express draw the busy ones keep their order and are passed over. */
static struct waiting_key *next_key(struct intake_queue *queue)
{
	struct waiting_key *first = queue->turn;

	for (struct waiting_key *key = first; key; key = queue->turn) {
		(void)take_turn(queue);
		if (!queue->express || !is_busy(key))
			return key;
		line_up_key(queue, key);
		if (queue->turn == first)
			return NULL;
	}
	return NULL;
}

struct intake_item *intake_queue_take(struct intake_queue *queue)
{
	struct waiting_key *key = NULL;

	if (queue->drawn == 0)
		begin_draw(queue);
	if (queue->drawn < queue->draw_max)
		key = next_key(queue);
	if (!key) {
		intake_queue_end_draw(queue);
		return NULL;
	}
	queue->drawn++;
	struct intake_item *item = take_from_lane(key);
	if (key->turn)
		line_up_key(queue, key);
	queue->count--;
	return item;
}

void intake_queue_end_draw(struct intake_queue *queue)
{
	queue->drawn = 0;
}

void intake_queue_done(struct intake_queue *queue, struct intake_item *item)
{
	struct intake_lane *lane = item->lane;

	lane->items--;
	lane->bytes -= item->size;
	lane->key->bytes -= item->cost_bytes;
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
