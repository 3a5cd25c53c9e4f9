/* dispatch_visit.h: one visit to a session, as dispatch_fanout.c (the next events of its streams) and dispatch_snapshot.c (what
 * is open, before them) go through it. */
#pragma once

#include "dispatch_internal.h"

enum dispatch_step { DISPATCH_STEP_DONE, DISPATCH_STEP_WAIT, DISPATCH_STEP_STOP /* the whole session */ };

struct dispatch_visit {
	struct dispatch *dispatch;
	struct jk_session *session;
	struct dispatch_subscription *subscription;
	const struct jk_registry *registry;
	const struct jk_registry_key *key;
	int64_t now_us;
	int deliveries, steps; /* left */
	int stream_deliveries; /* of one stream before the next one has its turn */
	int waits;
	uint32_t term; /* under which the next delivery is noted */
};

/* dispatch_visit.c */
/* The decision for this copy, now; its owner is looked up. */
struct jk_decision dispatch_visit_decide(const struct dispatch_visit *visit, struct dispatch_event *event);
/* May this session have a copy now, and does it want one? ret_decision: of the copy. */
bool dispatch_visit_is_for(const struct dispatch_visit *visit, struct dispatch_event *event, struct jk_decision *ret_decision);
/* Bit n: protected group n of the event goes with this copy. */
uint32_t dispatch_visit_groups(const struct dispatch_event *event, const struct jk_decision *decision);
/* Who is told that the desk has it: its owner, -1 where an agreement hides the desk from the owner. */
int32_t dispatch_visit_told_agency(const struct dispatch_event *event, const struct jk_decision *decision);
/* A session may hold an eighth of what is left free: however many do not acknowledge, the others have room. */
bool dispatch_visit_has_room(const struct dispatch_visit *visit);
/* Sends what the visit has put together. Its positions have moved already: a session that cannot be sent to ends (false), and its
 * client comes again with what it has. */
bool dispatch_visit_send(const struct dispatch_visit *visit);
/* Puts a copy with what is put together, or sends that first; it leaves at the latest at the end of the visit. noted->size is
 * filled in. STOP: not now, or never again. */
enum dispatch_step dispatch_visit_put(
	struct dispatch_visit *visit, const struct dispatch_delivery *delivery, struct dispatch_unacked *noted);
/* No copy can be made of it, or none that fits a message: it is logged and counted, and passed over. */
void dispatch_visit_undeliverable(const struct dispatch_visit *visit, const struct dispatch_event *event);

/* dispatch_snapshot.c */
/* Tells what comes next of the subscription's snapshot; STEP_DONE: as much as this visit may (*ret_left), or all of it. */
enum dispatch_step dispatch_snapshot_visit(struct dispatch_visit *visit, bool *ret_left);
/* Tells the end of a backfill whose streams are all told. STEP_DONE: told, or there is none to tell. */
enum dispatch_step dispatch_snapshot_visit_backfill(struct dispatch_visit *visit);
