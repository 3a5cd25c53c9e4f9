/* admin_erase.c: `jukwaa admin erase …`: content of an incident is erased, with its salts, in everything the exchange keeps. What
 * that means is decided in the database (deploy/sql/011_protected.sql). */
#include <stdio.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/cli/admin.h"
#include "services/cli/admin_store_pg.h"

/* Index: the group's tag (jukwaa.v1.GroupTag). NULL: it stays, because without it nobody could be told. */
static const char *const group_names[] = {[5] = "narrative",
	[6] = "resources",
	[7] = "references",
	[9] = "reporter",
	[10] = "persons",
	[11] = "registration",
	[12] = "position",
	[13] = "words"};
enum {
	GROUPS = sizeof group_names / sizeof *group_names,
	ALL_TEXT = 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 13,
	ALL = ALL_TEXT | 1 << 7 | 1 << 11 | 1 << 12,
};

struct erasing {
	const char *incident, *reason, *by;
	unsigned groups;
	bool superseded;
};

static unsigned find_group(const char *name, size_t size)
{
	for (unsigned tag = 0; tag < GROUPS; tag++)
		if (group_names[tag] && strlen(group_names[tag]) == size && !strncmp(group_names[tag], name, size))
			return 1U << tag;
	return 0;
}

/* "reporter,persons" */
static bool add_groups(struct erasing *erasing, const char *list)
{
	while (list && *list) {
		size_t size = strcspn(list, ",");
		unsigned group = find_group(list, size);

		if (!group) {
			cli_usage("admin", "erase: '%.*s' is no group that can be erased", (int)size, list);
			return false;
		}
		erasing->groups |= group;
		list += size + (list[size] == ',');
	}
	return true;
}

static bool take(struct erasing *erasing, struct cli_args *args)
{
	const char *list;

	if (cli_args_take(args, "--groups", &list))
		return add_groups(erasing, list);
	if (cli_args_take(args, "--all-text", NULL))
		erasing->groups |= ALL_TEXT;
	else if (cli_args_take(args, "--all", NULL))
		erasing->groups |= ALL;
	else if (cli_args_take(args, "--superseded", NULL))
		erasing->superseded = true;
	else if (cli_args_take(args, "--reason", &erasing->reason) || cli_args_take(args, "--by", &erasing->by))
		return true;
	else if (erasing->incident || !(erasing->incident = cli_args_word(args))) {
		cli_usage("admin", "erase does not take '%s'", cli_args_peek(args));
		return false;
	}
	return true;
}

static int print_done(const struct cli *cli, const struct erasing *erasing, const struct admin_rows *rows)
{
	if (!admin_rows_count(rows))
		return cli_fail(CLI_REFUSED, NULL, "there is no such incident: %s", erasing->incident);
	if (cli->json) {
		admin_rows_print(cli, rows);
		return CLI_OK;
	}
	printf("erased in %s events, %s reports as received, %s protected rows", admin_rows_text(rows, "events"),
		admin_rows_text(rows, "reports"), admin_rows_text(rows, "protected"));
	if (*admin_rows_text(rows, "event_id"))
		printf("; told to desks by event %s in %s\n", admin_rows_text(rows, "event_id"),
			admin_rows_text(rows, "streams"));
	else
		printf("; the feed holds nothing of it, so nobody is told\n");
	if (strcmp(admin_rows_text(rows, "unparted"), "0") != 0)
		printf("warning: %s events are of version 0.1.0, whose words stand in groups that cannot be erased\n",
			admin_rows_text(rows, "unparted"));
	return CLI_OK;
}

static int run(const struct cli *cli, const struct erasing *erasing)
{
	char groups[16];
	const char *params[] = {erasing->incident, groups, erasing->superseded ? "true" : "false", erasing->reason, erasing->by};
	int status = CLI_REFUSED;
	struct admin_store *store = admin_store_open(cli, 0, &status);
	struct admin_rows *rows;

	(void)jk_text_format(groups, sizeof groups, "%u", erasing->groups);
	rows = store ? admin_store_run(store, ADMIN_ERASE, params, sizeof params / sizeof *params, &status) : NULL;
	if (rows)
		status = print_done(cli, erasing, rows);
	admin_rows_free(&rows);
	admin_store_close(&store);
	return status;
}

int admin_erase(const struct cli *cli, struct cli_args *args)
{
	struct erasing erasing = {.incident = NULL};

	while (cli_args_peek(args))
		if (!take(&erasing, args))
			return CLI_USAGE;
	if (cli_args_missing(args))
		return cli_usage("admin", "%s needs a value", cli_args_missing(args));
	if (erasing.superseded && !erasing.groups)
		erasing.groups = ALL;
	if (!erasing.incident || !erasing.groups || !erasing.reason || !*erasing.reason || !erasing.by || !*erasing.by)
		return cli_usage("admin",
			"erase needs INCIDENT, what to erase (--groups LIST, --all-text, --all or --superseded), --reason and "
			"--by");
	return run(cli, &erasing);
}

void admin_erase_help(void)
{
	printf("  jukwaa admin erase INCIDENT\n"
	       "      erases content and its salts in everything that is kept, and tells the desks; chains stay verifiable\n"
	       "      --groups LIST            reporter, persons, narrative, words, resources, references, registration, "
	       "position\n"
	       "      --all-text               reporter, persons, narrative, words, resources\n"
	       "      --all                    all but what decides who is told (labels, times, county, constituency)\n"
	       "      --superseded             only in what a newer revision has corrected; alone: everything of --all\n"
	       "      --reason TEXT            kept with the record, so without personal data (required)\n"
	       "      --by WHO                 who decided it (required)\n"
	       "      for example: jukwaa admin erase 0192d0a4-… --groups reporter,persons --reason 'request 14/2026' --by "
	       "'DPO'\n");
}
