/* feed_place.c: where and when a body says that it was. */
#include <string.h>

#include "feed/feed_body.h"
#include "feed/feed_groups.h"
#include "wire/wire_body.h"

/* As in feed_label.c: field numbers of proto/jukwaa/v1/incident.proto. */
enum { TIMES_SENT = 1, TIMES_EFFECTIVE = 2, TIMES_ONSET = 3, PLACE_CONSTITUENCY = 8 };

static void read_times(struct jk_span content, struct jk_event_place *ret)
{
	static const uint32_t best_first[] = {TIMES_ONSET, TIMES_EFFECTIVE, TIMES_SENT};
	size_t best = sizeof best_first / sizeof *best_first;
	struct feed_walk walk = feed_walk_over(content);
	struct feed_field field;

	while (feed_walk_next(&walk, &field))
		for (size_t i = 0; i < best; i++)
			if (field.number == best_first[i] && field.is_varint) {
				ret->occurred_at_us = (int64_t)field.value;
				best = i;
			}
}

static void read_constituency(struct jk_span content, struct jk_event_place *ret)
{
	struct feed_walk walk = feed_walk_over(content);
	struct feed_field field;

	while (feed_walk_next(&walk, &field))
		if (field.number == PLACE_CONSTITUENCY && field.is_bytes && field.bytes.size == sizeof ret->constituency - 1) {
			memcpy(ret->constituency, field.bytes.data, field.bytes.size);
			ret->constituency[field.bytes.size] = '\0';
		}
	if (strspn(ret->constituency, "0123456789") != strlen(ret->constituency))
		ret->constituency[0] = '\0';
}

/* A ring's centroid and twice its signed area, in degrees about its first point; the middle of its points where it has no area.
 */
static double weigh_ring(const Jukwaa__V1__Polygon *polygon, double *ret_lat, double *ret_lon)
{
	double lat = 0, lon = 0, area = 0, lat0 = polygon->points[0]->lat, lon0 = polygon->points[0]->lon;

	for (size_t i = 1; i < polygon->n_points; i++) {
		double a_lat = polygon->points[i - 1]->lat - lat0, a_lon = polygon->points[i - 1]->lon - lon0;
		double b_lat = polygon->points[i]->lat - lat0, b_lon = polygon->points[i]->lon - lon0;
		double cross = a_lon * b_lat - b_lon * a_lat;

		area += cross;
		lat += (a_lat + b_lat) * cross;
		lon += (a_lon + b_lon) * cross;
	}
	if (area > 1e-12 || area < -1e-12) {
		*ret_lat = lat0 + lat / (3 * area);
		*ret_lon = lon0 + lon / (3 * area);
		return area < 0 ? -area : area;
	}
	for (size_t i = 0; i < polygon->n_points; i++) {
		lat += (polygon->points[i]->lat - lat0) / (double)polygon->n_points;
		lon += (polygon->points[i]->lon - lon0) / (double)polygon->n_points;
	}
	*ret_lat = lat0 + lat;
	*ret_lon = lon0 + lon;
	return 1e-12;
}

static void set_point(struct jk_event_place *ret, double lat, double lon)
{
	ret->located = lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180;
	ret->lat = ret->located ? lat : 0;
	ret->lon = ret->located ? lon : 0;
}

/* The point; else the middle of all polygons, by their area; else the first circle's. */
static void read_position(struct jk_span content, struct jk_arena *arena, struct jk_event_place *ret)
{
	struct jk_refusal refusal;
	double lat = 0, lon = 0, weight = 0;
	const Jukwaa__V1__Place *place = NULL;

	if (content.size > 0)
		place = (const void *)jk_body_unpack(&jukwaa__v1__place__descriptor, content.data, content.size, arena, &refusal);
	if (!place)
		return;
	if (place->point_present_case == JUKWAA__V1__PLACE__POINT_PRESENT_POINT) {
		set_point(ret, place->point->lat, place->point->lon);
		return;
	}
	for (size_t i = 0; i < place->n_polygons; i++) {
		double ring_lat, ring_lon, ring_weight;

		if (place->polygons[i]->n_points == 0)
			continue;
		ring_weight = weigh_ring(place->polygons[i], &ring_lat, &ring_lon);
		lat += ring_lat * ring_weight;
		lon += ring_lon * ring_weight;
		weight += ring_weight;
	}
	if (weight > 0)
		set_point(ret, lat / weight, lon / weight);
	else if (place->n_circles > 0 && place->circles[0]->centre)
		set_point(ret, place->circles[0]->centre->lat, place->circles[0]->centre->lon);
}

enum jk_status jk_body_place(const uint8_t *body, size_t size, struct jk_arena *arena, struct jk_event_place *ret)
{
	struct feed_groups groups;

	*ret = (struct jk_event_place){0};
	if (!feed_groups_read((struct jk_span){.data = body, .size = size}, &groups))
		return JK_BROKEN;
	read_times(groups.items[JK_GROUP_TIMES - 1].content, ret);
	/* In bodies of ten groups place and words cannot be parted, so where it was is nobody's but who gets all of them. */
	if (groups.count == JK_GROUP_COUNT_OLD)
		return JK_OK;
	read_constituency(groups.items[JK_GROUP_PLACE - 1].content, ret);
	read_position(groups.items[JK_GROUP_POSITION - 1].content, arena, ret);
	return JK_OK;
}
