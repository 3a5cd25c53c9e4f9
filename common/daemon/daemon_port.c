/* daemon_port.c: what befalls the wire's port, below any session: for /metrics, and a warning while it lasts. */
#include <stdlib.h>

#include "daemon/daemon_internal.h"

enum { LOOK_MS = 1000, WARN_EVERY_MS = 10000 };

/* A counter of ours that follows one of the bus. */
struct follower {
	struct jk_metric *metric;
	uint64_t seen;
};

struct daemon_port {
	struct jk_bus *bus;
	struct jk_router *router;
	struct follower allowed, later, refused, revoked, failed, accept_failed, cut;
	struct jk_metric *exhausted;
};

/* By how much it has grown. */
static uint64_t follow(struct follower *follower, uint64_t total)
{
	uint64_t more = total - follower->seen;

	jk_metric_add(follower->metric, more);
	follower->seen = total;
	return more;
}

static void look(void *arg)
{
	struct daemon_port *port = arg;
	const struct jk_bus_counts zap = jk_bus_counts(port->bus);
	const struct jk_router_counts counts = jk_router_counts(port->router);

	(void)follow(&port->allowed, zap.allowed);
	(void)follow(&port->later, zap.later);
	(void)follow(&port->refused, zap.refused);
	(void)follow(&port->revoked, zap.revoked);
	(void)follow(&port->failed, counts.handshake_failed);
	uint64_t accept_failed = follow(&port->accept_failed, counts.accept_failed);
	uint64_t cut = follow(&port->cut, counts.cut);
	jk_metric_set(port->exhausted, accept_failed > 0);
	if (accept_failed > 0)
		jk_log_limited(WARN_EVERY_MS, JK_LOG_ERROR, "connections_not_accepted", "why=%s effect=%s",
			"descriptors or memory are used up", "nobody new gets in, one processor is busy trying");
	if (cut > 0)
		jk_log_limited(WARN_EVERY_MS, JK_LOG_WARN, "peers_cut", "count=%d why=%s", (int)cut, "a message without end");
}

enum jk_status jk_daemon_watch_port(struct jk_daemon *daemon, struct jk_loop *loop, struct jk_bus *bus, struct jk_router *router)
{
	static const char handshakes[] = "CURVE handshakes, by ZAP's verdict";
	struct daemon_port *port = daemon->port = calloc(1, sizeof *port);

	if (!port)
		return JK_BROKEN;
	port->bus = bus;
	port->router = router;
	port->allowed.metric = jk_metric_counter("jukwaa_port_handshakes_total", "verdict=\"allowed\"", handshakes);
	port->later.metric = jk_metric_counter("jukwaa_port_handshakes_total", "verdict=\"later\"", handshakes);
	port->refused.metric = jk_metric_counter("jukwaa_port_handshakes_total", "verdict=\"refused\"", handshakes);
	port->revoked.metric = jk_metric_counter("jukwaa_port_handshakes_total", "verdict=\"revoked\"", handshakes);
	port->failed.metric =
		jk_metric_counter("jukwaa_port_failed_handshakes_total", "", "connections that ended before they were known");
	port->accept_failed.metric =
		jk_metric_counter("jukwaa_port_accept_failures_total", "", "connections that could not be accepted");
	port->cut.metric = jk_metric_counter("jukwaa_port_cut_total", "", "connections ended because a message had no end");
	port->exhausted = jk_metric_gauge("jukwaa_port_exhausted", "", "1 while connections cannot be accepted");
	return jk_loop_add_timer(loop, LOOK_MS, look, port);
}
