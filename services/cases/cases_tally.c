/* cases_tally.c: the shelves and what they are kept by: cases by id, labels by what they say, shelves by agency and counties.
 * Counting: cases_tally_ask.c. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "cases_tally_internal.h"

enum { SLOTS_FIRST = 4096, NO_INDEX = -1 };
#define TICK_US INT64_C(10000)
#define HASH_SEED UINT64_C(14695981039346656037)

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
	for (size_t i = 0; i < tally->shelf_count; i++)
		free(tally->shelves[i].rows);
	free(tally->labels);
	free(tally->shelves);
	free(tally->slots);
	free(tally->label_slots);
	free(tally->shelf_slots);
	free(tally->agencies);
	free(tally);
}

size_t cases_tally_count(const struct cases_tally *tally)
{
	return tally->count;
}

/* ---- tables by hash ------------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * UINT64_C(1099511628211);
	return hash ^ hash >> 29;
}

static uint64_t hash_id(const struct jk_id *id)
{
	return mix(HASH_SEED, id->bytes, sizeof id->bytes);
}

static uint64_t hash_label(const struct label_key *key, const char *named)
{
	return mix(mix(HASH_SEED, key, sizeof *key), named, strlen(named));
}

static uint64_t hash_shelf(uint64_t counties, uint32_t agency)
{
	return mix(mix(HASH_SEED, &counties, sizeof counties), &agency, sizeof agency);
}

/* How large a table for one more is to be, at most half full; 0: as it is. */
static size_t grown(size_t size, size_t count)
{
	if (size > 0 && (count + 1) * 2 <= size)
		return 0;
	return size ? size * 2 : SLOTS_FIRST * 2;
}

static size_t size_of(const void *slots, size_t mask)
{
	return slots ? mask + 1 : 0;
}

static void fill_slots(const struct cases_tally *tally, struct tally_slot *slots, size_t mask)
{
	for (uint32_t shelf = 0; shelf < tally->shelf_count; shelf++)
		for (uint32_t row = 0; row < tally->shelves[shelf].count; row++) {
			size_t at = hash_id(&tally->shelves[shelf].rows[row].id) & mask;

			while (slots[at].shelf)
				at = (at + 1) & mask;
			slots[at] = (struct tally_slot){.shelf = shelf + 1, .row = row};
		}
}

static bool make_slots(struct cases_tally *tally)
{
	size_t size = grown(size_of(tally->slots, tally->mask), tally->count);
	struct tally_slot *slots = size ? calloc(size, sizeof *slots) : NULL;

	if (!size)
		return true;
	if (!slots)
		return false;
	fill_slots(tally, slots, size - 1);
	free(tally->slots);
	tally->slots = slots;
	tally->mask = size - 1;
	return true;
}

static uint64_t hash_of_label(const struct cases_tally *tally, size_t i)
{
	return hash_label(&tally->labels[i].key, tally->labels[i].named);
}

static uint64_t hash_of_shelf(const struct cases_tally *tally, size_t i)
{
	return hash_shelf(tally->shelves[i].counties, tally->shelves[i].agency);
}

typedef uint64_t hash_of_one(const struct cases_tally *tally, size_t i);

static void fill_index(const struct cases_tally *tally, hash_of_one *hash_of, size_t count, uint32_t *slots, size_t mask)
{
	for (size_t i = 0; i < count; i++) {
		size_t at = hash_of(tally, i) & mask;

		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = (uint32_t)i + 1;
	}
}

/* Of labels or shelves. False: no memory, and it is as before. */
static bool make_index(const struct cases_tally *tally, hash_of_one *hash_of, size_t count, uint32_t **slots_p, size_t *mask)
{
	size_t size = grown(size_of(*slots_p, *mask), count);
	uint32_t *slots = size ? calloc(size, sizeof *slots) : NULL;

	if (!size)
		return true;
	if (!slots)
		return false;
	fill_index(tally, hash_of, count, slots, size - 1);
	free(*slots_p);
	*slots_p = slots;
	*mask = size - 1;
	return true;
}

void cases_tally_fill_tables(struct cases_tally *tally)
{
	memset(tally->slots, 0, (tally->mask + 1) * sizeof *tally->slots);
	memset(tally->label_slots, 0, (tally->label_mask + 1) * sizeof *tally->label_slots);
	memset(tally->shelf_slots, 0, (tally->shelf_mask + 1) * sizeof *tally->shelf_slots);
	fill_slots(tally, tally->slots, tally->mask);
	fill_index(tally, hash_of_label, tally->label_count, tally->label_slots, tally->label_mask);
	fill_index(tally, hash_of_shelf, tally->shelf_count, tally->shelf_slots, tally->shelf_mask);
}

