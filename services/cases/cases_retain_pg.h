/* cases_retain_pg.h: what cases removes by age (common/retain): records of who read what. */
#pragma once

#include "retain/retain.h"

enum { CASES_RETAIN_KINDS = 1 };
extern const struct jk_retain_kind cases_retain_kinds[CASES_RETAIN_KINDS];
