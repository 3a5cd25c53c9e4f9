/* feed.append in the database and jk_chain_next in C must give the same chain, and readers must get what was appended, in order
 * (JUKWAA_TEST_PG, a superuser's connection string; skipped without). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "feed/feed_body.h"
#include "feed/feed_reader.h"

enum { TIMEOUT_MS = 5000, BATCH = 200, PARAMS = 9 };

static struct jk_db *db;

static const struct jk_db_statement append_statement = {
	.name = "append",
	.sql = "SELECT ord, seq, chain, recorded_at, epoch FROM feed.append($1::text[], $2::uuid[], $3::smallint[], $4::uuid[],"
	       " $5::bigint[], $6::smallint[], $7::smallint[], $8::bytea[], $9::bytea[]) ORDER BY ord",
	.params = PARAMS,
};
static const struct jk_db_statement lose_epoch = {
	.name = "lose_epoch", .sql = "UPDATE feed.epoch SET timeline = timeline + 1000"};
static const struct jk_db_statement find_epoch = {
	.name = "find_epoch", .sql = "UPDATE feed.epoch SET timeline = timeline - 1000"};

/* Removal by age up to the middle of each stream, under a head that says so; events are old after a microsecond. */
static const struct jk_db_statement cover = {.name = "cover",
	.sql = "INSERT INTO evidence.head (signed_at, root, streams, seqs, chains, public_key, signature)"
	       " SELECT now(), sha256('r'), array_agg(e.stream), array_agg(e.seq), array_agg(e.chain), sha256('k'),"
	       " sha256('a') || sha256('b') FROM feed.head h JOIN feed.event e ON e.stream = h.stream AND e.seq = h.last_seq / "
	       "2"};
static const struct jk_db_statement follow = {.name = "follow",
	.sql = "WITH c AS (INSERT INTO cases.cursor SELECT stream, last_seq FROM feed.head),"
	       " d AS (INSERT INTO dispatch.follow SELECT stream, last_seq FROM feed.head)"
	       " INSERT INTO notify.cursor SELECT stream, last_seq FROM feed.head"};
static const struct jk_db_statement expire = {.name = "expire", .sql = "UPDATE meta.retention SET event = '1 microsecond'"};
static const struct jk_db_statement remove_events = {.name = "remove", .sql = "SELECT removed FROM feed.remove(100000)"};
static const struct jk_db_statement read_removed = {
	.name = "removed", .sql = "SELECT stream, seq, chain FROM feed.removed ORDER BY stream"};

/* The arguments of one call. */
struct batch {
	struct jk_db_array arrays[PARAMS];
};

static void batch_init(struct batch *batch)
{
	static const unsigned oids[PARAMS] = {JK_OID_TEXT, JK_OID_UUID, JK_OID_INT2, JK_OID_UUID, JK_OID_INT8, JK_OID_INT2,
		JK_OID_INT2, JK_OID_BYTEA, JK_OID_BYTEA};

	*batch = (struct batch){0};
	for (int i = 0; i < PARAMS; i++)
		jk_db_array_reset(&batch->arrays[i], oids[i]);
}

static void batch_add(struct batch *batch, const char *stream, int number, int commitment_size)
{
	struct jk_id event_id = jk_id_new(), incident_id = jk_id_new();
	uint8_t commitment[JK_SHA256_BYTES];
	char body[32];

	jk_random(commitment, sizeof commitment);
	(void)jk_text_format(body, sizeof body, "body %d", number);
	jk_db_array_add_text(&batch->arrays[0], stream);
	jk_db_array_add_id(&batch->arrays[1], &event_id);
	jk_db_array_add_int(&batch->arrays[2], 1 + number % 7);
	jk_db_array_add_id(&batch->arrays[3], &incident_id);
	jk_db_array_add_int(&batch->arrays[4], number % 3 == 0 ? -number : (int64_t)number << 40);
	jk_db_array_add_int(&batch->arrays[5], number % 6);
	jk_db_array_add_int(&batch->arrays[6], number % 13);
	jk_db_array_add(&batch->arrays[7], commitment, commitment_size);
	jk_db_array_add(&batch->arrays[8], body, (int)strlen(body));
}

/* What append answered for each element. */
struct given {
	int rows;
	char sqlstate[6];
	uint64_t seq[BATCH];
	uint8_t chain[BATCH][32];
	int64_t recorded_at_us[BATCH];
};

