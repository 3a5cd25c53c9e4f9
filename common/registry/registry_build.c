/* registry_build.c: rows into a snapshot: sorted arrays, ranges, and a hash index over keys. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "registry/registry_duties.h"
#include "registry/registry_pacts.h"

enum { SNAPSHOT_MAX_BYTES = 64 * 1024 * 1024 };

/* A snapshot in the making; its arrays, which become const in the end. */
struct build {
	const struct registry_rows *rows;
	struct jk_refusal *refusal;
	struct jk_registry *registry;
	struct registry_index *index;
	struct jk_agency *agencies;
	const struct jk_agency **agencies_by_id;
	struct jk_desk *desks;
	struct registry_closed closed;
	size_t term_count;
	struct registry_sender_row *senders;
	const char **sender_texts;
	struct jk_registry_key *keys;
	struct registry_duties duties;
};

static int compare_ids(int32_t a, int32_t b)
{
	return (a > b) - (a < b);
}

static int compare_agencies(const void *a, const void *b)
{
	return strcmp(((const struct jk_agency *)a)->code, ((const struct jk_agency *)b)->code);
}

static int compare_agency_ids(const void *a, const void *b)
{
	return compare_ids((*(const struct jk_agency *const *)a)->agency_id, (*(const struct jk_agency *const *)b)->agency_id);
}

static int compare_desks(const void *a, const void *b)
{
	return compare_ids(((const struct jk_desk *)a)->desk_id, ((const struct jk_desk *)b)->desk_id);
}

static int compare_senders(const void *a, const void *b)
{
	const struct registry_sender_row *left = a, *right = b;
	int order = compare_ids(left->key_id, right->key_id);

	return order != 0 ? order : strcmp(left->sender, right->sender);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct registry_name *)a)->name, ((const struct registry_name *)b)->name);
}

static int compare_counties(const void *a, const void *b)
{
	return memcmp(a, b, JK_COUNTY_BYTES);
}

static int compare_borders(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct registry_border));
}

/* Room for count + 1, so that an empty list has an address too. */
static void *make_array(struct build *build, size_t count, size_t size)
{
	return jk_arena_alloc(build->index->arena, (count + 1) * size);
}

/* A sorted copy; NULL without memory. */
static void *copy_sorted(
	struct build *build, const void *rows, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	void *copy = make_array(build, count, size);

	if (copy != NULL && count != 0) {
		memcpy(copy, rows, count * size);
		qsort(copy, count, size, compare);
	}
	return copy;
}

static bool build_names(struct build *build, const struct registry_names *rows, struct registry_names *ret)
{
	struct registry_name *items = copy_sorted(build, rows->items, rows->count, sizeof *items, compare_names);

	*ret = (struct registry_names){.items = items, .count = rows->count};
	for (size_t i = 0; items != NULL && i < rows->count; i++) {
		items[i].name = jk_arena_string(build->index->arena, items[i].name, strlen(items[i].name));
		if (items[i].name == NULL)
			return false;
	}
	return items != NULL;
}

static bool build_neighbours(struct build *build)
{
	const struct registry_rows *rows = build->rows;
	struct registry_index *index = build->index;
	char(*neighbours)[JK_COUNTY_BYTES] = make_array(build, rows->border_count, sizeof *neighbours);
	size_t *from = make_array(build, rows->county_count + 1, sizeof *from);
	struct registry_border *borders = copy_sorted(build, rows->borders, rows->border_count, sizeof *borders, compare_borders);
	size_t next = 0;

	if (neighbours == NULL || from == NULL || borders == NULL)
		return false;
	for (size_t county = 0; county < rows->county_count; county++) {
		from[county] = next;
		while (next < rows->border_count && strcmp(borders[next].county, index->counties[county]) == 0) {
			memcpy(neighbours[next], borders[next].neighbour, JK_COUNTY_BYTES);
			next++;
		}
	}
	from[rows->county_count] = next;
	index->neighbours = (const char(*)[JK_COUNTY_BYTES])neighbours;
	index->neighbours_from = from;
	if (next != rows->border_count)
		return jk_refuse(build->refusal, JK_CODE_UNAVAILABLE, "neighbour", "a border of a county that is not there");
	return true;
}

