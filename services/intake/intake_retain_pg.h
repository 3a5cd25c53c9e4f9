/* intake_retain_pg.h: what intake removes by age (common/retain): reports with their protected groups, keys and what they keep.
 */
#pragma once

#include "retain/retain.h"

enum { INTAKE_RETAIN_KINDS = 3 };
extern const struct jk_retain_kind intake_retain_kinds[INTAKE_RETAIN_KINDS];
