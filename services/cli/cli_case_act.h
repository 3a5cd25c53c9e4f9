/* cli_case_act.h: the verbs of `jukwaa case` that do something with a case, and the table they follow. */
#pragma once

#include "services/cli/cli.h"

/* True when the word is one of them ("triage", "note", …, "states"); runs it then. */
bool cli_case_act(const struct cli *cli, const char *word, struct cli_args *args, int *ret_status);
/* `jukwaa case states [--dot]` */
int cli_case_states(const struct cli *cli, struct cli_args *args);
/* What the answer to CaseShow (JSON) tells beside summary and incident: who has it, tasks, numbers, links, timeline. */
void cli_case_print_story(const struct cli *cli, const char *json);
