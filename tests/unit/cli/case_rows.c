/* Rows of CSV and features of GeoJSON: quoting, formulas, what is withheld. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/cli/case_rows.h"

static void fields(void **state)
{
	static const struct {
		const char *text, *field;
	} rows[] = {
		{"", ""},
		{"Two vehicles", "Two vehicles"},
		{"a,b", "\"a,b\""},
		{"say \"hi\"", "\"say \"\"hi\"\"\""},
		{"two\nlines", "\"two\nlines\""},
		{"two\r\nlines", "\"two\r\nlines\""},
		{"\"", "\"\"\"\""},
		{"=1+1", "\"'=1+1\""},
		{"+254700000000", "\"'+254700000000\""},
		{"-2", "\"'-2\""},
		{"@SUM(A1)", "\"'@SUM(A1)\""},
		{"\t=1", "\"'\t=1\""},
		{"\r=1", "\"'\r=1\""},
		{"=\"a\",b", "\"'=\"\"a\"\",b\""},
		{"a=1", "a=1"},
		{"Murang'a", "Murang'a"},
		{"\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct jk_buffer out = {0};

		case_rows_write_field(&out, rows[i].text);
		assert_string_equal(out.data ? out.data : "", rows[i].field);
		jk_buffer_done(&out);
	}
}

static Jukwaa__V1__CaseSummary make(void)
{
	static uint8_t id[16] = {1, 2, 3};
	static char headline[] = "=cmd|' /C calc'!A0";
	Jukwaa__V1__CaseSummary summary = JUKWAA__V1__CASE_SUMMARY__INIT;

	summary.case_id = (ProtobufCBinaryData){.data = id, .len = sizeof id};
	summary.state = JUKWAA__V1__CASE_STATE__CASE_STATE_NEW;
	summary.opened_at_us = INT64_C(1764230400000000);
	summary.headline = headline;
	return summary;
}

static void a_row_has_a_field_for_each_name(void **state)
{
	Jukwaa__V1__CaseSummary summary = make();
	struct jk_buffer head = {0}, row = {0};
	size_t names = 1, values = 1;
	(void)state;

	case_rows_write_head(&head);
	case_rows_write_row(&row, &summary);
	for (size_t i = 0; i < head.size; i++)
		names += head.data[i] == ',';
	for (size_t i = 0; i < row.size; i++)
		values += row.data[i] == ',';
	assert_int_equal(names, values);
	assert_string_equal(head.data + head.size - 2, "\r\n");
	assert_string_equal(row.data + row.size - 2, "\r\n");
	assert_non_null(strstr(row.data, "\"'=cmd|"));
	assert_null(strstr(row.data, "UNSPECIFIED")); /* what is withheld is empty */
	assert_null(strstr(row.data, "1970"));
	jk_buffer_done(&head);
	jk_buffer_done(&row);
}

static void a_feature_has_lon_before_lat_and_null_where_nothing_is_told(void **state)
{
	Jukwaa__V1__CaseSummary summary = make();
	Jukwaa__V1__Point point = JUKWAA__V1__POINT__INIT;
	struct jk_buffer out = {0};
	(void)state;

	case_rows_write_feature(&out, &summary, true);
	assert_non_null(strstr(out.data, "\"geometry\":null"));
	assert_non_null(strstr(out.data, "\"agency\":null"));
	assert_int_not_equal(out.data[0], ',');
	point.lat = -1.28;
	point.lon = 36.82;
	summary.position = &point;
	summary.position_present_case = JUKWAA__V1__CASE_SUMMARY__POSITION_PRESENT_POSITION;
	case_rows_write_feature(&out, &summary, false);
	assert_non_null(strstr(out.data, "[36.8200000,-1.2800000]"));
	assert_non_null(strstr(out.data, "}},\n{"));
	jk_buffer_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),
		cmocka_unit_test(a_row_has_a_field_for_each_name),
		cmocka_unit_test(a_feature_has_lon_before_lat_and_null_where_nothing_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
