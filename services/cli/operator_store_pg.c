#include "services/cli/operator_store_pg.h"

#include <string.h>

#include "base/jk_text.h"

PGconn *operator_store_connect(const char *conninfo, const char *command)
{
	const char *const keywords[] = {"connect_timeout", "application_name", "dbname", NULL};
	const char *const values[] = {"3", command, conninfo, NULL};

	return PQconnectdbParams(keywords, values, 1);
}

void operator_store_reason(char ret_reason[OPERATOR_REASON_BYTES], const char *message)
{
	(void)jk_text_copy(ret_reason, OPERATOR_REASON_BYTES, message);
	ret_reason[strcspn(ret_reason, "\n")] = '\0';
}
