/* feed_label.c: what decisions and filters need of a body. */
#include <string.h>

#include "base/jk_text.h"
#include "feed/feed_body.h"
#include "feed/feed_groups.h"
#include "feed/feed_label.h"

/* Field numbers of proto/jukwaa/v1/incident.proto, for which protobuf-c generates no names; tests/unit/feed packs with the
 * generated code and reads here. */
enum {
	IDENTITY_AGENCY = 1,
	IDENTITY_STATUS = 5,
	IDENTITY_MSG_TYPE = 6,
	CLASSIFICATION_CATEGORIES = 1,
	CLASSIFICATION_URGENCY = 3,
	CLASSIFICATION_SEVERITY = 4,
	TIMES_EXPIRES = 4,
	NARRATIVE_TEXTS = 1,
	TEXT_HEADLINE = 2,
	HANDLING_TLP = 1,
	HANDLING_SCOPE = 2,
	HANDLING_ADDRESSES = 4,
	PLACE_POINT = 2,
	POINT_LAT = 1,
	POINT_LON = 2,
};

/* An enum's number; one that no version of ours has becomes UNSPECIFIED, which denies or filters out. */
static int word_of(const struct feed_field *field)
{
	return field->is_varint && field->value <= INT8_MAX ? (int)field->value : 0;
}

static bool read_identity(struct jk_span content, struct jk_event_label *ret)
{
	struct feed_walk walk = feed_walk_over(content);
	struct feed_field field;

	while (feed_walk_next(&walk, &field)) {
		if (field.number == IDENTITY_AGENCY && field.is_bytes) {
			if (field.bytes.size >= sizeof ret->agency_code)
				return false;
			memcpy(ret->agency_code, field.bytes.data, field.bytes.size);
			ret->agency_code[field.bytes.size] = '\0';
		} else if (field.number == IDENTITY_STATUS) {
			ret->status = word_of(&field);
		} else if (field.number == IDENTITY_MSG_TYPE) {
			ret->msg_type = word_of(&field);
		}
	}
	ret->label.status = (enum jk_cap_status)ret->status;
	return walk.at != NULL;
}

static void add_category(struct jk_event_label *ret, uint64_t category)
{
	if (category == JK_CATEGORY_NONE || category > JK_CATEGORY_MAX)
		return;
	if (ret->category == JK_CATEGORY_NONE)
		ret->category = (int)category;
	ret->label.categories = (uint16_t)(ret->label.categories | 1U << category);
}

/* Repeated enums come packed or one by one (protobuf's parsers must take both). A number fits one byte. */
static void add_categories(struct jk_event_label *ret, const struct feed_field *field)
{
	const uint8_t *packed = field->bytes.data;

	if (field->is_varint)
		add_category(ret, field->value);
	for (size_t i = 0; field->is_bytes && i < field->bytes.size; i++)
		add_category(ret, packed[i]);
}

static bool read_classification(struct jk_span content, struct jk_event_label *ret)
{
	struct feed_walk walk = feed_walk_over(content);
	struct feed_field field;

	while (feed_walk_next(&walk, &field)) {
		if (field.number == CLASSIFICATION_CATEGORIES)
			add_categories(ret, &field);
		else if (field.number == CLASSIFICATION_SEVERITY)
			ret->severity = word_of(&field);
		else if (field.number == CLASSIFICATION_URGENCY)
			ret->urgency = word_of(&field);
	}
	ret->label.severity = (uint8_t)ret->severity;
	return walk.at != NULL;
}

static bool read_times(struct jk_span content, struct jk_event_label *ret)
{
	struct feed_walk walk = feed_walk_over(content);
	struct feed_field field;

	while (feed_walk_next(&walk, &field))
		if (field.number == TIMES_EXPIRES && field.is_varint)
			ret->expires_us = (int64_t)field.value;
	return walk.at != NULL;
}

static bool read_handling(struct jk_span content, struct jk_event_label *ret)
{
	struct feed_walk walk = feed_walk_over(content);
	struct feed_field field;

	while (feed_walk_next(&walk, &field)) {
		if (field.number == HANDLING_TLP)
			ret->label.tlp = (enum jk_tlp)word_of(&field);
		else if (field.number == HANDLING_SCOPE)
			ret->label.scope = (enum jk_scope)word_of(&field);
	}
	return walk.at != NULL;
}

static bool names_someone(const struct jk_event_label *label)
{
	return label->label.tlp == JK_TLP_RED || label->label.scope == JK_SCOPE_PRIVATE ||
	       label->label.scope == JK_SCOPE_RESTRICTED;
}

