/* dispatch_writing.c: the writing lane. What may be disclosed is written before it is sent; cursors and ended ranges once a
 * second; one job at a time, the most urgent first. A list that flies is kept until its job is committed. */
#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_internal.h"

#include <string.h>

/* Rows of one job: a storm of them is spread over many, so that none holds up the next. */
enum { ROWS_MAX = 2048, SAVE_SOON_MS = 200 };

/* ---- collecting ---- */

/* The range it stands in says nothing of protected groups that its next copy may carry: another one takes its place. */
static bool lacks_groups(struct dispatch_place *place, uint64_t seq)
{
	const struct dispatch_range *range = dispatch_subscription_range(place, seq);

	return range != NULL && (place->groups & ~range->groups) != 0;
}

void dispatch_writing_reserve(struct dispatch *dispatch, struct dispatch_subscription *subscription, size_t place_no)
{
	struct dispatch_place *place = &subscription->places[place_no];
	struct dispatch_reservation *reservation;
	uint64_t next = place->at.seq + 1;

	if (place->reserving)
		return;
	reservation = dispatch_list_add(&dispatch->writing.reserve, sizeof *reservation);
	if (reservation == NULL)
		return;
	place->reserving = true;
	*reservation = (struct dispatch_reservation){.session = subscription->session,
		.serial = subscription->serial,
		.holder = subscription->holder,
		.key_id = subscription->key_id,
		.place = (uint16_t)place_no,
		.stream = place->stream->name,
		.from_seq = next > place->reserved_to || lacks_groups(place, next) ? next : place->reserved_to + 1,
		.policy_version = subscription->policy_version,
		.groups = place->groups};
	reservation->to_seq =
		reservation->from_seq + dispatch_rules_reserve_count(place->stream->last_seq + 1 - reservation->from_seq) - 1;
}

bool dispatch_writing_covers(
	struct dispatch *dispatch, struct dispatch_subscription *subscription, size_t place_no, uint64_t seq, uint32_t term)
{
	struct dispatch_place *place = &subscription->places[place_no];

	if (dispatch_rules_should_reserve(seq, place->reserved_to))
		dispatch_writing_reserve(dispatch, subscription, place_no);
	if (seq > place->reserved_to)
		return false;
	if (dispatch_subscription_can_note(place, seq, term))
		return true;
	/* The record is full: the range ends here, unless the next one comes already. */
	if (!place->reserving) {
		place->reserved_to = seq - 1;
		dispatch_writing_reserve(dispatch, subscription, place_no);
	}
	return false;
}

static void note_cursor(struct dispatch *dispatch, const struct dispatch_subscription *subscription, struct dispatch_place *place)
{
	struct dispatch_cursor_row *row = dispatch_list_add(&dispatch->writing.cursors, sizeof *row);

	if (row == NULL)
		return;
	row->holder = subscription->holder;
	(void)jk_text_copy(row->name, sizeof row->name, subscription->cursor);
	(void)jk_text_copy(row->stream, sizeof row->stream, place->stream->name);
	row->position = place->acked;
	place->unsaved = false;
}

void dispatch_writing_collect(struct dispatch *dispatch, struct dispatch_subscription *subscription, bool ends)
{
	struct dispatch_range range;

	for (size_t i = 0; i < subscription->place_count; i++) {
		struct dispatch_place *place = &subscription->places[i];

		/* A cursor begins where its snapshot ends, once that is with the client. */
		if (subscription->cursor[0] != '\0' && place->unsaved && subscription->snapshot == NULL)
			note_cursor(dispatch, subscription, place);
		while (dispatch_subscription_take_closed(place, ends, &range))
			dispatch_closing_add(dispatch, subscription, place, &range, true);
		dispatch_closing_note_open(dispatch, subscription, place);
	}
}

void dispatch_writing_renew_cursor(struct dispatch *dispatch, const struct dispatch_subscription *subscription)
{
	struct dispatch_writing *writing = &dispatch->writing;
	struct dispatch_cursor_row *rows = writing->cursors.items, *renewed;
	size_t kept = 0;

	for (size_t i = 0; i < writing->cursors.count; i++)
		if (strcmp(rows[i].name, subscription->cursor) != 0 ||
			strcmp(rows[i].holder.name, subscription->holder.name) != 0)
			rows[kept++] = rows[i];
	writing->cursors.count = kept;
	renewed = dispatch_list_add(&writing->renewed, sizeof *renewed);
	if (renewed == NULL)
		return;
	renewed->holder = subscription->holder;
	(void)jk_text_copy(renewed->name, sizeof renewed->name, subscription->cursor);
}

