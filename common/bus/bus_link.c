/* bus_link.c: what a client's monitor shows in libzmq 4.3.4 (tried, each against a real peer; times from connect):
 *
 *   all well            CONNECTED, HANDSHAKE_SUCCEEDED
 *   ZAP 400, 500        CONNECTED, HANDSHAKE_FAILED_AUTH(400), DISCONNECTED at once; then silence for ever
 *   no ZAP answer       CONNECTED; nothing until HANDSHAKE_IVL, then FAILED_NO_DETAIL(EAGAIN), DISCONNECTED, next attempt
 *   silent TCP server   the same
 *   ZAP 300             now that, now as with a wrong server key; so jk_bus_open's thread gives no answer instead
 *   wrong server key    CONNECTED, FAILED_NO_DETAIL(EPIPE), DISCONNECTED at once, and again every 0.5 to 1 s
 *   NULL server         CONNECTED, HANDSHAKE_FAILED_PROTOCOL(mechanism mismatch), DISCONNECTED; then silence for ever
 *   no ZMTP (HTTP, …)   CONNECTED, DISCONNECTED, no failure event; then silence for ever
 *   accepts and closes  CONNECTED, FAILED_NO_DETAIL(ECONNRESET), DISCONNECTED, again (a proxy without its service)
 *                       (if it closes with FIN instead of RST, it cannot be told from a wrong key)
 *   port closed         CONNECT_DELAYED, CLOSED, CONNECT_RETRIED, again with growing pauses
 *   packets swallowed   CONNECT_DELAYED, then nothing
 *
 * So a stall is told by our own clock, and a wrong key by a second drop in a row (one may be a server that just died). */
#include <errno.h>

#include "bus/bus_internal.h"

enum { STALLED_MS = 1500, DROPS_OF_A_WRONG_KEY = 2 };

void jk_bus_link_init(struct bus_link *link, int64_t now_ms)
{
	*link = (struct bus_link){.state = JK_LINK_CONNECTING, .since_ms = now_ms};
}

static void on_handshake_failed(struct bus_link *link, uint32_t error, int64_t now_ms)
{
	link->shaken = true;
	if (error == EAGAIN || now_ms - link->since_ms >= STALLED_MS)
		link->state = JK_LINK_LATER;
	else if (error != EPIPE)
		link->state = JK_LINK_UNREACHABLE;
	else if (++link->dropped >= DROPS_OF_A_WRONG_KEY)
		link->state = JK_LINK_WRONG_SERVER;
}

static void on_disconnected(struct bus_link *link, int64_t now_ms)
{
	if (link->state == JK_LINK_UP)
		link->state = JK_LINK_CONNECTING;
	else if (link->connected && !link->shaken)
		link->state = JK_LINK_WRONG_SERVER; /* it talks, but not ZMTP */
	link->connected = false;
	link->since_ms = now_ms;
}

void jk_bus_link_event(struct bus_link *link, uint16_t event, uint32_t value, int64_t now_ms)
{
	switch (event) {
	case ZMQ_EVENT_CONNECTED:
		link->connected = true;
		link->shaken = false;
		link->since_ms = now_ms;
		if (link->state == JK_LINK_UNREACHABLE)
			link->state = JK_LINK_CONNECTING;
		break;
	case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
		link->state = JK_LINK_UP;
		link->shaken = true;
		link->dropped = 0;
		break;
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		link->state = JK_LINK_REFUSED;
		link->shaken = true;
		break;
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		link->state = JK_LINK_WRONG_SERVER;
		link->shaken = true;
		break;
	case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		on_handshake_failed(link, value, now_ms);
		break;
	case ZMQ_EVENT_CLOSED:
		link->state = JK_LINK_UNREACHABLE;
		link->dropped = 0;
		break;
	case ZMQ_EVENT_DISCONNECTED:
		on_disconnected(link, now_ms);
		break;
	default:
		break;
	}
}

enum jk_link jk_bus_link_state(struct bus_link *link, int64_t now_ms)
{
	if (link->state == JK_LINK_CONNECTING && now_ms - link->since_ms >= STALLED_MS)
		link->state = link->connected ? JK_LINK_LATER : JK_LINK_UNREACHABLE;
	return link->state;
}
