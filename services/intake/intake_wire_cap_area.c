/* The area elements (CAP 1.2 §3.2.4): shapes, words, codes of all infos without exact repeats, since each language repeats its
 * areas. A shape that is wrong is left out and warned of; the rest of the alert still counts. */
#include <math.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/intake/intake_wire_cap_parts.h"

static const double half_way_round_km = 20038.0;

/* Texts of shapes kept so far, to pass over repeats without parsing them. */
struct seen {
	struct seen_text {
		uint64_t hash;
		const char *text;
	} * list; /* as many as the alert has shapes */
	size_t count;
};

static bool is_seen(struct seen *seen, const char *text)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (const char *c = text; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 1099511628211u;
	for (size_t i = 0; i < seen->count; i++)
		if (seen->list[i].hash == hash && strcmp(seen->list[i].text, text) == 0)
			return true;
	seen->list[seen->count++] = (struct seen_text){.hash = hash, .text = text};
	return false;
}

/* A number up to one of `ends` or the text's end; *rest moves behind it. */
static bool read_number(char **rest, const char *ends, double *ret)
{
	char number[40];
	size_t size = strcspn(*rest, ends);

	if (size == 0 || size >= sizeof number)
		return false;
	memcpy(number, *rest, size);
	number[size] = '\0';
	*rest += size;
	return jk_text_to_double(number, ret);
}

/* "lat,lon" in range. */
static bool read_point(char **rest, double *ret_lat, double *ret_lon)
{
	if (!read_number(rest, ", \t\r\n", ret_lat) || **rest != ',')
		return false;
	++*rest;
	return read_number(rest, ", \t\r\n", ret_lon) && fabs(*ret_lat) <= 90.0 && fabs(*ret_lon) <= 180.0;
}

static void skip_blanks(char **rest)
{
	while (cap_is_space(**rest))
		++*rest;
}

static size_t count_words(const char *text)
{
	size_t words = 0;

	for (bool inside = false; *text != '\0'; text++) {
		words += !inside && !cap_is_space(*text);
		inside = !cap_is_space(*text);
	}
	return words;
}

/* What is wrong with the ring that text holds; NULL: nothing, the polygon is filled. */
static const char *read_ring(char *text, Jukwaa__V1__Point *points, Jukwaa__V1__Polygon *polygon)
{
	size_t count = 0;

	for (skip_blanks(&text); *text != '\0'; skip_blanks(&text)) {
		Jukwaa__V1__Point *point = &points[count];

		jukwaa__v1__point__init(point);
		if (!read_point(&text, &point->lat, &point->lon))
			return "a point is no lat,lon within 90,180";
		polygon->points[count++] = point;
	}
	polygon->n_points = count;
	if (count == 0)
		return "the polygon is empty";
	if (count < 4)
		return "a polygon has at least 4 points, the last being the first again";
	if (points[0].lat != points[count - 1].lat || points[0].lon != points[count - 1].lon)
		return "the polygon is not closed";
	return NULL;
}

static bool read_polygon(struct cap_reading *reading, const xmlNode *node, struct seen *seen)
{
	Jukwaa__V1__Polygon *polygon = cap_message(reading, &jukwaa__v1__polygon__descriptor);
	Jukwaa__V1__Place *place = reading->incident->place;
	Jukwaa__V1__Point *points;
	const char *wrong;
	char *text;
	size_t most;

	if (polygon == NULL || !cap_text(reading, node, &text))
		return false;
	if (is_seen(seen, text))
		return true;
	most = count_words(text);
	if (most > CAP_POINTS_MAX - reading->points)
		return cap_refuse(reading, JK_CODE_RULE_VIOLATION, node, "an alert may hold at most %d points", CAP_POINTS_MAX);
	reading->points += most;
	points = cap_alloc(reading, (most + 1) * sizeof *points);
	polygon->points = cap_list(reading, most);
	if (points == NULL || polygon->points == NULL)
		return false;
	wrong = read_ring(text, points, polygon);
	if (wrong != NULL)
		return cap_warn(reading, JK_CODE_BAD_SHAPE, node, wrong);
	place->polygons[place->n_polygons++] = polygon;
	return true;
}

/* "lat,lon radius", in kilometres; 0 is a point. */
static bool read_circle(struct cap_reading *reading, const xmlNode *node, struct seen *seen)
{
	Jukwaa__V1__Circle *circle = cap_message(reading, &jukwaa__v1__circle__descriptor);
	Jukwaa__V1__Point *centre = cap_message(reading, &jukwaa__v1__point__descriptor);
	Jukwaa__V1__Place *place = reading->incident->place;
	char *text;

	if (circle == NULL || centre == NULL || !cap_text(reading, node, &text))
		return false;
	if (is_seen(seen, text))
		return true;
	circle->centre = centre;
	skip_blanks(&text);
	if (!read_point(&text, &centre->lat, &centre->lon) || !cap_is_space(*text))
		return cap_warn(reading, JK_CODE_BAD_SHAPE, node, "a circle is written lat,lon radius");
	skip_blanks(&text);
	if (!read_number(&text, " \t\r\n", &circle->radius_km) || !cap_is_blank(text))
		return cap_warn(reading, JK_CODE_BAD_SHAPE, node, "a circle is written lat,lon radius");
	if (circle->radius_km < 0 || circle->radius_km > half_way_round_km)
		return cap_warn(reading, JK_CODE_BAD_SHAPE, node, "the radius in kilometres is negative or spans the world");
	place->circles[place->n_circles++] = circle;
	return true;
}

