/* proto_mutator.c: changes packed messages as messages: a field is dropped, doubled, swapped, its content changed, at any depth,
 * and the lengths around it are put right. Blind changes of bytes would end at the first length nearly every time. The first byte
 * of the input (which message) is kept. Linked into libFuzzer programs alone. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

enum { FIELDS_MAX = 64, DEPTH_MAX = 6, ROOM_BYTES = 256 };

struct field {
	size_t start, content, end; /* content: after tag and, where there is one, length */
	int wire_type;
};

static size_t read_varint(const uint8_t *bytes, size_t size, size_t at, uint64_t *ret)
{
	*ret = 0;
	for (int shift = 0; shift < 64 && at < size; shift += 7) {
		*ret |= (uint64_t)(bytes[at] & 0x7f) << shift;
		if ((bytes[at++] & 0x80) == 0)
			return at;
	}
	return 0;
}

static size_t write_varint(uint8_t *ret, uint64_t value)
{
	size_t size = 0;

	for (; value > 0x7f; value >>= 7)
		ret[size++] = (uint8_t)(value | 0x80);
	ret[size++] = (uint8_t)value;
	return size;
}

static size_t content_end(int wire_type, const uint8_t *bytes, size_t size, struct field *field)
{
	uint64_t value;
	size_t at;

	if (wire_type == 0)
		return read_varint(bytes, size, field->content, &value);
	if (wire_type == 1 || wire_type == 5)
		return field->content + (wire_type == 1 ? 8 : 4);
	if (wire_type != 2 || (at = read_varint(bytes, size, field->content, &value)) == 0 || value > size - at)
		return 0;
	field->content = at;
	return at + (size_t)value;
}

/* Number of fields; -1: not a message, or too large a one. */
static int split(const uint8_t *bytes, size_t size, struct field fields[FIELDS_MAX])
{
	int count = 0;
	uint64_t tag;

	for (size_t at = 0; at < size; at = fields[count++].end) {
		if (count == FIELDS_MAX)
			return -1;
		struct field *field = &fields[count];
		field->start = at;
		if ((field->content = read_varint(bytes, size, at, &tag)) == 0 || tag >> 3 == 0)
			return -1;
		field->wire_type = (int)(tag & 7);
		field->end = content_end(field->wire_type, bytes, size, field);
		if (field->end == 0 || field->end > size)
			return -1;
	}
	return count;
}

static size_t change(uint8_t *bytes, size_t size, size_t max_size, int depth);

/* Puts `content` in place of the field's own, its length before it where there is one. */
static size_t replace(
	uint8_t *bytes, size_t size, size_t max_size, const struct field *field, const uint8_t *content, size_t count)
{
	uint8_t head[20];
	uint64_t tag;
	size_t head_size = read_varint(bytes, size, field->start, &tag) - field->start, tail = size - field->end;

	memcpy(head, bytes + field->start, head_size);
	if (field->wire_type == 2)
		head_size += write_varint(head + head_size, count);
	if (field->start + head_size + count + tail > max_size)
		return size;
	memmove(bytes + field->start + head_size + count, bytes + field->end, tail);
	memcpy(bytes + field->start, head, head_size);
	memcpy(bytes + field->start + head_size, content, count);
	return field->start + head_size + count + tail;
}

static size_t change_content(uint8_t *bytes, size_t size, size_t max_size, const struct field *field, int depth)
{
	size_t count = field->end - field->content, room = count + ROOM_BYTES;
	uint8_t *content = malloc(room);

	if (!content)
		return size;
	memcpy(content, bytes + field->content, count);
	if (field->wire_type == 2 && depth < DEPTH_MAX && rand() % 4 != 0)
		count = change(content, count, room, depth + 1);
	else
		count = LLVMFuzzerMutate(content, count, field->wire_type == 2 ? room : count);
	size = replace(bytes, size, max_size, field, content, count);
	free(content);
	return size;
}

static size_t insert(uint8_t *bytes, size_t size, size_t max_size, size_t at, const uint8_t *piece, size_t count)
{
	if (size + count > max_size)
		return size;
	memmove(bytes + at + count, bytes + at, size - at);
	memcpy(bytes + at, piece, count);
	return size + count;
}

static size_t add_field(uint8_t *bytes, size_t size, size_t max_size, size_t at)
{
	uint8_t piece[16];
	int wire_type = (int[]){0, 1, 2, 5}[rand() % 4];
	size_t count = write_varint(piece, (uint64_t)(1 + rand() % 20) << 3 | (unsigned)wire_type);

	if (wire_type == 0 || wire_type == 2)
		piece[count++] = wire_type ? 0 : (uint8_t)(rand() % 128);
	else
		for (int left = wire_type == 1 ? 8 : 4; left > 0; left--)
			piece[count++] = (uint8_t)rand();
	return insert(bytes, size, max_size, at, piece, count);
}

static size_t double_field(uint8_t *bytes, size_t size, size_t max_size, const struct field *field, size_t at)
{
	size_t count = field->end - field->start;
	uint8_t *piece = malloc(count + 1);

	if (!piece)
		return size;
	memcpy(piece, bytes + field->start, count);
	size = insert(bytes, size, max_size, at, piece, count);
	free(piece);
	return size;
}

static size_t change(uint8_t *bytes, size_t size, size_t max_size, int depth)
{
	struct field fields[FIELDS_MAX];
	int count = split(bytes, size, fields);

	if (count < 0 || rand() % 16 == 0)
		return LLVMFuzzerMutate(bytes, size, max_size);
	if (count == 0)
		return add_field(bytes, size, max_size, 0);
	const struct field *field = &fields[rand() % count], *other = &fields[rand() % count];
	switch (rand() % 8) {
	case 0:
		return add_field(bytes, size, max_size, field->start);
	case 1:
		memmove(bytes + field->start, bytes + field->end, size - field->end);
		return size - (field->end - field->start);
	case 2:
		return double_field(bytes, size, max_size, field, other->start);
	default:
		return change_content(bytes, size, max_size, field, depth);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	srand(seed);
	if (size < 2 || max_size < 2 || rand() % 8 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	return 1 + change(data + 1, size - 1, max_size - 1, 0);
}
