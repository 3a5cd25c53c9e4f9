/* What keeps the database from working, as jk_db_trouble tells it; hosts that are passed over. Against a real PostgreSQL
 * (JUKWAA_TEST_PG, a superuser's connection string; skipped without) and against sockets that misbehave. */
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/jk_time.h"
#include "db/db.h"

static const char *conninfo;

static void drive(struct jk_db *db, bool (*until)(struct jk_db *db), int limit_ms)
{
	int64_t until_ms = jk_time_mono_ms() + limit_ms;
	while (jk_time_mono_ms() < until_ms && !until(db)) {
		short wanted = jk_db_events(db);
		struct pollfd item = {.fd = jk_db_fd(db)};
		item.events = (short)((wanted & JK_DB_EVENT_IN ? POLLIN : 0) | (wanted & JK_DB_EVENT_OUT ? POLLOUT : 0));
		if (poll(&item, 1, 20) > 0)
			jk_db_on_ready(db);
		jk_db_on_timer(db);
	}
}

static bool is_up(struct jk_db *db)
{
	return jk_db_is_up(db);
}

static bool has_failed(struct jk_db *db)
{
	return jk_db_last_error(db)[0] != '\0';
}

static bool is_stuck(struct jk_db *db)
{
	return jk_db_is_stuck(db);
}

static bool is_fine(struct jk_db *db)
{
	char words[JK_DB_TROUBLE_BYTES];
	return jk_db_trouble(db, words) == JK_DB_FINE;
}

static struct jk_db *open_db(const char *text)
{
	struct jk_db *db;
	assert_int_equal(jk_db_open(text, "db_trouble_test", &db), JK_OK);
	return db;
}

static enum jk_status run(struct jk_db *db, const struct jk_db_statement *statement)
{
	const struct jk_db_step step = {.statement = statement};
	return jk_db_run(db, &step, 1, 5000, NULL, NULL);
}

static void expect_trouble(const struct jk_db *db, enum jk_db_trouble trouble, const char *begins, const char *contains)
{
	char words[JK_DB_TROUBLE_BYTES];
	assert_int_equal(jk_db_trouble(db, words), trouble);
	if (strncmp(words, begins, strlen(begins)) != 0 || !strstr(words, contains))
		fail_msg("\"%s\" does not begin with \"%s\" or lacks \"%s\"", words, begins, contains);
}

/* Listens on a free port of loopback and never answers: connections complete in the kernel. */
static int listen_silently(int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 16) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/* The test's database, behind the given "host,host" and "port,port". */
static const char *with_hosts(char ret[1024], const char *hosts, const char *ports)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	const char *host = NULL;
	assert_non_null(options);
	for (const PQconninfoOption *option = options; option->keyword; option++)
		if (strcmp(option->keyword, "host") == 0)
			host = option->val;
	assert_non_null(host);
	assert_true(jk_text_format(ret, 1024, "%s host='%s,%s' port=%s,5432", conninfo, hosts, host, ports));
	PQconninfoFree(options);
	return ret;
}

static void test_a_silent_host_is_passed_over(void **state)
{
	(void)state;
	char text[1024], ports[32];
	int port, silent = listen_silently(&port);
	(void)jk_text_format(ports, sizeof ports, "%d", port);
	struct jk_db *db = open_db(with_hosts(text, "127.0.0.1", ports));
	int64_t start_ms = jk_time_mono_ms();
	drive(db, has_failed, 8000);
	expect_trouble(db, JK_DB_UNREACHABLE, "DATABASE_UNREACHABLE: no connection to the database: 127.0.0.1", "says nothing");
	drive(db, is_up, 8000);
	int64_t took_ms = jk_time_mono_ms() - start_ms;
	assert_true(jk_db_is_up(db));
	assert_in_range(took_ms, 2500, 4500);
	assert_true(is_fine(db));
	print_message("a silent first host costs %d ms\n", (int)took_ms);
	jk_db_close(&db);
	close(silent);
}

