/* evidence_wire.h: inside this part only: signed heads between their JSON form, the message and the struct. Numbers are written
 * as they are hashed: times in microseconds beside their readable form. */
#pragma once

#include "evidence/evidence_head.h"
#include "jukwaa/v1/evidence.pb-c.h"
#include "json/json_map.h"

/* Members without braces. */
void evidence_write_head(struct jk_buffer *buffer, const struct jk_signed_head *head);
/* False: sizes that cannot be. */
bool evidence_read_head(const Jukwaa__V1__SignedHead *message, struct jk_signed_head *ret);
/* "name":"<hex>" */
void evidence_write_bytes(struct jk_buffer *buffer, const char *name, const void *bytes, size_t size);
