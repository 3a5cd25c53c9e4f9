/* What a report written as jukwaa.v1.Incident must say. CAP has its own reader and rules. */
#include <math.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/intake/intake_wire.h"

enum { RING_POINTS_MIN = 4 };
/* 1900-01-01 and 9999-12-31T23:59:59 in microseconds: what RFC 3339 can write. */
#define TIME_MIN_US (INT64_C(-2208988800) * 1000000)
#define TIME_MAX_US (INT64_C(253402300799) * 1000000)
#define EARTH_HALF_ROUND_KM 20038.0

struct check {
	struct intake_decoded *decoded;
	bool strict;
	struct jk_refusal *refusal;
};

static bool invalid(const struct check *check, const char *field, const char *reason)
{
	return jk_refuse(check->refusal, JK_CODE_INVALID_SCHEMA, field, "%s", reason);
}

static bool warn(const struct check *check, enum jk_code code, const char *field, const char *reason)
{
	enum jk_code as = check->strict ? JK_CODE_RULE_VIOLATION : code;

	return intake_warn(check->decoded, check->strict, check->refusal, as, field, "%s", reason);
}

static bool warn_shape(const struct check *check, const char *list, size_t index, const char *fault)
{
	char field[48];

	jk_text_format(field, sizeof field, "place.%s[%zu]", list, index);
	return warn(check, JK_CODE_BAD_SHAPE, field, fault);
}

static bool check_external_id(const struct check *check, const char *external_id, const char *field)
{
	size_t size = strlen(external_id);

	if (size == 0)
		return invalid(check, field, "it is required");
	return size <= INTAKE_NAME_MAX_BYTES || invalid(check, field, "it is longer than 256 bytes");
}

static bool check_identity(const struct check *check, Jukwaa__V1__Identity *identity)
{
	if (!identity)
		return invalid(check, "identity", "it is required");
	if (!check_external_id(check, identity->external_id, "identity.external_id"))
		return false;
	if (identity->origin)
		return invalid(check, "identity.origin", "it is filled by the exchange, from the signature beside the report");
	if (identity->revision < 0)
		return invalid(check, "identity.revision", "it must not be negative");
	if ((int)identity->status == JK_CAP_STATUS_NONE)
		return invalid(check, "identity.status", "it is required");
	if ((int)identity->msg_type == JK_MSG_TYPE_NONE)
		identity->msg_type = JUKWAA__V1__MSG_TYPE__MSG_TYPE_ALERT;
	return true;
}

static bool check_classification(const struct check *check, const Jukwaa__V1__Classification *classification, int msg_type)
{
	size_t count = classification ? classification->n_categories : 0;

	if (count == 0 && (msg_type == JK_MSG_TYPE_ALERT || msg_type == JK_MSG_TYPE_UPDATE))
		return invalid(check, "classification.categories", "at least one category is required");
	for (size_t i = 0; i < count; i++) {
		if ((int)classification->categories[i] == JK_CATEGORY_NONE)
			return invalid(check, "classification.categories", "UNSPECIFIED is no category");
	}
	for (size_t i = 0; classification && i < classification->n_response_types; i++) {
		if ((int)classification->response_types[i] == JK_RESPONSE_TYPE_NONE)
			return invalid(check, "classification.response_types", "UNSPECIFIED is no response type");
	}
	return true;
}

static bool check_handling(const struct check *check, const Jukwaa__V1__Handling *handling)
{
	if (!handling || (int)handling->scope == JK_SCOPE_NONE)
		return invalid(check, "handling.scope", "a report must say for whom it is");
	if ((int)handling->scope == JK_SCOPE_PRIVATE && handling->n_addresses == 0)
		return jk_refuse(check->refusal, JK_CODE_RULE_VIOLATION, "handling.addresses", "scope PRIVATE needs addresses");
	if ((int)handling->scope == JK_SCOPE_RESTRICTED && !*handling->restriction)
		return jk_refuse(
			check->refusal, JK_CODE_RULE_VIOLATION, "handling.restriction", "scope RESTRICTED needs a restriction");
	return true;
}

static bool check_references(const struct check *check, const Jukwaa__V1__References *references, int msg_type)
{
	size_t count = references ? references->n_references : 0;

	if (count == 0 && (msg_type == JK_MSG_TYPE_ACK || msg_type == JK_MSG_TYPE_ERROR))
		return jk_refuse(check->refusal, JK_CODE_RULE_VIOLATION, "references", "ACK and ERROR must say what they answer");
	for (size_t i = 0; i < count; i++) {
		if (!check_external_id(check, references->references[i]->external_id, "references.references.external_id"))
			return false;
	}
	return true;
}

static bool check_time(const struct check *check, bool present, int64_t time_us, const char *field)
{
	return !present || (time_us >= TIME_MIN_US && time_us <= TIME_MAX_US) ||
	       invalid(check, field, "it lies outside the years 1900 to 9999");
}