/* Whom a Handling names; read after TLP and scope, and only where they make names count. */
static bool read_named(struct jk_span handling, struct jk_arena *arena, struct jk_event_label *ret)
{
	struct feed_walk walk = feed_walk_over(handling);
	struct feed_field field;
	const char **named;

	if (!names_someone(ret))
		return true;
	named = jk_arena_alloc(arena, JK_LABEL_NAMED_MAX * sizeof *named);
	if (named == NULL)
		return false;
	ret->label.named = named;
	while (feed_walk_next(&walk, &field)) {
		if (field.number != HANDLING_ADDRESSES || !field.is_bytes || field.bytes.size > JK_LABEL_NAMED_MAX_BYTES ||
			ret->label.named_count == JK_LABEL_NAMED_MAX)
			continue;
		named[ret->label.named_count] = jk_arena_string(arena, field.bytes.data, field.bytes.size);
		if (named[ret->label.named_count++] == NULL)
			return false;
	}
	return walk.at != NULL;
}

/* Headline of the first text, without reading further. */
static bool read_headline(struct jk_span content, struct jk_arena *arena, struct jk_event_label *ret)
{
	struct feed_walk walk = feed_walk_over(content);
	struct feed_field field;

	ret->headline = "";
	while (feed_walk_next(&walk, &field) && (field.number != NARRATIVE_TEXTS || !field.is_bytes))
		;
	if (walk.at == NULL || content.size == 0 || field.number != NARRATIVE_TEXTS)
		return walk.at != NULL;
	walk = feed_walk_over(field.bytes);
	while (feed_walk_next(&walk, &field)) {
		if (field.number != TEXT_HEADLINE || !field.is_bytes)
			continue;
		ret->headline = jk_arena_string(arena, field.bytes.data, field.bytes.size);
		return ret->headline != NULL;
	}
	return walk.at != NULL;
}

static double double_of(const struct feed_field *field)
{
	double value = 0;

	if (field->is_fixed64)
		memcpy(&value, &field->value, sizeof value);
	return value;
}

/* A number that is not written is 0. */
static bool read_point(struct jk_span point, struct jk_event_label *ret)
{
	struct feed_walk walk = feed_walk_over(point);
	struct feed_field field;

	ret->has_point = true;
	while (feed_walk_next(&walk, &field)) {
		if (field.number == POINT_LAT)
			ret->lat = double_of(&field);
		else if (field.number == POINT_LON)
			ret->lon = double_of(&field);
	}
	return walk.at != NULL;
}

static bool read_position(struct jk_span content, struct jk_event_label *ret)
{
	struct feed_walk walk = feed_walk_over(content);
	struct feed_field field;

	while (feed_walk_next(&walk, &field))
		if (field.number == PLACE_POINT && field.is_bytes && !read_point(field.bytes, ret))
			return false;
	return walk.at != NULL;
}

static struct jk_span content_of(const struct feed_groups *groups, int tag)
{
	return groups->items[tag - 1].content;
}

/* Where Place.point is. */
static struct jk_span position_of(const struct feed_groups *groups)
{
	return content_of(groups, groups->count == JK_GROUP_COUNT_OLD ? JK_GROUP_PLACE : JK_GROUP_POSITION);
}

/* Where Handling.addresses are. */
static struct jk_span names_of(const struct feed_groups *groups)
{
	if (groups->count == JK_GROUP_COUNT_OLD)
		return content_of(groups, JK_GROUP_HANDLING);
	return feed_words_of(content_of(groups, JK_GROUP_WORDS), JK_GROUP_HANDLING);
}

enum jk_status jk_body_label(const uint8_t *body, size_t size, struct jk_arena *arena, struct jk_event_label *ret)
{
	struct feed_groups groups;

	*ret = (struct jk_event_label){.label = {.owner_agency_id = -1}, .headline = ""};
	if (!feed_groups_read((struct jk_span){.data = body, .size = size}, &groups))
		return JK_BROKEN;
	ret->group_count = groups.count;
	ret->work = content_of(&groups, JK_GROUP_WORK);
	if (read_identity(content_of(&groups, JK_GROUP_IDENTITY), ret) &&
		read_classification(content_of(&groups, JK_GROUP_CLASSIFICATION), ret) &&
		read_times(content_of(&groups, JK_GROUP_TIMES), ret) && read_position(position_of(&groups), ret) &&
		read_handling(content_of(&groups, JK_GROUP_HANDLING), ret) && read_named(names_of(&groups), arena, ret) &&
		read_headline(content_of(&groups, JK_GROUP_NARRATIVE), arena, ret))
		return JK_OK;
	return JK_BROKEN;
}
