/* intake_store_sql.h: the statements of intake_store_*_pg.c. All look up by primary key; arrays of one statement are of equal
 * length. */
#pragma once

#include "db/db.h"

static const struct jk_db_statement sql_content_key = {
	.name = "intake_content_key",
	.sql = "SELECT content_key FROM intake.secret",
};
static const struct jk_db_statement sql_epoch = {
	.name = "intake_epoch",
	.sql = "SELECT coalesce(feed.current_epoch(), 0)",
};

/* Reports known by key and revision, with where their events stand. */
static const struct jk_db_statement sql_known = {
	.name = "intake_known",
	.sql = "SELECT d.key, d.revision, d.content, d.incident_id, d.event_id, d.warnings,"
	       "       e.stream, e.seq, e.chain, e.epoch, e.commitment"
	       "  FROM unnest($1::bytea[], $2::bigint[]) k(key, revision)"
	       "  JOIN intake.dedup d ON d.key = k.key AND d.revision = k.revision"
	       "  LEFT JOIN feed.event e ON e.event_id = d.event_id"
	       " ORDER BY d.key, d.revision, e.stream COLLATE \"C\"",
	.params = 2,
};

#define INCIDENT_COLUMNS                                                                                                         \
	"i.incident_id, i.agency_id, i.current_revision, i.current_event_id, array_to_string(i.counties, ','),"                  \
	" i.category, i.categories, i.severity, i.orphan, i.cancelled"

/* The reports of a batch may name the same key hundreds of times. */
#define DISTINCT_KEYS "(SELECT DISTINCT u.key FROM unnest($1::bytea[]) u(key)) k"

/* The newest revision known of each key, and its incident. */
static const struct jk_db_statement sql_newest = {
	.name = "intake_newest",
	.sql = "SELECT d.key, d.revision, " INCIDENT_COLUMNS "  FROM " DISTINCT_KEYS
	       " CROSS JOIN LATERAL (SELECT n.key, n.revision, n.incident_id FROM intake.dedup n"
	       "                      WHERE n.key = k.key ORDER BY n.revision DESC LIMIT 1) d"
	       "  JOIN intake.incident i ON i.incident_id = d.incident_id",
	.params = 1,
};

/* The oldest incident that waits for each key: the others, of which there may be any number, are never joined. BETWEEN, since
 * with = the order could be had from the index by incident as well, over the whole table. */
static const struct jk_db_statement sql_awaited = {
	.name = "intake_awaited",
	.sql = "SELECT a.key, 0::bigint, " INCIDENT_COLUMNS "  FROM " DISTINCT_KEYS
	       " CROSS JOIN LATERAL (SELECT w.key, w.incident_id FROM intake.awaited w"
	       "                      WHERE w.key BETWEEN k.key AND k.key ORDER BY w.key, w.incident_id LIMIT 1) a"
	       "  JOIN intake.incident i ON i.incident_id = a.incident_id",
	.params = 1,
};

/* No ON CONFLICT: where another intake was faster, the whole transaction must fail, for its event is appended below. */
static const struct jk_db_statement sql_dedup = {
	.name = "intake_dedup",
	.sql = "INSERT INTO intake.dedup (key, revision, content, incident_id, event_id, warnings, first)"
	       " SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::uuid[], $5::uuid[], $6::bytea[], "
	       "$7::boolean[])",
	.params = 7,
};
static const struct jk_db_statement sql_report = {
	.name = "intake_report",
	.sql = "INSERT INTO intake.report (event_id, incident_id, agency_id, key_id, format, external_id, revision, bytes,"
	       " origin_salt, origin_key, origin_signature)"
	       " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::smallint[], $6::text[],"
	       "                      $7::bigint[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[])",
	.params = 11,
};
static const struct jk_db_statement sql_protected = {
	.name = "intake_protected",
	.sql = "INSERT INTO intake.protected (event_id, reporter, reporter_salt, persons, persons_salt)"
	       " SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])",
	.params = 5,
};

/* $1 to $9: incident_id, current_revision, current_event_id, counties, category, categories, severity, orphan, cancelled. */
static const struct jk_db_statement sql_open = {
	.name = "intake_open",
	.sql = "INSERT INTO intake.incident (incident_id, current_revision, current_event_id, counties, category, categories,"
	       "                             severity, orphan, cancelled, agency_id)"
	       " SELECT n.i, n.r, n.e, string_to_array(n.c, ','), n.y, n.ys, n.s, n.o, n.x, n.a"
	       "   FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::smallint[], $6::smallint[], $7::smallint[],"
	       "               $8::boolean[], $9::boolean[], $10::integer[]) n(i, r, e, c, y, ys, s, o, x, a)",
	.params = 10,
};
static const struct jk_db_statement sql_amend = {
	.name = "intake_amend",
	.sql = "WITH changed AS ("
	       " UPDATE intake.incident i SET current_revision = n.r, current_event_id = n.e,"
	       "        counties = string_to_array(n.c, ','), category = n.y, categories = n.ys, severity = n.s,"
	       "        orphan = n.o, cancelled = n.x, touched_at = now()"
	       "   FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::smallint[], $6::smallint[], $7::smallint[],"
	       "               $8::boolean[], $9::boolean[], $10::uuid[]) n(i, r, e, c, y, ys, s, o, x, seen)"
	       "  WHERE i.incident_id = n.i AND i.current_event_id = n.seen RETURNING 1)"
	       " SELECT intake.require_rows($11::bigint, count(*)) FROM changed",
	.params = 11,
};

/* Proof, with the unique keys of intake.dedup, that nothing was known of reports that were not loaded. */
static const struct jk_db_statement sql_none_awaited = {
	.name = "intake_none_awaited",
	.sql = "SELECT intake.require_rows(0, count(*)) FROM unnest($1::bytea[]) k(key) JOIN intake.awaited a ON a.key = k.key",
	.params = 1,
};
/* Incidents that a report joined without changing them: kept as long as its key, so noted, but once a day is enough. */
static const struct jk_db_statement sql_touch = {
	.name = "intake_touch",
	.sql = "UPDATE intake.incident SET touched_at = now() WHERE incident_id = ANY ($1::uuid[])"
	       " AND touched_at < now() - interval '1 day'",
	.params = 1,
};

static const struct jk_db_statement sql_await = {
	.name = "intake_await",
	.sql = "INSERT INTO intake.awaited (key, incident_id) SELECT * FROM unnest($1::bytea[], $2::uuid[]) ON CONFLICT DO "
	       "NOTHING",
	.params = 2,
};
/* Whoever waits: also those that were not loaded, for they are not the oldest. */
static const struct jk_db_statement sql_await_over = {
	.name = "intake_await_over",
	.sql = "DELETE FROM intake.awaited a USING unnest($1::bytea[]) n(k) WHERE a.key = n.k",
	.params = 1,
};

/* A commit with nothing in it but its place in the log, which waits for the standby like any other; nothing where there is none
 * to wait for, since then what can be read is on the disk. */
static const struct jk_db_statement sql_confirm = {
	.name = "intake_confirm",
	.sql = "SELECT pg_logical_emit_message(true, 'jukwaa', ''::text) WHERE current_setting('synchronous_standby_names') <> "
	       "''",
};

static const struct jk_db_statement sql_append = {
	.name = "intake_append",
	.sql = "SELECT ord, seq, chain, epoch FROM feed.append($1::text[], $2::uuid[], $3::smallint[], $4::uuid[], $5::bigint[],"
	       "       $6::smallint[], $7::smallint[], $8::bytea[], $9::bytea[])",
	.params = 9,
};
