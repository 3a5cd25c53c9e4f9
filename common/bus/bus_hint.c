/* bus_hint.c: the hint is one byte; what has grown is read from the database. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "bus/bus_hint.h"
#include "bus/bus_internal.h"

struct jk_hint_sender {
	void *socket;
};
struct jk_hint_listener {
	void *socket;
};

enum { HINT_MAX_BYTES = 64, HINT_HIGH_WATER = 100, HINT_PATH_MAX_BYTES = 100 };

static void *open_socket(struct jk_bus *bus, int type)
{
	int64_t max_bytes = HINT_MAX_BYTES;
	void *socket = zmq_socket(bus->context, type);
	if (socket && jk_bus_set(socket, ZMQ_LINGER, 0) && jk_bus_set(socket, ZMQ_SNDHWM, HINT_HIGH_WATER) &&
		jk_bus_set(socket, ZMQ_RCVHWM, HINT_HIGH_WATER) && jk_bus_set(socket, ZMQ_HANDSHAKE_IVL, BUS_HANDSHAKE_MS) &&
		zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) == 0)
		return socket;
	if (socket)
		zmq_close(socket);
	return NULL;
}

static bool make_endpoint(char ret[HINT_PATH_MAX_BYTES + 8], const char *path)
{
	return jk_text_format(ret, HINT_PATH_MAX_BYTES + 8, "ipc://%s", path);
}

enum jk_status jk_hint_sender_open(struct jk_bus *bus, const char *path, struct jk_hint_sender **ret)
{
	char endpoint[HINT_PATH_MAX_BYTES + 8];
	struct jk_hint_sender *sender = *ret = calloc(1, sizeof *sender);
	if (sender && make_endpoint(endpoint, path) && (sender->socket = open_socket(bus, ZMQ_PUB)) &&
		zmq_bind(sender->socket, endpoint) == 0)
		return JK_OK;
	jk_hint_sender_close(ret);
	return JK_BROKEN;
}

void jk_hint_sender_close(struct jk_hint_sender **sender_p)
{
	struct jk_hint_sender *sender = *sender_p;
	if (!sender)
		return;
	*sender_p = NULL;
	if (sender->socket)
		zmq_close(sender->socket);
	free(sender);
}

void jk_hint_send(struct jk_hint_sender *sender)
{
	(void)zmq_send(sender->socket, "h", 1, ZMQ_DONTWAIT);
}

static bool connect_each(struct jk_hint_listener *listener, const char *paths, struct jk_refusal *ret_refusal)
{
	static const char between[] = ", ";
	char path[HINT_PATH_MAX_BYTES + 1], endpoint[HINT_PATH_MAX_BYTES + 8];
	for (const char *at = paths + strspn(paths, between); *at; at += strspn(at, between)) {
		size_t size = strcspn(at, between);
		if (size >= sizeof path)
			return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "hint-sockets", "a path is longer than %d bytes",
				HINT_PATH_MAX_BYTES);
		memcpy(path, at, size);
		path[size] = '\0';
		if (!make_endpoint(endpoint, path) || zmq_connect(listener->socket, endpoint) != 0)
			return jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "hint-sockets", "cannot connect to %s", path);
		at += size;
	}
	return true;
}

enum jk_status jk_hint_listener_open(
	struct jk_bus *bus, const char *paths, struct jk_hint_listener **ret, struct jk_refusal *ret_refusal)
{
	struct jk_hint_listener *listener = *ret = calloc(1, sizeof *listener);
	bool good = listener && (listener->socket = open_socket(bus, ZMQ_SUB)) &&
		    jk_bus_set(listener->socket, ZMQ_RECONNECT_IVL, 200) &&
		    zmq_setsockopt(listener->socket, ZMQ_SUBSCRIBE, "", 0) == 0;
	if (!good)
		jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "hint-sockets", "out of memory or sockets");
	else if (connect_each(listener, paths, ret_refusal))
		return JK_OK;
	jk_hint_listener_close(ret);
	return JK_BROKEN;
}

void jk_hint_listener_close(struct jk_hint_listener **listener_p)
{
	struct jk_hint_listener *listener = *listener_p;
	if (!listener)
		return;
	*listener_p = NULL;
	if (listener->socket)
		zmq_close(listener->socket);
	free(listener);
}

void *jk_hint_listener_socket(struct jk_hint_listener *listener)
{
	return listener->socket;
}

bool jk_hint_listener_take(struct jk_hint_listener *listener)
{
	enum { HINTS_A_TURN_MAX = 1000 };
	char byte;
	int taken = 0;
	while (taken < HINTS_A_TURN_MAX && zmq_recv(listener->socket, &byte, sizeof byte, ZMQ_DONTWAIT) >= 0)
		taken++;
	return taken > 0;
}
