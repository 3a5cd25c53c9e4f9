#include "dispatch_open_rules.h"

#include <assert.h>
#include <string.h>

#include "base/jk_text.h"

enum { CASE_CLOSED = 8, CASE_REOPENED = 9, CASE_MERGED = 10 }; /* jukwaa.v1.CaseState, asserted in dispatch_open_wire.c */

#define NOT_CLOSED_BY_PUBLISHER (DISPATCH_CLOSED_CANCELLED | DISPATCH_CLOSED_MOVED)

const struct dispatch_open_rule dispatch_open_rules[] = {
	/* clang-format off */
	/* kind               labels opens  sets                       clears                   why */
	{JK_EVENT_INCIDENT,   true,  true,  0,                         NOT_CLOSED_BY_PUBLISHER, "it is in this county"},
	{JK_EVENT_UPDATE,     true,  true,  0,                         NOT_CLOSED_BY_PUBLISHER, "it is in this county, perhaps again"},
	{JK_EVENT_CANCEL,     true,  true,  DISPATCH_CLOSED_CANCELLED, DISPATCH_CLOSED_MOVED,   "its publisher takes it back"},
	{JK_EVENT_MOVED_AWAY, false, false, DISPATCH_CLOSED_MOVED,     0,                       "it has left this county"},
	{JK_EVENT_ERASED,     true,  false, 0,                         0,                       "the same revision, with less in it"},
	/* clang-format on */
};
const size_t dispatch_open_rules_count = sizeof dispatch_open_rules / sizeof *dispatch_open_rules;

const struct dispatch_open_rule *dispatch_open_rules_find(int kind)
{
	for (size_t i = 0; i < dispatch_open_rules_count; i++)
		if (dispatch_open_rules[i].kind == kind)
			return &dispatch_open_rules[i];
	return NULL;
}

void dispatch_open_reset(struct dispatch_open_batch *batch)
{
	batch->count = 0;
	memset(batch->slots, 0, sizeof batch->slots);
}

static struct dispatch_open_row *find_row(struct dispatch_open_batch *batch, const struct dispatch_open_event *event)
{
	uint64_t high, low, county = 0;
	size_t slot;

	memcpy(&high, event->incident_id.bytes, sizeof high);
	memcpy(&low, event->incident_id.bytes + sizeof high, sizeof low);
	memcpy(&county, event->stream, sizeof event->stream);
	slot = (size_t)((high ^ low ^ county << 20) * UINT64_C(0x9e3779b97f4a7c15) >> 52) % DISPATCH_OPEN_SLOTS;
	for (; batch->slots[slot]; slot = (slot + 1) % DISPATCH_OPEN_SLOTS) {
		struct dispatch_open_row *row = &batch->rows[batch->slots[slot] - 1];

		if (jk_id_equal(&row->incident_id, &event->incident_id) && strcmp(row->stream, event->stream) == 0)
			return row;
	}
	assert(batch->count < DISPATCH_OPEN_BATCH_MAX);
	struct dispatch_open_row *row = &batch->rows[batch->count++];

	*row = (struct dispatch_open_row){.incident_id = event->incident_id, .first_us = event->recorded_at_us};
	memcpy(row->stream, event->stream, sizeof row->stream);
	batch->slots[slot] = (uint16_t)batch->count;
	return row;
}

static void set_bits(struct dispatch_open_row *row, int sets, int clears)
{
	row->decided |= sets | clears;
	row->closed = (row->closed & ~clears) | sets;
}

static void take_labels(struct dispatch_open_row *row, const struct dispatch_open_event *event)
{
	row->labels = event->labels;
	row->event_id = event->event_id;
	row->revision = event->revision;
	row->body_us = event->recorded_at_us;
}

static void take_case(struct dispatch_open_row *row, const struct dispatch_open_event *event)
{
	bool ended = event->case_state == CASE_CLOSED || event->case_state == CASE_MERGED;

	if (event->case_state == 0)
		return;
	row->case_state = event->case_state;
	set_bits(row, ended ? DISPATCH_CLOSED_CASE : 0, ended ? 0 : DISPATCH_CLOSED_CASE);
	if (event->case_state != CASE_REOPENED || row->has_labels)
		return;
	row->remakes = true;
	take_labels(row, event);
}

void dispatch_open_add(struct dispatch_open_batch *batch, const struct dispatch_open_event *event)
{
	struct dispatch_open_row *row = find_row(batch, event);
	const struct dispatch_open_rule *rule = dispatch_open_rules_find(event->kind);

	row->seq = event->seq;
	row->last_us = event->recorded_at_us;
	if (event->kind == JK_EVENT_CASE_STATE)
		take_case(row, event);
	if (rule == NULL)
		return;
	set_bits(row, rule->sets, rule->clears);
	row->opens = row->opens || rule->opens;
	if (!rule->labels)
		return;
	row->has_labels = true;
	row->body_seq = event->seq;
	take_labels(row, event);
}

void dispatch_open_name(char named[DISPATCH_NAMED_BYTES], const char *code)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"; /* as the registry has them */
	size_t used = strlen(named), size = strlen(code);

	/* A part of a desk's code may be its agency's. */
	if (size > 0 && strspn(code, letters) == size && used + 1 + size < DISPATCH_NAMED_BYTES)
		(void)jk_text_format(named + used, DISPATCH_NAMED_BYTES - used, "%s%s", used ? "," : "", code);
}

size_t dispatch_open_names(char named[DISPATCH_NAMED_BYTES], const char *ret[DISPATCH_NAMED_MAX])
{
	size_t count = 0;

	for (char *rest = named, *code; (code = strtok_r(rest, ",", &rest)) && count < DISPATCH_NAMED_MAX;)
		ret[count++] = code;
	return count;
}
