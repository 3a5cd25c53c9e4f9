/* daemon_internal.h: one service process, for the files of this folder. */
#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/jk_log.h"
#include "daemon/daemon.h"
#include "daemon/metrics.h"

struct MHD_Daemon;
struct daemon_port;

enum { DAEMON_REASON_BYTES = 200 };

struct jk_daemon {
	const char *service;
	struct jk_conf *conf;
	const struct jk_daemon_settings *settings;
	int signal_fd;
	struct jk_loop *loop;
	void (*on_stop)(void *arg);
	void *stop_arg;
	int64_t started_ms, stop_by_ms; /* stop_by_ms 0: nobody asked to stop */
	_Atomic int64_t alive_ms;       /* the loop's last tick; 0 before jk_daemon_watch */
	int64_t watchdog_ms, next_watchdog_ms;
	struct MHD_Daemon *http;
	struct daemon_port *port; /* daemon_port.c; NULL without one */
	struct jk_metric *up_seconds, *memory_bytes;
	pthread_mutex_t ready_lock;
	bool ready, told_ready; /* told_ready: READY=1 has been sent */
	char not_ready_because[DAEMON_REASON_BYTES];
	int64_t not_ready_since_ms; /* the same reason (its code, where it has one) */
};

/* daemon_options.c: reads the command line and loads the settings. Returns false when the process should end. */
bool jk_daemon_read_options(int argc, char **argv, const char *service, const struct jk_setting *table, size_t count,
	struct jk_daemon *daemon, void *settings, int *ret_exit);
/* "127.0.0.1:9101", "[::1]:9101", "*:9101" -> host and port; false when malformed. */
bool jk_daemon_split_address(const char *address, char ret_host[64], char ret_port[8]);

void jk_daemon_http_stop(struct jk_daemon *daemon);
/* The actual port, for "…:0". */
int jk_daemon_http_port(const struct jk_daemon *daemon);
/* Copies the reason, and for how long it has been so, and returns true while not ready. */
bool jk_daemon_not_ready(struct jk_daemon *daemon, char ret_reason[DAEMON_REASON_BYTES], int64_t *ret_for_ms);
/* The loop has not turned for so long that it must be stuck. */
bool jk_daemon_is_stuck(const struct jk_daemon *daemon);

/* daemon_notify.c: sd_notify(3): a datagram to $NOTIFY_SOCKET, nothing without it. */
void jk_daemon_notify(const char *message);
/* Half of $WATCHDOG_USEC in milliseconds; 0 when systemd does not watch this process. */
int64_t jk_daemon_watchdog_ms(void);
