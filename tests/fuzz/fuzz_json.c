/* The JSON reader on any bytes: what it reads must pass the wire's check and be readable again from what is written of it. */
#include <stdlib.h>

#include "jukwaa/v1/incident.pb-c.h"
#include "wire/wire_body.h"
#include "json/json_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct jk_arena *arena;
	struct jk_refusal refusal;
	struct jk_buffer text = {0};
	size_t packed_size;

	if (arena == NULL && (arena = jk_arena_new(32 * 1024 * 1024)) == NULL)
		abort();
	jk_arena_reset(arena);
	ProtobufCMessage *message = jk_json_read(&jukwaa__v1__incident__descriptor, (const char *)bytes, size, arena, &refusal);
	if (message == NULL)
		return 0;
	uint8_t *packed = jk_body_pack(message, arena, &packed_size);
	if (packed != NULL && !jk_body_check(&jukwaa__v1__incident__descriptor, packed, packed_size, &refusal))
		abort();
	jk_json_write(message, &text);
	if (!text.failed && text.size < 1024 * 1024 &&
		jk_json_read(&jukwaa__v1__incident__descriptor, text.data, text.size, arena, &refusal) == NULL &&
		refusal.code != JK_CODE_OVERSIZE)
		abort();
	jk_buffer_done(&text);
	return 0;
}
