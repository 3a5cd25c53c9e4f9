/* feed_follow.c: one job after another on one connection: POSITIONS once, LOOK while there is nothing new, else READ, LOAD and
 * STORE for each batch. Any failure goes back to POSITIONS: what is stored is the truth. */
#include "feed/feed_follow.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "base/jk_time.h"

enum {
	ROWS_FIRST = 64,
	/* A batch grows with the backlog and shrinks when bodies are big: one may have 2 MiB. */
	BATCH_BYTES_FEW = 2 * 1024 * 1024,
	BATCH_BYTES_MANY = 16 * 1024 * 1024,
	RETRY_MS = 200,
	REFUSED_RETRY_MS = 1000,
	/* In a stream of batches each look costs as much as many events: after a batch of this many the next waits a little and
	 * is larger. A lone event never waits. */
	PACE_EVENTS = 64,
	PACE_MS = 50,
};

enum follow_stage { FOLLOW_POSITIONS, FOLLOW_LOOK, FOLLOW_READ, FOLLOW_LOAD, FOLLOW_STORE };

struct follow_stream {
	char stream[JK_STREAM_BYTES];
	uint64_t seq, last_seq; /* stored position; the head as last seen */
	uint64_t batch_seq;     /* position after the batch in hand */
};

struct jk_follow {
	struct jk_follow_service service;
	struct jk_db *db;
	enum follow_stage stage;
	bool due, started;
	int64_t retry_at_ms, pace_until_ms;
	size_t batch_count;
	struct follow_stream *streams; /* ascending */
	size_t stream_count, stream_capacity;
	struct jk_feed_want want;
	int rows_max;
	struct jk_event *events; /* JK_FOLLOW_BATCH_MAX */
	struct jk_db_array move_streams, move_from, move_to;
	char problem[256];
};

static void on_done(void *arg, const struct jk_db_outcome *outcome);

static struct follow_stream *find_stream(struct jk_follow *follow, const char *stream)
{
	for (size_t i = 0; i < follow->stream_count; i++)
		if (strcmp(follow->streams[i].stream, stream) == 0)
			return &follow->streams[i];
	return NULL;
}

static struct follow_stream *add_stream(struct jk_follow *follow, const char *stream)
{
	if (follow->stream_count == follow->stream_capacity) {
		size_t capacity = follow->stream_capacity ? 2 * follow->stream_capacity : 64;
		void *grown = realloc(follow->streams, capacity * sizeof *follow->streams);
		if (!grown)
			return NULL;
		follow->streams = grown;
		follow->stream_capacity = capacity;
	}
	struct follow_stream *added = &follow->streams[follow->stream_count++];
	*added = (struct follow_stream){0};
	(void)jk_text_copy(added->stream, sizeof added->stream, stream);
	return added;
}

static bool is_county_stream(const char *stream)
{
	return stream[0] >= '0' && stream[0] <= '9';
}

/* Heads that could not be taken for want of memory come again with the next look. */
static void take_heads(struct jk_follow *follow, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct jk_head head;
		jk_feed_head(result, row, &head);
		if (!is_county_stream(head.stream))
			continue;
		struct follow_stream *stream = find_stream(follow, head.stream);
		if (!stream)
			stream = add_stream(follow, head.stream);
		if (stream)
			stream->last_seq = head.last_seq;
	}
}

static void take_positions(struct jk_follow *follow, const PGresult *result)
{
	follow->stream_count = 0;
	for (int row = 0; row < PQntuples(result); row++) {
		const char *name = jk_db_get_bytes(result, row, 0, NULL);
		struct follow_stream *stream = name ? add_stream(follow, name) : NULL;
		if (stream)
			stream->seq = stream->last_seq = (uint64_t)jk_db_get_int(result, row, 1);
	}
}

static uint64_t behind(const struct follow_stream *stream)
{
	return stream->last_seq > stream->seq ? stream->last_seq - stream->seq : 0;
}

uint64_t jk_follow_lag(const struct jk_follow *follow)
{
	uint64_t lag = 0;
	for (size_t i = 0; i < follow->stream_count; i++)
		lag += behind(&follow->streams[i]);
	return lag;
}

/* The limit per stream with which about rows_max rows come in all: streams that have less leave their part to the others. */
static int fair_limit(const struct jk_follow *follow)
{
	uint64_t low = 1, high = (uint64_t)follow->rows_max;
	while (low < high) {
		uint64_t limit = (low + high + 1) / 2, rows = 0;
		for (size_t i = 0; i < follow->stream_count; i++)
			rows += behind(&follow->streams[i]) < limit ? behind(&follow->streams[i]) : limit;
		if (rows > (uint64_t)follow->rows_max)
			high = limit - 1;
		else
			low = limit;
	}
	return (int)low;
}

static size_t read_steps(struct jk_follow *follow, struct jk_db_step *steps)
{
	jk_feed_want_reset(&follow->want);
	for (size_t i = 0; i < follow->stream_count; i++)
		if (behind(&follow->streams[i]) > 0)
			jk_feed_want_add(&follow->want, follow->streams[i].stream, follow->streams[i].seq);
	jk_feed_events_step(&steps[0], &follow->want, fair_limit(follow));
	jk_feed_heads_step(&steps[1]);
	if (!follow->service.beside)
		return 2;
	steps[2] = (struct jk_db_step){.statement = follow->service.beside};
	return 3;
}

