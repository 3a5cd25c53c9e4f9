#include "services/cli/disclosures_store_pg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/cli/operator_store_pg.h"

/* The events of the incident, and what rows say of them, desk by desk: the index of rows begins with the holder, and a row covers
 * at most 16,384 numbers. */
#define EVENTS                                                                                                                   \
	"WITH e AS (SELECT e.stream, e.seq, e.kind, e.event_id, e.revision, e.recorded_at FROM feed.event e "                    \
	"WHERE e.incident_id = $1::uuid AND e.kind < 16 AND e.stream !~ '^@')"
#define COPIES                                                                                                                   \
	EVENTS ", c AS (SELECT e.stream, e.seq, e.kind, k.desk_id, k.code AS desk, a.code AS agency, u.under, d.policy_version," \
	       " d.key_id, d.reserved_at, d.noted_at, e.seq <= coalesce(d.acked_seq, 0) AND u.under <> '?' AS acked"             \
	       " FROM e CROSS JOIN registry.desk k JOIN registry.agency a USING (agency_id)"                                     \
	       " JOIN LATERAL (SELECT * FROM dispatch.disclosure d WHERE d.holder = 'D' || k.desk_id AND d.stream = e.stream"    \
	       " AND d.from_seq <= e.seq AND d.from_seq > e.seq - 16384 AND d.to_seq >= e.seq) d ON true"                        \
	       " CROSS JOIN LATERAL (SELECT dispatch.sent_under(d, e.seq) AS under) u WHERE u.under IS NOT NULL)"
#define MICROSECONDS(time) "coalesce((extract(epoch FROM " time ") * 1000000)::bigint, 0)::text"

struct disclosures_store {
	PGconn *connection;
};

struct disclosures_store *disclosures_store_open(const char *conninfo, char ret_reason[256])
{
	struct disclosures_store *store = calloc(1, sizeof *store);

	if (!store)
		return NULL;
	store->connection = operator_store_connect(conninfo, "jukwaa disclosures");
	if (PQstatus(store->connection) == CONNECTION_OK)
		return store;
	operator_store_reason(ret_reason, PQerrorMessage(store->connection));
	disclosures_store_close(&store);
	return NULL;
}

void disclosures_store_close(struct disclosures_store **store_p)
{
	if (*store_p) {
		PQfinish((*store_p)->connection);
		free(*store_p);
	}
	*store_p = NULL;
}

/* NULL: refused. params[0] is left for the incident. */
static PGresult *run(struct disclosures_store *store, const char *sql, const struct jk_id *incident_id, const char **params,
	int count, char ret_reason[256])
{
	char id[JK_ID_TEXT_BYTES];
	PGresult *result;

	jk_id_format(id, incident_id);
	params[0] = id;
	result = PQexecParams(store->connection, sql, count, NULL, params, NULL, NULL, 0);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	operator_store_reason(ret_reason, PQerrorMessage(store->connection));
	PQclear(result);
	return NULL;
}

static int64_t number_at(const PGresult *result, int row, int column)
{
	int64_t number = 0;

	(void)jk_text_to_int64(PQgetvalue(result, row, column), INT64_MIN, INT64_MAX, &number);
	return number;
}

static bool is_true(const PGresult *result, int row, int column)
{
	return PQgetvalue(result, row, column)[0] == 't';
}

int disclosures_store_events(struct disclosures_store *store, const struct jk_id *incident_id,
	void (*row)(void *arg, const struct disclosed_event *event), void *arg, char ret_reason[256])
{
	static const char sql[] = EVENTS " SELECT stream, seq, kind, event_id, revision, " MICROSECONDS(
		"recorded_at") " FROM e ORDER BY recorded_at, stream, seq";
	const char *params[1];
	PGresult *result = run(store, sql, incident_id, params, 1, ret_reason);
	int count = result ? PQntuples(result) : -1;

	for (int i = 0; i < count; i++) {
		const struct disclosed_event event = {PQgetvalue(result, i, 0), number_at(result, i, 1),
			(int)number_at(result, i, 2), PQgetvalue(result, i, 3), number_at(result, i, 4), number_at(result, i, 5)};

		row(arg, &event);
	}
	PQclear(result);
	return count;
}

