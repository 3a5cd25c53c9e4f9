/* jukwaa evidence verify: a proof, an export, or the database, against keys, witnessed heads and receipts. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_time.h"
#include "evidence/evidence_export.h"
#include "evidence/evidence_proof.h"
#include "evidence/evidence_witness.h"
#include "services/cli/evidence.h"
#include "services/cli/evidence_content.h"
#include "services/cli/evidence_walk.h"
#include "json/json_map.h"

struct verifying {
	const struct cli *cli;
	const struct evidence_verify *what;
	struct jk_check *check;
	struct evidence_content *content;
	/* Of a receipt beside a proof. */
	struct jk_leaf *receipts;
	struct jk_id receipt_event;
	size_t receipt_count;
	bool no_memory, several;
	uint64_t witnesses;
	size_t proven; /* of them */
};

/* ---- findings --------------------------------------------------------------------------------------------------- */

static void show_finding(void *arg, const struct jk_finding *finding)
{
	const struct cli *cli = ((struct verifying *)arg)->cli;
	struct jk_buffer line = {0};

	if (cli->json) {
		jk_buffer_printf(&line, "{\"code\":\"%s\",\"stream\":", finding->code);
		jk_json_quote(&line, finding->stream);
		jk_buffer_printf(
			&line, ",\"seq\":%" PRIu64 ",\"head_no\":%" PRIu64 ",\"reason\":", finding->seq, finding->head_no);
		jk_json_quote(&line, finding->words);
		printf("%s}\n", line.failed ? "" : line.data);
		jk_buffer_done(&line);
		return;
	}
	printf("%s%s%s ", cli_tone(cli, CLI_BAD), finding->code, cli_tone(cli, CLI_PLAIN));
	if (*finding->stream) {
		cli_print_text(stdout, finding->stream, 0);
		printf("#%" PRIu64 ": ", finding->seq);
	}
	cli_print_text(stdout, finding->words, 0);
	printf("\n");
}

static void show_sum_json(const struct jk_check_sum *sum)
{
	printf("{\"result\":\"%s\",\"streams\":%" PRIu64 ",\"events\":%" PRIu64 ",\"heads\":%" PRIu64 ",\"findings\":%" PRIu64
	       ",\"all_streams\":%s,\"partial_streams\":%" PRIu64 ",\"unsigned_events\":%" PRIu64 ",\"witnessed\":%" PRIu64
	       ",\"witnessed_before_kept\":%" PRIu64 "}\n",
		sum->findings ? "altered" : "intact", sum->streams, sum->events, sum->heads, sum->findings,
		sum->all_streams ? "true" : "false", sum->partial_streams, sum->unsigned_events, sum->witnessed,
		sum->witnessed_before_kept);
}

static void show_sum_words(const struct verifying *v, const struct jk_check_sum *sum)
{
	printf("%s%s%s: %" PRIu64 " events of %" PRIu64 " streams, %" PRIu64 " signed heads",
		cli_tone(v->cli, sum->findings ? CLI_BAD : CLI_GOOD), sum->findings ? "ALTERED" : "intact",
		cli_tone(v->cli, CLI_PLAIN), sum->events, sum->streams, sum->heads);
	if (sum->findings)
		printf(", %" PRIu64 " findings (above: the first of each kind in each stream)", sum->findings);
	printf("\n");
	if (!sum->all_streams)
		printf("  only a part: the export is of some streams, not of all that the exchange has\n");
	if (sum->partial_streams)
		printf("  only a part: %" PRIu64 " streams are not there from their beginning to their end\n",
			sum->partial_streams);
	if (sum->unsigned_events)
		printf("  %" PRIu64 " events came after the last signed head: only their chain holds them\n",
			sum->unsigned_events);
	if (v->what->heads)
		printf("  %" PRIu64 " witnessed heads found again, %" PRIu64 " from before the heads that are kept\n",
			sum->witnessed, sum->witnessed_before_kept);
	else
		printf("  no witnessed heads were given: who holds the exchange's key could have signed another history\n");
}

static int show_sum(const struct verifying *v, const struct jk_check_sum *sum)
{
	if (sum->no_memory)
		return cli_fail(CLI_REFUSED, NULL, "no memory: nothing is proven");
	if (v->cli->json)
		show_sum_json(sum);
	else
		show_sum_words(v, sum);
	return sum->findings ? CLI_REFUSED : CLI_OK;
}

/* ---- streams: an export, the database --------------------------------------------------------------------------- */

static void on_witness(void *arg, const struct jk_signed_head *head)
{
	struct verifying *v = arg;

	v->witnesses++;
	jk_check_witness(v->check, head);
}

