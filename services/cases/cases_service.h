/* cases_service.h: the half of cases that answers: questions, every case through the decision function, every answer
 * held until it is recorded; commands are handed on. Not here: following the feed (cases_feed.h), recording (cases_record.h),
 * commands (cases_command.h). Used from the loop's thread; a question blocks it for at most two seconds. */
#pragma once

#include "db/db.h"
#include "session/session.h"

struct cases_service;

/* Each for one thing alone. */
struct cases_service_dbs {
	struct jk_db *questions, *record, *commands, *figures;
};
/* Everything is borrowed. JK_BROKEN: out of memory. */
enum jk_status cases_service_open(struct jk_loop *loop, struct jk_router *router, struct jk_registry_watch *watch,
	const struct cases_service_dbs *dbs, struct cases_service **ret_service) JK_MUST_CHECK;
void cases_service_close(struct cases_service **service_p);
struct jk_sessions *cases_service_sessions(struct cases_service *service);
/* At the end of each turn; and at least every 250 ms. */
void cases_service_run(struct cases_service *service);
void cases_service_on_timer(struct cases_service *service);
/* Answers that wait for their record, and commands. */
size_t cases_service_waiting(const struct cases_service *service);
