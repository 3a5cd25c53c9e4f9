#include "services/cli/evidence_store_pg.h"

#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "services/cli/operator_store_pg.h"

struct evidence_store {
	PGconn *connection;
	char problem[256];
	struct jk_leaf *leaves;
	size_t leaf_capacity;
};

/* One moment, and index ranges in the order asked for, whatever the planner thinks of the statistics. */
static bool begin(struct evidence_store *store)
{
	PGresult *result = PQexec(store->connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
						     "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;"
						     "SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0");
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK;

	PQclear(result);
	return good;
}

struct evidence_store *evidence_store_open(const char *conninfo, char ret_reason[256])
{
	struct evidence_store *store = calloc(1, sizeof *store);

	(void)jk_text_copy(ret_reason, 256, "no memory");
	if (!store)
		return NULL;
	store->connection = operator_store_connect(conninfo, "jukwaa evidence");
	if (PQstatus(store->connection) == CONNECTION_OK && begin(store))
		return store;
	operator_store_reason(ret_reason, PQerrorMessage(store->connection));
	evidence_store_close(&store);
	return NULL;
}

void evidence_store_close(struct evidence_store **store_p)
{
	if (*store_p) {
		PQfinish((*store_p)->connection);
		free((*store_p)->leaves);
		free(*store_p);
	}
	*store_p = NULL;
}

const char *evidence_store_problem(const struct evidence_store *store)
{
	return store->problem;
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

enum { PARAMS_MAX = 3 };
struct question {
	const char *sql;
	int count;
	const char *values[PARAMS_MAX];
	int lengths[PARAMS_MAX];
};

static void add_array(struct question *question, struct jk_db_array *array)
{
	struct jk_db_step step = {0};

	jk_db_bind_array(&step, 0, array);
	question->values[question->count] = step.values[0];
	question->lengths[question->count++] = step.lengths[0];
}

static void add_int8(struct question *question, struct jk_db_int8 *storage, int64_t value)
{
	struct jk_db_step step = {0};

	jk_db_bind_int8(&step, 0, storage, value);
	question->values[question->count] = step.values[0];
	question->lengths[question->count++] = step.lengths[0];
}

/* Rows as they come, so that memory does not grow with their number. */
typedef void take_row(void *arg, const PGresult *result, int row);
static int64_t ask(struct evidence_store *store, const struct question *question, take_row *take, void *arg)
{
	static const int binary[PARAMS_MAX] = {1, 1, 1};
	int64_t rows = 0;
	PGresult *result;

	if (!PQsendQueryParams(
		    store->connection, question->sql, question->count, NULL, question->values, question->lengths, binary, 1) ||
		!PQsetSingleRowMode(store->connection)) {
		operator_store_reason(store->problem, PQerrorMessage(store->connection));
		return -1;
	}
	while ((result = PQgetResult(store->connection))) {
		ExecStatusType status = PQresultStatus(result);

		if (status == PGRES_SINGLE_TUPLE && rows >= 0) {
			take(arg, result, 0);
			rows++;
		} else if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK) {
			operator_store_reason(store->problem, PQresultErrorMessage(result));
			rows = -1;
		}
		PQclear(result);
	}
	return rows;
}

/* Texts and hashes of a size that cannot be are left empty: they verify nowhere. */
static void read_stream(char ret[JK_LEAF_STREAM_BYTES], const PGresult *result, int row, int column)
{
	size_t size;
	const char *stream = jk_db_get_bytes(result, row, column, &size);

	(void)jk_text_copy(ret, JK_LEAF_STREAM_BYTES, stream ? stream : "");
}

static void read_bytes(uint8_t *ret, size_t capacity, const PGresult *result, int row, int column)
{
	size_t size;
	const void *bytes = jk_db_get_bytes(result, row, column, &size);

	memset(ret, 0, capacity);
	if (bytes && size == capacity)
		memcpy(ret, bytes, capacity);
}

/* ---- positions -------------------------------------------------------------------------------------------------- */

struct positions {
	evidence_position_row *row;
	void *arg;
};

