/* cli_config.h: the file given by --config: NAME=VALUE lines as a shell would read them (`export` before and quotes around are
 * fine, so that the .env files of deploy/quickstart serve); only names that begin with JUKWAA_ count, nothing is expanded. */
#pragma once

/* Reads it; values are found by cli_setting. Returns CLI_OK, or CLI_USAGE when it has said why not. */
int cli_config_load(const char *path);
void cli_config_done(void);
