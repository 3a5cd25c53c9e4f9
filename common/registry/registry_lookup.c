/* registry_lookup.c: questions to a snapshot. */
#include <stdlib.h>
#include <string.h>

#include "registry/registry_snapshot.h"

static const struct registry_index *index_of(const struct jk_registry *registry)
{
	return registry->index;
}

/* Public keys are as good as random; whoever chose one to collide would only slow the search for his own. */
size_t registry_slot_of(const uint8_t curve_key[32])
{
	size_t slot;

	memcpy(&slot, curve_key, sizeof slot);
	return slot;
}

const struct jk_registry_key *jk_registry_find_key(const struct jk_registry *registry, const uint8_t curve_key[32])
{
	const struct registry_index *index = index_of(registry);

	for (size_t slot = registry_slot_of(curve_key) & index->slot_mask; index->slots[slot] != 0;
		slot = (slot + 1) & index->slot_mask) {
		const struct jk_registry_key *key = &registry->keys[index->slots[slot] - 1];
		if (memcmp(key->curve_key, curve_key, sizeof key->curve_key) == 0)
			return key;
	}
	return NULL;
}

static int compare_code(const void *code, const void *agency)
{
	return strcmp(code, ((const struct jk_agency *)agency)->code);
}

const struct jk_agency *jk_registry_find_agency(const struct jk_registry *registry, const char *code)
{
	return bsearch(code, registry->agencies, registry->agency_count, sizeof *registry->agencies, compare_code);
}

static int compare_desk_id(const void *desk_id, const void *desk)
{
	int32_t left = *(const int32_t *)desk_id, right = ((const struct jk_desk *)desk)->desk_id;

	return (left > right) - (left < right);
}

const struct jk_desk *jk_registry_find_desk(const struct jk_registry *registry, int32_t desk_id)
{
	return bsearch(&desk_id, registry->desks, registry->desk_count, sizeof *registry->desks, compare_desk_id);
}

struct jk_decision jk_registry_decide(const struct jk_registry *registry, const struct jk_registry_key *key, enum jk_use use,
	const struct jk_label *label, int64_t now_us)
{
	bool good = !key->revoked && key->realm == registry->realm;
	const struct jk_desk *desk = key->desk;
	struct jk_subject subject = {.agency_id = key->agency->agency_id,
		.desk_id = desk == NULL ? -1 : desk->desk_id,
		.role = key->role,
		.realm = good ? key->realm : JK_REALM_NONE,
		.use = use,
		.desk_code = desk == NULL ? "" : desk->code,
		.agency_code = key->agency->code};

	return jk_authz_decide(&subject, label, desk == NULL ? NULL : desk->terms, desk == NULL ? 0 : desk->term_count, now_us);
}

struct jk_decision jk_registry_decide_desk(const struct jk_registry *registry, const struct jk_desk *desk, enum jk_use use,
	const struct jk_label *label, int64_t now_us)
{
	const struct jk_registry_key key = {
		.role = JK_ROLE_DESK, .realm = registry->realm, .agency = desk->agency, .desk = desk, .revoked = desk->revoked};

	return jk_registry_decide(registry, &key, use, label, now_us);
}

void jk_registry_label_owner(struct jk_label *label, const struct jk_agency *owner)
{
	label->owner_agency_id = owner == NULL ? -1 : owner->agency_id;
	label->owner_agreements_only = owner != NULL && owner->agreements_only;
}

static int compare_county(const void *county, const void *item)
{
	return strncmp(county, item, JK_COUNTY_BYTES);
}

/* Position among the counties, or county_count. */
static size_t find_county(const struct registry_index *index, const char *county)
{
	const char(*found)[JK_COUNTY_BYTES] =
		bsearch(county, index->counties, index->county_count, JK_COUNTY_BYTES, compare_county);

	return found == NULL ? index->county_count : (size_t)(found - index->counties);
}

bool jk_registry_county_exists(const struct jk_registry *registry, const char *county)
{
	return find_county(index_of(registry), county) != index_of(registry)->county_count;
}

static int compare_name(const void *name, const void *item)
{
	return strcmp(name, ((const struct registry_name *)item)->name);
}

static const char *county_of(const struct registry_names *names, const char *name)
{
	const struct registry_name *found = bsearch(name, names->items, names->count, sizeof *names->items, compare_name);

	return found == NULL ? NULL : found->county;
}

const char *jk_registry_county_of_iso(const struct jk_registry *registry, const char *iso_3166_2)
{
	return county_of(&index_of(registry)->isos, iso_3166_2);
}

const char *jk_registry_county_of_constituency(const struct jk_registry *registry, const char *constituency)
{
	return county_of(&index_of(registry)->constituencies, constituency);
}

/* As registry.county_alias has it: lower case, everything but a to z removed. */
const char *jk_registry_county_of_name(const struct jk_registry *registry, const char *spelling)
{
	char folded[64];
	size_t size = 0;

	for (const char *at = spelling; *at != '\0'; at++) {
		char letter = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
		if (letter < 'a' || letter > 'z')
			continue;
		if (size == sizeof folded - 1)
			return NULL;
		folded[size++] = letter;
	}
	folded[size] = '\0';
	return county_of(&index_of(registry)->aliases, folded);
}

const char (*jk_registry_neighbours(const struct jk_registry *registry, const char *county, size_t *ret_count))[JK_COUNTY_BYTES]
{
	const struct registry_index *index = index_of(registry);
	size_t at = find_county(index, county);

	*ret_count = 0;
	if (at == index->county_count)
		return index->neighbours;
	*ret_count = index->neighbours_from[at + 1] - index->neighbours_from[at];
	return &index->neighbours[index->neighbours_from[at]];
}

const char (*jk_registry_counties(const struct jk_registry *registry, size_t *ret_count))[JK_COUNTY_BYTES]
{
	*ret_count = index_of(registry)->county_count;
	return index_of(registry)->counties;
}
