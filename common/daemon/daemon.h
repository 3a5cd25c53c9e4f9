/* daemon.h: what every service process does alike: arguments, signals, readiness, the HTTP port, orderly end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/jk_status.h"
#include "bus/bus_loop.h"
#include "bus/bus_router.h"
#include "conf/conf.h"

struct jk_daemon;

/* Settings every service has; put JK_DAEMON_SETTINGS first in the service's table and this struct first in its own. */
struct jk_daemon_settings {
	const char *http_listen; /* "127.0.0.1:9101"; "" none */
	const char *log_format;  /* "json" or "text" */
	const char *log_level;
};
#define JK_DAEMON_SETTINGS(type, port)                                                                                           \
	{"http-listen", JK_CONF_TEXT, offsetof(type, daemon.http_listen), "127.0.0.1:" port, 0, 0, false,                        \
		"where /healthz, /readyz and /metrics are served; empty: nowhere"},                                              \
		{"log-format", JK_CONF_TEXT, offsetof(type, daemon.log_format), "text", 0, 0, false, "text or json"},            \
	{                                                                                                                        \
		"log-level", JK_CONF_TEXT, offsetof(type, daemon.log_level), "info", 0, 0, false, "debug, info, warn or error"   \
	}

/* Parses --config FILE, --check-config, --version, --help and each setting as --name VALUE (which wins over environment and
 * file; not for secrets); loads settings; starts logging; blocks signals; opens the signalfd. Returns false when the process
 * should end now with *ret_exit (0 after --help; 2 for wrong usage or settings, said on standard error). */
bool jk_daemon_start(int argc, char **argv, const char *service, const struct jk_setting *table, size_t count, void *settings,
	struct jk_daemon **ret_daemon, int *ret_exit);

/* Adds the signalfd to the loop: SIGTERM and SIGINT call on_stop (drain, then jk_loop_stop); the second one, or 4 s, stops
 * the loop whatever happens, so that the process has ended within 5 s. SIGHUP is ignored. */
enum jk_status jk_daemon_watch(
	struct jk_daemon *daemon, struct jk_loop *loop, void (*on_stop)(void *arg), void *arg) JK_MUST_CHECK;
/* Starts the HTTP port (libmicrohttpd, own thread): /healthz, /readyz (503 with the reason while not ready), /metrics. */
enum jk_status jk_daemon_serve_http(struct jk_daemon *daemon, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
/* Metrics jukwaa_port_…: handshakes, connections that could not be accepted (with an error in the log while that lasts), peers
 * cut. Bus and router are borrowed while the loop runs. */
enum jk_status jk_daemon_watch_port(
	struct jk_daemon *daemon, struct jk_loop *loop, struct jk_bus *bus, struct jk_router *router) JK_MUST_CHECK;
/* Readiness for /readyz and sd_notify; reason "" means ready, else "CODE: words for an operator" (CODE of A-Z and _, which stays
 * from release to release; text after it may change while the state is the same). Any thread; cheap when unchanged. */
void jk_daemon_set_ready(struct jk_daemon *daemon, const char *not_ready_because);
/* Logs the end, frees everything. Returns the exit status. */
int jk_daemon_end(struct jk_daemon **daemon_p, int status);
