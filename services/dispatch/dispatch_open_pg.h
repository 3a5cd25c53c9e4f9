/* dispatch_open_pg.h: statements of the follower (dispatch_open.h): dispatch.follow, dispatch.open_incident, and the duties that
 * begin, end or are to be looked at because of it. */
#pragma once

#include "db/db.h"
#include "dispatch_open_rules.h"
#include "registry/registry_duty.h"

extern const struct jk_db_statement dispatch_open_positions, dispatch_open_move;

/* A duty that an incident needs: made unless there is one. */
struct dispatch_open_need {
	struct jk_id duty_id, incident_id;
	char county[JK_COUNTY_BYTES];
	char discipline[JK_DISCIPLINE_BYTES];
	int32_t answer_s, again_s;
	int severity;
	int64_t since_us; /* nothing older than dispatch.duty_since is offered: it is history */
};

/* Zero-initialise. */
struct dispatch_open_store {
	struct jk_db_array rows[24], needs[8], ends[3];
};
/* Steps that store a batch; at most 4. Borrowed until the job is done. */
size_t dispatch_open_save(struct dispatch_open_store *store, const struct dispatch_open_batch *batch,
	const struct dispatch_open_need *needs, size_t need_count, struct jk_db_step *steps);
void dispatch_open_store_done(struct dispatch_open_store *store);
