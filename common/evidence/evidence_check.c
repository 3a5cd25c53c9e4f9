#include "evidence/evidence_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What can be found. The first of each kind is told for each stream, all are counted. */
enum fault {
	CHAIN_BROKEN,     /* the row is not what its chain was made of */
	NUMBER_MISSING,   /* a hole in the numbers */
	NUMBER_REPEATED,  /* a number again, or an earlier one */
	NOT_AS_SIGNED,    /* a signed head has another chain for this number */
	NOT_AS_RECEIPTED, /* a receipt or copy has */
	NOT_CHECKED,      /* a receipt is about an event that is not among those looked at */
	CUT_OFF,          /* a signed head or receipt knows more of the stream than there is */
	ENDS_ELSEWHERE,   /* the events do not end where feed.head says */
	BEGINS_NOWHERE,   /* what was removed does not end at a signed head, or other streams were not removed up to that head */
	STREAM_UNKNOWN,   /* events of a stream that has no head row */
	HEAD_ALTERED,     /* root and leaves, or root and signature, do not belong together */
	HEAD_FOREIGN,     /* signed by a key that is not the exchange's */
	HEAD_BEHIND,      /* a signed head far behind those before it */
	NOT_WITNESSED,    /* a head that somebody holds is not among those stored */
	WITNESS_ALTERED,  /* a head that somebody holds is not the exchange's */
	FAULTS,
};
static const char *const codes[FAULTS] = {
	"CHAIN_BROKEN",
	"NUMBER_MISSING",
	"NUMBER_REPEATED",
	"NOT_AS_SIGNED",
	"NOT_AS_RECEIPTED",
	"NOT_CHECKED",
	"CUT_OFF",
	"ENDS_ELSEWHERE",
	"BEGINS_NOWHERE",
	"STREAM_UNKNOWN",
	"HEAD_ALTERED",
	"HEAD_FOREIGN",
	"HEAD_BEHIND",
	"NOT_WITNESSED",
	"WITNESS_ALTERED",
};

/* How far what dispatch signs may be behind what is recorded: it may have been away. */
#define LAG_MAX_US (24 * 3600 * UINT64_C(1000000))

/* What the event of this number must have. head_no 0: a receipt says so. */
struct must {
	uint64_t seq, head_no;
	uint8_t chain[32];
};

struct stream {
	char name[JK_LEAF_STREAM_BYTES];
	struct jk_leaf begin, end;
	uint64_t begin_head;
	bool has_begin, begin_proven, has_end, whole;
	uint64_t seq; /* of the event that came last, and what its row says is its chain */
	uint8_t chain[32];
	struct must *musts; /* ascending by seq; those before first are done */
	size_t first, count, capacity;
	struct must last_must; /* done last */
	uint64_t signed_seq;   /* the highest that a head covers */
	uint64_t witnessed_seq;
	uint64_t unchecked_seq; /* the first that a receipt is about and that did not come; 0: none */
	unsigned told;          /* a bit a fault */
};

struct witness {
	struct jk_signed_head head;
	bool found;
};

struct jk_check {
	const uint8_t (*keys)[32];
	size_t key_count;
	jk_check_finding *found;
	void *arg;
	struct stream **streams; /* ascending by name */
	size_t stream_count, stream_capacity;
	struct stream *last; /* events come in runs */
	struct stream all;   /* for what concerns no stream */
	struct witness *witnesses;
	size_t witness_count, witness_capacity, witness_first; /* all before it are found, or from before what is kept */
	bool witnesses_sorted, all_streams;
	struct stream *anchor; /* one that begins under the newest head that any begins under; NULL: none does */
	int64_t kept_from_us;  /* when that head was signed: heads from there on are all kept */
	struct stream *oldest; /* has the event that was recorded first of those kept; NULL: none came */
	uint64_t oldest_seq;
	int64_t oldest_us;
	uint64_t witnessed_head;
	uint8_t (*hashes)[32];
	size_t hash_capacity;
	struct jk_check_sum sum;
};

struct jk_check *jk_check_new(const uint8_t (*keys)[32], size_t key_count, jk_check_finding *found, void *arg)
{
	struct jk_check *check = calloc(1, sizeof *check);

