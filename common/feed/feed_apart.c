/* feed_apart.c: see feed_apart.h. */
#include "feed/feed_apart.h"

#include <string.h>

#include "base/jk_words.h"
#include "feed/feed_groups.h"
#include "wire/wire_body.h"

enum { BODY_STORED_APART = 2, BODY_ERASED = 3 };

uint32_t jk_body_apart(const uint8_t *body, size_t size)
{
	struct feed_walk walk = feed_walk_over((struct jk_span){.data = body, .size = size});
	struct feed_field field;
	uint32_t apart = 0;

	while (feed_walk_next(&walk, &field))
		if (field.number == BODY_STORED_APART && field.is_varint)
			apart = (uint32_t)field.value & JK_GROUPS_PROTECTED;
	return walk.at == NULL ? 0 : apart;
}

Jukwaa__V1__Erasure *jk_body_erasure(const uint8_t *body, size_t size, struct jk_arena *arena)
{
	struct feed_walk walk = feed_walk_over((struct jk_span){.data = body, .size = size});
	struct feed_field field;
	struct jk_refusal refusal;

	while (feed_walk_next(&walk, &field))
		if (field.number == BODY_ERASED && field.is_bytes)
			return (Jukwaa__V1__Erasure *)jk_body_unpack(
				&jukwaa__v1__erasure__descriptor, field.bytes.data, field.bytes.size, arena, &refusal);
	return NULL;
}

bool jk_body_show(Jukwaa__V1__EventBody *copy, int tag, const uint8_t *salt, struct jk_span content)
{
	Jukwaa__V1__Group *group = tag >= 1 && (size_t)tag <= copy->n_groups ? copy->groups[tag - 1] : NULL;
	const struct feed_group shown = {.salt = {.data = salt, .size = JK_SALT_BYTES}, .content = content};
	uint8_t digest[JK_SHA256_BYTES];

	if (group == NULL || (int)group->tag != tag || group->digest.len != JK_SHA256_BYTES)
		return false;
	feed_group_digest(&shown, digest);
	if (!jk_bytes_equal(digest, group->digest.data, sizeof digest))
		return false;
	group->digest = (ProtobufCBinaryData){0};
	group->salt = (ProtobufCBinaryData){.len = JK_SALT_BYTES, .data = (uint8_t *)salt};
	group->content = (ProtobufCBinaryData){.len = content.size, .data = (uint8_t *)content.data};
	return true;
}
