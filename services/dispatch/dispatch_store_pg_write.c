/* dispatch_store_pg_write.c: the writing lane. See dispatch_store_pg.h. */
#include <string.h>

#include "dispatch_store_pg_internal.h"

static const struct jk_db_statement secret_statement = {
	.name = "dispatch_secret",
	.sql = "SELECT seal_key, coalesce(feed.current_epoch(), 0) FROM dispatch.secret",
};

/* Cursors and closings may be lost in a crash: a redelivery, and a row that says "possibly". */
static const struct jk_db_statement no_wait_statement = {
	.name = "dispatch_no_wait",
	.sql = "SELECT set_config('synchronous_commit', 'off', true)",
};

static const struct jk_db_statement cursor_renew_statement = {
	.name = "dispatch_cursor_renew",
	.sql = "DELETE FROM dispatch.cursor AS c USING unnest($1::text[], $2::text[]) AS r (holder, name)"
	       " WHERE c.holder = r.holder AND c.name = r.name",
	.params = 2,
};

static const struct jk_db_statement cursor_save_statement = {
	.name = "dispatch_cursor_save",
	.sql = "INSERT INTO dispatch.cursor AS c (holder, name, stream, seq, chain8, filter)"
	       " SELECT DISTINCT ON (r.holder, r.name, r.stream) r.* FROM"
	       " unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::bytea[], $6::bytea[])"
	       " AS r (holder, name, stream, seq, chain8, filter) ORDER BY r.holder, r.name, r.stream, r.seq DESC"
	       " ON CONFLICT (holder, name, stream) DO UPDATE SET seq = excluded.seq, chain8 = excluded.chain8,"
	       " filter = excluded.filter, updated_at = now() WHERE excluded.seq > c.seq",
	.params = 6,
};

static const struct jk_db_statement close_statement = {
	.name = "dispatch_close",
	.sql = "UPDATE dispatch.disclosure AS d SET sent_seq = r.sent_seq, acked_seq = r.acked_seq, record = r.record,"
	       " terms = string_to_array(r.terms, E'\\n'), noted_at = now(), closed_at = CASE WHEN r.ends THEN now() END"
	       " FROM (SELECT DISTINCT ON (u.disclosure_id) u.* FROM"
	       " unnest($1::int8[], $2::int8[], $3::int8[], $4::bytea[], $5::text[], $6::int4[]::bool[]) WITH ORDINALITY"
	       " AS u (disclosure_id, sent_seq, acked_seq, record, terms, ends, ord) ORDER BY u.disclosure_id, u.ord DESC) AS r"
	       " WHERE d.disclosure_id = r.disclosure_id",
	.params = 6,
};

/* What counts as removed is not looked at, though its rows may still be there: a position is kept when its event is, or when what
 * is kept begins right behind it. */
static const struct jk_db_statement find_statement = {
	.name = "dispatch_find",
	.sql = "SELECT coalesce((SELECT k.seq FROM feed.event AS k WHERE k.stream = q.stream AND k.seq > coalesce(r.seq, 0)"
	       " ORDER BY k.seq LIMIT 1), 0), coalesce(h.last_seq, 0), substr(h.last_chain, 1, 8), c.seq, c.chain8, c.filter,"
	       " substr(CASE WHEN r.seq = coalesce(q.seq, c.seq) THEN r.chain ELSE e.chain END, 1, 8),"
	       " CASE WHEN q.count THEN (SELECT count(*) FROM dispatch.cursor AS a WHERE a.holder = q.holder AND a.name = "
	       "q.name) END"
	       " FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::int4[]::bool[])"
	       " WITH ORDINALITY AS q (holder, name, stream, seq, count, ord)"
	       " LEFT JOIN feed.head AS h ON h.stream = q.stream"
	       " LEFT JOIN dispatch.cursor AS c ON c.holder = q.holder AND c.name = q.name AND c.stream = q.stream"
	       " LEFT JOIN feed.removed AS r ON r.stream = q.stream"
	       " LEFT JOIN feed.event AS e ON e.stream = q.stream AND e.seq = coalesce(q.seq, c.seq) AND e.seq > coalesce(r.seq, "
	       "0)"
	       " ORDER BY q.ord",
	.params = 5,
};

