/* feed_body.c: sealing, copying and verifying bodies. */
#include "feed/feed_body.h"

#include <string.h>

#include "feed/feed_groups.h"
#include "wire/wire_body.h"

enum { GROUPS_ALL = ((1 << (JK_GROUP_MAX + 1)) - 1) & ~1 };

/* Groups as protobuf-c wants them. `list` points into `groups`: fill in place. */
struct packed_groups {
	Jukwaa__V1__EventBody body;
	Jukwaa__V1__Group groups[JK_GROUP_MAX];
	Jukwaa__V1__Group *list[JK_GROUP_MAX];
	uint8_t digests[JK_GROUP_MAX][JK_SHA256_BYTES];
};

static ProtobufCBinaryData binary(struct jk_span span)
{
	/* protobuf-c's struct is not const; what it points to is only read. */
	union {
		const void *in;
		uint8_t *out;
	} data = {.in = span.data};

	return (ProtobufCBinaryData){.len = span.size, .data = data.out};
}

/* Content bytes are taken as they are, although a copy is otherwise built from known fields only: the digest covers them, so
 * altering one bit would make the copy unverifiable. Nothing foreign can be in them, because intake packs every group itself
 * from fields it knows. Unknown fields around them (in EventBody or Group) do not pass: see feed_groups_read. */
static void fill_groups(struct packed_groups *packed, const struct feed_groups *groups, uint32_t withheld)
{
	jukwaa__v1__event_body__init(&packed->body);
	packed->body.n_groups = groups->count;
	packed->body.groups = packed->list;
	for (size_t i = 0; i < groups->count; i++) {
		const struct feed_group *from = &groups->items[i];
		Jukwaa__V1__Group *group = packed->list[i] = &packed->groups[i];
		jukwaa__v1__group__init(group);
		group->tag = (Jukwaa__V1__GroupTag)(i + 1);
		if (from->digest.size != 0 || (withheld >> (i + 1) & 1) != 0) {
			feed_group_digest(from, packed->digests[i]);
			group->digest = (ProtobufCBinaryData){.len = JK_SHA256_BYTES, .data = packed->digests[i]};
		} else {
			group->salt = binary(from->salt);
			group->content = binary(from->content);
		}
	}
}

enum jk_status jk_body_seal(struct jk_group groups[JK_GROUP_COUNT], struct jk_arena *arena, uint8_t ret_commitment[32],
	const uint8_t **ret_body, size_t *ret_size)
{
	uint8_t salts[JK_GROUP_COUNT][JK_SALT_BYTES];
	struct feed_groups shown = {.count = JK_GROUP_COUNT};
	struct packed_groups packed;

	jk_random(salts, sizeof salts);
	for (size_t i = 0; i < JK_GROUP_COUNT; i++) {
		memcpy(groups[i].salt, salts[i], sizeof groups[i].salt);
		shown.items[i] = (struct feed_group){.salt = {.data = groups[i].salt, .size = sizeof groups[i].salt},
			.content = {.data = groups[i].content, .size = groups[i].content_size}};
	}
	fill_groups(&packed, &shown, JK_GROUPS_PROTECTED);
	/* The two digests that were just made need not be made again. */
	for (size_t i = JK_GROUP_REPORTER - 1; i < JK_GROUP_PERSONS; i++) {
		shown.items[i] = (struct feed_group){.digest = {.data = packed.digests[i], .size = sizeof packed.digests[i]}};
		if (groups[i].content_size > 0)
			packed.body.stored_apart |= 1U << (i + 1);
	}
	feed_groups_commit(&shown, ret_commitment);
	*ret_body = jk_body_pack(&packed.body.base, arena, ret_size);
	return *ret_body == NULL ? JK_BROKEN : JK_OK;
}

/* What is stored apart stays with the report: the body with WORK has its digests alone. */
enum jk_status jk_body_add_work(struct jk_span body, struct jk_span work, struct jk_arena *arena, uint8_t ret_commitment[32],
	const uint8_t **ret_body, size_t *ret_size)
{
	uint8_t salt[JK_SALT_BYTES];
	struct feed_groups groups;
	struct packed_groups packed;

	if (!feed_groups_read(body, &groups) || groups.count == JK_GROUP_COUNT_OLD)
		return JK_BROKEN;
	jk_random(salt, sizeof salt);
	groups.count = JK_GROUP_MAX;
	groups.items[JK_GROUP_WORK - 1] = (struct feed_group){.salt = {.data = salt, .size = sizeof salt}, .content = work};
	fill_groups(&packed, &groups, 0);
	feed_groups_commit(&groups, ret_commitment);
	*ret_body = jk_body_pack(&packed.body.base, arena, ret_size);
	return *ret_body == NULL ? JK_BROKEN : JK_OK;
}

struct jk_span jk_body_work(const Jukwaa__V1__EventBody *body)
{
	const Jukwaa__V1__Group *group = body->n_groups == JK_GROUP_MAX ? body->groups[JK_GROUP_WORK - 1] : NULL;

	if (group == NULL)
		return (struct jk_span){0};
	return (struct jk_span){.data = group->content.data, .size = group->content.len};
}

uint32_t jk_body_withheld(size_t group_count, uint32_t withheld)
{
	bool redacts = (withheld & GROUPS_ALL & ~JK_GROUPS_PROTECTED) != 0;

	return group_count == JK_GROUP_COUNT_OLD && redacts ? withheld | ~(1U << JK_GROUP_TIMES) : withheld;
}

Jukwaa__V1__EventBody *jk_body_copy(const uint8_t *body, size_t size, uint32_t withheld, struct jk_arena *arena)
{
	struct feed_groups groups;
	struct packed_groups *packed = jk_arena_alloc(arena, sizeof *packed);
	/* The copy may outlive the database's result that `body` lies in. */
	const uint8_t *kept = jk_arena_copy(arena, body, size);

	if (packed == NULL || kept == NULL || !feed_groups_read((struct jk_span){.data = kept, .size = size}, &groups))
		return NULL;
	fill_groups(packed, &groups, jk_body_withheld(groups.count, withheld));
	return &packed->body;
}

bool jk_body_verify(const Jukwaa__V1__EventBody *body, const uint8_t commitment[32])
{
	struct feed_groups groups = {.count = body->n_groups};
	uint8_t computed[JK_SHA256_BYTES];

	if (!feed_groups_is_count(body->n_groups))
		return false;
	for (size_t i = 0; i < groups.count; i++) {
		const Jukwaa__V1__Group *group = body->groups[i];
		groups.items[i] = (struct feed_group){.salt = {.data = group->salt.data, .size = group->salt.len},
			.content = {.data = group->content.data, .size = group->content.len},
			.digest = {.data = group->digest.data, .size = group->digest.len}};
		if ((size_t)group->tag != i + 1 || !feed_group_is_sound(&groups.items[i]))
			return false;
	}
	feed_groups_commit(&groups, computed);
	return jk_bytes_equal(computed, commitment, sizeof computed);
}
