/* intake_wire.h: messages <-> the domain. Everything generated from proto/ stays behind this header. Not here: what may be said
 * (intake_rules.h), sockets. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "services/intake/intake_decoded.h"
#include "services/intake/intake_item.h"

struct intake_cap;

/* The command, borrowed from its message. */
struct intake_publish {
	uint64_t request;
	enum jk_format format;
	const uint8_t *payload;
	size_t payload_size;
	const char *county;
	bool strict, check, dry_run;
	struct jk_span origin_salt, origin_signature; /* empty: not signed */
};
void intake_wire_publish(const ProtobufCMessage *message, struct intake_publish *ret);

/* Reads the payload by its format. The payload must live as long as the arena. Refusals of the format's reader;
 * INVALID_SCHEMA for an unknown format. */
bool intake_wire_read(struct intake_cap *cap, const struct intake_publish *publish, struct jk_arena *arena,
	struct intake_decoded *ret_decoded, struct jk_refusal *ret_refusal);

/* An empty message of that type; NULL: arena full. */
void *intake_wire_message(struct jk_arena *arena, const ProtobufCMessageDescriptor *type);

/* Readers of jukwaa.v1.Incident in its two written forms: shape, then intake_incident_check. Content is canonical in the packed
 * form, so that blanks in JSON and the order of fields make no difference. */
bool intake_pb_read(const uint8_t *bytes, size_t size, bool strict, struct jk_arena *arena, struct intake_decoded *ret,
	struct jk_refusal *ret_refusal);
bool intake_json_read(const uint8_t *bytes, size_t size, bool strict, struct jk_arena *arena, struct intake_decoded *ret,
	struct jk_refusal *ret_refusal);
/* What a report must say, and defaults for what it may leave out (README "What a report must say"). decoded->incident is set;
 * fills the rest. */
bool intake_incident_check(struct intake_decoded *decoded, bool strict, struct jk_arena *arena, struct jk_refusal *ret_refusal);

/* The report as the rules see it. county: Publish.county. OVERSIZE when the arena is full. */
bool intake_wire_report(struct intake_decoded *decoded, const char *county, struct jk_arena *arena,
	struct intake_report *ret_report, const struct intake_message **ret_message, struct jk_refusal *ret_refusal);

/* What the event says beside what the report says. */
struct intake_filling {
	uint64_t counties;
	bool orphan;
	const struct intake_incident *incident; /* its classification, for a report that has none; else NULL */
};
/* Fills that in, with the agency, packs each group anew and seals them into item->sealed, all in `arena`, since a batch may be
 * decided more than once. JK_BROKEN: it is full. */
enum jk_status intake_wire_seal(
	struct intake_item *item, const struct intake_filling *filling, struct jk_arena *arena) JK_MUST_CHECK;

/* What decisions look at, of a report that was decided on; owner and county are left open. Borrows from the item. False: the
 * item's arena is full. */
bool intake_wire_label(const struct intake_item *item, struct jk_label *ret) JK_MUST_CHECK;

/* Warnings as they are kept with the first answer; NULL with size 0 when there are none or the arena is full. */
const uint8_t *intake_wire_pack_warnings(const struct intake_warnings *warnings, struct jk_arena *arena, size_t *ret_size);

/* The receipt for the item's verdict, in the item's arena; NULL: arena full. */
const ProtobufCMessage *intake_wire_receipt(const struct intake_item *item);
