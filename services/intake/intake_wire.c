#include "services/intake/intake_wire.h"

#include <string.h>

#include "jukwaa/v1/intake.pb-c.h"
#include "services/intake/intake_wire_cap.h"
#include "wire/wire_body.h"

void intake_wire_publish(const ProtobufCMessage *message, struct intake_publish *ret)
{
	const Jukwaa__V1__Publish *publish = (const Jukwaa__V1__Publish *)message;

	*ret = (struct intake_publish){
		.request = publish->request,
		.format = (enum jk_format)publish->format,
		.payload = publish->payload.data,
		.payload_size = publish->payload.len,
		.county = publish->county,
		.strict = publish->strict,
		.check = publish->check || publish->dry_run,
		.dry_run = publish->dry_run,
		.origin_salt = {publish->origin_salt.data, publish->origin_salt.len},
		.origin_signature = {publish->origin_signature.data, publish->origin_signature.len},
	};
}

bool intake_wire_read(struct intake_cap *cap, const struct intake_publish *publish, struct jk_arena *arena,
	struct intake_decoded *ret_decoded, struct jk_refusal *ret_refusal)
{
	const uint8_t *bytes = publish->payload;
	size_t size = publish->payload_size;

	switch (publish->format) {
	case JK_FORMAT_CAP:
		return intake_cap_read(cap, bytes, size, publish->strict, arena, ret_decoded, ret_refusal);
	case JK_FORMAT_JSON:
		return intake_json_read(bytes, size, publish->strict, arena, ret_decoded, ret_refusal);
	case JK_FORMAT_PROTOBUF:
	case JK_FORMAT_CSV: /* mapped by the publisher */
		return intake_pb_read(bytes, size, publish->strict, arena, ret_decoded, ret_refusal);
	case JK_FORMAT_NONE:
		break;
	}
	return jk_refuse(ret_refusal, JK_CODE_INVALID_SCHEMA, "format", "a report must say its format");
}

/* ---- the report as the rules see it ---- */

/* Groups that intake itself fills must be there; what a report may leave out gets the value that discloses and claims least. */
static bool complete(Jukwaa__V1__Incident *incident, struct jk_arena *arena)
{
	if (!incident->classification)
		incident->classification = intake_wire_message(arena, &jukwaa__v1__classification__descriptor);
	if (!incident->place)
		incident->place = intake_wire_message(arena, &jukwaa__v1__place__descriptor);
	if (!incident->identity || !incident->classification || !incident->place || !incident->handling)
		return false;
	Jukwaa__V1__Classification *classification = incident->classification;
	if ((int)classification->urgency == JK_URGENCY_NONE)
		classification->urgency = JUKWAA__V1__URGENCY__URGENCY_UNKNOWN;
	if ((int)classification->severity == JK_SEVERITY_NONE)
		classification->severity = JUKWAA__V1__SEVERITY__SEVERITY_UNKNOWN;
	if ((int)classification->certainty == JK_CERTAINTY_NONE)
		classification->certainty = JUKWAA__V1__CERTAINTY__CERTAINTY_UNKNOWN;
	if ((int)incident->handling->tlp == JK_TLP_NONE)
		incident->handling->tlp = JUKWAA__V1__TLP__TLP_AMBER;
	return true;
}

static bool list_codes(const Jukwaa__V1__Place *from, struct jk_arena *arena, struct intake_place *place)
{
	bool constituency = *from->constituency != '\0';
	struct intake_code *codes = jk_arena_alloc(arena, (from->n_codes + 1) * sizeof *codes);

	if (!codes)
		return false;
	for (size_t i = 0; i < from->n_codes; i++)
		codes[i] =
			(struct intake_code){(enum jk_place_scheme)from->codes[i]->scheme, from->codes[i]->code, "place.codes"};
	if (constituency)
		codes[from->n_codes] = (struct intake_code){JK_PLACE_CONSTITUENCY, from->constituency, "place.constituency"};
	place->codes = codes;
	place->code_count = from->n_codes + constituency;
	return true;
}

