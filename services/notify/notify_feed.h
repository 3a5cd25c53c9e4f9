/* notify_feed.h: the half of notify that follows the feed: events, matched by rules, become messages in the transaction that
 * moves the cursor. Not here: sending (notify_sender.h). Used from the loop's thread. */
#pragma once

#include "feed/feed_follow.h"
#include "registry/registry.h"

struct notify_feed;

/* Borrows all; the connection is for following alone. on_told: called when messages have been stored. JK_BROKEN: out of memory.
 */
enum jk_status notify_feed_open(struct jk_db *db, struct jk_registry_watch *watch, void (*on_told)(void *arg), void *arg,
	struct notify_feed **ret_feed) JK_MUST_CHECK;
void notify_feed_close(struct notify_feed **feed_p);
/* To be driven by the loop: jk_follow_hint, jk_follow_on_timer. */
struct jk_follow *notify_feed_follow(struct notify_feed *feed);
/* At the end of each turn; without a registry nothing can be decided, so nothing is read. */
void notify_feed_turn(struct notify_feed *feed);
