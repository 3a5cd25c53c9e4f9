/* cases_figures.c: keeping the tally at the newest, and answering from it. */
#include "cases_figures.h"

#include <stdlib.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "cases_service_internal.h"
#include "registry/registry.h"

enum { REFRESH_MS = 5000, BLOCKING_STEPS_MAX = 4, TIMEOUT_MS = 2000 };

/* What was decided for one key, as long as it holds: under this policy, until a term begins or ends. */
struct kept_verdicts {
	int32_t key_id;
	int64_t policy_version, until_us, used_ms;
	struct cases_verdicts verdicts;
};
enum { KEPT_MAX = 16 };

struct cases_figures_room {
	struct jk_db *db;
	struct cases_tally *tally; /* NULL: nobody has asked yet */
	struct cases_changed changed;
	bool reading; /* a job is under way, or the next is due */
	int64_t read_ms;
	bool failed;
	struct kept_verdicts kept[KEPT_MAX];
};

enum jk_status cases_figures_open(struct jk_db *db, struct cases_figures_room **ret_room)
{
	struct cases_figures_room *room = calloc(1, sizeof *room);

	if (!room)
		return JK_BROKEN;
	room->db = db;
	*ret_room = room;
	return JK_OK;
}

/* Verdicts are of the tally's labels, and go with it. */
static void forget(struct cases_figures_room *room)
{
	cases_tally_free(&room->tally);
	for (size_t i = 0; i < KEPT_MAX; i++) {
		free(room->kept[i].verdicts.bytes);
		room->kept[i] = (struct kept_verdicts){0};
	}
}

void cases_figures_close(struct cases_figures_room **room_p)
{
	struct cases_figures_room *room = *room_p;

	if (!room)
		return;
	*room_p = NULL;
	forget(room);
	free(room);
}

static bool on_case(void *arg, const struct cases_case *row)
{
	struct cases_figures_room *room = arg;

	return cases_tally_put(room->tally, row) == JK_OK;
}

/* Without memory it is read anew when asked for; where the database may be another one, with the next timer. */
static void drop(struct cases_figures_room *room, bool lost)
{
	jk_log(lost ? JK_LOG_INFO : JK_LOG_WARN, "figures_dropped", "cases=%zu reason=%s", cases_tally_count(room->tally),
		lost ? "connection" : "memory");
	forget(room);
	room->changed = (struct cases_changed){0};
	if (lost)
		room->tally = cases_tally_new();
	room->reading = room->tally;
	room->failed = true;
}

static void take(struct cases_figures_room *room, const struct jk_db_outcome *outcome)
{
	enum cases_changed_end end;

	room->failed = outcome->status != JK_OK;
	if (room->failed)
		return;
	end = cases_store_take_changed(&room->changed, outcome, on_case, room);
	if (end != CASES_CHANGED_TAKEN)
		drop(room, end == CASES_CHANGED_LOST);
}

static void on_read(void *arg, const struct jk_db_outcome *outcome)
{
	struct cases_figures_room *room = arg;

	take(room, outcome);
	room->read_ms = jk_time_mono_ms();
	room->reading = room->tally && (room->changed.under_way || room->changed.complete == 0);
}

static void read_on(struct cases_figures_room *room)
{
	struct jk_db_step steps[2];
	size_t count = cases_store_changed(&room->changed, steps);

	room->reading = true;
	(void)!jk_db_start(room->db, steps, count, on_read, room); /* not up or busy: the timer tries again */
}

void cases_figures_on_timer(struct cases_figures_room *room)
{
	jk_db_on_timer(room->db);
	if (room->tally && jk_db_is_idle(room->db) && (room->reading || jk_time_mono_ms() - room->read_ms >= REFRESH_MS))
		read_on(room);
}

/* After a failure the timer goes on. */
void cases_figures_run(struct cases_figures_room *room)
{
	if (room->tally && room->reading && !room->failed && jk_db_is_idle(room->db))
		read_on(room);
}

static void on_blocking(void *arg, const struct jk_db_outcome *outcome)
{
	take(arg, outcome);
}

/* True: all that was committed before the call has been read. A pass that was under way (the last call failed within it) may have
 * gone past what has been committed since, so that only the one after it counts. */
static bool refresh(struct cases_figures_room *room)
{
	const uint64_t wanted = room->changed.complete + 1 + room->changed.under_way;
	struct jk_db_step steps[2];

	for (int step = 0; step < BLOCKING_STEPS_MAX; step++) {
		size_t count = cases_store_changed(&room->changed, steps);

		room->failed = true;
		if (jk_db_run(room->db, steps, count, TIMEOUT_MS, on_blocking, room) != JK_OK || room->failed)
			return false;
		if (room->changed.complete >= wanted) {
			room->read_ms = jk_time_mono_ms();
			return true;
		}
	}
	room->reading = true;
	return false;
}

struct cases_tally *cases_figures_newest(struct cases_figures_room *room)
{
	if (!room->tally) {
		room->tally = cases_tally_new();
		if (room->tally)
			read_on(room);
	}
	if (!room->tally || room->reading || room->changed.complete == 0 || !jk_db_is_idle(room->db) || !refresh(room))
		return NULL;
	return room->tally;
}

