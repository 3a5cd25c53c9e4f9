/* Mapping files and CSV files of our own writing, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "services/cli/csv_map.h"
#include "services/cli/csv_time.h"
#include "wire/wire_body.h"

static struct jk_arena *arena, *other;

static int open_arenas(void **state)
{
	(void)state;
	arena = jk_arena_new(4 * 1024 * 1024);
	other = jk_arena_new(4 * 1024 * 1024);
	return arena != NULL && other != NULL ? 0 : -1;
}

static int close_arenas(void **state)
{
	(void)state;
	jk_arena_free(&arena);
	jk_arena_free(&other);
	return 0;
}

static struct csv_map *map_of(const char *text)
{
	struct jk_refusal refusal;
	struct csv_map *map;

	if (csv_map_read("test.map", text, strlen(text), &map, &refusal) != JK_OK)
		fail_msg("%s: %s", text, refusal.reason);
	return map;
}

/* A CSV text being read with a map. */
struct open_file {
	struct csv_map *map;
	FILE *file;
	struct csv_reader *reader;
};

static enum jk_status open_text(
	struct open_file *ret, const char *map, const char *csv, size_t size, struct jk_refusal *ret_refusal)
{
	ret->map = map_of(map);
	ret->file = tmpfile();
	assert_non_null(ret->file);
	assert_int_equal(fwrite(csv, 1, size, ret->file), size);
	rewind(ret->file);
	return csv_reader_open(ret->map, ret->file, &ret->reader, ret_refusal);
}

static void close_text(struct open_file *file)
{
	csv_reader_close(&file->reader);
	csv_map_close(&file->map);
	fclose(file->file);
}

static const Jukwaa__V1__Incident *next_incident(struct open_file *file, struct csv_report *ret)
{
	struct jk_refusal refusal = {0};
	const Jukwaa__V1__Incident *incident;

	if (csv_reader_next(file->reader, arena, ret, &refusal) != CSV_REPORT)
		fail_msg("row %zu: %s: %s", ret->row, refusal.field, refusal.reason);
	jk_arena_reset(other);
	incident = (const Jukwaa__V1__Incident *)jk_body_unpack(
		&jukwaa__v1__incident__descriptor, ret->bytes, ret->size, other, &refusal);
	assert_non_null(incident);
	return incident;
}

#define ID "identity.external_id column id\n"

static void test_bad_maps(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"", "no line makes identity.external_id of a column"},
		{"identity.external_id constant 1", "no line makes identity.external_id of a column"},
		{ID "identity.nothing column a", "line 2: an incident has no such field"},
		{ID "nothing column a", "line 2: an incident has no such field"},
		{ID "identity column a", "line 2: it cannot be set from a cell"},
		{ID "identity. column a", "no such field"},
		{ID "identity.external_id.x column a", "no such field"},
		{ID "classification.parameters column a", "it cannot be set"},
		{ID "classification.parameters[ column a", "no such field"},
		{ID "place.codes[047] column a", "it cannot be set"},
		{ID "place.codes[UNSPECIFIED] column a", "it cannot be set"},
		{ID "place.text[x] column a", "it cannot be set"},
		{ID "identity.source", "after the field comes"},
		{ID "identity.source column", "after the field comes"},
		{ID "identity.source cell a", "a value is a column"},
		{ID "identity.source column a b", "behind the value may come"},
		{ID "identity.source template {a", "is not closed"},
		{ID "identity.source template {}", "a column has no name"},
		{ID "identity.source constant \"a", "a quote is not closed"},
		{ID "identity.source column a table", "a table has entries"},
		{ID "identity.source column a table b", "FROM=TO"},
		{ID "identity.source column a time rfc3339", "holds no time"},
		{ID "identity.status constant LOUD", "no word that this field takes"},
		{ID "identity.status constant UNSPECIFIED", "no word that this field takes"},
		{ID "identity.status column a table 1=LOUD", "no word that this field takes"},
		{ID "place.point.lat constant north", "no decimal number"},
		{ID "times.sent_us column a", "a time needs its pattern"},
		{ID "times.sent_us column a time yyyy-mm-dd", "a time is written"},
		{ID "times.sent_us column a time rfc3339 zone EAT", "a zone is written"},
		{ID "times.sent_us column a time rfc3339 zone +3", "a zone is written"},
		{ID "times.sent_us column a time rfc3339 zone +03:00 now", "there is more on the line"},
		{ID "identity.source column \xff", "is not UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct jk_refusal refusal = {0};
		struct csv_map *map;

		if (csv_map_read("test.map", rows[i].text, strlen(rows[i].text), &map, &refusal) != JK_BROKEN)
			fail_msg("taken: %s", rows[i].text);
		assert_null(map);
		if (strstr(refusal.reason, rows[i].words) == NULL)
			fail_msg("%s: %s", rows[i].text, refusal.reason);
	}
}

