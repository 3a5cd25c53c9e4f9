/* intake_locate.h: looks up what a report says of its place: codes and spellings in the registry, coordinates in the boundary
 * file. Which of them is believed is decided in intake_rules.h. */
#pragma once

#include "registry/registry.h"
#include "services/intake/intake_place_geos.h"
#include "services/intake/intake_rules.h"

/* boundaries NULL: no file is configured, and coordinates route nothing. Shapes are looked at as far as they can decide something
 * and INTAKE_PLACE_WORK goes; beyond it bad_shape is set, and has_shapes is not. */
void intake_locate(const struct jk_registry *registry, struct intake_boundaries *boundaries, const struct intake_place *place,
	struct intake_located *ret);
