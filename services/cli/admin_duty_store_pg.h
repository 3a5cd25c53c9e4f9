/* admin_duty_store_pg.h: all SQL of `jukwaa admin duty`, as numbered statements with text parameters. Blocks. */
#pragma once

#include "services/cli/admin_store_pg.h"

/* Parameters that are not given are NULL: any, or as it was. An ADD answers what it came to and the row's id: added, changed, or
 * unchanged. */
enum duty_statement {
	DUTY_RULE_ADD,        /* discipline, categories (bits), severity, urgency, county, answer, again, rank -> done, rule_id */
	DUTY_RULE_LIST,       /* removed ones too? */
	DUTY_RULE_REMOVE,     /* rule_id -> done */
	DUTY_DESK_ADD,        /* county, discipline, desk, rank (NULL: behind those that are there) -> done, rank */
	DUTY_DESK_LIST,       /* removed ones too?, county, discipline */
	DUTY_DESK_REMOVE,     /* county, discipline, desk -> done */
	DUTY_ESCALATION_ADD,  /* role, severity, county, after, again, desk -> done, escalation_id */
	DUTY_ESCALATION_LIST, /* removed ones too? */
	DUTY_ESCALATION_REMOVE, /* escalation_id -> done */
	DUTY_SHOW_COUNTY,       /* county -> its name; nothing where there is no such county */
	DUTY_SHOW_RULES,        /* county; those that count there, in their order */
	DUTY_SHOW_DESKS,        /* county; in the order they are asked, those of the counties around it last */
	DUTY_SHOW_ESCALATIONS,  /* county */
	DUTY_STATEMENTS
};

/* As admin_store_run. */
struct admin_rows *duty_store_run(
	struct admin_store *store, enum duty_statement statement, const char *const *params, int count, int *ret_status);
