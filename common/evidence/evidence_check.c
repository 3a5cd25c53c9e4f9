#include "evidence/evidence_check_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- events ----------------------------------------------------------------------------------------------------- */

/* The row of this number has this chain: what heads and receipts say of it is done. */
static void settle_musts(struct jk_check *check, struct stream *stream, uint64_t seq, const uint8_t chain[32])
{
	while (stream->first < stream->count && stream->musts[stream->first].seq <= seq) {
		const struct must *must = &stream->musts[stream->first++];

		if (must->seq < seq && must->head_no == 0 && stream->unchecked_seq == 0)
			stream->unchecked_seq = must->seq;
		else if (must->seq == seq && memcmp(must->chain, chain, 32) != 0)
			check_tell_other_chain(check, stream, must);
		else if (must->seq == seq && must->head_no != 0)
			stream->last_must = *must;
	}
	if (stream->first == stream->count)
		stream->first = stream->count = 0;
}

void jk_check_event(struct jk_check *check, const struct jk_chain_link *link, const uint8_t chain[32])
{
	struct stream *stream = check_find_or_add(check, link->stream);
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
		check_tell(check, stream, STREAM_UNKNOWN, link->seq, 0, "events of a stream that has no head");
	if (link->seq <= stream->seq) {
		check_tell(check, stream, NUMBER_REPEATED, link->seq, 0, "comes after #%" PRIu64, stream->seq);
		return;
	}
	if (link->seq != stream->seq + 1) {
		check_tell(check, stream, NUMBER_MISSING, stream->seq + 1, 0, "after #%" PRIu64 " comes #%" PRIu64, stream->seq,
			link->seq);
	} else {
		jk_chain_next(computed, stream->seq == 0 ? NULL : stream->chain, link);
		if (memcmp(computed, chain, sizeof computed) != 0)
			check_tell(check, stream, CHAIN_BROKEN, link->seq, 0,
				"its row is not what its chain was made of, or the row before it is not the one that stood "
				"there");
	}
	stream->seq = link->seq;
	memcpy(stream->chain, chain, sizeof stream->chain);
	if (stream->first < stream->count)
		settle_musts(check, stream, link->seq, chain);
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static void finish_stream(struct jk_check *check, struct stream *stream)
{
	uint64_t last = stream->seq < stream->end.seq ? stream->seq : stream->end.seq;

	if (stream->begin_head != 0 && !stream->begin_proven)
		check_tell(check, stream, BEGINS_NOWHERE, stream->begin.seq, stream->begin_head,
			"what was removed up to #%" PRIu64 " does not end at a position of signed head %" PRIu64,
			stream->begin.seq, stream->begin_head);
	if (stream->first < stream->count && stream->has_end) {
		const struct must *must = &stream->musts[stream->count - 1];

		if (stream->whole || must->seq <= stream->end.seq)
			check_tell(check, stream, CUT_OFF, stream->seq + 1, must->head_no,
				"%s reaches #%" PRIu64 ", the stream ends at #%" PRIu64,
				must->head_no ? "a signed head" : "a receipt", must->seq, stream->seq);
	}
	if (stream->unchecked_seq == 0 && stream->first < stream->count && stream->musts[stream->first].head_no == 0 &&
		!stream->whole)
		stream->unchecked_seq = stream->musts[stream->first].seq;
	if (stream->unchecked_seq != 0)
		check_tell(check, stream, NOT_CHECKED, stream->unchecked_seq, 0,
			"a receipt is about it, and it is not here: removed by age, or not in this part");
	if (stream->seq != stream->end.seq || (stream->seq > 0 && memcmp(stream->chain, stream->end.chain, 32) != 0))
		check_tell(check, stream, ENDS_ELSEWHERE, stream->seq == stream->end.seq ? last : last + 1, 0,
			"the events end at #%" PRIu64 ", the stream's head says #%" PRIu64 "%s", stream->seq, stream->end.seq,
			stream->seq == stream->end.seq ? " with another chain" : "");
	check->sum.partial_streams += check_is_begun_in_part(stream) || !stream->whole;
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
			check_tell(check, stream, check->all_streams ? CUT_OFF : NOT_CHECKED,
				stream->unchecked_seq != 0 ? stream->unchecked_seq : stream->musts[stream->first].seq, 0, "%s",
				check->all_streams ? "a receipt is from it, and there is no such stream"
						   : "a receipt is from it, and it is not looked at");
	}
	check_finish_witnesses(check);
	check->sum.all_streams = check->all_streams;
	return check->sum;
}