/* What has moved since the last save; when many cursors move at once, some of them now and the others in the next jobs. */
static void collect_session(void *arg, struct jk_session *session)
{
	struct dispatch *dispatch = arg;
	struct dispatch_subscription *subscription = session->user;

	if (subscription != NULL && dispatch->writing.cursors.count + dispatch->writing.closings.count < ROWS_MAX)
		dispatch_writing_collect(dispatch, subscription, false);
}

/* A cursor that somebody subscribes from now: its newest position has to be saved before it is looked up. */
static void collect_asked(void *arg, struct jk_session *session)
{
	struct dispatch *dispatch = arg;
	struct dispatch_subscription *subscription = session->user;
	const struct dispatch_pending *pending = dispatch->writing.pending;

	if (subscription == NULL || subscription->cursor[0] == '\0')
		return;
	for (int i = 0; i < DISPATCH_FIND_MAX && pending != NULL; i++, pending = pending->next) {
		if (strcmp(pending->cursor, subscription->cursor) == 0 &&
			strcmp(pending->holder.name, subscription->holder.name) == 0) {
			dispatch_writing_collect(dispatch, subscription, false);
			return;
		}
	}
}

/* Everything noted for cursors gets ready to fly, unless something still does. */
static struct dispatch_cursor_batch load_cursors(struct dispatch *dispatch)
{
	struct dispatch_writing *writing = &dispatch->writing;

	if (writing->cursors_flying.count == 0 && writing->renewed_flying.count == 0) {
		(void)dispatch_list_move(&writing->renewed_flying, &writing->renewed, sizeof(struct dispatch_cursor_row));
		(void)dispatch_list_move(&writing->cursors_flying, &writing->cursors, sizeof(struct dispatch_cursor_row));
	}
	return (struct dispatch_cursor_batch){.renewed = writing->renewed_flying.items,
		.rows = writing->cursors_flying.items,
		.renewed_count = writing->renewed_flying.count,
		.row_count = writing->cursors_flying.count};
}

/* ---- jobs ---- */

/* Positions are saved without waiting for the disk: those saved last may be lost with the database that has come back. */
static void save_again(void *arg, struct jk_session *session)
{
	struct dispatch_subscription *subscription = session->user;

	(void)arg;
	for (size_t i = 0; subscription != NULL && i < subscription->place_count; i++)
		subscription->places[i].unsaved = true;
}

static void on_secret(void *arg, const uint8_t *key, uint32_t epoch)
{
	struct dispatch *dispatch = arg;

	jk_sessions_each(dispatch->sessions, save_again, NULL);
	memcpy(dispatch->seal_key, key, sizeof dispatch->seal_key);
	dispatch->has_secret = true;
	dispatch->writing.secret_due = false;
	if (dispatch->epoch == epoch)
		return;
	jk_log(JK_LOG_INFO, "epoch", "epoch=%u", epoch);
	if (dispatch->epoch != 0)
		dispatch_feed_changed(dispatch);
	dispatch->epoch = epoch;
}

static void on_id(void *arg, size_t index, int64_t disclosure_id)
{
	struct dispatch *dispatch = arg;
	const struct dispatch_reservation *r =
		&((const struct dispatch_reservation *)dispatch->writing.reserve_flying.items)[index];
	const struct dispatch_range range = {
		.disclosure_id = disclosure_id, .from_seq = r->from_seq, .to_seq = r->to_seq, .groups = r->groups};
	struct jk_session *session = jk_session_find(dispatch->sessions, r->session);
	struct dispatch_subscription *subscription = session == NULL ? NULL : session->user;
	struct dispatch_range closed;
	struct dispatch_place *place;

	if (subscription == NULL || subscription->serial != r->serial) {
		dispatch_closing_unused(dispatch, &range);
		return;
	}
	if (r->item_range > 0) {
		if (!dispatch_snapshot_grant(subscription, r, disclosure_id))
			dispatch_closing_unused(dispatch, &range);
		return;
	}
	place = &subscription->places[r->place];
	if (subscription->policy_version != r->policy_version) {
		place->reserving = false;
		dispatch_closing_unused(dispatch, &range);
		return;
	}
	while (dispatch_subscription_take_closed(place, false, &closed))
		dispatch_closing_add(dispatch, subscription, place, &closed, true);
	/* The oldest leaves memory: its row stays "possibly disclosed" beyond what is acknowledged now. */
	if (place->range_count == DISPATCH_RANGES_MAX && dispatch_subscription_take_closed(place, true, &closed))
		dispatch_closing_add(dispatch, subscription, place, &closed, false);
	dispatch_subscription_grant(place, &range);
}

