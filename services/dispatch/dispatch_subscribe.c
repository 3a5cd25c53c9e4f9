/* dispatch_subscribe.c: SUBSCRIBE, from a sound ask to the first position: one look at the database for all that wait, then the
 * decision where each stream starts. Nothing of the session changes before all of it is allowed. */
#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- the look ---- */

void dispatch_subscribe_add(struct dispatch_pending **list, struct dispatch_pending *pending)
{
	while (*list != NULL)
		list = &(*list)->next;
	*list = pending;
}

/* Claims of a token, opened; false: one of them is not ours. */
static bool open_seals(struct dispatch *dispatch, struct dispatch_pending *pending, struct jk_refusal *ret_refusal)
{
	for (size_t i = 0; i < pending->streams.count; i++) {
		const struct dispatch_sealed sealed = {
			.stream = pending->streams.names[i], .seal = pending->seals[i], .size = DISPATCH_SEAL_BYTES};

		if (!pending->sealed[i])
			continue;
		if (!dispatch_seal_read(dispatch->seal_key, &pending->holder, &sealed, &pending->found[i].claim, ret_refusal))
			return false;
		pending->found[i].claimed = true;
	}
	return true;
}

static void refuse_pending(struct dispatch *dispatch, struct dispatch_pending *pending, const struct jk_refusal *refusal)
{
	struct jk_session *session = jk_session_find(dispatch->sessions, pending->session);

	if (session != NULL && !session->ended)
		jk_session_refuse(dispatch->sessions, session, pending->request, refusal);
}

/* Moves the next of those waiting to the job. */
static void take_pending(struct dispatch *dispatch)
{
	struct dispatch_writing *writing = &dispatch->writing;

	for (int taken = 0; taken < DISPATCH_FIND_MAX && writing->pending != NULL; taken++) {
		struct dispatch_pending *pending = writing->pending;
		struct jk_refusal refusal;

		writing->pending = pending->next;
		pending->next = NULL;
		if (open_seals(dispatch, pending, &refusal)) {
			dispatch_subscribe_add(&writing->finding, pending);
		} else {
			refuse_pending(dispatch, pending, &refusal);
			free(pending);
		}
	}
}

static void put_questions(struct dispatch_writing *writing)
{
	writing->question_count = 0;
	for (struct dispatch_pending *pending = writing->finding; pending != NULL; pending = pending->next) {
		pending->first_question = writing->question_count;
		pending->matching = pending->held = 0;
		for (size_t i = 0; i < pending->streams.count; i++)
			writing->questions[writing->question_count++] = (struct dispatch_question){.holder = &pending->holder,
				.cursor = pending->cursor,
				.stream = pending->streams.names[i],
				.counts = i == 0 && pending->cursor[0] != '\0',
				.asked = pending->sealed[i],
				.seq = pending->found[i].claim.seq};
	}
}

static void on_answer(void *arg, size_t index, const struct dispatch_answer *answer)
{
	struct dispatch *dispatch = arg;
	struct dispatch_pending *pending = dispatch->writing.finding;
	struct dispatch_found *found;

	while (index >= pending->first_question + pending->streams.count)
		pending = pending->next;
	found = &pending->found[index - pending->first_question];
	if (index == pending->first_question)
		pending->held = answer->cursor_held;
	pending->matching += answer->cursor_fits;
	found->first_seq = answer->found.first_seq;
	found->last = answer->found.last;
	found->kept = answer->found.kept;
	memcpy(found->kept_chain8, answer->found.kept_chain8, sizeof found->kept_chain8);
	if (pending->start == DISPATCH_START_CURSOR && answer->found.claimed) {
		found->claimed = true;
		found->claim = answer->found.claim;
	}
}

enum jk_status dispatch_subscribe_find(
	struct dispatch *dispatch, const struct dispatch_cursor_batch *cursors, const struct dispatch_store_done *done)
{
	struct dispatch_writing *writing = &dispatch->writing;

	if (writing->finding == NULL)
		take_pending(dispatch);
	if (writing->finding == NULL)
		return JK_RETRY;
	put_questions(writing);
	return dispatch_store_find(dispatch->store, cursors, writing->questions, writing->question_count, on_answer, done);
}

