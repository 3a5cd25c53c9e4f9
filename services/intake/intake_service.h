/* intake_service.h: the shell: takes PUBLISH from sessions, answers each with one RECEIPT. One thread, one batch in flight; the
 * next batch is what has queued meanwhile (DESIGN section 4), so it is quick when idle and efficient when loaded.
 *
 *   on_publish             bounds -> intake_examine.c: read, rules, place -> refused at once, or queued
 *   intake_batch.c         take -> load -> decide -> commit -> hint -> receipts */
#pragma once

#include "bus/bus_hint.h"
#include "bus/bus_loop.h"
#include "bus/bus_router.h"
#include "daemon/daemon.h"
#include "registry/registry.h"
#include "services/intake/intake_place_geos.h"
#include "services/intake/intake_store.h"
#include "services/intake/intake_wire_cap.h"

/* All borrowed, from open to close. */
struct intake_parts {
	struct jk_daemon *daemon;
	struct jk_loop *loop;
	struct jk_bus *bus;
	struct jk_router *router;
	struct jk_registry_watch *watch;
	struct jk_hint_sender *hint; /* NULL: none */
	struct intake_store *store;
	struct intake_cap *cap;
	struct intake_boundaries *boundaries; /* NULL: none */
};

struct intake_service;

/* Joins the loop; work begins when it runs. */
enum jk_status intake_service_open(const struct intake_parts *parts, struct intake_service **ret_service) JK_MUST_CHECK;
/* For jk_daemon_watch, arg is the service: finishes what is in flight, then stops the loop. */
void intake_service_stop(void *service);
/* Exit status: 1 when the service had to give up (wrong realm, schema of another version). */
int intake_service_exit(const struct intake_service *service);
void intake_service_close(struct intake_service **service_p);