static void on_receipt(void *arg, const struct jk_leaf *position, const struct jk_id *event_id)
{
	(void)event_id;
	jk_check_expect(((struct verifying *)arg)->check, position);
}

/* What others hold. */
static int take_outside(struct verifying *v)
{
	struct jk_refusal refusal;
	size_t bad = 0;

	if (v->what->heads && jk_witness_read(v->what->heads, on_witness, v, &bad, &refusal) != JK_OK)
		return cli_fail(CLI_USAGE, NULL, "%s", refusal.reason);
	/* A crash may have cut one off; it is the verifier's own file. */
	if (bad > 0)
		fprintf(stderr, "jukwaa: %s: %zu lines are no heads\n", v->what->heads, bad);
	if (v->what->heads && v->witnesses == 0)
		return cli_fail(CLI_USAGE, NULL, "%s: there is no head in it", v->what->heads);
	if (v->what->receipt && evidence_receipts_read(v->what->receipt, on_receipt, v) < 0)
		return CLI_REFUSED;
	return CLI_OK;
}

static int verify_export(struct verifying *v)
{
	FILE *file = strcmp(v->what->export, "-") == 0 ? stdin : fopen(v->what->export, "re");
	struct jk_refusal refusal;
	bool good;

	if (!file)
		return cli_fail(CLI_USAGE, NULL, "%s: %s", v->what->export, strerror(errno));
	good = jk_export_read(file, v->check, &refusal);
	if (file != stdin)
		fclose(file);
	return good ? CLI_OK : cli_fail_refusal(&refusal);
}

/* A key of the database forbids it; who has written to it may have taken the key away. */
static void report_twice(struct verifying *v, const struct jk_leaf *position)
{
	jk_check_report(v->check, "STREAM_TWICE", position->stream, position->seq, "the stream has two beginnings, or two ends");
}

static void check_begin(void *arg, const struct jk_leaf *position, uint64_t head_no)
{
	struct verifying *v = arg;

	if (!jk_check_begin(v->check, position, head_no))
		report_twice(v, position);
}

static void check_end(void *arg, const struct jk_leaf *position, bool whole)
{
	struct verifying *v = arg;

	if (!jk_check_end(v->check, position, whole))
		report_twice(v, position);
}

static void check_head(void *arg, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	jk_check_head(((struct verifying *)arg)->check, head, leaves, count);
}

static void check_event(void *arg, const struct evidence_event *event)
{
	struct verifying *v = arg;
	const char *wrong;

	jk_check_event(v->check, &event->link, event->chain);
	if (v->content && (wrong = evidence_content_judge(v->content, event)))
		jk_check_report(v->check, "CONTENT_ALTERED", event->link.stream, event->link.seq, wrong);
}

static int verify_database(struct verifying *v)
{
	const struct evidence_part part = {.with_body = v->what->content};
	const struct evidence_sink sink = {v, check_begin, check_end, check_head, check_event};
	char reason[256];
	struct evidence_store *store = evidence_store_open(v->cli->database, reason);
	int status = CLI_OK;

	if (!store)
		return cli_fail(CLI_UNREACHABLE, "the connection string in JUKWAA_DATABASE", "the database: %s", reason);
	jk_check_all_streams(v->check);
	if (v->what->content && !(v->content = evidence_content_new()))
		status = cli_fail(CLI_REFUSED, NULL, "no memory");
	else if (!evidence_walk(store, &part, &sink))
		status = cli_fail(CLI_NOT_PERMITTED, "the connection string of the operator in JUKWAA_DATABASE", "%s",
			evidence_store_problem(store));
	evidence_content_free(&v->content);
	evidence_store_close(&store);
	return status;
}

static int verify_streams(struct verifying *v)
{
	struct jk_check_sum sum;
	int status;

	v->check = jk_check_new(v->what->keys.keys, v->what->keys.count, show_finding, v);
	if (!v->check)
		return cli_fail(CLI_REFUSED, NULL, "no memory");
	status = take_outside(v);
	if (status == CLI_OK)
		status = v->what->export ? verify_export(v) : verify_database(v);
	if (status == CLI_OK) {
		sum = jk_check_finish(v->check);
		status = show_sum(v, &sum);
	}
	jk_check_free(&v->check);
	return status;
}

/* ---- a proof ---------------------------------------------------------------------------------------------------- */

