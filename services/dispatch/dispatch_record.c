/* dispatch_record.c: see dispatch_record.h. */
#include "dispatch_record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MIN = 4, TERMS_MIN = 2, TERM_LIST_MIN = 16 };

/* ---- terms ---- */

struct dispatch_term {
	int32_t pact_id, allow_id; /* both 0: the owner's own, or recalled */
	uint32_t version, withheld;
	char text[DISPATCH_TERM_TEXT_BYTES];
};

void dispatch_terms_done(struct dispatch_terms *terms)
{
	free(terms->items);
	*terms = (struct dispatch_terms){0};
}

/* Zeroed; NULL without memory. */
static struct dispatch_term *add_term(struct dispatch_terms *terms)
{
	if (terms->count == terms->capacity) {
		size_t capacity = terms->capacity == 0 ? TERM_LIST_MIN : terms->capacity * 2;
		struct dispatch_term *items = reallocarray(terms->items, capacity, sizeof *items);

		if (items == NULL)
			return NULL;
		terms->items = items;
		terms->capacity = capacity;
	}
	return memset(&terms->items[terms->count++], 0, sizeof *terms->items);
}

static bool add_recalled(struct dispatch_terms *terms)
{
	struct dispatch_term *term = terms->count > 0 ? terms->items : add_term(terms);

	if (term == NULL)
		return false;
	term->withheld = UINT32_MAX;
	(void)jk_text_copy(term->text, sizeof term->text, "recalled");
	return true;
}

static void write_text(char ret[DISPATCH_TERM_TEXT_BYTES], const struct jk_decision *decision)
{
	const struct jk_term *term = decision->term;
	const char *reporter = decision->withheld & 1U << JK_GROUP_REPORTER ? "" : " +reporter";
	const char *persons = decision->withheld & 1U << JK_GROUP_PERSONS ? "" : " +persons";

	if (term == NULL)
		(void)jk_text_format(ret, DISPATCH_TERM_TEXT_BYTES, "owner%s%s", reporter, persons);
	else if (term->pact_id == 0)
		(void)jk_text_format(ret, DISPATCH_TERM_TEXT_BYTES, "allow %d %s%s%s", term->allow_id,
			jk_profile_name(term->profile), reporter, persons);
	else
		(void)jk_text_format(ret, DISPATCH_TERM_TEXT_BYTES, "agreement %s %u %s%s%s", term->code, term->version,
			jk_profile_name(term->profile), reporter, persons);
}

static bool is_term(const struct dispatch_term *term, const struct jk_decision *decision)
{
	const struct jk_term *of = decision->term;

	if (term->withheld != decision->withheld)
		return false;
	if (of == NULL)
		return term->pact_id == 0 && term->allow_id == 0;
	return term->pact_id == of->pact_id && term->allow_id == of->allow_id && term->version == of->version;
}

/* Index into `recent`. */
static uint32_t slot_of(const struct jk_decision *decision)
{
	const struct jk_term *term = decision->term;
	uint32_t mixed = decision->withheld;

	if (term != NULL)
		mixed += (uint32_t)term->pact_id * 31 + (uint32_t)term->allow_id * 17 + term->version;
	return mixed % DISPATCH_TERMS_RECENT;
}

static uint32_t find_term(const struct dispatch_terms *terms, const struct jk_decision *decision)
{
	for (size_t i = terms->count; i > DISPATCH_TERM_RECALLED; i--)
		if (is_term(&terms->items[i - 1], decision))
			return (uint32_t)i;
	return 0;
}

static uint32_t new_term(struct dispatch_terms *terms, const struct jk_decision *decision)
{
	struct dispatch_term *term = add_term(terms);

	if (term == NULL)
		return 0;
	if (decision->term != NULL) {
		term->pact_id = decision->term->pact_id;
		term->allow_id = decision->term->allow_id;
		term->version = decision->term->version;
	}
	term->withheld = decision->withheld;
	write_text(term->text, decision);
	return (uint32_t)terms->count;
}

uint32_t dispatch_terms_number(struct dispatch_terms *terms, const struct jk_decision *decision)
{
	uint32_t *recent = &terms->recent[slot_of(decision)];

	if (terms->count == 0 && !add_recalled(terms))
		return 0;
	if (decision->effect == JK_DENY)
		return DISPATCH_TERM_RECALLED;
	if (*recent > 0 && is_term(&terms->items[*recent - 1], decision))
		return *recent;
	*recent = find_term(terms, decision);
	if (*recent == 0)
		*recent = new_term(terms, decision);
	return *recent;
}

const char *dispatch_terms_text(const struct dispatch_terms *terms, uint32_t number)
{
	return number == 0 || number > terms->count ? "" : terms->items[number - 1].text;
}

/* ---- records ---- */

struct dispatch_record *dispatch_record_new(uint64_t from_seq)
{
	struct dispatch_record *record = calloc(1, sizeof *record);

