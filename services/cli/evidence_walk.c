#include "services/cli/evidence_walk.h"

#include <stdlib.h>
#include <string.h>

enum { HEADS_A_WINDOW = 512 };

struct walked_stream {
	struct jk_leaf begin, end;
	uint64_t begin_head;
	bool listed; /* feed.head, or events without one */
	bool has_head;
	uint64_t seq;             /* events up to here were given */
	uint64_t reached;         /* highest position of the heads before the window at hand */
	uint64_t lowest, highest; /* of the window at hand; lowest 0: none */
};

struct walk {
	struct evidence_store *store;
	const struct evidence_part *part;
	const struct evidence_sink *sink;
	struct walked_stream *streams; /* ascending */
	size_t count, capacity;
	struct evidence_range *ranges;
	bool no_memory;
};

static bool is_wanted(const struct evidence_part *part, const char *stream)
{
	for (size_t i = 0; i < part->stream_count; i++)
		if (strcmp(part->streams[i], stream) == 0)
			return true;
	return part->stream_count == 0;
}

static struct walked_stream *find(const struct walk *walk, const char *name)
{
	size_t low = 0, high = walk->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(walk->streams[middle].end.stream, name);

		if (order == 0)
			return &walk->streams[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* They come ascending. */
static void on_end(void *arg, const struct jk_leaf *position, uint64_t has_head)
{
	struct walk *walk = arg;

	if (!is_wanted(walk->part, position->stream))
		return;
	if (walk->count == walk->capacity) {
		size_t capacity = walk->capacity ? walk->capacity * 2 : 128;
		void *grown = realloc(walk->streams, capacity * sizeof *walk->streams);

		if (!grown) {
			walk->no_memory = true;
			return;
		}
		walk->streams = grown;
		walk->capacity = capacity;
	}
	walk->streams[walk->count++] = (struct walked_stream){.end = *position, .has_head = has_head != 0};
}

static void on_removed(void *arg, const struct jk_leaf *position, uint64_t head_no)
{
	struct walked_stream *stream = find(arg, position->stream);

	if (!stream)
		return;
	stream->begin = *position;
	stream->begin_head = head_no;
	stream->seq = position->seq;
}

/* Where only a part is wanted. False: the database refused. */
static bool narrow(struct walk *walk, struct walked_stream *stream)
{
	const struct evidence_part *part = walk->part;

	uint64_t from = part->from <= stream->end.seq ? part->from : stream->end.seq + 1;

	if (part->from > 0 && from > stream->begin.seq + 1) {
		int64_t rows;

		stream->begin = (struct jk_leaf){.seq = from - 1};
		(void)jk_text_copy(stream->begin.stream, sizeof stream->begin.stream, stream->end.stream);
		stream->begin_head = 0;
		stream->seq = stream->begin.seq;
		rows = evidence_store_chain(walk->store, stream->begin.stream, stream->begin.seq, stream->begin.chain);
		if (rows < 0)
			return false;
	}
	if (part->to > 0 && part->to < stream->end.seq && part->to > stream->seq) {
		stream->end.seq = part->to;
		if (evidence_store_chain(walk->store, stream->end.stream, stream->end.seq, stream->end.chain) < 0)
			return false;
		walk->sink->end(walk->sink->arg, &stream->end, false);
	} else if (stream->has_head) {
		walk->sink->end(walk->sink->arg, &stream->end, true);
	}
	if (stream->begin.seq > 0)
		walk->sink->begin(walk->sink->arg, &stream->begin, stream->begin_head);
	return true;
}

static bool read_streams(struct walk *walk)
{
	if (evidence_store_ends(walk->store, on_end, walk) < 0 || walk->no_memory ||
		evidence_store_removed(walk->store, on_removed, walk) < 0)
		return false;
	walk->ranges = calloc(walk->count + 1, sizeof *walk->ranges);
	if (!walk->ranges)
		return false;
	for (size_t i = 0; i < walk->count; i++)
		if (!narrow(walk, &walk->streams[i]))
			return false;
	return true;
}

static void on_head(void *arg, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	struct walk *walk = arg;

	for (size_t i = 0; i < count; i++) {
		struct walked_stream *stream = find(walk, leaves[i].stream);

		if (!stream)
			continue;
		if (stream->lowest == 0 || leaves[i].seq < stream->lowest)
			stream->lowest = leaves[i].seq;
		if (leaves[i].seq > stream->highest)
			stream->highest = leaves[i].seq;
	}
	walk->sink->head(walk->sink->arg, head, leaves, count);
}

static void on_event(void *arg, const struct evidence_event *event)
{
	const struct walk *walk = arg;

	walk->sink->event(walk->sink->arg, event);
}

/* How far events may go now: what the heads before this window reach, but not beyond the lowest in it, because heads of two
 * dispatches come in no strict order. */
static uint64_t next_target(const struct walk *walk, struct walked_stream *stream, bool last)
{
	uint64_t target = stream->reached;

	if (last)
		target = walk->part->to > 0 && walk->part->to <= stream->end.seq ? stream->end.seq : UINT64_MAX;
	else if (stream->lowest > 0 && stream->lowest < target)
		target = stream->lowest;
	if (walk->part->to > 0 && target > stream->end.seq)
		target = stream->end.seq;
	if (stream->highest > stream->reached)
		stream->reached = stream->highest;
	stream->lowest = stream->highest = 0;
	return target;
}

static bool walk_events(struct walk *walk, bool last)
{
	size_t count = 0;

	for (size_t i = 0; i < walk->count; i++) {
		struct walked_stream *stream = &walk->streams[i];
		uint64_t target = next_target(walk, stream, last);

		if (target <= stream->seq)
			continue;
		walk->ranges[count++] = (struct evidence_range){stream->end.stream, stream->seq, target};
		stream->seq = target;
	}
	return count == 0 || evidence_store_events(walk->store, walk->ranges, count, walk->part->with_body, on_event, walk) >= 0;
}

static bool walk_all(struct walk *walk)
{
	uint64_t last_no = 0;
	int64_t heads;

	if (!read_streams(walk))
		return false;
	do {
		heads = evidence_store_heads(walk->store, last_no, HEADS_A_WINDOW, on_head, walk, &last_no);
		if (heads < 0 || !walk_events(walk, heads == 0))
			return false;
	} while (heads > 0);
	return true;
}

bool evidence_walk(struct evidence_store *store, const struct evidence_part *part, const struct evidence_sink *sink)
{
	struct walk walk = {.store = store, .part = part, .sink = sink};
	bool good = walk_all(&walk);

	free(walk.streams);
	free(walk.ranges);
	return good;
}
