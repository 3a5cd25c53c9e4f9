/* cases_tally_ask.c: counting. Which cases count is found out by labels; the figures of each county and agency by counting, and
 * its quantiles by putting the values of each group side by side and looking for the one of the right rank. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "cases_tally_internal.h"

enum { COUNTIES = JK_COUNTY_MAX + 1, NOWHERE = 0 };
enum { KNOWN = 1, ALLOWED = 2, NO_PLACE = 4, NO_AGENCY = 8 }; /* a verdict */
enum { UNKNOWN = -1, NOTHING = -2, SEVERAL = -3 };            /* where cases of a label and class count, else a figure's index */
static const int64_t hour_us = INT64_C(3600000000), day_us = INT64_C(86400000000);

/* Of one question. */
struct asking {
	const struct cases_tally *tally;
	const struct cases_tally_question *question;
	size_t classes;
	int32_t *place_of; /* [label][class] */
	int32_t *group_of; /* [agency of the tally][county]: index of a figure; -1: none yet */
	struct cases_figures *figures;
	size_t figure_capacity;
	/* The cases that count, and in which figure each counts first; those in several counties once more for each of the
	 * others. */
	uint32_t *rows, *groups, *more_rows, *more_groups;
	size_t count, more_count, more_capacity;
	/* The known values of each span, group by group: first those that count there first, then the others. */
	uint32_t *values[CASES_SPANS], *picked;
	struct group {
		uint32_t count, first[CASES_SPANS], more[CASES_SPANS], fill[CASES_SPANS];
	} * sizes;
};

static void done(struct asking *asking)
{
	free(asking->place_of);
	free(asking->sizes);
	free(asking->group_of);
	free(asking->rows);
	free(asking->groups);
	free(asking->more_rows);
	free(asking->more_groups);
	free(asking->picked);
	for (int span = 0; span < CASES_SPANS; span++)
		free(asking->values[span]);
}

/* ---- who counts ----------------------------------------------------------------------------------------------------------- */

/* The age class: how many of the question's days it is past; the last is that of cases of unknown age. */
static size_t class_of(const struct asking *asking, int64_t event_at_us)
{
	const struct cases_tally_question *question = asking->question;
	int64_t days = (question->now_us - event_at_us - 1) / day_us;
	size_t class = 0;

	if (event_at_us <= 0)
		return asking->classes - 1;
	while (class < question->day_count && days >= (int64_t)question->days[class])
		class ++;
	return class;
}

/* A time whose age is in the class. */
static int64_t time_of_class(const struct asking *asking, size_t class)
{
	const struct cases_tally_question *question = asking->question;

	if (class == asking->classes - 1)
		return 0;
	return class == 0 ? question->now_us : question->now_us - (int64_t)question->days[class - 1] * day_us - 1;
}

static uint8_t decide(struct asking *asking, uint32_t label_at, size_t class)
{
	const struct label *label = &asking->tally->labels[label_at];
	struct cases_case like = {
		.counties = label->key.counties,
		.labels =
			{
				.categories = label->key.categories,
				.severity = label->key.severity,
				.status = label->key.status,
				.scope = label->key.scope,
				.tlp = label->key.tlp,
			},
		.event_at_us = time_of_class(asking, class),
	};
	struct cases_verdict verdict;

	memcpy(like.labels.agency, label->key.agency, sizeof like.labels.agency);
	(void)jk_text_copy(like.labels.named, sizeof like.labels.named, label->named);
	verdict = asking->question->decide(asking->question->arg, &like);
	if (!verdict.allowed)
		return KNOWN;
	return (uint8_t)(KNOWN | ALLOWED | (verdict.withheld >> JK_GROUP_PLACE & 1 ? NO_PLACE : 0) |
			 (verdict.withheld >> JK_GROUP_IDENTITY & 1 ? NO_AGENCY : 0));
}

