/* db_value.c: single values, to parameters and from results, in PostgreSQL's binary form. */
#include <assert.h>
#include <limits.h>
#include <string.h>

#include "db/db.h"

/* 2000-01-01, PostgreSQL's epoch, in microseconds since 1970. */
static const int64_t pg_epoch_us = INT64_C(946684800000000);

void jk_db_bind_int8(struct jk_db_step *step, int index, struct jk_db_int8 *storage, int64_t value)
{
	jk_put_be64(storage->bytes, (uint64_t)value);
	jk_db_bind_bytes(step, index, storage->bytes, sizeof storage->bytes);
}

void jk_db_bind_bytes(struct jk_db_step *step, int index, const void *bytes, size_t size)
{
	assert(index >= 0 && index < JK_DB_PARAMS_MAX && size <= INT_MAX);
	step->values[index] = bytes;
	step->lengths[index] = bytes ? (int)size : 0;
}

int64_t jk_db_get_int(const PGresult *result, int row, int column)
{
	const uint8_t *bytes = (const uint8_t *)PQgetvalue(result, row, column);
	int size = PQgetlength(result, row, column);
	if (PQgetisnull(result, row, column) || size < 1 || size > 8)
		return 0;
	uint64_t value = bytes[0] & 0x80 && size > 1 ? UINT64_MAX : 0; /* sign; a bool or "char" of one byte has none */
	for (int i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return (int64_t)value;
}

int64_t jk_db_get_time_us(const PGresult *result, int row, int column)
{
	int64_t value = jk_db_get_int(result, row, column);
	if (PQgetisnull(result, row, column) || value == INT64_MIN || value == INT64_MAX)
		return value; /* NULL reads as 0, the infinities as the ends of the range */
	return value > INT64_MAX - pg_epoch_us ? INT64_MAX : value + pg_epoch_us;
}

struct jk_id jk_db_get_id(const PGresult *result, int row, int column)
{
	struct jk_id id = {{0}};
	if (PQgetlength(result, row, column) == (int)sizeof id.bytes)
		memcpy(id.bytes, PQgetvalue(result, row, column), sizeof id.bytes);
	return id;
}

const void *jk_db_get_bytes(const PGresult *result, int row, int column, size_t *ret_size)
{
	if (ret_size)
		*ret_size = (size_t)PQgetlength(result, row, column);
	return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}
