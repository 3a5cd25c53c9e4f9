/* Likely duplicates: a second report against what is usual around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cases_similar_rules.h"

#define MINUTE_US INT64_C(60000000)
#define METRE (1 / 111195.0)
static const int64_t noon_us = INT64_C(1764230400000000);
enum { TRANSPORT = 1 << 9, RESCUE = 1 << 5, MET = 1 << 2 };
static const double hours = 28 * 24;

static struct cases_case make(uint8_t number, double north_m, int minutes, uint16_t categories, const char *agency)
{
	struct cases_case made = {
		.case_id = {{1, [15] = number}},
		.version = 1,
		.counties = UINT64_C(1) << 47,
		.labels = {.categories = categories, .status = 1},
		.opened_at_us = noon_us + minutes * MINUTE_US,
		.place = {.located = true, .lat = -1.28 + north_m * METRE, .lon = 36.82, .constituency = "290"},
	};
	made.place.occurred_at_us = made.opened_at_us;
	memcpy(made.labels.agency, agency, strlen(agency) + 1);
	return made;
}

static int score_of(const struct cases_case *others, size_t count, size_t at)
{
	struct cases_case asked = make(0, 0, 0, TRANSPORT, "KPS");
	struct cases_similar found[CASES_SIMILAR_MAX];
	size_t found_count = cases_similar_rank(&asked, others, count, hours, found, CASES_SIMILAR_MAX);

	for (size_t i = 0; i < found_count; i++)
		if (found[i].at == at)
			return found[i].score;
	return 0;
}

static int score(double north_m, int minutes, uint16_t categories, const char *agency)
{
	struct cases_case other = make(1, north_m, minutes, categories, agency);

	return score_of(&other, 1, 0);
}

static void a_table_of_pairs_alone_in_the_world(void **state)
{
	static const struct {
		double north_m;
		int minutes;
		uint16_t categories;
		const char *agency;
		int low, high;
	} rows[] = {
		{0, 0, TRANSPORT, "KRCS", 98, 100},    /* the same place and minute */
		{150, 10, TRANSPORT, "KRCS", 95, 100}, /* an error of a receiver */
		{150, 10, RESCUE, "KRCS", 90, 100},    /* another agency's word for it */
		{150, 10, MET, "KRCS", 70, 100},       /* rain is no crash */
		{800, 10, TRANSPORT, "KRCS", 60, 95},  /* a landmark */
		{1900, 10, TRANSPORT, "KRCS", 0, 50},  /* another junction */
		{150, 340, TRANSPORT, "KRCS", 1, 80},  /* hours later, where hardly anything happens */
		{150, -10, TRANSPORT, "KRCS", 95, 100},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_in_range(
			score(rows[i].north_m, rows[i].minutes, rows[i].categories, rows[i].agency), rows[i].low, rows[i].high);
}

static void what_is_out_of_reach_is_none(void **state)
{
	(void)state;
	assert_int_equal(score(2100, 0, TRANSPORT, "KRCS"), 0);
	assert_int_equal(score(0, 361, TRANSPORT, "KRCS"), 0);
	assert_int_equal(score(0, -361, TRANSPORT, "KRCS"), 0);
}

static void each_doubt_lowers_the_score(void **state)
{
	(void)state;
	for (int minutes = 1; minutes < 300; minutes += 20)
		assert_true(score(200, minutes, TRANSPORT, "KRCS") >= score(200, minutes + 20, TRANSPORT, "KRCS"));
	for (int metres = 0; metres < 1900; metres += 100)
		assert_true(score(metres, 15, TRANSPORT, "KRCS") >= score(metres + 100, 15, TRANSPORT, "KRCS"));
	assert_true(score(500, 30, TRANSPORT, "KRCS") > score(500, 30, RESCUE, "KRCS"));
	assert_true(score(500, 30, RESCUE, "KRCS") > score(500, 30, MET, "KRCS"));
	assert_true(score(500, 30, TRANSPORT, "KRCS") > score(500, 30, TRANSPORT, "KPS"));
}

/* A junction with 201 crashes: being there says little, and time decides. */
static void where_much_happens_the_same_place_is_weak_evidence(void **state)
{
	struct cases_case others[202];
	int before, soon;
	(void)state;

	others[0] = make(1, 0, 90, TRANSPORT, "KRCS");
	before = score_of(others, 1, 0);
	for (int i = 1; i <= 201; i++)
		others[i] = make((uint8_t)(i + 1), 0, (i % 2 ? -1 : 1) * (150 + 90 * i), TRANSPORT, "KRCS");
	assert_true(before >= CASES_SIMILAR_LIKELY);
	assert_true(score_of(others, 202, 0) < CASES_SIMILAR_LIKELY);
	others[0] = make(1, 0, 4, TRANSPORT, "KRCS");
	soon = score_of(others, 202, 0);
	assert_true(soon >= CASES_SIMILAR_LIKELY);
}

static void without_positions_it_stays_a_guess(void **state)
{
	struct cases_case other = make(1, 0, 1, TRANSPORT, "KRCS");
	(void)state;

	other.place.located = false;
	other.place.lat = other.place.lon = 0;
	assert_in_range(score_of(&other, 1, 0), 1, CASES_SIMILAR_COARSE_MAX);
	memcpy(other.place.constituency, "274", 4);
	assert_int_equal(score_of(&other, 1, 0), 0);
	other.place.constituency[0] = '\0'; /* the county is the same */
	assert_in_range(score_of(&other, 1, 0), 1, CASES_SIMILAR_COARSE_MAX);
	other.counties = 2;
	assert_int_equal(score_of(&other, 1, 0), 0);
	other.counties = 0;
	assert_int_equal(score_of(&other, 1, 0), 0);
}

static void the_likeliest_come_first_and_no_more_than_asked_for(void **state)
{
	struct cases_case asked = make(0, 0, 0, TRANSPORT, "KPS"), others[20];
	struct cases_similar found[5];
	(void)state;

	for (int i = 0; i < 20; i++)
		others[i] = make((uint8_t)(i + 1), 50 * ((i * 7) % 20), 3, TRANSPORT, "KRCS");
	others[11] = asked; /* the case itself is never like itself */
	assert_int_equal(cases_similar_rank(&asked, others, 20, hours, found, 5), 5);
	assert_int_equal(found[0].at, 0);
	for (size_t i = 1; i < 5; i++) {
		assert_true(found[i - 1].score >= found[i].score);
		assert_int_not_equal(found[i].at, 11);
	}
	assert_int_equal(cases_similar_rank(&asked, others, 0, hours, found, 5), 0);
}

static void distances(void **state)
{
	const struct cases_place nairobi = {.located = true, .lat = -1.28, .lon = 36.82},
				 east = {.located = true, .lat = -1.28, .lon = 36.83};
	double squared = cases_similar_squared_m2(&nairobi, &east);
	(void)state;

	assert_true(squared > 1111.0 * 1111.0 && squared < 1113.0 * 1113.0);
	assert_true(cases_similar_squared_m2(&nairobi, &nairobi) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_of_pairs_alone_in_the_world),
		cmocka_unit_test(what_is_out_of_reach_is_none),
		cmocka_unit_test(each_doubt_lowers_the_score),
		cmocka_unit_test(where_much_happens_the_same_place_is_weak_evidence),
		cmocka_unit_test(without_positions_it_stays_a_guess),
		cmocka_unit_test(the_likeliest_come_first_and_no_more_than_asked_for),
		cmocka_unit_test(distances),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
