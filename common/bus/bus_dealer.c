/* bus_dealer.c: a connecting DEALER. How the link stands is read from its monitor by bus_link.c.
 *
 * Not by ZMQ_IMMEDIATE=1: with it libzmq 4.3.4 ends the pipe of a lost connection between two frames of a message that is being
 * received, when 50 or so wait unread, and aborts ("Assertion failed: !_more (src/fq.cpp:112)", libzmq issue 3663): a service
 * killed under load took its clients with it. Its promise, that nothing is queued for a peer that is not there, is kept here:
 * nothing is sent unless the link is up, and a lost connection's pipe is thrown away by our own thread. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_time.h"
#include "bus/bus_internal.h"

struct jk_dealer {
	void *socket, *monitor;
	char *endpoint;
	struct bus_link link;
};

enum { RECONNECT_MS = 500, RECONNECT_MAX_MS = 30000, CONNECT_TIMEOUT_MS = 5000 };

static bool set_options(void *socket)
{
	return jk_bus_set_wire(socket) && jk_bus_set(socket, ZMQ_HANDSHAKE_IVL, BUS_HANDSHAKE_MS) &&
	       jk_bus_set(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
	       jk_bus_set(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) &&
	       jk_bus_set(socket, ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS);
}

static bool set_curve(void *socket, const uint8_t server_key[32], const struct jk_key *key)
{
	return zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, JK_KEY_BYTES) == 0 &&
	       zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, key->curve_public, JK_KEY_BYTES) == 0 &&
	       zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, key->curve_secret, JK_KEY_BYTES) == 0;
}

static enum jk_status open_dealer(struct jk_bus *bus, const char *endpoint, const uint8_t *server_key, const struct jk_key *key,
	struct jk_dealer **ret_dealer, struct jk_refusal *ret_refusal)
{
	enum {
		EVENTS = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
			 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
			 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
	};
	*ret_dealer = NULL;
	struct jk_dealer *dealer = calloc(1, sizeof *dealer);
	if (dealer && (dealer->endpoint = strdup(endpoint)) && (dealer->socket = zmq_socket(bus->context, ZMQ_DEALER)) &&
		set_options(dealer->socket) &&
		(!key || set_curve(dealer->socket, server_key, key))
		/* Without a high-water mark: libzmq's I/O thread would wait for an owner who does not look. */
		&& (dealer->monitor = jk_bus_monitor(bus, dealer->socket, EVENTS, 0)) &&
		zmq_connect(dealer->socket, endpoint) == 0) {
		jk_bus_link_init(&dealer->link, jk_time_mono_ms());
		*ret_dealer = dealer;
		return JK_OK;
	}
	jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, endpoint, "cannot connect there: %s", zmq_strerror(zmq_errno()));
	jk_dealer_close(&dealer);
	return JK_BROKEN;
}

enum jk_status jk_dealer_open(struct jk_bus *bus, const char *endpoint, const uint8_t server_key[32], const struct jk_key *key,
	struct jk_dealer **ret_dealer, struct jk_refusal *ret_refusal)
{
	return open_dealer(bus, endpoint, server_key, key, ret_dealer, ret_refusal);
}

enum jk_status jk_dealer_open_plain(
	struct jk_bus *bus, const char *endpoint, struct jk_dealer **ret_dealer, struct jk_refusal *ret_refusal)
{
	return open_dealer(bus, endpoint, NULL, NULL, ret_dealer, ret_refusal);
}

void jk_dealer_close(struct jk_dealer **dealer_p)
{
	struct jk_dealer *dealer = *dealer_p;
	if (!dealer)
		return;
	*dealer_p = NULL;
	if (dealer->monitor) {
		zmq_socket_monitor(dealer->socket, NULL, 0);
		zmq_close(dealer->monitor);
	}
	if (dealer->socket)
		zmq_close(dealer->socket);
	free(dealer->endpoint);
	free(dealer);
}

