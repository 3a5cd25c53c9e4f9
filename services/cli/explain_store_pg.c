#include "services/cli/explain_store_pg.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "services/cli/operator_store_pg.h"

struct explain_store {
	PGconn *connection;
};

struct explain_store *explain_store_open(const char *conninfo, char ret_reason[256])
{
	struct explain_store *store = calloc(1, sizeof *store);

	if (!store)
		return NULL;
	store->connection = operator_store_connect(conninfo, "jukwaa explain");
	if (PQstatus(store->connection) == CONNECTION_OK)
		return store;
	operator_store_reason(ret_reason, PQerrorMessage(store->connection));
	explain_store_close(&store);
	return NULL;
}

void explain_store_close(struct explain_store **store_p)
{
	if (*store_p) {
		PQfinish((*store_p)->connection);
		free(*store_p);
	}
	*store_p = NULL;
}

enum jk_realm explain_store_realm(struct explain_store *store)
{
	PGresult *result = PQexec(store->connection, "SELECT realm FROM meta.realm");
	int realm = JK_REALM_NONE;

	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
		realm = jk_words_number(&jk_realms, PQgetvalue(result, 0, 0));
	PQclear(result);
	return realm > 0 ? (enum jk_realm)realm : JK_REALM_NONE;
}

int explain_store_events(
	struct explain_store *store, const struct jk_id *incident_id, explain_row *row, void *arg, char ret_reason[256])
{
	/* The feed has no index by incident (it would cost every report); a case's timeline names the incident's events. */
	static const char sql[] = "SELECT DISTINCT ON (e.stream) e.stream, e.seq::text, e.kind::text, e.body, "
				  "(extract(epoch FROM e.recorded_at) * 1000000)::bigint::text FROM cases.entry n "
				  "JOIN feed.event e ON e.event_id = n.event_id "
				  "WHERE n.case_id = $1::uuid AND e.stream !~ '^@' ORDER BY e.stream, e.seq DESC";
	char id[JK_ID_TEXT_BYTES];
	const char *params[] = {id};
	PGresult *result;
	int count;

	jk_id_format(id, incident_id);
	result = PQexecParams(store->connection, sql, 1, NULL, params, NULL, NULL, 1);
	count = PQresultStatus(result) == PGRES_TUPLES_OK ? PQntuples(result) : -1;
	if (count < 0)
		operator_store_reason(ret_reason, PQerrorMessage(store->connection));
	for (int i = 0; i < count; i++) {
		int64_t seq = 0, kind = 0, recorded_at_us = 0;
		struct explain_event event;

		(void)jk_text_to_int64(PQgetvalue(result, i, 1), 0, INT64_MAX, &seq);
		(void)jk_text_to_int64(PQgetvalue(result, i, 2), 0, INT32_MAX, &kind);
		(void)jk_text_to_int64(PQgetvalue(result, i, 4), 0, INT64_MAX, &recorded_at_us);
		event = (struct explain_event){PQgetvalue(result, i, 0), seq, (int)kind, recorded_at_us,
			(const uint8_t *)PQgetvalue(result, i, 3), (size_t)PQgetlength(result, i, 3)};
		row(arg, &event);
	}
	PQclear(result);
	return count;
}
