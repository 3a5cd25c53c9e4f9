/* dispatch_unit_internal.h: what the shell's files for units and help between agencies share.
 *
 *   dispatch_unit_service.c  opening, the two jobs of a batch of commands
 *   dispatch_unit_decide.c   UnitCommand
 *   dispatch_aid_decide.c    AidCommand
 *   dispatch_unit_tell.c     who may answer an incident; what goes into streams and mailboxes
 *   dispatch_unit_ask.c      questions, on a connection of their own
 *   dispatch_unit_nearest.c  UnitRecommend */
#pragma once

#include "command/command.h"
#include "daemon/metrics.h"
#include "dispatch_unit.h"
#include "dispatch_unit_service.h"
#include "dispatch_unit_store_pg.h"
#include "dispatch_unit_wire.h"

/* A command at the moment when it is decided. */
struct dispatch_unit_turn {
	struct dispatch_unit_batch *batch;
	const struct jk_registry *registry;
	const struct jk_registry_key *key; /* a desk's, in good standing */
	struct jk_command *command;
};

/* ---- dispatch_unit_tell.c ---- */

/* What a desk may do about an incident. */
struct dispatch_sight {
	bool seen, may_answer, open;
	const struct jk_term *term; /* that allows to answer; NULL: its own */
	bool hidden;                /* the owner must not learn who answers */
	bool has_point;             /* and may be known */
};
/* desk: of any agency. */
struct dispatch_sight dispatch_unit_look(
	const struct jk_registry *registry, const struct jk_desk *desk, const struct dispatch_incident *incident, int64_t now_us);
/* Of two desks that may answer: may one know of the other? Who is in a task force that the owner is not in is known to its
 * members alone. */
bool dispatch_unit_may_name(const struct dispatch_sight *theirs, const struct dispatch_sight *mine);
/* NULL: it is not (yet, any more) known here. */
const struct dispatch_incident *dispatch_unit_find_incident(
	const struct dispatch_incident *incidents, const struct jk_id *incident_id);
/* The incident, when the desk of the command may answer it and it is open; else NULL, and the command is refused. */
const struct dispatch_incident *dispatch_unit_answerable(
	const struct dispatch_unit_turn *turn, const struct jk_id *incident_id, struct dispatch_sight *ret_sight);
/* Appends the event to every county stream that has the incident open. incident NULL: there is none. False: refused. */
bool dispatch_unit_tell(const struct dispatch_unit_turn *turn, const struct dispatch_incident *incident, enum jk_event_kind kind,
	struct jk_span work);
/* Notes ACTED for the owner, in the place of an equal step before it in the batch. Takes it: arena memory. */
void dispatch_unit_mail(struct dispatch_unit_batch *batch, struct dispatch_acted *acted);
/* What was noted becomes events. */
void dispatch_unit_post(struct dispatch_unit_batch *batch);
/* Refuses the command; for `return`. */
bool dispatch_unit_refuse(const struct dispatch_unit_turn *turn, enum jk_code code, const char *field, const char *reason);
/* The command is done: its answer, and its line in the record of commands. */
void dispatch_unit_done(const struct dispatch_unit_turn *turn, const char *action, const struct jk_id *thing_id, int32_t version,
	const char *state);

void dispatch_unit_decide(const struct dispatch_unit_turn *turn, const struct dispatch_unit_order *order);
void dispatch_aid_decide(const struct dispatch_unit_turn *turn, const struct dispatch_aid_order *order);

/* ---- dispatch_unit_ask.c ---- */

struct dispatch_unit_asks_queue;
enum jk_status dispatch_unit_asks_open(
	struct jk_sessions *sessions, struct jk_db *db, struct dispatch_unit_asks_queue **ret_asks);
void dispatch_unit_asks_close(struct dispatch_unit_asks_queue **asks_p);
void dispatch_unit_asks_put(struct dispatch_unit_asks_queue *asks, const struct jk_request *request);
void dispatch_unit_asks_turn(struct dispatch_unit_asks_queue *asks);
void dispatch_unit_asks_on_timer(struct dispatch_unit_asks_queue *asks);

/* ---- dispatch_unit_nearest.c ---- */

/* Fills the search for units that may answer the incident; 0: refused. */
size_t dispatch_unit_nearest_search(struct dispatch_unit_store *store, const struct jk_registry *registry,
	const struct dispatch_incident *incident, const struct dispatch_unit_search *search, int64_t now_us,
	struct jk_db_step steps[DISPATCH_UNIT_SEARCH_STEPS]);
/* Ranks what was found; the choices lie in the arena. False: it is full. */
bool dispatch_unit_nearest_rank(const struct jk_registry *registry, const struct jk_registry_key *key,
	const struct dispatch_incident *incident, const struct dispatch_unit_search *search, const struct dispatch_unit *units,
	int64_t now_us, struct jk_arena *arena, struct dispatch_nearest *nearest);
