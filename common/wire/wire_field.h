/* wire_field.h: messages field by field, for where one is put together from parts that are packed already, or many lie in one
 * and are wanted one at a time. Everything else packs and unpacks (wire_body.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JK_VARINT_MAX_BYTES = 10, JK_WIRE_VARINT = 0, JK_WIRE_LENGTH = 2 };

/* Writes the number; returns its length. */
size_t jk_varint_write(uint8_t ret[JK_VARINT_MAX_BYTES], uint64_t value);
size_t jk_varint_size(uint64_t value);

/* What is left of a message. */
struct jk_fields {
	const uint8_t *at, *end;
};
struct jk_field {
	uint64_t number, value; /* value: of a varint or a fixed field, or the length */
	const uint8_t *data;    /* content of a length-prefixed field; NULL: another kind */
	size_t size;
};
/* The next field; false at the end, and where what is left is not a field (fields->at != fields->end then). */
bool jk_field_next(struct jk_fields *fields, struct jk_field *ret_field);
