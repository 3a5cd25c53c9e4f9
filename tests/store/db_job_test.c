/* The database part against a real PostgreSQL (JUKWAA_TEST_PG, a superuser's connection string; skipped without). */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/jk_time.h"
#include "db/db.h"

static const char *conninfo;

/* What a job left behind. */
struct result {
	int calls;
	enum jk_status status;
	char sqlstate[6];
	char message[256];
	int64_t numbers[16]; /* row 0, column 0 of each step; -1 where there is no result */
	size_t count;
};

static void on_done(void *arg, const struct jk_db_outcome *outcome)
{
	struct result *result = arg;
	result->calls++;
	result->status = outcome->status;
	result->count = outcome->count;
	jk_text_copy(result->sqlstate, sizeof result->sqlstate, outcome->sqlstate);
	jk_text_copy(result->message, sizeof result->message, outcome->message);
	for (size_t i = 0; i < outcome->count; i++) {
		const PGresult *rows = outcome->results[i];
		result->numbers[i] = rows && PQntuples(rows) > 0 ? jk_db_get_int(rows, 0, 0) : -1;
	}
}

static enum jk_status run(struct jk_db *db, const struct jk_db_step *steps, size_t count, struct result *ret)
{
	*ret = (struct result){0};
	return jk_db_run(db, steps, count, 5000, on_done, ret);
}

/* A statement without parameters. */
static struct result run_sql(struct jk_db *db, const struct jk_db_statement *statement)
{
	struct jk_db_step step = {.statement = statement};
	struct result result;
	enum jk_status status = run(db, &step, 1, &result);
	assert_int_equal(status, result.status);
	return result;
}

/* Drives the connection for at most limit_ms, until the job is done (or, without one, the connection is up). */
static void drive(struct jk_db *db, const struct result *result, int limit_ms)
{
	int64_t until_ms = jk_time_mono_ms() + limit_ms;
	while (jk_time_mono_ms() < until_ms && !(result ? result->calls > 0 : jk_db_is_up(db))) {
		short wanted = jk_db_events(db);
		struct pollfd item = {.fd = jk_db_fd(db)};
		item.events = (short)((wanted & JK_DB_EVENT_IN ? POLLIN : 0) | (wanted & JK_DB_EVENT_OUT ? POLLOUT : 0));
		if (poll(&item, 1, 20) > 0)
			jk_db_on_ready(db);
		jk_db_on_timer(db);
	}
}

static struct jk_db *open_db(void)
{
	struct jk_db *db;
	assert_int_equal(jk_db_open(conninfo, "db_job_test", &db), JK_OK);
	return db;
}

static const struct jk_db_statement drop_table = {"drop_table", "DROP TABLE IF EXISTS public.job_test", 0};
static const struct jk_db_statement make_table = {
	"make_table", "CREATE TABLE public.job_test (id int8 PRIMARY KEY, name text NOT NULL CHECK (name <> 'poison'))", 0};
static const struct jk_db_statement insert_rows = {"insert_rows",
	"INSERT INTO public.job_test (id, name) SELECT * FROM unnest($1::int8[], $2::text[]) ON CONFLICT (id) DO NOTHING "
	"RETURNING id",
	2};
static const struct jk_db_statement count_rows = {"count_rows", "SELECT count(*) FROM public.job_test", 0};
static const struct jk_db_statement clear_rows = {"clear_rows", "DELETE FROM public.job_test", 0};

static int set_up(void **state)
{
	struct jk_db *db = open_db();
	bool good = run_sql(db, &drop_table).status == JK_OK && run_sql(db, &make_table).status == JK_OK;
	*state = db;
	return good ? 0 : -1;
}

static int tear_down(void **state)
{
	struct jk_db *db = *state;
	run_sql(db, &drop_table);
	jk_db_close(&db);
	return 0;
}

static int empty_table(void **state)
{
	return run_sql(*state, &clear_rows).status == JK_OK ? 0 : -1;
}

