/* cases_tally_internal.h: the columns, for cases_tally*.c alone. */
#pragma once

#include "cases_tally.h"

/* Spans in ticks of 10 ms. */
#define CASES_SPAN_UNKNOWN UINT32_MAX

/* Runs of values that together are one set. */
struct cases_runs {
	const uint32_t *values;
	const size_t *starts, *sizes; /* of each run */
	size_t count;
};
/* picked: room for as many values as there are. */
void cases_tally_measure(const struct cases_runs *runs, uint32_t *picked, struct cases_span_figure *ret);

struct label_key {
	uint64_t counties;
	uint16_t categories;
	uint8_t severity, status, scope, tlp;
	char agency[34];
};
struct label {
	struct label_key key;
	char *named;
	uint32_t agency;
};

struct cases_tally {
	size_t count, capacity;
	struct jk_id *ids;
	int64_t *opened_us, *event_at_us;
	uint32_t *label_of;
	uint32_t (*spans)[CASES_SPANS];
	uint8_t *states;
	/* Indices + 1 by hash; 0: empty. */
	uint32_t *slots, *label_slots;
	size_t mask, label_mask;
	struct label *labels;
	size_t label_count, label_capacity;
	/* Codes; the first is "", of what is not told. */
	char (*agencies)[33];
	size_t agency_count, agency_capacity;
};
