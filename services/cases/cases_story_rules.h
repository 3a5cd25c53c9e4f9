/* cases_story_rules.h: what of a case's story is shown, by the groups that are withheld. Pure. */
#pragma once

#include "cases.h"

/* Are notes, tasks and evidence shown? They are free text about what was done. */
bool cases_story_shows_texts(uint32_t withheld);
bool cases_story_shows_numbers(uint32_t withheld);

/* How much of a line. */
enum cases_line_sight {
	CASES_LINE_NOT,
	CASES_LINE_BARE, /* that there was something of its kind, and when */
	CASES_LINE_WHOLE,
};
enum cases_line_sight cases_story_sight(enum cases_entry_kind kind, uint32_t withheld);
/* Leaves out who did it where that is not for this agency ("": none), and the publisher where IDENTITY is withheld. */
void cases_story_withhold(struct cases_entry *entry, const char *asking_agency, uint32_t withheld);
