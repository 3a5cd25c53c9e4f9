/* cases_tally_ask.c: counting. Which cases count is found out by labels; the figures of each county and agency by counting, and
 * its quantiles by putting the values of each group side by side and looking for the one of the right rank. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "cases_tally_internal.h"

enum { COUNTIES = JK_COUNTY_MAX + 1, NOWHERE = 0, BUCKETS = 4096, FEW = 16384 };
enum { KNOWN = 1, ALLOWED = 2, NO_PLACE = 4, NO_AGENCY = 8 }; /* a verdict */
static const int64_t hour_us = INT64_C(3600000000), day_us = INT64_C(86400000000);

/* Of one question. */
struct asking {
	const struct cases_tally *tally;
	const struct cases_tally_question *question;
	size_t classes;
	uint8_t *verdicts; /* [label][class] */
	int32_t *group_of; /* [agency of the tally][county]: index of a figure; -1: none yet */
	struct cases_figures *figures;
	size_t figure_capacity;
	/* The cases that count, and in which figure each counts first; those in several counties once more for each of the
	 * others. */
	uint32_t *rows, *groups, *more_rows, *more_groups;
	size_t count, more_count, more_capacity;
	/* Values of one span, group by group: first those that count there first, then the others. */
	uint32_t *values, *picked;
	size_t *starts, *primary, *fill;
};

