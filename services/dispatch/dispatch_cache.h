/* dispatch_cache.h: streams with their heads, and the events read last, shared by all sessions, bounded in bytes. Events are
 * kept in blocks of DISPATCH_BLOCK_EVENTS numbers; the block used longest ago goes first. What is not here is read from the
 * database again: a slow desk costs reading, never memory. Not here: the reading (dispatch_store_pg.h). */
#pragma once

#include "dispatch_event.h"

enum { DISPATCH_MARKS = 5 };

/* Lives as long as the cache. */
struct dispatch_stream {
	char name[DISPATCH_STREAM_BYTES];
	uint64_t last_seq; /* head, as last read */
	uint8_t last_chain[32];
	uint64_t marks[DISPATCH_MARKS]; /* the head as it was some time ago, newest first: dispatch_lagging.c */
};

struct dispatch_block {
	struct dispatch_stream *stream;
	uint64_t number;
	/* Every event between these that the feed keeps at all is here. loaded_from moves on only when bodies are so big that one
	 * block fills the cache; what was dropped is read again with the whole block. */
	uint64_t loaded_from, loaded_to;
	size_t bytes;
	struct dispatch_block *next, *older, *newer;
	struct dispatch_event *events[DISPATCH_BLOCK_EVENTS]; /* NULL: not loaded, or not kept */
};

struct dispatch_cache;

/* NULL without memory. */
struct dispatch_cache *dispatch_cache_new(size_t limit_bytes);
void dispatch_cache_free(struct dispatch_cache **cache_p);
size_t dispatch_cache_bytes(const struct dispatch_cache *cache);

/* The stream of this name, made when it is new; NULL without memory. */
struct dispatch_stream *dispatch_cache_stream(struct dispatch_cache *cache, const char *name);
/* All streams, ascending by byte. */
struct dispatch_stream *const *dispatch_cache_streams(const struct dispatch_cache *cache, size_t *ret_count);

/* The block, now the one used last; valid until the next put, trim or forget. NULL: not here. */
struct dispatch_block *dispatch_cache_find(struct dispatch_cache *cache, const struct dispatch_stream *stream, uint64_t number);
/* The event, where it is here; its use is not counted. NULL: not here, or not kept. */
const struct dispatch_event *dispatch_cache_peek(
	struct dispatch_cache *cache, const struct dispatch_stream *stream, uint64_t seq);
/* Takes the event. after: everything kept between this number and the event's comes before it in the same reading, or was here
 * already. The event is dropped when its block could not be whole up to it (gone meanwhile) or holds it. */
void dispatch_cache_put(
	struct dispatch_cache *cache, struct dispatch_stream *stream, uint64_t after, struct dispatch_event **event_p);
/* Nothing is kept from after + 1 to up_to (both of one block): readers may pass over it. */
void dispatch_cache_put_nothing(struct dispatch_cache *cache, struct dispatch_stream *stream, uint64_t after, uint64_t up_to);
/* Drops one block, so that it can be read from its start. Nulls the pointer. */
void dispatch_cache_drop(struct dispatch_cache *cache, struct dispatch_block **block_p);
/* Drops every block that holds an event of the incident; returns how many. */
size_t dispatch_cache_drop_incident(struct dispatch_cache *cache, const struct jk_id *incident_id);
/* dispatch_event_copy, with the memory it takes counted. It may go beyond the limit, for blocks in use must stay: trim. */
const struct dispatch_copy *dispatch_cache_copy(struct dispatch_cache *cache, struct dispatch_block *block,
	struct dispatch_event *event, uint32_t withheld, struct jk_arena *scratch);
/* At the end of a turn: what copies have taken beyond the limit is given back, the block used longest ago first. */
void dispatch_cache_trim(struct dispatch_cache *cache);
/* Drops every block and mark (the database is another one now). */
void dispatch_cache_forget(struct dispatch_cache *cache);
