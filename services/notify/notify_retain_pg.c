#include "notify_retain_pg.h"

static const struct jk_db_statement remove_messages = {
	.name = "notify_remove",
	.sql = "SELECT removed, more, held, oldest FROM notify.remove($1::int8::integer)",
	.params = 1,
};

const struct jk_retain_kind notify_retain_kinds[NOTIFY_RETAIN_KINDS] = {
	{"message", &remove_messages},
};
