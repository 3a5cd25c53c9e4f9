/* registry_terms.c: rows into terms: first all of them, each with the desk it is for, then sorted and cut into ranges. */
#include "registry/registry_terms.h"

#include <stdlib.h>
#include <string.h>

enum { CATEGORIES_ALL = ((1 << (JK_CATEGORY_MAX + 1)) - 1) & ~1, USES_ALL = ((1 << (JK_USE_RESPOND + 1)) - 1) & ~1 };
static const uint64_t counties_all = ((UINT64_C(1) << (JK_COUNTY_MAX + 1)) - 1) & ~UINT64_C(1);

static int compare_ids(int32_t a, int32_t b)
{
	return (a > b) - (a < b);
}

/* Desk, then the order of jk_authz_decide. Operator's rows (pact 0) lie before agreements. */
static int compare_terms(const void *a, const void *b)
{
	const struct registry_desk_term *left = a, *right = b;
	int order = compare_ids(left->desk_id, right->desk_id);

	if (order == 0)
		order = compare_ids(left->term.owner_agency_id, right->term.owner_agency_id);
	if (order == 0)
		order = compare_ids(left->term.pact_id, right->term.pact_id);
	return order != 0 ? order : compare_ids(left->term.allow_id, right->term.allow_id);
}

static uint64_t counties_of(const char county[JK_COUNTY_BYTES])
{
	int number = 0;

	if (county[0] == '\0')
		return counties_all;
	for (int i = 0; i < JK_COUNTY_BYTES - 1 && county[i] >= '0' && county[i] <= '9'; i++)
		number = number * 10 + county[i] - '0';
	return counties_all & UINT64_C(1) << (number & 63);
}

/* The operator's word reaches no further than AMBER_STRICT, whatever the row says, and gives whole copies. */
static struct jk_term term_of_row(const struct registry_allow_row *row)
{
	return (struct jk_term){
		.allow_id = row->allow_id,
		.code = "",
		.owner_agency_id = row->owner_agency_id < 0 ? -1 : row->owner_agency_id,
		.counties = counties_of(row->county),
		.categories = row->category == JK_CATEGORY_NONE  ? CATEGORIES_ALL
			      : row->category <= JK_CATEGORY_MAX ? (uint16_t)(1U << row->category)
								 : 0,
		.tlp_ceiling = row->tlp_ceiling > JK_TLP_AMBER_STRICT ? JK_TLP_AMBER_STRICT : row->tlp_ceiling,
		.uses = USES_ALL,
		.withheld = jk_profile_withheld(JK_PROFILE_FULL),
		.profile = JK_PROFILE_FULL,
		.from_us = row->valid_from_us,
		.until_us = row->valid_until_us,
	};
}

bool registry_terms_add(struct registry_terms *terms, int32_t desk_id, const struct jk_term *term)
{
	if (terms->count == terms->capacity) {
		size_t capacity = terms->capacity == 0 ? 1024 : 2 * terms->capacity;
		struct registry_desk_term *items = realloc(terms->items, capacity * sizeof *items);

		if (items == NULL)
			return false;
		terms->items = items;
		terms->capacity = capacity;
	}
	terms->items[terms->count++] = (struct registry_desk_term){.desk_id = desk_id, .term = *term};
	return true;
}

void registry_terms_done(struct registry_terms *terms)
{
	free(terms->items);
	*terms = (struct registry_terms){0};
}

bool registry_terms_add_rows(struct registry_terms *terms, const struct registry_rows *rows)
{
	for (size_t i = 0; i < rows->allow_count; i++) {
		const struct jk_term term = term_of_row(&rows->allow[i]);

		if (!registry_terms_add(terms, rows->allow[i].desk_id, &term))
			return false;
	}
	return true;
}

bool registry_terms_attach(struct registry_terms *terms, struct jk_desk *desks, size_t desk_count, struct jk_arena *arena)
{
	struct jk_term *sorted = jk_arena_alloc(arena, (terms->count + 1) * sizeof *sorted);
	size_t next = 0;

	if (sorted == NULL)
		return false;
	if (terms->count != 0)
		qsort(terms->items, terms->count, sizeof *terms->items, compare_terms);
	for (size_t i = 0; i < terms->count; i++)
		sorted[i] = terms->items[i].term;
	for (size_t i = 0; i < desk_count; i++) {
		size_t from;

		while (next < terms->count && terms->items[next].desk_id < desks[i].desk_id)
			next++; /* of a desk that is not there */
		from = next;
		while (next < terms->count && terms->items[next].desk_id == desks[i].desk_id)
			next++;
		desks[i].terms = &sorted[from];
		desks[i].term_count = desks[i].revoked ? 0 : next - from;
	}
	return true;
}