/* ---- the answer ---- */

struct rival {
	struct dispatch *dispatch;
	const struct dispatch_subscription *newest;
};

static void end_rival(void *arg, struct jk_session *session)
{
	struct rival *rival = arg;
	struct dispatch_subscription *subscription = session->user;

	if (subscription == NULL || session->ended || session->number == rival->newest->session ||
		strcmp(subscription->cursor, rival->newest->cursor) != 0 ||
		strcmp(subscription->holder.name, rival->newest->holder.name) != 0)
		return;
	dispatch_subscription_end(rival->dispatch, session);
	jk_session_end(rival->dispatch->sessions, session, JK_CODE_REPLACED, "a newer session has taken this cursor over");
}

static bool decide_starts(
	const struct dispatch_pending *pending, struct dispatch_position *starts, struct jk_refusal *ret_refusal)
{
	for (size_t i = 0; i < pending->streams.count; i++)
		if (!dispatch_rules_decide_start(
			    pending->start, pending->streams.names[i], &pending->found[i], &starts[i], ret_refusal))
			return false;
	return true;
}

static bool is_backfill(const struct dispatch_pending *pending)
{
	return pending->filter.agreement[0] != '\0';
}

static struct dispatch_subscription *build_subscription(
	struct dispatch *dispatch, const struct dispatch_pending *pending, const struct dispatch_position *starts)
{
	struct dispatch_subscription *subscription =
		dispatch_subscription_new(dispatch->cache, &pending->streams, pending->window);

	if (subscription == NULL)
		return NULL;
	subscription->share = dispatch_flight_share(&dispatch->flight, pending->agency_id);
	if (subscription->share == NULL) {
		dispatch_subscription_free(&subscription);
		return NULL;
	}
	subscription->session = pending->session;
	subscription->serial = ++dispatch->serial;
	subscription->key_id = pending->key_id;
	subscription->desk_id = pending->desk_id;
	subscription->holder = pending->holder;
	subscription->filter = pending->filter;
	subscription->batch_max_bytes = pending->batch_max_bytes;
	subscription->lagging = pending->lagging;
	subscription->recalled = pending->recalled && !is_backfill(pending);
	subscription->work = pending->work;
	if (pending->start == DISPATCH_START_SNAPSHOT) {
		subscription->snapshot = calloc(1, sizeof *subscription->snapshot);
		if (subscription->snapshot == NULL) {
			dispatch_subscription_free(&subscription);
			return NULL;
		}
		subscription->snapshot->include_closed = pending->include_closed;
	}
	(void)jk_text_copy(subscription->cursor, sizeof subscription->cursor, pending->cursor);
	subscription->beat_ms = jk_time_mono_ms();
	for (size_t i = 0; i < pending->streams.count; i++) {
		dispatch_subscription_start(subscription, i, &starts[i]);
		if (is_backfill(pending))
			subscription->places[i].until = pending->found[i].last.seq;
	}
	return subscription;
}

static void tell_starts(struct dispatch *dispatch, struct jk_session *session, const struct dispatch_pending *pending,
	const struct dispatch_position *starts)
{
	/* Of a snapshot: when it is told. */
	struct dispatch_told told = {.count = pending->start == DISPATCH_START_SNAPSHOT ? 0 : pending->streams.count};

	for (size_t i = 0; i < told.count; i++) {
		told.streams[i] = pending->streams.names[i];
		dispatch_seal_write(told.seals[i], dispatch->seal_key, &pending->holder, told.streams[i], &starts[i]);
	}
	if (dispatch_wire_send_subscribed(dispatch->sessions, session, pending->request, &told) != JK_OK && !session->ended)
		jk_session_end(dispatch->sessions, session, JK_CODE_UNAVAILABLE, "the link is full");
}

/* Puts the subscription in the place of the one before it; deliveries go on being numbered. */
static void install(struct dispatch *dispatch, struct jk_session *session, struct dispatch_subscription *subscription,
	enum dispatch_cursor_fate fate)
{
	const struct dispatch_subscription *before = session->user;
	struct rival rival = {.dispatch = dispatch, .newest = subscription};