static const struct jk_db_statement reserve_statement = {
	.name = "dispatch_reserve",
	.sql = "INSERT INTO dispatch.disclosure (session, holder, key_id, stream, from_seq, to_seq, policy_version, filter, "
	       "groups)"
	       " SELECT r.session, r.holder, r.key_id, r.stream, r.from_seq, r.to_seq, r.policy_version, r.filter, r.groups"
	       " FROM unnest($1::int8[], $2::text[], $3::int4[], $4::text[], $5::int8[], $6::int8[], $7::int8[], $8::bytea[],"
	       " $9::int4[])"
	       " WITH ORDINALITY AS r (session, holder, key_id, stream, from_seq, to_seq, policy_version, filter, groups, ord)"
	       " ORDER BY r.ord RETURNING disclosure_id",
	.params = 9,
};

static const struct jk_db_statement head_statement = {
	.name = "dispatch_head",
	.sql = "INSERT INTO evidence.head (signed_at, root, streams, seqs, chains, public_key, signature)"
	       " VALUES ($1::timestamptz, $2, $3::text[], $4::int8[], $5::bytea[], $6, $7) RETURNING head_no",
	.params = 7,
};

static const struct jk_db_statement append_statement = {
	.name = "dispatch_append",
	.sql = "SELECT count(*) FROM feed.append($1::text[], $2::uuid[], $3::int2[], $4::uuid[], $5::int8[], $6::int2[],"
	       " $7::int2[], $8::bytea[], $9::bytea[])",
	.params = 9,
};

static void give_answers(struct dispatch_store *store, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		const struct dispatch_question *question = &store->job.questions[row];
		struct dispatch_answer answer = {.cursor_held = question->counts ? (size_t)jk_db_get_int(result, row, 7) : 0};
		struct dispatch_found *found = &answer.found;
		size_t size;
		const void *bytes;

		found->first_seq = (uint64_t)jk_db_get_int(result, row, 0);
		found->last.seq = (uint64_t)jk_db_get_int(result, row, 1);
		bytes = jk_db_get_bytes(result, row, 2, &size);
		if (bytes != NULL && size == sizeof found->last.chain8)
			memcpy(found->last.chain8, bytes, size);
		bytes = jk_db_get_bytes(result, row, 5, &size);
		answer.cursor_fits = bytes != NULL && size == DISPATCH_FILTER_BYTES &&
				     memcmp(bytes, question->holder->filter, DISPATCH_FILTER_BYTES) == 0;
		bytes = jk_db_get_bytes(result, row, 4, &size);
		if (!question->asked && answer.cursor_fits && bytes != NULL && size == sizeof found->claim.chain8) {
			found->claimed = true;
			found->claim.seq = (uint64_t)jk_db_get_int(result, row, 3);
			memcpy(found->claim.chain8, bytes, size);
		}
		bytes = jk_db_get_bytes(result, row, 6, &size);
		found->kept = bytes != NULL && size == sizeof found->kept_chain8;
		if (found->kept)
			memcpy(found->kept_chain8, bytes, size);
		store->job.on_answer(store->job.done.arg, (size_t)row, &answer);
	}
}

static void give_written(struct dispatch_store *store, const PGresult *result)
{
	struct dispatch_write_job *job = &store->job;
	size_t size;

	if (job->on_secret != NULL && PQntuples(result) == 1) {
		const uint8_t *key = jk_db_get_bytes(result, 0, 0, &size);

		if (key != NULL && size == DISPATCH_SEAL_KEY_BYTES)
			job->on_secret(job->done.arg, key, (uint32_t)jk_db_get_int(result, 0, 1));
	}
	if (job->on_answer != NULL)
		give_answers(store, result);
	if (job->on_id != NULL)
		for (int row = 0; row < PQntuples(result); row++)
			job->on_id(job->done.arg, (size_t)row, jk_db_get_int(result, row, 0));
}

