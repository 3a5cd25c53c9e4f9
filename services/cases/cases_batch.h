/* cases_batch.h: a batch of events and what it makes of the cases it touches: add the events, say what is known already, decide.
 * Several events of one incident become one change of its row; several copies of one event become one line. Pure: no memory
 * beyond the struct, no SQL. */
#pragma once

#include "cases_rules.h"

enum { CASES_BATCH_MAX = 1024, CASES_BATCH_SLOTS = 4096 };

struct cases_batch {
	size_t event_count, case_count, entry_count;
	struct cases_event events[CASES_BATCH_MAX];
	size_t case_of[CASES_BATCH_MAX]; /* of events[i] */
	/* Distinct event ids, and whether the timeline has their line. */
	size_t report_count;
	struct jk_id reports[CASES_BATCH_MAX];
	struct jk_id report_incidents[CASES_BATCH_MAX];
	bool entered[CASES_BATCH_MAX];
	size_t report_of[CASES_BATCH_MAX]; /* of events[i] */
	/* Distinct incidents: version 0 where there is no case. loaded: the version before this batch. */
	struct cases_case cases[CASES_BATCH_MAX];
	int32_t loaded[CASES_BATCH_MAX];
	/* Lines to add. */
	struct cases_entry entries[CASES_BATCH_MAX];
	/* Hash tables: index + 1, 0 is empty. */
	uint16_t case_slots[CASES_BATCH_SLOTS], report_slots[CASES_BATCH_SLOTS];
};

void cases_batch_reset(struct cases_batch *batch);
/* At most CASES_BATCH_MAX times. */
void cases_batch_add(struct cases_batch *batch, const struct cases_event *event);
/* A stored case of one of the batch's incidents. Others are passed over. */
void cases_batch_know_case(struct cases_batch *batch, const struct cases_case *known);
/* The timeline has a line for this event. */
void cases_batch_know_entry(struct cases_batch *batch, const struct jk_id *event_id);

struct cases_outcome {
	size_t opened, revised; /* cases */
};
/* Applies the rules to the events in order. Call once, after all that is known has been said. */
struct cases_outcome cases_batch_decide(struct cases_batch *batch);
/* What to do with cases[i]: insert (new), update, or neither (untouched). */
bool cases_batch_is_new(const struct cases_batch *batch, size_t i);
bool cases_batch_is_changed(const struct cases_batch *batch, size_t i);
