/* intake_meter.h: intake's figures for /metrics. */
#pragma once

#include "bus/bus_context.h"
#include "bus/bus_router.h"
#include "services/intake/intake_item.h"
#include "session/session.h"

/* Registers them; once in a process. */
void intake_meter_open(void);
void intake_meter_receipt(const struct intake_item *item);
void intake_meter_receipt_lost(void);
void intake_meter_batch(size_t reports, int64_t commit_us);
void intake_meter_again(void);
/* A batch that was decided without loading: was that right? */
void intake_meter_assumed(bool right);
/* What others count, and what stands now; call now and then. */
void intake_meter_refresh(
	struct jk_bus *bus, struct jk_router *router, const struct jk_sessions *sessions, size_t queued, size_t queue_bytes);
