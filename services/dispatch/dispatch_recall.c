/* dispatch_recall.c: what happens to an event that a desk may not see and that ends or changes an incident: when the desk had an
 * earlier copy of it in the same stream, by the record, it is told so, with ids alone. Whether it had is asked of the database
 * (and of what is still in memory here) for many at once; the session's stream waits for the answer, nobody else does. A desk
 * that never had a copy is told nothing, and waits for nothing that would show: positions of a stream move all the same. */
#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_internal.h"

#include <string.h>

enum { KEEP_MS = 5000, UNSEEN_MS = 1000 };

static bool may_recall(const struct dispatch_event *event)
{
	return event != NULL && event->readable && !event->mailbox && dispatch_wire_recall_reason(event->kind) != NULL;
}

static struct dispatch_recall_answer *slot_of(
	struct dispatch_recall *recall, int32_t desk_id, const struct dispatch_stream *stream, uint64_t seq)
{
	uint64_t mixed = ((uint64_t)(uint32_t)desk_id + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
			 (uintptr_t)stream * UINT64_C(0xff51afd7ed558ccd);

	/* Numbers of one stream have slots of their own. */
	return &recall->answers[((mixed >> 32) + seq) % DISPATCH_RECALL_ANSWERS];
}

/* Two that share a slot take turns: an answer stays until it was seen, or for a while. */
static bool is_free(const struct dispatch_recall_answer *answer, int64_t now_ms)
{
	switch (answer->state) {
	case DISPATCH_RECALL_UNKNOWN:
		return true;
	case DISPATCH_RECALL_ASKED:
		return false;
	default:
		return answer->seen || now_ms >= answer->until_ms - KEEP_MS + UNSEEN_MS;
	}
}

static bool is_answer_to(const struct dispatch_recall_answer *answer, const struct dispatch_recall_case *of, uint64_t seq)
{
	return answer->state != DISPATCH_RECALL_UNKNOWN && answer->desk_id == of->subscription->desk_id &&
	       answer->stream == of->stream && answer->seq == seq && answer->policy_version == of->registry->version;
}

/* Of the same, under a policy that is not the one in force any more. */
static bool is_outdated(const struct dispatch_recall_answer *answer, const struct dispatch_recall_case *of, uint64_t seq)
{
	return answer->state != DISPATCH_RECALL_ASKED && answer->desk_id == of->subscription->desk_id &&
	       answer->stream == of->stream && answer->seq == seq;
}

/* Puts the question with those that are asked next; false: not now. */
static bool ask(struct dispatch *dispatch, const struct dispatch_recall_case *of, const struct dispatch_event *event)
{
	struct dispatch_recall *recall = &dispatch->recall;
	struct dispatch_recall_answer *answer;
	struct dispatch_recall_question *question;

	answer = slot_of(recall, of->subscription->desk_id, of->stream, event->seq);
	if (recall->asking.count >= DISPATCH_RECALL_QUESTIONS ||
		(!is_free(answer, jk_time_mono_ms()) && !is_outdated(answer, of, event->seq)))
		return false;
	question = dispatch_list_add(&recall->asking, sizeof *question);
	if (question == NULL)
		return false;
	question->desk_id = of->subscription->desk_id;
	question->holder = of->subscription->holder;
	question->stream = of->stream->name;
	question->seq = event->seq;
	question->incident_id = event->incident_id;
	*answer = (struct dispatch_recall_answer){.desk_id = question->desk_id,
		.stream = of->stream,
		.seq = event->seq,
		.policy_version = of->registry->version,
		.state = DISPATCH_RECALL_ASKED};
	question->answer = (uint32_t)(answer - recall->answers);
	return true;
}

/* What follows in the block and will be denied likewise is asked in the same breath. */
static void ask_ahead(
	struct dispatch *dispatch, const struct dispatch_recall_case *of, struct dispatch_block *block, uint64_t seq)
{
	for (uint64_t i = seq + 1 - dispatch_rules_block_first(block->number); i < DISPATCH_BLOCK_EVENTS; i++) {
		struct dispatch_event *event = block->events[i];
		struct dispatch_recall_answer *answer;

		if (!may_recall(event))
			continue;
		answer = slot_of(&dispatch->recall, of->subscription->desk_id, of->stream, event->seq);
		if (is_answer_to(answer, of, event->seq))
			continue;
		dispatch_fanout_find_owner(event, of->registry);
		if (jk_registry_decide(of->registry, of->key, JK_USE_VIEW, &event->label, of->now_us).effect == JK_DENY &&
			!ask(dispatch, of, event))
			return;
	}
}

enum dispatch_recall_state dispatch_recall_decide(struct dispatch *dispatch, const struct dispatch_recall_case *of,
	struct dispatch_block *block, const struct dispatch_event *event)
{
	struct dispatch_recall_answer *answer;

