/* The dealer when its server is gone: what has arrived is still read whole, and nothing of the old session reaches the new one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zmq.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "bus/bus_dealer.h"
#include "bus/bus_router.h"

enum { MESSAGES = 400 };

static struct jk_key server, client;

static enum jk_zap_verdict allow(void *arg, const uint8_t curve_public[32], const char *address)
{
	(void)arg;
	(void)curve_public;
	(void)address;
	return JK_ZAP_ALLOW;
}

static struct jk_router *open_router(struct jk_bus *bus, const char *endpoint)
{
	struct jk_router *router = NULL;
	struct jk_refusal refusal = {0};
	int64_t until_ms = jk_time_mono_ms() + 5000;
	/* The port of a closed socket is free a moment later. */
	while (jk_router_open(bus, endpoint, &server, &router, &refusal) != JK_OK && jk_time_mono_ms() < until_ms)
		zmq_poll(NULL, 0, 20);
	assert_non_null(router);
	return router;
}

static void wait_up(struct jk_dealer *dealer)
{
	int64_t until_ms = jk_time_mono_ms() + 10000;
	while (jk_dealer_link(dealer) != JK_LINK_UP && jk_time_mono_ms() < until_ms)
		zmq_poll(NULL, 0, 5);
	assert_int_equal(jk_dealer_link(dealer), JK_LINK_UP);
}

static void receive(struct jk_router *router, struct jk_received *ret)
{
	zmq_pollitem_t item = {jk_router_socket(router), 0, ZMQ_POLLIN, 0};
	int64_t until_ms = jk_time_mono_ms() + 5000;
	while (!jk_router_receive(router, ret)) {
		assert_true(jk_time_mono_ms() < until_ms);
		zmq_poll(&item, 1, 100);
	}
}

static void test_a_server_dies_while_much_waits_unread(void **state)
{
	(void)state;
	struct jk_bus *bus;
	struct jk_dealer *dealer;
	struct jk_refusal refusal = {0};
	struct jk_received received;
	struct jk_dealer_message message;
	char endpoint[64];
	assert_int_equal(jk_bus_open(1, allow, NULL, &bus), JK_OK);
	struct jk_router *router = open_router(bus, "tcp://127.0.0.1:*");
	assert_true(jk_text_copy(endpoint, sizeof endpoint, jk_router_endpoint(router)));
	assert_int_equal(jk_dealer_open(bus, endpoint, server.curve_public, &client, &dealer, &refusal), JK_OK);
	wait_up(dealer);
	assert_int_equal(jk_dealer_send(dealer, 1, "x", 1), JK_OK);
	receive(router, &received);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(jk_router_send(router, &received.route, 2, "abc", 3), JK_OK);
	jk_router_release(&received);
	zmq_poll(NULL, 0, 200); /* all of it is in the dealer's queue */

	/* Polled first, libzmq looks for commands at each 100th frame: the second one of a message. */
	zmq_pollitem_t item = {jk_dealer_socket(dealer), 0, ZMQ_POLLIN, 0};
	assert_int_equal(zmq_poll(&item, 1, 1000), 1);
	assert_true(jk_dealer_receive(dealer, 0, &message));
	jk_dealer_release(&message);
	jk_router_close(&router);
	zmq_poll(NULL, 0, 200);
	int got = 1;
	for (; jk_dealer_receive(dealer, 0, &message); got++) {
		assert_int_equal(message.body_size, 3);
		jk_dealer_release(&message);
	}
	assert_int_equal(got, MESSAGES);

	assert_int_not_equal(jk_dealer_link(dealer), JK_LINK_UP);
	assert_int_equal(jk_dealer_send(dealer, 3, "lost", 4), JK_RETRY);
	router = open_router(bus, endpoint);
	wait_up(dealer);
	assert_int_equal(jk_dealer_send(dealer, 4, "new", 3), JK_OK);
	receive(router, &received);
	assert_int_equal(received.kind, 4);
	jk_router_release(&received);
	jk_dealer_close(&dealer);
	jk_router_close(&router);
	jk_bus_close(&bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_server_dies_while_much_waits_unread)};
	if (jk_crypt_init() != JK_OK)
		return 1;
	jk_key_new(&server);
	jk_key_new(&client);
	return cmocka_run_group_tests_name("bus/dealer", tests, NULL, NULL);
}