/* stream, seq, chain, head_no */
static void take_position(void *arg, const PGresult *result, int row)
{
	struct positions *positions = arg;
	struct jk_leaf position = {.seq = (uint64_t)jk_db_get_int(result, row, 1)};

	read_stream(position.stream, result, row, 0);
	read_bytes(position.chain, sizeof position.chain, result, row, 2);
	positions->row(positions->arg, &position, (uint64_t)jk_db_get_int(result, row, 3));
}

int64_t evidence_store_removed(struct evidence_store *store, evidence_position_row *row, void *arg)
{
	const struct question question = {
		.sql = "SELECT stream, seq, chain, head_no FROM feed.removed ORDER BY stream COLLATE \"C\""};
	struct positions positions = {row, arg};

	return ask(store, &question, take_position, &positions);
}

/* Streams of feed.event by hops over the index: there are few, and very many events. */
int64_t evidence_store_ends(struct evidence_store *store, evidence_position_row *row, void *arg)
{
	const struct question question = {
		.sql = "WITH RECURSIVE found(stream) AS ("
		       " (SELECT stream FROM feed.event ORDER BY stream, seq LIMIT 1)"
		       " UNION ALL SELECT (SELECT e.stream FROM feed.event e WHERE e.stream > f.stream ORDER BY e.stream, e.seq "
		       "LIMIT 1)"
		       " FROM found f WHERE f.stream IS NOT NULL)"
		       " SELECT h.stream, h.last_seq, h.last_chain, 1::int8 FROM feed.head h WHERE h.last_seq > 0"
		       " UNION ALL SELECT f.stream, 0::int8, ''::bytea, 0::int8 FROM found f WHERE f.stream IS NOT NULL"
		       " AND NOT EXISTS (SELECT FROM feed.head h WHERE h.stream = f.stream AND h.last_seq > 0)"
		       " ORDER BY 1"};
	struct positions positions = {row, arg};

	return ask(store, &question, take_position, &positions);
}

int64_t evidence_store_chain(struct evidence_store *store, const char *stream, uint64_t seq, uint8_t ret_chain[32])
{
	struct question question = {
		.sql = "SELECT chain FROM feed.event WHERE stream = $1::text AND seq = $2::int8"
		       " UNION ALL SELECT chain FROM feed.removed WHERE stream = $1::text AND seq = $2::int8",
		.values = {stream},
		.lengths = {(int)strlen(stream)},
		.count = 1,
	};
	struct jk_db_int8 number;
	PGresult *result;
	int64_t rows = -1;

	add_int8(&question, &number, (int64_t)seq);
	result = PQexecParams(store->connection, question.sql, question.count, NULL, question.values, question.lengths,
		(const int[]){1, 1, 1}, 1);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		rows = PQntuples(result);
	else
		operator_store_reason(store->problem, PQerrorMessage(store->connection));
	if (rows > 0)
		read_bytes(ret_chain, 32, result, 0, 0);
	PQclear(result);
	return rows;
}

/* ---- heads ------------------------------------------------------------------------------------------------------ */

#define HEAD_COLUMNS "h.head_no, h.signed_at, h.root, h.public_key, h.signature, h.streams, h.seqs, h.chains"

struct heads {
	struct evidence_store *store;
	evidence_head_row *row;
	void *arg;
	uint64_t last_no;
};

/* A binary one-dimensional array: dimensions, flags, type, count, lower bound, then (size, bytes) of each element. */
struct array {
	const uint8_t *at, *end;
	uint32_t count;
};

static uint32_t get_be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static struct array open_array(const PGresult *result, int row, int column)
{
	enum { HEADER_BYTES = 20 };
	size_t size;
	const uint8_t *bytes = jk_db_get_bytes(result, row, column, &size);

	if (!bytes || size < HEADER_BYTES || get_be32(bytes) != 1)
		return (struct array){0};
	return (struct array){bytes + HEADER_BYTES, bytes + size, get_be32(bytes + 12)};
}

/* NULL: no more, or an SQL NULL. */
static const uint8_t *next_element(struct array *array, uint32_t *ret_size)
{
	const uint8_t *bytes = array->at ? array->at + 4 : NULL;

	if (!bytes || array->end - array->at < 4)
		return NULL;
	*ret_size = get_be32(array->at);
	if (*ret_size > (size_t)(array->end - bytes))
		return NULL;
	array->at = bytes + *ret_size;
	return bytes;
}

