/* cases_figures.h: CaseFigures: a tally of all cases (cases_tally.h), read at the first question and kept at the newest from then
 * on, on a connection of its own; read anew when that was lost. Not here: counting. Used from the loop's thread. */
#pragma once

#include "cases_tally.h"
#include "db/db.h"

struct cases_figures_room;

/* db: borrowed, used for this alone. JK_BROKEN: out of memory. */
enum jk_status cases_figures_open(struct jk_db *db, struct cases_figures_room **ret_room) JK_MUST_CHECK;
void cases_figures_close(struct cases_figures_room **room_p);
/* The tally with all that is committed now; blocks a few milliseconds. NULL: not yet (it is being read, or the database is away):
 * ask again. */
struct cases_tally *cases_figures_newest(struct cases_figures_room *room);
/* At the end of each turn; and at least every 250 ms. */
void cases_figures_run(struct cases_figures_room *room);
void cases_figures_on_timer(struct cases_figures_room *room);
