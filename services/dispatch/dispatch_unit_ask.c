/* dispatch_unit_ask.c: questions about units and help: one after the other, on a connection of their own. A UnitRecommend and an
 * AidList take two jobs: what may be seen is decided between them. See dispatch_unit_internal.h. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_unit_internal.h"

enum {
	WAITING_MAX = 1024,
	WAITING_OF_SESSION_MAX = 64,
	PATIENCE_MS = 5000,
	COUNT_MS = 5000,
	/* A page of units, an incident of 2 MiB several times over. */
	ARENA_BYTES = 16 * 1024 * 1024,
	LOG_EVERY_MS = 10000,
};

struct waiting {
	struct waiting *next;
	struct dispatch_unit_question question;
	uint8_t curve_key[32];
	int64_t since_ms;
};

struct dispatch_unit_asks_queue {
	struct jk_sessions *sessions;
	struct jk_db *db;
	struct dispatch_unit_store *store;
	struct jk_arena *arena;
	struct waiting *head, **tail;
	size_t count;
	struct waiting *now; /* being answered; NULL: none, or states are counted */
	bool flying;

	/* Of the question being answered. */
	struct dispatch_aid *aids;
	struct dispatch_incident *incidents;
	struct dispatch_unit_search search;

	int64_t count_at_ms;
	struct jk_metric *states[DISPATCH_UNIT_STATES], *asked;
};

/* ---- who asks ---- */

static struct jk_session *session_of(const struct dispatch_unit_asks_queue *asks)
{
	return jk_session_find(asks->sessions, asks->now->question.session);
}

/* NULL: not a desk's, or not good any more. */
static const struct jk_registry_key *key_of(const struct dispatch_unit_asks_queue *asks, const struct jk_registry *registry)
{
	const struct jk_registry_key *key = registry != NULL ? jk_registry_find_key(registry, asks->now->curve_key) : NULL;

	return key != NULL && key->desk != NULL && jk_registry_key_standing(key, jk_time_now_us()) == JK_STANDING_GOOD ? key
														       : NULL;
}

/* ---- ends ---- */

static void end(struct dispatch_unit_asks_queue *asks)
{
	free(asks->now);
	asks->now = NULL;
	asks->aids = NULL;
	asks->incidents = NULL;
	jk_arena_reset(asks->arena);
}

static void refuse(struct dispatch_unit_asks_queue *asks, enum jk_code code, const char *field, const char *reason)
{
	struct jk_session *session = session_of(asks);
	struct jk_refusal refusal;

	(void)jk_refuse(&refusal, code, field, "%s", reason);
	if (session != NULL)
		jk_session_refuse(asks->sessions, session, asks->now->question.request, &refusal);
	end(asks);
}

static void refuse_later(struct dispatch_unit_asks_queue *asks)
{
	refuse(asks, JK_CODE_UNAVAILABLE, NULL, "it cannot be answered now; ask again");
}

static void end_sent(struct dispatch_unit_asks_queue *asks, enum jk_status status)
{
	if (status != JK_OK)
		jk_log_limited(LOG_EVERY_MS, JK_LOG_WARN, "answer_not_sent", "what=unit status=%s", jk_status_name(status));
	end(asks);
}

/* Starts the next job of the question; when that cannot be, the question is refused. */
static void start(struct dispatch_unit_asks_queue *asks, const struct jk_db_step *steps, size_t count, jk_db_done *done)
{
	asks->flying = jk_db_start(asks->db, steps, count, done, asks) == JK_OK;
	if (!asks->flying && asks->now != NULL)
		refuse_later(asks);
}

/* A job has ended: false where nothing more is to be done about it. */
static bool land(struct dispatch_unit_asks_queue *asks, const struct jk_db_outcome *outcome)
{
	asks->flying = false;
	if (outcome->status != JK_OK) {
		jk_log_limited(LOG_EVERY_MS, JK_LOG_WARN, "query_failed", "what=unit sqlstate=%s why=%s", outcome->sqlstate,
			outcome->message != NULL ? outcome->message : "");
		refuse_later(asks);
		return false;
	}
	if (session_of(asks) == NULL) {
		end(asks);
		return false;
	}
	return true;
}

/* ---- UnitList ---- */

static void on_units(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_unit_asks_queue *asks = arg;
	struct dispatch_unit *units = NULL;

	if (!land(asks, outcome))
		return;
	if (!dispatch_unit_store_read_units(outcome, 0, asks->arena, &units))
		refuse_later(asks);
	else
		end_sent(asks, dispatch_unit_wire_send_units(
				       asks->sessions, session_of(asks), &asks->now->question, units, asks->arena));
}

