#include "cases_story_rules.h"

#include <string.h>

static bool shows(uint32_t withheld, int group)
{
	return !(withheld >> group & 1);
}

bool cases_story_shows_texts(uint32_t withheld)
{
	return shows(withheld, JK_GROUP_WORK) && shows(withheld, JK_GROUP_NARRATIVE);
}

bool cases_story_shows_numbers(uint32_t withheld)
{
	return shows(withheld, JK_GROUP_WORK) && shows(withheld, JK_GROUP_REGISTRATION);
}

enum cases_line_sight cases_story_sight(enum cases_entry_kind kind, uint32_t withheld)
{
	switch (kind) {
	case CASES_ENTRY_NOTE:
	case CASES_ENTRY_TASK:
	case CASES_ENTRY_EVIDENCE:
		return cases_story_shows_texts(withheld) ? CASES_LINE_WHOLE : CASES_LINE_NOT;
	case CASES_ENTRY_NUMBERED:
		return cases_story_shows_numbers(withheld) ? CASES_LINE_WHOLE : CASES_LINE_NOT;
	case CASES_ENTRY_MOVED:
	case CASES_ENTRY_LINKED:
	case CASES_ENTRY_TOOK_IN:
	case CASES_ENTRY_DUTY:
	case CASES_ENTRY_UNIT:
	case CASES_ENTRY_AID:
		return shows(withheld, JK_GROUP_WORK) ? CASES_LINE_WHOLE : CASES_LINE_BARE;
	default:
		return CASES_LINE_WHOLE;
	}
}

void cases_story_withhold(struct cases_entry *entry, const char *asking_agency, uint32_t withheld)
{
	bool own = strcmp(entry->actor_agency, asking_agency) == 0;

	if (!shows(withheld, JK_GROUP_IDENTITY))
		entry->agency[0] = '\0';
	if (cases_story_sight(entry->kind, withheld) == CASES_LINE_BARE) {
		entry->detail = NULL;
		entry->detail_size = 0;
	}
	if (!shows(withheld, JK_GROUP_WORK) || (entry->hidden && !own))
		entry->actor_agency[0] = entry->actor_desk[0] = '\0';
}
