/* dispatch_open_rules.h: which incidents are open, in each county stream: what a batch of the feed's events makes of it. Pure.
 * Order is kept within a stream only, and each stream has a row of its own, so nothing here depends on the order of streams. Not
 * here: SQL (dispatch_open_pg.h), following (dispatch_open.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_id.h"
#include "base/jk_words.h"

enum { DISPATCH_OPEN_BATCH_MAX = 1024, DISPATCH_OPEN_SLOTS = 4096, DISPATCH_NAMED_BYTES = 1024 };

/* dispatch.open_incident.closed_why */
enum { DISPATCH_CLOSED_CANCELLED = 1, DISPATCH_CLOSED_MOVED = 2, DISPATCH_CLOSED_CASE = 4 };

/* What decisions and rules need of an incident. */
struct dispatch_open_labels {
	char agency[33];
	uint16_t categories;
	int category, severity, urgency, status, tlp, scope;
	bool has_point;
	double lat, lon;
	char named[DISPATCH_NAMED_BYTES]; /* "KRCS,NPS-1" */
};

struct dispatch_open_event {
	char stream[JK_COUNTY_BYTES];
	struct jk_id incident_id, event_id;
	int64_t seq, revision, recorded_at_us;
	int kind;       /* enum jk_event_kind */
	int case_state; /* of CASE_STATE: what the case has come to; 0: nothing that is known */
	struct dispatch_open_labels labels;
};

/* One kind of event. */
struct dispatch_open_rule {
	int kind;
	bool labels, opens; /* its body is the newest; a row that is missing is made */
	int sets, clears;   /* DISPATCH_CLOSED_… */
	const char *why;
};
extern const struct dispatch_open_rule dispatch_open_rules[];
extern const size_t dispatch_open_rules_count;
/* NULL: it changes the row's number and time alone. */
const struct dispatch_open_rule *dispatch_open_rules_find(int kind);

/* What a batch makes of one row: bits of `decided` become those of `closed`, the others stay. */
struct dispatch_open_row {
	char stream[JK_COUNTY_BYTES];
	struct jk_id incident_id, event_id; /* event_id, revision, labels: where has_labels */
	int64_t seq, body_seq, revision, first_us, body_us, last_us;
	bool has_labels, opens;
	bool remakes; /* a case was opened again: the labels are good, and serve if there is no row any more */
	int decided, closed;
	int case_state; /* 0: as it was */
	struct dispatch_open_labels labels;
};
struct dispatch_open_batch {
	size_t count;
	struct dispatch_open_row rows[DISPATCH_OPEN_BATCH_MAX];
	uint16_t slots[DISPATCH_OPEN_SLOTS]; /* index + 1 */
};
void dispatch_open_reset(struct dispatch_open_batch *batch);
/* At most DISPATCH_OPEN_BATCH_MAX times; each stream's events in their order. */
void dispatch_open_add(struct dispatch_open_batch *batch, const struct dispatch_open_event *event);

/* Adds a code to those that a label names, whole or not at all. */
void dispatch_open_name(char named[DISPATCH_NAMED_BYTES], const char *code);
/* The codes one by one: named is cut up for it. Returns how many. */
enum { DISPATCH_NAMED_MAX = DISPATCH_NAMED_BYTES / 2 };
size_t dispatch_open_names(char named[DISPATCH_NAMED_BYTES], const char *ret[DISPATCH_NAMED_MAX]);
