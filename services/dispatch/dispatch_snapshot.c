/* dispatch_snapshot.c: a subscription that begins with what is open. Which incidents are, and where the streams stand as of then,
 * is read in one moment; the events that say what is known of them come page by page, are decided one by one like any others, and
 * take the same credit. Ranges for all of them are written down before the first one in them is sent. The end is a message with
 * the positions; only behind it do the streams go on. */
#include "dispatch_visit.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "wire/wire_frame.h"

enum {
	PAGES_MANY_BYTES = DISPATCH_PAGES_MAX_BYTES / 2, /* then a session that has to stop lets its page go: it is read again */
	END_BYTES_A_STREAM = 64,                         /* about what a position takes in the message */
};

void dispatch_snapshot_release_page(struct dispatch *dispatch, struct dispatch_snapshot *snapshot)
{
	dispatch->snapshots.page_bytes -= snapshot->page_bytes;
	dispatch_snapshot_drop_page(snapshot);
}

static void close_ranges(struct dispatch *dispatch, const struct dispatch_subscription *subscription)
{
	const struct dispatch_items *items = &subscription->snapshot->items;

	for (size_t i = 0; i < items->range_count; i++)
		if (items->ranges[i].disclosure_id != 0)
			dispatch_closing_add_items(dispatch, subscription, &items->ranges[i]);
}

void dispatch_snapshot_end(struct dispatch *dispatch, struct dispatch_subscription *subscription)
{
	struct dispatch_snapshot *snapshot = subscription->snapshot;

	if (snapshot == NULL)
		return;
	close_ranges(dispatch, subscription);
	dispatch_snapshot_release_page(dispatch, snapshot);
	dispatch->snapshots.items_bytes -= snapshot->items_bytes;
	dispatch_subscription_drop_snapshot(subscription);
}

/* Their publishers shall know that the desk has them. */
static void note_receipts(struct dispatch *dispatch, const struct dispatch_subscription *subscription)
{
	const struct dispatch_items *items = &subscription->snapshot->items;

	for (size_t i = 0; subscription->desk_id >= 0 && i < items->count; i++) {
		const struct dispatch_item *item = &items->items[i];
		const struct dispatch_receipt receipt = {.desk_id = subscription->desk_id,
			.agency_id = item->agency_id,
			.stream = subscription->places[item->place].stream->name,
			.up_to_seq = item->seq};

		if (item->term != 0 && item->agency_id >= 0)
			(void)dispatch_receipts_add(dispatch->writing.receipts, &receipt);
	}
}

void dispatch_snapshot_settle(struct dispatch *dispatch, struct dispatch_subscription *subscription)
{
	const struct dispatch_snapshot *snapshot = subscription->snapshot;

	if (snapshot == NULL || snapshot->state != DISPATCH_SNAPSHOT_TOLD || subscription->acked_no < snapshot->end_no)
		return;
	note_receipts(dispatch, subscription);
	dispatch_snapshot_end(dispatch, subscription);
	if (subscription->cursor[0] != '\0')
		dispatch_writing_renew_cursor(dispatch, subscription);
}

void dispatch_snapshot_acked(const struct dispatch_subscription *subscription, const struct dispatch_unacked *delivery)
{
	struct dispatch_item *item = subscription->snapshot == NULL ? NULL
								    : dispatch_items_find(&subscription->snapshot->items,
									      delivery->place, delivery->position.seq);

	if (item == NULL)
		return;
	item->acked = true;
	subscription->snapshot->moved_ms = jk_time_mono_ms();
}

bool dispatch_snapshot_has_copy(const struct dispatch_subscription *subscription, size_t place_no, uint64_t seq)
{
	const struct dispatch_snapshot *snapshot = subscription->snapshot;
	const struct dispatch_item *item = snapshot == NULL || snapshot->state == DISPATCH_SNAPSHOT_NEW
						   ? NULL
						   : dispatch_items_find(&snapshot->items, place_no, seq);

	return item != NULL && item->term > DISPATCH_TERM_RECALLED;
}

/* ---- ranges ---- */

/* What has not been sent is cut into ranges; what was sent under those before is all that will be. */
static void cut_ranges(struct dispatch *dispatch, struct dispatch_subscription *subscription)
{
	struct dispatch_snapshot *snapshot = subscription->snapshot;

	close_ranges(dispatch, subscription);
	snapshot->ranges_asked = 0;
	snapshot->cut = dispatch_items_cut(&snapshot->items);
}