/* What the question leaves out whoever asks. */
static bool is_asked_for(const struct asking *asking, const struct label_key *key)
{
	const struct cases_tally_question *question = asking->question;

	return key->status != JK_CAP_STATUS_TEST && key->status != JK_CAP_STATUS_SYSTEM &&
	       (!question->counties || key->counties & question->counties) &&
	       (!*question->agency || strcmp(key->agency, question->agency) == 0);
}

/* What counts for this question, of what is decided for all of the asker's; what is withheld must not be found out by asking. */
static uint8_t judge(struct asking *asking, uint32_t label, size_t class)
{
	const struct cases_tally_question *question = asking->question;
	uint8_t *verdict = &question->verdicts->bytes[label * asking->classes + class];

	if (!is_asked_for(asking, &asking->tally->labels[label].key))
		return KNOWN;
	if (!*verdict)
		*verdict = decide(asking, label, class);
	if ((*verdict & NO_PLACE && question->counties) || (*verdict & NO_AGENCY && *question->agency))
		return KNOWN;
	return *verdict;
}

/* ---- in which figures --------------------------------------------------------------------------------------------------- */

/* Index of the figure; SIZE_MAX: no memory. */
static size_t find_figure(struct asking *asking, size_t agency, int county)
{
	int32_t *at = &asking->group_of[agency * COUNTIES + (size_t)county];
	struct cases_figures *figures = asking->figures;
	struct cases_figure *figure;

	if (*at >= 0)
		return (size_t)*at;
	if (figures->count == asking->figure_capacity) {
		size_t capacity = asking->figure_capacity ? asking->figure_capacity * 2 : 256;
		struct cases_figure *rows = realloc(figures->rows, capacity * sizeof *rows);

		if (!rows)
			return SIZE_MAX;
		figures->rows = rows;
		asking->figure_capacity = capacity;
	}
	figure = &figures->rows[figures->count];
	*figure = (struct cases_figure){0};
	memcpy(figure->agency, asking->tally->agencies[agency], sizeof figure->agency);
	if (county != NOWHERE) {
		figure->county[0] = '0';
		figure->county[1] = (char)('0' + county / 10);
		figure->county[2] = (char)('0' + county % 10);
	}
	*at = (int32_t)figures->count;
	return figures->count++;
}

static bool add_more(struct asking *asking, uint32_t row, size_t group)
{
	if (asking->more_count == asking->more_capacity) {
		size_t capacity = asking->more_capacity ? asking->more_capacity * 2 : 1024;
		uint32_t *rows = realloc(asking->more_rows, capacity * sizeof *rows), *groups = NULL;

		if (rows)
			asking->more_rows = rows;
		groups = rows ? realloc(asking->more_groups, capacity * sizeof *groups) : NULL;
		if (!groups)
			return false;
		asking->more_groups = groups;
		asking->more_capacity = capacity;
	}
	asking->more_rows[asking->more_count] = row;
	asking->more_groups[asking->more_count++] = (uint32_t)group;
	return true;
}

static enum cases_age age_of(int64_t age_us)
{
	if (age_us < hour_us)
		return CASES_AGE_HOUR;
	return age_us < day_us ? CASES_AGE_DAY : age_us < 7 * day_us ? CASES_AGE_WEEK : CASES_AGE_OLDER;
}

/* Once in its first figure, where `first`; once more in another one. */
static void count_in(struct asking *asking, uint32_t row, size_t group, bool first)
{
	const struct cases_tally *tally = asking->tally;
	const uint32_t *spans = tally->spans[row];
	struct group *sizes = &asking->sizes[group];

	sizes->count++;
	for (int span = 0; span < CASES_SPANS; span++)
		(first ? sizes->first : sizes->more)[span] += spans[span] != CASES_SPAN_UNKNOWN;
	if (CASES_STATES_OPEN >> tally->states[row] & 1) {
		enum cases_age age = age_of(asking->question->now_us - tally->opened_us[row]);

		asking->figures->rows[group].open[age]++;
		asking->figures->all.open[age] += first;
	}
	if (first) {
		asking->rows[asking->count] = row;
		asking->groups[asking->count++] = (uint32_t)group;
	}
}

