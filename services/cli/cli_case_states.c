/* cli_case_states.c: the table of states as a service tells it, as text or as a graph for dot(1). */
#include <stdlib.h>
#include <string.h>

#include "base/jk_arena.h"
#include "jukwaa/v1/life.pb-c.h"
#include "services/cli/cli_case_act.h"
#include "services/cli/cli_link.h"
#include "json/json_map.h"

enum { TIMEOUT_MS = 10000, ARENA_BYTES = 4 * 1024 * 1024 };

static const char *state_word(Jukwaa__V1__CaseState state, const char *none)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(&jukwaa__v1__case_state__descriptor, (int)state);

	return value && state ? value->name + strlen("CASE_STATE_") : none;
}

static void print_text(const struct cli *cli, const Jukwaa__V1__CaseStatesTold *told)
{
	Jukwaa__V1__CaseState last = (Jukwaa__V1__CaseState)-1;

	for (size_t i = 0; i < told->n_rows; i++) {
		const Jukwaa__V1__CaseStateRow *row = told->rows[i];

		if (row->from != last)
			printf("%s%s%s\n", cli_tone(cli, CLI_BOLD), state_word(row->from, "every state but CLOSED and MERGED"),
				cli_tone(cli, CLI_PLAIN));
		last = row->from;
		printf("  %-16s -> %-11s\n      %s\n", row->event, state_word(row->to, "stays"), row->why);
		if (*row->guard)
			printf("      wants: %s\n", row->guard);
		if (*row->effects)
			printf("      does:  %s\n", row->effects);
	}
}

static void print_dot(const Jukwaa__V1__CaseStatesTold *told)
{
	printf("digraph cases {\n  rankdir=LR;\n  node [shape=box];\n");
	for (size_t i = 0; i < told->n_rows; i++) {
		const Jukwaa__V1__CaseStateRow *row = told->rows[i];

		if (row->from && row->to)
			printf("  %s -> %s [label=\"%s%s%s\"];\n", state_word(row->from, ""), state_word(row->to, ""), row->event,
				*row->guard ? "\\n" : "", row->guard);
	}
	printf("}\n");
}

static void print_json(const Jukwaa__V1__CaseStatesTold *told)
{
	for (size_t i = 0; i < told->n_rows; i++) {
		struct jk_buffer line = {0};

		jk_json_write(&told->rows[i]->base, &line);
		if (!line.failed)
			printf("%s\n", line.data);
		jk_buffer_done(&line);
	}
}

int cli_case_states(const struct cli *cli, struct cli_args *args)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	const Jukwaa__V1__CaseStatesTold *told = NULL;
	struct jukwaa_connection connection;
	struct jk_refusal refusal;
	char reason[256], *json = NULL;
	bool dot = cli_args_take(args, "--dot", NULL);
	int status = CLI_USAGE;

	if (cli_args_peek(args))
		status = cli_usage("case", "case states does not take '%s'", cli_args_peek(args));
	else if (cli_link_connection(cli, "JUKWAA_CASES", &connection)) {
		status = jukwaa_call(&connection, "CaseStates", "{}", TIMEOUT_MS, &json, reason);
		if (status == JUKWAA_OK && arena)
			told = (const void *)jk_json_read(
				&jukwaa__v1__case_states_told__descriptor, json, strlen(json), arena, &refusal);
		if (status != JUKWAA_OK)
			status = cli_link_fail(&connection, status, "", "", reason);
		else if (!told)
			status = cli_fail(CLI_REFUSED, NULL, "the answer cannot be read");
		else
			status = CLI_OK;
	}
	if (told && cli->json)
		print_json(told);
	else if (told && dot)
		print_dot(told);
	else if (told)
		print_text(cli, told);
	free(json);
	jk_arena_free(&arena);
	return status;
}
