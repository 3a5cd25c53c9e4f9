/* jk_status.h: how a function says that it failed. Not here: refusals (jk_refusal.h), which are values, not failures. */
#pragma once

/* A failure (database, network, memory, file). Every caller must look. */
enum jk_status {
	JK_OK = 0,
	JK_RETRY,  /* temporary: the same call may succeed later */
	JK_BROKEN, /* permanent: it will not succeed by itself */
};

#define JK_MUST_CHECK __attribute__((warn_unused_result))
#define JK_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* "ok", "retry", "broken". */
const char *jk_status_name(enum jk_status status);