/* The counties in which cases of a label count; bit NOWHERE: where that is not told. */
static uint64_t counties_of(const struct asking *asking, uint32_t label, uint8_t verdict)
{
	uint64_t counties = verdict & NO_PLACE ? 0 : asking->tally->labels[label].key.counties;

	if (asking->question->counties)
		counties &= asking->question->counties;
	return counties ? counties : 1 << NOWHERE;
}

static bool count_in_several(struct asking *asking, uint32_t row, size_t class)
{
	uint32_t label = asking->tally->label_of[row];
	uint8_t verdict = judge(asking, label, class);
	size_t agency = verdict & NO_AGENCY ? 0 : asking->tally->labels[label].agency;
	bool first = true;

	for (uint64_t rest = counties_of(asking, label, verdict); rest; rest &= rest - 1, first = false) {
		size_t group = find_figure(asking, agency, __builtin_ctzll(rest));

		if (group == SIZE_MAX || (!first && !add_more(asking, row, group)))
			return false;
		count_in(asking, row, group, first);
	}
	return true;
}

/* UNKNOWN: no memory. */
static int32_t find_place(struct asking *asking, uint32_t label, size_t class)
{
	uint8_t verdict = judge(asking, label, class);
	uint64_t counties;
	size_t group;

	if (!(verdict & ALLOWED))
		return NOTHING;
	counties = counties_of(asking, label, verdict);
	if (counties & (counties - 1))
		return SEVERAL;
	group = find_figure(asking, verdict & NO_AGENCY ? 0 : asking->tally->labels[label].agency, __builtin_ctzll(counties));
	return group == SIZE_MAX ? UNKNOWN : (int32_t)group;
}

static bool add_row(struct asking *asking, uint32_t row, size_t class)
{
	uint32_t label = asking->tally->label_of[row];
	int32_t *place = &asking->place_of[label * asking->classes + class];

	if (*place == UNKNOWN)
		*place = find_place(asking, label, class);
	if (*place == SEVERAL)
		return count_in_several(asking, row, class);
	if (*place >= 0)
		count_in(asking, row, (size_t)*place, true);
	return *place != UNKNOWN;
}

static bool add_rows(struct asking *asking)
{
	const struct cases_tally *tally = asking->tally;
	int64_t from_us = asking->question->from_us, to_us = asking->question->to_us ? asking->question->to_us : INT64_MAX;
	bool ages = asking->classes > 2;

	for (uint32_t row = 0; row < tally->count; row++) {
		if (tally->opened_us[row] < from_us || tally->opened_us[row] >= to_us)
			continue;
		if (!add_row(asking, row, ages ? class_of(asking, tally->event_at_us[row]) : 0))
			return false;
	}
	asking->figures->all.count = asking->count;
	for (size_t group = 0; group < asking->figures->count; group++)
		asking->figures->rows[group].count = asking->sizes[group].count;
	return true;
}

/* ---- spans --------------------------------------------------------------------------------------------------------------- */

static void put_values(struct asking *asking, uint32_t row, uint32_t group)
{
	const uint32_t *spans = asking->tally->spans[row];
	struct group *sizes = &asking->sizes[group];

	for (int span = 0; span < CASES_SPANS; span++)
		if (spans[span] != CASES_SPAN_UNKNOWN)
			asking->values[span][sizes->fill[span]++] = spans[span];
}

static bool sort_out(struct asking *asking)
{
	size_t groups = asking->figures->count;

	for (int span = 0; span < CASES_SPANS; span++) {
		uint32_t at = 0;

		for (size_t group = 0; group < groups; group++) {
			struct group *sizes = &asking->sizes[group];

			sizes->fill[span] = at;
			at += sizes->first[span] + sizes->more[span];
		}
		asking->values[span] = malloc((at + 1) * sizeof *asking->values[span]);
		if (!asking->values[span])
			return false;
	}
	for (size_t i = 0; i < asking->count; i++)
		put_values(asking, asking->rows[i], asking->groups[i]);
	for (size_t i = 0; i < asking->more_count; i++)
		put_values(asking, asking->more_rows[i], asking->more_groups[i]);
	return true;
}

