/* Identifiers: text refused and taken, order within a process and over threads, a fork's own randomness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/jk_id.h"
#include "base/jk_time.h"

enum { THREADS = 4, IDS = 20000 };

static void text_refuses(void **state)
{
	static const char *const bad[] = {"", "0190d5d8-1a2b-7c3d-8e4f-00112233445", "0190d5d8-1a2b-7c3d-8e4f-0011223344556",
		"0190d5d81a2b7c3d8e4f001122334455", "0190d5d8-1a2b-7c3d-8e4f_001122334455",
		"0190d5d8-1a2b-7c3d-8e4f-00112233445g", "{190d5d8-1a2b-7c3d-8e4f-001122334455}",
		"0190d5d8-1a2b-7c3d-8e4f-001122334455 "};
	struct jk_id id;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(jk_id_parse(bad[i], &id));
}

static void text_round_trips(void **state)
{
	struct jk_id id, again, zero = {{0}};
	char text[JK_ID_TEXT_BYTES];
	(void)state;
	assert_true(jk_id_parse("0190D5D8-1a2b-7C3d-8e4f-001122334455", &id));
	jk_id_format(text, &id);
	assert_string_equal(text, "0190d5d8-1a2b-7c3d-8e4f-001122334455");
	assert_true(jk_id_parse(text, &again) && jk_id_equal(&id, &again));
	assert_true(jk_id_is_zero(&zero) && !jk_id_is_zero(&id) && !jk_id_equal(&id, &zero));
}

static void new_ids_are_version_7_and_rise(void **state)
{
	struct jk_id last = {{0}};
	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct jk_id id = jk_id_new();
		assert_true(memcmp(&last, &id, sizeof id) < 0);
		assert_int_equal(id.bytes[6] >> 4, 7);
		assert_int_equal(id.bytes[8] >> 6, 2);
		last = id;
	}
	int64_t ms = 0;
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | last.bytes[i];
	assert_true(ms >= jk_time_now_us() / 1000 - 2000 && ms <= jk_time_now_us() / 1000 + 2000);
}

static void *make_ids(void *ids)
{
	for (int i = 0; i < IDS; i++)
		((struct jk_id *)ids)[i] = jk_id_new();
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct jk_id));
}

static void threads_never_share_one(void **state)
{
	struct jk_id *ids = calloc(THREADS * IDS, sizeof *ids);
	pthread_t threads[THREADS];
	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_ids, ids + i * IDS), 0);
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	qsort(ids, THREADS * IDS, sizeof *ids, compare);
	for (int i = 1; i < THREADS * IDS; i++)
		assert_false(jk_id_equal(&ids[i - 1], &ids[i]));
	free(ids);
}

static void a_fork_draws_its_own(void **state)
{
	int ends[2];
	struct jk_id child, parent;
	(void)state;
	(void)jk_id_new();
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct jk_id id = jk_id_new();
		_exit(write(ends[1], &id, sizeof id) == sizeof id ? 0 : 1);
	}
	parent = jk_id_new();
	assert_int_equal(read(ends[0], &child, sizeof child), sizeof child);
	(void)waitpid(pid, NULL, 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
	/* The last six bytes come from the pool. */
	assert_memory_not_equal(child.bytes + 10, parent.bytes + 10, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_refuses),
		cmocka_unit_test(text_round_trips),
		cmocka_unit_test(new_ids_are_version_7_and_rise),
		cmocka_unit_test(threads_never_share_one),
		cmocka_unit_test(a_fork_draws_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
