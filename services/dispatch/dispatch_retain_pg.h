/* dispatch_retain_pg.h: what dispatch removes by age (common/retain): events under signed heads, disclosures, old heads. */
#pragma once

#include "retain/retain.h"

enum { DISPATCH_RETAIN_KINDS = 3 };
extern const struct jk_retain_kind dispatch_retain_kinds[DISPATCH_RETAIN_KINDS];
