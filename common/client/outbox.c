#include "client/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/jk_crash.h"
#include "base/jk_id.h"
#include "base/jk_text.h"
#include "base/jk_time.h"

#define DEFAULT_MAX_BYTES (1ULL << 30)
enum {
	BUSY_TIMEOUT_MS = 5000,
	OUTBOX_VERSION = 1,
	COLUMNS_OF_REPORT = 8,
	COUNTY_BYTES = 16,
	WORDS_OF_DEAD = 4,
	BATCH_MAX = 256, /* outcomes a transaction: a failure costs no more, and a disk that is almost full takes it */
};

enum statement {
	ADD,
	NEXT,
	SIZE,
	SETTLE,
	BURY,
	NEXT_DEAD,
	RETRY_ONE,
	RETRY_ALL,
	FORGET_ONE,
	FORGET_ALL,
	TOTALS,
	BEGIN,
	COMMIT,
	ROLLBACK,
	STATEMENT_COUNT,
};

static const char *const statement_sql[STATEMENT_COUNT] = {
	[ADD] = "INSERT INTO waiting (id, format, payload, county, strict, label, added_us) VALUES (?1,?2,?3,?4,?5,?6,?7)",
	[NEXT] = "SELECT ticket, id, format, payload, county, strict, label, added_us FROM waiting WHERE ticket > ?1 "
		 "ORDER BY ticket LIMIT 1",
	[SIZE] = "SELECT length(payload) FROM waiting WHERE ticket = ?1",
	[SETTLE] = "DELETE FROM waiting WHERE ticket = ?1",
	/* REPLACE: one that is dead already, as an older version could leave it, must not hold up the others. */
	[BURY] = "INSERT OR REPLACE INTO dead "
		 "(ticket, id, format, payload, county, strict, label, added_us, verdict, code, field, reason) "
		 "SELECT ticket, id, format, payload, county, strict, label, added_us, ?2, ?3, ?4, ?5 FROM waiting WHERE ticket "
		 "= ?1",
	[NEXT_DEAD] = "SELECT ticket, id, format, payload, county, strict, label, added_us, verdict, code, field, reason "
		      "FROM dead WHERE ticket > ?1 ORDER BY ticket LIMIT 1",
	[RETRY_ONE] = "INSERT INTO waiting (id, format, payload, county, strict, label, added_us) "
		      "SELECT id, format, payload, county, strict, label, added_us FROM dead WHERE id = ?1",
	[RETRY_ALL] = "INSERT INTO waiting (id, format, payload, county, strict, label, added_us) "
		      "SELECT id, format, payload, county, strict, label, added_us FROM dead ORDER BY ticket",
	[FORGET_ONE] = "DELETE FROM dead WHERE id = ?1",
	[FORGET_ALL] = "DELETE FROM dead",
	[TOTALS] = "SELECT count(*), coalesce(sum(length(payload)), 0) FROM waiting",
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
};

static const char schema_sql[] =
	"CREATE TABLE IF NOT EXISTS waiting (ticket INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
	" format INTEGER NOT NULL, payload BLOB NOT NULL, county TEXT NOT NULL, strict INTEGER NOT NULL, label TEXT NOT NULL,"
	" added_us INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS dead (ticket INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, format INTEGER NOT NULL,"
	" payload BLOB NOT NULL, county TEXT NOT NULL, strict INTEGER NOT NULL, label TEXT NOT NULL, added_us INTEGER NOT NULL,"
	" verdict TEXT NOT NULL, code TEXT NOT NULL, field TEXT NOT NULL, reason TEXT NOT NULL);"
	"PRAGMA user_version = 1;";

/* What became of a report, until it is on disk: after a failed commit nobody else knows any more. */
struct outcome {
	struct outcome *next;
	uint64_t ticket;
	bool dead;
	char words[]; /* when dead: verdict, code, field and reason, each with its NUL */
};

struct jk_outbox {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	int lock_fd;
	struct outcome *outcomes; /* newest first */
	uint64_t max_bytes, bytes;
	size_t waiting; /* with bytes: less the outcomes */
};

static enum jk_status refuse_outbox(struct jk_refusal *ret_refusal, enum jk_status status, const char *what, const char *why)
{
	(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "outbox", "%s: %s", what, why);
	return status;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

/* A file beside the database: closing any descriptor of the database itself would drop SQLite's own POSIX locks. */
static enum jk_status take_lock(struct jk_outbox *outbox, const char *path, struct jk_refusal *ret_refusal)
{
	char lock_path[PATH_MAX];

