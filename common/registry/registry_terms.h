/* registry_terms.h: inside this part: what each desk may have, compiled from the rows. Not here: deciding (common/authz). */
#pragma once

#include "registry/registry_snapshot.h"

/* A term in the making, and the desk it is for. */
struct registry_desk_term {
	int32_t desk_id;
	struct jk_term term;
};
/* Grows on the heap; zero-initialise. */
struct registry_terms {
	struct registry_desk_term *items;
	size_t count, capacity;
};
/* False without memory. */
bool registry_terms_add(struct registry_terms *terms, int32_t desk_id, const struct jk_term *term);
void registry_terms_done(struct registry_terms *terms);

/* Compiles the operator's rows. False without memory. */
bool registry_terms_add_rows(struct registry_terms *terms, const struct registry_rows *rows);
/* Sorts the terms into the arena and gives each desk its range; one that is revoked gets none. desks: ascending by id, with
 * `revoked` set. False: the arena is full. */
bool registry_terms_attach(struct registry_terms *terms, struct jk_desk *desks, size_t desk_count, struct jk_arena *arena);
