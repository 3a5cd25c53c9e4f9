/* db_connect.c: opening, losing and reopening the connection, never blocking but for libpq's name look-up. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/jk_time.h"
#include "db/db_internal.h"

enum {
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 2000,
	CONNECT_MS_PER_HOST = 3000, /* libpq's own connect_timeout does not count in its non-blocking form */
};

/* Keywords before dbname may be overridden by the operator's string, those after it may not. */
static const char *const connect_keywords[] = {"keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
	"target_session_attrs", "dbname", "application_name", "client_encoding", "options", "host", "hostaddr", "port", NULL};
static const char session_options[] = "-c lock_timeout=2s -c idle_in_transaction_session_timeout=10s -c search_path=pg_catalog";

/* Lines that begin with a tab are advice, and LOCATION is in the server's source. */
void jk_db_one_line(char ret[DB_ERROR_BYTES], const char *text)
{
	static const char location[] = "LOCATION:";
	ret[0] = '\0';
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		int line = (int)strcspn(text, "\n");
		size_t size = strlen(ret);
		if (line > 0 && *text != '\t' && strncmp(text, location, sizeof location - 1) != 0)
			(void)jk_text_format(ret + size, DB_ERROR_BYTES - size, "%s%.*s", size > 0 ? "; " : "", line, text);
	}
	for (char *c = ret; *c; c++)
		if (*c == '\t')
			*c = ' ';
}

/* Between half and all of the present back-off, so that services that lost the same server do not return in step. */
static int64_t next_attempt_ms(struct jk_db *db)
{
	unsigned noise = 0;
	if (getrandom(&noise, sizeof noise, GRND_NONBLOCK) != (ssize_t)sizeof noise)
		noise = (unsigned)jk_time_now_us();
	int half_ms = db->backoff_ms / 2;
	int wait_ms = half_ms + (int)(noise % (unsigned)(half_ms + 1));
	db->backoff_ms = db->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : db->backoff_ms * 2;
	return jk_time_mono_ms() + wait_ms;
}

void jk_db_lose(struct jk_db *db, const char *why)
{
	if (!why)
		why = db->connection ? PQerrorMessage(db->connection) : "out of memory";
	jk_db_one_line(db->last_error, why);
	if (db->job.active) {
		db->job.status = JK_RETRY;
		if (!db->job.message[0])
			jk_text_copy(db->job.message, sizeof db->job.message, db->last_error);
	}
	jk_db_trouble_connect(db, why);
	bool next_host = db->state != DB_UP && jk_db_hosts_next(db);
	PQfinish(db->connection);
	db->connection = NULL;
	db->state = DB_DOWN;
	db->unsent = false;
	db->prepared_count = 0;
	db->retry_at_ms = next_host ? jk_time_mono_ms() : next_attempt_ms(db);
	if (db->job.active)
		jk_db_job_finish(db);
}

static void on_notice(void *arg, const PGresult *notice)
{
	jk_db_job_notice(arg, notice);
}

static void watch_deadline(struct jk_db *db)
{
	int fd = PQsocket(db->connection);
	const char *host = PQhost(db->connection);                    /* an address in libpq's list of hosts */
	if (fd != db->connecting_fd || host != db->connecting_host) { /* libpq went to the next host or address */
		db->connecting_fd = fd;
		db->connecting_host = host;
		db->connect_by_ms = jk_time_mono_ms() + CONNECT_MS_PER_HOST;
	}
}

static void start_connecting(struct jk_db *db)
{
	const char *const values[] = {"10", "5", "3", "5000", "read-write", db->conninfo, db->application_name, "UTF8",
		session_options, db->hosts, db->addresses, db->ports, NULL};
	db->connection = PQconnectStartParams(connect_keywords, values, 1);
	if (!db->connection || PQstatus(db->connection) == CONNECTION_BAD) {
		jk_db_lose(db, NULL);
		return;
	}
	PQsetNoticeReceiver(db->connection, on_notice, db);
	/* Brings the SQLSTATE, of which a connection that fails has none, into its text. */
	PQsetErrorVerbosity(db->connection, PQERRORS_VERBOSE);
	db->state = DB_CONNECTING;
	db->wants = PGRES_POLLING_WRITING;
	db->connecting_fd = -1;
	watch_deadline(db);
}