	if (check)
		*check = (struct jk_check){
			.keys = keys, .key_count = key_count, .found = found, .arg = arg, .kept_from_us = INT64_MIN};
	return check;
}

void jk_check_free(struct jk_check **check_p)
{
	struct jk_check *check = *check_p;

	*check_p = NULL;
	if (!check)
		return;
	for (size_t i = 0; i < check->stream_count; i++) {
		free(check->streams[i]->musts);
		free(check->streams[i]);
	}
	free(check->streams);
	free(check->witnesses);
	free(check->hashes);
	free(check);
}

void jk_check_all_streams(struct jk_check *check)
{
	check->all_streams = true;
}

/* ---- findings --------------------------------------------------------------------------------------------------- */

JK_PRINTF(6, 7)
static void tell(
	struct jk_check *check, struct stream *stream, enum fault fault, uint64_t seq, uint64_t head_no, const char *format, ...)
{
	struct jk_finding finding = {.code = codes[fault], .seq = seq, .head_no = head_no};
	va_list arguments;

	check->sum.findings++;
	if (stream->told & 1u << fault)
		return;
	stream->told |= 1u << fault;
	(void)jk_text_copy(finding.stream, sizeof finding.stream, stream->name);
	va_start(arguments, format);
	(void)vsnprintf(finding.words, sizeof finding.words, format, arguments);
	va_end(arguments);
	check->found(check->arg, &finding);
}

static void tell_other_chain(struct jk_check *check, struct stream *stream, const struct must *must)
{
	if (must->head_no == 0)
		tell(check, stream, NOT_AS_RECEIPTED, must->seq, 0,
			"a receipt has another chain for it: it, or what came before it, was changed");
	else if (stream->last_must.seq > 0)
		tell(check, stream, NOT_AS_SIGNED, must->seq, must->head_no,
			"signed head %" PRIu64 " has another chain for it: rewritten somewhere after #%" PRIu64
			", which is as it was signed",
			must->head_no, stream->last_must.seq);
	else
		tell(check, stream, NOT_AS_SIGNED, must->seq, must->head_no,
			"signed head %" PRIu64 " has another chain for it: it, or what came before it, was rewritten",
			must->head_no);
}

void jk_check_report(struct jk_check *check, const char *code, const char *stream, uint64_t seq, const char *words)
{
	struct jk_finding finding = {.code = code, .seq = seq};

	check->sum.findings++;
	(void)jk_text_copy(finding.stream, sizeof finding.stream, stream);
	(void)jk_text_copy(finding.words, sizeof finding.words, words);
	check->found(check->arg, &finding);
}

/* ---- streams ---------------------------------------------------------------------------------------------------- */

/* Makes room for one more; false: no memory. */
static bool grow(struct jk_check *check, void **items, size_t *capacity, size_t count, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : 16;
	void *grown;

	if (count < *capacity)
		return true;
	grown = realloc(*items, wanted * size);
	if (!grown) {
		check->sum.no_memory = true;
		return false;
	}
	*items = grown;
	*capacity = wanted;
	return true;
}