static void on_written(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_store *store = arg;

	if (outcome->status == JK_OK)
		give_written(store, outcome->results[store->job.answer_step]);
	store->job.done.done(store->job.done.arg, outcome->status);
}

static void begin_job(struct dispatch_store *store, const struct dispatch_store_done *done)
{
	memset(&store->job, 0, sizeof store->job);
	store->job.done = *done;
}

static struct jk_db_step *add_step(struct dispatch_store *store, const struct jk_db_statement *statement)
{
	struct jk_db_step *step = &store->job.steps[store->job.count++];

	step->statement = statement;
	return step;
}

/* The step added last is the one that is read. */
static enum jk_status start_job(struct dispatch_store *store)
{
	store->job.answer_step = store->job.count - 1;
	return jk_db_start(store->write_db, store->job.steps, store->job.count, on_written, store);
}

/* Resets arrays[0..count) to these types and binds them to the step; to be filled before the job starts. */
static void bind_arrays(struct jk_db_step *step, struct jk_db_array *arrays, size_t count)
{
	for (size_t i = 0; i < count; i++)
		jk_db_bind_array(step, (int)i, &arrays[i]);
}

static void reset_arrays(struct jk_db_array *arrays, const unsigned *oids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		jk_db_array_reset(&arrays[i], oids[i]);
}

/* First of a job. A cursor that is lost is saved again or leads to a repetition; one that comes back after it was to begin anew
 * would pass events over. */
static void cursor_steps(struct dispatch_store *store, const struct dispatch_cursor_batch *cursors)
{
	static const unsigned oids[] = {
		JK_OID_TEXT, JK_OID_TEXT, JK_OID_TEXT, JK_OID_TEXT, JK_OID_TEXT, JK_OID_INT8, JK_OID_BYTEA, JK_OID_BYTEA};
	struct jk_db_array *renewed = store->cursor_arrays, *saved = store->cursor_arrays + 2;

	reset_arrays(store->cursor_arrays, oids, sizeof oids / sizeof oids[0]);
	for (size_t i = 0; i < cursors->renewed_count; i++) {
		jk_db_array_add_text(&renewed[0], cursors->renewed[i].holder.name);
		jk_db_array_add_text(&renewed[1], cursors->renewed[i].name);
	}
	for (size_t i = 0; i < cursors->row_count; i++) {
		const struct dispatch_cursor_row *row = &cursors->rows[i];

		jk_db_array_add_text(&saved[0], row->holder.name);
		jk_db_array_add_text(&saved[1], row->name);
		jk_db_array_add_text(&saved[2], row->stream);
		jk_db_array_add_int(&saved[3], (int64_t)row->position.seq);
		jk_db_array_add(&saved[4], row->position.chain8, sizeof row->position.chain8);
		jk_db_array_add(&saved[5], row->holder.filter, sizeof row->holder.filter);
	}
	if (cursors->renewed_count == 0)
		(void)add_step(store, &no_wait_statement);
	else
		bind_arrays(add_step(store, &cursor_renew_statement), renewed, 2);
	if (cursors->row_count > 0)
		bind_arrays(add_step(store, &cursor_save_statement), saved, 6);
}

enum jk_status dispatch_store_read_secret(struct dispatch_store *store,
	void (*on_secret)(void *arg, const uint8_t *key, uint32_t epoch), const struct dispatch_store_done *done)
{
	if (!dispatch_store_can_write(store))
		return JK_RETRY;
	begin_job(store, done);
	store->job.on_secret = on_secret;
	(void)add_step(store, &secret_statement);
	return start_job(store);
}

/* Nothing was sent of a number that the record does not name, up to seen_seq. */
static void add_record(struct jk_db_array *records, const struct dispatch_closing *closing)
{
	uint8_t bytes[DISPATCH_RESERVE_MAX] = {0};
	size_t size = (size_t)(closing->seen_seq + 1 - closing->from_seq);

	if (size == 0 || size > sizeof bytes || dispatch_record_bytes(closing->record) > size) {
		jk_db_array_add(records, NULL, 0);
		return;
	}
	if (closing->record != NULL)
		dispatch_record_write(closing->record, bytes);
	jk_db_array_add(records, bytes, (int)size);
}

