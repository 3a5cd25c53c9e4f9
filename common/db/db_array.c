/* db_array.c: one-dimensional arrays in PostgreSQL's binary form (array_recv): dimensions 1, has-null flag, element type,
 * count, lower bound 1, then length and bytes of each element. All numbers are big-endian. */
#include <assert.h>
#include <limits.h>
#include <string.h>

#include "db/db.h"

enum { HEADER_BYTES = 20, EMPTY_HEADER_BYTES = 12 };

void jk_db_array_reset(struct jk_db_array *array, unsigned element_oid)
{
	static const uint8_t header[HEADER_BYTES];
	array->bytes.size = 0;
	array->element_oid = element_oid;
	array->count = 0;
	array->has_null = false;
	jk_buffer_append(&array->bytes, header, sizeof header); /* filled in when bound */
}

void jk_db_array_add(struct jk_db_array *array, const void *bytes, int size)
{
	uint8_t length[4];
	array->count++;
	if (!bytes) {
		array->has_null = true;
		jk_put_be32(length, UINT32_MAX);
		jk_buffer_append(&array->bytes, length, sizeof length);
		return;
	}
	jk_put_be32(length, (uint32_t)size);
	jk_buffer_append(&array->bytes, length, sizeof length);
	jk_buffer_append(&array->bytes, bytes, (size_t)size);
}

static int int_bytes(unsigned oid, int64_t value)
{
	switch (oid) {
	case JK_OID_BOOL:
		assert(value == 0 || value == 1);
		return 1;
	case JK_OID_INT2:
		assert(value >= INT16_MIN && value <= INT16_MAX);
		return 2;
	case JK_OID_INT4:
		assert(value >= INT32_MIN && value <= INT32_MAX);
		return 4;
	default:
		assert(oid == JK_OID_INT8);
		return 8;
	}
}

void jk_db_array_add_int(struct jk_db_array *array, int64_t value)
{
	uint8_t wide[8];
	int size = int_bytes(array->element_oid, value);
	uint8_t element[4 + 8];
	jk_put_be64(wide, (uint64_t)value);
	jk_put_be32(element, (uint32_t)size);
	memcpy(element + 4, wide + 8 - size, (size_t)size);
	array->count++;
	jk_buffer_append(&array->bytes, element, 4 + (size_t)size);
}

void jk_db_array_add_text(struct jk_db_array *array, const char *text)
{
	jk_db_array_add(array, text, text ? (int)strlen(text) : 0);
}

void jk_db_array_add_id(struct jk_db_array *array, const struct jk_id *id)
{
	uint8_t element[4 + sizeof id->bytes];
	jk_put_be32(element, sizeof id->bytes);
	memcpy(element + 4, id->bytes, sizeof id->bytes);
	array->count++;
	jk_buffer_append(&array->bytes, element, sizeof element);
}

/* PostgreSQL counts from 2000. */
void jk_db_array_add_time(struct jk_db_array *array, int64_t time_us)
{
	uint8_t bytes[8];
	jk_put_be64(bytes, (uint64_t)(time_us == INT64_MAX ? INT64_MAX : time_us - INT64_C(946684800000000)));
	jk_db_array_add(array, bytes, sizeof bytes);
}

void jk_db_array_add_double(struct jk_db_array *array, double value)
{
	uint8_t bytes[8];
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	jk_put_be64(bytes, bits);
	jk_db_array_add(array, bytes, sizeof bytes);
}

void jk_db_bind_array(struct jk_db_step *step, int index, struct jk_db_array *array)
{
	assert(index >= 0 && index < JK_DB_PARAMS_MAX);
	if (array->bytes.failed || array->bytes.size < HEADER_BYTES || array->bytes.size > INT_MAX) {
		step->values[index] = "";
		step->lengths[index] = -1; /* jk_db_start answers BROKEN */
		return;
	}
	uint8_t *header = (uint8_t *)array->bytes.data;
	jk_put_be32(header, array->count > 0 ? 1 : 0);
	jk_put_be32(header + 4, array->has_null);
	jk_put_be32(header + 8, array->element_oid);
	jk_put_be32(header + 12, (uint32_t)array->count);
	jk_put_be32(header + 16, 1);
	step->values[index] = array->bytes.data;
	step->lengths[index] = array->count > 0 ? (int)array->bytes.size : EMPTY_HEADER_BYTES;
}

void jk_db_array_done(struct jk_db_array *array)
{
	jk_buffer_done(&array->bytes);
	*array = (struct jk_db_array){0};
}
