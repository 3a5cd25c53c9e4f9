/* bus_router.c: receiving and sending on the ROUTER. */
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/jk_text.h"
#include "bus/bus_internal.h"

struct jk_router {
	void *socket, *monitor;
	pthread_t monitor_thread;
	struct bus_guard *guard;
	bool draining; /* in the middle of a malformed message */
	char endpoint[256];
	_Atomic uint64_t received, sent, malformed, no_identity, unreachable, full; /* read by the metrics port's thread */
	_Atomic uint64_t handshake_failed, accept_failed, cut;
};

/* libzmq's I/O thread waits for a monitor that nobody reads, so it is read by a thread that does nothing else. */
static void *run_monitor(void *arg)
{
	struct jk_router *router = arg;
	uint16_t event;
	uint32_t value;
	while (jk_bus_monitor_next(router->monitor, true, &event, &value) && event != ZMQ_EVENT_MONITOR_STOPPED) {
		if (event == ZMQ_EVENT_ACCEPT_FAILED)
			router->accept_failed++;
		else if (event == ZMQ_EVENT_ACCEPTED)
			jk_bus_guard_accepted(router->guard, (int)value);
		else if (event == ZMQ_EVENT_DISCONNECTED)
			jk_bus_guard_closed(router->guard, (int)value);
		else
			router->handshake_failed++;
	}
	return NULL;
}

static bool set_options(void *socket, const struct jk_key *key)
{
	return jk_bus_set_wire(socket) && jk_bus_set(socket, ZMQ_SNDHWM, BUS_PEER_WAITING_MESSAGES) &&
	       jk_bus_set(socket, ZMQ_HANDSHAKE_IVL, BUS_HANDSHAKE_SERVER_MS) && jk_bus_set(socket, ZMQ_ROUTER_MANDATORY, 1) &&
	       jk_bus_set(socket, ZMQ_BACKLOG, 1024) && jk_bus_set(socket, ZMQ_CURVE_SERVER, 1) &&
	       zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, key->curve_public, JK_KEY_BYTES) == 0 &&
	       zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, key->curve_secret, JK_KEY_BYTES) == 0 &&
	       zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, bus_zap_domain, strlen(bus_zap_domain)) == 0 &&
	       jk_bus_set(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
}

static enum jk_status fail(struct jk_router *router, struct jk_refusal *ret_refusal, const char *endpoint, const char *what)
{
	jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, endpoint, "%s: %s", what, zmq_strerror(zmq_errno()));
	jk_router_close(&router);
	return JK_BROKEN;
}

enum jk_status jk_router_open(struct jk_bus *bus, const char *endpoint, const struct jk_key *key, struct jk_router **ret_router,
	struct jk_refusal *ret_refusal)
{
	enum {
		EVENTS = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_ACCEPT_FAILED |
			 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
			 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_MONITOR_STOPPED,
		MONITOR_HIGH_WATER = 1000,
	};
	*ret_router = NULL;
	struct jk_router *router = calloc(1, sizeof *router);
	if (router && (router->guard = jk_bus_guard_new()))
		router->socket = zmq_socket(bus->context, ZMQ_ROUTER);
	if (!router || !router->socket)
		return fail(router, ret_refusal, endpoint, "no socket");
	if (!set_options(router->socket, key))
		return fail(router, ret_refusal, endpoint, "libzmq refuses an option that Jukwaa needs");
	router->monitor = jk_bus_monitor(bus, router->socket, EVENTS, MONITOR_HIGH_WATER);
	if (!router->monitor)
		return fail(router, ret_refusal, endpoint, "no monitor");
	if (pthread_create(&router->monitor_thread, NULL, run_monitor, router) != 0) {
		zmq_close(router->monitor);
		router->monitor = NULL;
		return fail(router, ret_refusal, endpoint, "no thread");
	}
	size_t size = sizeof router->endpoint;
	if (zmq_bind(router->socket, endpoint) != 0 ||
		zmq_getsockopt(router->socket, ZMQ_LAST_ENDPOINT, router->endpoint, &size) != 0)
		return fail(router, ret_refusal, endpoint, "cannot listen there");
	jk_bus_guard_bound(router->guard, router->endpoint);
	*ret_router = router;
	return JK_OK;
}

void jk_router_close(struct jk_router **router_p)
{
	struct jk_router *router = *router_p;
	if (!router)
		return;
	*router_p = NULL;
	if (router->monitor) {
		zmq_socket_monitor(router->socket, NULL, 0); /* sends MONITOR_STOPPED, which ends the thread */
		pthread_join(router->monitor_thread, NULL);
		zmq_close(router->monitor);
	}
	if (router->socket)
		zmq_close(router->socket);
	jk_bus_guard_free(&router->guard);
	free(router);
}

const char *jk_router_endpoint(const struct jk_router *router)
{
	return router->endpoint;
}

void *jk_router_socket(struct jk_router *router)
{
	return router->socket;
}

/* The key that ZAP confirmed. Only payload frames carry it: the routing id's frame has no metadata in 4.3.4. */
static bool read_identity(zmq_msg_t *body, uint8_t ret_key[JK_KEY_BYTES])
{
	const char *user_id = zmq_msg_gets(body, "User-Id");
	return user_id && jk_hex_decode(ret_key, JK_KEY_BYTES, user_id);
}

