/* wire_internal.h: between the two files of bodies. */
#pragma once

#include "wire/wire_body.h"

/* jk_body_check; also says whether a field unknown to this build was met anywhere. */
bool wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, bool *ret_unknown_fields,
	struct jk_refusal *ret_refusal);
