/* Frame headers and bodies of every message of the wire, whoever reads it: what passes the check before unpacking must unpack
 * within its memory, pack again and pass again, and carry no field that this build does not know. First byte: which message. */
#include "fuzz.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/feed.pb-c.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "jukwaa/v1/work.pb-c.h"
#include "wire/wire_body.h"
#include "wire/wire_frame.h"

/* The order is that of seeds.py; new ones come last. */
static const ProtobufCMessageDescriptor *const types[] = {
	&jukwaa__v1__incident__descriptor,
	&jukwaa__v1__publish__descriptor,
	&jukwaa__v1__subscribe__descriptor,
	&jukwaa__v1__deliver__descriptor,
	&jukwaa__v1__case_list__descriptor,
	&jukwaa__v1__hello__descriptor,
	&jukwaa__v1__welcome__descriptor,
	&jukwaa__v1__ping__descriptor,
	&jukwaa__v1__bad_session__descriptor,
	&jukwaa__v1__refused__descriptor,
	&jukwaa__v1__bye__descriptor,
	&jukwaa__v1__receipt__descriptor,
	&jukwaa__v1__subscribed__descriptor,
	&jukwaa__v1__ack__descriptor,
	&jukwaa__v1__beat__descriptor,
	&jukwaa__v1__case_listed__descriptor,
	&jukwaa__v1__case_show__descriptor,
	&jukwaa__v1__case_shown__descriptor,
	&jukwaa__v1__event_body__descriptor,
	&jukwaa__v1__work__descriptor,
	&jukwaa__v1__deliver_batch__descriptor,
	&jukwaa__v1__snapshot_end__descriptor,
};

static void read_header(const uint8_t *bytes, size_t size)
{
	uint8_t again[JK_FRAME_BYTES];
	uint16_t kind;

	if (jk_frame_read(bytes, size, &kind) != JK_FRAME_OK)
		return;
	jk_frame_write(again, kind);
	fuzz_must(size == sizeof again && memcmp(again, bytes, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct jk_arena *arena = fuzz_arena(32 * 1024 * 1024);
	struct jk_refusal refusal = {0};
	size_t packed_size;

	read_header(bytes, size);
	if (size == 0)
		return 0;
	const ProtobufCMessageDescriptor *type = types[bytes[0] % (sizeof types / sizeof *types)];
	const ProtobufCMessage *message = jk_body_unpack(type, bytes + 1, size - 1, arena, &refusal);
	if (message == NULL) {
		fuzz_must_say_why(&refusal);
		return 0;
	}
	fuzz_must(message->n_unknown_fields == 0);
	uint8_t *packed = jk_body_pack(message, arena, &packed_size);
	fuzz_must(packed == NULL || jk_body_check(type, packed, packed_size, &refusal));
	return 0;
}
