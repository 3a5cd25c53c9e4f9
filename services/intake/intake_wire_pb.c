#include "services/intake/intake_wire.h"
#include "wire/wire_body.h"

bool intake_pb_read(const uint8_t *bytes, size_t size, bool strict, struct jk_arena *arena, struct intake_decoded *ret,
	struct jk_refusal *ret_refusal)
{
	ProtobufCMessage *message = jk_body_unpack(&jukwaa__v1__incident__descriptor, bytes, size, arena, ret_refusal);

	if (!message)
		return false;
	ret->incident = (Jukwaa__V1__Incident *)message;
	ret->canonical = jk_body_pack(message, arena, &ret->canonical_size);
	if (!ret->canonical)
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "payload", "it unpacks to more than is allowed");
	return intake_incident_check(ret, strict, arena, ret_refusal);
}
