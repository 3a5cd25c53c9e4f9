/* cases_feed.h: the half of cases that follows the feed: batches through the rules into the store. Not here: questions
 * (cases_service.h). Used from the loop's thread. */
#pragma once

#include "db/db.h"
#include "feed/feed_follow.h"

struct cases_feed;

/* Borrows the connection, which is for following alone. JK_BROKEN: out of memory. */
enum jk_status cases_feed_open(struct jk_db *db, struct cases_feed **ret_feed) JK_MUST_CHECK;
void cases_feed_close(struct cases_feed **feed_p);
/* To be driven by the loop: jk_follow_hint, jk_follow_on_timer, jk_follow_turn. */
struct jk_follow *cases_feed_follow(struct cases_feed *feed);
