/* bus_context.c: the ZeroMQ context, what sockets have in common, and the ZAP thread. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "bus/bus_internal.h"

/* The ZAP thread's half; the thread owns both sockets.
 *
 * LATER is not answered at all. To an answer 300 libzmq 4.3.4 does one of two things, depending on whether its I/O thread finds
 * the answer at the first look: it leaves the connection hanging, or closes it at once, which a client cannot tell from a wrong
 * server key. Without an answer the connection always hangs until the client's handshake timer, and then it comes again. */
struct bus_zap {
	void *requests; /* ROUTER at inproc://zeromq.zap.01 */
	void *stop;
	jk_zap_decide *decide;
	void *arg;
	pthread_t thread;
	_Atomic uint64_t allowed, later, refused, revoked;
};

/* Frames of a request (RFC 27), after the route and the empty frame of a REQ. */
enum {
	ZAP_ROUTE,
	ZAP_EMPTY,
	ZAP_VERSION,
	ZAP_REQUEST,
	ZAP_DOMAIN,
	ZAP_ADDRESS,
	ZAP_IDENTITY,
	ZAP_MECHANISM,
	ZAP_KEY,
	ZAP_FRAMES
};

bool jk_bus_set(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

bool jk_bus_set_wire(void *socket)
{
	int64_t max_bytes = BUS_FRAME_MAX_BYTES;
	return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) == 0 && jk_bus_set(socket, ZMQ_LINGER, 0) &&
	       jk_bus_set(socket, ZMQ_IPV6, 1) && jk_bus_set(socket, ZMQ_SNDHWM, BUS_HIGH_WATER_MESSAGES) &&
	       jk_bus_set(socket, ZMQ_RCVHWM, BUS_HIGH_WATER_MESSAGES) && jk_bus_set(socket, ZMQ_TCP_KEEPALIVE, 1) &&
	       jk_bus_set(socket, ZMQ_TCP_KEEPALIVE_IDLE, 15) && jk_bus_set(socket, ZMQ_TCP_KEEPALIVE_INTVL, 5) &&
	       jk_bus_set(socket, ZMQ_TCP_KEEPALIVE_CNT, 3) && jk_bus_set(socket, ZMQ_TCP_MAXRT, 20000);
}

void *jk_bus_monitor(struct jk_bus *bus, void *socket, int events, int high_water)
{
	char endpoint[64];
	jk_text_format(endpoint, sizeof endpoint, "inproc://jk-monitor-%llu", (unsigned long long)bus->next_name++);
	if (zmq_socket_monitor(socket, endpoint, events) != 0)
		return NULL;
	void *monitor = zmq_socket(bus->context, ZMQ_PAIR);
	if (monitor && jk_bus_set(monitor, ZMQ_LINGER, 0) && jk_bus_set(monitor, ZMQ_RCVHWM, high_water) &&
		zmq_connect(monitor, endpoint) == 0)
		return monitor;
	if (monitor)
		zmq_close(monitor);
	return NULL;
}

bool jk_bus_monitor_next(void *monitor, bool wait, uint16_t *ret_event, uint32_t *ret_value)
{
	uint8_t frame[6];
	int size;
	do
		size = zmq_recv(monitor, frame, sizeof frame, wait ? 0 : ZMQ_DONTWAIT);
	while (size < 0 && errno == EINTR);
	if (size != (int)sizeof frame)
		return false;
	memcpy(ret_event, frame, sizeof *ret_event);
	memcpy(ret_value, frame + 2, sizeof *ret_value);
	return jk_bus_drain(monitor); /* the address */
}

bool jk_bus_drain(void *socket)
{
	for (int i = 0; i < BUS_DRAIN_FRAMES_MAX; i++) {
		int more = 0;
		size_t size = sizeof more;
		if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0 || !more)
			return true;
		char byte;
		if (zmq_recv(socket, &byte, sizeof byte, ZMQ_DONTWAIT) < 0 && errno == EAGAIN)
			return false;
	}
	return false;
}

