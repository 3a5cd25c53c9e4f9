/* intake_locate.h: looks up what a report says of its place: codes and spellings in the registry, coordinates in the boundary
 * file. Which of them is believed is decided in intake_rules.h. */
#pragma once

#include "registry/registry.h"
#include "services/intake/intake_place_geos.h"
#include "services/intake/intake_rules.h"

/* boundaries NULL: no file is configured, and coordinates route nothing. */
void intake_locate(const struct jk_registry *registry, struct intake_boundaries *boundaries, const struct intake_place *place,
	struct intake_located *ret);
