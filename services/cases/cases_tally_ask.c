/* cases_tally_ask.c: counting. Whether a case counts is decided by its label; where, by its shelf. Each figure is counted by
 * going once through the shelves that have a part in it, its values side by side, so that its quantiles are looked for while they
 * are near; those of all cases come last, from the same values. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "cases_tally_internal.h"

enum { COUNTIES = JK_COUNTY_MAX + 1, NOWHERE = 0 };
/* A verdict: what is not told, NO_PLACE to NO_WORK, shifted to be counted from 0, is its variant. */
enum { KNOWN = 1, ALLOWED = 2, NO_PLACE = 4, NO_AGENCY = 8, NO_WORK = 16, VARIANT_SHIFT = 2, VARIANTS = 8 };
static const int64_t hour_us = INT64_C(3600000000), day_us = INT64_C(86400000000);

/* Cases of one shelf with one variant, which count in one figure. first: not in an earlier one too. */
struct part {
	uint32_t group, shelf;
	uint8_t variant;
	bool first;
};

/* Of one question. */
struct asking {
	const struct cases_tally *tally;
	const struct cases_tally_question *question;
	size_t classes;
	uint32_t agency; /* 0: every one */
	int64_t from_us, to_us;
	uint8_t *variants; /* of each shelf: bit n, variant n is among its labels */
	int32_t *group_of; /* [agency of the tally][county]: index of a figure; -1: none yet */
	struct cases_figures *figures;
	size_t figure_capacity;
	struct part *parts;
	size_t part_count, part_capacity;
	/* The known values of each span, figure by figure: first those that count there first, then the others. */
	uint32_t *values[CASES_SPANS], *picked;
	size_t filled[CASES_SPANS];
	/* Of each figure: where its values begin, and how many count there first. */
	size_t *starts[CASES_SPANS], *sizes[CASES_SPANS];
};

