/* The life of a service process: its options, its HTTP port, its readiness, its end by signals. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "daemon/daemon_internal.h"

struct settings {
	struct jk_daemon_settings daemon;
	int64_t window;
	const char *db;
};

static const struct jk_setting table[] = {
	JK_DAEMON_SETTINGS(struct settings, "0"),
	{"test-window", JK_CONF_INT, offsetof(struct settings, window), "64", 1, 1024, false, "messages in flight"},
	{"test-db", JK_CONF_TEXT, offsetof(struct settings, db), "", 0, 0, true, "connection string"},
};
enum { COUNT = sizeof table / sizeof *table, ARGUMENTS_MAX = 8, ANSWER_BYTES = 16384 };

/* Starts with the arguments (NULL-terminated). */
static struct jk_daemon *start(struct settings *settings, int *ret_exit, const char *const *arguments)
{
	char *argv[ARGUMENTS_MAX + 2] = {(char *)"jukwaa-test"};
	int argc = 1;
	struct jk_daemon *daemon;
	for (; arguments[argc - 1]; argc++)
		argv[argc] = (char *)arguments[argc - 1];
	bool started = jk_daemon_start(argc, argv, "test", table, COUNT, settings, &daemon, ret_exit);
	assert_int_equal(started, daemon != NULL);
	return daemon;
}

static void test_options(void **state)
{
	(void)state;
	static const struct {
		const char *arguments[ARGUMENTS_MAX];
		int exit;
	} cases[] = {
		{{"--help"}, 0},
		{{"--version"}, 0},
		{{"--check-config", "--test-window", "5"}, 0},
		{{"--unknown"}, 2},
		{{"stray"}, 2},
		{{"--test-window"}, 2},
		{{"--test-window", "0"}, 2},
		{{"--test-db=password=x"}, 2},
		{{"--log-level", "loud"}, 2},
		{{"--log-format", "xml"}, 2},
		{{"--http-listen", "localhost"}, 2},
		{{"--http-listen", "::1:80"}, 2},
		{{"--http-listen", "127.0.0.1:65536"}, 2},
		{{"--config", "/nowhere"}, 2},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct settings settings = {0};
		int status = -1;
		assert_null(start(&settings, &status, cases[i].arguments));
		assert_int_equal(status, cases[i].exit);
	}
}

static void test_a_value_from_the_command_line(void **state)
{
	(void)state;
	struct settings settings = {0};
	int status;
	const char *arguments[] = {"--test-window=5", "--log-level", "error", NULL};
	struct jk_daemon *daemon = start(&settings, &status, arguments);
	assert_non_null(daemon);
	assert_int_equal(settings.window, 5);
	assert_int_equal(jk_daemon_end(&daemon, 3), 3);
	assert_null(daemon);
}

/* Sends a request as it is and returns the whole answer. */
static const char *ask(struct jk_daemon *daemon, const char *request)
{
	static char answer[ANSWER_BYTES];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	address.sin_port = htons((uint16_t)jk_daemon_http_port(daemon));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	size_t size = 0;
	ssize_t got;
	while ((got = read(fd, answer + size, sizeof answer - 1 - size)) > 0)
		size += (size_t)got;
	answer[size] = '\0';
	close(fd);
	return answer;
}

static const char *get(struct jk_daemon *daemon, const char *method, const char *path)
{
	char request[256];
	snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
	return ask(daemon, request);
}

