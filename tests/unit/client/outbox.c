/* The outbox: what cannot be used first; then what survives, and in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "base/jk_words.h"
#include "client/outbox.h"

static char folder[64], path[96];

static int make_folder(void **state)
{
	(void)state;
	(void)jk_text_format(folder, sizeof folder, "/tmp/jk-outbox-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	return jk_text_format(path, sizeof path, "%s/outbox.db", folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	static const char *const ends[] = {"", ".lock", "-wal", "-shm"};
	char name[128];

	(void)state;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		(void)jk_text_format(name, sizeof name, "%s%s", path, ends[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static struct jk_outbox *open_outbox(uint64_t max_bytes)
{
	struct jk_outbox *outbox;
	struct jk_refusal refusal;

	assert_int_equal(jk_outbox_open(path, JK_OUTBOX_WRITE, max_bytes, &outbox, &refusal), JK_OK);
	return outbox;
}

static uint64_t add(struct jk_outbox *outbox, const char *payload)
{
	const struct jk_outbox_report report = {.format = JK_FORMAT_JSON,
		.payload = payload,
		.payload_size = strlen(payload),
		.county = "047",
		.strict = true,
		.label = "file"};
	struct jk_refusal refusal;
	uint64_t ticket;

	assert_int_equal(jk_outbox_add(outbox, &report, &ticket, &refusal), JK_OK);
	return ticket;
}

static void a_file_of_another_kind_is_refused(void **state)
{
	struct jk_outbox *outbox;
	struct jk_refusal refusal;
	FILE *file = fopen(path, "w");

	(void)state;
	assert_non_null(file);
	fputs("this is no database, and long enough to be looked at as one", file);
	fclose(file);
	assert_int_equal(jk_outbox_open(path, JK_OUTBOX_WRITE, 0, &outbox, &refusal), JK_BROKEN);
	assert_non_null(strstr(refusal.reason, path));
	assert_int_equal(jk_outbox_open("/nowhere/at/all", JK_OUTBOX_READ, 0, &outbox, &refusal), JK_BROKEN);
}

static void one_writer_at_a_time_but_anybody_may_look(void **state)
{
	struct jk_outbox *outbox = open_outbox(0), *other;
	struct jk_outbox_report report;
	struct jk_refusal refusal;

	(void)state;
	add(outbox, "one");
	assert_int_equal(jk_outbox_open(path, JK_OUTBOX_WRITE, 0, &other, &refusal), JK_RETRY);
	assert_int_equal(jk_outbox_open(path, JK_OUTBOX_READ, 0, &other, &refusal), JK_OK);
	assert_true(jk_outbox_next(other, 0, &report));
	assert_memory_equal(report.payload, "one", 3);
	jk_outbox_close(&other);
	jk_outbox_close(&outbox);
}

static void nobody_else_can_read_it(void **state)
{
	struct jk_outbox *outbox = open_outbox(0);
	struct stat status;

	(void)state;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	jk_outbox_close(&outbox);
}

static void full_is_full(void **state)
{
	struct jk_outbox *outbox = open_outbox(10);
	const struct jk_outbox_report report = {.format = 1, .payload = "xxxxx", .payload_size = 5};
	struct jk_refusal refusal;
	uint64_t ticket, first = add(outbox, "123456");

	(void)state;
	assert_int_equal(jk_outbox_add(outbox, &report, &ticket, &refusal), JK_RETRY);
	assert_int_equal(jk_outbox_waiting(outbox), 1);
	assert_int_equal(jk_outbox_settle(outbox, first), JK_OK);
	assert_int_equal(jk_outbox_add(outbox, &report, &ticket, &refusal), JK_OK);
	jk_outbox_close(&outbox);
}

static void what_was_added_is_there_after_a_crash(void **state)
{
	struct jk_outbox *outbox;
	struct jk_outbox_report report;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		outbox = open_outbox(0);
		add(outbox, "first");
		add(outbox, "second");
		_exit(0); /* without closing anything */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	outbox = open_outbox(0);
	assert_int_equal(jk_outbox_waiting(outbox), 2);
	assert_true(jk_outbox_next(outbox, 0, &report));
	assert_memory_equal(report.payload, "first", 5);
	assert_string_equal(report.county, "047");
	assert_string_equal(report.label, "file");
	assert_true(report.strict);
	assert_int_equal(report.format, JK_FORMAT_JSON);
	assert_int_equal(strlen(report.id), 36);
	assert_true(jk_outbox_next(outbox, report.ticket, &report));
	assert_memory_equal(report.payload, "second", 6);
	assert_false(jk_outbox_next(outbox, report.ticket, &report));
	jk_outbox_close(&outbox);
}

