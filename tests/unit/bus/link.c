/* How a client tells apart what stands at the other end, against real sockets that are no Jukwaa. */
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "bus/bus_internal.h"

/* A TCP server that does something else. */
struct server {
	int fd;
	char endpoint[64];
	pthread_t thread;
	const char *greeting; /* sent to whoever connects; NULL: nothing, closes at once */
};

static void listen_somewhere(struct server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	server->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(server->fd, 8), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
	jk_text_format(server->endpoint, sizeof server->endpoint, "tcp://127.0.0.1:%d", ntohs(address.sin_port));
}

static void *serve(void *arg)
{
	const struct server *server = arg;
	const struct linger reset = {.l_onoff = 1}; /* close sends RST, as proxies do */
	int peer;
	while ((peer = accept(server->fd, NULL, NULL)) >= 0) {
		char asked[64];
		if (server->greeting && write(peer, server->greeting, strlen(server->greeting)) > 0)
			(void)!read(peer, asked, sizeof asked);
		if (!server->greeting)
			setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		close(peer);
	}
	return NULL;
}

/* The link after at most limit_ms; ret_ms: how long it took to be `wanted`. */
static enum jk_link try_endpoint(const char *endpoint, enum jk_link wanted, int limit_ms)
{
	struct jk_bus *bus;
	struct jk_dealer *dealer;
	struct jk_key key;
	struct jk_refusal refusal = {0};
	jk_key_new(&key);
	assert_int_equal(jk_bus_open(1, NULL, NULL, &bus), JK_OK);
	assert_int_equal(jk_dealer_open(bus, endpoint, key.curve_public, &key, &dealer, &refusal), JK_OK);
	int64_t until_ms = jk_time_mono_ms() + limit_ms;
	while (jk_dealer_link(dealer) != wanted && jk_time_mono_ms() < until_ms)
		zmq_poll(NULL, 0, 5);
	enum jk_link link = jk_dealer_link(dealer);
	jk_dealer_close(&dealer);
	jk_bus_close(&bus);
	return link;
}

static enum jk_link try_server(const char *greeting, enum jk_link wanted)
{
	struct server server = {.greeting = greeting};
	listen_somewhere(&server);
	pthread_create(&server.thread, NULL, serve, &server);
	enum jk_link link = try_endpoint(server.endpoint, wanted, 2000);
	shutdown(server.fd, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.fd);
	return link;
}

static void test_a_server_that_speaks_something_else(void **state)
{
	(void)state;
	assert_int_equal(try_server("HTTP/1.0 400 Bad Request\r\n\r\n", JK_LINK_WRONG_SERVER), JK_LINK_WRONG_SERVER);
	assert_int_equal(try_server("220 mail.example.org ESMTP\r\n", JK_LINK_WRONG_SERVER), JK_LINK_WRONG_SERVER);
}

static void test_a_proxy_without_its_service(void **state)
{
	(void)state;
	assert_int_equal(try_server(NULL, JK_LINK_UNREACHABLE), JK_LINK_UNREACHABLE);
}

static void test_a_closed_port(void **state)
{
	(void)state;
	struct server server = {0};
	listen_somewhere(&server);
	close(server.fd);
	assert_int_equal(try_endpoint(server.endpoint, JK_LINK_UNREACHABLE, 2000), JK_LINK_UNREACHABLE);
}

static void test_a_name_that_does_not_exist(void **state)
{
	(void)state;
	assert_int_equal(try_endpoint("tcp://nowhere.invalid:7101", JK_LINK_UNREACHABLE, 2000), JK_LINK_UNREACHABLE);
}

static void test_a_server_that_says_nothing(void **state)
{
	(void)state;
	struct server server = {0};
	listen_somewhere(&server); /* the kernel accepts, nobody answers: a stopped process */
	assert_int_equal(try_endpoint(server.endpoint, JK_LINK_LATER, 2000), JK_LINK_LATER);
	close(server.fd);
}

static void test_a_server_without_encryption(void **state)
{
	(void)state;
	struct jk_bus *bus;
	char endpoint[128];
	size_t size = sizeof endpoint;
	assert_int_equal(jk_bus_open(1, NULL, NULL, &bus), JK_OK);
	void *socket = zmq_socket(bus->context, ZMQ_ROUTER);
	assert_int_equal(zmq_bind(socket, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
	assert_int_equal(try_endpoint(endpoint, JK_LINK_WRONG_SERVER, 2000), JK_LINK_WRONG_SERVER);
	zmq_close(socket);
	jk_bus_close(&bus);
}

static void test_one_drop_is_no_wrong_key(void **state)
{
	(void)state;
	struct bus_link link;
	jk_bus_link_init(&link, 0);
	jk_bus_link_event(&link, ZMQ_EVENT_CONNECTED, 0, 10);
	jk_bus_link_event(&link, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EPIPE, 20);
	jk_bus_link_event(&link, ZMQ_EVENT_DISCONNECTED, 0, 20);
	assert_int_equal(jk_bus_link_state(&link, 30), JK_LINK_CONNECTING);
	jk_bus_link_event(&link, ZMQ_EVENT_CLOSED, 0, 700); /* it was a server going down */
	assert_int_equal(jk_bus_link_state(&link, 700), JK_LINK_UNREACHABLE);
	jk_bus_link_event(&link, ZMQ_EVENT_CONNECTED, 0, 1500);
	assert_int_equal(jk_bus_link_state(&link, 1500), JK_LINK_CONNECTING);
	jk_bus_link_event(&link, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, 1510);
	assert_int_equal(jk_bus_link_state(&link, 99999), JK_LINK_UP);
	jk_bus_link_event(&link, ZMQ_EVENT_DISCONNECTED, 0, 100000);
	assert_int_equal(jk_bus_link_state(&link, 100000), JK_LINK_CONNECTING);
	assert_int_equal(jk_bus_link_state(&link, 102000), JK_LINK_UNREACHABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_server_that_speaks_something_else),
		cmocka_unit_test(test_a_proxy_without_its_service),
		cmocka_unit_test(test_a_closed_port),
		cmocka_unit_test(test_a_name_that_does_not_exist),
		cmocka_unit_test(test_a_server_that_says_nothing),
		cmocka_unit_test(test_a_server_without_encryption),
		cmocka_unit_test(test_one_drop_is_no_wrong_key),
	};
	return jk_crypt_init() == JK_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
