/* cli.h: what the commands of `jukwaa` share: the options every command has, how a command says that it failed, aligned and
 * coloured output. Not here: what a command does (one file each: cli_publish.c, cli_watch.c, …; admin_*.c, key_*.c, csv_*.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/jk_refusal.h"
#include "base/jk_status.h"
#include "base/jk_text.h"

/* Exit statuses; scripts branch on them. */
enum cli_exit {
	CLI_OK = 0,            /* all well; DUPLICATE is well */
	CLI_REFUSED = 1,       /* something was refused, or did not come in time */
	CLI_USAGE = 2,         /* wrong arguments or settings; nothing was done */
	CLI_UNREACHABLE = 3,   /* nobody answers, or with another key than the one expected */
	CLI_NOT_PERMITTED = 4, /* the key is unknown there, or may not do this */
};

/* Global options, after environment and configuration file. Unset texts are NULL. */
struct cli {
	bool json;            /* one JSON object a line on standard output */
	bool color;           /* standard output takes colour */
	const char *endpoint; /* --endpoint; else each command takes its own from the environment: cli_setting("JUKWAA_INTAKE") */
	const char *key_file; /* --key, JUKWAA_KEY */
	const char *server_key; /* --server-key, JUKWAA_SERVER_KEY: 64 hex digits, or a .pub file */
	const char *database;   /* JUKWAA_DATABASE: libpq connection string, for admin commands */
};

/* One option of a command, for --help and shell completion. The list ends with name NULL. */
struct cli_option {
	const char *name;  /* "--county" */
	const char *value; /* "CODE"; NULL: a switch; "FILE" completes file names */
	const char *help;
	const char *words; /* values to complete, separated by blanks; NULL: none */
};
/* A command. argv[0] is the command's own name ("publish", "admin"); global options are taken out before. Returns a
 * cli_exit. The table that lists them all is in cli_commands.c. */
struct cli_command {
	const char *name;
	const char *arguments; /* after the name in the usage line */
	const char *help;      /* one line */
	int (*run)(const struct cli *cli, int argc, char **argv);
	const struct cli_option *options; /* NULL: none listed */
	const char *subcommands;          /* words completed in first place, separated by blanks; NULL: none */
	const char *more;                 /* further paragraphs and examples for --help; NULL: none */
	bool own_help;                    /* the command answers --help itself (admin, key) */
};

/* Walks a command's arguments: `struct cli_args args = {.argc = argc, .argv = argv, .at = 1};` then the functions below in a
 * loop. */
struct cli_args {
	int argc;
	char **argv;
	int at;
	bool plain; /* "--" was met */
};
/* True when the argument at hand is option `name` ("--out"); ret_value then points to its value ("--out X" and "--out=X"),
 * for a switch give NULL. Advances past what it took. A missing value ends in *ret_value == NULL. */
bool cli_args_take(struct cli_args *args, const char *name, const char **ret_value);
/* The argument at hand when it is not an option, and advances; NULL at the end or at an option. */
const char *cli_args_word(struct cli_args *args);
/* The argument at hand without advancing; NULL at the end. */
const char *cli_args_peek(const struct cli_args *args);

/* The option at the end whose value is missing; NULL: none. Ask when all is taken. */
const char *cli_args_missing(const struct cli_args *args);

/* Prints "jukwaa: " and the sentence on standard error, then "  try: …" with what to do next (NULL: nothing). Returns status,
 * so that a command can `return cli_fail(CLI_REFUSED, "do this", "that went wrong: %s", why)`. */
int cli_fail(enum cli_exit status, const char *next, const char *format, ...) JK_PRINTF(3, 4);
/* Wrong arguments: the sentence, and where help is ("jukwaa publish --help"). Returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) JK_PRINTF(2, 3);
/* A refusal as one line: code, field, reason. Returns CLI_NOT_PERMITTED for NOT_PERMITTED and REVOKED, else CLI_REFUSED. */
int cli_fail_refusal(const struct jk_refusal *refusal);

/* A setting from the environment or the configuration file (--config), environment first; NULL when unset or empty. */
const char *cli_setting(const char *name);
/* The command prints help on standard output; `jukwaa help NAME`. */
void cli_print_help(const struct cli_command *command);

/* Colours of standard output; "" where there is none. */
enum cli_tone { CLI_PLAIN, CLI_BOLD, CLI_DIM, CLI_GOOD, CLI_WARN, CLI_BAD };
const char *cli_tone(const struct cli *cli, enum cli_tone tone);
/* Columns of the terminal on standard output (COLUMNS, else the terminal's, else 100); at least 20. */
int cli_columns(void);
/* "12 s", "5 min", "3 h", "4 days". */
void cli_format_age(char ret[24], double seconds);
/* Appends "  NAME VALUE" to the line, on a new one where the screen ends; *column: where the line is. */
void cli_print_figure(int *column, const char *name, const char *value);
/* Prints text with control characters as "?", cut with "…" to `columns` (0: not cut) characters. Returns what it took. */
int cli_print_text(FILE *out, const char *text, int columns);

/* Commands that live in other files than cli_*.c. */
int cli_admin(const struct cli *cli, int argc, char **argv); /* admin_*.c */
int cli_key(const struct cli *cli, int argc, char **argv);   /* cli_key.c */
int cli_bench(const struct cli *cli, int argc, char **argv); /* bench_*.c */
