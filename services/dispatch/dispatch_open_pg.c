#include "dispatch_open_pg.h"

const struct jk_db_statement dispatch_open_positions = {
	.name = "dispatch_open_positions", .sql = "SELECT stream, seq FROM dispatch.follow", .params = 0};

/* As cases_store_move: nothing waits for this commit, and what is lost with it is done again. */
const struct jk_db_statement dispatch_open_move = {
	.name = "dispatch_open_move",
	.sql = "SELECT set_config('synchronous_commit', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true),"
	       " set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),"
	       " set_config('enable_mergejoin', 'off', true), dispatch.move($1::text[], $2::int8[], $3::int8[])",
	.params = 3,
};

#define ROWS                                                                                                                     \
	"unnest($1::text[], $2::uuid[], $3::int8[], $4::timestamptz[], $5::int2[], $6::int2[], $7::int2[], $8::int8[],"          \
	" $9::uuid[], $10::int8[], $11::text[], $12::int2[], $13::int2[], $14::int2[], $15::int2[], $16::int2[], $17::int2[],"   \
	" $18::int2[], $19::text[], $20::float8[], $21::float8[], $22::timestamptz[], $23::bool[], $24::timestamptz[])"          \
	" AS u (stream, incident_id, seq, last_at, decided, closed, case_state, body_seq, event_id, revision, agency,"           \
	" categories, category, severity, urgency, status, tlp, scope, named, lat, lon, body_at, opens, first_at)"

#define NEWEST(column) #column " = CASE WHEN u.body_seq > 0 THEN u." #column " ELSE o." #column " END, "
static const struct jk_db_statement change_rows = {
	.name = "dispatch_open_change",
	.sql = "UPDATE dispatch.open_incident o SET seq = u.seq, updated_at = u.last_at, "
	       "case_state = CASE WHEN u.case_state > 0 THEN u.case_state ELSE o.case_state END, " NEWEST(body_seq) NEWEST(
		       event_id) NEWEST(revision) NEWEST(agency) NEWEST(categories) NEWEST(category) NEWEST(severity)
		       NEWEST(urgency) NEWEST(status) NEWEST(tlp) NEWEST(scope) NEWEST(named) NEWEST(lat) NEWEST(lon)
			       NEWEST(body_at) "closed_why = (o.closed_why & ~u.decided) | u.closed,"
					       " closed_at = CASE WHEN (o.closed_why & ~u.decided) | u.closed = 0 THEN NULL"
					       " ELSE coalesce(o.closed_at, u.last_at) END"
					       " FROM " ROWS
					       " WHERE o.incident_id = u.incident_id AND o.stream = u.stream AND o.seq < u.seq",
	.params = 24,
};
/* One whose case is opened again when it was forgotten already is made from that event: what else is known of it stands in the
 * feed's newest body, unless that was removed by age. */
