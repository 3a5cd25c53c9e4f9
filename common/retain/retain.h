/* retain.h: removing by age what a service owns, while it works: small steps on a connection of their own, with pauses so that
 * four fifths of the time belong to others. What is old enough, what stands in the way and what goes with what is decided in the
 * database (deploy/sql/009_retention.sql), with each step anew: nothing is remembered here, and any number of instances may do
 * the same. Logs and counts by itself, as the daemon part does. Not here: the statements, which are the service's. Used from one
 * thread; never blocks. */
#pragma once

#include "bus/bus_loop.h"
#include "db/db.h"

enum { JK_RETAIN_KINDS_MAX = 4 };

struct jk_retain_kind {
	/* As in meta.removal: "event", … */
	const char *name;
	/* One step. $1 integer: how many rows at most. One row: removed bigint, more boolean (another step may find something at
	 * once), held text (what stands in the way; ""), oldest timestamptz (of what is kept; NULL: unknown). */
	const struct jk_db_statement *statement;
};

struct jk_retain;

/* kinds are borrowed for ever. JK_BROKEN: out of memory, or the connection string is malformed. */
enum jk_status jk_retain_open(struct jk_loop *loop, const char *conninfo, const char *application_name,
	const struct jk_retain_kind *kinds, size_t count, struct jk_retain **ret_retain) JK_MUST_CHECK;
/* A step under way is ended by the database as it likes: it is done whole or not at all. */
void jk_retain_close(struct jk_retain **retain_p);