static void test_no_map_file(void **state)
{
	struct jk_refusal refusal;
	struct csv_map *map;

	(void)state;
	assert_int_equal(csv_map_open("/nonexistent.map", &map, &refusal), JK_BROKEN);
	assert_int_equal(csv_map_open("/", &map, &refusal), JK_BROKEN);
}

static const char *const rich_map = "\xef\xbb\xbf# a comment\n\n" ID "\tidentity.revision column rev # the order\r\n"
				    "identity.status constant actual\n"
				    "times.onset_us column \"when it was\" time \"dd mon yyyy, HH:MM:SS zone\"\n"
				    "narrative.texts.headline column title\n"
				    "narrative.texts.headline template \"No title: {id}, \"\"{city}\"\"\"\n"
				    "narrative.texts.headline constant \"Nothing known\"\n"
				    "narrative.texts.description template \"{title}{city}\"\n"
				    "classification.categories constant FIRE\n"
				    "classification.categories column city table Nairobi=SECURITY Kisumu=\n"
				    "classification.severity column level table \"very high\"=EXTREME \"\"=UNKNOWN *=MINOR\n"
				    "place.codes[COUNTY] column city table Nairobi=047 Kisumu=042 *=\n"
				    "place.codes[NAME] column city\n"
				    "place.accuracy_m column accuracy\n"
				    "place.point.lat column lat\nplace.point.lon column lon\n"
				    "reporter.phone column phone\n"
				    "classification.parameters[Level] column level\n";

#define RICH_HEADER "\xef\xbb\xbfid,rev,\"when it was\",title, city ,level,accuracy,lat,lon,phone,\"not,used\"\r\n"

static void test_values(void **state)
{
	static const char csv[] = RICH_HEADER "a1,7,\"24 Jan 2020, 09:01:05 +11:00\",\"Fire, \"\"big\"\"\nsecond "
					      "line\",Nairobi,very high,12.5,-1.28,36.82,+254700,x\r\n"
					      "\r\n"
					      " a2 ,-8,,,Kisumu,,,,,,\n"
					      "a3,,,,,high,,,,,";
	struct jk_refusal refusal = {0};
	struct open_file file;
	struct csv_report report;
	const Jukwaa__V1__Incident *incident;
	char time[JK_TIME_BYTES];

	(void)state;
	assert_int_equal(open_text(&file, rich_map, csv, sizeof csv - 1, &refusal), JK_OK);
	incident = next_incident(&file, &report);
	assert_string_equal(report.external_id, "a1");
	assert_int_equal(report.row, 2);
	assert_int_equal(report.revision, 7);
	assert_int_equal(incident->identity->status, JK_CAP_STATUS_ACTUAL);
	jk_time_format(time, incident->times->onset_us);
	assert_string_equal(time, "2020-01-23T22:01:05Z");
	assert_string_equal(incident->narrative->texts[0]->headline, "Fire, \"big\"\nsecond line");
	assert_int_equal(incident->narrative->n_texts, 1);
	assert_int_equal(incident->classification->n_categories, 2);
	assert_int_equal(incident->classification->categories[1], JUKWAA__V1__CATEGORY__CATEGORY_SECURITY);
	assert_int_equal(incident->classification->severity, JK_SEVERITY_EXTREME);
	assert_int_equal(incident->place->n_codes, 2);
	assert_int_equal(incident->place->codes[0]->scheme, JK_PLACE_COUNTY);
	assert_string_equal(incident->place->codes[0]->code, "047");
	assert_string_equal(incident->place->codes[1]->code, "Nairobi");
	assert_true(incident->place->accuracy_m == 12.5 && incident->place->point->lon == 36.82);
	assert_string_equal(incident->reporter->phone, "+254700");
	assert_string_equal(incident->classification->parameters[0]->name, "Level");

	incident = next_incident(&file, &report);
	assert_string_equal(report.external_id, "a2");
	assert_int_equal(report.row, 4); /* the empty line counts, as in a spreadsheet */
	assert_int_equal(report.revision, -8);
	assert_null(incident->times);
	assert_null(incident->reporter);
	assert_string_equal(incident->narrative->texts[0]->headline, "No title: a2, \"Kisumu\"");
	assert_string_equal(incident->narrative->texts[0]->description, "Kisumu");
	assert_int_equal(incident->classification->n_categories, 1);
	assert_int_equal(incident->classification->severity, JK_SEVERITY_UNKNOWN);
	assert_int_equal(incident->place->point_present_case, 0);

	incident = next_incident(&file, &report);
	assert_int_equal(incident->classification->severity, JK_SEVERITY_MINOR);
	assert_null(incident->place);
	assert_string_equal(incident->narrative->texts[0]->headline, "No title: a3, \"\"");
	assert_string_equal(incident->narrative->texts[0]->description, "");
	assert_int_equal(csv_reader_next(file.reader, arena, &report, &refusal), CSV_END);
	assert_int_equal(csv_reader_next(file.reader, arena, &report, &refusal), CSV_END);
	close_text(&file);
}

