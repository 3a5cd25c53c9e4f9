/* dispatch_duty.h: duties: what is due (dispatch_duty_tick.c), commands of desks (dispatch_duty_command.c), lists and offers to
 * open sessions (dispatch_duty_offer.c). Works on connections of its own; any number of dispatchers share the duties of one
 * database. */
#pragma once

#include "bus/bus_loop.h"
#include "session/session.h"

struct dispatch_duties;

struct dispatch_duty_around {
	const char *conninfo;
	struct jk_loop *loop;
	struct jk_sessions *sessions;
	int64_t grace_s;             /* incidents that are closed for longer are forgotten */
	void (*on_grown)(void *arg); /* steps are in the feed now */
	void *arg;
};
/* All borrowed. JK_BROKEN: out of memory, or not a connection string. */
enum jk_status dispatch_duty_open(const struct dispatch_duty_around *around, struct dispatch_duties **ret_duties) JK_MUST_CHECK;
void dispatch_duty_close(struct dispatch_duties **duties_p);

/* Handlers of the service; their `service` is not this, so that they find it: dispatch_duty_on_…(duties, request). */
void dispatch_duty_on_command(struct dispatch_duties *duties, const struct jk_request *request);
void dispatch_duty_on_list(struct dispatch_duties *duties, const struct jk_request *request);
/* The session ended. */
void dispatch_duty_forget(struct dispatch_duties *duties, uint64_t session);

/* Some may be due now. */
void dispatch_duty_wake(struct dispatch_duties *duties);
/* At least every 250 ms. */
void dispatch_duty_on_timer(struct dispatch_duties *duties);
/* At the end of each turn of the loop. */
void dispatch_duty_turn(struct dispatch_duties *duties);
