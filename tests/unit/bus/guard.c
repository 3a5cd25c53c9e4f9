/* The guard over connections, on bare TCP: who brings much without an end is cut, nobody else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/bus_internal.h"

enum { MIB = 1024 * 1024, CHECKS = 4 };

struct pair {
	int listener, mine, theirs; /* mine: as the service has it */
	char endpoint[64];
};

static void join(struct pair *pair, int listener)
{
	struct sockaddr_in address;
	socklen_t size = sizeof address;

	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	pair->theirs = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(pair->theirs, (struct sockaddr *)&address, sizeof address), 0);
	pair->mine = accept(listener, NULL, NULL);
	assert_true(pair->mine >= 0);
}

/* At a port of its own. */
static void open_pair(struct pair *pair)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;

	pair->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(pair->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(pair->listener, 1), 0);
	assert_int_equal(getsockname(pair->listener, (struct sockaddr *)&address, &size), 0);
	(void)snprintf(pair->endpoint, sizeof pair->endpoint, "tcp://127.0.0.1:%d", ntohs(address.sin_port));
	join(pair, pair->listener);
}

/* At the port of another. */
static void open_beside(struct pair *pair, const struct pair *other)
{
	pair->listener = -1;
	join(pair, other->listener);
}

static void close_pair(struct pair *pair)
{
	if (pair->listener >= 0)
		close(pair->listener);
	close(pair->mine);
	close(pair->theirs);
}

