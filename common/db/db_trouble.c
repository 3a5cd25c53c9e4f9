/* db_trouble.c: what keeps the database from working, in words a person understands and codes that stay. From SQLSTATEs; a
 * connection that failed gives none, so while connecting libpq writes them into its text (see start_connecting). */
#include <string.h>

#include "base/jk_time.h"
#include "db/db_internal.h"

enum {
	ANSWER_MS = 3000, /* a job that takes longer is worth telling of */
	/* How long a failed job is told of when nothing shows that it is over: nobody may try again meanwhile. */
	KEPT_MS = 15000,
	KEPT_SHORT_MS = 5000,
};

static const struct {
	const char *code, *words;
} names[] = {
	[JK_DB_FINE] = {"", ""},
	[JK_DB_UNREACHABLE] = {"DATABASE_UNREACHABLE", "no connection to the database"},
	[JK_DB_STARTING] = {"DATABASE_STARTING", "the database server is starting or stopping"},
	[JK_DB_LOGIN_REFUSED] = {"DATABASE_LOGIN_REFUSED", "the database does not let us in"},
	[JK_DB_CROWDED] = {"DATABASE_CROWDED", "the database has no connection left for us"},
	[JK_DB_READ_ONLY] = {"DATABASE_READ_ONLY", "the database is read-only (a standby?)"},
	[JK_DB_DISK_FULL] = {"DATABASE_DISK_FULL", "the database's disk is full"},
	[JK_DB_FAILING] = {"DATABASE_FAILING", "the database server fails"},
	[JK_DB_LOCKED] = {"DATABASE_LOCKED", "another session of the database holds what we need"},
	[JK_DB_NOT_REPLICATED] = {"DATABASE_NOT_REPLICATED", "the standby may not have the newest commits"},
	[JK_DB_NO_ANSWER] = {"DATABASE_NO_ANSWER",
		"the database does not answer (a standby that it waits for? a disk that hangs?)"},
	[JK_DB_REFUSES] = {"DATABASE_REFUSES", "the database refuses our work; a person must act"},
};

/* By class or code, the more special first. What is missing is no trouble of the database: rows that are refused (22, 23),
 * rivals (40), sessions that were ended and statements that were cancelled (57014, 57P01), which are simply done again. */
static enum jk_db_trouble trouble_of(const char *sqlstate)
{
	static const struct {
		const char *start;
		enum jk_db_trouble trouble;
	} rules[] = {
		{"25006", JK_DB_READ_ONLY}, /* read_only_sql_transaction */
		{"28", JK_DB_LOGIN_REFUSED},
		{"3D000", JK_DB_LOGIN_REFUSED}, /* no such database */
		{"53100", JK_DB_DISK_FULL},
		{"53300", JK_DB_CROWDED},
		{"53", JK_DB_FAILING},
		{"55P03", JK_DB_LOCKED},
		{"57P03", JK_DB_STARTING},
		{"58", JK_DB_FAILING},
		{"XX", JK_DB_FAILING},
		{"42", JK_DB_REFUSES},
		{"55", JK_DB_REFUSES},
		{"0A", JK_DB_REFUSES},
		{"3F", JK_DB_REFUSES},
		{"JK", JK_DB_REFUSES},
	};
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (strncmp(sqlstate, rules[i].start, strlen(rules[i].start)) == 0)
			return rules[i].trouble;
	return JK_DB_FINE;
}

/* "…failed: FATAL:  28P01: password…": the code stands behind two blanks. NULL: none. */
static char *find_sqlstate(char *text)
{
	enum { CODE_CHARS = 5 };
	for (char *at = strstr(text, "  "); at; at = strstr(at + 1, "  ")) {
		size_t size = strspn(at + 2, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (size == CODE_CHARS && strncmp(at + 2 + CODE_CHARS, ": ", 2) == 0)
			return at + 2;
	}
	return NULL;
}

enum jk_db_trouble jk_db_judge(const char *message)
{
	/* What libpq says by itself, and what servers say in English to those who did not ask for codes. */
	static const struct {
		const char *words;
		enum jk_db_trouble trouble;
	} known[] = {
		{"read-only", JK_DB_READ_ONLY},
		{"hot standby", JK_DB_READ_ONLY},
		{"no password supplied", JK_DB_LOGIN_REFUSED},
		{"authentication failed", JK_DB_LOGIN_REFUSED},
		{"pg_hba.conf", JK_DB_LOGIN_REFUSED},
		{"not permitted to log in", JK_DB_LOGIN_REFUSED},
		{"\" does not exist", JK_DB_LOGIN_REFUSED},
		{"starting up", JK_DB_STARTING},
		{"shutting down", JK_DB_STARTING},
		{"not yet accepting connections", JK_DB_STARTING},
		{"too many clients", JK_DB_CROWDED},
	};
	char text[4 * DB_ERROR_BYTES];
	(void)jk_text_copy(text, sizeof text, message);
	const char *sqlstate = find_sqlstate(text);
	if (sqlstate && trouble_of(sqlstate) != JK_DB_FINE)
		return trouble_of(sqlstate);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strstr(message, known[i].words))
			return known[i].trouble;
	return JK_DB_UNREACHABLE;
}

