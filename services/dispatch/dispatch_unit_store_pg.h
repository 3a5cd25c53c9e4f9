/* dispatch_unit_store_pg.h: all SQL about units, assignments and help between agencies: the two jobs of a batch of commands, and
 * questions. Steps are filled for the caller's connection. Not here: deciding. */
#pragma once

#include "db/db.h"
#include "dispatch_unit.h"
#include "dispatch_unit_wire.h"

struct dispatch_unit_store;

/* NULL: no memory. */
struct dispatch_unit_store *dispatch_unit_store_new(void);
void dispatch_unit_store_free(struct dispatch_unit_store **store_p);

/* ---- commands ---- */

/* Forgets what was wanted; then one call for each command: what it needs to know. */
void dispatch_unit_store_begin(struct dispatch_unit_store *store);
void dispatch_unit_store_want_deed(struct dispatch_unit_store *store, int32_t agency_id, const struct jk_id *command_id);
/* By its id, or where that is zero by its code; with it the incident of its assignment. */
void dispatch_unit_store_want_unit(
	struct dispatch_unit_store *store, int32_t agency_id, const struct jk_id *unit_id, const char *code);
/* With it its incident, and all offers made to it. */
void dispatch_unit_store_want_aid(struct dispatch_unit_store *store, const struct jk_id *aid_id);
void dispatch_unit_store_want_incident(struct dispatch_unit_store *store, const struct jk_id *incident_id);
enum { DISPATCH_UNIT_LOAD_STEPS = 4, DISPATCH_UNIT_SAVE_STEPS = 8 };
size_t dispatch_unit_store_load(struct dispatch_unit_store *store, struct jk_db_step steps[DISPATCH_UNIT_LOAD_STEPS]);
/* Reads what came, into the batch's arena. False: it is full. */
bool dispatch_unit_store_loaded(const struct jk_db_outcome *outcome, struct dispatch_unit_batch *batch);
/* The storing transaction: deeds, units, assignments, aid; the caller adds the feed's. 0: nothing changes. */
size_t dispatch_unit_store_save(struct dispatch_unit_store *store, const struct dispatch_unit_batch *batch,
	struct jk_db_step steps[DISPATCH_UNIT_SAVE_STEPS]);

/* ---- questions ---- */

/* How many units there are in each state, of all agencies; and 1,000 commands older than 30 days are forgotten. */
enum { DISPATCH_UNIT_COUNT_STEPS = 2 };
size_t dispatch_unit_store_count(struct jk_db_step steps[DISPATCH_UNIT_COUNT_STEPS]);
void dispatch_unit_store_counted(const struct jk_db_outcome *outcome, int64_t ret_counts[DISPATCH_UNIT_STATES]);

/* Units of an agency, by code: one more than the question's limit, where there are more. */
void dispatch_unit_store_list(struct dispatch_unit_store *store, const struct dispatch_unit_question *question, int32_t agency_id,
	struct jk_db_step *ret_step);
/* Help that the agency asks for, was asked for by name, or gives, and requests made to all; newest first; one more likewise. */
void dispatch_unit_store_list_aid(struct dispatch_unit_store *store, const struct dispatch_unit_question *question,
	int32_t agency_id, struct jk_db_step *ret_step);
/* The incidents wanted since begin, alone. */
void dispatch_unit_store_incidents(struct dispatch_unit_store *store, struct jk_db_step *ret_step);

/* What is looked for, and where. */
struct dispatch_unit_search {
	const struct dispatch_unit_question *question;
	bool has_point;
	double lat, lon;
};
enum { DISPATCH_UNIT_SEARCH_STEPS = 2, DISPATCH_UNIT_SEARCH_MAX = 256 };
/* Begins the lists: desks and agencies that may answer, counties where the incident is open; add each; then the steps: the
 * nearest available ones, and counts of the others. */
void dispatch_unit_store_search_begin(struct dispatch_unit_store *store);
void dispatch_unit_store_search_desk(struct dispatch_unit_store *store, int32_t desk_id);
void dispatch_unit_store_search_agency(struct dispatch_unit_store *store, int32_t agency_id);
void dispatch_unit_store_search_county(struct dispatch_unit_store *store, const char *county);
size_t dispatch_unit_store_search(struct dispatch_unit_store *store, const struct dispatch_unit_search *search,
	struct jk_db_step steps[DISPATCH_UNIT_SEARCH_STEPS]);
/* ret: counts alone. */
void dispatch_unit_store_searched(const struct jk_db_outcome *outcome, struct dispatch_nearest *ret);

/* Rows of one result, as lists in the arena; false: it is full. */
bool dispatch_unit_store_read_units(
	const struct jk_db_outcome *outcome, size_t step, struct jk_arena *arena, struct dispatch_unit **ret_units);
bool dispatch_unit_store_read_aids(
	const struct jk_db_outcome *outcome, size_t step, struct jk_arena *arena, struct dispatch_aid **ret_aids);
bool dispatch_unit_store_read_incidents(
	const struct jk_db_outcome *outcome, size_t step, struct jk_arena *arena, struct dispatch_incident **ret_incidents);