/* Fills ret from the frames; false when they are malformed. Takes over body. */
static bool accept_frames(struct jk_router *router, zmq_msg_t *id, zmq_msg_t *header, zmq_msg_t *body, struct jk_received *ret)
{
	*ret = (struct jk_received){0};
	enum jk_frame_verdict verdict = jk_frame_read(zmq_msg_data(header), zmq_msg_size(header), &ret->kind);
	if (zmq_msg_size(id) > sizeof ret->route.bytes || zmq_msg_size(body) > JK_BODY_MAX_BYTES ||
		verdict == JK_FRAME_MALFORMED) {
		router->malformed++;
		return false;
	}
	if (!read_identity(body, ret->curve_key)) {
		router->no_identity++;
		return false;
	}
	zmq_msg_t *held = malloc(sizeof *held);
	if (!held)
		return false;
	ret->route.size = (uint8_t)zmq_msg_size(id);
	memcpy(ret->route.bytes, zmq_msg_data(id), ret->route.size);
	ret->other_version = verdict == JK_FRAME_OTHER_VERSION;
	zmq_msg_init(held);
	zmq_msg_move(held, body);
	ret->held = held;
	if (!ret->other_version) {
		ret->body = zmq_msg_data(held);
		ret->body_size = zmq_msg_size(held);
	}
	router->received++;
	return true;
}

/* What the frames behind the routing id, which is libzmq's own, were on the wire: with CURVE, and a head of 2 or 9 bytes
 * (ZMTP 3.1). What is drained of longer messages is left out, and stays on the account of whoever sends such. */
static size_t wire_bytes(zmq_msg_t *frames, int count)
{
	size_t all = 0;
	for (int i = 1; i < count; i++) {
		size_t sealed = zmq_msg_size(&frames[i]) + BUS_CURVE_BYTES;
		all += sealed + (sealed > UINT8_MAX ? 9 : 2);
	}
	return all;
}

enum taken { TAKEN_NONE, TAKEN_GOOD, TAKEN_MALFORMED };

static enum taken take_message(struct jk_router *router, struct jk_received *ret)
{
	zmq_msg_t frames[3];
	int count = 0;
	bool more = true;
	while (count < 3 && more) {
		zmq_msg_init(&frames[count]);
		if (zmq_msg_recv(&frames[count], router->socket, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&frames[count]);
			break;
		}
		more = zmq_msg_more(&frames[count++]);
	}
	enum taken taken = count == 0 ? TAKEN_NONE : TAKEN_MALFORMED;
	if (count > 1)
		jk_bus_guard_heard(router->guard, zmq_msg_get(&frames[count - 1], ZMQ_SRCFD), wire_bytes(frames, count));
	if (count == 3 && !more) {
		if (accept_frames(router, &frames[0], &frames[1], &frames[2], ret))
			taken = TAKEN_GOOD;
	} else if (count > 0) {
		router->malformed++;
		router->draining = more;
	}
	for (int i = 0; i < count; i++)
		zmq_msg_close(&frames[i]);
	return taken;
}

bool jk_router_receive(struct jk_router *router, struct jk_received *ret)
{
	for (int malformed = 0; malformed < BUS_MALFORMED_A_TURN_MAX; malformed++) {
		if (router->draining) {
			if (!jk_bus_drain(router->socket))
				return false; /* the rest next turn: one hostile peer must not stop the loop */
			router->draining = false;
		}
		enum taken taken = take_message(router, ret);
		if (taken != TAKEN_MALFORMED)
			return taken == TAKEN_GOOD;
	}
	return false;
}

void jk_router_release(struct jk_received *received)
{
	if (received->held) {
		zmq_msg_close(received->held);
		free(received->held);
	}
	received->held = NULL;
	received->body = NULL;
}

enum jk_status jk_router_send(
	struct jk_router *router, const struct jk_route *route, uint16_t kind, const void *body, size_t size)
{
	if (size > JK_BODY_MAX_BYTES) { /* the peer would cut the connection, and again after every repetition */
		router->unreachable++;
		return JK_BROKEN;
	}
	if (zmq_send(router->socket, route->bytes, route->size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
		if (errno == EAGAIN) {
			router->full++;
			return JK_RETRY;
		}
		router->unreachable++;
		return JK_BROKEN;
	}
	if (!jk_bus_send_framed(router->socket, kind, body, size)) {
		router->unreachable++;
		return JK_BROKEN;
	}
	router->sent++;
	return JK_OK;
}

void jk_router_cut(struct jk_router *router, const struct jk_received *received)
{
	(void)router;
	if (!received->held)
		return;
	int fd = zmq_msg_get(received->held, ZMQ_SRCFD);
	const char *expected = zmq_msg_gets(received->held, "Peer-Address");
	/* The descriptor may be another's by now; the peer's address must still fit. */
	struct sockaddr_storage peer;
	socklen_t peer_size = sizeof peer;
	char host[NI_MAXHOST];
	if (fd >= 0 && expected && getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0 &&
		getnameinfo((struct sockaddr *)&peer, peer_size, host, sizeof host, NULL, 0, NI_NUMERICHOST) == 0 &&
		strcmp(host, expected) == 0)
		shutdown(fd, SHUT_RDWR);
}

void jk_router_guard(struct jk_router *router)
{
	router->cut += jk_bus_guard_check(router->guard);
}

struct jk_router_counts jk_router_counts(const struct jk_router *router)
{
	return (struct jk_router_counts){
		.received = router->received,
		.sent = router->sent,
		.malformed = router->malformed,
		.no_identity = router->no_identity,
		.unreachable = router->unreachable,
		.full = router->full,
		.handshake_failed = router->handshake_failed,
		.accept_failed = router->accept_failed,
		.cut = router->cut,
	};
}
