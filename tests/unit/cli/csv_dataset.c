/* The two real CSV files of the data set through their maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_time.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "services/cli/csv_map.h"
#include "wire/wire_body.h"

static const char *test_data(void)
{
	const char *path = getenv("JUKWAA_TEST_DATA");

	return path != NULL && path[0] != '\0' ? path : TEST_DATA_DEFAULT;
}

struct seen {
	char ids[24000][16];
	size_t count;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static size_t count_distinct(struct seen *seen)
{
	size_t distinct = 0;

	qsort(seen->ids, seen->count, sizeof seen->ids[0], by_text);
	for (size_t i = 0; i < seen->count; i++)
		distinct += i == 0 || strcmp(seen->ids[i], seen->ids[i - 1]) != 0;
	return distinct;
}

typedef void check_report(const Jukwaa__V1__Incident *incident, const struct csv_report *report);

/* Every row becomes a report that can be read again. Returns the rows. */
static size_t read_all(const char *map_name, const char *file_name, check_report *check, size_t *ret_distinct)
{
	char map_path[4096], path[4096];
	struct seen *seen = calloc(1, sizeof *seen);
	struct jk_arena *arena = jk_arena_new(1024 * 1024), *other = jk_arena_new(1024 * 1024);
	struct jk_refusal refusal = {0};
	struct csv_map *map;
	struct csv_reader *reader = NULL;
	struct csv_report report;
	enum csv_next next;
	size_t rows;
	FILE *file;

	snprintf(map_path, sizeof map_path, "%s/%s", TEST_MAPS, map_name);
	snprintf(path, sizeof path, "%s/incidents/%s", test_data(), file_name);
	file = fopen(path, "rb");
	assert_non_null(file);
	if (csv_map_open(map_path, &map, &refusal) != JK_OK || csv_reader_open(map, file, &reader, &refusal) != JK_OK)
		fail_msg("%s: %s", refusal.field, refusal.reason);
	while ((next = csv_reader_next(reader, arena, &report, &refusal)) != CSV_END) {
		Jukwaa__V1__Incident *incident;

		if (next != CSV_REPORT)
			fail_msg("row %zu, %s: %s", report.row, refusal.field, refusal.reason);
		assert_true(seen->count < 24000);
		assert_int_equal(report.row, seen->count + 2);
		snprintf(seen->ids[seen->count++], sizeof seen->ids[0], "%s", report.external_id);
		jk_arena_reset(other);
		incident = (Jukwaa__V1__Incident *)jk_body_unpack(
			&jukwaa__v1__incident__descriptor, report.bytes, report.size, other, &refusal);
		assert_non_null(incident);
		check(incident, &report);
	}
	rows = seen->count;
	*ret_distinct = count_distinct(seen);
	csv_reader_close(&reader);
	csv_map_close(&map);
	fclose(file);
	jk_arena_free(&arena);
	jk_arena_free(&other);
	free(seen);
	return rows;
}

static size_t severe;

static void check_crash(const Jukwaa__V1__Incident *incident, const struct csv_report *report)
{
	char time[JK_TIME_BYTES];

	assert_string_equal(incident->identity->external_id, report->external_id);
	assert_int_equal(report->revision, 0);
	assert_int_equal(incident->classification->categories[0], JUKWAA__V1__CATEGORY__CATEGORY_TRANSPORT);
	assert_int_equal(incident->handling->tlp, JUKWAA__V1__TLP__TLP_CLEAR);
	assert_int_equal(incident->handling->scope, JUKWAA__V1__SCOPE__SCOPE_PUBLIC);
	assert_int_equal(incident->place->point_present_case, JUKWAA__V1__PLACE__POINT_PRESENT_POINT);
	assert_int_equal(incident->times->onset_us, incident->times->sent_us);
	severe += incident->classification->severity == JUKWAA__V1__SEVERITY__SEVERITY_SEVERE;
	if (strcmp(report->external_id, "2") != 0)
		return;
	jk_time_format(time, incident->times->onset_us); /* 17/08/2018 06:15 in Nairobi */
	assert_string_equal(time, "2018-08-17T03:15:00Z");
	assert_true(incident->place->point->lat == -0.829710012 && incident->place->point->lon == 37.03782);
	assert_int_equal(incident->classification->severity, JUKWAA__V1__SEVERITY__SEVERITY_SEVERE);
	assert_string_equal(
		incident->narrative->texts[0]->description, "Crash of 17/08/2018 06:15, reported 1 times by road users.");
	assert_int_equal(incident->classification->n_parameters, 4);
	assert_string_equal(incident->classification->parameters[1]->name, "pedestrian");
}