/* A span of all figures, each whole; then of all cases, each once. */
static void measure_span(struct asking *asking, int span, size_t *starts, size_t *sizes)
{
	struct cases_figures *figures = asking->figures;
	struct cases_runs runs = {asking->values[span], starts, sizes, figures->count};

	for (size_t group = 0; group < figures->count; group++) {
		const struct group *of = &asking->sizes[group];
		struct cases_runs one = {asking->values[span], &starts[group], &sizes[group], 1};

		sizes[group] = of->first[span] + of->more[span];
		starts[group] = of->fill[span] - sizes[group];
		cases_tally_measure(&one, asking->picked, &figures->rows[group].spans[span]);
		sizes[group] = of->first[span];
	}
	cases_tally_measure(&runs, asking->picked, &figures->all.spans[span]);
}

static bool measure_spans(struct asking *asking)
{
	size_t values = asking->count + asking->more_count + 1, groups = asking->figures->count + 1;
	size_t *starts = malloc(groups * sizeof *starts), *sizes = malloc(groups * sizeof *sizes);
	bool good = sort_out(asking) && starts && sizes && (asking->picked = malloc(values * sizeof *asking->picked));

	for (int span = 0; good && span < CASES_SPANS; span++)
		measure_span(asking, span, starts, sizes);
	free(starts);
	free(sizes);
	return good;
}

/* ---- the question --------------------------------------------------------------------------------------------------------- */

/* Labels that are new since then are not decided yet. */
static bool make_verdicts(struct asking *asking)
{
	struct cases_verdicts *verdicts = asking->question->verdicts;
	size_t labels = asking->tally->label_count;
	uint8_t *bytes;

	if (verdicts->bytes && verdicts->labels >= labels)
		return true;
	bytes = realloc(verdicts->bytes, (labels + 1) * asking->classes);
	if (!bytes)
		return false;
	memset(bytes + verdicts->labels * asking->classes, 0, (labels + 1 - verdicts->labels) * asking->classes);
	*verdicts = (struct cases_verdicts){.bytes = bytes, .labels = labels};
	return true;
}

static bool make_room(struct asking *asking)
{
	const struct cases_tally *tally = asking->tally;
	size_t places;

	asking->classes = asking->question->day_count + 2;
	places = (tally->label_count + 1) * asking->classes * sizeof *asking->place_of;
	asking->place_of = malloc(places);
	asking->sizes = calloc(tally->agency_count * COUNTIES + 1, sizeof *asking->sizes);
	asking->group_of = malloc(tally->agency_count * COUNTIES * sizeof *asking->group_of);
	asking->rows = malloc((tally->count + 1) * sizeof *asking->rows);
	asking->groups = malloc((tally->count + 1) * sizeof *asking->groups);
	if (!asking->place_of || !asking->sizes || !make_verdicts(asking) || !asking->group_of || !asking->rows ||
		!asking->groups)
		return false;
	memset(asking->place_of, 0xff, places);
	memset(asking->group_of, 0xff, tally->agency_count * COUNTIES * sizeof *asking->group_of);
	return true;
}

static int compare_figures(const void *a, const void *b)
{
	const struct cases_figure *left = a, *right = b;
	int county = strcmp(left->county, right->county);

	return county ? county : strcmp(left->agency, right->agency);
}

enum jk_status cases_tally_ask(
	const struct cases_tally *tally, const struct cases_tally_question *question, struct cases_figures *ret)
{
	struct asking asking = {.tally = tally, .question = question, .figures = ret};
	bool good;

	*ret = (struct cases_figures){0};
	good = make_room(&asking) && add_rows(&asking) && measure_spans(&asking);
	done(&asking);
	if (!good) {
		free(ret->rows);
		*ret = (struct cases_figures){0};
		return JK_BROKEN;
	}
	if (ret->count)
		qsort(ret->rows, ret->count, sizeof *ret->rows, compare_figures);
	return JK_OK;
}