/* valueNames that name a Kenyan place; upper or lower case. A bare number under any other name is not believed: county codes
 * and ISO codes both run from 1 to 47. */
static Jukwaa__V1__PlaceScheme scheme_of(const char *name, const char *value)
{
	if (strcasecmp(name, "KE-COUNTY") == 0)
		return JUKWAA__V1__PLACE_SCHEME__PLACE_SCHEME_COUNTY;
	if (strcasecmp(name, "KE-CONSTITUENCY") == 0)
		return JUKWAA__V1__PLACE_SCHEME__PLACE_SCHEME_CONSTITUENCY;
	if (strcasecmp(name, "ISO-3166-2") == 0 && strncmp(value, "KE-", 3) == 0) /* others are abroad */
		return JUKWAA__V1__PLACE_SCHEME__PLACE_SCHEME_ISO_3166_2;
	return JUKWAA__V1__PLACE_SCHEME__PLACE_SCHEME_UNSPECIFIED;
}

static bool add_code(struct cap_reading *reading, Jukwaa__V1__Place *place, Jukwaa__V1__PlaceScheme scheme, char *value)
{
	Jukwaa__V1__PlaceCode *code;

	for (size_t i = 0; i < place->n_codes; i++)
		if (place->codes[i]->scheme == scheme && strcmp(place->codes[i]->code, value) == 0)
			return true;
	code = cap_message(reading, &jukwaa__v1__place_code__descriptor);
	if (code == NULL)
		return false;
	code->scheme = scheme;
	code->code = value;
	place->codes[place->n_codes++] = code;
	return true;
}

static bool read_geocode(struct cap_reading *reading, const xmlNode *node)
{
	Jukwaa__V1__Place *place = reading->incident->place;
	Jukwaa__V1__NamedValue *geocode = cap_message(reading, &jukwaa__v1__named_value__descriptor);
	const xmlNode *name = cap_child(node, "valueName"), *value = cap_child(node, "value");
	Jukwaa__V1__PlaceScheme scheme;

	if (geocode == NULL || name == NULL || value == NULL || !cap_word(reading, name, &geocode->name) ||
		!cap_word(reading, value, &geocode->value))
		return false;
	scheme = scheme_of(geocode->name, geocode->value);
	if (scheme != JUKWAA__V1__PLACE_SCHEME__PLACE_SCHEME_UNSPECIFIED)
		return add_code(reading, place, scheme, geocode->value);
	for (size_t i = 0; i < place->n_geocodes; i++)
		if (strcmp(place->geocodes[i]->value, geocode->value) == 0 &&
			strcmp(place->geocodes[i]->name, geocode->name) == 0)
			return true;
	place->geocodes[place->n_geocodes++] = geocode;
	return true;
}

static bool read_words(struct cap_reading *reading, const xmlNode *node)
{
	Jukwaa__V1__Place *place = reading->incident->place;
	char *text;

	if (!cap_text(reading, node, &text))
		return false;
	if (cap_is_blank(text))
		return true;
	for (size_t i = 0; i < place->n_text; i++)
		if (strcmp(place->text[i], text) == 0)
			return true;
	place->text[place->n_text++] = text;
	return true;
}

static bool read_area(struct cap_reading *reading, const xmlNode *area, struct seen *seen)
{
	for (const xmlNode *node = cap_first(area); node != NULL; node = cap_next(node)) {
		bool taken = true;

		if (cap_is(node, "areaDesc"))
			taken = read_words(reading, node);
		else if (cap_is(node, "polygon"))
			taken = read_polygon(reading, node, seen);
		else if (cap_is(node, "circle"))
			taken = read_circle(reading, node, seen);
		else if (cap_is(node, "geocode"))
			taken = read_geocode(reading, node);
		if (!taken)
			return false;
	}
	return true;
}

bool cap_read_areas(struct cap_reading *reading)
{
	const struct cap_counts *counts = &reading->counts;
	Jukwaa__V1__Place *place = cap_message(reading, &jukwaa__v1__place__descriptor);
	struct seen seen = {.list = cap_alloc(reading, (counts->polygons + counts->circles + 1) * sizeof *seen.list)};

	if (place == NULL || seen.list == NULL)
		return false;
	reading->incident->place = place;
	place->text = cap_list(reading, counts->areas);
	place->polygons = cap_list(reading, counts->polygons);
	place->circles = cap_list(reading, counts->circles);
	place->geocodes = cap_list(reading, counts->geocodes);
	place->codes = cap_list(reading, counts->geocodes);
	if (place->text == NULL || place->polygons == NULL || place->circles == NULL || place->geocodes == NULL ||
		place->codes == NULL)
		return false;
	for (const xmlNode *info = cap_first(reading->alert); info != NULL; info = cap_next(info)) {
		if (!cap_is(info, "info"))
			continue;
		for (const xmlNode *area = cap_first(info); area != NULL; area = cap_next(area))
			if (cap_is(area, "area") && !read_area(reading, area, &seen))
				return false;
	}
	return true;
}