static bool build_geography(struct build *build)
{
	const struct registry_rows *rows = build->rows;
	struct registry_index *index = build->index;

	index->county_count = rows->county_count;
	index->counties = copy_sorted(build, rows->counties, rows->county_count, JK_COUNTY_BYTES, compare_counties);
	return index->counties != NULL && build_neighbours(build) && build_names(build, &rows->isos, &index->isos) &&
	       build_names(build, &rows->constituencies, &index->constituencies) &&
	       build_names(build, &rows->aliases, &index->aliases);
}

static bool build_agencies(struct build *build)
{
	const struct registry_rows *rows = build->rows;

	build->agencies = copy_sorted(build, rows->agencies, rows->agency_count, sizeof *build->agencies, compare_agencies);
	build->agencies_by_id = make_array(build, rows->agency_count, sizeof(struct jk_agency *));
	if (build->agencies == NULL || build->agencies_by_id == NULL)
		return false;
	for (size_t i = 0; i < rows->agency_count; i++)
		build->agencies_by_id[i] = &build->agencies[i];
	if (rows->agency_count != 0)
		qsort(build->agencies_by_id, rows->agency_count, sizeof(struct jk_agency *), compare_agency_ids);
	return true;
}

static const struct jk_agency *find_agency_by_id(const struct build *build, int32_t agency_id)
{
	const struct jk_agency wanted = {.agency_id = agency_id}, *wanted_p = &wanted;
	const struct jk_agency *const *found = bsearch(
		&wanted_p, build->agencies_by_id, build->rows->agency_count, sizeof(struct jk_agency *), compare_agency_ids);

	if (found == NULL)
		(void)jk_refuse(build->refusal, JK_CODE_UNAVAILABLE, "agency", "agency %d is not there", agency_id);
	return found == NULL ? NULL : *found;
}

static bool build_terms(struct build *build)
{
	const struct registry_parties parties = {.agencies = build->agencies,
		.agency_count = build->rows->agency_count,
		.desks = build->desks,
		.desk_count = build->rows->desk_count};
	struct registry_terms terms = {0};
	bool built = registry_terms_add_rows(&terms, build->rows) &&
		     registry_pacts_compile(build->rows, &parties, build->index->arena, &terms, &build->closed) &&
		     registry_terms_attach(&terms, build->desks, build->rows->desk_count, build->index->arena);

	build->term_count = terms.count;

	registry_terms_done(&terms);
	return built;
}

static bool build_desks(struct build *build)
{
	const struct registry_rows *rows = build->rows;

	build->desks = copy_sorted(build, rows->desks, rows->desk_count, sizeof *build->desks, compare_desks);
	if (build->desks == NULL)
		return false;
	for (size_t i = 0; i < rows->desk_count; i++) {
		struct jk_desk *desk = &build->desks[i];

		desk->agency = find_agency_by_id(build, desk->agency_id);
		if (desk->agency == NULL)
			return false;
		desk->revoked = desk->revoked || desk->agency->revoked;
	}
	return build_terms(build);
}

static bool build_senders(struct build *build)
{
	const struct registry_rows *rows = build->rows;

	build->senders = copy_sorted(build, rows->senders, rows->sender_count, sizeof *build->senders, compare_senders);
	build->sender_texts = make_array(build, rows->sender_count, sizeof *build->sender_texts);
	if (build->senders == NULL || build->sender_texts == NULL)
		return false;
	for (size_t i = 0; i < rows->sender_count; i++) {
		const char *text = build->senders[i].sender;
		build->sender_texts[i] = jk_arena_string(build->index->arena, text, strlen(text));
		if (build->sender_texts[i] == NULL)
			return false;
	}
	return true;
}

/* The range of this key's senders, found by a binary search for its first. */
static void attach_senders(const struct build *build, struct jk_registry_key *key)
{
	size_t low = 0, high = build->rows->sender_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (build->senders[middle].key_id < key->key_id)
			low = middle + 1;
		else
			high = middle;
	}
	key->cap_senders = &build->sender_texts[low];
	for (; low < build->rows->sender_count && build->senders[low].key_id == key->key_id; low++) {
		key->cap_sender_count++;
		key->any_sender = key->any_sender || strcmp(build->sender_texts[low], "*") == 0;
	}
}

