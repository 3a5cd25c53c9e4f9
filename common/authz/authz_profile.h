/* authz_profile.h: redaction profiles: named, versioned allow-lists of field groups. A profile never changes once released; a new
 * one gets a new version. Every redacting profile withholds all free text. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/jk_words.h"

enum jk_profile {
	JK_PROFILE_NONE = 0,     /* denies */
	JK_PROFILE_FULL,         /* FULL@1: every group but reporter and persons */
	JK_PROFILE_NO_NARRATIVE, /* identity, classification, times, place, references, handling, registration, position */
	JK_PROFILE_NO_PERSONS,   /* identity, classification, times, place, handling, position: nothing that leads to a person */
	JK_PROFILE_COARSE_PLACE, /* identity, classification, times, place (county and constituency), handling */
	JK_PROFILE_STATISTICS_ONLY, /* identity, classification, place, handling */
	JK_PROFILE_COUNT
};
/* "COARSE_PLACE@1"; "" for NONE. */
const char *jk_profile_name(enum jk_profile profile);
/* NONE: unknown. */
enum jk_profile jk_profile_find(const char *name);
/* Bit n: group n is withheld. For FULL: reporter and persons. For NONE: everything. */
uint32_t jk_profile_withheld(enum jk_profile profile);
