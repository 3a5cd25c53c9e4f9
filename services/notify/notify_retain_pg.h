/* notify_retain_pg.h: what notify removes by age (common/retain): messages that are not waiting any more, with their attempts. */
#pragma once

#include "retain/retain.h"

enum { NOTIFY_RETAIN_KINDS = 1 };
extern const struct jk_retain_kind notify_retain_kinds[NOTIFY_RETAIN_KINDS];
