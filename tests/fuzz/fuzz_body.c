/* The check before unpacking, on any bytes: what passes must unpack, pack again and pass again. First byte: which message. */
#include <stdlib.h>

#include "jukwaa/v1/cases.pb-c.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "wire/wire_body.h"
#include "wire/wire_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const ProtobufCMessageDescriptor *const types[] = {&jukwaa__v1__incident__descriptor,
		&jukwaa__v1__publish__descriptor, &jukwaa__v1__subscribe__descriptor, &jukwaa__v1__deliver__descriptor,
		&jukwaa__v1__case_list__descriptor};
	static struct jk_arena *arena;
	struct jk_refusal refusal;
	uint16_t kind;
	size_t packed_size;

	if (size == 0)
		return 0;
	(void)jk_frame_read(bytes, size, &kind);
	if (arena == NULL && (arena = jk_arena_new(32 * 1024 * 1024)) == NULL)
		abort();
	jk_arena_reset(arena);
	const ProtobufCMessageDescriptor *type = types[bytes[0] % (sizeof types / sizeof *types)];
	ProtobufCMessage *message = jk_body_unpack(type, bytes + 1, size - 1, arena, &refusal);
	if (message == NULL)
		return 0;
	uint8_t *packed = jk_body_pack(message, arena, &packed_size);
	if (packed != NULL && !jk_body_check(type, packed, packed_size, &refusal))
		abort();
	return 0;
}
