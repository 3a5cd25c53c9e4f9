/* dispatch_receipts.h: DELIVERED receipts that are due: which desk has acknowledged events of which agency in which stream, up
 * to which number. Collected between two appends, one entry for each (desk, stream, agency). Not here: appending them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dispatch_receipts;

struct dispatch_receipt {
	int32_t desk_id, agency_id; /* who has it; whose it is */
	const char *stream;         /* name, borrowed; equal streams have equal pointers */
	uint64_t up_to_seq;
};

/* NULL without memory. */
struct dispatch_receipts *dispatch_receipts_new(void);
void dispatch_receipts_free(struct dispatch_receipts **receipts_p);
/* Notes it; the higher number of an entry stays. false without memory: the next one of the entry makes it good. */
bool dispatch_receipts_add(struct dispatch_receipts *receipts, const struct dispatch_receipt *receipt);
/* Takes up to capacity entries out, those noted first first; returns how many. */
size_t dispatch_receipts_take(struct dispatch_receipts *receipts, struct dispatch_receipt *ret, size_t capacity);
size_t dispatch_receipts_count(const struct dispatch_receipts *receipts);