/* ---- the question --------------------------------------------------------------------------------------------------------- */

struct asker {
	const struct jk_request *request;
	int64_t now_us;
};

static struct cases_verdict decide(void *arg, const struct cases_case *like)
{
	const struct asker *asker = arg;
	struct cases_sight sight =
		cases_sight_at(asker->request->registry, asker->request->key, JK_USE_CASE, like, asker->now_us);

	return (struct cases_verdict){.allowed = sight.allowed, .withheld = sight.withheld};
}

/* False: more than we can keep apart. */
static bool add_days(struct cases_tally_question *question, uint32_t days)
{
	size_t at = question->day_count;

	for (size_t i = 0; i < question->day_count; i++)
		if (question->days[i] == days)
			return true;
	if (days == 0)
		return true;
	if (question->day_count == CASES_TALLY_CLASSES_MAX)
		return false;
	for (; at > 0 && question->days[at - 1] > days; at--)
		question->days[at] = question->days[at - 1];
	question->days[at] = days;
	question->day_count++;
	return true;
}

static bool add_ages(const struct jk_desk *desk, struct cases_tally_question *question)
{
	for (size_t i = 0; desk && i < desk->term_count; i++)
		if (!add_days(question, desk->terms[i].retention_days))
			return false;
	return true;
}

/* When the next of the asker's terms begins or ends. */
static int64_t find_change(const struct jk_desk *desk, int64_t now_us)
{
	int64_t next_us = INT64_MAX;

	for (size_t i = 0; desk && i < desk->term_count; i++) {
		int64_t from_us = desk->terms[i].from_us, until_us = desk->terms[i].until_us;

		if (from_us > now_us && from_us < next_us)
			next_us = from_us;
		if (until_us > now_us && until_us < next_us)
			next_us = until_us;
	}
	return next_us;
}

/* What was decided for this key and still holds; else an empty place, in the stead of the one that was used longest ago. */
static struct cases_verdicts *find_verdicts(struct cases_figures_room *room, const struct jk_request *request, int64_t now_us)
{
	struct kept_verdicts *kept = &room->kept[0];
	int64_t policy_version = (int64_t)request->registry->version;

	for (size_t i = 0; i < KEPT_MAX; i++) {
		if (room->kept[i].verdicts.bytes && room->kept[i].key_id == request->key->key_id) {
			kept = &room->kept[i];
			break;
		}
		if (room->kept[i].used_ms < kept->used_ms)
			kept = &room->kept[i];
	}
	if (!kept->verdicts.bytes || kept->key_id != request->key->key_id || kept->until_us <= now_us ||
		kept->policy_version != policy_version) {
		free(kept->verdicts.bytes);
		*kept = (struct kept_verdicts){
			.key_id = request->key->key_id,
			.policy_version = policy_version,
			.until_us = find_change(request->key->desk, now_us),
		};
	}
	kept->used_ms = jk_time_mono_ms();
	return &kept->verdicts;
}

static void refuse_later(struct cases_service *service, const struct jk_request *request)
{
	struct jk_refusal refusal;

	(void)jk_refuse(&refusal, JK_CODE_UNAVAILABLE, NULL, "the cases are being counted; ask again");
	cases_service_refuse(service, request, &refusal);
}

static void answer(struct cases_service *service, const struct jk_request *request, const struct cases_filter *filter,
	struct cases_held **held_p)
{
	struct asker asker = {.request = request, .now_us = jk_time_now_us()};
	struct cases_tally_question question = {
		.counties = filter->counties,
		.agency = filter->agency,
		.from_us = filter->from_us,
		.to_us = filter->to_us,
		.now_us = asker.now_us,
		.decide = decide,
		.arg = &asker,
	};
	struct cases_tally *tally = cases_figures_newest(service->figures);
	struct cases_figures figures = {0};
	struct cases_packed packed;

	if (!tally || !add_ages(request->key->desk, &question)) {
		refuse_later(service, request);
		return;
	}
	question.verdicts = find_verdicts(service->figures, request, asker.now_us);
	if (cases_tally_ask(tally, &question, &figures) != JK_OK)
		cases_service_fail(service, request, JK_BROKEN);
	else if (cases_wire_pack_figures(request, &figures, asker.now_us, &packed))
		cases_service_put_answer(service, held_p, &packed);
	else
		cases_service_refuse_unpacked(service, request);
	free(figures.rows);
}

void cases_figures_on_question(void *arg, const struct jk_request *request)
{
	struct cases_service *service = arg;
	struct cases_filter filter;
	struct cases_reading reading;
	struct jk_refusal refusal;
	struct cases_held *held;

	jk_metric_add(service->figure_questions, 1);
	if (!cases_wire_read_figures(request, &filter, &reading, &refusal)) {
		cases_service_refuse(service, request, &refusal);
		return;
	}
	held = cases_service_hold(service, request, CASES_ASKED_FIGURES, &reading, 1);
	if (!held)
		return;
	cases_wire_write_query(&filter, held->access.query);
	answer(service, request, &filter, &held);
	cases_held_free(&held);
}