	if (before != NULL) {
		subscription->delivery_no = subscription->acked_no = subscription->first_no = before->delivery_no;
		dispatch_subscription_end(dispatch, session);
	}
	if (subscription->cursor[0] != '\0')
		jk_sessions_each(dispatch->sessions, end_rival, &rival);
	if (subscription->cursor[0] != '\0' && fate == DISPATCH_CURSOR_RENEW && subscription->snapshot == NULL)
		dispatch_writing_renew_cursor(dispatch, subscription);
	session->user = subscription;
	if (subscription->snapshot != NULL)
		dispatch_snapshot_want(dispatch, subscription);
	dispatch->feed.heads_due = true;
}

static bool start_subscription(struct dispatch *dispatch, struct jk_session *session, const struct dispatch_pending *pending,
	struct jk_refusal *ret_refusal)
{
	enum dispatch_cursor_fate fate =
		dispatch_rules_decide_cursor(pending->start, pending->streams.count, pending->matching, pending->held);
	struct dispatch_position starts[DISPATCH_STREAMS_MAX];
	struct dispatch_subscription *subscription;

	if (pending->cursor[0] != '\0' && fate == DISPATCH_CURSOR_REFUSE)
		return jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "cursor",
			"cursor %s was kept for another filter or fewer streams; start it anew from the beginning, now or a "
			"token, or "
			"use another name",
			pending->cursor);
	if (!decide_starts(pending, starts, ret_refusal))
		return false;
	subscription = build_subscription(dispatch, pending, starts);
	if (subscription == NULL)
		return jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL, "out of memory");
	install(dispatch, session, subscription, fate);
	tell_starts(dispatch, session, pending, starts);
	jk_log(JK_LOG_INFO, "subscribed", "holder=%s streams=%zu start=%d cursor=%s window=%u", pending->holder.name,
		pending->streams.count, (int)pending->start, pending->cursor, pending->window);
	return true;
}

static void answer_pending(struct dispatch *dispatch, struct dispatch_pending *pending, enum jk_status status)
{
	struct jk_session *session = jk_session_find(dispatch->sessions, pending->session);
	struct jk_refusal refusal;

	if (session == NULL || session->ended)
		return;
	if (status != JK_OK)
		(void)jk_refuse(&refusal, JK_CODE_UNAVAILABLE, NULL, "the database refused the look-up");
	else if (start_subscription(dispatch, session, pending, &refusal))
		return;
	jk_session_refuse(dispatch->sessions, session, pending->request, &refusal);
}

void dispatch_subscribe_found(struct dispatch *dispatch, enum jk_status status)
{
	struct dispatch_writing *writing = &dispatch->writing;

	if (status == JK_RETRY)
		return;
	while (writing->finding != NULL) {
		struct dispatch_pending *pending = writing->finding;

		writing->finding = pending->next;
		answer_pending(dispatch, pending, status);
		free(pending);
	}
}

void dispatch_subscribe_forget(struct dispatch *dispatch, uint64_t session)
{
	for (struct dispatch_pending **link = &dispatch->writing.pending; *link != NULL; link = &(*link)->next) {
		struct dispatch_pending *pending = *link;

		if (pending->session != session)
			continue;
		*link = pending->next;
		free(pending);
		return;
	}
}

void dispatch_subscribe_done(struct dispatch *dispatch)
{
	dispatch_subscribe_add(&dispatch->writing.pending, dispatch->writing.finding);
	dispatch->writing.finding = NULL;
	while (dispatch->writing.pending != NULL) {
		struct dispatch_pending *pending = dispatch->writing.pending;

		dispatch->writing.pending = pending->next;
		free(pending);
	}
}

void dispatch_subscription_end(struct dispatch *dispatch, struct jk_session *session)
{
	struct dispatch_subscription *subscription = session->user;

	if (subscription == NULL)
		return;
	dispatch_writing_collect(dispatch, subscription, true);
	dispatch_snapshot_end(dispatch, subscription);
	dispatch_flight_take(&dispatch->flight, subscription->share, subscription->unacked_bytes);
	session->user = NULL;
	dispatch_subscription_free(&subscription);
}
