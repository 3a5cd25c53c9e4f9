/* The session table and the token bucket, without sockets or clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "session/session_table.h"

static struct jk_session session_of(uint64_t number, uint8_t route, uint8_t key)
{
	return (struct jk_session){.number = number, .route = {.size = 5, .bytes = {0, 1, 2, 3, route}}, .curve_key = {key}};
}

static struct session_entry *add(struct session_table *table, uint64_t number, uint8_t route, uint8_t key)
{
	const struct jk_session session = session_of(number, route, key);
	struct session_entry *entry = session_table_add(table, &session, 0);

	assert_non_null(entry);
	return entry;
}

static void remove_ended(struct session_table *table)
{
	for (size_t i = 0; i < table->count;) {
		if (table->entries[i]->session.ended)
			session_table_remove(table, i);
		else
			i++;
	}
}

static void an_ended_session_is_found_no_more(void **state)
{
	(void)state;
	struct session_table table;
	const struct jk_session wanted = session_of(7, 1, 1);

	assert_int_equal(session_table_init(&table, 4), JK_OK);
	struct session_entry *first = add(&table, 7, 1, 1);
	assert_ptr_equal(session_table_find(&table, 7), first);
	session_table_end(&table, first);
	session_table_end(&table, first);
	assert_null(session_table_find(&table, 7));
	assert_null(session_table_find_route(&table, &wanted.route));
	assert_int_equal(session_table_open_count(&table), 0);
	assert_int_equal(session_table_open_of_key(&table, wanted.curve_key), 0);
	/* The same route may be taken again before the ended one is removed. */
	struct session_entry *second = add(&table, 8, 1, 1);
	assert_ptr_equal(session_table_find_route(&table, &wanted.route), second);
	remove_ended(&table);
	assert_ptr_equal(session_table_find_route(&table, &wanted.route), second);
	assert_int_equal(table.count, 1);
	session_table_end(&table, second);
	remove_ended(&table);
	session_table_done(&table);
}

/* Far more sessions than buckets, opened and ended in a fixed disorder. */
static void chains_survive_any_order_of_ends(void **state)
{
	(void)state;
	enum { MANY = 500 };
	struct session_table table;
	struct session_entry *entries[MANY];

	assert_int_equal(session_table_init(&table, 1), JK_OK);
	for (int i = 0; i < MANY; i++)
		entries[i] = add(&table, (uint64_t)i + 1, (uint8_t)(i % 251), (uint8_t)(i % 7));
	for (int i = 0; i < MANY; i++) {
		int victim = i * 211 % MANY;
		assert_ptr_equal(session_table_find(&table, (uint64_t)victim + 1), entries[victim]);
		session_table_end(&table, entries[victim]);
		if (i % 3 == 0)
			remove_ended(&table);
		assert_null(session_table_find(&table, (uint64_t)victim + 1));
		assert_int_equal(session_table_open_count(&table), MANY - 1 - i);
	}
	remove_ended(&table);
	assert_int_equal(table.count, 0);
	session_table_forget_keys(&table, 1000000);
	session_table_done(&table);
}

static int take_all(struct session_key *key, int32_t rate_limit, int64_t now_ms)
{
	int taken = 0;

	while (taken < 100000 && session_key_take(key, rate_limit, now_ms))
		taken++;
	return taken;
}

static void a_bucket_holds_ten_seconds_and_refills_evenly(void **state)
{
	(void)state;
	struct session_key key = {.filled_at_ms = 500};

	assert_int_equal(take_all(&key, 5, 1000), 50);
	assert_int_equal(take_all(&key, 5, 1199), 0);
	assert_int_equal(take_all(&key, 5, 1200), 1);
	assert_int_equal(take_all(&key, 5, 3200), 10);
	assert_int_equal(take_all(&key, 5, 1000000000), 50);
	/* A clock that stood still gives nothing. */
	assert_int_equal(take_all(&key, 5, 1000000000), 0);
	assert_int_equal(take_all(&key, 2000000000, 1000000001), 100000);
	/* No limit. */
	assert_int_equal(take_all(&key, 0, 0), 100000);
}

/* Ending the session and opening another must not refill the bucket. */
static void a_bucket_outlives_the_session(void **state)
{
	(void)state;
	struct session_table table;

	assert_int_equal(session_table_init(&table, 4), JK_OK);
	struct session_entry *entry = add(&table, 1, 1, 9);
	assert_int_equal(take_all(entry->key, 1, 100), 10);
	session_table_end(&table, entry);
	remove_ended(&table);
	session_table_forget_keys(&table, 200);
	entry = add(&table, 2, 1, 9);
	assert_int_equal(take_all(entry->key, 1, 300), 0);
	session_table_end(&table, entry);
	remove_ended(&table);
	session_table_forget_keys(&table, 20000);
	entry = add(&table, 3, 1, 9);
	assert_int_equal(entry->key->tokens_milli, 0);
	assert_int_equal(take_all(entry->key, 1, 20000), 10);
	session_table_end(&table, entry);
	remove_ended(&table);
	session_table_done(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ended_session_is_found_no_more),
		cmocka_unit_test(chains_survive_any_order_of_ends),
		cmocka_unit_test(a_bucket_holds_ten_seconds_and_refills_evenly),
		cmocka_unit_test(a_bucket_outlives_the_session),
	};
	return cmocka_run_group_tests_name("session table", tests, NULL, NULL);
}
