/* Text: what is refused first; then known answers (RFC 4648 §10, RFC 3629). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <limits.h>
#include <locale.h>
#include <string.h>

#include "base/jk_refusal.h"
#include "base/jk_text.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void utf8_refuses(void **state)
{
	static const char *const bad[] = {
		"\x80",             /* continuation alone */
		"\xc3",             /* cut off */
		"\xc0\xaf",         /* overlong '/' */
		"\xc1\xbf",         /* overlong */
		"\xe0\x80\xaf",     /* overlong */
		"\xe0\x9f\xbf",     /* overlong */
		"\xf0\x80\x80\xaf", /* overlong */
		"\xf0\x8f\xbf\xbf", /* overlong */
		"\xed\xa0\x80",     /* surrogate U+D800 */
		"\xed\xbf\xbf",     /* surrogate U+DFFF */
		"\xf4\x90\x80\x80", /* U+110000 */
		"\xf5\x80\x80\x80", /* beyond */
		"\xfe",             /* never */
		"\xff\xff",         /* never */
		"\xe2\x82",         /* cut off */
		"\xe2\x28\xa1",     /* second byte wrong */
		"\xf0\x9f\x92",     /* cut off */
		"\xf0\x9f\x28\x96", /* third byte wrong */
		"12345678\xff",     /* after a run of plain bytes */
		("1234567\xc3"
		 "12345678"), /* across the eight-byte step */
	};
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(jk_text_is_utf8(bad[i], strlen(bad[i])));
}

static void utf8_refuses_nul_anywhere(void **state)
{
	(void)state;
	for (size_t size = 1; size < 40; size++)
		for (size_t at = 0; at < size; at++) {
			char text[40];
			memset(text, 'a', sizeof text);
			assert_true(jk_text_is_utf8(text, size));
			text[at] = '\0';
			assert_false(jk_text_is_utf8(text, size));
			text[at] = '\x80';
			assert_false(jk_text_is_utf8(text, size));
			text[at] = '\x01';
			assert_true(jk_text_is_utf8(text, size));
		}
}

static void utf8_takes(void **state)
{
	static const char *const good[] = {"", "Nairobi", "Murang’a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "aaaaaaa€bbbbbbbb€"};
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(jk_text_is_utf8(good[i], strlen(good[i])));
}

/* Every code point, one by one: exactly the scalar values but NUL pass. */
static void utf8_takes_every_scalar_value(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x120000; c++) {
		char text[4];
		size_t size;
		if (c < 0x80) {
			text[0] = (char)c;
			size = 1;
		} else if (c < 0x800) {
			text[0] = (char)(0xc0 | c >> 6);
			text[1] = (char)(0x80 | (c & 63));
			size = 2;
		} else if (c < 0x10000) {
			text[0] = (char)(0xe0 | c >> 12);
			text[1] = (char)(0x80 | (c >> 6 & 63));
			text[2] = (char)(0x80 | (c & 63));
			size = 3;
		} else {
			text[0] = (char)(0xf0 | c >> 18);
			text[1] = (char)(0x80 | (c >> 12 & 63));
			text[2] = (char)(0x80 | (c >> 6 & 63));
			text[3] = (char)(0x80 | (c & 63));
			size = 4;
		}
		bool scalar = c != 0 && (c < 0xd800 || c > 0xdfff) && c <= 0x10ffff;
		if (jk_text_is_utf8(text, size) != scalar)
			fail_msg("U+%04X", c);
	}
}

static void copies_cut_at_a_character(void **state)
{
	char text[8];
	(void)state;
	assert_false(jk_text_copy(text, 0, "x"));
	assert_true(jk_text_copy(text, sizeof text, "1234567"));
	assert_string_equal(text, "1234567");
	assert_false(jk_text_copy(text, sizeof text, "12345678"));
	assert_string_equal(text, "1234567");
	assert_false(jk_text_copy(text, sizeof text, "123456€"));
	assert_string_equal(text, "123456");
	assert_false(jk_text_copy(text, sizeof text, "12345€x"));
	assert_string_equal(text, "12345");
	assert_false(jk_text_format(text, sizeof text, "%s", "12345€x"));
	assert_string_equal(text, "12345");
	assert_false(jk_text_format(text, sizeof text, "%s", "1234€xyz"));
	assert_string_equal(text, "1234€");
	assert_true(jk_text_format(text, sizeof text, "%d", 1234567));
}

static void refusal_is_cut_with_an_ellipsis(void **state)
{
	struct jk_refusal refusal;
	char field[200] = "", reason[600] = "";
	(void)state;
	for (int i = 0; i < 60; i++)
		memcpy(field + 3 * i, "€", 4);
	memset(reason, 'r', sizeof reason - 1);
	assert_false(jk_refuse(&refusal, JK_CODE_EXPIRED, field, "%s", reason));
	assert_int_equal(refusal.code, JK_CODE_EXPIRED);
	assert_true(strlen(refusal.field) < sizeof refusal.field && strlen(refusal.field) > sizeof refusal.field - 6);
	assert_string_equal(refusal.field + strlen(refusal.field) - 3, "…");
	assert_true(jk_text_is_utf8(refusal.field, strlen(refusal.field)));
	assert_int_equal(strlen(refusal.reason), sizeof refusal.reason - 1);
	assert_string_equal(refusal.reason + strlen(refusal.reason) - 3, "…");
	(void)jk_refuse(&refusal, JK_CODE_ORPHAN, NULL, "plain %d", 7);
	assert_string_equal(refusal.field, "");
	assert_string_equal(refusal.reason, "plain 7");
}