static void forget_flying(struct dispatch_writing *writing)
{
	dispatch_list_clear(&writing->renewed_flying);
	dispatch_list_clear(&writing->cursors_flying);
}

/* The job did what it was for. */
static void on_committed(struct dispatch *dispatch, enum dispatch_job job)
{
	struct dispatch_writing *writing = &dispatch->writing;

	switch (job) {
	case DISPATCH_JOB_RESERVE:
		jk_metric_add(dispatch->metrics.reservations, writing->reserve_flying.count);
		dispatch_list_clear(&writing->reserve_flying);
		break;
	case DISPATCH_JOB_FIND:
		forget_flying(writing);
		break;
	case DISPATCH_JOB_SAVE:
		forget_flying(writing);
		dispatch_closing_written(dispatch);
		break;
	case DISPATCH_JOB_APPEND:
		dispatch_evidence_appended(dispatch);
		break;
	case DISPATCH_JOB_HEAD:
		dispatch_evidence_signed(dispatch);
		break;
	default:
		break;
	}
	dispatch->generation++;
}

static void on_done(void *arg, enum jk_status status)
{
	struct dispatch *dispatch = arg;
	struct dispatch_writing *writing = &dispatch->writing;
	enum dispatch_job job = writing->job;

	writing->job = DISPATCH_JOB_NONE;
	if (status == JK_OK) {
		on_committed(dispatch, job);
	} else {
		writing->not_before_ms = jk_time_mono_ms() + DISPATCH_RETRY_MS;
		jk_metric_add(dispatch->metrics.failures, 1);
		jk_log_limited(5000, status == JK_RETRY ? JK_LOG_WARN : JK_LOG_ERROR, "writing_failed",
			"job=%d status=%s problem=%s", (int)job, jk_status_name(status), dispatch_store_problem(dispatch->store));
	}
	if (job == DISPATCH_JOB_FIND)
		dispatch_subscribe_found(dispatch, status);
}

static enum jk_status start_reserve(struct dispatch *dispatch, const struct dispatch_store_done *done)
{
	struct dispatch_writing *writing = &dispatch->writing;

	if (writing->reserve_flying.count == 0 && !dispatch_list_move_some(&writing->reserve_flying, &writing->reserve, ROWS_MAX,
							  sizeof(struct dispatch_reservation)))
		return JK_RETRY;
	return dispatch_store_reserve(dispatch->store, writing->reserve_flying.items, writing->reserve_flying.count, on_id, done);
}

static enum jk_status start_save(struct dispatch *dispatch, const struct dispatch_store_done *done)
{
	struct dispatch_writing *writing = &dispatch->writing;
	struct dispatch_cursor_batch cursors;
	bool much;

	jk_sessions_each(dispatch->sessions, collect_session, dispatch);
	much = writing->cursors.count + writing->closings.count >= ROWS_MAX;
	cursors = load_cursors(dispatch);
	dispatch_closing_fly(writing);
	writing->save_at_ms = jk_time_mono_ms() + (much ? SAVE_SOON_MS : DISPATCH_SAVE_MS);
	if (cursors.row_count == 0 && cursors.renewed_count == 0 && writing->closings_flying.count == 0)
		return JK_RETRY;
	return dispatch_store_save(dispatch->store, &cursors, &dispatch->terms, writing->closings_flying.items,
		writing->closings_flying.count, done);
}

static enum jk_status start_find(struct dispatch *dispatch, const struct dispatch_store_done *done)
{
	struct dispatch_cursor_batch cursors;

	jk_sessions_each(dispatch->sessions, collect_asked, dispatch);
	cursors = load_cursors(dispatch);
	return dispatch_subscribe_find(dispatch, &cursors, done);
}

static enum jk_status start_secret(struct dispatch *dispatch, const struct dispatch_store_done *done)
{
	return dispatch_store_read_secret(dispatch->store, on_secret, done);
}

static bool has_to_save(const struct dispatch_writing *writing)
{
	return writing->cursors.count + writing->cursors_flying.count > 0 ||
	       writing->renewed.count + writing->renewed_flying.count > 0 ||
	       writing->closings.count + writing->closings_flying.count > 0;
}

