/* authz_profile.c: what each profile shows. */
#include "authz/authz_profile.h"

#include <string.h>

#define SHOW(group) (1U << JK_GROUP_##group)

/* Bit 0 is no group. */
enum { ALL_GROUPS = ~1U };

static const struct {
	const char *name;
	uint32_t shown;
} profiles[JK_PROFILE_COUNT] = {
	[JK_PROFILE_NONE] = {"", 0},
	[JK_PROFILE_FULL] = {"FULL@1", ALL_GROUPS & ~JK_GROUPS_PROTECTED},
	[JK_PROFILE_NO_NARRATIVE] = {"NO_NARRATIVE@1", SHOW(IDENTITY) | SHOW(CLASSIFICATION) | SHOW(TIMES) | SHOW(PLACE) |
							       SHOW(REFERENCES) | SHOW(HANDLING) | SHOW(REGISTRATION) |
							       SHOW(POSITION)},
	[JK_PROFILE_NO_PERSONS] = {"NO_PERSONS@1",
		SHOW(IDENTITY) | SHOW(CLASSIFICATION) | SHOW(TIMES) | SHOW(PLACE) | SHOW(HANDLING) | SHOW(POSITION)},
	[JK_PROFILE_COARSE_PLACE] = {"COARSE_PLACE@1",
		SHOW(IDENTITY) | SHOW(CLASSIFICATION) | SHOW(TIMES) | SHOW(PLACE) | SHOW(HANDLING)},
	[JK_PROFILE_STATISTICS_ONLY] = {"STATISTICS_ONLY@1",
		SHOW(IDENTITY) | SHOW(CLASSIFICATION) | SHOW(PLACE) | SHOW(HANDLING)},
};

const char *jk_profile_name(enum jk_profile profile)
{
	return (unsigned)profile < JK_PROFILE_COUNT ? profiles[profile].name : "";
}

enum jk_profile jk_profile_find(const char *name)
{
	for (int profile = JK_PROFILE_FULL; profile < JK_PROFILE_COUNT; profile++)
		if (strcmp(profiles[profile].name, name) == 0)
			return (enum jk_profile)profile;
	return JK_PROFILE_NONE;
}

uint32_t jk_profile_withheld(enum jk_profile profile)
{
	uint32_t shown = (unsigned)profile < JK_PROFILE_COUNT ? profiles[profile].shown : 0;

	return shown == 0 ? UINT32_MAX : ALL_GROUPS & ~shown;
}
