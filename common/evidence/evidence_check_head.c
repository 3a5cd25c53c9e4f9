/* evidence_check_head.c: signed heads, and those that somebody holds. */
#include "evidence/evidence_check_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* How far what dispatch signs may be behind what is recorded: it may have been away. */
#define LAG_MAX_US (24 * 3600 * UINT64_C(1000000))

/* ---- heads ------------------------------------------------------------------------------------------------------ */

static bool is_trusted(const struct jk_check *check, const uint8_t key[32])
{
	for (size_t i = 0; i < check->key_count; i++)
		if (memcmp(check->keys[i], key, 32) == 0)
			return true;
	return false;
}

static bool is_true_head(struct jk_check *check, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	uint8_t root[32];

	if (count > check->hash_capacity) {
		void *grown = realloc(check->hashes, count * sizeof *check->hashes);

		if (!grown)
			return !(check->sum.no_memory = true);
		check->hashes = grown;
		check->hash_capacity = count;
	}
	for (size_t i = 0; i < count; i++)
		jk_leaf_hash(check->hashes[i], leaves[i].stream, leaves[i].seq, leaves[i].chain);
	jk_merkle_root(root, check->hashes, count);
	if (memcmp(root, head->root, sizeof root) != 0)
		check_tell(check, &check->all, HEAD_ALTERED, 0, head->head_no,
			"signed head %" PRIu64 ": its positions are not those of its root", head->head_no);
	else if (!is_trusted(check, head->public_key))
		check_tell(check, &check->all, HEAD_FOREIGN, 0, head->head_no,
			"signed head %" PRIu64 " is signed by a key that is not among those given", head->head_no);
	else if (!jk_head_is_signed(head))
		check_tell(check, &check->all, HEAD_ALTERED, 0, head->head_no,
			"signed head %" PRIu64 ": its signature does not hold", head->head_no);
	else
		return true;
	return false;
}

/* Of an event that has come already, or that the stream begins behind. */
static void compare_past(struct jk_check *check, struct stream *stream, const struct must *must)
{
	const uint8_t *chain = NULL;

	if (must->seq == stream->seq)
		chain = stream->chain;
	else if (must->seq == stream->begin.seq)
		chain = stream->begin.chain;
	else if (must->seq == stream->last_must.seq)
		chain = stream->last_must.chain;
	if (chain && memcmp(chain, must->chain, 32) != 0)
		check_tell_other_chain(check, stream, must);
	else if (!chain && must->seq > stream->begin.seq)
		check_tell(check, stream, HEAD_BEHIND, must->seq, must->head_no,
			"signed head %" PRIu64 " names #%" PRIu64 ", far behind the heads before it: it is out of its place",
			must->head_no, must->seq);
}

static void take_leaf(struct jk_check *check, const struct jk_signed_head *head, const struct jk_leaf *leaf)
{
	struct stream *stream = check_find(check, leaf->stream);
	struct must must = {.seq = leaf->seq, .head_no = head->head_no};

	if (!stream || !stream->has_end) {
		stream = check->all_streams ? check_find_or_add(check, leaf->stream) : NULL;
		if (stream)
			check_tell(check, stream, CUT_OFF, 1, head->head_no,
				"a signed head reaches #%" PRIu64 ", and there is no such stream", leaf->seq);
		return;
	}
	memcpy(must.chain, leaf->chain, sizeof must.chain);
	if (stream->begin_head == head->head_no && stream->begin.seq == leaf->seq &&
		memcmp(stream->begin.chain, leaf->chain, sizeof leaf->chain) == 0)
		stream->begin_proven = true;
	if (leaf->seq > stream->signed_seq)
		stream->signed_seq = leaf->seq;
	if (leaf->seq <= stream->seq)
		compare_past(check, stream, &must);
	else if (stream->whole || leaf->seq <= stream->end.seq)
		check_add_must(check, stream, &must);
}

/* ---- witnesses -------------------------------------------------------------------------------------------------- */

static int compare_heads(const struct jk_signed_head *a, const struct jk_signed_head *b)
{
	if (a->signed_at_us != b->signed_at_us)
		return a->signed_at_us < b->signed_at_us ? -1 : 1;
	return memcmp(a->root, b->root, sizeof a->root);
}

static int compare_witnesses(const void *a, const void *b)
{
	return compare_heads(&((const struct witness *)a)->head, &((const struct witness *)b)->head);
}

void jk_check_witness(struct jk_check *check, const struct jk_signed_head *head)
{
	void *witnesses = check->witnesses;

	if (!is_trusted(check, head->public_key) || !jk_head_is_signed(head)) {
		check_tell(check, &check->all, WITNESS_ALTERED, 0, head->head_no,
			"a head that was witnessed is not signed by a key that was given");
		return;
	}
	if (!check_grow(check, &witnesses, &check->witness_capacity, check->witness_count, sizeof *check->witnesses))
		return;
	check->witnesses = witnesses;
	check->witnesses[check->witness_count++] = (struct witness){.head = *head};
	check->witnesses_sorted = false;
}

