/* db_job.c: one job = the commands of one pipeline with one Sync. Only a Sync without an error before it means committed:
 * errors of the commit itself come after every step has said OK. */
#include <assert.h>
#include <string.h>

#include "base/jk_crash.h"
#include "base/jk_time.h"
#include "db/db_internal.h"

/* SQLSTATE classes and codes that are worth the whole job again; everything else is refused for good. */
static bool is_temporary(const char *sqlstate)
{
	static const char *const starts[] = {
		"08",    /* connection */
		"40",    /* serialization, deadlock */
		"53",    /* out of disk, memory, connections */
		"57",    /* cancelled, shutting down */
		"58",    /* the server's operating system failed it */
		"55P03", /* lock_timeout */
		"25006", /* read-only: this server is no longer the primary */
		"25P03", /* idle in transaction */
		"26000", /* the prepared statement is gone (a pooler, DISCARD) */
	};
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		if (strncmp(sqlstate, starts[i], strlen(starts[i])) == 0)
			return true;
	}
	return false;
}

/* A failure that a new connection mends and the present one never will. The server's function name, unlike its text, is not
 * translated: a migration under our feet changed what a prepared statement returns. */
static bool needs_new_connection(const PGresult *result, const char *sqlstate)
{
	const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
	return strcmp(sqlstate, "25006") == 0 || strcmp(sqlstate, "26000") == 0 ||
	       (strcmp(sqlstate, "0A000") == 0 && function && strcmp(function, "RevalidateCachedQuery") == 0);
}

static bool is_prepared(const struct jk_db *db, const struct jk_db_statement *statement)
{
	for (size_t i = 0; i < db->prepared_count; i++) {
		if (db->prepared[i] == statement)
			return true;
	}
	for (size_t i = 0; i < db->job.command_count; i++) {
		if (db->job.commands[i].prepares == statement)
			return true;
	}
	return false;
}

static bool send_step(struct jk_db *db, const struct jk_db_step *step, size_t index)
{
	static const int binary[] = {
		1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
	_Static_assert(sizeof binary / sizeof *binary == JK_DB_PARAMS_MAX, "all are binary");
	const struct jk_db_statement *statement = step->statement;
	struct db_job *job = &db->job;
	assert(statement->params <= JK_DB_PARAMS_MAX);
	if (!is_prepared(db, statement)) {
		if (!PQsendPrepare(db->connection, statement->name, statement->sql, 0, NULL))
			return false;
		job->commands[job->command_count++] = (struct db_command){.prepares = statement};
	}
	if (!PQsendQueryPrepared(db->connection, statement->name, statement->params, step->values, step->lengths, binary, 1))
		return false;
	job->commands[job->command_count++] = (struct db_command){.step = index};
	job->statements[index] = statement;
	return true;
}

enum jk_status jk_db_start(struct jk_db *db, const struct jk_db_step *steps, size_t count, jk_db_done *done, void *arg)
{
	assert(count > 0 && count <= JK_DB_STEPS_MAX);
	for (size_t i = 0; i < count; i++) {
		for (int j = 0; j < steps[i].statement->params; j++) {
			if (steps[i].lengths[j] < 0) /* an array that ran out of memory */
				return JK_BROKEN;
		}
	}
	if (!jk_db_is_idle(db))
		return JK_RETRY;
	db->job = (struct db_job){.step_count = count, .started_ms = jk_time_mono_ms(), .done = done, .arg = arg};
	bool sent = true;
	for (size_t i = 0; i < count && sent; i++)
		sent = send_step(db, &steps[i], i);
	JK_CRASH_POINT("db_before_sync", steps[count - 1].statement->name);
	if (!sent || !PQpipelineSync(db->connection)) {
		jk_db_lose(db, NULL);
		return JK_RETRY;
	}
	db->job.active = true;
	db->unsent = PQflush(db->connection) != 0; /* an error shows itself at the next on_ready */
	JK_CRASH_POINT("db_after_sync", steps[count - 1].statement->name);
	return JK_OK;
}

static void take_error(struct jk_db *db, const PGresult *result)
{
	struct db_job *job = &db->job;
	if (job->status != JK_OK)
		return; /* the first error is the cause */
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	if (!sqlstate)
		sqlstate = PQresultStatus(result) == PGRES_FATAL_ERROR ? "08006" : "XX000"; /* libpq's own words, or no query */
	jk_text_copy(job->sqlstate, sizeof job->sqlstate, sqlstate);
	jk_db_one_line(job->message, text ? text : PQresultErrorMessage(result));
	jk_text_copy(db->last_error, sizeof db->last_error, job->message);
	jk_db_trouble_error(db, sqlstate, job->message);
	job->status = is_temporary(sqlstate) || needs_new_connection(result, sqlstate) ? JK_RETRY : JK_BROKEN;
	if (needs_new_connection(result, sqlstate))
		jk_db_lose(db, job->message);
}

static void take_result(struct jk_db *db, PGresult *result)
{
	struct db_job *job = &db->job;
	ExecStatusType status = PQresultStatus(result);
	const struct db_command *command = job->command_at < job->command_count ? &job->commands[job->command_at] : NULL;
	if (status == PGRES_PIPELINE_ABORTED) {
		PQclear(result);
	} else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
		take_error(db, result);
		PQclear(result);
	} else if (command && command->prepares) {
		assert(db->prepared_count < DB_PREPARED_MAX);
		db->prepared[db->prepared_count++] = command->prepares; /* stays even when the transaction rolls back */
		PQclear(result);
	} else if (command && !job->results[command->step]) {
		job->results[command->step] = result;
	} else {
		PQclear(result);
	}
}

