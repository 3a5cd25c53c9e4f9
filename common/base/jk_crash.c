#include "base/jk_crash.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long passages;

/* wanted: point[/which][:n]; ret_at: n. */
static bool is_wanted(const char *wanted, const char *point, const char *which, long *ret_at)
{
	size_t size = strlen(point);

	if (strncmp(wanted, point, size) != 0)
		return false;
	wanted += size;
	if (*wanted == '/') {
		size = which ? strlen(which) : 0;
		if (size == 0 || strncmp(++wanted, which, size) != 0)
			return false;
		wanted += size;
	}
	*ret_at = *wanted == ':' ? strtol(wanted + 1, NULL, 10) : 1;
	return *wanted == ':' || *wanted == '\0';
}

void jk_crash_pass(const char *point, const char *which)
{
	const char *wanted = getenv("JUKWAA_CRASH_POINT"), *armed = getenv("JUKWAA_CRASH_ARMED");
	long at;

	if (!wanted || !is_wanted(wanted, point, which, &at) || (armed && access(armed, F_OK) != 0))
		return;
	long passage = atomic_fetch_add(&passages, 1) + 1;
	if (passage != at)
		return;
	dprintf(STDERR_FILENO, "crash_point name=%s which=%s passage=%ld\n", point, which ? which : "", passage);
	(void)raise(SIGKILL);
	for (;;)
		(void)pause();
}
