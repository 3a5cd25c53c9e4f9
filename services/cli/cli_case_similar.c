/* jukwaa case similar. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_arena.h"
#include "jukwaa/v1/find.pb-c.h"
#include "services/cli/cli_case.h"
#include "services/cli/cli_link.h"
#include "services/cli/json_slice.h"
#include "json/json_map.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

static void print_similar(const struct cli *cli, const Jukwaa__V1__SimilarCase *similar)
{
	enum { INDENT = 5 };
	int columns = cli_columns(), used = INDENT;

	printf("%s%3" PRIu32 "%%%s ", cli_tone(cli, CLI_BOLD), similar->score, cli_tone(cli, CLI_PLAIN));
	for (size_t i = 0; i < similar->n_reasons; i++) {
		int width = (int)strlen(similar->reasons[i]) + 2;

		if (used > INDENT && used + width > columns) {
			printf("\n%*s", INDENT, "");
			used = INDENT;
		}
		used += cli_print_text(stdout, similar->reasons[i], 0);
		if (i + 1 < similar->n_reasons)
			used += printf("; ");
	}
	printf("\n  ");
	if (similar->summary)
		cli_case_print_summary(cli, similar->summary);
}

static void print_answer(const struct cli *cli, const char *json)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct json_slice text = {json, json + strlen(json)}, list, one;
	struct jk_refusal refusal;
	size_t count = 0;

	if (arena && json_slice_find(text, "similar", &list) && json_slice_enter(&list, '['))
		for (; json_slice_element(&list, &one); count++) {
			const Jukwaa__V1__SimilarCase *similar = NULL;

			if (cli->json)
				printf("%.*s\n", (int)(one.end - one.at), one.at);
			else if ((similar = (const void *)jk_json_read(&jukwaa__v1__similar_case__descriptor, one.at,
					  (size_t)(one.end - one.at), arena, &refusal)))
				print_similar(cli, similar);
		}
	if (count == 0 && !cli->json)
		fprintf(stderr, "No case that this key may see is like it.\n");
	jk_arena_free(&arena);
}

int cli_case_similar(const struct cli *cli, struct cli_args *args)
{
	const char *id = NULL, *limit_text = "10", *timeout_text = "10", *purpose_text = NULL, *note = NULL, *word;
	struct jukwaa_connection connection;
	struct jukwaa_purpose purpose;
	struct jk_buffer question = {0};
	char reason[256], scratch[32], *json = NULL;
	int64_t limit, timeout;
	int status;

	while (cli_args_peek(args)) {
		if (cli_args_take(args, "--limit", &limit_text) || cli_args_take(args, "--timeout", &timeout_text) ||
			cli_args_take(args, "--purpose", &purpose_text) || cli_args_take(args, "--note", &note))
			continue;
		word = cli_args_word(args);
		if (!word || id)
			return cli_usage("case", "case similar takes one id, not '%s'", word ? word : cli_args_peek(args));
		id = word;
	}
	if (cli_args_missing(args))
		return cli_usage("case", "%s wants a value", cli_args_missing(args));
	if (!id)
		return cli_usage("case", "case similar wants the id of a case (jukwaa case list shows them)");
	if (!jk_text_to_int64(limit_text, 1, 50, &limit))
		return cli_usage("case", "--limit is 1 to 50, not '%s'", limit_text);
	if (!jk_text_to_int64(timeout_text, 1, 3600, &timeout))
		return cli_usage("case", "--timeout is 1 to 3600 seconds, not '%s'", timeout_text);
	if (!cli_case_take_purpose(purpose_text, note, scratch, &purpose) ||
		!cli_link_connection(cli, "JUKWAA_CASES", &connection))
		return CLI_USAGE;
	jk_buffer_printf(&question, "{\"case_id\":");
	jk_json_quote(&question, id);
	jk_buffer_printf(&question, ",\"limit\":%" PRId64 ",\"purpose\":\"%s\",\"purpose_note\":", limit, purpose.word);
	jk_json_quote(&question, note ? note : "");
	jk_buffer_append(&question, "}", 1);
	status = question.failed ? JUKWAA_E_STORAGE
				 : jukwaa_call(&connection, "CaseSimilar", question.data, (int)timeout * 1000, &json, reason);
	jk_buffer_done(&question);
	if (status != JUKWAA_OK)
		return cli_case_fail(&connection, status, reason);
	print_answer(cli, json);
	free(json);
	return CLI_OK;
}