static bool read_leaf(struct array *streams, struct array *seqs, struct array *chains, struct jk_leaf *ret)
{
	uint32_t size;
	const uint8_t *bytes = next_element(streams, &size);

	*ret = (struct jk_leaf){0};
	if (!bytes || size >= sizeof ret->stream)
		return false;
	memcpy(ret->stream, bytes, size);
	bytes = next_element(seqs, &size);
	if (!bytes || size != 8)
		return false;
	ret->seq = jk_get_be64(bytes);
	bytes = next_element(chains, &size);
	if (!bytes || size != sizeof ret->chain)
		return false;
	memcpy(ret->chain, bytes, size);
	return true;
}

static size_t read_leaves(struct evidence_store *store, const PGresult *result, int row)
{
	struct array streams = open_array(result, row, 5), seqs = open_array(result, row, 6), chains = open_array(result, row, 7);
	size_t count = streams.count == seqs.count && seqs.count == chains.count && streams.count < 1 << 20 ? streams.count : 0;

	if (count > store->leaf_capacity) {
		free(store->leaves);
		store->leaves = calloc(count, sizeof *store->leaves);
		store->leaf_capacity = store->leaves ? count : 0;
	}
	if (count > store->leaf_capacity)
		return 0;
	for (size_t i = 0; i < count; i++)
		if (!read_leaf(&streams, &seqs, &chains, &store->leaves[i]))
			return 0;
	return count;
}

static void take_head(void *arg, const PGresult *result, int row)
{
	struct heads *heads = arg;
	struct jk_signed_head head = {
		.head_no = (uint64_t)jk_db_get_int(result, row, 0), .signed_at_us = jk_db_get_time_us(result, row, 1)};
	size_t count;

	read_bytes(head.root, sizeof head.root, result, row, 2);
	read_bytes(head.public_key, sizeof head.public_key, result, row, 3);
	read_bytes(head.signature, sizeof head.signature, result, row, 4);
	heads->last_no = head.head_no;
	count = read_leaves(heads->store, result, row); /* where they are, too */
	heads->row(heads->arg, &head, heads->store->leaves, count);
}

int64_t evidence_store_heads(
	struct evidence_store *store, uint64_t after_no, int limit, evidence_head_row *row, void *arg, uint64_t *ret_last_no)
{
	struct question question = {.sql = "SELECT " HEAD_COLUMNS
					   " FROM evidence.head h WHERE h.head_no > $1::int8 ORDER BY h.head_no LIMIT $2::int8"};
	struct heads heads = {.store = store, .row = row, .arg = arg, .last_no = after_no};
	struct jk_db_int8 numbers[2];
	int64_t rows;

	add_int8(&question, &numbers[0], (int64_t)after_no);
	add_int8(&question, &numbers[1], limit);
	rows = ask(store, &question, take_head, &heads);
	*ret_last_no = heads.last_no;
	return rows;
}

int64_t evidence_store_newest_head(struct evidence_store *store, evidence_head_row *row, void *arg)
{
	const struct question question = {.sql = "SELECT " HEAD_COLUMNS " FROM evidence.head h ORDER BY h.head_no DESC LIMIT 1"};
	struct heads heads = {.store = store, .row = row, .arg = arg};

	return ask(store, &question, take_head, &heads);
}

