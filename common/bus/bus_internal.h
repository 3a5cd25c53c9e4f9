/* bus_internal.h: what the files of this folder share. */
#pragma once

#include <stdatomic.h>
#include <zmq.h>

#include "bus/bus_dealer.h"
#include "bus/bus_router.h"
#include "wire/wire_frame.h"

/* Draft in 4.3.4 and therefore not in Debian's header; Debian's library honours it. Every use checks the result. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

enum {
	BUS_CURVE_BYTES = 33, /* what CURVE adds to a frame; ZMQ_MAXMSGSIZE counts it */
	BUS_FRAME_MAX_BYTES = 2 * 1024 * 1024 + 4096 + BUS_CURVE_BYTES,
	BUS_HANDSHAKE_MS = 2000,
	BUS_HANDSHAKE_SERVER_MS = 3000, /* longer, so that a stalled client ends it by its own timer and knows why */
	BUS_SOCKETS_MAX = 4096,         /* a dealer takes three */
	BUS_HIGH_WATER_MESSAGES = 20000,
	/* To one peer of a ROUTER, which may leave them unread for ever. Sixteen times the largest window: whoever keeps to its
	 * window never meets it, and what others lose by it they ask for again. */
	BUS_PEER_WAITING_MESSAGES = 4096,
	BUS_DRAIN_FRAMES_MAX = 4096, /* of one malformed message, in one turn */
	BUS_MALFORMED_A_TURN_MAX = 256,
};
static const char bus_zap_domain[] = "jukwaa";

struct jk_bus {
	void *context;
	void *stop; /* PAIR to the ZAP thread; NULL without one */
	struct bus_zap *zap;
	_Atomic uint64_t next_name; /* for inproc endpoints */
};

/* One option of a socket; false also when this library does not know it. */
bool jk_bus_set(void *socket, int option, int value);
/* What both ends of the wire have in common: sizes, IPv6, keepalive, no linger, no heartbeats. */
bool jk_bus_set_wire(void *socket);
/* An own monitor of `events` on `socket`; NULL on failure. high_water 0: none. */
void *jk_bus_monitor(struct jk_bus *bus, void *socket, int events, int high_water);
/* Next monitor event without waiting unless `wait`; false when there is none. */
bool jk_bus_monitor_next(void *monitor, bool wait, uint16_t *ret_event, uint32_t *ret_value);
/* Receives and drops the rest of a message, at most BUS_DRAIN_FRAMES_MAX frames; true when its end was reached. */
bool jk_bus_drain(void *socket);
/* Sends header and body after whatever was sent before; without waiting. */
bool jk_bus_send_framed(void *socket, uint16_t kind, const void *body, size_t size);

/* bus_guard.c: watches the connections of one ROUTER, by descriptor. accepted and closed: from the monitor's thread. */
struct bus_guard;
struct bus_guard *jk_bus_guard_new(void);
void jk_bus_guard_free(struct bus_guard **guard_p);
/* Once it is bound: "tcp://127.0.0.1:7101". */
void jk_bus_guard_bound(struct bus_guard *guard, const char *endpoint);
void jk_bus_guard_accepted(struct bus_guard *guard, int fd);
void jk_bus_guard_closed(struct bus_guard *guard, int fd);
/* A whole message of so many bytes, as they came over the wire, was read. From the thread that checks. */
void jk_bus_guard_heard(struct bus_guard *guard, int fd, size_t bytes);
/* Cuts those that hold an endless message, and the largest where all together hold too much; how many. Every 100 ms. */
unsigned jk_bus_guard_check(struct bus_guard *guard);

/* As jk_dealer_open without CURVE, for the self test. */
enum jk_status jk_dealer_open_plain(
	struct jk_bus *bus, const char *endpoint, struct jk_dealer **ret_dealer, struct jk_refusal *ret_refusal) JK_MUST_CHECK;

/* bus_link.c: reads the link's state from the monitor of a connecting socket. */
struct bus_link {
	enum jk_link state;
	bool connected, shaken; /* TCP is up; the handshake of this connection has ended, well or badly */
	int dropped;            /* connections in a row that the server closed in the middle of the handshake */
	int64_t since_ms;       /* of the present attempt, or of the TCP connection */
};
void jk_bus_link_init(struct bus_link *link, int64_t now_ms);
void jk_bus_link_event(struct bus_link *link, uint16_t event, uint32_t value, int64_t now_ms);
enum jk_link jk_bus_link_state(struct bus_link *link, int64_t now_ms);
