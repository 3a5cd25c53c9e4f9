/* intake_queue.h: reports that are decoded and wait for a batch. One lane a session; lanes are served in turn, so that a busy
 * publisher does not keep the others waiting; what is in flight is bounded for each session and in all. */
#pragma once

#include "services/intake/intake_item.h"

struct intake_queue;
struct intake_lane;

/* memory_max_bytes: item->cost_bytes of all items from put to done. lane_max_bytes: item->size of one lane's. NULL: no memory. */
struct intake_queue *intake_queue_new(size_t memory_max_bytes, size_t lane_max_bytes);
/* All items must be done and all lanes left. */
void intake_queue_free(struct intake_queue **queue_p);

/* NULL without memory. */
struct intake_lane *intake_queue_join(struct intake_queue *queue);
/* The session has ended; its reports still go their way. Nulls the pointer. */
void intake_queue_leave(struct intake_queue *queue, struct intake_lane **lane_p);

/* May a report of that many bytes come in? Asked before it is copied or decoded. */
bool intake_queue_has_room(const struct intake_queue *queue, const struct intake_lane *lane, size_t size);
void intake_queue_put(struct intake_queue *queue, struct intake_lane *lane, struct intake_item *item);
/* The next lane's oldest; NULL when nothing waits. The item stays counted until done. */
struct intake_item *intake_queue_take(struct intake_queue *queue);
void intake_queue_done(struct intake_queue *queue, struct intake_item *item);

/* Reports that wait; bytes in flight. */
size_t intake_queue_count(const struct intake_queue *queue);
size_t intake_queue_bytes(const struct intake_queue *queue);
