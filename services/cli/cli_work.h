/* cli_work.h: commands and questions of desks that are all alike (jukwaa offer …, jukwaa unit …, jukwaa resource …): a table of
 * verbs, their arguments made into a message's fields as JSON, one jukwaa_call, its answer printed. Not here: what a verb means.
 */
#pragma once

#include "jukwaa/client.h"
#include "services/cli/cli.h"

enum { CLI_WORK_WORDS_MAX = 2, CLI_WORK_REPEATS_MAX = 17 };

/* What was given on the command line; NULL: not given. */
struct cli_work {
	const struct cli *cli;
	const struct cli_work_verb *verb;
	const char *words[CLI_WORK_WORDS_MAX];
	const char *at, *reason, *state, *discipline, *county, *desk, *count, *by, *to, *incident, *disposition;
	bool held, all;
	const char *capabilities[CLI_WORK_REPEATS_MAX];
	size_t capability_count;
	int64_t limit, timeout_s;
	const char *version, *command_id;
	const char *page; /* of the page before, as it stands in JSON */
	size_t printed;   /* lines of --json, or entries, so far */
};

struct cli_work_verb {
	const char *name;
	const char *call;    /* the message's name: "UnitCommand" */
	const char *words;   /* "CODE INCIDENT": each must be given */
	const char *options; /* those it takes, separated by blanks, with a blank at both ends */
	/* Adds the message's own fields, each with a comma before it. False: wrong arguments, and it has been said. */
	bool (*write)(const struct cli_work *work, struct jk_buffer *json);
	/* Prints the answer, and of a list how it goes on. NULL: it is a command. */
	void (*print)(struct cli_work *work, const char *json);
	const char *list; /* the answer's field that --json prints one line for each of; NULL: the whole answer */
};

/* Runs the verb named first. verbs ends with name NULL. */
int cli_work_run(const struct cli *cli, const char *command, const struct cli_work_verb *verbs, int argc, char **argv);

/* Adds ,"name":"text". */
void cli_work_add(struct jk_buffer *json, const char *name, const char *text);
/* "LAT,LON" as ,"name":{"lat":…,"lon":…}. False: it is none, and that has been said. */
bool cli_work_add_point(struct jk_buffer *json, const char *command, const char *name, const char *text);
/* ,"name":["…",…] */
void cli_work_add_capabilities(struct jk_buffer *json, const struct cli_work *work);
/* "on-scene" as ON_SCENE. */
void cli_work_upper(char *ret, size_t capacity, const char *word);
