/* jukwaa evidence head | export | prove | verify. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_time.h"
#include "evidence/evidence_export.h"
#include "evidence/evidence_witness.h"
#include "services/cli/cli_commands.h"
#include "services/cli/evidence.h"
#include "services/cli/evidence_walk.h"

enum { STREAMS_MAX = 64 };

/* ---- keys ------------------------------------------------------------------------------------------------------- */

int evidence_keys_add(struct evidence_keys *keys, const char *file_or_hex)
{
	uint8_t curve[32];
	struct jk_refusal refusal;

	if (keys->count == EVIDENCE_KEYS_MAX)
		return cli_usage("evidence", "at most %d keys", EVIDENCE_KEYS_MAX);
	if (strlen(file_or_hex) == 64 && jk_hex_decode(keys->keys[keys->count], 32, file_or_hex)) {
		keys->count++;
		return CLI_OK;
	}
	if (jk_key_read_public(file_or_hex, curve, keys->keys[keys->count], &refusal) != JK_OK)
		return cli_fail(CLI_USAGE, "the exchange's .pub file, or its sign-public as 64 hex digits", "%s", refusal.reason);
	keys->count++;
	return CLI_OK;
}

int evidence_keys_default(const struct cli *cli, struct evidence_keys *keys)
{
	/* 64 digits there are the CURVE key, which signs nothing. */
	if (!cli->server_key || strlen(cli->server_key) == 64)
		return cli_usage("evidence", "say whose signature counts: --public-key FILE (the exchange's .pub file)");
	return evidence_keys_add(keys, cli->server_key);
}

static int need_database(const struct cli *cli)
{
	if (cli->database)
		return CLI_OK;
	return cli_fail(CLI_USAGE, "set JUKWAA_DATABASE (quickstart: . STATE/admin.env)", "do not know which database to ask");
}

/* The database, open; NULL: said on standard error. */
static struct evidence_store *open_store(const struct cli *cli)
{
	char reason[256];
	struct evidence_store *store = evidence_store_open(cli->database, reason);

	if (!store)
		cli_fail(CLI_UNREACHABLE, "the connection string in JUKWAA_DATABASE", "the database: %s", reason);
	return store;
}

/* ---- head ------------------------------------------------------------------------------------------------------- */

static void keep_stored(void *arg, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	(void)leaves;
	(void)count;
	*(struct jk_signed_head *)arg = *head;
}

static void keep_newest(void *arg, const struct jk_signed_head *head)
{
	struct jk_signed_head *newest = arg;

	if (head->signed_at_us >= newest->signed_at_us)
		*newest = *head;
}

static void show_head(const struct cli *cli, const struct jk_signed_head *head)
{
	struct jk_buffer line = {0};
	char time[JK_TIME_BYTES], root[65], key[65], signature[129];

	if (cli->json) {
		jk_witness_write(&line, head);
		fwrite(line.data, 1, line.size, stdout);
		jk_buffer_done(&line);
		return;
	}
	jk_time_format(time, head->signed_at_us);
	jk_hex_encode(root, head->root, sizeof head->root);
	jk_hex_encode(key, head->public_key, sizeof head->public_key);
	jk_hex_encode(signature, head->signature, sizeof head->signature);
	printf("signed     %s (%" PRId64 ")\n", time, head->signed_at_us);
	if (head->head_no)
		printf("number     %" PRIu64 "\n", head->head_no);
	printf("root       %s\npublic key %s\nsignature  %s\n", root, key, signature);
}

static int newest_of_file(const char *path, struct jk_signed_head *ret)
{
	struct jk_refusal refusal;
	size_t bad;

	if (jk_witness_read(path, keep_newest, ret, &bad, &refusal) != JK_OK)
		return cli_fail(CLI_USAGE, NULL, "%s", refusal.reason);
	if (bad > 0)
		fprintf(stderr, "jukwaa: %s: %zu lines are no heads\n", path, bad);
	return CLI_OK;
}

static int newest_of_database(const struct cli *cli, struct jk_signed_head *ret)
{
	struct evidence_store *store = need_database(cli) == CLI_OK ? open_store(cli) : NULL;
	int status = CLI_OK;

	if (!store)
		return cli->database ? CLI_UNREACHABLE : CLI_USAGE;
	if (evidence_store_newest_head(store, keep_stored, ret) < 0)
		status = cli_fail(CLI_NOT_PERMITTED, "the connection string of the operator in JUKWAA_DATABASE", "%s",
			evidence_store_problem(store));
	evidence_store_close(&store);
	return status;
}

