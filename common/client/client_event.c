#include "client/client_event.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "authz/authz_profile.h"
#include "base/jk_id.h"
#include "base/jk_time.h"
#include "evidence/evidence_origin.h"
#include "feed/feed_body.h"
#include "feed/feed_parts.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "jukwaa/v1/work.pb-c.h"
#include "wire/wire_body.h"
#include "json/json_map.h"

static const ProtobufCMessageDescriptor *const types[JK_GROUP_PERSONS + 1] = {
	[JK_GROUP_IDENTITY] = &jukwaa__v1__identity__descriptor,
	[JK_GROUP_CLASSIFICATION] = &jukwaa__v1__classification__descriptor,
	[JK_GROUP_TIMES] = &jukwaa__v1__times__descriptor,
	[JK_GROUP_PLACE] = &jukwaa__v1__place__descriptor,
	[JK_GROUP_NARRATIVE] = &jukwaa__v1__narrative__descriptor,
	[JK_GROUP_RESOURCES] = &jukwaa__v1__resources__descriptor,
	[JK_GROUP_REFERENCES] = &jukwaa__v1__references__descriptor,
	[JK_GROUP_HANDLING] = &jukwaa__v1__handling__descriptor,
	[JK_GROUP_REPORTER] = &jukwaa__v1__reporter__descriptor,
	[JK_GROUP_PERSONS] = &jukwaa__v1__persons__descriptor,
};

/* What a copy shows of the incident's messages, and which groups it withholds. */
struct shown_groups {
	const ProtobufCMessage *messages[JK_GROUP_PERSONS + 1]; /* NULL: withheld, empty or malformed */
	const ProtobufCMessage *work;                           /* likewise */
	uint32_t withheld;                                      /* bit n: group n */
};

static const ProtobufCMessage *read_work(struct jk_arena *arena, const Jukwaa__V1__EventBody *body)
{
	struct jk_span packed = jk_body_work(body);
	struct jk_refusal refusal;

	return packed.size > 0 ? jk_body_unpack(&jukwaa__v1__work__descriptor, packed.data, packed.size, arena, &refusal) : NULL;
}

static void read_groups(struct jk_arena *arena, const Jukwaa__V1__EventBody *body, struct shown_groups *ret)
{
	*ret = (struct shown_groups){0};
	for (size_t i = 0; body && i < body->n_groups; i++) {
		int tag = (int)body->groups[i]->tag;

		if (tag > 0 && tag <= JK_GROUP_MAX && body->groups[i]->digest.len > 0)
			ret->withheld |= 1U << tag;
	}
	if (body)
		ret->work = read_work(arena, body);
	for (int tag = 1; body && tag <= JK_GROUP_PERSONS; tag++) {
		struct jk_span packed;
		struct jk_refusal refusal;

		if (jk_parts_merge(body, tag, arena, &packed) && packed.size > 0)
			ret->messages[tag] = jk_body_unpack(types[tag], packed.data, packed.size, arena, &refusal);
	}
}

static void write_shown(const struct shown_groups *shown, struct jk_buffer *json)
{
	const char *comma = "";

	for (int tag = 1; tag <= JK_GROUP_PERSONS; tag++) {
		if (!shown->messages[tag])
			continue;
		jk_buffer_printf(json, "%s\"%s\":", comma, jk_group_name(tag));
		jk_json_write(shown->messages[tag], json);
		comma = ",";
	}
	jk_buffer_printf(json, "%s\"withheld\":[", comma);
	comma = "";
	for (int tag = 1; tag <= JK_GROUP_MAX; tag++) {
		if (!(shown->withheld >> tag & 1))
			continue;
		jk_buffer_printf(json, "%s\"%s\"", comma, jk_group_name(tag));
		comma = ",";
	}
	jk_buffer_append(json, "]", 1);
}

void client_event_write_groups(struct jk_arena *arena, const Jukwaa__V1__EventBody *body, struct jk_buffer *json)
{
	struct shown_groups shown;

	read_groups(arena, body, &shown);
	write_shown(&shown, json);
}

/* ---- chain ------------------------------------------------------------------------------------------------------ */

void client_chains_done(struct client_chains *chains)
{
	free(chains->items);
	*chains = (struct client_chains){0};
}

static struct client_chain *find_chain(struct client_chains *chains, const char *stream)
{
	struct client_chain *chain;

