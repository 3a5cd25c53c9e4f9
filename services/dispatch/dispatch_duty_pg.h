/* dispatch_duty_pg.h: the SQL of duties: which are due, what is known of some, storing what steps have made of them. Lists of
 * offers: dispatch_duty_list_pg.h. */
#pragma once

#include "db/db.h"
#include "dispatch_duty_batch.h"

enum {
	DISPATCH_DUTY_LOAD_STEPS = 7,
	DISPATCH_DUTY_STORE_STEPS = 9,
	DISPATCH_DUTY_DUE_MAX = 64,
	DISPATCH_DUTY_HELD_MAX = 256,
	DISPATCH_DUTY_ITEMS_MAX = 256
};

/* What a transaction on one connection needs. Zero-initialise. */
struct dispatch_duty_store {
	struct jk_db_array ids, command_ids, holders;
	struct jk_db_array duties[17], ends[5], offers[10], freed[2], holdings[5], tellings[7], entries[12], done[7], shifts[3];
	struct jk_db_int8 held_desk, held_max, due_max, due_past, grace, forget_max, changed, ended, let_go;
};
void dispatch_duty_store_done(struct dispatch_duty_store *store);

/* The duties whose time has come, life in danger first, at most `max` after the first `past`: column 0 of the result is duty_id.
 */
void dispatch_duty_due_step(struct dispatch_duty_store *store, size_t max, size_t past, struct jk_db_step *ret_step);

/* The next of those that somebody has, at most `max` after this place (zero: from the first): columns duty_id, holder; fewer than
 * `max`: these are the last. */
struct dispatch_held_place {
	int32_t desk_id;
	struct jk_id duty_id;
};
void dispatch_duty_held_step(
	struct dispatch_duty_store *store, const struct dispatch_held_place *after, size_t max, struct jk_db_step *ret_step);
/* How many there are in each state in which somebody has something to do: columns state, count. */
void dispatch_duty_count_step(struct jk_db_step *ret_step);
/* Removes incidents that have been closed for longer than grace_s. */
void dispatch_duty_forget_step(struct dispatch_duty_store *store, int64_t grace_s, struct jk_db_step *ret_step);

/* What is known of these duties, of these commands, and how many duties these desks hold: DISPATCH_DUTY_LOAD_STEPS steps. */
void dispatch_duty_load_reset(struct dispatch_duty_store *store);
void dispatch_duty_load_add(struct dispatch_duty_store *store, const struct jk_id *duty_id);
void dispatch_duty_load_command(struct dispatch_duty_store *store, const struct jk_id *command_id);
void dispatch_duty_load_holder(struct dispatch_duty_store *store, int32_t desk_id);
size_t dispatch_duty_load_steps(struct dispatch_duty_store *store, struct jk_db_step *steps);
/* Of dispatch.open_incident, from this column on: closed_why, event_id, revision, body_at, agency, categories, category,
 * severity, urgency, status, tlp, scope, named. */
void dispatch_duty_take_incident(const PGresult *result, int row, int column, struct dispatch_duty_incident *ret);
/* results: of those steps. Bodies are borrowed from them. False: no memory. */
bool dispatch_duty_take(PGresult *const *results, struct dispatch_duty_batch *batch);

/* The steps that store a batch, without those for which there is nothing; at most DISPATCH_DUTY_STORE_STEPS. Fails with 40001
 * where a duty has another version than the one loaded. */
size_t dispatch_duty_store_steps(
	struct dispatch_duty_store *store, const struct dispatch_duty_batch *batch, struct jk_db_step *steps);