	if (!jk_text_format(lock_path, sizeof lock_path, "%s.lock", path))
		return refuse_outbox(ret_refusal, JK_BROKEN, path, "path too long");
	outbox->lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (outbox->lock_fd < 0)
		return refuse_outbox(ret_refusal, JK_BROKEN, lock_path, strerror(errno));
	if (flock(outbox->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return refuse_outbox(ret_refusal, JK_RETRY, path, "another process is using this outbox");
	return JK_OK;
}

static bool run_script(struct jk_outbox *outbox, const char *sql)
{
	return sqlite3_exec(outbox->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* -1: cannot be read. */
static int read_version(struct jk_outbox *outbox)
{
	sqlite3_stmt *statement;
	int version = -1;

	if (sqlite3_prepare_v2(outbox->db, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return version;
}

static bool prepare_all(struct jk_outbox *outbox)
{
	for (int i = 0; i < STATEMENT_COUNT; i++)
		if (sqlite3_prepare_v3(outbox->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &outbox->statements[i],
			    NULL) != SQLITE_OK)
			return false;
	return true;
}

static enum jk_status open_database(
	struct jk_outbox *outbox, const char *path, enum jk_outbox_use use, struct jk_refusal *ret_refusal)
{
	int flags = use == JK_OUTBOX_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
	int version;

	if (sqlite3_open_v2(path, &outbox->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return refuse_outbox(ret_refusal, JK_BROKEN, path, outbox->db ? sqlite3_errmsg(outbox->db) : "no memory");
	sqlite3_busy_timeout(outbox->db, BUSY_TIMEOUT_MS);
	if (use == JK_OUTBOX_WRITE && !run_script(outbox, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"))
		return refuse_outbox(ret_refusal, JK_BROKEN, path, sqlite3_errmsg(outbox->db));
	version = read_version(outbox);
	if (version < 0)
		return refuse_outbox(ret_refusal, JK_BROKEN, path, sqlite3_errmsg(outbox->db));
	if (version > OUTBOX_VERSION)
		return refuse_outbox(ret_refusal, JK_BROKEN, path, "made by a newer Jukwaa");
	if (version == 0 && use == JK_OUTBOX_READ)
		return refuse_outbox(ret_refusal, JK_BROKEN, path, "not an outbox");
	if (version == 0 && !run_script(outbox, schema_sql))
		return refuse_outbox(ret_refusal, JK_BROKEN, path, sqlite3_errmsg(outbox->db));
	if (!prepare_all(outbox))
		return refuse_outbox(ret_refusal, JK_BROKEN, path, sqlite3_errmsg(outbox->db));
	return JK_OK;
}

static bool count_totals(struct jk_outbox *outbox)
{
	sqlite3_stmt *totals = outbox->statements[TOTALS];
	bool found = sqlite3_step(totals) == SQLITE_ROW;

	if (found) {
		outbox->waiting = (size_t)sqlite3_column_int64(totals, 0);
		outbox->bytes = (uint64_t)sqlite3_column_int64(totals, 1);
	}
	sqlite3_reset(totals);
	return found;
}

enum jk_status jk_outbox_open(const char *path, enum jk_outbox_use use, uint64_t max_bytes, struct jk_outbox **ret_outbox,
	struct jk_refusal *ret_refusal)
{
	struct jk_outbox *outbox = calloc(1, sizeof *outbox);
	enum jk_status status = JK_OK;

	if (!outbox)
		return refuse_outbox(ret_refusal, JK_BROKEN, path, "no memory");
	outbox->lock_fd = -1;
	outbox->max_bytes = max_bytes > 0 ? max_bytes : DEFAULT_MAX_BYTES;
	if (use == JK_OUTBOX_WRITE)
		status = take_lock(outbox, path, ret_refusal);
	if (status == JK_OK && use == JK_OUTBOX_WRITE) {
		/* SQLite would make it 0644; reports name people. */
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			status = refuse_outbox(ret_refusal, JK_BROKEN, path, strerror(errno));
		else
			close(fd);
	}
	if (status == JK_OK)
		status = open_database(outbox, path, use, ret_refusal);
	if (status == JK_OK && !count_totals(outbox))
		status = refuse_outbox(ret_refusal, JK_BROKEN, path, sqlite3_errmsg(outbox->db));
	if (status != JK_OK) {
		jk_outbox_close(&outbox);
		return status;
	}
	*ret_outbox = outbox;
	return JK_OK;
}

/* Those before `rest`. */
static void forget_outcomes(struct jk_outbox *outbox, const struct outcome *rest)
{
	while (outbox->outcomes != rest) {
		struct outcome *next = outbox->outcomes->next;

		free(outbox->outcomes);
		outbox->outcomes = next;
	}
}

void jk_outbox_close(struct jk_outbox **outbox_p)
{
	struct jk_outbox *outbox = *outbox_p;

	*outbox_p = NULL;
	if (!outbox)
		return;
	/* What is not committed is sent again: nothing is lost. */
	(void)!jk_outbox_flush(outbox);
	forget_outcomes(outbox, NULL);
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(outbox->statements[i]);
	sqlite3_close(outbox->db);
	if (outbox->lock_fd >= 0)
		close(outbox->lock_fd);
	free(outbox);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static bool run(struct jk_outbox *outbox, enum statement which)
{
	sqlite3_stmt *statement = outbox->statements[which];
	bool done = sqlite3_step(statement) == SQLITE_DONE;

	sqlite3_reset(statement);
	return done;
}

static bool begin(struct jk_outbox *outbox)
{
	/* Rows lent out end here. */
	sqlite3_reset(outbox->statements[NEXT]);
	sqlite3_reset(outbox->statements[NEXT_DEAD]);
	return run(outbox, BEGIN);
}

/* Commits when all went well; else, and when that fails, rolls back. */
static bool end(struct jk_outbox *outbox, bool good)
{
	if (good && run(outbox, COMMIT))
		return true;
	(void)run(outbox, ROLLBACK);
	return false;
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	sqlite3_bind_text(statement, index, text ? text : "", -1, SQLITE_STATIC);
}

static bool write_outcome(struct jk_outbox *outbox, const struct outcome *outcome)
{
	sqlite3_stmt *bury = outbox->statements[BURY];
	const char *word = outcome->words;
	bool buried = true;

	if (outcome->dead) {
		sqlite3_bind_int64(bury, 1, (sqlite3_int64)outcome->ticket);
		for (int i = 0; i < WORDS_OF_DEAD; i++, word += strlen(word) + 1)
			bind_text(bury, i + 2, word);
		buried = run(outbox, BURY);
		sqlite3_clear_bindings(bury);
	}
	sqlite3_bind_int64(outbox->statements[SETTLE], 1, (sqlite3_int64)outcome->ticket);
	return buried && run(outbox, SETTLE);
}

enum jk_status jk_outbox_flush(struct jk_outbox *outbox)
{
	while (outbox->outcomes) {
		const struct outcome *rest = outbox->outcomes;
		bool good = begin(outbox);

		for (int i = 0; good && rest && i < BATCH_MAX; i++, rest = rest->next)
			good = write_outcome(outbox, rest);
		if (!end(outbox, good))
			return JK_RETRY;
		forget_outcomes(outbox, rest);
	}
	return JK_OK;
}

enum jk_status jk_outbox_add(
	struct jk_outbox *outbox, const struct jk_outbox_report *report, uint64_t *ret_ticket, struct jk_refusal *ret_refusal)
{
	sqlite3_stmt *add = outbox->statements[ADD];
	struct jk_id id = jk_id_new();
	char id_text[JK_ID_TEXT_BYTES];
	bool added;

	if (outbox->bytes + report->payload_size > outbox->max_bytes)
		return refuse_outbox(ret_refusal, JK_RETRY, "the outbox is full", "let it empty first, or allow it more");
	jk_id_format(id_text, &id);
	if (!begin(outbox))
		return refuse_outbox(ret_refusal, JK_BROKEN, "the outbox cannot be written", sqlite3_errmsg(outbox->db));
	sqlite3_bind_text(add, 1, id_text, -1, SQLITE_STATIC);
	sqlite3_bind_int(add, 2, report->format);
	sqlite3_bind_blob64(add, 3, report->payload, report->payload_size, SQLITE_STATIC);
	bind_text(add, 4, report->county);
	sqlite3_bind_int(add, 5, report->strict);
	bind_text(add, 6, report->label);
	sqlite3_bind_int64(add, 7, jk_time_now_us());
	added = run(outbox, ADD);
	sqlite3_clear_bindings(add);
	if (added)
		*ret_ticket = (uint64_t)sqlite3_last_insert_rowid(outbox->db);
	JK_CRASH_POINT("outbox_before_fsync", NULL);
	if (!added || !run(outbox, COMMIT)) {
		/* First the reason: the rollback puts its own in its place. */
		(void)refuse_outbox(ret_refusal, JK_BROKEN, "the outbox cannot be written", sqlite3_errmsg(outbox->db));
		(void)end(outbox, false);
		return JK_BROKEN;
	}
	JK_CRASH_POINT("outbox_after_fsync", NULL);
	outbox->waiting++;
	outbox->bytes += report->payload_size;
	return JK_OK;
}

/* ret_bytes -1: no such report waits. */
static enum jk_status read_size(struct jk_outbox *outbox, uint64_t ticket, int64_t *ret_bytes)
{
	sqlite3_stmt *size = outbox->statements[SIZE];
	int result;

	sqlite3_bind_int64(size, 1, (sqlite3_int64)ticket);
	result = sqlite3_step(size);
	*ret_bytes = result == SQLITE_ROW ? sqlite3_column_int64(size, 0) : -1;
	sqlite3_reset(size);
	return result == SQLITE_ROW || result == SQLITE_DONE ? JK_OK : JK_RETRY;
}

/* words: of a dead letter; else NULL. */
static enum jk_status keep_outcome(struct jk_outbox *outbox, uint64_t ticket, const char *const words[WORDS_OF_DEAD])
{
	const int word_count = words ? WORDS_OF_DEAD : 0;
	struct outcome *outcome;
	size_t words_size = 0;
	int64_t bytes;
	char *at;

	if (read_size(outbox, ticket, &bytes) != JK_OK)
		return JK_RETRY;
	if (bytes < 0)
		return JK_OK;
	for (int i = 0; i < word_count; i++)
		words_size += strlen(words[i]) + 1;
	outcome = malloc(sizeof *outcome + words_size);
	if (!outcome)
		return JK_RETRY;
	*outcome = (struct outcome){.next = outbox->outcomes, .ticket = ticket, .dead = words != NULL};
	at = outcome->words;
	for (int i = 0; i < word_count; i++) {
		size_t size = strlen(words[i]) + 1;

		memcpy(at, words[i], size);
		at += size;
	}
	outbox->outcomes = outcome;
	outbox->waiting--;
	outbox->bytes -= (uint64_t)bytes;
	return JK_OK;
}

enum jk_status jk_outbox_settle(struct jk_outbox *outbox, uint64_t ticket)
{
	return keep_outcome(outbox, ticket, NULL);
}

enum jk_status jk_outbox_bury(
	struct jk_outbox *outbox, uint64_t ticket, const char *verdict, const char *code, const char *field, const char *reason)
{
	const char *const words[WORDS_OF_DEAD] = {
		verdict ? verdict : "", code ? code : "", field ? field : "", reason ? reason : ""};

	return keep_outcome(outbox, ticket, words);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static const char *column_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return text ? text : "";
}

/* The row stays borrowed until the statement is reset, at the next use. */
static bool read_next(struct jk_outbox *outbox, enum statement which, uint64_t after, struct jk_outbox_report *ret)
{
	sqlite3_stmt *row = outbox->statements[which];
	bool dead = which == NEXT_DEAD;

	sqlite3_reset(row);
	sqlite3_bind_int64(row, 1, (sqlite3_int64)after);
	if (sqlite3_step(row) != SQLITE_ROW) {
		sqlite3_reset(row);
		return false;
	}
	*ret = (struct jk_outbox_report){
		.ticket = (uint64_t)sqlite3_column_int64(row, 0),
		.id = column_text(row, 1),
		.format = sqlite3_column_int(row, 2),
		.payload = sqlite3_column_blob(row, 3),
		.payload_size = (size_t)sqlite3_column_bytes(row, 3),
		.county = column_text(row, 4),
		.strict = sqlite3_column_int(row, 5) != 0,
		.label = column_text(row, 6),
		.added_us = sqlite3_column_int64(row, 7),
		.verdict = dead ? column_text(row, COLUMNS_OF_REPORT) : "",
		.code = dead ? column_text(row, COLUMNS_OF_REPORT + 1) : "",
		.field = dead ? column_text(row, COLUMNS_OF_REPORT + 2) : "",
		.reason = dead ? column_text(row, COLUMNS_OF_REPORT + 3) : "",
	};
	return true;
}

bool jk_outbox_next(struct jk_outbox *outbox, uint64_t after, struct jk_outbox_report *ret)
{
	return read_next(outbox, NEXT, after, ret);
}

bool jk_outbox_next_dead(struct jk_outbox *outbox, uint64_t after, struct jk_outbox_report *ret)
{
	return read_next(outbox, NEXT_DEAD, after, ret);
}

size_t jk_outbox_waiting(const struct jk_outbox *outbox)
{
	return outbox->waiting;
}

enum jk_status jk_outbox_retry(struct jk_outbox *outbox, const char *id, size_t *ret_count)
{
	enum statement move = id ? RETRY_ONE : RETRY_ALL, forget = id ? FORGET_ONE : FORGET_ALL;
	bool moved;

	*ret_count = 0;
	if (jk_outbox_flush(outbox) != JK_OK || !begin(outbox))
		return JK_RETRY;
	if (id) {
		sqlite3_bind_text(outbox->statements[move], 1, id, -1, SQLITE_STATIC);
		sqlite3_bind_text(outbox->statements[forget], 1, id, -1, SQLITE_STATIC);
	}
	moved = run(outbox, move);
	if (moved)
		*ret_count = (size_t)sqlite3_changes(outbox->db);
	moved = moved && run(outbox, forget);
	if (!end(outbox, moved)) {
		*ret_count = 0;
		return JK_BROKEN;
	}
	return count_totals(outbox) ? JK_OK : JK_BROKEN;
}