/* The slot of the case, or the empty one for it. */
static struct tally_slot *find_slot(const struct cases_tally *tally, const struct jk_id *id)
{
	size_t at = hash_id(id) & tally->mask;

	while (tally->slots[at].shelf) {
		const struct tally_slot *slot = &tally->slots[at];

		if (jk_id_equal(&tally->shelves[slot->shelf - 1].rows[slot->row].id, id))
			break;
		at = (at + 1) & tally->mask;
	}
	return &tally->slots[at];
}

/* ---- labels and shelves ---------------------------------------------------------------------------------------------------- */

/* Room for one more element; NULL: no memory, and it is as before. */
static void *grow(void *elements, size_t *capacity, size_t count, size_t element_bytes)
{
	size_t larger = *capacity + *capacity / 2 + 64;
	void *grown_elements;

	if (count < *capacity)
		return elements;
	grown_elements = realloc(elements, larger * element_bytes);
	if (grown_elements)
		*capacity = larger;
	return grown_elements;
}

/* NO_INDEX: no memory. */
static int64_t find_agency(struct cases_tally *tally, const char *code)
{
	void *agencies;

	for (size_t i = 1; i < tally->agency_count; i++)
		if (strcmp(tally->agencies[i], code) == 0)
			return (int64_t)i;
	agencies = grow(tally->agencies, &tally->agency_capacity, tally->agency_count + 1, sizeof *tally->agencies);
	if (!agencies)
		return NO_INDEX;
	tally->agencies = agencies;
	if (tally->agency_count == 0)
		tally->agencies[tally->agency_count++][0] = '\0';
	(void)jk_text_copy(tally->agencies[tally->agency_count], sizeof *tally->agencies, code);
	return (int64_t)tally->agency_count++;
}

