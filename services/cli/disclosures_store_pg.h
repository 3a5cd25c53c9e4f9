/* disclosures_store_pg.h: the SQL of `jukwaa disclosures` and of `jukwaa explain --at`: what disclosure rows say of one incident.
 * Blocks. Texts are borrowed for the call. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/jk_id.h"

/* One event of the incident, once a stream; ascending by time. */
struct disclosed_event {
	const char *stream;
	int64_t seq;
	int kind; /* jk_event_kinds */
	const char *event_id;
	int64_t revision, recorded_at_us;
};
/* What one row says of one event and one desk. */
struct disclosed_copy {
	const char *stream;
	int64_t seq;
	int kind;
	const char *desk, *agency;
	const char *under; /* "agreement CODE VERSION PROFILE", "allow ID PROFILE", "owner", "recalled"; "?": possibly sent */
	int64_t policy_version;
	int32_t key_id;
	int64_t reserved_at_us, noted_at_us; /* sent between the two; noted 0: not written down yet */
	bool acknowledged;
};
/* A desk that had content of the incident before the newest event in a stream that ends or changes it. */
enum disclosed_answer { DISCLOSED_CONFIRMED, DISCLOSED_SENT, DISCLOSED_POSSIBLY, DISCLOSED_NOTHING };
struct disclosed_duty {
	const char *stream;
	int64_t seq;
	int kind;
	const char *desk, *agency;
	enum disclosed_answer answer;
	bool recalled;    /* what was sent were ids alone */
	bool key_revoked; /* no key of the desk is valid: it gets nothing */
	bool possibly;    /* that it had an earlier copy is possible, not known */
};

struct disclosures_store;
/* NULL: no connection; ret_reason says why. */
struct disclosures_store *disclosures_store_open(const char *conninfo, char ret_reason[256]);
void disclosures_store_close(struct disclosures_store **store_p);

/* Each calls row once for each; returns how many, -1: the database refused, ret_reason says why. */
int disclosures_store_events(struct disclosures_store *store, const struct jk_id *incident_id,
	void (*row)(void *arg, const struct disclosed_event *event), void *arg, char ret_reason[256]);
/* desk NULL: of all desks. at_us: only rows reserved and events recorded by then; INT64_MAX: all. By stream, seq, desk,
 * reserved_at. */
int disclosures_store_copies(struct disclosures_store *store, const struct jk_id *incident_id, const char *desk, int64_t at_us,
	void (*row)(void *arg, const struct disclosed_copy *copy), void *arg, char ret_reason[256]);
int disclosures_store_duties(struct disclosures_store *store, const struct jk_id *incident_id,
	void (*row)(void *arg, const struct disclosed_duty *duty), void *arg, char ret_reason[256]);