static int run_head(const struct cli *cli, struct cli_args *args)
{
	struct jk_signed_head head = {.signed_at_us = INT64_MIN};
	const char *file = NULL;
	int status;

	while (cli_args_peek(args))
		if (!cli_args_take(args, "--watch-file", &file))
			return cli_usage("evidence", "'%s' is not an option of evidence head", cli_args_peek(args));
	if (cli_args_missing(args))
		return cli_usage("evidence", "%s wants a value", cli_args_missing(args));
	status = file ? newest_of_file(file, &head) : newest_of_database(cli, &head);
	if (status != CLI_OK)
		return status;
	if (head.signed_at_us == INT64_MIN)
		return cli_fail(CLI_REFUSED, "again in 10 s, while dispatch runs", "there is no signed head yet");
	show_head(cli, &head);
	return jk_head_is_signed(&head) ? CLI_OK : cli_fail(CLI_REFUSED, NULL, "its signature does not hold");
}

/* ---- export ----------------------------------------------------------------------------------------------------- */

static void export_begin(void *arg, const struct jk_leaf *position, uint64_t head_no)
{
	jk_export_begin(arg, position, head_no);
}

static void export_end(void *arg, const struct jk_leaf *position, bool whole)
{
	jk_export_end(arg, position, whole);
}

static void export_head(void *arg, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	jk_export_head(arg, head, leaves, count);
}

static void export_event(void *arg, const struct evidence_event *event)
{
	jk_export_event(arg, &event->link, event->chain);
}

static int export_streams(const struct cli *cli, const struct evidence_part *part, FILE *file)
{
	struct jk_export export = {.file = file};
	const struct evidence_sink sink = {&export, export_begin, export_end, export_head, export_event};
	struct evidence_store *store = open_store(cli);
	int status = CLI_OK;

	if (!store)
		return CLI_UNREACHABLE;
	jk_export_start(&export, part->stream_count == 0);
	if (evidence_walk(store, part, &sink))
		jk_export_finish(&export);
	else
		status = cli_fail(CLI_NOT_PERMITTED, "the connection string of the operator in JUKWAA_DATABASE", "%s",
			evidence_store_problem(store));
	evidence_store_close(&store);
	return status;
}

struct export_texts {
	char *kept[STREAMS_MAX];
	const char *streams[STREAMS_MAX]; /* the same */
	size_t stream_count;
	const char *from, *to, *out;
};

/* --county may be given again, and may be a list. */
static int add_streams(struct export_texts *texts, const char *list)
{
	for (const char *word = list; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
		size_t size = strcspn(word, ",");

		if (size == 0 || texts->stream_count == STREAMS_MAX)
			return cli_usage("evidence", "--county is a list such as 047,001 or @KPS, not '%s'", list);
		texts->kept[texts->stream_count] = strndup(word, size);
		if (!texts->kept[texts->stream_count])
			return cli_fail(CLI_REFUSED, NULL, "no memory");
		texts->streams[texts->stream_count] = texts->kept[texts->stream_count];
		texts->stream_count++;
	}
	return CLI_OK;
}

static int read_part(const struct export_texts *texts, struct evidence_part *ret)
{
	int64_t from = 0, to = 0;

	*ret = (struct evidence_part){.streams = texts->streams, .stream_count = texts->stream_count};
	if ((texts->from && !jk_text_to_int64(texts->from, 1, INT64_MAX - 1, &from)) ||
		(texts->to && !jk_text_to_int64(texts->to, from ? from : 1, INT64_MAX - 1, &to)))
		return cli_usage("evidence", "--from and --to are numbers of a stream, from 1 on");
	if ((from || to) && texts->stream_count != 1)
		return cli_usage("evidence", "--from and --to want one --county");
	ret->from = (uint64_t)from;
	ret->to = (uint64_t)to;
	return CLI_OK;
}

static int export_to(const struct cli *cli, const struct export_texts *texts, const struct evidence_part *part)
{
	bool screen = !texts->out || strcmp(texts->out, "-") == 0;
	FILE *file = screen ? stdout : fopen(texts->out, "wxe");
	int status;

	if (!file)
		return cli_fail(CLI_USAGE, NULL, "%s: %s", texts->out, strerror(errno));
	status = export_streams(cli, part, file);
	if ((fflush(file) != 0 || ferror(file)) && status == CLI_OK)
		status = cli_fail(CLI_REFUSED, NULL, "%s cannot be written", screen ? "standard output" : texts->out);
	if (!screen && fclose(file) != 0 && status == CLI_OK)
		status = cli_fail(CLI_REFUSED, NULL, "%s cannot be written: %s", texts->out, strerror(errno));
	return status;
}