static void done(struct asking *asking)
{
	free(asking->variants);
	free(asking->group_of);
	free(asking->parts);
	free(asking->picked);
	for (int span = 0; span < CASES_SPANS; span++) {
		free(asking->values[span]);
		free(asking->starts[span]);
		free(asking->sizes[span]);
	}
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

static uint8_t decide(const struct asking *asking, const struct label *label, size_t class)
{
	const struct label_key *key = &label->key;
	struct cases_case like = {
		.counties = key->counties,
		.labels =
			{
				.categories = key->categories,
				.severity = key->severity,
				.status = key->status,
				.scope = key->scope,
				.tlp = key->tlp,
			},
		.event_at_us = time_of_class(asking, class),
	};
	struct cases_verdict verdict;

	/* What is left out whoever asks. */
	if (key->status == JK_CAP_STATUS_TEST || key->status == JK_CAP_STATUS_SYSTEM)
		return KNOWN;
	memcpy(like.labels.agency, key->agency, sizeof like.labels.agency);
	(void)jk_text_copy(like.labels.named, sizeof like.labels.named, label->named);
	verdict = asking->question->decide(asking->question->arg, &like);
	if (!verdict.allowed)
		return KNOWN;
	return (uint8_t)(KNOWN | ALLOWED | (verdict.withheld >> JK_GROUP_PLACE & 1 ? NO_PLACE : 0) |
			 (verdict.withheld >> JK_GROUP_IDENTITY & 1 ? NO_AGENCY : 0) |
			 (verdict.withheld >> JK_GROUP_WORK & 1 ? NO_WORK : 0));
}

static bool is_asked_for(const struct asking *asking, const struct label *label)
{
	const struct shelf *shelf = &asking->tally->shelves[label->shelf];
	uint64_t counties = asking->question->counties;

	return label->cases > 0 && (!counties || shelf->counties & counties) &&
	       (!asking->agency || shelf->agency == asking->agency);
}

/* Every label of a case on the shelves that are asked for gets its verdicts, and its shelf learns which variants it holds. */
static void judge(struct asking *asking)
{
	const struct cases_tally *tally = asking->tally;

	for (size_t i = 0; i < tally->label_count; i++) {
		const struct label *label = &tally->labels[i];
		uint8_t *verdicts = &asking->question->verdicts->bytes[i * asking->classes];

		if (!is_asked_for(asking, label))
			continue;
		for (size_t class = 0; class < asking->classes; class ++) {
			if (!verdicts[class])
				verdicts[class] = decide(asking, label, class);
			if (verdicts[class] & ALLOWED)
				asking->variants[label->shelf] |= (uint8_t)(1 << (verdicts[class] >> VARIANT_SHIFT));
		}
	}
}

/* ---- in which figures --------------------------------------------------------------------------------------------------- */

/* Index of the figure; SIZE_MAX: no memory. */
static size_t find_figure(struct asking *asking, uint32_t agency, int county)
{
	int32_t *at = &asking->group_of[(size_t)agency * COUNTIES + (size_t)county];
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

static bool add_part(struct asking *asking, const struct part *part)
{
	if (asking->part_count == asking->part_capacity) {
		size_t capacity = asking->part_capacity ? asking->part_capacity * 2 : 1024;
		struct part *parts = realloc(asking->parts, capacity * sizeof *parts);

		if (!parts)
			return false;
		asking->parts = parts;
		asking->part_capacity = capacity;
	}
	asking->parts[asking->part_count++] = *part;
	return true;
}

/* Once in every county that is asked for; where the place is not told, nowhere. What is withheld must not be found out by asking
 * for it. */
static bool add_parts(struct asking *asking, uint32_t shelf_at, unsigned variant)
{
	const struct shelf *shelf = &asking->tally->shelves[shelf_at];
	bool no_place = variant & NO_PLACE >> VARIANT_SHIFT, no_agency = variant & NO_AGENCY >> VARIANT_SHIFT;
	uint64_t counties = no_place ? 0 : shelf->counties;
	bool first = true;

	if (asking->question->counties)
		counties &= asking->question->counties;
	if ((no_place && asking->question->counties) || (no_agency && asking->agency))
		return true;
	for (uint64_t rest = counties ? counties : 1 << NOWHERE; rest; rest &= rest - 1, first = false) {
		size_t group = find_figure(asking, no_agency ? 0 : shelf->agency, __builtin_ctzll(rest));
		const struct part part = {
			.group = (uint32_t)group, .shelf = shelf_at, .variant = (uint8_t)variant, .first = first};

		if (group == SIZE_MAX || !add_part(asking, &part))
			return false;
	}
	return true;
}

static int compare_parts(const void *a, const void *b)
{
	const struct part *left = a, *right = b;

	if (left->group != right->group)
		return left->group < right->group ? -1 : 1;
	return (int)right->first - (int)left->first;
}

static bool find_parts(struct asking *asking)
{
	for (uint32_t shelf = 0; shelf < asking->tally->shelf_count; shelf++)
		for (unsigned variant = 0; variant < VARIANTS; variant++)
			if (asking->variants[shelf] >> variant & 1 && !add_parts(asking, shelf, variant))
				return false;
	if (asking->part_count > 0)
		qsort(asking->parts, asking->part_count, sizeof *asking->parts, compare_parts);
	return true;
}

/* ---- counting -------------------------------------------------------------------------------------------------------------- */

static enum cases_age age_of(int64_t age_us)
{
	if (age_us < hour_us)
		return CASES_AGE_HOUR;
	return age_us < day_us ? CASES_AGE_DAY : age_us < 7 * day_us ? CASES_AGE_WEEK : CASES_AGE_OLDER;
}

/* When the steps were reached is not told where WORK is withheld (cases_rules_withhold); the state is. */
static void count_part(struct asking *asking, const struct part *part)
{
	const struct shelf *shelf = &asking->tally->shelves[part->shelf];
	const uint8_t *verdicts = asking->question->verdicts->bytes;
	struct cases_figure *figure = &asking->figures->rows[part->group];
	const unsigned wanted = ALLOWED | KNOWN | (unsigned)part->variant << VARIANT_SHIFT;
	bool ages = asking->classes > 2, tells_work = !(wanted & NO_WORK);

	for (const struct tally_row *row = shelf->rows, *end = row + shelf->count; row < end; row++) {
		size_t class = ages ? class_of(asking, row->event_at_us) : 0;

		if (verdicts[row->label * asking->classes + class] != wanted || row->opened_us < asking->from_us ||
			row->opened_us >= asking->to_us)
			continue;
		figure->count++;
		if (CASES_STATES_OPEN >> row->state & 1)
			figure->open[age_of(asking->question->now_us - row->opened_us)]++;
		if (!tells_work)
			continue;
		/* Put down whether it is known or not, and written over if not: a jump would be guessed wrong half of the time.
		 */
		for (int span = 0; span < CASES_SPANS; span++) {
			asking->values[span][asking->filled[span]] = row->spans[span];
			asking->filled[span] += row->spans[span] != CASES_SPAN_UNKNOWN;
		}
	}
}

/* What has been counted in a figure first is what counts among all cases. */
static void add_to_all(struct asking *asking, size_t group)
{
	struct cases_figure *all = &asking->figures->all;
	const struct cases_figure *figure = &asking->figures->rows[group];

	all->count += figure->count;
	for (int age = 0; age < CASES_AGES; age++)
		all->open[age] += figure->open[age];
	for (int span = 0; span < CASES_SPANS; span++)
		asking->sizes[span][group] = asking->filled[span] - asking->starts[span][group];
}

static void count_figure(struct asking *asking, size_t group, const struct part *parts, size_t count)
{
	size_t part = 0;

	for (int span = 0; span < CASES_SPANS; span++)
		asking->starts[span][group] = asking->filled[span];
	for (; part < count && parts[part].first; part++)
		count_part(asking, &parts[part]);
	add_to_all(asking, group);
	for (; part < count; part++)
		count_part(asking, &parts[part]);
	for (int span = 0; span < CASES_SPANS; span++) {
		size_t start = asking->starts[span][group], size = asking->filled[span] - start;
		struct cases_runs runs = {asking->values[span], &start, &size, 1};

		cases_tally_measure(&runs, asking->picked, &asking->figures->rows[group].spans[span]);
	}
}

static void count(struct asking *asking)
{
	struct cases_figures *figures = asking->figures;
	size_t from = 0;

	for (size_t group = 0; group < figures->count; group++) {
		size_t to = from;

		while (to < asking->part_count && asking->parts[to].group == group)
			to++;
		count_figure(asking, group, &asking->parts[from], to - from);
		from = to;
	}
	for (int span = 0; span < CASES_SPANS; span++) {
		struct cases_runs runs = {asking->values[span], asking->starts[span], asking->sizes[span], figures->count};

		cases_tally_measure(&runs, asking->picked, &figures->all.spans[span]);
	}
}

/* ---- the question --------------------------------------------------------------------------------------------------------- */

/* Labels that are new since then are not decided yet; after a tidying none is. */
static bool make_verdicts(struct asking *asking)
{
	struct cases_verdicts *verdicts = asking->question->verdicts;
	size_t labels = asking->tally->label_count;
	uint8_t *bytes;

	if (verdicts->tidied != asking->tally->tidied)
		verdicts->labels = 0;
	if (verdicts->bytes && verdicts->labels >= labels)
		return true;
	bytes = realloc(verdicts->bytes, (labels + 1) * asking->classes);
	if (!bytes)
		return false;
	memset(bytes + verdicts->labels * asking->classes, 0, (labels + 1 - verdicts->labels) * asking->classes);
	*verdicts = (struct cases_verdicts){.bytes = bytes, .labels = labels, .tidied = asking->tally->tidied};
	return true;
}

static bool make_tables(struct asking *asking)
{
	const struct cases_tally *tally = asking->tally;
	size_t groups = tally->agency_count * COUNTIES;

	asking->classes = asking->question->day_count + 2;
	asking->variants = calloc(tally->shelf_count + 1, sizeof *asking->variants);
	asking->group_of = malloc((groups + 1) * sizeof *asking->group_of);
	if (!asking->variants || !asking->group_of || !make_verdicts(asking))
		return false;
	memset(asking->group_of, 0xff, groups * sizeof *asking->group_of);
	return true;
}

/* For as many values as there are cases in the parts, and one that is written over. */
static bool make_room(struct asking *asking)
{
	size_t values = 1, figures = asking->figures->count + 1;

	for (size_t i = 0; i < asking->part_count; i++)
		values += asking->tally->shelves[asking->parts[i].shelf].count;
	asking->picked = malloc(values * sizeof *asking->picked);
	for (int span = 0; span < CASES_SPANS; span++) {
		asking->values[span] = malloc(values * sizeof *asking->values[span]);
		asking->starts[span] = malloc(figures * sizeof *asking->starts[span]);
		asking->sizes[span] = malloc(figures * sizeof *asking->sizes[span]);
		if (!asking->values[span] || !asking->starts[span] || !asking->sizes[span])
			return false;
	}
	return asking->picked;
}

/* False: there are no cases of the agency that is asked for. */
static bool take_question(struct asking *asking)
{
	const struct cases_tally *tally = asking->tally;
	const struct cases_tally_question *question = asking->question;

	asking->from_us = question->from_us;
	asking->to_us = question->to_us ? question->to_us : INT64_MAX;
	if (!*question->agency)
		return true;
	for (uint32_t agency = 1; agency < tally->agency_count && !asking->agency; agency++)
		if (strcmp(tally->agencies[agency], question->agency) == 0)
			asking->agency = agency;
	return asking->agency;
}

static int compare_figures(const void *a, const void *b)
{
	const struct cases_figure *left = a, *right = b;
	int county = strcmp(left->county, right->county);

	return county ? county : strcmp(left->agency, right->agency);
}

/* In order, and without those in which nothing counted. */
static void put_in_order(struct cases_figures *figures)
{
	size_t kept = 0;

	for (size_t i = 0; i < figures->count; i++)
		if (figures->rows[i].count > 0)
			figures->rows[kept++] = figures->rows[i];
	figures->count = kept;
	if (kept > 0)
		qsort(figures->rows, kept, sizeof *figures->rows, compare_figures);
}

enum jk_status cases_tally_ask(
	const struct cases_tally *tally, const struct cases_tally_question *question, struct cases_figures *ret)
{
	struct asking asking = {.tally = tally, .question = question, .figures = ret};
	bool good = true;

	*ret = (struct cases_figures){0};
	if (take_question(&asking)) {
		good = make_tables(&asking);
		if (good)
			judge(&asking);
		good = good && find_parts(&asking) && make_room(&asking);
		if (good)
			count(&asking);
	}
	done(&asking);
	if (!good) {
		free(ret->rows);
		*ret = (struct cases_figures){0};
		return JK_BROKEN;
	}
	put_in_order(ret);
	return JK_OK;
}
