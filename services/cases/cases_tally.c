/* cases_tally.c: the columns and what they are kept by: cases by id, labels by what they say. Counting: cases_tally_ask.c. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "cases_tally_internal.h"

enum { ROWS_FIRST = 4096 };
#define TICK_US INT64_C(10000)

struct cases_tally *cases_tally_new(void)
{
	return calloc(1, sizeof(struct cases_tally));
}

void cases_tally_free(struct cases_tally **tally_p)
{
	struct cases_tally *tally = *tally_p;

	if (!tally)
		return;
	*tally_p = NULL;
	for (size_t i = 0; i < tally->label_count; i++)
		free(tally->labels[i].named);
	free(tally->labels);
	free(tally->label_slots);
	free(tally->agencies);
	free(tally->ids);
	free(tally->opened_us);
	free(tally->event_at_us);
	free(tally->label_of);
	free(tally->spans);
	free(tally->states);
	free(tally->slots);
	free(tally);
}

size_t cases_tally_count(const struct cases_tally *tally)
{
	return tally->count;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * UINT64_C(1099511628211);
	return hash ^ hash >> 29;
}

static uint64_t hash_id(const struct jk_id *id)
{
	return mix(UINT64_C(14695981039346656037), id->bytes, sizeof id->bytes);
}

/* Labels as bytes without holes, to compare and to hash. */
static void fill_key(struct label_key *key, const struct cases_case *row)
{
	memset(key, 0, sizeof *key);
	key->counties = row->counties;
	key->categories = row->labels.categories;
	key->severity = (uint8_t)row->labels.severity;
	key->status = (uint8_t)row->labels.status;
	key->scope = (uint8_t)row->labels.scope;
	key->tlp = (uint8_t)row->labels.tlp;
	memcpy(key->agency, row->labels.agency, strnlen(row->labels.agency, sizeof key->agency - 1));
}

static uint64_t hash_label(const struct label_key *key, const char *named)
{
	return mix(mix(UINT64_C(14695981039346656037), key, sizeof *key), named, strlen(named));
}

/* A table of indices + 1, at most half full; NULL: no memory, and it is as before. */
static uint32_t *grow_slots(uint32_t **slots_p, size_t *mask, size_t count)
{
	size_t size = *slots_p ? *mask + 1 : 0;
	uint32_t *slots;

	if (size > 0 && (count + 1) * 2 <= size)
		return *slots_p;
	size = size ? size * 2 : ROWS_FIRST * 2;
	slots = calloc(size, sizeof *slots);
	if (!slots)
		return NULL;
	free(*slots_p);
	*slots_p = slots;
	*mask = size - 1;
	return slots;
}

static bool make_slots(struct cases_tally *tally)
{
	const uint32_t *before = tally->slots;

	if (!grow_slots(&tally->slots, &tally->mask, tally->count))
		return false;
	for (size_t i = 0; tally->slots != before && i < tally->count; i++) {
		size_t at = hash_id(&tally->ids[i]) & tally->mask;

		while (tally->slots[at])
			at = (at + 1) & tally->mask;
		tally->slots[at] = (uint32_t)i + 1;
	}
	return true;
}

static bool make_label_slots(struct cases_tally *tally)
{
	const uint32_t *before = tally->label_slots;

	if (!grow_slots(&tally->label_slots, &tally->label_mask, tally->label_count))
		return false;
	for (size_t i = 0; tally->label_slots != before && i < tally->label_count; i++) {
		size_t at = hash_label(&tally->labels[i].key, tally->labels[i].named) & tally->label_mask;

		while (tally->label_slots[at])
			at = (at + 1) & tally->label_mask;
		tally->label_slots[at] = (uint32_t)i + 1;
	}
	return true;
}

/* UINT32_MAX: no memory. */
static uint32_t find_agency(struct cases_tally *tally, const char *code)
{
	for (size_t i = 1; i < tally->agency_count; i++)
		if (strcmp(tally->agencies[i], code) == 0)
			return (uint32_t)i;
	if (tally->agency_count + 2 > tally->agency_capacity) {
		size_t capacity = tally->agency_capacity + 64;
		void *agencies = realloc(tally->agencies, capacity * sizeof *tally->agencies);

		if (!agencies)
			return UINT32_MAX;
		tally->agencies = agencies;
		tally->agency_capacity = capacity;
	}
	if (tally->agency_count == 0)
		tally->agencies[tally->agency_count++][0] = '\0';
	(void)jk_text_copy(tally->agencies[tally->agency_count], sizeof *tally->agencies, code);
	return (uint32_t)tally->agency_count++;
}

