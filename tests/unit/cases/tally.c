/* Figures: counted by hand over random cases, with decisions by label and age. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases_tally.h"

enum { COUNT = 9000 }; /* the tables by hash grow on the way */
static const int64_t day_us = INT64_C(86400000000), now_us = INT64_C(1764230400000000);
static struct cases_case rows[COUNT];
static uint32_t seed;
static size_t decisions;

static uint32_t chance(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static struct cases_case make(size_t number)
{
	static const char *const agencies[] = {"KPS", "NTSA", "KRCS"};
	struct cases_case made = {
		.case_id = {{(uint8_t)number, (uint8_t)(number >> 8), 7}},
		.version = 1,
		.state = (enum cases_state)(1 + chance(10)),
		.counties = UINT64_C(1) << (1 + chance(5)),
		.labels = {.categories = (uint16_t)(2 << chance(3)),
			.severity = (int)(1 + chance(4)),
			.status = chance(9) ? 1 : 4,
			.scope = 1,
			.tlp = (int)(1 + chance(4))},
		.opened_at_us = now_us - (int64_t)chance(20 * 86400) * 1000000 - 1,
	};
	int64_t *steps[] = {
		&made.steps.accepted_at_us, &made.steps.dispatched_at_us, &made.steps.on_scene_at_us, &made.steps.resolved_at_us};
	int64_t at_us = made.opened_at_us;

	if (chance(4) == 0)
		made.counties |= UINT64_C(1) << (1 + chance(5));
	if (chance(30) == 0)
		made.counties = 0;
	made.event_at_us = chance(20) ? made.opened_at_us : 0;
	memcpy(made.labels.agency, agencies[number % 3], strlen(agencies[number % 3]) + 1);
	for (size_t i = 0; i < 4; i++) {
		at_us += (int64_t)chance(3600000) * 1000;
		*steps[i] = chance(4) ? at_us : 0;
	}
	return made;
}

/* GREEN and below of KPS and NTSA; AMBER for three days; nothing of county 3 alone; places of KRCS are not told, nor
 * is whose the gravest are, nor what was done about one category. */
static struct cases_verdict decide(void *arg, const struct cases_case *like)
{
	struct cases_verdict verdict = {0};
	(void)arg;

	decisions++;
	if (like->counties == 1 << 3)
		return verdict;
	if (like->labels.tlp == 3)
		verdict.allowed = like->event_at_us > 0 && (now_us - like->event_at_us - 1) / day_us < 3;
	else
		verdict.allowed = like->labels.tlp < 3;
	if (strcmp(like->labels.agency, "KRCS") == 0)
		verdict.withheld = 1 << JK_GROUP_PLACE;
	if (like->labels.severity == 4)
		verdict.withheld |= 1 << JK_GROUP_IDENTITY;
	if (like->labels.categories == 1 << 2)
		verdict.withheld |= 1 << JK_GROUP_WORK;
	return verdict;
}

static int compare(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static void check_span(const struct cases_span_figure *figure, int64_t *values, size_t count)
{
	assert_int_equal(figure->count, count);
	qsort(values, count, sizeof *values, compare);
	assert_int_equal(figure->p50_ms, count ? values[(count * 50 + 99) / 100 - 1] / 10000 * 10 : 0);
	assert_int_equal(figure->p90_ms, count ? values[(count * 90 + 99) / 100 - 1] / 10000 * 10 : 0);
}

/* The figure of a county (0: told nowhere; -1: all) and agency (NULL: all), by going through all rows. */
static void check(const struct cases_figure *figure, int county, const char *agency, const struct cases_tally_question *question)
{
	static int64_t values[CASES_SPANS][COUNT];
	size_t counts[CASES_SPANS] = {0}, count = 0, open[CASES_AGES] = {0};

	for (size_t i = 0; i < COUNT; i++) {
		const struct cases_case *row = &rows[i];
		struct cases_verdict verdict = decide(NULL, row);
		int64_t at[] = {row->opened_at_us, row->steps.accepted_at_us, row->steps.dispatched_at_us,
			row->steps.on_scene_at_us, row->steps.resolved_at_us};
		bool hidden = verdict.withheld >> JK_GROUP_PLACE & 1, nameless = verdict.withheld >> JK_GROUP_IDENTITY & 1;
		const char *name = nameless ? "" : row->labels.agency;
		uint64_t counties = question->counties ? row->counties & question->counties : row->counties;
		int64_t age_us = now_us - row->opened_at_us;

		if (!verdict.allowed || row->labels.status == 4 || row->opened_at_us < question->from_us ||
			(question->to_us && row->opened_at_us >= question->to_us) ||
			(question->counties && (hidden || !counties)) ||
			(*question->agency && strcmp(question->agency, name) != 0) || (agency && strcmp(agency, name) != 0) ||
			(county > 0 && (hidden || !(counties >> county & 1))) || (county == 0 && !hidden && counties))
			continue;
		count++;
		if (CASES_STATES_OPEN >> row->state & 1)
			open[age_us < day_us / 24 ? 0 : age_us < day_us ? 1 : age_us < 7 * day_us ? 2 : 3]++;
		for (int span = 0; span < CASES_SPANS && !(verdict.withheld >> JK_GROUP_WORK & 1); span++)
			if (at[span] && at[span + 1])
				values[span][counts[span]++] = at[span + 1] - at[span];
	}
	assert_int_equal(figure->count, count);
	assert_memory_equal(figure->open, open, sizeof open);
	for (int span = 0; span < CASES_SPANS; span++)
		check_span(&figure->spans[span], values[span], counts[span]);
}

static void check_all(struct cases_tally *tally, struct cases_tally_question *question)
{
	struct cases_figures figures;
	size_t sum = 0;

	question->now_us = now_us;
	question->decide = decide;
	question->days[0] = 3;
	question->day_count = 1;
	assert_int_equal(cases_tally_ask(tally, question, &figures), JK_OK);
	check(&figures.all, -1, NULL, question);
	for (size_t i = 0; i < figures.count; i++) {
		const struct cases_figure *figure = &figures.rows[i];

		check(figure, *figure->county ? atoi(figure->county) : 0, figure->agency, question);
		sum += figure->count;
		if (i > 0)
			assert_true(strcmp(figures.rows[i - 1].county, figure->county) < 0 ||
				    (strcmp(figures.rows[i - 1].county, figure->county) == 0 &&
					    strcmp(figures.rows[i - 1].agency, figure->agency) < 0));
	}
	assert_true(sum >= figures.all.count);
	free(figures.rows);
}

static struct cases_tally *fill(void)
{
	struct cases_tally *tally = cases_tally_new();

	assert_non_null(tally);
	seed = 4711;
	for (size_t i = 0; i < COUNT; i++) {
		rows[i] = make(i);
		assert_int_equal(cases_tally_put(tally, &rows[i]), JK_OK);
	}
	return tally;
}

static void by_hand_and_by_tally(void **state)
{
	struct cases_tally *tally = fill();
	(void)state;

	for (int i = 0; i < 4; i++) {
		struct cases_verdicts verdicts = {0};
		struct cases_tally_question question = {.agency = i == 1 ? "NTSA" : i == 2 ? "KRCS" : "", .verdicts = &verdicts};

		check_all(tally, &question);
		question.counties = 1 << 2 | 1 << 3;
		check_all(tally, &question);
		question.from_us = now_us - 9 * day_us;
		question.to_us = now_us - 2 * day_us;
		check_all(tally, &question);
		free(verdicts.bytes);
	}
	cases_tally_free(&tally);
}

static void what_changes_takes_the_place_of_what_was(void **state)
{
	struct cases_tally *tally = fill();
	struct cases_verdicts verdicts = {0};
	struct cases_tally_question question = {.agency = "", .verdicts = &verdicts};
	(void)state;

	check_all(tally, &question);
	for (size_t i = 0; i < COUNT; i += 3) {
		struct cases_case changed = make(i + 77777);

		changed.case_id = rows[i].case_id;
		changed.labels.categories = 1 << 11; /* labels that are new to the verdicts */
		rows[i] = changed;
		assert_int_equal(cases_tally_put(tally, &rows[i]), JK_OK);
	}
	assert_int_equal(cases_tally_count(tally), COUNT);
	check_all(tally, &question);
	free(verdicts.bytes);
	cases_tally_free(&tally);
}

/* Incidents that are sent again and again to ever other addressees, and from county to county. */
static void labels_that_no_case_has_any_more_are_let_go(void **state)
{
	enum { CHANGES = 100000, LOOK_EVERY = 25000 };
	struct cases_tally *tally = fill();
	struct cases_verdicts verdicts = {0};
	struct cases_tally_question question = {.agency = "", .verdicts = &verdicts};
	(void)state;

	for (uint32_t i = 0; i < CHANGES; i++) {
		size_t at = i % 4 ? chance(COUNT) : 5;
		struct cases_case changed = make(i);

		if (i % LOOK_EVERY == 0)
			check_all(tally, &question);
		changed.case_id = rows[at].case_id;
		changed.counties = UINT64_C(1) << (1 + chance(40)) | UINT64_C(1) << (1 + chance(40));
		(void)snprintf(changed.labels.named, sizeof changed.labels.named, "DESK-%u", (unsigned)i);
		rows[at] = changed;
		assert_int_equal(cases_tally_put(tally, &rows[at]), JK_OK);
	}
	check_all(tally, &question);
	assert_int_equal(cases_tally_count(tally), COUNT);
	assert_in_range(verdicts.labels, 1, COUNT + 2000);
	free(verdicts.bytes);
	cases_tally_free(&tally);
}

static void decisions_are_asked_for_once_for_each_label_and_age(void **state)
{
	struct cases_tally *tally = fill();
	struct cases_verdicts verdicts = {0};
	struct cases_tally_question question = {
		.agency = "", .verdicts = &verdicts, .now_us = now_us, .decide = decide, .days = {3}, .day_count = 1};
	struct cases_figures figures;
	(void)state;

	decisions = 0;
	assert_int_equal(cases_tally_ask(tally, &question, &figures), JK_OK);
	free(figures.rows);
	assert_in_range(decisions, 1, COUNT * 9 / 10);
	decisions = 0;
	assert_int_equal(cases_tally_ask(tally, &question, &figures), JK_OK);
	free(figures.rows);
	assert_int_equal(decisions, 0);
	free(verdicts.bytes);
	cases_tally_free(&tally);
}

static void nothing(void **state)
{
	struct cases_tally *tally = cases_tally_new();
	struct cases_verdicts verdicts = {0};
	struct cases_tally_question question = {.agency = "", .verdicts = &verdicts, .decide = decide, .now_us = now_us};
	struct cases_figures figures;
	(void)state;

	assert_int_equal(cases_tally_ask(tally, &question, &figures), JK_OK);
	assert_int_equal(figures.count + figures.all.count, 0);
	free(figures.rows);
	free(verdicts.bytes);
	cases_tally_free(&tally);
	cases_tally_free(&tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_hand_and_by_tally),
		cmocka_unit_test(what_changes_takes_the_place_of_what_was),
		cmocka_unit_test(labels_that_no_case_has_any_more_are_let_go),
		cmocka_unit_test(decisions_are_asked_for_once_for_each_label_and_age),
		cmocka_unit_test(nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