static size_t store_steps(struct jk_follow *follow, struct jk_db_step *steps)
{
	jk_db_array_reset(&follow->move_streams, JK_OID_TEXT);
	jk_db_array_reset(&follow->move_from, JK_OID_INT8);
	jk_db_array_reset(&follow->move_to, JK_OID_INT8);
	for (size_t i = 0; i < follow->stream_count; i++) {
		const struct follow_stream *stream = &follow->streams[i];
		if (stream->batch_seq == stream->seq)
			continue;
		jk_db_array_add_text(&follow->move_streams, stream->stream);
		jk_db_array_add_int(&follow->move_from, (int64_t)stream->seq);
		jk_db_array_add_int(&follow->move_to, (int64_t)stream->batch_seq);
	}
	steps[0] = (struct jk_db_step){.statement = follow->service.move};
	jk_db_bind_array(&steps[0], 0, &follow->move_streams);
	jk_db_bind_array(&steps[0], 1, &follow->move_from);
	jk_db_bind_array(&steps[0], 2, &follow->move_to);
	return 1 + follow->service.store(follow->service.service, steps + 1);
}

static void set_problem(struct jk_follow *follow, const char *what, const char *why)
{
	(void)jk_text_format(follow->problem, sizeof follow->problem, "%s: %s", what, why);
}

/* In the connection's own words, where it has some. */
static void set_database_problem(struct jk_follow *follow, const char *code, const char *why)
{
	char trouble[JK_DB_TROUBLE_BYTES];
	if (jk_db_trouble(follow->db, trouble) == JK_DB_FINE)
		set_problem(follow, code, why);
	else
		(void)jk_text_copy(follow->problem, sizeof follow->problem, trouble);
}

static void start_over(struct jk_follow *follow, int wait_ms)
{
	follow->stage = FOLLOW_POSITIONS;
	follow->retry_at_ms = jk_time_mono_ms() + wait_ms;
}

/* Decides the next stage after heads are known. With events waiting, a problem lasts until some are stored: reading alone does
 * not show that it is over. */
static void look_or_read(struct jk_follow *follow)
{
	follow->stage = jk_follow_lag(follow) > 0 ? FOLLOW_READ : FOLLOW_LOOK;
	if (follow->stage == FOLLOW_LOOK)
		follow->problem[0] = '\0';
}

static void adapt_rows(struct jk_follow *follow, size_t count, size_t bytes)
{
	if (bytes > BATCH_BYTES_MANY)
		follow->rows_max = (int)(1 + count * BATCH_BYTES_FEW / bytes);
	else if (bytes <= BATCH_BYTES_FEW && follow->rows_max < JK_FOLLOW_BATCH_MAX)
		follow->rows_max = follow->rows_max * 2 < JK_FOLLOW_BATCH_MAX ? follow->rows_max * 2 : JK_FOLLOW_BATCH_MAX;
}

/* Fills follow->events; false when a number is missing in a stream: a feed has no gaps, so this must not be passed over. */
static bool take_events(struct jk_follow *follow, const PGresult *result, size_t *ret_count)
{
	struct follow_stream *stream = NULL;
	size_t bytes = 0;
	int rows = PQntuples(result) < JK_FOLLOW_BATCH_MAX ? PQntuples(result) : JK_FOLLOW_BATCH_MAX;

	for (size_t i = 0; i < follow->stream_count; i++)
		follow->streams[i].batch_seq = follow->streams[i].seq;
	for (int row = 0; row < rows; row++) {
		struct jk_event *event = &follow->events[row];
		jk_feed_event(result, row, event);
		bytes += event->body_size;
		if (!stream || strcmp(stream->stream, event->stream) != 0)
			stream = find_stream(follow, event->stream);
		if (!stream || event->seq != stream->batch_seq + 1) {
			set_problem(follow, "FEED_BROKEN: a number is missing in stream", event->stream);
			return false;
		}
		stream->batch_seq = event->seq;
	}
	*ret_count = follow->batch_count = (size_t)rows;
	adapt_rows(follow, *ret_count, bytes);
	return true;
}

static void on_read(struct jk_follow *follow, const struct jk_db_outcome *outcome)
{
	size_t count;
	if (!take_events(follow, outcome->results[0], &count)) {
		start_over(follow, REFUSED_RETRY_MS);
		return;
	}
	take_heads(follow, outcome->results[1]);
	if (count == 0) {
		follow->stage = FOLLOW_LOOK;
		return;
	}
	const PGresult *beside = follow->service.beside ? outcome->results[2] : NULL;
	if (follow->service.on_events(follow->service.service, follow->events, count, beside))
		follow->stage = FOLLOW_LOAD;
	else
		start_over(follow, RETRY_MS);
}