static void keep_receipt(void *arg, const struct jk_leaf *position, const struct jk_id *event_id)
{
	struct verifying *v = arg;
	struct jk_leaf *grown = realloc(v->receipts, (v->receipt_count + 1) * sizeof *grown);

	v->no_memory |= !grown;
	if (!grown)
		return;
	v->several |= v->receipt_count > 0 && !jk_id_equal(&v->receipt_event, event_id);
	v->receipts = grown;
	v->receipts[v->receipt_count++] = *position;
	v->receipt_event = *event_id;
}

/* How many positions of the receipt it is; each is counted once, as no proof has a stream twice. */
static size_t count_receipted(const struct verifying *v, const struct jk_proven *proven)
{
	size_t count = 0;

	for (size_t i = 0; i < v->receipt_count; i++)
		count += strcmp(v->receipts[i].stream, proven->link.stream) == 0 && v->receipts[i].seq == proven->link.seq &&
			 memcmp(v->receipts[i].chain, proven->chain, sizeof proven->chain) == 0 &&
			 jk_id_equal(&v->receipt_event, &proven->link.event_id);
	return count;
}

static void show_proven(void *arg, const struct jk_proven *proven)
{
	struct verifying *v = arg;
	char chain[65], event_id[JK_ID_TEXT_BYTES], time[JK_TIME_BYTES];
	size_t receipted = count_receipted(v, proven);

	v->proven += receipted;
	jk_hex_encode(chain, proven->chain, sizeof proven->chain);
	jk_id_format(event_id, &proven->link.event_id);
	jk_time_format(time, proven->link.recorded_at_us);
	if (v->cli->json) {
		struct jk_buffer line = {0};

		jk_json_quote(&line, proven->link.stream);
		printf("{\"stream\":%s,\"seq\":%" PRIu64
		       ",\"event_id\":\"%s\",\"recorded_at\":\"%s\",\"chain\":\"%s\",\"links\":%" PRIu64 ",\"receipt\":\"%s\"}\n",
			line.failed ? "\"\"" : line.data, proven->link.seq, event_id, time, chain, proven->links,
			!v->what->receipt ? "not given"
			: receipted       ? "proven"
					  : "other");
		jk_buffer_done(&line);
		return;
	}
	printf("%sproven%s ", cli_tone(v->cli, CLI_GOOD), cli_tone(v->cli, CLI_PLAIN));
	cli_print_text(stdout, proven->link.stream, 0);
	printf("#%" PRIu64 " is event %s, recorded %s, %" PRIu64 " links from the head%s\n", proven->link.seq, event_id, time,
		proven->links, receipted ? "; the receipt says the same" : "");
}

/* All of a small file; NULL: said on standard error. */
static char *read_file(const char *path, size_t *ret_size)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *text = file ? malloc(JK_PROOF_MAX_BYTES + 1) : NULL;

	*ret_size = text ? fread(text, 1, JK_PROOF_MAX_BYTES + 1, file) : 0;
	if (!text || ferror(file) || *ret_size > JK_PROOF_MAX_BYTES) {
		cli_fail(CLI_USAGE, NULL, "%s: %s", path,
			*ret_size > JK_PROOF_MAX_BYTES ? "too large for a proof" : strerror(errno));
		free(text);
		text = NULL;
	}
	if (file && file != stdin)
		fclose(file);
	return text;
}

static int verify_proof(struct verifying *v)
{
	struct jk_signed_head head;
	struct jk_refusal refusal = {0};
	char time[JK_TIME_BYTES];
	size_t size;
	char *text = read_file(v->what->proof, &size);
	bool good;

	if (!text)
		return CLI_USAGE;
	good = jk_proof_check(text, size, v->what->keys.keys, v->what->keys.count, show_proven, v, &head, &refusal);
	free(text);
	if (!good)
		return cli_fail_refusal(&refusal);
	jk_time_format(time, head.signed_at_us);
	if (!v->cli->json)
		printf("  under the head signed %s\n", time);
	if (v->proven < v->receipt_count)
		return cli_fail(
			CLI_REFUSED, "jukwaa evidence prove", "the proof holds, but it is not about all that the receipt says");
	return CLI_OK;
}

int evidence_verify(const struct cli *cli, const struct evidence_verify *what)
{
	struct verifying v = {.cli = cli, .what = what};
	int status;

	if (!what->proof)
		return verify_streams(&v);
	if (what->receipt && (evidence_receipts_read(what->receipt, keep_receipt, &v) < 0 || v.no_memory))
		status = CLI_REFUSED;
	else if (v.several)
		status = cli_fail(CLI_USAGE, NULL, "one receipt at a time: %s holds several", what->receipt);
	else
		status = verify_proof(&v);
	free(v.receipts);
	return status;
}
