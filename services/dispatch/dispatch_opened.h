/* dispatch_opened.h: "a person at this desk has opened the incident" (IncidentMark): written down once for each incident and
 * desk, with OPENED in its owner's mailbox in the same transaction. Works on a connection of its own. Not here: that copies were
 * sent or acknowledged (dispatch_receipts.h), what was done about an incident (work.proto). */
#pragma once

#include "bus/bus_loop.h"
#include "db/db.h"
#include "session/session.h"

struct dispatch_opened;

/* All borrowed. woken(arg): mailboxes have grown. JK_BROKEN: out of memory, or not a connection string. */
enum jk_status dispatch_opened_open(const char *conninfo, struct jk_loop *loop, struct jk_sessions *sessions,
	void (*woken)(void *arg), void *arg, struct dispatch_opened **ret_opened) JK_MUST_CHECK;
void dispatch_opened_close(struct dispatch_opened **opened_p);
/* A handler's part: takes an IncidentMark; it is answered later. */
void dispatch_opened_mark(struct dispatch_opened *opened, const struct jk_request *request);
/* At least every 250 ms. */
void dispatch_opened_on_timer(struct dispatch_opened *opened);
/* At the end of each turn of the loop. */
void dispatch_opened_turn(struct dispatch_opened *opened);
