/* The wire's service side against real clients: who gets in, what is dropped, what arrives. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/jk_time.h"
#include "bus/bus_internal.h"

/* One service with one known key. */
struct fixture {
	struct jk_bus *bus;
	struct jk_router *router;
	struct jk_dealer *dealers[4]; /* closed at the end of the test, also after a failure */
	struct jk_key server, known;
	_Atomic int verdict; /* for the known key */
	_Atomic bool local;  /* the last handshake's address was 127.0.0.1 */
};

static enum jk_zap_verdict decide(void *arg, const uint8_t curve_public[32], const char *address)
{
	struct fixture *fixture = arg;
	fixture->local = strcmp(address, "127.0.0.1") == 0;
	if (memcmp(curve_public, fixture->known.curve_public, 32) != 0)
		return fixture->verdict == JK_ZAP_LATER ? JK_ZAP_LATER : JK_ZAP_REFUSE;
	return (enum jk_zap_verdict)fixture->verdict;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct jk_refusal refusal = {0};
	fixture = (struct fixture){.verdict = JK_ZAP_ALLOW};
	jk_key_new(&fixture.server);
	jk_key_new(&fixture.known);
	*state = &fixture;
	return jk_crypt_init() == JK_OK && jk_bus_open(1, decide, &fixture, &fixture.bus) == JK_OK &&
			       jk_router_open(fixture.bus, "tcp://127.0.0.1:*", &fixture.server, &fixture.router, &refusal) ==
				       JK_OK
		       ? 0
		       : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof fixture->dealers / sizeof *fixture->dealers; i++)
		jk_dealer_close(&fixture->dealers[i]);
	jk_router_close(&fixture->router);
	jk_bus_close(&fixture->bus);
	return 0;
}

static struct jk_dealer *keep(struct fixture *fixture, struct jk_dealer *dealer)
{
	size_t i = 0;
	while (fixture->dealers[i])
		i++;
	return fixture->dealers[i] = dealer;
}

static struct jk_dealer *open_dealer(struct fixture *fixture, const struct jk_key *key)
{
	struct jk_dealer *dealer;
	struct jk_refusal refusal = {0};
	assert_int_equal(jk_dealer_open(fixture->bus, jk_router_endpoint(fixture->router), fixture->server.curve_public, key,
				 &dealer, &refusal),
		JK_OK);
	return keep(fixture, dealer);
}

static void pause_ms(long ms)
{
	zmq_poll(NULL, 0, ms);
}

static enum jk_link wait_for(struct jk_dealer *dealer, enum jk_link wanted, int limit_ms)
{
	int64_t until_ms = jk_time_mono_ms() + limit_ms;
	while (jk_dealer_link(dealer) != wanted && jk_time_mono_ms() < until_ms)
		pause_ms(2);
	return jk_dealer_link(dealer);
}

static bool receive(struct fixture *fixture, struct jk_received *ret, int limit_ms)
{
	int64_t until_ms = jk_time_mono_ms() + limit_ms;
	do {
		if (jk_router_receive(fixture->router, ret))
			return true;
		zmq_pollitem_t item = {jk_router_socket(fixture->router), 0, ZMQ_POLLIN, 0};
		zmq_poll(&item, 1, 10);
	} while (jk_time_mono_ms() < until_ms);
	return false;
}

static struct jk_dealer *open_known(struct fixture *fixture)
{
	struct jk_dealer *dealer = open_dealer(fixture, &fixture->known);
	assert_int_equal(wait_for(dealer, JK_LINK_UP, 2000), JK_LINK_UP);
	return dealer;
}

