/* daemon_http.c: the small HTTP port. libmicrohttpd 0.9.75 parses leniently, so nothing but three fixed paths is read from a
 * request, and no body. */
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "daemon/daemon_internal.h"

/* Enough that a few dozen stalled clients do not keep whoever supervises the service out. */
enum { HTTP_CONNECTIONS_MAX = 64, HTTP_TIMEOUT_S = 5, HTTP_MEMORY_BYTES = 8 * 1024 };

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, const char *type, const char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET");
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result respond_plain(struct MHD_Connection *connection, unsigned status, const char *text)
{
	return respond(connection, status, "text/plain; charset=utf-8", text);
}

/* The second number of /proc/self/statm, in pages. */
static int64_t resident_bytes(void)
{
	char line[128] = "";
	int64_t pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file)
		return 0;
	char *resident = fgets(line, sizeof line, file) ? strchr(line, ' ') : NULL;
	if (resident)
		resident[1 + strcspn(resident + 1, " \n")] = '\0';
	if (!resident || !jk_text_to_int64(resident + 1, 0, INT32_MAX, &pages))
		pages = 0;
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

static enum MHD_Result respond_metrics(struct jk_daemon *daemon, struct MHD_Connection *connection)
{
	jk_metric_set(daemon->up_seconds, (jk_time_mono_ms() - daemon->started_ms) / 1000);
	jk_metric_set(daemon->memory_bytes, resident_bytes());
	char *text = jk_metrics_text();
	if (!text)
		return MHD_NO;
	enum MHD_Result result = respond(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text);
	free(text);
	return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *upload, size_t *upload_size, void **request)
{
	struct jk_daemon *daemon = arg;
	char text[DAEMON_REASON_BYTES];
	int64_t for_ms;
	(void)version;
	(void)upload;
	(void)upload_size;
	(void)request;
	if (strcmp(path, "/healthz") != 0 && strcmp(path, "/readyz") != 0 && strcmp(path, "/metrics") != 0)
		return respond_plain(connection, MHD_HTTP_NOT_FOUND, "not found\n");
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return respond_plain(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
	if (strcmp(path, "/metrics") == 0)
		return respond_metrics(daemon, connection);
	if (strcmp(path, "/healthz") == 0) {
		if (jk_daemon_is_stuck(daemon))
			return respond_plain(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the main loop does not turn\n");
		return respond_plain(connection, MHD_HTTP_OK, "ok\n");
	}
	if (jk_daemon_not_ready(daemon, text, &for_ms)) {
		char line[DAEMON_REASON_BYTES + 40];
		jk_text_format(line, sizeof line, "%s\nfor %lld s\n", text, (long long)(for_ms / 1000));
		return respond_plain(connection, MHD_HTTP_SERVICE_UNAVAILABLE, line);
	}
	return respond_plain(connection, MHD_HTTP_OK, "ready\n");
}

static void be_silent(void *arg, const char *format, va_list arguments)
{
	(void)arg;
	(void)format;
	(void)arguments;
}

/* Listens on the address; -1 with errno. MHD is given a ready socket, which shows errors better than its own attempt. */
static int listen_on(const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *addresses = NULL;
	if (getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, port, &hints, &addresses) != 0) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	const int yes = 1;
	int fd = socket(addresses->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 &&
		(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
			bind(fd, addresses->ai_addr, addresses->ai_addrlen) != 0 || listen(fd, HTTP_CONNECTIONS_MAX) != 0)) {
		int error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	freeaddrinfo(addresses);
	return fd;
}

enum jk_status jk_daemon_serve_http(struct jk_daemon *daemon, struct jk_refusal *ret_refusal)
{
	char host[64], port[8];
	const char *address = daemon->settings->http_listen;
	if (!address[0])
		return JK_OK;
	int fd = jk_daemon_split_address(address, host, port) ? listen_on(host, port) : -1;
	if (fd < 0) {
		jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "http-listen", "cannot listen on %s: %s", address, strerror(errno));
		return JK_BROKEN;
	}
	daemon->up_seconds = jk_metric_gauge("jukwaa_up_seconds", "", "Seconds since this process started.");
	daemon->memory_bytes = jk_metric_gauge("process_resident_memory_bytes", "", "Resident memory size in bytes.");
	daemon->http = MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, daemon,
		MHD_OPTION_EXTERNAL_LOGGER, be_silent, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY_BYTES, MHD_OPTION_END);
	if (!daemon->http) {
		close(fd);
		jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "http-listen", "cannot serve HTTP on %s", address);
		return JK_BROKEN;
	}
	jk_log(JK_LOG_INFO, "http_listening", "address=%s port=%d", host, jk_daemon_http_port(daemon));
	return JK_OK;
}

int jk_daemon_http_port(const struct jk_daemon *daemon)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon->http, MHD_DAEMON_INFO_LISTEN_FD);
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	char port[8];
	int64_t number;
	if (info && getsockname(info->listen_fd, (struct sockaddr *)&address, &size) == 0 &&
		getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof port, NI_NUMERICSERV) == 0 &&
		jk_text_to_int64(port, 0, 65535, &number))
		return (int)number;
	return 0;
}

void jk_daemon_http_stop(struct jk_daemon *daemon)
{
	if (daemon->http)
		MHD_stop_daemon(daemon->http);
	daemon->http = NULL;
}
