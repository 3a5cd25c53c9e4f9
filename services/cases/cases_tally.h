/* cases_tally.h: figures over all cases, exactly and at once: every case as a few numbers in memory (56 bytes), its labels once
 * for all cases that share them, so that the decision function is asked once for labels and age, and not once for each case. Pure
 * but for its memory: neither SQL nor the clock. Not here: keeping it at the newest (cases_figures.h). */
#pragma once

#include "base/jk_status.h"
#include "cases.h"

enum cases_span { CASES_SPAN_ACCEPTED, CASES_SPAN_DISPATCHED, CASES_SPAN_ON_SCENE, CASES_SPAN_RESOLVED, CASES_SPANS };
enum cases_age { CASES_AGE_HOUR, CASES_AGE_DAY, CASES_AGE_WEEK, CASES_AGE_OLDER, CASES_AGES };

struct cases_tally;
struct cases_tally *cases_tally_new(void);
void cases_tally_free(struct cases_tally **tally_p);
/* Adds the case, or takes the place of what was known of it. JK_BROKEN: out of memory, and it is as before. */
enum jk_status cases_tally_put(struct cases_tally *tally, const struct cases_case *row) JK_MUST_CHECK;
size_t cases_tally_count(const struct cases_tally *tally);

/* May the asker see cases with these labels, of this age? Only labels, counties and event_at_us are filled in. */
struct cases_verdict {
	bool allowed;
	uint32_t withheld;
};
typedef struct cases_verdict cases_tally_decide(void *arg, const struct cases_case *like);

/* What was decided already, by labels and age; the caller keeps it as long as no decision of this asker's can have changed, and
 * frees it. Zero-initialise. tidied: what the tally's labels were numbered by. */
struct cases_verdicts {
	uint8_t *bytes;
	size_t labels;
	uint64_t tidied;
};

enum { CASES_TALLY_CLASSES_MAX = 64 };
struct cases_tally_question {
	uint64_t counties;  /* 0: every county */
	const char *agency; /* "": every one */
	int64_t from_us, to_us, now_us;
	/* Ages in days at which a decision may change, ascending: every retention_days of the asker's terms. */
	uint32_t days[CASES_TALLY_CLASSES_MAX];
	size_t day_count;
	struct cases_verdicts *verdicts; /* made with the same days */
	cases_tally_decide *decide;
	void *arg;
};

/* p50 and p90 by nearest rank, to 10 ms, and no more than 497 days; 0 where count is. */
struct cases_span_figure {
	uint64_t count;
	int64_t p50_ms, p90_ms;
};
struct cases_figure {
	char county[4], agency[33]; /* "" in the row of all, or withheld */
	uint64_t count, open[CASES_AGES];
	struct cases_span_figure spans[CASES_SPANS];
};
struct cases_figures {
	struct cases_figure all, *rows; /* rows: malloc'd, by county and agency; the caller frees it */
	size_t count;
};
/* JK_BROKEN: out of memory. */
enum jk_status cases_tally_ask(
	const struct cases_tally *tally, const struct cases_tally_question *question, struct cases_figures *ret) JK_MUST_CHECK;
