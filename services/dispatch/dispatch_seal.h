/* dispatch_seal.h: positions as clients hold them: opaque, and worth nothing to anybody else. A seal is
 *   seq, 64 bits big-endian | first 8 bytes of that event's chain | 16 bytes of MAC
 * where the MAC is keyed BLAKE2b over holder, filter, stream, seq and chain, each with its length: changed bytes, another
 * desk's seal, another stream's, or one made under another filter all fail alike. Whether this feed still has the position is
 * dispatch_rules' question. */
#pragma once

#include "dispatch_rules.h"

enum { DISPATCH_SEAL_BYTES = 32, DISPATCH_HOLDER_BYTES = 16, DISPATCH_FILTER_BYTES = 16, DISPATCH_SEAL_KEY_BYTES = 32 };

/* Whose seals: a desk ("D12") or a publisher's agency ("A3"), under one filter. */
struct dispatch_holder {
	char name[DISPATCH_HOLDER_BYTES];
	uint8_t filter[DISPATCH_FILTER_BYTES];
};

/* desk_id < 0: a publisher of the agency. */
void dispatch_seal_holder(
	struct dispatch_holder *ret_holder, int32_t desk_id, int32_t agency_id, const struct dispatch_filter *filter);

void dispatch_seal_write(uint8_t ret[DISPATCH_SEAL_BYTES], const uint8_t key[DISPATCH_SEAL_KEY_BYTES],
	const struct dispatch_holder *holder, const char *stream, const struct dispatch_position *position);

/* A seal as a client gave it back; borrowed. stream: one of ours, at most DISPATCH_STREAM_BYTES - 1 long. */
struct dispatch_sealed {
	const char *stream;
	const uint8_t *seal;
	size_t size;
};
/* Refuses: NOT_WELL_FORMED for another length, NOT_PERMITTED for a MAC that does not hold. */
bool dispatch_seal_read(const uint8_t key[DISPATCH_SEAL_KEY_BYTES], const struct dispatch_holder *holder,
	const struct dispatch_sealed *sealed, struct dispatch_position *ret_position, struct jk_refusal *ret_refusal);
