/* cases_tally_internal.h: the shelves, for cases_tally*.c alone. */
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
	uint32_t shelf;
	uint32_t cases; /* that have it; 0: kept until the next tidying */
};

/* A case: 56 bytes. event_at_us: until the year 3100. */
struct tally_row {
	struct jk_id id;
	int64_t opened_us;
	int64_t event_at_us : 56;
	uint64_t state : 8;
	uint32_t spans[CASES_SPANS];
	uint32_t label;
};

/* The cases of one agency in the same counties, side by side: what a question counts is read from front to back, and shelves that
 * it does not ask for are passed over. */
struct shelf {
	uint64_t counties;
	uint32_t agency;
	uint32_t count, capacity;
	struct tally_row *rows;
};

/* Where a case is. shelf: index + 1; 0: an empty slot. */
struct tally_slot {
	uint32_t shelf, row;
};

struct cases_tally {
	size_t count, dead; /* dead: labels that no case has */
	uint64_t tidied;    /* how often; labels have other indices after it */
	struct shelf *shelves;
	struct label *labels;
	size_t shelf_count, shelf_capacity, label_count, label_capacity;
	/* By hash of the id; of the others indices + 1. */
	struct tally_slot *slots;
	uint32_t *label_slots, *shelf_slots;
	size_t mask, label_mask, shelf_mask;
	/* Codes; the first is "", of what is not told. */
	char (*agencies)[33];
	size_t agency_count, agency_capacity;
};

/* Lets go of dead labels and empty shelves once there are many, which costs a look at every case. */
void cases_tally_tidy(struct cases_tally *tally);

/* The tables by hash of the three, made anew in the room they have. cases_tally.c */
void cases_tally_fill_tables(struct cases_tally *tally);
