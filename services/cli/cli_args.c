#include <string.h>

#include "services/cli/cli.h"

const char *cli_args_peek(const struct cli_args *args)
{
	return args->at < args->argc ? args->argv[args->at] : NULL;
}

static bool is_option(const struct cli_args *args, const char *word)
{
	return !args->plain && word[0] == '-' && word[1] != '\0';
}

bool cli_args_take(struct cli_args *args, const char *name, const char **ret_value)
{
	const char *word = cli_args_peek(args);
	size_t size = strlen(name);

	if (!word || !is_option(args, word) || strncmp(word, name, size) != 0)
		return false;
	if (word[size] == '=' && ret_value) {
		*ret_value = word + size + 1;
		args->at++;
		return true;
	}
	if (word[size] != '\0')
		return false;
	args->at++;
	if (ret_value) {
		/* Past the end even when it is missing: cli_args_missing tells by that. */
		*ret_value = cli_args_peek(args);
		args->at++;
	}
	return true;
}

const char *cli_args_word(struct cli_args *args)
{
	const char *word = cli_args_peek(args);

	if (word && !args->plain && strcmp(word, "--") == 0) {
		args->plain = true;
		args->at++;
		word = cli_args_peek(args);
	}
	if (!word || is_option(args, word))
		return NULL;
	args->at++;
	return word;
}

const char *cli_args_missing(const struct cli_args *args)
{
	return args->at > args->argc ? args->argv[args->argc - 1] : NULL;
}
