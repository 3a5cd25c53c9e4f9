/* intake_decoded.h: what a format reader hands on: the incident in the common form, and what only that format knows. Readers
 * (intake_wire_cap.c, intake_wire_json.c, intake_wire_pb.c) fill it; intake_wire.c turns it into a struct intake_report. */
#pragma once

#include "base/jk_arena.h"
#include "base/jk_refusal.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "services/intake/intake_report.h"

/* Of an external id; in CAP of identifier and sender each. */
enum { INTAKE_NAME_MAX_BYTES = 256 };

struct intake_decoded {
	Jukwaa__V1__Incident *incident; /* arena; groups that hold nothing may be NULL */
	/* Canonical content, hashed (keyed) to tell DUPLICATE from CONFLICT; arena memory or the payload itself. */
	const uint8_t *canonical;
	size_t canonical_size;
	/* What identifies the report within (agency, format); CAP: sender, identifier and sent joined by commas. */
	const char *external_id;
	int64_t revision; /* orders reports of one incident; CAP: sent in ms */
	/* The key holds the revision too? CAP: false (its external id names one report); others: true (external id names the
	 * incident, each revision is a report of it). */
	bool key_has_revision;
	const char *sender; /* CAP sender to be checked against the key; NULL: none */
	/* external ids (same form as above) of the reports it references, in order; CAP Update, Cancel, Ack, Error. */
	const char *const *references;
	size_t reference_count;
	struct intake_warnings warnings; /* what strict mode refuses */
};

/* Adds a warning; under strict it is a refusal instead: fills ret_refusal with the same code and returns false. */
bool intake_warn(struct intake_decoded *decoded, bool strict, struct jk_refusal *ret_refusal, enum jk_code code,
	const char *field, const char *reason_format, ...) JK_PRINTF(6, 7);