int disclosures_store_copies(struct disclosures_store *store, const struct jk_id *incident_id, const char *desk, int64_t at_us,
	void (*row)(void *arg, const struct disclosed_copy *copy), void *arg, char ret_reason[256])
{
	static const char sql[] = COPIES " SELECT c.stream, c.seq, c.kind, desk, agency, under, policy_version, "
					 "key_id, " MICROSECONDS("reserved_at") ", " MICROSECONDS(
						 "noted_at") ", acked FROM c JOIN e USING (stream, seq) WHERE ($2::text IS NULL "
							     "OR upper(desk) = upper($2))"
							     " AND ($3::text IS NULL OR greatest(reserved_at, e.recorded_at)"
							     " <= 'epoch'::timestamptz + $3::bigint * interval '1 microsecond')"
							     " ORDER BY c.stream, c.seq, desk, reserved_at";
	char at[24];
	const char *params[] = {NULL, desk, at_us == INT64_MAX ? NULL : at};
	PGresult *result;
	int count;

	(void)jk_text_format(at, sizeof at, "%" PRId64, at_us);
	result = run(store, sql, incident_id, params, 3, ret_reason);
	count = result ? PQntuples(result) : -1;
	for (int i = 0; i < count; i++) {
		const struct disclosed_copy copy = {PQgetvalue(result, i, 0), number_at(result, i, 1),
			(int)number_at(result, i, 2), PQgetvalue(result, i, 3), PQgetvalue(result, i, 4),
			PQgetvalue(result, i, 5), number_at(result, i, 6), (int32_t)number_at(result, i, 7),
			number_at(result, i, 8), number_at(result, i, 9), is_true(result, i, 10)};

		row(arg, &copy);
	}
	PQclear(result);
	return count;
}

int disclosures_store_duties(struct disclosures_store *store, const struct jk_id *incident_id,
	void (*row)(void *arg, const struct disclosed_duty *duty), void *arg, char ret_reason[256])
{
	/* 2, 3, 5, 8: UPDATE, CANCEL, MOVED_AWAY, ERASED. */
	static const char sql[] = COPIES
		", n AS (SELECT DISTINCT ON (stream) stream, seq, kind FROM e WHERE kind IN (2, 3, 5, 8)"
		" ORDER BY stream, seq DESC)"
		" SELECT n.stream, n.seq, n.kind, c.desk, c.agency,"
		" CASE WHEN bool_or(c.seq = n.seq AND c.acked) THEN 0 WHEN bool_or(c.seq = n.seq AND c.under <> '?') THEN 1"
		" WHEN bool_or(c.seq = n.seq) THEN 2 ELSE 3 END,"
		" bool_or(c.seq = n.seq AND c.under = 'recalled'),"
		" NOT EXISTS (SELECT FROM registry.key k JOIN registry.desk d USING (desk_id) JOIN registry.agency a"
		" ON a.agency_id = d.agency_id WHERE k.desk_id = c.desk_id AND k.revoked_at IS NULL AND d.revoked_at IS NULL"
		" AND a.revoked_at IS NULL),"
		" NOT bool_or(c.seq < n.seq AND c.under NOT IN ('?', 'recalled'))"
		" FROM n JOIN c ON c.stream = n.stream AND c.seq <= n.seq GROUP BY n.stream, n.seq, n.kind, c.desk, c.agency, "
		"c.desk_id"
		" HAVING bool_or(c.seq < n.seq AND c.under <> 'recalled') ORDER BY n.stream, c.desk";
	const char *params[1];
	PGresult *result = run(store, sql, incident_id, params, 1, ret_reason);
	int count = result ? PQntuples(result) : -1;

	for (int i = 0; i < count; i++) {
		const struct disclosed_duty duty = {PQgetvalue(result, i, 0), number_at(result, i, 1),
			(int)number_at(result, i, 2), PQgetvalue(result, i, 3), PQgetvalue(result, i, 4),
			(enum disclosed_answer)number_at(result, i, 5), is_true(result, i, 6), is_true(result, i, 7),
			is_true(result, i, 8)};

		row(arg, &duty);
	}
	PQclear(result);
	return count;
}