const char *jk_db_trouble_code(enum jk_db_trouble trouble)
{
	return names[trouble].code;
}

static bool is_recent(const struct db_failure *failed, int64_t now_ms)
{
	bool passing = failed->trouble == JK_DB_LOCKED || failed->trouble == JK_DB_NOT_REPLICATED;
	return failed->trouble != JK_DB_FINE && now_ms - failed->at_ms < (passing ? KEPT_SHORT_MS : KEPT_MS);
}

void jk_db_trouble_connect(struct jk_db *db, const char *message)
{
	char *sqlstate, *from;
	if (db->state == DB_UP && !is_recent(&db->failed, jk_time_mono_ms()))
		db->failed.trouble = JK_DB_FINE; /* long ago; it has nothing to do with this */
	db->away.trouble = jk_db_judge(message);
	jk_db_one_line(db->away.why, message);
	sqlstate = find_sqlstate(db->away.why);
	if (!sqlstate)
		return;
	for (from = sqlstate - 2; from > db->away.why && from[-1] != ' '; from--)
		; /* the severity goes too */
	memmove(from, sqlstate + 7, strlen(sqlstate + 7) + 1);
}

void jk_db_trouble_job(struct jk_db *db, enum jk_db_trouble trouble, const char *why)
{
	const struct db_job *job = &db->job;
	const struct db_command *command = job->command_at < job->command_count ? &job->commands[job->command_at] : NULL;
	if (!job->active)
		return;
	db->failed = (struct db_failure){.trouble = trouble, .at_ms = jk_time_mono_ms()};
	db->failed.statement = !command            ? job->statements[job->step_count - 1]
			       : command->prepares ? command->prepares
						   : job->statements[command->step];
	(void)jk_text_copy(db->failed.why, sizeof db->failed.why, why);
}

void jk_db_trouble_error(struct jk_db *db, const char *sqlstate, const char *why)
{
	enum jk_db_trouble trouble = trouble_of(sqlstate);
	if (trouble != JK_DB_FINE)
		jk_db_trouble_job(db, trouble, why);
}

/* What failed then works now. */
void jk_db_trouble_success(struct jk_db *db, const struct db_job *job)
{
	for (size_t i = 0; i < job->step_count; i++)
		if (job->statements[i] == db->failed.statement)
			db->failed.trouble = JK_DB_FINE;
}

bool jk_db_is_stuck(const struct jk_db *db)
{
	return db->job.active && jk_time_mono_ms() - db->job.started_ms > ANSWER_MS;
}

enum jk_db_trouble jk_db_trouble(const struct jk_db *db, char ret_words[JK_DB_TROUBLE_BYTES])
{
	bool up = db->state == DB_UP;
	enum jk_db_trouble trouble = JK_DB_FINE;
	const char *why = "";
	ret_words[0] = '\0';
	if (!up) {
		/* A server whose disk is full goes down: then this is the cause to tell of, however long it takes. */
		bool full = db->failed.trouble == JK_DB_DISK_FULL;
		trouble = full ? JK_DB_DISK_FULL : db->away.trouble == JK_DB_FINE ? JK_DB_UNREACHABLE : db->away.trouble;
		why = full ? db->failed.why : db->away.why;
	} else if (jk_db_is_stuck(db)) {
		trouble = JK_DB_NO_ANSWER;
	} else if (is_recent(&db->failed, jk_time_mono_ms())) {
		trouble = db->failed.trouble;
		why = db->failed.why;
	}
	if (trouble != JK_DB_FINE)
		(void)jk_text_format(ret_words, JK_DB_TROUBLE_BYTES, "%s: %s%s%s", names[trouble].code, names[trouble].words,
			*why ? ": " : "", why);
	return trouble;
}
