#include "dispatch_retain_pg.h"

static const struct jk_db_statement remove_events = {
	.name = "dispatch_remove_events",
	.sql = "SELECT removed, more, held, oldest FROM feed.remove($1::int8::integer)",
	.params = 1,
};
static const struct jk_db_statement remove_disclosures = {
	.name = "dispatch_remove_disclosures",
	.sql = "SELECT removed, more, held, oldest FROM dispatch.remove($1::int8::integer)",
	.params = 1,
};
static const struct jk_db_statement remove_heads = {
	.name = "dispatch_remove_heads",
	.sql = "SELECT removed, more, held, oldest FROM evidence.remove($1::int8::integer)",
	.params = 1,
};

const struct jk_retain_kind dispatch_retain_kinds[DISPATCH_RETAIN_KINDS] = {
	{"event", &remove_events},
	{"disclosure", &remove_disclosures},
	{"head", &remove_heads},
};