static int64_t find_shelf(struct cases_tally *tally, uint64_t counties, const char *code)
{
	int64_t agency = find_agency(tally, code);
	struct shelf *shelves;
	size_t at;

	if (agency == NO_INDEX || !make_index(tally, hash_of_shelf, tally->shelf_count, &tally->shelf_slots, &tally->shelf_mask))
		return NO_INDEX;
	at = hash_shelf(counties, (uint32_t)agency) & tally->shelf_mask;
	for (uint32_t slot; (slot = tally->shelf_slots[at]); at = (at + 1) & tally->shelf_mask)
		if (tally->shelves[slot - 1].counties == counties && tally->shelves[slot - 1].agency == (uint32_t)agency)
			return slot - 1;
	shelves = grow(tally->shelves, &tally->shelf_capacity, tally->shelf_count, sizeof *shelves);
	if (!shelves)
		return NO_INDEX;
	tally->shelves = shelves;
	shelves[tally->shelf_count] = (struct shelf){.counties = counties, .agency = (uint32_t)agency};
	tally->shelf_slots[at] = (uint32_t)++tally->shelf_count;
	return (int64_t)tally->shelf_count - 1;
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

static int64_t add_label(struct cases_tally *tally, const struct label_key *key, const char *named, size_t at)
{
	int64_t shelf = find_shelf(tally, key->counties, key->agency);
	struct label *labels = grow(tally->labels, &tally->label_capacity, tally->label_count, sizeof *labels);

	if (labels)
		tally->labels = labels;
	if (!labels || shelf == NO_INDEX)
		return NO_INDEX;
	labels += tally->label_count;
	*labels = (struct label){.key = *key, .named = strdup(named), .shelf = (uint32_t)shelf};
	if (!labels->named)
		return NO_INDEX;
	tally->label_slots[at] = (uint32_t)++tally->label_count;
	tally->dead++; /* until a case has it */
	return (int64_t)tally->label_count - 1;
}

static int64_t find_label(struct cases_tally *tally, const struct cases_case *row)
{
	struct label_key key;
	size_t at;

	if (!make_index(tally, hash_of_label, tally->label_count, &tally->label_slots, &tally->label_mask))
		return NO_INDEX;
	fill_key(&key, row);
	at = hash_label(&key, row->labels.named) & tally->label_mask;
	for (uint32_t slot; (slot = tally->label_slots[at]); at = (at + 1) & tally->label_mask)
		if (memcmp(&tally->labels[slot - 1].key, &key, sizeof key) == 0 &&
			strcmp(tally->labels[slot - 1].named, row->labels.named) == 0)
			return slot - 1;
	return add_label(tally, &key, row->labels.named, at);
}

/* ---- cases ----------------------------------------------------------------------------------------------------------------- */

/* Little more than is needed: there are many shelves. */
static bool make_room(struct shelf *shelf)
{
	size_t capacity = (size_t)shelf->capacity + shelf->capacity / 8 + 4;
	struct tally_row *rows;

	if (shelf->count < shelf->capacity)
		return true;
	if (capacity > UINT32_MAX)
		return false;
	rows = realloc(shelf->rows, capacity * sizeof *rows);
	if (!rows)
		return false;
	shelf->rows = rows;
	shelf->capacity = (uint32_t)capacity;
	return true;
}

static uint32_t span_between(int64_t from_us, int64_t to_us)
{
	int64_t ticks = (to_us - from_us) / TICK_US;

	if (!from_us || !to_us)
		return CASES_SPAN_UNKNOWN;
	return ticks < 0 ? 0 : ticks >= CASES_SPAN_UNKNOWN ? CASES_SPAN_UNKNOWN - 1 : (uint32_t)ticks;
}

static void fill_row(struct tally_row *to, const struct cases_case *row, uint32_t label)
{
	const struct cases_steps *steps = &row->steps;

	*to = (struct tally_row){.id = row->case_id,
		.opened_us = row->opened_at_us,
		.event_at_us = row->event_at_us,
		.state = row->state & 0xff,
		.label = label};
	to->spans[CASES_SPAN_ACCEPTED] = span_between(row->opened_at_us, steps->accepted_at_us);
	to->spans[CASES_SPAN_DISPATCHED] = span_between(steps->accepted_at_us, steps->dispatched_at_us);
	to->spans[CASES_SPAN_ON_SCENE] = span_between(steps->dispatched_at_us, steps->on_scene_at_us);
	to->spans[CASES_SPAN_RESOLVED] = span_between(steps->on_scene_at_us, steps->resolved_at_us);
}

/* Keeps no more room than a shelf that has grown to this: cases may move from shelf to shelf for ever. */
static void give_room_back(struct shelf *shelf)
{
	uint32_t capacity = shelf->count + shelf->count / 8 + 4;
	struct tally_row *rows;

	if (shelf->count > 0 && capacity >= shelf->capacity / 4)
		return;
	if (shelf->count == 0) {
		free(shelf->rows);
		shelf->rows = NULL;
		shelf->capacity = 0;
		return;
	}
	rows = realloc(shelf->rows, capacity * sizeof *rows);
	if (!rows)
		return;
	shelf->rows = rows;
	shelf->capacity = capacity;
}

/* The last one takes its place. */
static void take_out(struct cases_tally *tally, struct tally_slot from)
{
	struct shelf *shelf = &tally->shelves[from.shelf - 1];
	uint32_t last = shelf->count - 1;

	if (from.row != last) {
		find_slot(tally, &shelf->rows[last].id)->row = from.row;
		shelf->rows[from.row] = shelf->rows[last];
	}
	shelf->count = last;
	give_room_back(shelf);
}

static void take_label(struct cases_tally *tally, uint32_t label)
{
	if (tally->labels[label].cases++ == 0)
		tally->dead--;
}

static void leave_label(struct cases_tally *tally, uint32_t label)
{
	if (--tally->labels[label].cases == 0)
		tally->dead++;
}

enum jk_status cases_tally_put(struct cases_tally *tally, const struct cases_case *row)
{
	struct tally_slot *slot, before;
	struct shelf *shelf;
	uint32_t shelf_at;
	int64_t label;

	cases_tally_tidy(tally);
	label = make_slots(tally) ? find_label(tally, row) : NO_INDEX;
	if (label == NO_INDEX)
		return JK_BROKEN;
	shelf_at = tally->labels[label].shelf;
	shelf = &tally->shelves[shelf_at];
	slot = find_slot(tally, &row->case_id);
	before = *slot;
	if (before.shelf != shelf_at + 1) {
		if (!make_room(shelf))
			return JK_BROKEN;
		*slot = (struct tally_slot){.shelf = shelf_at + 1, .row = shelf->count++};
		tally->count += before.shelf == 0;
	}
	take_label(tally, (uint32_t)label);
	if (before.shelf)
		leave_label(tally, tally->shelves[before.shelf - 1].rows[before.row].label);
	fill_row(&shelf->rows[slot->row], row, (uint32_t)label);
	if (before.shelf && before.shelf != shelf_at + 1)
		take_out(tally, before);
	return JK_OK;
}
