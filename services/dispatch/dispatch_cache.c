/* dispatch_cache.c: see dispatch_cache.h. Blocks stand in a hash table by (stream, number) and in a list by last use. */
#include "dispatch_cache.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 };

struct dispatch_cache {
	size_t limit_bytes, bytes;
	struct dispatch_stream **streams; /* ascending by name */
	size_t stream_count, stream_capacity;
	struct dispatch_block *buckets[BUCKETS];
	struct dispatch_block *oldest, *newest;
};

struct dispatch_cache *dispatch_cache_new(size_t limit_bytes)
{
	struct dispatch_cache *cache = calloc(1, sizeof *cache);

	if (cache != NULL)
		cache->limit_bytes = limit_bytes;
	return cache;
}

void dispatch_cache_free(struct dispatch_cache **cache_p)
{
	struct dispatch_cache *cache = *cache_p;

	if (cache == NULL)
		return;
	dispatch_cache_forget(cache);
	for (size_t i = 0; i < cache->stream_count; i++)
		free(cache->streams[i]);
	free(cache->streams);
	free(cache);
	*cache_p = NULL;
}

size_t dispatch_cache_bytes(const struct dispatch_cache *cache)
{
	return cache->bytes;
}

struct dispatch_stream *const *dispatch_cache_streams(const struct dispatch_cache *cache, size_t *ret_count)
{
	*ret_count = cache->stream_count;
	return cache->streams;
}

