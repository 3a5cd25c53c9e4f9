/* bus_self_test.c: is the door really shut? CURVE without a working ZAP handler lets everybody in, without a word. */
#include <time.h>

#include "base/jk_time.h"
#include "bus/bus_internal.h"

enum { SELF_TEST_MS = 2000 };

/* Waits until the link is decided, or the time is over. */
static enum jk_link try_door(struct jk_dealer *dealer)
{
	int64_t until_ms = jk_time_mono_ms() + SELF_TEST_MS;
	enum jk_link link = jk_dealer_link(dealer);
	while (link == JK_LINK_CONNECTING && jk_time_mono_ms() < until_ms) {
		const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
		nanosleep(&pause, NULL);
		link = jk_dealer_link(dealer);
	}
	jk_dealer_close(&dealer);
	return link;
}

enum jk_status jk_router_self_test(struct jk_bus *bus, struct jk_router *router, struct jk_refusal *ret_refusal)
{
	const char *endpoint = jk_router_endpoint(router);
	struct jk_dealer *dealer;
	struct jk_key stranger;
	uint8_t server_key[JK_KEY_BYTES];
	size_t size = sizeof server_key;
	if (zmq_getsockopt(jk_router_socket(router), ZMQ_CURVE_PUBLICKEY, server_key, &size) != 0) {
		jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, endpoint, "the port has no CURVE key");
		return JK_BROKEN;
	}
	jk_key_new(&stranger);
	enum jk_status opened = jk_dealer_open(bus, endpoint, server_key, &stranger, &dealer, ret_refusal);
	jk_key_wipe(&stranger);
	if (opened != JK_OK)
		return JK_BROKEN;
	enum jk_link link = try_door(dealer);
	if (link != JK_LINK_REFUSED && link != JK_LINK_LATER) {
		jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, endpoint,
			link == JK_LINK_UP ? "an unknown key was let in" : "an unknown key got no clear refusal");
		return JK_BROKEN;
	}
	if (jk_dealer_open_plain(bus, endpoint, &dealer, ret_refusal) != JK_OK)
		return JK_BROKEN;
	link = try_door(dealer);
	if (link != JK_LINK_WRONG_SERVER) { /* the mechanisms do not fit */
		jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, endpoint,
			link == JK_LINK_UP ? "a client without encryption was let in"
					   : "a client without encryption got no clear refusal");
		return JK_BROKEN;
	}
	return JK_OK;
}