static bool build_key(struct build *build, const struct registry_key_row *row, struct jk_registry_key *ret)
{
	*ret = (struct jk_registry_key){
		.key_id = row->key_id,
		.role = row->role,
		.realm = row->realm,
		.agency = find_agency_by_id(build, row->agency_id),
		.rate_limit = row->rate_limit,
		.valid_from_us = row->valid_from_us,
		.expires_at_us = row->expires_at_us,
	};
	if (ret->agency == NULL)
		return false;
	if (row->desk_id >= 0) {
		const struct jk_desk wanted = {.desk_id = row->desk_id};
		ret->desk = bsearch(&wanted, build->desks, build->rows->desk_count, sizeof wanted, compare_desks);
		if (ret->desk == NULL)
			return jk_refuse(build->refusal, JK_CODE_UNAVAILABLE, "desk", "desk %d is not there", row->desk_id);
	}
	memcpy(ret->curve_key, row->curve_key, sizeof ret->curve_key);
	memcpy(ret->sign_key, row->sign_key, sizeof ret->sign_key);
	ret->revoked = row->revoked || ret->agency->revoked || (ret->desk != NULL && ret->desk->revoked);
	attach_senders(build, ret);
	return true;
}

static bool build_keys(struct build *build)
{
	const struct registry_rows *rows = build->rows;
	struct registry_index *index = build->index;
	size_t slots = 16;

	while (slots < 2 * rows->key_count)
		slots *= 2;
	build->keys = make_array(build, rows->key_count, sizeof *build->keys);
	index->slots = make_array(build, slots, sizeof *index->slots);
	index->slot_mask = slots - 1;
	if (build->keys == NULL || index->slots == NULL)
		return false;
	for (size_t i = 0; i < rows->key_count; i++) {
		if (!build_key(build, &rows->keys[i], &build->keys[i]))
			return false;
		size_t slot = registry_slot_of(rows->keys[i].curve_key) & index->slot_mask;
		while (index->slots[slot] != 0)
			slot = (slot + 1) & index->slot_mask;
		index->slots[slot] = (uint32_t)(i + 1);
	}
	return true;
}

static bool build_duties(struct build *build)
{
	const struct registry_duty_desks desks = {.items = build->desks, .count = build->rows->desk_count};

	return registry_duties_build(build->rows, &desks, build->index->arena, &build->duties, build->refusal);
}

enum jk_status registry_build(const struct registry_rows *rows, struct jk_registry **ret_registry, struct jk_refusal *ret_refusal)
{
	struct jk_arena *arena = jk_arena_new(SNAPSHOT_MAX_BYTES);
	struct build build = {.rows = rows, .refusal = ret_refusal};

	*ret_registry = NULL;
	(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "", "no memory for a snapshot of the registry");
	if (arena == NULL)
		return JK_BROKEN;
	build.registry = jk_arena_alloc(arena, sizeof *build.registry);
	build.index = jk_arena_alloc(arena, sizeof *build.index);
	if (build.index != NULL)
		build.index->arena = arena;
	if (build.registry == NULL || build.index == NULL || !build_geography(&build) || !build_agencies(&build) ||
		!build_desks(&build) || !build_senders(&build) || !build_keys(&build) || !build_duties(&build)) {
		jk_arena_free(&arena);
		return JK_BROKEN;
	}
	*ret_refusal = (struct jk_refusal){.code = JK_CODE_NONE};
	atomic_init(&build.index->holders, 1);
	*build.registry = (struct jk_registry){.version = rows->version,
		.realm = rows->realm,
		.keys = build.keys,
		.key_count = rows->key_count,
		.agencies = build.agencies,
		.agency_count = rows->agency_count,
		.desks = build.desks,
		.desk_count = rows->desk_count,
		.closed = build.closed.items,
		.closed_count = build.closed.count,
		.term_count = build.term_count,
		.duty_rules = build.duties.rules,
		.duty_rule_count = rows->duty_rule_count,
		.duty_desks = build.duties.desks,
		.duty_desk_count = rows->duty_desk_count,
		.escalations = build.duties.escalations,
		.escalation_count = rows->escalation_count,
		.index = build.index};
	*ret_registry = build.registry;
	return JK_OK;
}

size_t registry_bytes(const struct jk_registry *registry)
{
	return jk_arena_used(((const struct registry_index *)registry->index)->arena);
}

void registry_drop(const struct jk_registry **registry_p)
{
	const struct jk_registry *registry = *registry_p;

	*registry_p = NULL;
	if (registry == NULL)
		return;
	struct registry_index *index = registry->index;
	if (atomic_fetch_sub(&index->holders, 1) == 1) {
		struct jk_arena *arena = index->arena; /* holds index itself */
		jk_arena_free(&arena);
	}
}
