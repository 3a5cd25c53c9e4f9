/* cli_commands.h: the one table of commands: dispatching, --help and shell completion are made from it. */
#pragma once

#include "services/cli/cli.h"

/* Ends with name NULL. */
extern const struct cli_command cli_commands[];
extern const struct cli_option cli_global_options[];
const struct cli_command *cli_command_find(const char *name);

int cli_publish(const struct cli *cli, int argc, char **argv);
int cli_watch(const struct cli *cli, int argc, char **argv);
int cli_offer(const struct cli *cli, int argc, char **argv);
int cli_opened(const struct cli *cli, int argc, char **argv);
int cli_case(const struct cli *cli, int argc, char **argv);
int cli_unit(const struct cli *cli, int argc, char **argv);
int cli_resource(const struct cli *cli, int argc, char **argv);
int cli_status(const struct cli *cli, int argc, char **argv);
int cli_evidence(const struct cli *cli, int argc, char **argv);
int cli_explain(const struct cli *cli, int argc, char **argv);
int cli_agreement(const struct cli *cli, int argc, char **argv);
int cli_disclosures(const struct cli *cli, int argc, char **argv);
int cli_outbox(const struct cli *cli, int argc, char **argv);
int cli_notify(const struct cli *cli, int argc, char **argv);
int cli_completion(const struct cli *cli, int argc, char **argv);
int cli_help(const struct cli *cli, int argc, char **argv);
