/* intake_examine.h: everything that can be said of a report by itself, as soon as it has come: read it, ask the rules, look up
 * its place, compute its keys. What depends on other reports is decided in intake_batch.c. */
#pragma once

#include "services/intake/intake_place_geos.h"
#include "services/intake/intake_wire.h"
#include "session/session.h"

/* What it needs; decoded is scratch, overwritten by each report. */
struct intake_examiner {
	struct intake_cap *cap;
	struct intake_boundaries *boundaries; /* NULL: none */
	const uint8_t *content_key;           /* 32 bytes */
	struct intake_decoded decoded;
};

/* Fills report, candidate, message and warnings of an item whose identity and bytes are set; publish->payload must live as long
 * as the item's arena. False: refused. */
bool intake_examine(struct intake_examiner *examiner, const struct jk_request *request, const struct intake_publish *publish,
	struct intake_item *item, struct jk_refusal *ret_refusal);