static void test_a_message_goes_there_and_back(void **state)
{
	struct fixture *fixture = *state;
	struct jk_dealer *dealer = open_known(fixture);
	struct jk_received received;
	struct jk_dealer_message message;
	char body[300];
	memset(body, 'x', sizeof body);
	assert_int_equal(jk_dealer_send(dealer, 16, body, sizeof body), JK_OK);
	assert_true(receive(fixture, &received, 2000));
	assert_int_equal(received.kind, 16);
	assert_int_equal(received.body_size, sizeof body);
	assert_memory_equal(received.body, body, sizeof body);
	assert_memory_equal(received.curve_key, fixture->known.curve_public, 32);
	assert_false(received.other_version);
	assert_int_equal(jk_router_send(fixture->router, &received.route, 17, "", 0), JK_OK);
	jk_router_release(&received);
	assert_true(jk_dealer_receive(dealer, 2000, &message));
	assert_int_equal(message.kind, 17);
	assert_int_equal(message.body_size, 0);
	jk_dealer_release(&message);
	assert_false(jk_dealer_receive(dealer, 20, &message));
	assert_true(fixture->local);
	assert_int_equal(jk_bus_counts(fixture->bus).allowed, 1);
}

static void test_an_unknown_key_is_told_so(void **state)
{
	struct fixture *fixture = *state;
	struct jk_key stranger;
	jk_key_new(&stranger);
	struct jk_dealer *dealer = open_dealer(fixture, &stranger);
	assert_int_equal(wait_for(dealer, JK_LINK_REFUSED, 2000), JK_LINK_REFUSED);
	assert_int_equal(jk_dealer_send(dealer, 16, "x", 1), JK_RETRY);
	assert_int_equal(jk_bus_counts(fixture->bus).refused, 1);
	assert_int_equal(jk_bus_counts(fixture->bus).allowed, 0);
}

static void test_a_client_that_came_too_early_gets_in_later_by_itself(void **state)
{
	struct fixture *fixture = *state;
	fixture->verdict = JK_ZAP_LATER;
	struct jk_dealer *dealer = open_dealer(fixture, &fixture->known);
	assert_int_equal(wait_for(dealer, JK_LINK_LATER, 2000), JK_LINK_LATER);
	fixture->verdict = JK_ZAP_ALLOW;
	assert_int_equal(wait_for(dealer, JK_LINK_UP, 5000), JK_LINK_UP);
	assert_int_equal(jk_bus_counts(fixture->bus).later, 1);
}

static void test_a_wrong_server_key_is_seen_in_two_seconds(void **state)
{
	struct fixture *fixture = *state;
	struct jk_dealer *dealer;
	struct jk_refusal refusal = {0};
	assert_int_equal(jk_dealer_open(fixture->bus, jk_router_endpoint(fixture->router), fixture->known.curve_public,
				 &fixture->known, &dealer, &refusal),
		JK_OK);
	keep(fixture, dealer);
	assert_int_equal(wait_for(dealer, JK_LINK_WRONG_SERVER, 2000), JK_LINK_WRONG_SERVER);
	pause_ms(50);
	assert_true(jk_router_counts(fixture->router).handshake_failed >= 1);
}

static void test_a_client_without_encryption_is_not_let_in(void **state)
{
	struct fixture *fixture = *state;
	struct jk_dealer *dealer;
	struct jk_received received;
	struct jk_refusal refusal = {0};
	assert_int_equal(jk_dealer_open_plain(fixture->bus, jk_router_endpoint(fixture->router), &dealer, &refusal), JK_OK);
	keep(fixture, dealer);
	assert_int_equal(wait_for(dealer, JK_LINK_WRONG_SERVER, 2000), JK_LINK_WRONG_SERVER);
	(void)!jk_dealer_send(dealer, 16, "x", 1);
	assert_false(receive(fixture, &received, 100));
}

