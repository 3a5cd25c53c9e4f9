/* What `jukwaa status` reads from an HTTP port that may be anybody's: two answers, split by a byte 0x1e. The network is replaced
 * at link time (--wrap), so that a run costs no connection. */
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "services/cli/status_http.h"

static struct {
	const uint8_t *at, *end, *answer_end;
} wire;

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret);
void __wrap_freeaddrinfo(struct addrinfo *list);
int __wrap_socket(int family, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_poll(struct pollfd *list, nfds_t count, int timeout_ms);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *ret, size_t capacity, int flags);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
	static struct addrinfo one;

	(void)host;
	(void)port;
	(void)hints;
	*ret = &one;
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

int __wrap_socket(int family, int type, int protocol)
{
	(void)family;
	(void)type;
	(void)protocol;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	const uint8_t *mark = memchr(wire.at, 0x1e, (size_t)(wire.end - wire.at));

	(void)fd;
	(void)address;
	(void)size;
	wire.answer_end = mark ? mark : wire.end;
	return 0;
}

int __wrap_poll(struct pollfd *list, nfds_t count, int timeout_ms)
{
	(void)list;
	(void)timeout_ms;
	return (int)count;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	(void)fd;
	(void)bytes;
	(void)flags;
	return (ssize_t)size;
}

/* In pieces of up to 100 bytes; at an answer's end the mark is passed over. */
ssize_t __wrap_recv(int fd, void *ret, size_t capacity, int flags)
{
	size_t size = (size_t)(wire.answer_end - wire.at);

	(void)fd;
	(void)flags;
	if (size == 0) {
		wire.at += wire.at < wire.end;
		return 0;
	}
	size = size < 100 ? size : 100;
	size = size < capacity ? size : capacity;
	memcpy(ret, wire.at, size);
	wire.at += size;
	return (ssize_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct status_service service = {.url = "http://[::1]:9101/"};
	uint8_t *copy = (uint8_t *)fuzz_text(bytes, size);
	double sum;

	wire.at = copy;
	wire.end = copy + size;
	status_http_ask(&service);
	fuzz_must(strlen(service.name) < sizeof service.name && strlen(service.reason) < sizeof service.reason);
	(void)status_http_metric(&service, "jukwaa_dispatch_desk_lag", "measure=\"events\"", &sum);
	(void)status_http_metric(&service, "jukwaa_intake_reports_total", "", &sum);
	status_http_done(&service);
	free(copy);
	return 0;
}
