/* fuzz.h: what the targets share. A target is one function; a rule that does not hold ends it by abort(). */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_arena.h"
#include "base/jk_refusal.h"
#include "base/jk_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static inline void fuzz_must(bool holds)
{
	if (!holds)
		abort();
}

/* One arena for each target, emptied at each input. */
static inline struct jk_arena *fuzz_arena(size_t max_bytes)
{
	static struct jk_arena *arena;

	if (arena == NULL && (arena = jk_arena_new(max_bytes)) == NULL)
		abort();
	jk_arena_reset(arena);
	return arena;
}

/* The bytes as a text of their own, so that reading past its end is seen. free() it. */
static inline char *fuzz_text(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1);

	fuzz_must(text != NULL);
	memcpy(text, bytes, size);
	text[size] = '\0';
	return text;
}

/* Whoever is refused learns why, in UTF-8. */
static inline void fuzz_must_say_why(const struct jk_refusal *refusal)
{
	fuzz_must(refusal->code != JK_CODE_NONE && jk_text_is_utf8(refusal->reason, strlen(refusal->reason)) &&
		  jk_text_is_utf8(refusal->field, strlen(refusal->field)));
}

/* Path of a file in memory that holds these bytes, until the next call (fuzz_file.c). */
const char *fuzz_file(const uint8_t *bytes, size_t size);