static void done(struct asking *asking)
{
	free(asking->verdicts);
	free(asking->group_of);
	free(asking->rows);
	free(asking->groups);
	free(asking->more_rows);
	free(asking->more_groups);
	free(asking->values);
	free(asking->picked);
	free(asking->starts);
	free(asking->primary);
	free(asking->fill);
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

/* What is withheld must not be found out by asking for it. */
static uint8_t judge(struct asking *asking, uint32_t label, size_t class)
{
	const struct cases_tally_question *question = asking->question;
	uint8_t verdict = KNOWN;

	if (is_asked_for(asking, &asking->tally->labels[label].key))
		verdict = decide(asking, label, class);
	if ((verdict & NO_PLACE && question->counties) || (verdict & NO_AGENCY && *question->agency))
		verdict = KNOWN;
	return verdict;
}

/* ---- in which figures ---------------------------------------------------------------------------------------------------------
 */

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

static void count_row(struct cases_figure *figure, bool open, enum cases_age age)
{
	figure->count++;
	figure->open[age] += open;
}

static bool add_row(struct asking *asking, uint32_t row, uint8_t verdict)
{
	const struct cases_tally *tally = asking->tally;
	uint32_t label = tally->label_of[row];
	int64_t age_us = asking->question->now_us - tally->opened_us[row];
	enum cases_age age = age_us < hour_us      ? CASES_AGE_HOUR
			     : age_us < day_us     ? CASES_AGE_DAY
			     : age_us < 7 * day_us ? CASES_AGE_WEEK
						   : CASES_AGE_OLDER;
	bool open = (CASES_STATES_OPEN >> tally->states[row] & 1) != 0, first = true;
	size_t agency = verdict & NO_AGENCY ? 0 : tally->labels[label].agency;
	uint64_t counties = verdict & NO_PLACE ? 0 : tally->labels[label].key.counties;

	if (asking->question->counties)
		counties &= asking->question->counties;
	if (!counties)
		counties = 1 << NOWHERE;
	for (; counties; counties &= counties - 1, first = false) {
		size_t group = find_figure(asking, agency, __builtin_ctzll(counties));

		if (group == SIZE_MAX || (!first && !add_more(asking, row, group)))
			return false;
		count_row(&asking->figures->rows[group], open, age);
		if (first) {
			asking->rows[asking->count] = row;
			asking->groups[asking->count++] = (uint32_t)group;
		}
	}
	count_row(&asking->figures->all, open, age);
	return true;
}

static bool add_rows(struct asking *asking)
{
	const struct cases_tally *tally = asking->tally;
	int64_t from_us = asking->question->from_us, to_us = asking->question->to_us ? asking->question->to_us : INT64_MAX;
	bool ages = asking->classes > 2;

	for (uint32_t row = 0; row < tally->count; row++) {
		uint32_t label = tally->label_of[row];
		size_t class = 0;
		uint8_t *verdict;

		if (tally->opened_us[row] < from_us || tally->opened_us[row] >= to_us)
			continue;
		if (ages)
			class = class_of(asking, tally->event_at_us[row]);
		verdict = &asking->verdicts[label * asking->classes + class];
		if (!*verdict)
			*verdict = judge(asking, label, class);
		if (*verdict & ALLOWED && !add_row(asking, row, *verdict))
			return false;
	}
	return true;
}

/* ---- quantiles ----------------------------------------------------------------------------------------------------------------
 */

/* Buckets of one eighth of a power of two and finer: in the order of the values, and evenly filled by durations. */
static size_t bucket_of(uint32_t value)
{
	int bits = value < 128 ? 7 : 32 - __builtin_clz(value) - 1;

	return (size_t)(bits - 7) * 128 + (value >> (bits - 7));
}

static void swap(uint32_t *a, uint32_t *b)
{
	uint32_t kept = *a;

	*a = *b;
	*b = kept;
}

/* Hoare's selection: the value of this rank, with what is smaller before it. */
static uint32_t select_among(uint32_t *values, size_t count, size_t rank)
{
	size_t low = 0, high = count;

	while (high - low > 1) {
		uint32_t pivot = values[low + (high - low) / 2];
		size_t left = low, right = high - 1;

		for (;;) {
			while (values[left] < pivot)
				left++;
			while (values[right] > pivot)
				right--;
			if (left >= right)
				break;
			swap(&values[left++], &values[right--]);
		}
		/* left is where what is not smaller begins, when the two have passed each other. */
		if (left == right && values[left] <= pivot)
			left++;
		if (left == low || left == high)
			left = low + 1;
		if (rank < left)
			high = left;
		else
			low = left;
	}
	return values[low];
}

/* Runs of values that together are one set. */
struct runs {
	const uint32_t *values;
	const size_t *starts, *sizes; /* of each run */
	size_t count;
};

/* The value of rank 0 …: looked for among those in its bucket alone. */
static uint32_t select_rank(const struct runs *runs, const size_t histogram[BUCKETS], size_t rank, uint32_t *picked)
{
	size_t bucket = 0, count = 0;

	while (rank >= histogram[bucket])
		rank -= histogram[bucket++];
	for (size_t run = 0; run < runs->count; run++) {
		const uint32_t *values = runs->values + runs->starts[run];

		for (size_t i = 0; i < runs->sizes[run]; i++)
			if (bucket_of(values[i]) == bucket)
				picked[count++] = values[i];
	}
	return select_among(picked, count, rank);
}

static size_t rank_of(size_t count, size_t percent)
{
	return (count * percent + 99) / 100 - 1;
}

static void measure_few(const struct runs *runs, size_t count, uint32_t *picked, uint32_t *ret_p50, uint32_t *ret_p90)
{
	size_t at = 0, rank = rank_of(count, 90);

	for (size_t run = 0; run < runs->count; run++) {
		memcpy(picked + at, runs->values + runs->starts[run], runs->sizes[run] * sizeof *picked);
		at += runs->sizes[run];
	}
	*ret_p90 = select_among(picked, count, rank);
	*ret_p50 = select_among(picked, count, rank_of(count, 50));
}

static void measure_many(const struct runs *runs, size_t count, uint32_t *picked, uint32_t *ret_p50, uint32_t *ret_p90)
{
	size_t histogram[BUCKETS] = {0};

	for (size_t run = 0; run < runs->count; run++)
		for (size_t i = 0; i < runs->sizes[run]; i++)
			histogram[bucket_of(runs->values[runs->starts[run] + i])]++;
	*ret_p50 = select_rank(runs, histogram, rank_of(count, 50), picked);
	*ret_p90 = select_rank(runs, histogram, rank_of(count, 90), picked);
}

static void measure(const struct runs *runs, uint32_t *picked, struct cases_span_figure *ret)
{
	uint32_t p50, p90;
	size_t count = 0;

	for (size_t run = 0; run < runs->count; run++)
		count += runs->sizes[run];
	*ret = (struct cases_span_figure){.count = count};
	if (count == 0)
		return;
	if (count <= FEW)
		measure_few(runs, count, picked, &p50, &p90);
	else
		measure_many(runs, count, picked, &p50, &p90);
	ret->p50_ms = (int64_t)p50 * 10;
	ret->p90_ms = (int64_t)p90 * 10;
}

/* Puts the known values of one span group by group. */
static void sort_out(struct asking *asking, enum cases_span span)
{
	uint32_t(*spans)[CASES_SPANS] = asking->tally->spans;
	size_t groups = asking->figures->count, at = 0;

	memset(asking->primary, 0, groups * sizeof *asking->primary);
	memset(asking->fill, 0, groups * sizeof *asking->fill);
	for (size_t i = 0; i < asking->count; i++)
		asking->primary[asking->groups[i]] += spans[asking->rows[i]][span] != CASES_SPAN_UNKNOWN;
	for (size_t i = 0; i < asking->more_count; i++)
		asking->fill[asking->more_groups[i]] += spans[asking->more_rows[i]][span] != CASES_SPAN_UNKNOWN;
	for (size_t group = 0; group < groups; group++) {
		size_t size = asking->primary[group] + asking->fill[group];

		asking->starts[group] = at;
		asking->fill[group] = at;
		at += size;
	}
	asking->starts[groups] = at;
	for (size_t i = 0; i < asking->count; i++) {
		uint32_t value = spans[asking->rows[i]][span];

		if (value != CASES_SPAN_UNKNOWN)
			asking->values[asking->fill[asking->groups[i]]++] = value;
	}
	for (size_t i = 0; i < asking->more_count; i++) {
		uint32_t value = spans[asking->more_rows[i]][span];

		if (value != CASES_SPAN_UNKNOWN)
			asking->values[asking->fill[asking->more_groups[i]]++] = value;
	}
}

static bool measure_spans(struct asking *asking)
{
	struct cases_figures *figures = asking->figures;
	size_t values = asking->count + asking->more_count + 1, groups = figures->count + 1;

	asking->values = malloc(values * sizeof *asking->values);
	asking->picked = malloc(values * sizeof *asking->picked);
	asking->starts = malloc(groups * sizeof *asking->starts);
	asking->primary = malloc(groups * sizeof *asking->primary);
	asking->fill = malloc(groups * sizeof *asking->fill);
	if (!asking->values || !asking->picked || !asking->starts || !asking->primary || !asking->fill)
		return false;
	for (int span = 0; span < CASES_SPANS; span++) {
		struct runs all = {asking->values, asking->starts, asking->primary, figures->count};

		sort_out(asking, (enum cases_span)span);
		measure(&all, asking->picked, &figures->all.spans[span]);
		for (size_t group = 0; group < figures->count; group++) {
			size_t size = asking->starts[group + 1] - asking->starts[group];
			struct runs one = {asking->values, &asking->starts[group], &size, 1};

			measure(&one, asking->picked, &figures->rows[group].spans[span]);
		}
	}
	return true;
}

/* ---- the question --------------------------------------------------------------------------------------------------------- */

static bool make_room(struct asking *asking)
{
	const struct cases_tally *tally = asking->tally;

	asking->classes = asking->question->day_count + 2;
	asking->verdicts = calloc(tally->label_count + 1, asking->classes);
	asking->group_of = malloc(tally->agency_count * COUNTIES * sizeof *asking->group_of);
	asking->rows = malloc((tally->count + 1) * sizeof *asking->rows);
	asking->groups = malloc((tally->count + 1) * sizeof *asking->groups);
	if (!asking->verdicts || !asking->group_of || !asking->rows || !asking->groups)
		return false;
	memset(asking->group_of, 0xff, tally->agency_count * COUNTIES * sizeof *asking->group_of);
	return true;
}

static int compare_figures(const void *a, const void *b)
{
	const struct cases_figure *left = a, *right = b;
	int county = strcmp(left->county, right->county);

	return county ? county : strcmp(left->agency, right->agency);
}

enum jk_status cases_tally_ask(struct cases_tally *tally, const struct cases_tally_question *question, struct cases_figures *ret)
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