static int run_export(const struct cli *cli, struct cli_args *args)
{
	struct export_texts texts = {0};
	struct evidence_part part;
	const char *list = NULL;
	int status = CLI_OK;

	while (status == CLI_OK && cli_args_peek(args)) {
		if (cli_args_take(args, "--county", &list))
			status = list ? add_streams(&texts, list) : CLI_OK;
		else if (!cli_args_take(args, "--from", &texts.from) && !cli_args_take(args, "--to", &texts.to) &&
			 !cli_args_take(args, "--out", &texts.out))
			status = cli_usage("evidence", "'%s' is not an option of evidence export", cli_args_peek(args));
	}
	if (status == CLI_OK && cli_args_missing(args))
		status = cli_usage("evidence", "%s wants a value", cli_args_missing(args));
	if (status == CLI_OK)
		status = read_part(&texts, &part);
	if (status == CLI_OK)
		status = need_database(cli);
	if (status == CLI_OK)
		status = export_to(cli, &texts, &part);
	for (size_t i = 0; i < texts.stream_count; i++)
		free(texts.kept[i]);
	return status;
}

/* ---- prove, verify ---------------------------------------------------------------------------------------------- */

static int run_prove(const struct cli *cli, struct cli_args *args)
{
	const char *receipt = NULL, *out = NULL, *word;

	while (cli_args_peek(args)) {
		if (cli_args_take(args, "--out", &out))
			continue;
		word = cli_args_word(args);
		if (!word || receipt)
			return cli_usage(
				"evidence", "evidence prove takes one receipt, not '%s'", word ? word : cli_args_peek(args));
		receipt = word;
	}
	if (cli_args_missing(args))
		return cli_usage("evidence", "%s wants a value", cli_args_missing(args));
	if (!receipt)
		return cli_usage(
			"evidence", "say which receipt: a line of jukwaa --json publish, in a file or on standard input (-)");
	return need_database(cli) == CLI_OK ? evidence_prove(cli, receipt, out) : CLI_USAGE;
}

static bool take_verify_option(struct cli_args *args, struct evidence_verify *what)
{
	if (cli_args_take(args, "--database", NULL))
		return what->database = true;
	if (cli_args_take(args, "--content", NULL))
		return what->content = true;
	return cli_args_take(args, "--export", &what->export) || cli_args_take(args, "--heads", &what->heads) ||
	       cli_args_take(args, "--receipt", &what->receipt);
}

static int run_verify(const struct cli *cli, struct cli_args *args)
{
	struct evidence_verify what = {0};
	const char *key = NULL, *word;
	int status = CLI_OK;

	while (status == CLI_OK && cli_args_peek(args)) {
		if (cli_args_take(args, "--public-key", &key)) {
			status = key ? evidence_keys_add(&what.keys, key) : CLI_OK;
			continue;
		}
		if (take_verify_option(args, &what))
			continue;
		word = cli_args_word(args);
		if (!word || what.proof)
			return cli_usage("evidence", "evidence verify does not know '%s'", word ? word : cli_args_peek(args));
		what.proof = word;
	}
	if (status == CLI_OK && cli_args_missing(args))
		return cli_usage("evidence", "%s wants a value", cli_args_missing(args));
	if (status == CLI_OK && (what.proof != NULL) + (what.export != NULL) + what.database != 1)
		return cli_usage("evidence", "say what to verify: a PROOF, --export FILE or --database");
	if (status == CLI_OK && ((what.content && !what.database) || (what.heads && what.proof)))
		return cli_usage("evidence", "--content goes with --database, --heads with --database or --export");
	if (status == CLI_OK && what.keys.count == 0)
		status = evidence_keys_default(cli, &what.keys);
	if (status == CLI_OK && what.database)
		status = need_database(cli);
	return status == CLI_OK ? evidence_verify(cli, &what) : status;
}

int cli_evidence(const struct cli *cli, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct cli *cli, struct cli_args *args);
	} verbs[] = {{"head", run_head}, {"export", run_export}, {"prove", run_prove}, {"verify", run_verify}};
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	const char *what = cli_args_word(&args);

	if (jk_crypt_init() != JK_OK)
		return cli_fail(CLI_REFUSED, NULL, "no randomness");
	for (size_t i = 0; what && i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(what, verbs[i].name) == 0)
			return verbs[i].run(cli, &args);
	return cli_usage("evidence", "say what: evidence head, export, prove or verify");
}
