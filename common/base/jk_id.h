/* jk_id.h: identifiers, RFC 9562 UUID version 7: 48 bits of milliseconds, then a counter and random bits, strictly
 * increasing within a process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct jk_id {
	uint8_t bytes[16];
};
enum { JK_ID_TEXT_BYTES = 37 };

/* Thread-safe. Randomness from getrandom(2). */
struct jk_id jk_id_new(void);
void jk_id_format(char ret[JK_ID_TEXT_BYTES], const struct jk_id *id);
/* 8-4-4-4-12 hex, either case; false otherwise. */
bool jk_id_parse(const char *text, struct jk_id *ret);
bool jk_id_is_zero(const struct jk_id *id);
bool jk_id_equal(const struct jk_id *a, const struct jk_id *b);
