#include "services/cli/status_http.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/jk_time.h"

enum { TIMEOUT_MS = 2000, ANSWER_MAX_BYTES = 4 * 1024 * 1024 };

/* One request of HTTP/1.0: the answer ends with the connection, and comes in one piece (RFC 1945). */
struct exchange {
	const char *host, *port;
	int64_t deadline_ms;
	char *reason; /* 200 bytes */
};

static bool fail_exchange(struct exchange *exchange, const char *why)
{
	(void)jk_text_copy(exchange->reason, 200, why);
	return false;
}

/* "http://HOST[:PORT]" into text that is cut in place. */
static bool split_url(char *url, struct exchange *exchange)
{
	char *end;

	if (strncmp(url, "http://", 7) != 0)
		return fail_exchange(exchange, "the address must begin with http://");
	exchange->host = url + 7;
	exchange->port = "80";
	url = url + 7 + strcspn(url + 7, "/");
	*url = '\0';
	end = strrchr(exchange->host, ':');
	if (*exchange->host == '[' && strchr(exchange->host, ']')) {
		exchange->host++;
		end = strchr(exchange->host, ']');
		*end++ = '\0';
	}
	if (end && *end == ':') {
		*end = '\0';
		exchange->port = end + 1;
	}
	return *exchange->host ? true : fail_exchange(exchange, "the address names no host");
}

static bool wait_for(struct exchange *exchange, int fd, short events)
{
	struct pollfd ready = {fd, events, 0};
	int64_t left = exchange->deadline_ms - jk_time_mono_ms();
	int count = left > 0 ? poll(&ready, 1, (int)left) : 0;

	if (count == 0)
		return fail_exchange(exchange, "no answer within 2 s");
	return count > 0 ? true : fail_exchange(exchange, strerror(errno));
}

static int connect_to(struct exchange *exchange, const struct addrinfo *address)
{
	int fd = socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;
	socklen_t size = sizeof error;

	if (fd < 0) {
		(void)fail_exchange(exchange, strerror(errno));
		return -1;
	}
	if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
		return fd;
	if (errno != EINPROGRESS)
		(void)fail_exchange(exchange, strerror(errno));
	else if (wait_for(exchange, fd, POLLOUT) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
		return fd;
	if (error != 0)
		(void)fail_exchange(exchange, strerror(error));
	close(fd);
	return -1;
}

static int open_connection(struct exchange *exchange)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *addresses;
	int fd = -1, error = getaddrinfo(exchange->host, exchange->port, &hints, &addresses);

	if (error != 0) {
		(void)fail_exchange(exchange, gai_strerror(error));
		return -1;
	}
	for (const struct addrinfo *address = addresses; address && fd < 0; address = address->ai_next)
		fd = connect_to(exchange, address);
	freeaddrinfo(addresses);
	return fd;
}

static bool read_answer(struct exchange *exchange, int fd, struct jk_buffer *ret_answer)
{
	char chunk[16384];
	ssize_t got;

	for (;;) {
		if (!wait_for(exchange, fd, POLLIN))
			return false;
		got = recv(fd, chunk, sizeof chunk, 0);
		if (got == 0)
			return true;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return fail_exchange(exchange, strerror(errno));
		if (got > 0)
			jk_buffer_append(ret_answer, chunk, (size_t)got);
		if (ret_answer->failed || ret_answer->size > ANSWER_MAX_BYTES)
			return fail_exchange(exchange, "the answer is too long");
	}
}

/* "HTTP/1.1 200 OK". */
static bool read_status(const char *line, int64_t *ret_status)
{
	char digits[4] = "";

	if (strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12)
		return false;
	memcpy(digits, line + 9, 3);
	return jk_text_to_int64(digits, 100, 599, ret_status);
}

