/* intake_place_geos_parts.h: what the reader of the file and the questions about places share. For intake_place_geos*.c alone. */
#pragma once

#include <geos_c.h>

#include "services/intake/intake_place_geos.h"

enum { INTAKE_PROBES_MAX = 16 };

struct intake_county_shape {
	GEOSGeometry *geometry; /* NULL: not in the file */
	const GEOSPreparedGeometry *prepared;
	/* Points of it, one within and some of its border; whatever area surrounds one of them touches the county. */
	GEOSGeometry *probes[INTAKE_PROBES_MAX];
	size_t probe_count;
	double west, south, east, north;
};

struct intake_boundaries {
	GEOSContextHandle_t geos;
	char message[160];                                            /* GEOS's latest complaint */
	struct intake_county_shape counties[INTAKE_COUNTIES_MAX + 1]; /* by code; 0 is not used */
	/* Of the report at hand. */
	uint64_t wanted; /* counties still looked for */
	size_t work;     /* left for it */
};

/* Points are lon lat lon lat …; NULL: GEOS refuses it (message). */
GEOSGeometry *intake_place_new_ring(struct intake_boundaries *boundaries, const double *lon_lat, size_t points);
