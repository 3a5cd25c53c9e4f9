/* From the decided report to the sealed body of its event. */
#include <string.h>

#include "feed/feed_body.h"
#include "feed/feed_label.h"
#include "feed/feed_parts.h"
#include "services/intake/intake_wire.h"
#include "wire/wire_body.h"

/* What struct intake_message stands for. */
static Jukwaa__V1__Incident *incident_of(const struct intake_item *item)
{
	return (Jukwaa__V1__Incident *)item->message;
}

static bool fill_counties(Jukwaa__V1__Place *place, uint64_t counties, struct jk_arena *arena)
{
	char codes[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	size_t count = intake_county_list(counties, codes);
	char **list = jk_arena_alloc(arena, count * sizeof *list);
	char *text = jk_arena_copy(arena, codes, count * sizeof *codes);

	if (count && (!list || !text))
		return false;
	for (size_t i = 0; i < count; i++)
		list[i] = text + i * sizeof *codes;
	place->counties = list;
	place->n_counties = count;
	for (size_t i = 0; i < place->n_codes && !*place->constituency; i++) {
		if ((int)place->codes[i]->scheme == JK_PLACE_CONSTITUENCY)
			place->constituency = place->codes[i]->code;
	}
	return true;
}

/* An update or a cancellation without classification carries that of its incident: every event is the full state. */
static bool fill_classification(
	Jukwaa__V1__Classification *classification, const struct intake_incident *incident, struct jk_arena *arena)
{
	Jukwaa__V1__Category *categories = jk_arena_alloc(arena, JK_CATEGORY_MAX * sizeof *categories);
	if (!categories)
		return false;
	size_t count = 0;
	categories[count++] = (Jukwaa__V1__Category)incident->category;
	for (int category = JK_CATEGORY_GEO; category <= JK_CATEGORY_MAX; category++) {
		if (category != incident->category && incident->categories >> category & 1)
			categories[count++] = (Jukwaa__V1__Category)category;
	}
	classification->categories = categories;
	classification->n_categories = count;
	classification->severity = (Jukwaa__V1__Severity)incident->severity;
	return true;
}

static bool fill_origin(Jukwaa__V1__Identity *identity, const struct intake_item *item, struct jk_arena *arena)
{
	const struct jk_origin *from = &item->origin.origin;
	Jukwaa__V1__Origin *origin;

	identity->origin = NULL;
	if (!item->origin.given)
		return true;
	origin = intake_wire_message(arena, &jukwaa__v1__origin__descriptor);
	if (!origin)
		return false;
	origin->format = from->format;
	origin->digest = (ProtobufCBinaryData){sizeof from->digest, jk_arena_copy(arena, from->digest, sizeof from->digest)};
	origin->sign_key =
		(ProtobufCBinaryData){sizeof from->sign_key, jk_arena_copy(arena, from->sign_key, sizeof from->sign_key)};
	origin->signature =
		(ProtobufCBinaryData){sizeof from->signature, jk_arena_copy(arena, from->signature, sizeof from->signature)};
	identity->origin = origin;
	return origin->digest.data && origin->sign_key.data && origin->signature.data;
}

static bool fill(
	struct intake_item *item, Jukwaa__V1__Incident *incident, const struct intake_filling *filling, struct jk_arena *arena)
{
	incident->identity->agency = item->agency;
	if (!fill_origin(incident->identity, item, arena))
		return false;
	if (incident->references)
		incident->references->orphan = filling->orphan;
	if (!fill_counties(incident->place, filling->counties, arena))
		return false;
	return !filling->incident || fill_classification(incident->classification, filling->incident, arena);
}

/* A group that is there but says nothing is the same as none. */
static bool pack_group(struct jk_group *group, const ProtobufCMessage *message, struct jk_arena *arena)
{
	if (!message || protobuf_c_message_get_packed_size(message) == 0)
		return true;
	group->content = jk_body_pack(message, arena, &group->content_size);
	return group->content != NULL;
}

/* Those whom the stored event's label will name (feed_label.c). False: the arena is full. */
static bool list_named(const Jukwaa__V1__Handling *handling, struct jk_arena *arena, struct jk_label *label)
{
	const char **named = jk_arena_alloc(arena, JK_LABEL_NAMED_MAX * sizeof *named);

	if (!named)
		return false;
	label->named = named;
	for (size_t i = 0; i < handling->n_addresses && label->named_count < JK_LABEL_NAMED_MAX; i++) {
		if (strlen(handling->addresses[i]) <= JK_LABEL_NAMED_MAX_BYTES)
			named[label->named_count++] = handling->addresses[i];
	}
	return true;
}

bool intake_wire_label(const struct intake_item *item, struct jk_label *ret)
{
	const Jukwaa__V1__Handling *handling = incident_of(item)->handling;
	const struct intake_report *report = &item->report;
	const struct intake_incident *after = &item->decision.after;

	*ret = (struct jk_label){
		.owner_agency_id = -1,
		.categories = report->categories ? report->categories : after->categories,
		.severity = (uint8_t)(report->categories ? report->severity : after->severity),
		.tlp = report->tlp,
		.scope = (enum jk_scope)handling->scope,
		.status = report->status,
	};
	if (list_named(handling, item->arena, ret))
		return true;
	ret->tlp = JK_TLP_NONE; /* a label that is not whole denies */
	return false;
}

static void keep_apart(struct intake_protected *ret, const struct jk_group *group)
{
	ret->content = group->content;
	ret->size = group->content_size;
	memcpy(ret->salt, group->salt, sizeof ret->salt);
}

enum jk_status intake_wire_seal(struct intake_item *item, const struct intake_filling *filling, struct jk_arena *arena)
{
	Jukwaa__V1__Incident *incident = incident_of(item);
	struct jk_group groups[JK_GROUP_COUNT] = {0};
	const ProtobufCMessage *messages[JK_GROUP_COUNT];

	if (!fill(item, incident, filling, arena) || !jk_parts_split(incident, arena, messages))
		return JK_BROKEN;
	for (int i = 0; i < JK_GROUP_COUNT; i++) {
		if (!pack_group(&groups[i], messages[i], arena))
			return JK_BROKEN;
	}
	enum jk_status status = jk_body_seal(groups, arena, item->sealed.commitment, &item->sealed.body, &item->sealed.body_size);
	keep_apart(&item->sealed.reporter, &groups[JK_GROUP_REPORTER - 1]);
	keep_apart(&item->sealed.persons, &groups[JK_GROUP_PERSONS - 1]);
	return status;
}
