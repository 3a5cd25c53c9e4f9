/* jk_arena.c: a list of chunks, filled from the front. */
#include "base/jk_arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_CHUNK_BYTES = 16 * 1024, CHUNK_MAX_BYTES = 256 * 1024 };

struct chunk {
	struct chunk *next;
	size_t capacity, used;
	_Alignas(ALIGNMENT) unsigned char bytes[];
};

struct jk_arena {
	size_t limit, used;
	struct chunk *first; /* kept over a reset */
	struct chunk *current;
};

static struct chunk *chunk_new(size_t capacity)
{
	struct chunk *chunk = malloc(sizeof *chunk + capacity);
	if (!chunk)
		return NULL;
	chunk->next = NULL;
	chunk->capacity = capacity;
	chunk->used = 0;
	return chunk;
}

struct jk_arena *jk_arena_new(size_t limit_bytes)
{
	struct jk_arena *arena = malloc(sizeof *arena);
	size_t capacity = limit_bytes < FIRST_CHUNK_BYTES ? limit_bytes : FIRST_CHUNK_BYTES;
	struct chunk *chunk = chunk_new(capacity);

	if (!arena || !chunk) {
		free(arena);
		free(chunk);
		return NULL;
	}
	*arena = (struct jk_arena){.limit = limit_bytes, .first = chunk, .current = chunk};
	return arena;
}

static void free_chunks(struct chunk *chunk)
{
	while (chunk) {
		struct chunk *next = chunk->next;
		free(chunk);
		chunk = next;
	}
}

void jk_arena_free(struct jk_arena **arena_p)
{
	if (!*arena_p)
		return;
	free_chunks((*arena_p)->first);
	free(*arena_p);
	*arena_p = NULL;
}

void jk_arena_reset(struct jk_arena *arena)
{
	free_chunks(arena->first->next);
	arena->first->next = NULL;
	arena->first->used = 0;
	arena->current = arena->first;
	arena->used = 0;
}

/* A chunk with room for bytes. What would waste more than a quarter of a chunk gets one of its own, behind the current
 * one, so that small requests go on filling that. */
static struct chunk *add_chunk(struct jk_arena *arena, size_t bytes)
{
	size_t capacity = 2 * arena->current->capacity;
	if (capacity < FIRST_CHUNK_BYTES)
		capacity = FIRST_CHUNK_BYTES;
	if (capacity > CHUNK_MAX_BYTES)
		capacity = CHUNK_MAX_BYTES;

	bool own = bytes > capacity / 4;
	struct chunk *chunk = chunk_new(own ? bytes : capacity);
	if (!chunk)
		return NULL;
	chunk->next = arena->current->next;
	arena->current->next = chunk;
	if (!own)
		arena->current = chunk;
	return chunk;
}

void *jk_arena_alloc(struct jk_arena *arena, size_t bytes)
{
	if (bytes > arena->limit || arena->limit > SIZE_MAX - ALIGNMENT)
		return NULL;
	size_t rounded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (bytes > arena->limit - arena->used)
		return NULL;

	struct chunk *chunk = arena->current;
	if (rounded > chunk->capacity - chunk->used) {
		chunk = add_chunk(arena, rounded);
		if (!chunk)
			return NULL;
	}
	void *memory = chunk->bytes + chunk->used;
	chunk->used += rounded;
	/* The last request may end within its last 16 bytes. */
	arena->used = rounded > arena->limit - arena->used ? arena->limit : arena->used + rounded;
	return memset(memory, 0, bytes);
}

void *jk_arena_copy(struct jk_arena *arena, const void *bytes, size_t size)
{
	void *copy = jk_arena_alloc(arena, size);
	if (copy && size)
		memcpy(copy, bytes, size);
	return copy;
}

char *jk_arena_string(struct jk_arena *arena, const char *text, size_t size)
{
	char *copy = size < SIZE_MAX ? jk_arena_alloc(arena, size + 1) : NULL;
	if (copy && size)
		memcpy(copy, text, size);
	return copy;
}

char *jk_arena_printf(struct jk_arena *arena, const char *format, ...)
{
	va_list arguments, again;
	va_start(arguments, format);
	va_copy(again, arguments);

	int length = vsnprintf(NULL, 0, format, arguments);
	char *text = length < 0 ? NULL : jk_arena_alloc(arena, (size_t)length + 1);
	if (text)
		(void)vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	va_end(arguments);
	return text;
}

size_t jk_arena_used(const struct jk_arena *arena)
{
	return arena->used;
}
