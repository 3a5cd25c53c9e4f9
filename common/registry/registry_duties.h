/* registry_duties.h: inside this part: rows of who has to answer for what, sorted and bound to their desks. Not here: what comes
 * of an incident (services/dispatch). */
#pragma once

#include "registry/registry_snapshot.h"

/* Of the snapshot, ascending by id. */
struct registry_duty_desks {
	const struct jk_desk *items;
	size_t count;
};
/* As many as there are rows; in the arena, in the order that registry_duty.h says. */
struct registry_duties {
	const struct jk_duty_rule *rules;
	const struct jk_duty_desk *desks;
	const struct jk_escalation *escalations;
};
/* False: the arena is full, or a row names a desk that is not there, said in ret_refusal. Rows of a revoked desk stay. */
bool registry_duties_build(const struct registry_rows *rows, const struct registry_duty_desks *desks, struct jk_arena *arena,
	struct registry_duties *ret, struct jk_refusal *ret_refusal);
