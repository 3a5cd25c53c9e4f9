/* daemon_notify.c: sd_notify(3) without libsystemd, as its authors advise. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "daemon/daemon_internal.h"

void jk_daemon_notify(const char *message)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!path || (path[0] != '/' && path[0] != '@') || !jk_text_copy(address.sun_path, sizeof address.sun_path, path))
		return;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* abstract */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
	close(fd);
}

int64_t jk_daemon_watchdog_ms(void)
{
	const char *interval = getenv("WATCHDOG_USEC"), *watched = getenv("WATCHDOG_PID");
	int64_t interval_us, pid;
	if (!interval || !jk_text_to_int64(interval, 1, INT64_MAX, &interval_us))
		return 0;
	if (watched && (!jk_text_to_int64(watched, 1, INT64_MAX, &pid) || pid != getpid()))
		return 0;
	int64_t half_ms = interval_us / 2000;
	return half_ms > 0 ? half_ms : 1;
}
