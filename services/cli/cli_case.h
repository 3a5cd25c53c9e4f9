/* cli_case.h: what the verbs of `jukwaa case` share (cli_case.c: list and show; one file for each of the others): which cases,
 * what for, and how a case is printed. */
#pragma once

#include "base/jk_text.h"
#include "jukwaa/client.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "services/cli/cli.h"

/* Says what went wrong. Returns the exit status. */
int cli_case_fail(const struct jukwaa_connection *connection, int status, const char *reason);
/* --purpose, else JUKWAA_PURPOSE. False: said. */
bool cli_case_take_purpose(const char *word, const char *note, char scratch[32], struct jukwaa_purpose *ret_purpose);
/* Two lines a case on a narrow terminal, one on a wide one. */
void cli_case_print_summary(const struct cli *cli, const Jukwaa__V1__CaseSummary *summary);
/* "2026-11-27 08:15Z", after the prefix. */
void cli_case_print_time(const char *prefix, int64_t time_us);
void cli_case_print_id(const ProtobufCBinaryData *bytes);

enum { CLI_CASE_COUNTIES_MAX = 64, CLI_CASE_STATES_MAX = 16 };
/* Options that say which cases. Zero-initialise. */
struct cli_case_filter {
	const char *counties[CLI_CASE_COUNTIES_MAX], *states[CLI_CASE_STATES_MAX];
	size_t county_count, state_count;
	const char *constituency, *category, *agency, *from, *to, *severity, *number, *purpose, *note;
	bool open, breached, include_test;
};
/* True when the argument at hand was one of them. */
bool cli_case_filter_take(struct cli_case_filter *filter, struct cli_args *args);
/* Appends them as members of CaseList's JSON form ("counties":[…],…), with the purpose. False: something is wrong with them, and
 * it has been said. */
bool cli_case_filter_write(const struct cli_case_filter *filter, struct jk_buffer *json);

int cli_case_export(const struct cli *cli, struct cli_args *args);
int cli_case_figures(const struct cli *cli, struct cli_args *args);
int cli_case_similar(const struct cli *cli, struct cli_args *args);