static void on_given(void *arg, const struct jk_db_outcome *outcome)
{
	struct given *given = arg;
	size_t size;

	memcpy(given->sqlstate, outcome->sqlstate, sizeof given->sqlstate);
	if (outcome->status != JK_OK)
		return;
	given->rows = PQntuples(outcome->results[0]);
	for (int i = 0; i < given->rows; i++) {
		assert_int_equal(jk_db_get_int(outcome->results[0], i, 0), i + 1);
		given->seq[i] = (uint64_t)jk_db_get_int(outcome->results[0], i, 1);
		memcpy(given->chain[i], jk_db_get_bytes(outcome->results[0], i, 2, &size), 32);
		assert_int_equal(size, 32);
		given->recorded_at_us[i] = jk_db_get_time_us(outcome->results[0], i, 3);
	}
}

static enum jk_status append(struct batch *batch, struct given *ret)
{
	struct jk_db_step step = {.statement = &append_statement};
	enum jk_status status;

	memset(ret, 0, sizeof *ret);
	for (int i = 0; i < PARAMS; i++)
		jk_db_bind_array(&step, i, &batch->arrays[i]);
	status = jk_db_run(db, &step, 1, TIMEOUT_MS, on_given, ret);
	for (int i = 0; i < PARAMS; i++)
		jk_db_array_done(&batch->arrays[i]);
	return status;
}

static void run(const struct jk_db_statement *statement)
{
	const struct jk_db_step step = {.statement = statement};

	assert_int_equal(jk_db_run(db, &step, 1, TIMEOUT_MS, NULL, NULL), JK_OK);
}

static const char *const streams[] = {"047", "001", "@NPS"};
enum { STREAMS = 3 };

/* Where streams begin from which events were removed. */
static struct jk_head removed[STREAMS];
static int removed_count;

/* Walks what was read and computes every link anew. */
struct walk {
	char stream[JK_STREAM_BYTES];
	uint64_t seq;
	uint8_t chain[32];
	int64_t recorded_at_us;
	int events, limit;
};

static void check_link(struct walk *walk, const struct jk_event *event)
{
	struct jk_chain_link link = {.stream = event->stream,
		.seq = event->seq,
		.epoch = event->epoch,
		.recorded_at_us = event->recorded_at_us,
		.event_id = event->event_id,
		.incident_id = event->incident_id,
		.kind = event->kind,
		.revision = event->revision,
		.tlp = event->tlp,
		.category = event->category,
		.commitment_size = event->commitment_size};
	uint8_t computed[32];

	if (strcmp(walk->stream, event->stream) != 0) {
		assert_true(strcmp(walk->stream, event->stream) < 0);
		*walk = (struct walk){.events = walk->events};
		memcpy(walk->stream, event->stream, sizeof walk->stream);
		for (int i = 0; i < removed_count; i++) {
			if (strcmp(removed[i].stream, event->stream) != 0)
				continue;
			walk->seq = removed[i].last_seq;
			memcpy(walk->chain, removed[i].last_chain, sizeof walk->chain);
		}
	}
	assert_int_equal(event->seq, walk->seq + 1);
	assert_true(event->recorded_at_us >= walk->recorded_at_us);
	if (event->commitment_size != 0)
		memcpy(link.commitment, event->commitment, event->commitment_size);
	jk_chain_next(computed, event->seq == 1 ? NULL : walk->chain, &link);
	assert_memory_equal(computed, event->chain, sizeof computed);
	assert_true(event->body_size > 5 && memcmp(event->body, "body ", 5) == 0);
	memcpy(walk->chain, computed, sizeof walk->chain);
	walk->seq = event->seq;
	walk->recorded_at_us = event->recorded_at_us;
	walk->events++;
}

static void on_events(void *arg, const struct jk_db_outcome *outcome)
{
	struct jk_event event;

	assert_int_equal(outcome->status, JK_OK);
	for (int i = 0; i < PQntuples(outcome->results[0]); i++) {
		jk_feed_event(outcome->results[0], i, &event);
		check_link(arg, &event);
	}
}

