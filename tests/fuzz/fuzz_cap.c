/* The CAP reader on any bytes: it must refuse or read, never crash, and what it reads must be readable again. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/intake/intake_wire_cap.h"
#include "wire/wire_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct intake_cap *cap;
	static struct jk_arena *arena;
	struct intake_decoded decoded;
	struct jk_refusal refusal = {0};
	size_t packed_size;
	uint8_t *packed;

	if (cap == NULL && intake_cap_open(&cap) != JK_OK)
		abort();
	if (arena == NULL)
		arena = jk_arena_new(16 * 1024 * 1024);
	jk_arena_reset(arena);
	if (!intake_cap_read(cap, bytes, size, size % 2 == 1, arena, &decoded, &refusal)) {
		if (refusal.code == JK_CODE_NONE || !jk_text_is_utf8(refusal.reason, strlen(refusal.reason)) ||
			!jk_text_is_utf8(refusal.field, strlen(refusal.field)))
			abort();
		return 0;
	}
	packed = jk_body_pack(&decoded.incident->base, arena, &packed_size);
	if (packed != NULL && !jk_body_check(&jukwaa__v1__incident__descriptor, packed, packed_size, &refusal))
		abort();
	return 0;
}
