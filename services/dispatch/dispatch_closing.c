/* dispatch_closing.c: what disclosure rows are to say in the end: how far they were sent and acknowledged, and the record of
 * it. A row whose range is still open is written some seconds after it moved too, so that a crash leaves little in doubt.
 * What is on its way to the database stays here until it is sure to be found there (dispatch_recall.c looks in both). */
#include "base/jk_time.h"
#include "dispatch_internal.h"

#include <string.h>

enum {
	NOTE_EVERY_MS = 2000,
	NOTES_MAX = 256,                         /* of open rows, a job */
	JOB_ROWS_MAX = 2048,                     /* of all, a job */
	JOB_RECORDS_MAX_BYTES = 4 * 1024 * 1024, /* of their records */
};

static uint64_t within(const struct dispatch_range *range, uint64_t seq)
{
	if (seq < range->from_seq)
		return range->from_seq - 1;
	return seq < range->to_seq ? seq : range->to_seq;
}

static struct dispatch_closing *add(struct dispatch *dispatch, const struct dispatch_subscription *subscription,
	const struct dispatch_place *place, const struct dispatch_range *range)
{
	struct dispatch_closing *closing = dispatch_list_add(&dispatch->writing.closings, sizeof *closing);

	if (closing == NULL)
		return NULL;
	closing->disclosure_id = range->disclosure_id;
	closing->sent_seq = within(range, place == NULL ? 0 : place->sent_seq);
	closing->acked_seq = within(range, place == NULL ? 0 : place->acked.seq);
	closing->seen_seq = within(range, place == NULL ? 0 : place->at.seq);
	closing->from_seq = range->from_seq;
	closing->desk_id = subscription == NULL ? -1 : subscription->desk_id;
	closing->stream = place == NULL ? NULL : place->stream;
	return closing;
}

void dispatch_closing_unused(struct dispatch *dispatch, const struct dispatch_range *range)
{
	struct dispatch_closing *closing = add(dispatch, NULL, NULL, range);

	if (closing != NULL)
		closing->ends = true;
}

void dispatch_closing_add_items(struct dispatch *dispatch, const struct dispatch_subscription *subscription,
	const struct dispatch_items_range *items_range)
{
	const struct dispatch_items *items = &subscription->snapshot->items;
	const struct dispatch_range range = {
		.disclosure_id = items_range->disclosure_id, .from_seq = items_range->from_seq, .to_seq = items_range->to_seq};
	struct dispatch_closing *closing = add(dispatch, subscription, NULL, &range);
	bool complete;

	if (closing == NULL)
		return;
	closing->stream = subscription->places[items_range->place].stream;
	closing->sent_seq = dispatch_items_sent(items, items_range);
	closing->acked_seq = dispatch_items_acked(items, items_range);
	closing->record = dispatch_items_record(items, items_range, &complete);
	closing->ends = complete;
	/* Not complete: all of it stays possible. */
	closing->seen_seq = complete ? items_range->to_seq : items_range->from_seq - 1;
}

void dispatch_closing_add(struct dispatch *dispatch, const struct dispatch_subscription *subscription,
	const struct dispatch_place *place, struct dispatch_range *range, bool ends)
{
	struct dispatch_closing *closing = add(dispatch, subscription, place, range);

	if (closing != NULL) {
		closing->ends = ends;
		closing->record = range->record;
		range->record = NULL;
	}
	dispatch_record_free(&range->record);
}

static bool has_moved(const struct dispatch_place *place, const struct dispatch_range *range)
{
	return within(range, place->at.seq) >= range->from_seq &&
	       (within(range, place->at.seq) != range->noted_seen || within(range, place->acked.seq) != range->noted_acked);
}

void dispatch_closing_note_open(
	struct dispatch *dispatch, const struct dispatch_subscription *subscription, struct dispatch_place *place)
{
	int64_t now_ms = 0;

	for (uint8_t i = 0; i < place->range_count; i++) {
		struct dispatch_range *range = &place->ranges[i];
		struct dispatch_closing *closing;

		if (!has_moved(place, range) || dispatch->writing.notes >= NOTES_MAX)
			continue;
		now_ms = now_ms == 0 ? jk_time_mono_ms() : now_ms;
		if (now_ms - range->noted_ms < NOTE_EVERY_MS)
			continue;
		closing = add(dispatch, subscription, place, range);
		if (closing == NULL)
			return;
		closing->record = range->record == NULL ? NULL : dispatch_record_copy(range->record);
		if (closing->record == NULL && range->record != NULL) {
			dispatch->writing.closings.count--;
			return;
		}
		dispatch->writing.notes++;
		range->noted_ms = now_ms;
		range->noted_seen = closing->seen_seq;
		range->noted_acked = closing->acked_seq;
	}
}

/* How many of the list make one job. */
static size_t job_rows(const struct dispatch_list *closings)
{
	const struct dispatch_closing *items = closings->items;
	size_t bytes = 0, count = 0;

	while (count < closings->count && count < JOB_ROWS_MAX) {
		bytes += (size_t)(items[count].seen_seq + 1 - items[count].from_seq);
		if (count > 0 && bytes > JOB_RECORDS_MAX_BYTES)
			break;
		count++;
	}
	return count;
}

void dispatch_closing_fly(struct dispatch_writing *writing)
{
	if (writing->closings_flying.count == 0)
		(void)dispatch_list_move_some(&writing->closings_flying, &writing->closings, job_rows(&writing->closings),
			sizeof(struct dispatch_closing));
	writing->notes = 0;
}

static void forget(struct dispatch_list *closings)
{
	struct dispatch_closing *items = closings->items;

	for (size_t i = 0; i < closings->count; i++)
		dispatch_record_free(&items[i].record);
	dispatch_list_clear(closings);
}

void dispatch_closing_written(struct dispatch *dispatch)
{
	struct dispatch_writing *writing = &dispatch->writing;

	/* The look-up under way may have begun before these rows were there. */
	if (!dispatch->recall.looking ||
		!dispatch_list_move(&writing->settled, &writing->closings_flying, sizeof(struct dispatch_closing)))
		forget(&writing->closings_flying);
}

void dispatch_closing_settle(struct dispatch *dispatch)
{
	forget(&dispatch->writing.settled);
}

static bool is_in(const struct dispatch_list *closings, int32_t desk_id, const struct dispatch_stream *stream, uint64_t seq)
{
	const struct dispatch_closing *items = closings->items;

	for (size_t i = 0; i < closings->count; i++)
		if (items[i].desk_id == desk_id && items[i].stream == stream &&
			dispatch_record_find(items[i].record, seq) > DISPATCH_TERM_RECALLED)
			return true;
	return false;
}

bool dispatch_closing_has_copy(
	const struct dispatch_writing *writing, int32_t desk_id, const struct dispatch_stream *stream, uint64_t seq)
{
	return is_in(&writing->closings, desk_id, stream, seq) || is_in(&writing->closings_flying, desk_id, stream, seq) ||
	       is_in(&writing->settled, desk_id, stream, seq);
}

void dispatch_closing_done(struct dispatch_writing *writing)
{
	struct dispatch_list *lists[] = {&writing->closings, &writing->closings_flying, &writing->settled};

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		forget(lists[i]);
		dispatch_list_done(lists[i]);
	}
}
