#include "feed/feed_groups.h"

#include <string.h>

enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_BYTES = 2, WIRE_32BIT = 5 };
enum { BODY_GROUPS = 1, GROUP_TAG = 1, GROUP_SALT = 2, GROUP_CONTENT = 3, GROUP_DIGEST = 4 };

struct feed_walk feed_walk_over(struct jk_span bytes)
{
	static const uint8_t nothing[1];
	const uint8_t *at = bytes.size == 0 ? nothing : bytes.data;

	return (struct feed_walk){.at = at, .end = at + bytes.size};
}

static bool walk_varint(struct feed_walk *walk, uint64_t *ret)
{
	*ret = 0;
	for (int shift = 0; shift < 64 && walk->at < walk->end; shift += 7) {
		uint8_t byte = *walk->at++;
		*ret |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return true;
	}
	return false;
}

static bool walk_skip(struct feed_walk *walk, uint64_t size)
{
	if (size > (uint64_t)(walk->end - walk->at))
		return false;
	walk->at += size;
	return true;
}

static bool walk_field(struct feed_walk *walk, struct feed_field *ret)
{
	uint64_t key;

	*ret = (struct feed_field){0};
	if (!walk_varint(walk, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
		return false;
	ret->number = (uint32_t)(key >> 3);
	switch (key & 7) {
	case WIRE_VARINT:
		ret->is_varint = true;
		return walk_varint(walk, &ret->value);
	case WIRE_64BIT:
		ret->is_fixed64 = true;
		for (size_t i = 0; i < 8 && i < (size_t)(walk->end - walk->at); i++)
			ret->value |= (uint64_t)walk->at[i] << 8 * i;
		return walk_skip(walk, 8);
	case WIRE_32BIT:
		return walk_skip(walk, 4);
	case WIRE_BYTES:
		ret->is_bytes = true;
		if (!walk_varint(walk, &ret->value))
			return false;
		ret->bytes = (struct jk_span){.data = walk->at, .size = (size_t)ret->value};
		return walk_skip(walk, ret->value);
	default:
		return false;
	}
}

bool feed_walk_next(struct feed_walk *walk, struct feed_field *ret)
{
	if (walk->at == walk->end || walk->at == NULL)
		return false;
	if (walk_field(walk, ret))
		return true;
	walk->at = NULL;
	return false;
}

bool feed_groups_is_count(size_t count)
{
	return count == JK_GROUP_COUNT || count == JK_GROUP_MAX || count == JK_GROUP_COUNT_OLD;
}

bool feed_group_is_sound(const struct feed_group *group)
{
	if (group->digest.size == 0)
		return group->salt.size == JK_SALT_BYTES;
	return group->digest.size == JK_SHA256_BYTES && group->salt.size == 0 && group->content.size == 0;
}

static bool group_read(struct jk_span bytes, struct feed_group *ret, uint64_t *ret_tag)
{
	struct feed_walk walk = feed_walk_over(bytes);
	struct feed_field field;

	*ret = (struct feed_group){0};
	*ret_tag = 0;
	while (feed_walk_next(&walk, &field)) {
		if (field.number == GROUP_TAG && field.is_varint)
			*ret_tag = field.value;
		else if (field.number == GROUP_SALT && field.is_bytes)
			ret->salt = field.bytes;
		else if (field.number == GROUP_CONTENT && field.is_bytes)
			ret->content = field.bytes;
		else if (field.number == GROUP_DIGEST && field.is_bytes)
			ret->digest = field.bytes;
	}
	return walk.at != NULL && feed_group_is_sound(ret);
}

bool feed_groups_read(struct jk_span body, struct feed_groups *ret)
{
	struct feed_walk walk = feed_walk_over(body);
	struct feed_field field;
	uint64_t tag;

	ret->count = 0;
	while (feed_walk_next(&walk, &field)) {
		if (field.number != BODY_GROUPS || !field.is_bytes)
			continue;
		if (ret->count == JK_GROUP_MAX || !group_read(field.bytes, &ret->items[ret->count], &tag) || tag != ++ret->count)
			return false;
	}
	for (size_t i = ret->count; i < JK_GROUP_MAX; i++)
		ret->items[i] = (struct feed_group){0};
	return walk.at != NULL && feed_groups_is_count(ret->count);
}

struct jk_span feed_words_of(struct jk_span words, int type)
{
	struct feed_walk walk = feed_walk_over(words);
	struct feed_field field;

	while (feed_walk_next(&walk, &field))
		if (field.number == (uint32_t)type && field.is_bytes)
			return field.bytes;
	return (struct jk_span){0};
}

void feed_group_digest(const struct feed_group *group, uint8_t ret[JK_SHA256_BYTES])
{
	if (group->digest.size != 0)
		memcpy(ret, group->digest.data, JK_SHA256_BYTES);
	else
		jk_sha256(ret, (const struct jk_span[]){group->salt, group->content}, 2);
}

void feed_groups_commit(const struct feed_groups *groups, uint8_t ret_commitment[JK_SHA256_BYTES])
{
	static const char label[] = "jk-commitment-1";
	uint8_t tagged[JK_GROUP_MAX][1 + JK_SHA256_BYTES];

	for (size_t i = 0; i < groups->count; i++) {
		tagged[i][0] = (uint8_t)(i + 1);
		feed_group_digest(&groups->items[i], &tagged[i][1]);
	}
	jk_sha256(ret_commitment,
		(const struct jk_span[]){
			{.data = label, .size = sizeof label - 1}, {.data = tagged, .size = groups->count * sizeof tagged[0]}},
		2);
}
