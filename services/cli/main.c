/* jukwaa: the operator's and integrator's tool. Global options may stand before or after the command. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jukwaa/client.h"
#include "services/cli/cli_commands.h"
#include "services/cli/cli_config.h"

struct globals {
	const char *endpoint, *key, *server_key, *config, *color;
	bool json, help, version;
};

/* True when the argument at hand was a global option. Behind a command --version is the command's own. */
static bool take_global(struct cli_args *args, bool has_command, struct globals *globals)
{
	const struct {
		const char *name;
		const char **value;
	} texts[] = {
		{"--endpoint", &globals->endpoint},
		{"--key", &globals->key},
		{"--server-key", &globals->server_key},
		{"--config", &globals->config},
		{"--color", &globals->color},
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (cli_args_take(args, texts[i].name, texts[i].value))
			return true;
	if (cli_args_take(args, "--json", NULL))
		return globals->json = true;
	if (cli_args_take(args, "--help", NULL) || cli_args_take(args, "-h", NULL))
		return globals->help = true;
	if (!has_command && cli_args_take(args, "--version", NULL))
		return globals->version = true;
	return false;
}

/* Takes global options out of argv; what is left is the command and its arguments. Returns how many are left, -1: bad. */
static int split_arguments(int argc, char **argv, char **ret_rest, struct globals *globals)
{
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	int count = 0;

	while (cli_args_peek(&args)) {
		if (strcmp(cli_args_peek(&args), "--") == 0)
			args.plain = true;
		if (!args.plain && take_global(&args, count > 0, globals))
			continue;
		ret_rest[count++] = argv[args.at++];
	}
	ret_rest[count] = NULL;
	if (cli_args_missing(&args))
		cli_usage(NULL, "%s wants a value", cli_args_missing(&args));
	return cli_args_missing(&args) ? -1 : count;
}

static bool choose_color(const char *wanted, bool *ret_color)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (wanted && strcmp(wanted, "always") == 0)
		return *ret_color = true;
	*ret_color = false;
	if (wanted && strcmp(wanted, "never") == 0)
		return true;
	*ret_color = isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
	return !wanted || strcmp(wanted, "auto") == 0;
}

static int run_command(const struct cli *cli, const struct globals *globals, int argc, char **argv)
{
	const struct cli_command *command = argc > 0 ? cli_command_find(argv[0]) : NULL;
	static char help[] = "help", help_option[] = "--help";
	char *help_argv[] = {help, NULL};

	if (!command && argc > 0)
		return cli_fail(CLI_USAGE, "jukwaa --help", "there is no command '%s'", argv[0]);
	if (!command && !globals->help)
		return cli_fail(CLI_USAGE, "jukwaa --help", "say what to do: publish, watch, status, …");
	if (!command)
		return cli_help(cli, 1, help_argv);
	if (globals->help && !command->own_help) {
		cli_print_help(command);
		return CLI_OK;
	}
	/* Commands with help of their own find it as their last argument. */
	if (globals->help)
		argv[argc++] = help_option;
	argv[argc] = NULL;
	return command->run(cli, argc, argv);
}

static int run(int argc, char **argv, char **rest)
{
	struct globals globals = {0};
	struct cli cli = {0};
	int count = split_arguments(argc, argv, rest, &globals);

	if (count < 0)
		return CLI_USAGE;
	if (globals.version) {
		printf("jukwaa %s\n", jukwaa_version());
		return CLI_OK;
	}
	if (!choose_color(globals.color, &cli.color))
		return cli_usage(NULL, "--color is auto, always or never, not '%s'", globals.color);
	if (globals.config && cli_config_load(globals.config) != CLI_OK)
		return CLI_USAGE;
	cli.json = globals.json;
	cli.endpoint = globals.endpoint;
	cli.key_file = globals.key ? globals.key : cli_setting("JUKWAA_KEY");
	cli.server_key = globals.server_key ? globals.server_key : cli_setting("JUKWAA_SERVER_KEY");
	cli.database = cli_setting("JUKWAA_DATABASE");
	return run_command(&cli, &globals, count, rest);
}

int main(int argc, char **argv)
{
	char **rest = calloc((size_t)argc + 2, sizeof *rest);
	int status;

	if (!rest)
		return CLI_USAGE;
	setlocale(LC_CTYPE, "");
	status = run(argc, argv, rest);
	free(rest);
	cli_config_done();
	if (fflush(stdout) != 0 || ferror(stdout))
		return status == CLI_OK ? cli_fail(CLI_REFUSED, NULL, "standard output cannot be written") : status;
	return status;
}