/* How far the streams were under the newest witnessed head before the first one that is missing. */
static void remember_witnessed(
	struct jk_check *check, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	check->witnessed_head = head->head_no;
	for (size_t i = 0; i < count; i++) {
		struct stream *stream = check_find(check, leaves[i].stream);

		if (stream)
			stream->witnessed_seq = leaves[i].seq;
	}
}

static void match_witness(struct jk_check *check, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	const struct witness wanted = {.head = *head};
	struct witness *at;

	if (!check->witnesses_sorted && check->witness_count > 0)
		qsort(check->witnesses, check->witness_count, sizeof *check->witnesses, compare_witnesses);
	check->witnesses_sorted = true;
	at = check->witness_count == 0 ? NULL
				       : bsearch(&wanted, check->witnesses, check->witness_count, sizeof *at, compare_witnesses);
	if (!at)
		return;
	while (at > check->witnesses && compare_witnesses(at - 1, &wanted) == 0)
		at--;
	for (; at < check->witnesses + check->witness_count && compare_witnesses(at, &wanted) == 0; at++)
		at->found = true;
	while (check->witness_first < check->witness_count &&
		(check->witnesses[check->witness_first].found ||
			check->witnesses[check->witness_first].head.signed_at_us < check->kept_from_us))
		check->witness_first++;
	if (check->witness_first == check->witness_count ||
		check->witnesses[check->witness_first].head.signed_at_us > head->signed_at_us)
		remember_witnessed(check, head, leaves, count);
}

/* Removal by age moves all streams at once to the positions of one head. Where one was left behind, somebody removed the others
 * by hand, perhaps for heads that others hold to count as too old to be kept. */
static bool is_removal(struct jk_check *check, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	struct stream *anchor = check->anchor;
	bool all = anchor->begin_proven;

	for (size_t i = 0; i < count; i++) {
		const struct stream *stream = check_find(check, leaves[i].stream);

		if (!stream || !stream->has_end || stream->begin.seq >= leaves[i].seq)
			continue;
		all = false;
		/* Its own beginning is looked at in the end; and a part may begin anywhere. */
		if (stream != anchor && !check_is_begun_in_part(stream))
			check_tell(check, anchor, BEGINS_NOWHERE, anchor->begin.seq, head->head_no,
				"removed up to #%" PRIu64 " under signed head %" PRIu64 ", but %s#%" PRIu64
				", which that head covers too, was not: removal by age takes all streams at once",
				anchor->begin.seq, head->head_no, stream->name, stream->begin.seq + 1);
	}
	return all;
}

void jk_check_head(struct jk_check *check, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	check->sum.heads++;
	if (!is_true_head(check, head, leaves, count))
		return;
	for (size_t i = 0; i < count; i++)
		take_leaf(check, head, &leaves[i]);
	if (check->anchor && head->head_no == check->anchor->begin_head && is_removal(check, head, leaves, count))
		check->kept_from_us = head->signed_at_us;
	match_witness(check, head, leaves, count);
}

static void tell_missing_witness(struct jk_check *check, const struct jk_signed_head *head)
{
	bool told = false;

	for (size_t i = 0; i < check->stream_count; i++) {
		struct stream *stream = check->streams[i];

		if (!stream->has_end || stream->seq <= stream->witnessed_seq)
			continue;
		told = true;
		check_tell(check, stream, NOT_WITNESSED, stream->witnessed_seq + 1, check->witnessed_head,
			"a head that was witnessed is not among those stored: from this number on nothing is known to be as it "
			"was");
	}
	if (!told)
		check_tell(check, &check->all, NOT_WITNESSED, 0, head->head_no,
			"a head that was witnessed is not among those stored");
}

/* A head is removed when what was recorded before it has gone. Who owns the key could sign one more head over next to nothing and
 * let events begin under it, so that all heads before it count as too old to be kept; events that are older still betray that. */
static bool is_older_event_kept(const struct jk_check *check, const struct jk_signed_head *head)
{
	return check->oldest && check->oldest_us < head->signed_at_us &&
	       (uint64_t)head->signed_at_us - (uint64_t)check->oldest_us > LAG_MAX_US;
}

void check_finish_witnesses(struct jk_check *check)
{
	for (size_t i = 0; i < check->witness_count; i++) {
		const struct witness *witness = &check->witnesses[i];

		if (witness->found)
			check->sum.witnessed++;
		else if (witness->head.signed_at_us >= check->kept_from_us)
			tell_missing_witness(check, &witness->head);
		else if (is_older_event_kept(check, &witness->head))
			check_tell(check, check->oldest, NOT_WITNESSED, check->oldest_seq, witness->head.head_no,
				"a head that was witnessed is not among those stored, as if removed by age, but this event, "
				"recorded long before it, is here: from its number on nothing is known to be as it was");
		else
			check->sum.witnessed_before_kept++;
	}
}