static const char *const small_map = ID "times.onset_us column t time \"dd/mm/yyyy HH:MM\" zone +03:00\n"
					"times.sent_us column u time rfc3339\n"
					"classification.severity column s table 1=MINOR\n"
					"place.point.lat column lat\nplace.point.lon column lon\nidentity.revision column r\n";
#define SMALL_HEADER "id,t,u,s,lat,lon,r\n"

/* Each bad row lies between two good ones, which must come through. */
static void test_bad_rows(void **state)
{
	static const struct {
		const char *row;
		enum jk_code code;
		const char *field;
	} rows[] = {
		{"b,,,,,", JK_CODE_NOT_WELL_FORMED, ""},
		{"b,,,,,,,", JK_CODE_NOT_WELL_FORMED, ""},
		{"b,\"x\"y,,,,,", JK_CODE_NOT_WELL_FORMED, ""},
		{"b,x\"y,,,,,", JK_CODE_NOT_WELL_FORMED, ""},
		{"b,\xc3,,,,,", JK_CODE_NOT_WELL_FORMED, "t"},
		{",,,,,,", JK_CODE_INVALID_SCHEMA, "id"},
		{"  ,,,,,,", JK_CODE_INVALID_SCHEMA, "id"},
		{"b,2020-01-01,,,,,", JK_CODE_INVALID_SCHEMA, "t"},
		{"b,31/02/2020 10:00,,,,,", JK_CODE_INVALID_SCHEMA, "t"},
		{"b,01/13/2020 10:00,,,,,", JK_CODE_INVALID_SCHEMA, "t"},
		{"b,01/12/2020 25:00,,,,,", JK_CODE_INVALID_SCHEMA, "t"},
		{"b,01/12/2020 10:00 PM,,,,,", JK_CODE_INVALID_SCHEMA, "t"},
		{"b,01/12/20 10:00,,,,,", JK_CODE_INVALID_SCHEMA, "t"},
		{"b,,2020-01-01T10:00:00,,,,", JK_CODE_INVALID_SCHEMA, "u"}, /* without zone */
		{"b,,2020-01-01 ,,,,", JK_CODE_INVALID_SCHEMA, "u"},
		{"b,,,2,,,", JK_CODE_INVALID_SCHEMA, "s"},
		{"b,,,,1,,", JK_CODE_INVALID_SCHEMA, "lon"},
		{"b,,,,,1,", JK_CODE_INVALID_SCHEMA, "lat"},
		{"b,,,,x,1,", JK_CODE_INVALID_SCHEMA, "lat"},
		{"b,,,,nan,1,", JK_CODE_INVALID_SCHEMA, "lat"},
		{"b,,,,\"1,5\",1,", JK_CODE_INVALID_SCHEMA, "lat"},
		{"b,,,,,,1.5", JK_CODE_INVALID_SCHEMA, "r"},
		{"b,,,,,,99999999999999999999", JK_CODE_INVALID_SCHEMA, "r"},
	};
	char csv[1024];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct jk_refusal refusal = {0};
		struct open_file file;
		struct csv_report report;

		snprintf(csv, sizeof csv, SMALL_HEADER "a,01/12/2020 10:00,2020-01-01T10:00:00Z,1,1,2,3\n%s\nc,,,,,,\n",
			rows[i].row);
		assert_int_equal(open_text(&file, small_map, csv, strlen(csv), &refusal), JK_OK);
		next_incident(&file, &report);
		if (csv_reader_next(file.reader, arena, &report, &refusal) != CSV_REFUSED)
			fail_msg("taken: %s", rows[i].row);
		assert_int_equal(report.row, 3);
		assert_null(report.bytes);
		if (refusal.code != rows[i].code || strcmp(refusal.field, rows[i].field) != 0)
			fail_msg("%s: %s at %s: %s", rows[i].row, jk_words_name(&jk_codes, (int)refusal.code), refusal.field,
				refusal.reason);
		next_incident(&file, &report);
		assert_string_equal(report.external_id, "c");
		assert_int_equal(csv_reader_next(file.reader, arena, &report, &refusal), CSV_END);
		close_text(&file);
	}
}

