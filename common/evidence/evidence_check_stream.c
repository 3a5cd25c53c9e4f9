/* evidence_check_stream.c: streams, what each number of them must have, and what is found. */
#include "evidence/evidence_check_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- findings --------------------------------------------------------------------------------------------------- */

void check_tell(
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

void check_tell_other_chain(struct jk_check *check, struct stream *stream, const struct must *must)
{
	if (must->head_no == 0)
		check_tell(check, stream, NOT_AS_RECEIPTED, must->seq, 0,
			"a receipt has another chain for it: it, or what came before it, was changed");
	else if (stream->last_must.seq > 0)
		check_tell(check, stream, NOT_AS_SIGNED, must->seq, must->head_no,
			"signed head %" PRIu64 " has another chain for it: rewritten somewhere after #%" PRIu64
			", which is as it was signed",
			must->head_no, stream->last_must.seq);
	else
		check_tell(check, stream, NOT_AS_SIGNED, must->seq, must->head_no,
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

bool check_grow(struct jk_check *check, void **items, size_t *capacity, size_t count, size_t size)
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

struct stream *check_find(struct jk_check *check, const char *name)
{
	size_t place;

	if (check->last && strcmp(check->last->name, name) == 0)
		return check->last;
	place = place_of(check, name);
	if (place == check->stream_count || strcmp(check->streams[place]->name, name) != 0)
		return NULL;
	return check->last = check->streams[place];
}

struct stream *check_find_or_add(struct jk_check *check, const char *name)
{
	struct stream *stream = check_find(check, name);
	size_t place = place_of(check, name);
	void *streams = check->streams;

	if (stream)
		return stream;
	if (!check_grow(check, &streams, &check->stream_capacity, check->stream_count, sizeof(struct stream *)))
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
bool check_is_begun_in_part(const struct stream *stream)
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
			check_tell_other_chain(check, stream, must);
		else if (stream->unchecked_seq == 0)
			stream->unchecked_seq = must->seq;
	}
}

bool jk_check_begin(struct jk_check *check, const struct jk_leaf *position, uint64_t head_no)
{
	struct stream *stream = check_find_or_add(check, position->stream);

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
	struct stream *stream = check_find_or_add(check, position->stream);

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
void check_add_must(struct jk_check *check, struct stream *stream, const struct must *must)
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
	if (!check_grow(check, &musts, &stream->capacity, stream->count, sizeof *must))
		return;
	stream->musts = musts;
	memmove(stream->musts + at + 1, stream->musts + at, (stream->count - at) * sizeof *must);
	stream->musts[at] = *must;
	stream->count++;
}

void jk_check_expect(struct jk_check *check, const struct jk_leaf *position)
{
	struct stream *stream = check_find_or_add(check, position->stream);
	struct must must = {.seq = position->seq};

	memcpy(must.chain, position->chain, sizeof must.chain);
	if (stream)
		check_add_must(check, stream, &must);
}
