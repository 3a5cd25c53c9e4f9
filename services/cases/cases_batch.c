#include "cases_batch.h"

#include <assert.h>
#include <string.h>

void cases_batch_reset(struct cases_batch *batch)
{
	batch->event_count = batch->case_count = batch->entry_count = batch->report_count = 0;
	memset(batch->case_slots, 0, sizeof batch->case_slots);
	memset(batch->report_slots, 0, sizeof batch->report_slots);
}

/* Ids of version 7 differ in their random tail and, within one millisecond, in the counter before it. */
static size_t slot_of(const struct jk_id *id)
{
	uint64_t high, low;
	memcpy(&high, id->bytes, sizeof high);
	memcpy(&low, id->bytes + sizeof high, sizeof low);
	return (size_t)((high ^ low) * UINT64_C(0x9e3779b97f4a7c15) >> 52) % CASES_BATCH_SLOTS;
}

static uint16_t *find_case(struct cases_batch *batch, const struct jk_id *incident_id)
{
	size_t slot = slot_of(incident_id);
	while (batch->case_slots[slot] && !jk_id_equal(&batch->cases[batch->case_slots[slot] - 1].case_id, incident_id))
		slot = (slot + 1) % CASES_BATCH_SLOTS;
	return &batch->case_slots[slot];
}

static uint16_t *find_report(struct cases_batch *batch, const struct jk_id *event_id)
{
	size_t slot = slot_of(event_id);
	while (batch->report_slots[slot] && !jk_id_equal(&batch->reports[batch->report_slots[slot] - 1], event_id))
		slot = (slot + 1) % CASES_BATCH_SLOTS;
	return &batch->report_slots[slot];
}

void cases_batch_add(struct cases_batch *batch, const struct cases_event *event)
{
	assert(batch->event_count < CASES_BATCH_MAX);
	size_t i = batch->event_count++;
	batch->events[i] = *event;

	uint16_t *incident = find_case(batch, &event->incident_id);
	if (!*incident) {
		batch->cases[batch->case_count] = (struct cases_case){.case_id = event->incident_id};
		batch->loaded[batch->case_count] = 0;
		*incident = (uint16_t)++batch->case_count;
	}
	batch->case_of[i] = *incident - 1U;

	uint16_t *report = find_report(batch, &event->event_id);
	if (!*report) {
		batch->reports[batch->report_count] = event->event_id;
		batch->report_incidents[batch->report_count] = event->incident_id;
		batch->entered[batch->report_count] = false;
		*report = (uint16_t)++batch->report_count;
	}
	batch->report_of[i] = *report - 1U;
}

void cases_batch_know_case(struct cases_batch *batch, const struct cases_case *known)
{
	uint16_t at = *find_case(batch, &known->case_id);
	if (!at)
		return;
	batch->cases[at - 1] = *known;
	batch->loaded[at - 1] = known->version;
}

void cases_batch_know_entry(struct cases_batch *batch, const struct jk_id *event_id)
{
	uint16_t at = *find_report(batch, event_id);
	if (at)
		batch->entered[at - 1] = true;
}

struct cases_outcome cases_batch_decide(struct cases_batch *batch)
{
	struct cases_outcome outcome = {0};
	for (size_t i = 0; i < batch->event_count; i++) {
		bool *entered = &batch->entered[batch->report_of[i]];
		struct cases_case *incident_case = &batch->cases[batch->case_of[i]];
		if (cases_rules_apply(incident_case, &batch->events[i], *entered, &batch->entries[batch->entry_count])) {
			batch->entry_count++;
			*entered = true;
		}
	}
	for (size_t i = 0; i < batch->case_count; i++) {
		outcome.opened += cases_batch_is_new(batch, i);
		outcome.revised += cases_batch_is_changed(batch, i);
	}
	return outcome;
}

bool cases_batch_is_new(const struct cases_batch *batch, size_t i)
{
	return batch->loaded[i] == 0 && batch->cases[i].version > 0;
}

bool cases_batch_is_changed(const struct cases_batch *batch, size_t i)
{
	return batch->loaded[i] > 0 && batch->cases[i].version > batch->loaded[i];
}
