/* dispatch_record.h: what was sent of a disclosure range, number by number, and under what. In memory a run of equal numbers is
 * one entry; written down it is one byte a number (deploy/sql/012_disclosure.sql). Not here: which ranges there are
 * (dispatch_subscription.h). */
#pragma once

#include "authz/authz.h"
#include "base/jk_text.h"

enum {
	DISPATCH_RECORD_TERMS_MAX = 254, /* different ones in one record */
	DISPATCH_RECORD_RUNS_MAX = 4096,
	DISPATCH_TERM_RECALLED = 1, /* number of "recalled" */
	DISPATCH_TERM_TEXT_BYTES = 120,
	DISPATCH_TERMS_RECENT = 256,
};

/* Everything that copies have gone out under in this process, numbered from 1. Grows with the versions of agreements that were
 * used, and with nothing else. Zero-initialise. */
struct dispatch_terms {
	struct dispatch_term *items;
	size_t count, capacity;
	uint32_t recent[DISPATCH_TERMS_RECENT]; /* numbers, by what they are of */
};
void dispatch_terms_done(struct dispatch_terms *terms);
/* The number of what this decision allows; 0: without memory. DENY: of "recalled". */
uint32_t dispatch_terms_number(struct dispatch_terms *terms, const struct jk_decision *decision);
/* As it is written down. */
const char *dispatch_terms_text(const struct dispatch_terms *terms, uint32_t number);

struct dispatch_run {
	uint16_t count;
	uint8_t value; /* 0: not sent; else 1 + index into the record's terms */
};
struct dispatch_record {
	uint64_t from_seq, next_seq; /* next_seq: the first number nothing is noted of */
	struct dispatch_run *runs;
	uint32_t *terms; /* numbers of dispatch_terms */
	uint16_t run_count, run_capacity;
	uint8_t term_count, term_capacity;
};
/* NULL without memory. */
struct dispatch_record *dispatch_record_new(uint64_t from_seq);
/* Nulls the pointer. */
void dispatch_record_free(struct dispatch_record **record_p);
struct dispatch_record *dispatch_record_copy(const struct dispatch_record *record);

/* Makes room for a number >= next_seq under this term. False: the record is full, or without memory. */
bool dispatch_record_make_room(struct dispatch_record *record, uint32_t term);
/* It was sent. There must be room. */
void dispatch_record_add(struct dispatch_record *record, uint64_t seq, uint32_t term);

/* The term's number; 0: not sent. record may be NULL. */
uint32_t dispatch_record_find(const struct dispatch_record *record, uint64_t seq);
/* Bytes it takes written down. record may be NULL. */
size_t dispatch_record_bytes(const struct dispatch_record *record);
/* Writes dispatch_record_bytes bytes. */
void dispatch_record_write(const struct dispatch_record *record, uint8_t *ret);
