/* db_internal.h: the state of one connection, for the files of this folder only. */
#pragma once

#include <stdatomic.h>

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
	const struct jk_db_statement *statements[JK_DB_STEPS_MAX]; /* of the steps */
	PGresult *results[JK_DB_STEPS_MAX];
	size_t step_count;
	int64_t started_ms;
	enum jk_status status;
	char sqlstate[6];
	char message[DB_ERROR_BYTES];
	jk_db_done *done;
	void *arg;
};

/* A failure that is told of; statement: the one of the job that failed. */
struct db_failure {
	enum jk_db_trouble trouble;
	const struct jk_db_statement *statement;
	int64_t at_ms;
	char why[DB_ERROR_BYTES];
};

struct jk_db {
	char *conninfo, *application_name;
	PGconn *connection;
	enum db_state state;
	PostgresPollingStatusType wants; /* while connecting */
	int connecting_fd;
	const char *connecting_host; /* compared, never read */
	bool unsent;                 /* libpq holds bytes that the socket did not take yet */
	int64_t connect_by_ms, retry_at_ms;
	int backoff_ms;
	const struct jk_db_statement *prepared[DB_PREPARED_MAX]; /* known to the present connection */
	size_t prepared_count;
	char last_error[DB_ERROR_BYTES];
	char *hosts, *addresses, *ports; /* the operator's lists, turned; NULL: as they were given */
	size_t passed_over;              /* hosts, in this round */
	struct db_failure away, failed;  /* of the newest attempt to connect; of a job */
	_Atomic bool interrupted;
	struct db_job job;
};

/* Drops the connection, plans the next attempt, and ends a job in flight with RETRY. why: NULL takes libpq's words. */
void jk_db_lose(struct jk_db *db, const char *why);
/* Copies libpq's text as one line. */
void jk_db_one_line(char ret[DB_ERROR_BYTES], const char *text);

/* db_hosts.c: turns the list of hosts behind the one that failed; false: all of them have, this round is over. */
bool jk_db_hosts_next(struct jk_db *db);
void jk_db_hosts_free(struct jk_db *db);

/* db_trouble.c */
void jk_db_trouble_connect(struct jk_db *db, const char *message);
/* The job at hand failed; jk_db_trouble_error knows by itself which states are worth telling of. */
void jk_db_trouble_job(struct jk_db *db, enum jk_db_trouble trouble, const char *why);
void jk_db_trouble_error(struct jk_db *db, const char *sqlstate, const char *why);
void jk_db_trouble_success(struct jk_db *db, const struct db_job *job);

/* db_job.c */
void jk_db_job_serve(struct jk_db *db);
void jk_db_job_notice(struct jk_db *db, const PGresult *notice);
/* Calls done; the job is forgotten before that, so that done may start the next one. */
void jk_db_job_finish(struct jk_db *db);