	for (size_t i = 0; i < chains->count; i++)
		if (strcmp(chains->items[i].stream, stream) == 0)
			return &chains->items[i];
	if (chains->count == chains->capacity) {
		size_t capacity = chains->capacity ? chains->capacity * 2 : 8;
		struct client_chain *grown = realloc(chains->items, capacity * sizeof *grown);

		if (!grown)
			return NULL;
		chains->items = grown;
		chains->capacity = capacity;
	}
	chain = &chains->items[chains->count++];
	*chain = (struct client_chain){0};
	(void)jk_text_copy(chain->stream, sizeof chain->stream, stream);
	return chain;
}

static void check_chain(struct client_chains *chains, const Jukwaa__V1__Deliver *deliver, struct jukwaa_event *event)
{
	struct client_chain *last = find_chain(chains, deliver->stream);
	struct jk_chain_link link = {
		.stream = deliver->stream,
		.seq = deliver->seq,
		.epoch = deliver->epoch,
		.recorded_at_us = deliver->recorded_at_us,
		.kind = (int)deliver->kind,
		.revision = deliver->revision,
		.tlp = (int)deliver->tlp,
		.category = (int)deliver->category,
		.commitment_size = sizeof link.commitment,
	};
	uint8_t expected[JK_SHA256_BYTES];

	if (!last)
		return;
	if (deliver->seq == 1 || (last->seq > 0 && deliver->seq == last->seq + 1)) {
		memcpy(link.event_id.bytes, deliver->event_id.data, sizeof link.event_id.bytes);
		memcpy(link.incident_id.bytes, deliver->incident_id.data, sizeof link.incident_id.bytes);
		memcpy(link.commitment, deliver->commitment.data, sizeof link.commitment);
		jk_chain_next(expected, deliver->seq == 1 ? NULL : last->chain, &link);
		event->chain_verified = memcmp(expected, deliver->chain.data, sizeof expected) == 0;
		event->chain_broken = !event->chain_verified;
	}
	last->seq = deliver->seq;
	memcpy(last->chain, deliver->chain.data, sizeof last->chain);
}

/* The message of a mailbox and its name in JSON; NULL: the body is no mail, or none that this version knows. */
static const ProtobufCMessage *mail_of(const Jukwaa__V1__Deliver *deliver, const char **ret_name)
{
	switch (deliver->body_case) {
	case JUKWAA__V1__DELIVER__BODY_DELIVERED:
		*ret_name = "delivered";
		return &deliver->delivered->base;
	case JUKWAA__V1__DELIVER__BODY_LAGGING:
		*ret_name = "lagging";
		return &deliver->lagging->base;
	case JUKWAA__V1__DELIVER__BODY_OPENED:
		*ret_name = "opened";
		return &deliver->opened->base;
	case JUKWAA__V1__DELIVER__BODY_ACTED:
		*ret_name = "acted";
		return &deliver->acted->base;
	case JUKWAA__V1__DELIVER__BODY_UNANSWERED:
		*ret_name = "unanswered";
		return &deliver->unanswered->base;
	default:
		return NULL;
	}
}

/* Ids and no content: nothing that could be checked. */
static bool is_recall(const Jukwaa__V1__Deliver *deliver)
{
	return deliver->body_case == JUKWAA__V1__DELIVER__BODY_RECALLED;
}

/* ---- the event -------------------------------------------------------------------------------------------------- */

static const char *judge_origin(const Jukwaa__V1__Identity *identity)
{
	const Jukwaa__V1__Origin *from = identity ? identity->origin : NULL;
	struct jk_origin origin;

	if (!from)
		return "none";
	if (from->digest.len != sizeof origin.digest || from->sign_key.len != sizeof origin.sign_key ||
		from->signature.len != sizeof origin.signature)
		return "bad";
	origin.format = from->format;
	memcpy(origin.digest, from->digest.data, sizeof origin.digest);
	memcpy(origin.sign_key, from->sign_key.data, sizeof origin.sign_key);
	memcpy(origin.signature, from->signature.data, sizeof origin.signature);
	return jk_origin_is_signed(&origin, identity->agency) ? "verified" : "bad";
}

