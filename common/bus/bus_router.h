/* bus_router.h: the service side of the wire: a CURVE ROUTER that receives and sends framed messages. Identity is the CURVE
 * key that ZAP confirmed, read from the payload frame's User-Id (the routing id's frame has none in libzmq 4.3.4). Not here:
 * sessions and roles (session/session.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_refusal.h"
#include "bus/bus_context.h"
#include "crypt/crypt.h"

struct jk_router;

/* A peer's transport address within this process's life. Never stored, never logged. */
struct jk_route {
	uint8_t size;
	uint8_t bytes[31]; /* longer routing ids are dropped and counted: our clients set none */
};

/* One received message; borrowed until jk_router_release. */
struct jk_received {
	struct jk_route route;
	uint8_t curve_key[32];
	uint16_t kind;
	bool other_version; /* header of another protocol version; kind and body are not set */
	const uint8_t *body;
	size_t body_size;
	void *held; /* of the router */
};

struct jk_router_counts {
	uint64_t received, sent, malformed, no_identity, unreachable, full, handshake_failed, accept_failed;
	uint64_t cut; /* connections ended because messages had no end */
};

/* Binds `endpoint` ("tcp://127.0.0.1:7101"; "tcp://127.0.0.1:*" picks a port) with domain "jukwaa" enforced (option 93),
 * MAXMSGSIZE 2 MiB + 4 KiB, HANDSHAKE_IVL 3 s, ROUTER_MANDATORY, linger 0, high-water marks of 20,000 messages in and 4,096 out
 * (of each peer), TCP keepalive. Drains its own monitor in a thread of its own. JK_BROKEN with a sentence when the endpoint is
 * taken or malformed. */
enum jk_status jk_router_open(struct jk_bus *bus, const char *endpoint, const struct jk_key *key, struct jk_router **ret_router,
	struct jk_refusal *ret_refusal) JK_MUST_CHECK;
void jk_router_close(struct jk_router **router_p);
/* What it bound, with the real port. */
const char *jk_router_endpoint(const struct jk_router *router);
void *jk_router_socket(struct jk_router *router);

/* Proves the door is shut: connects with a fresh unknown key, and with no CURVE at all, and expects to be refused both times
 * within 2 s. JK_BROKEN: someone got in; the caller must stop. */
enum jk_status jk_router_self_test(struct jk_bus *bus, struct jk_router *router, struct jk_refusal *ret_refusal) JK_MUST_CHECK;

/* Next well-formed message without waiting; false when there is none. Malformed ones are dropped and counted inside. */
bool jk_router_receive(struct jk_router *router, struct jk_received *ret);
void jk_router_release(struct jk_received *received);

/* Without waiting. JK_RETRY: the peer's pipe is full (keep it, try later); JK_BROKEN: the peer is gone, or the body
 * is over JK_BODY_MAX_BYTES. */
enum jk_status jk_router_send(
	struct jk_router *router, const struct jk_route *route, uint16_t kind, const void *body, size_t size) JK_MUST_CHECK;
/* Best effort: cuts the TCP connection the message came in on (revoked keys). Only within the handling of a message. */
void jk_router_cut(struct jk_router *router, const struct jk_received *received);
/* Ends connections whose peers send a message without end, which libzmq would keep without limit: of one peer over 8 MiB, and the
 * largest where those of all peers are over 128 MiB. Call every 100 ms; a peer that is cut in time holds that and what it can
 * send in half a second. */
enum { JK_ROUTER_GUARD_MS = 100 };
void jk_router_guard(struct jk_router *router);
struct jk_router_counts jk_router_counts(const struct jk_router *router);
