/* jk_crash.h: named places where a test may end the process as a power cut would. They exist only in builds with the CMake
 * option JUKWAA_CRASH_POINTS (tests/fault makes one); in every other build the macro leaves nothing behind.
 *
 * JUKWAA_CRASH_POINT=point[/which][:n]  die with SIGKILL at the n-th passage (default 1); without /which any counts
 * JUKWAA_CRASH_ARMED=FILE               count only while FILE is there; without it always
 *
 * Points with a `which`: db_before_sync and db_after_sync, named after the last statement of the job. May be passed by several
 * threads. The arguments of the macro must have no side effects. */
#pragma once

#ifdef JUKWAA_CRASH_POINTS
/* which: a name within the point, or NULL. Does not return when the process is to die here. */
void jk_crash_pass(const char *point, const char *which);
#define JK_CRASH_POINT(point, which) jk_crash_pass((point), (which))
#else
#define JK_CRASH_POINT(point, which) ((void)0)
#endif
