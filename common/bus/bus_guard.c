/* bus_guard.c: bounds what peers make libzmq hold. A message whose end never comes is kept by libzmq 4.3.4 without any limit, and
 * whoever reads the socket learns nothing of it: neither high-water mark nor ZMQ_MAXMSGSIZE counts its parts. The kernel knows
 * how many bytes came on each connection, and we how many of them were messages that were read: the rest, from a peer of which
 * nothing was read for a while, is one unfinished message. */
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
	GUARD_ALL_MAX_BYTES = 128 * 1024 * 1024, /* of all peers; beyond it the largest go */
	/* Bytes count that were there, with nothing read of their peer, at so many checks in a row: a slow turn of the loop is
	 * not the peer's fault. */
	GUARD_CHECKS = 3,
	GUARD_SLACK_BYTES = 1024, /* the handshake, or what ZMTP's own commands take between two messages */
};

struct peer {
	_Atomic bool open, fresh; /* by the monitor's thread; fresh: another connection than at the last check */
	/* Of the thread that reads and checks; bytes as the kernel counts them. */
	uint64_t read;                   /* of messages, since the last check */
	uint64_t through;                /* up to there all was read */
	uint64_t seen[GUARD_CHECKS - 1]; /* what had come at the checks before, the last one first */
	uint64_t held;                   /* beyond `through`, and there at all of them */
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
	guard->peers[fd].fresh = true;
	guard->peers[fd].open = true;
	if (fd > guard->highest)
		guard->highest = fd;
}

void jk_bus_guard_closed(struct bus_guard *guard, int fd)
{
	if (fd >= 0 && fd < GUARD_DESCRIPTORS_MAX)
		guard->peers[fd].open = false;
}

void jk_bus_guard_heard(struct bus_guard *guard, int fd, size_t bytes)
{
	if (fd >= 0 && fd < GUARD_DESCRIPTORS_MAX)
		guard->peers[fd].read += bytes;
}

static void start_at(struct peer *peer, uint64_t through)
{
	peer->through = through;
	for (int i = 0; i < GUARD_CHECKS - 1; i++)
		peer->seen[i] = through;
}

/* What came behind the messages that were read may be the start of one without end: it is not forgiven with them, and counts when
 * nothing is read for a while. */
static void note_read(struct peer *peer, uint64_t received)
{
	uint64_t through = peer->through + peer->read + GUARD_SLACK_BYTES;

	start_at(peer, through < received ? through : received);
	peer->read = 0;
}

/* Bytes of an unfinished message; 0 also where there is no such connection any more. */
static uint64_t look_at(struct peer *peer, int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof info;

	if (!peer->open || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
		return 0;
	uint64_t received = info.tcpi_bytes_received;
	if (atomic_exchange(&peer->fresh, false) || received < peer->seen[0])
		start_at(peer, 0); /* what comes before the first check counts too */
	if (peer->read > 0) {
		note_read(peer, received);
		return 0;
	}
	uint64_t held = peer->seen[GUARD_CHECKS - 2] - peer->through;
	memmove(peer->seen + 1, peer->seen, sizeof peer->seen - sizeof *peer->seen);
	peer->seen[0] = received;
	return held;
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

static unsigned cut(struct bus_guard *guard, int fd)
{
	guard->peers[fd].open = false; /* once is enough */
	guard->peers[fd].held = 0;
	return is_ours(guard, fd) && shutdown(fd, SHUT_RDWR) == 0;
}

/* Until the rest is within what all may hold: those over half of what one may, then those over a quarter, and so on. There is no
 * size below which they are let be: a thousand small ones are as much as one that is large. */
static unsigned cut_largest(struct bus_guard *guard, uint64_t all_bytes)
{
	unsigned count = 0;

	for (uint64_t over = GUARD_PEER_MAX_BYTES / 2; all_bytes > GUARD_ALL_MAX_BYTES && over > 0; over /= 2) {
		for (int fd = 0; fd <= guard->highest && all_bytes > GUARD_ALL_MAX_BYTES; fd++) {
			uint64_t held = guard->peers[fd].held;
			if (held <= over)
				continue;
			all_bytes -= held;
			count += cut(guard, fd);
		}
	}
	return count;
}

unsigned jk_bus_guard_check(struct bus_guard *guard)
{
	uint64_t all_bytes = 0;
	unsigned count = 0;

	for (int fd = 0; fd <= guard->highest; fd++) {
		guard->peers[fd].held = look_at(&guard->peers[fd], fd);
		if (guard->peers[fd].held > GUARD_PEER_MAX_BYTES)
			count += cut(guard, fd);
		all_bytes += guard->peers[fd].held;
	}
	return count + cut_largest(guard, all_bytes);
}
