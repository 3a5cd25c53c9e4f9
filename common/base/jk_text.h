/* jk_text.h: bounded text: checks, hex, base64, a growing buffer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_status.h"

/* True for UTF-8 (RFC 3629: no surrogates, no overlong forms) without NUL. */
bool jk_text_is_utf8(const char *text, size_t size);
/* Copies into ret[capacity], always terminated; false when it was cut (at a character's border). */
bool jk_text_copy(char *ret, size_t capacity, const char *text);
/* printf into ret[capacity], always terminated; false when it was cut. */
bool jk_text_format(char *ret, size_t capacity, const char *format, ...) JK_PRINTF(3, 4);

/* Lower-case hex. ret holds 2 * size + 1. */
void jk_hex_encode(char *ret, const uint8_t *bytes, size_t size);
/* Exactly `size` bytes from exactly 2 * size hex digits; false otherwise. */
bool jk_hex_decode(uint8_t *ret, size_t size, const char *hex);
/* RFC 4648 §5 base64url without padding. ret holds (size * 4 + 2) / 3 + 1. Returns the length. */
size_t jk_base64url_encode(char *ret, const uint8_t *bytes, size_t size);
/* Returns false on a foreign character or length; *ret_size <= capacity. */
bool jk_base64url_decode(uint8_t *ret, size_t capacity, size_t *ret_size, const char *text);

/* Decimal integer over the whole text, with range; false otherwise. */
bool jk_text_to_int64(const char *text, int64_t minimum, int64_t maximum, int64_t *ret);
/* Finite decimal number over the whole text, locale-independent; false otherwise. */
bool jk_text_to_double(const char *text, double *ret);

/* Big-endian stores, for hashed forms. */
void jk_put_be32(uint8_t ret[4], uint32_t value);
void jk_put_be64(uint8_t ret[8], uint64_t value);
uint64_t jk_get_be64(const uint8_t bytes[8]);

/* A growing byte buffer; zero-initialise, jk_buffer_done at the end. On lack of memory `failed` is set and stays. */
struct jk_buffer {
	char *data; /* NUL-terminated after any append */
	size_t size, capacity;
	bool failed;
};
void jk_buffer_append(struct jk_buffer *buffer, const void *bytes, size_t size);
void jk_buffer_printf(struct jk_buffer *buffer, const char *format, ...) JK_PRINTF(2, 3);
void jk_buffer_done(struct jk_buffer *buffer);