static void test_malformed_messages_are_dropped_and_counted(void **state)
{
	struct fixture *fixture = *state;
	struct jk_dealer *dealer = open_known(fixture);
	struct jk_received received;
	void *socket = jk_dealer_socket(dealer);
	static const uint8_t good[] = {'J', 'K', 1, 0, 0, 16, 0, 0}, bad[] = {'J', 'X', 1, 0, 0, 16, 0, 0};
	zmq_send(socket, good, sizeof good, 0); /* no body */
	zmq_send(socket, bad, sizeof bad, ZMQ_SNDMORE);
	zmq_send(socket, "", 0, 0);
	zmq_send(socket, good, sizeof good - 1, ZMQ_SNDMORE);
	zmq_send(socket, "", 0, 0);
	zmq_send(socket, good, sizeof good, ZMQ_SNDMORE); /* three frames */
	zmq_send(socket, "", 0, ZMQ_SNDMORE);
	zmq_send(socket, "", 0, 0);
	for (int i = 0; i < 10000; i++)
		zmq_send(socket, "more", 4, ZMQ_SNDMORE);
	zmq_send(socket, "", 0, 0);
	assert_int_equal(jk_dealer_send(dealer, 16, "good", 4), JK_OK);
	assert_true(receive(fixture, &received, 5000));
	assert_memory_equal(received.body, "good", 4);
	jk_router_release(&received);
	assert_int_equal(jk_router_counts(fixture->router).malformed, 5);
	assert_int_equal(jk_router_counts(fixture->router).received, 1);
}

static void test_another_protocol_version_is_told_apart(void **state)
{
	struct fixture *fixture = *state;
	struct jk_dealer *dealer = open_known(fixture);
	struct jk_received received;
	static const uint8_t header[] = {'J', 'K', 2, 0, 0, 16, 0, 0};
	zmq_send(jk_dealer_socket(dealer), header, sizeof header, ZMQ_SNDMORE);
	zmq_send(jk_dealer_socket(dealer), "body", 4, 0);
	assert_true(receive(fixture, &received, 2000));
	assert_true(received.other_version);
	assert_null(received.body);
	assert_memory_equal(received.curve_key, fixture->known.curve_public, 32);
	jk_router_release(&received);
}

/* A client of libzmq's own, as strangers write them. */
static void *open_raw(struct fixture *fixture, const char *routing_id)
{
	void *socket = zmq_socket(fixture->bus->context, ZMQ_DEALER);
	assert_true(jk_bus_set(socket, ZMQ_LINGER, 0));
	assert_int_equal(zmq_setsockopt(socket, ZMQ_ROUTING_ID, routing_id, strlen(routing_id)), 0);
	assert_int_equal(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, fixture->server.curve_public, 32), 0);
	assert_int_equal(zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, fixture->known.curve_public, 32), 0);
	assert_int_equal(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, fixture->known.curve_secret, 32), 0);
	assert_int_equal(zmq_connect(socket, jk_router_endpoint(fixture->router)), 0);
	return socket;
}

static void test_long_routing_ids_are_dropped(void **state)
{
	struct fixture *fixture = *state;
	struct jk_received received;
	void *socket = open_raw(fixture, "0123456789abcdef0123456789abcdef");
	assert_true(jk_bus_send_framed(socket, 16, "x", 1));
	assert_false(receive(fixture, &received, 300));
	assert_int_equal(jk_router_counts(fixture->router).malformed, 1);
	zmq_close(socket);
	socket = open_raw(fixture, "0123456789abcdef0123456789abcde");
	assert_true(jk_bus_send_framed(socket, 16, "x", 1));
	assert_true(receive(fixture, &received, 2000));
	assert_int_equal(received.route.size, 31);
	jk_router_release(&received);
	zmq_close(socket);
}

