/* bus_context.h: the process's ZeroMQ context and its ZAP thread (RFC 27). Own thread, started and proven before any bind,
 * stopped last; czmq's zauth is not used (it stops at SIGTERM and then leaves the door open). Not here: sessions, roles. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/jk_status.h"

/* Answer to one handshake. LATER: the client is left waiting, and comes again by itself after its handshake timer. REVOKED is
 * REFUSE to the client and counted apart: somebody still tries with a key that was good once. */
enum jk_zap_verdict { JK_ZAP_ALLOW = 200, JK_ZAP_LATER = 300, JK_ZAP_REFUSE = 400, JK_ZAP_REVOKED = 401 };
/* Called in the ZAP thread for each CURVE handshake; must be quick and thread-safe. address: "127.0.0.1". */
typedef enum jk_zap_verdict jk_zap_decide(void *arg, const uint8_t curve_public[32], const char *address);

struct jk_bus;

/* Blocks nothing; call with signals blocked (threads inherit the mask). decide NULL: no ZAP thread (clients only).
 * Seeds the process's random(3) and rand(3) from getrandom. io_threads 1 or 2. */
enum jk_status jk_bus_open(int io_threads, jk_zap_decide *decide, void *arg, struct jk_bus **ret_bus) JK_MUST_CHECK;
/* After all sockets are closed. Nulls the pointer. */
void jk_bus_close(struct jk_bus **bus_p);
/* Handshakes answered so far, by verdict; any thread. */
struct jk_bus_counts {
	uint64_t allowed, later, refused, revoked; /* refused: without the revoked ones */
};
struct jk_bus_counts jk_bus_counts(const struct jk_bus *bus);