static void read_labels(const struct shown_groups *shown, struct jukwaa_event *event)
{
	const Jukwaa__V1__Identity *identity = (const void *)shown->messages[JK_GROUP_IDENTITY];
	const Jukwaa__V1__Classification *classification = (const void *)shown->messages[JK_GROUP_CLASSIFICATION];
	const Jukwaa__V1__Narrative *narrative = (const void *)shown->messages[JK_GROUP_NARRATIVE];

	event->severity = event->status = event->agency = event->headline = "";
	event->origin = judge_origin(identity);
	if (identity) {
		event->status = jk_words_name(&jk_cap_statuses, (int)identity->status);
		event->agency = identity->agency;
	}
	if (classification) {
		event->severity = jk_words_name(&jk_severities, (int)classification->severity);
		event->headline = classification->event;
	}
	/* The type of event stands in where no text has a headline. */
	for (size_t i = 0; narrative && i < narrative->n_texts; i++) {
		if (narrative->texts[i]->headline[0] == '\0')
			continue;
		event->headline = narrative->texts[i]->headline;
		break;
	}
}

static void write_text(struct jk_buffer *json, const char *name, const char *text)
{
	jk_buffer_printf(json, ",\"%s\":", name);
	jk_json_quote(json, text);
}

static void write_agreement(const struct jukwaa_event *event, struct jk_buffer *json)
{
	write_text(json, "agreement", event->agreement);
	jk_buffer_printf(json, ",\"agreement_version\":%" PRIu32, event->agreement_version);
	write_text(json, "profile", event->profile);
	jk_buffer_printf(json, ",\"retention_days\":%" PRIu32 ",\"redistribution\":%s", event->retention_days,
		event->redistribution ? "true" : "false");
}

static void write_member(struct jk_buffer *json, const char *name, const ProtobufCMessage *message)
{
	jk_buffer_printf(json, ",\"%s\":", name);
	jk_json_write(message, json);
}

static void write_body(const Jukwaa__V1__Deliver *deliver, const struct shown_groups *shown, struct jk_buffer *json)
{
	const char *name;
	const ProtobufCMessage *mail = mail_of(deliver, &name);

	if (mail) {
		write_member(json, name, mail);
		return;
	}
	if (is_recall(deliver)) {
		write_member(json, "recalled", &deliver->recalled->base);
		return;
	}
	jk_buffer_printf(json, ",\"incident\":{");
	write_shown(shown, json);
	jk_buffer_printf(json, "}");
	if (shown->work)
		write_member(json, "work", shown->work);
	if (deliver->event && deliver->event->erased)
		write_member(json, "erased", &deliver->event->erased->base);
}

static void write_event(const Jukwaa__V1__Deliver *deliver, const struct shown_groups *shown, const struct jukwaa_event *event,
	struct jk_buffer *json)
{
	/* Beyond what every JSON reader keeps exactly, it is text. */
	const char *quote = event->revision > 1LL << 53 || event->revision < -(1LL << 53) ? "\"" : "";
	char recorded_at[JK_TIME_BYTES], commitment[65], chain[65];

	jk_time_format(recorded_at, event->recorded_at_us);
	jk_hex_encode(commitment, event->commitment, sizeof event->commitment);
	jk_hex_encode(chain, event->chain, sizeof event->chain);
	jk_buffer_printf(json, "{\"delivery_no\":%" PRIu64, event->delivery_no);
	write_text(json, "stream", event->stream);
	write_text(json, "county", event->stream[0] == '@' ? "" : event->stream);
	jk_buffer_printf(
		json, ",\"seq\":%" PRIu64 ",\"epoch\":%" PRIu32 ",\"kind\":\"%s\"", event->seq, event->epoch, event->kind);
	jk_buffer_printf(json, ",\"event_id\":\"%s\",\"incident_id\":\"%s\",\"revision\":%s%" PRId64 "%s,\"recorded_at\":\"%s\"",
		event->event_id, event->incident_id, quote, event->revision, quote, recorded_at);
	jk_buffer_printf(json, ",\"tlp\":\"%s\",\"category\":\"%s\"", event->tlp, event->category);
	write_text(json, "severity", event->severity);
	write_text(json, "status", event->status);
	write_text(json, "agency", event->agency);
	write_text(json, "headline", event->headline);
	jk_buffer_printf(json, ",\"commitment\":\"%s\",\"chain\":\"%s\",\"copy_verified\":%s,\"chain_verified\":%s", commitment,
		chain, event->copy_verified ? "true" : "false", event->chain_verified ? "true" : "false");
	if (!event->copy_verified)
		write_text(json, "copy_problem", event->copy_problem);
	if (event->chain_broken)
		jk_buffer_printf(json, ",\"chain_broken\":true");
	jk_buffer_printf(json, ",\"origin\":\"%s\"", event->origin);
	if (event->snapshot)
		jk_buffer_printf(json, ",\"snapshot\":true,\"snapshot_begins\":%s,\"case_state\":\"%s\",\"closed\":%s",
			event->snapshot_begins ? "true" : "false", event->case_state, event->closed ? "true" : "false");
	write_text(json, "allowed_by", deliver->allowed_by);
	write_agreement(event, json);
	write_body(deliver, shown, json);
	jk_buffer_printf(json, "}");
}

