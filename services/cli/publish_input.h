/* publish_input.h: files to reports: which format a file has, and where one report ends and the next begins. Not here:
 * sending; what is wrong with a report. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/jk_refusal.h"

enum { PUBLISH_PAYLOAD_MAX_BYTES = 2 * 1024 * 1024 };

/* One report of a file. refusal.code set: it could not be made (a CSV row) or is too large; there is no payload then. */
struct publish_item {
	const char *file;
	const char *format; /* as libjukwaa names it */
	const void *payload;
	size_t payload_size;
	char external_id[128]; /* where it is known before sending (CSV); else "" */
	struct jk_refusal refusal;
};
/* Returns false to stop. */
typedef bool publish_take(void *arg, const struct publish_item *item);

struct publish_options {
	const char *format;   /* NULL: guess */
	const char *map_file; /* of CSV */
};
enum publish_result {
	PUBLISH_READ,       /* all reports were handed on */
	PUBLISH_STOPPED,    /* take said so */
	PUBLISH_UNREADABLE, /* the file, or its format is not known; ret_refusal says why */
	PUBLISH_NO_MAP,     /* CSV without a mapping file, or with a wrong one; ret_refusal says what to do */
};
/* path: "-" is standard input. */
enum publish_result publish_read_file(
	const char *path, const struct publish_options *options, publish_take *take, void *arg, struct jk_refusal *ret_refusal);
