/* admin_pact.h: `jukwaa admin agreement …` and `jukwaa admin taskforce …`: what the files of it share. */
#pragma once

#include "services/cli/admin_store_pg.h"
#include "services/cli/pact_book.h"

/* One call, its arguments read. */
struct admin_pact {
	const struct cli *cli;
	enum jk_pact_kind kind;
	const char *verb;
	const char **words; /* after the verb */
	int word_count;
	uint32_t version;   /* 0: not given */
	const char *agency; /* NULL: not given */
	const char *out;
	bool all, dry_run, history, last;
	struct jk_arena *arena;
	struct admin_store *store;
	struct pact_book *book;
};

/* args stand after the word `agreement` or `taskforce`. Returns a cli_exit. */
int admin_pact(const struct cli *cli, enum jk_pact_kind kind, struct cli_args *args);
void admin_pact_help(enum jk_pact_kind kind);

/* "agreement" or "taskforce", as typed. */
const char *admin_pact_object(enum jk_pact_kind kind);
/* Opens the database and reads the book; what was in the arena is gone. Returns a cli_exit. */
int admin_pact_load(struct admin_pact *call);
/* The pact named by the first word; NULL: said. */
struct jk_pact *admin_pact_named(struct admin_pact *call, int *ret_status);
/* Index of the version asked for, else of the one that holds, else of the newest; -1: said. */
int admin_pact_version(
	const struct admin_pact *call, const struct jk_pact *pact, const struct jk_pact_state *state, int *ret_status);

/* admin_pact_act.c: all return a cli_exit, said */
int admin_pact_on_code(struct admin_pact *call, enum jk_act act);
int admin_pact_propose(struct admin_pact *call);
int admin_pact_submit(struct admin_pact *call);
/* admin_pact_show.c */
int admin_pact_list(struct admin_pact *call);
int admin_pact_show(struct admin_pact *call);
int admin_pact_export(struct admin_pact *call);
