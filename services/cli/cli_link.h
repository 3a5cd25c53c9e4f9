/* cli_link.h: from the settings to a connection, and from libjukwaa's statuses to exit statuses and sentences. */
#pragma once

#include "jukwaa/client.h"
#include "services/cli/cli.h"

/* setting: "JUKWAA_INTAKE", used unless --endpoint was given. False: something is missing, and it has been said. */
bool cli_link_connection(const struct cli *cli, const char *setting, struct jukwaa_connection *ret_connection);
/* Says what went wrong and what to do next. Returns the exit status. */
int cli_link_fail(
	const struct jukwaa_connection *connection, int status, const char *code, const char *field, const char *reason);