static void on_heads(void *arg, const struct jk_db_outcome *outcome)
{
	static const char *const ascending[] = {"001", "047", "@NPS"};
	struct jk_head head;

	assert_int_equal(outcome->status, JK_OK);
	assert_int_equal(PQntuples(outcome->results[0]), STREAMS);
	for (int i = 0; i < STREAMS; i++) {
		jk_feed_head(outcome->results[0], i, &head);
		assert_string_equal(head.stream, ascending[i]);
		*(uint64_t *)arg += head.last_seq;
	}
}

static void database_and_program_compute_one_chain(void **state)
{
	(void)state;
	struct jk_feed_want want = {0};
	struct jk_db_step step;
	struct walk walk = {0};
	struct given given;
	struct batch batch;
	uint64_t heads = 0;
	uint64_t next[STREAMS] = {1, 1, 1};

	for (int round = 0; round < 3; round++) {
		batch_init(&batch);
		for (int i = 0; i < BATCH; i++)
			batch_add(&batch, streams[i * 7 % STREAMS], round * BATCH + i, i % STREAMS == 2 ? 0 : 32);
		assert_int_equal(append(&batch, &given), JK_OK);
		assert_int_equal(given.rows, BATCH);
		/* Elements of a stream keep their order, and get the next numbers. */
		for (int i = 0; i < BATCH; i++)
			assert_int_equal(given.seq[i], next[i * 7 % STREAMS]++);
	}
	jk_feed_want_reset(&want);
	for (int i = 0; i < STREAMS; i++)
		jk_feed_want_add(&want, streams[i], 0);
	jk_feed_want_add(&want, "002", 0);
	jk_feed_events_step(&step, &want, 100000);
	assert_int_equal(jk_db_run(db, &step, 1, TIMEOUT_MS, on_events, &walk), JK_OK);
	assert_int_equal(walk.events, 3 * BATCH);
	jk_feed_heads_step(&step);
	assert_int_equal(jk_db_run(db, &step, 1, TIMEOUT_MS, on_heads, &heads), JK_OK);
	assert_int_equal(heads, 3 * BATCH);
	jk_feed_want_done(&want);
}

/* Few events go another way through feed.append than many: in streams that there are and in new ones, and several of one stream.
 */
static void few_events_are_chained_as_many_are(void **state)
{
	(void)state;
	static const char *const few[] = {"@KRCS", "003", "002"};
	struct jk_feed_want want = {0};
	struct jk_db_step step;
	struct walk walk = {0};
	struct given given;
	struct batch batch;
	uint64_t next[] = {1, 1, 1};
	int number = 0, appended = 0;

	for (int round = 0; round < 24; round++) {
		int count = 1 + round % 6;

		batch_init(&batch);
		for (int i = 0; i < count; i++)
			batch_add(&batch, few[(round + i * i) % 3], number++, round % 5 == 0 ? 0 : 32);
		assert_int_equal(append(&batch, &given), JK_OK);
		assert_int_equal(given.rows, count);
		for (int i = 0; i < count; i++)
			assert_int_equal(given.seq[i], next[(round + i * i) % 3]++);
		appended += count;
	}
	jk_feed_want_reset(&want);
	for (int i = 0; i < 3; i++)
		jk_feed_want_add(&want, few[i], 0);
	jk_feed_events_step(&step, &want, 100000);
	assert_int_equal(jk_db_run(db, &step, 1, TIMEOUT_MS, on_events, &walk), JK_OK);
	assert_int_equal(walk.events, appended);
	jk_feed_want_done(&want);
}

static void on_page(void *arg, const struct jk_db_outcome *outcome)
{
	static const struct {
		const char *stream;
		uint64_t seq;
	} expected[] = {{"001", 1}, {"001", 2}, {"001", 3}, {"047", 101}, {"047", 102}, {"047", 103}};
	struct jk_event event;

	*(int *)arg = PQntuples(outcome->results[0]);
	assert_int_equal(*(int *)arg, 6);
	for (int i = 0; i < 6; i++) {
		jk_feed_event(outcome->results[0], i, &event);
		assert_string_equal(event.stream, expected[i].stream);
		assert_int_equal(event.seq, expected[i].seq);
	}
}

static void a_page_starts_after_the_number_and_ends_at_the_limit(void **state)
{
	(void)state;
	struct jk_feed_want want = {0};
	struct jk_db_step step;
	int rows = 0;

	jk_feed_want_reset(&want);
	jk_feed_want_add(&want, "047", 100);
	jk_feed_want_add(&want, "001", 0);
	jk_feed_events_step(&step, &want, 3);
	assert_int_equal(jk_db_run(db, &step, 1, TIMEOUT_MS, on_page, &rows), JK_OK);
	assert_int_equal(rows, 6);
	jk_feed_want_done(&want);
}

