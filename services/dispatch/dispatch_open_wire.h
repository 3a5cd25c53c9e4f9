/* dispatch_open_wire.h: an event of a county stream as dispatch_open_rules.h needs it. */
#pragma once

#include "base/jk_arena.h"
#include "dispatch_open_rules.h"
#include "feed/feed_reader.h"

/* False: not a body of ours, or not a county's stream. */
bool dispatch_open_wire_read(const struct jk_event *event, struct jk_arena *arena, struct dispatch_open_event *ret);
