/* reference.h: the decision once more, written from the words of the agreement and not from common/authz: slow, by sets, without
 * order of questions. For tests alone. */
#pragma once

#include "authz/authz.h"

/* What a recipient gets: nothing, or a set of groups, and under which of the terms (NULL: its own). */
struct reference_answer {
	bool gets;
	bool shown[32]; /* by group; of an answer that gives something */
	const struct jk_term *term;
};
struct reference_answer reference_decide(const struct jk_subject *subject, const struct jk_label *label,
	const struct jk_term *terms, size_t count, int64_t now_us);