/* One a line. */
static void add_terms(struct jk_db_array *texts, const struct dispatch_terms *terms, const struct dispatch_record *record)
{
	struct jk_buffer lines = {0};

	for (uint8_t i = 0; record != NULL && i < record->term_count; i++)
		jk_buffer_printf(&lines, "%s%s", i > 0 ? "\n" : "", dispatch_terms_text(terms, record->terms[i]));
	jk_db_array_add(texts, lines.data, (int)lines.size);
	jk_buffer_done(&lines);
}

enum jk_status dispatch_store_save(struct dispatch_store *store, const struct dispatch_cursor_batch *cursors,
	const struct dispatch_terms *terms, const struct dispatch_closing *closings, size_t closing_count,
	const struct dispatch_store_done *done)
{
	static const unsigned oids[] = {JK_OID_INT8, JK_OID_INT8, JK_OID_INT8, JK_OID_BYTEA, JK_OID_TEXT, JK_OID_INT4};
	enum { ARRAYS = sizeof oids / sizeof oids[0] };

	if (!dispatch_store_can_write(store))
		return JK_RETRY;
	begin_job(store, done);
	cursor_steps(store, cursors);
	reset_arrays(store->arrays, oids, ARRAYS);
	for (size_t i = 0; i < closing_count; i++) {
		jk_db_array_add_int(&store->arrays[0], closings[i].disclosure_id);
		jk_db_array_add_int(&store->arrays[1], (int64_t)closings[i].sent_seq);
		jk_db_array_add_int(&store->arrays[2], (int64_t)closings[i].acked_seq);
		add_record(&store->arrays[3], &closings[i]);
		add_terms(&store->arrays[4], terms, closings[i].record);
		jk_db_array_add_int(&store->arrays[5], closings[i].ends);
	}
	if (closing_count > 0)
		bind_arrays(add_step(store, &close_statement), store->arrays, ARRAYS);
	return start_job(store);
}

enum jk_status dispatch_store_find(struct dispatch_store *store, const struct dispatch_cursor_batch *cursors,
	const struct dispatch_question *questions, size_t count,
	void (*on_answer)(void *arg, size_t index, const struct dispatch_answer *answer), const struct dispatch_store_done *done)
{
	static const unsigned oids[] = {JK_OID_TEXT, JK_OID_TEXT, JK_OID_TEXT, JK_OID_INT8, JK_OID_INT4};

	if (!dispatch_store_can_write(store))
		return JK_RETRY;
	begin_job(store, done);
	store->job.on_answer = on_answer;
	store->job.questions = questions;
	cursor_steps(store, cursors);
	reset_arrays(store->arrays, oids, 5);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_text(&store->arrays[0], questions[i].holder->name);
		jk_db_array_add_text(&store->arrays[1], questions[i].cursor);
		jk_db_array_add_text(&store->arrays[2], questions[i].stream);
		if (questions[i].asked)
			jk_db_array_add_int(&store->arrays[3], (int64_t)questions[i].seq);
		else
			jk_db_array_add(&store->arrays[3], NULL, 0);
		jk_db_array_add_int(&store->arrays[4], questions[i].counts);
	}
	bind_arrays(add_step(store, &find_statement), store->arrays, 5);
	return start_job(store);
}

