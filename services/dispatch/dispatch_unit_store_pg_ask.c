/* dispatch_unit_store_pg_ask.c: questions about units and help. */
#include "dispatch_unit_store_pg_internal.h"

#include <string.h>

static const struct jk_db_statement count_statement = {
	.name = "dispatch_unit_count",
	.sql = "SELECT state, count(*) FROM dispatch.unit WHERE removed_at IS NULL GROUP BY state",
	.params = 0,
};
static const struct jk_db_statement forget_statement = {
	.name = "dispatch_unit_forget",
	.sql = "DELETE FROM dispatch.unit_command AS c USING (SELECT agency_id, command_id FROM dispatch.unit_command"
	       " WHERE done_at < now() - interval '30 days' ORDER BY done_at LIMIT 1000) AS old"
	       " WHERE c.agency_id = old.agency_id AND c.command_id = old.command_id",
	.params = 0,
};
static const struct jk_db_statement list_statement = {
	.name = "dispatch_unit_list",
	.sql = "SELECT " DISPATCH_UNIT_COLUMNS " FROM dispatch.unit AS u LEFT JOIN dispatch.assignment AS a"
	       " ON a.unit_id = u.unit_id AND a.ended_at IS NULL WHERE u.agency_id = $1::int8 AND u.removed_at IS NULL"
	       " AND u.code > $2::text AND ($3::int8 = 0 OR u.state = $3::int8) AND ($4::text = '' OR u.discipline = $4::text)"
	       " AND ($5::text = '' OR u.code = $5::text) ORDER BY u.code LIMIT $6::int8",
	.params = 6,
};
#define AIDS_THAT(condition)                                                                                                     \
	"(SELECT " DISPATCH_AID_COLUMNS " FROM dispatch.aid AS d WHERE " condition                                               \
	" AND d.aid_id < $2::uuid AND ($3::int8 = 0 OR d.state = $3::int8) AND ($4::uuid IS NULL OR d.incident_id = $4::uuid)"   \
	" ORDER BY d.aid_id DESC LIMIT $5::int8)"
static const struct jk_db_statement list_aid_statement = {
	.name = "dispatch_unit_list_aid",
	.sql = "SELECT * FROM (" AIDS_THAT("d.agency_id = $1::int8") " UNION ALL " AIDS_THAT(
		"d.giver_id = $1::int8") " UNION ALL " AIDS_THAT("d.asked_id IS NULL AND d.giver_id IS NULL AND d.state = 1 AND "
								 "d.agency_id <> $1::int8") ") AS d ORDER BY aid_id DESC LIMIT "
											    "$5::int8",
	.params = 5,
};
/* May be sent: of a desk that may, or of no desk of an agency one of whose may. */
#define MAY_GO "(u.desk_id IS NOT NULL AND u.desk_id = ANY ($1::int4[]) OR u.desk_id IS NULL AND u.agency_id = ANY ($2::int4[]))"
#define IS_SUITED "u.capabilities @> $3::text[]"
#define OF_DISCIPLINE "u.removed_at IS NULL AND ($4::text = '' OR u.discipline = $4::text)"
/* Nearest by the plane first, as many as the ranking then measures on the sphere: at Kenya's latitudes the two agree. */
static const struct jk_db_statement nearest_statement = {
	.name = "dispatch_unit_nearest",
	.sql = "SELECT " DISPATCH_UNIT_COLUMNS " FROM (SELECT u.*, u.position_at > now() - interval '1 hour' AS fresh"
	       " FROM dispatch.unit AS u WHERE " OF_DISCIPLINE " AND u.state = 1 AND " MAY_GO " AND " IS_SUITED ") AS u"
	       " LEFT JOIN dispatch.assignment AS a ON false"
	       " ORDER BY CASE WHEN $5::float8 IS NOT NULL THEN"
	       " (CASE WHEN u.fresh THEN u.lat ELSE u.base_lat END - $5::float8) ^ 2"
	       " + ((CASE WHEN u.fresh THEN u.lon ELSE u.base_lon END - $6::float8) * cosd($5::float8)) ^ 2 END,"
	       " u.county = ANY ($7::text[]) DESC NULLS LAST, u.agency_id, u.code LIMIT $8::int8",
	.params = 8,
};
static const struct jk_db_statement others_statement = {
	.name = "dispatch_unit_others",
	.sql = "SELECT count(*) FILTER (WHERE may_go AND suited AND state = 1),"
	       " count(*) FILTER (WHERE may_go AND suited AND state BETWEEN 2 AND 6),"
	       " count(*) FILTER (WHERE may_go AND suited AND state = 7), count(*) FILTER (WHERE may_go AND NOT suited AND state "
	       "= 1),"
	       " count(*) FILTER (WHERE NOT may_go AND suited AND state = 1)"
	       " FROM (SELECT u.state, " MAY_GO " AS may_go, " IS_SUITED " AS suited FROM dispatch.unit AS u WHERE " OF_DISCIPLINE
	       ") AS k",
	.params = 4,
};

size_t dispatch_unit_store_count(struct jk_db_step steps[DISPATCH_UNIT_COUNT_STEPS])
{
	steps[0] = (struct jk_db_step){.statement = &count_statement};
	steps[1] = (struct jk_db_step){.statement = &forget_statement};
	return DISPATCH_UNIT_COUNT_STEPS;
}

