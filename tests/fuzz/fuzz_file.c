/* fuzz_file.c: input for readers that take a path. */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

const char *fuzz_file(const uint8_t *bytes, size_t size)
{
	static char path[40];
	static int fd = -1;

	if (fd < 0) {
		fuzz_must((fd = memfd_create("fuzz", MFD_CLOEXEC)) >= 0 && fchmod(fd, 0600) == 0);
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	fuzz_must(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, size, 0) == (ssize_t)size);
	return path;
}