static bool check_times(const struct check *check, const Jukwaa__V1__Times *times)
{
	if (!times)
		return true;
	if (!check_time(check, times->sent_present_case, times->sent_us, "times.sent_us") ||
		!check_time(check, times->effective_present_case, times->effective_us, "times.effective_us") ||
		!check_time(check, times->onset_present_case, times->onset_us, "times.onset_us") ||
		!check_time(check, times->expires_present_case, times->expires_us, "times.expires_us"))
		return false;
	if (times->sent_present_case && times->expires_present_case && times->expires_us <= times->sent_us)
		return warn(check, JK_CODE_EXPIRES_NOT_AFTER_SENT, "times.expires_us", "it expires no later than it was sent");
	return true;
}

/* ---- shapes: a bad one is named and left out, the report stays ---- */

static const char *point_fault(const Jukwaa__V1__Point *point)
{
	if (!point)
		return "it has no coordinates";
	/* Also false for NaN. */
	if (!(fabs(point->lat) <= 90.0) || !(fabs(point->lon) <= 180.0))
		return "coordinates are out of range";
	return NULL;
}

static const char *polygon_fault(const Jukwaa__V1__Polygon *polygon)
{
	if (polygon->n_points < RING_POINTS_MIN)
		return "a polygon needs four points or more";
	for (size_t i = 0; i < polygon->n_points; i++) {
		const char *fault = point_fault(polygon->points[i]);
		if (fault)
			return fault;
	}
	const Jukwaa__V1__Point *first = polygon->points[0], *last = polygon->points[polygon->n_points - 1];
	return first->lat == last->lat && first->lon == last->lon ? NULL : "the polygon is not closed";
}

static const char *circle_fault(const Jukwaa__V1__Circle *circle)
{
	const char *fault = point_fault(circle->centre);

	if (fault)
		return fault;
	return circle->radius_km >= 0 && circle->radius_km <= EARTH_HALF_ROUND_KM ? NULL : "the radius is out of range";
}

static bool check_polygons(const struct check *check, Jukwaa__V1__Place *place)
{
	size_t kept = 0;

	for (size_t i = 0; i < place->n_polygons; i++) {
		const char *fault = polygon_fault(place->polygons[i]);
		if (!fault)
			place->polygons[kept++] = place->polygons[i];
		else if (!warn_shape(check, "polygons", i, fault))
			return false;
	}
	place->n_polygons = kept;
	return true;
}

static bool check_circles(const struct check *check, Jukwaa__V1__Place *place)
{
	size_t kept = 0;

	for (size_t i = 0; i < place->n_circles; i++) {
		const char *fault = circle_fault(place->circles[i]);
		if (!fault)
			place->circles[kept++] = place->circles[i];
		else if (!warn_shape(check, "circles", i, fault))
			return false;
	}
	place->n_circles = kept;
	return true;
}

static bool check_point(const struct check *check, Jukwaa__V1__Place *place)
{
	const char *fault = place->point_present_case ? point_fault(place->point) : NULL;

	if (fault) {
		place->point_present_case = JUKWAA__V1__PLACE__POINT_PRESENT__NOT_SET;
		if (!warn(check, JK_CODE_BAD_SHAPE, "place.point", fault))
			return false;
	}
	if (place->accuracy_present_case && !(place->accuracy_m >= 0 && place->accuracy_m <= EARTH_HALF_ROUND_KM * 1000)) {
		place->accuracy_present_case = JUKWAA__V1__PLACE__ACCURACY_PRESENT__NOT_SET;
		return warn(check, JK_CODE_BAD_SHAPE, "place.accuracy_m", "the accuracy is out of range");
	}
	return true;
}

static bool check_place(const struct check *check, Jukwaa__V1__Place *place)
{
	if (!place)
		return true;
	for (size_t i = 0; i < place->n_codes; i++) {
		if ((int)place->codes[i]->scheme == JK_PLACE_NONE)
			return invalid(check, "place.codes.scheme", "a bare code names nothing: say what it is a code of");
		if (!*place->codes[i]->code)
			return invalid(check, "place.codes.code", "it is required");
	}
	return check_point(check, place) && check_polygons(check, place) && check_circles(check, place);
}

static bool list_references(struct intake_decoded *decoded, const Jukwaa__V1__References *references, struct jk_arena *arena)
{
	size_t count = references ? references->n_references : 0;

	if (count == 0)
		return true;
	const char **list = jk_arena_alloc(arena, count * sizeof *list);
	if (!list)
		return false;
	for (size_t i = 0; i < count; i++)
		list[i] = references->references[i]->external_id;
	decoded->references = list;
	decoded->reference_count = count;
	return true;
}

bool intake_incident_check(struct intake_decoded *decoded, bool strict, struct jk_arena *arena, struct jk_refusal *ret_refusal)
{
	const struct check check = {decoded, strict, ret_refusal};
	Jukwaa__V1__Incident *incident = decoded->incident;

	if (!check_identity(&check, incident->identity))
		return false;
	int msg_type = (int)incident->identity->msg_type;
	if (!check_classification(&check, incident->classification, msg_type) || !check_handling(&check, incident->handling) ||
		!check_references(&check, incident->references, msg_type) || !check_times(&check, incident->times) ||
		!check_place(&check, incident->place))
		return false;
	decoded->external_id = incident->identity->external_id;
	decoded->revision = incident->identity->revision;
	decoded->key_has_revision = true;
	if (!list_references(decoded, incident->references, arena))
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "references", "it unpacks to more than is allowed");
	return true;
}
