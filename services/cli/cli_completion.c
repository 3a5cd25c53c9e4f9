/* jukwaa completion bash: a script written from the table of commands. */
#include <string.h>

#include "services/cli/cli_commands.h"

/* The options that want a file name, as a pattern of `case`. */
static void print_file_options(const struct cli_option *options)
{
	for (; options && options->name; options++)
		if (options->value && strcmp(options->value, "FILE") == 0)
			printf("|%s", options->name);
}

static void print_value_words(const struct cli_option *options)
{
	for (; options && options->name; options++)
		if (options->words)
			printf("\t%s) COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n", options->name, options->words);
}

/* Options that take a value which nothing is known about. */
static void print_plain_options(const struct cli_option *options)
{
	for (; options && options->name; options++)
		if (options->value && !options->words && strcmp(options->value, "FILE") != 0)
			printf("|%s", options->name);
}

static void print_names(const struct cli_option *options)
{
	for (; options && options->name; options++)
		printf(" %s", options->name);
}

static void print_value_cases(void)
{
	const struct cli_command *command;

	printf("\tcase $before in\n\t--file");
	print_file_options(cli_global_options);
	for (command = cli_commands; command->name; command++)
		print_file_options(command->options);
	printf(") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n");
	print_value_words(cli_global_options);
	for (command = cli_commands; command->name; command++)
		print_value_words(command->options);
	printf("\t--note");
	print_plain_options(cli_global_options);
	for (command = cli_commands; command->name; command++)
		print_plain_options(command->options);
	printf(") return ;;\n\tesac\n");
}

static void print_command_cases(void)
{
	printf("\tcase $command in\n\t'') words=\"");
	for (const struct cli_command *command = cli_commands; command->name; command++)
		printf("%s ", command->name);
	printf("\" ;;\n\thelp) words=\"");
	for (const struct cli_command *command = cli_commands; command->name; command++)
		printf("%s ", command->name);
	printf("\" ;;\n");
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		if (!command->options && !command->subcommands)
			continue;
		printf("\t%s) options=\"", command->name);
		print_names(command->options);
		printf("\" words='%s' ;;\n", command->subcommands ? command->subcommands : "");
	}
	printf("\tesac\n");
}

int cli_completion(const struct cli *cli, int argc, char **argv)
{
	(void)cli;
	if (argc != 2 || strcmp(argv[1], "bash") != 0)
		return cli_usage("completion", "say for which shell: completion bash");
	printf("# bash completion for jukwaa; written by `jukwaa completion bash`.\n"
	       "_jukwaa() {\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= words= options= place=0 i\n"
	       "\tCOMPREPLY=()\n");
	print_value_cases();
	printf("\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n"
	       "\t\t-*) ;;\n"
	       "\t\t*)\n"
	       "\t\t\tcase ${COMP_WORDS[i-1]} in --endpoint|--key|--server-key|--config|--color) continue ;; esac\n"
	       "\t\t\tif [ -z \"$command\" ]; then command=${COMP_WORDS[i]}; else place=$((place + 1)); fi ;;\n"
	       "\t\tesac\n"
	       "\tdone\n");
	print_command_cases();
	printf("\tif [[ $word == -* ]]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$options");
	print_names(cli_global_options);
	printf("\" -- \"$word\"))\n"
	       "\telif [ -n \"$words\" ] && [ $place -eq 0 ]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
	       "\telif [ -n \"$command\" ]; then\n"
	       "\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n"
	       "\tfi\n"
	       "}\n"
	       "complete -o filenames -F _jukwaa jukwaa\n");
	return CLI_OK;
}
