/* The header of a message: every single wrong byte is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "wire/wire_frame.h"

static void every_wrong_byte_is_refused(void **state)
{
	uint8_t header[JK_FRAME_BYTES];
	uint16_t kind = 0;
	(void)state;
	jk_frame_write(header, 0x1234);
	assert_memory_equal(header, "JK\1\0\x12\x34\0\0", 8);
	for (size_t at = 0; at < sizeof header; at++)
		for (int value = 0; value < 256; value++) {
			uint8_t changed[JK_FRAME_BYTES];
			memcpy(changed, header, sizeof changed);
			changed[at] = (uint8_t)value;
			enum jk_frame_verdict wanted = JK_FRAME_MALFORMED;
			if (at == 4 || at == 5 || value == header[at])
				wanted = JK_FRAME_OK;
			else if (at == 2)
				wanted = JK_FRAME_OTHER_VERSION;
			assert_int_equal(jk_frame_read(changed, sizeof changed, &kind), wanted);
		}
}

static void lengths(void **state)
{
	uint8_t header[JK_FRAME_BYTES + 1] = {0};
	uint16_t kind = 0;
	(void)state;
	jk_frame_write(header, 33);
	for (size_t size = 0; size <= sizeof header; size++)
		assert_int_equal(jk_frame_read(header, size, &kind), size == JK_FRAME_BYTES ? JK_FRAME_OK : JK_FRAME_MALFORMED);
	assert_int_equal(kind, 33);
	/* Another version may have a longer header. */
	header[2] = 2;
	assert_int_equal(jk_frame_read(header, sizeof header, &kind), JK_FRAME_OTHER_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_wrong_byte_is_refused),
		cmocka_unit_test(lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