static bool list_rings(const Jukwaa__V1__Place *from, struct jk_arena *arena, struct intake_place *place)
{
	struct intake_ring *rings = jk_arena_alloc(arena, from->n_polygons * sizeof *rings);

	if (!rings)
		return false;
	for (size_t i = 0; i < from->n_polygons; i++) {
		const Jukwaa__V1__Polygon *polygon = from->polygons[i];
		double *lat_lon = jk_arena_alloc(arena, polygon->n_points * 2 * sizeof *lat_lon);
		if (!lat_lon)
			return false;
		for (size_t point = 0; point < polygon->n_points; point++) {
			lat_lon[2 * point] = polygon->points[point]->lat;
			lat_lon[2 * point + 1] = polygon->points[point]->lon;
		}
		rings[i] = (struct intake_ring){lat_lon, polygon->n_points};
	}
	place->rings = rings;
	place->ring_count = from->n_polygons;
	return true;
}

static bool list_circles(const Jukwaa__V1__Place *from, struct jk_arena *arena, struct intake_place *place)
{
	struct intake_circle *circles = jk_arena_alloc(arena, from->n_circles * sizeof *circles);

	if (!circles)
		return false;
	for (size_t i = 0; i < from->n_circles; i++) {
		const Jukwaa__V1__Circle *circle = from->circles[i];
		circles[i] = (struct intake_circle){circle->centre->lat, circle->centre->lon, circle->radius_km};
	}
	place->circles = circles;
	place->circle_count = from->n_circles;
	return true;
}

static bool report_place(const Jukwaa__V1__Place *from, struct jk_arena *arena, struct intake_place *place)
{
	place->has_point = from->point_present_case != JUKWAA__V1__PLACE__POINT_PRESENT__NOT_SET;
	if (place->has_point) {
		place->lat = from->point->lat;
		place->lon = from->point->lon;
	}
	if ((from->n_codes || *from->constituency) && !list_codes(from, arena, place))
		return false;
	if (from->n_polygons && !list_rings(from, arena, place))
		return false;
	return !from->n_circles || list_circles(from, arena, place);
}

/* A CAP alert without info has no event text, which each info must have. The reader calls it OTHER; what its incident is called
 * is better (a Cancel must reach whom the alert reached). */
static void forget_placeholder(Jukwaa__V1__Classification *classification)
{
	if (!*classification->event)
		classification->n_categories = 0;
}

static void report_classification(const Jukwaa__V1__Classification *from, struct intake_report *report)
{
	for (size_t i = 0; i < from->n_categories; i++)
		report->categories |= (uint16_t)(1 << from->categories[i]);
	report->category = from->n_categories ? (int)from->categories[0] : JK_CATEGORY_NONE;
	report->severity = (int)from->severity;
}

bool intake_wire_report(struct intake_decoded *decoded, const char *county, struct jk_arena *arena,
	struct intake_report *ret_report, const struct intake_message **ret_message, struct jk_refusal *ret_refusal)
{
	Jukwaa__V1__Incident *incident = decoded->incident;

	*ret_report = (struct intake_report){0};
	ret_report->place.county =
		(struct intake_code){JK_PLACE_COUNTY, jk_arena_string(arena, county, strlen(county)), "county"};
	if (!ret_report->place.county.code || !complete(incident, arena) ||
		!report_place(incident->place, arena, &ret_report->place))
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "payload", "it unpacks to more than is allowed");
	const Jukwaa__V1__Times *times = incident->times;
	ret_report->agency = incident->identity->agency;
	ret_report->sender = decoded->sender;
	ret_report->external_id = decoded->external_id;
	ret_report->revision = decoded->revision;
	ret_report->key_has_revision = decoded->key_has_revision;
	ret_report->status = (enum jk_cap_status)incident->identity->status;
	ret_report->msg_type = (enum jk_msg_type)incident->identity->msg_type;
	ret_report->tlp = (enum jk_tlp)incident->handling->tlp;
	ret_report->expires_us = times && times->expires_present_case ? times->expires_us : 0;
	ret_report->references = decoded->references;
	ret_report->reference_count = decoded->reference_count;
	if (decoded->sender)
		forget_placeholder(incident->classification);
	report_classification(incident->classification, ret_report);
	*ret_message = (const struct intake_message *)incident;
	return true;
}