/* libpq ends its list at a host that hangs up; and the one that let us in comes first the next time. */
static void test_hosts_that_hang_up_are_passed_over(void **state)
{
	(void)state;
	static const struct jk_db_statement end_us = {"end_us", "SELECT pg_terminate_backend(pg_backend_pid())", 0};
	char text[1024], ports[64];
	int port[2], rude[2] = {listen_silently(&port[0]), listen_silently(&port[1])};
	(void)jk_text_format(ports, sizeof ports, "%d,%d", port[0], port[1]);
	struct jk_db *db = open_db(with_hosts(text, "127.0.0.1,127.0.0.1", ports));
	int hung_up = 0;
	int64_t until_ms = jk_time_mono_ms() + 5000;
	while (!jk_db_is_up(db) && jk_time_mono_ms() < until_ms) {
		for (int i = 0; i < 2; i++) {
			struct pollfd item = {.fd = rude[i], .events = POLLIN};
			if (poll(&item, 1, 0) > 0) {
				close(accept(rude[i], NULL, NULL));
				hung_up++;
			}
		}
		drive(db, is_up, 25);
	}
	assert_true(jk_db_is_up(db));
	assert_int_equal(hung_up, 2);
	assert_int_equal(run(db, &end_us), JK_RETRY);
	int64_t start_ms = jk_time_mono_ms();
	drive(db, is_up, 2900); /* those two would stay silent now, for 3 s each */
	assert_true(jk_db_is_up(db));
	assert_in_range(jk_time_mono_ms() - start_ms, 0, 1000);
	jk_db_close(&db);
	close(rude[0]);
	close(rude[1]);
}

/* Attempts that fail at once must not follow one another at once, however many hosts there are. */
static void test_hosts_that_all_fail_are_tried_with_pauses(void **state)
{
	(void)state;
	int port, rude = listen_silently(&port), attempts = 0;
	char text[256];
	(void)jk_text_format(
		text, sizeof text, "host=127.0.0.1,127.0.0.1,127.0.0.1 port=%d,%d,%d dbname=x user=x", port, port, port);
	struct jk_db *db = open_db(text);
	int64_t until_ms = jk_time_mono_ms() + 1000;
	while (jk_time_mono_ms() < until_ms) {
		struct pollfd item = {.fd = rude, .events = POLLIN};
		if (poll(&item, 1, 0) > 0) {
			close(accept(rude, NULL, NULL));
			attempts++;
		}
		drive(db, is_up, 5);
	}
	assert_in_range(attempts, 3, 30);
	jk_db_close(&db);
	close(rude);
}

static void test_a_refused_login(void **state)
{
	(void)state;
	char text[1024];
	assert_true(jk_text_format(text, sizeof text, "%s password=wrong passfile=/nowhere", conninfo));
	struct jk_db *db = open_db(text);
	drive(db, has_failed, 5000);
	expect_trouble(db, JK_DB_LOGIN_REFUSED,
		"DATABASE_LOGIN_REFUSED: the database does not let us in: ", "password authentication failed");
	char words[JK_DB_TROUBLE_BYTES];
	(void)jk_db_trouble(db, words);
	assert_null(strstr(words, "28P01")); /* it was there, and is not for people */
	assert_null(strstr(words, "LOCATION"));
	jk_db_close(&db);
}

static void test_a_read_only_server_is_no_connection(void **state)
{
	(void)state;
	static const struct jk_db_statement set = {"set_ro", "ALTER SYSTEM SET default_transaction_read_only = on", 0};
	static const struct jk_db_statement reset = {"reset_ro", "ALTER SYSTEM RESET default_transaction_read_only", 0};
	static const struct jk_db_statement reload = {"reload", "SELECT pg_reload_conf()::int", 0};
	static const struct jk_db_statement write = {"write_ro", "CREATE TABLE public.never (a int)", 0};
	char text[1024];
	assert_true(jk_text_format(text, sizeof text, "%s target_session_attrs=any", conninfo));
	struct jk_db *boss = open_db(text), *db = open_db(conninfo);
	drive(db, is_up, 5000);
	assert_true(jk_db_is_up(db));
	assert_int_equal(run(boss, &set), JK_OK);
	assert_int_equal(run(boss, &reload), JK_OK);
	int64_t until_ms = jk_time_mono_ms() + 5000;
	static const struct jk_db_statement drop = {"drop_ro", "DROP TABLE IF EXISTS public.never", 0};
	while (run(db, &write) == JK_OK && jk_time_mono_ms() < until_ms) /* until the setting has arrived */
		(void)!run(db, &drop);
	expect_trouble(db, JK_DB_READ_ONLY, "DATABASE_READ_ONLY: the database is read-only (a standby?): ", "read-only");
	jk_db_close(&db);
	db = open_db(conninfo);
	drive(db, has_failed, 5000);
	assert_false(jk_db_is_up(db));
	expect_trouble(db, JK_DB_READ_ONLY, "DATABASE_READ_ONLY: the database is read-only (a standby?): ", "read-only");
	static const struct jk_db_statement writable = {"writable", "SET default_transaction_read_only = off", 0};
	assert_int_equal(run(boss, &writable), JK_OK);
	assert_int_equal(run(boss, &reset), JK_OK);
	assert_int_equal(run(boss, &reload), JK_OK);
	drive(db, is_up, 5000); /* by itself */
	assert_true(jk_db_is_up(db));
	assert_true(is_fine(db));
	assert_true(run(boss, &drop) == JK_OK);
	jk_db_close(&db);
	jk_db_close(&boss);
}

