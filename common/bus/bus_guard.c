/* bus_guard.c: bounds what peers make libzmq hold. A message whose end never comes is kept by libzmq 4.3.4 without any limit, and
 * whoever reads the socket learns nothing of it: neither high-water mark nor ZMQ_MAXMSGSIZE counts its parts. The kernel knows
 * how many bytes came on each connection, and each message that is read proves that the one before it had an end: so what came
 * since, from a peer of which nothing was read for a while, is one unfinished message. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/jk_text.h"
#include "bus/bus_internal.h"

enum {
	GUARD_DESCRIPTORS_MAX = 65536,
	GUARD_PEER_MAX_BYTES = 8 * 1024 * 1024,  /* a message is two frames of at most 2 MiB */
	GUARD_ALL_MAX_BYTES = 128 * 1024 * 1024, /* of all peers; beyond it, those over GUARD_LARGE_BYTES go */
	GUARD_LARGE_BYTES = 1024 * 1024,
	GUARD_SILENT_CHECKS = 3, /* in a row: a slow turn of the loop is not the peer's fault */
};

struct peer {
	_Atomic bool open;        /* by the monitor's thread */
	_Atomic bool heard;       /* a message was read since the last check */
	_Atomic uint64_t through; /* bytes of the connection up to which every message had an end */
	unsigned silent;          /* checks in a row in which a large one had no end */
};

struct bus_guard {
	int port; /* ours; 0 before it is known */
	_Atomic int highest;
	struct peer peers[GUARD_DESCRIPTORS_MAX];
};

struct bus_guard *jk_bus_guard_new(void)
{
	return calloc(1, sizeof(struct bus_guard)); /* pages are touched as descriptors are used */
}

void jk_bus_guard_free(struct bus_guard **guard_p)
{
	free(*guard_p);
	*guard_p = NULL;
}

void jk_bus_guard_accepted(struct bus_guard *guard, int fd)
{
	if (fd < 0 || fd >= GUARD_DESCRIPTORS_MAX)
		return;
	guard->peers[fd].through = 0;
	guard->peers[fd].heard = true;
	guard->peers[fd].open = true;
	if (fd > guard->highest)
		guard->highest = fd;
}

void jk_bus_guard_closed(struct bus_guard *guard, int fd)
{
	if (fd >= 0 && fd < GUARD_DESCRIPTORS_MAX)
		guard->peers[fd].open = false;
}

void jk_bus_guard_heard(struct bus_guard *guard, int fd)
{
	if (fd >= 0 && fd < GUARD_DESCRIPTORS_MAX)
		guard->peers[fd].heard = true;
}

/* Bytes of an unfinished message; 0 also where there is no such connection any more. */
static uint64_t look_at(struct peer *peer, int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof info;

	if (!peer->open || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
		return 0;
	uint64_t received = info.tcpi_bytes_received;
	if (peer->heard || received < peer->through) {
		peer->heard = false;
		peer->through = received;
	}
	peer->silent = received - peer->through > GUARD_LARGE_BYTES ? peer->silent + 1 : 0;
	return peer->silent >= GUARD_SILENT_CHECKS ? received - peer->through : 0;
}

void jk_bus_guard_bound(struct bus_guard *guard, const char *endpoint)
{
	const char *colon = strrchr(endpoint, ':');
	int64_t port;

	if (colon && jk_text_to_int64(colon + 1, 1, 65535, &port))
		guard->port = (int)port;
}

/* A descriptor whose end the monitor did not tell may be another connection's by now, the database's even. */
static bool is_ours(const struct bus_guard *guard, int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof address;

	if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		return false;
	if (address.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port) == guard->port;
	return address.ss_family == AF_INET &&
	       ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port) == guard->port;
}

static unsigned cut_over(struct bus_guard *guard, uint64_t max_bytes, uint64_t *ret_all_bytes)
{
	unsigned cut = 0;

	*ret_all_bytes = 0;
	for (int fd = 0; fd <= guard->highest; fd++) {
		uint64_t held = look_at(&guard->peers[fd], fd);
		if (held <= max_bytes) {
			*ret_all_bytes += held;
			continue;
		}
		guard->peers[fd].open = false; /* once is enough */
		cut += is_ours(guard, fd) && shutdown(fd, SHUT_RDWR) == 0;
	}
	return cut;
}

unsigned jk_bus_guard_check(struct bus_guard *guard)
{
	uint64_t all_bytes;
	unsigned cut = cut_over(guard, GUARD_PEER_MAX_BYTES, &all_bytes);

	if (all_bytes > GUARD_ALL_MAX_BYTES)
		cut += cut_over(guard, GUARD_LARGE_BYTES, &all_bytes);
	return cut;
}