static void tickets_are_never_given_twice(void **state)
{
	struct jk_outbox *outbox = open_outbox(0);
	uint64_t first = add(outbox, "a");

	(void)state;
	assert_int_equal(jk_outbox_settle(outbox, first), JK_OK);
	jk_outbox_close(&outbox);
	outbox = open_outbox(0);
	assert_int_equal(jk_outbox_waiting(outbox), 0);
	assert_true(add(outbox, "b") > first);
	jk_outbox_close(&outbox);
}

static void the_refused_become_dead_letters_and_can_go_again(void **state)
{
	struct jk_outbox *outbox = open_outbox(0);
	struct jk_outbox_report report;
	uint64_t first = add(outbox, "bad"), second = add(outbox, "worse");
	char id[40];
	size_t count;

	(void)state;
	assert_int_equal(jk_outbox_bury(outbox, first, "REJECTED", "INVALID_SCHEMA", "place", "no such place"), JK_OK);
	assert_int_equal(jk_outbox_bury(outbox, second, "CONFLICT", "", "", ""), JK_OK);
	assert_int_equal(jk_outbox_flush(outbox), JK_OK);
	assert_int_equal(jk_outbox_waiting(outbox), 0);
	assert_true(jk_outbox_next_dead(outbox, 0, &report));
	assert_string_equal(report.verdict, "REJECTED");
	assert_string_equal(report.code, "INVALID_SCHEMA");
	assert_string_equal(report.reason, "no such place");
	(void)jk_text_copy(id, sizeof id, report.id);

	assert_int_equal(jk_outbox_retry(outbox, "no such id", &count), JK_OK);
	assert_int_equal(count, 0);
	assert_int_equal(jk_outbox_retry(outbox, id, &count), JK_OK);
	assert_int_equal(count, 1);
	assert_true(jk_outbox_next(outbox, 0, &report));
	assert_memory_equal(report.payload, "bad", 3);
	assert_true(report.ticket > second);
	assert_int_equal(jk_outbox_retry(outbox, NULL, &count), JK_OK);
	assert_int_equal(count, 1);
	assert_false(jk_outbox_next_dead(outbox, 0, &report));
	assert_int_equal(jk_outbox_waiting(outbox), 2);
	jk_outbox_close(&outbox);
}