	if (record != NULL)
		record->from_seq = record->next_seq = from_seq;
	return record;
}

void dispatch_record_free(struct dispatch_record **record_p)
{
	if (*record_p == NULL)
		return;
	free((*record_p)->runs);
	free((*record_p)->terms);
	free(*record_p);
	*record_p = NULL;
}

struct dispatch_record *dispatch_record_copy(const struct dispatch_record *record)
{
	struct dispatch_record *copy = malloc(sizeof *copy);

	if (copy == NULL)
		return NULL;
	*copy = *record;
	copy->runs = malloc(record->run_count * sizeof *copy->runs + 1);
	copy->terms = malloc(record->term_count * sizeof *copy->terms + 1);
	copy->run_capacity = record->run_count;
	copy->term_capacity = record->term_count;
	if (copy->runs == NULL || copy->terms == NULL) {
		dispatch_record_free(&copy);
		return NULL;
	}
	if (record->run_count > 0)
		memcpy(copy->runs, record->runs, record->run_count * sizeof *copy->runs);
	if (record->term_count > 0)
		memcpy(copy->terms, record->terms, record->term_count * sizeof *copy->terms);
	return copy;
}

/* 1 + index; 0: not among them. */
static uint8_t value_of(const struct dispatch_record *record, uint32_t term)
{
	for (uint8_t i = record->term_count; i > 0; i--)
		if (record->terms[i - 1] == term)
			return i;
	return 0;
}

static bool add_value(struct dispatch_record *record, uint32_t term)
{
	if (value_of(record, term) > 0)
		return true;
	if (record->term_count == DISPATCH_RECORD_TERMS_MAX)
		return false;
	if (record->term_count == record->term_capacity) {
		unsigned doubled = record->term_capacity * 2U;
		unsigned capacity = doubled < TERMS_MIN ? TERMS_MIN : doubled;
		uint32_t *terms;

		if (capacity > DISPATCH_RECORD_TERMS_MAX)
			capacity = DISPATCH_RECORD_TERMS_MAX;
		terms = reallocarray(record->terms, capacity, sizeof *terms);
		if (terms == NULL)
			return false;
		record->terms = terms;
		record->term_capacity = (uint8_t)capacity;
	}
	record->terms[record->term_count++] = term;
	return true;
}

bool dispatch_record_make_room(struct dispatch_record *record, uint32_t term)
{
	enum { A_NUMBER = 2 }; /* those passed over before it, and itself */
	uint16_t capacity = record->run_capacity == 0 ? RUNS_MIN : (uint16_t)(record->run_capacity * 2);
	struct dispatch_run *runs;

	if (!add_value(record, term))
		return false;
	if (record->run_count + A_NUMBER <= record->run_capacity)
		return true;
	if (record->run_count + A_NUMBER > DISPATCH_RECORD_RUNS_MAX)
		return false;
	if (capacity > DISPATCH_RECORD_RUNS_MAX)
		capacity = DISPATCH_RECORD_RUNS_MAX;
	runs = reallocarray(record->runs, capacity, sizeof *runs);
	if (runs == NULL)
		return false;
	record->runs = runs;
	record->run_capacity = capacity;
	return true;
}

static void add_run(struct dispatch_record *record, uint8_t value, uint64_t count)
{
	struct dispatch_run *last = record->run_count > 0 ? &record->runs[record->run_count - 1] : NULL;

	if (last != NULL && last->value == value) {
		last->count = (uint16_t)(last->count + count);
		return;
	}
	assert(record->runs != NULL && record->run_count < record->run_capacity);
	record->runs[record->run_count++] = (struct dispatch_run){.count = (uint16_t)count, .value = value};
}

void dispatch_record_add(struct dispatch_record *record, uint64_t seq, uint32_t term)
{
	assert(seq >= record->next_seq && seq - record->from_seq < UINT16_MAX);
	if (seq > record->next_seq)
		add_run(record, 0, seq - record->next_seq);
	add_run(record, value_of(record, term), 1);
	record->next_seq = seq + 1;
}

uint32_t dispatch_record_find(const struct dispatch_record *record, uint64_t seq)
{
	uint64_t at;

	if (record == NULL || seq < record->from_seq || seq >= record->next_seq)
		return 0;
	at = record->from_seq;
	for (uint16_t i = 0; i < record->run_count; i++) {
		at += record->runs[i].count;
		if (seq < at)
			return record->runs[i].value == 0 ? 0 : record->terms[record->runs[i].value - 1];
	}
	return 0;
}

size_t dispatch_record_bytes(const struct dispatch_record *record)
{
	return record == NULL ? 0 : (size_t)(record->next_seq - record->from_seq);
}

void dispatch_record_write(const struct dispatch_record *record, uint8_t *ret)
{
	for (uint16_t i = 0; i < record->run_count; i++) {
		memset(ret, record->runs[i].value, record->runs[i].count);
		ret += record->runs[i].count;
	}
}
