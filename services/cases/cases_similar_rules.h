/* cases_similar_rules.h: which other cases may be about the same thing. Pure, and told only what the asker may see: what is
 * withheld is not there (cases_rules_withhold), and so in no score. Real positions repeat (a junction has hundreds of crashes),
 * so being at the same place says little where much happens, and time decides: two reports are held against how many unrelated
 * ones are to be expected as near in place and time, from what else is around. Nothing is merged by it. */
#pragma once

#include "cases.h"

enum {
	CASES_SIMILAR_DEFAULT = 10,
	CASES_SIMILAR_MAX = 50,
	CASES_SIMILAR_RADIUS_M = 2000,
	CASES_SIMILAR_HOURS = 6,       /* how far apart two reports of one thing may be */
	CASES_SIMILAR_DAYS = 14,       /* each way: what is usual around here */
	CASES_SIMILAR_LIKELY = 50,     /* a score from here on: the same is more likely than not */
	CASES_SIMILAR_COARSE_MAX = 40, /* where one of the positions is not seen */
	CASES_SIMILAR_CELLS = 50,      /* a degree, see 022_find.sql */
	CASES_SIMILAR_REASON_BYTES = 96,
	CASES_SIMILAR_REASONS = 4,
};

/* How two categories go together: reports of one thing by two agencies often differ in it. */
enum cases_kinship { CASES_KIND_SAME, CASES_KIND_NEAR, CASES_KIND_OTHER };
enum cases_kinship cases_similar_relate(uint16_t categories, uint16_t others);

struct cases_similar {
	size_t at; /* among the others */
	int score; /* 1 to 100 */
	bool measured;
	double squared_m2; /* the distance, squared; where measured */
	int64_t later_us;
	enum cases_kinship kinship;
	bool same_agency, same_constituency;
	size_t usual; /* unrelated cases around, in the time that was looked at */
};

/* Others: those near, the case itself may be among them. hours: how much time they are all of, before and after it. The likeliest
 * first; returns how many, limit at most. */
size_t cases_similar_rank(const struct cases_case *asked, const struct cases_case *others, size_t count, double hours,
	struct cases_similar *ret, size_t limit);
/* Squared distance in m², good to 1 % within some kilometres. */
double cases_similar_squared_m2(const struct cases_place *a, const struct cases_place *b);
