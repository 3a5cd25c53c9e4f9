/* dispatch_subscription.c: see dispatch_subscription.h. */
#include "dispatch_subscription.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { RING_MIN = 64, RING_KEPT = 1024 }; /* a larger ring is given back once it is empty */

static bool take_streams(
	struct dispatch_subscription *subscription, struct dispatch_cache *cache, const struct dispatch_streams *streams)
{
	for (size_t i = 0; i < streams->count; i++) {
		subscription->places[i].until = UINT64_MAX;
		subscription->places[i].stream = dispatch_cache_stream(cache, streams->names[i]);
		if (subscription->places[i].stream == NULL)
			return false;
	}
	return true;
}

struct dispatch_subscription *dispatch_subscription_new(
	struct dispatch_cache *cache, const struct dispatch_streams *streams, uint32_t window)
{
	struct dispatch_subscription *subscription;

	subscription = calloc(1, sizeof *subscription + streams->count * sizeof subscription->places[0]);
	if (subscription == NULL)
		return NULL;
	subscription->window = window;
	subscription->place_count = streams->count;
	subscription->unacked = calloc(RING_MIN, sizeof subscription->unacked[0]);
	subscription->unacked_capacity = RING_MIN;
	if (subscription->unacked == NULL || !take_streams(subscription, cache, streams))
		dispatch_subscription_free(&subscription);
	return subscription;
}

void dispatch_snapshot_drop_page(struct dispatch_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->page_count; i++)
		dispatch_event_free(&snapshot->page[i]);
	snapshot->page_count = snapshot->page_bytes = 0;
}

void dispatch_subscription_drop_snapshot(struct dispatch_subscription *subscription)
{
	if (subscription->snapshot == NULL)
		return;
	dispatch_snapshot_drop_page(subscription->snapshot);
	dispatch_items_done(&subscription->snapshot->items);
	free(subscription->snapshot);
	subscription->snapshot = NULL;
}

void dispatch_subscription_free(struct dispatch_subscription **subscription_p)
{
	if (*subscription_p == NULL)
		return;
	dispatch_subscription_drop_snapshot(*subscription_p);
	for (size_t i = 0; i < (*subscription_p)->place_count; i++)
		for (uint8_t n = 0; n < (*subscription_p)->places[i].range_count; n++)
			dispatch_record_free(&(*subscription_p)->places[i].ranges[n].record);
	free((*subscription_p)->unacked);
	free(*subscription_p);
	*subscription_p = NULL;
}

void dispatch_subscription_start(
	struct dispatch_subscription *subscription, size_t place, const struct dispatch_position *position)
{
	struct dispatch_place *p = &subscription->places[place];

	p->at = p->acked = *position;
	p->sent_seq = p->told_seq = p->reserved_to = position->seq;
	p->unsaved = true;
}

static uint64_t unacked_count(const struct dispatch_subscription *subscription)
{
	return subscription->delivery_no - subscription->acked_no;
}

static struct dispatch_unacked *unacked_at(const struct dispatch_subscription *subscription, uint64_t delivery_no)
{
	return &subscription->unacked[delivery_no & (subscription->unacked_capacity - 1)];
}

bool dispatch_subscription_has_credit(const struct dispatch_subscription *subscription, bool joins)
{
	return (joins || subscription->messages < subscription->window) &&
	       subscription->unacked_bytes < DISPATCH_UNACKED_MAX_BYTES && unacked_count(subscription) < DISPATCH_UNACKED_MAX;
}

static bool resize_ring(struct dispatch_subscription *subscription, size_t capacity)
{
	struct dispatch_unacked *ring = calloc(capacity, sizeof *ring);

	if (ring == NULL)
		return false;
	for (uint64_t no = subscription->acked_no + 1; no <= subscription->delivery_no; no++)
		ring[no & (capacity - 1)] = *unacked_at(subscription, no);
	free(subscription->unacked);
	subscription->unacked = ring;
	subscription->unacked_capacity = capacity;
	return true;
}

bool dispatch_subscription_make_room(struct dispatch_subscription *subscription)
{
	return unacked_count(subscription) < subscription->unacked_capacity ||
	       resize_ring(subscription, subscription->unacked_capacity * 2);
}

void dispatch_subscription_sent(struct dispatch_subscription *subscription, const struct dispatch_unacked *delivery, bool joins)
{
	struct dispatch_place *p = &subscription->places[delivery->place];
	struct dispatch_unacked *noted;

	assert(dispatch_subscription_has_credit(subscription, joins));
	assert(unacked_count(subscription) < subscription->unacked_capacity);
	if (joins)
		unacked_at(subscription, subscription->delivery_no)->ends_message = false;
	else
		subscription->messages++;
	noted = unacked_at(subscription, ++subscription->delivery_no);
	*noted = *delivery;
	noted->ends_message = true;
	subscription->unacked_bytes += delivery->size;
	if (delivery->sent != DISPATCH_SENT_EVENT)
		return;
	p->at = delivery->position;
	p->sent_seq = p->told_seq = delivery->position.seq;
	p->unacked++;
}

