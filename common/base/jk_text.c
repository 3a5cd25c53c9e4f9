/* jk_text.c: bounded text, encodings, the growing buffer. Numbers in text are in jk_number.c. */
#include "base/jk_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the well-formed multi-byte character at text, 0 when it is none (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *text, size_t size)
{
	unsigned char first = text[0], low = 0x80, high = 0xbf;
	size_t length;

	if (first >= 0xc2 && first <= 0xdf)
		length = 2;
	else if (first >= 0xe0 && first <= 0xef)
		length = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		length = 4;
	else
		return 0;
	if (first == 0xe0)
		low = 0xa0; /* overlong */
	else if (first == 0xed)
		high = 0x9f; /* surrogates */
	else if (first == 0xf0)
		low = 0x90; /* overlong */
	else if (first == 0xf4)
		high = 0x8f; /* beyond U+10FFFF */
	if (length > size || text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

/* True when all eight bytes are in 0x01..0x7f. */
static bool eight_plain(const unsigned char *text)
{
	uint64_t word;
	memcpy(&word, text, sizeof word);
	uint64_t zero = (word - 0x0101010101010101u) & ~word;
	return ((word | zero) & 0x8080808080808080u) == 0;
}

bool jk_text_is_utf8(const char *text, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)text;

	for (size_t i = 0; i < size;) {
		if (size - i >= 8 && eight_plain(bytes + i)) {
			i += 8;
		} else if (bytes[i] < 0x80) {
			if (bytes[i] == 0)
				return false;
			i++;
		} else {
			size_t length = utf8_length(bytes + i, size - i);
			if (!length)
				return false;
			i += length;
		}
	}
	return true;
}

/* Ends text at a character's border at or before `end`. */
static void cut(char *text, size_t end)
{
	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	text[end] = '\0';
}

bool jk_text_copy(char *ret, size_t capacity, const char *text)
{
	size_t size = strlen(text);

	if (capacity == 0)
		return false;
	if (size < capacity) {
		memcpy(ret, text, size + 1);
		return true;
	}
	memcpy(ret, text, capacity);
	cut(ret, capacity - 1);
	return false;
}

bool jk_text_format(char *ret, size_t capacity, const char *format, ...)
{
	va_list arguments;

	if (capacity == 0)
		return false;
	va_start(arguments, format);
	int length = vsnprintf(ret, capacity, format, arguments);
	va_end(arguments);
	if (length < 0)
		ret[0] = '\0';
	if (length >= 0 && (size_t)length < capacity)
		return true;

	/* vsnprintf may have cut within a character: the last lead byte must have all its bytes. */
	size_t end = strlen(ret), start = end;
	while (start > 0 && ((unsigned char)ret[start - 1] & 0xc0) == 0x80)
		start--;
	if (start > 0 && (unsigned char)ret[start - 1] >= 0xc0 &&
		!utf8_length((const unsigned char *)ret + start - 1, end - (start - 1)))
		ret[start - 1] = '\0';
	return false;
}

void jk_hex_encode(char *ret, const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		ret[2 * i] = digits[bytes[i] >> 4];
		ret[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret[2 * size] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool jk_hex_decode(uint8_t *ret, size_t size, const char *hex)
{
	if (strnlen(hex, 2 * size + 1) != 2 * size)
		return false;
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t jk_base64url_encode(char *ret, const uint8_t *bytes, size_t size)
{
	size_t length = 0;
	uint32_t bits = 0;
	int count = 0;

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | bytes[i];
		for (count += 8; count >= 6; count -= 6)
			ret[length++] = base64_digits[bits >> (count - 6) & 63];
	}
	if (count > 0)
		ret[length++] = base64_digits[bits << (6 - count) & 63];
	ret[length] = '\0';
	return length;
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool jk_base64url_decode(uint8_t *ret, size_t capacity, size_t *ret_size, const char *text)
{
	size_t length = strlen(text), size = length / 4 * 3 + (length % 4 ? length % 4 - 1 : 0);
	uint32_t bits = 0;
	int count = 0;

	*ret_size = 0;
	if (length % 4 == 1 || size > capacity)
		return false;
	for (size_t i = 0, out = 0; i < length; i++) {
		int digit = base64_digit(text[i]);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		count += 6;
		if (count >= 8) {
			count -= 8;
			ret[out++] = (uint8_t)(bits >> count);
		}
	}
	/* Left-over bits must be zero, so that one value has one text. */
	if (bits & ((1u << count) - 1))
		return false;
	*ret_size = size;
	return true;
}

void jk_put_be32(uint8_t ret[4], uint32_t value)
{
	for (int i = 0; i < 4; i++)
		ret[i] = (uint8_t)(value >> (24 - 8 * i));
}

void jk_put_be64(uint8_t ret[8], uint64_t value)
{
	for (int i = 0; i < 8; i++)
		ret[i] = (uint8_t)(value >> (56 - 8 * i));
}

uint64_t jk_get_be64(const uint8_t bytes[8])
{
	uint64_t value = 0;
	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* Room for `more` bytes and a NUL. */
static bool buffer_reserve(struct jk_buffer *buffer, size_t more)
{
	if (buffer->failed)
		return false;
	if (more < buffer->capacity - buffer->size)
		return true;

	size_t capacity = buffer->capacity ? buffer->capacity : 256;
	while (capacity - buffer->size <= more && capacity <= SIZE_MAX / 4)
		capacity *= 2;
	char *data = capacity - buffer->size > more ? realloc(buffer->data, capacity) : NULL;
	if (!data) {
		buffer->failed = true;
		return false;
	}
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

void jk_buffer_append(struct jk_buffer *buffer, const void *bytes, size_t size)
{
	if (!buffer_reserve(buffer, size))
		return;
	if (size)
		memcpy(buffer->data + buffer->size, bytes, size);
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
}

void jk_buffer_printf(struct jk_buffer *buffer, const char *format, ...)
{
	va_list arguments, again;
	va_start(arguments, format);
	va_copy(again, arguments);

	int length = vsnprintf(NULL, 0, format, arguments);
	if (length < 0)
		buffer->failed = true;
	if (length >= 0 && buffer_reserve(buffer, (size_t)length)) {
		(void)vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, again);
		buffer->size += (size_t)length;
	}
	va_end(again);
	va_end(arguments);
}

void jk_buffer_done(struct jk_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct jk_buffer){0};
}
