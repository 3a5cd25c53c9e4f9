/* wire_frame.c: the 8-byte header. */
#include "wire/wire_frame.h"

#include <string.h>

void jk_frame_write(uint8_t ret[JK_FRAME_BYTES], uint16_t kind)
{
	const uint8_t header[JK_FRAME_BYTES] = {'J', 'K', JK_FRAME_VERSION, 0, (uint8_t)(kind >> 8), (uint8_t)kind, 0, 0};
	memcpy(ret, header, sizeof header);
}

enum jk_frame_verdict jk_frame_read(const uint8_t *bytes, size_t size, uint16_t *ret_kind)
{
	if (size < 3 || bytes[0] != 'J' || bytes[1] != 'K')
		return JK_FRAME_MALFORMED;
	/* Before the length: another version may have another one. */
	if (bytes[2] != JK_FRAME_VERSION)
		return JK_FRAME_OTHER_VERSION;
	if (size != JK_FRAME_BYTES || bytes[3] != 0 || bytes[6] != 0 || bytes[7] != 0)
		return JK_FRAME_MALFORMED;
	*ret_kind = (uint16_t)(bytes[4] << 8 | bytes[5]);
	return JK_FRAME_OK;
}