void dispatch_snapshot_revoke(struct dispatch *dispatch, struct dispatch_subscription *subscription)
{
	struct dispatch_snapshot *snapshot = subscription->snapshot;

	if (snapshot == NULL || snapshot->state != DISPATCH_SNAPSHOT_TELLING || !snapshot->cut)
		return;
	close_ranges(dispatch, subscription);
	(void)dispatch_items_cut(&snapshot->items);
	snapshot->items.range_count = snapshot->ranges_asked = 0;
	snapshot->cut = false;
	snapshot->groups = 0;
}

static void ask_ranges(struct dispatch *dispatch, struct dispatch_subscription *subscription)
{
	struct dispatch_snapshot *snapshot = subscription->snapshot;

	while (snapshot->ranges_asked < snapshot->items.range_count) {
		const struct dispatch_items_range *range = &snapshot->items.ranges[snapshot->ranges_asked];
		struct dispatch_reservation *reservation = dispatch_list_add(&dispatch->writing.reserve, sizeof *reservation);

		if (reservation == NULL)
			return;
		*reservation = (struct dispatch_reservation){.session = subscription->session,
			.serial = subscription->serial,
			.holder = subscription->holder,
			.key_id = subscription->key_id,
			.place = range->place,
			.stream = subscription->places[range->place].stream->name,
			.from_seq = range->from_seq,
			.to_seq = range->to_seq,
			.policy_version = subscription->policy_version,
			.groups = snapshot->groups,
			.item_range = (uint32_t)++snapshot->ranges_asked};
	}
}

bool dispatch_snapshot_grant(
	struct dispatch_subscription *subscription, const struct dispatch_reservation *reservation, int64_t disclosure_id)
{
	struct dispatch_snapshot *snapshot = subscription->snapshot;
	struct dispatch_items_range *range;

	if (snapshot == NULL || reservation->item_range > snapshot->items.range_count ||
		reservation->policy_version != subscription->policy_version || reservation->groups != snapshot->groups)
		return false;
	range = &snapshot->items.ranges[reservation->item_range - 1];
	if (range->disclosure_id != 0 || range->place != reservation->place || range->from_seq != reservation->from_seq ||
		range->to_seq != reservation->to_seq)
		return false;
	range->disclosure_id = disclosure_id;
	return true;
}

/* The range of the item, once it is written down and says what this copy may carry; NULL: it is on its way. */
static const struct dispatch_items_range *covering(
	struct dispatch_visit *visit, const struct dispatch_item *item, uint32_t groups)
{
	struct dispatch_snapshot *snapshot = visit->subscription->snapshot;
	const struct dispatch_items_range *range;

	if (!snapshot->cut || (groups & ~snapshot->groups) != 0) {
		snapshot->groups |= groups;
		cut_ranges(visit->dispatch, visit->subscription);
	}
	if (!snapshot->cut)
		return NULL;
	ask_ranges(visit->dispatch, visit->subscription);
	range = dispatch_items_range(&snapshot->items, item);
	return range == NULL || range->disclosure_id == 0 ? NULL : range;
}

/* ---- telling ---- */

static struct dispatch_event *event_at(const struct dispatch_snapshot *snapshot, size_t turn)
{
	return snapshot->page[turn - snapshot->page_first];
}

static bool has_page(const struct dispatch_snapshot *snapshot)
{
	return snapshot->items.next >= snapshot->page_first && snapshot->items.next < snapshot->page_first + snapshot->page_count;
}

static enum dispatch_step tell(struct dispatch_visit *visit, struct dispatch_item *item, const struct dispatch_event *event,
	const struct jk_decision *decision, const struct dispatch_copy *copy)
{
	struct dispatch_subscription *subscription = visit->subscription;
	bool shows_work = (decision->withheld & (1U << JK_GROUP_WORK)) == 0;
	const struct dispatch_delivery delivery = {.delivery_no = subscription->delivery_no + 1,
		.stream = subscription->places[item->place].stream->name,
		.copy = copy,
		.term = decision->term,
		.case_state = shows_work ? item->case_state : 0,
		.closed = item->closed};
	struct dispatch_unacked noted = {.position = {.seq = item->seq},
		.recorded_at_us = INT64_MAX, /* it has waited for nobody */
		.agency_id = -1,
		.place = item->place,
		.sent = DISPATCH_SENT_ITEM};
	enum dispatch_step step;

	if (copy == NULL || dispatch_wire_delivery_bytes(&delivery) > JK_BODY_MAX_BYTES) {
		dispatch_visit_undeliverable(visit, event);
		subscription->snapshot->items.next++;
		return DISPATCH_STEP_DONE;
	}
	step = dispatch_visit_put(visit, &delivery, &noted);
	if (step != DISPATCH_STEP_DONE)
		return step;
	subscription->snapshot->moved_ms = jk_time_mono_ms();
	item->term = visit->term;
	item->agency_id = dispatch_visit_told_agency(event, decision);
	subscription->snapshot->items.next++;
	subscription->snapshot->told++;
	return DISPATCH_STEP_DONE;
}

