/* db_internal.h: the state of one connection, for the files of this folder only. */
#pragma once

#include "db/db.h"

enum db_state { DB_DOWN, DB_CONNECTING, DB_UP };

/* What was sent, in order; the server answers in the same order. prepares NULL: executes `step`. */
struct db_command {
	const struct jk_db_statement *prepares;
	size_t step;
};

enum { DB_COMMANDS_MAX = 2 * JK_DB_STEPS_MAX, DB_PREPARED_MAX = 128, DB_ERROR_BYTES = 256 };

struct db_job {
	bool active;
	bool doubtful;   /* the server warned that the commit may not be replicated */
	bool last_empty; /* the last PQgetResult gave NULL */
	struct db_command commands[DB_COMMANDS_MAX];
	size_t command_count, command_at;
	PGresult *results[JK_DB_STEPS_MAX];
	size_t step_count;
	enum jk_status status;
	char sqlstate[6];
	char message[DB_ERROR_BYTES];
	jk_db_done *done;
	void *arg;
};

struct jk_db {
	char *conninfo, *application_name;
	PGconn *connection;
	enum db_state state;
	PostgresPollingStatusType wants; /* while connecting */
	int connecting_fd;
	bool unsent; /* libpq holds bytes that the socket did not take yet */
	int64_t connect_by_ms, retry_at_ms;
	int backoff_ms;
	const struct jk_db_statement *prepared[DB_PREPARED_MAX]; /* known to the present connection */
	size_t prepared_count;
	char last_error[DB_ERROR_BYTES];
	struct db_job job;
};

/* Drops the connection, plans the next attempt, and ends a job in flight with RETRY. why: NULL takes libpq's words. */
void jk_db_lose(struct jk_db *db, const char *why);
/* Copies libpq's text as one line. */
void jk_db_one_line(char ret[DB_ERROR_BYTES], const char *text);

/* db_job.c */
void jk_db_job_serve(struct jk_db *db);
void jk_db_job_notice(struct jk_db *db, const PGresult *notice);
/* Calls done; the job is forgotten before that, so that done may start the next one. */
void jk_db_job_finish(struct jk_db *db);