/* ---- AidList ---- */

/* False: the agency may answer only as one that is hidden from the asker, or not at all (any more). */
static bool may_name(const struct jk_registry *registry, const struct dispatch_incident *incident,
	const struct dispatch_sight *mine, int32_t agency_id, int64_t now_us)
{
	for (size_t i = 0; i < registry->desk_count; i++) {
		const struct jk_desk *desk = &registry->desks[i];
		struct dispatch_sight theirs;

		if (desk->revoked || desk->agency_id != agency_id)
			continue;
		theirs = dispatch_unit_look(registry, desk, incident, now_us);
		if (theirs.may_answer && dispatch_unit_may_name(&theirs, mine))
			return true;
	}
	return false;
}

/* Of what is hidden, which of the two was to be is not on the record: so each is named to the asker as a recommendation would. */
static void leave_out_names(const struct jk_registry *registry, const struct dispatch_incident *incident,
	const struct dispatch_sight *mine, int32_t own_id, struct dispatch_aid *aid)
{
	int32_t *const ids[] = {&aid->agency_id, &aid->giver_id};
	int64_t now_us = jk_time_now_us();

	for (size_t i = 0; aid->hidden && i < sizeof ids / sizeof *ids; i++)
		if (*ids[i] != own_id && !may_name(registry, incident, mine, *ids[i], now_us))
			*ids[i] = -1;
}

/* False: it is not for the asker. */
static bool show_aid(const struct dispatch_unit_asks_queue *asks, const struct jk_registry *registry,
	const struct jk_registry_key *key, struct dispatch_aid *aid)
{
	int32_t own_id = key->agency->agency_id;
	bool own = aid->agency_id == own_id || aid->giver_id == own_id;
	const struct dispatch_incident *incident;
	struct dispatch_sight mine;

	if (own && !aid->hidden)
		return true;
	incident = dispatch_unit_find_incident(asks->incidents, &aid->incident_id);
	mine = dispatch_unit_look(registry, key->desk, incident, jk_time_now_us());
	leave_out_names(registry, incident, &mine, own_id, aid);
	return own || mine.may_answer;
}

static void send_aids(
	struct dispatch_unit_asks_queue *asks, const struct jk_registry *registry, const struct jk_registry_key *key)
{
	const struct dispatch_unit_question *question = &asks->now->question;
	struct dispatch_aid *aid = asks->aids, *shown = NULL, **last = &shown;
	const struct jk_id *mark = NULL;
	size_t seen = 0;

	for (; aid != NULL && seen < question->limit; seen++) {
		struct dispatch_aid *next = aid->next;

		mark = &aid->aid_id;
		aid->next = NULL;
		if (show_aid(asks, registry, key, aid)) {
			*last = aid;
			last = &aid->next;
		}
		aid = next;
	}
	end_sent(asks, dispatch_unit_wire_send_aids(
			       asks->sessions, session_of(asks), question, shown, aid != NULL ? mark : NULL, asks->arena));
}

static void on_aid_incidents(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_unit_asks_queue *asks = arg;
	const struct jk_registry *registry = jk_sessions_registry(asks->sessions);
	const struct jk_registry_key *key;

	if (!land(asks, outcome))
		return;
	key = key_of(asks, registry);
	if (key == NULL || !dispatch_unit_store_read_incidents(outcome, 0, asks->arena, &asks->incidents))
		refuse_later(asks);
	else
		send_aids(asks, registry, key);
}

/* Requests made to all, and what is hidden: whether the asker may answer, and whom it may know, is decided by their incidents. */
static void on_aids(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_unit_asks_queue *asks = arg;
	struct jk_db_step step;

	if (!land(asks, outcome))
		return;
	if (!dispatch_unit_store_read_aids(outcome, 0, asks->arena, &asks->aids)) {
		refuse_later(asks);
		return;
	}
	dispatch_unit_store_begin(asks->store);
	for (const struct dispatch_aid *aid = asks->aids; aid != NULL; aid = aid->next)
		if (aid->giver_id < 0 || aid->hidden)
			dispatch_unit_store_want_incident(asks->store, &aid->incident_id);
	dispatch_unit_store_incidents(asks->store, &step);
	start(asks, &step, 1, on_aid_incidents);
}

/* ---- UnitRecommend ---- */