void jk_db_job_finish(struct jk_db *db)
{
	struct db_job job = db->job;
	db->job = (struct db_job){0};
	if (job.doubtful && job.status == JK_OK) {
		job.status = JK_RETRY;
		jk_text_copy(job.message, sizeof job.message, "committed here, but perhaps not on the standby");
	} else if (job.status == JK_OK) {
		jk_db_trouble_success(db, &job);
	}
	struct jk_db_outcome outcome = {
		.status = job.status, .message = job.message, .results = job.results, .count = job.step_count};
	memcpy(outcome.sqlstate, job.sqlstate, sizeof outcome.sqlstate);
	if (job.done)
		job.done(job.arg, &outcome);
	for (size_t i = 0; i < job.step_count; i++)
		PQclear(job.results[i]);
}

/* Takes what has arrived; true when the job's Sync was among it. */
static bool take_results(struct jk_db *db)
{
	struct db_job *job = &db->job;
	while (job->active && !PQisBusy(db->connection)) {
		PGresult *result = PQgetResult(db->connection);
		if (!result) {
			if (job->last_empty) { /* nothing more will come, and no Sync came */
				jk_db_lose(db, NULL);
				return false;
			}
			job->last_empty = true;
			job->command_at++;
			continue;
		}
		job->last_empty = false;
		if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
			PQclear(result);
			return true;
		}
		take_result(db, result);
	}
	return false;
}

void jk_db_job_serve(struct jk_db *db)
{
	int flushed = PQflush(db->connection);
	db->unsent = flushed > 0;
	bool fed = PQconsumeInput(db->connection) == 1;
	bool idle = !db->job.active;
	if (idle)
		(void)PQisBusy(db->connection); /* lets libpq digest notices and the server's farewell */
	if (take_results(db))
		jk_db_job_finish(db);
	else if (db->state == DB_UP && (!fed || flushed < 0 || PQstatus(db->connection) == CONNECTION_BAD))
		jk_db_lose(db, db->job.message[0] ? db->job.message : NULL);
}

void jk_db_job_notice(struct jk_db *db, const PGresult *notice)
{
	/* A wait for the standby that was cancelled ends with "INSERT 0 1" and this warning only (SQLSTATE 01000 or 57P01). */
	const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
	const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
	if (!severity || strcmp(severity, "WARNING") != 0)
		return;
	if ((function && strcmp(function, "SyncRepWaitForLSN") == 0) || (text && strstr(text, "synchronous replication"))) {
		db->job.doubtful = true;
		jk_db_trouble_job(db, JK_DB_NOT_REPLICATED, "");
	}
}
