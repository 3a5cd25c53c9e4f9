/* json_map.h: protobuf messages <-> JSON by their descriptors, on jansson. Field names as in the .proto (snake_case);
 * enum values without their type's prefix ("SEVERE"), both forms read; bytes of 16 in fields named *_id as UUID text,
 * other bytes as lower-case hex when named chain, commitment, digest, salt, root, signature, *_chain or *_key, else base64url;
 * int64 and uint64 as JSON numbers when within ±2^53, else text, both read; a field or oneof that is not set is left out.
 * Times (fields named *_us) are written as RFC 3339 text; read as RFC 3339 text or as an integer of microseconds. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/jk_arena.h"
#include "base/jk_refusal.h"
#include "base/jk_text.h"

/* Strict JSON (RFC 8259, no duplicate keys, no NUL, depth <= 16) to a message in the arena. NULL: refused with
 * NOT_WELL_FORMED (not JSON; field "line N column M") or INVALID_SCHEMA (unknown field, wrong type, unknown enum word,
 * number out of range; field = dotted path). */
ProtobufCMessage *jk_json_read(const ProtobufCMessageDescriptor *type, const char *text, size_t size, struct jk_arena *arena,
	struct jk_refusal *ret_refusal);

/* Appends the message as one line of JSON (no newline). */
void jk_json_write(const ProtobufCMessage *message, struct jk_buffer *buffer);

/* Appends a JSON Schema (draft 2020-12) for the type, as this reader takes it. id: its $id. */
void jk_json_schema(const ProtobufCMessageDescriptor *type, const char *id, struct jk_buffer *buffer);

/* Appends text as a quoted JSON string. */
void jk_json_quote(struct jk_buffer *buffer, const char *text);
