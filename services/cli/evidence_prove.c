/* jukwaa evidence prove: from a receipt to the next signed head. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "evidence/evidence_proof.h"
#include "services/cli/evidence.h"
#include "services/cli/evidence_store_pg.h"

enum { STREAMS_MAX = 48 };

struct proving {
	struct evidence_store *store;
	struct jk_leaf positions[STREAMS_MAX];
	size_t count;
	struct jk_id event_id;
	bool strange; /* receipts of several reports, too many streams, or two numbers in one */
	struct jk_signed_head head;
	struct jk_leaf *leaves;
	size_t leaf_count;
	struct jk_buffer text;
	/* The stream at hand. */
	uint64_t links;
	int64_t recorded_at_us;
	bool other_event, other_chain;
	size_t at;
};

static void on_position(void *arg, const struct jk_leaf *position, const struct jk_id *event_id)
{
	struct proving *p = arg;

	/* Copies of one event may say the same again; a proof says it once. */
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->positions[i].stream, position->stream) == 0) {
			p->strange |= p->positions[i].seq != position->seq || !jk_id_equal(&p->event_id, event_id) ||
				      memcmp(p->positions[i].chain, position->chain, sizeof position->chain) != 0;
			return;
		}
	if (p->count == STREAMS_MAX || (p->count > 0 && !jk_id_equal(&p->event_id, event_id))) {
		p->strange = true;
		return;
	}
	p->event_id = *event_id;
	p->positions[p->count++] = *position;
}

static int fail_database(const struct proving *p)
{
	return cli_fail(CLI_NOT_PERMITTED, "the connection string of the operator in JUKWAA_DATABASE", "%s",
		evidence_store_problem(p->store));
}

/* ---- the event itself ------------------------------------------------------------------------------------------- */

static void on_event(void *arg, const struct evidence_event *event)
{
	struct proving *p = arg;
	const struct jk_leaf *position = &p->positions[p->at];

	p->other_event = !jk_id_equal(&event->link.event_id, &p->event_id);
	p->other_chain = memcmp(event->chain, position->chain, sizeof position->chain) != 0;
	if (event->link.recorded_at_us < p->recorded_at_us || p->recorded_at_us == 0)
		p->recorded_at_us = event->link.recorded_at_us;
}

/* Is what the receipt says in the feed? */
static int look_at_event(struct proving *p)
{
	const struct jk_leaf *position = &p->positions[p->at];
	const struct evidence_range range = {position->stream, position->seq - 1, position->seq};
	int64_t rows = evidence_store_events(p->store, &range, 1, false, on_event, p);

	if (rows < 0)
		return fail_database(p);
	if (rows == 0)
		return cli_fail(CLI_REFUSED, "removed by age? keep a proof for as long as you may need it",
			"%s#%" PRIu64 " is not in the feed", position->stream, position->seq);
	if (p->other_event || p->other_chain)
		return cli_fail(CLI_REFUSED, "jukwaa evidence verify --database",
			"%s#%" PRIu64 " is not what the receipt says: %s", position->stream, position->seq,
			p->other_event ? "another event stands there" : "its chain is another");
	return CLI_OK;
}

/* ---- the head --------------------------------------------------------------------------------------------------- */

static void on_head(void *arg, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	struct proving *p = arg;

	free(p->leaves);
	p->head = *head;
	p->leaves = calloc(count + 1, sizeof *p->leaves);
	p->leaf_count = p->leaves ? count : 0;
	if (p->leaf_count > 0)
		memcpy(p->leaves, leaves, count * sizeof *leaves);
}

static int find_head(struct proving *p)
{
	int64_t rows = evidence_store_covering_head(p->store, p->positions, p->count, p->recorded_at_us, on_head, p);

	/* Where the clock went back since. */
	if (rows == 0)
		rows = evidence_store_covering_head(p->store, p->positions, p->count, 0, on_head, p);
	if (rows < 0)
		return fail_database(p);
	if (rows == 0)
		return cli_fail(CLI_REFUSED, "again in 10 s, while dispatch runs", "no signed head has reached this event yet");
	return CLI_OK;
}

/* ---- one stream ------------------------------------------------------------------------------------------------- */