	if (!of->subscription->recalled || of->subscription->desk_id < 0 || !may_recall(event))
		return DISPATCH_RECALL_NO;
	answer = slot_of(&dispatch->recall, of->subscription->desk_id, of->stream, event->seq);
	if (is_answer_to(answer, of, event->seq) &&
		(answer->state == DISPATCH_RECALL_ASKED || jk_time_mono_ms() < answer->until_ms)) {
		answer->seen = answer->state != DISPATCH_RECALL_ASKED;
		return answer->state;
	}
	if (ask(dispatch, of, event))
		ask_ahead(dispatch, of, block, event->seq);
	return DISPATCH_RECALL_ASKED;
}

/* ---- looking it up ---- */

struct search {
	int32_t desk_id;
	const struct dispatch_stream *stream;
	uint64_t seq;
	bool found;
};

static void look_at_session(void *arg, struct jk_session *session)
{
	struct search *search = arg;
	const struct dispatch_subscription *subscription = session->user;

	if (search->found || subscription == NULL || subscription->desk_id != search->desk_id)
		return;
	for (size_t i = 0; i < subscription->place_count; i++) {
		const struct dispatch_place *place = &subscription->places[i];

		if (place->stream == search->stream && dispatch_snapshot_has_copy(subscription, i, search->seq))
			search->found = true;
		for (uint8_t n = 0; place->stream == search->stream && n < place->range_count; n++)
			if (dispatch_record_find(place->ranges[n].record, search->seq) > DISPATCH_TERM_RECALLED)
				search->found = true;
	}
}

/* In what no row says yet. */
static bool has_copy_here(struct dispatch *dispatch, int32_t desk_id, const struct dispatch_stream *stream, uint64_t seq)
{
	struct search search = {.desk_id = desk_id, .stream = stream, .seq = seq};

	jk_sessions_each(dispatch->sessions, look_at_session, &search);
	return search.found || dispatch_closing_has_copy(&dispatch->writing, desk_id, stream, seq);
}

static void on_earlier(void *arg, size_t index, uint64_t seq, bool had)
{
	struct dispatch *dispatch = arg;
	struct dispatch_recall_question *question = &((struct dispatch_recall_question *)dispatch->recall.flying.items)[index];
	const struct dispatch_stream *stream = dispatch_cache_stream(dispatch->cache, question->stream);

	question->had = question->had || had || has_copy_here(dispatch, question->desk_id, stream, seq);
}

static void on_looked(void *arg, enum jk_status status)
{
	struct dispatch *dispatch = arg;
	struct dispatch_recall *recall = &dispatch->recall;
	const struct dispatch_recall_question *questions = recall->flying.items;
	int64_t until_ms = jk_time_mono_ms() + KEEP_MS;

	recall->looking = dispatch->feed.reading = false;
	for (size_t i = 0; i < recall->flying.count; i++) {
		struct dispatch_recall_answer *answer = &recall->answers[questions[i].answer];

		if (answer->desk_id != questions[i].desk_id || answer->seq != questions[i].seq ||
			strcmp(answer->stream->name, questions[i].stream) != 0)
			continue;
		answer->until_ms = until_ms;
		answer->state = questions[i].had ? DISPATCH_RECALL_YES : DISPATCH_RECALL_NO;
		if (status != JK_OK)
			answer->state = DISPATCH_RECALL_UNKNOWN;
	}
	dispatch_list_clear(&recall->flying);
	dispatch_closing_settle(dispatch);
	if (status == JK_OK) {
		dispatch->generation++;
		return;
	}
	jk_metric_add(dispatch->metrics.failures, 1);
	jk_log_limited(5000, JK_LOG_WARN, "recall_failed", "status=%s problem=%s", jk_status_name(status),
		dispatch_store_problem(dispatch->store));
}

bool dispatch_recall_look(struct dispatch *dispatch)
{
	struct dispatch_recall *recall = &dispatch->recall;
	const struct dispatch_store_done done = {dispatch, on_looked};

	/* In turn with the reading of the feed, which others wait for. */
	recall->turn = !recall->turn;
	if (recall->asking.count == 0 || (!recall->turn && dispatch->feed.wants.count > 0))
		return false;
	if (!dispatch_list_move(&recall->flying, &recall->asking, sizeof(struct dispatch_recall_question)))
		return false;
	recall->looking =
		dispatch_store_recall(dispatch->store, recall->flying.items, recall->flying.count, on_earlier, &done) == JK_OK;
	if (!recall->looking)
		on_looked(dispatch, JK_RETRY);
	return recall->looking;
}

void dispatch_recall_done(struct dispatch *dispatch)
{
	dispatch_list_done(&dispatch->recall.asking);
	dispatch_list_done(&dispatch->recall.flying);
}
