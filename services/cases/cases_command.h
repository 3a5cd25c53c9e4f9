/* cases_command.h: the half of cases that does what desks say: CaseCommand through common/command, many committed at once. Not
 * here: questions (cases_service.h), what a command may do (cases_life_rules.h). Used from the loop's thread; never blocks. */
#pragma once

#include "db/db.h"
#include "session/session.h"

struct cases_commands;

/* Everything is borrowed; db is for commands alone. JK_BROKEN: out of memory. */
enum jk_status cases_commands_open(
	struct jk_sessions *sessions, struct jk_db *db, struct cases_commands **ret_commands) JK_MUST_CHECK;
void cases_commands_close(struct cases_commands **commands_p);

/* From a handler. */
void cases_commands_put(struct cases_commands *commands, const struct jk_request *request);
/* At the end of each turn; and at least every 250 ms. */
void cases_commands_run(struct cases_commands *commands);
void cases_commands_on_timer(struct cases_commands *commands);
/* How many wait for their answer. */
size_t cases_commands_count(const struct cases_commands *commands);