void *jk_dealer_socket(struct jk_dealer *dealer)
{
	return dealer->socket;
}

/* What is still queued was meant for a session that is over. */
static void connect_anew(struct jk_dealer *dealer, int64_t now_ms)
{
	(void)zmq_disconnect(dealer->socket, dealer->endpoint);
	(void)zmq_connect(dealer->socket, dealer->endpoint); /* parsed well once; the link stays down if it fails */
	jk_bus_link_init(&dealer->link, now_ms);
}

enum jk_link jk_dealer_link(struct jk_dealer *dealer)
{
	uint16_t event;
	uint32_t value;
	int64_t now_ms = jk_time_mono_ms();
	bool lost = false;
	while (jk_bus_monitor_next(dealer->monitor, false, &event, &value)) {
		lost = lost || (event == ZMQ_EVENT_DISCONNECTED && dealer->link.state == JK_LINK_UP);
		jk_bus_link_event(&dealer->link, event, value, now_ms);
	}
	if (lost)
		connect_anew(dealer, now_ms);
	return jk_bus_link_state(&dealer->link, now_ms);
}

enum jk_status jk_dealer_send(struct jk_dealer *dealer, uint16_t kind, const void *body, size_t size)
{
	if (size > JK_BODY_MAX_BYTES)
		return JK_BROKEN;
	if (jk_dealer_link(dealer) != JK_LINK_UP)
		return JK_RETRY;
	return jk_bus_send_framed(dealer->socket, kind, body, size) ? JK_OK : JK_RETRY;
}

enum taken { TAKEN_NONE, TAKEN_GOOD, TAKEN_MALFORMED };

/* Receives what is there without waiting. */
static enum taken take_message(struct jk_dealer *dealer, struct jk_dealer_message *ret)
{
	zmq_msg_t header;
	zmq_msg_init(&header);
	if (zmq_msg_recv(&header, dealer->socket, ZMQ_DONTWAIT) < 0) {
		zmq_msg_close(&header);
		return TAKEN_NONE;
	}
	bool good =
		zmq_msg_more(&header) && jk_frame_read(zmq_msg_data(&header), zmq_msg_size(&header), &ret->kind) == JK_FRAME_OK;
	zmq_msg_close(&header);
	zmq_msg_t *held = good ? malloc(sizeof *held) : NULL;
	if (held) {
		zmq_msg_init(held);
		good = zmq_msg_recv(held, dealer->socket, ZMQ_DONTWAIT) >= 0 && !zmq_msg_more(held);
		ret->held = held;
		ret->body = zmq_msg_data(held);
		ret->body_size = zmq_msg_size(held);
	}
	if (held && good)
		return TAKEN_GOOD;
	jk_dealer_release(ret);
	while (!jk_bus_drain(dealer->socket))
		;
	return TAKEN_MALFORMED;
}

bool jk_dealer_receive(struct jk_dealer *dealer, int timeout_ms, struct jk_dealer_message *ret)
{
	int64_t until_ms = timeout_ms > 0 ? jk_time_mono_ms() + timeout_ms : 0;
	*ret = (struct jk_dealer_message){0};
	for (;;) {
		enum taken taken = take_message(dealer, ret);
		if (taken == TAKEN_GOOD)
			return true;
		int64_t left_ms = timeout_ms > 0 ? until_ms - jk_time_mono_ms() : 0;
		if (left_ms <= 0)
			return false;
		zmq_pollitem_t item = {dealer->socket, 0, ZMQ_POLLIN, 0};
		if (taken == TAKEN_NONE && zmq_poll(&item, 1, (long)left_ms) < 0 && errno != EINTR)
			return false;
	}
}

void jk_dealer_release(struct jk_dealer_message *message)
{
	if (message->held) {
		zmq_msg_close(message->held);
		free(message->held);
	}
	*message = (struct jk_dealer_message){0};
}