static void on_stored(struct jk_follow *follow)
{
	for (size_t i = 0; i < follow->stream_count; i++)
		follow->streams[i].seq = follow->streams[i].batch_seq;
	follow->service.on_stored(follow->service.service);
	follow->problem[0] = '\0';
	look_or_read(follow);
	if (follow->batch_count >= PACE_EVENTS && jk_follow_lag(follow) < (uint64_t)follow->rows_max) {
		follow->pace_until_ms = jk_time_mono_ms() + PACE_MS;
		follow->stage = FOLLOW_LOOK;
		follow->due = true;
	}
}

static void on_done(void *arg, const struct jk_db_outcome *outcome)
{
	struct jk_follow *follow = arg;
	if (outcome->status != JK_OK) {
		set_database_problem(follow, outcome->status == JK_RETRY ? "FEED_TRIES_AGAIN" : "FEED_REFUSED", outcome->message);
		start_over(follow, outcome->status == JK_RETRY ? RETRY_MS : REFUSED_RETRY_MS);
		return;
	}
	switch (follow->stage) {
	case FOLLOW_POSITIONS:
		take_positions(follow, outcome->results[0]);
		take_heads(follow, outcome->results[1]);
		follow->started = true;
		look_or_read(follow);
		break;
	case FOLLOW_LOOK:
		take_heads(follow, outcome->results[0]);
		look_or_read(follow);
		break;
	case FOLLOW_READ:
		on_read(follow, outcome);
		break;
	case FOLLOW_LOAD:
		follow->service.on_loaded(follow->service.service, outcome);
		follow->stage = FOLLOW_STORE;
		break;
	case FOLLOW_STORE:
		on_stored(follow);
		break;
	}
}

/* Steps of the stage's job; 0: nothing to do now. */
static size_t stage_steps(struct jk_follow *follow, struct jk_db_step *steps)
{
	size_t count;
	switch (follow->stage) {
	case FOLLOW_POSITIONS:
		steps[0] = (struct jk_db_step){.statement = follow->service.positions};
		jk_feed_heads_step(&steps[1]);
		return 2;
	case FOLLOW_LOOK:
		if (!follow->due)
			return 0;
		follow->due = false;
		jk_feed_heads_step(&steps[0]);
		return 1;
	case FOLLOW_READ:
		follow->due = false;
		return read_steps(follow, steps);
	case FOLLOW_LOAD:
		count = follow->service.load ? follow->service.load(follow->service.service, steps) : 0;
		if (count > 0)
			return count;
		follow->stage = FOLLOW_STORE;
		return store_steps(follow, steps);
	case FOLLOW_STORE:
		return store_steps(follow, steps);
	}
	return 0;
}

void jk_follow_turn(struct jk_follow *follow)
{
	struct jk_db_step steps[1 + JK_FOLLOW_STEPS_MAX];
	if (!jk_db_is_up(follow->db)) {
		/* Whatever comes back may be another server. */
		set_database_problem(follow, "DATABASE_UNREACHABLE", jk_db_last_error(follow->db));
		follow->stage = FOLLOW_POSITIONS;
		return;
	}
	int64_t now_ms = jk_time_mono_ms();
	if (!jk_db_is_idle(follow->db) || now_ms < follow->retry_at_ms)
		return;
	if (follow->stage == FOLLOW_LOOK && now_ms < follow->pace_until_ms)
		return;
	size_t count = stage_steps(follow, steps);
	if (count == 0)
		return;
	enum jk_status status = jk_db_start(follow->db, steps, count, on_done, follow);
	if (status != JK_OK) {
		set_problem(follow, "FEED_TRIES_AGAIN: cannot ask the database",
			status == JK_BROKEN ? "out of memory" : jk_db_last_error(follow->db));
		start_over(follow, RETRY_MS);
	}
}

void jk_follow_hint(struct jk_follow *follow)
{
	follow->due = true;
}

void jk_follow_on_timer(void *arg)
{
	struct jk_follow *follow = arg;
	jk_db_on_timer(follow->db);
	follow->due = true;
}

const char *jk_follow_problem(const struct jk_follow *follow)
{
	return follow->problem;
}

bool jk_follow_is_started(const struct jk_follow *follow)
{
	return follow->started;
}

enum jk_status jk_follow_open(const struct jk_follow_service *service, struct jk_db *db, struct jk_follow **ret_follow)
{
	struct jk_follow *follow = calloc(1, sizeof *follow);
	if (!follow)
		return JK_BROKEN;
	*follow = (struct jk_follow){.service = *service, .db = db, .rows_max = ROWS_FIRST};
	follow->events = calloc(JK_FOLLOW_BATCH_MAX, sizeof *follow->events);
	if (!follow->events) {
		free(follow);
		return JK_BROKEN;
	}
	*ret_follow = follow;
	return JK_OK;
}

void jk_follow_close(struct jk_follow **follow_p)
{
	struct jk_follow *follow = *follow_p;
	if (!follow)
		return;
	*follow_p = NULL;
	jk_feed_want_done(&follow->want);
	jk_db_array_done(&follow->move_streams);
	jk_db_array_done(&follow->move_from);
	jk_db_array_done(&follow->move_to);
	free(follow->events);
	free(follow->streams);
	free(follow);
}
