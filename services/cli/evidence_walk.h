/* evidence_walk.h: goes through the feed with its signed heads, in the order that common/evidence wants: heads some hundred at a
 * time, then the events that they cover. What comes is given to a sink: a check, or an export. Memory is bounded. */
#pragma once

#include "services/cli/evidence_store_pg.h"

/* As jk_check_… and jk_export_… take them. */
struct evidence_sink {
	void *arg;
	void (*begin)(void *arg, const struct jk_leaf *position, uint64_t head_no);
	void (*end)(void *arg, const struct jk_leaf *position, bool whole);
	void (*head)(void *arg, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count);
	void (*event)(void *arg, const struct evidence_event *event);
};
struct evidence_part {
	const char *const *streams; /* none: all */
	size_t stream_count;
	uint64_t from, to; /* 0: from where the stream begins, to its end */
	bool with_body;
};
/* False: the database refused, see evidence_store_problem; or no memory. */
bool evidence_walk(struct evidence_store *store, const struct evidence_part *part, const struct evidence_sink *sink);