static uint32_t add_label(struct cases_tally *tally, const struct label_key *key, const char *named, size_t at)
{
	uint32_t agency = find_agency(tally, key->agency);
	struct label *labels = tally->labels;

	if (tally->label_count == tally->label_capacity) {
		size_t capacity = tally->label_capacity ? tally->label_capacity * 2 : 1024;

		labels = realloc(tally->labels, capacity * sizeof *labels);
		if (!labels)
			return UINT32_MAX;
		tally->labels = labels;
		tally->label_capacity = capacity;
	}
	labels += tally->label_count;
	*labels = (struct label){.key = *key, .named = agency == UINT32_MAX ? NULL : strdup(named), .agency = agency};
	if (!labels->named)
		return UINT32_MAX;
	tally->label_slots[at] = (uint32_t)++tally->label_count;
	return (uint32_t)tally->label_count - 1;
}

/* Index of the labels; UINT32_MAX: no memory. */
static uint32_t find_label(struct cases_tally *tally, const struct cases_case *row)
{
	struct label_key key;
	size_t at;

	if (!make_label_slots(tally))
		return UINT32_MAX;
	fill_key(&key, row);
	at = hash_label(&key, row->labels.named) & tally->label_mask;
	for (uint32_t slot; (slot = tally->label_slots[at]); at = (at + 1) & tally->label_mask)
		if (memcmp(&tally->labels[slot - 1].key, &key, sizeof key) == 0 &&
			strcmp(tally->labels[slot - 1].named, row->labels.named) == 0)
			return slot - 1;
	return add_label(tally, &key, row->labels.named, at);
}

/* Each column may be longer than the others for a while: capacity is what all of them have. */
static bool make_room(struct cases_tally *tally)
{
	size_t capacity = tally->capacity ? tally->capacity + tally->capacity / 2 : ROWS_FIRST;
	void **columns[] = {(void **)&tally->ids, (void **)&tally->opened_us, (void **)&tally->event_at_us,
		(void **)&tally->label_of, (void **)&tally->spans, (void **)&tally->states};
	const size_t sizes[] = {sizeof *tally->ids, sizeof *tally->opened_us, sizeof *tally->event_at_us, sizeof *tally->label_of,
		sizeof *tally->spans, sizeof *tally->states};

	if (tally->count < tally->capacity)
		return true;
	if (capacity >= UINT32_MAX)
		return false;
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		void *column = realloc(*columns[i], capacity * sizes[i]);

		if (!column)
			return false;
		*columns[i] = column;
	}
	tally->capacity = capacity;
	return true;
}

static uint32_t span_between(int64_t from_us, int64_t to_us)
{
	int64_t ticks = (to_us - from_us) / TICK_US;

	if (!from_us || !to_us)
		return CASES_SPAN_UNKNOWN;
	return ticks < 0 ? 0 : ticks >= CASES_SPAN_UNKNOWN ? CASES_SPAN_UNKNOWN - 1 : (uint32_t)ticks;
}

static void fill_row(struct cases_tally *tally, size_t i, const struct cases_case *row, uint32_t label)
{
	const struct cases_steps *steps = &row->steps;
	uint32_t *spans = tally->spans[i];

	tally->ids[i] = row->case_id;
	tally->opened_us[i] = row->opened_at_us;
	tally->event_at_us[i] = row->event_at_us;
	tally->label_of[i] = label;
	tally->states[i] = (uint8_t)row->state;
	spans[CASES_SPAN_ACCEPTED] = span_between(row->opened_at_us, steps->accepted_at_us);
	spans[CASES_SPAN_DISPATCHED] = span_between(steps->accepted_at_us, steps->dispatched_at_us);
	spans[CASES_SPAN_ON_SCENE] = span_between(steps->dispatched_at_us, steps->on_scene_at_us);
	spans[CASES_SPAN_RESOLVED] = span_between(steps->on_scene_at_us, steps->resolved_at_us);
}

enum jk_status cases_tally_put(struct cases_tally *tally, const struct cases_case *row)
{
	uint32_t label = make_slots(tally) && make_room(tally) ? find_label(tally, row) : UINT32_MAX;
	size_t at;

	if (label == UINT32_MAX)
		return JK_BROKEN;
	at = hash_id(&row->case_id) & tally->mask;
	for (uint32_t slot; (slot = tally->slots[at]); at = (at + 1) & tally->mask)
		if (jk_id_equal(&tally->ids[slot - 1], &row->case_id)) {
			fill_row(tally, slot - 1, row, label);
			return JK_OK;
		}
	fill_row(tally, tally->count, row, label);
	tally->slots[at] = (uint32_t)++tally->count;
	return JK_OK;
}