/* Where the stream of that name stands or would stand. */
static size_t place_of(const struct jk_check *check, const char *name)
{
	size_t low = 0, high = check->stream_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(check->streams[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct stream *find(struct jk_check *check, const char *name)
{
	size_t place;

	if (check->last && strcmp(check->last->name, name) == 0)
		return check->last;
	place = place_of(check, name);
	if (place == check->stream_count || strcmp(check->streams[place]->name, name) != 0)
		return NULL;
	return check->last = check->streams[place];
}

/* NULL without memory. */
static struct stream *find_or_add(struct jk_check *check, const char *name)
{
	struct stream *stream = find(check, name);
	size_t place = place_of(check, name);
	void *streams = check->streams;

	if (stream)
		return stream;
	if (!grow(check, &streams, &check->stream_capacity, check->stream_count, sizeof(struct stream *)))
		return NULL;
	check->streams = streams;
	stream = calloc(1, sizeof *stream);
	if (!stream) {
		check->sum.no_memory = true;
		return NULL;
	}
	(void)jk_text_copy(stream->name, sizeof stream->name, name);
	memmove(check->streams + place + 1, check->streams + place, (check->stream_count - place) * sizeof *check->streams);
	check->streams[place] = stream;
	check->stream_count++;
	return check->last = stream;
}

/* Where whoever made the part chose to begin, not where removal ended. */
static bool is_begun_in_part(const struct stream *stream)
{
	return stream->begin_head == 0 && stream->begin.seq > 0;
}

/* A beginning in the middle would hide what came before it, a second end what heads know beyond the first. */
static bool has_started(const struct jk_check *check)
{
	return check->sum.heads + check->sum.events > 0;
}

/* Receipts of what is not here any more; the last one's chain at least is known. */
static void settle_removed(struct jk_check *check, struct stream *stream)
{
	while (stream->first < stream->count && stream->musts[stream->first].seq <= stream->begin.seq) {
		const struct must *must = &stream->musts[stream->first++];

		if (must->seq == stream->begin.seq && memcmp(must->chain, stream->begin.chain, sizeof must->chain) != 0)
			tell_other_chain(check, stream, must);
		else if (stream->unchecked_seq == 0)
			stream->unchecked_seq = must->seq;
	}
}

bool jk_check_begin(struct jk_check *check, const struct jk_leaf *position, uint64_t head_no)
{
	struct stream *stream = find_or_add(check, position->stream);

	if (!stream)
		return true;
	if (stream->has_begin || has_started(check))
		return false;
	stream->begin = *position;
	stream->has_begin = true;
	stream->begin_head = head_no;
	stream->seq = position->seq;
	memcpy(stream->chain, position->chain, sizeof stream->chain);
	if (head_no > (check->anchor ? check->anchor->begin_head : 0))
		check->anchor = stream;
	settle_removed(check, stream);
	return true;
}

bool jk_check_end(struct jk_check *check, const struct jk_leaf *position, bool whole)
{
	struct stream *stream = find_or_add(check, position->stream);

	if (!stream)
		return true;
	if (stream->has_end || has_started(check))
		return false;
	stream->end = *position;
	stream->has_end = true;
	stream->whole = whole;
	check->sum.streams++;
	return true;
}

/* Mostly at the end: heads and receipts come in order. The same again is kept once. */
static void add_must(struct jk_check *check, struct stream *stream, const struct must *must)
{
	void *musts = stream->musts;
	size_t at;

	if (stream->first > 0 && stream->count == stream->capacity) {
		memmove(stream->musts, stream->musts + stream->first, (stream->count - stream->first) * sizeof *stream->musts);
		stream->count -= stream->first;
		stream->first = 0;
	}
	for (at = stream->count; at > stream->first && stream->musts[at - 1].seq >= must->seq; at--)
		if (stream->musts[at - 1].seq == must->seq && memcmp(stream->musts[at - 1].chain, must->chain, 32) == 0)
			return;
	if (!grow(check, &musts, &stream->capacity, stream->count, sizeof *must))
		return;
	stream->musts = musts;
	memmove(stream->musts + at + 1, stream->musts + at, (stream->count - at) * sizeof *must);
	stream->musts[at] = *must;
	stream->count++;
}

void jk_check_expect(struct jk_check *check, const struct jk_leaf *position)
{
	struct stream *stream = find_or_add(check, position->stream);
	struct must must = {.seq = position->seq};

	memcpy(must.chain, position->chain, sizeof must.chain);
	if (stream)
		add_must(check, stream, &must);
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

/* The row of this number has this chain: what heads and receipts say of it is done. */
static void settle_musts(struct jk_check *check, struct stream *stream, uint64_t seq, const uint8_t chain[32])
{
	while (stream->first < stream->count && stream->musts[stream->first].seq <= seq) {
		const struct must *must = &stream->musts[stream->first++];

		if (must->seq < seq && must->head_no == 0 && stream->unchecked_seq == 0)
			stream->unchecked_seq = must->seq;
		else if (must->seq == seq && memcmp(must->chain, chain, 32) != 0)
			tell_other_chain(check, stream, must);
		else if (must->seq == seq && must->head_no != 0)
			stream->last_must = *must;
	}
	if (stream->first == stream->count)
		stream->first = stream->count = 0;
}

void jk_check_event(struct jk_check *check, const struct jk_chain_link *link, const uint8_t chain[32])
{
	struct stream *stream = find_or_add(check, link->stream);
	uint8_t computed[32];

	check->sum.events++;
	if (!stream)
		return;
	if (!check->oldest || link->recorded_at_us < check->oldest_us) {
		check->oldest = stream;
		check->oldest_seq = link->seq;
		check->oldest_us = link->recorded_at_us;
	}
	if (!stream->has_end)
		tell(check, stream, STREAM_UNKNOWN, link->seq, 0, "events of a stream that has no head");
	if (link->seq <= stream->seq) {
		tell(check, stream, NUMBER_REPEATED, link->seq, 0, "comes after #%" PRIu64, stream->seq);
		return;
	}
	if (link->seq != stream->seq + 1) {
		tell(check, stream, NUMBER_MISSING, stream->seq + 1, 0, "after #%" PRIu64 " comes #%" PRIu64, stream->seq,
			link->seq);
	} else {
		jk_chain_next(computed, stream->seq == 0 ? NULL : stream->chain, link);
		if (memcmp(computed, chain, sizeof computed) != 0)
			tell(check, stream, CHAIN_BROKEN, link->seq, 0,
				"its row is not what its chain was made of, or the row before it is not the one that stood "
				"there");
	}
	stream->seq = link->seq;
	memcpy(stream->chain, chain, sizeof stream->chain);
	if (stream->first < stream->count)
		settle_musts(check, stream, link->seq, chain);
}

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
		tell(check, &check->all, HEAD_ALTERED, 0, head->head_no,
			"signed head %" PRIu64 ": its positions are not those of its root", head->head_no);
	else if (!is_trusted(check, head->public_key))
		tell(check, &check->all, HEAD_FOREIGN, 0, head->head_no,
			"signed head %" PRIu64 " is signed by a key that is not among those given", head->head_no);
	else if (!jk_head_is_signed(head))
		tell(check, &check->all, HEAD_ALTERED, 0, head->head_no, "signed head %" PRIu64 ": its signature does not hold",
			head->head_no);
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
		tell_other_chain(check, stream, must);
	else if (!chain && must->seq > stream->begin.seq)
		tell(check, stream, HEAD_BEHIND, must->seq, must->head_no,
			"signed head %" PRIu64 " names #%" PRIu64 ", far behind the heads before it: it is out of its place",
			must->head_no, must->seq);
}

static void take_leaf(struct jk_check *check, const struct jk_signed_head *head, const struct jk_leaf *leaf)
{
	struct stream *stream = find(check, leaf->stream);
	struct must must = {.seq = leaf->seq, .head_no = head->head_no};

	if (!stream || !stream->has_end) {
		stream = check->all_streams ? find_or_add(check, leaf->stream) : NULL;
		if (stream)
			tell(check, stream, CUT_OFF, 1, head->head_no,
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
		add_must(check, stream, &must);
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
		tell(check, &check->all, WITNESS_ALTERED, 0, head->head_no,
			"a head that was witnessed is not signed by a key that was given");
		return;
	}
	if (!grow(check, &witnesses, &check->witness_capacity, check->witness_count, sizeof *check->witnesses))
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
		struct stream *stream = find(check, leaves[i].stream);

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
		const struct stream *stream = find(check, leaves[i].stream);

		if (!stream || !stream->has_end || stream->begin.seq >= leaves[i].seq)
			continue;
		all = false;
		/* Its own beginning is looked at in the end; and a part may begin anywhere. */
		if (stream != anchor && !is_begun_in_part(stream))
			tell(check, anchor, BEGINS_NOWHERE, anchor->begin.seq, head->head_no,
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
		tell(check, stream, NOT_WITNESSED, stream->witnessed_seq + 1, check->witnessed_head,
			"a head that was witnessed is not among those stored: from this number on nothing is known to be as it "
			"was");
	}
	if (!told)
		tell(check, &check->all, NOT_WITNESSED, 0, head->head_no, "a head that was witnessed is not among those stored");
}

/* A head is removed when what was recorded before it has gone. Who owns the key could sign one more head over next to nothing and
 * let events begin under it, so that all heads before it count as too old to be kept; events that are older still betray that. */
static bool is_older_event_kept(const struct jk_check *check, const struct jk_signed_head *head)
{
	return check->oldest && check->oldest_us < head->signed_at_us &&
	       (uint64_t)head->signed_at_us - (uint64_t)check->oldest_us > LAG_MAX_US;
}

static void finish_witnesses(struct jk_check *check)
{
	for (size_t i = 0; i < check->witness_count; i++) {
		const struct witness *witness = &check->witnesses[i];

		if (witness->found)
			check->sum.witnessed++;
		else if (witness->head.signed_at_us >= check->kept_from_us)
			tell_missing_witness(check, &witness->head);
		else if (is_older_event_kept(check, &witness->head))
			tell(check, check->oldest, NOT_WITNESSED, check->oldest_seq, witness->head.head_no,
				"a head that was witnessed is not among those stored, as if removed by age, but this event, "
				"recorded long before it, is here: from its number on nothing is known to be as it was");
		else
			check->sum.witnessed_before_kept++;
	}
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static void finish_stream(struct jk_check *check, struct stream *stream)
{
	uint64_t last = stream->seq < stream->end.seq ? stream->seq : stream->end.seq;

	if (stream->begin_head != 0 && !stream->begin_proven)
		tell(check, stream, BEGINS_NOWHERE, stream->begin.seq, stream->begin_head,
			"what was removed up to #%" PRIu64 " does not end at a position of signed head %" PRIu64,
			stream->begin.seq, stream->begin_head);
	if (stream->first < stream->count && stream->has_end) {
		const struct must *must = &stream->musts[stream->count - 1];

		if (stream->whole || must->seq <= stream->end.seq)
			tell(check, stream, CUT_OFF, stream->seq + 1, must->head_no,
				"%s reaches #%" PRIu64 ", the stream ends at #%" PRIu64,
				must->head_no ? "a signed head" : "a receipt", must->seq, stream->seq);
	}
	if (stream->unchecked_seq == 0 && stream->first < stream->count && stream->musts[stream->first].head_no == 0 &&
		!stream->whole)
		stream->unchecked_seq = stream->musts[stream->first].seq;
	if (stream->unchecked_seq != 0)
		tell(check, stream, NOT_CHECKED, stream->unchecked_seq, 0,
			"a receipt is about it, and it is not here: removed by age, or not in this part");
	if (stream->seq != stream->end.seq || (stream->seq > 0 && memcmp(stream->chain, stream->end.chain, 32) != 0))
		tell(check, stream, ENDS_ELSEWHERE, stream->seq == stream->end.seq ? last : last + 1, 0,
			"the events end at #%" PRIu64 ", the stream's head says #%" PRIu64 "%s", stream->seq, stream->end.seq,
			stream->seq == stream->end.seq ? " with another chain" : "");
	check->sum.partial_streams += is_begun_in_part(stream) || !stream->whole;
	if (stream->end.seq > stream->signed_seq)
		check->sum.unsigned_events +=
			stream->end.seq - (stream->signed_seq > stream->begin.seq ? stream->signed_seq : stream->begin.seq);
}

struct jk_check_sum jk_check_finish(struct jk_check *check)
{
	for (size_t i = 0; i < check->stream_count; i++) {
		struct stream *stream = check->streams[i];

		if (stream->has_end)
			finish_stream(check, stream);
		else if (stream->unchecked_seq != 0 || stream->first < stream->count)
			tell(check, stream, check->all_streams ? CUT_OFF : NOT_CHECKED,
				stream->unchecked_seq != 0 ? stream->unchecked_seq : stream->musts[stream->first].seq, 0, "%s",
				check->all_streams ? "a receipt is from it, and there is no such stream"
						   : "a receipt is from it, and it is not looked at");
	}
	finish_witnesses(check);
	check->sum.all_streams = check->all_streams;
	return check->sum;
}