/* Rows first..first+count-1, the one at `poison` (-1: none) with a name that the table refuses. */
static struct result insert(struct jk_db *db, int64_t first, int count, int poison)
{
	struct jk_db_array ids = {0}, names = {0};
	struct jk_db_step steps[2] = {{.statement = &insert_rows}, {.statement = &count_rows}};
	struct result result;
	jk_db_array_reset(&ids, JK_OID_INT8);
	jk_db_array_reset(&names, JK_OID_TEXT);
	for (int i = 0; i < count; i++) {
		jk_db_array_add_int(&ids, first + i);
		jk_db_array_add_text(&names, i == poison ? "poison" : "Elgeyo/Marakwet");
	}
	jk_db_bind_array(&steps[0], 0, &ids);
	jk_db_bind_array(&steps[0], 1, &names);
	(void)run(db, steps, 2, &result);
	jk_db_array_done(&ids);
	jk_db_array_done(&names);
	return result;
}

static void test_a_clean_job_is_committed(void **state)
{
	struct result result = insert(*state, 1, 512, -1);
	assert_int_equal(result.status, JK_OK);
	assert_int_equal(result.numbers[0], 1);
	assert_int_equal(result.numbers[1], 512);
	struct jk_db *other = open_db();
	assert_int_equal(run_sql(other, &count_rows).numbers[0], 512);
	jk_db_close(&other);
}

static void test_empty_arrays_are_arrays(void **state)
{
	struct result result = insert(*state, 1, 0, -1);
	assert_int_equal(result.status, JK_OK);
	assert_int_equal(result.numbers[1], 0);
}

static void test_poison_is_refused_with_its_state_and_nothing_is_stored(void **state)
{
	struct result result = insert(*state, 1, 100, 57);
	assert_int_equal(result.status, JK_BROKEN);
	assert_string_equal(result.sqlstate, "23514");
	assert_non_null(strstr(result.message, "job_test"));
	assert_int_equal(result.numbers[0], -1);
	assert_int_equal(result.numbers[1], -1); /* after the failing step */
	assert_int_equal(run_sql(*state, &count_rows).numbers[0], 0);
	assert_true(jk_db_is_idle(*state));
}

static void test_an_error_in_a_later_step_undoes_the_earlier_ones(void **state)
{
	static const struct jk_db_statement divide = {"divide", "SELECT 1 / (SELECT count(*) - 1 FROM public.job_test)", 0};
	static const struct jk_db_statement one = {"one", "INSERT INTO public.job_test VALUES (1, 'x') RETURNING id", 0};
	const struct jk_db_step steps[] = {{.statement = &one}, {.statement = &divide}};
	struct result result;
	assert_int_equal(run(*state, steps, 2, &result), JK_BROKEN);
	assert_string_equal(result.sqlstate, "22012");
	assert_int_equal(result.numbers[0], 1); /* it said OK, and is gone nevertheless */
	assert_int_equal(run_sql(*state, &count_rows).numbers[0], 0);
}

static void test_an_error_of_the_commit_itself_counts(void **state)
{
	static const struct jk_db_statement make = {"make_deferred",
		"CREATE TABLE public.deferred_test (id int8 PRIMARY KEY, parent int8 REFERENCES public.deferred_test DEFERRABLE "
		"INITIALLY DEFERRED)",
		0};
	static const struct jk_db_statement add = {
		"add_deferred", "INSERT INTO public.deferred_test VALUES (1, 2) RETURNING id", 0};
	static const struct jk_db_statement drop = {"drop_deferred", "DROP TABLE public.deferred_test", 0};
	assert_int_equal(run_sql(*state, &make).status, JK_OK);
	struct result result = run_sql(*state, &add);
	assert_int_equal(result.numbers[0], 1);
	assert_int_equal(result.status, JK_BROKEN);
	assert_string_equal(result.sqlstate, "23503");
	assert_int_equal(run_sql(*state, &drop).status, JK_OK);
}