static void hex_refuses_and_round_trips(void **state)
{
	uint8_t bytes[3] = {9, 9, 9};
	char hex[7];
	(void)state;
	assert_false(jk_hex_decode(bytes, 3, "00ff1"));
	assert_false(jk_hex_decode(bytes, 3, "00ff1a0"));
	assert_false(jk_hex_decode(bytes, 3, "00ff1g"));
	assert_false(jk_hex_decode(bytes, 3, ""));
	assert_true(jk_hex_decode(bytes, 3, "00fF1a"));
	jk_hex_encode(hex, bytes, 3);
	assert_string_equal(hex, "00ff1a");
	assert_true(jk_hex_decode(bytes, 0, ""));
}

static void base64url_known_answers(void **state)
{
	static const struct {
		const char *plain, *coded;
	} vectors[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "-__-"}};
	static const char *const bad[] = {"Z", "Zg==", "Zm9v Yg", "Zm+v", "Zm/v", "Zh", "Zm9", "Zm9vYmFyZ", "Zm9v\n"};
	uint8_t bytes[16];
	char text[32];
	size_t size;
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(jk_base64url_decode(bytes, sizeof bytes, &size, bad[i]));
	assert_false(jk_base64url_decode(bytes, 2, &size, "Zm9v"));
	for (size_t i = 0; i < COUNT(vectors); i++) {
		size_t length = strlen(vectors[i].plain);
		assert_int_equal(jk_base64url_encode(text, (const uint8_t *)vectors[i].plain, length), strlen(vectors[i].coded));
		assert_string_equal(text, vectors[i].coded);
		assert_true(jk_base64url_decode(bytes, sizeof bytes, &size, vectors[i].coded));
		assert_int_equal(size, length);
		assert_memory_equal(bytes, vectors[i].plain, length);
	}
}

static void whole_numbers(void **state)
{
	static const char *const bad[] = {"", "-", "+", " 1", "1 ", "1.0", "0x10", "1e3", "9223372036854775808", "--1", "１"};
	int64_t value = 77;
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(jk_text_to_int64(bad[i], INT64_MIN, INT64_MAX, &value));
	assert_false(jk_text_to_int64("11", 0, 10, &value));
	assert_false(jk_text_to_int64("-1", 0, 10, &value));
	assert_int_equal(value, 77);
	assert_true(jk_text_to_int64("-9223372036854775808", INT64_MIN, INT64_MAX, &value));
	assert_true(value == INT64_MIN);
	assert_true(jk_text_to_int64("+007", 0, 10, &value));
	assert_int_equal(value, 7);
}

static void decimal_numbers(void **state)
{
	static const char *const bad[] = {
		"", ".", "-", "nan", "inf", "-infinity", "0x1p3", "1e", "1e+", "1,5", " 1", "1 ", "1e400", "1.2.3"};
	double value = 77;
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(jk_text_to_double(bad[i], &value));
	assert_true(value == 77);
	assert_true(jk_text_to_double("-1.2921", &value) && value == -1.2921);
	assert_true(jk_text_to_double(".5", &value) && value == 0.5);
	assert_true(jk_text_to_double("5.", &value) && value == 5);
	assert_true(jk_text_to_double("+1E-3", &value) && value == 0.001);
	assert_true(jk_text_to_double("1e-400", &value) && value == 0);
}

static void big_endian(void **state)
{
	uint8_t bytes[8];
	(void)state;
	jk_put_be32(bytes, 0x01020304);
	assert_memory_equal(bytes, "\1\2\3\4", 4);
	jk_put_be64(bytes, UINT64_C(0xfffefdfc04030201));
	assert_memory_equal(bytes, "\xff\xfe\xfd\xfc\4\3\2\1", 8);
	assert_true(jk_get_be64(bytes) == UINT64_C(0xfffefdfc04030201));
}

static void buffer_grows(void **state)
{
	struct jk_buffer buffer = {0};
	(void)state;
	jk_buffer_append(&buffer, "", 0);
	assert_string_equal(buffer.data, "");
	for (int i = 0; i < 1000; i++)
		jk_buffer_printf(&buffer, "%03d,", i);
	jk_buffer_append(&buffer, "a\0b", 3);
	assert_false(buffer.failed);
	assert_int_equal(buffer.size, 4003);
	assert_memory_equal(buffer.data + 3996, "999,a\0b", 8);
	jk_buffer_append(&buffer, "x", SIZE_MAX / 2);
	assert_true(buffer.failed);
	jk_buffer_append(&buffer, "y", 1);
	assert_int_equal(buffer.size, 4003);
	jk_buffer_done(&buffer);
	assert_null(buffer.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_refuses),
		cmocka_unit_test(utf8_refuses_nul_anywhere),
		cmocka_unit_test(utf8_takes),
		cmocka_unit_test(utf8_takes_every_scalar_value),
		cmocka_unit_test(copies_cut_at_a_character),
		cmocka_unit_test(refusal_is_cut_with_an_ellipsis),
		cmocka_unit_test(hex_refuses_and_round_trips),
		cmocka_unit_test(base64url_known_answers),
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(decimal_numbers),
		cmocka_unit_test(big_endian),
		cmocka_unit_test(buffer_grows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
