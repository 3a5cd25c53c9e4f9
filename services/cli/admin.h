/* admin.h: pieces of `jukwaa admin` that stand in files of their own. */
#pragma once

#include "services/cli/cli.h"

/* `jukwaa admin migrate`: args stand after the word. Returns a cli_exit. */
int admin_migrate(const struct cli *cli, struct cli_args *args);
/* `jukwaa admin erase`, in the same way. */
int admin_erase(const struct cli *cli, struct cli_args *args);
void admin_erase_help(void);
/* `jukwaa admin duty …`, in the same way. */
int admin_duty(const struct cli *cli, struct cli_args *args);
void admin_duty_help(void);
/* Makes the file with a fresh "whsec_" secret (mode 0600) when it is not there; refuses one that others can read. Returns a
 * cli_exit, said. */
int admin_secret_file(const char *path);
