/* dispatch_opened_pg.h: statements of dispatch_opened.h: dispatch.opened, and the feed's newest events of incidents. */
#pragma once

#include "base/jk_id.h"
#include "base/jk_text.h"
#include "crypt/crypt.h"
#include "db/db.h"
#include "feed/feed_append.h"

enum { DISPATCH_OPENED_LOADS = 2 };

/* One that was written down; command_id and digest are those of the command that did it. */
struct dispatch_opened_row {
	struct jk_id incident_id, command_id;
	int32_t desk_id;
	uint8_t digest[JK_SHA256_BYTES];
	int64_t at_us;
};
/* The newest event of an incident in one county's stream; texts and bytes are borrowed from the result. */
struct dispatch_opened_event {
	struct jk_id incident_id;
	const char *stream;
	int64_t recorded_at_us, revision;
	int tlp, category;
	struct jk_span body;
};

/* Zero-initialise. */
struct dispatch_opened_store {
	struct jk_db_array incidents, commands; /* to be read */
	struct jk_db_array rows[5];             /* to be written */
	struct jk_append mails;
	struct jk_db_int8 count, forget_max;
};

/* What reading asks for; then the steps. */
void dispatch_opened_want_reset(struct dispatch_opened_store *store);
void dispatch_opened_want_add(
	struct dispatch_opened_store *store, const struct jk_id *incident_id, const struct jk_id *command_id);
void dispatch_opened_load_steps(struct dispatch_opened_store *store, struct jk_db_step steps[DISPATCH_OPENED_LOADS]);
/* Rows of the two results. */
void dispatch_opened_read_event(const PGresult *result, int row, struct dispatch_opened_event *ret);
void dispatch_opened_read_row(const PGresult *result, int row, struct dispatch_opened_row *ret);

/* What is to be written; mails go to store->mails. */
void dispatch_opened_save_reset(struct dispatch_opened_store *store);
void dispatch_opened_save_add(struct dispatch_opened_store *store, const struct dispatch_opened_row *row);
/* At most 2; 0: nothing. Fails with 40001 when another dispatcher was first with one of them. */
size_t dispatch_opened_save_steps(struct dispatch_opened_store *store, struct jk_db_step *steps);
/* Removes those that are older than disclosures are kept. */
void dispatch_opened_forget_step(struct dispatch_opened_store *store, struct jk_db_step *ret_step);
void dispatch_opened_store_done(struct dispatch_opened_store *store);
