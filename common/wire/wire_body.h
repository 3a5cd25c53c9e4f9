/* wire_body.h: bodies: a check of the raw bytes against the descriptor before anything is unpacked, unpacking into a
 * bounded arena, packing. protobuf-c 1.4.1 leaves out the checks done here (UTF-8, NUL, enum range, depth, repeated
 * singular messages). */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/jk_arena.h"
#include "base/jk_refusal.h"

/* Walks `bytes` as a message of `type`. Refuses (code NOT_WELL_FORMED, or INVALID_SCHEMA for a known field with a wrong
 * value; field = dotted path): truncated or overlong encodings, wrong wire type, a string that is not UTF-8 or holds a
 * NUL, an enum value that is not in the type (0 = UNSPECIFIED passes), a number beyond its type, an infinity or NaN, a
 * singular message or oneof given twice, more than 8 levels, more than 524,288 fields in all, groups. Unknown fields pass;
 * whoever rebuilds a message leaves them out. */
bool jk_body_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, struct jk_refusal *ret_refusal);

/* jk_body_check, then unpack into the arena. NULL: refused (OVERSIZE when the arena's limit is reached). The message lives
 * as long as the arena; never call free_unpacked on it. Unknown fields are dropped. */
ProtobufCMessage *jk_body_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size,
	struct jk_arena *arena, struct jk_refusal *ret_refusal);

/* Where an unpacked message keeps its field of this name; NULL: its type has none. */
void *jk_body_member(const ProtobufCMessage *message, const char *name);

/* Packs into arena memory; NULL when the arena is full. */
uint8_t *jk_body_pack(const ProtobufCMessage *message, struct jk_arena *arena, size_t *ret_size);