static bool has_to_append(const struct dispatch_writing *writing)
{
	return writing->mails.count + writing->notices.count > 0 || dispatch_receipts_count(writing->receipts) > 0;
}

/* The sessions are gone; what they left is written without waiting for its time. */
static enum dispatch_job last_job(const struct dispatch_writing *writing)
{
	if (has_to_save(writing))
		return DISPATCH_JOB_SAVE;
	return has_to_append(writing) ? DISPATCH_JOB_APPEND : DISPATCH_JOB_NONE;
}

static bool is_due(const struct dispatch *dispatch, enum dispatch_job job, int64_t now_ms)
{
	const struct dispatch_writing *writing = &dispatch->writing;

	switch (job) {
	case DISPATCH_JOB_RESERVE:
		return writing->reserve_flying.count > 0 || writing->reserve.count > 0;
	case DISPATCH_JOB_FIND:
		return writing->finding != NULL || writing->pending != NULL;
	case DISPATCH_JOB_SAVE:
		return now_ms >= writing->save_at_ms;
	case DISPATCH_JOB_HEAD:
		return dispatch_evidence_head_is_due(dispatch, now_ms);
	case DISPATCH_JOB_APPEND:
		return dispatch_evidence_append_is_due(dispatch, now_ms);
	default:
		return false;
	}
}

/* What is to be written next: one kind after the other, so that none of them starves when many desks come at once. */
static enum dispatch_job next_job(const struct dispatch *dispatch, int64_t now_ms)
{
	static const enum dispatch_job jobs[] = {
		DISPATCH_JOB_RESERVE, DISPATCH_JOB_FIND, DISPATCH_JOB_SAVE, DISPATCH_JOB_HEAD, DISPATCH_JOB_APPEND};
	enum { JOBS = sizeof jobs / sizeof jobs[0] };
	const struct dispatch_writing *writing = &dispatch->writing;
	size_t last = 0;

	if (dispatch->draining)
		return last_job(writing);
	if (writing->secret_due)
		return DISPATCH_JOB_SECRET;
	for (size_t i = 0; i < JOBS; i++)
		if (jobs[i] == writing->last_job)
			last = i;
	for (size_t i = 1; i <= JOBS; i++)
		if (is_due(dispatch, jobs[(last + i) % JOBS], now_ms))
			return jobs[(last + i) % JOBS];
	return DISPATCH_JOB_NONE;
}

static enum jk_status start(struct dispatch *dispatch, enum dispatch_job job)
{
	const struct dispatch_store_done done = {dispatch, on_done};

	switch (job) {
	case DISPATCH_JOB_SECRET:
		return start_secret(dispatch, &done);
	case DISPATCH_JOB_RESERVE:
		return start_reserve(dispatch, &done);
	case DISPATCH_JOB_FIND:
		return start_find(dispatch, &done);
	case DISPATCH_JOB_SAVE:
		return start_save(dispatch, &done);
	case DISPATCH_JOB_HEAD:
		return dispatch_evidence_sign(dispatch, &done);
	case DISPATCH_JOB_APPEND:
		return dispatch_evidence_append(dispatch, &done);
	default:
		return JK_RETRY;
	}
}

void dispatch_writing_turn(struct dispatch *dispatch)
{
	struct dispatch_writing *writing = &dispatch->writing;
	int64_t now_ms = jk_time_mono_ms();
	enum dispatch_job job;

	if (writing->job != DISPATCH_JOB_NONE || now_ms < writing->not_before_ms || !dispatch_store_can_write(dispatch->store))
		return;
	job = next_job(dispatch, now_ms);
	writing->last_job = job;
	if (start(dispatch, job) == JK_OK)
		writing->job = job;
}

bool dispatch_writing_is_clear(const struct dispatch *dispatch)
{
	const struct dispatch_writing *writing = &dispatch->writing;

	return writing->job == DISPATCH_JOB_NONE && !has_to_save(writing) && !has_to_append(writing);
}

void dispatch_writing_done(struct dispatch *dispatch)
{
	struct dispatch_writing *writing = &dispatch->writing;
	struct dispatch_list *lists[] = {&writing->reserve, &writing->reserve_flying, &writing->renewed, &writing->renewed_flying,
		&writing->cursors, &writing->cursors_flying, &writing->mails, &writing->notices, &writing->heads,
		&writing->leaves};

	dispatch_closing_done(writing);
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		dispatch_list_done(lists[i]);
	dispatch_receipts_free(&writing->receipts);
}