enum jk_status dispatch_store_reserve(struct dispatch_store *store, const struct dispatch_reservation *reservations, size_t count,
	void (*on_id)(void *arg, size_t index, int64_t disclosure_id), const struct dispatch_store_done *done)
{
	static const unsigned oids[] = {JK_OID_INT8, JK_OID_TEXT, JK_OID_INT4, JK_OID_TEXT, JK_OID_INT8, JK_OID_INT8, JK_OID_INT8,
		JK_OID_BYTEA, JK_OID_INT4};
	struct jk_db_array *arrays = store->arrays;

	if (!dispatch_store_can_write(store))
		return JK_RETRY;
	begin_job(store, done);
	store->job.on_id = on_id;
	reset_arrays(arrays, oids, 9);
	for (size_t i = 0; i < count; i++) {
		const struct dispatch_reservation *r = &reservations[i];

		jk_db_array_add_int(&arrays[0], (int64_t)r->session);
		jk_db_array_add_text(&arrays[1], r->holder.name);
		jk_db_array_add_int(&arrays[2], r->key_id);
		jk_db_array_add_text(&arrays[3], r->stream);
		jk_db_array_add_int(&arrays[4], (int64_t)r->from_seq);
		jk_db_array_add_int(&arrays[5], (int64_t)r->to_seq);
		jk_db_array_add_int(&arrays[6], r->policy_version);
		jk_db_array_add(&arrays[7], r->holder.filter, sizeof r->holder.filter);
		jk_db_array_add_int(&arrays[8], r->groups);
	}
	bind_arrays(add_step(store, &reserve_statement), arrays, 9);
	return start_job(store);
}

enum jk_status dispatch_store_add_head(struct dispatch_store *store, const struct jk_signed_head *head,
	const struct jk_head *streams, size_t count, void (*on_number)(void *arg, size_t index, int64_t head_no),
	const struct dispatch_store_done *done)
{
	static const unsigned oids[] = {JK_OID_TEXT, JK_OID_INT8, JK_OID_BYTEA};
	static const int64_t pg_epoch_us = INT64_C(946684800000000); /* 2000-01-01, PostgreSQL's epoch */
	struct jk_db_array *arrays = store->arrays;
	struct jk_db_step *step;

	if (!dispatch_store_can_write(store))
		return JK_RETRY;
	begin_job(store, done);
	store->job.on_id = on_number;
	reset_arrays(arrays, oids, 3);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_text(&arrays[0], streams[i].stream);
		jk_db_array_add_int(&arrays[1], (int64_t)streams[i].last_seq);
		jk_db_array_add(&arrays[2], streams[i].last_chain, sizeof streams[i].last_chain);
	}
	step = add_step(store, &head_statement);
	jk_db_bind_int8(step, 0, &store->head_time, head->signed_at_us - pg_epoch_us);
	jk_db_bind_bytes(step, 1, head->root, sizeof head->root);
	for (int i = 0; i < 3; i++)
		jk_db_bind_array(step, 2 + i, &arrays[i]);
	jk_db_bind_bytes(step, 5, head->public_key, sizeof head->public_key);
	jk_db_bind_bytes(step, 6, head->signature, sizeof head->signature);
	return start_job(store);
}

enum jk_status dispatch_store_append(
	struct dispatch_store *store, const struct dispatch_mail *mails, size_t count, const struct dispatch_store_done *done)
{
	static const unsigned oids[] = {JK_OID_TEXT, JK_OID_UUID, JK_OID_INT2, JK_OID_UUID, JK_OID_INT8, JK_OID_INT2, JK_OID_INT2,
		JK_OID_BYTEA, JK_OID_BYTEA};
	struct jk_db_array *arrays = store->arrays;

	if (!dispatch_store_can_write(store))
		return JK_RETRY;
	begin_job(store, done);
	reset_arrays(arrays, oids, 9);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_text(&arrays[0], mails[i].stream);
		jk_db_array_add_id(&arrays[1], &mails[i].event_id);
		jk_db_array_add_int(&arrays[2], mails[i].kind);
		jk_db_array_add_id(&arrays[3], &mails[i].incident_id);
		jk_db_array_add_int(&arrays[4], 0);
		jk_db_array_add_int(&arrays[5], JK_TLP_AMBER);
		jk_db_array_add_int(&arrays[6], JK_CATEGORY_OTHER);
		jk_db_array_add(&arrays[7], mails[i].commitment, sizeof mails[i].commitment);
		jk_db_array_add(&arrays[8], mails[i].body, mails[i].body_size);
	}
	bind_arrays(add_step(store, &append_statement), arrays, 9);
	return start_job(store);
}
