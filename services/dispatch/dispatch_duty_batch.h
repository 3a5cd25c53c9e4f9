/* dispatch_duty_batch.h: some duties in memory: what is known of them, and what steps have made of them, to be stored in one
 * transaction. No SQL (dispatch_duty_pg.h), no policy (dispatch_duty_step.h). */
#pragma once

#include "crypt/crypt.h"
#include "dispatch_duty_rules.h"
#include "dispatch_list.h"
#include "dispatch_open_rules.h"

enum { DISPATCH_REASON_MAX_BYTES = 200 };

/* Of the incident, in the duty's county, as dispatch.open_incident has it; not known: forgotten, and nobody may see anything. */
struct dispatch_duty_incident {
	bool known, open;
	struct jk_id event_id;
	int64_t revision, body_us;
	struct dispatch_open_labels labels;
};

struct dispatch_duty_item {
	struct dispatch_duty duty;
	int32_t loaded; /* its version in the database */
	bool changed;
	char shift_reason[DISPATCH_REASON_MAX_BYTES + 1];
	struct dispatch_duty_incident incident;
};

/* What a desk has had to do with a duty's offers. */
struct dispatch_duty_desk {
	struct jk_id duty_id;
	int32_t desk_id, round; /* the last one it was in */
	bool was_asked;         /* not only passed over */
};

/* A role and its desk that were told; a row of dispatch.duty_telling. */
struct dispatch_duty_telling {
	struct jk_id duty_id;
	int32_t escalation_id, role, desk_id, times;
	int64_t told_us, acknowledged_us;
	bool changed;
};

struct dispatch_duty_offer {
	struct jk_id duty_id;
	int32_t offer_no, round, desk_id, by_desk;
	int64_t at_us, due_us, ended_us;
	enum dispatch_duty_ending ending;
	char reason[DISPATCH_REASON_MAX_BYTES + 1];
};

struct dispatch_duty_holding {
	struct jk_id duty_id;
	int32_t holding_no, desk_id;
	int64_t since_us, until_us; /* until 0: still */
};

/* One line of the history. Desks 0: none. */
struct dispatch_duty_entry {
	struct jk_id duty_id, command_id, event_id; /* zero: none */
	int32_t entry_no, version, action, by_desk, desk_id, disposition, role;
	int64_t at_us;
	char reason[DISPATCH_REASON_MAX_BYTES + 1];
};

/* The newest body of an incident, and where it is. Borrowed from the result. */
struct dispatch_duty_body {
	struct jk_id incident_id;
	struct jk_span body; /* size 0: removed by age */
	int64_t revision;
	int tlp, category;
	uint64_t streams; /* bit n: county n */
};

/* A command that was done, here or before. */
struct dispatch_duty_done {
	struct jk_id command_id, thing_id;
	uint8_t digest[JK_SHA256_BYTES];
	int32_t desk_id, version;
	char state[24], number[24];
};

/* How many duties a desk holds. */
struct dispatch_duty_holder {
	int32_t desk_id;
	int64_t count;
};

/* All that a desk holds is to be handed over. */
struct dispatch_duty_shift {
	int32_t from, to;
	char reason[DISPATCH_REASON_MAX_BYTES + 1];
};

struct dispatch_duty_batch {
	int64_t now_us;                                                      /* by the database's clock */
	struct dispatch_list items, desks, tellings, bodies, known, holders; /* loaded; known: struct dispatch_duty_done */
	struct dispatch_list offers, offers_ended, holdings, holdings_ended, entries, done, shifts; /* to be stored */
	bool failed; /* no memory: nothing of it may be stored */
};
void dispatch_duty_batch_reset(struct dispatch_duty_batch *batch);
void dispatch_duty_batch_done(struct dispatch_duty_batch *batch);

/* NULL: not there. */
struct dispatch_duty_item *dispatch_duty_batch_find(const struct dispatch_duty_batch *batch, const struct jk_id *duty_id);
struct dispatch_duty_telling *dispatch_duty_batch_telling(
	const struct dispatch_duty_batch *batch, const struct jk_id *duty_id, int32_t escalation_id);
const struct dispatch_duty_body *dispatch_duty_batch_body(
	const struct dispatch_duty_batch *batch, const struct jk_id *incident_id);
/* One done before, or earlier in this batch. */
const struct dispatch_duty_done *dispatch_duty_batch_known(
	const struct dispatch_duty_batch *batch, const struct jk_id *command_id);
struct dispatch_duty_desk_facts dispatch_duty_batch_facts(
	const struct dispatch_duty_batch *batch, const struct jk_id *duty_id, int32_t desk_id);
/* Ids of the desks that this round of the duty has had, at most `max`. */
size_t dispatch_duty_batch_asked(
	const struct dispatch_duty_batch *batch, const struct dispatch_duty *duty, int32_t *ret_desks, size_t max);

/* How many desks were ever asked to take it. */
uint32_t dispatch_duty_batch_count_asked(const struct dispatch_duty_batch *batch, const struct jk_id *duty_id);

/* What a step was about, for the record. Texts are copied. */
struct dispatch_duty_saying {
	int32_t desk_id, by_desk; /* 0: none; the exchange */
	int32_t disposition, role;
	const char *reason;
	struct jk_id command_id, event_id;
};
/* Notes what the step has changed. */
void dispatch_duty_batch_note(struct dispatch_duty_batch *batch, struct dispatch_duty_item *item,
	const struct dispatch_duty_change *change, const struct dispatch_duty_saying *saying);
