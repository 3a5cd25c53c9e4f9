/* intake_report.h: a report as the rules see it: what one agency says about an incident, without its format, its protobuf form
 * or its texts. Filled by intake_wire.c, read by intake_rules.c and intake_ledger.c. Texts and arrays are borrowed from the
 * report's arena. Not here: decisions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_refusal.h"
#include "base/jk_words.h"

enum {
	INTAKE_WARNINGS_MAX = 32,
	INTAKE_REFERENCES_MAX = 256, /* further ones are kept in the report, but join no incident */
};

/* What the publisher should look at although the report is stored. */
struct intake_warnings {
	struct jk_refusal list[INTAKE_WARNINGS_MAX];
	size_t count; /* the 33rd and later are left out */
};

/* A closed ring; lat, lon, lat, lon … in WGS 84 degrees. */
struct intake_ring {
	const double *lat_lon;
	size_t points;
};
struct intake_circle {
	double lat, lon, radius_km;
};
/* A code, what it is a code of, and where it stands in the report, for refusals. */
struct intake_code {
	enum jk_place_scheme scheme;
	const char *code;
	const char *field;
};

/* Where it happened, as far as the report says. */
struct intake_place {
	struct intake_code county; /* Publish.county; its code is "" when the publisher named none */
	const struct intake_code *codes;
	size_t code_count;
	bool has_point;
	double lat, lon;
	const struct intake_ring *rings;
	size_t ring_count;
	const struct intake_circle *circles;
	size_t circle_count;
};

struct intake_report {
	const char *agency; /* what the report itself says; "" nothing */
	const char *sender; /* CAP sender; NULL: the format has none */
	const char *external_id;
	int64_t revision;
	bool key_has_revision; /* the external id names the incident, each revision is a report of it */
	enum jk_cap_status status;
	enum jk_msg_type msg_type;
	uint16_t categories; /* bit n: category n */
	int category;        /* the first; 0 none */
	int severity;
	enum jk_tlp tlp;
	int64_t expires_us; /* 0: none */
	/* External ids of the reports it refers to, in order. */
	const char *const *references;
	size_t reference_count;
	struct intake_place place;
};
