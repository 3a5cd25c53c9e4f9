/* dispatch_open.h: follows the feed to know which incidents are open (dispatch.open_incident), and makes the duties that a rule
 * asks for. Each event has its effect once, however many dispatchers there are. Not here: what becomes of duties
 * (dispatch_duty.h). */
#pragma once

#include "bus/bus_loop.h"
#include "db/db.h"
#include "session/session.h"

struct dispatch_open;

/* All borrowed. woken(arg): duties may have to be looked at. JK_BROKEN: out of memory, or not a connection string. */
enum jk_status dispatch_open_open(const char *conninfo, struct jk_loop *loop, struct jk_sessions *sessions,
	void (*woken)(void *arg), void *arg, struct dispatch_open **ret_open) JK_MUST_CHECK;
void dispatch_open_close(struct dispatch_open **open_p);
/* "Some stream has grown." */
void dispatch_open_hint(struct dispatch_open *open);
/* At least every 250 ms. */
void dispatch_open_on_timer(struct dispatch_open *open);
/* At the end of each turn of the loop. */
void dispatch_open_turn(struct dispatch_open *open);