/* Numbers of a stream are positive and of 63 bits, as the database's are. */
static bool is_sound(const Jukwaa__V1__Deliver *deliver)
{
	size_t hash_size = is_recall(deliver) ? 0 : JK_SHA256_BYTES;

	return deliver->stream[0] != '\0' && deliver->seq > 0 && deliver->seq <= INT64_MAX &&
	       deliver->event_id.len == sizeof(struct jk_id) && deliver->incident_id.len == sizeof(struct jk_id) &&
	       deliver->commitment.len == hash_size && deliver->chain.len == hash_size &&
	       deliver->body_case != JUKWAA__V1__DELIVER__BODY__NOT_SET;
}

static void format_id(char ret[JK_ID_TEXT_BYTES], const ProtobufCBinaryData *bytes)
{
	struct jk_id id;

	memcpy(id.bytes, bytes->data, sizeof id.bytes);
	jk_id_format(ret, &id);
}

/* A mailbox message has no groups: its commitment is the hash of its packed form. */
static bool verify_mail(struct jk_arena *arena, const Jukwaa__V1__Deliver *deliver)
{
	uint8_t hash[JK_SHA256_BYTES];
	const char *name;
	const ProtobufCMessage *mail = mail_of(deliver, &name);
	struct jk_span packed = {0};

	packed.data = mail ? jk_body_pack(mail, arena, &packed.size) : NULL;
	if (!packed.data)
		return false;
	jk_sha256(hash, &packed, 1);
	return memcmp(hash, deliver->commitment.data, sizeof hash) == 0;
}

/* ---- is the copy what it says it is? ---------------------------------------------------------------------------- */

/* Groups that must not be shown under the profile that the delivery names; false: it is not known. FULL may come with the
 * protected groups, where the agreement gives them. A service that names none (version 0.1.0, or for the owner's own copy) is not
 * asked. */
static bool find_forbidden(const char *profile_name, size_t group_count, uint32_t *ret_forbidden)
{
	enum jk_profile profile = jk_profile_find(profile_name);

	*ret_forbidden = 0;
	if (profile_name[0] == '\0' || profile == JK_PROFILE_FULL)
		return true;
	*ret_forbidden = jk_body_withheld(group_count, jk_profile_withheld(profile));
	return profile != JK_PROFILE_NONE;
}

/* What is wrong with the copy, in arena memory; NULL: nothing. */
static const char *find_problem(
	const Jukwaa__V1__EventBody *body, const uint8_t commitment[32], const char *profile, struct jk_arena *arena)
{
	uint32_t forbidden;

	if (!jk_body_verify(body, commitment))
		return "it does not add up to its commitment";
	if (body->stored_apart)
		return "it tells what is stored apart";
	if (!find_forbidden(profile, body->n_groups, &forbidden))
		return "the profile that it names is not known here";
	for (size_t i = 0; i < body->n_groups; i++) {
		const Jukwaa__V1__Group *group = body->groups[i];
		int tag = (int)group->tag;
		const char *problem = NULL;

		if (group->digest.len > 0)
			continue;
		if (forbidden >> tag & 1)
			problem = "is shown, which its profile withholds";
		else if (!jk_parts_own(body->n_groups, tag, (struct jk_span){group->content.data, group->content.len}))
			problem = "holds what is not its own";
		if (problem)
			return jk_arena_printf(arena, "%s %s", jk_group_name(tag), problem);
	}
	return NULL;
}

