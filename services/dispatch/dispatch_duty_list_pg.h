/* dispatch_duty_list_pg.h: the SQL of offers as desks see them: pages of one desk's, and what is open for the desks that are
 * here. */
#pragma once

#include "db/db.h"
#include "dispatch_duty_wire.h"

/* Zero-initialise. */
struct dispatch_offer_query {
	struct jk_db_array desks;
	struct jk_db_int8 desk, at, limit;
	struct jk_id after;
};
/* A page of a desk's; ask is read now. Rows: ask->limit + 1 at the most, so that one more can be seen. */
void dispatch_offer_page_step(
	struct dispatch_offer_query *query, int32_t desk_id, const struct dispatch_offer_ask *ask, struct jk_db_step *ret_step);
/* What desks are asked or told and have not answered, newest first, at most `limit`. */
void dispatch_offer_open_reset(struct dispatch_offer_query *query);
void dispatch_offer_open_add(struct dispatch_offer_query *query, int32_t desk_id);
void dispatch_offer_open_step(struct dispatch_offer_query *query, size_t limit, struct jk_db_step *ret_step);
/* A row of any of them. */
void dispatch_offer_read(const PGresult *result, int row, struct dispatch_offer *ret);
void dispatch_offer_query_done(struct dispatch_offer_query *query);
