/* feed_parts.h: which fields of an incident lie in which group (GroupTag in feed.proto): taking an incident apart when it is
 * sealed, putting together what a copy shows, and checking that a group holds its own fields alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/jk_arena.h"
#include "base/jk_words.h"
#include "crypt/crypt.h"
#include "jukwaa/v1/feed.pb-c.h"
#include "jukwaa/v1/incident.pb-c.h"

/* "identity", … "persons" as Incident calls them, "registration", "position", "words", "work"; "" for no group. */
const char *jk_group_name(int tag);

/* Each group's partial message (index tag - 1) from known fields alone, NULL where there is none; one with nothing in it packs to
 * nothing. They live in the arena and borrow from the incident. False: the arena is full. */
bool jk_parts_split(
	const Jukwaa__V1__Incident *incident, struct jk_arena *arena, const ProtobufCMessage *ret_messages[JK_GROUP_COUNT]);

/* The bytes of the incident's message `tag` (1 to 10), merged from all groups that are shown; size 0: nothing of it is. They lie
 * in the body or the arena. False: the arena is full. */
bool jk_parts_merge(const Jukwaa__V1__EventBody *body, int tag, struct jk_arena *arena, struct jk_span *ret_packed);

/* False when the content is malformed or holds what belongs to another group: what is withheld must not come in by a side door.
 * Fields that this build does not know are nobody's. group_count: of the body. */
bool jk_parts_own(size_t group_count, int tag, struct jk_span content);