/* Index of the first stream whose name is not below. */
static size_t find_stream_place(const struct dispatch_cache *cache, const char *name)
{
	size_t low = 0, high = cache->stream_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(cache->streams[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool grow_streams(struct dispatch_cache *cache)
{
	size_t capacity = cache->stream_capacity == 0 ? 64 : cache->stream_capacity * 2;
	struct dispatch_stream **streams;

	if (cache->stream_count < cache->stream_capacity)
		return true;
	streams = realloc(cache->streams, capacity * sizeof(struct dispatch_stream *));
	if (streams == NULL)
		return false;
	cache->streams = streams;
	cache->stream_capacity = capacity;
	return true;
}

struct dispatch_stream *dispatch_cache_stream(struct dispatch_cache *cache, const char *name)
{
	size_t place = find_stream_place(cache, name);
	struct dispatch_stream *stream;

	if (place < cache->stream_count && strcmp(cache->streams[place]->name, name) == 0)
		return cache->streams[place];
	if (!grow_streams(cache))
		return NULL;
	stream = calloc(1, sizeof *stream);
	if (stream == NULL)
		return NULL;
	(void)jk_text_copy(stream->name, sizeof stream->name, name);
	memmove(cache->streams + place + 1, cache->streams + place,
		(cache->stream_count - place) * sizeof(struct dispatch_stream *));
	cache->streams[place] = stream;
	cache->stream_count++;
	return stream;
}

static struct dispatch_block **bucket_of(struct dispatch_cache *cache, const struct dispatch_stream *stream, uint64_t number)
{
	uint64_t mixed = ((uint64_t)(uintptr_t)stream >> 4) * 0x9e3779b97f4a7c15U + number;

	return &cache->buckets[(mixed ^ (mixed >> 32)) % BUCKETS];
}

static void unlink_use(struct dispatch_cache *cache, struct dispatch_block *block)
{
	*(block->older != NULL ? &block->older->newer : &cache->oldest) = block->newer;
	*(block->newer != NULL ? &block->newer->older : &cache->newest) = block->older;
}

static void link_newest(struct dispatch_cache *cache, struct dispatch_block *block)
{
	block->older = cache->newest;
	block->newer = NULL;
	*(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = block;
	cache->newest = block;
}

static struct dispatch_block *find_block(struct dispatch_cache *cache, const struct dispatch_stream *stream, uint64_t number)
{
	struct dispatch_block *block = *bucket_of(cache, stream, number);

	while (block != NULL && (block->stream != stream || block->number != number))
		block = block->next;
	return block;
}

const struct dispatch_event *dispatch_cache_peek(struct dispatch_cache *cache, const struct dispatch_stream *stream, uint64_t seq)
{
	const struct dispatch_block *block = find_block(cache, stream, dispatch_rules_block_of(seq));

	return block == NULL ? NULL : block->events[seq - dispatch_rules_block_first(block->number)];
}

struct dispatch_block *dispatch_cache_find(struct dispatch_cache *cache, const struct dispatch_stream *stream, uint64_t number)
{
	struct dispatch_block *block = find_block(cache, stream, number);

	if (block != NULL && block != cache->newest) {
		unlink_use(cache, block);
		link_newest(cache, block);
	}
	return block;
}

static void drop_block(struct dispatch_cache *cache, struct dispatch_block *block)
{
	struct dispatch_block **link = bucket_of(cache, block->stream, block->number);

	while (*link != block)
		link = &(*link)->next;
	*link = block->next;
	unlink_use(cache, block);
	cache->bytes -= block->bytes;
	for (size_t i = 0; i < DISPATCH_BLOCK_EVENTS; i++)
		dispatch_event_free(&block->events[i]);
	free(block);
}

void dispatch_cache_drop(struct dispatch_cache *cache, struct dispatch_block **block_p)
{
	drop_block(cache, *block_p);
	*block_p = NULL;
}

static bool holds_incident(const struct dispatch_block *block, const struct jk_id *incident_id)
{
	for (size_t i = 0; i < DISPATCH_BLOCK_EVENTS; i++)
		if (block->events[i] != NULL && memcmp(&block->events[i]->incident_id, incident_id, sizeof *incident_id) == 0)
			return true;
	return false;
}

size_t dispatch_cache_drop_incident(struct dispatch_cache *cache, const struct jk_id *incident_id)
{
	struct dispatch_block *block = cache->oldest, *next;
	size_t dropped = 0;

	for (; block != NULL; block = next) {
		next = block->newer;
		if (!holds_incident(block, incident_id))
			continue;
		drop_block(cache, block);
		dropped++;
	}
	return dropped;
}

void dispatch_cache_forget(struct dispatch_cache *cache)
{
	while (cache->oldest != NULL)
		drop_block(cache, cache->oldest);
	for (size_t i = 0; i < cache->stream_count; i++)
		memset(cache->streams[i]->marks, 0, sizeof cache->streams[i]->marks);
}

static void charge(struct dispatch_cache *cache, struct dispatch_block *block, size_t bytes)
{
	block->bytes += bytes;
	cache->bytes += bytes;
}

static struct dispatch_block *add_block(struct dispatch_cache *cache, struct dispatch_stream *stream, uint64_t number)
{
	struct dispatch_block *block = calloc(1, sizeof *block);
	struct dispatch_block **bucket = bucket_of(cache, stream, number);

	if (block == NULL)
		return NULL;
	block->stream = stream;
	block->number = number;
	block->loaded_from = dispatch_rules_block_first(number);
	block->loaded_to = block->loaded_from - 1;
	block->next = *bucket;
	*bucket = block;
	link_newest(cache, block);
	charge(cache, block, sizeof *block);
	return block;
}

/* The block of seq, if everything in it up to `after` is here and seq is not; made when it is to be filled from its start. */
static struct dispatch_block *open_block(
	struct dispatch_cache *cache, struct dispatch_stream *stream, uint64_t after, uint64_t seq)
{
	uint64_t number = dispatch_rules_block_of(seq), first = dispatch_rules_block_first(number);
	struct dispatch_block *block = dispatch_cache_find(cache, stream, number);

	if (after < first)
		after = first - 1;
	if (block == NULL && after == first - 1)
		block = add_block(cache, stream, number);
	return block != NULL && block->loaded_to >= after && block->loaded_to < seq ? block : NULL;
}

/* A single block that is over the limit gives up its oldest events, but never the newest one. */
static void trim_block(struct dispatch_cache *cache, struct dispatch_block *block)
{
	uint64_t first = dispatch_rules_block_first(block->number);

	while (cache->bytes > cache->limit_bytes && block->loaded_from < block->loaded_to) {
		struct dispatch_event **event = &block->events[block->loaded_from++ - first];

		if (*event == NULL)
			continue;
		block->bytes -= dispatch_event_bytes(*event);
		cache->bytes -= dispatch_event_bytes(*event);
		dispatch_event_free(event);
	}
}

static void keep_to_limit(struct dispatch_cache *cache, struct dispatch_block *but)
{
	while (cache->bytes > cache->limit_bytes && cache->oldest != but)
		drop_block(cache, cache->oldest);
	trim_block(cache, but);
}

void dispatch_cache_put(
	struct dispatch_cache *cache, struct dispatch_stream *stream, uint64_t after, struct dispatch_event **event_p)
{
	struct dispatch_event *event = *event_p;
	struct dispatch_block *block = open_block(cache, stream, after, event->seq);

	if (block == NULL) {
		dispatch_event_free(event_p);
		return;
	}
	*event_p = NULL;
	block->events[event->seq - dispatch_rules_block_first(block->number)] = event;
	block->loaded_to = event->seq;
	charge(cache, block, dispatch_event_bytes(event));
	keep_to_limit(cache, block);
}

void dispatch_cache_trim(struct dispatch_cache *cache)
{
	if (cache->newest != NULL)
		keep_to_limit(cache, cache->newest);
}

void dispatch_cache_put_nothing(struct dispatch_cache *cache, struct dispatch_stream *stream, uint64_t after, uint64_t up_to)
{
	struct dispatch_block *block = open_block(cache, stream, after, up_to);

	if (block != NULL)
		block->loaded_to = up_to;
}

const struct dispatch_copy *dispatch_cache_copy(struct dispatch_cache *cache, struct dispatch_block *block,
	struct dispatch_event *event, uint32_t withheld, struct jk_arena *scratch)
{
	size_t before = dispatch_event_bytes(event);
	const struct dispatch_copy *copy = dispatch_event_copy(event, withheld, scratch);

	charge(cache, block, dispatch_event_bytes(event) - before);
	return copy;
}
