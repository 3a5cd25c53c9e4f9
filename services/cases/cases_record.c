#include "cases_record.h"

#include <stdlib.h>

#include "base/jk_crash.h"
#include "base/jk_log.h"
#include "base/jk_time.h"
#include "cases_store_pg.h"
#include "daemon/metrics.h"

enum {
	BATCH_MAX = 256,
	BATCH_SEEN_MAX = 4096, /* cases; one list may hold more alone */
	HELD_MAX = 1024,
	SESSION_HELD_MAX = 64, /* the largest window */
	HELD_MAX_BYTES = 32 * 1024 * 1024,
	PATIENCE_MS = 2000,
	LOG_EVERY_MS = 10000,
};

struct held_list {
	struct cases_held *head, **tail;
};

struct cases_record {
	struct jk_db *db;
	cases_record_done *on_done;
	void *arg;
	struct held_list waiting, under_way;
	size_t count, bytes;
	bool running; /* a job is; its answers may have been given back */
	struct cases_access_rows rows;
	struct jk_metric *recorded, *failed, *commits, *held;
};

struct cases_held *cases_held_new(size_t seen_max)
{
	struct cases_held *held = calloc(1, sizeof *held + seen_max * sizeof *held->access.seen);

	if (held)
		held->access.seen = (struct cases_seen *)(held + 1);
	return held;
}

void cases_held_free(struct cases_held **held_p)
{
	if (*held_p)
		free((*held_p)->body);
	free(*held_p);
	*held_p = NULL;
}

static void list_init(struct held_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static void list_add(struct held_list *list, struct cases_held *held)
{
	held->next = NULL;
	*list->tail = held;
	list->tail = &held->next;
}

static struct cases_held *list_take(struct held_list *list)
{
	struct cases_held *held = list->head;

	if (!held)
		return NULL;
	list->head = held->next;
	if (!list->head)
		list->tail = &list->head;
	return held;
}

static void give_back(struct cases_record *record, struct held_list *list, bool recorded)
{
	for (struct cases_held *held = list_take(list); held; held = list_take(list)) {
		record->count--;
		record->bytes -= held->body_size;
		jk_metric_add(recorded ? record->recorded : record->failed, 1);
		record->on_done(record->arg, held, recorded);
		cases_held_free(&held);
	}
	jk_metric_set(record->held, (int64_t)record->count);
}

enum jk_status cases_record_open(struct jk_db *db, cases_record_done *on_done, void *arg, struct cases_record **ret_record)
{
	struct cases_record *record = calloc(1, sizeof *record);

	if (!record)
		return JK_BROKEN;
	record->db = db;
	record->on_done = on_done;
	record->arg = arg;
	list_init(&record->waiting);
	list_init(&record->under_way);
	record->recorded = jk_metric_counter(
		"jukwaa_cases_accesses_total", "recorded=\"yes\"", "Questions recorded with what they were shown.");
	record->failed = jk_metric_counter(
		"jukwaa_cases_accesses_total", "recorded=\"no\"", "Questions not answered, since they could not be recorded.");
	record->commits = jk_metric_counter("jukwaa_cases_access_commits_total", "", "Commits that recorded questions.");
	record->held = jk_metric_gauge("jukwaa_cases_held_answers", "", "Answers that wait for their record.");
	*ret_record = record;
	return JK_OK;
}

void cases_record_close(struct cases_record **record_p)
{
	struct cases_record *record = *record_p;

	if (!record)
		return;
	*record_p = NULL;
	give_back(record, &record->under_way, false);
	give_back(record, &record->waiting, false);
	cases_access_rows_done(&record->rows);
	free(record);
}

static size_t count_of_session(const struct held_list *list, uint64_t session)
{
	size_t count = 0;

	for (const struct cases_held *held = list->head; held; held = held->next)
		count += held->session == session;
	return count;
}

bool cases_record_has_room(const struct cases_record *record, uint64_t session)
{
	return jk_db_is_up(record->db) && !jk_db_is_stuck(record->db) && record->count < HELD_MAX &&
	       record->bytes < HELD_MAX_BYTES &&
	       count_of_session(&record->waiting, session) + count_of_session(&record->under_way, session) < SESSION_HELD_MAX;
}

void cases_record_put(struct cases_record *record, struct cases_held **held_p)
{
	struct cases_held *held = *held_p;

	*held_p = NULL;
	held->since_ms = jk_time_mono_ms();
	record->count++;
	record->bytes += held->body_size;
	list_add(&record->waiting, held);
	jk_metric_set(record->held, (int64_t)record->count);
}

static void on_recorded(void *arg, const struct jk_db_outcome *outcome)
{
	struct cases_record *record = arg;

	record->running = false;
	if (outcome->status == JK_OK) {
		JK_CRASH_POINT("cases_before_answer", NULL);
		jk_metric_add(record->commits, 1);
	} else {
		jk_log_limited(LOG_EVERY_MS, outcome->status == JK_RETRY ? JK_LOG_WARN : JK_LOG_ERROR, "reading_not_recorded",
			"sqlstate=%s why=%s", outcome->sqlstate, outcome->message ? outcome->message : "");
	}
	give_back(record, &record->under_way, outcome->status == JK_OK);
}

void cases_record_run(struct cases_record *record)
{
	const struct cases_access *accesses[BATCH_MAX];
	struct jk_db_step step;
	size_t count = 0, seen = 0;

	if (!record->waiting.head || record->running)
		return;
	if (!jk_db_is_up(record->db)) {
		give_back(record, &record->waiting, false);
		return;
	}
	while (record->waiting.head && count < BATCH_MAX && seen < BATCH_SEEN_MAX) {
		struct cases_held *held = list_take(&record->waiting);
		list_add(&record->under_way, held);
		accesses[count++] = &held->access;
		seen += held->access.seen_count;
	}
	cases_store_access(&record->rows, accesses, count, &step);
	record->running = jk_db_start(record->db, &step, 1, on_recorded, record) == JK_OK;
	if (!record->running)
		give_back(record, &record->under_way, false);
}

void cases_record_on_timer(struct cases_record *record)
{
	int64_t since_ms = jk_time_mono_ms() - PATIENCE_MS;

	jk_db_on_timer(record->db);
	/* The commit may still happen: then the record says more than was shown. */
	if (record->under_way.head && record->under_way.head->since_ms < since_ms)
		give_back(record, &record->under_way, false);
	if (record->waiting.head && record->waiting.head->since_ms < since_ms)
		give_back(record, &record->waiting, false);
}

size_t cases_record_count(const struct cases_record *record)
{
	return record->count;
}