/* Asks for the protected groups of this one, and of some after it. */
static void want_apart(struct dispatch_visit *visit)
{
	struct dispatch_subscription *subscription = visit->subscription;
	const struct dispatch_snapshot *snapshot = subscription->snapshot;
	size_t end = snapshot->page_first + snapshot->page_count, first = snapshot->items.next;

	for (size_t turn = first; turn < end && turn < first + DISPATCH_FETCH_AHEAD; turn++) {
		const struct dispatch_item *item = dispatch_items_at(&snapshot->items, turn);
		const struct dispatch_items_range *range = dispatch_items_range(&snapshot->items, item);
		struct dispatch_event *event = event_at(snapshot, turn);
		struct dispatch_range under = {.disclosure_id = 0};
		struct jk_decision decision;

		if (event == NULL || event->apart == 0 || range == NULL || range->disclosure_id == 0)
			continue;
		under.disclosure_id = range->disclosure_id;
		decision = dispatch_visit_decide(visit, event);
		if (dispatch_visit_groups(event, &decision) != 0 &&
			(dispatch_visit_groups(event, &decision) & ~snapshot->groups) == 0 &&
			dispatch_protected_find(visit->dispatch, subscription, item->place, item->seq) == NULL &&
			!dispatch_protected_want(visit->dispatch, subscription, item->place, event, &under))
			return;
	}
}

static enum dispatch_step tell_apart(struct dispatch_visit *visit, struct dispatch_item *item, struct dispatch_event *event,
	const struct jk_decision *decision)
{
	struct dispatch *dispatch = visit->dispatch;
	const struct dispatch_apart *apart = dispatch_protected_find(dispatch, visit->subscription, item->place, item->seq);
	struct dispatch_copy *copy;
	enum dispatch_step step;

	if (apart == NULL && !visit->subscription->places[item->place].fetching)
		want_apart(visit);
	if (apart == NULL)
		return DISPATCH_STEP_WAIT;
	copy = dispatch_event_copy_apart(event, decision->withheld, apart, dispatch->scratch);
	step = tell(visit, item, event, decision, copy);
	free(copy);
	if (step != DISPATCH_STEP_DONE)
		return step;
	jk_metric_add(dispatch->metrics.protected_copies, 1);
	dispatch_protected_drop(dispatch, visit->subscription, item->place, item->seq);
	return DISPATCH_STEP_DONE;
}

/* The turn at hand. */
static enum dispatch_step tell_next(struct dispatch_visit *visit, struct dispatch_item *item)
{
	struct dispatch *dispatch = visit->dispatch;
	struct dispatch_snapshot *snapshot = visit->subscription->snapshot;
	struct dispatch_event *event = event_at(snapshot, snapshot->items.next);
	struct jk_decision decision;
	uint32_t groups;

	if (event == NULL || !dispatch_visit_is_for(visit, event, &decision)) {
		snapshot->items.next++; /* removed by age, or not for this desk */
		return DISPATCH_STEP_DONE;
	}
	if (!item->late && (decision.withheld & (1U << JK_GROUP_CLASSIFICATION)) != 0)
		return dispatch_items_put_off(&snapshot->items) ? DISPATCH_STEP_DONE : DISPATCH_STEP_STOP;
	groups = dispatch_visit_groups(event, &decision);
	visit->term = dispatch_terms_number(&dispatch->terms, &decision);
	if (visit->term == 0 || covering(visit, item, groups) == NULL)
		return DISPATCH_STEP_WAIT;
	if (groups != 0)
		return tell_apart(visit, item, event, &decision);
	return tell(visit, item, event, &decision,
		dispatch_event_copy(event, decision.withheld | JK_GROUPS_PROTECTED, dispatch->scratch));
}

