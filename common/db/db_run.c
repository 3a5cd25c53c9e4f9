/* db_run.c: a job in blocking form, for start-up, the command line and threads that have nothing else to wait for. */
#include <poll.h>

#include "base/jk_time.h"
#include "db/db_internal.h"

struct run {
	jk_db_done *done;
	void *arg;
	enum jk_status status;
	bool finished;
};

static void on_done(void *arg, const struct jk_db_outcome *outcome)
{
	struct run *run = arg;
	run->status = outcome->status;
	run->finished = true;
	if (run->done)
		run->done(run->arg, outcome);
}

void jk_db_interrupt(struct jk_db *db)
{
	db->interrupted = true;
}

static bool goes_on(const struct jk_db *db, int64_t until_ms)
{
	return !db->interrupted && jk_time_mono_ms() < until_ms;
}

/* Waits for the socket or the next attempt to connect, and serves it. */
static void wait_and_serve(struct jk_db *db, int64_t until_ms)
{
	enum { LOOK_EVERY_MS = 50 };
	int64_t left_ms = until_ms - jk_time_mono_ms();
	if (left_ms > LOOK_EVERY_MS)
		left_ms = LOOK_EVERY_MS;
	short wanted = jk_db_events(db);
	struct pollfd item = {.fd = jk_db_fd(db)};
	item.events = (short)((wanted & JK_DB_EVENT_IN ? POLLIN : 0) | (wanted & JK_DB_EVENT_OUT ? POLLOUT : 0));
	int ready = poll(&item, 1, left_ms > 0 ? (int)left_ms : 0);
	if (ready > 0)
		jk_db_on_ready(db);
	jk_db_on_timer(db);
}

enum jk_status jk_db_run(
	struct jk_db *db, const struct jk_db_step *steps, size_t count, int timeout_ms, jk_db_done *done, void *arg)
{
	struct run run = {.done = done, .arg = arg, .status = JK_RETRY};
	int64_t until_ms = jk_time_mono_ms() + timeout_ms;
	if (db->job.active)
		return JK_RETRY;
	jk_db_on_timer(db);
	while (!jk_db_is_up(db) && goes_on(db, until_ms))
		wait_and_serve(db, until_ms);
	enum jk_status started = jk_db_start(db, steps, count, on_done, &run);
	if (started != JK_OK)
		return started;
	while (!run.finished && goes_on(db, until_ms))
		wait_and_serve(db, until_ms);
	if (!run.finished)
		jk_db_lose(db, "the database did not answer in time"); /* calls on_done */
	return run.status;
}