static void on_found(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_unit_asks_queue *asks = arg;
	const struct jk_registry *registry = jk_sessions_registry(asks->sessions);
	const struct jk_registry_key *key;
	struct dispatch_unit *units = NULL;
	struct dispatch_nearest nearest = {0};

	if (!land(asks, outcome))
		return;
	key = key_of(asks, registry);
	dispatch_unit_store_searched(outcome, &nearest);
	if (key == NULL || !dispatch_unit_store_read_units(outcome, 0, asks->arena, &units) ||
		!dispatch_unit_nearest_rank(
			registry, key, asks->incidents, &asks->search, units, jk_time_now_us(), asks->arena, &nearest))
		refuse_later(asks);
	else
		end_sent(asks, dispatch_unit_wire_send_nearest(
				       asks->sessions, session_of(asks), &asks->now->question, &nearest, asks->arena));
}

static void on_scene(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_unit_asks_queue *asks = arg;
	const struct jk_registry *registry = jk_sessions_registry(asks->sessions);
	const struct jk_registry_key *key;
	struct jk_db_step steps[DISPATCH_UNIT_SEARCH_STEPS];
	struct dispatch_sight sight;
	int64_t now_us = jk_time_now_us();

	if (!land(asks, outcome))
		return;
	key = key_of(asks, registry);
	if (key == NULL || !dispatch_unit_store_read_incidents(outcome, 0, asks->arena, &asks->incidents)) {
		refuse_later(asks);
		return;
	}
	sight = dispatch_unit_look(registry, key->desk, asks->incidents, now_us);
	if (!sight.seen) {
		refuse(asks, JK_CODE_NOT_FOUND, "incident_id", "there is no such incident, or not for you");
	} else if (!sight.may_answer) {
		refuse(asks, JK_CODE_NOT_PERMITTED, "incident_id", "no agreement lets this desk answer the incident");
	} else if (!sight.open) {
		refuse(asks, JK_CODE_WRONG_STATE, "incident_id", "the incident is closed");
	} else {
		asks->search = (struct dispatch_unit_search){.question = &asks->now->question,
			.has_point = sight.has_point,
			.lat = asks->incidents->lat,
			.lon = asks->incidents->lon};
		start(asks, steps,
			dispatch_unit_nearest_search(asks->store, registry, asks->incidents, &asks->search, now_us, steps),
			on_found);
	}
}

/* ---- the queue ---- */

static void on_counted(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_unit_asks_queue *asks = arg;
	int64_t counts[DISPATCH_UNIT_STATES] = {0};

	asks->flying = false;
	if (outcome->status != JK_OK)
		return;
	dispatch_unit_store_counted(outcome, counts);
	for (int state = DISPATCH_UNIT_AVAILABLE; state < DISPATCH_UNIT_REMOVED; state++)
		jk_metric_set(asks->states[state], counts[state]);
}

static void begin(struct dispatch_unit_asks_queue *asks, const struct jk_registry_key *key)
{
	const struct dispatch_unit_question *question = &asks->now->question;
	struct jk_db_step step;

	if (question->asks == DISPATCH_ASKS_LADDER) {
		end_sent(asks, dispatch_unit_wire_send_ladder(asks->sessions, session_of(asks), question, asks->arena));
	} else if (question->asks == DISPATCH_ASKS_UNITS) {
		dispatch_unit_store_list(asks->store, question, key->agency->agency_id, &step);
		start(asks, &step, 1, on_units);
	} else if (question->asks == DISPATCH_ASKS_AID) {
		dispatch_unit_store_list_aid(asks->store, question, key->agency->agency_id, &step);
		start(asks, &step, 1, on_aids);
	} else {
		dispatch_unit_store_begin(asks->store);
		dispatch_unit_store_want_incident(asks->store, &question->incident_id);
		dispatch_unit_store_incidents(asks->store, &step);
		start(asks, &step, 1, on_scene);
	}
}

static void take(struct dispatch_unit_asks_queue *asks)
{
	asks->now = asks->head;
	asks->head = asks->now->next;
	if (asks->head == NULL)
		asks->tail = &asks->head;
	asks->count--;
}

void dispatch_unit_asks_turn(struct dispatch_unit_asks_queue *asks)
{
	while (!asks->flying && asks->head != NULL && jk_db_is_idle(asks->db)) {
		const struct jk_registry_key *key;

		take(asks);
		key = key_of(asks, jk_sessions_registry(asks->sessions));
		if (session_of(asks) == NULL)
			end(asks);
		else if (key == NULL)
			refuse(asks, JK_CODE_NOT_PERMITTED, NULL, "this is for desks");
		else
			begin(asks, key);
	}
}

