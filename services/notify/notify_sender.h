/* notify_sender.h: the half of notify that sends: claims what is due, signs and posts it, records what came of it. At least once:
 * an attempt whose end nobody recorded is made again under the same id. Not here: HTTP (notify_webhook.h), which event is told
 * (notify_feed.h). Used from the loop's thread. */
#pragma once

#include "bus/bus_loop.h"
#include "db/db.h"
#include "registry/registry.h"

struct notify_sender;

struct notify_sender_settings {
	enum jk_realm realm;
	bool allow_private_targets;
	int attempts_max;
};

/* Borrows all; the connection is for sending alone. Adds itself to the loop but for its turn. JK_BROKEN: out of memory or
 * descriptors. */
enum jk_status notify_sender_open(const struct notify_sender_settings *settings, struct jk_loop *loop, struct jk_db *db,
	struct jk_registry_watch *watch, struct notify_sender **ret_sender) JK_MUST_CHECK;
void notify_sender_close(struct notify_sender **sender_p);
/* There are new messages, perhaps of new rules. */
void notify_sender_wake(void *sender);
/* At the end of each turn of the loop. */
void notify_sender_turn(struct notify_sender *sender);
/* Claims no more; true once everything under way has ended and is recorded. */
bool notify_sender_drain(struct notify_sender *sender);
/* Attempts that wait for their answer; those that have it and are not recorded yet. */
void notify_sender_left(const struct notify_sender *sender, size_t *ret_in_flight, size_t *ret_unrecorded);