static void test_ma3route(void **state)
{
	size_t distinct;

	(void)state;
	assert_int_equal(read_all("ma3route.map", "kenya_ma3route_crashes_2012_2023.csv", check_crash, &distinct), 20710);
	assert_int_equal(distinct, 20710);
	assert_int_equal(severe, 1511);
}

static size_t extreme;

static void check_fire(const Jukwaa__V1__Incident *incident, const struct csv_report *report)
{
	assert_int_equal(report->revision, incident->times->sent_us / 1000);
	assert_int_equal(incident->identity->revision, report->revision);
	assert_int_not_equal(incident->identity->sender_name[0], '\0');
	assert_string_equal(incident->identity->agency, "");
	assert_int_not_equal(incident->narrative->texts[0]->headline[0], '\0');
	extreme += incident->classification->severity == JUKWAA__V1__SEVERITY__SEVERITY_EXTREME;
	if (report->row != 3)
		return;
	assert_string_equal(report->external_id, "373374");
	assert_int_equal(report->revision, INT64_C(1579828809000)); /* 2020-01-24T12:20:09+11:00 */
	assert_string_equal(incident->narrative->texts[0]->headline, "Big Jack Mountain Rd, Rocky Hall");
	assert_string_equal(incident->identity->sender_name, "Rural Fire Service");
	assert_string_equal(incident->place->text[0], "Big Jack Mountain Rd, Rocky Hall, NSW 2550");
}

static void test_nsw(void **state)
{
	size_t distinct;

	(void)state;
	assert_int_equal(read_all("nsw-rfs.map", "nsw_rfs_incident_updates_2019_2020.csv", check_fire, &distinct), 3521);
	assert_int_equal(distinct, 1708);
	assert_int_equal(extreme, 16);
}

/* A real file with the other's map: all missing columns are named, and no row is read. */
static void test_wrong_file(void **state)
{
	struct jk_refusal refusal;
	struct csv_reader *reader = NULL;
	struct csv_map *map;
	char path[4096];
	FILE *file;

	(void)state;
	snprintf(path, sizeof path, "%s/incidents/nsw_rfs_incident_updates_2019_2020.csv", test_data());
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(csv_map_open(TEST_MAPS "/ma3route.map", &map, &refusal), JK_OK);
	assert_int_equal(csv_reader_open(map, file, &reader, &refusal), JK_BROKEN);
	assert_int_equal(refusal.code, JK_CODE_INVALID_SCHEMA);
	assert_string_equal(refusal.field, "header");
	assert_non_null(strstr(refusal.reason, "crash_id"));
	assert_non_null(strstr(refusal.reason, "longitude"));
	csv_map_close(&map);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ma3route),
		cmocka_unit_test(test_nsw),
		cmocka_unit_test(test_wrong_file),
	};
	char path[4096];
	FILE *file;

	snprintf(path, sizeof path, "%s/incidents/nsw_rfs_incident_updates_2019_2020.csv", test_data());
	file = fopen(path, "rb");
	if (file == NULL) {
		printf("skipped: no data set at %s (JUKWAA_TEST_DATA)\n", test_data());
		return 77;
	}
	fclose(file);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