bool jk_bus_send_framed(void *socket, uint16_t kind, const void *body, size_t size)
{
	uint8_t header[JK_FRAME_BYTES];
	jk_frame_write(header, kind);
	return zmq_send(socket, header, sizeof header, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
	       zmq_send(socket, body, size, ZMQ_DONTWAIT) >= 0;
}

static bool frame_is(zmq_msg_t *frame, const char *text)
{
	return zmq_msg_size(frame) == strlen(text) && memcmp(zmq_msg_data(frame), text, strlen(text)) == 0;
}

static enum jk_zap_verdict decide(struct bus_zap *zap, zmq_msg_t frames[ZAP_FRAMES], int count)
{
	static const char mapped[] = "::ffff:"; /* an IPv4 peer of an IPv6 socket */
	if (count != ZAP_FRAMES || !frame_is(&frames[ZAP_VERSION], "1.0") || !frame_is(&frames[ZAP_DOMAIN], bus_zap_domain) ||
		!frame_is(&frames[ZAP_MECHANISM], "CURVE") || zmq_msg_size(&frames[ZAP_KEY]) != JK_KEY_BYTES)
		return JK_ZAP_REFUSE;
	char text[64] = "";
	size_t size = zmq_msg_size(&frames[ZAP_ADDRESS]);
	if (size < sizeof text)
		memcpy(text, zmq_msg_data(&frames[ZAP_ADDRESS]), size);
	const char *address = strncmp(text, mapped, strlen(mapped)) == 0 ? text + strlen(mapped) : text;
	return zap->decide(zap->arg, zmq_msg_data(&frames[ZAP_KEY]), address);
}

static void send_frame(struct bus_zap *zap, zmq_msg_t *frame)
{
	(void)zmq_send(zap->requests, zmq_msg_data(frame), zmq_msg_size(frame), ZMQ_SNDMORE);
}

static void reply(struct bus_zap *zap, zmq_msg_t frames[ZAP_FRAMES], enum jk_zap_verdict verdict)
{
	const char *code = verdict == JK_ZAP_ALLOW ? "200" : "400";
	char user_id[JK_KEY_HEX_BYTES] = "";
	if (verdict == JK_ZAP_ALLOW)
		jk_hex_encode(user_id, zmq_msg_data(&frames[ZAP_KEY]), JK_KEY_BYTES);
	send_frame(zap, &frames[ZAP_ROUTE]);
	send_frame(zap, &frames[ZAP_EMPTY]);
	zmq_send(zap->requests, "1.0", 3, ZMQ_SNDMORE);
	send_frame(zap, &frames[ZAP_REQUEST]);
	zmq_send(zap->requests, code, 3, ZMQ_SNDMORE);
	zmq_send(zap->requests, "", 0, ZMQ_SNDMORE);
	zmq_send(zap->requests, user_id, strlen(user_id), ZMQ_SNDMORE);
	zmq_send(zap->requests, "", 0, 0);
}

static void count_verdict(struct bus_zap *zap, enum jk_zap_verdict verdict)
{
	switch (verdict) {
	case JK_ZAP_ALLOW:
		zap->allowed++;
		break;
	case JK_ZAP_LATER:
		zap->later++;
		break;
	case JK_ZAP_REVOKED:
		zap->revoked++;
		break;
	default:
		zap->refused++;
	}
}

static void answer(struct bus_zap *zap)
{
	zmq_msg_t frames[ZAP_FRAMES];
	int count = 0;
	bool more = true;
	while (more && count < ZAP_FRAMES) {
		zmq_msg_init(&frames[count]);
		if (zmq_msg_recv(&frames[count], zap->requests, count == 0 ? ZMQ_DONTWAIT : 0) < 0) {
			zmq_msg_close(&frames[count]);
			break;
		}
		more = zmq_msg_more(&frames[count++]);
	}
	while (more && !jk_bus_drain(zap->requests))
		;
	if (count > ZAP_REQUEST) {
		enum jk_zap_verdict verdict = more ? JK_ZAP_REFUSE : decide(zap, frames, count);
		if (verdict != JK_ZAP_LATER)
			reply(zap, frames, verdict);
		count_verdict(zap, verdict);
	}
	for (int i = 0; i < count; i++)
		zmq_msg_close(&frames[i]);
}

static void *run_zap(void *arg)
{
	struct bus_zap *zap = arg;
	for (;;) {
		zmq_pollitem_t items[] = {{zap->stop, 0, ZMQ_POLLIN, 0}, {zap->requests, 0, ZMQ_POLLIN, 0}};
		if (zmq_poll(items, 2, -1) < 0 && errno != EINTR)
			break;
		if (items[0].revents)
			break;
		if (items[1].revents)
			answer(zap);
	}
	return NULL;
}

static void close_zap(struct jk_bus *bus, bool started)
{
	struct bus_zap *zap = bus->zap;
	if (!zap)
		return;
	if (started) {
		zmq_send(bus->stop, "", 0, 0);
		pthread_join(zap->thread, NULL);
	}
	void *sockets[] = {bus->stop, zap->stop, zap->requests};
	for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++) {
		if (sockets[i])
			zmq_close(sockets[i]);
	}
	free(zap);
	bus->zap = NULL;
}

