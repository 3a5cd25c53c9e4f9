/* db.h: one PostgreSQL connection: jobs of prepared statements in one pipeline with one Sync (an implicit transaction: only a
 * clean Sync means committed), without blocking; reconnects by itself with back-off. Also the same job in blocking form.
 * PGresult leaves this part only towards *_store_pg.c. Not thread-safe. */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_id.h"
#include "base/jk_status.h"
#include "base/jk_text.h"

struct jk_db;

/* A statement known at compile time; prepared on first use in each connection. Parameters and results are binary. */
struct jk_db_statement {
	const char *name;
	const char *sql;
	int params;
};

enum { JK_DB_PARAMS_MAX = 32, JK_DB_STEPS_MAX = 20 };
struct jk_db_step {
	const struct jk_db_statement *statement;
	const char *values[JK_DB_PARAMS_MAX]; /* binary; NULL is SQL NULL; borrowed until the job is done */
	int lengths[JK_DB_PARAMS_MAX];
};

/* How a job ended. OK: committed. RETRY: not committed as far as we know, or unknown (link lost, 40*, 55P03, 57*, 08*, 53*,
 * a synchronous-replication warning): repeat the whole job. BROKEN: the database refuses it (22*, 23*, 42*, JK*): see
 * sqlstate. results[i] belongs to step i, NULL after the failing one; freed after the callback. */
struct jk_db_outcome {
	enum jk_status status;
	char sqlstate[6];
	const char *message;
	PGresult *const *results;
	size_t count;
};
/* feed.append's SQLSTATE (026_newest.sql): something was done about an incident whose newest report its service has not read yet.
 */
#define JK_DB_STALE "40J01"
typedef void jk_db_done(void *arg, const struct jk_db_outcome *outcome);

/* conninfo: libpq connection string; keepalives, client_encoding and options are added by us. A server that cannot be written to
 * (a standby, default_transaction_read_only) counts as no connection, unless the string sets target_session_attrs itself. Each
 * of several hosts has 3 s to let us in; the one that did comes first the next time. application_name: service. Starts
 * connecting and does not wait. JK_BROKEN: the string is malformed. */
enum jk_status jk_db_open(const char *conninfo, const char *application_name, struct jk_db **ret_db) JK_MUST_CHECK;
void jk_db_close(struct jk_db **db_p);

bool jk_db_is_up(const struct jk_db *db);
bool jk_db_is_idle(const struct jk_db *db); /* up, and no job in flight */
const char *jk_db_last_error(const struct jk_db *db);

/* What keeps the database from working, for operators. */
enum jk_db_trouble {
	JK_DB_FINE,
	JK_DB_UNREACHABLE,
	JK_DB_STARTING,
	JK_DB_LOGIN_REFUSED,
	JK_DB_CROWDED,
	JK_DB_READ_ONLY,
	JK_DB_DISK_FULL,
	JK_DB_FAILING,
	JK_DB_LOCKED,
	JK_DB_NOT_REPLICATED,
	JK_DB_NO_ANSWER, /* a job has waited for more than 3 s */
	JK_DB_REFUSES,
};
enum { JK_DB_TROUBLE_BYTES = 200 };
/* Its newest trouble as "CODE: words"; "" and JK_DB_FINE when there is none known. A job's trouble lasts until the statement
 * that failed succeeds, and no longer than 15 s when nobody tries. */
enum jk_db_trouble jk_db_trouble(const struct jk_db *db, char ret_words[JK_DB_TROUBLE_BYTES]);
const char *jk_db_trouble_code(enum jk_db_trouble trouble); /* "DATABASE_READ_ONLY" */
/* What libpq's text about a connection that failed amounts to, for programs that connect by themselves. */
enum jk_db_trouble jk_db_judge(const char *message);
/* A job has waited for its answer for more than 3 s. */
bool jk_db_is_stuck(const struct jk_db *db);

