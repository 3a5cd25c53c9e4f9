#include <string.h>

#include "services/cli/cli_commands.h"

/* Name and value on the left, the help wrapped to the screen on the right. */
static void print_row(const char *left, const char *help)
{
	enum { LEFT_COLUMNS = 24, INDENT = 2, COLUMNS_MAX = 100 };
	int columns = cli_columns() < COLUMNS_MAX ? cli_columns() : COLUMNS_MAX;
	int room = columns - LEFT_COLUMNS - INDENT, column = 0;
	bool narrow = room < 20;

	printf("%*s%-*s", INDENT, "", narrow ? 0 : LEFT_COLUMNS - 1, left);
	if (narrow)
		printf("\n%*s", INDENT * 3, "");
	if (narrow)
		room = columns - INDENT * 3;
	while (*help) {
		int size = (int)strcspn(help, " ");

		if (column > 0 && column + size + 1 > room) {
			printf("\n%*s", narrow ? INDENT * 3 : LEFT_COLUMNS + INDENT - 1, "");
			column = 0;
		}
		column += printf("%s%.*s", column > 0 ? " " : "", size, help);
		help += size;
		help += *help == ' ';
	}
	printf("\n");
}

static void print_options(const struct cli_option *options)
{
	for (; options && options->name; options++) {
		char left[64];

		(void)jk_text_format(left, sizeof left, "%s%s%s", options->name, options->value ? " " : "",
			options->value ? options->value : "");
		print_row(left, options->help);
	}
}

void cli_print_help(const struct cli_command *command)
{
	printf("jukwaa %s: %s\n\nUsage: jukwaa %s %s\n", command->name, command->help, command->name, command->arguments);
	if (command->options) {
		printf("\nOptions:\n");
		print_options(command->options);
	}
	if (command->more)
		printf("\n%s\n", command->more);
	printf("\nOptions of every command, before or after it: jukwaa --help\n");
}

static void print_overview(void)
{
	printf("jukwaa: publish incidents to the exchange, watch a desk's feed, run the exchange.\n\n"
	       "Usage: jukwaa [OPTIONS] COMMAND …\n\nCommands (jukwaa help COMMAND says more):\n");
	for (const struct cli_command *command = cli_commands; command->name; command++)
		print_row(command->name, command->help);
	printf("\nOptions, before or after the command:\n");
	print_options(cli_global_options);
	printf("\nEnvironment:\n");
	print_row("JUKWAA_INTAKE", "endpoint to publish to");
	print_row("JUKWAA_DISPATCH", "endpoint to watch at");
	print_row("JUKWAA_CASES", "endpoint to ask for cases");
	print_row("JUKWAA_KEY", "key file to act with");
	print_row("JUKWAA_SERVER_KEY", "public key of the exchange");
	print_row("JUKWAA_REALM", "LIVE or EXERCISE: what is meant, refused where it is not so");
	print_row("JUKWAA_PURPOSE", "what cases are read for");
	print_row("JUKWAA_HTTP", "HTTP addresses of the services, for status");
	print_row("JUKWAA_DATABASE", "connection string, for admin, evidence, status, explain and disclosures");
	printf("\nExit status: 0 all well; 1 something was refused or did not come in time; 2 wrong arguments;\n"
	       "3 the service cannot be reached, or has another key; 4 not permitted, or the key is unknown.\n");
}

int cli_help(const struct cli *cli, int argc, char **argv)
{
	const struct cli_command *command = argc > 1 ? cli_command_find(argv[1]) : NULL;
	static char option[] = "--help";
	char *help_argv[] = {argc > 1 ? argv[1] : NULL, option, NULL};

	if (argc > 1 && !command)
		return cli_fail(CLI_USAGE, "jukwaa --help", "there is no command '%s'", argv[1]);
	if (command && command->own_help)
		return command->run(cli, 2, help_argv);
	if (command)
		cli_print_help(command);
	else
		print_overview();
	return CLI_OK;
}