/* As a full disk: whatever would be written to a file fails, until it may be written again. */
static void let_files_be_written(bool may)
{
	static rlim_t usual;
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	if (!may)
		usual = limit.rlim_cur;
	limit.rlim_cur = may ? usual : 1;
	signal(SIGXFSZ, may ? SIG_DFL : SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_could_not_be_written_is_written_later(void **state)
{
	struct jk_outbox *outbox = open_outbox(0);
	struct jk_outbox_report report;
	uint64_t stored = add(outbox, "stored"), refused = add(outbox, "refused"), waiting = add(outbox, "waiting");
	enum jk_status failed[2];

	(void)state;
	let_files_be_written(false);
	assert_int_equal(jk_outbox_settle(outbox, stored), JK_OK);
	failed[0] = jk_outbox_flush(outbox);
	assert_int_equal(jk_outbox_bury(outbox, refused, "REJECTED", "UNROUTABLE", "place", "in the sea"), JK_OK);
	failed[1] = jk_outbox_flush(outbox);
	let_files_be_written(true);
	assert_int_equal(failed[0], JK_RETRY);
	assert_int_equal(failed[1], JK_RETRY);
	assert_int_equal(jk_outbox_waiting(outbox), 1);

	assert_int_equal(jk_outbox_flush(outbox), JK_OK);
	assert_int_equal(jk_outbox_waiting(outbox), 1);
	assert_true(jk_outbox_next(outbox, 0, &report));
	assert_int_equal(report.ticket, waiting);
	assert_false(jk_outbox_next(outbox, waiting, &report));
	assert_true(jk_outbox_next_dead(outbox, 0, &report));
	assert_int_equal(report.ticket, refused);
	assert_string_equal(report.verdict, "REJECTED");
	assert_string_equal(report.code, "UNROUTABLE");
	assert_string_equal(report.field, "place");
	assert_string_equal(report.reason, "in the sea");
	assert_false(jk_outbox_next_dead(outbox, refused, &report));
	jk_outbox_close(&outbox);
}

static void a_report_that_cannot_be_added_undoes_nothing(void **state)
{
	struct jk_outbox *outbox = open_outbox(0);
	const struct jk_outbox_report late = {.format = JK_FORMAT_JSON, .payload = "late", .payload_size = 4};
	struct jk_outbox_report report;
	struct jk_refusal refusal = {0};
	uint64_t ticket, stored = add(outbox, "stored"), waiting = add(outbox, "waiting");
	enum jk_status failed;

	(void)state;
	assert_int_equal(jk_outbox_settle(outbox, stored), JK_OK);
	let_files_be_written(false);
	failed = jk_outbox_add(outbox, &late, &ticket, &refusal);
	let_files_be_written(true);
	assert_int_equal(failed, JK_BROKEN);
	assert_non_null(strstr(refusal.reason, "I/O"));
	assert_int_equal(jk_outbox_waiting(outbox), 1);

	jk_outbox_close(&outbox);
	outbox = open_outbox(0);
	assert_int_equal(jk_outbox_waiting(outbox), 1);
	assert_true(jk_outbox_next(outbox, 0, &report));
	assert_int_equal(report.ticket, waiting);
	jk_outbox_close(&outbox);
}

/* More than one transaction's worth. Not added one by one: each would wait for the disk. */
static void many_are_settled_together(void **state)
{
	enum { MANY = 600 };
	static const char many_sql[] =
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO waiting "
		"(id, format, payload, county, strict, label, added_us) SELECT i, 1, 'many', '', 0, '', 0 FROM n";
	struct jk_outbox *outbox = open_outbox(0);
	struct jk_outbox_report report = {0};
	sqlite3 *db;

	(void)state;
	jk_outbox_close(&outbox);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, many_sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	outbox = open_outbox(0);
	assert_int_equal(jk_outbox_waiting(outbox), MANY);
	while (jk_outbox_next(outbox, report.ticket, &report))
		assert_int_equal(jk_outbox_settle(outbox, report.ticket), JK_OK);
	assert_int_equal(jk_outbox_waiting(outbox), 0);
	assert_int_equal(jk_outbox_flush(outbox), JK_OK);
	jk_outbox_close(&outbox);
	outbox = open_outbox(0);
	assert_int_equal(jk_outbox_waiting(outbox), 0);
	assert_false(jk_outbox_next(outbox, 0, &report));
	jk_outbox_close(&outbox);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_of_another_kind_is_refused),
		TEST(one_writer_at_a_time_but_anybody_may_look),
		TEST(nobody_else_can_read_it),
		TEST(full_is_full),
		TEST(what_was_added_is_there_after_a_crash),
		TEST(tickets_are_never_given_twice),
		TEST(the_refused_become_dead_letters_and_can_go_again),
		TEST(what_could_not_be_written_is_written_later),
		TEST(a_report_that_cannot_be_added_undoes_nothing),
		TEST(many_are_settled_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