static void an_empty_call_appends_nothing(void **state)
{
	(void)state;
	struct batch batch;
	struct given given;

	batch_init(&batch);
	assert_int_equal(append(&batch, &given), JK_OK);
	assert_int_equal(given.rows, 0);
}

static void a_missing_stream_or_a_foreign_one_is_refused(void **state)
{
	(void)state;
	struct batch batch;
	struct given given;

	batch_init(&batch);
	batch_add(&batch, "047", 1, 32);
	batch_add(&batch, "Nairobi", 2, 32);
	assert_int_equal(append(&batch, &given), JK_BROKEN);
	assert_string_equal(given.sqlstate, "23514");
	batch_init(&batch);
	batch_add(&batch, "047", 1, 32);
	jk_db_array_add(&batch.arrays[0], NULL, 0);
	assert_int_equal(append(&batch, &given), JK_BROKEN);
	assert_string_equal(given.sqlstate, "23502");
}

static void an_unconfirmed_database_appends_nothing(void **state)
{
	(void)state;
	struct batch batch;
	struct given given;

	run(&lose_epoch);
	batch_init(&batch);
	batch_add(&batch, "047", 1, 32);
	assert_int_equal(append(&batch, &given), JK_BROKEN);
	assert_string_equal(given.sqlstate, "JK001");
	run(&find_epoch);
	batch_init(&batch);
	batch_add(&batch, "047", 1, 32);
	assert_int_equal(append(&batch, &given), JK_OK);
	/* The refused calls used up no number: each of the three batches had 67 events for 047. */
	assert_int_equal(given.seq[0], 3 * 67 + 1);
}

static void on_removed(void *arg, const struct jk_db_outcome *outcome)
{
	(void)arg;
	assert_int_equal(outcome->status, JK_OK);
	removed_count = PQntuples(outcome->results[0]);
	assert_int_equal(removed_count, STREAMS);
	for (int i = 0; i < removed_count; i++)
		jk_feed_head(outcome->results[0], i, &removed[i]);
}

static void what_is_left_goes_on_from_what_was_removed(void **state)
{
	(void)state;
	struct jk_db_step step = {.statement = &read_removed};
	struct jk_feed_want want = {0};
	struct walk walk = {0};
	int gone = 0;

	run(&cover);
	run(&follow);
	run(&expire);
	run(&remove_events);
	assert_int_equal(jk_db_run(db, &step, 1, TIMEOUT_MS, on_removed, NULL), JK_OK);
	jk_feed_want_reset(&want);
	for (int i = 0; i < STREAMS; i++)
		jk_feed_want_add(&want, streams[i], 0);
	jk_feed_events_step(&step, &want, 100000);
	assert_int_equal(jk_db_run(db, &step, 1, TIMEOUT_MS, on_events, &walk), JK_OK);
	for (int i = 0; i < STREAMS; i++)
		gone += (int)removed[i].last_seq;
	assert_true(gone > 3 * BATCH / 2 - STREAMS);
	assert_int_equal(walk.events, 3 * BATCH + 1 - gone);
	jk_feed_want_done(&want);
}

static int open_database(void **state)
{
	(void)state;
	return jk_crypt_init() == JK_OK && jk_db_open(getenv("JUKWAA_TEST_PG"), "test", &db) == JK_OK ? 0 : -1;
}

static int close_database(void **state)
{
	(void)state;
	jk_db_close(&db);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(database_and_program_compute_one_chain),
		cmocka_unit_test(a_page_starts_after_the_number_and_ends_at_the_limit),
		cmocka_unit_test(an_empty_call_appends_nothing),
		cmocka_unit_test(a_missing_stream_or_a_foreign_one_is_refused),
		cmocka_unit_test(an_unconfirmed_database_appends_nothing),
		cmocka_unit_test(what_is_left_goes_on_from_what_was_removed),
		cmocka_unit_test(few_events_are_chained_as_many_are),
	};

	if (getenv("JUKWAA_TEST_PG") == NULL) {
		fprintf(stderr, "skipped: needs JUKWAA_TEST_PG\n");
		return 77;
	}
	return cmocka_run_group_tests_name("feed chain", tests, open_database, close_database);
}