static void test_states_are_sorted_into_retry_and_broken(void **state)
{
	static const struct {
		struct jk_db_statement statement;
		enum jk_status expected;
	} cases[] = {
		{{"raise0", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$", 0}, JK_RETRY},
		{{"raise1", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$", 0}, JK_RETRY},
		{{"raise2", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '55P03'; END $$", 0}, JK_RETRY},
		{{"raise3", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '53100'; END $$", 0}, JK_RETRY},
		{{"raise4", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '57014'; END $$", 0}, JK_RETRY},
		{{"raise5", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '22021'; END $$", 0}, JK_BROKEN},
		{{"raise6", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '23505'; END $$", 0}, JK_BROKEN},
		{{"raise7", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'JK001'; END $$", 0}, JK_BROKEN},
		{{"raise8", "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = 'XX000'; END $$", 0}, JK_BROKEN},
		{{"raise9", "SELECT nothing FROM nowhere", 0}, JK_BROKEN},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct result result = run_sql(*state, &cases[i].statement);
		assert_int_equal(result.calls, 1);
		assert_int_equal(result.status, cases[i].expected);
		assert_true(jk_db_is_idle(*state));
	}
}

static void test_a_warning_about_the_standby_is_no_commit(void **state)
{
	static const struct jk_db_statement warn = {"warn",
		"DO $$ BEGIN INSERT INTO public.job_test VALUES (1, 'x');"
		" RAISE WARNING 'canceling wait for synchronous replication due to user request'; END $$",
		0};
	static const struct jk_db_statement other = {"other_warning", "DO $$ BEGIN RAISE WARNING 'disk is warm'; END $$", 0};
	assert_int_equal(run_sql(*state, &warn).status, JK_RETRY);
	assert_int_equal(run_sql(*state, &other).status, JK_OK);
}

static void test_a_waiting_commit_that_is_cancelled_is_no_commit(void **state)
{
	static const struct jk_db_statement demand = {"demand", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", 0};
	static const struct jk_db_statement reset = {"no_demand", "ALTER SYSTEM RESET synchronous_standby_names", 0};
	static const struct jk_db_statement reload = {"reload", "SELECT pg_reload_conf()::int", 0};
	static const struct jk_db_statement next = {"next_row",
		"INSERT INTO public.job_test SELECT coalesce(max(id), 0) + 1, 'x' FROM public.job_test RETURNING 1", 0};
	static const struct jk_db_statement cancel = {
		"cancel", "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", 0};
	struct jk_db *boss = open_db();
	assert_int_equal(run_sql(boss, &demand).status, JK_OK);
	assert_int_equal(run_sql(boss, &reload).status, JK_OK);
	struct jk_db_step step = {.statement = &next};
	struct result result = {0};
	int64_t until_ms = jk_time_mono_ms() + 5000;
	/* The new setting takes a moment to arrive; before that the row is simply stored. */
	while (result.status != JK_RETRY && jk_time_mono_ms() < until_ms) {
		result = (struct result){0};
		assert_int_equal(jk_db_start(*state, &step, 1, on_done, &result), JK_OK);
		while (result.calls == 0 && jk_time_mono_ms() < until_ms) {
			drive(*state, &result, 50);
			run_sql(boss, &cancel);
		}
	}
	assert_int_equal(run_sql(boss, &reset).status, JK_OK);
	assert_int_equal(run_sql(boss, &reload).status, JK_OK);
	jk_db_close(&boss);
	assert_int_equal(result.status, JK_RETRY);
	assert_int_equal(result.numbers[0], 1); /* the server said "INSERT 0 1" */
}

static void test_a_terminated_backend_means_retry_and_a_new_connection(void **state)
{
	static const struct jk_db_statement sleep_long = {"sleep_long", "SELECT 1 FROM pg_sleep(30)", 0};
	static const struct jk_db_statement kill_sleeper = {
		"kill_sleeper", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep'", 0};
	struct jk_db *boss = open_db();
	struct jk_db_step step = {.statement = &sleep_long};
	struct result result = {0};
	assert_int_equal(jk_db_start(*state, &step, 1, on_done, &result), JK_OK);
	assert_int_equal(jk_db_start(*state, &step, 1, on_done, &result), JK_RETRY); /* one at a time */
	int64_t until_ms = jk_time_mono_ms() + 5000;
	while (result.calls == 0 && jk_time_mono_ms() < until_ms) {
		run_sql(boss, &kill_sleeper);
		drive(*state, &result, 50);
	}
	jk_db_close(&boss);
	assert_int_equal(result.calls, 1);
	assert_int_equal(result.status, JK_RETRY);
	assert_string_equal(result.sqlstate, "57P01");
	drive(*state, NULL, 3000);
	assert_true(jk_db_is_idle(*state));
	assert_int_equal(insert(*state, 1, 3, -1).numbers[1], 3); /* statements are prepared again */
}

static void test_an_idle_connection_that_is_terminated_comes_back(void **state)
{
	static const struct jk_db_statement kill_others = {"kill_others",
		"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'db_job_test' AND pid <> "
		"pg_backend_pid()",
		0};
	struct jk_db *boss = open_db();
	assert_int_equal(run_sql(boss, &kill_others).numbers[0], 1);
	jk_db_close(&boss);
	int64_t until_ms = jk_time_mono_ms() + 3000;
	while (jk_db_is_up(*state) && jk_time_mono_ms() < until_ms)
		drive(*state, &(struct result){0}, 20);
	assert_false(jk_db_is_up(*state));
	assert_int_not_equal(jk_db_last_error(*state)[0], '\0');
	assert_int_equal(insert(*state, 1, 3, -1).status, JK_OK);
}

static void test_a_job_that_takes_too_long_is_dropped(void **state)
{
	static const struct jk_db_statement sleep_long = {"sleep_too_long", "SELECT 1 FROM pg_sleep(30)", 0};
	struct jk_db_step step = {.statement = &sleep_long};
	struct result result = {0};
	int64_t start_ms = jk_time_mono_ms();
	assert_int_equal(jk_db_run(*state, &step, 1, 200, on_done, &result), JK_RETRY);
	assert_in_range(jk_time_mono_ms() - start_ms, 190, 1500);
	assert_int_equal(result.calls, 1);
	assert_int_equal(run_sql(*state, &count_rows).numbers[0], 0);
}

static void test_a_server_that_was_never_there(void **state)
{
	(void)state;
	struct jk_db *db;
	struct jk_db_step step = {.statement = &count_rows};
	struct result result = {0};
	assert_int_equal(jk_db_open("host=/nowhere dbname=x", "db_job_test", &db), JK_OK);
	assert_false(jk_db_is_up(db));
	assert_int_equal(jk_db_fd(db), -1);
	assert_int_equal(jk_db_run(db, &step, 1, 300, on_done, &result), JK_RETRY);
	assert_int_equal(result.calls, 0);
	assert_non_null(strstr(jk_db_last_error(db), "/nowhere"));
	jk_db_close(&db);
	assert_int_equal(jk_db_open("host='", "db_job_test", &db), JK_BROKEN);
}

static void test_values_come_back_as_they_are(void **state)
{
	static const struct jk_db_statement times = {"times",
		"SELECT extract(epoch FROM t)::int8 FROM (VALUES (1, $1::timestamptz)) v(i, t) WHERE t = '2000-01-01T00:00:01Z'",
		1};
	static const struct jk_db_statement settings = {"settings",
		"SELECT count(*) FROM pg_settings WHERE (name, setting) IN (('lock_timeout', '2000'), "
		"('idle_in_transaction_session_timeout', '10000'), ('search_path', 'pg_catalog'), ('application_name', "
		"'db_job_test'), "
		"('client_encoding', 'UTF8'))",
		0};
	struct jk_db_int8 second;
	struct jk_db_step step = {.statement = &times};
	struct result result;
	jk_db_bind_int8(&step, 0, &second, 1000000); /* timestamptz in binary: microseconds since 2000 */
	assert_int_equal(run(*state, &step, 1, &result), JK_OK);
	assert_int_equal(result.numbers[0], 946684801);
	assert_int_equal(run_sql(*state, &settings).numbers[0], 5);
}

static void check_row(void *arg, const struct jk_db_outcome *outcome)
{
	const PGresult *row = outcome->results[0];
	size_t size;
	assert_int_equal(outcome->status, JK_OK);
	assert_int_equal(jk_db_get_int(row, 0, 0), -2);
	assert_int_equal(jk_db_get_int(row, 0, 1), -70000);
	assert_int_equal(jk_db_get_int(row, 0, 2), INT64_MIN);
	assert_int_equal(jk_db_get_int(row, 0, 3), 1);
	assert_int_equal(jk_db_get_int(row, 0, 4), 0); /* NULL */
	assert_int_equal(jk_db_get_time_us(row, 0, 5), INT64_C(951782400000001));
	assert_true(jk_db_get_time_us(row, 0, 6) == INT64_MIN);
	assert_true(jk_db_get_time_us(row, 0, 7) == INT64_MAX);
	struct jk_id id = jk_db_get_id(row, 0, 8);
	assert_int_equal(id.bytes[15], 0x0f);
	assert_memory_equal(jk_db_get_bytes(row, 0, 9, &size), "\x00\xff", 2);
	assert_int_equal(size, 2);
	assert_string_equal(jk_db_get_bytes(row, 0, 10, &size), "Tharaka-Nithi");
	assert_null(jk_db_get_bytes(row, 0, 4, &size));
	*(int *)arg += 1;
}

static void test_reading_every_type(void **state)
{
	static const struct jk_db_statement row = {"row",
		"SELECT -2::int2, -70000::int4, (-9223372036854775808)::int8, true, NULL::int8, "
		"'2000-02-29T00:00:00.000001Z'::timestamptz, "
		"'-infinity'::timestamptz, 'infinity'::timestamptz, '00000000-0000-0000-0000-00000000000f'::uuid, "
		"'\\x00ff'::bytea, "
		"'Tharaka-Nithi'::text",
		0};
	struct jk_db_step step = {.statement = &row};
	int called = 0;
	assert_int_equal(jk_db_run(*state, &step, 1, 5000, check_row, &called), JK_OK);
	assert_int_equal(called, 1);
}

static void test_a_changed_result_type_mends_itself(void **state)
{
	static const struct jk_db_statement star = {"star", "SELECT * FROM public.job_test", 0};
	static const struct jk_db_statement alter = {"alter", "ALTER TABLE public.job_test ADD COLUMN extra int8", 0};
	assert_int_equal(run_sql(*state, &star).status, JK_OK);
	assert_int_equal(run_sql(*state, &alter).status, JK_OK);
	assert_int_equal(run_sql(*state, &star).status, JK_RETRY);
	assert_int_equal(run_sql(*state, &star).status, JK_OK);
}

int main(void)
{
	conninfo = getenv("JUKWAA_TEST_PG");
	if (!conninfo) {
		puts("skipped: needs a PostgreSQL database named by JUKWAA_TEST_PG");
		return 77;
	}
#define WITH_EMPTY_TABLE(test) cmocka_unit_test_setup(test, empty_table)
	const struct CMUnitTest tests[] = {
		WITH_EMPTY_TABLE(test_a_clean_job_is_committed),
		WITH_EMPTY_TABLE(test_empty_arrays_are_arrays),
		WITH_EMPTY_TABLE(test_poison_is_refused_with_its_state_and_nothing_is_stored),
		WITH_EMPTY_TABLE(test_an_error_in_a_later_step_undoes_the_earlier_ones),
		WITH_EMPTY_TABLE(test_an_error_of_the_commit_itself_counts),
		WITH_EMPTY_TABLE(test_states_are_sorted_into_retry_and_broken),
		WITH_EMPTY_TABLE(test_a_warning_about_the_standby_is_no_commit),
		WITH_EMPTY_TABLE(test_a_waiting_commit_that_is_cancelled_is_no_commit),
		WITH_EMPTY_TABLE(test_a_terminated_backend_means_retry_and_a_new_connection),
		WITH_EMPTY_TABLE(test_an_idle_connection_that_is_terminated_comes_back),
		WITH_EMPTY_TABLE(test_a_job_that_takes_too_long_is_dropped),
		WITH_EMPTY_TABLE(test_a_server_that_was_never_there),
		WITH_EMPTY_TABLE(test_values_come_back_as_they_are),
		WITH_EMPTY_TABLE(test_reading_every_type),
		WITH_EMPTY_TABLE(test_a_changed_result_type_mends_itself),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