int64_t evidence_store_covering_head(struct evidence_store *store, const struct jk_leaf *positions, size_t count,
	int64_t after_us, evidence_head_row *row, void *arg)
{
	struct question question = {.sql = "SELECT " HEAD_COLUMNS " FROM evidence.head h"
					   " WHERE h.stored_at >= to_timestamp($3::int8 / 1000000.0) - interval '5 minutes'"
					   " AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::int8[]) w(stream, seq)"
					   " WHERE coalesce(h.seqs[array_position(h.streams, w.stream)], 0) < w.seq)"
					   " ORDER BY h.stored_at, h.head_no LIMIT 1"};
	struct heads heads = {.store = store, .row = row, .arg = arg};
	struct jk_db_array streams = {0}, seqs = {0};
	struct jk_db_int8 after;
	int64_t rows;

	jk_db_array_reset(&streams, JK_OID_TEXT);
	jk_db_array_reset(&seqs, JK_OID_INT8);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_text(&streams, positions[i].stream);
		jk_db_array_add_int(&seqs, (int64_t)positions[i].seq);
	}
	add_array(&question, &streams);
	add_array(&question, &seqs);
	add_int8(&question, &after, after_us);
	rows = ask(store, &question, take_head, &heads);
	jk_db_array_done(&streams);
	jk_db_array_done(&seqs);
	return rows;
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

#define EVENT_COLUMNS                                                                                                            \
	"e.stream, e.seq, e.epoch, e.event_id, e.incident_id, e.kind, e.recorded_at, e.revision, e.tlp, e.category, "            \
	"e.commitment,"                                                                                                          \
	" e.chain"
#define EVENTS_OF_RANGES                                                                                                         \
	" FROM unnest($1::text[], $2::int8[], $3::int8[]) WITH ORDINALITY AS want (stream, after, up_to, place)"                 \
	" CROSS JOIN LATERAL (SELECT * FROM feed.event WHERE event.stream = want.stream AND event.seq > want.after"              \
	" AND event.seq <= want.up_to ORDER BY event.stream, event.seq) AS e"

struct events {
	evidence_event_row *row;
	void *arg;
	bool with_body;
};

static void take_event(void *arg, const PGresult *result, int row)
{
	struct events *events = arg;
	char stream[JK_LEAF_STREAM_BYTES];
	struct evidence_event event = {.link = {
					       .stream = stream,
					       .seq = (uint64_t)jk_db_get_int(result, row, 1),
					       .epoch = (uint32_t)jk_db_get_int(result, row, 2),
					       .event_id = jk_db_get_id(result, row, 3),
					       .incident_id = jk_db_get_id(result, row, 4),
					       .kind = (int)jk_db_get_int(result, row, 5),
					       .recorded_at_us = jk_db_get_time_us(result, row, 6),
					       .revision = jk_db_get_int(result, row, 7),
					       .tlp = (int)jk_db_get_int(result, row, 8),
					       .category = (int)jk_db_get_int(result, row, 9),
				       }};
	size_t size;
	const void *commitment = jk_db_get_bytes(result, row, 10, &size);

	read_stream(stream, result, row, 0);
	if (commitment && size <= sizeof event.link.commitment) {
		memcpy(event.link.commitment, commitment, size);
		event.link.commitment_size = size;
	}
	read_bytes(event.chain, sizeof event.chain, result, row, 11);
	if (events->with_body)
		event.body = jk_db_get_bytes(result, row, 12, &event.body_size);
	events->row(events->arg, &event);
}

int64_t evidence_store_events(struct evidence_store *store, const struct evidence_range *ranges, size_t count, bool with_body,
	evidence_event_row *row, void *arg)
{
	struct question question = {.sql = with_body ? "SELECT " EVENT_COLUMNS ", e.body" EVENTS_OF_RANGES
						     : "SELECT " EVENT_COLUMNS EVENTS_OF_RANGES};
	struct events events = {row, arg, with_body};
	struct jk_db_array streams = {0}, after = {0}, up_to = {0};
	int64_t rows;

	jk_db_array_reset(&streams, JK_OID_TEXT);
	jk_db_array_reset(&after, JK_OID_INT8);
	jk_db_array_reset(&up_to, JK_OID_INT8);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_text(&streams, ranges[i].stream);
		jk_db_array_add_int(&after, (int64_t)ranges[i].after);
		jk_db_array_add_int(&up_to, (int64_t)(ranges[i].up_to > INT64_MAX ? INT64_MAX : ranges[i].up_to));
	}
	add_array(&question, &streams);
	add_array(&question, &after);
	add_array(&question, &up_to);
	rows = ask(store, &question, take_event, &events);
	jk_db_array_done(&streams);
	jk_db_array_done(&after);
	jk_db_array_done(&up_to);
	return rows;
}