void dispatch_subscription_passed(
	struct dispatch_subscription *subscription, size_t place, const struct dispatch_position *position)
{
	struct dispatch_place *p = &subscription->places[place];

	p->at = *position;
	if (p->unacked == 0) {
		p->acked = *position;
		p->unsaved = true;
	}
}

bool dispatch_subscription_ack(struct dispatch_subscription *subscription, uint64_t delivery_no,
	void (*on_acked)(void *arg, const struct dispatch_subscription *subscription, const struct dispatch_unacked *delivery),
	void *arg)
{
	if (delivery_no > subscription->delivery_no)
		return false;
	while (subscription->acked_no < delivery_no) {
		const struct dispatch_unacked *delivery = unacked_at(subscription, ++subscription->acked_no);
		struct dispatch_place *p = &subscription->places[delivery->place];

		subscription->unacked_bytes -= delivery->size;
		subscription->messages -= delivery->ends_message;
		if (delivery->sent == DISPATCH_SENT_EVENT) {
			p->unacked--;
			p->acked = p->unacked == 0 ? p->at : delivery->position;
			p->unsaved = true;
		}
		on_acked(arg, subscription, delivery);
	}
	if (unacked_count(subscription) == 0 && subscription->unacked_capacity > RING_KEPT)
		(void)resize_ring(subscription, RING_MIN);
	return true;
}

void dispatch_subscription_revoke_ranges(struct dispatch_subscription *subscription, int64_t policy_version)
{
	subscription->policy_version = policy_version;
	for (size_t i = 0; i < subscription->place_count; i++) {
		subscription->places[i].reserved_to = subscription->places[i].at.seq;
		subscription->places[i].groups = 0;
	}
}

struct dispatch_range *dispatch_subscription_range(struct dispatch_place *place, uint64_t seq)
{
	/* The newest is last, and stands for the numbers from its first on. */
	for (uint8_t i = place->range_count; i > 0 && seq <= place->reserved_to; i--)
		if (place->ranges[i - 1].from_seq <= seq && seq <= place->ranges[i - 1].to_seq)
			return &place->ranges[i - 1];
	return NULL;
}

bool dispatch_subscription_can_note(struct dispatch_place *place, uint64_t seq, uint32_t term)
{
	struct dispatch_range *range = dispatch_subscription_range(place, seq);

	if (range == NULL || term == 0)
		return false;
	if (range->record == NULL)
		range->record = dispatch_record_new(range->from_seq);
	return range->record != NULL && dispatch_record_make_room(range->record, term);
}

void dispatch_subscription_note(struct dispatch_place *place, uint64_t seq, uint32_t term)
{
	struct dispatch_range *range = dispatch_subscription_range(place, seq);

	if (range != NULL && range->record != NULL)
		dispatch_record_add(range->record, seq, term);
}

void dispatch_subscription_grant(struct dispatch_place *place, const struct dispatch_range *range)
{
	/* The oldest leaves memory only: its row stays "possibly disclosed". */
	if (place->range_count == DISPATCH_RANGES_MAX) {
		dispatch_record_free(&place->ranges[0].record);
		place->range_count--;
		memmove(place->ranges, place->ranges + 1, place->range_count * sizeof place->ranges[0]);
	}
	for (uint8_t i = 0; i < place->range_count; i++)
		if (place->ranges[i].to_seq >= range->from_seq)
			place->ranges[i].to_seq = range->from_seq - 1;
	place->ranges[place->range_count++] = *range;
	place->reserved_to = range->to_seq;
	place->reserving = false;
}

bool dispatch_subscription_take_closed(struct dispatch_place *place, bool all, struct dispatch_range *ret_range)
{
	if (place->range_count == 0 || !(all || place->acked.seq >= place->ranges[0].to_seq))
		return false;
	*ret_range = place->ranges[0];
	place->range_count--;
	memmove(place->ranges, place->ranges + 1, place->range_count * sizeof place->ranges[0]);
	return true;
}

uint64_t dispatch_subscription_behind(const struct dispatch_subscription *subscription)
{
	uint64_t behind = 0;

	for (size_t i = 0; i < subscription->place_count; i++) {
		const struct dispatch_place *place = &subscription->places[i];

		if (place->stream->last_seq > place->acked.seq)
			behind += place->stream->last_seq - place->acked.seq;
	}
	return behind;
}

int64_t dispatch_subscription_oldest_us(const struct dispatch_subscription *subscription)
{
	int64_t oldest_us = INT64_MAX;

	for (uint64_t no = subscription->acked_no + 1; no <= subscription->delivery_no; no++)
		if (unacked_at(subscription, no)->recorded_at_us < oldest_us)
			oldest_us = unacked_at(subscription, no)->recorded_at_us;
	return oldest_us;
}
