/* cases_work_wire.h: what an event says was done (group WORK), as a line of the timeline. Not here: reports (cases_wire.h). */
#pragma once

#include "base/jk_arena.h"
#include "cases.h"

/* Of events of DUTY, UNIT and AID. False: there is no WORK in it, or not of that kind. arena: for the call. */
bool cases_work_read(enum jk_event_kind kind, const uint8_t *body, size_t size, struct jk_arena *arena, struct cases_work *ret);