static void expect(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void test_http(void **state)
{
	(void)state;
	struct settings settings = {0};
	struct jk_refusal refusal = {0};
	int status;
	const char *arguments[] = {"--log-level", "error", NULL};
	struct jk_daemon *daemon = start(&settings, &status, arguments);
	assert_int_equal(jk_daemon_serve_http(daemon, &refusal), JK_OK);
	expect(get(daemon, "GET", "/healthz"), "HTTP/1.1 200");
	expect(get(daemon, "GET", "/readyz"), "HTTP/1.1 503");
	expect(get(daemon, "GET", "/readyz"), "\r\nSTARTING: starting\nfor 0 s\n");
	jk_daemon_set_ready(daemon, "");
	expect(get(daemon, "GET", "/readyz"), "HTTP/1.1 200");
	jk_daemon_set_ready(daemon, "no database");
	expect(get(daemon, "GET", "/readyz"), "no database\nfor 0 s\n");
	jk_daemon_set_ready(daemon, "DATABASE_AWAY: host a");
	usleep(1100 * 1000);                                  /* the time itself is what is tested */
	jk_daemon_set_ready(daemon, "DATABASE_AWAY: host b"); /* the same state in other words goes on */
	expect(get(daemon, "GET", "/readyz"), "DATABASE_AWAY: host b\nfor 1 s\n");
	jk_daemon_set_ready(daemon, "DATABASE_FULL: host b");
	expect(get(daemon, "GET", "/readyz"), "DATABASE_FULL: host b\nfor 0 s\n");
	expect(get(daemon, "GET", "/metrics"), "text/plain; version=0.0.4");
	expect(get(daemon, "GET", "/metrics"), "\njukwaa_up_seconds ");
	expect(get(daemon, "GET", "/metrics"), "\nprocess_resident_memory_bytes ");
	assert_null(strstr(get(daemon, "GET", "/metrics"), "\nprocess_resident_memory_bytes 0\n"));
	expect(get(daemon, "GET", "/metrics/"), "HTTP/1.1 404");
	expect(get(daemon, "GET", "/../etc/passwd"), "HTTP/1.1 404");
	expect(get(daemon, "POST", "/metrics"), "HTTP/1.1 405");
	expect(get(daemon, "HEAD", "/healthz"), "HTTP/1.1 405");
	expect(ask(daemon, "POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"),
		"Allow: GET");
	assert_null(strstr(ask(daemon, "nonsense\r\n\r\n"), "200"));
	expect(get(daemon, "GET", "/healthz"), "HTTP/1.1 200");
	jk_daemon_end(&daemon, 0);
}

static void test_a_taken_http_port_is_said_in_words(void **state)
{
	(void)state;
	struct settings settings = {0}, other = {0};
	struct jk_refusal refusal = {0};
	int status;
	char address[32];
	const char *arguments[] = {"--log-level", "error", NULL};
	struct jk_daemon *daemon = start(&settings, &status, arguments);
	assert_int_equal(jk_daemon_serve_http(daemon, &refusal), JK_OK);
	snprintf(address, sizeof address, "127.0.0.1:%d", jk_daemon_http_port(daemon));
	const char *taken[] = {"--log-level", "error", "--http-listen", address, NULL};
	struct jk_daemon *second = start(&other, &status, taken);
	assert_int_equal(jk_daemon_serve_http(second, &refusal), JK_BROKEN);
	expect(refusal.reason, "in use");
	expect(refusal.reason, address);
	jk_daemon_end(&second, 0);
	jk_daemon_end(&daemon, 0);
}

static void stop_loop(void *arg)
{
	jk_loop_stop(arg);
}

static void drain_for_ever(void *arg)
{
	(void)arg;
}

/* Runs a loop in a process of its own, sends SIGTERM `signals` times, and returns the milliseconds until it ends. */
static int64_t run_and_stop(void (*on_stop)(void *arg), int signals)
{
	int started[2];
	char byte;
	assert_int_equal(pipe(started), 0);
	pid_t child = fork();
	if (child == 0) {
		struct settings settings = {0};
		int status;
		const char *arguments[] = {"--log-level", "error", NULL};
		struct jk_daemon *daemon = start(&settings, &status, arguments);
		struct jk_loop *loop = jk_loop_new();
		if (jk_daemon_watch(daemon, loop, on_stop, loop) != JK_OK || write(started[1], "x", 1) != 1)
			_exit(9);
		jk_loop_run(loop);
		jk_loop_free(&loop);
		_exit(jk_daemon_end(&daemon, 0));
	}
	assert_int_equal(read(started[0], &byte, 1), 1);
	kill(child, SIGHUP); /* ends nothing */
	int64_t start_ms = jk_time_mono_ms();
	int status = -1;
	for (int i = 0; i < signals; i++) {
		kill(child, i == 0 ? SIGTERM : SIGINT);
		usleep(50000);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(started[0]);
	close(started[1]);
	return jk_time_mono_ms() - start_ms;
}

static void test_a_signal_drains_and_a_second_one_ends(void **state)
{
	(void)state;
	assert_true(run_and_stop(stop_loop, 1) < 1000);
	assert_true(run_and_stop(drain_for_ever, 2) < 1000);
	assert_in_range(run_and_stop(drain_for_ever, 1), 3900, 5000);
}

static void test_systemd_is_told(void **state)
{
	(void)state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[64], told[256];
	snprintf(path, sizeof path, "/tmp/jk-notify-%d", (int)getpid());
	jk_text_copy(address.sun_path, sizeof address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	struct settings settings = {0};
	int status;
	const char *arguments[] = {"--log-level", "error", NULL};
	struct jk_daemon *daemon = start(&settings, &status, arguments);
	static const struct {
		const char *reason, *told;
	} cases[] = {{"no database", "STATUS=no database"}, {"", "READY=1\nSTATUS=ready"}, {"no database", "STATUS=no database"},
		{"", "STATUS=ready"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		jk_daemon_set_ready(daemon, cases[i].reason);
		jk_daemon_set_ready(daemon, cases[i].reason); /* unchanged: nothing is sent */
		ssize_t size = recv(fd, told, sizeof told - 1, MSG_DONTWAIT);
		assert_true(size > 0);
		told[size] = '\0';
		assert_string_equal(told, cases[i].told);
		assert_int_equal(recv(fd, told, sizeof told, MSG_DONTWAIT), -1);
	}
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "3000000", 1);
	assert_int_equal(jk_daemon_watchdog_ms(), 1500);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(jk_daemon_watchdog_ms(), 0);
	jk_daemon_end(&daemon, 0);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_a_value_from_the_command_line),
		cmocka_unit_test(test_a_signal_drains_and_a_second_one_ends),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_a_taken_http_port_is_said_in_words),
		cmocka_unit_test(test_systemd_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
