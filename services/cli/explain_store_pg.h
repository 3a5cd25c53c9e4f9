/* explain_store_pg.h: the SQL of `jukwaa explain`. Blocks. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/jk_id.h"
#include "base/jk_words.h"

/* The newest event of an incident in one stream; borrowed for the call. */
struct explain_event {
	const char *stream;
	int64_t seq;
	int kind;
	int64_t recorded_at_us;
	const uint8_t *body;
	size_t body_size;
};
typedef void explain_row(void *arg, const struct explain_event *event);

struct explain_store;
/* NULL: no connection; ret_reason says why. */
struct explain_store *explain_store_open(const char *conninfo, char ret_reason[256]);
void explain_store_close(struct explain_store **store_p);
/* JK_REALM_NONE: it cannot be read. */
enum jk_realm explain_store_realm(struct explain_store *store);
/* County streams only. Returns how many; -1: the database refused, ret_reason says why. */
int explain_store_events(
	struct explain_store *store, const struct jk_id *incident_id, explain_row *row, void *arg, char ret_reason[256]);