static void test_the_largest_body_passes_and_a_larger_one_does_not(void **state)
{
	struct fixture *fixture = *state;
	struct jk_dealer *dealer = open_known(fixture);
	struct jk_received received;
	static char body[BUS_FRAME_MAX_BYTES];
	assert_int_equal(jk_dealer_send(dealer, 16, body, JK_BODY_MAX_BYTES), JK_OK);
	assert_true(receive(fixture, &received, 5000));
	assert_int_equal(received.body_size, JK_BODY_MAX_BYTES);
	jk_router_release(&received);
	assert_int_equal(jk_dealer_send(dealer, 16, body, JK_BODY_MAX_BYTES + 1), JK_BROKEN);
	assert_true(jk_bus_send_framed(jk_dealer_socket(dealer), 16, body, JK_BODY_MAX_BYTES + 1));
	assert_false(receive(fixture, &received, 300));
	assert_int_equal(jk_router_counts(fixture->router).malformed, 1);
	assert_true(jk_bus_send_framed(jk_dealer_socket(dealer), 16, body, sizeof body)); /* libzmq cuts the connection */
	assert_false(receive(fixture, &received, 500));
	assert_int_equal(jk_router_counts(fixture->router).malformed, 1);
}

static void test_a_peer_that_went_is_told_apart_from_a_full_one(void **state)
{
	struct fixture *fixture = *state;
	struct jk_dealer *dealer = open_known(fixture);
	struct jk_received received;
	assert_int_equal(jk_dealer_send(dealer, 16, "x", 1), JK_OK);
	assert_true(receive(fixture, &received, 2000));
	struct jk_route route = received.route;
	jk_router_release(&received);
	enum jk_status status = JK_OK;
	for (int i = 0; i < 1000000 && status == JK_OK; i++) /* it reads nothing */
		status = jk_router_send(fixture->router, &route, 17, "0123456789", 10);
	assert_int_equal(status, JK_RETRY);
	assert_int_equal(jk_router_counts(fixture->router).full, 1);
	jk_dealer_close(&fixture->dealers[0]);
	int64_t until_ms = jk_time_mono_ms() + 5000;
	while (status == JK_RETRY && jk_time_mono_ms() < until_ms) {
		assert_false(receive(fixture, &received, 5)); /* libzmq takes note of the end only while receiving */
		status = jk_router_send(fixture->router, &route, 17, "x", 1);
	}
	assert_int_equal(status, JK_BROKEN);
	assert_int_equal(jk_router_counts(fixture->router).unreachable, 1);
}

static void test_little_waits_for_a_peer_that_reads_nothing(void **state)
{
	struct fixture *fixture = *state;
	int messages = 0;
	size_t size = sizeof messages;
	assert_int_equal(zmq_getsockopt(jk_router_socket(fixture->router), ZMQ_SNDHWM, &messages, &size), 0);
	assert_int_equal(messages, BUS_PEER_WAITING_MESSAGES);
	assert_true(messages >= 4 * 256); /* windows are 256 at most */
	assert_true(messages < 8192);
}

static void test_a_cut_connection_is_gone(void **state)
{
	struct fixture *fixture = *state;
	struct jk_dealer *dealer = open_known(fixture);
	struct jk_received received;
	assert_int_equal(jk_dealer_send(dealer, 16, "x", 1), JK_OK);
	assert_true(receive(fixture, &received, 2000));
	fixture->verdict = JK_ZAP_REFUSE; /* as when a key is revoked */
	jk_router_cut(fixture->router, &received);
	jk_router_release(&received);
	assert_int_equal(wait_for(dealer, JK_LINK_REFUSED, 3000), JK_LINK_REFUSED);
}

static void test_the_self_test_passes_at_a_shut_door(void **state)
{
	struct fixture *fixture = *state;
	struct jk_refusal refusal = {0};
	int64_t start_ms = jk_time_mono_ms();
	assert_int_equal(jk_router_self_test(fixture->bus, fixture->router, &refusal), JK_OK);
	assert_true(jk_time_mono_ms() - start_ms < 2000);
	fixture->verdict = JK_ZAP_LATER;
	assert_int_equal(jk_router_self_test(fixture->bus, fixture->router, &refusal), JK_OK);
	assert_int_equal(jk_bus_counts(fixture->bus).allowed, 0);
}

