/* wire_field.c: see wire_field.h. */
#include "wire/wire_field.h"

#include <string.h>

enum { WIRE_FIXED64 = 1, WIRE_FIXED32 = 5 };

size_t jk_varint_write(uint8_t ret[JK_VARINT_MAX_BYTES], uint64_t value)
{
	size_t size = 0;

	for (; value >= 0x80; value >>= 7)
		ret[size++] = (uint8_t)(value | 0x80);
	ret[size++] = (uint8_t)value;
	return size;
}

size_t jk_varint_size(uint64_t value)
{
	size_t size = 1;

	for (; value >= 0x80; value >>= 7)
		size++;
	return size;
}

static bool take_varint(struct jk_fields *fields, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; shift < 70 && fields->at < fields->end; shift += 7) {
		uint8_t byte = *fields->at++;

		*ret |= (uint64_t)(byte & 0x7f) << (shift < 64 ? shift : 63);
		if (byte < 0x80)
			return true;
	}
	return false;
}

/* size bytes as they stand, little-endian; sizes of 4 and 8. */
static bool take_fixed(struct jk_fields *fields, size_t size, uint64_t *ret)
{
	*ret = 0;
	if ((size_t)(fields->end - fields->at) < size)
		return false;
	for (size_t i = 0; i < size; i++)
		*ret |= (uint64_t)fields->at[i] << 8 * i;
	fields->at += size;
	return true;
}

bool jk_field_next(struct jk_fields *fields, struct jk_field *ret_field)
{
	uint64_t tag;

	*ret_field = (struct jk_field){0};
	if (fields->at == fields->end || !take_varint(fields, &tag))
		return false;
	ret_field->number = tag >> 3;
	switch (tag & 7) {
	case JK_WIRE_VARINT:
		return take_varint(fields, &ret_field->value);
	case WIRE_FIXED64:
		return take_fixed(fields, sizeof(uint64_t), &ret_field->value);
	case WIRE_FIXED32:
		return take_fixed(fields, sizeof(uint32_t), &ret_field->value);
	case JK_WIRE_LENGTH:
		if (!take_varint(fields, &ret_field->value) || ret_field->value > (uint64_t)(fields->end - fields->at))
			return false;
		ret_field->data = fields->at;
		ret_field->size = (size_t)ret_field->value;
		fields->at += ret_field->size;
		return true;
	default:
		return false;
	}
}
