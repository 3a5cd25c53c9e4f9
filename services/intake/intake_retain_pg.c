#include "services/intake/intake_retain_pg.h"

static const struct jk_db_statement remove_reports = {
	.name = "intake_remove_reports",
	.sql = "SELECT removed, more, held, oldest FROM intake.remove_reports($1::int8::integer)",
	.params = 1,
};
static const struct jk_db_statement remove_keys = {
	.name = "intake_remove_keys",
	.sql = "SELECT removed, more, held, oldest FROM intake.remove_keys($1::int8::integer)",
	.params = 1,
};

static const struct jk_db_statement remove_protected = {
	.name = "intake_remove_protected",
	.sql = "SELECT removed, more, held, oldest FROM intake.remove_protected($1::int8::integer)",
	.params = 1,
};

const struct jk_retain_kind intake_retain_kinds[INTAKE_RETAIN_KINDS] = {
	{"report", &remove_reports},
	{"dedup", &remove_keys},
	{"protected", &remove_protected},
};
