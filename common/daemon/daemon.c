/* daemon.c: the life of a service process, from its arguments to its last log line. */
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "daemon/daemon_internal.h"

enum { TICK_MS = 250, DRAIN_MAX_MS = 4000, STUCK_MS = 15000 };

/* Threads inherit the mask, so this comes before any of them. SIGPIPE and SIGHUP end nothing. */
static int take_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void free_daemon(struct jk_daemon **daemon_p)
{
	struct jk_daemon *daemon = *daemon_p;
	*daemon_p = NULL;
	jk_daemon_http_stop(daemon);
	if (daemon->signal_fd >= 0)
		close(daemon->signal_fd);
	jk_conf_free(&daemon->conf);
	pthread_mutex_destroy(&daemon->ready_lock);
	free(daemon->port);
	free(daemon);
}

bool jk_daemon_start(int argc, char **argv, const char *service, const struct jk_setting *table, size_t count, void *settings,
	struct jk_daemon **ret_daemon, int *ret_exit)
{
	enum jk_log_level level;
	struct jk_daemon *daemon = *ret_daemon = calloc(1, sizeof *daemon);
	*ret_exit = 1;
	if (!daemon)
		return false;
	daemon->service = service;
	daemon->signal_fd = -1;
	daemon->started_ms = jk_time_mono_ms();
	pthread_mutex_init(&daemon->ready_lock, NULL);
	jk_text_copy(daemon->not_ready_because, sizeof daemon->not_ready_because, "STARTING: starting");
	daemon->not_ready_since_ms = daemon->started_ms;
	if (!jk_daemon_read_options(argc, argv, service, table, count, daemon, settings, ret_exit)) {
		free_daemon(ret_daemon);
		return false;
	}
	if (!jk_log_level_parse(daemon->settings->log_level, &level))
		level = JK_LOG_INFO;
	jk_log_init(service, strcmp(daemon->settings->log_format, "json") == 0, level);
	daemon->signal_fd = take_signals();
	if (daemon->signal_fd < 0) {
		jk_log(JK_LOG_ERROR, "start_failed", "reason=%s", "no signalfd");
		free_daemon(ret_daemon);
		return false;
	}
	jk_log(JK_LOG_INFO, "started", "version=%s pid=%d", JUKWAA_VERSION, (int)getpid());
	return true;
}

static int signal_fd_of(void *arg)
{
	return ((struct jk_daemon *)arg)->signal_fd;
}

static void on_signal(void *arg)
{
	struct jk_daemon *daemon = arg;
	struct signalfd_siginfo info;
	while (read(daemon->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (daemon->stop_by_ms != 0) {
			jk_log(JK_LOG_WARN, "stopping_at_once", "signal=%u", info.ssi_signo);
			jk_loop_stop(daemon->loop);
			continue;
		}
		jk_log(JK_LOG_INFO, "stopping", "signal=%u", info.ssi_signo);
		jk_daemon_notify("STOPPING=1");
		jk_daemon_set_ready(daemon, "STOPPING: stopping");
		daemon->stop_by_ms = jk_time_mono_ms() + DRAIN_MAX_MS;
		daemon->on_stop(daemon->stop_arg);
	}
}

static void on_tick(void *arg)
{
	struct jk_daemon *daemon = arg;
	int64_t now_ms = jk_time_mono_ms();
	daemon->alive_ms = now_ms;
	if (daemon->stop_by_ms != 0 && now_ms >= daemon->stop_by_ms) {
		jk_log(JK_LOG_WARN, "drain_took_too_long", "limit_ms=%d", DRAIN_MAX_MS);
		jk_loop_stop(daemon->loop);
	}
	if (daemon->watchdog_ms != 0 && now_ms >= daemon->next_watchdog_ms) {
		jk_daemon_notify("WATCHDOG=1");
		daemon->next_watchdog_ms = now_ms + daemon->watchdog_ms - TICK_MS;
	}
}

enum jk_status jk_daemon_watch(struct jk_daemon *daemon, struct jk_loop *loop, void (*on_stop)(void *arg), void *arg)
{
	daemon->loop = loop;
	daemon->on_stop = on_stop;
	daemon->stop_arg = arg;
	daemon->watchdog_ms = jk_daemon_watchdog_ms();
	daemon->alive_ms = jk_time_mono_ms();
	if (jk_loop_add_fd(loop, signal_fd_of, NULL, on_signal, daemon) != JK_OK)
		return JK_BROKEN;
	return jk_loop_add_timer(loop, TICK_MS, on_tick, daemon);
}

bool jk_daemon_is_stuck(const struct jk_daemon *daemon)
{
	int64_t alive_ms = daemon->alive_ms;
	return alive_ms != 0 && jk_time_mono_ms() - alive_ms > STUCK_MS;
}

bool jk_daemon_not_ready(struct jk_daemon *daemon, char ret_reason[DAEMON_REASON_BYTES], int64_t *ret_for_ms)
{
	pthread_mutex_lock(&daemon->ready_lock);
	bool ready = daemon->ready;
	*ret_for_ms = jk_time_mono_ms() - daemon->not_ready_since_ms;
	jk_text_copy(ret_reason, DAEMON_REASON_BYTES, daemon->not_ready_because);
	pthread_mutex_unlock(&daemon->ready_lock);
	return !ready;
}

/* The same state told in other words: libpq names other hosts from one attempt to the next. */
static bool is_same_code(const char *one, const char *other)
{
	size_t size = strspn(one, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
	return size > 0 && one[size] == ':' && strncmp(one, other, size + 1) == 0;
}

void jk_daemon_set_ready(struct jk_daemon *daemon, const char *not_ready_because)
{
	bool same = false;
	char message[DAEMON_REASON_BYTES + 32] = "";
	bool ready = not_ready_because[0] == '\0';
	pthread_mutex_lock(&daemon->ready_lock);
	if (ready != daemon->ready || strcmp(daemon->not_ready_because, not_ready_because) != 0) {
		same = is_same_code(not_ready_because, daemon->not_ready_because);
		if (!same)
			daemon->not_ready_since_ms = jk_time_mono_ms();
		jk_text_copy(daemon->not_ready_because, sizeof daemon->not_ready_because, not_ready_because);
		daemon->ready = ready;
		jk_text_format(message, sizeof message, "%sSTATUS=%s", ready && !daemon->told_ready ? "READY=1\n" : "",
			ready ? "ready" : not_ready_because);
		daemon->told_ready = daemon->told_ready || ready;
	}
	pthread_mutex_unlock(&daemon->ready_lock);
	if (!message[0])
		return;
	jk_daemon_notify(message);
	if (ready)
		jk_log(JK_LOG_INFO, "ready", "after_ms=%lld", (long long)(jk_time_mono_ms() - daemon->started_ms));
	else if (same)
		jk_log_limited(10000, JK_LOG_INFO, "not_ready_still", "reason=%s", not_ready_because);
	else
		jk_log(JK_LOG_INFO, "not_ready", "reason=%s", not_ready_because);
}

int jk_daemon_end(struct jk_daemon **daemon_p, int status)
{
	if (!*daemon_p)
		return status;
	int64_t now_ms = jk_time_mono_ms(), stop_ms = (*daemon_p)->stop_by_ms;
	jk_log(JK_LOG_INFO, "ended", "status=%d up_ms=%lld stop_ms=%lld", status, (long long)(now_ms - (*daemon_p)->started_ms),
		(long long)(stop_ms ? now_ms - stop_ms + DRAIN_MAX_MS : 0));
	free_daemon(daemon_p);
	return status;
}