static void test_bad_headers(void **state)
{
	static const struct {
		const char *csv;
		enum jk_code code;
		const char *words;
	} rows[] = {
		{"", JK_CODE_NOT_WELL_FORMED, "empty"},
		{"\n\n", JK_CODE_NOT_WELL_FORMED, "empty"},
		{"\xef\xbb\xbf", JK_CODE_NOT_WELL_FORMED, "empty"},
		{"\xef\xbb", JK_CODE_NOT_WELL_FORMED, "UTF-8"},
		{"id,\"t", JK_CODE_NOT_WELL_FORMED, "within quotes"},
		{"id;t;u;s;lat;lon;r\n", JK_CODE_INVALID_SCHEMA, "missing columns: id, t, u, s, lat, lon, r"},
		{"id,u,s,lat,r\n", JK_CODE_INVALID_SCHEMA, "missing columns: t, lon"},
		{"ID,t,u,s,lat,lon,r\n", JK_CODE_INVALID_SCHEMA, "missing columns: id"},
		{"id,t,u,s,lat,lon,r,t\n", JK_CODE_INVALID_SCHEMA, "two columns t"},
		{"id,\xff\n", JK_CODE_NOT_WELL_FORMED, "UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct jk_refusal refusal = {0};
		struct open_file file;

		assert_int_equal(open_text(&file, small_map, rows[i].csv, strlen(rows[i].csv), &refusal), JK_BROKEN);
		assert_null(file.reader);
		assert_string_equal(refusal.field, "header");
		if (refusal.code != rows[i].code || strstr(refusal.reason, rows[i].words) == NULL)
			fail_msg("%s: %s", rows[i].csv, refusal.reason);
		close_text(&file);
	}
}

static void test_nul_and_long_rows(void **state)
{
	size_t header = strlen(SMALL_HEADER), size = header, most = 3 * 1024 * 1024;
	char *csv = malloc(most);
	struct jk_refusal refusal = {0};
	struct open_file file;
	struct csv_report report;

	(void)state;
	assert_non_null(csv);
	memcpy(csv, SMALL_HEADER, header);
	memcpy(csv + size, "a\0b,,,,,,\n\"", 11);
	size += 11;
	memset(csv + size, ',', 2 * 1024 * 1024); /* a row of 2 MiB within quotes */
	size += 2 * 1024 * 1024;
	memcpy(csv + size, "\",,,,,,\nc,,,,,,\n\"d,", 19);
	size += 19;
	assert_int_equal(open_text(&file, small_map, csv, size, &refusal), JK_OK);
	assert_int_equal(csv_reader_next(file.reader, arena, &report, &refusal), CSV_REFUSED);
	assert_int_equal(refusal.code, JK_CODE_NOT_WELL_FORMED);
	assert_int_equal(csv_reader_next(file.reader, arena, &report, &refusal), CSV_REFUSED);
	assert_int_equal(refusal.code, JK_CODE_OVERSIZE);
	assert_int_equal(report.row, 3);
	next_incident(&file, &report);
	assert_string_equal(report.external_id, "c");
	assert_int_equal(csv_reader_next(file.reader, arena, &report, &refusal), CSV_REFUSED); /* the quote is not closed */
	assert_int_equal(refusal.code, JK_CODE_NOT_WELL_FORMED);
	assert_int_equal(csv_reader_next(file.reader, arena, &report, &refusal), CSV_END);
	close_text(&file);
	free(csv);
}

/* The case: the map gives no zone and the file none either. */
static void test_no_zone(void **state)
{
	static const char map[] = ID "times.onset_us column t time \"dd/mm/yyyy HH:MM\"\n";
	static const char csv[] = "id,t\n1,06/06/2018 20:39\n";
	struct jk_refusal refusal = {0};
	struct open_file file;
	struct csv_report report;

	(void)state;
	assert_int_equal(open_text(&file, map, csv, sizeof csv - 1, &refusal), JK_OK);
	assert_int_equal(csv_reader_next(file.reader, arena, &report, &refusal), CSV_REFUSED);
	assert_int_equal(refusal.code, JK_CODE_INVALID_SCHEMA);
	assert_string_equal(refusal.field, "t");
	assert_non_null(strstr(refusal.reason, "without zone"));
	assert_string_equal(report.external_id, "1");
	close_text(&file);
}

static void test_times(void **state)
{
	static const int east = 3 * 3600;
	static const struct {
		const char *pattern, *text;
		const int *zone_s;
		enum csv_time verdict;
		const char *utc;
	} rows[] = {
		{"rfc3339", "2020-01-24T12:20:09+11:00", NULL, CSV_TIME_READ, "2020-01-24T01:20:09Z"},
		{"rfc3339", "2020-01-24T12:20:09+11:00", &east, CSV_TIME_READ, "2020-01-24T01:20:09Z"},
		{"rfc3339", "2020-01-24T12:20:09", &east, CSV_TIME_READ, "2020-01-24T09:20:09Z"},
		{"rfc3339", "2020-01-24T12:20:09", NULL, CSV_TIME_WITHOUT_ZONE, NULL},
		{"rfc3339", "2020-01-24", &east, CSV_TIME_BAD, NULL},
		{"rfc3339", "", &east, CSV_TIME_BAD, NULL},
		{"dd/mm/yyyy HH:MM", "6/6/2018 0:39", &east, CSV_TIME_READ, "2018-06-05T21:39:00Z"},
		{"dd/mm/yyyy HH:MM", "06/06/2018 20:39", NULL, CSV_TIME_WITHOUT_ZONE, NULL},
		{"dd/mm/yyyy HH:MM", "31/06/2018 20:39", &east, CSV_TIME_BAD, NULL},
		{"dd/mm/yyyy HH:MM", "06/06/2018 20:39:00", &east, CSV_TIME_BAD, NULL},
		{"yyyymmddHHMMSS", "20180606203959", &east, CSV_TIME_READ, "2018-06-06T17:39:59Z"},
		{"yyyy-mm-dd HH:MM zone", "2018-06-06 20:39 -0130", NULL, CSV_TIME_READ, "2018-06-06T22:09:00Z"},
		{"yyyy-mm-dd HH:MM zone", "2018-06-06 20:39", &east, CSV_TIME_BAD, NULL},
		{"dd mon yyyy HH:MMzone", "1 dec 2018 20:39Z", NULL, CSV_TIME_READ, "2018-12-01T20:39:00Z"},
		{"dd mon yyyy HH:MM", "1 foo 2018 20:39", &east, CSV_TIME_BAD, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char utc[JK_TIME_BYTES];
		int64_t time_us = 0;
		enum csv_time verdict = csv_time_parse(rows[i].pattern, rows[i].zone_s, rows[i].text, &time_us);

		if (verdict != rows[i].verdict)
			fail_msg("%s as %s: %d", rows[i].text, rows[i].pattern, (int)verdict);
		jk_time_format(utc, time_us);
		if (rows[i].utc != NULL)
			assert_string_equal(utc, rows[i].utc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_maps),
		cmocka_unit_test(test_no_map_file),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_bad_rows),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_nul_and_long_rows),
		cmocka_unit_test(test_no_zone),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, open_arenas, close_arenas);
}
