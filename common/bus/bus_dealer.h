/* bus_dealer.h: the client side of the wire: a CURVE DEALER with its monitor. One per server. Used from one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_refusal.h"
#include "bus/bus_context.h"
#include "crypt/crypt.h"

struct jk_dealer;

enum jk_link {
	JK_LINK_CONNECTING,   /* nothing heard yet */
	JK_LINK_UP,           /* handshake done */
	JK_LINK_REFUSED,      /* ZAP 400: this key is unknown there; libzmq has given up, open anew much later */
	JK_LINK_LATER,        /* ZAP 300: the service is starting or has no registry yet; it retries */
	JK_LINK_WRONG_SERVER, /* the server has another key than expected, or speaks no CURVE */
	JK_LINK_UNREACHABLE,  /* nobody answers at the address (refused, no route), retrying */
};

struct jk_dealer_message {
	uint16_t kind;
	const uint8_t *body;
	size_t body_size;
	void *held;
};

/* Connects (RECONNECT_IVL 500 ms to 30 s, HANDSHAKE_IVL 2 s, linger 0, no routing id). */
enum jk_status jk_dealer_open(struct jk_bus *bus, const char *endpoint, const uint8_t server_key[32], const struct jk_key *key,
	struct jk_dealer **ret_dealer, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
void jk_dealer_close(struct jk_dealer **dealer_p);
void *jk_dealer_socket(struct jk_dealer *dealer);
/* Reads pending monitor events and says how the link stands; WRONG_SERVER and REFUSED are known within 2 s. */
enum jk_link jk_dealer_link(struct jk_dealer *dealer);
/* Without waiting; JK_RETRY when the link is down or full, JK_BROKEN when the body is over JK_BODY_MAX_BYTES. */
enum jk_status jk_dealer_send(struct jk_dealer *dealer, uint16_t kind, const void *body, size_t size) JK_MUST_CHECK;
/* Waits up to timeout_ms (0: not at all) for a well-formed message; malformed ones are skipped. */
bool jk_dealer_receive(struct jk_dealer *dealer, int timeout_ms, struct jk_dealer_message *ret);
void jk_dealer_release(struct jk_dealer_message *message);
