/* intake_audience.h: who would see a report: the decision function asked for each desk and each county, with the registry as it
 * is. Not here: showing it (intake_wire_receipt.c). */
#pragma once

#include "registry/registry.h"
#include "services/intake/intake_wire.h"

/* Fills item->audience of a report that would be stored (VALID), in the item's arena. Desks of a task force that the publisher is
 * not in are counted, not named. False: the arena is full. */
bool intake_audience_fill(struct intake_item *item, const struct jk_registry *registry, int64_t now_us);