/* HTTP status with the page's text at *ret_text within the answer; 0: no answer, and ret_reason says why. */
static int get_page(const char *url, const char *path, struct jk_buffer *ret_answer, const char **ret_text, char ret_reason[200])
{
	struct exchange exchange = {.deadline_ms = jk_time_mono_ms() + TIMEOUT_MS, .reason = ret_reason};
	char copy[256], request[512];
	int64_t status = 0;
	bool good;
	int fd;

	ret_answer->size = 0;
	if (!jk_text_copy(copy, sizeof copy, url) || !split_url(copy, &exchange) || (fd = open_connection(&exchange)) < 0)
		return 0;
	good = jk_text_format(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, exchange.host) &&
	       send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request) &&
	       read_answer(&exchange, fd, ret_answer);
	close(fd);
	if (!good)
		return 0;
	*ret_text = ret_answer->data ? strstr(ret_answer->data, "\r\n\r\n") : NULL;
	if (!*ret_text || !read_status(ret_answer->data, &status)) {
		(void)fail_exchange(&exchange, "the answer is not HTTP");
		return 0;
	}
	*ret_text += 4;
	return (int)status;
}

/* From the first metric of its own: "jukwaa_intake_reports_total" is intake's. */
static void read_name(struct status_service *service)
{
	static const char *const names[] = {"intake", "dispatch", "cases", "notify"};
	char mark[48];

	for (size_t i = 0; service->metrics.data && i < sizeof names / sizeof names[0]; i++) {
		(void)jk_text_format(mark, sizeof mark, "\njukwaa_%s_", names[i]);
		if (strstr(service->metrics.data, mark))
			(void)jk_text_copy(service->name, sizeof service->name, names[i]);
	}
}

/* "CODE: words" and, on the next line, "for N s". */
static void read_reason(struct status_service *service, const char *text)
{
	size_t code = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), line = strcspn(text, "\r\n");
	const char *next = text + line + strspn(text + line, "\r\n");
	char number[24];

	if (code > 0 && text[code] == ':' && text[code + 1] == ' ') {
		(void)jk_text_format(service->code, sizeof service->code, "%.*s", (int)code, text);
		text += code + 2;
		line -= code + 2;
	}
	(void)jk_text_format(service->reason, sizeof service->reason, "%.*s", (int)line, text);
	if (strncmp(next, "for ", 4) == 0) {
		(void)jk_text_format(number, sizeof number, "%.*s", (int)strspn(next + 4, "0123456789"), next + 4);
		(void)jk_text_to_int64(number, 0, INT64_MAX, &service->for_s);
	}
}

void status_http_ask(struct status_service *service)
{
	struct jk_buffer answer = {0};
	const char *text = "";
	int status = get_page(service->url, "/readyz", &answer, &text, service->reason);

	service->for_s = -1;
	service->ready = status == 0 ? STATUS_UNREACHABLE : status == 200 ? STATUS_READY : STATUS_NOT_READY;
	if (service->ready == STATUS_NOT_READY)
		read_reason(service, text);
	if (service->ready != STATUS_UNREACHABLE && get_page(service->url, "/metrics", &answer, &text, service->reason) == 200) {
		jk_buffer_append(&service->metrics, text, strlen(text));
		read_name(service);
	}
	jk_buffer_done(&answer);
}

void status_http_done(struct status_service *service)
{
	jk_buffer_done(&service->metrics);
}

bool status_http_metric(const struct status_service *service, const char *name, const char *labels, double *ret_sum)
{
	const char *line = service->metrics.data;
	size_t size = strlen(name);
	bool found = false;

	*ret_sum = 0;
	for (; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *end = line + strcspn(line, "\n"), *value;

		if (strncmp(line, name, size) != 0 || (line[size] != ' ' && line[size] != '{'))
			continue;
		if (*labels && !memmem(line, (size_t)(end - line), labels, strlen(labels)))
			continue;
		for (value = end; value > line && value[-1] != ' '; value--)
			;
		*ret_sum += strtod(value, NULL);
		found = true;
	}
	return found;
}
