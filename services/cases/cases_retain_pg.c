#include "cases_retain_pg.h"

static const struct jk_db_statement remove_access = {
	.name = "cases_remove_access",
	.sql = "SELECT removed, more, held, oldest FROM cases.remove_access($1::int8::integer)",
	.params = 1,
};

const struct jk_retain_kind cases_retain_kinds[CASES_RETAIN_KINDS] = {
	{"access", &remove_access},
};