void dispatch_unit_store_counted(const struct jk_db_outcome *outcome, int64_t ret_counts[DISPATCH_UNIT_STATES])
{
	const PGresult *result = outcome->results[0];

	for (int row = 0; row < PQntuples(result); row++) {
		int64_t state = jk_db_get_int(result, row, 0);

		if (state > 0 && state < DISPATCH_UNIT_STATES)
			ret_counts[state] = jk_db_get_int(result, row, 1);
	}
}

static void bind_text(struct jk_db_step *step, int index, const char *text)
{
	jk_db_bind_bytes(step, index, text, strlen(text));
}

void dispatch_unit_store_list(struct dispatch_unit_store *store, const struct dispatch_unit_question *question, int32_t agency_id,
	struct jk_db_step *ret_step)
{
	*ret_step = (struct jk_db_step){.statement = &list_statement};
	jk_db_bind_int8(ret_step, 0, &store->scalars[0], agency_id);
	bind_text(ret_step, 1, question->after);
	jk_db_bind_int8(ret_step, 2, &store->scalars[1], question->state);
	bind_text(ret_step, 3, question->discipline);
	bind_text(ret_step, 4, question->code);
	jk_db_bind_int8(ret_step, 5, &store->scalars[2], (int64_t)question->limit + 1);
}

void dispatch_unit_store_list_aid(struct dispatch_unit_store *store, const struct dispatch_unit_question *question,
	int32_t agency_id, struct jk_db_step *ret_step)
{
	static const uint8_t newest[16] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	*ret_step = (struct jk_db_step){.statement = &list_aid_statement};
	jk_db_bind_int8(ret_step, 0, &store->scalars[0], agency_id);
	jk_db_bind_bytes(
		ret_step, 1, jk_id_is_zero(&question->after_id) ? newest : question->after_id.bytes, sizeof question->after_id);
	jk_db_bind_int8(ret_step, 2, &store->scalars[1], question->state);
	if (!jk_id_is_zero(&question->incident_id))
		jk_db_bind_bytes(ret_step, 3, question->incident_id.bytes, sizeof question->incident_id.bytes);
	jk_db_bind_int8(ret_step, 4, &store->scalars[2], (int64_t)question->limit + 1);
}

/* ---- which units are near ---- */

enum { DESKS, AGENCIES, CAPABILITIES, COUNTIES, SEARCHES };

void dispatch_unit_store_search_begin(struct dispatch_unit_store *store)
{
	static const unsigned oids[SEARCHES] = {JK_OID_INT4, JK_OID_INT4, JK_OID_TEXT, JK_OID_TEXT};

	dispatch_unit_store_reset(store, oids, SEARCHES);
}

void dispatch_unit_store_search_desk(struct dispatch_unit_store *store, int32_t desk_id)
{
	jk_db_array_add_int(&store->arrays[DESKS], desk_id);
}

void dispatch_unit_store_search_agency(struct dispatch_unit_store *store, int32_t agency_id)
{
	jk_db_array_add_int(&store->arrays[AGENCIES], agency_id);
}

void dispatch_unit_store_search_county(struct dispatch_unit_store *store, const char *county)
{
	jk_db_array_add_text(&store->arrays[COUNTIES], county);
}

static void add_words(struct jk_db_array *array, const char *words)
{
	while (*words != '\0') {
		size_t size = strcspn(words, " ");

		jk_db_array_add(array, words, (int)size);
		words += size + (words[size] == ' ');
	}
}

size_t dispatch_unit_store_search(struct dispatch_unit_store *store, const struct dispatch_unit_search *search,
	struct jk_db_step steps[DISPATCH_UNIT_SEARCH_STEPS])
{
	add_words(&store->arrays[CAPABILITIES], search->question->capabilities);
	steps[0] = (struct jk_db_step){.statement = &nearest_statement};
	steps[1] = (struct jk_db_step){.statement = &others_statement};
	for (size_t i = 0; i < DISPATCH_UNIT_SEARCH_STEPS; i++) {
		for (int list = DESKS; list <= CAPABILITIES; list++)
			jk_db_bind_array(&steps[i], list, &store->arrays[list]);
		bind_text(&steps[i], 3, search->question->discipline);
	}
	if (search->has_point) {
		dispatch_unit_store_bind_double(&steps[0], 4, &store->scalars[0], search->lat);
		dispatch_unit_store_bind_double(&steps[0], 5, &store->scalars[1], search->lon);
	}
	jk_db_bind_array(&steps[0], 6, &store->arrays[COUNTIES]);
	jk_db_bind_int8(&steps[0], 7, &store->scalars[2], DISPATCH_UNIT_SEARCH_MAX);
	return DISPATCH_UNIT_SEARCH_STEPS;
}

void dispatch_unit_store_searched(const struct jk_db_outcome *outcome, struct dispatch_nearest *ret)
{
	const PGresult *result = outcome->results[1];

	ret->further = (uint32_t)jk_db_get_int(result, 0, 0);
	ret->busy = (uint32_t)jk_db_get_int(result, 0, 1);
	ret->out_of_service = (uint32_t)jk_db_get_int(result, 0, 2);
	ret->lacking = (uint32_t)jk_db_get_int(result, 0, 3);
	ret->not_allowed = (uint32_t)jk_db_get_int(result, 0, 4);
}
