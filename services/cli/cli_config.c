#include "services/cli/cli_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/cli.h"

struct setting {
	struct setting *next;
	char *name, *value;
};

static struct setting *settings;

void cli_config_done(void)
{
	while (settings) {
		struct setting *next = settings->next;

		free(settings->name);
		free(settings->value);
		free(settings);
		settings = next;
	}
}

const char *cli_setting(const char *name)
{
	const char *value = getenv(name);

	if (value && *value)
		return value;
	for (const struct setting *setting = settings; setting; setting = setting->next)
		if (strcmp(setting->name, name) == 0)
			return *setting->value ? setting->value : NULL;
	return NULL;
}

/* Newest first: a later line wins. */
static bool add_setting(const char *name, size_t name_size, const char *value, size_t value_size)
{
	struct setting *setting = calloc(1, sizeof *setting);

	if (!setting)
		return false;
	setting->name = strndup(name, name_size);
	setting->value = strndup(value, value_size);
	setting->next = settings;
	settings = setting;
	return setting->name && setting->value;
}

/* False with *ret_why when the line cannot be followed. */
static bool read_line(char *line, const char **ret_why)
{
	char *name = line + strspn(line, " \t"), *value, *end, quote;

	line[strcspn(line, "\r\n")] = '\0';
	if (strncmp(name, "export ", 7) == 0)
		name += 7 + strspn(name + 7, " \t");
	if (strncmp(name, "JUKWAA_", 7) != 0)
		return true;
	value = name + strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	*ret_why = "expected NAME=VALUE";
	if (*value != '=')
		return false;
	end = value++;
	quote = *value == '\'' || *value == '"' ? *value++ : '\0';
	*ret_why = "the quote is not closed, or text follows it";
	if (quote && (!strchr(value, quote) || strchr(value, quote)[1 + strspn(strchr(value, quote) + 1, " \t")] != '\0'))
		return false;
	*ret_why = "$ and ` are not expanded here: write the value out";
	if (quote != '\'' && strpbrk(value, "$`"))
		return false;
	*ret_why = "no memory";
	return add_setting(
		name, (size_t)(end - name), value, quote ? strcspn(value, (char[]){quote, '\0'}) : strcspn(value, " \t"));
}

int cli_config_load(const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	const char *why = NULL;
	size_t capacity = 0;
	int number = 0, status = CLI_OK;

	if (!file)
		return cli_fail(CLI_USAGE, NULL, "cannot read the configuration %s: %s", path, strerror(errno));
	while (status == CLI_OK && getline(&line, &capacity, file) >= 0) {
		number++;
		if (!read_line(line, &why))
			status = cli_fail(CLI_USAGE, NULL, "%s line %d: %s", path, number, why);
	}
	if (ferror(file))
		status = cli_fail(CLI_USAGE, NULL, "cannot read the configuration %s: %s", path, strerror(errno));
	free(line);
	fclose(file);
	return status;
}