/* The message that ends a snapshot or backfill, with a number of its own. */
static enum dispatch_step send_end(struct dispatch_visit *visit, uint64_t count)
{
	struct dispatch *dispatch = visit->dispatch;
	struct dispatch_subscription *subscription = visit->subscription;
	struct dispatch_told told = {.count = subscription->place_count};
	const struct dispatch_unacked noted = {.recorded_at_us = INT64_MAX,
		.size = (uint32_t)(subscription->place_count * END_BYTES_A_STREAM),
		.agency_id = -1,
		.sent = DISPATCH_SENT_END};

	if (!dispatch_visit_send(visit) || !dispatch_visit_has_room(visit) || !dispatch_subscription_make_room(subscription))
		return DISPATCH_STEP_STOP;
	for (size_t i = 0; i < told.count; i++) {
		struct dispatch_place *place = &subscription->places[i];

		told.streams[i] = place->stream->name;
		dispatch_seal_write(told.seals[i], dispatch->seal_key, &subscription->holder, place->stream->name, &place->at);
		place->told_seq = place->at.seq;
	}
	if (dispatch_wire_send_snapshot_end(dispatch->sessions, visit->session, subscription->delivery_no + 1, count, &told) !=
		JK_OK) {
		if (!visit->session->ended)
			jk_session_end(dispatch->sessions, visit->session, JK_CODE_UNAVAILABLE, "the link is full");
		return DISPATCH_STEP_STOP;
	}
	dispatch_subscription_sent(subscription, &noted, false);
	dispatch_flight_add(&dispatch->flight, subscription->share, noted.size);
	visit->deliveries--;
	jk_metric_add(dispatch->metrics.snapshots, 1);
	return DISPATCH_STEP_DONE;
}

static enum dispatch_step tell_end(struct dispatch_visit *visit)
{
	struct dispatch_snapshot *snapshot = visit->subscription->snapshot;
	enum dispatch_step step = send_end(visit, snapshot->told);

	if (step != DISPATCH_STEP_DONE)
		return step;
	jk_log(JK_LOG_INFO, "snapshot_told", "holder=%s incidents=%llu of=%zu", visit->subscription->holder.name,
		(unsigned long long)snapshot->told, snapshot->items.count);
	dispatch_snapshot_release_page(visit->dispatch, snapshot);
	snapshot->end_no = visit->subscription->delivery_no;
	snapshot->state = DISPATCH_SNAPSHOT_TOLD;
	return DISPATCH_STEP_DONE;
}

enum dispatch_step dispatch_snapshot_visit(struct dispatch_visit *visit, bool *ret_left)
{
	struct dispatch *dispatch = visit->dispatch;
	struct dispatch_snapshot *snapshot = visit->subscription->snapshot;

	*ret_left = false;
	while (snapshot->state == DISPATCH_SNAPSHOT_TELLING) {
		struct dispatch_item *item = dispatch_items_at(&snapshot->items, snapshot->items.next);
		enum dispatch_step step = DISPATCH_STEP_DONE;

		if (!dispatch_visit_has_room(visit)) {
			if (dispatch->snapshots.page_bytes > PAGES_MANY_BYTES)
				dispatch_snapshot_release_page(dispatch, snapshot);
			return DISPATCH_STEP_STOP;
		}
		*ret_left = visit->deliveries == 0 || visit->steps == 0;
		if (*ret_left)
			return DISPATCH_STEP_DONE;
		visit->steps--;
		if (item == NULL && dispatch_items_next_round(&snapshot->items))
			dispatch_snapshot_release_page(dispatch, snapshot);
		else if (item == NULL)
			step = tell_end(visit);
		else if (!has_page(snapshot))
			break;
		else
			step = tell_next(visit, item);
		if (step != DISPATCH_STEP_DONE)
			return step;
	}
	if (snapshot->state == DISPATCH_SNAPSHOT_TOLD)
		return DISPATCH_STEP_DONE;
	dispatch_snapshot_want(dispatch, visit->subscription);
	return DISPATCH_STEP_WAIT;
}

enum dispatch_step dispatch_snapshot_visit_backfill(struct dispatch_visit *visit)
{
	struct dispatch_subscription *subscription = visit->subscription;
	enum dispatch_step step;

	if (subscription->backfill_told)
		return DISPATCH_STEP_DONE;
	for (size_t i = 0; i < subscription->place_count; i++)
		if (subscription->places[i].at.seq < subscription->places[i].until)
			return DISPATCH_STEP_DONE;
	step = send_end(visit, subscription->delivery_no - subscription->first_no);
	subscription->backfill_told = step == DISPATCH_STEP_DONE;
	return step;
}