static bool start_zap(struct jk_bus *bus, jk_zap_decide *decide_key, void *arg)
{
	static const char stop_endpoint[] = "inproc://jk-zap-stop";
	struct bus_zap *zap = bus->zap = calloc(1, sizeof *zap);
	if (!zap)
		return false;
	zap->decide = decide_key;
	zap->arg = arg;
	zap->requests = zmq_socket(bus->context, ZMQ_ROUTER);
	zap->stop = zmq_socket(bus->context, ZMQ_PAIR);
	bus->stop = zmq_socket(bus->context, ZMQ_PAIR);
	/* Bound here and not in the thread: no socket can be opened before the door is guarded. */
	if (zap->requests && zap->stop && bus->stop && jk_bus_set(zap->requests, ZMQ_LINGER, 0) &&
		zmq_bind(zap->requests, "inproc://zeromq.zap.01") == 0 && zmq_bind(zap->stop, stop_endpoint) == 0 &&
		zmq_connect(bus->stop, stop_endpoint) == 0 && pthread_create(&zap->thread, NULL, run_zap, zap) == 0)
		return true;
	close_zap(bus, false);
	return false;
}

enum jk_status jk_bus_open(int io_threads, jk_zap_decide *decide_key, void *arg, struct jk_bus **ret_bus)
{
	*ret_bus = NULL;
	/* libzmq takes routing ids and reconnect jitter from rand() and never seeds it. */
	unsigned seed;
	if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		return JK_BROKEN;
	srandom(seed);
	srand(seed);

	struct jk_bus *bus = calloc(1, sizeof *bus);
	if (!bus)
		return JK_BROKEN;
	bus->context = zmq_ctx_new();
	if (!bus->context || zmq_ctx_set(bus->context, ZMQ_IO_THREADS, io_threads) != 0 ||
		zmq_ctx_set(bus->context, ZMQ_MAX_SOCKETS, BUS_SOCKETS_MAX) != 0 ||
		zmq_ctx_set(bus->context, ZMQ_BLOCKY, 0) != 0 || (decide_key && !start_zap(bus, decide_key, arg))) {
		jk_bus_close(&bus);
		return JK_BROKEN;
	}
	*ret_bus = bus;
	return JK_OK;
}

void jk_bus_close(struct jk_bus **bus_p)
{
	struct jk_bus *bus = *bus_p;
	if (!bus)
		return;
	*bus_p = NULL;
	close_zap(bus, true);
	if (bus->context) {
		while (zmq_ctx_term(bus->context) != 0 && errno == EINTR)
			;
	}
	free(bus);
}

struct jk_bus_counts jk_bus_counts(const struct jk_bus *bus)
{
	const struct bus_zap *zap = bus->zap;
	if (!zap)
		return (struct jk_bus_counts){0};
	return (struct jk_bus_counts){
		.allowed = zap->allowed, .later = zap->later, .refused = zap->refused, .revoked = zap->revoked};
}