void dispatch_unit_asks_on_timer(struct dispatch_unit_asks_queue *asks)
{
	int64_t now_ms = jk_time_mono_ms();
	struct jk_db_step steps[DISPATCH_UNIT_COUNT_STEPS];

	jk_db_on_timer(asks->db);
	while (asks->now == NULL && asks->head != NULL && now_ms - asks->head->since_ms > PATIENCE_MS) {
		take(asks);
		refuse_later(asks);
	}
	if (now_ms < asks->count_at_ms || asks->flying || asks->head != NULL || !jk_db_is_idle(asks->db))
		return;
	asks->count_at_ms = now_ms + COUNT_MS;
	start(asks, steps, dispatch_unit_store_count(steps), on_counted);
}

static size_t count_of_session(const struct dispatch_unit_asks_queue *asks, uint64_t session)
{
	size_t count = 0;

	for (const struct waiting *waiting = asks->head; waiting != NULL; waiting = waiting->next)
		count += waiting->question.session == session;
	return count;
}

void dispatch_unit_asks_put(struct dispatch_unit_asks_queue *asks, const struct jk_request *request)
{
	struct dispatch_unit_question question;
	struct jk_refusal refusal = {0};
	struct waiting *waiting = NULL;

	jk_metric_add(asks->asked, 1);
	if (dispatch_unit_wire_read_question(request->message, &question, &refusal)) {
		if (jk_db_is_up(asks->db) && asks->count < WAITING_MAX &&
			count_of_session(asks, request->session->number) < WAITING_OF_SESSION_MAX)
			waiting = calloc(1, sizeof *waiting);
		if (waiting == NULL)
			(void)jk_refuse(&refusal, JK_CODE_UNAVAILABLE, NULL, "it cannot be answered now; ask again");
	}
	if (waiting == NULL) {
		jk_session_refuse(asks->sessions, request->session, question.request, &refusal);
		return;
	}
	waiting->question = question;
	waiting->question.session = request->session->number;
	memcpy(waiting->curve_key, request->key->curve_key, sizeof waiting->curve_key);
	waiting->since_ms = jk_time_mono_ms();
	*asks->tail = waiting;
	asks->tail = &waiting->next;
	asks->count++;
}

static void register_metrics(struct dispatch_unit_asks_queue *asks)
{
	static const char *const labels[DISPATCH_UNIT_STATES] = {NULL, "state=\"AVAILABLE\"", "state=\"DISPATCHED\"",
		"state=\"EN_ROUTE\"", "state=\"ON_SCENE\"", "state=\"TRANSPORTING\"", "state=\"CLEARED\"",
		"state=\"OUT_OF_SERVICE\"", NULL};

	for (int state = DISPATCH_UNIT_AVAILABLE; state < DISPATCH_UNIT_REMOVED; state++)
		asks->states[state] =
			jk_metric_gauge("jukwaa_dispatch_units", labels[state], "Units of all agencies, in each state.");
	asks->asked = jk_metric_counter("jukwaa_dispatch_unit_questions_total", "", "Questions about units and help.");
}

enum jk_status dispatch_unit_asks_open(struct jk_sessions *sessions, struct jk_db *db, struct dispatch_unit_asks_queue **ret_asks)
{
	struct dispatch_unit_asks_queue *asks = calloc(1, sizeof *asks);

	*ret_asks = asks;
	if (asks == NULL)
		return JK_BROKEN;
	asks->sessions = sessions;
	asks->db = db;
	asks->tail = &asks->head;
	asks->store = dispatch_unit_store_new();
	asks->arena = jk_arena_new(ARENA_BYTES);
	register_metrics(asks);
	return asks->store != NULL && asks->arena != NULL ? JK_OK : JK_BROKEN;
}

void dispatch_unit_asks_close(struct dispatch_unit_asks_queue **asks_p)
{
	struct dispatch_unit_asks_queue *asks = *asks_p;

	if (asks == NULL)
		return;
	*asks_p = NULL;
	free(asks->now);
	while (asks->head != NULL) {
		asks->now = asks->head;
		asks->head = asks->now->next;
		free(asks->now);
	}
	dispatch_unit_store_free(&asks->store);
	jk_arena_free(&asks->arena);
	free(asks);
}
