/* jk_arena.h: one bounded region of memory a message; everything in it is freed at once. Not thread-safe. */
#pragma once

#include <stddef.h>

struct jk_arena;

/* Arena that never hands out more than limit_bytes in all; grows in chunks. NULL without memory. */
struct jk_arena *jk_arena_new(size_t limit_bytes);
/* Frees it and nulls the pointer; NULL is fine. */
void jk_arena_free(struct jk_arena **arena_p);
/* Forgets everything allocated; keeps the first chunk. */
void jk_arena_reset(struct jk_arena *arena);
/* Zeroed, 16-byte aligned memory that lives until reset; NULL when the limit or memory is reached. */
void *jk_arena_alloc(struct jk_arena *arena, size_t bytes);
/* Copies; the string form adds a NUL. NULL as above. */
void *jk_arena_copy(struct jk_arena *arena, const void *bytes, size_t size);
char *jk_arena_string(struct jk_arena *arena, const char *text, size_t size);
char *jk_arena_printf(struct jk_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes handed out since the last reset. */
size_t jk_arena_used(const struct jk_arena *arena);