static void on_link(void *arg, const struct evidence_event *event)
{
	struct proving *p = arg;

	if (++p->links <= JK_PROOF_LINKS_MAX)
		jk_proof_link(&p->text, &event->link);
}

static int write_path(struct proving *p, size_t index)
{
	uint8_t(*hashes)[32] = calloc(p->leaf_count, sizeof *hashes);
	struct jk_audit_step steps[JK_AUDIT_MAX];
	size_t count;

	if (!hashes)
		return cli_fail(CLI_REFUSED, NULL, "no memory");
	for (size_t i = 0; i < p->leaf_count; i++)
		jk_leaf_hash(hashes[i], p->leaves[i].stream, p->leaves[i].seq, p->leaves[i].chain);
	count = jk_audit_path(hashes, p->leaf_count, index, steps);
	jk_proof_path(&p->text, steps, count);
	free(hashes);
	return CLI_OK;
}

static int write_stream(struct proving *p)
{
	const struct jk_leaf *position = &p->positions[p->at];
	struct evidence_range range = {position->stream, position->seq - 1, 0};
	uint8_t previous[32];
	size_t index = 0;

	while (index < p->leaf_count && strcmp(p->leaves[index].stream, position->stream) != 0)
		index++;
	if (index == p->leaf_count)
		return cli_fail(CLI_REFUSED, "jukwaa evidence verify --database", "the signed head cannot be read");
	range.up_to = p->leaves[index].seq;
	if (range.up_to - range.after > JK_PROOF_LINKS_MAX)
		return cli_fail(CLI_REFUSED, "jukwaa evidence export --county CODE --from SEQ",
			"%" PRIu64 " events lie between %s#%" PRIu64 " and the next signed head; a proof holds %d",
			range.up_to - range.after, position->stream, position->seq, JK_PROOF_LINKS_MAX);
	if (position->seq > 1 && evidence_store_chain(p->store, position->stream, position->seq - 1, previous) <= 0)
		return cli_fail(CLI_REFUSED, "jukwaa evidence verify --database", "the event before %s#%" PRIu64 " is missing",
			position->stream, position->seq);
	jk_proof_stream(&p->text, position->stream, position->seq > 1 ? previous : NULL);
	p->links = 0;
	if (evidence_store_events(p->store, &range, 1, false, on_link, p) < 0)
		return fail_database(p);
	return write_path(p, index);
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

static int write_proof(struct proving *p, const char *out)
{
	FILE *file = out ? fopen(out, "wxe") : stdout;
	bool good;

	if (!file)
		return cli_fail(CLI_USAGE, NULL, "%s: %s", out, strerror(errno));
	good = fwrite(p->text.data, 1, p->text.size, file) == p->text.size;
	if (out)
		good = fclose(file) == 0 && good;
	return good ? CLI_OK : cli_fail(CLI_REFUSED, NULL, "the proof cannot be written");
}

static int prove(struct proving *p, const char *out)
{
	int status = CLI_OK;

	for (p->at = 0; status == CLI_OK && p->at < p->count; p->at++)
		status = look_at_event(p);
	if (status == CLI_OK)
		status = find_head(p);
	if (status != CLI_OK)
		return status;
	jk_proof_begin(&p->text, &p->event_id);
	for (p->at = 0; status == CLI_OK && p->at < p->count; p->at++)
		status = write_stream(p);
	if (status != CLI_OK)
		return status;
	jk_proof_end(&p->text, &p->head);
	if (p->text.failed)
		return cli_fail(CLI_REFUSED, NULL, "no memory");
	return write_proof(p, out);
}

int evidence_prove(const struct cli *cli, const char *receipt, const char *out)
{
	struct proving p = {0};
	char reason[256];
	int status;

	if (evidence_receipts_read(receipt, on_position, &p) < 0)
		return CLI_REFUSED;
	if (p.strange)
		return cli_fail(CLI_USAGE, NULL, "one receipt at a time: %s holds several", receipt);
	p.store = evidence_store_open(cli->database, reason);
	if (!p.store)
		return cli_fail(CLI_UNREACHABLE, "the connection string in JUKWAA_DATABASE", "the database: %s", reason);
	status = prove(&p, out);
	free(p.leaves);
	jk_buffer_done(&p.text);
	evidence_store_close(&p.store);
	return status;
}