static void test_a_trouble_lasts_until_the_statement_works(void **state)
{
	(void)state;
	static const struct jk_db_statement make = {"make_full", "CREATE SEQUENCE public.full_test", 0};
	static const struct jk_db_statement drop = {"drop_full", "DROP SEQUENCE public.full_test", 0};
	/* nextval is not undone by the error: the first call fails, the second does not. */
	static const struct jk_db_statement fill = {"fill",
		"DO $$ BEGIN IF nextval('public.full_test') = 1 THEN"
		" RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END IF; END $$",
		0};
	static const struct jk_db_statement read = {"read_on", "SELECT 1", 0};
	struct jk_db *db = open_db(conninfo);
	assert_int_equal(run(db, &make), JK_OK);
	assert_int_equal(run(db, &fill), JK_RETRY);
	expect_trouble(db, JK_DB_DISK_FULL, "DATABASE_DISK_FULL: the database's disk is full: ", "No space left on device");
	assert_int_equal(run(db, &read), JK_OK); /* reading shows nothing about the disk */
	assert_false(is_fine(db));
	assert_int_equal(run(db, &fill), JK_OK);
	assert_true(is_fine(db));
	assert_int_equal(run(db, &drop), JK_OK);
	jk_db_close(&db);
}

static void test_what_is_no_trouble_of_the_database(void **state)
{
	(void)state;
	static const struct jk_db_statement statements[] = {
		{"rival", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$", 0},
		{"poison", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '22021'; END $$", 0},
		{"double", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '23505'; END $$", 0},
		{"cancelled", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '57014'; END $$", 0},
	};
	struct jk_db *db = open_db(conninfo);
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
		assert_int_not_equal(run(db, &statements[i]), JK_OK);
		assert_true(is_fine(db));
	}
	jk_db_close(&db);
}

static void test_no_answer(void **state)
{
	(void)state;
	static const struct jk_db_statement sleep_long = {"sleep_long", "SELECT 1 FROM pg_sleep(30)", 0};
	const struct jk_db_step step = {.statement = &sleep_long};
	struct jk_db *db = open_db(conninfo);
	drive(db, is_up, 5000);
	assert_int_equal(jk_db_start(db, &step, 1, NULL, NULL), JK_OK);
	assert_false(jk_db_is_stuck(db));
	assert_true(is_fine(db));
	drive(db, is_stuck, 5000);
	assert_true(jk_db_is_stuck(db));
	expect_trouble(db, JK_DB_NO_ANSWER, "DATABASE_NO_ANSWER: ", "does not answer");
	jk_db_close(&db);
}

static void test_libpq_words(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum jk_db_trouble trouble;
	} cases[] = {
		{"connection to server on socket \"/x/.s.PGSQL.5432\" failed: No such file or directory\n\tIs the…",
			JK_DB_UNREACHABLE},
		{"… failed: FATAL:  57P03: the database system is starting up\nLOCATION:  x, y.c:1\n", JK_DB_STARTING},
		{"… failed: FATAL:  53300: sorry, too many clients already\n", JK_DB_CROWDED},
		{"… failed: FATAL:  password authentication failed for user \"x\"\n", JK_DB_LOGIN_REFUSED},
		{"… failed: FATAL:  28000: Rolle »x« existiert nicht\n", JK_DB_LOGIN_REFUSED},
		{"… failed: fe_sendauth: no password supplied\n", JK_DB_LOGIN_REFUSED},
		{"… failed: FATAL:  database \"x\" does not exist\n", JK_DB_LOGIN_REFUSED},
		{"… failed: session is read-only\n", JK_DB_READ_ONLY},
		{"… failed: server is in hot standby mode\n", JK_DB_READ_ONLY},
		{"server closed the connection unexpectedly\n", JK_DB_UNREACHABLE},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(jk_db_judge(cases[i].text), cases[i].trouble);
	assert_string_equal(jk_db_trouble_code(JK_DB_CROWDED), "DATABASE_CROWDED");
}

int main(void)
{
	conninfo = getenv("JUKWAA_TEST_PG");
	if (!conninfo) {
		puts("skipped: needs a PostgreSQL database named by JUKWAA_TEST_PG");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_silent_host_is_passed_over),
		cmocka_unit_test(test_hosts_that_hang_up_are_passed_over),
		cmocka_unit_test(test_hosts_that_all_fail_are_tried_with_pauses),
		cmocka_unit_test(test_a_refused_login),
		cmocka_unit_test(test_a_read_only_server_is_no_connection),
		cmocka_unit_test(test_a_trouble_lasts_until_the_statement_works),
		cmocka_unit_test(test_what_is_no_trouble_of_the_database),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_libpq_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