/* Starts a job; steps are copied, what they point to is borrowed until done is called (from jk_db_on_ready or
 * jk_db_on_timer, never from here). JK_RETRY: not up or busy; done will not be called. */
enum jk_status jk_db_start(
	struct jk_db *db, const struct jk_db_step *steps, size_t count, jk_db_done *done, void *arg) JK_MUST_CHECK;
/* For jk_loop_add_fd. The events are libzmq's ZMQ_POLLIN and ZMQ_POLLOUT. */
enum { JK_DB_EVENT_IN = 1, JK_DB_EVENT_OUT = 2 };
int jk_db_fd(void *db);
short jk_db_events(void *db);
void jk_db_on_ready(void *db);
/* Call at least every 250 ms: connection attempts. */
void jk_db_on_timer(void *db);

/* The same job, waiting at most timeout_ms (then the connection is dropped and the answer is RETRY). Connects if needed.
 * Returns the outcome's status; done (may be NULL) is called before that, but not when the job could not be started. */
enum jk_status jk_db_run(struct jk_db *db, const struct jk_db_step *steps, size_t count, int timeout_ms, jk_db_done *done,
	void *arg) JK_MUST_CHECK;
/* From any thread, for good: a jk_db_run under way or to come ends within 50 ms, with RETRY. */
void jk_db_interrupt(struct jk_db *db);

/* Binary one-dimensional arrays for unnest($n::type[]). Zero-initialise `bytes`; reset keeps the memory. */
struct jk_db_array {
	struct jk_buffer bytes;
	unsigned element_oid;
	int count;
	bool has_null;
};
enum {
	JK_OID_BOOL = 16,
	JK_OID_BYTEA = 17,
	JK_OID_INT8 = 20,
	JK_OID_INT2 = 21,
	JK_OID_INT4 = 23,
	JK_OID_TEXT = 25,
	JK_OID_FLOAT8 = 701,
	JK_OID_TIMESTAMPTZ = 1184,
	JK_OID_UUID = 2950
};
void jk_db_array_reset(struct jk_db_array *array, unsigned element_oid);
void jk_db_array_add(struct jk_db_array *array, const void *bytes, int size); /* bytes NULL: SQL NULL */
void jk_db_array_add_int(struct jk_db_array *array, int64_t value);           /* int2, int4, int8, bool by element_oid */
void jk_db_array_add_text(struct jk_db_array *array, const char *text);
void jk_db_array_add_id(struct jk_db_array *array, const struct jk_id *id);
void jk_db_array_add_time(struct jk_db_array *array, int64_t time_us); /* since 1970; INT64_MAX: infinity */
void jk_db_array_add_double(struct jk_db_array *array, double value);
/* Binds the finished array as parameter `index` of the step. */
void jk_db_bind_array(struct jk_db_step *step, int index, struct jk_db_array *array);
void jk_db_array_done(struct jk_db_array *array);

/* Scalars in binary; the storage must outlive the job. */
struct jk_db_int8 {
	uint8_t bytes[8];
};
void jk_db_bind_int8(struct jk_db_step *step, int index, struct jk_db_int8 *storage, int64_t value);
void jk_db_bind_bytes(struct jk_db_step *step, int index, const void *bytes, size_t size); /* text, bytea, uuid */

/* Reading binary results. timestamptz comes as microseconds since 1970, -infinity and infinity as INT64_MIN and INT64_MAX.
 * SQL NULL reads as 0, a zero id, a NULL pointer. */
int64_t jk_db_get_int(const PGresult *result, int row, int column); /* int2, int4, int8, bool */
int64_t jk_db_get_time_us(const PGresult *result, int row, int column);
struct jk_id jk_db_get_id(const PGresult *result, int row, int column);
const void *jk_db_get_bytes(
	const PGresult *result, int row, int column, size_t *ret_size); /* bytea; text comes NUL-terminated from libpq */
