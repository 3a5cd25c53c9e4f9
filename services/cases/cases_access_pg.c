/* cases_access_pg.c: recording what is read, see cases_store_pg.h. */
#include "cases_store_pg.h"

/* In the order of the statement's parameters. */
enum column {
	KEY_ID,
	AGENCY_ID,
	DESK_ID,
	ASKED,
	PURPOSE,
	NOTE,
	GRANTED,
	POLICY_VERSION,
	QUERY,
	FIRST, /* first..last: its part of case_ids and under */
	LAST,
	CASE_IDS,
	UNDER,
};
_Static_assert(UNDER + 1 == CASES_ACCESS_COLUMNS, "one array a column");

static const struct jk_db_statement record = {
	.name = "cases_access",
	.sql = "INSERT INTO cases.access (key_id, agency_id, desk_id, asked, purpose, note, granted, policy_version, query, "
	       "case_ids,"
	       " under) SELECT u.key_id, u.agency_id, u.desk_id, u.asked, u.purpose, u.note, u.granted, u.policy_version, "
	       "u.query,"
	       " ($12::uuid[])[u.first:u.last], ($13::text[])[u.first:u.last]"
	       " FROM unnest($1::int4[], $2::int4[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::int8[],"
	       " $9::text[], $10::int4[], $11::int4[]) WITH ORDINALITY AS u (key_id, agency_id, desk_id, asked, purpose, note,"
	       " granted, policy_version, query, first, last, n) ORDER BY u.n",
	.params = CASES_ACCESS_COLUMNS,
};

static const char *const asked_words[] = {
	[CASES_ASKED_LIST] = "LIST",
	[CASES_ASKED_SHOW] = "SHOW",
	[CASES_ASKED_EXPORT] = "EXPORT",
	[CASES_ASKED_FIGURES] = "FIGURES",
	[CASES_ASKED_SIMILAR] = "SIMILAR",
};

static void add(struct jk_db_array *columns, const struct cases_access *access, int64_t first)
{
	jk_db_array_add_int(&columns[KEY_ID], access->key_id);
	jk_db_array_add_int(&columns[AGENCY_ID], access->agency_id);
	if (access->desk_id < 0)
		jk_db_array_add(&columns[DESK_ID], NULL, 0);
	else
		jk_db_array_add_int(&columns[DESK_ID], access->desk_id);
	jk_db_array_add_text(&columns[ASKED], asked_words[access->asked]);
	jk_db_array_add_text(&columns[PURPOSE], access->purpose);
	jk_db_array_add_text(&columns[NOTE], access->note);
	jk_db_array_add_int(&columns[GRANTED], access->granted);
	jk_db_array_add_int(&columns[POLICY_VERSION], access->policy_version);
	jk_db_array_add_text(&columns[QUERY], access->query);
	jk_db_array_add_int(&columns[FIRST], first);
	jk_db_array_add_int(&columns[LAST], first + (int64_t)access->seen_count - 1);
	for (size_t i = 0; i < access->seen_count; i++) {
		jk_db_array_add_id(&columns[CASE_IDS], &access->seen[i].case_id);
		jk_db_array_add_text(&columns[UNDER], access->seen[i].under);
	}
}

void cases_store_access(
	struct cases_access_rows *rows, const struct cases_access *const *accesses, size_t count, struct jk_db_step *ret_step)
{
	static const unsigned types[CASES_ACCESS_COLUMNS] = {JK_OID_INT4, JK_OID_INT4, JK_OID_INT4, JK_OID_TEXT, JK_OID_TEXT,
		JK_OID_TEXT, JK_OID_BOOL, JK_OID_INT8, JK_OID_TEXT, JK_OID_INT4, JK_OID_INT4, JK_OID_UUID, JK_OID_TEXT};
	int64_t first = 1;

	*ret_step = (struct jk_db_step){.statement = &record};
	for (int column = 0; column < CASES_ACCESS_COLUMNS; column++)
		jk_db_array_reset(&rows->columns[column], types[column]);
	for (size_t i = 0; i < count; i++) {
		add(rows->columns, accesses[i], first);
		first += (int64_t)accesses[i]->seen_count;
	}
	for (int column = 0; column < CASES_ACCESS_COLUMNS; column++)
		jk_db_bind_array(ret_step, column, &rows->columns[column]);
}

void cases_access_rows_done(struct cases_access_rows *rows)
{
	for (int column = 0; column < CASES_ACCESS_COLUMNS; column++)
		jk_db_array_done(&rows->columns[column]);
}