static const struct jk_db_statement open_rows = {
	.name = "dispatch_open_make",
	.sql = "INSERT INTO dispatch.open_incident (stream, incident_id, seq, body_seq, event_id, revision, agency, categories,"
	       " category, severity, urgency, status, tlp, scope, named, lat, lon, body_at, case_state, opened_at, updated_at,"
	       " closed_why, closed_at)"
	       " SELECT u.stream, u.incident_id, u.seq, CASE WHEN u.body_seq > 0 THEN u.body_seq ELSE coalesce((SELECT max(e.seq)"
	       " FROM feed.event e WHERE e.incident_id = u.incident_id AND e.stream = u.stream AND e.kind < 16"
	       " AND e.kind IN (1, 2, 3, 8)), u.seq) END, u.event_id, u.revision, u.agency, u.categories, u.category, u.severity,"
	       " u.urgency, u.status, u.tlp, u.scope, u.named, u.lat, u.lon, u.body_at, greatest(u.case_state, 1::int2),"
	       " u.first_at, u.last_at, u.closed, CASE WHEN u.closed <> 0 THEN u.last_at END"
	       " FROM " ROWS " WHERE u.opens ON CONFLICT (incident_id, stream) DO NOTHING",
	.params = 24,
};
static const struct jk_db_statement make_duties = {
	.name = "dispatch_open_duties",
	.sql = "INSERT INTO dispatch.duty AS d (duty_id, incident_id, county, discipline, answer_s, again_s, opened_at, due_at,"
	       " severity) SELECT u.duty_id, u.incident_id, u.county, u.discipline, u.answer_s, u.again_s, clock_timestamp(),"
	       " clock_timestamp(), u.severity FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int4[], "
	       "$6::int4[],"
	       " $7::timestamptz[], $8::int2[]) AS u (duty_id, incident_id, county, discipline, answer_s, again_s, since, "
	       "severity)"
	       " WHERE u.since > (SELECT s.at FROM dispatch.duty_since s) ORDER BY u.incident_id, u.county, u.discipline"
	       " ON CONFLICT (incident_id, county, discipline) DO UPDATE SET version = d.version + 1, due_at = excluded.due_at"
	       " WHERE d.state = 6",
	.params = 8,
};
/* The next tick looks at them. */
static const struct jk_db_statement wake_duties = {
	.name = "dispatch_open_wake",
	.sql = "UPDATE dispatch.duty d SET version = d.version + 1, due_at = clock_timestamp()"
	       " FROM unnest($1::uuid[], $2::text[], $3::bool[]) AS u (incident_id, county, ended)"
	       " WHERE d.incident_id = u.incident_id AND d.county = u.county"
	       " AND (u.ended AND d.state IN (0, 1, 2, 3, 4) OR NOT u.ended AND d.state = 6)",
	.params = 3,
};
static const unsigned row_oids[24] = {JK_OID_TEXT, JK_OID_UUID, JK_OID_INT8, JK_OID_TIMESTAMPTZ, JK_OID_INT2, JK_OID_INT2,
	JK_OID_INT2, JK_OID_INT8, JK_OID_UUID, JK_OID_INT8, JK_OID_TEXT, JK_OID_INT2, JK_OID_INT2, JK_OID_INT2, JK_OID_INT2,
	JK_OID_INT2, JK_OID_INT2, JK_OID_INT2, JK_OID_TEXT, JK_OID_FLOAT8, JK_OID_FLOAT8, JK_OID_TIMESTAMPTZ, JK_OID_BOOL,
	JK_OID_TIMESTAMPTZ};

static void add_degrees(struct jk_db_array *array, bool has, double value)
{
	if (has)
		jk_db_array_add_double(array, value);
	else
		jk_db_array_add(array, NULL, 0);
}

static void add_labels(struct jk_db_array *column, const struct dispatch_open_labels *labels)
{
	jk_db_array_add_text(column++, labels->agency);
	jk_db_array_add_int(column++, labels->categories);
	jk_db_array_add_int(column++, labels->category);
	jk_db_array_add_int(column++, labels->severity);
	jk_db_array_add_int(column++, labels->urgency);
	jk_db_array_add_int(column++, labels->status);
	jk_db_array_add_int(column++, labels->tlp);
	jk_db_array_add_int(column++, labels->scope);
	jk_db_array_add_text(column++, labels->named);
	add_degrees(column++, labels->has_point, labels->lat);
	add_degrees(column, labels->has_point, labels->lon);
}

static void add_row(struct jk_db_array *column, const struct dispatch_open_row *row)
{
	jk_db_array_add_text(&column[0], row->stream);
	jk_db_array_add_id(&column[1], &row->incident_id);
	jk_db_array_add_int(&column[2], row->seq);
	jk_db_array_add_time(&column[3], row->last_us);
	jk_db_array_add_int(&column[4], row->decided);
	jk_db_array_add_int(&column[5], row->closed);
	jk_db_array_add_int(&column[6], row->case_state);
	jk_db_array_add_int(&column[7], row->body_seq);
	jk_db_array_add_id(&column[8], &row->event_id);
	jk_db_array_add_int(&column[9], row->revision);
	add_labels(&column[10], &row->labels);
	jk_db_array_add_time(&column[21], row->body_us);
	jk_db_array_add_int(&column[22], row->opens || row->remakes);
	jk_db_array_add_time(&column[23], row->first_us);
}