static void check_copy(
	struct jk_arena *arena, const Jukwaa__V1__Deliver *deliver, const Jukwaa__V1__EventBody *body, struct jukwaa_event *event)
{
	const char *problem = body ? find_problem(body, event->commitment, deliver->profile, arena) : NULL;

	if (!body && !verify_mail(arena, deliver))
		problem = "it does not add up to its commitment";
	event->copy_verified = problem == NULL;
	event->copy_problem = problem ? problem : "";
}

static const char *case_state_word(const Jukwaa__V1__Deliver *deliver)
{
	static const char prefix[] = "CASE_STATE_";
	const ProtobufCEnumValue *state =
		deliver->case_state == 0
			? NULL
			: protobuf_c_enum_descriptor_get_value(&jukwaa__v1__case_state__descriptor, (int)deliver->case_state);

	return state ? state->name + sizeof prefix - 1 : "";
}

void client_event_read_end(const Jukwaa__V1__SnapshotEnd *end, uint64_t delivery_no, struct client_chains *chains,
	struct jk_buffer *json, struct jukwaa_event *ret)
{
	bool begins = !chains->in_snapshot;

	chains->in_snapshot = false;
	*ret = (struct jukwaa_event){.delivery_no = delivery_no,
		.kind = "SNAPSHOT_END",
		.stream = "",
		.tlp = "",
		.category = "",
		.severity = "",
		.status = "",
		.agency = "",
		.headline = "",
		.origin = "none",
		.copy_verified = true,
		.copy_problem = "",
		.agreement = "",
		.profile = "",
		.snapshot = true,
		.snapshot_begins = begins,
		.case_state = "",
		.snapshot_count = end->count};
	if (json) {
		json->size = 0;
		jk_buffer_printf(json,
			"{\"delivery_no\":%" PRIu64 ",\"kind\":\"SNAPSHOT_END\",\"snapshot\":true,\"snapshot_begins\":%s,"
			"\"snapshot_count\":%" PRIu64 "}",
			delivery_no, begins ? "true" : "false", end->count);
		ret->json = json->failed ? NULL : json->data;
	}
}

bool client_event_read(struct client_link *link, const Jukwaa__V1__Deliver *deliver, uint64_t delivery_no,
	struct client_chains *chains, struct jk_buffer *json, struct jukwaa_event *ret)
{
	const Jukwaa__V1__EventBody *body = deliver->body_case == JUKWAA__V1__DELIVER__BODY_EVENT ? deliver->event : NULL;
	struct shown_groups shown;

	if (!is_sound(deliver))
		return false;
	*ret = (struct jukwaa_event){
		.delivery_no = delivery_no,
		.stream = deliver->stream,
		.seq = deliver->seq,
		.epoch = deliver->epoch,
		.kind = jk_words_name(&jk_event_kinds, (int)deliver->kind),
		.revision = deliver->revision,
		.recorded_at_us = deliver->recorded_at_us,
		.tlp = jk_words_name(&jk_tlps, (int)deliver->tlp),
		.category = jk_words_name(&jk_categories, (int)deliver->category),
		.agreement = deliver->agreement,
		.agreement_version = deliver->agreement_version,
		.profile = deliver->profile,
		.retention_days = deliver->retention_days,
		.redistribution = deliver->redistribution,
		.snapshot = deliver->snapshot,
		.snapshot_begins = deliver->snapshot && !chains->in_snapshot,
		.case_state = case_state_word(deliver),
		.closed = deliver->closed,
	};
	chains->in_snapshot = deliver->snapshot;
	format_id(ret->event_id, &deliver->event_id);
	format_id(ret->incident_id, &deliver->incident_id);
	if (!is_recall(deliver)) {
		memcpy(ret->commitment, deliver->commitment.data, sizeof ret->commitment);
		memcpy(ret->chain, deliver->chain.data, sizeof ret->chain);
	}
	read_groups(link->arena, body, &shown);
	read_labels(&shown, ret);
	if (is_recall(deliver)) {
		ret->copy_verified = true; /* of nothing */
		ret->copy_problem = "";
	} else {
		check_copy(link->arena, deliver, body, ret);
		/* Those of a snapshot come in another order than their numbers. */
		if (!deliver->snapshot)
			check_chain(chains, deliver, ret);
	}
	if (json) {
		json->size = 0;
		write_event(deliver, &shown, ret, json);
		ret->json = json->failed ? NULL : json->data;
	}
	return true;
}
