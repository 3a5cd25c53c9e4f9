#include "services/cli/cli_link.h"

#include <string.h>

bool cli_link_connection(const struct cli *cli, const char *setting, struct jukwaa_connection *ret_connection)
{
	const char *endpoint = cli->endpoint ? cli->endpoint : cli_setting(setting);
	char next[128];

	if (!endpoint) {
		(void)jk_text_format(next, sizeof next, "--endpoint tcp://HOST:PORT, or set %s", setting);
		cli_fail(CLI_USAGE, next, "do not know where the service is");
		return false;
	}
	if (!cli->key_file) {
		cli_fail(CLI_USAGE, "--key FILE, or set JUKWAA_KEY (jukwaa key new makes one)",
			"do not know which key to act with");
		return false;
	}
	if (!cli->server_key) {
		cli_fail(CLI_USAGE, "--server-key FILE.pub, or set JUKWAA_SERVER_KEY (the operator has it)",
			"do not know the server's key, so its answers could be anybody's");
		return false;
	}
	*ret_connection = (struct jukwaa_connection){
		.endpoint = endpoint,
		.server_key = cli->server_key,
		.key_file = cli->key_file,
		.client = "jukwaa",
		.realm = cli_setting("JUKWAA_REALM"),
	};
	return true;
}

static int fail_refused(const char *code, const char *field, const char *reason)
{
	bool forbidden = strcmp(code, "NOT_PERMITTED") == 0 || strcmp(code, "REVOKED") == 0;
	const char *next = NULL;

	if (strcmp(code, "WRONG_REALM") == 0)
		next = "a key and an endpoint of the same realm (JUKWAA_REALM, jukwaa admin key list)";
	else if (strcmp(field, "positions") == 0 || strcmp(field, "cursor") == 0)
		next = "a token or cursor goes on for the desk and filter it was made with only: another name, or --from "
		       "beginning";
	else if (strcmp(code, "RESYNC") == 0)
		next = "start again with --from beginning (and move the resume file away), or from now";
	else if (forbidden)
		next = "a key with the right role; the operator sees them with: jukwaa admin key list";
	return cli_fail(forbidden ? CLI_NOT_PERMITTED : CLI_REFUSED, next, "%s%s%s: %s", *code ? code : "refused",
		*field ? " " : "", field, reason);
}

int cli_link_fail(const struct jukwaa_connection *connection, int status, const char *code, const char *field, const char *reason)
{
	const char *endpoint = connection->endpoint;

	switch (status) {
	case JUKWAA_E_TIMEOUT:
		return cli_fail(CLI_REFUSED, "a longer --timeout, or: jukwaa status", "no answer from %s in time", endpoint);
	case JUKWAA_E_UNREACHABLE:
		return cli_fail(CLI_UNREACHABLE, "jukwaa status; is the endpoint right, is the service running?",
			"cannot reach %s: %s", endpoint, reason);
	case JUKWAA_E_WRONG_SERVER:
		return cli_fail(CLI_UNREACHABLE,
			"the .pub file of this service for --server-key or JUKWAA_SERVER_KEY; and the right port",
			"the server at %s has another key than %s", endpoint, connection->server_key);
	case JUKWAA_E_UNKNOWN_KEY:
		return cli_fail(CLI_NOT_PERMITTED, "ask the operator for: jukwaa admin key add --file KEY.pub …",
			"%s does not know the key %s", endpoint, connection->key_file);
	case JUKWAA_E_REFUSED:
	case JUKWAA_E_ENDED:
		return fail_refused(code, field, reason);
	case JUKWAA_E_STORAGE:
		return cli_fail(CLI_REFUSED, NULL, "%s", reason);
	default:
		return cli_fail(CLI_USAGE, NULL, "%s", reason);
	}
}