static void go_on_connecting(struct jk_db *db)
{
	db->wants = PQconnectPoll(db->connection);
	if (db->wants == PGRES_POLLING_FAILED) {
		jk_db_lose(db, NULL);
		return;
	}
	watch_deadline(db);
	if (db->wants != PGRES_POLLING_OK)
		return;
	if (PQsetnonblocking(db->connection, 1) != 0 || PQenterPipelineMode(db->connection) != 1) {
		jk_db_lose(db, NULL);
		return;
	}
	PQsetErrorVerbosity(db->connection, PQERRORS_DEFAULT);
	db->state = DB_UP;
	db->backoff_ms = BACKOFF_MIN_MS;
	db->passed_over = 0;
	db->last_error[0] = '\0';
}

enum jk_status jk_db_open(const char *conninfo, const char *application_name, struct jk_db **ret_db)
{
	*ret_db = NULL;
	char *error = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &error);
	PQfreemem(error);
	if (!options)
		return JK_BROKEN;
	PQconninfoFree(options);

	struct jk_db *db = calloc(1, sizeof *db);
	if (!db)
		return JK_BROKEN;
	db->conninfo = strdup(conninfo);
	db->application_name = strdup(application_name);
	db->backoff_ms = BACKOFF_MIN_MS;
	if (!db->conninfo || !db->application_name) {
		jk_db_close(&db);
		return JK_BROKEN;
	}
	start_connecting(db);
	*ret_db = db;
	return JK_OK;
}

void jk_db_close(struct jk_db **db_p)
{
	struct jk_db *db = *db_p;
	if (!db)
		return;
	*db_p = NULL;
	for (size_t i = 0; i < JK_DB_STEPS_MAX; i++)
		PQclear(db->job.results[i]);
	PQfinish(db->connection);
	jk_db_hosts_free(db);
	free(db->application_name);
	free(db->conninfo);
	free(db);
}

bool jk_db_is_up(const struct jk_db *db)
{
	return db->state == DB_UP;
}

bool jk_db_is_idle(const struct jk_db *db)
{
	return db->state == DB_UP && !db->job.active;
}

const char *jk_db_last_error(const struct jk_db *db)
{
	return db->last_error;
}

int jk_db_fd(void *arg)
{
	const struct jk_db *db = arg;
	return db->state == DB_DOWN ? -1 : PQsocket(db->connection);
}

short jk_db_events(void *arg)
{
	const struct jk_db *db = arg;
	switch (db->state) {
	case DB_DOWN:
		return 0;
	case DB_CONNECTING:
		return db->wants == PGRES_POLLING_READING ? JK_DB_EVENT_IN : JK_DB_EVENT_OUT;
	case DB_UP:
		break;
	}
	return db->unsent ? JK_DB_EVENT_IN | JK_DB_EVENT_OUT : JK_DB_EVENT_IN;
}

void jk_db_on_ready(void *arg)
{
	struct jk_db *db = arg;
	if (db->state == DB_CONNECTING)
		go_on_connecting(db);
	else if (db->state == DB_UP)
		jk_db_job_serve(db);
}

static void lose_silent(struct jk_db *db)
{
	char why[DB_ERROR_BYTES];
	(void)jk_text_format(why, sizeof why, "%.100s, port %.10s: accepted the connection, and says nothing",
		PQhost(db->connection), PQport(db->connection));
	jk_db_lose(db, why);
}

void jk_db_on_timer(void *arg)
{
	struct jk_db *db = arg;
	int64_t now_ms = jk_time_mono_ms();
	if (db->state == DB_DOWN && now_ms >= db->retry_at_ms)
		start_connecting(db);
	else if (db->state == DB_CONNECTING && now_ms >= db->connect_by_ms)
		lose_silent(db);
}
