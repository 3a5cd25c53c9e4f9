/* dispatch_unit_service.h: units, recommendation and help between agencies, as the rest of dispatch sees them: handlers, a turn,
 * a tick. Two connections of their own: one for commands, one for questions. */
#pragma once

#include "bus/bus_loop.h"
#include "session/session.h"

struct dispatch_units;

/* All borrowed. on_appended: called when events were committed. */
struct dispatch_units_around {
	struct jk_loop *loop;
	const char *conninfo;
	struct jk_sessions *sessions;
	void (*on_appended)(void *arg);
	void *arg;
};

enum jk_status dispatch_units_open(const struct dispatch_units_around *around, struct dispatch_units **ret_units) JK_MUST_CHECK;
void dispatch_units_close(struct dispatch_units **units_p);
/* UnitCommand and AidCommand; UnitList, UnitRecommend and AidList. */
void dispatch_units_on_command(struct dispatch_units *units, const struct jk_request *request);
void dispatch_units_on_question(struct dispatch_units *units, const struct jk_request *request);
void dispatch_units_turn(struct dispatch_units *units);
/* Every 250 ms. */
void dispatch_units_tick(struct dispatch_units *units);
/* Nothing waits for its commit. */
bool dispatch_units_is_clear(const struct dispatch_units *units);
