/* registry_pacts.h: inside this part: agreements and task forces in force, compiled into terms. Not here: what is in force
 * (common/agreement), the operator's rows (registry_terms.h). */
#pragma once

#include "registry/registry_terms.h"

/* What the rows name. */
struct registry_parties {
	const struct jk_agency *agencies; /* ascending by code */
	size_t agency_count;
	const struct jk_desk *desks; /* with agency and revoked set */
	size_t desk_count;
};
struct registry_closed {
	struct jk_closed_pact *items;
	size_t count;
};

/* Adds the terms of every pact that is in force; one that cannot be read, or verified, or of which there would be too many,
 * closes alone and is listed. Codes and reasons lie in the arena. False without memory. */
bool registry_pacts_compile(const struct registry_rows *rows, const struct registry_parties *parties, struct jk_arena *arena,
	struct registry_terms *terms, struct registry_closed *ret_closed);