/* They send, and the service's side takes it in; a multiple of 64 KiB. */
static void bring_kib(const struct pair *pair, int kib)
{
	static char bytes[64 * 1024];

	for (int i = 0; i < kib * 1024 / (int)sizeof bytes; i++) {
		assert_int_equal(send(pair->theirs, bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
		assert_int_equal(recv(pair->mine, bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
	}
}

static void bring(const struct pair *pair, int mib)
{
	bring_kib(pair, mib * 1024);
}

static unsigned check(struct bus_guard *guard, int times)
{
	unsigned cut = 0;

	for (int i = 0; i < times; i++)
		cut += jk_bus_guard_check(guard);
	return cut;
}

static bool is_open(const struct pair *pair)
{
	return send(pair->mine, "x", 1, MSG_NOSIGNAL) == 1;
}

static void test_a_message_without_end_is_cut(void **state)
{
	struct bus_guard *guard = jk_bus_guard_new();
	struct pair pair;

	(void)state;
	open_pair(&pair);
	jk_bus_guard_bound(guard, pair.endpoint);
	jk_bus_guard_accepted(guard, pair.mine);
	bring(&pair, 5);
	assert_int_equal(check(guard, CHECKS), 0);
	bring(&pair, 5);
	assert_int_equal(check(guard, CHECKS), 1); /* the five that came before the first check count too */
	assert_false(is_open(&pair));
	assert_int_equal(check(guard, CHECKS), 0);
	close_pair(&pair);
	jk_bus_guard_free(&guard);
}

static void test_whole_messages_are_no_matter(void **state)
{
	struct bus_guard *guard = jk_bus_guard_new();
	struct pair pair;

	(void)state;
	open_pair(&pair);
	jk_bus_guard_bound(guard, pair.endpoint);
	jk_bus_guard_accepted(guard, pair.mine);
	for (int i = 0; i < 20; i++) {
		bring(&pair, 4);
		jk_bus_guard_heard(guard, pair.mine, 4 * MIB);
		assert_int_equal(check(guard, CHECKS), 0);
	}
	/* A slow turn of the loop: much came, and was not read yet. */
	bring(&pair, 30);
	assert_int_equal(check(guard, 2), 0);
	jk_bus_guard_heard(guard, pair.mine, 30 * MIB);
	assert_int_equal(check(guard, CHECKS), 0);
	/* Slow turns: it is read one by one. */
	bring(&pair, 30);
	for (int i = 0; i < 30; i++) {
		jk_bus_guard_heard(guard, pair.mine, MIB);
		assert_int_equal(check(guard, 2), 0);
	}
	assert_int_equal(check(guard, CHECKS), 0);
	assert_true(is_open(&pair));
	close_pair(&pair);
	jk_bus_guard_free(&guard);
}

/* Whole ones before it buy it nothing. */
static void test_a_message_without_end_behind_whole_ones_is_cut(void **state)
{
	struct bus_guard *guard = jk_bus_guard_new();
	struct pair pair;

	(void)state;
	open_pair(&pair);
	jk_bus_guard_bound(guard, pair.endpoint);
	jk_bus_guard_accepted(guard, pair.mine);
	for (int i = 0; i < 100; i++) {
		bring_kib(&pair, 64);
		jk_bus_guard_heard(guard, pair.mine, 64 * 1024);
		assert_int_equal(check(guard, 1), 0);
	}
	bring(&pair, 10);
	jk_bus_guard_heard(guard, pair.mine, MIB);
	assert_int_equal(check(guard, CHECKS), 1);
	assert_false(is_open(&pair));
	close_pair(&pair);
	jk_bus_guard_free(&guard);
}

static void test_all_together_have_a_bound(void **state)
{
	enum { PEERS = 22 };
	struct bus_guard *guard = jk_bus_guard_new();
	struct pair pairs[PEERS], small;

	(void)state;
	open_pair(&pairs[0]);
	for (int i = 1; i < PEERS; i++)
		open_beside(&pairs[i], &pairs[0]);
	open_beside(&small, &pairs[0]);
	for (int i = 0; i < PEERS; i++)
		jk_bus_guard_accepted(guard, pairs[i].mine);
	jk_bus_guard_accepted(guard, small.mine);
	jk_bus_guard_bound(guard, pairs[0].endpoint);
	assert_int_equal(check(guard, 1), 0);
	for (int i = 0; i < PEERS; i++)
		bring(&pairs[i], 7);
	bring(&small, 1);
	assert_int_equal(check(guard, CHECKS), 4); /* of 155 MiB 127 are left */
	int open = 0;
	for (int i = 0; i < PEERS; i++)
		open += is_open(&pairs[i]);
	assert_int_equal(open, PEERS - 4);
	assert_true(is_open(&small)); /* the largest go first */
	assert_int_equal(check(guard, CHECKS), 0);
	for (int i = 0; i < PEERS; i++)
		close_pair(&pairs[i]);
	close_pair(&small);
	jk_bus_guard_free(&guard);
}

/* Each far from what one may hold. */
static void test_many_small_ones_together_have_the_same_bound(void **state)
{
	enum { PEERS = 200, KIB = 896, LEFT = 128 * 1024 / KIB };
	struct bus_guard *guard = jk_bus_guard_new();
	struct pair pairs[PEERS], talker;
	unsigned cut = 0;
	int open = 0;

	(void)state;
	open_pair(&talker);
	jk_bus_guard_bound(guard, talker.endpoint);
	jk_bus_guard_accepted(guard, talker.mine);
	for (int i = 0; i < PEERS; i++) {
		open_beside(&pairs[i], &talker);
		jk_bus_guard_accepted(guard, pairs[i].mine);
		bring_kib(&pairs[i], KIB);
	}
	for (int i = 0; i < CHECKS; i++) { /* whoever is listened to is not meant, however much it brings */
		bring(&talker, 4);
		jk_bus_guard_heard(guard, talker.mine, 4 * MIB);
		cut += check(guard, 1);
	}
	assert_int_equal(cut, PEERS - LEFT);
	for (int i = 0; i < PEERS; i++)
		open += is_open(&pairs[i]);
	assert_int_equal(open, LEFT);
	assert_true(is_open(&talker));
	assert_int_equal(check(guard, CHECKS), 0);
	for (int i = 0; i < PEERS; i++)
		close_pair(&pairs[i]);
	close_pair(&talker);
	jk_bus_guard_free(&guard);
}

/* What was read of the connection that had it before is not to its credit. */
static void test_a_descriptor_that_is_used_again_starts_anew(void **state)
{
	struct bus_guard *guard = jk_bus_guard_new();
	struct pair first, second;

	(void)state;
	open_pair(&first);
	jk_bus_guard_bound(guard, first.endpoint);
	jk_bus_guard_accepted(guard, first.mine);
	bring(&first, 7);
	jk_bus_guard_heard(guard, first.mine, 7 * MIB);
	assert_int_equal(check(guard, CHECKS), 0);
	close(first.theirs);
	close(first.mine);
	jk_bus_guard_closed(guard, first.mine);
	open_beside(&second, &first);
	if (second.mine != first.mine) {
		assert_int_equal(dup2(second.mine, first.mine), first.mine);
		close(second.mine);
		second.mine = first.mine;
	}
	jk_bus_guard_accepted(guard, second.mine);
	bring(&second, 9);
	assert_int_equal(check(guard, CHECKS), 1);
	assert_false(is_open(&second));
	close(first.listener);
	close_pair(&second);
	jk_bus_guard_free(&guard);
}

/* A descriptor that is another connection's by now (the database's) is let be. */
static void test_what_is_not_ours_is_let_be(void **state)
{
	struct bus_guard *guard = jk_bus_guard_new();
	struct pair ours, other;

	(void)state;
	open_pair(&ours);
	open_pair(&other);
	jk_bus_guard_bound(guard, ours.endpoint);
	jk_bus_guard_accepted(guard, other.mine);
	assert_int_equal(check(guard, 1), 0);
	bring(&other, 20);
	assert_int_equal(check(guard, CHECKS), 0);
	assert_true(is_open(&other));
	close_pair(&ours);
	close_pair(&other);
	jk_bus_guard_free(&guard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_without_end_is_cut),
		cmocka_unit_test(test_whole_messages_are_no_matter),
		cmocka_unit_test(test_a_message_without_end_behind_whole_ones_is_cut),
		cmocka_unit_test(test_all_together_have_a_bound),
		cmocka_unit_test(test_many_small_ones_together_have_the_same_bound),
		cmocka_unit_test(test_a_descriptor_that_is_used_again_starts_anew),
		cmocka_unit_test(test_what_is_not_ours_is_let_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
