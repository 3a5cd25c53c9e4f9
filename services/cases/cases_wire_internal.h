/* cases_wire_internal.h: what the files that read and write messages share. For cases_wire*.c alone. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "cases_wire.h"
#include "jukwaa/v1/cases.pb-c.h"

/* The year 10000: what a row can hold; beyond, PostgreSQL would refuse the number. */
#define CASES_TIME_END_US INT64_C(253402300800000000)
/* Who may ask. */
enum { CASES_ROLES = 1 << JK_ROLE_DESK | 1 << JK_ROLE_OPERATOR | 1 << JK_ROLE_PUBLISHER };

/* Parts of questions; false: ret_refusal says what is wrong. */
bool cases_wire_take_list(const Jukwaa__V1__CaseList *list, size_t limit_default, size_t limit_max, struct cases_filter *ret,
	struct jk_refusal *ret_refusal);
bool cases_wire_take_reading(
	Jukwaa__V1__CasePurpose purpose, const char *note, struct cases_reading *ret, struct jk_refusal *ret_refusal);
bool cases_wire_take_counties(char *const *codes, size_t count, uint64_t *ret, struct jk_refusal *ret_refusal);
bool cases_wire_take_agency(const char *code, char ret[33], struct jk_refusal *ret_refusal);
/* The times of opening, into a filter whose page mark is known. */
bool cases_wire_take_period(int64_t from_us, int64_t to_us, struct cases_filter *ret, struct jk_refusal *ret_refusal);
bool cases_wire_take_id(ProtobufCBinaryData bytes, const char *field, struct jk_id *ret, struct jk_refusal *ret_refusal);

/* Parts of answers, in arena memory, borrowing from what they are made of. NULL: the arena is full. */
Jukwaa__V1__CaseSummary *cases_wire_write_summary(const struct cases_shown *shown, struct jk_arena *arena);
Jukwaa__V1__CaseSummary **cases_wire_write_summaries(const struct cases_shown *shown, size_t count, struct jk_arena *arena);
ProtobufCBinaryData cases_wire_write_page(const struct cases_position *last, uint8_t room[CASES_PAGE_BYTES]);
/* Room for a repeated field of `count` messages; never of size 0. */
void *cases_wire_alloc_pointers(struct jk_arena *arena, size_t count);
/* False: out of memory, or larger than a message. */
bool cases_wire_pack(uint16_t kind, const ProtobufCMessage *message, struct cases_packed *ret_packed);
