/* dispatch_subscription.c: see dispatch_subscription.h. */
#include "dispatch_subscription.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool take_streams(
	struct dispatch_subscription *subscription, struct dispatch_cache *cache, const struct dispatch_streams *streams)
{
	for (size_t i = 0; i < streams->count; i++) {
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
	subscription->unacked = calloc(window, sizeof subscription->unacked[0]);
	if (subscription->unacked == NULL || !take_streams(subscription, cache, streams))
		dispatch_subscription_free(&subscription);
	return subscription;
}

void dispatch_subscription_free(struct dispatch_subscription **subscription_p)
{
	if (*subscription_p == NULL)
		return;
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

bool dispatch_subscription_has_credit(const struct dispatch_subscription *subscription)
{
	return subscription->delivery_no - subscription->acked_no < subscription->window &&
	       subscription->unacked_bytes < DISPATCH_UNACKED_MAX_BYTES;
}

void dispatch_subscription_sent(struct dispatch_subscription *subscription, size_t place,
	const struct dispatch_position *position, size_t size, int32_t agency_id)
{
	struct dispatch_place *p = &subscription->places[place];

	assert(subscription->delivery_no - subscription->acked_no < subscription->window);
	subscription->delivery_no++;
	subscription->unacked[subscription->delivery_no % subscription->window] = (struct dispatch_unacked){
		.position = *position, .size = (uint32_t)size, .agency_id = agency_id, .place = (uint16_t)place};
	subscription->unacked_bytes += size;
	p->at = *position;
	p->sent_seq = p->told_seq = position->seq;
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
		const struct dispatch_unacked *delivery = &subscription->unacked[++subscription->acked_no % subscription->window];
		struct dispatch_place *p = &subscription->places[delivery->place];

		subscription->unacked_bytes -= delivery->size;
		p->unacked--;
		p->acked = p->unacked == 0 ? p->at : delivery->position;
		p->unsaved = true;
		on_acked(arg, subscription, delivery);
	}
	return true;
}

void dispatch_subscription_revoke_ranges(struct dispatch_subscription *subscription, int64_t policy_version)
{
	subscription->policy_version = policy_version;
	for (size_t i = 0; i < subscription->place_count; i++)
		subscription->places[i].reserved_to = subscription->places[i].at.seq;
}

void dispatch_subscription_grant(struct dispatch_place *place, const struct dispatch_range *range)
{
	/* The oldest leaves memory only: its row stays "possibly disclosed". */
	if (place->range_count == DISPATCH_RANGES_MAX) {
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

		if (place->stream->last_seq > place->at.seq)
			behind += place->stream->last_seq - place->at.seq;
	}
	return behind;
}