static void bind_all(struct jk_db_step *step, struct jk_db_array *arrays, int count)
{
	for (int i = 0; i < count; i++)
		jk_db_bind_array(step, i, &arrays[i]);
}

static size_t rows_steps(struct dispatch_open_store *store, const struct dispatch_open_batch *batch, struct jk_db_step *steps)
{
	bool opens = false;

	for (size_t i = 0; i < 24; i++)
		jk_db_array_reset(&store->rows[i], row_oids[i]);
	for (size_t i = 0; i < batch->count; i++) {
		add_row(store->rows, &batch->rows[i]);
		opens = opens || batch->rows[i].opens || batch->rows[i].remakes;
	}
	steps[0] = (struct jk_db_step){.statement = &change_rows};
	steps[1] = (struct jk_db_step){.statement = &open_rows};
	bind_all(&steps[0], store->rows, 24);
	bind_all(&steps[1], store->rows, 24);
	return opens ? 2 : 1;
}

static size_t needs_step(
	struct dispatch_open_store *store, const struct dispatch_open_need *needs, size_t count, struct jk_db_step *ret_step)
{
	static const unsigned oids[8] = {
		JK_OID_UUID, JK_OID_UUID, JK_OID_TEXT, JK_OID_TEXT, JK_OID_INT4, JK_OID_INT4, JK_OID_TIMESTAMPTZ, JK_OID_INT2};

	for (size_t i = 0; i < 8; i++)
		jk_db_array_reset(&store->needs[i], oids[i]);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_id(&store->needs[0], &needs[i].duty_id);
		jk_db_array_add_id(&store->needs[1], &needs[i].incident_id);
		jk_db_array_add_text(&store->needs[2], needs[i].county);
		jk_db_array_add_text(&store->needs[3], needs[i].discipline);
		jk_db_array_add_int(&store->needs[4], needs[i].answer_s);
		jk_db_array_add_int(&store->needs[5], needs[i].again_s);
		jk_db_array_add_time(&store->needs[6], needs[i].since_us);
		jk_db_array_add_int(&store->needs[7], needs[i].severity);
	}
	*ret_step = (struct jk_db_step){.statement = &make_duties};
	bind_all(ret_step, store->needs, 8);
	return count > 0;
}

/* What ended in this batch, and what a case brought back. */
static size_t wake_step(struct dispatch_open_store *store, const struct dispatch_open_batch *batch, struct jk_db_step *ret_step)
{
	size_t count = 0;

	jk_db_array_reset(&store->ends[0], JK_OID_UUID);
	jk_db_array_reset(&store->ends[1], JK_OID_TEXT);
	jk_db_array_reset(&store->ends[2], JK_OID_BOOL);
	for (size_t i = 0; i < batch->count; i++) {
		const struct dispatch_open_row *row = &batch->rows[i];

		if (row->closed == 0 && !row->remakes)
			continue;
		jk_db_array_add_id(&store->ends[0], &row->incident_id);
		jk_db_array_add_text(&store->ends[1], row->stream);
		jk_db_array_add_int(&store->ends[2], row->closed != 0);
		count++;
	}
	*ret_step = (struct jk_db_step){.statement = &wake_duties};
	bind_all(ret_step, store->ends, 3);
	return count > 0;
}

size_t dispatch_open_save(struct dispatch_open_store *store, const struct dispatch_open_batch *batch,
	const struct dispatch_open_need *needs, size_t need_count, struct jk_db_step *steps)
{
	size_t count;

	if (batch->count == 0)
		return 0;
	count = rows_steps(store, batch, steps);
	count += needs_step(store, needs, need_count, &steps[count]);
	count += wake_step(store, batch, &steps[count]);
	return count;
}

void dispatch_open_store_done(struct dispatch_open_store *store)
{
	for (size_t i = 0; i < 24; i++)
		jk_db_array_done(&store->rows[i]);
	for (size_t i = 0; i < 8; i++)
		jk_db_array_done(&store->needs[i]);
	for (size_t i = 0; i < 3; i++)
		jk_db_array_done(&store->ends[i]);
}
