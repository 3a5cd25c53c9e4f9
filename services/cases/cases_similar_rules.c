/* cases_similar_rules.c: a second report against chance.
 *
 *   score = 100 * likeness / (likeness + chance)
 *   likeness: how well a second report would fit: in place, time, category and agency
 *   chance:   how many unrelated cases are to be expected as near in place and time, from those that are around it at other times
 *
 * The numbers were set on one half of the real crashes and checked on the other: see the README. */
#include "cases_similar_rules.h"

#include <math.h>
#include <string.h>

#define HOUR_US 3600e6
#define METRES_A_DEGREE 111195.0

static const double place_m2 = 350.0 * 350.0, at_least_m2 = 150.0 * 150.0; /* errors of positions; below, near is near */
static const double time_h = 0.75, at_least_h = 1.0 / 12;
static const double own_h = 2;      /* what is nearer in time may be the same thing, and is not what is usual */
static const double unseen_km2 = 1; /* chance is never nothing: one more case a square kilometre (of r²) in all the time */
static const double weight = 0.07;  /* how common second reports are */
static const double related = 0.5, unrelated = 0.1, one_agency = 0.5; /* an agency seldom reports a thing twice */
static const double coarse_m2 = 2000.0 * 2000.0, coarse_weight = 0.3;

/* Transport, rescue, health, safety, security and fire come together; the others with themselves alone. */
enum {
	SAFETY = 1 << 3,
	SECURITY = 1 << 4,
	RESCUE = 1 << 5,
	FIRE = 1 << 6,
	HEALTH = 1 << 7,
	TRANSPORT = 1 << 9,
	INFRA = 1 << 10,
};
static const struct {
	uint16_t of, with;
} kin[] = {
	{TRANSPORT, RESCUE | HEALTH | SAFETY | SECURITY | FIRE | INFRA},
	{RESCUE, TRANSPORT | HEALTH | FIRE | SAFETY},
	{HEALTH, TRANSPORT | RESCUE | FIRE | SECURITY | SAFETY},
	{FIRE, RESCUE | HEALTH | SAFETY | INFRA | TRANSPORT},
	{SAFETY, TRANSPORT | SECURITY | FIRE | RESCUE | HEALTH | INFRA},
	{SECURITY, SAFETY | HEALTH | TRANSPORT},
	{INFRA, SAFETY | FIRE | TRANSPORT},
};

enum cases_kinship cases_similar_relate(uint16_t categories, uint16_t others)
{
	if (categories & others)
		return CASES_KIND_SAME;
	for (size_t i = 0; i < sizeof kin / sizeof *kin; i++)
		if (categories & kin[i].of && others & kin[i].with)
			return CASES_KIND_NEAR;
	return CASES_KIND_OTHER;
}

double cases_similar_squared_m2(const struct cases_place *a, const struct cases_place *b)
{
	static const double degree = 3.14159265358979323846 / 180;
	double north = (a->lat - b->lat) * METRES_A_DEGREE;
	double east = (a->lon - b->lon) * METRES_A_DEGREE * cos((a->lat + b->lat) / 2 * degree);

	return north * north + east * east;
}

/* By when it was where both say so, else by when the exchange got to know. */
static int64_t later_us(const struct cases_case *asked, const struct cases_case *other)
{
	if (asked->place.occurred_at_us && other->place.occurred_at_us)
		return other->place.occurred_at_us - asked->place.occurred_at_us;
	return other->opened_at_us - asked->opened_at_us;
}

static double hours_of(int64_t us)
{
	return (us < 0 ? -(double)us : (double)us) / HOUR_US;
}

/* Near in place: as far as it can be told. */
static bool is_near(const struct cases_case *asked, const struct cases_case *other, double squared_m2)
{
	if (asked->place.located && other->place.located)
		return cases_similar_squared_m2(&asked->place, &other->place) <= squared_m2;
	if (*asked->place.constituency && *other->place.constituency)
		return strcmp(asked->place.constituency, other->place.constituency) == 0;
	return (asked->counties & other->counties) != 0;
}

/* Others than this one, near and at another time. */
static size_t count_usual(const struct cases_case *asked, const struct cases_case *others, size_t count, size_t except, double m2)
{
	size_t usual = 0;

	for (size_t i = 0; i < count; i++)
		usual += i != except && hours_of(later_us(asked, &others[i])) > own_h && is_near(asked, &others[i], m2);
	return usual;
}

static double likeness(const struct cases_similar *similar)
{
	double place = similar->measured ? similar->squared_m2 / place_m2 : 0, hours = hours_of(similar->later_us) / time_h;
	double likely = weight / (1 + place * place) / (1 + hours * hours);

	if (similar->kinship != CASES_KIND_SAME)
		likely *= similar->kinship == CASES_KIND_NEAR ? related : unrelated;
	if (similar->same_agency)
		likely *= one_agency;
	return similar->measured ? likely : likely * coarse_weight;
}

/* False: it cannot be the same, or nothing of its place is seen. */
static bool compare(const struct cases_case *asked, const struct cases_case *others, size_t count, double hours,
	struct cases_similar *similar)
{
	const struct cases_case *other = &others[similar->at];
	double m2 = coarse_m2, apart_h, chance, likely;

	similar->later_us = later_us(asked, other);
	similar->measured = asked->place.located && other->place.located;
	apart_h = hours_of(similar->later_us);
	if (jk_id_equal(&asked->case_id, &other->case_id) || apart_h > CASES_SIMILAR_HOURS ||
		!is_near(asked, other, (double)CASES_SIMILAR_RADIUS_M * CASES_SIMILAR_RADIUS_M))
		return false;
	if (similar->measured) {
		similar->squared_m2 = cases_similar_squared_m2(&asked->place, &other->place);
		m2 = similar->squared_m2 > at_least_m2 ? similar->squared_m2 : at_least_m2;
	}
	similar->kinship = cases_similar_relate(asked->labels.categories, other->labels.categories);
	similar->same_agency = *asked->labels.agency && strcmp(asked->labels.agency, other->labels.agency) == 0;
	similar->same_constituency =
		*asked->place.constituency && strcmp(asked->place.constituency, other->place.constituency) == 0;
	similar->usual = count_usual(asked, others, count, similar->at, m2);
	likely = likeness(similar);
	chance = ((double)similar->usual + unseen_km2 * m2 / 1e6) / hours * 2 * (apart_h > at_least_h ? apart_h : at_least_h);
	similar->score = (int)(100 * likely / (likely + chance) + 0.5);
	if (!similar->measured && similar->score > CASES_SIMILAR_COARSE_MAX)
		similar->score = CASES_SIMILAR_COARSE_MAX;
	return similar->score > 0;
}

/* The likelier; of two equal ones the nearer in time. */
static bool is_before(const struct cases_similar *a, const struct cases_similar *b)
{
	return a->score != b->score ? a->score > b->score : hours_of(a->later_us) < hours_of(b->later_us);
}

size_t cases_similar_rank(const struct cases_case *asked, const struct cases_case *others, size_t count, double hours,
	struct cases_similar *ret, size_t limit)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		struct cases_similar similar = {.at = i};
		size_t place;

		if (!compare(asked, others, count, hours > 1 ? hours : 1, &similar))
			continue;
		for (place = found; place > 0 && is_before(&similar, &ret[place - 1]); place--)
			if (place < limit)
				ret[place] = ret[place - 1];
		if (place < limit)
			ret[place] = similar;
		found += found < limit;
	}
	return found;
}