static enum jk_zap_verdict welcome_everybody(void *arg, const uint8_t curve_public[32], const char *address)
{
	(void)arg;
	(void)curve_public;
	(void)address;
	return JK_ZAP_ALLOW;
}

static void test_the_self_test_finds_an_open_door(void **state)
{
	struct fixture *fixture = *state;
	struct jk_bus *bus;
	struct jk_router *router;
	struct jk_refusal refusal = {0};
	assert_int_equal(jk_bus_open(1, welcome_everybody, NULL, &bus), JK_OK);
	assert_int_equal(jk_router_open(bus, "tcp://127.0.0.1:*", &fixture->server, &router, &refusal), JK_OK);
	assert_int_equal(jk_router_self_test(bus, router, &refusal), JK_BROKEN);
	assert_non_null(strstr(refusal.reason, "unknown key was let in"));
	jk_router_close(&router);
	jk_bus_close(&bus);
}

static void test_without_a_zap_thread_nobody_gets_in(void **state)
{
	struct fixture *fixture = *state;
	struct jk_bus *bus;
	struct jk_router *router;
	struct jk_dealer *dealer;
	struct jk_refusal refusal = {0};
	assert_int_equal(jk_bus_open(1, NULL, NULL, &bus), JK_OK);
	assert_int_equal(jk_router_open(bus, "tcp://127.0.0.1:*", &fixture->server, &router, &refusal), JK_OK);
	assert_int_equal(
		jk_dealer_open(bus, jk_router_endpoint(router), fixture->server.curve_public, &fixture->known, &dealer, &refusal),
		JK_OK);
	assert_int_not_equal(wait_for(dealer, JK_LINK_UP, 300), JK_LINK_UP);
	jk_dealer_close(&dealer);
	jk_router_close(&router);
	jk_bus_close(&bus);
}

static void test_a_taken_or_malformed_endpoint_is_said_in_words(void **state)
{
	struct fixture *fixture = *state;
	struct jk_router *router;
	struct jk_refusal refusal = {0};
	assert_int_equal(jk_router_open(fixture->bus, jk_router_endpoint(fixture->router), &fixture->server, &router, &refusal),
		JK_BROKEN);
	assert_null(router);
	assert_non_null(strstr(refusal.reason, "in use"));
	assert_int_equal(jk_router_open(fixture->bus, "nonsense", &fixture->server, &router, &refusal), JK_BROKEN);
	struct jk_dealer *dealer;
	assert_int_equal(jk_dealer_open(fixture->bus, "tcp://", fixture->server.curve_public, &fixture->known, &dealer, &refusal),
		JK_BROKEN);
}

int main(void)
{
#define WITH_SERVICE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_SERVICE(test_a_message_goes_there_and_back),
		WITH_SERVICE(test_an_unknown_key_is_told_so),
		WITH_SERVICE(test_a_client_that_came_too_early_gets_in_later_by_itself),
		WITH_SERVICE(test_a_wrong_server_key_is_seen_in_two_seconds),
		WITH_SERVICE(test_a_client_without_encryption_is_not_let_in),
		WITH_SERVICE(test_malformed_messages_are_dropped_and_counted),
		WITH_SERVICE(test_another_protocol_version_is_told_apart),
		WITH_SERVICE(test_long_routing_ids_are_dropped),
		WITH_SERVICE(test_the_largest_body_passes_and_a_larger_one_does_not),
		WITH_SERVICE(test_a_peer_that_went_is_told_apart_from_a_full_one),
		WITH_SERVICE(test_little_waits_for_a_peer_that_reads_nothing),
		WITH_SERVICE(test_a_cut_connection_is_gone),
		WITH_SERVICE(test_the_self_test_passes_at_a_shut_door),
		WITH_SERVICE(test_the_self_test_finds_an_open_door),
		WITH_SERVICE(test_without_a_zap_thread_nobody_gets_in),
		WITH_SERVICE(test_a_taken_or_malformed_endpoint_is_said_in_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
