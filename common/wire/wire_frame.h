/* wire_frame.h: the 8-byte header before every body (proto/jukwaa/v1/session.proto). Not here: bodies, sockets. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JK_FRAME_BYTES = 8,
	JK_FRAME_VERSION = 1,
	JK_BODY_MAX_BYTES = 2 * 1024 * 1024 + 4096 - JK_FRAME_BYTES,
};

enum jk_frame_verdict { JK_FRAME_OK, JK_FRAME_MALFORMED, JK_FRAME_OTHER_VERSION };

void jk_frame_write(uint8_t ret[JK_FRAME_BYTES], uint16_t kind);
/* Magic, version, flags 0, reserved 0; kind may be any number. */
enum jk_frame_verdict jk_frame_read(const uint8_t *bytes, size_t size, uint16_t *ret_kind);
