/* intake_queue.h: reports that are decoded and wait for a batch. Fair between keys, whatever number of sessions a key opens: keys
 * take turns, and within a key its sessions, each with a lane of its own. A batch is drawn by calling take until it gives NULL:
 * while a key that is connected has little waiting, a batch is short, and every second one is of such keys alone: a lone report
 * does not wait for hundreds of another's, and hardly for a few. What is in flight is bounded for each session, for each key and
 * in all. */
#pragma once

#include "services/intake/intake_item.h"

struct intake_queue;
struct intake_lane;

/* How many reports are drawn at once while keys that are not busy are connected too (or one for each key). Measured (tests/bench
 * fairness): larger draws carry little more in all, and a lone report waits for two of them. */
enum { INTAKE_DRAW_SHARED_MAX = 16 };

/* memory_max_bytes: item->cost_bytes of all items from put to done; a key may have as much of it as it leaves free, so that there
 * is room for the next key. lane_max_bytes: item->size of one lane's. NULL: no memory. */
struct intake_queue *intake_queue_new(size_t memory_max_bytes, size_t lane_max_bytes);
/* All items must be done and all lanes left. */
void intake_queue_free(struct intake_queue **queue_p);

/* For a session of that key. NULL without memory. */
struct intake_lane *intake_queue_join(struct intake_queue *queue, int32_t key_id);
/* The session has ended; its reports still go their way. Nulls the pointer. */
void intake_queue_leave(struct intake_queue *queue, struct intake_lane **lane_p);

/* May a report of that many bytes come in? Asked before it is copied or decoded. */
bool intake_queue_has_room(const struct intake_queue *queue, const struct intake_lane *lane, size_t size);
void intake_queue_put(struct intake_queue *queue, struct intake_lane *lane, struct intake_item *item);
/* The oldest of the lane whose turn it is; NULL when nothing waits, or when this draw is over (the next call begins another). The
 * item stays counted until done. */
struct intake_item *intake_queue_take(struct intake_queue *queue);
/* Whoever stops before NULL came ends the draw. */
void intake_queue_end_draw(struct intake_queue *queue);
void intake_queue_done(struct intake_queue *queue, struct intake_item *item);

/* What waits is of busy keys alone, and a key that is not busy is connected: it may have a report at any moment. */
bool intake_queue_can_pause(const struct intake_queue *queue);
/* Reports that wait; bytes in flight. */
size_t intake_queue_count(const struct intake_queue *queue);
size_t intake_queue_bytes(const struct intake_queue *queue);
